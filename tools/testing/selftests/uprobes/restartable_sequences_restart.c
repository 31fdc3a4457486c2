// SPDX-License-Identifier: GPL-2.0
/*
 * Is a thread that is preempted at a probed instruction of a restartable sequence (rseq) sent to the sequence's abort
 * handler, as it would be unprobed?
 *
 * Threads add to counters of their processor inside such sequences: read, execute a probed instruction, write. A
 * thread that goes on after it was preempted in a slot overwrites what others have added meanwhile; one that is
 * sent away while an instruction is stepped must not keep the trap flag, nor lose the hit.
 *
 * Seen to fail: no_addition_is_lost_in_string and _in_popf on stock; and it died of SIGTRAP in in_popf as long as the
 * abort of a sequence didn't end the step that the thread was in.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/rseq.h>
#include <time.h>

#include "probes.h"

#define NR_THREADS	6
#define SECONDS		4

static struct {
	unsigned long n;
} counters[2] __attribute__((aligned(64)));

static unsigned char scratch[65536];
static volatile bool stop;
static unsigned long commits, aborts, passed;

/*
 * @insn: the probed one, between the read and the write; may use rcx, rdi and r8, and count in r9 how often it was
 * passed. The red zone is left alone.
 */
#define SEQUENCE(name, before, insn)							\
	bool name(struct rseq *rseq, void *counters, void *scratch, unsigned long *passed);	\
	extern const char name##_insn[];						\
	asm(".pushsection .data.rel.ro, \"aw\"\n"					\
	    ".balign 32\n"								\
	    #name "_cs:\n"								\
	    "	.long 0, 0\n"								\
	    "	.quad " #name "_start, " #name "_commit - " #name "_start, " #name "_abort\n"	\
	    ".popsection\n"								\
	    ".text\n"									\
	    ".balign 16\n"								\
	    #name ":\n"									\
	    "	mov %rcx, %r9\n"							\
	    "	mov %rdx, %r8\n"							\
	    "	mov %rsp, %rdx\n"							\
	    "	lea " #name "_cs(%rip), %rax\n"						\
	    "	mov %rax, 8(%rdi)\n"							\
	    #name "_start:\n"								\
	    "	mov 4(%rdi), %r10d\n"							\
	    "	shl $3, %r10\n"								\
	    "	mov (%rsi,%r10), %r11\n"						\
	    "	mov %r8, %rdi\n"							\
	    "	" before "\n"								\
	    #name "_insn:\n"								\
	    "	" insn "\n"								\
	    "	incq (%r9)\n"								\
	    "	inc %r11\n"								\
	    "	mov %r11, (%rsi,%r10)\n"						\
	    #name "_commit:\n"								\
	    "	mov $1, %eax\n"								\
	    "	ret\n"									\
	    "	.long 0x53053053\n"							\
	    #name "_abort:\n"								\
	    "	mov %rdx, %rsp\n"							\
	    "	xor %eax, %eax\n"							\
	    "	ret\n")

SEQUENCE(in_nop, "mov $3000, %ecx\n1: loop 1b", "nop");
SEQUENCE(in_string, "mov $30000, %ecx", "rep stosb");
SEQUENCE(in_popf, "lea -128(%rsp), %rsp\n pushf", "popf\n lea 128(%rsp), %rsp");

static const struct sequence {
	const char *name;
	bool (*run)(struct rseq *rseq, void *counters, void *scratch, unsigned long *passed);
	const char *insn;
} sequences[] = {
	{ "in_nop", in_nop, in_nop_insn },
	{ "in_string", in_string, in_string_insn },
	{ "in_popf", in_popf, in_popf_insn },
};

static void *add(void *data)
{
	struct rseq *rseq = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
	const struct sequence *s = data;
	unsigned long done = 0, sent_away = 0, through = 0;

	while (!stop) {
		if (s->run(rseq, counters, scratch, &through))
			done++;
		else
			sent_away++;
	}
	__atomic_add_fetch(&commits, done, __ATOMIC_RELAXED);
	__atomic_add_fetch(&aborts, sent_away, __ATOMIC_RELAXED);
	__atomic_add_fetch(&passed, through, __ATOMIC_RELAXED);
	return NULL;
}

static void stay_on_two_processors(void)
{
	cpu_set_t two;

	CPU_ZERO(&two);
	CPU_SET(0, &two);
	CPU_SET(1, &two);
	must(!sched_setaffinity(0, sizeof(two), &two));
}

static void add_for_a_while(const struct sequence *s)
{
	pthread_t threads[NR_THREADS];
	int i;

	memset(counters, 0, sizeof(counters));
	commits = aborts = passed = 0;
	stop = false;
	for (i = 0; i < NR_THREADS; i++)
		must(!pthread_create(&threads[i], NULL, add, (void *)s));
	sleep(SECONDS);
	stop = true;
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	unsigned long hits;
	size_t i;

	must(__rseq_size);
	stay_on_two_processors();
	for (i = 0; i < ARRAY_SIZE(sequences); i++) {
		const struct sequence *s = &sequences[i];

		define('p', s->name, s->insn, "");
		enable(s->name);
		add_for_a_while(s);
		disable(s->name);
		hits = count(s->name, "entries");
		note("%s: %lu commits, %lu aborts, passed %lu times, %lu hits", s->name, commits, aborts, passed, hits);
		equal(counters[0].n + counters[1].n, commits, "no_addition_is_lost_%s", s->name);
		check(commits > 0 && aborts > 0, "sequences_end_both_ways_%s", s->name);
		check(hits >= passed && hits <= commits + aborts, "hits_are_those_that_began_%s", s->name);
		remove_all();
	}
	return finish();
}

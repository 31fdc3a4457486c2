// SPDX-License-Identifier: GPL-2.0
/*
 * Does each consumer of the kernel's interface find at the return of a call what it has left in its pouch at the
 * entry, and no return of a call that it has declined?
 *
 * The consumers are those of the module consumer/, which keeps the pouches and looks into them. Here are the calls:
 * recursion, forks inside, longjmp(), consumers that come and go while calls are open.
 *
 * Seen to fail when a call's room wasn't looked at again after a consumer with a larger pouch had come, and when
 * threads opened calls before the breakpoint of their return site was there.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/utsname.h>

#include "probes.h"

#define CONSUMERS	"/sys/kernel/debug/uprobe_consumers/"
#define MODULE		"build/tests/consumer/%s/consumer.ko"
#define NR_THREADS	4
#define NR_CALLS	2000
#define NR_ROUNDS	200
#define DEPTH_LIMIT	"/proc/sys/kernel/uprobe_max_depth"

/* ---- targets ------------------------------------------------------------ */

static PROBED unsigned long descend(unsigned long n, void (*at_the_bottom)(void))
{
	unsigned long r;

	if (n == 0) {
		if (at_the_bottom)
			at_the_bottom();
		return 1;
	}
	r = descend(n - 1, at_the_bottom) + n;
	asm volatile("" : "+r" (r));
	return r;
}

#define SUM(n)	((unsigned long)(n) * ((n) + 1) / 2 + 1)

/* ---- consumers ---------------------------------------------------------- */

static int try_add(const char *name, unsigned int pouch, unsigned int decline)
{
	struct place place = place_of((const void *)descend);
	char text[PATH_MAX + 100];

	snprintf(text, sizeof(text), "%s %u %u 0x%lx %s", name, pouch, decline, place.offset, place.path);
	return write_file(CONSUMERS "register", 0, text);
}

static void add(const char *name, unsigned int pouch, unsigned int decline)
{
	must(!try_add(name, pouch, decline));
}

static void remove_consumer(const char *name)
{
	must(!write_file(CONSUMERS "unregister", 0, name));
}

static long seen(const char *name, const char *what)
{
	char path[200], *text, *line, wanted[32];
	long n = -1;

	snprintf(path, sizeof(path), CONSUMERS "%s", name);
	snprintf(wanted, sizeof(wanted), "\n%s ", what);
	text = read_file(path, NULL);
	must(text);
	line = strncmp(text, wanted + 1, strlen(wanted + 1)) ? strstr(text, wanted) : text - 1;
	if (line)
		n = atol(line + strlen(wanted));
	free(text);
	return n;
}

static long all_missed(const char *name)
{
	static const char *const causes[] = { "depth", "memory", "fault", "unwound", "declined", "install", "exit", "exec",
					      "unregistered", "shed", "no-site" };
	long sum = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(causes); i++)
		sum += seen(name, causes[i]);
	return sum;
}

/* Entries, of which so many were declined and so many unwound; the others have returned; pouches were right. */
static void has_seen(const char *subtest, const char *name, long entries, long declined, long unwound)
{
	equal(seen(name, "entries"), entries, "%s_%s_entries", subtest, name);
	equal(seen(name, "declined"), declined, "%s_%s_declined", subtest, name);
	equal(seen(name, "unwound"), unwound, "%s_%s_unwound", subtest, name);
	equal(seen(name, "returns"), entries + seen(name, "inherited") - declined - unwound, "%s_%s_returns", subtest,
	      name);
	equal(all_missed(name), declined + unwound, "%s_%s_misses_nothing_else", subtest, name);
	equal(seen(name, "wrong") + seen(name, "without"), 0, "%s_%s_has_its_pouch", subtest, name);
}

/* ---- subtests ----------------------------------------------------------- */

static void recursion_keeps_each_pouch(void)
{
	add("none", 0, 0);
	add("one", 1, 0);
	add("many", 1000, 0);
	equal(descend(200, NULL), SUM(200), "recursion_computes_the_same");
	has_seen("recursion", "none", 201, 0, 0);
	has_seen("recursion", "one", 201, 0, 0);
	has_seen("recursion", "many", 201, 0, 0);
	remove_consumer("none");
	remove_consumer("one");
	remove_consumer("many");
}

/* 0, 3, … 198: 67 of 201 */
static void declined_calls_have_no_return(void)
{
	add("thirds", 8, 3);
	equal(descend(200, NULL), SUM(200), "declining_computes_the_same");
	has_seen("alone", "thirds", 201, 67, 0);
	add("all", 16, 1);
	add("keeper", 24, 0);
	equal(descend(200, NULL), SUM(200), "declining_beside_others_computes_the_same");
	has_seen("beside", "thirds", 402, 134, 0);
	has_seen("beside", "all", 201, 201, 0);
	has_seen("beside", "keeper", 201, 0, 0);
	remove_consumer("thirds");
	remove_consumer("all");
	remove_consumer("keeper");
}

static void come_and_go(void)
{
	remove_consumer("early");
	add("late", 500, 0);
	must(descend(10, NULL) == SUM(10));
}

/* A call that can't be opened is missed for one cause. */
static void declined_calls_beyond_the_limit_are_declined(void)
{
	char *limit = read_file(DEPTH_LIMIT, NULL);

	add("limited", 8, 3);
	must(limit && !write_file(DEPTH_LIMIT, 0, "10"));
	equal(descend(200, NULL), SUM(200), "limited_computes_the_same");
	must(!write_file(DEPTH_LIMIT, 0, limit));
	free(limit);
	equal(seen("limited", "entries"), 201, "limited_calls_are_entered");
	equal(seen("limited", "declined"), 67, "limited_calls_are_declined");
	/* of 134 that aren't declined the outermost ten */
	equal(seen("limited", "depth"), 124, "limited_calls_are_too_deep");
	equal(seen("limited", "returns"), 10, "limited_calls_return");
	remove_consumer("limited");
}

static void consumers_change_while_calls_are_open(void)
{
	add("early", 40, 0);
	add("stays", 4, 0);
	equal(descend(50, come_and_go), SUM(50), "changing_consumers_computes_the_same");
	has_seen("change", "stays", 51 + 11, 0, 0);
	has_seen("change", "late", 11, 0, 0);
	must(descend(20, NULL) == SUM(20));
	has_seen("afterwards", "late", 11 + 21, 0, 0);
	remove_consumer("late");
	remove_consumer("stays");
}

static pid_t child;

static void fork_here(void)
{
	child = fork();
	must(child >= 0);
}

static void forks_copy_pouches(void)
{
	int status = -1;
	unsigned long sum;

	add("forks", 77, 2);
	sum = descend(30, fork_here);
	if (!child)
		_exit(sum == SUM(30) && descend(5, NULL) == SUM(5) ? 0 : 1);
	must(waitpid(child, &status, 0) == child);
	equal(status, 0, "child_computes_the_same");
	equal(sum, SUM(30), "parent_computes_the_same");
	/* the even ones of 31 and of 6 are declined */
	equal(seen("forks", "inherited"), 15, "calls_that_were_not_declined_are_inherited");
	has_seen("forked", "forks", 31 + 6, 16 + 3, 0);
	remove_consumer("forks");
}

static jmp_buf target;

static void jump(void)
{
	longjmp(target, 1);
}

static void jumps_leave_pouches(void)
{
	add("jumps", 64, 0);
	if (!setjmp(target))
		descend(40, jump);
	equal(descend(40, NULL), SUM(40), "jumping_computes_the_same");
	has_seen("jumped", "jumps", 82, 0, 41);
	remove_consumer("jumps");
}

static void *call_often(void *bad)
{
	int i;

	for (i = 0; i < NR_CALLS; i++)
		*(long *)bad += descend(i % 20, NULL) != SUM(i % 20);
	return NULL;
}

static void threads_have_their_own(void)
{
	pthread_t threads[NR_THREADS];
	long bad[NR_THREADS] = {}, entries = NR_THREADS * (NR_CALLS / 20 * 210l), all_bad = 0;
	int i;

	add("threads", 200, 0);
	add("fives", 8, 5);
	for (i = 0; i < NR_THREADS; i++)
		must(!pthread_create(&threads[i], NULL, call_often, &bad[i]));
	for (i = 0; i < NR_THREADS; i++) {
		pthread_join(threads[i], NULL);
		all_bad += bad[i];
	}
	equal(all_bad, 0, "threads_compute_the_same");
	has_seen("threads", "threads", entries, 0, 0);
	/* of 0 to n: 1 to 4 of them 5 times each */
	has_seen("threads", "fives", entries, NR_THREADS * (NR_CALLS / 20 * 50l), 0);
	remove_consumer("threads");
	remove_consumer("fives");
}

static pthread_barrier_t start, end;

static void *call_at_once(void *bad)
{
	int i;

	for (i = 0; i < NR_ROUNDS; i++) {
		pthread_barrier_wait(&start);
		*(long *)bad += descend(0, NULL) != 1;
		*(long *)bad += descend(0, NULL) != 1;
		pthread_barrier_wait(&end);
	}
	return NULL;
}

/* With the consumer its return sites go: the first call of each round makes them anew. */
static void first_calls_of_threads_are_seen_to_return(void)
{
	long bad[NR_THREADS] = {}, all_bad = 0, entries = 0, returns = 0, missed = 0;
	pthread_t threads[NR_THREADS];
	int i;

	pthread_barrier_init(&start, NULL, NR_THREADS + 1);
	pthread_barrier_init(&end, NULL, NR_THREADS + 1);
	for (i = 0; i < NR_THREADS; i++)
		must(!pthread_create(&threads[i], NULL, call_at_once, &bad[i]));
	for (i = 0; i < NR_ROUNDS; i++) {
		add("first", 8, 0);
		pthread_barrier_wait(&start);
		pthread_barrier_wait(&end);
		entries += seen("first", "entries");
		returns += seen("first", "returns");
		missed += all_missed("first");
		remove_consumer("first");
	}
	for (i = 0; i < NR_THREADS; i++) {
		pthread_join(threads[i], NULL);
		all_bad += bad[i];
	}
	equal(all_bad, 0, "calling_at_once_computes_the_same");
	equal(entries, 2l * NR_ROUNDS * NR_THREADS, "first_calls_are_entered");
	equal(returns, entries, "first_calls_return");
	equal(missed, 0, "first_calls_miss_nothing");
}

static void too_large_pouches_are_refused(void)
{
	equal(try_add("huge", 65000, 0), ENOSPC, "too_large_pouch_is_refused");
	add("large", 20000, 0);
	equal(try_add("another", 20000, 0), ENOSPC, "too_large_pouches_together_are_refused");
	add("small", 8, 0);
	remove_consumer("large");
	equal(try_add("large", 20000, 0), 0, "room_that_was_left_is_used_again");
	remove_consumer("small");
	equal(descend(100, NULL), SUM(100), "large_pouches_compute_the_same");
	has_seen("large", "large", 101, 0, 0);
	remove_consumer("large");
}

static void *descend_in_thread(void *unused)
{
	return (void *)descend(200, unused);
}

/* At a depth of 201 there is room for 201 * 256 bytes: 25 calls of 2,000 bytes and a bit. */
static void too_much_is_kept(void)
{
	char *limit = read_file(DEPTH_LIMIT, NULL);
	pthread_t thread;
	void *sum;
	long kept;

	add("none", 0, 0);
	add("much", 2000, 0);
	add("thirds", 8, 3);
	must(limit && !write_file(DEPTH_LIMIT, 0, "201"));
	/* a thread of its own: what others have pooled, they have */
	must(!pthread_create(&thread, NULL, descend_in_thread, NULL) && !pthread_join(thread, &sum));
	equal((long)sum, SUM(200), "keeping_too_much_computes_the_same");
	must(!write_file(DEPTH_LIMIT, 0, limit));
	free(limit);
	has_seen("too_much", "none", 201, 0, 0);
	kept = seen("much", "returns");
	if (kept < 20 || kept > 30)
		note("%ld calls have kept something", kept);
	check(kept >= 20 && kept <= 30, "as_many_return_as_there_is_room_for");
	equal(seen("much", "memory"), 201 - kept, "the_others_are_missed");
	equal(all_missed("much"), 201 - kept, "for_one_cause");
	equal(seen("much", "without"), 201 - kept, "and_know_it_at_the_entry");
	/* 200, 199, … are entered in this order */
	equal(seen("thirds", "declined"), 67, "declined_calls_are_declined_all_the_same");
	equal(seen("thirds", "memory") + seen("thirds", "returns"), 134, "and_counted_once");
	equal(seen("much", "wrong") + seen("thirds", "wrong") + seen("none", "wrong"), 0, "no_pouch_is_wrong");
	remove_consumer("none");
	remove_consumer("much");
	remove_consumer("thirds");
}

static void insert_module(void)
{
	char path[100];
	int fd;

	snprintf(path, sizeof(path), MODULE, getenv("PROBEX_KERNEL") ?: "ours");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && !syscall(SYS_finit_module, fd, "", 0));
	close(fd);
}

int main(void)
{
	insert_module();
	recursion_keeps_each_pouch();
	declined_calls_have_no_return();
	declined_calls_beyond_the_limit_are_declined();
	consumers_change_while_calls_are_open();
	forks_copy_pouches();
	jumps_leave_pouches();
	threads_have_their_own();
	first_calls_of_threads_are_seen_to_return();
	too_large_pouches_are_refused();
	too_much_is_kept();
	must(!syscall(SYS_delete_module, "consumer", 0));
	return finish();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Is every call of a probed function one entry and one return, with the right
 * arguments, and does the program compute the same?
 *
 * Seen to fail on stock: deep_recursion_*, mutual_recursion_* and tail_calls_in_a_circle_*
 * (64 returns at the most); with all that returns together delivered at once, in the room that a hit
 * has: 8,192 of 20,000 tail calls.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "probes.h"

#define DEEP	50000
#define ROUNDS	5000

/* ---- targets ------------------------------------------------------------ */

static PROBED int add(int a, int b)
{
	return a + b;
}

static PROBED unsigned int recurse(unsigned int n, unsigned int x)
{
	unsigned int r;

	if (!n)
		return x;
	r = recurse(n - 1, x * 31 + n);
	asm volatile("" : "+r"(r) : : "memory");
	return r * 17 + n;
}

static PROBED unsigned int odd(unsigned int n);

static PROBED unsigned int even(unsigned int n)
{
	unsigned int r = n ? odd(n - 1) : 7;

	asm volatile("" : "+r"(r) : : "memory");
	return r * 3 + 1;
}

static PROBED unsigned int odd(unsigned int n)
{
	unsigned int r = n ? even(n - 1) : 9;

	asm volatile("" : "+r"(r) : : "memory");
	return r * 5 + 2;
}

static PROBED int move_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	usleep(1000);
	return sched_getcpu();
}

#ifdef __i386__
static PROBED int __attribute__((stdcall)) callee_pops(int a, int b, int c)
{
	return a + 2 * b + 3 * c;
}
#endif

/*
 * tail_first ends in a jump to tail_last; there and back jump to each other as often as
 * they are told. after_call and after_there stand right behind a call. The functions
 * keep_* hold a value below the stack pointer, where the psABI of 64-bit code lets a leaf
 * function put it, across one instruction.
 */
int tail_first(int x);
int tail_last(int x);
int there(int jumps);
int back(int jumps);
int calls_last(int x);
int calls_there(int jumps);
extern char after_call[], after_there[];

asm(".text\n"
    ".balign 16\n"
    "tail_first:\n"
    "	nop\n"
    "	jmp	tail_last\n"
    ".balign 16\n"
    "tail_last:\n"
#ifdef __i386__
    "	movl	4(%esp), %eax\n"
    "	leal	3(%eax,%eax), %eax\n"
#else
    "	leal	3(%rdi,%rdi), %eax\n"
#endif
    "	ret\n"
    ".balign 16\n"
    "there:\n"
#ifdef __i386__
    "	subl	$1, 4(%esp)\n"
#else
    "	subl	$1, %edi\n"
#endif
    "	jns	back\n"
    "	movl	$11, %eax\n"
    "	ret\n"
    ".balign 16\n"
    "back:\n"
#ifdef __i386__
    "	subl	$1, 4(%esp)\n"
#else
    "	subl	$1, %edi\n"
#endif
    "	jns	there\n"
    "	movl	$12, %eax\n"
    "	ret\n"
    ".balign 16\n"
    "calls_there:\n"
#ifdef __i386__
    "	pushl	4(%esp)\n"
#else
    "	pushq	%rdi\n"
#endif
    "	call	there\n"
    "after_there:\n"
    "	addl	$5, %eax\n"
#ifdef __i386__
    "	popl	%ecx\n"
#else
    "	popq	%rcx\n"
#endif
    "	ret\n"
    ".balign 16\n"
    "calls_last:\n"
#ifdef __i386__
    "	pushl	4(%esp)\n"
#else
    "	pushq	%rdi\n"
#endif
    "	call	tail_last\n"
    "after_call:\n"
    "	addl	$5, %eax\n"
#ifdef __i386__
    "	popl	%ecx\n"
#else
    "	popq	%rcx\n"
#endif
    "	ret\n");

#ifndef __i386__
struct keeper {
	const char *name;
	long (*call)(long x, long *y);
	const char *insn;
};

#define KEEPER(name, text)						\
	long keep_##name(long x, long *y);				\
	extern char keep_##name##_insn[];				\
	asm(".text\n"							\
	    ".balign 16\n"						\
	    "keep_" #name ":\n"						\
	    "	movq	%rdi, -8(%rsp)\n"				\
	    "	movq	%rdi, -16(%rsp)\n"				\
	    "	movq	%rdi, -128(%rsp)\n"				\
	    "keep_" #name "_insn:\n"					\
	    "	" text "\n"						\
	    "	movq	-8(%rsp), %rax\n"				\
	    "	addq	-16(%rsp), %rax\n"				\
	    "	addq	-128(%rsp), %rax\n"				\
	    "	ret\n")

KEEPER(nop, "nop");
KEEPER(nop5, ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00");
KEEPER(endbr, "endbr64");
KEEPER(mov, "movq %rdi, %rdx");
KEEPER(store, "movq %rdi, (%rsi)");
KEEPER(lea, "leaq 5(%rsi), %rdx");
KEEPER(jump, "jmp 1f\n1:");
KEEPER(jcc, "jne 1f\n1:");

#define KEEP(name)	{ #name, keep_##name, keep_##name##_insn }
static const struct keeper keepers[] = {
	KEEP(nop), KEEP(nop5), KEEP(endbr), KEEP(mov), KEEP(store), KEEP(lea), KEEP(jump), KEEP(jcc),
};
#endif

/* ---- tests -------------------------------------------------------------- */

static void each_call_is_one_entry_and_one_return(void)
{
	int i, sum = 0;

	define_both("add", add);
	enable_all();
	for (i = 0; i < 1000; i++)
		sum += add(i, 1);
	disable_all();
	equal(sum, 500500, "results_are_unchanged");
	equal(count("add", "entries"), 1000, "each_call_is_one_entry");
	equal(count("add_ret", "returns"), 1000, "each_call_is_one_return");
	equal(count("add_ret", "entries"), 1000, "a_return_event_knows_its_entries");
	equal(count("add_ret", "missed"), 0, "nothing_is_missed");
	for (i = 0; i < 10; i++)
		add(i, 1);
	equal(count("add", "entries"), 1000, "nothing_is_counted_when_off");
	remove_all();
}

static void *add_many(void *sum)
{
	unsigned int i;

	for (i = 0; i < 2000; i++)
		*(unsigned int *)sum += add(i, i);
	return NULL;
}

static void threads_are_counted_exactly(void)
{
	unsigned int sums[4] = {}, i;
	pthread_t threads[4];

	define_both("add", add);
	enable_all();
	for (i = 0; i < 4; i++)
		must(!pthread_create(&threads[i], NULL, add_many, &sums[i]));
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	disable_all();
	check(sums[0] == 3998000 && sums[1] == 3998000 && sums[2] == 3998000 && sums[3] == 3998000,
	      "results_of_four_threads_are_unchanged");
	equal(count("add", "entries"), 8000, "entries_of_four_threads_are_exact");
	equal(count("add_ret", "returns"), 8000, "returns_of_four_threads_are_exact");
	remove_all();
}

static void arguments_and_values_are_right(void)
{
	char *text, *line, *save = NULL;
	int i, a, b, r, right = 0;

#ifdef __i386__
	define('p', "add", add, "a=+4($stack):s32 b=+8($stack):s32");
#else
	define('p', "add", add, "a=%di:s32 b=%si:s32");
#endif
	define('r', "add_ret", add, "r=$retval:s32");
	enable_all();
	for (i = 0; i < 50; i++)
		add(i * 7 - 100, -3 * i);
	disable_all();

	text = read_file(TRACING "trace", NULL);
	i = 0;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *at = strstr(line, " a="), *ret = strstr(line, " r=");

		if (at && sscanf(at, " a=%d b=%d", &a, &b) == 2)
			right += a == i * 7 - 100 && b == -3 * i;
		if (ret && sscanf(ret, " r=%d", &r) == 1) {
			right += r == i * 4 - 100;
			i++;
		}
	}
	free(text);
	equal(right, 100, "arguments_and_return_values_are_right");
	remove_all();
}

static void two_events_at_one_place_both_count(void)
{
	int i;

	define('p', "one", add, "");
	define('p', "two", add, "");
	define('r', "one_ret", add, "");
	define('r', "two_ret", add, "");
	enable_all();
	for (i = 0; i < 20; i++)
		add(i, i);
	disable("one");
	disable("one_ret");
	for (i = 0; i < 20; i++)
		add(i, i);
	disable_all();
	check(count("one", "entries") == 20 && count("one_ret", "returns") == 20,
	      "the_first_event_counts_as_long_as_it_is_on");
	check(count("two", "entries") == 40 && count("two_ret", "returns") == 40,
	      "the_second_event_does_not_care");
	remove_all();
}

static void deep_recursion(unsigned int depth, unsigned int wanted)
{
	unsigned int got;

	define_both("recurse", recurse);
	enable_all();
	got = recurse(depth, 1);
	disable_all();
	note("%u calls inside each other: %lu entries, %lu returns, %lu missed", depth + 1, count("recurse", "entries"),
	     count("recurse_ret", "returns"), count("recurse_ret", "missed"));
	equal(got, wanted, "deep_recursion_of_%u_computes_the_same", depth);
	equal(count("recurse", "entries"), depth + 1, "deep_recursion_of_%u_has_all_entries", depth);
	equal(count("recurse_ret", "returns"), depth + 1, "deep_recursion_of_%u_has_all_returns", depth);
	equal(count("recurse_ret", "missed"), 0, "deep_recursion_of_%u_misses_nothing", depth);
	remove_all();
}

static void mutual_recursion_is_exact(void)
{
	unsigned int wanted = even(101), got;

	define('r', "even_ret", even, "");
	define('r', "odd_ret", odd, "");
	enable_all();
	got = even(101);
	disable_all();
	equal(got, wanted, "mutual_recursion_computes_the_same");
	equal(count("even_ret", "returns"), 51, "mutual_recursion_returns_from_the_one");
	equal(count("odd_ret", "returns"), 51, "mutual_recursion_returns_from_the_other");
	remove_all();
}

static void tail_calls_return_together(void)
{
	int i, sum = 0;

	define('r', "first_ret", tail_first, "");
	define('r', "last_ret", tail_last, "");
	enable_all();
	for (i = 0; i < 30; i++)
		sum += tail_first(i);
	disable_all();
	equal(sum, 960, "tail_calls_compute_the_same");
	equal(count("first_ret", "returns"), 30, "tail_calls_return_from_the_caller");
	equal(count("last_ret", "returns"), 30, "tail_calls_return_from_the_callee");
	remove_all();
}

/* More than are dealt with in the trap, and more than there is room for at first. */
static void tail_calls_in_a_circle_return_together(void)
{
	int sum;

	define_both("there", there);
	define('r', "back_ret", back, "");
	define('p', "after", after_there, "");
	enable_all();
	/* in sixteens: none is left over, and one is */
	sum = calls_there(2 * ROUNDS - 1) + calls_there(2 * ROUNDS);
	disable_all();
	equal(sum, 33, "tail_calls_in_a_circle_compute_the_same");
	note("%lu and %lu returns", count("there_ret", "returns"), count("back_ret", "returns"));
	equal(count("there", "entries"), 2 * ROUNDS + 1, "tail_calls_in_a_circle_are_entered");
	equal(count("after", "entries"), 2, "tail_calls_in_a_circle_return_to_a_probe");
	equal(count("there_ret", "returns"), 2 * ROUNDS + 1, "tail_calls_in_a_circle_return");
	equal(count("back_ret", "returns"), 2 * ROUNDS, "tail_calls_in_a_circle_return_in_between");
	equal(count("there_ret", "missed") + count("back_ret", "missed"), 0, "tail_calls_in_a_circle_are_not_missed");
	remove_all();
}

/* The place behind the call is a return site and has a probe of its own. */
static void a_place_can_be_probed_and_returned_to(void)
{
	int i, sum = 0;

	define('p', "after", after_call, "");
	define('r', "last_ret", tail_last, "");
	enable_all();
	for (i = 0; i < 30; i++)
		sum += calls_last(i);
	disable("after");
	for (i = 0; i < 30; i++)
		sum += calls_last(i);
	enable("after");
	disable("last_ret");
	for (i = 0; i < 30; i++)
		sum += calls_last(i);
	disable_all();
	equal(sum, 3330, "arrivals_at_a_shared_place_compute_the_same");
	equal(count("after", "entries"), 60, "arrivals_at_a_shared_place_are_entries");
	equal(count("last_ret", "returns"), 60, "arrivals_at_a_shared_place_are_returns");
	check(is_balanced("last_ret"), "arrivals_at_a_shared_place_are_all_accounted_for");
	remove_all();
}

static void calls_may_return_on_another_cpu(void)
{
	int i, wrong = 0, cpus = sysconf(_SC_NPROCESSORS_ONLN);

	define_both("move", move_to);
	enable_all();
	for (i = 0; i < 20; i++)
		wrong += move_to(i % cpus) != i % cpus;
	disable_all();
	equal(wrong, 0, "sleepers_return_where_they_went");
	equal(count("move_ret", "returns"), 20, "sleepers_return_on_another_cpu_and_are_counted");
	remove_all();
}

#ifdef __i386__
static void callees_may_pop_their_arguments(void)
{
	int i, sum = 0;

	define_both("pops", callee_pops);
	enable_all();
	for (i = 0; i < 20; i++)
		sum += callee_pops(i, 1, 2);
	disable_all();
	equal(sum, 350, "callees_that_pop_compute_the_same");
	equal(count("pops_ret", "returns"), 20, "callees_that_pop_are_counted");
	remove_all();
}
#else
static void leaf_functions_keep_their_red_zone(void)
{
	size_t k;

	for (k = 0; k < ARRAY_SIZE(keepers); k++)
		define('p', keepers[k].name, keepers[k].insn, "");
	enable_all();
	for (k = 0; k < ARRAY_SIZE(keepers); k++) {
		long y, i, wrong = 0;

		for (i = 1; i <= 20; i++)
			wrong += keepers[k].call(i << 40, &y) != 3 * (i << 40);
		check(!wrong && count(keepers[k].name, "entries") == 20, "red_zone_survives_%s", keepers[k].name);
	}
	remove_all();
}
#endif

int main(int argc, char **argv)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	unsigned int shallow, deep;

	/* the mappings have another order without a limit */
	if (argc == 1) {
		must(!setrlimit(RLIMIT_STACK, &unlimited));
		execl("/proc/self/exe", argv[0], "unlimited", NULL);
		must(false);
	}
	shallow = recurse(200, 1);
	deep = recurse(DEEP, 1);

	each_call_is_one_entry_and_one_return();
	threads_are_counted_exactly();
	arguments_and_values_are_right();
	two_events_at_one_place_both_count();
	deep_recursion(200, shallow);
	deep_recursion(DEEP, deep);
	mutual_recursion_is_exact();
	tail_calls_return_together();
	tail_calls_in_a_circle_return_together();
	a_place_can_be_probed_and_returned_to();
	calls_may_return_on_another_cpu();
#ifdef __i386__
	callees_may_pop_their_arguments();
#else
	leaf_functions_keep_their_red_zone();
#endif
	return finish();
}

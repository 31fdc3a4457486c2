// SPDX-License-Identifier: GPL-2.0
/*
 * May probes be switched on and off at any moment?
 *
 * Threads call probed functions, others fork, execute programs, map and unmap
 * probed files, while events go on and off. Every result must be right, the
 * balance of returns must hold when all are at rest, and in the end the text is the
 * file's and no copied page is left.
 *
 * Seen to fail with returns of one event counted twice.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <time.h>

#include "code_file.h"

#define FILE_PATH	"/tmp/probes_come_and_go.code"
#define SECONDS		8
#define CALLERS		4

extern char **environ;

static PROBED unsigned int mix(unsigned int x)
{
	return x * 2654435761u + 12345;
}

static PROBED unsigned int recurse(unsigned int n, unsigned int x)
{
	unsigned int r = n ? recurse(n - 1, x ^ n) : mix(x);

	asm volatile("" : "+r"(r) : : "memory");
	return r + n;
}

/* Inlined, so that it is never probed. */
static inline __attribute__((always_inline)) unsigned int unprobed_recurse(unsigned int n, unsigned int x)
{
	unsigned int sum = 0;

	for (; n; n--) {
		sum += n;
		x ^= n;
	}
	return x * 2654435761u + 12345 + sum;
}

static volatile bool stop;
static unsigned long wrong, rounds[8];

static void report(unsigned long bad)
{
	__atomic_add_fetch(&wrong, bad, __ATOMIC_RELAXED);
}

static void *call_functions(void *number)
{
	unsigned long bad = 0, n = 0;
	unsigned int x;

	while (!stop) {
		x = n * 7 + (long)number;
		bad += mix(x) != x * 2654435761u + 12345;
		bad += recurse(n % 8, x) != unprobed_recurse(n % 8, x);
		n++;
	}
	report(bad);
	rounds[(long)number] = n;
	return NULL;
}

static void *fork_children(void *number)
{
	unsigned long bad = 0, n = 0;
	int status;
	pid_t pid;

	while (!stop) {
		pid = fork();
		if (!pid)
			_exit(mix(n) == (unsigned int)n * 2654435761u + 12345 &&
			      recurse(5, n) == unprobed_recurse(5, n) ? 0 : 1);
		bad += waitpid(pid, &status, 0) != pid || status;
		n++;
	}
	report(bad);
	rounds[(long)number] = n;
	return NULL;
}

static void *run_programs(void *number)
{
	char *argv[] = { (char *)"again", (char *)"again", NULL };
	unsigned long bad = 0, n = 0;
	int status;
	pid_t pid;

	while (!stop) {
		bad += posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) != 0;
		bad += waitpid(pid, &status, 0) != pid || status;
		n++;
	}
	report(bad);
	rounds[(long)number] = n;
	return NULL;
}

static void *map_and_unmap(void *number)
{
	unsigned long bad = 0, n = 0;

	while (!stop) {
		char *code = map_code(FILE_PATH, NULL, 0, CODE_PAGES, PROT_READ | PROT_EXEC, MAP_PRIVATE);

		bad += call_code(code, ADDS_ONE, n) != (int)n + 1;
		bad += call_code(code, ADDS_THREE, n) != (int)n + 3;
		if (n & 1)
			code = mremap(code, CODE_PAGES * PAGE, CODE_PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
				      (char *)0x600000000000);
		bad += call_code(code, ADDS_TWO, n) != (int)n + 2;
		bad += call_code(code, ADDS_ONE, n) != (int)n + 1;
		munmap(code, CODE_PAGES * PAGE);
		n++;
	}
	report(bad);
	rounds[(long)number] = n;
	return NULL;
}

static const char *const events[] = { "mix", "mix_ret", "recurse", "recurse_ret", "one", "one_ret", "two", "three_ret" };

static void define_all(void)
{
	define_both("mix", (const void *)mix);
	define_both("recurse", (const void *)recurse);
	define_in_file('p', "one", FILE_PATH, ADDS_ONE, "");
	define_in_file('r', "one_ret", FILE_PATH, ADDS_ONE, "");
	define_in_file('p', "two", FILE_PATH, ADDS_TWO, "");
	define_in_file('r', "three_ret", FILE_PATH, ADDS_THREE, "");
}

static void switch_on_and_off(void)
{
	time_t end = time(NULL) + SECONDS;
	unsigned int n = 0, on = 0;

	while (time(NULL) < end) {
		/* all come, and go in another order */
		unsigned int i = (n * 5 + n / ARRAY_SIZE(events)) % ARRAY_SIZE(events);

		if (on & 1u << i)
			disable(events[i]);
		else
			enable(events[i]);
		on ^= 1u << i;
		n++;
	}
	check(n >= 2 * ARRAY_SIZE(events), "all_have_come_and_gone");
	note("%u times on or off", n);
}

static void call_all_once(void)
{
	char *code = map_code(FILE_PATH, NULL, 0, CODE_PAGES, PROT_READ | PROT_EXEC, MAP_PRIVATE);

	must(mix(3) == 3 * 2654435761u + 12345 && recurse(9, 9) == unprobed_recurse(9, 9));
	must(call_code(code, ADDS_ONE, 0) == 1 && call_code(code, ADDS_TWO, 0) == 2 && call_code(code, ADDS_THREE, 0) == 3);
	munmap(code, CODE_PAGES * PAGE);
}

/* Before, events went off inside of calls: those are unregistered. No more than there were; and now none. */
static void all_count_in_the_end(void)
{
	unsigned long entries[ARRAY_SIZE(events)], left[ARRAY_SIZE(events)];
	size_t i;

	disable_all();
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		entries[i] = count(events[i], "entries");
		left[i] = count(events[i], "unregistered");
		check(left[i] <= entries[i] + count(events[i], "inherited"), "%s_has_lost_no_more_than_came", events[i]);
	}
	enable_all();
	call_all_once();
	disable_all();
	for (i = 0; i < ARRAY_SIZE(events); i++)
		check(count(events[i], "entries") > entries[i] && count(events[i], "unregistered") == left[i],
		      "%s_counts_and_is_balanced_in_the_end", events[i]);
}

int main(int argc, char **argv UNUSED)
{
	static void *(*const bodies[])(void *) = { call_functions, call_functions, call_functions, call_functions,
						   fork_children, run_programs, map_and_unmap };
	pthread_t threads[ARRAY_SIZE(bodies)];
	unsigned long most = 0, least = ~0ul;
	size_t i;
	char *code;

	if (argc > 1)
		return mix(3) == 3 * 2654435761u + 12345 && recurse(9, 9) == unprobed_recurse(9, 9) ? 0 : 1;

	make_code_file(FILE_PATH);
	define_all();
	for (i = 0; i < ARRAY_SIZE(bodies); i++)
		must(!pthread_create(&threads[i], NULL, bodies[i], (void *)i));
	switch_on_and_off();
	stop = true;
	for (i = 0; i < ARRAY_SIZE(bodies); i++) {
		pthread_join(threads[i], NULL);
		most = rounds[i] > most ? rounds[i] : most;
		least = rounds[i] < least ? rounds[i] : least;
	}
	note("%lu to %lu rounds", least, most);
	equal(wrong, 0, "all_results_are_right");
	check(least > 0, "everybody_had_a_turn");
	all_count_in_the_end();
	check(is_untouched(getpid(), (const void *)mix), "text_of_the_program_is_untouched_in_the_end");
	code = map_code(FILE_PATH, NULL, 0, CODE_PAGES, PROT_READ | PROT_EXEC, MAP_PRIVATE);
	/* pages of a file in memory count as dirty */
	check(!text_differs(getpid(), code) && !smaps_kb(getpid(), code, "Anonymous"),
	      "text_of_the_file_is_untouched_in_the_end");
	remove_all();
	return finish();
}

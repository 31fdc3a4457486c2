// SPDX-License-Identifier: GPL-2.0
/*
 * Does every entry have its return, or a cause, in the long run?
 *
 * Threads call a function recursively, to random depths, and leave it by return, by longjmp() and by exceptions, over
 * any number of frames. Each knows how often it has entered and returned, and what it left otherwise. In the end the
 * counts are the same, to the last one. What is left otherwise shows as unwound when a frame above is entered or left,
 * or as exit if the thread ends before.
 *
 * Usage: soak [CALLS]; `make soak` runs it with ten million.
 *
 * Seen to fail with abandon_call() dropping calls without counting them.
 */
#include <pthread.h>
#include <setjmp.h>

#include "probes.h"

#define NR_THREADS	4
#define NR_CALLS	200000ul
#define MAX_MARKS	16

struct walker {
	uint64_t seed;
	unsigned long budget, entries, returns, jumps, throws;
	int deepest, nr_marks, nr_catches;
	jmp_buf marks[MAX_MARKS];
	pthread_t thread;
};

struct thrown {
	int to;
};

static unsigned int draw(struct walker *w)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return w->seed >> 33;
}

extern "C" int wander(struct walker *w, int level);

static __attribute__((noinline)) void call_behind_mark(struct walker *w, int level)
{
	const volatile int nr_marks = w->nr_marks, nr_catches = w->nr_catches;

	if (nr_marks < MAX_MARKS && !setjmp(w->marks[nr_marks])) {
		w->nr_marks = nr_marks + 1;
		wander(w, level + 1);
	}
	w->nr_marks = nr_marks;
	w->nr_catches = nr_catches;
}

static __attribute__((noinline)) void call_and_catch(struct walker *w, int level)
{
	const int nr_marks = w->nr_marks, nr_catches = w->nr_catches;
	bool passes = false;
	int to = 0;

	try {
		w->nr_catches = nr_catches + 1;
		wander(w, level + 1);
	} catch (const thrown &t) {
		to = t.to;
		passes = to != nr_catches;
	}
	w->nr_marks = nr_marks;
	w->nr_catches = nr_catches;
	if (passes)
		throw thrown{ to };
}

static void leave_by_jump(struct walker *w)
{
	if (!w->nr_marks || draw(w) % 4)
		return;
	w->jumps++;
	longjmp(w->marks[draw(w) % w->nr_marks], 1);
}

static void leave_by_exception(struct walker *w)
{
	if (!w->nr_catches || draw(w) % 16)
		return;
	w->throws++;
	throw thrown{ (int)(draw(w) % w->nr_catches) };
}

/* The nop is where the recursion returns to: nobody comes there otherwise. */
extern "C" PROBED int wander(struct walker *w, int level)
{
	bool stays = true;
	int r = 0;

	w->entries++;
	while (stays && w->entries < w->budget && level < w->deepest) {
		switch (draw(w) % 16) {
		case 0 ... 6:
			r += wander(w, level + 1);
			asm volatile("nop" : "+r"(r) : : "memory");
			break;
		case 7:
			call_behind_mark(w, level);
			break;
		case 8:
			call_and_catch(w, level);
			break;
		case 9:
			leave_by_jump(w);
			break;
		case 10:
			leave_by_exception(w);
			break;
		default:
			stays = false;
		}
	}
	w->returns++;
	return r + 1;
}

static void *walk(void *data)
{
	struct walker *w = (struct walker *)data;

	while (w->entries < w->budget) {
		w->deepest = draw(w) % 8 ? 40 : 1000;
		wander(w, 0);
		asm volatile("nop" : : : "memory");
	}
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long calls = argc > 1 ? strtoul(argv[1], NULL, 10) : NR_CALLS;
	unsigned long entries = 0, returns = 0, jumps = 0, throws = 0;
	static struct walker walkers[NR_THREADS];
	unsigned int i;

	define('r', "wander", (const void *)wander, "lat=$latency");
	enable("wander");
	for (i = 0; i < NR_THREADS; i++) {
		walkers[i].seed = 0x9e3779b97f4a7c15 * (i + 1);
		walkers[i].budget = calls / NR_THREADS;
		must(!pthread_create(&walkers[i].thread, NULL, walk, &walkers[i]));
	}
	for (i = 0; i < NR_THREADS; i++) {
		pthread_join(walkers[i].thread, NULL);
		entries += walkers[i].entries;
		returns += walkers[i].returns;
		jumps += walkers[i].jumps;
		throws += walkers[i].throws;
	}
	disable("wander");

	note("%lu calls, %lu returns, %lu jumps, %lu exceptions; %lu unwound, %lu at exit", entries, returns, jumps,
	     throws, count("wander", "unwound"), count("wander", "exit"));
	check(entries >= calls && jumps && throws, "everything_happened");
	equal(count("wander", "entries"), entries, "every_entry_is_counted");
	equal(count("wander", "returns"), returns, "every_return_is_counted");
	equal(count("wander", "unwound") + count("wander", "exit"), entries - returns, "what_was_left_has_its_cause");
	equal(count("wander", "missed"), entries - returns, "nothing_else_is_missed");
	check(is_balanced("wander"), "all_is_balanced");
	remove_all();
	return finish();
}

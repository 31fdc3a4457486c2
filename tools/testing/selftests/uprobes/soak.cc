// SPDX-License-Identifier: GPL-2.0
/*
 * Does every entry have its return, or a cause, in the long run?
 *
 * Threads call a function recursively, to random depths, and leave it by return, by longjmp() and by exceptions, over
 * any number of frames. Each knows how often it has entered and returned, and what it left otherwise. In the end the
 * counts are the same, to the last one. What is left otherwise shows as unwound when a frame above is entered or left,
 * or as exit if the thread ends before.
 *
 * And does a thread keep memory for as many calls as it had open at the same time, not as it made, and none when it has
 * ended? Early on all have had more calls open than they will have again. What the kernel has allocated for processes is
 * counted then, when they have made all their calls, and when they have ended.
 *
 * Usage: soak [CALLS]; `make soak` runs it with ten million.
 *
 * Seen to fail with abandon_call() dropping calls without counting them; with drop_call() leaving them to nobody; with a
 * pool that a thread takes with it when it ends.
 */
#include <pthread.h>
#include <setjmp.h>

#include "probes.h"

#define NR_THREADS	4
#define NR_CALLS	200000ul
#define MAX_MARKS	16
#define DEEPEST		1000
#define NR_SUNK		2000

/* What else a few processes may come to have meanwhile, in bytes: much less than the calls left by exceptions. */
#define NOISE		(64 * 1024)

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

static pthread_barrier_t halt, go_on;

/* Bytes allocated with kmalloc() and charged to processes. What has been freed is first made to leave the caches. */
static long charged(void)
{
	char line[512], name[64], path[128];
	FILE *file = fopen("/proc/slabinfo", "re");
	long objects, all, size, sum = 0;

	must(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63s", name) != 1 || strncmp(name, "kmalloc-cg-", 11))
			continue;
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", name);
		must(!write_file(path, 0, "1"));
	}
	must(!fseek(file, 0, SEEK_SET));
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "kmalloc-cg-%*s %ld %ld %ld", &objects, &all, &size) == 3)
			sum += objects * size;
	fclose(file);
	must(sum);
	return sum;
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

extern "C" PROBED int sink(int levels)
{
	int r = 1;

	if (levels > 1)
		r += sink(levels - 1);
	asm volatile("nop" : "+r"(r) : : "memory");
	return r;
}

static void wait_to_be_weighed(void)
{
	pthread_barrier_wait(&halt);
	pthread_barrier_wait(&go_on);
}

/* More than the threads had before. */
static long weigh(long before)
{
	long now;

	pthread_barrier_wait(&halt);
	now = charged();
	pthread_barrier_wait(&go_on);
	return now - before;
}

static void walk_until(struct walker *w, unsigned long entries)
{
	w->budget = entries;
	while (w->entries < w->budget) {
		w->deepest = draw(w) % 8 ? 40 : DEEPEST;
		wander(w, 0);
		asm volatile("nop" : : : "memory");
	}
}

static void *walk(void *data)
{
	struct walker *w = (struct walker *)data;
	const unsigned long budget = w->budget;

	/* until it has what a thread has but once */
	walk_until(w, budget / 20);
	must(sink(NR_SUNK) == NR_SUNK);
	wait_to_be_weighed();
	walk_until(w, budget);
	wait_to_be_weighed();
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long calls = argc > 1 ? strtoul(argv[1], NULL, 10) : NR_CALLS;
	unsigned long entries = 0, returns = 0, jumps = 0, throws = 0;
	static struct walker walkers[NR_THREADS];
	long before, sunk, walked, ended;
	unsigned int i;

	must(!pthread_barrier_init(&halt, NULL, NR_THREADS + 1));
	must(!pthread_barrier_init(&go_on, NULL, NR_THREADS + 1));
	define('r', "wander", (const void *)wander, "lat=$latency");
	define('r', "sink", (const void *)sink, "");
	enable_all();
	before = charged();
	for (i = 0; i < NR_THREADS; i++) {
		walkers[i].seed = 0x9e3779b97f4a7c15 * (i + 1);
		walkers[i].budget = calls / NR_THREADS;
		must(!pthread_create(&walkers[i].thread, NULL, walk, &walkers[i]));
	}
	sunk = weigh(before);
	walked = weigh(before);
	for (i = 0; i < NR_THREADS; i++) {
		pthread_join(walkers[i].thread, NULL);
		entries += walkers[i].entries;
		returns += walkers[i].returns;
		jumps += walkers[i].jumps;
		throws += walkers[i].throws;
	}
	ended = charged() - before;
	disable_all();

	note("%lu calls, %lu returns, %lu jumps, %lu exceptions; %lu unwound, %lu at exit", entries, returns, jumps,
	     throws, count("wander", "unwound"), count("wander", "exit"));
	check(entries >= calls && jumps && throws, "everything_happened");
	equal(count("wander", "entries"), entries, "every_entry_is_counted");
	equal(count("wander", "returns"), returns, "every_return_is_counted");
	equal(count("wander", "unwound") + count("wander", "exit"), entries - returns, "what_was_left_has_its_cause");
	equal(count("wander", "missed"), entries - returns, "nothing_else_is_missed");
	check(is_balanced("wander"), "all_is_balanced");
	equal(count("sink", "returns"), NR_THREADS * NR_SUNK, "every_return_from_the_deep_is_counted");
	note("%ld bytes after %d calls inside each other in each thread, %ld after all calls, %ld when the threads have ended",
	     sunk, NR_SUNK, walked, ended);
	check(sunk >= NR_THREADS * NR_SUNK * 64, "calls_take_memory");
	check(walked <= sunk + NOISE, "no_more_than_for_those_open_at_a_time");
	check(ended <= NOISE, "it_is_given_back");
	remove_all();
	return finish();
}

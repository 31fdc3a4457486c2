// SPDX-License-Identifier: GPL-2.0
/*
 * Does each hit count once for the events of the processors, while the thread changes the processor?
 *
 * An event of the uprobe PMU for one processor wants what happens there. There is one for each, and several such sets,
 * more than are told in the trap: so each entry is delivered in task context, where the thread may be moved while one
 * after the other is told. Each set together has seen whatever was executed, or knows that it is lost.
 *
 * Seen to fail when the thread may be moved meanwhile.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>

#include "probes.h"

#ifndef PERF_FORMAT_LOST
#define PERF_FORMAT_LOST	(1U << 4)
#endif

#define NR_CPUS		4
#define NR_SETS		12
#define NR_CALLS	20000

static jmp_buf target;

static PROBED int enters(int n)
{
	return n * 2 + 1;
}

static PROBED int returns(int n)
{
	return n * 2 + 2;
}

static PROBED int leaves(int n)
{
	if (n >= 0)
		longjmp(target, 1);
	return n;
}

/* ---- events ------------------------------------------------------------- */

struct answer {
	uint64_t count, lost;
};

struct sets {
	const char *name;
	const void *address;
	bool of_returns;
	int fds[NR_SETS][NR_CPUS];
};

static int open_event(const struct sets *sets, int cpu)
{
	char *type = read_file("/sys/bus/event_source/devices/uprobe/type", NULL);
	struct place place = place_of(sets->address);
	struct perf_event_attr attr = {
		.type = atoi(type), .size = sizeof(attr), .config = sets->of_returns,
		.config1 = (unsigned long)place.path, .config2 = place.offset, .read_format = PERF_FORMAT_LOST,
	};
	int fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	free(type);
	must(fd >= 0);
	return fd;
}

static void open_sets(struct sets *sets)
{
	int set, cpu;

	for (set = 0; set < NR_SETS; set++)
		for (cpu = 0; cpu < NR_CPUS; cpu++)
			sets->fds[set][cpu] = open_event(sets, cpu);
}

/* Of each set; the first that is wrong is told. */
static void each_has(const struct sets *sets, uint64_t count, uint64_t lost)
{
	int set, cpu, wrong = 0;

	for (set = 0; set < NR_SETS; set++) {
		struct answer sum = {}, answer;

		for (cpu = 0; cpu < NR_CPUS; cpu++) {
			must(read(sets->fds[set][cpu], &answer, sizeof(answer)) == sizeof(answer));
			sum.count += answer.count;
			sum.lost += answer.lost;
			close(sets->fds[set][cpu]);
		}
		if ((sum.count != count || sum.lost != lost) && !wrong++)
			note("%s: %lu counted, %lu lost, not %lu and %lu", sets->name, sum.count, sum.lost, count, lost);
	}
	equal(wrong, 0, "%s_are_counted_once", sets->name);
}

/* ---- threads ------------------------------------------------------------ */

static struct {
	volatile bool done;
	unsigned int seen;		/* processors */
} calls;

static void *call_all(void *unused)
{
	volatile int i;

	(void)unused;
	for (i = 0; i < NR_CALLS; i++) {
		must(enters(i) == i * 2 + 1);
		must(returns(i) == i * 2 + 2);
		if (!setjmp(target))
			leaves(i);
		calls.seen |= 1U << sched_getcpu();
	}
	/* what was left is found to be by the next call that returns */
	leaves(-1);
	calls.done = true;
	return NULL;
}

int main(void)
{
	struct sets all[] = {
		{ "entries", (const void *)enters, false, {} },
		{ "returns", (const void *)returns, true, {} },
		{ "lost_returns", (const void *)leaves, true, {} },
	};
	unsigned int i, moves = 0;
	pthread_t thread;

	must(sysconf(_SC_NPROCESSORS_ONLN) == NR_CPUS);
	for (i = 0; i < ARRAY_SIZE(all); i++)
		open_sets(&all[i]);
	must(!pthread_create(&thread, NULL, call_all, NULL));
	while (!calls.done) {
		cpu_set_t cpus;

		CPU_ZERO(&cpus);
		CPU_SET(moves++ % NR_CPUS, &cpus);
		must(!pthread_setaffinity_np(thread, sizeof(cpus), &cpus) || calls.done);
	}
	pthread_join(thread, NULL);
	note("%u moves", moves);
	equal(calls.seen, (1U << NR_CPUS) - 1, "all_processors_were_in_turn");
	each_has(&all[0], NR_CALLS, 0);
	each_has(&all[1], NR_CALLS, 0);
	each_has(&all[2], 1, NR_CALLS);
	return finish();
}

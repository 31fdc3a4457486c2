// SPDX-License-Identifier: GPL-2.0
/*
 * Does a perf event that threads and children inherit count all of their hits?
 *
 * perf exchanges the events of threads that take turns on a processor if they have inherited the same ones: the event
 * that was opened may come to its end with any of them, and the probe must stay for the others, and for those that
 * come later.
 *
 * Seen to fail: when the address space that an event is for was that of the task it was opened for, threads that
 * began after the first ones had ended weren't counted. On stock: an unprivileged process that inherits can't fork.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "probes.h"

#define NR_THREADS	8
#define NR_CALLS	300
#define NR_ROUNDS	5

static PROBED long target(long x)
{
	return x + 5;
}

static unsigned long executed;

static void *call_target(void *unused UNUSED)
{
	int i;

	for (i = 0; i < NR_CALLS; i++) {
		target(i);
		__atomic_add_fetch(&executed, 1, __ATOMIC_RELAXED);
		/* so that they take turns */
		if (i % 30 == 0)
			usleep(100);
	}
	return NULL;
}

static void child_calls(void)
{
	call_target(NULL);
}

/* Who may attach nothing can still have children. */
static void become_nobody_and_fork(void)
{
	must(!setresuid(65534, 65534, 65534));
	must(!in_child(child_calls));
}

static void start_threads(void)
{
	pthread_t threads[NR_THREADS];
	int i;

	for (i = 0; i < NR_THREADS; i++)
		must(!pthread_create(&threads[i], NULL, call_target, NULL));
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
}

static int open_inherited(void)
{
	char *type = read_file("/sys/bus/event_source/devices/uprobe/type", NULL);
	struct place place = place_of((const void *)target);
	struct perf_event_attr attr = {
		.type = atoi(type), .size = sizeof(attr), .inherit = 1,
		.config1 = (unsigned long)place.path, .config2 = place.offset,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	free(type);
	must(fd >= 0);
	return fd;
}

static unsigned long read_count(int fd)
{
	uint64_t n;

	must(read(fd, &n, sizeof(n)) == sizeof(n));
	return n;
}

int main(void)
{
	int fd = open_inherited(), round;

	for (round = 0; round < NR_ROUNDS; round++) {
		start_threads();
		equal(read_count(fd), executed, "threads_of_round_%d_are_counted", round + 1);
	}
	for (round = 0; round < NR_ROUNDS; round++) {
		must(!in_child(child_calls));
		executed += NR_CALLS;
	}
	equal(read_count(fd), executed, "children_are_counted");
	check(!in_child(become_nobody_and_fork), "unprivileged_processes_fork");
	executed += NR_CALLS;
	equal(read_count(fd), executed, "their_children_are_counted");
	call_target(NULL);
	equal(read_count(fd), executed, "the_first_thread_is_counted_in_the_end");
	close(fd);
	check(is_untouched(getpid(), (const void *)target), "nothing_is_left");
	return finish();
}

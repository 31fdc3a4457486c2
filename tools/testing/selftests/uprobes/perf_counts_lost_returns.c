// SPDX-License-Identifier: GPL-2.0
/*
 * Does a perf event of returns say how many it has lost?
 *
 * Calls that were opened and will never be seen to return, or that couldn't be opened, are to the event what records are
 * that found no room: PERF_FORMAT_LOST, which perf record reads at the end.
 *
 * Seen to fail when nothing was lost ever.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <pthread.h>
#include <setjmp.h>

#include "probes.h"

#ifndef PERF_FORMAT_LOST
#define PERF_FORMAT_LOST	(1U << 4)
#endif

#define DEPTH_LIMIT	"/proc/sys/kernel/uprobe_max_depth"
#define NR_JUMPS	7

static __thread jmp_buf target;

static PROBED int leaves(int n)
{
	if (n < 0)
		longjmp(target, 1);
	n = n ? leaves(n - 1) + 1 : 0;
	asm volatile("" : "+r" (n));
	return n;
}

struct answer {
	uint64_t count, lost;
};

static int open_event(bool inherit, uint64_t period)
{
	char *type = read_file("/sys/bus/event_source/devices/uprobe/type", NULL);
	struct place place = place_of((const void *)leaves);
	struct perf_event_attr attr = {
		.type = atoi(type), .size = sizeof(attr), .config = 1, .inherit = inherit, .sample_period = period,
		.config1 = (unsigned long)place.path, .config2 = place.offset, .read_format = PERF_FORMAT_LOST,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	free(type);
	must(fd >= 0);
	return fd;
}

static void *leave_often(void *unused)
{
	volatile int i;

	for (i = 0; i < NR_JUMPS; i++)
		if (!setjmp(target))
			leaves(-1);
	/* shows that the last one is gone */
	leaves(0);
	return unused;
}

static void counted(int fd, uint64_t count, uint64_t lost, const char *name)
{
	struct answer answer;

	must(read(fd, &answer, sizeof(answer)) == sizeof(answer));
	equal(answer.count, count, "%s_are_counted", name);
	equal(answer.lost, lost, "%s_loses", name);
}

static void jumps_lose_returns(void)
{
	int counting = open_event(false, 0), sampling = open_event(false, 1);

	leave_often(NULL);
	counted(counting, 1, NR_JUMPS, "returns_of_a_counting_event");
	counted(sampling, 1, NR_JUMPS, "returns_of_a_sampling_event");
	close(counting);
	close(sampling);
}

static void threads_lose_for_those_they_inherit_from(void)
{
	int fd = open_event(true, 0);
	pthread_t thread;

	must(!pthread_create(&thread, NULL, leave_often, NULL));
	pthread_join(thread, NULL);
	leave_often(NULL);
	counted(fd, 2, 2 * NR_JUMPS, "returns_of_an_inherited_event");
	close(fd);
}

static void what_cannot_be_opened_is_lost(void)
{
	char *limit = read_file(DEPTH_LIMIT, NULL);
	int fd = open_event(false, 0);

	must(limit && !write_file(DEPTH_LIMIT, 0, "5"));
	must(leaves(9) == 9);
	must(!write_file(DEPTH_LIMIT, 0, limit));
	counted(fd, 5, 5, "returns_of_an_event_with_a_limit");
	free(limit);
	close(fd);
}

int main(void)
{
	jumps_lose_returns();
	threads_lose_for_those_they_inherit_from();
	what_cannot_be_opened_is_lost();
	return finish();
}

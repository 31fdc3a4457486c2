// SPDX-License-Identifier: GPL-2.0
/*
 * Does an event that perf opened for one thread leave the other threads of the process alone?
 *
 * They share the text, and so execute the breakpoint. But nobody is told of them: neither perf, nor
 * uprobe_profile and uprobe_missed, no call of theirs is kept open, and where they return no breakpoint is made.
 *
 * Seen to fail while hits were asked about the process instead of the thread: all calls of the other one were entries.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "probes.h"

static PROBED int target(int x)
{
	return x * 2 + 1;
}

static void call_target(int times)
{
	while (times--)
		must(target(times) == times * 2 + 1);
}

static int open_for(const char *event, int tid, int sampled)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = event_id(event),
	};
	int fd;

	if (sampled) {
		attr.sample_period = 1;
		attr.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_RAW;
	}
	fd = syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	must(fd >= 0);
	return fd;
}

static unsigned long long hits(int fd)
{
	unsigned long long n = 0;

	must(read(fd, &n, sizeof(n)) == sizeof(n));
	return n;
}

/* ---- a thread that isn't wanted ----------------------------------------- */

#define UNWANTED	1000

static volatile bool stop;

static void *call_often(void *until_stopped)
{
	do {
		call_target(UNWANTED);
	} while (*(bool *)until_stopped && !stop);
	return NULL;
}

static pthread_t start_thread(bool until_stopped)
{
	static bool argument;
	pthread_t thread;

	stop = false;
	argument = until_stopped;
	must(!pthread_create(&thread, NULL, call_often, &argument));
	return thread;
}

/* In turns: only the own calls count. */
static void one_after_the_other(const char *event, bool sampled)
{
	unsigned long before = count(event, "entries");
	int fd = open_for(event, 0, sampled);

	call_target(3);
	pthread_join(start_thread(false), NULL);
	call_target(4);
	equal(hits(fd), 7, "%s_counts_its_thread%s", event, sampled ? "_sampled" : "");
	equal(count(event, "entries") - before, 7, "%s_knows_nothing_of_others%s", event, sampled ? "_sampled" : "");
	/* of entries there is nothing to be balanced */
	if (strcmp(event, "entry"))
		check(is_balanced(event), "%s_is_balanced%s", event, sampled ? "_sampled" : "");
	close(fd);
}

static void at_the_same_time(const char *event)
{
	unsigned long before = count(event, "entries");
	pthread_t thread = start_thread(true);
	int fd = open_for(event, 0, false);

	call_target(5000);
	equal(hits(fd), 5000, "%s_counts_its_thread_among_others", event);
	stop = true;
	pthread_join(thread, NULL);
	equal(count(event, "entries") - before, 5000, "%s_knows_nothing_of_others_at_the_same_time", event);
	if (strcmp(event, "entry"))
		check(is_balanced(event), "%s_is_balanced_in_the_end", event);
	close(fd);
}

/* Each thread has its own. */
static void each_its_own(const char *event)
{
	int mine = open_for(event, 0, false), fd;
	pthread_t thread;

	call_target(2);
	fd = open_for(event, 0, false);
	thread = start_thread(false);
	pthread_join(thread, NULL);
	call_target(3);
	check(hits(mine) == 5 && hits(fd) == 3, "%s_counts_for_two_of_one_thread", event);
	close(mine);
	call_target(1);
	equal(hits(fd), 4, "%s_counts_when_one_of_two_has_gone", event);
	close(fd);
}

static void *call_elsewhere(void *unused)
{
	must(target(1) == 3);
	return unused;
}

static void places_where_others_return(const char *event)
{
	int fd = open_for(event, 0, false);
	pthread_t thread;
	long breakpoints;

	call_target(1);
	breakpoints = text_differs(getpid(), (void *)target);
	check(breakpoints >= 2, "%s_has_breakpoints_of_its_own", event);
	must(!pthread_create(&thread, NULL, call_elsewhere, NULL) && !pthread_join(thread, NULL));
	equal(hits(fd), 1, "%s_counts_one_call", event);
	equal(text_differs(getpid(), (void *)target), breakpoints, "%s_makes_no_breakpoint_for_others", event);
	close(fd);
}

int main(void)
{
	define('p', "entry", target, "x=%di:s32");
	define('r', "return", target, "x=$retval:s32");
	one_after_the_other("entry", false);
	one_after_the_other("entry", true);
	one_after_the_other("return", false);
	one_after_the_other("return", true);
	at_the_same_time("entry");
	at_the_same_time("return");
	each_its_own("entry");
	each_its_own("return");
	places_where_others_return("return");
	remove_all();
	return finish();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * May many probes in many processes come and go together, without a wait for each?
 *
 * 200 functions of this program, 10 children that execute it. The probes come as events of tracefs by one write, as
 * one BPF link, and as perf events of the PMU for every process, while the children call all functions. The events of
 * tracefs count each call between; afterwards nobody has a page of its own. Nothing may wait for each probe: who
 * attaches or detaches them all sleeps less than half as often as there are probes, whatever time that takes.
 *
 * Stock: 802 sleeps where events are switched off, with those for the histograms by which probes.h counts there, and 800
 * where perf's are closed. Seen to fail with uprobe_unregister_sync() in remove_probes(), and with a
 * trace_uprobe_settle() that settles only its own probe.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "bpf_link.h"
#include "probes.h"

#define NR_PLACES	200
#define NR_CHILDREN	10
#define TEXT_OF(x)	#x
#define VALUE_OF(x)	TEXT_OF(x)

/* The n-th adds n, and is called so that its return can be probed, too. */
extern char places[];
__asm__(".pushsection .text\n.balign 4096\nplaces:\n.set n, 0\n"
	".rept " VALUE_OF(NR_PLACES) "\n"
	"lea n(%rdi),%rax\nret\n.balign 64\n.set n, n + 1\n"
	".endr\n.balign 4096\n.popsection\n");

#define PLACE_SIZE	64

typedef long (*place_fn)(long x);

static bool call_all(long x)
{
	bool right = true;
	long n;

	for (n = 0; n < NR_PLACES; n++)
		right = ((place_fn)(uintptr_t)(places + n * PLACE_SIZE))(x) == x + n && right;
	return right;
}

/* ---- children ----------------------------------------------------------- */

static struct child {
	int pid;
	int orders, answers;
} children[NR_CHILDREN];

/* An order: how often to call all; 0: until the next order. */
static void work(int orders, int answers)
{
	bool right = true;
	int times;

	while (read(orders, &times, sizeof(times)) == sizeof(times)) {
		if (!times) {
			must(!fcntl(orders, F_SETFL, O_NONBLOCK));
			while (read(orders, &times, sizeof(times)) != sizeof(times)) {
				right = call_all(3) && right;
				usleep(2000);
			}
			must(!fcntl(orders, F_SETFL, 0));
		}
		while (times--)
			right = call_all(times) && right;
		must(write(answers, &right, sizeof(right)) == sizeof(right));
	}
	_exit(0);
}

static void start_child(struct child *child)
{
	int orders[2], answers[2];

	must(!pipe2(orders, O_CLOEXEC) && !pipe2(answers, O_CLOEXEC));
	fflush(stdout);
	child->pid = fork();
	must(child->pid >= 0);
	if (!child->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(orders[1]);
		close(answers[0]);
		work(orders[0], answers[1]);
	}
	close(orders[0]);
	close(answers[1]);
	child->orders = orders[1];
	child->answers = answers[0];
}

static void order(int times)
{
	int i;

	for (i = 0; i < NR_CHILDREN; i++)
		must(write(children[i].orders, &times, sizeof(times)) == sizeof(times));
}

static bool all_are_right(void)
{
	bool right, all = true;
	int i;

	for (i = 0; i < NR_CHILDREN; i++) {
		must(read(children[i].answers, &right, sizeof(right)) == sizeof(right));
		all = all && right;
	}
	return all;
}

static bool all_are_untouched(void)
{
	bool all = is_untouched(getpid(), places);
	int i;

	for (i = 0; i < NR_CHILDREN; i++)
		all = is_untouched(children[i].pid, places) && all;
	return all;
}

/* ---- crowds ------------------------------------------------------------- */

static struct place first;
static uint64_t offsets[NR_PLACES];
static int fds[NR_PLACES];

static void switch_on(void)
{
	enable_all();
}

static void switch_off(void)
{
	disable_all();
}

static void link_all(void)
{
	int program = load_empty_program();

	must(program >= 0);
	fds[0] = link_places(program, first.path, offsets, NR_PLACES, 0);
	must(fds[0] >= 0);
	close(program);
}

static void unlink_all(void)
{
	close(fds[0]);
}

static unsigned int pmu_type(void)
{
	char *text = read_file("/sys/bus/event_source/devices/uprobe/type", NULL);
	unsigned int type;

	must(text);
	type = atoi(text);
	free(text);
	return type;
}

static void open_all(void)
{
	struct perf_event_attr attr = {
		.type = pmu_type(),
		.size = sizeof(attr),
		.uprobe_path = (unsigned long)first.path,
	};
	int n;

	for (n = 0; n < NR_PLACES; n++) {
		attr.probe_offset = offsets[n];
		fds[n] = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
		must(fds[n] >= 0);
	}
}

static void close_all(void)
{
	int n;

	for (n = 0; n < NR_PLACES; n++)
		close(fds[n]);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* How often this thread has slept. */
static long sleeps(void)
{
	struct rusage usage;

	must(!getrusage(RUSAGE_THREAD, &usage));
	return usage.ru_nvcsw;
}

static void no_wait_for_each(const char *how, const char *what, void (*act)(void))
{
	double took = now();
	long slept = sleeps();

	act();
	slept = sleeps() - slept;
	note("%s_%s: %ld sleeps, %.2f s", how, what, slept, now() - took);
	check(slept < NR_PLACES / 2, "%s_%s_without_a_wait_for_each", how, what);
}

static void come_and_go(const char *how, void (*attach)(void), void (*detach)(void))
{
	no_wait_for_each(how, "comes", attach);
	check(text_differs(children[0].pid, places) == NR_PLACES &&
	      text_differs(children[NR_CHILDREN - 1].pid, places) == NR_PLACES, "%s_is_everywhere", how);
	order(2);
	check(all_are_right(), "%s_changes_no_result", how);
	no_wait_for_each(how, "goes", detach);
	check(all_are_untouched(), "%s_leaves_nothing_behind", how);
}

static void come_and_go_meanwhile(const char *how, void (*attach)(void), void (*detach)(void))
{
	int i;

	order(0);
	for (i = 0; i < 2; i++) {
		attach();
		detach();
	}
	order(1);
	check(all_are_right(), "%s_may_come_and_go_at_any_time", how);
	check(all_are_untouched(), "%s_leaves_nothing_behind_at_any_time", how);
}

static void define_all(void)
{
	int n;

	for (n = 0; n < NR_PLACES; n++) {
		char name[16];

		sprintf(name, "e%d", n);
		define_in_file(n & 1 ? 'r' : 'p', name, first.path, offsets[n], "");
	}
}

/* Of all: the files have no other way. */
static void read_counts(void)
{
	count("e1", "returns");
}

static void counts_are_right(void)
{
	unsigned long entries = 0;
	bool balanced = true;
	int n;

	for (n = 0; n < NR_PLACES; n += NR_PLACES / 8) {
		char name[16];

		sprintf(name, "e%d", n);
		entries += count(name, "entries");
		/* of entries there is nothing to be balanced */
		if (n & 1)
			balanced = count(name, "returns") == count(name, "entries") && balanced;
	}
	equal(entries, 8 * 2 * NR_CHILDREN, "each_call_is_counted_in_each_process");
	check(balanced, "each_call_returns_in_each_process");
}

/* Before, events went off inside of calls: those are unregistered. Now none. */
static void ends_balanced(void)
{
	unsigned long returns = count("e77", "returns"), left = count("e77", "unregistered");

	switch_on();
	order(1);
	check(all_are_right(), "nothing_changes_a_result_in_the_end");
	switch_off();
	equal(count("e77", "returns") - returns, NR_CHILDREN, "each_call_returns_in_the_end");
	equal(count("e77", "unregistered") - left, 0, "none_is_left_in_the_end");
}

int main(void)
{
	const struct rlimit files = { 4096, 4096 };
	int n;

	must(!setrlimit(RLIMIT_NOFILE, &files));
	first = place_of(places);
	for (n = 0; n < NR_PLACES; n++)
		offsets[n] = first.offset + n * PLACE_SIZE;
	for (n = 0; n < NR_CHILDREN; n++)
		start_child(&children[n]);
	define_all();

	come_and_go("events_of_tracefs", switch_on, switch_off);
	no_wait_for_each("events_of_tracefs", "are_counted", read_counts);
	counts_are_right();
	come_and_go("link", link_all, unlink_all);
	come_and_go("events_of_perf", open_all, close_all);

	come_and_go_meanwhile("events_of_tracefs", switch_on, switch_off);
	come_and_go_meanwhile("link", link_all, unlink_all);
	come_and_go_meanwhile("events_of_perf", open_all, close_all);
	ends_balanced();
	switch_on();
	switch_off();
	no_wait_for_each("list", "is_emptied", remove_all);
	return finish();
}

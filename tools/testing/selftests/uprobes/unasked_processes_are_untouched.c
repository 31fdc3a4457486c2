// SPDX-License-Identifier: GPL-2.0
/*
 * Is a process that nobody asked about left alone: no copied page, no trap?
 *
 * Several processes execute the same file. An event that is opened through
 * perf for one of them belongs to that one, and its children only if perf
 * inherits it; a system-wide event belongs to all, children included. Who was
 * never wanted, or isn't any more, has the file's text and no page of its own.
 *
 * Stock passes, but for the program with privileges, which keeps the probe of whoever has
 * executed it (hazard H2 of uprobes-security.rst). With system-wide events in place of those of one process (cpu 0,
 * pid -1 in open_event()) 14 subtests were seen to fail.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "probes.h"

static PROBED int target(int x)
{
	return x * 2 + 1;
}

/* ---- processes that call target() on demand ----------------------------- */

struct worker {
	int pid;
	int orders, answers;
};

#define PRIVILEGED	"/tmp/unasked_and_privileged"
#define USER		1000

/* An order: how often to call; -1: fork and pass orders to the child; -2, -4: exec; -3: be a user. */
static void work(int orders, int answers)
{
	int n, i, answer;

	while (read(orders, &n, sizeof(n)) == sizeof(n)) {
		answer = 0;
		if (n == -1) {
			answer = fork();
			if (!answer) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				continue;
			}
			if (write(answers, &answer, sizeof(answer)) < 0)
				_exit(1);
			/* the child reads the orders from now on */
			waitpid(answer, NULL, 0);
			answer = 0;
		} else if (n == -2 || n == -4) {
			char a[16], b[16];

			sprintf(a, "%d", orders);
			sprintf(b, "%d", answers);
			execl(n == -2 ? "/proc/self/exe" : PRIVILEGED, "worker", a, b, NULL);
			_exit(1);
		} else if (n == -3) {
			answer = setresgid(USER, USER, USER) || setresuid(USER, USER, USER);
		}
		for (i = 0; i < n; i++)
			answer += target(i);
		if (write(answers, &answer, sizeof(answer)) < 0)
			_exit(1);
	}
	_exit(0);
}

static struct worker start_worker(void)
{
	int orders[2], answers[2];
	struct worker w;

	must(!pipe(orders) && !pipe(answers));
	fflush(stdout);
	w.pid = fork();
	must(w.pid >= 0);
	if (!w.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* a copy of the owner's descriptors would keep its events open */
		must(dup2(orders[0], 100) == 100 && dup2(answers[1], 101) == 101);
		close_range(3, 99, 0);
		work(100, 101);
	}
	close(orders[0]);
	close(answers[1]);
	w.orders = orders[1];
	w.answers = answers[0];
	return w;
}

static int give_order(const struct worker *w, int n)
{
	int answer = -1;

	must(write(w->orders, &n, sizeof(n)) == sizeof(n));
	if (read(w->answers, &answer, sizeof(answer)) != sizeof(answer))
		return -1;
	return answer;
}

static bool calls(const struct worker *w, int n)
{
	return give_order(w, n) == n * n;
}

static void end_worker(struct worker *w)
{
	close(w->orders);
	close(w->answers);
	waitpid(w->pid, NULL, 0);
}

/* ---- perf --------------------------------------------------------------- */

static unsigned long number_in(const char *path)
{
	char *text = read_file(path, NULL);
	unsigned long n;

	must(text);
	n = strtoul(text, NULL, 0);
	free(text);
	return n;
}

static int open_event(struct perf_event_attr *attr, int pid)
{
	int fd;

	attr->size = sizeof(*attr);
	fd = syscall(SYS_perf_event_open, attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		note("perf_event_open: %s", strerror(errno));
	must(fd >= 0);
	return fd;
}

static int open_by_number(const char *event, int pid, bool inherit)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .inherit = inherit };
	char path[256];

	snprintf(path, sizeof(path), TRACING "events/t/%s/id", event);
	attr.config = number_in(path);
	return open_event(&attr, pid);
}

static int open_in_file(const char *path, unsigned long offset, int pid)
{
	struct perf_event_attr attr = {};

	attr.type = number_in("/sys/bus/event_source/devices/uprobe/type");
	attr.uprobe_path = (unsigned long)path;
	attr.probe_offset = offset;
	return open_event(&attr, pid);
}

static int open_by_place(int pid)
{
	struct place place = place_of(target);

	return open_in_file(place.path, place.offset, pid);
}

static unsigned long long hits(int fd)
{
	unsigned long long n = 0;

	must(read(fd, &n, sizeof(n)) == sizeof(n));
	return n;
}

/* ---- tests -------------------------------------------------------------- */

static void only_the_target_is_touched(const char *how, bool by_place)
{
	struct worker wanted = start_worker(), other = start_worker(), late;
	int fd;

	fd = by_place ? open_by_place(wanted.pid) : open_by_number("target", wanted.pid, false);
	late = start_worker();
	check(calls(&wanted, 10) && calls(&other, 20) && calls(&late, 30), "%s_leaves_results_alone", how);
	equal(hits(fd), 10, "%s_counts_its_target", how);
	check(text_differs(wanted.pid, target) == 1, "%s_puts_a_breakpoint_into_its_target", how);
	check(is_untouched(other.pid, target), "%s_leaves_other_processes_untouched", how);
	check(is_untouched(late.pid, target), "%s_leaves_later_processes_untouched", how);
	check(is_untouched(getpid(), target), "%s_leaves_the_owner_untouched", how);
	close(fd);
	check(is_untouched(wanted.pid, target), "%s_is_gone_from_its_target_when_closed", how);
	check(calls(&wanted, 10), "%s_is_no_more", how);
	end_worker(&wanted);
	end_worker(&other);
	end_worker(&late);
}

static void children_are_wanted_if_inherited(bool inherit)
{
	const char *how = inherit ? "inherited" : "not_inherited";
	struct worker wanted = start_worker();
	int fd, child;

	fd = open_by_number("target", wanted.pid, inherit);
	must(calls(&wanted, 10));
	child = give_order(&wanted, -1);
	check(calls(&wanted, 20), "child_of_a_probed_process_computes_the_same_%s", how);
	equal(hits(fd), inherit ? 30 : 10, "child_of_a_probed_process_is_counted_if_%s", how);
	if (inherit)
		equal(text_differs(child, target), 1, "child_of_a_probed_process_has_the_breakpoint_%s", how);
	else
		check(is_untouched(child, target), "child_of_a_probed_process_is_untouched_%s", how);
	kill(child, SIGKILL);
	close(fd);
	end_worker(&wanted);
}

static void target_stays_wanted_after_exec(void)
{
	struct worker wanted = start_worker();
	int fd = open_by_number("target", wanted.pid, false);

	must(calls(&wanted, 10));
	/* the new program answers the order when it has started */
	must(give_order(&wanted, -2) == 0);
	check(calls(&wanted, 5), "program_that_execs_itself_computes_the_same");
	equal(hits(fd), 15, "program_that_execs_itself_stays_probed");
	close(fd);
	end_worker(&wanted);
}

static void make_privileged(void)
{
	size_t len;
	char *text = read_file("/proc/self/exe", &len);
	int fd = open(PRIVILEGED, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	must(text && fd >= 0 && write(fd, text, len) == (ssize_t)len);
	must(!fchmod(fd, 04755) && !fsync(fd));
	close(fd);
	free(text);
}

/* perf gives up a task that executes such a program, whoever has opened the event. */
static void privileges_end_it(void)
{
	struct worker wanted = start_worker();
	int fd;

	make_privileged();
	must(!give_order(&wanted, -3));
	fd = open_in_file(PRIVILEGED, place_of(target).offset, wanted.pid);
	must(!give_order(&wanted, -4));
	check(calls(&wanted, 5), "program_with_privileges_computes_the_same");
	check(file_is_clean(wanted.pid, PRIVILEGED, place_of(target).offset), "program_with_privileges_is_untouched");
	equal(hits(fd), 0, "program_with_privileges_is_not_counted");
	close(fd);
	end_worker(&wanted);
	unlink(PRIVILEGED);
}

static void everyone_is_wanted_system_wide(void)
{
	struct worker before = start_worker(), after;
	unsigned long entries = count("target", "entries");
	int child;

	enable("target");
	after = start_worker();
	check(calls(&before, 10) && calls(&after, 20), "system_wide_event_leaves_results_alone");
	child = give_order(&before, -1);
	check(calls(&before, 30), "system_wide_event_leaves_a_childs_results_alone");
	equal(count("target", "entries") - entries, 60, "system_wide_event_counts_everyone");
	disable("target");
	check(is_untouched(before.pid, target) && is_untouched(after.pid, target) && is_untouched(child, target) &&
	      is_untouched(getpid(), target), "system_wide_event_leaves_nothing_behind");
	kill(child, SIGKILL);
	end_worker(&before);
	end_worker(&after);
}

/* Each asks for its own; the union is installed. */
static void two_owners_two_targets(void)
{
	struct worker a = start_worker(), b = start_worker(), c = start_worker();
	int of_a = open_by_number("target", a.pid, false), of_b = open_by_number("target", b.pid, false);

	must(calls(&a, 3) && calls(&b, 5) && calls(&c, 7));
	check(hits(of_a) == 3 && hits(of_b) == 5, "two_owners_count_their_targets");
	check(is_untouched(c.pid, target), "two_owners_leave_the_third_process_untouched");
	close(of_a);
	check(is_untouched(a.pid, target), "two_owners_leave_one_by_one");
	must(calls(&a, 3) && calls(&b, 5));
	equal(hits(of_b), 10, "two_owners_do_not_take_each_others_probes");
	close(of_b);
	end_worker(&a);
	end_worker(&b);
	end_worker(&c);
}

int main(int argc, char **argv)
{
	int zero = 0;

	if (argc == 3) {
		must(write(atoi(argv[2]), &zero, sizeof(zero)) == sizeof(zero));
		work(atoi(argv[1]), atoi(argv[2]));
	}
	define('p', "target", target, "");
	only_the_target_is_touched("event_by_number", false);
	only_the_target_is_touched("event_by_place", true);
	children_are_wanted_if_inherited(false);
	children_are_wanted_if_inherited(true);
	target_stays_wanted_after_exec();
	privileges_end_it();
	two_owners_two_targets();
	everyone_is_wanted_system_wide();
	remove_all();
	return finish();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Is an event with a scope told of those whom it names, and is everybody else left as he is?
 *
 * Processes, users and cgroups; also when a task becomes what it wasn't: it changes its user, or is moved to another
 * cgroup. Numbers and names are those of who writes the command, and of who reads it.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "probes.h"

#define NR_CALLS	10
#define USER		1000
#define CGROUPS		"/tmp/cgroups_of_test"

static PROBED int target(int x)
{
	return x * 2 + 1;
}

static int user_inside;

/* Two come out of it. */
static PROBED int forks(void)
{
	return fork();
}

/* It may go in as one user and come out as another. */
static PROBED int changes(int x)
{
	must(!syscall(SYS_setresuid, user_inside, 0, 0));
	return x + 3;
}

static PROBED int around(int x)
{
	return changes(x) + 1;
}

/* Calls @function, or comes without a call to where it would return. */
int call_or_pass(int (*function)(int), int x);
asm("	.text\n"
    "call_or_pass:\n"
    "	sub	$8, %rsp\n"
    "	mov	%rdi, %rax\n"
    "	mov	%esi, %edi\n"
    "	test	%rax, %rax\n"
    "	jz	1f\n"
    "	call	*%rax\n"
    "1:	add	$8, %rsp\n"
    "	ret\n");

static void call_target(void)
{
	volatile int i;

	for (i = 0; i < NR_CALLS; i++)
		must(target(i) == i * 2 + 1);
}

/* ---- processes that do as they are told ---------------------------------- */

struct child {
	pid_t pid;
	int orders, answers;
};

/* In the child: where it is told, and where it answers. */
static int orders_in, answers_out;

static void serve(void);

static void *call_in_thread(void *unused)
{
	call_target();
	return unused;
}

static int in_thread(void)
{
	pthread_t thread;

	must(!pthread_create(&thread, NULL, call_in_thread, NULL));
	call_target();
	must(!pthread_join(thread, NULL));
	return 0;
}

static int fork_inside(void)
{
	int status = -1;
	pid_t pid = forks();

	must(pid >= 0);
	if (!pid)
		_exit(0);
	must(waitpid(pid, &status, 0) == pid);
	return status;
}

static int in_fork(void)
{
	int status = -1;
	pid_t pid = fork();

	must(pid >= 0);
	if (!pid) {
		call_target();
		_exit(!is_untouched(getpid(), (void *)target));
	}
	must(waitpid(pid, &status, 0) == pid);
	return status;
}

static void *be_another_user(void *unused)
{
	/* this thread alone */
	must(!syscall(SYS_setresuid, USER, 0, 0));
	call_target();
	return unused;
}

static int as_user_in_thread(void)
{
	pthread_t thread;

	must(!pthread_create(&thread, NULL, be_another_user, NULL));
	call_target();
	must(!pthread_join(thread, NULL));
	return 0;
}

static int change_inside(void)
{
	bool is_left;

	must(!syscall(SYS_setresuid, USER, 0, 0));
	user_inside = 0;
	must(changes(4) == 7);
	is_left = is_untouched(getpid(), (void *)target);
	user_inside = USER;
	must(changes(5) == 8);
	must(!syscall(SYS_setresuid, 0, 0, 0));
	return !is_left;
}

/* From one place. */
static PROBED int call_around(int x)
{
	return around(x) - 1;
}

static int change_inside_of_another(void)
{
	int i;

	/* until the last one all is at hand, so that it is opened in the trap */
	for (i = 0; i < 5; i++) {
		user_inside = i < 4 ? USER : 0;
		must(call_around(i) == i + 3);
	}
	return 0;
}

/* The child has the memory of its parent. */
static int in_vfork(void)
{
	int status = -1;
	pid_t pid = vfork();

	if (!pid) {
		call_target();
		_exit(0);
	}
	must(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status;
}

static void *exec_self(void *unused)
{
	char orders[16], answers[16];

	sprintf(orders, "%d", orders_in);
	sprintf(answers, "%d", answers_out);
	execl("/proc/self/exe", "events_keep_to_their_scope", orders, answers, NULL);
	return unused;
}

/* Who was the leader is gone; the program answers that comes. */
static int exec_in_thread(void)
{
	pthread_t thread;

	must(!pthread_create(&thread, NULL, exec_self, NULL) && !pthread_join(thread, NULL));
	return -1;
}

static char own_state(void)
{
	char state, *text = read_file("/proc/self/stat", NULL);

	must(text && sscanf(strrchr(text, ')'), ") %c", &state) == 1);
	free(text);
	return state;
}

static void answer(int with)
{
	must(write(answers_out, &with, sizeof(with)) == sizeof(with));
}

static void *serve_on(void *unused)
{
	while (own_state() != 'Z')
		usleep(1000);
	answer(0);
	serve();
	return unused;
}

static int without_leader(void)
{
	pthread_t thread;

	must(!pthread_create(&thread, NULL, serve_on, NULL));
	pthread_exit(NULL);
}

/* With the memory of a process that ends. */
static int serve_in_its_place(void *pid)
{
	while (getppid() == (long)pid)
		usleep(1000);
	answer(0);
	serve();
	return 0;
}

static int be_outlived(void)
{
	static char stack[1 << 16] __attribute__((aligned(16)));

	must(clone(serve_in_its_place, stack + sizeof(stack), CLONE_VM | SIGCHLD, (void *)(long)getpid()) > 0);
	_exit(0);
}

static int obey(char order)
{
	switch (order) {
	case 'c':
		call_target();
		return 0;
	case 't':
		return in_thread();
	case 'f':
		return in_fork();
	case 'u':
		return syscall(SYS_setresuid, USER, 0, 0);
	case 'r':
		return syscall(SYS_setresuid, 0, 0, 0);
	case 'T':
		return as_user_in_thread();
	case 'i':
		return change_inside();
	case 'I':
		return change_inside_of_another();
	case 'F':
		return fork_inside();
	case 'v':
		return in_vfork();
	case 'x':
		return exec_in_thread();
	case 'l':
		return without_leader();
	case 'o':
		return be_outlived();
	case 'n':
		return getpid();
	case 'p':
		return call_or_pass(target, 1) != 3;
	case 'P':
		return call_or_pass(NULL, 1);
	case 'e':
		_exit(0);
	}
	return -1;
}

static void serve(void)
{
	char order;

	while (read(orders_in, &order, 1) == 1)
		answer(obey(order));
	_exit(0);
}

/* @pid: the number that it shall have, or 0 */
static struct child start_as(pid_t pid, const char *cgroup)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	int orders[2], answers[2];
	struct child child;

	must(!pipe(orders) && !pipe(answers));
	fflush(stdout);
	if (cgroup) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = open(cgroup, O_PATH | O_CLOEXEC);
		must((int)args.cgroup >= 0);
	}
	if (pid) {
		args.set_tid = (uintptr_t)&pid;
		args.set_tid_size = 1;
	}
	child.pid = cgroup || pid ? syscall(SYS_clone3, &args, sizeof(args)) : fork();
	must(child.pid >= 0);
	if (!child.pid) {
		orders_in = orders[0];
		answers_out = answers[1];
		close(orders[1]);
		close(answers[0]);
		serve();
	}
	if (cgroup)
		close(args.cgroup);
	close(orders[0]);
	close(answers[1]);
	child.orders = orders[1];
	child.answers = answers[0];
	return child;
}

static struct child start_in(const char *cgroup)
{
	return start_as(0, cgroup);
}

static struct child start(void)
{
	return start_as(0, NULL);
}

static int order(struct child *child, char what)
{
	int answer = -1;

	must(write(child->orders, &what, 1) == 1);
	must(read(child->answers, &answer, sizeof(answer)) == sizeof(answer));
	return answer;
}

/* Its brothers hold the other ends of its pipes, too. */
static void end(struct child *child)
{
	must(write(child->orders, "e", 1) == 1);
	close(child->orders);
	close(child->answers);
	must(waitpid(child->pid, NULL, 0) == child->pid);
}

static bool is_left_alone(const struct child *child)
{
	return is_untouched(child->pid, (void *)target);
}

/* ---- events -------------------------------------------------------------- */

static void scoped(char kind, const char *scope, const char *event, const void *address, const char *args)
{
	struct place place = place_of(address);

	must(!command("%c@%s:t/%s %s:0x%lx %s", kind, scope, event, place.path, place.offset, args));
}

static unsigned long entries(const char *event)
{
	return count(event, "entries");
}

static void processes(void)
{
	struct child one = start(), other = start();
	char scope[64];

	sprintf(scope, "tgid=%d", one.pid);
	scoped('p', scope, "process", (void *)target, "x=%di");
	scoped('r', scope, "process_ret", (void *)target, "x=entry(%di) $latency");
	enable_all();
	must(!order(&one, 'c') && !order(&other, 'c'));
	call_target();
	equal(entries("process"), NR_CALLS, "process_is_told_of");
	equal(count("process_ret", "returns"), NR_CALLS, "its_returns_are");
	check(is_balanced("process_ret"), "its_calls_are_balanced");
	check(!is_left_alone(&one), "its_text_has_a_breakpoint");
	check(is_left_alone(&other) && is_untouched(getpid(), (void *)target), "other_processes_are_left_alone");
	equal(order(&one, 'f'), 0, "its_child_is_left_alone");
	equal(entries("process"), NR_CALLS, "its_child_is_not_told_of");
	must(!order(&one, 't'));
	equal(entries("process"), 3 * NR_CALLS, "all_of_its_threads_are");
	remove_all();
	check(is_left_alone(&one), "text_is_untouched_in_the_end");
	end(&one);
	end(&other);
}

/* ---- users and cgroups --------------------------------------------------- */

static void users(void)
{
	struct child one = start(), other = start();

	scoped('p', "uid=1000", "user", (void *)target, "");
	scoped('r', "uid=1000", "user_ret", (void *)target, "x=entry(%di)");
	scoped('r', "uid=1000", "changes", (void *)changes, "");
	scoped('r', "uid=1000", "forks", (void *)forks, "");
	enable_all();
	must(!order(&one, 'c'));
	equal(entries("user"), 0, "another_user_is_not_told_of");
	check(is_left_alone(&one), "another_user_is_left_alone");
	must(!order(&one, 'u') && !order(&one, 'c') && !order(&other, 'c'));
	equal(entries("user"), NR_CALLS, "who_becomes_the_user_is_told_of");
	equal(count("user_ret", "returns"), NR_CALLS, "returns_of_the_user_are_told");
	check(is_left_alone(&other), "others_are_left_alone");
	must(!order(&one, 'r'));
	check(is_left_alone(&one), "who_becomes_another_is_left_alone_again");
	must(!order(&one, 'c'));
	equal(entries("user"), NR_CALLS, "and_is_not_told_of");
	must(!order(&one, 'T'));
	equal(entries("user"), 2 * NR_CALLS, "threads_are_users_each");
	equal(count("user_ret", "returns"), 2 * NR_CALLS, "so_are_their_returns");
	equal(order(&one, 'i'), 0, "sites_go_with_the_last_call");
	equal(entries("changes"), 1, "the_entry_decides");
	equal(count("changes", "returns"), 1, "who_has_entered_returns_as_another");
	must(!order(&one, 'u') && !order(&one, 'F'));
	equal(count("forks", "returns"), 2, "child_returns_from_the_call_of_its_parent");
	check(is_balanced("user_ret") && is_balanced("changes") && is_balanced("forks"),
	      "calls_of_users_are_balanced");
	remove_all();
	end(&one);
	end(&other);
}

static void move(const struct child *child, const char *cgroup)
{
	char path[256], pid[16];

	snprintf(path, sizeof(path), "%s%s/cgroup.procs", CGROUPS, cgroup);
	sprintf(pid, "%d", child->pid);
	must(!write_file(path, 0, pid));
}

static int open_perf(const char *event, int pid, int cpu);

/* The last call that returns isn't of this event, and is only counted. */
static void call_around_the_last_one(void)
{
	struct child one = start();
	struct place place = place_of((void *)around);
	int fd;

	scoped('r', "uid=1000", "inner", (void *)changes, "");
	must(!command("r:t/outer %s:0x%lx", place.path, place.offset));
	enable("inner");
	fd = open_perf("outer", one.pid, -1);
	must(!order(&one, 'u') && !order(&one, 'I'));
	equal(count("inner", "returns"), 5, "inner_call_returns_as_another");
	equal(count("outer", "returns"), 5, "so_does_the_one_around_it");
	/* the one around it and two places of return, which are there as long as somebody wants returns */
	equal(text_differs(one.pid, (void *)target), 3, "sites_go_with_a_last_call_that_is_only_counted");
	must(!close(fd));
	check(is_left_alone(&one), "and_the_others_when_nobody_wants_returns");
	remove_all();
	end(&one);
}

static void cgroups(void)
{
	struct child one = start(), other = start(), born;

	scoped('p', "cgroup=/a", "cgroup", (void *)target, "");
	scoped('p', "cgroup=/a\\072b\\054c\\040d\\043e\\134f", "named", (void *)target, "");
	enable_all();
	must(!order(&one, 'c'));
	equal(entries("cgroup"), 0, "another_cgroup_is_not_told_of");
	check(is_left_alone(&one), "another_cgroup_is_left_alone");
	move(&one, "/a");
	must(!order(&one, 'c') && !order(&other, 'c'));
	equal(entries("cgroup"), NR_CALLS, "who_is_moved_there_is_told_of");
	move(&one, "/a/b");
	must(!order(&one, 'c'));
	equal(entries("cgroup"), 2 * NR_CALLS, "cgroups_below_are_meant_too");
	check(order(&one, 'f') && entries("cgroup") == 3 * NR_CALLS, "children_are_in_the_same");
	move(&one, "/c");
	must(!order(&one, 'c'));
	equal(entries("cgroup"), 3 * NR_CALLS, "who_is_moved_away_is_not_told_of");
	check(is_left_alone(&one) && is_left_alone(&other), "and_is_left_alone_again");
	born = start_in(CGROUPS "/a");
	must(!order(&born, 'c'));
	equal(entries("cgroup"), 4 * NR_CALLS, "who_is_born_there_is_told_of");
	end(&born);
	move(&one, "/a:b,c d#e\\f");
	must(!order(&one, 'c'));
	equal(entries("named"), NR_CALLS, "names_may_have_any_characters");
	remove_all();
	end(&one);
	end(&other);
}

static void conditions_together(void)
{
	struct child one = start(), other = start();
	char scope[64];

	sprintf(scope, "tgid=%d,uid=%d", one.pid, USER);
	scoped('p', scope, "both", (void *)target, "");
	/* one event with two places */
	sprintf(scope, "tgid=%d", one.pid);
	scoped('p', scope, "several", (void *)target, "");
	sprintf(scope, "tgid=%d", other.pid);
	scoped('p', scope, "several", (void *)changes, "");
	enable_all();
	must(!order(&other, 'u') && !order(&other, 'c') && !order(&one, 'c'));
	equal(entries("both"), 0, "one_of_two_conditions_is_not_enough");
	must(!order(&one, 'u') && !order(&one, 'c'));
	equal(entries("both"), NR_CALLS, "both_are");
	order(&one, 'i');
	order(&other, 'i');
	equal(entries("several"), 2 * NR_CALLS + 2, "probes_of_an_event_have_scopes_of_their_own");
	check(is_untouched(getpid(), (void *)target), "who_is_in_none_is_left_alone");
	remove_all();
	end(&one);
	end(&other);
}

/* ---- who it is in the end ------------------------------------------------ */

static void program_of_a_thread(void)
{
	struct child one = start();
	char scope[64];

	sprintf(scope, "tgid=%d", one.pid);
	scoped('r', scope, "changed", (void *)target, "x=entry(%di)");
	enable_all();
	must(!order(&one, 'c') && !order(&one, 'x') && !order(&one, 'c'));
	equal(count("changed", "returns"), 2 * NR_CALLS, "program_that_a_thread_has_started_is_told_of");
	check(is_balanced("changed"), "its_calls_are_balanced_too");
	end(&one);
	remove_all();
}

static void process_without_a_leader(void)
{
	struct child one = start();
	char scope[64];

	sprintf(scope, "tgid=%d", one.pid);
	scoped('p', scope, "headless", (void *)target, "");
	must(!order(&one, 'l'));
	enable("headless");
	must(!order(&one, 'c'));
	equal(entries("headless"), NR_CALLS, "process_whose_leader_has_ended_is_told_of");
	end(&one);
	remove_all();
}

static void child_with_the_memory(void)
{
	struct child one = start();
	char scope[64];

	sprintf(scope, "tgid=%d", one.pid);
	scoped('p', scope, "parent", (void *)target, "");
	scoped('r', scope, "parent_ret", (void *)target, "");
	enable_all();
	must(!order(&one, 'v'));
	equal(entries("parent") + entries("parent_ret"), 0, "child_with_the_memory_of_its_parent_is_not_told_of");
	must(!order(&one, 'c'));
	equal(count("parent_ret", "returns"), NR_CALLS, "its_parent_goes_on");
	check(is_balanced("parent_ret"), "parent_is_balanced");
	end(&one);
	remove_all();
}

/* Until filters are asked again, which may take seconds. */
static void repeat_until_left_alone(struct child *child, char what)
{
	int i;

	for (i = 0; i < 300 && !is_left_alone(child); i++) {
		must(!order(child, what));
		usleep(100000);
	}
}

/* Who is named ends, and another process goes on with its memory, and so with its breakpoints. */
static void memory_that_outlives_its_process(const char *kinds, bool soon, const char *name)
{
	struct child one = start();
	unsigned long told = 0;
	char scope[64];

	sprintf(scope, "tgid=%d", one.pid);
	if (strchr(kinds, 'p'))
		scoped('p', scope, "gone", (void *)target, "");
	if (strchr(kinds, 'r'))
		scoped('r', scope, "gone_ret", (void *)target, "");
	enable_all();
	must(!order(&one, 'c'));
	check(!is_left_alone(&one), "%s_has_breakpoints", name);
	/* nobody is asked again for a second after this */
	if (!soon)
		must(!order(&one, 'v'));
	told = entries(kinds[0] == 'p' ? "gone" : "gone_ret");
	equal(told, NR_CALLS, "%s_is_told_of", name);
	must(!order(&one, 'o'));
	must(waitpid(one.pid, NULL, 0) == one.pid);
	one.pid = order(&one, 'n');
	if (soon)
		must(!order(&one, 'c'));
	else
		repeat_until_left_alone(&one, 'c');
	check(is_left_alone(&one), "%s_is_left_alone_in_the_end", name);
	equal(entries(kinds[0] == 'p' ? "gone" : "gone_ret"), NR_CALLS, "%s_is_not_told_of_any_more", name);
	end(&one);
	remove_all();
}

static void places_of_return_that_outlive_their_process(void)
{
	struct child one = start();
	char scope[64];

	sprintf(scope, "tgid=%d", one.pid);
	scoped('r', scope, "gone", (void *)target, "");
	enable("gone");
	must(!order(&one, 'p') && !order(&one, 'o') && waitpid(one.pid, NULL, 0) == one.pid);
	one.pid = order(&one, 'n');
	check(!is_left_alone(&one), "memory_with_places_of_return_has_breakpoints");
	repeat_until_left_alone(&one, 'P');
	check(is_left_alone(&one), "who_only_passes_places_of_return_is_left_alone_in_the_end");
	equal(entries("gone"), 1, "one_call_has_been_entered");
	end(&one);
	remove_all();
}

/* The entry has somebody else, the return has nobody. */
static void places_of_return_beside_another_event(void)
{
	struct child one = start();
	struct place place = place_of((void *)target);
	char scope[64];
	long breakpoints;

	sprintf(scope, "tgid=%d", one.pid);
	must(!command("p:t/everybodys %s:0x%lx", place.path, place.offset));
	scoped('r', scope, "gone", (void *)target, "");
	enable_all();
	must(!order(&one, 'p') && !order(&one, 'o') && waitpid(one.pid, NULL, 0) == one.pid);
	one.pid = order(&one, 'n');
	breakpoints = text_differs(one.pid, (void *)target);
	equal(breakpoints, 2, "an_entry_and_a_place_of_return");
	for (int i = 0; i < 300 && text_differs(one.pid, (void *)target) != 1; i++) {
		must(!order(&one, 'P'));
		usleep(100000);
	}
	equal(text_differs(one.pid, (void *)target), 1, "the_place_of_return_goes_alone");
	end(&one);
	remove_all();
}

static void who_outlives_the_scope(void)
{
	/* so that they come to this process */
	must(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	memory_that_outlives_its_process("p", true, "memory_of_an_entry_event");
	memory_that_outlives_its_process("r", true, "memory_of_a_return_event");
	memory_that_outlives_its_process("pr", true, "memory_of_two_events");
	memory_that_outlives_its_process("pr", false, "memory_that_was_asked_about");
	places_of_return_that_outlive_their_process();
	places_of_return_beside_another_event();
}

/* ---- who listens --------------------------------------------------------- */

/* Nobody waits for the return: the entry opens no call. */
static void return_of_another(void)
{
	struct child one = start(), other = start();
	char scope[64], *trace, *at;
	int nr = 0;

	sprintf(scope, "tgid=%d", one.pid);
	scoped('p', scope, "numbered", (void *)target, "$call $depth");
	sprintf(scope, "tgid=%d", other.pid);
	scoped('r', scope, "others", (void *)target, "");
	enable_all();
	must(!order(&one, 'c') && !order(&other, 'c'));
	trace = read_file(TRACING "trace", NULL);
	for (at = trace; (at = strstr(at, " call=0 depth=0\n")); at++)
		nr++;
	equal(nr, NR_CALLS, "entry_whose_return_is_anothers_opens_no_call");
	equal(count("others", "returns"), NR_CALLS, "return_of_the_other_is_told_of");
	check(is_balanced("others"), "calls_of_the_other_are_balanced");
	free(trace);
	remove_all();
	end(&one);
	end(&other);
}

static int open_perf(const char *event, int pid, int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = event_id(event),
	};
	int fd;

	fd = syscall(SYS_perf_event_open, &attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	must(fd >= 0);
	return fd;
}

static void perf_events(void)
{
	struct child one = start(), other = start();
	unsigned long hits, sum = 0;
	int fds[2], cpu, of_one, of_other;
	char scope[64];

	sprintf(scope, "tgid=%d", one.pid);
	scoped('r', scope, "perf", (void *)target, "x=entry(%di)");
	for (cpu = 0; cpu < 2; cpu++)
		fds[cpu] = open_perf("perf", -1, cpu);
	of_one = open_perf("perf", one.pid, -1);
	of_other = open_perf("perf", other.pid, -1);
	must(!order(&one, 'c') && !order(&other, 'c'));
	for (cpu = 0; cpu < 2; cpu++) {
		must(read(fds[cpu], &hits, sizeof(hits)) == sizeof(hits));
		sum += hits;
		close(fds[cpu]);
	}
	equal(sum, NR_CALLS, "perf_counts_those_in_scope");
	check(is_left_alone(&other), "perf_leaves_others_alone");
	must(!order(&one, 'c') && !order(&other, 'c'));
	must(read(of_one, &hits, sizeof(hits)) == sizeof(hits));
	equal(hits, 2 * NR_CALLS, "perf_of_the_process_counts");
	must(read(of_other, &hits, sizeof(hits)) == sizeof(hits));
	equal(hits, 0, "perf_of_another_counts_nothing");
	check(is_left_alone(&other), "perf_of_another_leaves_it_alone");
	close(of_one);
	close(of_other);
	remove_all();
	end(&one);
	end(&other);
}

/* ---- who writes, and who reads ------------------------------------------- */

static bool is_listed(const char *begin)
{
	char *text = read_file(TRACING "uprobe_events", NULL);
	bool is;

	must(text);
	is = strstr(text, begin);
	free(text);
	return is;
}

static struct place place;

static void write_in_pid_namespace(void)
{
	int status = -1;
	siginfo_t info;
	char line[64];
	bool is;
	pid_t pid;

	must(!unshare(CLONE_NEWPID));
	pid = fork();
	if (!pid) {
		must(getpid() == 1);
		/* /proc is that of the other namespace */
		must(!command("p@tgid=1:t/inner %s:0x%lx", place.path, place.offset));
		enable("inner");
		call_target();
		_exit(!is_listed("p@tgid=1:t/inner "));
	}
	call_target();
	/* who isn't waited for has its number yet */
	must(!waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	sprintf(line, "p@tgid=%d:t/inner ", pid);
	is = is_listed(line);
	must(waitpid(pid, &status, 0) == pid);
	_exit(status || !is);
}

static void write_in_cgroup_namespace(void)
{
	struct child self = { .pid = getpid() };

	move(&self, "/a");
	must(!unshare(CLONE_NEWCGROUP));
	move(&self, "/a/b");
	scoped('p', "cgroup=/b", "below", (void *)target, "");
	enable("below");
	call_target();
	move(&self, "/c");
	call_target();
}

/* The writer's user 0 is user 1000. */
static void write_in_user_namespace(void)
{
	int fd = open(TRACING "uprobe_events", O_WRONLY | O_APPEND | O_CLOEXEC);
	struct place place = place_of((void *)target);
	int ready[2], mapped[2], status = -1;
	char line[PATH_MAX + 64], path[64];
	pid_t pid;

	must(fd >= 0 && !pipe(ready) && !pipe(mapped));
	sprintf(line, "p@uid=0:t/mapped %s:0x%lx\n", place.path, place.offset);
	pid = fork();
	if (!pid) {
		must(!unshare(CLONE_NEWUSER));
		must(write(ready[1], "", 1) == 1 && read(mapped[0], path, 1) == 1);
		_exit(write(fd, line, strlen(line)) != (ssize_t)strlen(line));
	}
	must(read(ready[0], path, 1) == 1);
	sprintf(path, "/proc/%d/uid_map", pid);
	must(!write_file(path, 0, "0 1000 1") && write(mapped[1], "", 1) == 1);
	must(waitpid(pid, &status, 0) == pid && !status);
	close(fd);
}

static void writers(void)
{
	struct child one = start();

	place = place_of((void *)target);
	check(!in_child(write_in_pid_namespace), "listed_with_the_readers_number");
	equal(entries("inner"), NR_CALLS, "process_of_the_writers_namespace");
	must(!in_child(write_in_cgroup_namespace));
	equal(entries("below"), NR_CALLS, "cgroup_of_the_writers_namespace");
	write_in_user_namespace();
	enable("mapped");
	must(!order(&one, 'c') && !order(&one, 'u') && !order(&one, 'c'));
	equal(entries("mapped"), NR_CALLS, "user_of_the_writers_namespace");
	remove_all();
	end(&one);
}

/* It is nobody's then, whoever gets the number next. */
static void process_that_has_ended(void)
{
	struct child one = start(), other = start(), again;
	char scope[64];

	sprintf(scope, "tgid=%d", one.pid);
	scoped('p', scope, "ended", (void *)target, "");
	enable("ended");
	must(!order(&one, 'c'));
	end(&one);
	must(!order(&other, 'c'));
	equal(entries("ended"), NR_CALLS, "process_that_has_ended_was_told_of");
	check(is_left_alone(&other), "and_nobody_else_is_touched");
	check(is_listed("p@tgid=0:t/ended "), "and_it_is_listed_as_nobody_s");
	disable("ended");
	enable("ended");
	must(!order(&other, 'c'));
	equal(entries("ended"), NR_CALLS, "event_of_nobody_can_be_on");
	again = start_as(one.pid, NULL);
	must(again.pid == one.pid && !order(&again, 'c'));
	equal(entries("ended"), NR_CALLS, "who_has_its_number_next_is_not_told_of");
	check(is_left_alone(&again), "nor_touched");
	end(&again);
	remove_all();
	end(&other);
}

static void listing(void)
{
	struct child one = start();
	char scope[64], *before, *after;

	sprintf(scope, "tgid=%d,uid=1000,cgroup=/a\\072b\\054c\\040d\\043e\\134f", one.pid);
	scoped('p', scope, "listed", (void *)target, "x=%di");
	scoped('r', "cgroup=/", "listed_ret", (void *)target, "x=entry(%di):s32");
	scoped('p', "uid=0", "listed_uid", (void *)target, "");
	before = read_file(TRACING "uprobe_events", NULL);
	must(!write_file(TRACING "uprobe_events", O_TRUNC, before));
	after = read_file(TRACING "uprobe_events", NULL);
	check(strstr(before, scope) && !strcmp(before, after), "listing_can_be_written_back");
	free(before);
	free(after);
	remove_all();
	end(&one);
}

static void make_cgroups(void)
{
	umount2(CGROUPS, MNT_DETACH);
	mkdir(CGROUPS, 0755);
	must(!mount("none", CGROUPS, "cgroup2", 0, NULL));
	must(!mkdir(CGROUPS "/a", 0755) && !mkdir(CGROUPS "/a/b", 0755) && !mkdir(CGROUPS "/c", 0755) &&
	     !mkdir(CGROUPS "/a:b,c d#e\\f", 0755));
}

static void remove_cgroups(void)
{
	rmdir(CGROUPS "/a/b");
	rmdir(CGROUPS "/a");
	rmdir(CGROUPS "/c");
	rmdir(CGROUPS "/a:b,c d#e\\f");
	umount2(CGROUPS, MNT_DETACH);
}

int main(int argc, char **argv)
{
	if (argc == 3) {
		orders_in = atoi(argv[1]);
		answers_out = atoi(argv[2]);
		answer(0);
		serve();
	}
	make_cgroups();
	processes();
	users();
	call_around_the_last_one();
	cgroups();
	conditions_together();
	program_of_a_thread();
	process_without_a_leader();
	child_with_the_memory();
	who_outlives_the_scope();
	return_of_another();
	perf_events();
	writers();
	process_that_has_ended();
	listing();
	remove_cgroups();
	return finish();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Does a perf event that threads and children inherit count all of their hits?
 *
 * perf exchanges the events of threads that take turns on a processor if they have inherited the same ones: the event
 * that was opened may come to its end with any of them, and the probe must stay for the others, and for those that
 * come later.
 *
 * Seen to fail: when the address space that an event is for was that of the task it was opened for, threads that
 * began after the first ones had ended weren't counted. When each thread that ended had all address spaces looked at,
 * that of an uninvolved process was changed, too. On stock: an unprivileged process that inherits can't fork.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>

#include "probes.h"

#define NR_THREADS	8
#define NR_CALLS	300
#define NR_ROUNDS	5
#define NR_SHORT	3000
#define NR_AT_ONCE	30
#define NR_FAILURES	100

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

/* Fails when the child's events are there: it may not have a number of its choice (alloc_pid()). */
static void fail_to_make(unsigned long flags)
{
	pid_t number = 4000;
	struct clone_args args = {
		.flags = flags, .set_tid = (unsigned long)&number, .set_tid_size = 1,
	};

	must(syscall(SYS_clone3, &args, sizeof(args)) < 0 && errno == EPERM);
}

static void become_nobody_and_fail(void)
{
	int i;

	must(!setresuid(65534, 65534, 65534));
	for (i = 0; i < NR_FAILURES; i++) {
		fail_to_make(0);
		fail_to_make(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD);
	}
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

static void *call_once(void *unused UNUSED)
{
	target(1);
	return NULL;
}

/* Most of them end while others of them live. */
static void start_short_threads(void)
{
	pthread_t threads[NR_AT_ONCE];
	int i;

	for (i = 0; i < NR_SHORT + NR_AT_ONCE; i++) {
		if (i >= NR_AT_ONCE)
			pthread_join(threads[i % NR_AT_ONCE], NULL);
		if (i < NR_SHORT)
			must(!pthread_create(&threads[i % NR_AT_ONCE], NULL, call_once, NULL));
	}
	executed += NR_SHORT;
}

static int open_event(int tid, bool inherit)
{
	char *type = read_file("/sys/bus/event_source/devices/uprobe/type", NULL);
	struct place place = place_of((const void *)target);
	struct perf_event_attr attr = {
		.type = atoi(type), .size = sizeof(attr), .inherit = inherit,
		.config1 = (unsigned long)place.path, .config2 = place.offset,
	};
	int fd = syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);

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

/* ---- who goes last ------------------------------------------------------ */

static int heir_fd;
static sem_t heir_turn;
static pthread_t heir;

static void stay_on_one_processor(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	must(!sched_setaffinity(0, sizeof(cpus), &cpus));
}

/* A thread with an event that isn't inherited exchanges none (inherited_all, perf_event_init_context()). */
static void open_uninherited_event(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_DUMMY, .size = sizeof(attr),
	};

	must(syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC) >= 0);
}

static void *inherit_and_call(void *unused UNUSED)
{
	while (sem_wait(&heir_turn))
		;
	target(1);
	return NULL;
}

static void *leave_an_heir(void *unused UNUSED)
{
	heir_fd = open_event(0, true);
	must(!pthread_create(&heir, NULL, inherit_and_call, NULL));
	/* the heir begins, and waits */
	usleep(100000);
	return NULL;
}

static void *exchange_nothing(void *unused UNUSED)
{
	open_uninherited_event();
	return leave_an_heir(NULL);
}

/* The heir inherits the only processor, too: each time that goes from one to the other at once, they exchange their events. */
static void *exchange_events_perhaps(void *unused UNUSED)
{
	stay_on_one_processor();
	return leave_an_heir(NULL);
}

/*
 * Nobody asks about the first thread, which lives on. When a thread ends with an event that it has inherited, it is
 * looked whether its site is wanted; when it ends with the event that was opened, it isn't: the last one that does so,
 * who is the heir if they have exchanged theirs, leaves a site that goes with the descriptor.
 */
static void let_the_last_go(void *(*body)(void *), const char *how)
{
	pthread_t parent;

	must(!sem_init(&heir_turn, 0, 0));
	must(!pthread_create(&parent, NULL, body, NULL));
	pthread_join(parent, NULL);
	check(text_differs(getpid(), (const void *)target) == 1, "site_stays_for_the_heir_%s", how);
	sem_post(&heir_turn);
	pthread_join(heir, NULL);
	equal(read_count(heir_fd), 1, "the_heir_is_counted_%s", how);
	if (body == exchange_nothing)
		check(is_untouched(getpid(), (const void *)target), "sites_go_with_the_last_thread");
	note("%ld bytes differ before the descriptor is closed", text_differs(getpid(), (const void *)target));
	close(heir_fd);
	check(is_untouched(getpid(), (const void *)target), "sites_go_with_the_descriptor_%s", how);
}

/* ---- somebody else ------------------------------------------------------ */

static int from_other[2], to_other[2];

static void *say_who_and_wait(void *unused UNUSED)
{
	int tid = gettid();
	char c;

	must(write(from_other[1], &tid, sizeof(tid)) == sizeof(tid));
	must(read(to_other[0], &c, 1) == 1);
	return NULL;
}

/* One of its threads is asked about, and ends. */
static void be_the_other(void)
{
	pthread_t thread;

	must(!pthread_create(&thread, NULL, say_who_and_wait, NULL));
	pthread_join(thread, NULL);
	must(write(from_other[1], "", 1) == 1);
	pause();
}

static int start_other(int *tid)
{
	int pid;

	must(!pipe(from_other) && !pipe(to_other));
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		be_the_other();
		_exit(0);
	}
	must(read(from_other[0], tid, sizeof(*tid)) == sizeof(*tid));
	return pid;
}

/*
 * The other's site is of no use any more when its thread has ended, but stays as long as the descriptor: it goes
 * earlier if somebody looks at all address spaces.
 */
static void leave_the_other_alone(void)
{
	int tid, other = start_other(&tid);
	int its_fd = open_event(tid, false), fd;
	char c;

	must(write(to_other[1], "", 1) == 1);
	must(read(from_other[0], &c, 1) == 1);
	must(text_differs(other, (const void *)target) == 1);
	fd = open_event(0, true);
	start_short_threads();
	equal(read_count(fd), NR_SHORT, "short_threads_are_counted");
	check(text_differs(other, (const void *)target) == 1, "threads_that_end_leave_other_processes_alone");
	must(!in_child(become_nobody_and_fail));
	check(text_differs(other, (const void *)target) == 1, "and_so_do_forks_that_fail");
	close(its_fd);
	check(is_untouched(other, (const void *)target), "sites_go_with_the_descriptor");
	close(fd);
	check(is_untouched(getpid(), (const void *)target), "and_here_too");
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	executed = 0;
}

int main(void)
{
	int fd, round;

	let_the_last_go(exchange_nothing, "without_exchange");
	let_the_last_go(exchange_events_perhaps, "with_exchange");
	leave_the_other_alone();
	fd = open_event(0, true);
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

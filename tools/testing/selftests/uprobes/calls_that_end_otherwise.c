// SPDX-License-Identifier: GPL-2.0
/*
 * What if a call doesn't end with a return in the thread that made it?
 *
 * longjmp(), exit, execve() and pthread_exit() leave calls open: they are
 * counted by cause. A child of fork() returns from its parent's calls, a child
 * that shares the address space has its own. Signal handlers on other stacks
 * and coroutines have several stacks in one thread. Each time the program must
 * do what it does unprobed, and nothing may be lost silently.
 *
 * Seen to fail on stock: everything about causes (it has no such counts), and
 * returns_of_a_forked_child_*, which it counts without an entry; a handler on a
 * stack above kills the program (SIGILL).
 * With trace_uprobe_settle_all() not counting: calls that are open when an event goes.
 */
#define _GNU_SOURCE
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "probes.h"

extern char **environ;

static jmp_buf back;

/* ---- targets ------------------------------------------------------------ */

/* Calls @bottom @depth levels down, and returns unless that doesn't. */
static PROBED unsigned int descend(unsigned int depth, void (*bottom)(void))
{
	unsigned int r;

	if (!depth) {
		bottom();
		return 1;
	}
	r = descend(depth - 1, bottom);
	asm volatile("" : "+r"(r) : : "memory");
	return r * 3 + 1;
}

static PROBED int plain(int x)
{
	return x + 1;
}

/*
 * The nop is where descend() returns to. Without it the compiler lets both ways
 * meet there, and nothing tells an arrival by longjmp() from a return.
 */
static PROBED int catcher(unsigned int depth, void (*bottom)(void))
{
	int r;

	if (setjmp(back))
		return 5;
	r = descend(depth, bottom);
	asm volatile("nop" : "+r"(r) : : "memory");
	return r;
}

static void probe_targets(void)
{
	define('r', "descend", descend, "");
	define('r', "plain", plain, "");
	define('r', "catcher", catcher, "");
	enable_all();
}

static void check_counts(const char *event, unsigned int entries, unsigned int returns, const char *cause,
			 unsigned int missed, const char *name)
{
	if (count(event, "entries") != entries || count(event, "returns") != returns ||
	    (cause && count(event, cause) != missed))
		note("%s: %lu entries, %lu returns, %lu inherited, %lu %s, %lu missed", event,
		     count(event, "entries"), count(event, "returns"), count(event, "inherited"),
		     cause ? count(event, cause) : 0, cause ? cause : "-", count(event, "missed"));
	check(count(event, "entries") == entries && count(event, "returns") == returns &&
	      (!cause || count(event, cause) == missed) &&
	      (cause && !strcmp(cause, "unregistered") ? adds_up(event) : is_balanced(event)), "%s", name);
}

/* ---- longjmp ------------------------------------------------------------ */

static void jump_back(void)
{
	longjmp(back, 1);
}

static void do_nothing(void)
{
}

static void longjmp_abandons_what_it_passes(void)
{
	int i, sum = 0;

	probe_targets();
	for (i = 0; i < 20; i++) {
		sum += catcher(9, jump_back);
		sum += catcher(2, do_nothing);
	}
	disable_all();
	equal(sum, 20 * (5 + 13), "longjmp_leaves_the_program_alone");
	check_counts("descend", 20 * 13, 20 * 3, "unwound", 200, "longjmp_abandons_what_it_passes");
	check_counts("catcher", 40, 40, "unwound", 0, "longjmp_keeps_the_call_that_it_lands_in");
	remove_all();
}

static void again_and_again(void)
{
	static int rounds;

	if (rounds++ < 50)
		longjmp(back, 1);
}

/* The frames are in the same places each time. */
static void longjmp_in_a_loop_leaves_no_call_behind(void)
{
	probe_targets();
	setjmp(back);
	descend(3, again_and_again);
	plain(1);
	disable_all();
	check_counts("descend", 51 * 4, 4, "unwound", 50 * 4, "longjmp_in_a_loop_leaves_no_call_behind");
	remove_all();
}

/* ---- the end of threads and processes ----------------------------------- */

static void exit_here(void)
{
	_exit(3);
}

static void die_here(void)
{
	kill(getpid(), SIGKILL);
}

static void exec_here(void)
{
	execl("/bin/true", "true", NULL);
}

static void exec_nothing(void)
{
	execl("/nonexistent", "nonexistent", NULL);
}

static void leave_thread(void)
{
	pthread_exit((void *)4);
}

static void child_exits(void)
{
	descend(4, exit_here);
}

static void child_is_killed(void)
{
	descend(4, die_here);
}

static void child_execs(void)
{
	descend(4, exec_here);
}

static void child_fails_to_exec(void)
{
	_exit(descend(1, exec_nothing));
}

static void processes_end_inside_calls(void)
{
	int status;

	probe_targets();
	status = in_child(child_exits);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 3, "exit_inside_a_call_keeps_its_status");
	check_counts("descend", 5, 0, "exit", 5, "exit_inside_calls_is_counted");

	status = in_child(child_is_killed);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "death_inside_a_call_keeps_its_signal");
	check_counts("descend", 10, 0, "exit", 10, "death_inside_calls_is_counted");

	status = in_child(child_execs);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "execve_inside_a_call_works");
	check_counts("descend", 15, 0, "exec", 5, "execve_inside_calls_is_counted");

	status = in_child(child_fails_to_exec);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 4, "execve_that_fails_keeps_the_calls");
	check_counts("descend", 17, 2, "exec", 5, "execve_that_fails_is_no_end");
	disable_all();
	remove_all();
}

static void *thread_that_leaves(void *unused UNUSED)
{
	return (void *)(long)descend(2, leave_thread);
}

static void threads_end_inside_calls(void)
{
	pthread_t thread;
	void *value;

	probe_targets();
	must(!pthread_create(&thread, NULL, thread_that_leaves, NULL));
	pthread_join(thread, &value);
	/* the join comes before the thread has quite gone */
	usleep(100000);
	disable_all();
	equal((long)value, 4, "pthread_exit_inside_a_call_keeps_its_value");
	check_counts("descend", 3, 0, "exit", 3, "pthread_exit_inside_calls_is_counted");
	remove_all();
}

static void wait_for_ever(void)
{
	for (;;)
		pause();
}

static void *thread_that_is_cancelled(void *unused UNUSED)
{
	return (void *)(long)descend(2, wait_for_ever);
}

static void cancelled_threads_end_inside_calls(void)
{
	pthread_t thread;
	void *value;

	probe_targets();
	must(!pthread_create(&thread, NULL, thread_that_is_cancelled, NULL));
	while (count("descend", "pending") < 3)
		usleep(1000);
	pthread_cancel(thread);
	pthread_join(thread, &value);
	usleep(100000);
	disable_all();
	check(value == PTHREAD_CANCELED, "pthread_cancel_inside_a_call_ends_the_thread");
	check_counts("descend", 3, 0, "exit", 3, "pthread_cancel_inside_calls_is_counted");
	remove_all();
}

static void *thread_that_stays(void *unused UNUSED)
{
	return (void *)(long)descend(1, wait_for_ever);
}

static void child_with_threads_execs(void)
{
	pthread_t threads[2];

	pthread_create(&threads[0], NULL, thread_that_stays, NULL);
	pthread_create(&threads[1], NULL, thread_that_stays, NULL);
	usleep(100000);
	descend(0, exec_here);
}

static void execve_ends_the_calls_of_other_threads(void)
{
	int status;

	probe_targets();
	status = in_child(child_with_threads_execs);
	disable_all();
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "execve_with_threads_works");
	check_counts("descend", 5, 0, "exec", 1, "execve_ends_the_calls_of_the_thread");
	equal(count("descend", "exit"), 4, "execve_ends_the_calls_of_other_threads");
	remove_all();
}

static PROBED int never_returns(void)
{
	return descend(0, wait_for_ever);
}

static void *thread_in_call(void *unused UNUSED)
{
	return (void *)(long)never_returns();
}

/* An event that goes while a call is open: its own business. */
static void events_may_go_inside_a_call(void)
{
	pthread_t thread;

	define('r', "never", never_returns, "");
	enable_all();
	must(!pthread_create(&thread, NULL, thread_in_call, NULL));
	usleep(100000);
	remove_all();
	define('r', "never", never_returns, "");
	enable_all();
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	usleep(100000);
	disable_all();
	check_counts("never", 0, 0, "exit", 0, "calls_are_not_seen_by_events_that_came_later");
	remove_all();
}

static void switch_off(void)
{
	disable_all();
}

static void switch_off_and_on(void)
{
	disable_all();
	enable_all();
}

/* What was open is known when no handler runs any more, which nobody waits for before it is asked for. */
static void events_may_be_switched_off_inside_a_call(void)
{
	probe_targets();
	descend(3, switch_off);
	check_counts("descend", 4, 0, "unregistered", 4, "calls_that_are_open_when_an_event_goes_are_counted");
	enable_all();
	descend(3, switch_off_and_on);
	descend(1, do_nothing);
	disable_all();
	check_counts("descend", 10, 2, "unregistered", 8, "event_that_comes_again_sees_none_of_its_old_calls");
	remove_all();
}

/* ---- children ----------------------------------------------------------- */

static int forked_status;
static bool is_child;

static void fork_here(void)
{
	pid_t pid = fork();

	if (!pid) {
		is_child = true;
		return;
	}
	waitpid(pid, &forked_status, 0);
}

static void forked_child_returns_from_its_parents_calls(void)
{
	unsigned int wanted = descend(3, do_nothing), r;

	probe_targets();
	fflush(stdout);
	r = descend(3, fork_here);
	if (is_child)
		_exit(r);
	disable_all();
	equal(r, wanted, "fork_inside_a_call_returns_in_the_parent");
	check(WIFEXITED(forked_status) && WEXITSTATUS(forked_status) == (int)wanted,
	      "fork_inside_a_call_returns_in_the_child");
	equal(count("descend", "inherited"), 4, "fork_inherits_open_calls");
	check_counts("descend", 4, 8, NULL, 0, "returns_of_a_forked_child_are_counted_with_inherited_entries");
	remove_all();
}

/* Only async-signal-safe and stack-neutral things between vfork and _exit. */
static PROBED int vforks(void)
{
	int status = 0;
	pid_t pid = vfork();

	if (!pid)
		_exit(plain(plain(plain(3))));
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static PROBED void execs(void)
{
	execl("/bin/false", "false", NULL);
}

static PROBED int vforks_and_execs(void)
{
	int status = 0;
	pid_t pid = vfork();

	if (!pid) {
		execs();
		_exit(9);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static PROBED int spawns(void)
{
	static char name[] = "false";
	static char *argv[] = { name, NULL };
	int status = 0;
	pid_t pid = 0;

	if (posix_spawn(&pid, "/bin/false", NULL, NULL, argv, environ))
		return -1;
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static int calls_plain(void *x)
{
	int i, sum = 0;

	for (i = 0; i < 5; i++)
		sum += plain(*(int *)x);
	return sum;
}

static PROBED int clones(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int status = 0, x = 10;
	pid_t pid = clone(calls_plain, stack + sizeof(stack), CLONE_VM | SIGCHLD, &x);

	/* at the same time as the child */
	calls_plain(&x);
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void children_in_the_same_address_space(void)
{
	define('r', "plain", plain, "");
	define('r', "vforks", vforks, "");
	define('r', "execs", execs, "");
	define('r', "vforks_and_execs", vforks_and_execs, "");
	define('r', "spawns", spawns, "");
	define('r', "clones", clones, "");
	enable_all();

	equal(vforks(), 6, "vfork_child_runs_probed_code");
	check_counts("plain", 3, 3, "exit", 0, "vfork_child_is_counted");
	check_counts("vforks", 1, 1, NULL, 0, "vfork_parent_returns_once");

	equal(vforks_and_execs(), 1, "vfork_child_execs_inside_a_call");
	check_counts("execs", 1, 0, "exec", 1, "vfork_child_that_execs_is_counted");
	check_counts("vforks_and_execs", 1, 1, NULL, 0, "vfork_parent_of_another_program_returns_once");

	equal(spawns(), 1, "posix_spawn_works_inside_a_call");
	check_counts("spawns", 1, 1, NULL, 0, "posix_spawn_returns_once");

	equal(clones(), 55, "clone_vm_child_runs_probed_code");
	check_counts("plain", 13, 13, NULL, 0, "clone_vm_child_is_counted");
	check_counts("clones", 1, 1, NULL, 0, "clone_vm_parent_returns_once");
	disable_all();
	remove_all();
}

/* ---- several stacks ----------------------------------------------------- */

#define STACK	65536
#define GUARD	4096

/* With a page below it that separates it from its neighbours. */
static char *make_stack(void)
{
	char *stack = mmap(NULL, STACK + 2 * GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(stack != MAP_FAILED);
	must(!mprotect(stack, GUARD, PROT_NONE));
	must(!mprotect(stack + GUARD + STACK, GUARD, PROT_NONE));
	return stack + GUARD;
}

static void handle_on_other_stack(int signal UNUSED)
{
	descend(3, do_nothing);
	plain(1);
}

static void raise_signal(void)
{
	raise(SIGUSR1);
}

static void descend_with_stack(char *stack)
{
	stack_t alternative = { .ss_sp = stack, .ss_size = STACK };
	struct sigaction action = { .sa_handler = handle_on_other_stack, .sa_flags = SA_ONSTACK };

	must(!sigaltstack(&alternative, NULL));
	must(!sigaction(SIGUSR1, &action, NULL));
	descend(4, raise_signal);
	alternative.ss_flags = SS_DISABLE;
	must(!sigaltstack(&alternative, NULL));
}

static void *thread_descends_with_stack(void *stack)
{
	descend_with_stack(stack);
	return NULL;
}

static void handlers_may_run_on_another_stack(void)
{
	char *low = make_stack();
	char high[STACK] __attribute__((aligned(16)));
	pthread_t thread;

	probe_targets();
	descend_with_stack(low);
	check_counts("descend", 9, 9, NULL, 0, "handlers_may_run_on_a_stack_below");
	must(!pthread_create(&thread, NULL, thread_descends_with_stack, high));
	pthread_join(thread, NULL);
	check_counts("descend", 18, 18, NULL, 0, "handlers_may_run_on_a_stack_above");
	disable_all();
	remove_all();
}

static ucontext_t outside, inside[2];
static int in_turn;

static void switch_over(void)
{
	int i;

	for (i = 0; i < 10; i++) {
		int me = in_turn;

		plain(i);
		in_turn = !me;
		swapcontext(&inside[me], &inside[!me]);
	}
}

static void coroutine(void)
{
	int me = in_turn;

	descend(3, switch_over);
	in_turn = !me;
	/* let the other one finish as well */
	swapcontext(&inside[me], me ? &outside : &inside[1]);
}

static void start_coroutines(char *first, char *second)
{
	char *stacks[2] = { first, second };
	int i;

	for (i = 0; i < 2; i++) {
		getcontext(&inside[i]);
		inside[i].uc_stack.ss_sp = stacks[i];
		inside[i].uc_stack.ss_size = STACK;
		inside[i].uc_link = NULL;
		makecontext(&inside[i], coroutine, 0);
	}
	in_turn = 0;
	swapcontext(&outside, &inside[0]);
}

static void coroutines_keep_their_calls_apart(void)
{
	char *first = make_stack(), *second = make_stack();

	probe_targets();
	start_coroutines(first, second);
	check_counts("descend", 8, 8, "unwound", 0, "coroutines_keep_their_calls_apart");
	check_counts("plain", 20, 20, "unwound", 0, "coroutines_call_and_return_in_between");
	start_coroutines(malloc(STACK), malloc(STACK));
	check_counts("descend", 16, 16, "unwound", 0, "coroutines_may_have_stacks_in_the_heap");
	disable_all();
	remove_all();
}

static void child_has_stacks_in_one_mapping(void)
{
	char *stacks = mmap(NULL, 2 * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long before;

	must(stacks != MAP_FAILED);
	/* whose frames are taken for left, until the first of them returns */
	start_coroutines(stacks, stacks + STACK);
	before = count("descend", "returns");
	start_coroutines(stacks, stacks + STACK);
	_exit(count("descend", "returns") - before == 8 && count("descend", "pending") == 0);
}

/* Seen to fail when a call that had returned after all was no proof of that. */
static void coroutines_may_have_stacks_in_one_mapping(void)
{
	int status;

	probe_targets();
	status = in_child(child_has_stacks_in_one_mapping);
	disable_all();
	check(WIFEXITED(status) && WEXITSTATUS(status) == 1, "coroutines_may_have_stacks_in_one_mapping");
	check(count("descend", "entries") == 16 && is_balanced("descend"),
	      "coroutines_with_stacks_in_one_mapping_are_accounted_for");
	remove_all();
}

static ucontext_t resume_in_other_thread;

static void switch_out(void)
{
	swapcontext(&inside[0], &outside);
}

static volatile unsigned int migrated;

static void migrant(void)
{
	migrated = descend(3, switch_out);
	setcontext(&resume_in_other_thread);
}

static void *resume_migrant(void *unused UNUSED)
{
	swapcontext(&resume_in_other_thread, &inside[0]);
	return NULL;
}

static void *start_migrant(void *stack)
{
	getcontext(&inside[0]);
	inside[0].uc_stack.ss_sp = stack;
	inside[0].uc_stack.ss_size = STACK;
	inside[0].uc_link = NULL;
	makecontext(&inside[0], migrant, 0);
	swapcontext(&outside, &inside[0]);
	return NULL;
}

static void child_moves_coroutine(void)
{
	char *stack = make_stack();
	pthread_t thread;

	must(!pthread_create(&thread, NULL, start_migrant, stack));
	pthread_join(thread, NULL);
	must(!pthread_create(&thread, NULL, resume_migrant, NULL));
	pthread_join(thread, NULL);
	_exit(migrated);
}

/* In a child, because stock kills it. */
static void coroutine_may_return_in_another_thread(void)
{
	unsigned int wanted = descend(3, do_nothing);
	int status;

	probe_targets();
	status = in_child(child_moves_coroutine);
	disable_all();
	check(WIFEXITED(status) && WEXITSTATUS(status) == (int)wanted, "coroutine_may_return_in_another_thread");
	check(count("descend", "entries") == 4 && is_balanced("descend"),
	      "coroutine_in_another_thread_is_accounted_for");
	remove_all();
}

static pthread_barrier_t is_switched_out, is_over;

/* Its first thread lives on, and calls in between. */
static void *start_migrant_and_stay(void *stack)
{
	start_migrant(stack);
	descend(2, do_nothing);
	pthread_barrier_wait(&is_switched_out);
	pthread_barrier_wait(&is_over);
	return NULL;
}

static unsigned long were_pending;

static void child_moves_coroutine_between_threads(void)
{
	char *stack = make_stack();
	pthread_t first, second;

	pthread_barrier_init(&is_switched_out, NULL, 2);
	pthread_barrier_init(&is_over, NULL, 2);
	must(!pthread_create(&first, NULL, start_migrant_and_stay, stack));
	pthread_barrier_wait(&is_switched_out);
	were_pending = count("descend", "pending");
	must(!pthread_create(&second, NULL, resume_migrant, NULL));
	pthread_join(second, NULL);
	pthread_barrier_wait(&is_over);
	pthread_join(first, NULL);
	_exit(were_pending == 4 ? migrated : 0);
}

static void coroutine_returns_in_another_thread(void)
{
	unsigned int wanted = descend(3, do_nothing);
	int status;

	probe_targets();
	status = in_child(child_moves_coroutine_between_threads);
	disable_all();
	check(WIFEXITED(status) && WEXITSTATUS(status) == (int)wanted, "calls_of_a_coroutine_are_pending");
	check_counts("descend", 7, 7, "exit", 0, "coroutine_returns_in_another_thread");
	remove_all();
}

/* ---- seccomp ------------------------------------------------------------ */

static void child_may_only_read_write_and_exit(void)
{
	int i, sum = 0;

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		_exit(99);
	for (i = 0; i < 10; i++)
		sum += plain(i) + descend(2, do_nothing);
	syscall(SYS_exit, sum);
}

static void strict_seccomp_permits_returns(void)
{
	int status;

	probe_targets();
	status = in_child(child_may_only_read_write_and_exit);
	disable_all();
	check(WIFEXITED(status) && WEXITSTATUS(status) == 55 + 130, "strict_seccomp_permits_returns");
	check_counts("descend", 30, 30, NULL, 0, "strict_seccomp_permits_counting");
	remove_all();
}

#ifdef __x86_64__
static void child_says_that_it_returns(void)
{
	/* of stock's trampoline */
	syscall(335);
}

static void nobody_may_say_that_it_returns(void)
{
	int status;

	probe_targets();
	status = in_child(child_says_that_it_returns);
	disable_all();
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGILL, "nobody_may_say_that_it_returns");
	remove_all();
}
#else
static void nobody_may_say_that_it_returns(void)
{
}
#endif

int main(void)
{
	longjmp_abandons_what_it_passes();
	longjmp_in_a_loop_leaves_no_call_behind();
	processes_end_inside_calls();
	threads_end_inside_calls();
	cancelled_threads_end_inside_calls();
	execve_ends_the_calls_of_other_threads();
	events_may_go_inside_a_call();
	events_may_be_switched_off_inside_a_call();
	forked_child_returns_from_its_parents_calls();
	children_in_the_same_address_space();
	handlers_may_run_on_another_stack();
	coroutines_keep_their_calls_apart();
	coroutines_may_have_stacks_in_one_mapping();
	coroutine_may_return_in_another_thread();
	coroutine_returns_in_another_thread();
	strict_seccomp_permits_returns();
	nobody_may_say_that_it_returns();
	return finish();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Is a call seen to return to code that can't have a breakpoint: generated code, and text that the program writes?
 *
 * The stack is touched then, by the trampoline. The program must compute the same nevertheless: whatever becomes of the
 * call, in whichever process, under filters of system calls, and with probes that come and go meanwhile.
 *
 * Seen to fail: all that count returns, with kernel.uprobe_trampoline = 0.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <execinfo.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <ucontext.h>
#include <linux/seccomp.h>

#include "code_file.h"

#define FILE_PATH	"/tmp/calls_from_generated_code.code"
#define SWITCH		"/proc/sys/kernel/uprobe_trampoline"
#define SITES_LIMIT	"/proc/sys/kernel/uprobe_max_return_sites"
#define DEPTH		1000

/* caller(f, x): f(x) + 1 */
static const char caller_code[] =
#ifdef __x86_64__
	"\x53"			/* push %rbx */
	"\x48\x89\xf8"		/* mov %rdi,%rax */
	"\x89\xf7"		/* mov %esi,%edi */
	"\xff\xd0"		/* call *%rax */
	"\x83\xc0\x01"		/* add $1,%eax */
	"\x5b\xc3";		/* pop %rbx; ret */
#define RETURNS_TO	8
#else
	"\x8b\x44\x24\x04"	/* mov 4(%esp),%eax */
	"\x8b\x4c\x24\x08"	/* mov 8(%esp),%ecx */
	"\x83\xec\x08\x51"	/* sub $8,%esp; push %ecx */
	"\xff\xd0"		/* call *%eax */
	"\x83\xc4\x0c"		/* add $12,%esp */
	"\x83\xc0\x01\xc3";	/* add $1,%eax; ret */
#define RETURNS_TO	14
#endif

static int (*caller)(int (*f)(int), int x);

static void *generate(const void *code, size_t len)
{
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED);
	memcpy(p, code, len);
	must(!mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	return p;
}

/* ---- targets ------------------------------------------------------------ */

PROBED int plain(int x)
{
	asm volatile("");
	return 3 * x;
}

/* Enters plain() by a jump: both return together. */
int tail(int x);
asm(".text; .balign 16; .globl tail; .type tail, @function; tail: nop; jmp plain; .size tail, . - tail");

static void (*at_the_bottom)(void);

static PROBED int descend(int n)
{
	int r;

	if (!n) {
		if (at_the_bottom)
			at_the_bottom();
		return 0;
	}
	r = caller(descend, n - 1);
	asm volatile("");
	return r + 1;
}

static void at_bottom_of(int depth, void (*what)(void), const char *name)
{
	at_the_bottom = what;
	equal(caller(descend, depth), 2 * depth + 1, "%s_computes_the_same", name);
	at_the_bottom = NULL;
}

/* ---- subtests ----------------------------------------------------------- */

static void probe(void)
{
	define_both("plain", plain);
	define_both("tail", tail);
	define_both("descend", descend);
	enable_all();
}

static void all_return(const char *event, unsigned long calls, const char *name)
{
	equal(count(event, "entries"), calls, "%s_are_entered", name);
	equal(count(event, "returns"), calls, "%s_return", name);
	check(is_balanced(event), "%s_are_balanced", name);
}

static void plain_calls_return(void)
{
	int i, wrong = 0;

	probe();
	for (i = 0; i < DEPTH; i++)
		wrong += caller(plain, i) != 3 * i + 1;
	equal(wrong, 0, "calls_from_generated_code_compute_the_same");
	all_return("plain_ret", DEPTH, "calls_from_generated_code");
	for (i = 0; i < DEPTH; i++)
		wrong += caller(tail, i) != 3 * i + 1;
	equal(wrong, 0, "tail_calls_from_generated_code_compute_the_same");
	all_return("tail_ret", DEPTH, "tail_calls_from_generated_code");
	all_return("plain_ret", 2 * DEPTH, "functions_entered_by_a_jump");
	at_bottom_of(DEPTH, NULL, "recursion");
	at_bottom_of(DEPTH, NULL, "recursion_again");
	all_return("descend_ret", 2 * (DEPTH + 1), "recursive_calls");
	remove_all();
}

static void written_text_is_returned_to(void)
{
	int (*own)(int (*f)(int), int x);
	char *code;

	probe();
	make_code_file(FILE_PATH);
	code = map_code(FILE_PATH, NULL, 0, CODE_PAGES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE);
	memcpy(code, caller_code, sizeof(caller_code));
	own = (void *)code;
	equal(own(plain, 5), 16, "call_from_written_text_computes_the_same");
	all_return("plain_ret", 1, "call_from_written_text");
	remove_all();
}

static pid_t child;

static void fork_here(void)
{
	child = fork();
	must(child >= 0);
}

static void children_return_from_their_parents_calls(void)
{
	int status = -1;

	probe();
	at_the_bottom = fork_here;
	status = caller(descend, 20);
	if (!child)
		_exit(status == 41 && caller(plain, 1) == 4 ? 0 : 1);
	equal(status, 41, "parent_computes_the_same");
	must(waitpid(child, &status, 0) == child);
	equal(status, 0, "child_computes_the_same");
	at_the_bottom = NULL;
	equal(count("descend_ret", "inherited"), 21, "calls_are_inherited");
	equal(count("descend_ret", "returns"), 42, "inherited_calls_return");
	check(is_balanced("descend_ret"), "inherited_calls_are_balanced");
	remove_all();
}

static void switch_off(void)
{
	disable_all();
}

static void switch_off_and_fork(void)
{
	disable_all();
	fork_here();
}

static void probes_leave_during_calls(void)
{
	int status = -1;

	probe();
	at_bottom_of(100, switch_off, "unregistering");
	equal(count("descend_ret", "unregistered"), 101, "calls_of_what_was_unregistered_are_counted");
	enable_all();
	at_the_bottom = switch_off_and_fork;
	status = caller(descend, 100);
	if (!child)
		_exit(status == 201 ? 0 : 1);
	equal(status, 201, "parent_of_an_unprobed_child_computes_the_same");
	must(waitpid(child, &status, 0) == child);
	equal(status, 0, "unprobed_child_computes_the_same");
	at_the_bottom = NULL;
	remove_all();
}

static jmp_buf target;

static void jump(void)
{
	longjmp(target, 1);
}

static void jumps_leave_calls(void)
{
	probe();
	at_the_bottom = jump;
	if (!setjmp(target))
		caller(descend, 50);
	at_bottom_of(60, NULL, "calls_after_a_jump");
	/* the outermost ones are above all that has been called since */
	equal(count("descend_ret", "unwound") + count("descend_ret", "pending"), 51, "jump_leaves_calls");
	check(count("descend_ret", "unwound") >= 45, "jump_shows_in_later_calls");
	equal(count("descend_ret", "returns"), 61, "calls_after_a_jump_return");
	check(is_balanced("descend_ret"), "jump_is_balanced");
	remove_all();
}

static void call_under_strict_seccomp(void)
{
	bool right;

	must(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	right = caller(plain, 7) == 22;
	syscall(SYS_exit, right ? 0 : 1);
}

#ifdef PR_SET_SYSCALL_USER_DISPATCH
static void call_under_dispatch(void)
{
	static char selector;
	bool right;

	must(!prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector));
	selector = SYSCALL_DISPATCH_FILTER_BLOCK;
	right = caller(plain, 7) == 22;
	selector = SYSCALL_DISPATCH_FILTER_ALLOW;
	_exit(right ? 0 : 1);
}
#endif

static void filters_see_nothing(void)
{
	probe();
	equal(in_child(call_under_strict_seccomp), 0, "strict_seccomp_permits_returns");
	all_return("plain_ret", 1, "calls_under_strict_seccomp");
#ifdef PR_SET_SYSCALL_USER_DISPATCH
	equal(in_child(call_under_dispatch), 0, "dispatch_of_system_calls_permits_returns");
	all_return("plain_ret", 2, "calls_under_dispatch");
#endif
	remove_all();
}

/* What the function sees of its return word, and what a debugger does. */
static unsigned long seen_by_itself, seen_by_debugger, trampoline;

static PROBED int looks(int x)
{
	char *word = (char *)__builtin_frame_address(0) + sizeof(long);
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

	seen_by_itself = *(volatile unsigned long *)word;
	must(pread(fd, &seen_by_debugger, sizeof(long), (uintptr_t)word) == sizeof(long));
	close(fd);
	return x;
}

static void debuggers_see_the_caller(void)
{
	unsigned long back = (uintptr_t)caller + RETURNS_TO;

	define('r', "looks", looks, "");
	enable_all();
	equal(caller(looks, 1), 2, "looking_computes_the_same");
	all_return("looks", 1, "call_that_looks");
	check(seen_by_itself != back && *(char *)seen_by_itself == 0, "return_word_leads_to_the_trampoline");
	check(seen_by_debugger == back, "debugger_sees_the_caller");
	trampoline = seen_by_itself;
	remove_all();
}

/* The stack is touched when all have seen it. */
static void entries_see_the_caller(void)
{
	char wanted[64], *trace;

	define_both("plain", plain);
	define('p', "stack", plain, sizeof(long) == 8 ? "caller=$stack0:x64" : "caller=$stack0:x32");
	enable_all();
	must(!write_file(TRACING "trace", O_TRUNC, ""));
	equal(caller(plain, 1), 4, "entry_that_looks_at_the_stack_computes_the_same");
	trace = read_file(TRACING "trace", NULL);
	must(trace);
	sprintf(wanted, "caller=0x%lx\n", (unsigned long)caller + RETURNS_TO);
	check(strstr(trace, wanted) != NULL, "entry_sees_the_caller");
	free(trace);
	all_return("plain_ret", 1, "call_whose_entry_is_recorded");
	remove_all();
}

/* A stack that others may read says what it says. */
static int (*called_on_stack)(int x);
static int result;

static void *run_caller(void *unused)
{
	result = caller(called_on_stack, 5);
	return unused;
}

static void shared_stacks_are_untouched(void)
{
	void *stack = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attr;
	pthread_t thread;

	must(stack != MAP_FAILED && !pthread_attr_init(&attr) && !pthread_attr_setstack(&attr, stack, 1 << 20));
	define('r', "looks", looks, "");
	enable_all();
	called_on_stack = looks;
	must(!pthread_create(&thread, &attr, run_caller, NULL) && !pthread_join(thread, NULL));
	equal(result, 6, "call_on_a_shared_stack_computes_the_same");
	check(seen_by_itself == (uintptr_t)caller + RETURNS_TO, "shared_stack_is_untouched");
	equal(count("looks", "no-site"), 1, "return_on_a_shared_stack_is_missed");
	check(is_balanced("looks"), "call_on_a_shared_stack_is_balanced");
	remove_all();
	munmap(stack, 1 << 20);
}

#ifdef __x86_64__
/* It takes its return word away, and another call comes in its place. */
int jumps_back(int x);
asm(".text; .balign 16; .globl jumps_back; .type jumps_back, @function\n"
    "jumps_back: nop; pop word_of_jumps_back(%rip); call inside; jmp *word_of_jumps_back(%rip)\n"
    ".size jumps_back, . - jumps_back\n"
    ".local word_of_jumps_back; .comm word_of_jumps_back, 8, 8");

static volatile uintptr_t *place_of_inside;
static uintptr_t held_there;

PROBED int inside(int x)
{
	place_of_inside = (uintptr_t *)__builtin_frame_address(0) + 1;
	held_there = *place_of_inside;
	if (at_the_bottom)
		at_the_bottom();
	return plain(x);
}

static jmp_buf out;

static uintptr_t place_of_leaves;

PROBED int leaves(int x)
{
	place_of_leaves = (uintptr_t)__builtin_frame_address(0) + sizeof(long);
	longjmp(out, x);
}

/* Its word lies around, of another caller, and what comes later stands higher. */
static int (*other_caller)(int (*f)(int), int x);

/* What returns there by mistake has another value. */
static int (*generate_other_caller(void))(int (*f)(int), int x)
{
	char code[sizeof(caller_code)];

	memcpy(code, caller_code, sizeof(code));
	code[RETURNS_TO + 2] = 0x40;
	return generate(code, sizeof(code));
}

static __attribute__((noinline)) void leave_deep_below(void)
{
	volatile char gap[300];

	gap[0] = other_caller(leaves, 1);
	must(gap[0]);
}

static __attribute__((noipa, used)) int leaves_inside(int x)
{
	if (!setjmp(out))
		leave_deep_below();
	if (at_the_bottom)
		at_the_bottom();
	return 3 * x;
}

static __attribute__((noinline)) void leave_near_below(void)
{
	volatile int value = other_caller(leaves, 1);

	must(value);
}

static uintptr_t place_of_leaves_near;

static __attribute__((noipa, used)) int leaves_near_inside(int x)
{
	place_of_leaves_near = (uintptr_t)__builtin_frame_address(0) + sizeof(long);
	if (!setjmp(out))
		leave_near_below();
	return 3 * x;
}

/* What stands in place of its word is the word of a call. */
int calls_in_its_place(int x);
asm(".text; .balign 16; .globl calls_in_its_place; .type calls_in_its_place, @function\n"
    "calls_in_its_place: nop; pop word_of_calls_in_its_place(%rip); call leaves_near_inside\n"
    "jmp *word_of_calls_in_its_place(%rip)\n"
    ".size calls_in_its_place, . - calls_in_its_place\n"
    ".local word_of_calls_in_its_place; .comm word_of_calls_in_its_place, 8, 8");

/* What stands in place of its word is no other call's. */
int keeps_its_word(int x);
asm(".text; .balign 16; .globl keeps_its_word; .type keeps_its_word, @function\n"
    "keeps_its_word: nop; pop word_of_keeps_its_word(%rip); push $0; push $0; call leaves_inside\n"
    "add $16, %rsp; jmp *word_of_keeps_its_word(%rip)\n"
    ".size keeps_its_word, . - keeps_its_word\n"
    ".local word_of_keeps_its_word; .comm word_of_keeps_its_word, 8, 8");

static void fork_twice(void)
{
	int status = -1;
	pid_t pid;

	disable_all();
	fork_here();
	if (child)
		return;
	pid = fork();
	if (pid && (waitpid(pid, &status, 0) != pid || status))
		_exit(2);
}

static ucontext_t here, elsewhere;

static void fork_and_go_back(void)
{
	fork_here();
	must(!swapcontext(&elsewhere, &here));
}

static void fork_elsewhere(void)
{
	static char stack[64 << 10];

	must(!getcontext(&elsewhere));
	elsewhere.uc_stack.ss_sp = stack;
	elsewhere.uc_stack.ss_size = sizeof(stack);
	makecontext(&elsewhere, fork_and_go_back, 0);
	must(!swapcontext(&here, &elsewhere));
}

/* Parent and child come back from @f. */
static void both_jump_back(int (*f)(int), void (*forks)(void), const char *name)
{
	int status = -1, value;

	at_the_bottom = forks;
	value = caller(f, 5);
	if (!child)
		_exit(value == 16 ? 0 : 1);
	at_the_bottom = NULL;
	equal(value, 16, "function_that_jumps_back_in_the_parent_%s_computes_the_same", name);
	must(waitpid(child, &status, 0) == child);
	equal(status, 0, "function_that_jumps_back_in_the_child_%s_computes_the_same", name);
}

static void functions_may_jump_back(void)
{
	uintptr_t word;
	int value;

	define('r', "jumps_back", jumps_back, "");
	enable_all();
	value = caller(jumps_back, 5);
	word = *place_of_inside;
	equal(value, 16, "function_that_jumps_back_computes_the_same");
	check(word == held_there, "what_stands_in_place_of_its_word_stays");
	all_return("jumps_back", 1, "function_that_jumps_back");
	define('r', "leaves", leaves, "");
	enable_all();
	other_caller = generate_other_caller();
	if (!setjmp(out))
		leave_deep_below();
	value = caller(jumps_back, 5);
	equal(value, 16, "function_that_jumps_back_above_a_left_frame_computes_the_same");
	all_return("jumps_back", 2, "function_that_jumps_back_above_a_left_frame");
	check(is_balanced("leaves"), "left_frame_below_is_balanced");
	/* what it calls takes its place on the stack, for all that can be told from there */
	define('r', "inside", inside, "");
	enable_all();
	equal(caller(jumps_back, 5), 16, "function_that_jumps_back_over_another_computes_the_same");
	all_return("inside", 1, "function_in_its_place");
	if (!setjmp(out))
		leave_deep_below();
	value = caller(jumps_back, 5);
	equal(value, 16, "function_that_jumps_back_over_another_and_above_a_left_frame_computes_the_same");
	all_return("inside", 2, "function_in_its_place_above_a_left_frame");
	check(is_balanced("jumps_back"), "function_that_jumps_back_over_another_is_balanced");
	disable("inside");
	both_jump_back(jumps_back, fork_here, "of_fork");
	define('r', "calls_in_its_place", calls_in_its_place, "");
	enable("calls_in_its_place");
	equal(caller(calls_in_its_place, 5), 16, "function_that_jumps_back_beside_a_left_frame_computes_the_same");
	check(place_of_leaves < place_of_leaves_near && place_of_leaves >= place_of_leaves_near - 128,
	      "left_frame_is_near");
	all_return("calls_in_its_place", 1, "function_that_jumps_back_beside_a_left_frame");
	define('r', "keeps_its_word", keeps_its_word, "");
	enable("keeps_its_word");
	equal(caller(keeps_its_word, 5), 16, "function_that_jumps_back_over_data_and_left_frames_computes_the_same");
	all_return("keeps_its_word", 1, "function_that_jumps_back_over_data_and_left_frames");
	both_jump_back(keeps_its_word, fork_elsewhere, "of_fork_on_another_stack");
	equal(count("keeps_its_word", "returns"), 3, "calls_in_parent_and_child_return");
	both_jump_back(keeps_its_word, fork_twice, "of_fork_when_probes_have_gone");
	enable_all();
	both_jump_back(jumps_back, fork_twice, "of_fork_over_another_when_probes_have_gone");
	remove_all();
}

/* pusher(f, x): f(x) + 2, where f() takes two arguments more from the stack, and away */
static const char pusher_code[] =
	"\x53"				/* push %rbx */
	"\x48\x89\xf8"			/* mov %rdi,%rax */
	"\x89\xf7"			/* mov %esi,%edi */
	"\x6a\x00\x6a\x00"		/* push $0; push $0 */
	"\xff\xd0"			/* call *%rax */
	"\x83\xc0\x02"			/* add $2,%eax */
	"\x5b\xc3";			/* pop %rbx; ret */

static int (*pusher)(int (*f)(int), int x);

int takes_away(int x);
asm(".text; .balign 16; .globl takes_away; .type takes_away, @function\n"
    "takes_away: nop; lea (%rdi,%rdi,2), %eax; ret $16\n"
    ".size takes_away, . - takes_away");

int pushes_again(int x);
asm(".text; .balign 16; .globl pushes_again; .type pushes_again, @function\n"
    "pushes_again: nop; lea (%rdi,%rdi,2), %eax; pop %rcx; add $16, %rsp; push %rcx; ret\n"
    ".size pushes_again, . - pushes_again");

/* The same, and what comes then uses the place. */
int jumps_on(int x);
asm(".text; .balign 16; .globl jumps_on; .type jumps_on, @function\n"
    "jumps_on: nop; pop %rcx; add $16, %rsp; push %rcx; jmp uses_the_stack\n"
    ".size jumps_on, . - jumps_on");

__attribute__((noipa, used)) int uses_the_stack(int x)
{
	volatile long place[8] = { x, x, x, x, x, x, x, x };

	return place[0] + place[3] + place[7];
}

/* A word is kept of a call before, just where the stack pointer will have passed. */
static int after_another(int (*f)(int))
{
	return caller(plain, 1) + pusher(f, 5);
}

static int after_one_that_was_left(int (*f)(int))
{
	if (!setjmp(out))
		caller(leaves, 1);
	/* shows that it was left */
	plain(1);
	return pusher(f, 5);
}

/* Nothing shows that it was left. */
static int after_one_unnoticed(int (*f)(int))
{
	if (!setjmp(out))
		caller(leaves, 1);
	return pusher(f, 5);
}

static int above_one_deep_below(int (*f)(int))
{
	if (!setjmp(out))
		leave_deep_below();
	return caller(plain, 1) + pusher(f, 5) - 4;
}

/* As pusher(), with an argument that would be a return address if it were code. */
static int (*generate_pusher_of_lookalike(void))(int (*f)(int), int x)
{
	char code[sizeof(pusher_code) + 6], *data;
	uint32_t argument;

	data = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	must(data != MAP_FAILED);
	memcpy(data, "\xff\xd0", 2);
	argument = (uintptr_t)data + 2;
	memcpy(code, pusher_code, 6);
	/* push $argument, twice */
	code[6] = code[11] = 0x68;
	memcpy(code + 7, &argument, sizeof(argument));
	memcpy(code + 12, &argument, sizeof(argument));
	memcpy(code + 16, pusher_code + 10, sizeof(pusher_code) - 10);
	return generate(code, sizeof(code));
}

static void each_takes_arguments_away(int (*how)(int (*f)(int)), const char *name)
{
	equal(how(takes_away), 17, "function_that_takes_arguments_away_%s_computes_the_same", name);
	equal(how(pushes_again), 17, "function_that_pushes_its_word_again_%s_computes_the_same", name);
	equal(how(jumps_on), 17, "function_that_pushes_its_word_again_and_jumps_on_%s_computes_the_same", name);
}

static void functions_may_take_arguments_away(void)
{
	pusher = generate(pusher_code, sizeof(pusher_code));
	define('r', "plain", plain, "");
	define('r', "takes_away", takes_away, "");
	define('r', "pushes_again", pushes_again, "");
	define('r', "jumps_on", jumps_on, "");
	define('r', "leaves", leaves, "");
	enable_all();
	equal(after_another(takes_away), 21, "function_that_takes_arguments_away_computes_the_same");
	all_return("takes_away", 1, "function_that_takes_arguments_away");
	equal(after_another(pushes_again), 21, "function_that_pushes_its_word_again_computes_the_same");
	all_return("pushes_again", 1, "function_that_pushes_its_word_again");
	equal(after_another(jumps_on), 21, "function_that_pushes_its_word_again_and_jumps_on_computes_the_same");
	all_return("jumps_on", 1, "function_that_pushes_its_word_again_and_jumps_on");
	check(is_balanced("plain"), "function_before_them_is_balanced");
	each_takes_arguments_away(after_one_that_was_left, "after_a_left_frame");
	equal(after_one_unnoticed(takes_away), 17, "function_that_takes_arguments_away_after_one_left_unnoticed_computes_the_same");
	each_takes_arguments_away(above_one_deep_below, "above_a_left_frame");
	pusher = generate_pusher_of_lookalike();
	each_takes_arguments_away(after_one_that_was_left, "with_data_like_a_return_address");
	equal(after_one_unnoticed(takes_away), 17, "function_with_data_like_a_return_address_after_one_left_unnoticed_computes_the_same");
	all_return("takes_away", 6, "functions_that_take_arguments_away");
	all_return("pushes_again", 4, "functions_that_push_their_word_again");
	all_return("jumps_on", 4, "functions_that_push_their_word_again_and_jump_on");
	check(is_balanced("leaves"), "left_frames_in_place_of_arguments_are_balanced");
	remove_all();
}

/* framed(f, x): f(x) + 1, with a frame pointer */
static const char framed_code[] =
	"\x55\x48\x89\xe5"		/* push %rbp; mov %rsp,%rbp */
	"\x48\x89\xf8"			/* mov %rdi,%rax */
	"\x89\xf7"			/* mov %esi,%edi */
	"\xff\xd0"			/* call *%rax */
	"\x83\xc0\x01"			/* add $1,%eax */
	"\x5d\xc3";			/* pop %rbp; ret */
#define FRAMED_RETURNS_TO 11

static int (*framed)(int (*f)(int), int x);

static PROBED __attribute__((optimize("no-omit-frame-pointer"))) int calls_plain(int x)
{
	int r = plain(x);

	asm volatile("" : "+r"(r) : : "memory");
	return r;
}

/* Is @address in the chain of the only sample? */
static bool chain_has(const struct perf_event_mmap_page *page, unsigned long address)
{
	const char *data = (const char *)page + PAGE;
	const struct perf_event_header *header = (const void *)data;
	const uint64_t *chain = (const void *)(header + 1);
	uint64_t i;

	if (!page->data_head || header->type != PERF_RECORD_SAMPLE)
		return false;
	for (i = 1; i <= chain[0]; i++)
		if (chain[i] == address)
			return true;
	return false;
}

static void call_chains_show_the_caller(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.sample_type = PERF_SAMPLE_CALLCHAIN,
		.sample_period = 1,
		.exclude_callchain_kernel = 1,
	};
	struct perf_event_mmap_page *page;
	char *text, wanted[64];
	int fd;

	framed = generate(framed_code, sizeof(framed_code));
	define('r', "calls_plain", calls_plain, "");
	/* its own record is made at the caller */
	must(!event_file("calls_plain", "filter", "common_pid == 0"));
	define('p', "plain", plain, "");
	enable_all();
	text = read_file(TRACING "events/t/plain/id", NULL);
	must(text);
	attr.config = strtoul(text, NULL, 0);
	free(text);
	fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	must(fd >= 0);
	page = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	must(page != MAP_FAILED);
	must(!write_file(TRACING "options/userstacktrace", 0, "1") && !write_file(TRACING "trace", O_TRUNC, ""));
	equal(framed(calls_plain, 5), 16, "chain_computes_the_same");
	must(!write_file(TRACING "options/userstacktrace", 0, "0"));
	check(chain_has(page, (uintptr_t)framed + FRAMED_RETURNS_TO), "call_chain_of_perf_shows_the_caller");
	text = read_file(TRACING "trace", NULL);
	must(text);
	sprintf(wanted, "<%016lx>", (unsigned long)framed + FRAMED_RETURNS_TO);
	check(strstr(text, wanted) != NULL, "call_chain_of_ftrace_shows_the_caller");
	free(text);
	munmap(page, 2 * PAGE);
	close(fd);
	all_return("calls_plain", 1, "call_in_a_chain");
	remove_all();
}
#endif

#ifdef __x86_64__
#define IP(regs)	((regs).rip)
#else
#define IP(regs)	((unsigned long)(regs).eip)
#endif

static void be_stepped(void)
{
	must(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	raise(SIGSTOP);
	_exit(caller(plain, 7) == 22 ? 0 : 1);
}

/* Every instruction, the trampoline being where it is in the parent. */
static void debuggers_step_to_the_caller(void)
{
	int status = 0, steps = 0, there = 0, back = 0;
	struct user_regs_struct regs;
	pid_t pid;

	probe();
	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (!pid)
		be_stepped();
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && ++steps < 100000) {
		must(!ptrace(PTRACE_GETREGS, pid, NULL, &regs));
		there += IP(regs) == trampoline;
		back += IP(regs) == (uintptr_t)caller + RETURNS_TO;
		must(!ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL));
	}
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "stepped_program_computes_the_same");
	equal(there, 0, "debugger_never_stops_at_the_trampoline");
	equal(back, 1, "debugger_stops_at_the_caller");
	all_return("plain_ret", 1, "stepped_calls");
	remove_all();
}

static PROBED int traces(int x)
{
	void *frames[32];

	return x * (backtrace(frames, ARRAY_SIZE(frames)) > 0);
}

static PROBED int ends_thread(int x)
{
	if (x)
		pthread_exit("as it should");
	return x;
}

static void *be_ended(void *unused)
{
	caller(ends_thread, 1);
	return unused;
}

/* Nobody has told the unwinder of the generated code: without probes it is content with that. */
static void unwinders_come_to_an_end(void)
{
	pthread_t thread;
	void *result = NULL;

	define('r', "traces", traces, "");
	define('r', "ends_thread", ends_thread, "");
	enable_all();
	equal(caller(traces, 1), 2, "backtrace_comes_to_an_end");
	all_return("traces", 1, "call_that_traces");
	must(!pthread_create(&thread, NULL, be_ended, NULL));
	must(!pthread_join(thread, &result));
	check(result && !strcmp(result, "as it should"), "pthread_exit_comes_to_an_end");
	check(count("ends_thread", "entries") == 1 && is_balanced("ends_thread"), "call_that_ends_the_thread_is_balanced");
	remove_all();
}

static void go_to_trampoline(void)
{
	((void (*)(void))trampoline)();
}

static void nobody_jumps_there(void)
{
	int status;

	probe();
	must(caller(plain, 1) == 4);
	status = in_child(go_to_trampoline);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "jump_to_the_trampoline_faults");
	remove_all();
}

/* First of all: what earlier calls have left on the stack counts as long as it is there. */
static void descend_in_child(void)
{
	_exit(caller(descend, 99) == 199 ? 0 : 1);
}

static void limits_hold(void)
{
	char *limit = read_file(SITES_LIMIT, NULL);

	probe();
	must(limit && !write_file(SITES_LIMIT, 0, "10"));
	equal(in_child(descend_in_child), 0, "limited_calls_compute_the_same");
	must(!write_file(SITES_LIMIT, 0, limit));
	free(limit);
	equal(count("descend_ret", "no-site"), 90, "calls_beyond_the_limit_are_missed");
	equal(count("descend_ret", "returns"), 10, "calls_within_the_limit_return");
	check(is_balanced("descend_ret"), "limited_calls_are_balanced");
	remove_all();
}

static void nothing_is_touched_if_not_wanted(void)
{
	must(!write_file(SWITCH, 0, "0"));
	probe();
	define('r', "looks", looks, "");
	enable("looks");
	equal(caller(looks, 1), 2, "without_trampoline_it_computes_the_same");
	must(!write_file(SWITCH, 0, "1"));
	check(seen_by_itself == (uintptr_t)caller + RETURNS_TO, "without_trampoline_the_return_word_is_untouched");
	equal(count("looks", "no-site"), 1, "without_trampoline_the_return_is_missed");
	check(is_balanced("looks"), "without_trampoline_calls_are_balanced");
	remove_all();
}

#ifdef __x86_64__
/* calls(f): f(); what returns 0 exits */
static const char vfork_code[] =
	"\x53"			/* push %rbx */
	"\xff\xd7"		/* call *%rdi */
	"\x85\xc0\x75\x09"	/* test %eax,%eax; jne 1f */
	"\x31\xff"		/* xor %edi,%edi */
	"\xb8\x3c\x00\x00\x00"	/* mov $SYS_exit,%eax */
	"\x0f\x05"		/* syscall */
	"\x5b\xc3";		/* 1: pop %rbx; ret */

/* As libc has it: the return word is in a register meanwhile. */
int forks(void);
asm(".text; .balign 16; .globl forks; .type forks, @function\n"
    "forks: nop; pop %rdx; mov $58, %eax; syscall; push %rdx; ret; .size forks, . - forks");

static void vfork_returns_twice(void)
{
	int (*calls)(int (*f)(void)) = generate(vfork_code, sizeof(vfork_code));
	int status = -1, pid;

	define('r', "forks", forks, "");
	enable_all();
	pid = calls(forks);
	check(pid > 0, "vfork_returns_in_the_parent");
	must(waitpid(pid, &status, 0) == pid);
	equal(status, 0, "vfork_returns_in_the_child");
	all_return("forks", 1, "calls_of_vfork");
	remove_all();
}
#endif

int main(void)
{
	caller = generate(caller_code, sizeof(caller_code));
	limits_hold();
	plain_calls_return();
	written_text_is_returned_to();
	children_return_from_their_parents_calls();
	probes_leave_during_calls();
	jumps_leave_calls();
	filters_see_nothing();
	entries_see_the_caller();
	shared_stacks_are_untouched();
	debuggers_see_the_caller();
	debuggers_step_to_the_caller();
	unwinders_come_to_an_end();
	nobody_jumps_there();
	nothing_is_touched_if_not_wanted();
#ifdef __x86_64__
	functions_may_jump_back();
	functions_may_take_arguments_away();
	call_chains_show_the_caller();
	vfork_returns_twice();
#endif
	return finish();
}

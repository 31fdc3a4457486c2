// SPDX-License-Identifier: GPL-2.0
/*
 * Does a signal that arrives around a probe find the program as it would be
 * without one?
 *
 * Handlers see the address of the probed instruction or of the one after it,
 * never a slot; a fault has the address and code of the unprobed fault and the
 * handler may repair it; storms of signals cost neither hits nor results; a
 * program that sets the trap flag, or has breakpoints of its own, gets the
 * same traps.
 *
 * Seen to fail on stock: storm_never_sees_a_slot_*; and it refuses the lock
 * prefix, so that the rest needs ours. stepped_instruction_is_one_hit_by_string:
 * when each round of it that a program or a debugger stepped was a hit.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <sys/time.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "probes.h"

#ifdef __i386__
#define REG_IP	REG_EIP
#define REG_DI	REG_EDI
#define FUNCTION(name, insn)						\
	long name(void *memory, long x);				\
	extern char name##_insn[];					\
	asm(".text\n"							\
	    ".balign 16\n"						\
	    #name ":\n"							\
	    "	push	%edi\n"						\
	    "	push	%ebx\n"						\
	    "	movl	12(%esp), %edi\n"				\
	    "	movl	16(%esp), %eax\n"				\
	    "	movl	$3, %ecx\n"					\
	    "	xorl	%edx, %edx\n"					\
	    #name "_insn:\n"						\
	    "	" insn "\n"						\
	    #name "_next:\n"						\
	    "	pop	%ebx\n"						\
	    "	pop	%edi\n"						\
	    "	ret\n")
#define R(x)	"%e" #x
#else
#define REG_IP	REG_RIP
#define REG_DI	REG_RDI
#define FUNCTION(name, insn)						\
	long name(void *memory, long x);				\
	extern char name##_insn[];					\
	asm(".text\n"							\
	    ".balign 16\n"						\
	    #name ":\n"							\
	    "	push	%rbx\n"						\
	    "	movq	%rsi, %rax\n"					\
	    "	movl	$3, %ecx\n"					\
	    "	xorl	%edx, %edx\n"					\
	    #name "_insn:\n"						\
	    "	" insn "\n"						\
	    #name "_next:\n"						\
	    "	pop	%rbx\n"						\
	    "	ret\n")
#define R(x)	"%r" #x
#endif

/* One of each way in which an instruction is carried out; all return x + 1. */
FUNCTION(by_nop, "nop\n	inc " R(ax));
FUNCTION(by_push, "push " R(ax) "\n	pop " R(bx) "\n	lea 1(" R(bx) "), " R(ax));
FUNCTION(by_lea, "lea 1(" R(ax) "), " R(ax));
FUNCTION(by_lock, "lock incl (" R(di) ")\n	inc " R(ax));
FUNCTION(by_call, "call 1f\n	jmp 2f\n1:	inc " R(ax) "\n	ret\n2:");
FUNCTION(by_jump, "jmp 1f\n	hlt\n1:	inc " R(ax));
FUNCTION(by_jcc, "jne 1f\n	inc " R(ax) "\n1:");
FUNCTION(by_string, "rep stosb\n	sub $3, " R(di) "\n	inc " R(ax));
FUNCTION(by_avx, "vmovdqu (" R(di) "), %ymm0\n	inc " R(ax));
FUNCTION(by_popf, "pushf\n1:	inc " R(ax) "\n	popf");

/* What faults. */
FUNCTION(store, "mov " R(ax) ", (" R(di) ")");
FUNCTION(load, "mov (" R(di) "), " R(ax));
FUNCTION(divide, "div " R(dx));
FUNCTION(jump_to, "call *" R(di));
FUNCTION(own_int3, "nop\n	int3\nown_int3_behind:	inc " R(ax));
extern char own_int3_behind[], store_next[], load_next[];

struct function {
	const char *name;
	long (*call)(void *memory, long x);
	const char *insn;
};

#define F(name)	{ #name, name, name##_insn }
static const struct function functions[] = {
	F(by_nop), F(by_push), F(by_lea), F(by_lock), F(by_call), F(by_jump), F(by_jcc), F(by_string), F(by_avx),
	F(by_popf),
};

static char memory[64] __attribute__((aligned(64)));

static PROBED long leaf(long x)
{
	return x + 3;
}

/* ---- where a thread is seen --------------------------------------------- */

static struct {
	unsigned long start, end;
} areas[16];

static void find_areas(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	size_t n = 0;

	memset(areas, 0, sizeof(areas));
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "[uprobes]") && n < ARRAY_SIZE(areas))
			n += sscanf(line, "%lx-%lx", &areas[n].start, &areas[n].end) == 2;
	fclose(maps);
}

static bool is_in_area(unsigned long ip)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(areas); i++)
		if (ip >= areas[i].start && ip < areas[i].end)
			return true;
	return false;
}

static unsigned long ip_of(void *context)
{
	return ((ucontext_t *)context)->uc_mcontext.gregs[REG_IP];
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART };

	/* one at a time, or the handlers' counters would need atomic operations */
	sigfillset(&action.sa_mask);
	must(!sigaction(signal, &action, NULL));
}

/* ---- storms ------------------------------------------------------------- */

static volatile int nr_signals, nr_in_area, nr_wrong;
static volatile bool stop;

static void in_storm(int signal UNUSED, siginfo_t *info UNUSED, void *context)
{
	nr_signals++;
	nr_in_area += is_in_area(ip_of(context));
	/* hits of its own */
	nr_wrong += leaf(nr_signals) != nr_signals + 3;
}

static void *fire_signals(void *tid)
{
	while (!stop) {
		syscall(SYS_tgkill, getpid(), *(int *)tid, SIGUSR1);
		usleep(50);
	}
	return NULL;
}

#define CALLS	300

static void storms_cost_nothing(void)
{
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } }, never = {};
	int tid = syscall(SYS_gettid);
	int i, calls_of_handler, nr_wrong_results;
	sigset_t all, old;
	pthread_t thread;
	size_t f;

	handle(SIGUSR1, in_storm);
	handle(SIGALRM, in_storm);
	for (f = 0; f < ARRAY_SIZE(functions); f++) {
		define('p', functions[f].name, functions[f].insn, "");
		/* the function's own start, too, and its return */
		define('r', "ret", (const void *)functions[f].call, "");
		define('r', "leaf", (const void *)leaf, "");
		enable_all();
		functions[f].call(memory, 0);
		leaf(0);
		find_areas();

		nr_signals = nr_in_area = nr_wrong = nr_wrong_results = 0;
		stop = false;
		/* none for the other thread: the handler's counters are not atomic */
		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, &old);
		must(!pthread_create(&thread, NULL, fire_signals, &tid));
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		must(!setitimer(ITIMER_REAL, &every, NULL));
		/* on a slow machine the thread may not have had its turn */
		for (i = 0; i < CALLS || nr_signals < 20; i++) {
			long r = functions[f].call(memory, i);

			if (r != i + 1 && nr_wrong_results++ < 3)
				note("%s(%d) is %#lx", functions[f].name, i, r);
		}
		setitimer(ITIMER_REAL, &never, NULL);
		stop = true;
		pthread_join(thread, NULL);
		calls_of_handler = nr_signals;
		disable_all();

		equal(nr_wrong_results, 0, "storm_leaves_results_alone_%s", functions[f].name);
		equal(nr_wrong, 0, "storm_leaves_results_of_handlers_alone_%s", functions[f].name);
		check(!nr_in_area, "storm_never_sees_a_slot_%s", functions[f].name);
		equal(count(functions[f].name, "entries"), i + 1, "storm_keeps_hits_exact_%s", functions[f].name);
		equal(count("ret", "returns"), i + 1, "storm_keeps_returns_exact_%s", functions[f].name);
		equal(count("leaf", "returns"), calls_of_handler + 1, "storm_keeps_hits_of_handlers_exact_%s",
		      functions[f].name);
		remove_all();
	}
}

/* ---- faults ------------------------------------------------------------- */

static struct {
	int signal, code;
	unsigned long address, ip;
	int times;
} seen;

static char *page;
static enum { REPAIR_PAGE, REPAIR_REGISTER, GO_ON, ESCAPE } repair;
static unsigned long go_on_at;
static sigjmp_buf escape;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	seen.signal = signal;
	seen.code = info->si_code;
	seen.address = (unsigned long)info->si_addr;
	seen.ip = regs[REG_IP];
	seen.times++;
	switch (repair) {
	case REPAIR_PAGE:
		must(!mprotect(page, 4096, PROT_READ | PROT_WRITE));
		break;
	case REPAIR_REGISTER:
		regs[REG_DI] = (greg_t)(unsigned long)memory;
		break;
	case GO_ON:
		regs[REG_IP] = go_on_at;
		break;
	case ESCAPE:
		siglongjmp(escape, 1);
	}
}

#define IS_AT(label)	(seen.ip == (unsigned long)(label))

static void protect_page(void)
{
	must(!mprotect(page, 4096, PROT_NONE));
	memset(&seen, 0, sizeof(seen));
}

static void faults_look_like_unprobed(void)
{
	volatile int times;
	long r;

	handle(SIGSEGV, on_fault);
	handle(SIGFPE, on_fault);
	handle(SIGTRAP, on_fault);
	define('p', "store", store_insn, "");
	define('p', "load", load_insn, "");
	define('p', "divide", divide_insn, "");
	define('p', "jump_to", jump_to_insn, "");
	define('p', "own", own_int3_insn, "");
	define('p', "behind", own_int3_behind, "");
	enable_all();

	repair = REPAIR_PAGE;
	protect_page();
	store(page + 8, 77);
	check(IS_AT(store_insn) && seen.address == (unsigned long)page + 8 && seen.signal == SIGSEGV &&
	      seen.code == SEGV_ACCERR && seen.times == 1, "store_fault_has_the_right_addresses");
	equal(*(long *)(page + 8), 77, "store_is_done_after_the_repair");
	protect_page();
	r = load(page + 8, 5);
	check(IS_AT(load_insn) && r == 77 && seen.times == 1, "load_is_done_after_the_repair");

	repair = REPAIR_REGISTER;
	protect_page();
	store(page, 78);
	check(IS_AT(store_insn) && *(long *)memory == 78, "store_uses_the_register_that_the_handler_has_set");

	repair = GO_ON;
	go_on_at = (unsigned long)load_next;
	protect_page();
	r = load(page, 6);
	check(IS_AT(load_insn) && r == 6, "instruction_is_skipped_if_the_handler_says_so");

	repair = ESCAPE;
	memset(&seen, 0, sizeof(seen));
	if (!sigsetjmp(escape, 1))
		divide(NULL, 1);
	check(IS_AT(divide_insn) && seen.signal == SIGFPE && seen.code == FPE_INTDIV &&
	      seen.address == (unsigned long)divide_insn, "division_by_zero_has_the_address_of_the_instruction");

	memset(&seen, 0, sizeof(seen));
	if (!sigsetjmp(escape, 1))
		jump_to(page, 1);
	check(IS_AT(page) && seen.signal == SIGSEGV && seen.address == (unsigned long)page,
	      "call_of_a_bad_address_faults_there");

	repair = GO_ON;
	go_on_at = (unsigned long)own_int3_behind;
	memset(&seen, 0, sizeof(seen));
	r = own_int3(NULL, 8);
	check(IS_AT(own_int3_behind) && seen.signal == SIGTRAP && seen.code == SI_KERNEL && r == 9,
	      "own_breakpoint_beside_probes_is_the_programs");
	check(count("own", "entries") == 1 && count("behind", "entries") == 1, "probes_beside_a_breakpoint_count");

	repair = ESCAPE;
	for (times = 0; times < 100; times++) {
		protect_page();
		if (!sigsetjmp(escape, 1))
			store(page, 1);
	}
	repair = REPAIR_PAGE;
	protect_page();
	store(page + 16, 99);
	equal(*(long *)(page + 16), 99, "escapes_from_faults_leave_no_trace");
	equal(count("store", "entries"), 103, "each_call_is_one_hit_whether_repaired_or_escaped_from");
	equal(count("load", "entries"), 2, "each_call_is_one_hit_whether_repaired_or_skipped");
	remove_all();
}

/* ---- the trap flag ------------------------------------------------------ */

#define MAX_STEPS	64

static volatile int nr_steps;
static unsigned long steps[MAX_STEPS];

static void on_step(int signal UNUSED, siginfo_t *info UNUSED, void *context)
{
	if (nr_steps < MAX_STEPS)
		steps[nr_steps] = ip_of(context);
	nr_steps++;
}

static __attribute__((noinline)) long step_over(const struct function *f)
{
	long r;

	nr_steps = 0;
	memset(steps, 0, sizeof(steps));
#ifdef __i386__
	asm volatile("pushf; orl $0x100, (%%esp); popf" : : : "memory", "cc");
#else
	asm volatile("lea -128(%%rsp), %%rsp; pushf; orl $0x100, (%%rsp); popf; lea 128(%%rsp), %%rsp" : : :
		     "memory", "cc");
#endif
	r = f->call(memory, 5);
#ifdef __i386__
	asm volatile("pushf; andl $~0x100, (%%esp); popf" : : : "memory", "cc");
#else
	asm volatile("lea -128(%%rsp), %%rsp; pushf; andl $~0x100, (%%rsp); popf; lea 128(%%rsp), %%rsp" : : :
		     "memory", "cc");
#endif
	return r;
}

/* Not popf: it clears the flag by which the program steps itself. */
static void trap_flag_steps_the_same(void)
{
	unsigned long wanted[MAX_STEPS];
	int nr_wanted, round;
	size_t f, i;
	long r;

	handle(SIGTRAP, on_step);
	for (f = 0; f < ARRAY_SIZE(functions); f++) {
		for (round = 0; round < 2; round++) {
			if (round) {
				define('p', functions[f].name, functions[f].insn, "");
				enable_all();
			}
			r = step_over(&functions[f]);
			if (round)
				break;
			nr_wanted = nr_steps;
			memcpy(wanted, steps, sizeof(wanted));
		}
		for (i = 0; i < MAX_STEPS && wanted[i] == steps[i]; i++)
			;
		if (i < MAX_STEPS)
			note("step %zu of %d: unprobed %#lx, probed %#lx; instruction %p", i, nr_wanted, wanted[i],
			     steps[i], functions[f].insn);
		check(r == 6 && nr_steps == nr_wanted && i == MAX_STEPS, "trap_flag_steps_the_same_%s",
		      functions[f].name);
		equal(count(functions[f].name, "entries"), 1, "stepped_instruction_is_one_hit_%s", functions[f].name);
		remove_all();
	}
}

/* ---- death -------------------------------------------------------------- */

static void child_hits(void)
{
	size_t f;
	long i;

	for (i = 0;; i++)
		for (f = 0; f < ARRAY_SIZE(functions); f++)
			functions[f].call(memory, i);
}

static void death_may_come_at_any_place(void)
{
	int i, status, killed = 0;
	size_t f;
	pid_t pid;

	for (f = 0; f < ARRAY_SIZE(functions); f++)
		define('p', functions[f].name, functions[f].insn, "");
	enable_all();
	fflush(stdout);
	for (i = 0; i < 40; i++) {
		pid = fork();
		must(pid >= 0);
		if (!pid)
			child_hits();
		usleep(500 + i * 100);
		kill(pid, i & 1 ? SIGKILL : SIGTERM);
		waitpid(pid, &status, 0);
		killed += WIFSIGNALED(status);
	}
	equal(killed, 40, "death_may_come_at_any_place");
	remove_all();
}

int main(void)
{
	size_t f;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(page != MAP_FAILED);
	for (f = 0; f < ARRAY_SIZE(functions); f++)
		must(functions[f].call(memory, 5) == 6);
	storms_cost_nothing();
	faults_look_like_unprobed();
	trap_flag_steps_the_same();
	death_may_come_at_any_place();
	return finish();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Does a debugger read and write a probed program as if there were no probes?
 *
 * Its breakpoints stop the program whether a probe is at the same place or not, and whichever was there first;
 * what it writes is executed; what it takes back leaves the probe; and each arrival is counted once, however the
 * debugger gets the thread over its breakpoint: in place, or by executing the instruction elsewhere.
 *
 * Raw ptrace and /proc/PID/mem; gdb_sees_the_real_program does the same with gdb. What has happened is written down
 * in a trail, and the trail of the probed program is compared with that of the unprobed one.
 *
 * Seen to fail: nearly all of it on a kernel whose mm/memory.c doesn't call uprobe_peek() and uprobe_poke(). Only
 * the counts with uprobe_back_from_trap() emptied (one hit more for each step in place), with the SIGTRAP sent
 * before the consumers are told (one less for each step elsewhere).
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "probes.h"

#define BREAKPOINT	0xcc

/* One instruction of each class at a place of its own, and the return address of the call. */
long traced(long x);
extern char at_nop[], at_push[], at_lea[], at_call[], at_return[], at_popf[], at_jump[], at_load[], at_imm[],
	at_ret[], at_inner[];
extern long loaded;
long loaded = 11;

asm(".text\n"
    ".balign 16\n"
    "traced:\n"
    "at_nop:	nop\n"
    "at_push:	push	%rbx\n"
    "at_lea:	lea	3(%rdi,%rdi), %rax\n"
    "at_call:	call	1f\n"
    "at_return:	test	%rax, %rax\n"
    "	pushf\n"
    "at_popf:	popf\n"
    "at_jump:	jne	2f\n"
    "	ud2\n"
    "2:\n"
    "at_load:	add	loaded(%rip), %rax\n"
    "at_imm:	mov	$7, %ebx\n"
    "	add	%rbx, %rax\n"
    "	pop	%rbx\n"
    "at_ret:	ret\n"
    "at_inner:\n"
    "1:	inc	%rax\n"
    "	ret\n");

/* lea, inc, add, add */
#define RESULT(x, imm)	(2 * (x) + 3 + 1 + 11 + (imm))

static char *const places[] = {
	at_nop, at_push, at_lea, at_call, at_return, at_popf, at_jump, at_load, at_imm, at_ret,
};

/* ---- the debugger's hands ----------------------------------------------- */

static int open_mem(pid_t pid)
{
	char path[64];
	int fd;

	sprintf(path, "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	must(fd >= 0);
	return fd;
}

static void poke(int mem, const void *at, uint8_t byte)
{
	must(pwrite(mem, &byte, 1, (uintptr_t)at) == 1);
}

static uint8_t peek(int mem, const void *at)
{
	uint8_t byte;

	must(pread(mem, &byte, 1, (uintptr_t)at) == 1);
	return byte;
}

/* What the processor reads: our breakpoints, too. */
static uint8_t raw_peek(pid_t pid, const void *at)
{
	uint8_t byte;
	struct iovec to = { &byte, 1 }, from = { (void *)at, 1 };

	must(process_vm_readv(pid, &to, 1, &from, 1, 0) == 1);
	return byte;
}

static void poke_word(pid_t pid, const char *at, uint8_t byte)
{
	long word;

	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, pid, at, 0);
	must(!errno);
	must(!ptrace(PTRACE_POKETEXT, pid, at, (word & ~0xffL) | byte));
}

/* Returns the signal of the stop, 0 if the child has gone. */
static int resume(pid_t pid, int how)
{
	int status;

	must(!ptrace(how, pid, 0, 0));
	must(waitpid(pid, &status, 0) == pid);
	return WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
}

static pid_t start(void (*body)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		must(!ptrace(PTRACE_TRACEME, 0, 0, 0));
		raise(SIGSTOP);
		body();
		_exit(1);
	}
	must(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	must(!ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL));
	return pid;
}

static struct user_regs_struct regs_of(pid_t pid)
{
	struct user_regs_struct regs;

	must(!ptrace(PTRACE_GETREGS, pid, 0, &regs));
	return regs;
}

static void go_to(pid_t pid, const void *ip)
{
	must(!ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rip), ip));
}

/* ---- trails ------------------------------------------------------------- */

#define MAX_STOPS	64

struct stop {
	unsigned long ip, sp, ax, bx, flags;
	int signal, code;
	uint8_t byte;
};

struct trail {
	struct stop stops[MAX_STOPS];
	int nr, status;
};

static void note_stop(struct trail *trail, pid_t pid, int mem, int signal, const void *at)
{
	struct user_regs_struct r = regs_of(pid);
	siginfo_t info;

	must(trail->nr < MAX_STOPS && !ptrace(PTRACE_GETSIGINFO, pid, 0, &info));
	trail->stops[trail->nr++] = (struct stop){
		r.rip, r.rsp, r.rax, r.rbx, r.eflags, signal, info.si_code, peek(mem, at),
	};
}

static bool same(const struct trail *a, const struct trail *b)
{
	int i;

	for (i = 0; i < a->nr && i < b->nr; i++) {
		const struct stop *x = &a->stops[i], *y = &b->stops[i];

		if (!memcmp(x, y, sizeof(*x)))
			continue;
		note("stop %d: unprobed at %#lx signal %d/%d byte %#x, probed at %#lx signal %d/%d byte %#x", i, x->ip,
		     x->signal, x->code, x->byte, y->ip, y->signal, y->code, y->byte);
		return false;
	}
	if (a->nr != b->nr || a->status != b->status)
		note("%d stops and status %#x unprobed, %d and %#x probed", a->nr, a->status, b->nr, b->status);
	return a->nr == b->nr && a->status == b->status;
}

static void end(pid_t pid, struct trail *trail)
{
	int status;

	must(!ptrace(PTRACE_CONT, pid, 0, 0));
	must(waitpid(pid, &status, 0) == pid);
	if (!WIFEXITED(status))
		kill(pid, SIGKILL);
	if (trail)
		trail->status = status;
}

/* ---- breakpoints -------------------------------------------------------- */

#define CALLS	3

static void child_calls(void)
{
	long x, bad = 0;

	for (x = 0; x < CALLS; x++)
		bad += traced(x) != RESULT(x, 7);
	_exit(bad ? 1 : 0);
}

enum way { IN_PLACE, ELSEWHERE, CONTINUED };

/* From behind the breakpoint on over the instruction, as debuggers do it. */
static void step_over(pid_t pid, int mem, const char *at, uint8_t byte, enum way way, struct trail *trail)
{
	switch (way) {
	case IN_PLACE:
		poke_word(pid, at, byte);
		go_to(pid, at);
		note_stop(trail, pid, mem, resume(pid, PTRACE_SINGLESTEP), at);
		poke(mem, at, BREAKPOINT);
		break;
	case ELSEWHERE:
		/* what nop and jne do is easily done by hand; gdb copies the instruction */
		go_to(pid, at == at_nop ? at + 1 : at_load);
		break;
	case CONTINUED:
		/* not behind it at all: it stops once more */
		go_to(pid, at);
		note_stop(trail, pid, mem, resume(pid, PTRACE_CONT), at);
		poke(mem, at, byte);
		go_to(pid, at);
		note_stop(trail, pid, mem, resume(pid, PTRACE_SINGLESTEP), at);
		poke(mem, at, BREAKPOINT);
		break;
	}
}

static __attribute__((noinline)) void break_at(const char *at, enum way way, struct trail *trail)
{
	pid_t pid = start(child_calls);
	int mem = open_mem(pid), i, signal;
	uint8_t byte = peek(mem, at);

	memset(trail, 0, sizeof(*trail));
	poke(mem, at, BREAKPOINT);
	for (i = 0; i < CALLS; i++) {
		signal = resume(pid, PTRACE_CONT);
		if (signal != SIGTRAP)
			break;
		note_stop(trail, pid, mem, signal, at);
		step_over(pid, mem, at, byte, way, trail);
	}
	if (i == CALLS)
		end(pid, trail);
	close(mem);
}

static void breakpoints_stop_the_program(enum way way, const char *name)
{
	static struct trail trails[2][ARRAY_SIZE(places)];
	bool stops = true, right = true, counted = true;
	size_t i;
	int probed;

	for (probed = 0; probed < 2; probed++) {
		for (i = 0; i < ARRAY_SIZE(places); i++) {
			if (way == ELSEWHERE && places[i] != at_nop && places[i] != at_jump)
				continue;
			if (probed) {
				define('p', "at", places[i], "");
				define('p', "begin", traced, "");
				define('r', "end", traced, "");
				define('r', "inner", at_inner, "");
				enable_all();
			}
			break_at(places[i], way, &trails[probed][i]);
			if (!probed)
				continue;
			stops &= same(&trails[0][i], &trails[1][i]) && trails[1][i].nr >= CALLS;
			right &= WIFEXITED(trails[1][i].status) && !WEXITSTATUS(trails[1][i].status);
			if (count("at", "entries") != CALLS || count("begin", "entries") != CALLS ||
			    count("end", "returns") != CALLS || count("end", "missed") ||
			    count("inner", "returns") != CALLS || count("inner", "missed")) {
				note("place %zu: %lu hits, %lu entries, %lu returns, %lu missed, inner %lu and %lu", i,
				     count("at", "entries"), count("begin", "entries"), count("end", "returns"),
				     count("end", "missed"), count("inner", "returns"), count("inner", "missed"));
				counted = false;
			}
			remove_all();
		}
	}
	check(stops, "%s_stops_as_without_probes", name);
	check(right, "%s_leaves_the_program_right", name);
	check(counted, "%s_counts_each_arrival_once", name);
}

/* ---- which was there first ---------------------------------------------- */

static long call_remotely(pid_t pid, int mem, const char *at, uint8_t byte, int *traps)
{
	/* over the SIGSTOP between two calls; returns what traced() returned in the last one */
	int signal;

	*traps = 0;
	while ((signal = resume(pid, PTRACE_CONT)) == SIGTRAP) {
		++*traps;
		poke(mem, at, byte);
		go_to(pid, at);
		must(resume(pid, PTRACE_SINGLESTEP) == SIGTRAP);
		poke(mem, at, BREAKPOINT);
	}
	must(signal == SIGSTOP);
	return regs_of(pid).r15;
}

/* One call between two stops; its result is in a register that the debugger can see. */
static void child_stops(void)
{
	long x;

	for (x = 0;; x++) {
		register long result asm("r15") = traced(x);
		long nr = SYS_kill;

		asm volatile("syscall" : "+a" (nr) : "r" (result), "D" (getpid()), "S" (SIGSTOP)
			     : "rcx", "r11", "memory");
	}
}

static void breakpoint_may_come_first(const char *at, const char *name)
{
	pid_t pid = start(child_stops);
	int mem = open_mem(pid), traps, sum = 0;
	uint8_t byte = peek(mem, at);
	bool right = true;

	poke(mem, at, BREAKPOINT);
	/* unprobed, probed before the breakpoint goes, after it came, unprobed again */
	right &= call_remotely(pid, mem, at, byte, &traps) == RESULT(0, 7);
	sum += traps;
	if (at != at_return)
		define('p', "first", at, "");
	define('r', "end", at_inner, "");
	enable_all();
	right &= call_remotely(pid, mem, at, byte, &traps) == RESULT(1, 7);
	sum += traps;
	check(peek(mem, at) == BREAKPOINT, "%s_is_read_with_a_probe_at_its_place", name);
	poke(mem, at, byte);
	check(peek(mem, at) == byte && raw_peek(pid, at) == BREAKPOINT, "%s_leaves_the_probe_when_it_goes", name);
	right &= call_remotely(pid, mem, at, byte, &traps) == RESULT(2, 7);
	equal(traps, 0, "%s_doesnt_stop_when_it_is_gone", name);
	poke(mem, at, BREAKPOINT);
	disable_all();
	check(peek(mem, at) == BREAKPOINT && raw_peek(pid, at) == BREAKPOINT, "%s_stays_when_the_probe_goes", name);
	right &= call_remotely(pid, mem, at, byte, &traps) == RESULT(3, 7);
	sum += traps;
	equal(sum, 3, "%s_stops_each_time", name);
	check(right, "%s_leaves_the_program_right", name);
	if (at != at_return)
		equal(count("first", "entries"), 2, "%s_leaves_each_hit_to_the_probe", name);
	check(count("end", "returns") == 2 && !count("end", "missed"), "%s_leaves_each_return", name);
	poke(mem, at, byte);
	equal(text_differs(pid, at), 0, "%s_leaves_nothing_behind", name);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(mem);
	remove_all();
}

/* ---- other bytes -------------------------------------------------------- */

static long call_once(pid_t pid)
{
	must(resume(pid, PTRACE_CONT) == SIGSTOP);
	return regs_of(pid).r15;
}

static bool reads_as_the_file(pid_t pid, int mem, const void *at)
{
	uint8_t ours[64], file[64];
	struct place place;
	int fd;

	must(find_place(pid, at, &place));
	fd = open(place.path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && pread(fd, file, sizeof(file), place.offset) == sizeof(file));
	must(pread(mem, ours, sizeof(ours), (uintptr_t)at) == sizeof(ours));
	close(fd);
	return !memcmp(ours, file, sizeof(file));
}

static void writes_are_executed(void)
{
	pid_t pid = start(child_stops);
	int mem = open_mem(pid);
	uint8_t nop = 0x90, first;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		define('p', "all", places[i], "");
	define('p', "imm", at_imm, "");
	define('p', "lea", at_lea, "");
	enable_all();
	check(reads_as_the_file(pid, mem, traced) && raw_peek(pid, at_imm) == BREAKPOINT, "reading_shows_the_file");
	equal(call_once(pid), RESULT(0, 7), "probed_program_is_right");

	/* another operand: the site is decoded anew */
	poke(mem, at_imm + 1, 9);
	equal(peek(mem, at_imm + 1), 9, "written_operand_is_read");
	equal(call_once(pid), RESULT(1, 9), "written_operand_is_used");
	equal(count("imm", "entries"), 2, "written_operand_leaves_the_probe");
	poke(mem, at_imm + 1, 7);
	equal(call_once(pid), RESULT(2, 7), "operand_written_back_is_used");
	equal(count("imm", "entries"), 3, "operand_written_back_leaves_the_probe");

	/* there and back before the program runs: nothing has happened */
	poke(mem, at_imm + 1, 9);
	poke(mem, at_imm + 1, 7);
	equal(call_once(pid), RESULT(3, 7), "operand_written_to_and_fro_is_used");
	equal(count("imm", "entries"), 4, "operand_written_to_and_fro_leaves_the_probe");

	/* another instruction: xor %ebx, %ebx and nops instead of mov $7, %ebx */
	must(pwrite(mem, "\x31\xdb\x90\x90\x90", 5, (uintptr_t)at_imm) == 5);
	equal(peek(mem, at_imm), 0x31, "written_instruction_is_read");
	equal(call_once(pid), RESULT(4, 0), "written_instruction_is_executed");
	equal(count("imm", "entries"), 4, "written_instruction_isnt_the_probes");
	equal(count("imm", "install"), 1, "written_instruction_costs_the_site");
	check(raw_peek(pid, at_imm) == 0x31, "written_instruction_stands_in_memory");
	/* a breakpoint over that */
	poke(mem, at_imm, BREAKPOINT);
	equal(resume(pid, PTRACE_CONT), SIGTRAP, "breakpoint_over_a_written_instruction_stops");
	poke(mem, at_imm, 0x31);
	go_to(pid, at_imm);
	equal(call_once(pid), RESULT(5, 0), "breakpoint_over_a_written_instruction_goes");
	must(pwrite(mem, "\xbb\x07\x00\x00\x00", 5, (uintptr_t)at_imm) == 5);
	equal(call_once(pid), RESULT(6, 7), "instruction_written_back_is_executed");
	equal(count("imm", "entries"), 5, "instruction_written_back_gets_its_probe_back");

	/* only its first byte, and while the program stands there: nop; lea without its REX prefix */
	first = peek(mem, at_lea);
	poke(mem, at_lea, BREAKPOINT);
	equal(resume(pid, PTRACE_CONT), SIGTRAP, "breakpoint_in_between_stops");
	poke(mem, at_lea, nop);
	go_to(pid, at_lea);
	equal(call_once(pid), RESULT(7, 7), "first_byte_that_is_written_is_executed");
	poke(mem, at_lea, first);
	equal(call_once(pid), RESULT(8, 7), "first_byte_that_is_written_back_is_executed");
	equal(count("lea", "entries"), 9, "first_byte_counts_each_arrival_once");

	disable_all();
	equal(text_differs(pid, at_imm), 0, "writing_leaves_nothing_behind");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(mem);
	remove_all();
}

/* ---- fork, and a program that debugs itself ----------------------------- */

static void child_forks(void)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(traced(1) == RESULT(1, 7) ? 0 : 1);
	waitpid(pid, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
}

static void forked_child_inherits_breakpoints(void)
{
	unsigned long child = 0;
	int mem, status;
	pid_t pid;

	define('p', "at", at_lea, "");
	enable("at");
	pid = start(child_forks);
	must(!ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK));
	mem = open_mem(pid);
	poke(mem, at_lea, BREAKPOINT);
	close(mem);
	must(resume(pid, PTRACE_CONT) == SIGTRAP && !ptrace(PTRACE_GETEVENTMSG, pid, 0, &child));
	must(waitpid(child, &status, 0) == (pid_t)child && WIFSTOPPED(status));
	mem = open_mem(child);
	equal(peek(mem, at_lea), BREAKPOINT, "breakpoint_is_in_a_forked_child");
	equal(resume(child, PTRACE_CONT), SIGTRAP, "breakpoint_stops_a_forked_child");
	poke(mem, at_lea, 0x48);
	go_to(child, at_lea);
	close(mem);
	must(!ptrace(PTRACE_DETACH, child, 0, 0) && !ptrace(PTRACE_CONT, pid, 0, 0));
	/* a SIGCHLD stops it on its way */
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
		must(!ptrace(PTRACE_CONT, pid, 0, WSTOPSIG(status)));
	check(WIFEXITED(status) && !WEXITSTATUS(status), "detached_child_is_right");
	equal(count("at", "entries"), 1, "breakpoint_in_a_forked_child_leaves_the_hit_to_the_probe");
	remove_all();
}

static int self_mem;
static volatile sig_atomic_t self_traps;

static void mend(int signal, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)signal;
	(void)info;
	self_traps += regs[REG_RIP] == (greg_t)(at_push + 1);
	poke(self_mem, at_push, 0x53);
	regs[REG_RIP] = (greg_t)at_push;
}

static void program_debugs_itself(void)
{
	struct sigaction action = { .sa_sigaction = mend, .sa_flags = SA_SIGINFO };
	bool right = true;
	long x;

	self_mem = open_mem(getpid());
	sigaction(SIGTRAP, &action, NULL);
	define('p', "at", at_push, "");
	enable("at");
	for (x = 0; x < 10; x++) {
		poke(self_mem, at_push, BREAKPOINT);
		right &= traced(x) == RESULT(x, 7);
	}
	equal(self_traps, 10, "programs_own_breakpoint_gets_to_its_handler");
	check(right, "program_that_handles_its_breakpoints_is_right");
	equal(count("at", "entries"), 10, "programs_own_breakpoint_counts_each_arrival_once");
	remove_all();
	equal(text_differs(getpid(), at_push), 0, "programs_own_breakpoint_leaves_nothing_behind");
	close(self_mem);
	signal(SIGTRAP, SIG_DFL);
}

/* ---- races -------------------------------------------------------------- */

#define RACE_CALLS	20000
#define RACE_TOGGLES	50

/* The nop has one byte: behind the breakpoint is behind the instruction. */
static void ignore(int signal)
{
	(void)signal;
}

static int race_go[2], race_end[2];

/* So many calls, or without an end, until the other side closes its end of the pipe. */
static void run_race(bool toggles)
{
	struct pollfd end = { .fd = race_end[0] };
	long x, bad = 0;
	char go;

	signal(SIGTRAP, ignore);
	close(race_end[1]);
	must(read(race_go[0], &go, 1) == 1);
	for (x = 0; toggles ? x % 100 || !poll(&end, 1, 0) : x < RACE_CALLS; x++)
		bad += traced(x) != RESULT(x, 7);
	_exit(bad ? 1 : 0);
}

static volatile bool race_over;
static unsigned long pokes, wrong_peeks;

/* Returns false when the program has gone. */
static bool poke_and_peek(int mem, uint8_t byte)
{
	uint8_t got;

	if (pwrite(mem, &byte, 1, (uintptr_t)at_nop) != 1 || pread(mem, &got, 1, (uintptr_t)at_nop) != 1)
		return false;
	pokes++;
	wrong_peeks += got != byte;
	return true;
}

static void *poke_without_end(void *mem)
{
	while (!race_over && poke_and_peek(*(int *)mem, BREAKPOINT) && poke_and_peek(*(int *)mem, 0x90))
		;
	return NULL;
}

/* A debugger that doesn't stop its program writes all the time. @toggles: and the probe comes and goes. */
static void race(bool toggles, const char *name)
{
	int mem, status, rounds = 0;
	pthread_t thread;
	pid_t pid;

	must(!pipe(race_go) && !pipe(race_end));
	define('p', "race", at_nop, "");
	define('r', "race_ret", traced, "");
	enable_all();
	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (!pid)
		run_race(toggles);
	close(race_end[0]);
	mem = open_mem(pid);
	race_over = false;
	must(!pthread_create(&thread, NULL, poke_without_end, &mem));
	must(write(race_go[1], "", 1) == 1);
	while (toggles && rounds < RACE_TOGGLES) {
		disable_all();
		enable_all();
		rounds++;
	}
	close(race_end[1]);
	must(waitpid(pid, &status, 0) == pid);
	race_over = true;
	pthread_join(thread, NULL);
	note("%lu writes, %lu hits, probe switched %d times", pokes, count("race", "entries"), rounds);
	check(WIFEXITED(status) && !WEXITSTATUS(status), "%s_leaves_the_program_right", name);
	if (!toggles) {
		equal(count("race", "entries"), RACE_CALLS, "%s_counts_each_arrival_once", name);
		equal(count("race_ret", "returns"), RACE_CALLS, "%s_counts_each_return", name);
	}
	/* each time that the event went off the program may have been inside */
	check(adds_up("race_ret") && count("race_ret", "unregistered") <= (unsigned long)rounds, "%s_loses_nothing", name);
	equal(wrong_peeks, 0, "%s_reads_what_was_written", name);
	close(mem);
	close(race_go[0]);
	close(race_go[1]);
	remove_all();
}

/* The same with a program that stands still. */
static void race_at_rest(void)
{
	pid_t pid = start(child_stops);
	int mem = open_mem(pid), i;
	pthread_t thread;

	define('p', "race", at_nop, "");
	race_over = false;
	must(!pthread_create(&thread, NULL, poke_without_end, &mem));
	for (i = 0; i < 30; i++) {
		enable("race");
		disable("race");
	}
	race_over = true;
	pthread_join(thread, NULL);
	equal(wrong_peeks, 0, "race_at_rest_reads_what_was_written");
	equal(text_differs(pid, at_nop), 0, "race_at_rest_leaves_nothing_behind");
	equal(call_once(pid), RESULT(0, 7), "race_at_rest_leaves_the_program_right");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(mem);
	remove_all();
}

int main(void)
{
	breakpoints_stop_the_program(IN_PLACE, "breakpoint_stepped_in_place");
	breakpoints_stop_the_program(ELSEWHERE, "breakpoint_stepped_elsewhere");
	breakpoints_stop_the_program(CONTINUED, "breakpoint_met_twice");
	breakpoint_may_come_first(at_push, "breakpoint_before_the_probe");
	breakpoint_may_come_first(at_return, "breakpoint_at_a_return_address_of_no_probed_call");
	writes_are_executed();
	forked_child_inherits_breakpoints();
	program_debugs_itself();
	race(false, "race_of_writes");
	race(true, "race_of_writes_and_probes");
	race_at_rest();
	return finish();
}

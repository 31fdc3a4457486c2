// SPDX-License-Identifier: GPL-2.0
/*
 * Does a debugger see a probed program as it is without probes?
 *
 * Single-stepped by ptrace, the program passes the same addresses with the same
 * registers; stopped at any time, it is never in a slot.
 *
 * No watchpoints: a store that is single-stepped and hits one loops for ever in
 * QEMU's TCG, probed or not.
 *
 * Stock refuses the lock prefix. stepping_counts_each_hit_once was seen to fail
 * when each round of a string instruction was a hit.
 */
#define _GNU_SOURCE
#include <sys/ptrace.h>
#include <sys/user.h>

#include "probes.h"

long stepped(long *memory, long x);
extern char insn_nop[], insn_push[], insn_lea[], insn_lock[], insn_call[], insn_jcc[], insn_load[], insn_string[],
	insn_ret[], insn_store[];
static long words[8] __attribute__((aligned(64)));
long *words_address asm("words_address") = words;

asm(".text\n"
    ".balign 16\n"
    "stepped:\n"
    "insn_nop:	nop\n"
    "insn_push:	push	%rbx\n"
    "insn_lea:	lea	3(%rsi,%rsi), %rax\n"
    "insn_lock:	lock incq (%rdi)\n"
    "insn_call:	call	1f\n"
    "	test	%rax, %rax\n"
    "insn_jcc:	je	2f\n"
    "insn_load:	mov	words_address(%rip), %rbx\n"
    "	mov	$3, %ecx\n"
    "insn_string:	rep stosb\n"
    "insn_store:	movq	$5, 8(%rbx)\n"
    "2:	pop	%rbx\n"
    "	ret\n"
    "1:	inc	%rax\n"
    "insn_ret:	ret\n");

static char *const insns[] = {
	insn_nop, insn_push, insn_lea, insn_lock, insn_call, insn_jcc, insn_load, insn_string, insn_ret, insn_store,
};

static void probe_all(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(insns); i++)
		define('p', "insn", insns[i], "");
	enable("insn");
}

/* ---- the traced child --------------------------------------------------- */

static void child_runs(void)
{
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	stepped(words, 5);
	_exit(words[1] == 5 ? 0 : 1);
}

static void child_loops(void)
{
	long i;

	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	for (i = 1;; i++)
		stepped(words, i);
}

static pid_t start(void (*body)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (!pid)
		body();
	must(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Returns the signal of the stop, 0 if the child has gone. */
static int resume(pid_t pid, int how)
{
	int status;

	must(!ptrace(how, pid, 0, 0));
	must(waitpid(pid, &status, 0) == pid);
	return WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
}

static struct user_regs_struct regs_of(pid_t pid)
{
	struct user_regs_struct regs;

	must(!ptrace(PTRACE_GETREGS, pid, 0, &regs));
	return regs;
}

/* ---- stepping ----------------------------------------------------------- */

#define MAX_STEPS	64

/* What the instructions above use. */
struct step {
	unsigned long ip, sp, ax, bx, cx, si, di, flags;
};

struct trail {
	struct step steps[MAX_STEPS];
	int nr, status;
};

static struct step step_of(pid_t pid)
{
	struct user_regs_struct r = regs_of(pid);

	return (struct step){ r.rip, r.rsp, r.rax, r.rbx, r.rcx, r.rsi, r.rdi, r.eflags };
}

/* Records the steps from the first instruction of stepped() until it has returned. */
static __attribute__((noinline)) void follow(struct trail *trail, int how)
{
	pid_t pid = start(child_runs);
	struct step step;
	int outside = 0;

	memset(trail, 0, sizeof(*trail));
	do {
		must(resume(pid, PTRACE_SINGLESTEP) == SIGTRAP && outside++ < 10000);
		step = step_of(pid);
	} while (step.ip != (unsigned long)stepped);
	do {
		trail->steps[trail->nr++] = step;
		if (resume(pid, how) != SIGTRAP)
			break;
		step = step_of(pid);
	} while (trail->nr < MAX_STEPS && step.sp <= trail->steps[0].sp);
	must(!ptrace(PTRACE_CONT, pid, 0, 0));
	must(waitpid(pid, &trail->status, 0) == pid);
}

static bool same_steps(const struct trail *a, const struct trail *b)
{
	int i;

	for (i = 0; i < a->nr && i < b->nr; i++) {
		if (!memcmp(&a->steps[i], &b->steps[i], sizeof(a->steps[i])))
			continue;
		note("step %d: unprobed at %#lx flags %#lx, probed at %#lx flags %#lx", i, a->steps[i].ip,
		     a->steps[i].flags, b->steps[i].ip, b->steps[i].flags);
		return false;
	}
	if (a->nr != b->nr)
		note("%d steps unprobed, %d probed", a->nr, b->nr);
	return a->nr == b->nr;
}

/* One call of follow() for both, so that the stacks are the same. */
static void stepping_shows_the_program(int how, const char *name)
{
	struct trail trails[2];
	int probed;

	for (probed = 0; probed < 2; probed++) {
		if (probed)
			probe_all();
		follow(&trails[probed], how);
		/* QEMU's TCG doesn't know how to stop at branches only */
		if (how == PTRACE_SINGLEBLOCK && trails[probed].steps[1].ip == (unsigned long)insn_push) {
			note("%s: this processor stops after each instruction", name);
			return;
		}
	}
	check(trails[0].nr > 2 && same_steps(&trails[0], &trails[1]), "%s_shows_the_program", name);
	check(WIFEXITED(trails[1].status) && WEXITSTATUS(trails[1].status) == 0, "%s_leaves_the_program_alone",
	      name);
	/* also the repeated one, between whose rounds it is stopped there */
	equal(count("insn", "entries"), ARRAY_SIZE(insns), "%s_counts_each_hit_once", name);
	remove_all();
}

/* ---- stopping ----------------------------------------------------------- */

static bool is_in_area(pid_t pid, unsigned long ip)
{
	struct place place;

	return find_place(pid, (void *)ip, &place) && strstr(place.path, "[uprobes]");
}

static void stopping_shows_the_program(void)
{
	int i, in_area = 0, strange = 0;
	pid_t pid;

	probe_all();
	pid = start(child_loops);
	for (i = 0; i < 200; i++) {
		must(!ptrace(PTRACE_CONT, pid, 0, 0));
		usleep(i % 10 * 100);
		kill(pid, SIGSTOP);
		must(waitpid(pid, NULL, 0) == pid);
		in_area += is_in_area(pid, regs_of(pid).rip);
		/* a debugger may step from wherever it has stopped */
		strange += resume(pid, PTRACE_SINGLESTEP) != SIGTRAP;
		in_area += is_in_area(pid, regs_of(pid).rip);
	}
	end(pid);
	equal(in_area, 0, "stopping_never_shows_a_slot");
	equal(strange, 0, "stopping_and_stepping_gives_sigtrap");
	remove_all();
}

int main(void)
{
	stepping_shows_the_program(PTRACE_SINGLESTEP, "stepping");
	stepping_shows_the_program(PTRACE_SINGLEBLOCK, "stepping_by_blocks");
	stopping_shows_the_program();
	return finish();
}

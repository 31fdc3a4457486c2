// SPDX-License-Identifier: GPL-2.0
/*
 * Does a displaced instruction leave behind what the original would have?
 *
 * The processor itself is asked. A child executes each instruction at its own address from random registers;
 * then emulate.c does the same to a copy of the registers, and the child again in a slot, as step.c has it.
 * Registers, flags, memory, faults and their addresses must be the same. 64- and 32-bit code.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "x86_kernel.h"

#include <kernel_stubs.h>

#include "../../../../arch/x86/kernel/uprobes/emulate.c"
#include "../../../../arch/x86/kernel/uprobes/step.c"

#define CODE		0x10000000UL
#define VADDR		(CODE + 0x800)
#define SLOT		(CODE + 0x3000)
#define CODE_LEN	0x4000UL
#define DATA		0x20000000UL
#define DATA_LEN	0x1000UL
#define ROUNDS		60

static_assert(sizeof(struct pt_regs) == sizeof(struct user_regs_struct));

enum { M64 = 1, M32 = 2, BOTH = M64 | M32 };

static const struct {
	const char	*name;
	int		modes;
	const char	*bytes;		/* 99 99 99 99: displacement of something in DATA */
} cases[] = {
	{ "nop", BOTH, "90" },
	{ "cs nopw", BOTH, "66 2e 0f 1f 84 00 00 00 00 00" },
	{ "endbr64", BOTH, "f3 0f 1e fa" },
	{ "push rbp", BOTH, "55" },
	{ "push rsp", BOTH, "54" },
	{ "push r12", M64, "41 54" },
	{ "push bp", BOTH, "66 55" },
	{ "push sp", BOTH, "66 54" },
	{ "push r15w", M64, "66 41 57" },
	{ "pop rbp", BOTH, "5d" },
	{ "pop rsp", BOTH, "5c" },
	{ "pop r13", M64, "41 5d" },
	{ "pop ax", BOTH, "66 58" },
	{ "pop sp", BOTH, "66 5c" },
	{ "pushf", BOTH, "9c" },
	{ "pushfw", BOTH, "66 9c" },
	{ "jmp rel8", BOTH, "eb 10" },
	{ "jmp rel8 back", BOTH, "eb 80" },
	{ "jmp rel32", BOTH, "e9 00 01 00 00" },
	{ "jmp rel32 far back", BOTH, "e9 00 01 00 f8" },
	{ "jmp out of user space", M64, "e9 00 01 00 80" },
	{ "call", BOTH, "e8 00 01 00 00" },
	{ "call far back", BOTH, "e8 00 01 00 f8" },
	{ "call out of user space", M64, "e8 00 01 00 80" },
	{ "data16 rex.W call", M64, "66 66 48 e8 00 01 00 00" },
	{ "jo", BOTH, "70 10" }, { "jno", BOTH, "71 10" }, { "jb", BOTH, "72 10" }, { "jae", BOTH, "73 10" },
	{ "je", BOTH, "74 10" }, { "jne", BOTH, "75 10" }, { "jbe", BOTH, "76 10" }, { "ja", BOTH, "77 10" },
	{ "js", BOTH, "78 10" }, { "jns", BOTH, "79 10" }, { "jp", BOTH, "7a 10" }, { "jnp", BOTH, "7b 10" },
	{ "jl", BOTH, "7c 10" }, { "jge", BOTH, "7d 10" }, { "jle", BOTH, "7e 10" }, { "jg", BOTH, "7f 10" },
	{ "jle rel32", BOTH, "0f 8e 00 01 00 00" },
	{ "jne rel32 back", BOTH, "0f 85 00 ff ff ff" },
	{ "loopne", BOTH, "e0 10" }, { "loope", BOTH, "e1 10" }, { "loop", BOTH, "e2 10" }, { "jrcxz", BOTH, "e3 10" },
	{ "addr32 loopne", BOTH, "67 e0 10" }, { "addr32 loope", BOTH, "67 e1 10" },
	{ "addr32 loop", BOTH, "67 e2 10" }, { "addr32 jrcxz", BOTH, "67 e3 10" },
	{ "jmp rax", BOTH, "ff e0" },
	{ "notrack jmp rdx", BOTH, "3e ff e2" },
	{ "jmp r11", M64, "41 ff e3" },
	{ "jmp *rip", M64, "ff 25 99 99 99 99" },
	{ "jmp *eip", M64, "67 ff 25 99 99 99 99" },
	{ "jmp *(rbx)", BOTH, "ff 23" },
	{ "jmp *8(rbx,rcx,8)", BOTH, "ff 64 cb 08" },
	{ "jmp *(r13)", M64, "41 ff 65 00" },
	{ "call rax", BOTH, "ff d0" },
	{ "call rsp", BOTH, "ff d4" },
	{ "call *rip", M64, "ff 15 99 99 99 99" },
	{ "call *8(rsp)", BOTH, "ff 54 24 08" },
	{ "call *(rsp)", BOTH, "ff 14 24" },
	{ "addr32 call *(ebx)", M64, "67 ff 13" },
	{ "ret", BOTH, "c3" },
	{ "ret 8", BOTH, "c2 08 00" },
	{ "leave", BOTH, "c9" },
	{ "enter", BOTH, "c8 10 00 01" },
	{ "push imm8", BOTH, "6a ff" },
	{ "push (rbx)", BOTH, "ff 33" },
	{ "pop 8(rsp)", BOTH, "8f 44 24 08" },
	{ "popf", BOTH, "9d" },
	{ "popfw", BOTH, "66 9d" },
	{ "xchg r8,rax", M64, "49 90" },
	{ "xchg eax,eax", BOTH, "87 c0" },
	{ "pause", BOTH, "f3 90" },
	{ "mov rip to rax", M64, "48 8b 05 99 99 99 99" },
	{ "mov imm to rip", M64, "48 c7 05 99 99 99 99 78 56 34 12" },
	{ "mov eip to rax", M64, "67 48 8b 05 99 99 99 99" },
	{ "lea rip", M64, "48 8d 05 99 99 99 99" },
	{ "lock xadd rip", M64, "f0 48 0f c1 05 99 99 99 99" },
	{ "movdqu to rip", M64, "f3 0f 7f 05 99 99 99 99" },
	{ "mov (rbx) to eax", BOTH, "8b 03" },
	{ "mov eax to (rbx)", BOTH, "89 03" },
	{ "lock add", BOTH, "f0 01 03" },
	{ "adc", BOTH, "11 d8" },
	{ "div", BOTH, "f7 f3" },
	{ "cmpxchg8b", BOTH, "0f c7 0b" },
	{ "movsb", BOTH, "a4" },
	{ "rep movsb", BOTH, "f3 a4" },
	{ "rep stosd", BOTH, "f3 ab" },
	{ "repe cmpsb", BOTH, "f3 a6" },
	{ "repne scasb", BOTH, "f2 ae" },
	{ "lock nop", BOTH, "f0 90" },
	{ "inc eax", M32, "40" },
	{ "pusha", M32, "60" },
	{ "popa", M32, "61" },
	{ "bound", M32, "62 03" },
	{ "aam 0", M32, "d4 00" },
	{ "daa", M32, "27" },
	{ "cpuid", BOTH, "0f a2" },
};

/**
 * struct state - of the child
 * @regs: its registers
 * @signal: that stopped it; SIGTRAP is none of its own
 * @data: its memory
 */
struct state {
	struct pt_regs	regs;
	int		signal;
	u8		data[DATA_LEN];
};

static pid_t child;
/*
 * Does this machine run 32-bit code, and code whose stack pointer is no address, and does a single step end
 * behind cpuid? Below some hypervisors, which carry it out themselves, it ends one instruction later.
 */
static bool runs_32bit, takes_any_stack, steps_cpuid;
static unsigned long seed = 88172645463325252UL;

static unsigned long any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static unsigned long any_value(void)
{
	switch (any() % 6) {
	case 0:
		return any() % 4;
	case 1:
		return any();
	case 2:
		return CODE + any() % (SLOT - CODE);
	case 3:
		return any() & 0xffffffff;
	default:
		return DATA + 0x400 + any() % 0x800;
	}
}

static void any_state(struct state *state, bool is_64bit)
{
	struct pt_regs *regs = &state->regs;
	unsigned long *words = (unsigned long *)regs;
	unsigned int i;

	ptrace(PTRACE_GETREGS, child, 0, regs);
	for (i = 0; i < 15; i++)
		words[i] = is_64bit ? any_value() : (u32)any_value();
	if (any() % 8)
		regs->cx = any() % 64;
	regs->sp = DATA + 0x400 + any() % 0x800;
	if (any() % 4)
		regs->sp &= ~7UL;
	if (any() % 16 == 0)
		regs->sp = any() % 2 ? DATA : DATA + DATA_LEN - 4;
	if (any() % 32 == 0 && takes_any_stack)
		regs->sp = is_64bit ? any() | 1UL << 62 : 4;
	regs->ip = VADDR;
	regs->cs = is_64bit ? __USER_CS : __USER32_CS;
	regs->ss = regs->ds = regs->es = __USER_DS;
	regs->orig_ax = -1;
	regs->flags = 0x202 | (any() & (X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF |
					X86_EFLAGS_SF | X86_EFLAGS_DF | X86_EFLAGS_OF));
	if (any() % 8 == 0)
		regs->flags |= X86_EFLAGS_AC;

	for (i = 0; i < DATA_LEN / 8; i++) {
		unsigned long word = any_value();

		/* popf must not set the trap flag: nobody here would expect it */
		word &= ~(X86_EFLAGS_TF | X86_EFLAGS_TF << 32);
		memcpy(state->data + i * 8, &word, 8);
	}
	state->signal = SIGTRAP;
}

static void put(const struct state *state)
{
	memcpy((void *)DATA, state->data, DATA_LEN);
	if (ptrace(PTRACE_SETREGS, child, 0, &state->regs))
		perror("SETREGS");
}

static void get(struct state *state)
{
	memcpy(state->data, (void *)DATA, DATA_LEN);
	/* of the flags only those of user programs; a fault sets RF */
	state->regs.flags &= 0x244dd5;
}

static void run(struct state *state, int how)
{
	int status;

	ptrace(how, child, 0, 0);
	waitpid(child, &status, 0);
	state->signal = WIFSTOPPED(status) ? WSTOPSIG(status) : -1;
	ptrace(PTRACE_GETREGS, child, 0, &state->regs);
}

static void run_original(const struct arch_uprobe *au, const struct state *before, struct state *after)
{
	put(before);
	*after = *before;
	/* as a debugger does it, round by round, while string instructions repeat */
	do {
		run(after, PTRACE_SINGLESTEP);
	} while (after->signal == SIGTRAP && after->regs.ip == VADDR);
	get(after);
	/* PTRACE_SINGLESTEP doesn't hide its trap flag from pushf, and forgets it when popf faults */
	if (after->signal == SIGTRAP && au->op == UPROBE_OP_PUSHF)
		after->data[after->regs.sp - DATA + 1] &= ~1;
	if (after->signal != SIGTRAP && au->op == UPROBE_OP_POPF)
		after->regs.flags &= ~X86_EFLAGS_TF;
}

static bool run_emulated(const struct arch_uprobe *au, const struct state *before, struct state *after)
{
	bool done;

	*after = *before;
	memcpy((void *)DATA, before->data, DATA_LEN);
	done = arch_uprobe_emulate(au, &after->regs, VADDR);
	get(after);
	return done;
}

static void run_in_slot(const struct arch_uprobe *au, const struct state *before, struct state *after)
{
	struct arch_uprobe_task aut;

	memcpy((void *)DATA, before->data, DATA_LEN);
	*after = *before;
	current->thread.trap_nr = 77;
	arch_uprobe_step_begin(au, &aut, &after->regs, SLOT);
	do {
		ptrace(PTRACE_SETREGS, child, 0, &after->regs);
		run(after, PTRACE_CONT);
		if (after->signal != SIGTRAP) {
			current->thread.trap_nr = 14;
			arch_uprobe_step_abort(au, &aut, &after->regs, SLOT, VADDR);
			break;
		}
	} while (arch_uprobe_step_end(au, &aut, &after->regs, SLOT, VADDR) == -EAGAIN);
	get(after);
}

static bool same(const struct state *a, const struct state *b, const char *what)
{
	static const char *const names[] = {
		"r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di",
		"orig_ax", "ip", "cs", "flags", "sp", "ss",
	};
	const unsigned long *x = (const unsigned long *)&a->regs, *y = (const unsigned long *)&b->regs;
	bool equal = true;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (x[i] != y[i] && i != 15) {
			note("%s: %s is %lx, expected %lx", what, names[i], y[i], x[i]);
			equal = false;
		}
	}
	if (memcmp(a->data, b->data, DATA_LEN)) {
		note("%s: memory differs", what);
		equal = false;
	}
	if (a->signal != b->signal) {
		note("%s: signal %d, expected %d", what, b->signal, a->signal);
		equal = false;
	}
	return equal;
}

static bool sees_same_traps(unsigned int nr, unsigned int expected)
{
	if (current->nr_sigtraps == nr + expected && current->thread.trap_nr != UINT_MAX)
		return true;
	note("%u SIGTRAPs instead of %u, trap number %x", current->nr_sigtraps - nr, expected,
	     current->thread.trap_nr);
	return false;
}

static bool round_is_right(const struct arch_uprobe *au, bool is_64bit, unsigned int *nr_emulated)
{
	static struct state before, expected, emulated, in_slot;
	unsigned int nr = current->nr_sigtraps;
	bool done, right = true;

	any_state(&before, is_64bit);
	run_original(au, &before, &expected);
	if (au->class == UPROBE_EMULATED) {
		done = run_emulated(au, &before, &emulated);
		*nr_emulated += done;
		before.regs.flags &= ~X86_EFLAGS_RF;
		if (done)
			right = same(&expected, &emulated, "emulated");
		else if (memcmp(emulated.data, before.data, DATA_LEN) ||
			 emulated.regs.ip != VADDR || emulated.regs.sp != before.regs.sp ||
			 emulated.regs.cx != before.regs.cx) {
			note("emulation failed and has changed something");
			right = false;
		}
	}
	/* a branch that isn't taken never gets into a slot */
	if (!is_relative_branch(au) || expected.regs.ip != VADDR + au->len) {
		bool counts = au->op >= UPROBE_OP_LOOPNE && au->op <= UPROBE_OP_LOOP;

		run_in_slot(au, &before, &in_slot);
		if (counts)
			in_slot.regs.cx = expected.regs.cx;
		right &= same(&expected, &in_slot, "in the slot");
	}
	return right & sees_same_traps(nr, 0);
}

static bool prepare(struct arch_uprobe *au, const char *hex, bool is_64bit)
{
	u8 bytes[UPROBE_MAX_INSN] = {};
	u8 *code = (u8 *)VADDR;
	size_t len = parse_hex(hex, bytes, sizeof(bytes));
	const char *reason;

	memset((void *)CODE, 0x90, CODE_LEN);
	if (arch_uprobe_analyze(au, bytes, sizeof(bytes), is_64bit, &reason) || (au->len != len)) {
		note("err: %s", reason);
		return false;
	}
	if (au->rip_disp) {
		s32 distance = DATA + 0x800 - (VADDR + au->len);

		memcpy(au->insn + au->rip_disp, &distance, sizeof(distance));
	}
	memcpy(code, au->insn, au->len);
	return arch_uprobe_fill_slot(au, (u8 *)SLOT, SLOT, VADDR) == 0;
}

static void check_case(const char *name, const char *hex, bool is_64bit)
{
	unsigned int i, nr_emulated = 0;
	bool right, some;
	struct arch_uprobe au;

	right = prepare(&au, hex, is_64bit);
	for (i = 0; right && i < ROUNDS; i++)
		right = round_is_right(&au, is_64bit, &nr_emulated);
	some = au.class != UPROBE_EMULATED || nr_emulated || strstr(name, "out of user space");
	if (!some)
		note("emulated only %u of %u", nr_emulated, ROUNDS);
	check(right && some, "%s in %s mode does what the original does", name, is_64bit ? "64-bit" : "32-bit");
}

/* Some processors or kernels can't return to such code, whatever it is. */
static bool steps_over(const char *hex, bool is_64bit, unsigned long sp)
{
	static struct state before, after;
	struct arch_uprobe au;

	if (!prepare(&au, hex, is_64bit))
		return false;
	any_state(&before, is_64bit);
	before.regs.sp = sp;
	run_original(&au, &before, &after);
	return after.signal == SIGTRAP && after.regs.ip == VADDR + au.len;
}

static void look_at_machine(void)
{
	runs_32bit = steps_over("90", false, DATA + 0x800);
	takes_any_stack = steps_over("90", true, 1UL << 62);
	steps_cpuid = steps_over("0f a2", true, DATA + 0x800);
	if (!takes_any_stack)
		note("this machine ends programs whose stack pointer is no address: they aren't tried");
}

static void check_in_mode(const char *name, const char *hex, bool is_64bit)
{
	if (!is_64bit && !runs_32bit)
		skip_one("this machine runs no 32-bit code", "%s in 32-bit mode", name);
	else if (!strcmp(name, "cpuid") && !steps_cpuid)
		skip_one("on this machine a step over cpuid ends too late", "%s", name);
	else
		check_case(name, hex, is_64bit);
}

static void check_all(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].modes & M64)
			check_in_mode(cases[i].name, cases[i].bytes, true);
		if (cases[i].modes & M32)
			check_in_mode(cases[i].name, cases[i].bytes, false);
	}
}

/* A debugger or the program has set TF: SIGTRAP after the instruction, and TF stays. */
static bool trap_flag_is_honoured(const char *hex, bool block, unsigned int sigtraps)
{
	static struct state before, after;
	struct arch_uprobe au;
	unsigned int nr = current->nr_sigtraps;
	bool was_block;

	if (!prepare(&au, hex, true))
		return false;
	any_state(&before, true);
	before.regs.sp = DATA + 0x800;
	before.regs.cx = 3;
	before.regs.di = before.regs.si = DATA + 0x100;
	before.regs.flags = 0x202 | X86_EFLAGS_TF;
	memcpy(before.data + 0x800, (unsigned long[]){ CODE }, sizeof(unsigned long));
	current->flags = block ? TIF_BLOCKSTEP : 0;
	current->thread.virtual_dr6 = 0;
	if (au.class != UPROBE_EMULATED || !run_emulated(&au, &before, &after))
		run_in_slot(&au, &before, &after);
	was_block = current->flags & TIF_BLOCKSTEP;
	current->flags = 0;
	if (!sees_same_traps(nr, sigtraps))
		return false;
	if (au.op != UPROBE_OP_POPF && !(after.regs.flags & X86_EFLAGS_TF)) {
		note("the trap flag is gone");
		return false;
	}
	if (block && was_block != !sigtraps) {
		note("block step %d", was_block);
		return false;
	}
	return !!(current->thread.virtual_dr6 & DR_STEP) == !!sigtraps;
}

static void check_traps(void)
{
	check(trap_flag_is_honoured("90", false, 1), "a single step over an emulated instruction traps");
	check(trap_flag_is_honoured("48 89 d8", false, 1), "a single step over a relocated instruction traps");
	check(trap_flag_is_honoured("9d", false, 1), "a single step over popf traps");
	check(trap_flag_is_honoured("f3 a4", false, 1), "a single step over a round of rep movsb traps");
	check(trap_flag_is_honoured("90", true, 0), "a block step over an emulated nop goes on");
	check(trap_flag_is_honoured("48 89 d8", true, 0), "a block step over a relocated instruction goes on");
	check(trap_flag_is_honoured("f3 a4", true, 0), "a block step over rep movsb goes on");
	check(trap_flag_is_honoured("eb 10", true, 1), "a block step over a jump traps");
	check(trap_flag_is_honoured("c3", true, 1), "a block step over a return traps");
	check(trap_flag_is_honoured("9d", true, 1), "a block step over popf traps");
}

/* In the slot pushf pushes our trap flag, which is corrected. */
static void check_pushf_in_slot(void)
{
	static struct state before, expected, after;
	struct arch_uprobe au;
	bool right = prepare(&au, "9c", true);

	any_state(&before, true);
	before.regs.sp = DATA + 0x800;
	run_original(&au, &before, &expected);
	run_in_slot(&au, &before, &after);
	check(right && same(&expected, &after, "pushf"), "pushf in the slot pushes the program's flags");
}

static bool start_child(void)
{
	int status;

	if (mmap((void *)CODE, CODE_LEN, PROT_READ | PROT_WRITE | PROT_EXEC,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)CODE ||
	    mmap((void *)DATA, DATA_LEN, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)DATA)
		return false;
	user_memory = DATA;
	user_memory_end = DATA + DATA_LEN;
	child = fork();
	if (!child) {
		/* only the parent changes code */
		mprotect((void *)CODE, CODE_LEN, PROT_READ | PROT_EXEC);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
	       !ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_EXITKILL);
}

int main(void)
{
	if (!start_child())
		skip("no child can be traced here");
	look_at_machine();
	check_all();
	check_traps();
	check_pushf_in_slot();
	kill(child, SIGKILL);
	return finish();
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What does an instruction make of a state of the processor?
 *
 * execute() loads all of `in`, jumps to `code` and writes into `out` what it finds when execution arrives at one
 * of three labels, or in a signal. Whoever uses this puts jumps to the labels around the instruction, which
 * keep every register: through a pointer in memory.
 *
 *	run_code(AT)	one execution from `in`, with everything in `out`, memory apart
 *	draw(), fill()	random, but the same for the same seed
 *	explain_state()	says where two states differ
 *
 * Left out of `out`: the last-instruction pointer of the x87, which is an exception to the promise.
 */
#ifndef UPROBES_PROCESSOR_STATE_H
#define UPROBES_PROCESSOR_STATE_H

#include <cpuid.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <ucontext.h>

#include "probes.h"

#define XSAVE_SIZE	832	/* x87, SSE, upper halves of AVX */
#define X87_ADDRESS	8	/* in there, 8 bytes: the last instruction's */
#define XSAVE_SOFTWARE	464	/* 48 bytes for the kernel's use, and 64 that say what is in its initial state */
#define PAGE_FAULT	14	/* any other fault leaves the address of an older one in its frame */
#define FSAVE_SIZE	112	/* stands before it in the signal frames of 32-bit programs */

#ifdef __i386__
#define NR_REGS		8
#else
#define NR_REGS		16
#endif

enum way { NOWHERE, NEXT, AHEAD, BEHIND, SIGNALLED };

/* What the processor starts from and ends with. */
struct state {
	unsigned long regs[NR_REGS];	/* by the numbers that instructions have for them */
	unsigned long flags;
	unsigned long way;		/* enum way */
	unsigned long signal[8];	/* number, code, address, ip, trap, error code, cr2 */
	unsigned char xsave[XSAVE_SIZE] __attribute__((aligned(64)));
};

struct state in asm("in"), out asm("out");
const void *code asm("code");
unsigned long saved_sp asm("saved_sp");

void execute(void);
extern const char arrived_next[], arrived_ahead[], arrived_behind[];

#ifndef __i386__
#define SAVE(i, r)	"	movq	%" r ", out+" #i "*8(%rip)\n"
#define LOAD(i, r)	"	movq	in+" #i "*8(%rip), %" r "\n"
#define ALL(x)		x(0, "rax") x(1, "rcx") x(2, "rdx") x(3, "rbx") x(4, "rsp") x(5, "rbp")		\
			x(6, "rsi") x(7, "rdi") x(8, "r8") x(9, "r9") x(10, "r10") x(11, "r11")		\
			x(12, "r12") x(13, "r13") x(14, "r14") x(15, "r15")
asm(".set in_flags, in + 128\n"
    ".set out_flags, out + 128\n"
    ".set out_way, out + 136\n"
    ".set in_xsave, in + 256\n"
    ".set out_xsave, out + 256\n"
    ".text\n"
    "execute:\n"
    "	push	%rbx\n"
    "	push	%rbp\n"
    "	push	%r12\n"
    "	push	%r13\n"
    "	push	%r14\n"
    "	push	%r15\n"
    "	movl	$7, %eax\n"
    "	xorl	%edx, %edx\n"
    "	xrstor	in_xsave(%rip)\n"
    "	movq	%rsp, saved_sp(%rip)\n"
    "	pushq	in_flags(%rip)\n"
    "	popfq\n"
    ALL(LOAD)
    "	jmp	*code(%rip)\n"
    "arrived_next:\n"
    "	movq	$1, out_way(%rip)\n"
    "	jmp	1f\n"
    "arrived_ahead:\n"
    "	movq	$2, out_way(%rip)\n"
    "	jmp	1f\n"
    "arrived_behind:\n"
    "	movq	$3, out_way(%rip)\n"
    "1:\n"
    ALL(SAVE)
    "	movq	saved_sp(%rip), %rsp\n"
    "	pushfq\n"
    "	popq	out_flags(%rip)\n"
    "	pushq	$0x202\n"
    "	popfq\n"
    "	movl	$7, %eax\n"
    "	xorl	%edx, %edx\n"
    "	xsave	out_xsave(%rip)\n"
    "	vzeroupper\n"
    "	fninit\n"
    "	pushq	$0x1f80\n"
    "	ldmxcsr	(%rsp)\n"
    "	popq	%rax\n"
    "	popq	%r15\n"
    "	popq	%r14\n"
    "	popq	%r13\n"
    "	popq	%r12\n"
    "	popq	%rbp\n"
    "	popq	%rbx\n"
    "	ret\n");
#else
#define SAVE(i, r)	"	movl	%" r ", out+" #i "*4\n"
#define LOAD(i, r)	"	movl	in+" #i "*4, %" r "\n"
#define ALL(x)		x(0, "eax") x(1, "ecx") x(2, "edx") x(3, "ebx") x(4, "esp") x(5, "ebp")		\
			x(6, "esi") x(7, "edi")
asm(".set in_flags, in + 32\n"
    ".set out_flags, out + 32\n"
    ".set out_way, out + 36\n"
    ".set in_xsave, in + 128\n"
    ".set out_xsave, out + 128\n"
    ".text\n"
    "execute:\n"
    "	push	%ebx\n"
    "	push	%ebp\n"
    "	push	%esi\n"
    "	push	%edi\n"
    "	movl	$7, %eax\n"
    "	xorl	%edx, %edx\n"
    "	xrstor	in_xsave\n"
    "	movl	%esp, saved_sp\n"
    "	pushl	in_flags\n"
    "	popfl\n"
    ALL(LOAD)
    "	jmp	*code\n"
    "arrived_next:\n"
    "	movl	$1, out_way\n"
    "	jmp	1f\n"
    "arrived_ahead:\n"
    "	movl	$2, out_way\n"
    "	jmp	1f\n"
    "arrived_behind:\n"
    "	movl	$3, out_way\n"
    "1:\n"
    ALL(SAVE)
    "	movl	saved_sp, %esp\n"
    "	pushfl\n"
    "	popl	out_flags\n"
    "	pushl	$0x202\n"
    "	popfl\n"
    "	movl	$7, %eax\n"
    "	xorl	%edx, %edx\n"
    "	xsave	out_xsave\n"
    "	vzeroupper\n"
    "	fninit\n"
    "	pushl	$0x1f80\n"
    "	ldmxcsr	(%esp)\n"
    "	popl	%eax\n"
    "	popl	%edi\n"
    "	popl	%esi\n"
    "	popl	%ebp\n"
    "	popl	%ebx\n"
    "	ret\n");
#endif

_Static_assert(offsetof(struct state, flags) == NR_REGS * sizeof(long), "in_flags, out_flags");
_Static_assert(offsetof(struct state, way) == (NR_REGS + 1) * sizeof(long), "out_way");
_Static_assert(offsetof(struct state, xsave) == (NR_REGS == 8 ? 128 : 256), "in_xsave, out_xsave");

/* ---- signals ------------------------------------------------------------ */

static sigjmp_buf escape;

static const int context_order[NR_REGS] = {
#ifdef __i386__
	REG_EAX, REG_ECX, REG_EDX, REG_EBX, REG_ESP, REG_EBP, REG_ESI, REG_EDI,
#else
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
#endif
};

#ifdef __i386__
#define write_flags __builtin_ia32_writeeflags_u32
#define REG_IP	REG_EIP
#define CR2	context->uc_mcontext.cr2
#define FPREGS	((char *)context->uc_mcontext.fpregs + FSAVE_SIZE)
#else
#define write_flags __builtin_ia32_writeeflags_u64
#define REG_IP	REG_RIP
#define CR2	context->uc_mcontext.gregs[REG_CR2]
#define FPREGS	((char *)context->uc_mcontext.fpregs)
#endif

static void note_signal(int signal, siginfo_t *info, void *where)
{
	ucontext_t *context = where;
	int i;

	/* popf may have left AC behind, which a signal handler starts with, and siglongjmp() goes on with */
	write_flags(0x202);
	out.way = SIGNALLED;
	for (i = 0; i < NR_REGS; i++)
		out.regs[i] = context->uc_mcontext.gregs[context_order[i]];
	out.flags = context->uc_mcontext.gregs[REG_EFL];
	out.signal[0] = signal;
	out.signal[1] = info->si_code;
	out.signal[2] = (unsigned long)info->si_addr;
	out.signal[3] = context->uc_mcontext.gregs[REG_IP];
	out.signal[4] = context->uc_mcontext.gregs[REG_TRAPNO];
	out.signal[5] = context->uc_mcontext.gregs[REG_ERR];
	if (out.signal[4] == PAGE_FAULT)
		out.signal[6] = CR2;
	memcpy(out.xsave, FPREGS, sizeof(out.xsave));
	asm volatile("fninit\n\tvzeroupper");
	siglongjmp(escape, 1);
}

static void catch_signals(void)
{
	static char alternative[65536];
	stack_t other = { .ss_sp = alternative, .ss_size = sizeof(alternative) };
	struct sigaction action = {
		.sa_sigaction = note_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};
	const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
	size_t i;

	must(!sigaltstack(&other, NULL));
	sigemptyset(&action.sa_mask);
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		must(!sigaction(signals[i], &action, NULL));
}

static void run_code(const void *at)
{
	memset(&out, 0, sizeof(out));
	code = at;
	if (!sigsetjmp(escape, 0))
		execute();
	memset(out.xsave + X87_ADDRESS, 0, 8);
	memset(out.xsave + XSAVE_SOFTWARE, 0, 48 + 64);
}

/* ---- states ------------------------------------------------------------- */

static uint64_t seed;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void fill(void *to, size_t len)
{
	uint64_t *words = to;
	size_t i;

	for (i = 0; i < len / 8; i++)
		words[i] = draw();
}

/* Valid numbers in all registers of the x87, everything else at random. */
static void fill_xsave(unsigned char *xsave)
{
	static const unsigned short control = 0x37f;
	static const unsigned int mxcsr = 0x1f80, mxcsr_mask = 0xffff;
	static const uint64_t present = 7;
	int i;

	memset(xsave, 0, XSAVE_SIZE);
	memcpy(xsave, &control, 2);
	xsave[4] = 0xff;
	memcpy(xsave + 24, &mxcsr, 4);
	memcpy(xsave + 28, &mxcsr_mask, 4);
	for (i = 0; i < 8; i++) {
		unsigned char *st = xsave + 32 + 16 * i;

		fill(st, 8);
		st[7] |= 0x80;
		st[8] = draw();
		st[9] = draw() & 1 ? 0x40 : 0xbf;
	}
	fill(xsave + 160, 256);
	memcpy(xsave + 512, &present, 8);
	fill(xsave + 576, 256);
}

/* Five bits of the round number are the flags that conditions look at. */
static unsigned long draw_flags(unsigned int round)
{
	static const unsigned int bits[] = { 0x1, 0x4, 0x40, 0x80, 0x800 };
	unsigned long flags = 0x202 | (draw() & 0x410);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bits); i++)
		if (round & 1u << i)
			flags |= bits[i];
	return flags;
}

/* ---- the machine -------------------------------------------------------- */

static bool has_avx2(void)
{
	unsigned int a, b, c, d;

	return __builtin_cpu_supports("avx2") && __get_cpuid_count(13, 0, &a, &b, &c, &d) && (a & 7) == 7;
}

/* cpuid and others tell on which processor they are. */
static void stay_on_one_processor(void)
{
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	must(!sched_setaffinity(0, sizeof(first), &first));
}

/* ---- comparing ---------------------------------------------------------- */

static const char *const state_names[] = {
#ifdef __i386__
	"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi",
#else
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
#endif
	"flags", "way (1: next, 2: ahead, 3: behind, 4: signal)", "signal", "si_code", "si_addr",
	"instruction pointer", "trap number", "error code", "fault address", "-",
};

static void explain_state(const struct state *plain, const struct state *probed, unsigned int round)
{
	const unsigned long *x = plain->regs, *y = probed->regs;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(state_names); i++)
		if (x[i] != y[i])
			note("state %u: %s: unprobed %#lx, probed %#lx", round, state_names[i], x[i], y[i]);
	for (i = 0; i < XSAVE_SIZE && plain->xsave[i] == probed->xsave[i]; i++)
		;
	if (i < XSAVE_SIZE)
		note("state %u: byte %zu of the vector state: unprobed %02x, probed %02x", round, i,
		     plain->xsave[i], probed->xsave[i]);
}

#endif /* UPROBES_PROCESSOR_STATE_H */

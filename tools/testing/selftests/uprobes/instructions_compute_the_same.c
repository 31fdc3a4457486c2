// SPDX-License-Identifier: GPL-2.0
/*
 * Does an instruction do the same with a probe on it as without?
 *
 * The instructions of instructions_64.inc (or _32) are executed from random
 * registers, flags, memory, stack and vector state, first unprobed, then with
 * a probe on each of them, from the same states. Everything they leave behind
 * is compared: general registers, flags, memory, stack, x87, SSE and AVX state,
 * where they went, and for those that fault the whole signal frame.
 *
 * Not compared: the last-instruction pointer of the x87, which is an exception
 * to the promise.
 *
 * Seen to fail on stock, 159 of them: AVX instructions whose opcode byte is a
 * legacy branch, push or nop; 49 90; LOCK prefixes, notrack and long nops
 * (refused).
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <ucontext.h>

#include "probes.h"

#define ROUNDS		32
#define AREA_SIZE	1024
#define STACK_SIZE	512
#define XSAVE_SIZE	832	/* x87, SSE, upper halves of AVX */
#define X87_ADDRESS	8	/* in there, 8 bytes: the last instruction's */

/* ---- the table ---------------------------------------------------------- */

struct snippet {
	const char *text;
	const void *insn;
	const void *target;
	unsigned long state;
};

/* bits 0 to 7: options; 8 to 11: a register; 12 to 15: what is in it */
#define COUNT		0x01
#define IN_AREA		0x02
#define IN_STACK	0x04
#define STACK_FLAGS	0x08
#define STACK_TRAP	0x10
#define NEAR_HOLE	0x20

enum content { RANDOM, TARGET, BAD, WILD, ZERO };

#ifdef __i386__
#define REGISTERS "eax,ecx,edx,ebx,esp,ebp,esi,edi"
#define NR_REGS 8
#define WORD ".long"
#define AT_TARGET "*at_target"
#define AT_NEXT "*at_next"
#define TABLE "instructions_32.inc"
#else
#define REGISTERS "rax,rcx,rdx,rbx,rsp,rbp,rsi,rdi,r8,r9,r10,r11,r12,r13,r14,r15"
#define NR_REGS 16
#define WORD ".quad"
#define AT_TARGET "*at_target(%rip)"
#define AT_NEXT "*at_next(%rip)"
#define TABLE "instructions_64.inc"
#endif

asm(".set COUNT, 1\n"
    ".set IN_AREA, 2\n"
    ".set IN_STACK, 4\n"
    ".set STACK_FLAGS, 8\n"
    ".set STACK_TRAP, 16\n"
    ".set NEAR_HOLE, 32\n"
    ".set nr, 0\n"
    ".irp r," REGISTERS "\n"
    ".set IN_\\r, nr * 256 + 0x1000\n"
    ".set BAD_\\r, nr * 256 + 0x2000\n"
    ".set WILD_\\r, nr * 256 + 0x3000\n"
    ".set ZERO_\\r, nr * 256 + 0x4000\n"
    ".set nr, nr + 1\n"
    ".endr\n"
    ".macro insn state:req, text:vararg\n"
    "	.pushsection snippets, \"ax\"\n"
    "	.balign 16\n"
    "9:	jmp " AT_TARGET "\n"
    "7771:	\\text\n"
    "	jmp " AT_NEXT "\n"
    "	.skip 16, 0x90\n"
    "8:	jmp " AT_TARGET "\n"
    "	.popsection\n"
    "	.pushsection snippet_texts, \"a\"\n"
    "7772:	.asciz \"\\text\"\n"
    "	.popsection\n"
    "	.pushsection snippet_table, \"aw\"\n"
    "	" WORD " 7772b, 7771b, 8b, \\state\n"
    "	.popsection\n"
    ".endm\n"
    ".include \"" TABLE "\"\n");

extern struct snippet __start_snippet_table[], __stop_snippet_table[];
#define snippets	__start_snippet_table
#define NR_SNIPPETS	((size_t)(__stop_snippet_table - __start_snippet_table))

/* ---- one execution ------------------------------------------------------ */

/* What the processor starts from and ends with. */
struct state {
	unsigned long regs[NR_REGS];
	unsigned long flags;
	unsigned long way;	/* 1: next instruction, 2: target, 3: signal */
	unsigned long signal[8];
	unsigned char area[AREA_SIZE];
	unsigned char stack[STACK_SIZE];
	unsigned char xsave[XSAVE_SIZE] __attribute__((aligned(64)));
};

/* The page without access ends what can be written. */
struct {
	unsigned char page[4096];
	unsigned char hole[4096];
} memory asm("memory_before_hole") __attribute__((aligned(4096)));

unsigned char area[AREA_SIZE] asm("area") __attribute__((aligned(64)));
static unsigned char stack[STACK_SIZE] __attribute__((aligned(64)));

struct state in asm("in"), out asm("out");
const void *code asm("code");
unsigned long saved_sp asm("saved_sp");

asm(".set hole, memory_before_hole + 4096\n");

void execute(void);

#ifndef __i386__
#define SAVE(i, r)	"	movq	%" r ", out+" #i "*8(%rip)\n"
#define LOAD(i, r)	"	movq	in+" #i "*8(%rip), %" r "\n"
#define ALL(x)		x(0, "rax") x(1, "rcx") x(2, "rdx") x(3, "rbx") x(4, "rsp") x(5, "rbp")		\
			x(6, "rsi") x(7, "rdi") x(8, "r8") x(9, "r9") x(10, "r10") x(11, "r11")		\
			x(12, "r12") x(13, "r13") x(14, "r14") x(15, "r15")
asm(".text\n"
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
    "arrived_target:\n"
    "	movq	$2, out_way(%rip)\n"
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
    "	ret\n"
    ".data\n"
    "at_next: .quad arrived_next\n"
    "at_target: .quad arrived_target\n"
    ".text\n");
#else
#define SAVE(i, r)	"	movl	%" r ", out+" #i "*4\n"
#define LOAD(i, r)	"	movl	in+" #i "*4, %" r "\n"
#define ALL(x)		x(0, "eax") x(1, "ecx") x(2, "edx") x(3, "ebx") x(4, "esp") x(5, "ebp")		\
			x(6, "esi") x(7, "edi")
asm(".text\n"
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
    "arrived_target:\n"
    "	movl	$2, out_way\n"
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
    "	ret\n"
    ".data\n"
    "at_next: .long arrived_next\n"
    "at_target: .long arrived_target\n"
    ".text\n");
#endif

/* Offsets for the assembler, checked in main(). */
#ifdef __i386__
asm(".set in_flags, in + 32\n.set out_flags, out + 32\n.set out_way, out + 36\n"
    ".set in_xsave, in + 1664\n.set out_xsave, out + 1664\n");
#define XSAVE_OFFSET	1664
#else
asm(".set in_flags, in + 128\n.set out_flags, out + 128\n.set out_way, out + 136\n"
    ".set in_xsave, in + 1792\n.set out_xsave, out + 1792\n");
#define XSAVE_OFFSET	1792
#endif

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
#define REG_IP	REG_EIP
#define CR2	context->uc_mcontext.cr2
#else
#define REG_IP	REG_RIP
#define REG_EFL_ REG_EFL
#define CR2	context->uc_mcontext.gregs[REG_CR2]
#endif

static void note_signal(int signal, siginfo_t *info, void *where)
{
	ucontext_t *context = where;
	int i;

	out.way = 3;
	for (i = 0; i < NR_REGS; i++)
		out.regs[i] = context->uc_mcontext.gregs[context_order[i]];
	out.flags = context->uc_mcontext.gregs[REG_EFL];
	out.signal[0] = signal;
	out.signal[1] = info->si_code;
	out.signal[2] = (unsigned long)info->si_addr;
	out.signal[3] = context->uc_mcontext.gregs[REG_IP];
	out.signal[4] = context->uc_mcontext.gregs[REG_TRAPNO];
	out.signal[5] = context->uc_mcontext.gregs[REG_ERR];
	if (signal == SIGSEGV)
		out.signal[6] = CR2;
	asm volatile("cld\n\tfninit\n\tvzeroupper");
	siglongjmp(escape, 1);
}

static void catch_signals(void)
{
	static char alternative[65536];
	stack_t other = { .ss_sp = alternative, .ss_size = sizeof(alternative) };
	struct sigaction action = { .sa_sigaction = note_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
	size_t i;

	must(!sigaltstack(&other, NULL));
	sigemptyset(&action.sa_mask);
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		must(!sigaction(signals[i], &action, NULL));
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

static void fill_words(void *to, size_t len, unsigned long word)
{
	unsigned long *words = to;
	size_t i;

	for (i = 0; i < len / sizeof(word); i++)
		words[i] = word;
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

static void set_special(const struct snippet *s)
{
	unsigned long *reg = &in.regs[s->state >> 8 & 15];

	switch (s->state >> 12 & 15) {
	case TARGET:
		*reg = (unsigned long)s->target;
		break;
	case BAD:
		*reg = 0x10008;
		break;
	case WILD:
		*reg = 1ul << (8 * sizeof(long) - 1) | 0x1000;
		break;
	case ZERO:
		*reg = 0;
		break;
	}
	if (s->state & COUNT)
		in.regs[1] = draw() % 9;
	if (s->state & NEAR_HOLE) {
		in.regs[7] = (unsigned long)memory.hole - 3;
		in.flags &= ~0x400ul;
	}
	if (s->state & IN_AREA)
		fill_words(area, sizeof(area), (unsigned long)s->target);
	if (s->state & IN_STACK)
		fill_words(stack, sizeof(stack), (unsigned long)s->target);
	if (s->state & (STACK_FLAGS | STACK_TRAP))
		fill_words(stack, sizeof(stack), (draw() & 0x244cd5) | (s->state & STACK_TRAP ? 0x302 : 0x202));
}

static void prepare(const struct snippet *s, unsigned int round)
{
	seed = 0x9e3779b97f4a7c15 * (s - snippets + 1) + 0x1234567 * round;
	draw();
	fill(in.regs, sizeof(in.regs));
	fill(area, sizeof(area));
	fill(stack, sizeof(stack));
	fill_xsave(in.xsave);
	in.flags = draw_flags(round);
	in.regs[4] = (unsigned long)stack + 256;
	in.regs[5] = (unsigned long)stack + 320;
	in.regs[6] = (unsigned long)area + 256 + draw() % 8 * 16;
	in.regs[7] = (unsigned long)area + 128;
	set_special(s);
	memset(&out, 0, sizeof(out));
	memset(memory.page, 0, sizeof(memory.page));
}

static struct state run(const struct snippet *s, unsigned int round)
{
	prepare(s, round);
	code = s->insn;
	if (!sigsetjmp(escape, 1))
		execute();
	memcpy(out.area, area, sizeof(area));
	memcpy(out.stack, stack, sizeof(stack));
	if (s->state & NEAR_HOLE)
		memcpy(out.area, memory.hole - 16, 16);
	memset(out.xsave + X87_ADDRESS, 0, 8);
	return out;
}

/* ---- comparing ---------------------------------------------------------- */

static const char *const names[] = {
#ifdef __i386__
	"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi",
#else
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
#endif
	"flags", "way (1: next, 2: target, 3: signal)", "signal", "si_code", "si_addr", "instruction pointer",
	"trap number", "error code", "fault address", "-",
};

static void explain(const struct state *plain, const struct state *probed, unsigned int round)
{
	const unsigned char *a = (const unsigned char *)plain, *b = (const unsigned char *)probed;
	const unsigned long *x = plain->regs, *y = probed->regs;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (x[i] != y[i])
			note("state %u: %s: unprobed %#lx, probed %#lx", round, names[i], x[i], y[i]);
	for (i = offsetof(struct state, area); i < sizeof(*plain); i++) {
		if (a[i] == b[i])
			continue;
		note("state %u: byte %zu of %s: unprobed %02x, probed %02x", round,
		     i < XSAVE_OFFSET ? i - offsetof(struct state, area) : i - XSAVE_OFFSET,
		     i < offsetof(struct state, stack) ? "memory" : i < XSAVE_OFFSET ? "stack + 1024" :
		     "vector state", a[i], b[i]);
		break;
	}
}

static struct state *unprobed;

static void run_unprobed(void)
{
	size_t s, round;

	for (s = 0; s < NR_SNIPPETS; s++)
		for (round = 0; round < ROUNDS; round++)
			unprobed[s * ROUNDS + round] = run(&snippets[s], round);
}

/* The unprobed runs agree with each other, or nothing can be said. */
static void check_repeatable(void)
{
	size_t s, round, differ = 0;

	for (s = 0; s < NR_SNIPPETS; s++) {
		for (round = 0; round < ROUNDS; round++) {
			struct state again = run(&snippets[s], round);

			if (!memcmp(&again, &unprobed[s * ROUNDS + round], sizeof(again)))
				continue;
			note("%s isn't repeatable", snippets[s].text);
			explain(&unprobed[s * ROUNDS + round], &again, round);
			differ++;
			break;
		}
	}
	equal(differ, 0, "unprobed_instructions_are_repeatable");
}

static void compare(size_t s, unsigned long hits)
{
	unsigned int round, differ = 0;

	for (round = 0; round < ROUNDS; round++) {
		struct state probed = run(&snippets[s], round);

		if (!memcmp(&probed, &unprobed[s * ROUNDS + round], sizeof(probed)))
			continue;
		if (!differ++)
			explain(&unprobed[s * ROUNDS + round], &probed, round);
	}
	if (hits != ROUNDS)
		note("%lu hits instead of %d", hits, ROUNDS);
	check(!differ && hits == ROUNDS, "%s", snippets[s].text);
}

/* ---- probing ------------------------------------------------------------ */

static void define_probe(const char *event, size_t s)
{
	struct place place = place_of(snippets[s].insn);

	must(!command("p:t/%s %s:0x%lx", event, place.path, place.offset));
}

/* All of them are probes of one event. */
static bool probe_all(void)
{
	size_t s;

	for (s = 0; s < NR_SNIPPETS; s++)
		define_probe("all", s);
	return !try_enable("all");
}

static void compare_all(void)
{
	unsigned long *hits = calloc(NR_SNIPPETS, sizeof(*hits));
	size_t s, round;

	for (s = 0; s < NR_SNIPPETS; s++)
		for (round = 0; round < ROUNDS; round++)
			run(&snippets[s], round);
	count_each("all", "entries", hits, NR_SNIPPETS);
	for (s = 0; s < NR_SNIPPETS; s++)
		compare(s, hits[s]);
	free(hits);
}

/* One is refused: which, and what about the others? */
static void compare_each(void)
{
	size_t s, round;
	int err;

	for (s = 0; s < NR_SNIPPETS; s++) {
		define_probe("one", s);
		err = try_enable("one");
		if (err) {
			note("errno %d", err);
			check(false, "%s", snippets[s].text);
		} else {
			for (round = 0; round < ROUNDS; round++)
				run(&snippets[s], round);
			compare(s, count("one", "entries"));
		}
		remove_all();
	}
}

static bool has_avx2(void)
{
	unsigned int a, b, c, d;

	return __builtin_cpu_supports("avx2") && __get_cpuid_count(13, 0, &a, &b, &c, &d) && (a & 7) == 7;
}

int main(void)
{
	cpu_set_t first;

	_Static_assert(offsetof(struct state, flags) == NR_REGS * sizeof(long), "");
	_Static_assert(offsetof(struct state, way) == (NR_REGS + 1) * sizeof(long), "");
	_Static_assert(offsetof(struct state, xsave) == XSAVE_OFFSET, "");
	if (!has_avx2())
		skip("the processor has no AVX2");
	/* cpuid tells on which processor it is */
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	must(!sched_setaffinity(0, sizeof(first), &first));
	must(!mprotect(memory.hole, 4096, PROT_NONE));
	unprobed = calloc(NR_SNIPPETS * ROUNDS, sizeof(*unprobed));
	must(unprobed);

	catch_signals();
	run_unprobed();
	check_repeatable();
	if (getenv("DRY_RUN"))
		return finish();
	if (probe_all()) {
		check(true, "all_instructions_can_be_probed");
		compare_all();
		remove_all();
	} else {
		check(false, "all_instructions_can_be_probed");
		remove_all();
		compare_each();
	}
	return finish();
}

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
#include "processor_state.h"

#define ROUNDS		32
#define AREA_SIZE	1024
#define STACK_SIZE	512

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
#define WORD ".long"
#define AT_TARGET "*at_target"
#define AT_NEXT "*at_next"
#define TABLE "instructions_32.inc"
#else
#define REGISTERS "rax,rcx,rdx,rbx,rsp,rbp,rsi,rdi,r8,r9,r10,r11,r12,r13,r14,r15"
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

struct outcome {
	struct state state;
	unsigned char area[AREA_SIZE];
	unsigned char stack[STACK_SIZE];
};

/* The page without access ends what can be written. */
struct {
	unsigned char page[4096];
	unsigned char hole[4096];
} memory asm("memory_before_hole") __attribute__((aligned(4096)));

/* QEMU 7.2 takes shld $5,%rax,area(%rip) to mean the byte before area, too. */
static struct {
	unsigned char margin[64];
	unsigned char area[AREA_SIZE];
} area_and_margin asm("area_and_margin") __attribute__((used, aligned(64)));

extern unsigned char area[AREA_SIZE] asm("area");
static unsigned char stack[STACK_SIZE] __attribute__((aligned(64)));

asm(".set area, area_and_margin + 64\n"
    ".set hole, memory_before_hole + 4096\n"
    ".data\n"
    "at_next: " WORD " arrived_next\n"
    "at_target: " WORD " arrived_ahead\n"
    ".text\n");

static void fill_words(void *to, size_t len, unsigned long word)
{
	unsigned long *words = to;
	size_t i;

	for (i = 0; i < len / sizeof(word); i++)
		words[i] = word;
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
	memset(area_and_margin.margin, 0, sizeof(area_and_margin.margin));
	fill(area, sizeof(area));
	fill(stack, sizeof(stack));
	fill_xsave(in.xsave);
	in.flags = draw_flags(round);
	in.regs[4] = (unsigned long)stack + 256;
	in.regs[5] = (unsigned long)stack + 320;
	in.regs[6] = (unsigned long)area + 256 + draw() % 8 * 16;
	in.regs[7] = (unsigned long)area + 128;
	set_special(s);
	memset(memory.page, 0, sizeof(memory.page));
}

static struct outcome run(const struct snippet *s, unsigned int round)
{
	struct outcome outcome;

	prepare(s, round);
	run_code(s->insn);
	outcome.state = out;
	memcpy(outcome.area, area, sizeof(area));
	memcpy(outcome.stack, stack, sizeof(stack));
	if (s->state & NEAR_HOLE)
		memcpy(outcome.area, memory.hole - 16, 16);
	return outcome;
}

/* ---- comparing ---------------------------------------------------------- */

static void explain_bytes(const char *what, const unsigned char *a, const unsigned char *b, size_t len,
			  unsigned int round)
{
	size_t i;

	for (i = 0; i < len && a[i] == b[i]; i++)
		;
	if (i < len)
		note("state %u: byte %zu of the %s: unprobed %02x, probed %02x", round, i, what, a[i], b[i]);
}

static void explain(const struct outcome *plain, const struct outcome *probed, unsigned int round)
{
	explain_state(&plain->state, &probed->state, round);
	explain_bytes("memory", plain->area, probed->area, AREA_SIZE, round);
	explain_bytes("stack", plain->stack, probed->stack, STACK_SIZE, round);
}

static struct outcome *unprobed;

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
			struct outcome again = run(&snippets[s], round);

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
		struct outcome probed = run(&snippets[s], round);

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

int main(void)
{
	if (!has_avx2())
		skip("the processor has no AVX2");
	stay_on_one_processor();
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

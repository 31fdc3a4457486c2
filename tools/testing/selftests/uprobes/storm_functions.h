/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which functions does the storm call, and what do they leave behind?
 *
 * Each function has one instruction with a probe, of every class and kind, at or near its start. It is there three
 * times, from the same text: with events that stay (KEPT), with events that come and go (LOOSE), and without
 * (PLAIN). What one of the first two makes of registers, flags and memory must be what the last one makes of the
 * same state.
 *
 * They have a calling convention of their own: %rdi points to 64 bytes of memory, everything else may be
 * anything, and they keep nothing but the stack pointer. run() loads, calls and stores all registers and the flags.
 * It is there with three kinds of instruction at the return address.
 */
#ifndef UPROBES_STORM_FUNCTIONS_H
#define UPROBES_STORM_FUNCTIONS_H

#include "probes.h"

#define MEMORY_SIZE	64

enum version { KEPT, LOOSE, PLAIN, NR_VERSIONS };

struct code {
	const unsigned char *start, *insn, *end;
};

struct function {
	struct code code[NR_VERSIONS];
	const char *name;
};

#ifdef __i386__
#define WORD	".long"
#define R(x)	"%e" #x
#define JCXZ	"jecxz"
#define NR_REGS	7
#else
#define WORD	".quad"
#define R(x)	"%r" #x
#define JCXZ	"jrcxz"
#define NR_REGS	15
#endif
#define DI	5

/* By the order in which run() loads them; the flags come last. */
struct registers {
	unsigned long reg[NR_REGS];
	unsigned long flags;
};

#define FLAGS_ALL	0x8d5	/* o, s, z, a, p, c */

/* ---- the functions ------------------------------------------------------ */

/* In @body, \s is what ends the names of functions of the same version, and INSN comes before the instruction. */
#define VERSION(name, section, suffix)						\
	".pushsection " section ", \"ax\"\n"					\
	".balign 256, 0xcc\n"							\
	#name suffix ":\n"							\
	"	" #name "_body " suffix "\n"					\
	#name suffix "_end:\n"							\
	".popsection\n"

#define FUNCTION(name, body)							\
	asm(".macro " #name "_body s\n"						\
	    "	" body "\n"							\
	    ".endm\n"								\
	    VERSION(name, "storm_text", "_kept")				\
	    VERSION(name, "storm_text", "_loose")				\
	    VERSION(name, "storm_plain", "_plain")				\
	    ".pushsection .rodata.str1.1, \"aMS\", @progbits, 1\n"		\
	    "1:	.asciz \"" #name "\"\n"						\
	    ".popsection\n"							\
	    ".pushsection storm_table, \"aw\"\n"				\
	    "	" WORD " " #name "_kept, " #name "_kept_insn, " #name "_kept_end\n"	\
	    "	" WORD " " #name "_loose, " #name "_loose_insn, " #name "_loose_end\n"	\
	    "	" WORD " " #name "_plain, " #name "_plain_insn, " #name "_plain_end\n"	\
	    "	" WORD " 1b\n"							\
	    ".popsection\n")

/* the same for functions whose first instruction is probed, and for those with a line before it */
#define FIRST(name, insn, rest)		FUNCTION(name, #name "\\s\\()_insn: " insn "\n" rest "\n ret")
#define AFTER(name, before, insn, rest)	FUNCTION(name, before "\n" #name "\\s\\()_insn: " insn "\n" rest "\n ret")

#define STEP	"imul $77, %esi, %esi\n inc %esi"	/* so that each function makes something of %esi */

/* carried out by the kernel */
FIRST(nop, "nop", STEP);
FIRST(long_nop, ".byte 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0", STEP);
FIRST(endbr, "endbr64", STEP);
FIRST(push, "push " R(si), STEP "\n pop " R(ax));
AFTER(pop, "push " R(si), "pop " R(dx), STEP);
FIRST(pushes_flags, "pushf", STEP "\n pop " R(ax) "\n and $0x8d5, %eax");
FIRST(jump, "jmp 1f", "hlt\n1: " STEP);
FIRST(branch, "jne 1f", STEP "\n1: inc %edx");
AFTER(loops, "mov $3, %ecx", "loop 2f", "jmp 3f\n2: add $5, %esi\n3: " STEP);
AFTER(jump_if_zero, "and $1, " R(cx), JCXZ " 1f", STEP "\n1: inc %edx");
FIRST(calls, "call 1f", "jmp 2f\n1: " STEP "\n ret\n2: inc %edx");
#ifndef __i386__
AFTER(jumps_indirect, "lea 1f(%rip), %rdx", "jmp *%rdx", "hlt\n1: xor %edx, %edx\n " STEP);
AFTER(calls_indirect, "lea 1f(%rip), %rdx", "call *%rdx", "jmp 2f\n1: " STEP "\n ret\n2: xor %edx, %edx");
AFTER(jumps_through_memory, "lea 1f(%rip), %rdx\n mov %rdx, 8(%rdi)", "notrack jmp *8(%rdi)",
      "hlt\n1: xor %edx, %edx\n mov %rdx, 8(%rdi)\n " STEP);
#endif

/* carried out in a slot */
FIRST(move, "mov " R(si) ", " R(ax), STEP);
FIRST(moves_stack, "sub $40, " R(sp), STEP "\n mov " R(si) ", 16(" R(sp) ")\n add $40, " R(sp));
FIRST(store, "mov " R(si) ", 8(" R(di) ")", STEP);
FIRST(load, "mov 16(" R(di) "), " R(ax), STEP);
FIRST(lea, "lea 5(" R(si) "," R(si) ",2), " R(si), STEP);
FIRST(alu, "add " R(si) ", (" R(di) ")", STEP);
FIRST(locked, "lock xadd " R(si) ", 24(" R(di) ")", STEP);
FIRST(exchange, "xchg " R(si) ", 32(" R(di) ")", STEP);
FIRST(compare, "lock cmpxchg " R(si) ", 8(" R(di) ")", STEP);
AFTER(string, "mov $7, %ecx", "rep stosb", "sub $7, " R(di) "\n " STEP);
FIRST(sse, "movdqu 16(" R(di) "), %xmm3", "paddd %xmm3, %xmm3\n movdqu %xmm3, 32(" R(di) ")\n " STEP);
FIRST(avx, "vmovdqu (" R(di) "), %xmm4", "vpxor %xmm3, %xmm3, %xmm3\n vpsubb %xmm4, %xmm3, %xmm3\n"
      "vmovdqu %xmm3, 48(" R(di) ")\n " STEP);
FIRST(x87, "fildl 4(" R(di) ")", "fadd %st, %st\n fistpll 8(" R(di) ")\n " STEP);
FIRST(divides, "bswap %esi", "mov $77, %ecx\n xor %edx, %edx\n mov %esi, %eax\n div %ecx\n " STEP);
FUNCTION(returns, "returns\\s\\()_insn: ret");
AFTER(leaves, "push " R(bp) "\n mov " R(sp) ", " R(bp) "\n push " R(si), "leave", STEP);
#ifndef __i386__
FIRST(loads_relative, "mov 1f(%rip), %rax", STEP "\n ret\n .balign 8\n1: .quad 0x123456789abcdef");
FIRST(adds_relative, "add 1f(%rip), %rsi", STEP "\n ret\n .balign 8\n1: .quad 0x123456789abcdef");
FIRST(sse_relative, "movdqu 1f(%rip), %xmm5", "movdqu %xmm5, 16(%rdi)\n" STEP "\n ret\n1: .quad 77, 78");
#endif

/* carried out step by step */
AFTER(pops_flags, "pushf\n xorl $0x41, (" R(sp) ")", "popf", STEP);

/* call each other */
FIRST(nests, "push " R(bx), "call push\\s\n call lea\\s\n pop " R(bx));
FUNCTION(ends_in_other, "ends_in_other\\s\\()_insn: inc %esi\n jmp returns\\s");

extern const struct function __start_storm_table[], __stop_storm_table[];
extern const unsigned char __start_storm_text[], __stop_storm_text[];
#define functions	__start_storm_table
#define NR_FUNCTIONS	((size_t)(__stop_storm_table - __start_storm_table))
#define MAX_FUNCTIONS	64

/* ---- one execution ------------------------------------------------------ */

/* All registers but the stack pointer: loaded from @in, stored to @out. */
typedef void run_fn(const void *function, const struct registers *in, struct registers *out);
run_fn run_push, run_lea, run_popf;
extern const unsigned char run_push_return[], run_lea_return[], run_popf_return[], run_begin[], run_end[];

static run_fn *const runs[] = { run_push, run_lea, run_popf };
static const unsigned char *const run_returns[] = { run_push_return, run_lea_return, run_popf_return };

#ifdef __i386__
#define RUN(name, insn)								\
	asm(".text\n"								\
	    #name ":\n"								\
	    "	push %ebx\n	push %ebp\n	push %esi\n	push %edi\n"	\
	    "	push 28(%esp)\n"	/* out */				\
	    "	push 24(%esp)\n"	/* function */				\
	    "	mov 32(%esp), %eax\n"	/* in */				\
	    "	pushl 28(%eax)\n	popfl\n"				\
	    "	mov 4(%eax), %ebx\n	mov 8(%eax), %ecx\n	mov 12(%eax), %edx\n"	\
	    "	mov 16(%eax), %esi\n	mov 20(%eax), %edi\n	mov 24(%eax), %ebp\n"	\
	    "	mov (%eax), %eax\n"						\
	    "	call *(%esp)\n"							\
	    #name "_return:\n"							\
	    "	" insn "\n"							\
	    "	push %eax\n"							\
	    "	mov 8(%esp), %eax\n"						\
	    "	mov %ebx, 4(%eax)\n	mov %ecx, 8(%eax)\n	mov %edx, 12(%eax)\n"	\
	    "	mov %esi, 16(%eax)\n	mov %edi, 20(%eax)\n	mov %ebp, 24(%eax)\n"	\
	    "	popl (%eax)\n"							\
	    "	pushfl\n	popl 28(%eax)\n"				\
	    "	lea 8(%esp), %esp\n"						\
	    "	pop %edi\n	pop %esi\n	pop %ebp\n	pop %ebx\n	ret\n")
#else
#define RUN(name, insn)								\
	asm(".text\n"								\
	    #name ":\n"								\
	    "	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n"	\
	    "	push %rdx\n"							\
	    "	push %rdi\n"							\
	    "	mov %rsi, %rax\n"						\
	    "	pushq 120(%rax)\n	popfq\n"				\
	    "	mov 8(%rax), %rbx\n	mov 16(%rax), %rcx\n	mov 24(%rax), %rdx\n"	\
	    "	mov 32(%rax), %rsi\n	mov 40(%rax), %rdi\n	mov 48(%rax), %rbp\n"	\
	    "	mov 56(%rax), %r8\n	mov 64(%rax), %r9\n	mov 72(%rax), %r10\n"	\
	    "	mov 80(%rax), %r11\n	mov 88(%rax), %r12\n	mov 96(%rax), %r13\n"	\
	    "	mov 104(%rax), %r14\n	mov 112(%rax), %r15\n	mov (%rax), %rax\n"	\
	    "	call *(%rsp)\n"							\
	    #name "_return:\n"							\
	    "	" insn "\n"							\
	    "	push %rax\n"							\
	    "	mov 16(%rsp), %rax\n"						\
	    "	mov %rbx, 8(%rax)\n	mov %rcx, 16(%rax)\n	mov %rdx, 24(%rax)\n"	\
	    "	mov %rsi, 32(%rax)\n	mov %rdi, 40(%rax)\n	mov %rbp, 48(%rax)\n"	\
	    "	mov %r8, 56(%rax)\n	mov %r9, 64(%rax)\n	mov %r10, 72(%rax)\n"	\
	    "	mov %r11, 80(%rax)\n	mov %r12, 88(%rax)\n	mov %r13, 96(%rax)\n"	\
	    "	mov %r14, 104(%rax)\n	mov %r15, 112(%rax)\n"			\
	    "	popq (%rax)\n"							\
	    "	pushfq\n	popq 120(%rax)\n"				\
	    "	lea 16(%rsp), %rsp\n"						\
	    "	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbp\n	pop %rbx\n	ret\n")
#endif

asm(".text\nrun_begin:\n");
RUN(run_push, "push " R(ax) "\n	pop " R(ax));
RUN(run_lea, "lea (" R(sp) "), " R(sp));
/* the flags are those at the return, twice */
RUN(run_popf, "pushf\n	popf");
asm(".text\nrun_end:\n");

#endif /* UPROBES_STORM_FUNCTIONS_H */

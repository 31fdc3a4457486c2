/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How x86 handles a displaced instruction: the data that the core carries
 * along for arch/x86/kernel/uprobes/. The functions are declared, as the
 * contract, in <linux/uprobes.h>.
 */
#ifndef _ASM_X86_UPROBES_H
#define _ASM_X86_UPROBES_H

#include <linux/types.h>
#ifdef __KERNEL__
#include <asm/ptrace.h>
#include <asm/segment.h>
#endif

typedef u8 uprobe_opcode_t;

#define UPROBE_BREAKPOINT		0xcc	/* int3 */
#define UPROBE_BREAKPOINT_SIZE		1
#define UPROBE_MAX_INSN			16	/* 15 is the longest; even */

/*
 * A slot: the longest instruction and a jump back (e9 + 4 bytes) take 20
 * bytes; slots don't straddle cache lines.
 */
#define UPROBE_SLOT_SIZE		32

/**
 * enum uprobe_class - how the displaced instruction is carried out
 * @UPROBE_EMULATED: in the kernel, by changing registers and stack
 * @UPROBE_RELOCATED: by the processor, in the slot; runs at any address
 * @UPROBE_STEPPED: by the processor, in the slot, under the trap flag only
 * @UPROBE_REFUSED: not at all: no probe can be placed here
 */
enum uprobe_class {
	UPROBE_EMULATED,
	UPROBE_RELOCATED,
	UPROBE_STEPPED,
	UPROBE_REFUSED,
};

/**
 * struct arch_uprobe - one displaced instruction, decoded for one mode
 * @insn: its bytes and, if it is shorter, what stands behind it in the file;
 *	zeroes after the end of the file. Must be first and start with the
 *	opcode bytes: perf's call chains look for push %rbp and endbr64 here.
 * @len: length of the instruction
 * @class: how it is carried out
 * @is_64bit: the mode that it was decoded for; it means something else, or
 *	nothing, in the other one
 * @op: what it does, as far as that matters here: enum uprobe_op in
 *	arch/x86/kernel/uprobes/internal.h
 * @reg: register number of an indirect branch, or UPROBE_NO_REG if it reads
 *	its target from memory
 * @cond: condition of a Jcc, as in the low four bits of its opcode
 * @width: bytes that a stack operation moves; bytes of the register that a
 *	loop or jcxz looks at
 * @rip_disp: where in @insn the displacement of an operand relative to the
 *	instruction pointer stands, 0 if there is no such operand
 * @addr32: an address size prefix cuts that operand's address to 32 bits
 * @rel: displacement of a relative branch
 *
 * Filled by arch_uprobe_analyze() and constant afterwards, so that threads
 * share it without a lock. It depends on the bytes and the mode only, never on
 * where the instruction is mapped.
 */
struct arch_uprobe {
	u8			insn[UPROBE_MAX_INSN];
	u8			len;
	enum uprobe_class	class;
	bool			is_64bit;
	u8			op;
	u8			reg;
	u8			cond;
	u8			width;
	u8			rip_disp;
	bool			addr32;
	s32			rel;
};

/**
 * struct arch_uprobe_slot - what has to be known of a thread in a slot
 * @insn_len: length of the instruction in the slot
 * @len: length of the original
 */
struct arch_uprobe_slot {
	u8			insn_len;
	u8			len;
};

/**
 * struct arch_uprobe_task - what a thread needs back after a step
 * @virtual_dr6: thread_struct::virtual_dr6 as it was: what a debugger reads
 * @trap_flag: the trap flag was set already, by a debugger or the program
 * @block_step: the debugger had asked for a trap at branches only
 *
 * Filled by arch_uprobe_step_begin(), valid until arch_uprobe_step_end()
 * returns something else than -EAGAIN or arch_uprobe_step_abort() is called.
 * Only the thread itself uses it.
 */
struct arch_uprobe_task {
	unsigned long		virtual_dr6;
	bool			trap_flag;
	bool			block_step;
};

#ifdef __KERNEL__

/**
 * arch_uprobe_in_flat_code - is the instruction pointer an address?
 * @regs: of a thread in user mode
 *
 * Return: false in a code segment of the program's own, which may have a base.
 */
static inline bool arch_uprobe_in_flat_code(const struct pt_regs *regs)
{
	return !(regs->cs & SEGMENT_TI_MASK);
}

/**
 * arch_uprobe_fits - does the thread run the code that was decoded?
 * @au: the instruction of a site
 * @regs: of a thread that has hit the site
 *
 * A program can leave its mode through a far jump, and run the same bytes as
 * other instructions, or choose a code segment of its own, where addresses
 * mean something else. Neither emulation nor the slot is right for it then.
 *
 * Return: true if the instruction means for this thread what @au says.
 */
static inline bool arch_uprobe_fits(const struct arch_uprobe *au,
				    struct pt_regs *regs)
{
	if (user_64bit_mode(regs))
		return au->is_64bit;
	return !au->is_64bit && arch_uprobe_in_flat_code(regs);
}

/**
 * arch_uprobe_is_stepped - does a trap follow the next instruction?
 * @regs: of a thread in user mode
 *
 * In a slot, the trap would come there.
 *
 * Return: true if the trap flag is set, by a debugger or by the program.
 */
static inline bool arch_uprobe_is_stepped(const struct pt_regs *regs)
{
	return regs->flags & X86_EFLAGS_TF;
}

#endif /* __KERNEL__ */

#endif /* _ASM_X86_UPROBES_H */

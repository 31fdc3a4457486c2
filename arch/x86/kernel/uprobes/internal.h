/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of arch/x86/kernel/uprobes/ tell each other.
 *
 * In the order in which an instruction passes through them:
 *
 *	tables.c	opcode map and opcode -> verdict
 *	classify.c	bytes -> struct arch_uprobe, or why not
 *	relocate.c	struct arch_uprobe -> the bytes of a slot
 *	place.c		where a slot may be
 *	notify.c	a trap arrives
 *	return.c	and a system call that nobody may make
 *	emulate.c	carry the instruction out in the kernel
 *	step.c		or let the processor do it, in the slot
 *	<asm/uprobes_stack.h>	where a call returns to, and whether it has
 *
 * The first three depend on nothing but the decoder in arch/x86/lib/insn.c
 * and are compiled in user space as well, for the tests in
 * tools/testing/selftests/uprobes/.
 */
#ifndef _X86_KERNEL_UPROBES_INTERNAL_H
#define _X86_KERNEL_UPROBES_INTERNAL_H

#include <linux/types.h>
#ifdef __KERNEL__
#include <linux/uprobes.h>
#else
#include <asm/uprobes.h>
#endif

struct insn;
struct pt_regs;

/* arch_uprobe::reg: the operand is in memory */
#define UPROBE_NO_REG		0xff

/**
 * enum uprobe_op - what an instruction does, as far as it matters here
 * @UPROBE_OP_OTHER: nothing that has to be known
 * @UPROBE_OP_NOP: nothing at all
 * @UPROBE_OP_PUSHF: push of the flags
 * @UPROBE_OP_POPF: pop of the flags, the trap flag among them
 * @UPROBE_OP_JUMP: relative jump
 * @UPROBE_OP_JCC: conditional relative jump
 * @UPROBE_OP_LOOPNE: count down; jump if neither zero nor ZF
 * @UPROBE_OP_LOOPE: count down; jump if not zero and ZF
 * @UPROBE_OP_LOOP: count down; jump if not zero
 * @UPROBE_OP_JCXZ: jump if the count register is zero
 * @UPROBE_OP_CALL: relative call
 * @UPROBE_OP_JUMP_INDIRECT: near jump through a register or memory
 * @UPROBE_OP_CALL_INDIRECT: near call through a register or memory
 * @UPROBE_OP_RETURN: near return; done by the processor, but a branch
 * @UPROBE_NR_OPS: how many there are
 *
 * LOOPNE to JCXZ stand in the order of their opcodes e0 to e3.
 */
enum uprobe_op {
	UPROBE_OP_OTHER,
	UPROBE_OP_NOP,
	UPROBE_OP_PUSHF,
	UPROBE_OP_POPF,
	UPROBE_OP_JUMP,
	UPROBE_OP_JCC,
	UPROBE_OP_LOOPNE,
	UPROBE_OP_LOOPE,
	UPROBE_OP_LOOP,
	UPROBE_OP_JCXZ,
	UPROBE_OP_CALL,
	UPROBE_OP_JUMP_INDIRECT,
	UPROBE_OP_CALL_INDIRECT,
	UPROBE_OP_RETURN,
	UPROBE_NR_OPS,
};

static inline bool uprobe_op_is_call(u8 op)
{
	return op == UPROBE_OP_CALL || op == UPROBE_OP_CALL_INDIRECT;
}

/**
 * enum uprobe_verdict - what is to be done with an opcode
 * @VERDICT_INVALID: there is no such instruction, or none whose length is
 *	known
 * @VERDICT_PLAIN: the processor carries it out wherever it stands
 * @VERDICT_EMULATE: the kernel carries it out
 * @VERDICT_STEP: the processor does, but only under the trap flag
 * @VERDICT_SYSCALL: refused, and so are all down to VERDICT_SHORT_BRANCH;
 *	classify.c has the reasons in words
 * @VERDICT_INTERRUPT: software interrupt, or return from one
 * @VERDICT_UNDEFINED: faults, and tells a hypervisor something by that
 * @VERDICT_PRIVILEGED: faults in user mode
 * @VERDICT_PORT: input and output
 * @VERDICT_FAR: another code segment
 * @VERDICT_STACK_SEGMENT: loads SS, which holds the next trap back
 * @VERDICT_TRANSACTION: names an address to which an abort jumps
 * @VERDICT_VIRTUAL: talks to a hypervisor
 * @VERDICT_ENCLAVE: hands its own address to an enclave
 * @VERDICT_REX2_BRANCH: a branch with a prefix that the kernel doesn't
 *	support
 * @VERDICT_SHORT_BRANCH: processors differ about where it jumps
 * @VERDICT_GROUP: only inside tables.c: look at the operands
 * @VERDICT_NOP: classify.c has to look at prefixes and operands, as for all
 *	that follow
 * @VERDICT_HINT: a nop in most forms
 * @VERDICT_PUSHF: of the flags
 * @VERDICT_POPF: of the flags
 * @VERDICT_JUMP: relative
 * @VERDICT_JCC: relative and conditional
 * @VERDICT_LOOP: loops and jcxz
 * @VERDICT_CALL: relative
 * @VERDICT_RETURN: near
 * @VERDICT_JUMP_INDIRECT: near
 * @VERDICT_CALL_INDIRECT: near
 * @UPROBE_NR_VERDICTS: how many there are
 */
enum uprobe_verdict {
	VERDICT_INVALID,
	VERDICT_PLAIN,
	VERDICT_EMULATE,
	VERDICT_STEP,

	VERDICT_SYSCALL,
	VERDICT_INTERRUPT,
	VERDICT_UNDEFINED,
	VERDICT_PRIVILEGED,
	VERDICT_PORT,
	VERDICT_FAR,
	VERDICT_STACK_SEGMENT,
	VERDICT_TRANSACTION,
	VERDICT_VIRTUAL,
	VERDICT_ENCLAVE,
	VERDICT_REX2_BRANCH,
	VERDICT_SHORT_BRANCH,

	VERDICT_GROUP,

	VERDICT_NOP,
	VERDICT_HINT,
	VERDICT_PUSHF,
	VERDICT_POPF,
	VERDICT_JUMP,
	VERDICT_JCC,
	VERDICT_LOOP,
	VERDICT_CALL,
	VERDICT_RETURN,
	VERDICT_JUMP_INDIRECT,
	VERDICT_CALL_INDIRECT,
	UPROBE_NR_VERDICTS,
};

/* tables.c */
bool uprobe_insn_has_prefix(const struct insn *insn, u8 prefix);
u8 uprobe_insn_opcode(const struct insn *insn);
enum uprobe_verdict uprobe_opcode_verdict(struct insn *insn);

/* relocate.c */
unsigned int uprobe_slot_insn_len(const struct arch_uprobe *au);

/* emulate.c */
bool uprobe_read_operand(unsigned long addr, u8 width, unsigned long *value);
bool uprobe_write_operand(unsigned long addr, u8 width, unsigned long value);

/* step.c */
void uprobe_report_traps(struct pt_regs *regs, unsigned long old_dr6,
			 bool stepped);

#endif /* _X86_KERNEL_UPROBES_INTERNAL_H */

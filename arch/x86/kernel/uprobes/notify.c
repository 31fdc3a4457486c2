// SPDX-License-Identifier: GPL-2.0
/*
 * Whose trap is this?
 *
 * Breakpoint exceptions of user mode go straight from traps.c to the core
 * (uprobe_breakpoint()). Debug exceptions come here through the die notifier
 * chain, interrupts off: the core says whether it is waiting for the end of a
 * step, and does the rest on the way back to user mode (step.c).
 */
#include <linux/err.h>
#include <linux/kdebug.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/uprobes.h>
#include <asm/debugreg.h>
#include <asm/segment.h>
#include <asm/trapnr.h>

/**
 * arch_uprobe_is_breakpoint - do these bytes and registers say "breakpoint"?
 * @regs: behind it
 * @bytes: the two bytes in front of the instruction pointer
 *
 * int3 has two encodings, cc and cd 03. In a code segment with a base the
 * bytes are somebody else's; but no site is ever made for such code.
 *
 * Context: any.
 *
 * Return: true if they do.
 */
bool arch_uprobe_is_breakpoint(struct pt_regs *regs, const u8 *bytes)
{
	if (!user_64bit_mode(regs) && (regs->cs & SEGMENT_TI_MASK))
		return true;
	return bytes[1] == UPROBE_BREAKPOINT ||
	       (bytes[0] == 0xcd && bytes[1] == 3);
}

/**
 * arch_uprobe_send_trap - send what traps.c would have sent for a breakpoint
 * @regs: behind it
 *
 * Context: task context.
 */
void arch_uprobe_send_trap(struct pt_regs *regs)
{
	current->thread.trap_nr = X86_TRAP_BP;
	current->thread.error_code = 0;
	force_sig(SIGTRAP);
}

/*
 * A debug exception may have several causes. The step is ours and nobody
 * else's business; watchpoints have left their mark in virtual_dr6, and
 * arch_uprobe_step_end() reports them when the instruction pointer is right
 * again. What is left is a bus lock, which traps.c has to deal with.
 */
static int step_trapped(struct pt_regs *regs, unsigned long *dr6)
{
	if (!(*dr6 & DR_STEP) || !uprobe_step_done(regs))
		return NOTIFY_DONE;

	*dr6 &= ~(DR_STEP | DR_TRAP_BITS);
	current->thread.virtual_dr6 &= ~DR_STEP;
	return *dr6 & DR_BUS_LOCK ? NOTIFY_DONE : NOTIFY_STOP;
}

/**
 * arch_uprobe_exception_notify - take the traps that belong to uprobes
 * @self: the notifier block of the core
 * @val: what happened, enum die_val
 * @data: struct die_args; for DIE_DEBUG its err is a pointer to the causes
 *
 * Must come after hw_breakpoint_exceptions_notify(), which sorts out the
 * watchpoints: a priority below INT_MAX.
 *
 * Context: exception, interrupts off.
 * Return: NOTIFY_STOP if the trap has been dealt with, else NOTIFY_DONE.
 */
int arch_uprobe_exception_notify(struct notifier_block *self,
				 unsigned long val, void *data)
{
	const struct die_args *trap = data;
	struct pt_regs *regs = trap->regs;

	if (val != DIE_DEBUG || !user_mode(regs) || v8086_mode(regs))
		return NOTIFY_DONE;
	return step_trapped(regs, ERR_PTR(trap->err));
}

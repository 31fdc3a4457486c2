// SPDX-License-Identifier: GPL-2.0
/*
 * How does the processor carry out one instruction in a slot, so that nobody
 * can tell that it wasn't at its own address?
 *
 * The thread is sent to the slot with the trap flag set. Then there are three
 * ways out. A debug exception follows the instruction: step_end() moves the
 * instruction pointer to where it would be, and corrects what the
 * instruction has stored of the slot's address and of our trap flag. The
 * instruction faults: step_abort() puts the thread back to the original, so
 * that the signal shows the right address. Or the thread is killed, which is
 * treated like a fault.
 *
 * Debuggers use the same trap flag. What they would have seen of an
 * instruction at its own address (SIGTRAP, DR6, block steps) they see here.
 *
 * Called by the core (kernel/events/uprobes/step.c) on the way back to user
 * mode.
 */
#include <linux/errno.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <asm/debugreg.h>
#include <asm/processor.h>
#include <asm/shstk.h>
#include <asm/traps.h>

#include "internal.h"

/**
 * uprobe_report_traps - send the SIGTRAP that follows an instruction
 * @regs: after the instruction
 * @old_dr6: thread_struct::virtual_dr6 before it
 * @stepped: the trap flag was set for a debugger, or by the program
 *
 * Watchpoints that the instruction has hit are in virtual_dr6. If there are
 * none and nobody stepped, no trap has happened and a debugger reads the old
 * value.
 */
void uprobe_report_traps(struct pt_regs *regs, unsigned long old_dr6,
			 bool stepped)
{
	unsigned long dr6 = current->thread.virtual_dr6 & DR_TRAP_BITS;

	if (stepped)
		dr6 |= DR_STEP;
	current->thread.virtual_dr6 = dr6 ?: old_dr6;
	if (!dr6)
		return;
	/* a debug exception ends block stepping */
	if (test_thread_flag(TIF_BLOCKSTEP))
		set_task_blockstep(current, false);
	send_sigtrap(regs, 0, get_si_code(dr6));
}

/* Where would the thread be, had it not been sent to the slot? */
static unsigned long original_ip(const struct arch_uprobe *au, unsigned long ip,
				 unsigned long slot_addr, unsigned long vaddr)
{
	struct arch_uprobe_slot slot;

	if (ip - slot_addr >= UPROBE_SLOT_SIZE)
		return ip;
	arch_uprobe_describe_slot(au, &slot);
	return arch_uprobe_slot_origin(&slot, vaddr, ip - slot_addr);
}

/**
 * arch_uprobe_step_begin - send the thread to the slot
 * @au: the instruction
 * @aut: where to save what step_end() and step_abort() restore
 * @regs: of the thread
 * @slot_addr: the slot of the instruction
 *
 * Context: task context.
 */
void arch_uprobe_step_begin(const struct arch_uprobe *au,
			    struct arch_uprobe_task *aut,
			    struct pt_regs *regs, unsigned long slot_addr)
{
	aut->virtual_dr6 = current->thread.virtual_dr6;
	aut->trap_flag = regs->flags & X86_EFLAGS_TF;
	aut->block_step = test_thread_flag(TIF_BLOCKSTEP);

	if (aut->block_step)
		set_task_blockstep(current, false);
	regs->ip = slot_addr;
	regs->flags |= X86_EFLAGS_TF;
}

/*
 * Would a debugger stop here? Block steps stop after taken branches. Popf is
 * different: its flags are the program's from now on, so that a debugger
 * that doesn't stop now may never do so again (see step.c one level up).
 */
static bool step_is_seen(const struct arch_uprobe *au,
			 const struct arch_uprobe_task *aut)
{
	if (!aut->trap_flag)
		return false;
	return !aut->block_step || au->op == UPROBE_OP_POPF ||
	       au->op >= UPROBE_OP_JUMP;
}

/*
 * The instruction has pushed the address after itself. If the word can't be
 * written any more, another thread has unmapped the stack since; without a
 * shadow stack the call has done nothing else, and faults when it is repeated.
 */
static int fix_return_address(const struct arch_uprobe *au,
			      struct pt_regs *regs, unsigned long vaddr)
{
	unsigned long ret_addr = vaddr + au->len;

	if (uprobe_write_operand(regs->sp, au->width, ret_addr))
		return shstk_update_last_frame(ret_addr) ? -EFAULT : 0;
	if (shstk_is_enabled())
		return -EFAULT;
	regs->sp += au->width;
	regs->ip = vaddr;
	return -EINPROGRESS;
}

/* The same for the flags, among which the trap flag isn't the program's. */
static int fix_pushed_flags(const struct arch_uprobe *au,
			    struct pt_regs *regs, unsigned long vaddr)
{
	unsigned long flags;

	if (uprobe_read_operand(regs->sp, au->width, &flags) &&
	    uprobe_write_operand(regs->sp, au->width, flags & ~X86_EFLAGS_TF))
		return 0;
	regs->sp += au->width;
	regs->ip = vaddr;
	return -EINPROGRESS;
}

static int fix_stack(const struct arch_uprobe *au,
		     const struct arch_uprobe_task *aut, struct pt_regs *regs,
		     unsigned long vaddr)
{
	if (uprobe_op_is_call(au->op))
		return fix_return_address(au, regs, vaddr);
	if (au->op == UPROBE_OP_PUSHF && !aut->trap_flag)
		return fix_pushed_flags(au, regs, vaddr);
	return 0;
}

/**
 * arch_uprobe_step_end - the instruction in the slot has been executed
 * @au: the instruction
 * @aut: what step_begin() saved
 * @regs: of the thread, after the debug exception
 * @slot_addr: the slot of the instruction
 * @vaddr: where the original is
 *
 * A repeated string instruction traps after each round. It isn't at its end
 * then, and has to go on where it is: back at its own address, each round
 * would be another hit.
 *
 * Context: task context; may sleep.
 * Return: 0 when the thread can go on. -EAGAIN if the instruction isn't
 * finished: @aut stays valid, and the thread goes back to the slot for the next
 * trap. -EINPROGRESS if it isn't finished, but a debugger has to see the thread
 * at @vaddr first, or it has to be repeated from the beginning. -EFAULT if the
 * return address that a call has pushed can't be corrected: the thread can't go
 * on.
 */
int arch_uprobe_step_end(const struct arch_uprobe *au,
			 struct arch_uprobe_task *aut, struct pt_regs *regs,
			 unsigned long slot_addr, unsigned long vaddr)
{
	bool seen = step_is_seen(au, aut);
	bool watched = current->thread.virtual_dr6 & DR_TRAP_BITS;
	bool unfinished = regs->ip == slot_addr;
	int err;

	if (unfinished && !seen && !watched)
		return -EAGAIN;

	regs->ip = original_ip(au, regs->ip, slot_addr, vaddr);
	err = fix_stack(au, aut, regs, vaddr);

	if (au->op == UPROBE_OP_POPF)
		clear_thread_flag(TIF_FORCED_TF);
	else if (!aut->trap_flag)
		regs->flags &= ~X86_EFLAGS_TF;
	if (aut->block_step && !seen && !watched)
		set_task_blockstep(current, true);
	uprobe_report_traps(regs, aut->virtual_dr6, seen);
	return unfinished ? -EINPROGRESS : err;
}

/**
 * arch_uprobe_step_abort - take the thread out of the slot, nothing done
 * @au: the instruction
 * @aut: what step_begin() saved
 * @regs: of the thread
 * @slot_addr: the slot of the instruction
 * @vaddr: where the original is
 *
 * What a repeated string instruction has done before it faulted stays done;
 * its registers say how far it got, and at @vaddr it goes on from there.
 *
 * Context: task context.
 */
void arch_uprobe_step_abort(const struct arch_uprobe *au,
			    struct arch_uprobe_task *aut,
			    struct pt_regs *regs, unsigned long slot_addr,
			    unsigned long vaddr)
{
	current->thread.virtual_dr6 = aut->virtual_dr6;
	regs->ip = original_ip(au, regs->ip, slot_addr, vaddr);
	if (!aut->trap_flag)
		regs->flags &= ~X86_EFLAGS_TF;
	if (aut->block_step)
		set_task_blockstep(current, true);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * How does a thread execute the displaced instruction in a slot?
 *
 * Under the trap flag: it is sent to the slot (uprobe_step_start()), traps
 * behind the instruction (uprobe_step_done()), and in task context the
 * architecture puts its registers to where they would be without the slot
 * (uprobe_step_finish()).
 *
 * Nobody sees it in the slot meanwhile: signals wait (uprobe_deny_signal()),
 * except one that the instruction itself has caused, for which the thread is
 * put back to the site first, and a fatal one.
 */

#include <linux/cleanup.h>
#include <linux/freezer.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>

#include "internal.h"

/**
 * uprobe_step_start - send the thread to the slot
 * @ut: the current thread
 * @site: with a reference that is kept until the step is over
 * @regs: at the site
 *
 * Context: task context before the return to user mode.
 */
void uprobe_step_start(struct uprobe_thread *ut, struct uprobe_site *site,
		       struct pt_regs *regs)
{
	ut->site = site;
	ut->slot = READ_ONCE(site->slot);
	ut->step = STEP_RUNNING;
	arch_uprobe_step_begin(&site->arch, &ut->arch, regs, ut->slot);
}

/**
 * uprobe_step_done - a single-step trap has come in user mode
 * @regs: of the current task
 *
 * Context: the architecture's trap handler, interrupts off.
 * Return: true if it was the end of a step of ours.
 */
bool uprobe_step_done(struct pt_regs *regs)
{
	struct uprobe_thread *ut = uprobe_thread_of(current);

	if (!ut || ut->step != STEP_RUNNING)
		return false;
	ut->step = STEP_DONE;
	set_thread_flag(TIF_UPROBE);
	return true;
}

/**
 * uprobe_deny_signal - may a signal be delivered now?
 *
 * Called by get_signal() before it takes siglock. A signal that waits is found
 * again by recalc_sigpending() in uprobe_step_finish().
 *
 * Return: true if the thread is in a slot and has to leave it first.
 */
bool uprobe_deny_signal(void)
{
	struct uprobe_thread *ut = uprobe_thread_of(current);

	if (!ut || !ut->site)
		return false;
	/* a SIGKILL that comes after this sets the flag again */
	scoped_guard(spinlock_irq, &current->sighand->siglock)
		clear_thread_flag(TIF_SIGPENDING);
	if (ut->step == STEP_RUNNING &&
	    (__fatal_signal_pending(current) ||
	     arch_uprobe_step_faulted(&ut->arch))) {
		ut->step = STEP_ABORTED;
		set_thread_flag(TIF_UPROBE);
	}
	return true;
}

/* Signals that have waited, and a freezer, are seen now. */
static bool stop_denying(void)
{
	scoped_guard(spinlock_irq, &current->sighand->siglock)
		recalc_sigpending();
	if (freezing(current))
		set_thread_flag(TIF_SIGPENDING);
	return signal_pending(current);
}

static int end_step(struct uprobe_thread *ut, struct pt_regs *regs)
{
	struct uprobe_site *site = ut->site;

	if (ut->step == STEP_DONE)
		return arch_uprobe_step_end(&site->arch, &ut->arch, regs,
					    ut->slot, site->vaddr);
	arch_uprobe_step_abort(&site->arch, &ut->arch, regs, ut->slot,
			       site->vaddr);
	return 0;
}

/*
 * A round of a repeated string instruction is over, and others are to come. It
 * may take long: a signal is delivered in between, as the processor does, and
 * the instruction goes on afterwards without being hit again.
 */
static bool go_on_in_slot(struct uprobe_thread *ut, struct pt_regs *regs)
{
	ut->step = STEP_RUNNING;
	if (!stop_denying())
		return true;
	ut->step = STEP_ABORTED;
	end_step(ut, regs);
	ut->again_vaddr = ut->site->vaddr;
	ut->again_sp = user_stack_pointer(regs);
	return false;
}

/**
 * uprobe_step_goes_on - does an interrupted instruction go on here?
 * @ut: the current thread, at a breakpoint
 * @regs: of the current task
 *
 * A hit in a signal handler has another stack pointer.
 *
 * Return: true if this is no new hit.
 */
bool uprobe_step_goes_on(struct uprobe_thread *ut, struct pt_regs *regs)
{
	bool same = ut->again_vaddr == ut->hit_vaddr &&
		    ut->again_sp == user_stack_pointer(regs);

	/* back on the old stack, or above it: the instruction was left */
	if (user_stack_pointer(regs) >= ut->again_sp)
		ut->again_vaddr = 0;
	return same;
}

/**
 * uprobe_step_finish - the thread leaves the slot
 * @ut: the current thread, in STEP_DONE or STEP_ABORTED
 * @regs: in or behind the slot; afterwards as without one
 *
 * Context: task context before the return to user mode.
 */
void uprobe_step_finish(struct uprobe_thread *ut, struct pt_regs *regs)
{
	int err = end_step(ut, regs);

	if (err == -EAGAIN && go_on_in_slot(ut, regs))
		return;
	ut->step = STEP_NONE;
	uprobe_site_put(ut->site);
	ut->site = NULL;
	stop_denying();
	if (err == -EFAULT)
		force_sig(SIGSEGV);
}

/**
 * uprobe_get_trap_addr - where would this trap be without uprobes?
 * @regs: of the current task, in a trap
 *
 * For si_addr of the signals that report the address of an instruction.
 *
 * Return: the address.
 */
unsigned long uprobe_get_trap_addr(struct pt_regs *regs)
{
	struct uprobe_thread *ut = uprobe_thread_of(current);

	return ut && ut->site ? ut->site->vaddr : instruction_pointer(regs);
}

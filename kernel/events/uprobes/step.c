// SPDX-License-Identifier: GPL-2.0
/*
 * How does a thread execute the displaced instruction in a slot, one step?
 *
 * The last resort: for instructions that disturb the trap flag or need a
 * correction afterwards, for branches that the kernel couldn't carry out, and
 * under a debugger that steps. The thread is sent to the slot with the trap
 * flag set (uprobe_step_start()), traps behind the instruction
 * (uprobe_step_done()), and in task context the architecture puts its
 * registers to where they would be without the slot (uprobe_step_finish()).
 *
 * A signal ends the step before it is looked at (uprobe_step_abort(), called
 * by interrupt.c): the instruction has faulted or not begun, or it is a
 * repeated one that has done some rounds, and goes on later. So does the abort
 * of a restartable sequence (uprobe_step_cancel()), but there it doesn't.
 */

#include <linux/ptrace.h>
#include <linux/sched/signal.h>

#include "internal.h"

/**
 * uprobe_step_start - send the thread to the slot
 * @ut: the current thread
 * @site: with a reference that is kept until the step is over
 * @slot: its slot
 * @regs: at the site
 *
 * Context: task context before the return to user mode.
 */
void uprobe_step_start(struct uprobe_thread *ut, struct uprobe_site *site,
		       unsigned long slot, struct pt_regs *regs)
{
	ut->site = site;
	ut->slot = slot;
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

static void leave(struct uprobe_thread *ut)
{
	ut->step = STEP_NONE;
	uprobe_site_put(ut->site);
	ut->site = NULL;
}

/**
 * uprobe_step_finish - the thread leaves the slot
 * @ut: the current thread, in STEP_DONE
 * @regs: behind the instruction in the slot; afterwards as without a slot
 *
 * Context: task context before the return to user mode.
 */
void uprobe_step_finish(struct uprobe_thread *ut, struct pt_regs *regs)
{
	unsigned long vaddr = ut->site->vaddr;
	int err = arch_uprobe_step_end(&ut->site->arch, &ut->arch, regs,
				       ut->slot, vaddr);

	if (err == -EAGAIN) {
		/* a round of a repeated instruction: the next one */
		ut->step = STEP_RUNNING;
		return;
	}
	leave(ut);
	/* a debugger looks at it between two rounds: that is one hit, too */
	if (err == -EINPROGRESS)
		uprobe_interrupted(ut, vaddr, regs);
	if (err == -EFAULT)
		force_sig(SIGSEGV);
}

static void take_back(struct uprobe_thread *ut, struct pt_regs *regs)
{
	struct uprobe_site *site = ut->site;

	arch_uprobe_step_abort(&site->arch, &ut->arch, regs, ut->slot,
			       site->vaddr);
	leave(ut);
}

/**
 * uprobe_step_cancel - the thread is sent elsewhere before the step is over
 * @ut: the current thread, with a site
 * @regs: in the slot; afterwards at the original instruction, which isn't
 *	gone on with
 *
 * Context: task context before the return to user mode.
 */
void uprobe_step_cancel(struct uprobe_thread *ut, struct pt_regs *regs)
{
	if (ut->step == STEP_DONE)
		uprobe_step_finish(ut, regs);
	if (ut->site)
		take_back(ut, regs);
}

/**
 * uprobe_step_abort - a signal comes before the step is over
 * @ut: the current thread, with a site
 * @regs: in the slot; afterwards at the original instruction
 *
 * Context: task context before the return to user mode; may sleep.
 */
void uprobe_step_abort(struct uprobe_thread *ut, struct pt_regs *regs)
{
	unsigned long vaddr = ut->site->vaddr;

	if (ut->step == STEP_DONE) {
		uprobe_step_finish(ut, regs);
		if (!ut->site)
			return;
	}
	take_back(ut, regs);
	uprobe_interrupted(ut, vaddr, regs);
}

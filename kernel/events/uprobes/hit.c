// SPDX-License-Identifier: GPL-2.0
/*
 * What happens when a thread arrives at a breakpoint?
 *
 * In the trap (uprobe_breakpoint()) the address is noted and the thread sent
 * to task context before it would return to user mode (task.c). There the site
 * is looked up; calls that return here are closed, the entry handlers run, and
 * calls are opened (call.c); then the displaced instruction is carried out, by
 * the architecture's emulation or in the slot (step.c).
 */

#include <linux/mm.h>
#include <linux/rcupdate_trace.h>
#include <linux/timekeeping.h>

#include "internal.h"

/**
 * uprobe_breakpoint - a breakpoint has trapped in user mode
 * @regs: of the current task, behind the breakpoint
 *
 * Context: the architecture's trap handler, interrupts off.
 * Return: true if it may be ours: uprobe_notify_resume() decides.
 */
bool uprobe_breakpoint(struct pt_regs *regs)
{
	unsigned long vaddr = instruction_pointer(regs) -
			      UPROBE_BREAKPOINT_SIZE;
	struct mm_struct *mm = current->mm;
	struct uprobe_thread *ut;

	if (!mm || !READ_ONCE(mm->uprobes_state.space))
		return false;
	ut = uprobe_thread_make(GFP_ATOMIC);
	if (!ut) {
		/* try again: nothing has happened yet */
		instruction_pointer_set(regs, vaddr);
		return true;
	}
	/* what runs in a slot is never a breakpoint (classify.c) */
	if (ut->step != STEP_NONE)
		return false;
	ut->step = STEP_HIT;
	ut->hit_vaddr = vaddr;
	ut->hit_time = ktime_get_mono_fast_ns();
	set_thread_flag(TIF_UPROBE);
	return true;
}

/*
 * No site, but a trap: a page with a breakpoint was moved here and the thread
 * that did it hasn't come to uprobe_sync() yet; or the site was removed after
 * the trap; or the breakpoint isn't ours.
 */
static struct uprobe_site *settle(unsigned long vaddr, struct pt_regs *regs)
{
	struct uprobe_site *site;

	if (uprobe_is_dirty(current->mm))
		uprobe_sync(current->mm);
	site = uprobe_site_get(current->mm, vaddr);
	if (!site && !arch_uprobe_own_breakpoint(regs))
		instruction_pointer_set(regs, vaddr);
	return site;
}

/* Returns the epoch of the hit, 0 if no consumer wants the process any more. */
static u64 run_entry_handlers(struct uprobe *uprobe, struct pt_regs *regs)
{
	u64 epoch = uprobe_epoch();
	struct uprobe_consumer *uc;
	bool asked = false, keep = false;

	list_for_each_entry_rcu(uc, &uprobe->consumers, cons_node,
				rcu_read_lock_trace_held()) {
		int ret = 0;

		if (uc->since > epoch)
			continue;
		asked = true;
		if (uc->handler)
			ret = uc->handler(uc, regs);
		WARN_ONCE(ret & ~UPROBE_HANDLER_MASK, "%ps returned %#x\n",
			  uc->handler, ret);
		if (!(ret & UPROBE_HANDLER_REMOVE))
			keep = true;
	}
	return asked && !keep ? 0 : epoch;
}

static void enter(struct uprobe_thread *ut, struct uprobe_site *site,
		  struct uprobe *uprobe, struct pt_regs *regs)
{
	u64 epoch;

	ut->task.auprobe = &site->arch;
	epoch = run_entry_handlers(uprobe, regs);
	ut->task.auprobe = NULL;

	if (!epoch)
		uprobe_recheck(uprobe, current->mm);
	else if (READ_ONCE(site->wants_returns))
		uprobe_calls_open(ut, uprobe, site->vaddr, epoch, regs);
}

/*
 * Takes the caller's reference to the site. The instruction is executed by
 * the thread unless a handler has sent it elsewhere.
 */
static void pass_site(struct uprobe_thread *ut, struct uprobe_site *site,
		      struct pt_regs *regs)
{
	unsigned long vaddr = site->vaddr;
	struct uprobe *uprobe;

	instruction_pointer_set(regs, vaddr);
	if (READ_ONCE(site->is_return))
		uprobe_calls_close(ut, vaddr, regs);
	uprobe = READ_ONCE(site->uprobe);
	if (uprobe && instruction_pointer(regs) == vaddr)
		enter(ut, site, uprobe, regs);

	if (instruction_pointer(regs) != vaddr ||
	    arch_uprobe_emulate(&site->arch, regs, vaddr))
		uprobe_site_put(site);
	else
		uprobe_step_start(ut, site, regs);
}

/**
 * uprobe_handle_hit - a thread has trapped: run handlers, execute, go on
 * @ut: the thread, in STEP_HIT
 * @regs: of the current task
 *
 * Context: task context, interrupts on, no locks.
 */
void uprobe_handle_hit(struct uprobe_thread *ut, struct pt_regs *regs)
{
	struct uprobe_site *site;
	u64 now;

	ut->step = STEP_NONE;
	site = uprobe_site_get(current->mm, ut->hit_vaddr);
	if (!site)
		site = settle(ut->hit_vaddr, regs);
	if (!site)
		return;
	if (!arch_uprobe_fits(&site->arch, regs)) {
		uprobe_site_abandon(site);
		instruction_pointer_set(regs, ut->hit_vaddr);
		uprobe_site_put(site);
		return;
	}

	rcu_read_lock_trace();
	pass_site(ut, site, regs);
	rcu_read_unlock_trace();

	now = ktime_get_mono_fast_ns();
	ut->handler_ns += now - ut->hit_time;
	uprobe_calls_entered(ut, now);
}

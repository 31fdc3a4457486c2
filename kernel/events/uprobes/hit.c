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

/* The text is read by force: it may be executable only. */
static bool is_breakpoint(struct mm_struct *mm, struct pt_regs *regs)
{
	unsigned long end = instruction_pointer(regs);
	u8 bytes[2] = {};

	if (uprobe_text_read(mm, end - 1, &bytes[1], 1) != 1)
		return false;
	uprobe_text_read(mm, end - 2, &bytes[0], 1);
	return arch_uprobe_is_breakpoint(regs, bytes);
}

/*
 * No site, but a trap: a page with a breakpoint was moved here and the thread
 * that did it hasn't come to uprobe_sync() yet; or the site was removed after
 * the trap; or the breakpoint isn't ours. mmap_lock holds index and text
 * together: no breakpoint of ours is without its site then.
 */
static struct uprobe_site *settle(unsigned long vaddr, struct pt_regs *regs)
{
	struct mm_struct *mm = current->mm;
	struct uprobe_site *site;
	bool own;

	if (uprobe_is_dirty(mm))
		uprobe_sync(mm);
	mmap_read_lock(mm);
	site = uprobe_site_get(mm, vaddr);
	own = !site && is_breakpoint(mm, regs);
	mmap_read_unlock(mm);

	if (own)
		arch_uprobe_send_trap(regs);
	else if (!site)
		instruction_pointer_set(regs, vaddr);
	return site;
}

/**
 * struct verdict - what the consumers of an entry hit say
 * @remove: all that were asked have lost interest in the process
 * @returns: somebody wants the return
 */
struct verdict {
	bool remove;
	bool returns;
};

static struct verdict run_entry_handlers(struct uprobe *uprobe, u64 epoch,
					 struct pt_regs *regs)
{
	struct uprobe_consumer *uc;
	bool asked = false, keep = false, returns = false;

	for_each_consumer(uc, uprobe) {
		int ret = 0;

		if (uc->since > epoch)
			continue;
		asked = true;
		if (uc->handler)
			ret = uc->handler(uc, regs);
		WARN_ONCE(ret & ~UPROBE_HANDLER_MASK, "%ps returned %#x\n",
			  uc->handler, ret);
		if (ret & UPROBE_HANDLER_REMOVE)
			continue;
		keep = true;
		returns |= uprobe_consumer_is_returner(uc) &&
			   uprobe_consumer_wants(uc, current->mm);
	}
	return (struct verdict){ .remove = asked && !keep, .returns = returns };
}

static void enter(struct uprobe_thread *ut, struct uprobe_site *site,
		  struct uprobe *uprobe, struct pt_regs *regs)
{
	u64 epoch = uprobe_epoch();
	struct verdict verdict;

	ut->task.auprobe = &site->arch;
	verdict = run_entry_handlers(uprobe, epoch, regs);
	ut->task.auprobe = NULL;

	if (verdict.remove)
		uprobe_recheck(uprobe, current->mm);
	else if (verdict.returns)
		uprobe_calls_open(ut, uprobe, site->vaddr, epoch, regs);
}

static void run_handlers(struct uprobe_thread *ut, struct uprobe_site *site,
			 struct pt_regs *regs)
{
	struct uprobe *uprobe;

	rcu_read_lock_trace();
	if (READ_ONCE(site->is_return))
		uprobe_calls_close(ut, site->vaddr, regs);
	uprobe = READ_ONCE(site->uprobe);
	if (uprobe && instruction_pointer(regs) == site->vaddr)
		enter(ut, site, uprobe, regs);
	rcu_read_unlock_trace();
}

/*
 * Takes the caller's reference to the site. Outside of the RCU section: the
 * instruction may touch memory that takes its time.
 */
static void execute(struct uprobe_thread *ut, struct uprobe_site *site,
		    struct pt_regs *regs)
{
	if (arch_uprobe_emulate(&site->arch, regs, site->vaddr)) {
		uprobe_site_put(site);
	} else if (uprobe_slot_is_lost(site) && uprobe_slot_replace(site)) {
		/* no room for a slot: the instruction gets its place back */
		uprobe_site_abandon(site);
		uprobe_site_put(site);
	} else {
		uprobe_step_start(ut, site, regs);
	}
}

/* The instruction is executed unless a handler has sent the thread elsewhere. */
static void pass_site(struct uprobe_thread *ut, struct uprobe_site *site,
		      struct pt_regs *regs)
{
	instruction_pointer_set(regs, site->vaddr);
	if (!uprobe_step_goes_on(ut, regs))
		run_handlers(ut, site, regs);
	if (instruction_pointer(regs) == site->vaddr)
		execute(ut, site, regs);
	else
		uprobe_site_put(site);
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

	pass_site(ut, site, regs);
	now = ktime_get_mono_fast_ns();
	ut->handler_ns += now - ut->hit_time;
	uprobe_calls_entered(ut, now);
}

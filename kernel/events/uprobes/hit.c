// SPDX-License-Identifier: GPL-2.0
/*
 * What is left of a hit when the thread is back in task context?
 *
 * What the trap couldn't do (trap.c): either nothing has happened (STEP_HIT), or
 * the consumers have been told and only the displaced instruction is left
 * (STEP_EXECUTE). The consumers get the hit (deliver.c), however long it takes;
 * then the instruction is carried out by the architecture's emulation, by the
 * processor in the slot, from which a jump leads back, or there under the trap
 * flag (step.c).
 *
 * task.c calls uprobe_handle_hit() on the way back to user mode; interrupt.c
 * calls uprobe_go_on() for an instruction that was interrupted.
 */

#include <linux/mm.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "internal.h"

/* ---- the displaced instruction ------------------------------------------ */

/*
 * In task context. Takes the caller's reference to the site if there is a slot.
 * With preemption off, so that the slot isn't used again before the thread has
 * been sent there, and uprobe_strand() finds it there, should the process unmap
 * it just now.
 */
static bool enter_slot(struct uprobe_thread *ut, struct uprobe_site *site,
		       struct pt_regs *regs)
{
	unsigned long slot;

	guard(preempt)();
	/* it has left the index before the process unmapped its slot */
	if (uprobe_slot_is_lost(site))
		return false;
	if (uprobe_boost(site, regs)) {
		uprobe_site_put(site);
		return true;
	}
	slot = smp_load_acquire(&site->slot);
	if (slot)
		uprobe_step_start(ut, site, slot, regs);
	return slot;
}

/*
 * A debugger has its own breakpoint there, or has written another instruction:
 * then it goes on with that when uprobe_sync() has done away with the site.
 */
static bool is_altered(struct uprobe_thread *ut, struct uprobe_site *site,
		       struct pt_regs *regs)
{
	switch (READ_ONCE(site->text)) {
	case TEXT_TRAPPED:
		uprobe_trap(ut, site->vaddr, regs);
		return true;
	case TEXT_CHANGED:
		uprobe_interrupted(ut, site->vaddr, regs);
		return true;
	case TEXT_INTACT:
		break;
	}
	return false;
}

/* In task context. Takes the caller's reference to the site. */
static void execute(struct uprobe_thread *ut, struct uprobe_site *site,
		    struct pt_regs *regs)
{
	if (is_altered(ut, site, regs)) {
		uprobe_site_put(site);
		return;
	}
	if (arch_uprobe_emulate(&site->arch, regs, site->vaddr)) {
		uprobe_site_put(site);
		return;
	}
	if (!READ_ONCE(site->slot) && uprobe_slot_replace(site)) {
		/* no room for a slot: the instruction gets its place back */
		uprobe_site_abandon(site);
		uprobe_site_put(site);
		return;
	}
	if (enter_slot(ut, site, regs))
		return;
	/* lost again: it goes on with this instruction in the next round */
	uprobe_interrupted(ut, site->vaddr, regs);
	uprobe_site_put(site);
}

/**
 * uprobe_go_on - carry out an instruction that has had its hit
 * @ut: the current thread
 * @vaddr: address of the instruction
 * @regs: at the instruction
 *
 * If the site is gone, so is the breakpoint, and the instruction stands there.
 *
 * Context: task context, no locks.
 */
void uprobe_go_on(struct uprobe_thread *ut, unsigned long vaddr,
		  struct pt_regs *regs)
{
	struct uprobe_site *site = uprobe_site_get(current->mm, vaddr);

	if (!site)
		return;
	if (arch_uprobe_fits(&site->arch, regs))
		execute(ut, site, regs);
	else
		uprobe_site_put(site);
}

/* ---- the rest of a hit -------------------------------------------------- */

/* The text is read by force: it may be executable only. */
static bool is_breakpoint(struct mm_struct *mm, struct pt_regs *regs)
{
	unsigned long end = instruction_pointer(regs);
	u8 bytes[2] = {};

	/* a mapping of a device has no pages to get */
	if (copy_from_user_nofault(&bytes[1], (void __user *)end - 1, 1) &&
	    uprobe_text_read(mm, end - 1, &bytes[1], 1, NULL) != 1)
		return false;
	if (copy_from_user_nofault(&bytes[0], (void __user *)end - 2, 1))
		uprobe_text_read(mm, end - 2, &bytes[0], 1, NULL);
	return arch_uprobe_is_breakpoint(regs, bytes);
}

/*
 * No site, but a trap: mremap() is just moving a page with a breakpoint here; or
 * the site was removed after the trap; or the breakpoint isn't ours. mmap_lock
 * holds index and text together: no breakpoint of ours is without its site then.
 * If the page has gone meanwhile, the thread traps again, or doesn't.
 */
static struct uprobe_site *settle(unsigned long vaddr, struct pt_regs *regs)
{
	struct mm_struct *mm = current->mm;
	struct uprobe_site *site;
	bool own;

	if (uprobe_is_dirty(mm))
		uprobe_sync(mm);
	/* killed meanwhile: it won't get there, but a core dump shows where it is */
	if (mmap_read_lock_killable(mm)) {
		instruction_pointer_set(regs, vaddr);
		return NULL;
	}
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
 * uprobe_handle_hit - do what a trap has left to do
 * @ut: the thread, in STEP_HIT or STEP_EXECUTE
 * @regs: of the current task
 *
 * Context: task context, interrupts on, no locks.
 */
void uprobe_handle_hit(struct uprobe_thread *ut, struct pt_regs *regs)
{
	unsigned long vaddr = ut->hit_vaddr;
	bool told = ut->step == STEP_EXECUTE;
	struct uprobe_site *site;

	ut->step = STEP_NONE;
	if (told) {
		uprobe_go_on(ut, vaddr, regs);
		return;
	}
	site = uprobe_site_get(current->mm, vaddr);
	if (!site)
		site = settle(vaddr, regs);
	if (!site)
		return;
	instruction_pointer_set(regs, vaddr);
	if (!arch_uprobe_fits(&site->arch, regs)) {
		uprobe_site_abandon(site);
		uprobe_site_put(site);
		return;
	}
	/* another instruction: it traps until uprobe_sync() has been here */
	if (READ_ONCE(site->text) == TEXT_CHANGED) {
		uprobe_site_put(site);
		return;
	}

	uprobe_deliver_patiently(ut, site, regs);
	/* unless a handler has sent the thread elsewhere */
	if (instruction_pointer(regs) == vaddr)
		execute(ut, site, regs);
	else
		uprobe_site_put(site);
	uprobe_calls_entered(ut, ktime_get_ns());
}

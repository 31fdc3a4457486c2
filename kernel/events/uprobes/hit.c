// SPDX-License-Identifier: GPL-2.0
/*
 * What happens when a thread arrives at a breakpoint?
 *
 * As a rule all of it in the trap (uprobe_breakpoint()): the site is looked up,
 * the consumers get the hit (deliver.c), and the displaced instruction is
 * carried out by the architecture's emulation, or by the processor in the
 * slot, from which a jump leads back. One exception, one return to user mode;
 * no lock, no allocation, no write to memory that threads share.
 *
 * What can't be done there is done in task context on the way back to user
 * mode (uprobe_handle_hit()): nothing has happened before, or the consumers
 * have been told and only the instruction is left (STEP_EXECUTE).
 */

#include <linux/mm.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "internal.h"

/* ---- the displaced instruction ------------------------------------------ */

/*
 * Send the thread to the slot, for good: nothing is known of it afterwards. A
 * signal or a debugger that comes meanwhile doesn't see it there (interrupt.c).
 */
static bool boost(const struct uprobe_site *site, struct pt_regs *regs)
{
	/* pairs with take_slot(): the slot is filled */
	unsigned long slot = smp_load_acquire(&site->slot);

	if (!slot || !arch_uprobe_can_boost(&site->arch, regs))
		return false;
	instruction_pointer_set(regs, slot);
	return true;
}

/*
 * In task context. Takes the caller's reference to the site if there is a slot.
 * With preemption off, so that the slot isn't used again before the thread has
 * been sent there, should the process unmap it just now.
 */
static bool enter_slot(struct uprobe_thread *ut, struct uprobe_site *site,
		       struct pt_regs *regs)
{
	unsigned long slot;

	guard(preempt)();
	if (boost(site, regs)) {
		uprobe_site_put(site);
		return true;
	}
	slot = smp_load_acquire(&site->slot);
	if (slot)
		uprobe_step_start(ut, site, slot, regs);
	return slot;
}

/* In task context. Takes the caller's reference to the site. */
static void execute(struct uprobe_thread *ut, struct uprobe_site *site,
		    struct pt_regs *regs)
{
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

/* ---- in the trap -------------------------------------------------------- */

/* Return: what is left to do. */
static enum uprobe_step pass(struct uprobe_thread *ut, unsigned long vaddr,
			     struct pt_regs *regs)
{
	struct uprobe_space *space = READ_ONCE(current->mm->uprobes_state.space);
	struct uprobe_site *site = uprobe_site_find(space, vaddr);
	bool done;

	if (!site || !arch_uprobe_fits(&site->arch, regs))
		return STEP_HIT;
	ut->hit_time = ut->nr_timed ? ktime_get_ns() : 0;
	if (uprobe_deliver_now(ut, site, regs))
		return STEP_HIT;

	done = boost(site, regs);
	if (!done) {
		pagefault_disable();
		done = arch_uprobe_emulate(&site->arch, regs, vaddr);
		pagefault_enable();
	}
	if (ut->nr_timed)
		uprobe_calls_entered(ut, ktime_get_ns());
	return done ? STEP_NONE : STEP_EXECUTE;
}

static void leave_to_task(struct uprobe_thread *ut, enum uprobe_step step,
			  unsigned long vaddr, struct pt_regs *regs)
{
	ut->step = step;
	ut->hit_vaddr = vaddr;
	/* settle() wants to know whether that was a breakpoint */
	if (step == STEP_HIT) {
		instruction_pointer_set(regs, vaddr + UPROBE_BREAKPOINT_SIZE);
		ut->hit_time = ktime_get_ns();
	}
	set_thread_flag(TIF_UPROBE);
}

/*
 * The thread's first breakpoint. At a site nothing has happened: it traps again
 * when it has its state. Elsewhere the breakpoint may be the program's own, of
 * two bytes even, and settle() has to find out.
 */
static void meet_first(struct mm_struct *mm, unsigned long vaddr,
		       struct pt_regs *regs)
{
	struct uprobe_space *space = READ_ONCE(mm->uprobes_state.space);
	struct uprobe_thread *ut = NULL;

	if (!uprobe_site_find(space, vaddr))
		ut = uprobe_thread_make(GFP_ATOMIC);
	if (ut) {
		leave_to_task(ut, STEP_HIT, vaddr, regs);
		return;
	}
	instruction_pointer_set(regs, vaddr);
	set_thread_flag(TIF_UPROBE);
}

/**
 * uprobe_breakpoint - a breakpoint has trapped in user mode
 * @regs: of the current task, behind the breakpoint
 *
 * Context: the architecture's trap handler, interrupts off.
 * Return: true if it may be ours: what is left to do is done in
 * uprobe_notify_resume().
 */
bool uprobe_breakpoint(struct pt_regs *regs)
{
	unsigned long vaddr = instruction_pointer(regs) -
			      UPROBE_BREAKPOINT_SIZE;
	struct uprobe_thread *ut = uprobe_thread_of(current);
	struct mm_struct *mm = current->mm;
	enum uprobe_step left;

	if (!mm || !READ_ONCE(mm->uprobes_state.space))
		return false;
	/* what is stepped in a slot is never a breakpoint (classify.c) */
	if (ut && ut->step != STEP_NONE)
		return false;
	if (!ut) {
		meet_first(mm, vaddr, regs);
		return true;
	}
	instruction_pointer_set(regs, vaddr);
	local_irq_enable();
	/* which is a section of RCU, too */
	preempt_disable();
	left = pass(ut, vaddr, regs);
	preempt_enable();
	local_irq_disable();
	if (left != STEP_NONE)
		leave_to_task(ut, left, vaddr, regs);
	return true;
}

/* ---- in task context ---------------------------------------------------- */

/* The text is read by force: it may be executable only. */
static bool is_breakpoint(struct mm_struct *mm, struct pt_regs *regs)
{
	unsigned long end = instruction_pointer(regs);
	u8 bytes[2] = {};

	/* a mapping of a device has no pages to get */
	if (copy_from_user_nofault(&bytes[1], (void __user *)end - 1, 1) &&
	    uprobe_text_read(mm, end - 1, &bytes[1], 1) != 1)
		return false;
	if (copy_from_user_nofault(&bytes[0], (void __user *)end - 2, 1))
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

	uprobe_deliver_patiently(ut, site, regs);
	/* unless a handler has sent the thread elsewhere */
	if (instruction_pointer(regs) == vaddr)
		execute(ut, site, regs);
	else
		uprobe_site_put(site);
	uprobe_calls_entered(ut, ktime_get_ns());
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of threads in slots that the process unmaps?
 *
 * A program is free to unmap what it doesn't know of, or to map something over
 * it. When the pages of slots have gone and before anything else can be in their
 * place, all threads that stand there are noted (uprobe_strand()). Each is moved
 * out before it executes another instruction (uprobe_rescue()), and goes on in
 * another slot.
 *
 *	munmap(), mmap(MAP_FIXED)		a thread in a slot
 *	  page tables cleared, TLB flushed
 *						page fault: waits for mmap_lock
 *	  area_closed()
 *	    uprobe_strand()			is noted
 *	  another mapping
 *						finds that one, or none:
 *						uprobe_deny_fault(), no signal
 *						uprobe_rescue()
 *
 * munmap() has downgraded mmap_lock when it clears the page tables. The fault
 * may find nothing then before the thread is noted, and it notes itself.
 */

#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "internal.h"

/**
 * struct strand - slots that have gone
 * @space: of the address space
 * @start: first address
 * @end: first address behind
 */
struct strand {
	const struct uprobe_space	*space;
	unsigned long			start;
	unsigned long			end;
};

/* The thread executes nothing in user mode meanwhile: it is @t, or can't run. */
static void note(struct uprobe_thread *ut, unsigned long ip,
		 unsigned long origin, unsigned long vaddr)
{
	ut->stranded_origin = origin;
	ut->stranded_vaddr = vaddr;
	/* an NMI that comes in between finds all or nothing */
	barrier();
	WRITE_ONCE(ut->stranded, ip);
}

static void strand(void *data, struct task_struct *t, unsigned long ip)
{
	struct uprobe_thread *ut = uprobe_thread_of(t);
	const struct strand *gone = data;
	unsigned long origin, vaddr;

	if (!ut || ip < gone->start || ip >= gone->end)
		return;
	origin = uprobe_slot_origin(gone->space, ip, &vaddr);
	if (!origin)
		return;
	note(ut, ip, origin, vaddr);
	set_tsk_thread_flag(t, TIF_UPROBE);
}

/**
 * uprobe_strand - note the threads in slots that have gone
 * @space: of the address space
 * @start: first address of the slots; their sites don't use them any more
 * @end: first address behind
 * @lost: of get_state_synchronize_rcu(), when the last site had lost its slot
 *
 * The pages have been taken from all CPUs' page tables, uprobe_slot_origin()
 * still knows the slots, and no other mapping is in their place.
 *
 * Context: mmap_lock is held, by the only one who may change the mappings. May
 * sleep.
 */
void uprobe_strand(const struct uprobe_space *space, unsigned long start,
		   unsigned long end, unsigned long lost)
{
	struct strand gone = { space, start, end };

	mmap_assert_locked(space->mm);
	/*
	 * Who has read a slot's address from its site is there afterwards:
	 * threads are sent to slots with preemption off.
	 */
	cond_synchronize_rcu_expedited(lost);
	/* one that changed its CPU whenever it was asked is asked again */
	while (!uprobe_visit_threads(space->mm, strand, &gone))
		cond_resched();
}

/**
 * uprobe_deny_fault - a page fault of user mode is about to become a signal
 * @regs: of the current task
 *
 * Called by the architecture's page fault handler.
 *
 * Context: task context, no locks. May sleep.
 * Return: true if it faulted because its slot has gone: then it goes on in
 * another one; or if it has returned to the trampoline.
 */
bool uprobe_deny_fault(struct pt_regs *regs)
{
	struct uprobe_thread *ut = uprobe_thread_of(current);
	unsigned long ip = instruction_pointer(regs);
	struct uprobe_space *space;
	unsigned long origin, vaddr;
	bool mapped = true;

	if (!arch_uprobe_in_flat_code(regs))
		return false;
	if (uprobe_has_returned_diverted(regs))
		return true;
	if (!ut)
		return false;
	/* first this one: area_closed() forgets the slot after it has noted us */
	/* pairs with smp_store_release() in uprobe_space_make() */
	space = smp_load_acquire(&current->mm->uprobes_state.space);
	origin = space ? uprobe_slot_origin(space, ip, &vaddr) : 0;
	if (origin && !mmap_read_lock_killable(current->mm)) {
		mapped = uprobe_slot_is_mapped(space, ip);
		mmap_read_unlock(current->mm);
	}
	/* another area may be in its place by now */
	if (mapped)
		return ut->stranded && ut->stranded == ip;
	note(ut, ip, origin, vaddr);
	set_thread_flag(TIF_UPROBE);
	return true;
}

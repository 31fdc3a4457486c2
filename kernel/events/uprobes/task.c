// SPDX-License-Identifier: GPL-2.0
/*
 * What does a thread carry along, and when is its work done?
 *
 * A thread that meets a breakpoint gets a struct uprobe_thread, which stays
 * with it until it exits or calls execve(). Work for it is noted in traps and
 * hooks by TIF_UPROBE, and done here on the way back to user mode, before
 * signals are looked at.
 */

#include <linux/kdebug.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "internal.h"

/**
 * uprobe_thread_make - give the current thread its state
 * @gfp: how to allocate
 *
 * For a thread that has met its first breakpoint. Without memory it does so
 * again until there is some.
 *
 * Return: the state, or NULL without memory.
 */
struct uprobe_thread *uprobe_thread_make(gfp_t gfp)
{
	struct uprobe_thread *ut = kzalloc(sizeof(*ut), gfp);

	if (ut) {
		ut->owner = current;
		WRITE_ONCE(current->utask, &ut->task);
	}
	return ut;
}

/*
 * With the memory that the current thread leaves, by do_exit(), which has taken it out
 * of signal::live, or by execve(), behind de_thread()? Its own process's don't if it
 * ends, or calls execve() in another thread.
 */
static bool others_go_on(struct mm_struct *mm)
{
	struct signal_struct *signal = current->signal;
	int others = atomic_read(&mm->mm_users) - 1;

	smp_rmb();
	if ((current->flags & PF_EXITING) &&
	    ((signal->flags & SIGNAL_GROUP_EXIT) || signal->group_exec_task))
		others -= atomic_read(&signal->live);
	return others > 0;
}

/**
 * uprobe_free_utask - a thread ends, or its program does
 * @t: the current task
 *
 * Called by mm_release(), on exit and by execve(), while the mm is there.
 */
void uprobe_free_utask(struct task_struct *t)
{
	struct uprobe_thread *ut = uprobe_thread_of(t);

	if ((t->flags & PF_EXITING) && t->mm)
		uprobe_leave_to_others(t->mm);
	if (!ut)
		return;
	uprobe_calls_attend(ut);
	uprobe_calls_free(ut, t->flags & PF_EXITING ? UPROBE_MISSED_EXIT :
						      UPROBE_MISSED_EXEC);
	/* who is being killed may leave it to a hit of theirs */
	if (ut->keeps && t->mm && others_go_on(t->mm)) {
		uprobe_recheck_space(t->mm);
		uprobe_leave_to_others(t->mm);
	}
	uprobe_forget_interruptions(ut);
	/* others look at the calls no more: see foreign.c */
	WRITE_ONCE(t->utask, NULL);
	barrier();
	/* killed inside a slot */
	if (ut->site)
		uprobe_site_put(ut->site);
	kvfree(ut->list);
	kfree(ut->unread.bad);
	kvfree(ut->buffer);
	kfree(ut);
}

static void inherit_calls(struct task_struct *child)
{
	struct uprobe_thread *parent = uprobe_thread_of(current);
	struct uprobe_thread *ut;

	if (!parent || (!parent->calls && !parent->interrupted))
		return;
	ut = kzalloc(sizeof(*ut), GFP_KERNEL_ACCOUNT);
	if (ut) {
		ut->owner = child;
		uprobe_inherit_interruptions(ut, parent);
	}
	uprobe_calls_attend(parent);
	uprobe_calls_inherit(ut, parent, child);
	uprobe_calls_release(parent);
	/* pairs with those who look at its calls: they are complete */
	if (ut)
		smp_store_release(&child->utask, &ut->task);
}

/**
 * uprobe_copy_process - a task has been made and has not run yet
 * @t: the new task; a copy of the current one
 * @flags: of clone()
 *
 * A new thread, and a child that shares the address space, start without
 * calls: the frames they came from are their parent's. A child with a copy of
 * the address space returns from the same frames.
 */
void uprobe_copy_process(struct task_struct *t, u64 flags)
{
	struct mm_struct *mm = t->mm;

	t->utask = NULL;
	if (!mm)
		return;
	if (mm != current->mm) {
		inherit_calls(t);
		if (uprobe_walked_since(mm->uprobes_state.dup_seq))
			uprobe_mark_child(mm);
	} else if ((flags & CLONE_VFORK) && mm->uprobes_state.space) {
		atomic_inc(&mm->uprobes_state.space->nr_vforks);
	}
	uprobe_scope_copied(t, flags);
	if (uprobe_is_dirty(mm))
		set_tsk_thread_flag(t, TIF_UPROBE);
}

/**
 * uprobe_notify_resume - TIF_UPROBE was set
 * @regs: of the current task, about to return to user mode
 *
 * Called by exit_to_user_mode_loop(), interrupts on, before signals.
 */
void uprobe_notify_resume(struct pt_regs *regs)
{
	struct uprobe_thread *ut;

	clear_thread_flag(TIF_UPROBE);
	if (!current->mm)
		return;
	if (uprobe_is_dirty(current->mm)) {
		uprobe_sync(current->mm);
		/* its end may take as long as somebody likes: coredump_task_exit() */
		if (fatal_signal_pending(current))
			uprobe_leave_to_others(current->mm);
	}

	ut = uprobe_thread_of(current);
	if (!ut) {
		if (current->mm->uprobes_state.space)
			uprobe_thread_make(GFP_KERNEL_ACCOUNT);
		return;
	}
	uprobe_rescue(ut, regs);
	uprobe_resume(ut, regs);
	switch (ut->step) {
	case STEP_HIT:
	case STEP_EXECUTE:
		uprobe_calls_attend(ut);
		uprobe_handle_hit(ut, regs);
		uprobe_calls_release(ut);
		break;
	case STEP_DONE:
		uprobe_step_finish(ut, regs);
		break;
	case STEP_DIVERTED:
		uprobe_return_diverted(ut, regs);
		break;
	case STEP_NONE:
	case STEP_RUNNING:
		break;
	}
	/* sites were kept for calls, the last of which has returned */
	if (unlikely(ut->keeps) && !ut->calls)
		ut->keeps = !uprobe_recheck_space(current->mm);
}

static struct notifier_block exception_notifier = {
	.notifier_call	= arch_uprobe_exception_notify,
	.priority	= INT_MAX - 1,	/* after kprobes and kgdb */
};

/**
 * uprobes_init - called once, by proc_caches_init()'s neighbour fork_init()
 */
void __init uprobes_init(void)
{
	if (register_die_notifier(&exception_notifier))
		panic("uprobes: no die notifier\n");
}

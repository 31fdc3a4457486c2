// SPDX-License-Identifier: GPL-2.0
/*
 * When does a task come to be wanted, or cease to be, where it is?
 *
 * Filters are asked when something is mapped, and when consumers come and go. Some
 * of them go by what a task is: its user, its cgroup. When that changes, the whole
 * address space is looked at once more, before the task goes on in user mode, and
 * of a process that moves any of its threads. The same goes for perf events that somebody has opened
 * without privilege, who may have no more of a task that gets more than he has
 * (kernel/trace/trace_uprobe_rights.c). Such a consumer is announced before it is
 * registered, and so the change and the registration don't miss each other:
 *
 *	task changes				consumer comes
 *	------------				--------------
 *	credentials or cgroup are set		uprobe_scope_get()
 *	   (a memory barrier on either side)
 *	looks here whether anybody cares	filters are asked
 *
 * Who leaves the scope in the middle of a call keeps its sites until that call and
 * those around it have returned: uprobe_calls_want(). Not who may be traced no more.
 */

#include <linux/atomic.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <uapi/linux/sched.h>

#include "internal.h"

static atomic_t nr_scopes;

/**
 * uprobe_scope_get - announce a consumer, before it is registered
 * @scope: its scope
 */
void uprobe_scope_get(const struct uprobe_scope *scope)
{
	if (!scope->changes)
		return;
	atomic_inc(&nr_scopes);
	/* pairs with matters() */
	smp_mb__after_atomic();
}

/**
 * uprobe_scope_put - it has left
 * @scope: its scope
 */
void uprobe_scope_put(const struct uprobe_scope *scope)
{
	if (scope->changes)
		atomic_dec(&nr_scopes);
}

/* Asked behind the change. */
static bool matters(void)
{
	/* pairs with uprobe_scope_get() */
	smp_mb();
	return atomic_read(&nr_scopes);
}

static bool is_of_user(void)
{
	return current->mm && !(current->flags & (PF_KTHREAD | PF_USER_WORKER));
}

/*
 * @mm: of the current task, or of its child, which has inherited what it is wanted for. Who was
 * wanted there may have ended, and its sites be left.
 */
static bool may_lose_rights(const struct mm_struct *mm)
{
	return trace_uprobe_rights_matter() &&
	       (READ_ONCE(mm->uprobes_state.space) ||
		uprobe_is_target(current->mm));
}

/* May who has traced it do so no more, or do so again? */
static void look_at_rights(void)
{
	struct mm_struct *mm = current->mm;

	if (!may_lose_rights(mm))
		return;
	trace_uprobe_count_shed();
	uprobe_mark(mm, 0, ULONG_MAX);
}

/**
 * uprobe_credentials_changed - the current task has got others
 * @old: what it had
 *
 * Called by commit_creds(), which has set whether it may be dumped before; also in
 * execve(), before the program is mapped, where the real user stays. Other threads
 * go on with what they have: the sites are taken from all of them before this one
 * goes on in user mode.
 *
 * Context: task context; @old is still referenced.
 */
void uprobe_credentials_changed(const struct cred *old)
{
	/* others may come to be where they were */
	if (current->utask)
		current->utask->labelled = NULL;
	if (!is_of_user())
		return;
	if (!uid_eq(old->uid, current_uid()) && matters())
		uprobe_mark(current->mm, 0, ULONG_MAX);
	look_at_rights();
}

/**
 * uprobe_dumpable_changed - the current process has said whether it may be dumped
 *
 * Called by prctl(), behind the change.
 *
 * Context: task context.
 */
void uprobe_dumpable_changed(void)
{
	if (is_of_user())
		look_at_rights();
}

/**
 * uprobe_mm_of_process - the address space of a task, or of the others of its process
 * @task: one of its threads, which may have ended, and been reaped; the caller keeps it
 *
 * Return: with a user, to be given back with mmput_async(); or NULL if all have ended.
 */
struct mm_struct *uprobe_mm_of_process(struct task_struct *task)
{
	struct mm_struct *mm;
	struct task_struct *t;

	guard(rcu)();
	for_each_thread(task, t) {
		mm = get_task_mm(t);
		if (mm)
			return mm;
	}
	return NULL;
}

/**
 * uprobe_cgroup_changed - a process, or one of its threads, has moved
 * @task: its leader, or the thread
 *
 * Called by cgroup_attach_task(), behind the migration. A child whose fork has copied
 * the mappings, and who comes into the new cgroup with its parent, sees that
 * somebody has walked since.
 *
 * Context: task context, cgroup_mutex held.
 */
void uprobe_cgroup_changed(struct task_struct *task)
{
	struct mm_struct *mm;

	if ((task->flags & PF_KTHREAD) || !matters())
		return;
	mm = uprobe_mm_of_process(task);
	if (!mm)
		return;
	uprobe_mark_for_all(mm, 0, ULONG_MAX);
	mmput_async(mm);
	uprobe_count_walk();
}

/**
 * uprobe_scope_copied - a task has been made, and is about to get its flag
 * @t: hasn't run yet; its credentials and cgroup are those that it begins with
 * @flags: of clone()
 *
 * Sites are copied with the mappings. So only who is put elsewhere by clone3(),
 * begins with a user namespace of its own, or shares the memory as another process
 * (struct trace_uprobe_look), is looked at.
 *
 * Context: in copy_process(), behind cgroup_post_fork().
 */
void uprobe_scope_copied(struct task_struct *t, u64 flags)
{
	const u64 shares = flags & (CLONE_VM | CLONE_VFORK | CLONE_THREAD);
	bool others_rights = (flags & CLONE_NEWUSER) || shares == CLONE_VM;

	if (!((flags & CLONE_INTO_CGROUP) && matters()) &&
	    !(others_rights && may_lose_rights(t->mm)))
		return;
	if (t->mm != current->mm)
		uprobe_mark_child(t->mm);
	else
		uprobe_mark_for_all(t->mm, 0, ULONG_MAX);
}

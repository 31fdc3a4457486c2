// SPDX-License-Identifier: GPL-2.0
/*
 * When does a task come to be wanted, or cease to be, where it is?
 *
 * Filters are asked when something is mapped, and when consumers come and go. Some
 * of them go by what a task is: its user, its cgroup. When that changes, the whole
 * address space is looked at once more, before the task goes on in user mode, and
 * of a process that moves any of its threads. Such a consumer is announced before it is
 * registered, and so the change and the registration don't miss each other:
 *
 *	task changes				consumer comes
 *	------------				--------------
 *	credentials or cgroup are set		uprobe_scope_get()
 *	   (a memory barrier on either side)
 *	looks here whether anybody cares	filters are asked
 *
 * Who leaves the scope in the middle of a call keeps its sites until that call and
 * those around it have returned: uprobe_calls_want().
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

/**
 * uprobe_credentials_changed - the current task has got others
 * @old: what it had
 *
 * Called by commit_creds(), also in execve(), where the real user stays.
 *
 * Context: task context; @old is still referenced.
 */
void uprobe_credentials_changed(const struct cred *old)
{
	if (current->mm && !(current->flags & (PF_KTHREAD | PF_USER_WORKER)) &&
	    !uid_eq(old->uid, current_uid()) && matters())
		uprobe_mark(current->mm, 0, ULONG_MAX);
}

/* A leader may have ended before others. */
static struct mm_struct *mm_of_process(struct task_struct *task)
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
	mm = mm_of_process(task);
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
 * Sites are copied with the mappings. So only who is put elsewhere by clone3() is
 * looked at.
 *
 * Context: in copy_process(), behind cgroup_post_fork().
 */
void uprobe_scope_copied(struct task_struct *t, u64 flags)
{
	if (!(flags & CLONE_INTO_CGROUP) || !matters())
		return;
	if (t->mm != current->mm)
		uprobe_mark_child(t->mm);
	else
		uprobe_mark_for_all(t->mm, 0, ULONG_MAX);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Can anybody want this address space at all?
 *
 * Most consumers want one task: a perf event with a target, a BPF link with a
 * pid. Their filters say so, but a file may have thousands of them, and a
 * process that nobody wants shall not have to ask them all when it maps the
 * file. So whoever wants only the address spaces of certain tasks announces
 * these tasks, and is called targeted; the others are counted in each file of
 * the registry (uprobe_registry_audience()). A file that has none of these
 * concerns an address space only if one of the announced tasks uses it, which
 * is found out here without looking at probes.
 *
 * Who announces does so before its filter can say yes, and before the
 * mappings are visited. So the two that could miss each other don't:
 *
 *	process maps the file			consumer comes
 *	---------------------			--------------
 *	i_mmap has the mapping			task is in targets, or
 *						file's count of others goes up
 *	   (i_mmap_rwsem lies between: whoever comes second sees the other)
 *	uprobe_mmap() asks here			visits the mappings in i_mmap
 *
 * A child in the middle of fork is neither: uprobe_copy_process() looks whether
 * a visit was under way. exec gives the task another mm, and it stays a target:
 * it is the task that is announced, and the mappings of the new mm are made by
 * the task itself, after tsk->mm has been set. So a perf event that is opened
 * during an exec finds the new mapping in i_mmap and the new mm in the
 * task, or is seen by the task when it maps.
 *
 * A target is withdrawn when the filters have stopped to say yes on its account.
 * Its sites may still be there: to lose them a process needs nobody's leave.
 *
 * mappings.c asks; register.c and trace_uprobe_perf.c announce.
 */

#include <linux/hashtable.h>
#include <linux/perf_event.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/trace_events.h>

#include "internal.h"

/**
 * struct target - a task whose address space somebody wants
 * @hash: in targets, by task
 * @list: in all_targets
 * @task: the task; kept by each owner, so that the address isn't used again
 * @nr: how many owners have announced it. targets_lock.
 * @rcu: frees it
 *
 * Both lists are written under targets_lock and read under RCU. RCU doesn't keep
 * the task: who looks into it holds targets_lock.
 */
struct target {
	struct hlist_node	hash;
	struct list_head	list;
	struct task_struct	*task;
	unsigned int		nr;
	struct rcu_head		rcu;
};

static DEFINE_HASHTABLE(targets, 8);
static LIST_HEAD(all_targets);
static DEFINE_SPINLOCK(targets_lock);

static struct target *find_target(const struct task_struct *task)
{
	struct target *target;

	hash_for_each_possible_rcu(targets, target, hash, (unsigned long)task,
				   lockdep_is_held(&targets_lock)) {
		if (target->task == task)
			return target;
	}
	return NULL;
}

/* Return: whether @new is used now. */
static bool add_target(struct task_struct *task, struct target *new)
{
	struct target *target;

	spin_lock(&targets_lock);
	target = find_target(task);
	if (target) {
		target->nr++;
	} else {
		new->task = task;
		new->nr = 1;
		hash_add_rcu(targets, &new->hash, (unsigned long)task);
		list_add_tail_rcu(&new->list, &all_targets);
	}
	spin_unlock(&targets_lock);
	return !target;
}

/**
 * uprobe_target_get - announce a task whose address space will be wanted
 * @task: the task, which the caller keeps until uprobe_target_put(); it may
 *	not have run yet
 *
 * To be called before the filter of a consumer says yes on its account.
 *
 * Context: task context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int uprobe_target_get(struct task_struct *task)
{
	struct target *new = kmalloc(sizeof(*new), GFP_KERNEL);

	if (!new)
		return -ENOMEM;
	if (!add_target(task, new))
		kfree(new);
	return 0;
}

/**
 * uprobe_target_put - the task isn't wanted any more by one of its owners
 * @task: what uprobe_target_get() got
 *
 * To be called when no filter says yes on its account any more.
 */
void uprobe_target_put(struct task_struct *task)
{
	struct target *target;

	spin_lock(&targets_lock);
	target = find_target(task);
	if (WARN_ON_ONCE(!target) || --target->nr) {
		target = NULL;
	} else {
		hash_del_rcu(&target->hash);
		list_del_rcu(&target->list);
	}
	spin_unlock(&targets_lock);
	if (target)
		kfree_rcu(target, rcu);
}

/*
 * Tasks that inherit all of their perf events from each other exchange them when
 * one is switched to the other (perf_event_context_sched_out()), and the task
 * that an event was opened for isn't the one that has it. So whoever has an
 * event on a uprobe is a target.
 */
static bool has_perf_event(void)
{
#ifdef CONFIG_UPROBE_EVENTS
	struct perf_event_context *ctx;
	struct perf_event *event;

	/* its owner is here; it is freed under RCU */
	ctx = READ_ONCE(current->perf_event_ctxp);
	if (!ctx)
		return false;
	list_for_each_entry_rcu(event, &ctx->event_list, event_entry) {
		if (event->tp_event &&
		    event->tp_event->flags & TRACE_EVENT_FL_UPROBE)
			return true;
	}
#endif
	return false;
}

static bool is_used_by_target(const struct mm_struct *mm)
{
	struct target *target;
	bool used = false;

	spin_lock(&targets_lock);
	list_for_each_entry(target, &all_targets, list) {
		used = READ_ONCE(target->task->mm) == mm;
		if (used)
			break;
	}
	spin_unlock(&targets_lock);
	return used;
}

/**
 * uprobe_is_target - may a targeted consumer want this address space?
 * @mm: the current task's as a rule
 *
 * In a process with one thread the thread is looked up. Others that use the mm,
 * be they threads or children of vfork(), could each be a target: then the
 * targets are gone through, since each of them knows its mm.
 *
 * Context: any in which @mm has a user. The answer is settled for a caller
 * whose mapping stood in i_mmap before it asked.
 *
 * Return: false if none can.
 */
bool uprobe_is_target(const struct mm_struct *mm)
{
	guard(rcu)();
	if (list_empty(&all_targets))
		return false;
	if (mm != current->mm)
		return is_used_by_target(mm);
	if (find_target(current) || has_perf_event())
		return true;
	return atomic_read(&mm->mm_users) > 1 && is_used_by_target(mm);
}

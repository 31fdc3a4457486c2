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
#include <linux/ktime.h>
#include <linux/perf_event.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/trace_events.h>

#include "internal.h"

/**
 * struct target - a task whose address space somebody wants
 * @hash: in targets, by task
 * @list: in all_targets
 * @task: the task; kept by each owner, so that the address isn't used again
 * @nr: how many owners have announced it. targets_lock.
 * @nr_heritable: for how many of them others may come to be wanted in its place.
 *	targets_lock.
 * @has_lost: it has lost an inherited one by execve(), perhaps one that it had in
 *	exchange. targets_lock.
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
	unsigned int		nr_heritable;
	bool			has_lost;
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
static bool add_target(struct task_struct *task, bool heritable,
		       struct target *new)
{
	struct target *target;
	bool used = false;

	spin_lock(&targets_lock);
	target = find_target(task);
	if (!target) {
		target = new;
		used = true;
		target->task = task;
		hash_add_rcu(targets, &target->hash, (unsigned long)task);
		list_add_tail_rcu(&target->list, &all_targets);
	}
	target->nr++;
	target->nr_heritable += heritable;
	spin_unlock(&targets_lock);
	return used;
}

/**
 * uprobe_target_get - announce a task whose address space will be wanted
 * @task: the task, which the caller keeps until uprobe_target_put(); it may
 *	not have run yet
 * @heritable: what it is wanted for may come to be had by a task that has inherited the
 *	same, as perf events do
 *
 * To be called before the filter of a consumer says yes on its account.
 *
 * Context: task context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int uprobe_target_get(struct task_struct *task, bool heritable)
{
	struct target *new = kzalloc(sizeof(*new), GFP_KERNEL);

	if (!new)
		return -ENOMEM;
	if (!add_target(task, heritable, new))
		kfree(new);
	return 0;
}

/**
 * uprobe_target_put - the task isn't wanted any more by one of its owners
 * @task: what uprobe_target_get() got
 * @heritable: as there
 *
 * To be called when no filter says yes on its account any more.
 */
void uprobe_target_put(struct task_struct *task, bool heritable)
{
	struct target *target;

	spin_lock(&targets_lock);
	target = find_target(task);
	if (!WARN_ON_ONCE(!target))
		target->nr_heritable -= heritable;
	if (!target || --target->nr) {
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
 * event on a uprobe is a target. While they exchange them, either of them has one of
 * two contexts that are equal.
 *
 * A context is freed under RCU, and so are its events.
 */
#ifdef CONFIG_UPROBE_EVENTS
/* @call: which trace event; NULL: any of a uprobe */
static bool is_on(const struct perf_event *event,
		  const struct trace_event_call *call)
{
	if (READ_ONCE(event->state) <= PERF_EVENT_STATE_EXIT)
		return false;
	return call ? event->tp_event == call :
		      event->tp_event &&
		      event->tp_event->flags & TRACE_EVENT_FL_UPROBE;
}

/**
 * uprobe_task_has_perf_event - has a task a perf event on a uprobe?
 * @task: the task
 * @call: the trace event that it is on; NULL: any of a uprobe
 * @may: has to say yes, too; NULL: not asked
 * @data: for @may
 *
 * Context: any; under RCU.
 * Return: true if so, be it one that was opened for another task.
 */
bool uprobe_task_has_perf_event(const struct task_struct *task,
				const struct trace_event_call *call,
				bool (*may)(struct perf_event *event, void *data),
				void *data)
{
	struct perf_event_context *ctx;
	struct perf_event *event;

	ctx = READ_ONCE(task->perf_event_ctxp);
	if (!ctx)
		return false;
	list_for_each_entry_rcu(event, &ctx->event_list, event_entry) {
		if (is_on(event, call) && (!may || may(event, data)))
			return true;
	}
	return false;
}

/*
 * Has it an event less than were opened for it? Then somebody may have it who is no
 * target. It can't, as long as the task has its context and hasn't lost one that was
 * inherited; of one that was opened the descriptor remains, for which it is announced.
 */
static bool has_given_away(const struct target *target)
{
	return target->nr_heritable &&
	       (target->has_lost || !READ_ONCE(target->task->perf_event_ctxp));
}
#else
bool uprobe_task_has_perf_event(const struct task_struct *task,
				const struct trace_event_call *call,
				bool (*may)(struct perf_event *event, void *data),
				void *data)
{
	return false;
}

static bool has_given_away(const struct target *target)
{
	return false;
}
#endif

/**
 * uprobe_target_lost - the current task loses an inherited event, and goes on
 *
 * It has inherited it, or got it in exchange for one that was opened for it.
 *
 * Context: task context, in execve(); before uprobe_target_put().
 */
void uprobe_target_lost(void)
{
	struct target *target;

	spin_lock(&targets_lock);
	target = find_target(current);
	if (target)
		target->has_lost = true;
	spin_unlock(&targets_lock);
}

enum answer { NO, YES, PERHAPS };

/*
 * Do the threads of the current process, and nobody else, use its address space? Then, is one
 * of them a target (@call is NULL), or has one a perf event?
 */
static enum answer ask_threads(const struct trace_event_call *call)
{
	u64 now = ktime_get_ns();
	int users = atomic_read(&current->mm->mm_users), nr = 0;
	const struct task_struct *t;

	/* who is among the threads now, and isn't younger, was a user: copy_process() */
	smp_rmb();
	for_each_thread(current, t) {
		if (READ_ONCE(t->mm) != current->mm)
			continue;
		if ((!call && find_target(t)) ||
		    uprobe_task_has_perf_event(t, call, NULL, NULL))
			return YES;
		if (READ_ONCE(t->start_time) >= now)
			return PERHAPS;
		nr++;
	}
	return users <= nr ? NO : PERHAPS;
}

/**
 * uprobe_mm_has_perf_event - does a task with a perf event use this address space?
 * @mm: the address space; only compared, unless it is the current task's
 * @call: the trace event that it is on
 * @may: has to say yes, too
 * @data: for @may
 *
 * Context: any but NMI. Goes over all tasks, unless @mm has no users but threads of the
 * current process, none of them begun meanwhile, and none has one.
 * Return: true if one does.
 */
bool uprobe_mm_has_perf_event(const struct mm_struct *mm,
			      const struct trace_event_call *call,
			      bool (*may)(struct perf_event *event, void *data),
			      void *data)
{
	const struct task_struct *p, *t;

	guard(rcu)();
	if (mm == current->mm && ask_threads(call) == NO)
		return false;
	for_each_process_thread(p, t) {
		if (READ_ONCE(t->mm) == mm &&
		    uprobe_task_has_perf_event(t, call, may, data))
			return true;
	}
	return false;
}

static bool is_used_by_target(const struct mm_struct *mm)
{
	bool used = false, given = false;
	struct target *target;

	spin_lock(&targets_lock);
	list_for_each_entry(target, &all_targets, list) {
		used = READ_ONCE(target->task->mm) == mm;
		if (used)
			break;
		given |= has_given_away(target);
	}
	spin_unlock(&targets_lock);
	/* another one may have its event, and not be a target itself any more */
	return used || (given && uprobe_mm_has_perf_event(mm, NULL, NULL, NULL));
}

/**
 * uprobe_is_target - may a targeted consumer want this address space?
 * @mm: the current task's as a rule
 *
 * The threads of the process are looked up. If others use the mm, such as children of
 * vfork(), each of them could be a target: then the targets are gone through, since each
 * of them knows its mm.
 *
 * Context: task context; @mm has a user. The answer is settled for a caller
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
	switch (ask_threads(NULL)) {
	case NO:
		return false;
	case YES:
		return true;
	case PERHAPS:
		break;
	}
	return is_used_by_target(mm);
}

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

#include <linux/ktime.h>
#include <linux/perf_event.h>
#include <linux/rhashtable.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/trace_events.h>

#include "internal.h"

/**
 * struct target - a task whose address space somebody wants
 * @node: in targets, by task
 * @task: the task; kept by each owner, so that the address isn't used again. Only compared:
 *	RCU doesn't keep it.
 * @nr: how many owners have announced it. targets_lock.
 * @rcu: frees it
 *
 * Added and removed under targets_lock, looked up under RCU.
 */
struct target {
	struct rhash_head	node;
	const struct task_struct *task;
	unsigned int		nr;
	struct rcu_head		rcu;
};

static const struct rhashtable_params by_task = {
	.head_offset		= offsetof(struct target, node),
	.key_offset		= offsetof(struct target, task),
	.key_len		= sizeof(struct task_struct *),
	.automatic_shrinking	= true,
};

static struct rhashtable targets;
static DEFINE_SPINLOCK(targets_lock);

static __init int init_targets(void)
{
	return rhashtable_init(&targets, &by_task);
}
core_initcall(init_targets);

static struct target *find_target(const struct task_struct *task)
{
	return rhashtable_lookup(&targets, &task, by_task);
}

/* @new: set to NULL if it is used now. */
static int add_target(const struct task_struct *task, struct target **new)
{
	struct target *target;
	int err = 0;

	guard(rcu)();
	spin_lock(&targets_lock);
	target = find_target(task);
	if (!target) {
		target = *new;
		target->task = task;
		err = rhashtable_insert_fast(&targets, &target->node, by_task);
		if (!err)
			*new = NULL;
	}
	if (!err)
		target->nr++;
	spin_unlock(&targets_lock);
	return err ? -ENOMEM : 0;
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
	struct target *new = kzalloc(sizeof(*new), GFP_KERNEL);
	int err;

	if (!new)
		return -ENOMEM;
	err = add_target(task, &new);
	kfree(new);
	return err;
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

	guard(rcu)();
	spin_lock(&targets_lock);
	target = find_target(task);
	if (WARN_ON_ONCE(!target) || --target->nr)
		target = NULL;
	else
		rhashtable_remove_fast(&targets, &target->node, by_task);
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
#else
bool uprobe_task_has_perf_event(const struct task_struct *task,
				const struct trace_event_call *call,
				bool (*may)(struct perf_event *event, void *data),
				void *data)
{
	return false;
}
#endif

/* @call: has it an event on that? NULL: may anybody want it? */
static bool is_target(const struct task_struct *task,
		      const struct trace_event_call *call)
{
	return (!call && find_target(task)) ||
	       uprobe_task_has_perf_event(task, call, NULL, NULL);
}

enum answer { NO, YES, PERHAPS };

/* NO if @users, from which those that are found are taken, are all of them. */
static enum answer ask_threads_of(const struct task_struct *process,
				  const struct trace_event_call *call,
				  u64 now, int *users)
{
	const struct task_struct *t;

	for_each_thread(process, t) {
		if (READ_ONCE(t->mm) != current->mm)
			continue;
		if (is_target(t, call))
			return YES;
		/* those that began meanwhile haven't all been seen */
		if (READ_ONCE(t->start_time) >= now) {
			*users = INT_MAX;
			return PERHAPS;
		}
		--*users;
	}
	return *users <= 0 ? NO : PERHAPS;
}

/*
 * Do the threads of the current process, with those of its parent if it is a child of vfork(),
 * and nobody else, use its address space? Then, is one of them a target (@call is NULL), or
 * has one a perf event? Under RCU.
 */
static enum answer ask_threads(const struct trace_event_call *call)
{
	u64 now = ktime_get_ns();
	int users = atomic_read(&current->mm->mm_users);
	enum answer answer;
	bool waits;

	/* who is among the threads now, and isn't younger, was a user: copy_process() */
	smp_rmb();
	answer = ask_threads_of(current, call, now, &users);
	waits = answer == PERHAPS && READ_ONCE(current->vfork_done);
	if (waits)
		answer = ask_threads_of(rcu_dereference(current->real_parent),
					call, now, &users);
	/*
	 * A thread that executes is given the age of the one it kills (de_thread()). If that is in
	 * the parent, who waits in vfork() is killed before, and waits no more (wait_for_vfork_done()).
	 * That isn't so with CLONE_PARENT, where a sibling waits.
	 */
	smp_rmb();
	return answer == NO && waits && !READ_ONCE(current->vfork_done) ?
	       PERHAPS : answer;
}

/**
 * uprobe_mm_has_perf_event - does a task with a perf event use this address space?
 * @mm: the address space; only compared, unless it is the current task's
 * @call: the trace event that it is on
 * @may: has to say yes, too
 * @data: for @may
 *
 * Context: any but NMI. Goes over all tasks, unless @mm has no users but threads of the
 * current process, or of its parent while that waits in vfork(), none of them begun meanwhile, and none has one.
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

/**
 * uprobe_is_target - may a targeted consumer want this address space?
 * @mm: the current task's as a rule
 *
 * The threads of the process are looked up, and those of the parent that waits in vfork(). If
 * others use the mm, each of them could be a target: then all tasks are gone through. A target may
 * have exchanged its events for those of another task, which is no target any more.
 *
 * Context: task context; @mm has a user. The answer is settled for a caller
 * whose mapping stood in i_mmap before it asked.
 *
 * Return: false if none can.
 */
bool uprobe_is_target(const struct mm_struct *mm)
{
	enum answer answer = PERHAPS;
	const struct task_struct *p, *t;

	guard(rcu)();
	if (!atomic_read(&targets.nelems))
		return false;
	if (mm == current->mm)
		answer = ask_threads(NULL);
	if (answer != PERHAPS)
		return answer == YES;
	for_each_process_thread(p, t) {
		if (READ_ONCE(t->mm) == mm && is_target(t, NULL))
			return true;
	}
	return false;
}

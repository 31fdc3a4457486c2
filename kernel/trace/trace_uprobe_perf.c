// SPDX-License-Identifier: GPL-2.0
/*
 * Which perf events, and which BPF programs, want the hits of a uprobe event?
 *
 * perf opens a uprobe event in two ways: by the number of an event that a
 * command made, or through its PMU "uprobe" with path and offset, for which
 * kernel/events/core.c has a local event made here. trace_uprobe_event.c
 * passes on who opens and closes; from a hit trace_uprobe_record.c comes with
 * the arguments, which go to perf's own buffers from here.
 *
 * A perf event either has a target task or wants every process. The probe is
 * installed where somebody needs it; the answer comes from the list of
 * targets, which the core knows as well: as long as nobody wants every process,
 * it doesn't ask about others (uprobe_target_get()).
 */
#include <linux/bpf.h>
#include <linux/err.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/rcupdate_trace.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/trace_events.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>

#include "trace_uprobe.h"

/* ---- who wants what ----------------------------------------------------- */

/**
 * trace_uprobe_init_filter - begin with no perf event
 * @users: the event's; written under event_mutex and its lock, so that
 *	either is enough to read the list
 */
void trace_uprobe_init_filter(struct trace_uprobe_filter *users)
{
	users->nr_systemwide = 0;
	users->nr_guarded = 0;
	users->nr_listed = 0;
	INIT_LIST_HEAD(&users->perf_events);
	rwlock_init(&users->rwlock);
}

/*
 * Whose address space is a perf event for? Its context's owner knows: where
 * threads that have inherited the same events take turns, perf exchanges their
 * contexts instead of the events, and hw.target is then somebody else. An event
 * that is being opened has no context yet. That of a task that has exited, or
 * has executed a program with other privileges (perf_event_exit_task() in
 * begin_new_exec()), has a tombstone for an owner, and keeps its events as long
 * as somebody holds their descriptors: they must not open the new address space.
 *
 * A fork that fails frees the child's mm a little before its events (copy_process()). Who has
 * got the same memory for another mm by then seems to be wanted, and may keep sites until
 * the next hit there.
 */
static struct mm_struct *target_mm(struct perf_event *event)
{
	struct perf_event_context *ctx;
	struct task_struct *task;
	struct mm_struct *mm;

	/* an owner stays for a grace period after it has become a tombstone */
	guard(rcu)();
	do {
		ctx = READ_ONCE(event->ctx);
		task = ctx ? READ_ONCE(ctx->task) : event->hw.target;
		mm = IS_ERR_OR_NULL(task) ? NULL : READ_ONCE(task->mm);
		/* who has no address space may have given the context away before */
		smp_rmb();
	} while (ctx && READ_ONCE(ctx->task) != task);
	return mm;
}

/* With a reference. As long as a child hasn't run, fork may fail, and free its mm. */
static struct mm_struct *get_target_mm(struct perf_event *event)
{
	struct perf_event_context *ctx;
	struct task_struct *task;

	guard(rcu)();
	ctx = READ_ONCE(event->ctx);
	task = ctx ? READ_ONCE(ctx->task) : event->hw.target;
	if (IS_ERR_OR_NULL(task) || READ_ONCE(task->__state) == TASK_NEW)
		return NULL;
	return get_task_mm(task);
}

static bool is_alive(struct perf_event *event)
{
	return READ_ONCE(event->state) > PERF_EVENT_STATE_EXIT;
}

/*
 * One event after the other, so that somebody may not be seen who exchanges them
 * meanwhile. @may: it has to say yes, too. @inherited: there are some to exchange.
 */
static bool is_listed(struct trace_probe_event *its, const struct mm_struct *mm,
		      bool (*may)(struct perf_event *event, void *data),
		      void *data, bool *inherited)
{
	struct perf_event *event;

	*inherited = false;
	list_for_each_entry(event, &its->filter->perf_events, hw.tp_list) {
		if (is_alive(event) && target_mm(event) == mm &&
		    may(event, data))
			return true;
		*inherited |= !!event->parent;
	}
	return false;
}

/* If it seems to be no, and may not be, the tasks are asked: they are what stays. */
static bool has_target(struct trace_probe_event *its, struct mm_struct *mm)
{
	struct trace_uprobe_look look = { .mm = mm };
	bool inherited;

	if (!mm)
		return false;
	guard(rcu)();
	return is_listed(its, mm, trace_uprobe_may_probe, &look, &inherited) ||
	       (inherited && uprobe_mm_has_perf_event(mm, &its->call,
						      trace_uprobe_may_probe,
						      &look));
}

/* Does somebody listen here and now who may have the current task's hits? */
static bool is_heard(struct trace_uprobe *tu)
{
	struct perf_event *event;
	struct hlist_head *head;

	guard(preempt_notrace)();
	head = trace_uprobe_listeners(tu);
	if (!head)
		return false;
	hlist_for_each_entry_rcu_notrace(event, head, hlist_entry) {
		if (trace_uprobe_may_hear(event, NULL))
			return true;
	}
	return false;
}

/* Of the task's own events, or else of the list, not more are looked at in a trap if it can be helped. */
#define FEW	16

/* Is one of those that are listed the current task's? Its context isn't exchanged now. */
static bool is_own_listed(struct trace_uprobe_filter *users)
{
	struct perf_event_context *ctx;
	struct perf_event *event;
	bool own = false;

	read_lock(&users->rwlock);
	list_for_each_entry(event, &users->perf_events, hw.tp_list) {
		ctx = READ_ONCE(event->ctx);
		own = ctx && READ_ONCE(ctx->task) == current &&
		      is_alive(event) && trace_uprobe_may_hear(event, NULL);
		if (own)
			break;
	}
	read_unlock(&users->rwlock);
	return own;
}

/* Has the current task an event that may have its hits? */
static bool is_own(struct trace_uprobe *tu)
{
	struct trace_uprobe_filter *users = tu->tp.event->filter;
	struct perf_event_context *ctx;

	guard(rcu)();
	ctx = READ_ONCE(current->perf_event_ctxp);
	if (!ctx)
		return false;
	if (READ_ONCE(ctx->nr_events) > FEW &&
	    READ_ONCE(users->nr_listed) <= FEW)
		return is_own_listed(users);
	return uprobe_task_has_perf_event(current, trace_uprobe_call(tu),
					  trace_uprobe_may_hear, NULL);
}

/**
 * trace_uprobe_perf_wants - does some perf event want this address space?
 * @tu: a probe
 * @mm: the address space, in use
 *
 * Context: task context, or a trap from user mode; preemption may be off. May go over all
 * tasks.
 * Return: true if so, and if that may have sites there.
 */
bool trace_uprobe_perf_wants(struct trace_uprobe *tu, struct mm_struct *mm)
{
	struct trace_uprobe_filter *users = tu->tp.event->filter;
	bool wants;

	if (READ_ONCE(users->nr_systemwide))
		return true;
	read_lock(&users->rwlock);
	wants = has_target(tu->tp.event, mm);
	read_unlock(&users->rwlock);
	return wants;
}

/**
 * trace_uprobe_perf_wants_hit - does some perf event want what is hit here?
 * @tu: a probe that the current task has hit
 *
 * Whoever is active here and now is found without a lock or a write to shared
 * memory, and so are, unless they are many, those of the task that aren't. The list is
 * for BPF programs, which get the hits of all threads.
 *
 * Return: true if so.
 */
bool trace_uprobe_perf_wants_hit(struct trace_uprobe *tu)
{
	struct trace_uprobe_filter *users = tu->tp.event->filter;
	bool wants, inherited;

	if (READ_ONCE(users->nr_systemwide) || is_heard(tu) || is_own(tu))
		return true;
	if (!trace_uprobe_has_bpf(tu))
		return false;
	read_lock(&users->rwlock);
	wants = is_listed(tu->tp.event, current->mm, trace_uprobe_may_hear,
			  NULL, &inherited);
	read_unlock(&users->rwlock);
	return wants;
}

/* Takes the reference to @mm, if it isn't NULL. */
static bool has_target_in(struct trace_probe_event *its, struct mm_struct *mm)
{
	bool has = has_target(its, mm);

	if (mm)
		mmput_async(mm);
	return has;
}

/*
 * Is the probe installed already wherever @event needs it? An event that
 * fork inherits belongs to a child whose sites fork copied. Who has no privilege
 * may not have made his sites yet.
 */
static bool is_served(struct trace_probe_event *its, struct perf_event *event)
{
	return event->parent ||
	       (event->hw.target && !its->filter->nr_guarded &&
		has_target_in(its, get_task_mm(event->hw.target)));
}

/* Hits wait for the lock. */
static void join_users(struct trace_uprobe_filter *users,
		       struct perf_event *event)
{
	write_lock(&users->rwlock);
	if (event->hw.target) {
		list_add(&event->hw.tp_list, &users->perf_events);
		WRITE_ONCE(users->nr_listed, users->nr_listed + 1);
	} else {
		WRITE_ONCE(users->nr_systemwide, users->nr_systemwide + 1);
	}
	write_unlock(&users->rwlock);
}

/*
 * Sites for an event without privilege are made by its target's threads, or by who opens it,
 * without the locks that everybody needs: trace_uprobe_visit_target().
 */
static int open_guarded(struct trace_probe *tp, struct perf_event *event)
{
	struct mm_struct *mm;

	if (!trace_uprobe_charge_event(event)) {
		INIT_LIST_HEAD(&event->hw.tp_list);
		return -EDQUOT;
	}
	join_users(tp->event->filter, event);
	if (event->parent || trace_uprobe_is_local(trace_uprobe_of(tp)))
		return 0;
	mm = get_task_mm(event->hw.target);
	if (mm) {
		uprobe_visit_later(mm);
		mmput_async(mm);
	}
	return 0;
}

static int open_privileged(struct trace_probe *tp, struct perf_event *event)
{
	struct task_struct *target = event->hw.target;
	bool wanted_all = trace_uprobe_wants_all(tp);
	bool served = is_served(tp->event, event);
	struct trace_uprobe *tu;

	for_each_probe_of(tu, tp)
		tu->consumer.by_visit = false;
	join_users(tp->event->filter, event);
	if (served || wanted_all)
		return 0;
	/* those of earlier events have their sites */
	return target ? trace_uprobe_ask_about(tp, target) :
			trace_uprobe_ask_again(tp, true);
}

/**
 * trace_uprobe_perf_open - a perf event begins to use an event
 * @tp: the event's oldest probe; all of them are registered
 * @event: the perf event
 *
 * Context: event_mutex held.
 * Return: 0 or -errno of the installation, and the perf event isn't listed.
 */
int trace_uprobe_perf_open(struct trace_probe *tp, struct perf_event *event)
{
	struct task_struct *target = event->hw.target;
	int ret;

	ret = trace_uprobe_grant(event);
	if (ret)
		return ret;
	ret = target ? uprobe_target_get(target) : 0;
	if (ret) {
		trace_uprobe_revoke(event);
		return ret;
	}
	if (trace_uprobe_is_privileged(event)) {
		ret = open_privileged(tp, event);
	} else {
		/* hits see it before they see the event, which is added later */
		if (!tp->event->filter->nr_guarded++)
			trace_probe_set_flag(tp, TRACE_UPROBE_FLAG_GUARDED);
		ret = open_guarded(tp, event);
	}
	if (ret)
		trace_uprobe_perf_close(tp, event);
	return ret;
}

/*
 * Does @event go because the current thread ends? perf frees what a thread has
 * inherited in perf_event_exit_task(), while the thread still has its address
 * space (do_exit()). hw.target may be another one by then.
 */
static bool goes_with_current(struct perf_event *event)
{
	return event->parent && (current->flags & PF_EXITING) && current->mm;
}

/* Is the current task the last one of a process, and of its address space? */
static bool is_last(void)
{
	return !atomic_read(&current->signal->live) &&
	       atomic_read(&current->mm->mm_users) == 1;
}

/* The same, as long as others of the process, which end as well, are still there. */
static bool is_among_last(void)
{
	struct task_struct *p, *t;
	int users, nr = 0;

	if (atomic_read(&current->signal->live))
		return false;
	/* no thread or sharer comes from us any more: count only now */
	smp_rmb();
	users = atomic_read(&current->mm->mm_users);
	/* exit_mm() clears its mm before it gives it back */
	smp_rmb();
	guard(rcu)();
	for_each_thread(current, t)
		nr += READ_ONCE(t->mm) == current->mm;
	if (users <= nr)
		return true;
	for_each_process_thread(p, t) {
		if (READ_ONCE(t->mm) == current->mm &&
		    !same_thread_group(t, current))
			return false;
	}
	return true;
}

/*
 * Was it inherited by a task that never ran, since fork has failed, or that executes a
 * program with other privileges and has left its address space?
 */
static bool has_no_mm(const struct perf_event *event)
{
	return event->parent &&
	       (READ_ONCE(event->hw.target->__state) == TASK_NEW ||
		current->in_execve);
}

/* Will another one come by that was in the same task? */
static bool has_companion(struct trace_probe_event *its,
			  const struct perf_event *event)
{
	struct perf_event *other;

	list_for_each_entry(other, &its->filter->perf_events, hw.tp_list) {
		if (event->ctx && READ_ONCE(other->ctx) == event->ctx)
			return true;
	}
	return false;
}

/*
 * Does the address space that @event leaves need no change? It isn't known which one
 * that was, if the task that had @event in the end has gone before.
 */
static bool stays(struct trace_probe_event *its, struct perf_event *event)
{
	struct trace_uprobe_look look = { .mm = current->mm };
	bool inherited;

	if (target_mm(event))
		return has_target_in(its, get_target_mm(event));
	if (!goes_with_current(event))
		return has_no_mm(event) || has_companion(its, event);
	/* a process takes its address space with it, a thread leaves it behind */
	guard(rcu)();
	return is_last() ||
	       is_listed(its, look.mm, trace_uprobe_may_probe, &look,
			 &inherited) ||
	       is_among_last() ||
	       (inherited && uprobe_mm_has_perf_event(look.mm, &its->call,
						      trace_uprobe_may_probe,
						      &look));
}

static void leave_users(struct trace_uprobe_filter *users,
			struct perf_event *event)
{
	write_lock(&users->rwlock);
	if (event->hw.target) {
		list_del(&event->hw.tp_list);
		WRITE_ONCE(users->nr_listed, users->nr_listed - 1);
	} else {
		WRITE_ONCE(users->nr_systemwide, users->nr_systemwide - 1);
	}
	write_unlock(&users->rwlock);
}

/* After the last one TRACE_REG_PERF_UNREGISTER removes everything. */
static bool was_last(const struct trace_uprobe_filter *users)
{
	return !users->nr_systemwide && list_empty(&users->perf_events);
}

static int close_privileged(struct trace_probe *tp, struct perf_event *event)
{
	leave_users(tp->event->filter, event);
	if (was_last(tp->event->filter) || trace_uprobe_wants_all(tp) ||
	    (event->hw.target && stays(tp->event, event)))
		return 0;
	return trace_uprobe_ask_again(tp, false);
}

/**
 * trace_uprobe_not_inherited - a child begins without a perf event
 * @event: its parent's: -EDQUOT
 *
 * Context: task context; in perf_event_init_task(), which holds no lock of ours.
 * Return: false if that isn't because its user may have no more of them.
 */
bool trace_uprobe_not_inherited(struct perf_event *event)
{
	struct trace_uprobe *oldest, *tu;

	if (!event->tp_event || !(event->tp_event->flags & TRACE_EVENT_FL_UPROBE))
		return false;
	guard(mutex)(&event_mutex);
	oldest = trace_uprobe_of_call(event->tp_event);
	if (oldest)
		for_each_probe_of(tu, &oldest->tp)
			this_cpu_inc(tu->counts->other[UPROBE_MISSED_INSTALL]);
	return true;
}

/* Is another event listed that is for this address space, and may be? */
static bool wants_still(struct trace_probe_event *its, struct mm_struct *mm)
{
	struct trace_uprobe_look look = { .mm = mm };
	bool wants, inherited;

	guard(rcu)();
	read_lock(&its->filter->rwlock);
	wants = is_listed(its, mm, trace_uprobe_may_probe, &look, &inherited);
	read_unlock(&its->filter->rwlock);
	return wants;
}

/*
 * A thread has ended, and others go on; with a program that has executed since, @event has nothing
 * to do, and may have no right to hold it up.
 */
static struct mm_struct *mm_of_others(struct perf_event *event)
{
	struct mm_struct *mm = uprobe_mm_of_process(event->hw.target);
	struct trace_uprobe_look look = { .mm = mm };
	bool may;

	if (!mm)
		return NULL;
	scoped_guard(rcu)
		may = trace_uprobe_may_probe(event, &look);
	if (may)
		return mm;
	mmput_async(mm);
	return NULL;
}

/*
 * Where @event, which is about to be closed, has its sites, as far as that is known and
 * matters; to be given back. A child that comes to run, or executes something, asks who is
 * listed.
 */
static struct mm_struct *mm_to_leave(struct perf_event *event)
{
	struct mm_struct *mm;

	if (!event->hw.target || has_no_mm(event) ||
	    (goes_with_current(event) && is_last()))
		return NULL;
	mm = goes_with_current(event) ? get_task_mm(current) :
					get_target_mm(event);
	return mm ?: mm_of_others(event);
}

/* What a local event has made in its target, trace_uprobe_end_leave() takes away. */
static int close_guarded(struct trace_probe *tp, struct perf_event *event)
{
	struct mm_struct *mm;

	/* it was one too many */
	if (list_empty(&event->hw.tp_list))
		return 0;
	leave_users(tp->event->filter, event);
	trace_uprobe_uncharge_event(event);
	if (trace_uprobe_is_local(trace_uprobe_of(tp)))
		return 0;
	mm = mm_to_leave(event);
	if (mm) {
		if (!wants_still(tp->event, mm))
			uprobe_visit_later(mm);
		mmput_async(mm);
	}
	return 0;
}

/**
 * trace_uprobe_perf_close - a perf event doesn't use the event any more
 * @tp: the event's oldest probe
 * @event: the perf event
 *
 * Context: event_mutex held.
 * Return: 0 or -errno; the perf event isn't listed any more in any case.
 */
int trace_uprobe_perf_close(struct trace_probe *tp, struct perf_event *event)
{
	bool guarded = !trace_uprobe_is_privileged(event);
	int ret;

	ret = guarded ? close_guarded(tp, event) : close_privileged(tp, event);
	if (event->hw.target)
		uprobe_target_put(event->hw.target);
	/* who listens no more hasn't been heard since perf took it out of its lists */
	if (guarded && !--tp->event->filter->nr_guarded)
		trace_probe_clear_flag(tp, TRACE_UPROBE_FLAG_GUARDED);
	trace_uprobe_revoke(event);
	return ret;
}

/* ---- targets of local events ---------------------------------------------- */

/**
 * trace_uprobe_visit_target - make the sites of a local event that has just been opened
 * @event: its perf event
 *
 * If that was opened without privilege; else they are there.
 *
 * Context: task context, may sleep; no locks.
 */
void trace_uprobe_visit_target(struct perf_event *event)
{
	struct trace_uprobe *tu = trace_uprobe_of_call(event->tp_event);
	struct mm_struct *mm;

	if (trace_uprobe_is_privileged(event))
		return;
	mm = get_task_mm(event->hw.target);
	if (!mm)
		return;
	uprobe_visit(tu->uprobe, mm, true);
	mmput_async(mm);
}

/**
 * trace_uprobe_begin_leave - a local event is about to be closed
 * @event: its perf event
 *
 * Context: task context.
 * Return: for trace_uprobe_end_leave(): its place and where its sites are, both held, if it was
 * opened without privilege; else nothing.
 */
struct trace_uprobe_leave trace_uprobe_begin_leave(struct perf_event *event)
{
	struct trace_uprobe *tu = trace_uprobe_of_call(event->tp_event);
	struct trace_uprobe_leave leave = {};

	if (!trace_uprobe_is_privileged(event)) {
		leave.uprobe = uprobe_hold(tu->uprobe);
		leave.mm = mm_to_leave(event);
	}
	return leave;
}

/**
 * trace_uprobe_end_leave - take its sites away
 * @event: its perf event, which is closed
 * @leave: what trace_uprobe_begin_leave() returned
 *
 * Context: task context, may sleep; no locks, but those that perf has of a task that
 * ends.
 */
void trace_uprobe_end_leave(struct perf_event *event,
			    struct trace_uprobe_leave leave)
{
	struct trace_uprobe *tu = trace_uprobe_of_call(event->tp_event);

	if (!leave.uprobe)
		return;
	if (leave.mm) {
		if (!wants_still(tu->tp.event, leave.mm))
			uprobe_visit(leave.uprobe, leave.mm, false);
		mmput_async(leave.mm);
	}
	uprobe_put(leave.uprobe);
}

/* ---- hits --------------------------------------------------------------- */

#ifdef CONFIG_BPF_EVENTS

/**
 * trace_uprobe_run_bpf - run the BPF programs that are attached to the event
 * @tu: the probe that was hit
 * @func: address of the probed instruction
 * @regs: registers of the current task
 *
 * bpf_get_func_ip() finds @func through utask->vaddr, as a struct
 * uprobe_dispatch_data.
 *
 * Context: the thread that hit, in an RCU tasks trace section; may sleep.
 * Return: 0, or UPROBE_HANDLER_IGNORE if they want no record.
 */
int trace_uprobe_run_bpf(struct trace_uprobe *tu, unsigned long func,
			 struct pt_regs *regs)
{
	struct trace_event_call *call = trace_uprobe_call(tu);
	struct uprobe_dispatch_data where = { .tu = tu, .bp_addr = func };
	const struct bpf_prog_array *progs;
	bool wanted;

	current->utask->vaddr = (unsigned long)&where;
	progs = rcu_dereference_check(call->prog_array,
				      rcu_read_lock_trace_held());
	wanted = bpf_prog_run_array_uprobe(progs, regs, bpf_prog_run);
	current->utask->vaddr = 0;
	return wanted ? 0 : UPROBE_HANDLER_IGNORE;
}

#endif

/**
 * trace_uprobe_perf_wish - what do perf events want of a hit here and now?
 * @tu: the probe that was hit
 *
 * Those of the current task and those of this CPU are asked; others don't want
 * to know of it.
 *
 * Context: the thread that hit.
 * Return: the most that one of them wants.
 */
enum uprobe_wish trace_uprobe_perf_wish(struct trace_uprobe *tu)
{
	enum uprobe_wish wish = UPROBE_WISH_NONE;
	struct perf_event *event;
	struct hlist_head *head;

	guard(preempt_notrace)();
	head = trace_uprobe_listeners(tu);
	if (!head)
		return UPROBE_WISH_NONE;
	hlist_for_each_entry_rcu_notrace(event, head, hlist_entry) {
		if (!trace_uprobe_may_hear(event, NULL))
			continue;
		if (trace_uprobe_needs_record(event))
			return UPROBE_WISH_RECORD;
		wish = UPROBE_WISH_TALLY;
	}
	return wish;
}

/**
 * trace_uprobe_perf_count - count a hit for perf events that only count
 * @tu: the probe that was hit
 *
 * What perf_tp_event() would do for them, without the record that nobody reads.
 *
 * Context: the thread that hit.
 */
void trace_uprobe_perf_count(struct trace_uprobe *tu)
{
	struct perf_event *event;
	struct hlist_head *head;

	guard(preempt_notrace)();
	head = trace_uprobe_listeners(tu);
	if (!head)
		return;
	hlist_for_each_entry_rcu_notrace(event, head, hlist_entry) {
		if (!trace_uprobe_needs_record(event) &&
		    trace_uprobe_may_hear(event, NULL))
			trace_uprobe_count_event(event);
	}
}

/**
 * trace_uprobe_perf_lose - perf events miss a hit
 * @tu: the probe
 *
 * It is to them what a record is that finds no room: PERF_FORMAT_LOST, which perf
 * record reads at the end. A thread's own events don't see how it ends:
 * perf_event_exit_task() comes before its calls are given up.
 *
 * Context: the thread whose hit it is, or who has found out.
 */
void trace_uprobe_perf_lose(struct trace_uprobe *tu)
{
	struct perf_event *event;
	struct hlist_head *head;

	guard(preempt_notrace)();
	head = trace_uprobe_listeners(tu);
	if (!head)
		return;
	hlist_for_each_entry_rcu_notrace(event, head, hlist_entry) {
		if ((event->hw.state & PERF_HES_STOPPED) ||
		    (current->mm && !trace_uprobe_may_hear(event, NULL)))
			continue;
		/* what is inherited goes with its thread */
		atomic64_inc(&(event->parent ?: event)->lost_samples);
	}
}

/**
 * struct record - a record of a trace event on its way to perf's buffers
 * @type: number of the event
 * @data: the record, in the buffer of the gather
 * @size: bytes of it
 */
struct record {
	u16	type;
	void	*data;
	int	size;
};

/*
 * In the gather's buffer, where the arguments are. perf puts a u32 with the size
 * in front and wants to end aligned; what is left over is zero.
 */
static struct record make_record(struct trace_uprobe_hit *hit)
{
	int head = trace_uprobe_head_size(hit->tu->kind);
	int used = head + hit->size;
	struct record record = {
		.type	= trace_uprobe_call(hit->tu)->event.type,
		.data	= hit->args - head,
		.size	= ALIGN(used + sizeof(u32), sizeof(u64)) - sizeof(u32),
	};

	static_assert(TRACE_UPROBE_TAIL >= sizeof(u64));
	put_unaligned(0ULL, (u64 *)(record.data + used));
	trace_uprobe_fill_head(hit, record.data);
	return record;
}

/*
 * The way of all trace events, for whatever perf has to offer. perf_tp_event()
 * writes into the record what is true of preemption here.
 */
static void submit(const struct record *record, struct pt_regs *regs,
		   struct hlist_head *head)
{
	int context = perf_swevent_get_recursion_context();

	if (context >= 0)
		perf_tp_event(record->type, 1, record->data, record->size, regs,
			      head, context, NULL);
}

/* ---- samples that are simple -------------------------------------------- */

/* Fields of a sample that are at hand, or as cheap as that. */
#define SIMPLE_FIELDS	(PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP |		\
			 PERF_SAMPLE_TID | PERF_SAMPLE_TIME |		\
			 PERF_SAMPLE_ADDR | PERF_SAMPLE_ID |		\
			 PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_CPU |	\
			 PERF_SAMPLE_PERIOD | PERF_SAMPLE_RAW)

static_assert(TRACE_UPROBE_FRONT ==
	      sizeof(struct perf_event_header) +
	      (hweight32(SIMPLE_FIELDS) - 1) * sizeof(u64) + sizeof(u32));

/*
 * What `perf record` opens as a rule: each hit is a sample that goes to the ring
 * buffer and nowhere else. For those perf_swevent_event() and what it calls do
 * no more than write_sample() does, which takes a third of the time.
 */
static bool is_simple(struct perf_event *event)
{
	const struct perf_event *owner = event->parent ?: event;
	const struct perf_event_attr *attr = &event->attr;

	return event->hw.sample_period == 1 && !attr->freq &&
	       !(attr->sample_type & ~SIMPLE_FIELDS) &&
	       (attr->sample_type & PERF_SAMPLE_RAW) &&
	       (attr->watermark || !attr->wakeup_events) && !attr->sigtrap &&
	       is_default_overflow_handler(event) &&
	       !owner->filter && !owner->fasync && !event->prog &&
	       !attr->aux_pause && !attr->aux_resume &&
	       !atomic_read(&event->event_limit);
}

/* Two u32, one behind the other. */
static u64 pair(u32 first, u32 second)
{
	return IS_ENABLED(CONFIG_CPU_BIG_ENDIAN) ? (u64)first << 32 | second :
						   (u64)second << 32 | first;
}

/* As perf_event_pid() and perf_event_tid() in kernel/events/core.c. */
static u64 pid_and_tid(const struct perf_event *owner)
{
	if (likely(owner->ns == &init_pid_ns))
		return pair(current->tgid, current->pid);
	return pair(__task_pid_nr_ns(current, PIDTYPE_TGID, owner->ns),
		    __task_pid_nr_ns(current, PIDTYPE_PID, owner->ns));
}

/*
 * In the order of perf_output_sample(). A thread that hit is in no slot, and in
 * no code segment with a base, since there are no sites in those: the instruction
 * pointer is what perf would find. Fields in front of a record aren't aligned.
 */
static void fill_fields(void *to, struct perf_event *event,
			struct pt_regs *regs)
{
	const struct perf_event *owner = event->parent ?: event;
	u64 wanted = event->attr.sample_type;
	u64 *field = to;

	if (wanted & PERF_SAMPLE_IDENTIFIER)
		put_unaligned(owner->id, field++);
	if (wanted & PERF_SAMPLE_IP)
		put_unaligned((u64)instruction_pointer(regs), field++);
	if (wanted & PERF_SAMPLE_TID)
		put_unaligned(pid_and_tid(owner), field++);
	if (wanted & PERF_SAMPLE_TIME)
		put_unaligned(event->clock(), field++);
	if (wanted & PERF_SAMPLE_ADDR)
		put_unaligned(0ULL, field++);
	if (wanted & PERF_SAMPLE_ID)
		put_unaligned(owner->id, field++);
	if (wanted & PERF_SAMPLE_STREAM_ID)
		put_unaligned(event->id, field++);
	if (wanted & PERF_SAMPLE_CPU)
		put_unaligned(pair(smp_processor_id(), 0), field++);
	if (wanted & PERF_SAMPLE_PERIOD)
		put_unaligned(1ULL, field);
}

/* What perf_output_begin() fills if it has to say what was lost, and its state. */
struct output {
	struct perf_sample_data		lost;
	struct perf_output_handle	handle;
};

static DEFINE_PER_CPU(struct output, outputs);

/*
 * The sample is put together in front of the record, and copied from there. Interrupts
 * are off.
 */
static void write_sample(struct perf_event *event, const struct record *record,
			 struct pt_regs *regs)
{
	struct output *output = this_cpu_ptr(&outputs);
	/* which perf has counted when the event was opened */
	int fields = event->header_size + event->id_header_size;
	int size = sizeof(struct perf_event_header) + fields + sizeof(u32);
	void *sample = record->data - size;
	const struct perf_event_header header = {
		.type	= PERF_RECORD_SAMPLE,
		.misc	= PERF_RECORD_MISC_USER,
		.size	= size + record->size,
	};

	if (event->state != PERF_EVENT_STATE_ACTIVE)
		return;
	put_unaligned(header, (struct perf_event_header *)sample);
	fill_fields(sample + sizeof(header), event, regs);
	put_unaligned((u32)record->size, (u32 *)(record->data - sizeof(u32)));
	event->pending_kill = POLL_IN;
	if (perf_output_begin(&output->handle, &output->lost, event,
			      header.size))
		return;
	perf_output_copy(&output->handle, sample, header.size);
	perf_output_end(&output->handle);
}

static bool all_are_simple(struct hlist_head *head)
{
	struct perf_event *event;

	hlist_for_each_entry_rcu_notrace(event, head, hlist_entry) {
		if (trace_uprobe_needs_record(event) && !is_simple(event))
			return false;
	}
	return true;
}

/*
 * The list stays what it was found to be: events come and go by an interrupt.
 * Return: false if it has to go the long way, and nothing has been done.
 */
static bool submit_simply(const struct record *record, struct pt_regs *regs,
			  struct hlist_head *head)
{
	struct perf_event *event;

	guard(irqsave)();
	if (!all_are_simple(head))
		return false;
	tracing_generic_entry_update(record->data, record->type,
				     TRACE_UPROBE_USER_CTX);
	hlist_for_each_entry_rcu_notrace(event, head, hlist_entry) {
		if (event->hw.state & PERF_HES_STOPPED)
			continue;
		local64_add(1, &event->count);
		if (is_sampling_event(event))
			write_sample(event, record, regs);
	}
	return true;
}

static void submit_either_way(const struct record *record,
			      struct pt_regs *regs, struct hlist_head *head)
{
	if (!submit_simply(record, regs, head))
		submit(record, regs, head);
}

/*
 * To those who may have it. For the others it is as if they were stopped, which nobody
 * sees as long as interrupts are off. PERF_HES_ARCH isn't used by software events.
 */
static void submit_to_allowed(const struct record *record,
			      struct pt_regs *regs, struct hlist_head *head)
{
	struct perf_event *event;

	guard(irqsave)();
	hlist_for_each_entry_rcu_notrace(event, head, hlist_entry) {
		if (!(event->hw.state & PERF_HES_STOPPED) &&
		    !trace_uprobe_may_hear(event, NULL))
			event->hw.state |= PERF_HES_STOPPED | PERF_HES_ARCH;
	}
	submit_either_way(record, regs, head);
	hlist_for_each_entry_rcu_notrace(event, head, hlist_entry) {
		if (event->hw.state & PERF_HES_ARCH)
			event->hw.state &= ~(PERF_HES_STOPPED | PERF_HES_ARCH);
	}
}

/**
 * trace_uprobe_perf_record - give a record to the perf events that want it
 * @hit: a hit that some perf event wants, with its arguments
 */
void trace_uprobe_perf_record(struct trace_uprobe_hit *hit)
{
	struct hlist_head *head;
	struct record record;

	guard(preempt_notrace)();
	head = trace_uprobe_listeners(hit->tu);
	if (!head)
		return;
	record = make_record(hit);
	if (trace_probe_test_flag(&hit->tu->tp, TRACE_UPROBE_FLAG_GUARDED))
		submit_to_allowed(&record, hit->regs, head);
	else
		submit_either_way(&record, hit->regs, head);
}

/**
 * bpf_get_uprobe_info - where is the probe of this perf event?
 * @event: a perf event on a uprobe event, whichever way it was opened
 * @fd_type: set to BPF_FD_TYPE_UPROBE or _URETPROBE
 * @filename: set to the path; valid as long as @event is open
 * @probe_offset: set to the offset in the file
 * @probe_addr: set to 0: there is no single address
 * @perf_type_tracepoint: opened by number; makes no difference here
 *
 * Of an event with several probes it names the oldest. That may be removed; its
 * name stays: see hand_on_name().
 *
 * Context: may sleep; takes event_mutex.
 * Return: 0 or -EINVAL.
 */
int bpf_get_uprobe_info(const struct perf_event *event, u32 *fd_type,
			const char **filename, u64 *probe_offset,
			u64 *probe_addr, bool perf_type_tracepoint)
{
	const struct trace_uprobe *tu;

	guard(mutex)(&event_mutex);
	tu = trace_uprobe_of_call(event->tp_event);
	if (!tu)
		return -EINVAL;
	*filename = tu->name->text;
	*probe_offset = tu->offset;
	*probe_addr = 0;
	*fd_type = tu->kind == TRACE_UPROBE_RETURN ? BPF_FD_TYPE_URETPROBE :
						     BPF_FD_TYPE_UPROBE;
	return 0;
}

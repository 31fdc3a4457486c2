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
 * targets.
 */
#include <linux/bpf.h>
#include <linux/err.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/rcupdate_trace.h>
#include <linux/sched.h>
#include <linux/trace_events.h>
#include <linux/uaccess.h>

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
	INIT_LIST_HEAD(&users->perf_events);
	rwlock_init(&users->rwlock);
}

/*
 * A task that executes a program with other privileges loses its perf events
 * (perf_event_exit_task() in begin_new_exec()), and they stay in the list as
 * long as somebody holds their descriptors. They must not open the new
 * address space.
 */
static bool has_target(struct trace_uprobe_filter *users,
		       const struct mm_struct *mm)
{
	struct perf_event *event;

	list_for_each_entry(event, &users->perf_events, hw.tp_list)
		if (READ_ONCE(event->hw.target->mm) == mm &&
		    READ_ONCE(event->state) > PERF_EVENT_STATE_EXIT)
			return true;
	return false;
}

/*
 * The perf events that are active on this CPU, which are those of the
 * current task and of the CPU; NULL if there are none. Preemption is off:
 * perf_trace_event_unreg() frees the lists after TRACE_REG_PERF_UNREGISTER
 * has cleared the flag and synchronize_rcu() has waited, also when ftrace
 * keeps the event on and handlers come here as before.
 */
static struct hlist_head *listeners(struct trace_uprobe *tu)
{
	struct hlist_head *head;

	if (!trace_probe_test_flag(&tu->tp, TP_FLAG_PROFILE))
		return NULL;
	head = this_cpu_ptr(trace_uprobe_call(tu)->perf_events);
	return hlist_empty(head) ? NULL : head;
}

static bool has_listeners(struct trace_uprobe *tu)
{
	guard(preempt_notrace)();
	return listeners(tu);
}

/**
 * trace_uprobe_perf_wants - does some perf event want this address space?
 * @tu: a probe
 * @mm: the address space; only compared
 *
 * Asked on each hit, too: whoever is active here and now is found without a
 * lock or a write to shared memory. The list is for those who aren't, such as
 * the owner of a BPF program.
 *
 * Return: true if so.
 */
bool trace_uprobe_perf_wants(struct trace_uprobe *tu, struct mm_struct *mm)
{
	struct trace_uprobe_filter *users = tu->tp.event->filter;
	bool wants;

	if (READ_ONCE(users->nr_systemwide))
		return true;
	if (mm == current->mm && has_listeners(tu))
		return true;
	read_lock(&users->rwlock);
	wants = has_target(users, mm);
	read_unlock(&users->rwlock);
	return wants;
}

/*
 * Is the probe installed already wherever @event needs it? An event that
 * fork inherits belongs to a child whose sites fork copied; one that starts
 * with an exec finds its address space then.
 */
static bool is_served(struct trace_uprobe_filter *users,
		      struct perf_event *event)
{
	return event->parent || event->attr.enable_on_exec ||
	       has_target(users, event->hw.target->mm);
}

/* Return: whether sites may have to be made for it. */
static bool join_users(struct trace_uprobe_filter *users,
		       struct perf_event *event)
{
	bool served = false;

	write_lock(&users->rwlock);
	if (event->hw.target) {
		served = is_served(users, event);
		list_add(&event->hw.tp_list, &users->perf_events);
	} else {
		WRITE_ONCE(users->nr_systemwide, users->nr_systemwide + 1);
	}
	write_unlock(&users->rwlock);
	return !served;
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
	bool wanted_all = trace_uprobe_wants_all(tp);
	int ret;

	if (!join_users(tp->event->filter, event) || wanted_all)
		return 0;
	ret = trace_uprobe_ask_again(tp, true);
	if (ret)
		trace_uprobe_perf_close(tp, event);
	return ret;
}

/* Does the address space that @event leaves need no change? */
static bool stays(struct trace_uprobe_filter *users, struct perf_event *event)
{
	struct mm_struct *mm = READ_ONCE(event->hw.target->mm);

	/* an exiting task takes its address space with it, or shares it */
	return !mm || (event->hw.target->flags & PF_EXITING) ||
	       has_target(users, mm);
}

/* Return: whether sites may have to go. */
static bool leave_users(struct trace_uprobe_filter *users,
			struct perf_event *event)
{
	bool done = false;

	write_lock(&users->rwlock);
	if (event->hw.target) {
		list_del(&event->hw.tp_list);
		done = stays(users, event);
	} else {
		WRITE_ONCE(users->nr_systemwide, users->nr_systemwide - 1);
	}
	/* after the last one TRACE_REG_PERF_UNREGISTER removes everything */
	done = done || (!users->nr_systemwide &&
			list_empty(&users->perf_events));
	write_unlock(&users->rwlock);
	return !done;
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
	if (!leave_users(tp->event->filter, event) ||
	    trace_uprobe_wants_all(tp))
		return 0;
	return trace_uprobe_ask_again(tp, false);
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

/* Does it want more of a hit than to count it? */
static bool needs_record(struct perf_event *event)
{
	const struct perf_event *owner = event->parent ?: event;

	return is_sampling_event(event) || owner->filter;
}

/**
 * trace_uprobe_perf_wish - what do perf events want of a hit here and now?
 * @tu: the probe that was hit
 *
 * Context: the thread that hit.
 * Return: the most that one of them wants.
 */
enum trace_uprobe_perf_wish trace_uprobe_perf_wish(struct trace_uprobe *tu)
{
	enum trace_uprobe_perf_wish wish = TRACE_UPROBE_PERF_COUNT;
	struct perf_event *event;
	struct hlist_head *head;

	if (!trace_probe_test_flag(&tu->tp, TP_FLAG_PROFILE))
		return TRACE_UPROBE_PERF_NONE;
	guard(preempt_notrace)();
	head = listeners(tu);
	if (!head)
		return trace_uprobe_perf_wants(tu, current->mm) ?
		       TRACE_UPROBE_PERF_COUNT : TRACE_UPROBE_PERF_NONE;
	hlist_for_each_entry_rcu_notrace(event, head, hlist_entry) {
		if (needs_record(event))
			wish = TRACE_UPROBE_PERF_RECORD;
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
	head = listeners(tu);
	if (!head)
		return;
	hlist_for_each_entry_rcu_notrace(event, head, hlist_entry) {
		if (!needs_record(event) &&
		    !(event->hw.state & PERF_HES_STOPPED))
			local64_add(1, &event->count);
	}
}

/**
 * trace_uprobe_perf_tally - count a hit, if that is all
 * @tu: the probe that was hit
 *
 * Context: the thread that hit, preemption off.
 * Return: true if it has been counted; false, with nothing done, if ftrace uses
 * the event, a BPF program is attached, or perf wants a record, or none of it.
 */
bool trace_uprobe_perf_tally(struct trace_uprobe *tu)
{
	struct trace_event_call *call = trace_uprobe_call(tu);
	struct perf_event *event;
	struct hlist_head *head;

	if (trace_probe_load_flag(&tu->tp) != TP_FLAG_PROFILE ||
	    trace_uprobe_has_bpf(tu))
		return false;
	head = this_cpu_ptr(call->perf_events);
	if (hlist_empty(head))
		return false;
	hlist_for_each_entry_rcu_notrace(event, head, hlist_entry) {
		if (needs_record(event))
			return false;
	}
	hlist_for_each_entry_rcu_notrace(event, head, hlist_entry) {
		if (!(event->hw.state & PERF_HES_STOPPED))
			local64_add(1, &event->count);
	}
	return true;
}

static void submit(struct trace_uprobe_hit *hit, struct hlist_head *head)
{
	struct trace_event_call *call = trace_uprobe_call(hit->tu);
	int used = trace_uprobe_head_size(hit->tu->kind) + hit->size;
	void *record;
	int size, context;

	/* perf puts a u32 with the size in front and wants to end aligned */
	size = ALIGN(used + sizeof(u32), sizeof(u64)) - sizeof(u32);
	record = perf_trace_buf_alloc(size, NULL, &context);
	if (!record)
		return;
	trace_uprobe_fill(hit, record);
	memset(record + used, 0, size - used);
	perf_trace_buf_submit(record, size, context, call->event.type, 1,
			      hit->regs, head, NULL);
}

/**
 * trace_uprobe_perf_record - give a record to the perf events that want it
 * @hit: a hit that some perf event wants, with its arguments
 */
void trace_uprobe_perf_record(struct trace_uprobe_hit *hit)
{
	struct hlist_head *head;

	guard(preempt_notrace)();
	head = listeners(hit->tu);
	if (head)
		submit(hit, head);
}

/* ---- local events of the PMU -------------------------------------------- */

/**
 * create_local_trace_uprobe - make the event behind a perf event of the PMU
 * @name: path of the file, looked up in the caller's namespace
 * @offs: offset in the file
 * @ref_ctr_offset: offset of the semaphore, 0 for none
 * @is_return: record returns, else entries
 *
 * Nobody finds it by name, and it has no number of its own.
 *
 * Return: its call, to be freed with destroy_local_trace_uprobe(), or
 * ERR_PTR(-errno).
 */
struct trace_event_call *
create_local_trace_uprobe(char *name, unsigned long offs,
			  unsigned long ref_ctr_offset, bool is_return)
{
	struct trace_uprobe *tu;
	int ret, error;

	tu = trace_uprobe_make(TRACE_UPROBE_GROUP, "local", 0, is_return ?
			       TRACE_UPROBE_RETURN : TRACE_UPROBE_ENTRY);
	if (IS_ERR(tu))
		return ERR_CAST(tu);
	tu->ref_ctr_offset = ref_ctr_offset;
	ret = trace_uprobe_open_file(tu, name, offs, &error);
	if (!ret)
		ret = trace_uprobe_init_call(tu);
	if (!ret)
		return trace_uprobe_call(tu);
	trace_uprobe_free(tu);
	return ERR_PTR(ret);
}

/**
 * trace_uprobe_take_perf_lists - shall perf's lists be freed with the event?
 * @event_call: an event that no perf event uses any more
 *
 * perf_trace_event_unreg() would wait for a grace period before it frees them,
 * under event_mutex, for each event that is closed.
 *
 * Context: event_mutex held.
 * Return: true if they belong to us now, which goes for local events.
 */
bool trace_uprobe_take_perf_lists(struct trace_event_call *event_call)
{
	struct trace_uprobe *tu;

	if (!(event_call->flags & TRACE_EVENT_FL_UPROBE))
		return false;
	tu = trace_uprobe_of_call(event_call);
	if (!tu || !trace_uprobe_is_local(tu))
		return false;
	tu->perf_lists = event_call->perf_events;
	return true;
}

static void free_local(struct rcu_head *rcu)
{
	struct trace_uprobe *tu = container_of(rcu, struct trace_uprobe, rcu);

	free_percpu(tu->perf_lists);
	trace_uprobe_free(tu);
}

static void free_local_after_rcu(struct rcu_head *rcu)
{
	if (rcu_trace_implies_rcu_gp())
		free_local(rcu);
	else
		call_rcu(rcu, free_local);
}

/**
 * destroy_local_trace_uprobe - free what create_local_trace_uprobe() made
 * @event_call: its result, off and closed
 *
 * Now the file, and the rest when handlers that still run are done.
 */
void destroy_local_trace_uprobe(struct trace_event_call *event_call)
{
	struct trace_uprobe *tu = trace_uprobe_of_call(event_call);

	path_put(&tu->path);
	tu->path = (struct path){};
	call_rcu_tasks_trace(&tu->rcu, free_local_after_rcu);
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
 * Of an event with several probes it names the oldest.
 *
 * Return: 0 or -EINVAL.
 */
int bpf_get_uprobe_info(const struct perf_event *event, u32 *fd_type,
			const char **filename, u64 *probe_offset,
			u64 *probe_addr, bool perf_type_tracepoint)
{
	const struct trace_uprobe *tu = trace_uprobe_of_call(event->tp_event);

	if (!tu)
		return -EINVAL;
	*filename = tu->filename;
	*probe_offset = tu->offset;
	*probe_addr = 0;
	*fd_type = tu->kind == TRACE_UPROBE_RETURN ? BPF_FD_TYPE_URETPROBE :
						     BPF_FD_TYPE_UPROBE;
	return 0;
}

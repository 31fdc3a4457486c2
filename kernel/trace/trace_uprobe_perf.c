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

/*
 * Programs that are attached to the event; false: they want no record.
 * bpf_get_func_ip() finds the probed address through utask->vaddr, as a
 * struct uprobe_dispatch_data.
 */
static bool run_bpf(struct trace_uprobe_hit *hit)
{
	struct trace_event_call *call = trace_uprobe_call(hit->tu);
	struct uprobe_dispatch_data where = {
		.tu = hit->tu,
		.bp_addr = hit->func,
	};
	const struct bpf_prog_array *progs;
	bool wanted;

	if (!bpf_prog_array_valid(call))
		return true;
	current->utask->vaddr = (unsigned long)&where;
	rcu_read_lock_trace();
	progs = rcu_dereference_check(call->prog_array,
				      rcu_read_lock_trace_held());
	wanted = bpf_prog_run_array_uprobe(progs, hit->regs, bpf_prog_run);
	rcu_read_unlock_trace();
	current->utask->vaddr = 0;
	return wanted;
}

#else

static bool run_bpf(struct trace_uprobe_hit *hit)
{
	return true;
}

#endif

static void submit(struct trace_uprobe_hit *hit)
{
	struct trace_event_call *call = trace_uprobe_call(hit->tu);
	int used = trace_uprobe_head_size(hit->tu->kind) + hit->size;
	struct hlist_head *head;
	void *record;
	int size, context;

	/* perf puts a u32 with the size in front and wants to end aligned */
	size = ALIGN(used + sizeof(u32), sizeof(u64)) - sizeof(u32);
	guard(preempt_notrace)();
	head = listeners(hit->tu);
	if (!head)
		return;
	record = perf_trace_buf_alloc(size, NULL, &context);
	if (!record)
		return;
	trace_uprobe_fill(hit, record);
	memset(record + used, 0, size - used);
	perf_trace_buf_submit(record, size, context, call->event.type, 1,
			      hit->regs, head, NULL);
}

/**
 * trace_uprobe_perf_record - give a hit to BPF programs and perf events
 * @hit: a hit that some perf event wants
 */
void trace_uprobe_perf_record(struct trace_uprobe_hit *hit)
{
	if (!run_bpf(hit) || !has_listeners(hit->tu))
		return;
	if (trace_uprobe_fetch(hit))
		submit(hit);
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
 * destroy_local_trace_uprobe - free what create_local_trace_uprobe() made
 * @event_call: its result, off and closed
 */
void destroy_local_trace_uprobe(struct trace_event_call *event_call)
{
	trace_uprobe_free(trace_uprobe_of_call(event_call));
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

// SPDX-License-Identifier: GPL-2.0
/*
 * Which uprobe events are on?
 *
 * An event is on while anybody uses it: instances of ftrace, perf for every
 * process, perf for single tasks, in any mixture. They come and go through
 * trace_uprobe_reg(), under event_mutex. While an event is on, each of its
 * probes is one consumer of the core; what changes with the users is the
 * answer of the consumer's filter. Hits go to trace_uprobe_record.c.
 *
 * Handlers may still run when an event has been switched off. What has to wait
 * for them waits for all that have been switched off until then, together
 * (trace_uprobe_settle_all()): a thousand events share one grace period.
 */
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "trace_uprobe.h"

/* Probes that were switched off and whose handlers may still run. event_mutex. */
static LIST_HEAD(unsettled);

/*
 * A local event has no command, and its owner may be anybody: error_log is
 * the administrator's.
 */
static void explain(struct trace_uprobe *tu, const char *why)
{
	char *scope, *path, *line;
	int column;

	if (trace_uprobe_is_local(tu))
		return;
	scope = trace_uprobe_scope_text(tu->scope);
	path = trace_uprobe_escape(tu->name->text, TRACE_UPROBE_ESCAPED);
	line = scope && path ? kasprintf(GFP_KERNEL, "%c%s:%s/%s %s:0x%lx",
				tu->kind == TRACE_UPROBE_RETURN ? 'r' : 'p',
				scope, trace_probe_group_name(&tu->tp),
				trace_probe_name(&tu->tp), path, tu->offset) :
		      NULL;
	kfree(scope);
	kfree(path);
	if (!line)
		return;
	column = strrchr(line, ':') + 1 - line;
	trace_uprobe_complain_place(line, column, why);
	kfree(line);
}

/**
 * trace_uprobe_install - make a probe a consumer of its place
 * @tu: a probe of an event that is on, or is being switched on
 *
 * A local event isn't installed again once it was uninstalled: its handlers may still run.
 *
 * Context: event_mutex held.
 * Return: 0 or -errno; what is wrong with the place is in error_log then.
 */
int trace_uprobe_install(struct trace_uprobe *tu)
{
	struct uprobe *uprobe;
	const char *why;

	lockdep_assert_held(&event_mutex);
	/* a local event that several share, one of whom has just left */
	if (tu->uprobe)
		return 0;
	trace_uprobe_settle(tu);
	tu->consumer.targeted = !trace_uprobe_wants_all(&tu->tp);
	/* until somebody with privilege comes: trace_uprobe_perf.c */
	tu->consumer.by_visit = tu->consumer.targeted;
	uprobe = uprobe_register_why(trace_uprobe_inode(tu), tu->offset,
				     tu->ref_ctr_offset, &tu->consumer, &why);
	if (IS_ERR(uprobe)) {
		if (why)
			explain(tu, why);
		return PTR_ERR(uprobe);
	}
	tu->uprobe = uprobe;
	return 0;
}

/**
 * trace_uprobe_uninstall - end what trace_uprobe_install() began
 * @tu: a probe, installed or not
 *
 * Handlers may still run: see trace_uprobe_settle(). A local event is freed when
 * they are done (destroy_local_trace_uprobe()); calls that are open then are nobody's.
 *
 * Context: event_mutex held.
 */
void trace_uprobe_uninstall(struct trace_uprobe *tu)
{
	lockdep_assert_held(&event_mutex);
	if (!tu->uprobe)
		return;
	uprobe_unregister_nosync(tu->uprobe, &tu->consumer);
	tu->uprobe = NULL;
	if (!trace_uprobe_is_local(tu))
		list_add_tail(&tu->unsettled, &unsettled);
}

/*
 * No handler runs any more, and no call of this registration will be reported:
 * what isn't balanced is what was open.
 */
static void count_open_calls(struct trace_uprobe *tu)
{
	struct trace_uprobe_counts sum;

	trace_uprobe_sum_counts(tu, &sum);
	this_cpu_add(tu->counts->other[UPROBE_MISSED_UNREGISTERED],
		     trace_uprobe_unbalanced(tu, &sum));
}

/**
 * trace_uprobe_settle_all - wait for the handlers of whatever was switched off
 *
 * Before counts are read: what was missed by being switched off is known now.
 *
 * Context: event_mutex held; sleeps for a grace period if there is anything.
 */
void trace_uprobe_settle_all(void)
{
	struct trace_uprobe *tu, *next;

	lockdep_assert_held(&event_mutex);
	if (list_empty(&unsettled))
		return;
	uprobe_unregister_sync();
	list_for_each_entry_safe(tu, next, &unsettled, unsettled) {
		list_del_init(&tu->unsettled);
		count_open_calls(tu);
	}
}

/**
 * trace_uprobe_settle - wait until no handler of a probe runs
 * @tu: a probe that isn't installed, and shall be again, or be freed
 *
 * Context: event_mutex held; sleeps for a grace period if it has to.
 */
void trace_uprobe_settle(struct trace_uprobe *tu)
{
	if (!list_empty(&tu->unsettled))
		trace_uprobe_settle_all();
}

static void remove_probes(struct trace_probe *tp)
{
	struct trace_uprobe *tu;

	for_each_probe_of(tu, tp)
		trace_uprobe_uninstall(tu);
}

static int install_probes(struct trace_probe *tp)
{
	struct trace_uprobe *tu;
	int ret;

	for_each_probe_of(tu, tp) {
		ret = trace_uprobe_install(tu);
		if (ret) {
			remove_probes(tp);
			return ret;
		}
	}
	return 0;
}

/**
 * trace_uprobe_wants_all - does a user of this event want every process?
 * @tp: any probe of the event
 *
 * Also read by hits, without a lock: a user that comes or goes meanwhile is
 * followed by trace_uprobe_ask_again() or by the removal of the consumer.
 *
 * Return: true if so.
 */
bool trace_uprobe_wants_all(struct trace_probe *tp)
{
	return trace_probe_test_flag(tp, TP_FLAG_TRACE) ||
	       READ_ONCE(tp->event->filter->nr_systemwide);
}

/**
 * trace_uprobe_ask_again - the answer of an event's filter has changed
 * @tp: any probe of the event, which is on
 * @add: more address spaces are wanted than before, else less
 *
 * Context: event_mutex held, and nothing that the filter takes.
 * Return: 0, or the first -errno; when removing, all probes are tried.
 */
int trace_uprobe_ask_again(struct trace_probe *tp, bool add)
{
	struct trace_uprobe *tu;
	int ret = 0, err;

	for_each_probe_of(tu, tp) {
		tu->consumer.targeted = !trace_uprobe_wants_all(tp);
		tu->consumer.by_visit &= !add;
		err = uprobe_apply(tu->uprobe, &tu->consumer, add);
		if (err && add)
			return err;
		ret = ret ?: err;
	}
	return ret;
}

/**
 * trace_uprobe_ask_about - the filter of an event wants one task's address space, too
 * @tp: any probe of the event, which is on, and not for every process
 * @task: announced as a target
 *
 * Context: event_mutex held, and nothing that the filter takes.
 * Return: 0, or the first -errno.
 */
int trace_uprobe_ask_about(struct trace_probe *tp,
			   const struct task_struct *task)
{
	struct trace_uprobe *tu;
	int ret;

	for_each_probe_of(tu, tp) {
		ret = uprobe_apply_to_task(tu->uprobe, &tu->consumer, task);
		if (ret)
			return ret;
	}
	return 0;
}

static bool is_on(struct trace_probe *tp)
{
	return trace_probe_is_enabled(tp);
}

/* After a user has gone. */
static void narrow(struct trace_probe *tp)
{
	if (!is_on(tp))
		remove_probes(tp);
	else if (!trace_uprobe_wants_all(tp))
		trace_uprobe_ask_again(tp, false);
}

static int start_file(struct trace_probe *tp, void *file)
{
	bool was_on = is_on(tp), wanted_all = trace_uprobe_wants_all(tp);
	int ret;

	ret = trace_probe_add_file(tp, file);
	if (ret || (was_on && wanted_all))
		return ret;
	ret = was_on ? trace_uprobe_ask_again(tp, true) : install_probes(tp);
	if (!ret)
		return 0;
	trace_probe_remove_file(tp, file);
	if (was_on)
		narrow(tp);
	return ret;
}

static int stop_file(struct trace_probe *tp, void *file)
{
	if (!trace_probe_remove_file(tp, file))
		narrow(tp);
	return 0;
}

static void forget_perf(struct trace_probe *tp)
{
	trace_probe_clear_flag(tp, TP_FLAG_PROFILE);
}

/* First perf event on this trace event; it opens itself next. */
static int start_perf(struct trace_probe *tp, void *unused)
{
	bool was_on = is_on(tp);
	int ret;

	trace_probe_set_flag(tp, TP_FLAG_PROFILE);
	ret = was_on ? 0 : install_probes(tp);
	if (!ret)
		return 0;
	forget_perf(tp);
	/* perf frees its lists, and a hit of the first probe may be reading them */
	if (!list_is_singular(trace_probe_probe_list(tp)))
		synchronize_rcu();
	return ret;
}

static int stop_perf(struct trace_probe *tp, void *unused)
{
	struct trace_uprobe *tu = trace_uprobe_of(tp);

	forget_perf(tp);
	if (!trace_uprobe_share_goes_on(tu))
		narrow(tp);
	else if (!tu->consumer.by_visit)
		trace_uprobe_ask_again(tp, false);
	return 0;
}

static int open_perf(struct trace_probe *tp, void *event)
{
	return trace_uprobe_perf_open(tp, event);
}

static int close_perf(struct trace_probe *tp, void *event)
{
	return trace_uprobe_perf_close(tp, event);
}

/* TRACE_REG_PERF_ADD and _DEL are missing: perf keeps its own lists then. */
static int (*const changes[])(struct trace_probe *tp, void *data) = {
	[TRACE_REG_REGISTER]		= start_file,
	[TRACE_REG_UNREGISTER]		= stop_file,
	[TRACE_REG_PERF_REGISTER]	= start_perf,
	[TRACE_REG_PERF_UNREGISTER]	= stop_perf,
	[TRACE_REG_PERF_OPEN]		= open_perf,
	[TRACE_REG_PERF_CLOSE]		= close_perf,
};

/**
 * trace_uprobe_reg - class->reg: ftrace and perf come and go
 * @call: the event
 * @type: who comes or goes
 * @data: a struct trace_event_file, a struct perf_event, or NULL
 *
 * Context: event_mutex held, but for TRACE_REG_PERF_ADD and _DEL, which come
 * from the scheduler.
 * Return: 0 or -errno.
 */
int trace_uprobe_reg(struct trace_event_call *call, enum trace_reg type,
		     void *data)
{
	struct trace_uprobe *tu;

	if (type >= ARRAY_SIZE(changes) || !changes[type])
		return 0;
	tu = trace_uprobe_of_call(call);
	return tu ? changes[type](&tu->tp, data) : -ENODEV;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Which uprobe events are there?
 *
 * A command that trace_uprobe_parse.c understood becomes a struct
 * trace_uprobe here: a new event, or one more probe of an event that exists.
 * trace_uprobe_switch.c is next, when somebody switches the event on. It goes
 * the same way back: `-:` finds it here, or truncation of uprobe_events.
 */
#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "trace_uprobe.h"

static struct dyn_event_operations uprobe_event_ops;

/**
 * trace_uprobe_of_devent - is this dynamic event one of ours?
 * @ev: any dynamic event
 *
 * Return: the probe that it is, or NULL.
 */
struct trace_uprobe *trace_uprobe_of_devent(struct dyn_event *ev)
{
	return ev->ops == &uprobe_event_ops ?
	       container_of(ev, struct trace_uprobe, devent) : NULL;
}

/* ---- making and freeing ------------------------------------------------- */

/**
 * trace_uprobe_make - allocate a probe as the only one of a new event
 * @group: group of the event; copied
 * @event: name of the event; copied
 * @nr_args: number of fetch arguments
 * @kind: entry or return
 *
 * Return: the probe, to be freed with trace_uprobe_free(), or -ENOMEM.
 */
struct trace_uprobe *trace_uprobe_make(const char *group, const char *event,
				       int nr_args, enum trace_uprobe_kind kind)
{
	struct trace_uprobe *tu;

	tu = kzalloc(struct_size(tu, tp.args, nr_args), GFP_KERNEL_ACCOUNT);
	if (!tu)
		return ERR_PTR(-ENOMEM);
	tu->kind = kind;
	tu->counts = alloc_percpu_gfp(struct trace_uprobe_counts,
				      GFP_KERNEL_ACCOUNT);
	if (!tu->counts || trace_probe_init(&tu->tp, event, group, true, nr_args)) {
		free_percpu(tu->counts);
		kfree(tu);
		return ERR_PTR(-ENOMEM);
	}
	dyn_event_init(&tu->devent, &uprobe_event_ops);
	INIT_LIST_HEAD(&tu->unsettled);
	trace_uprobe_init_filter(tu->tp.event->filter);
	trace_uprobe_set_handlers(tu);
	return tu;
}

static struct trace_uprobe_name *make_name(const char *text)
{
	size_t size = strlen(text) + 1;
	struct trace_uprobe_name *name;

	name = kmalloc(struct_size(name, text, size), GFP_KERNEL_ACCOUNT);
	if (!name)
		return NULL;
	name->former = NULL;
	memcpy(name->text, text, size);
	return name;
}

static void free_names(struct trace_uprobe_name *name)
{
	struct trace_uprobe_name *former;

	for (; name; name = former) {
		former = name->former;
		kfree(name);
	}
}

/*
 * A name that bpf_get_uprobe_info() has given away lives as long as a perf event is
 * open on the event, and so does the event.
 */
static void hand_on_name(struct trace_uprobe *tu)
{
	struct trace_uprobe_name **end;
	struct trace_uprobe *heir;

	if (!trace_uprobe_call(tu)->perf_refcount)
		return;
	for_each_probe_of(heir, &tu->tp)
		if (heir != tu)
			break;
	for (end = &heir->name->former; *end; end = &(*end)->former)
		;
	*end = tu->name;
	tu->name = NULL;
}

/**
 * trace_uprobe_free - free a probe, and its event if that has no other
 * @tu: the probe, not registered with the core, and unpublished
 *
 * Handlers are done with it: remove_event() has waited for them, or the grace
 * period of a local event is over. Readers of the trace are, too: see retire().
 */
void trace_uprobe_free(struct trace_uprobe *tu)
{
	path_put(&tu->path);
	trace_probe_cleanup(&tu->tp);
	if (tu->saved)
		trace_probe_cleanup(tu->saved);
	kfree(tu->saved);
	trace_uprobe_free_scope(tu->scope);
	uprobe_user_put(tu->consumer.payer);
	free_percpu(tu->counts);
	free_names(tu->name);
	kfree(tu);
}

/**
 * trace_uprobe_open_file - attach a probe to its place
 * @tu: a new probe; keeps the file alive from here on
 * @filename: path of a regular file, looked up in the caller's namespace
 * @offset: place in the file; must lie inside
 * @error: on failure the reason for error_log, or -1 if there is none
 *
 * Return: 0 or -errno.
 */
int trace_uprobe_open_file(struct trace_uprobe *tu, const char *filename,
			   unsigned long offset, int *error)
{
	int ret;

	*error = TP_ERR_FILE_NOT_FOUND;
	ret = kern_path(filename, LOOKUP_FOLLOW, &tu->path);
	if (ret)
		return ret;
	*error = TP_ERR_NO_REGULAR_FILE;
	if (!d_is_reg(tu->path.dentry))
		return -EINVAL;
	*error = TRACE_UPROBE_ERR_PAST_END;
	if (offset >= i_size_read(trace_uprobe_inode(tu)))
		return -EINVAL;
	*error = -1;
	tu->offset = offset;
	tu->name = make_name(filename);
	return tu->name ? 0 : -ENOMEM;
}

/**
 * trace_uprobe_init_call - complete the trace event of a new probe
 * @tu: a probe with all its arguments
 *
 * TRACE_EVENT_FL_CAP_ANY: a user may open it for a task that he may trace.
 *
 * Return: 0 or -ENOMEM.
 */
int trace_uprobe_init_call(struct trace_uprobe *tu)
{
	struct trace_event_call *call = trace_uprobe_call(tu);

	call->flags = TRACE_EVENT_FL_UPROBE | TRACE_EVENT_FL_CAP_ANY;
	call->event.funcs = &trace_uprobe_print_functions;
	call->class->fields_array = trace_uprobe_fields;
	call->class->reg = trace_uprobe_reg;
	call->perf_perm = trace_uprobe_may_open;
	return traceprobe_set_print_fmt(&tu->tp,
					tu->kind == TRACE_UPROBE_RETURN ?
					PROBE_PRINT_RETURN : PROBE_PRINT_NORMAL);
}

/* ---- new events --------------------------------------------------------- */

static struct trace_uprobe *find_event(const char *group, const char *event)
{
	struct trace_uprobe *tu;
	struct dyn_event *ev;

	for_each_dyn_event(ev) {
		tu = trace_uprobe_of_devent(ev);
		if (tu && !strcmp(trace_probe_name(&tu->tp), event) &&
		    !strcmp(trace_probe_group_name(&tu->tp), group))
			return tu;
	}
	return NULL;
}

static bool same_args(const struct trace_probe *a, const struct trace_probe *b)
{
	int i;

	for (i = 0; i < a->nr_args; i++)
		if (strcmp(a->args[i].comm, b->args[i].comm))
			return false;
	return true;
}

/* Would hits of @tu be recorded twice? `-:` couldn't tell the two apart either. */
static bool has_twin(struct trace_uprobe *tu, struct trace_probe *tp)
{
	struct trace_uprobe *other;

	for_each_probe_of(other, tp)
		if (trace_uprobe_inode(other) == trace_uprobe_inode(tu) &&
		    other->offset == tu->offset &&
		    same_args(&other->tp, &tu->tp))
			return true;
	return false;
}

/* May @tu become a probe of the event that @first belongs to? */
static int check_sibling(const struct trace_uprobe_command *cmd,
			 struct trace_uprobe *tu, struct trace_uprobe *first)
{
	int arg;

	if (tu->kind != first->kind) {
		trace_uprobe_complain(cmd, 0, 0, TP_ERR_DIFF_PROBE_TYPE);
		return -EEXIST;
	}
	/* counts from 1; may name the argument after the last */
	arg = trace_probe_compare_arg_type(&tu->tp, &first->tp);
	if (arg) {
		trace_uprobe_complain(cmd, arg + 1, 0, TP_ERR_DIFF_ARG_TYPE);
		return -EEXIST;
	}
	if (has_twin(tu, &first->tp)) {
		trace_uprobe_complain(cmd, 0, 0, TP_ERR_SAME_PROBE);
		return -EEXIST;
	}
	return 0;
}

/* Under event_mutex; readers of the trace hold trace_event_sem. */
static void unpublish(struct trace_uprobe *tu)
{
	dyn_event_remove(&tu->devent);
	down_write(&trace_event_sem);
	trace_probe_unlink(&tu->tp);
	up_write(&trace_event_sem);
}

/*
 * An event that is on must not have a probe that is off. The probe is
 * complete when it joins, but a hit between trace_uprobe_install() and the end of
 * trace_probe_append() would find the event of its own that it leaves.
 */
static int join_event(const struct trace_uprobe_command *cmd,
		      struct trace_uprobe *tu, struct trace_uprobe *first)
{
	int ret;

	ret = check_sibling(cmd, tu, first);
	if (ret)
		return ret;
	ret = trace_probe_append(&tu->tp, &first->tp);
	if (ret)
		return ret;
	dyn_event_add(&tu->devent, trace_uprobe_call(tu));
	if (!trace_probe_is_enabled(&tu->tp))
		return 0;
	ret = trace_uprobe_install(tu);
	/* whoever uses the event doesn't know of this probe, when he leaves */
	tu->consumer.by_visit = false;
	if (!ret && tu->consumer.targeted) {
		ret = uprobe_apply(tu->uprobe, &tu->consumer, true);
		if (ret) {
			trace_uprobe_uninstall(tu);
			trace_uprobe_settle(tu);
		}
	}
	if (ret)
		unpublish(tu);
	return ret;
}

static int found_event(const struct trace_uprobe_command *cmd,
		       struct trace_uprobe *tu)
{
	int ret;

	ret = trace_uprobe_init_call(tu);
	if (ret)
		return ret;
	ret = trace_probe_register_event_call(&tu->tp);
	if (ret) {
		trace_uprobe_complain(cmd, 0, 0, ret == -EEXIST ?
				      TP_ERR_EVENT_EXIST :
				      TP_ERR_FAIL_REG_PROBE);
		return ret;
	}
	return dyn_event_add(&tu->devent, trace_uprobe_call(tu));
}

static int publish(const struct trace_uprobe_command *cmd,
		   struct trace_uprobe *tu)
{
	struct trace_uprobe *first;

	guard(mutex)(&event_mutex);
	first = find_event(cmd->group, cmd->event);
	return first ? join_event(cmd, tu, first) : found_event(cmd, tu);
}

static int create_event(struct trace_uprobe_command *cmd)
{
	const struct trace_uprobe_place *place = &cmd->place;
	struct trace_uprobe *tu;
	int ret, error;

	tu = trace_uprobe_make(cmd->group, cmd->event, cmd->argc - 2,
			       cmd->kind);
	if (IS_ERR(tu))
		return PTR_ERR(tu);
	tu->ref_ctr_offset = place->ref_ctr_offset;
	ret = trace_uprobe_open_file(tu, place->filename, place->offset,
				     &error);
	if (ret && error >= 0)
		trace_uprobe_complain(cmd, 1,
				      error == TRACE_UPROBE_ERR_PAST_END ?
				      place->offset_column : 0, error);
	if (!ret)
		ret = trace_uprobe_parse_args(cmd, tu);
	if (!ret && cmd->scope) {
		trace_uprobe_set_scope(tu,
				       trace_uprobe_share_scope(cmd->scope));
		cmd->scope = NULL;
	}
	if (!ret)
		ret = publish(cmd, tu);
	if (ret)
		trace_uprobe_free(tu);
	return ret;
}

static int create_from_words(int argc, const char **argv)
{
	struct trace_uprobe_command *cmd;
	int ret;

	cmd = kmalloc(sizeof(*cmd), GFP_KERNEL_ACCOUNT);
	if (!cmd)
		return -ENOMEM;
	ret = trace_uprobe_parse_command(argc, argv, cmd);
	if (!ret)
		ret = create_event(cmd);
	trace_uprobe_free_command(cmd);
	trace_probe_log_clear();
	kfree(cmd);
	return ret;
}

static int create_from_line(const char *line)
{
	return trace_probe_create(line, create_from_words);
}

/* ---- going -------------------------------------------------------------- */

/*
 * Unpublish, wait, free. Who may still look at it: handlers, until
 * trace_uprobe_settle(); a reader of the trace that prints with the
 * oldest probe's arguments, under trace_event_sem; and, as long as perf events are open
 * on the event, trace_uprobe_shed(), under RCU.
 */
static void retire(struct trace_uprobe *tu)
{
	bool has_perf_events = trace_uprobe_call(tu)->perf_refcount;

	unpublish(tu);
	if (has_perf_events)
		synchronize_rcu();
	trace_uprobe_free(tu);
}

static bool is_used(struct trace_uprobe *tu)
{
	return trace_probe_is_enabled(&tu->tp) ||
	       trace_event_dyn_busy(trace_uprobe_call(tu));
}

/*
 * ops->free: -EBUSY while the whole event would go and somebody uses it. It is
 * called for one probe after the other: the first of them has to say so.
 */
static int remove_event(struct dyn_event *ev)
{
	struct trace_uprobe *tu = trace_uprobe_of_devent(ev);
	bool is_picked = tu->is_picked;
	int ret;

	lockdep_assert_held(&event_mutex);
	tu->is_picked = false;
	if (!is_picked && is_used(tu))
		return -EBUSY;
	if (trace_probe_has_sibling(&tu->tp)) {
		/* whoever uses it goes on, and visits nobody now */
		tu->consumer.by_visit = false;
		trace_uprobe_uninstall(tu);
		trace_uprobe_settle(tu);
		hand_on_name(tu);
	} else {
		trace_uprobe_settle(tu);
		if (trace_event_dyn_busy(trace_uprobe_call(tu)))
			return -EBUSY;
		ret = trace_probe_unregister_event_call(&tu->tp);
		if (ret)
			return ret;
	}
	retire(tu);
	return 0;
}

static bool is_busy(struct dyn_event *ev)
{
	return trace_probe_is_enabled(&trace_uprobe_of_devent(ev)->tp);
}

static bool matches_place(const struct trace_uprobe *tu, const char *text)
{
	struct trace_uprobe_place place;
	bool same;

	same = !trace_uprobe_parse_place(text, &place) &&
	       !strcmp(place.filename, tu->name->text) &&
	       place.offset == tu->offset &&
	       place.ref_ctr_offset == tu->ref_ctr_offset &&
	       (!place.is_return || tu->kind == TRACE_UPROBE_RETURN);
	trace_uprobe_free_place(&place);
	return same;
}

/*
 * ops->match: which probes does "-:GRP/EVENT [PLACE [ARG ...]]" mean? An
 * empty event is every event of the group. remove_event() is called next for
 * each that matches, and has to know what was meant.
 */
static bool matches(const char *system, const char *event, int argc,
		    const char **argv, struct dyn_event *ev)
{
	struct trace_uprobe *tu = trace_uprobe_of_devent(ev);

	if (event[0] && strcmp(event, trace_probe_name(&tu->tp)))
		return false;
	if (system && strcmp(system, trace_probe_group_name(&tu->tp)))
		return false;
	tu->is_picked = argc && matches_place(tu, argv[0]) &&
			trace_probe_match_command_args(&tu->tp, argc - 1,
						       argv + 1);
	return !argc || tu->is_picked;
}

/**
 * trace_uprobe_remove_all - remove every uprobe event
 *
 * Return: 0, or -EBUSY and nothing is removed when one of them is on.
 */
int trace_uprobe_remove_all(void)
{
	return dyn_events_release_all(&uprobe_event_ops);
}

static int remove_by_line(const char *line)
{
	int ret = dyn_event_release(line, &uprobe_event_ops);

	if (ret == -EINVAL)
		trace_uprobe_complain_line(line, 0, TRACE_UPROBE_ERR_REMOVAL);
	else if (ret == -ENOENT)
		trace_uprobe_complain_line(line, 2, TRACE_UPROBE_ERR_NO_EVENT);
	else if (ret == -EBUSY)
		trace_uprobe_complain_line(line, 2, TRACE_UPROBE_ERR_BUSY);
	return ret;
}

/**
 * trace_uprobe_command_line - do what a line of uprobe_events says
 * @line: a command
 *
 * Return: 0 or -errno; a line that is no command at all gets a reason in
 * error_log here, where nobody else will claim it.
 */
int trace_uprobe_command_line(const char *line)
{
	int ret;

	if (line[0] == '-')
		return remove_by_line(line);
	ret = dyn_event_create(line, &uprobe_event_ops);
	if (ret != -ECANCELED)
		return ret;
	trace_uprobe_complain_line(line, 0, TRACE_UPROBE_ERR_COMMAND);
	return -EINVAL;
}

/**
 * trace_uprobe_show - write a probe as the command that makes it again
 * @m: where to
 * @tu: the probe
 *
 * Return: 0 or -ENOMEM.
 */
int trace_uprobe_show(struct seq_file *m, struct trace_uprobe *tu)
{
	char *scope = trace_uprobe_scope_text(tu->scope);
	const struct probe_arg *arg;

	if (!scope)
		return -ENOMEM;
	seq_printf(m, "%c%s:%s/%s ",
		   tu->kind == TRACE_UPROBE_RETURN ? 'r' : 'p', scope,
		   trace_probe_group_name(&tu->tp), trace_probe_name(&tu->tp));
	kfree(scope);
	seq_escape(m, tu->name->text, TRACE_UPROBE_ESCAPED);
	seq_printf(m, ":0x%0*lx", 2 * (int)sizeof(long), tu->offset);
	if (tu->ref_ctr_offset)
		seq_printf(m, "(0x%lx)", tu->ref_ctr_offset);
	for (arg = tu->tp.args; arg < tu->tp.args + tu->tp.nr_args; arg++)
		seq_printf(m, " %s=%s", arg->name, arg->comm);
	seq_putc(m, '\n');
	return 0;
}

static int show_devent(struct seq_file *m, struct dyn_event *ev)
{
	return trace_uprobe_show(m, trace_uprobe_of_devent(ev));
}

static struct dyn_event_operations uprobe_event_ops = {
	.create		= create_from_line,
	.show		= show_devent,
	.is_busy	= is_busy,
	.free		= remove_event,
	.match		= matches,
};

static __init int register_uprobe_event_type(void)
{
	return dyn_event_register(&uprobe_event_ops);
}

/* before the files of trace_uprobe_files.c, which are made at fs_initcall */
subsys_initcall(register_uprobe_event_type);

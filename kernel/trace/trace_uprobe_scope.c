// SPDX-License-Identifier: GPL-2.0
/*
 * Whose hits does a probe want?
 *
 *	p@tgid=N[:[GRP/]EVENT] ...
 *
 * trace_uprobe_parse.c hands the first word of a command over. What is asked
 * later comes from trace_uprobe_record.c: of an address space, when a
 * breakpoint might be made or removed there, and of the current task on a hit.
 * So whoever is out of scope has his text left as it is.
 */
#include <linux/err.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "trace_uprobe.h"

/* ---- reading ------------------------------------------------------------ */

/* A process of the writer's PID namespace. */
static int read_tgid(struct trace_uprobe_scope *scope, const char *value)
{
	pid_t nr;

	if (scope->tgid)
		return TRACE_UPROBE_ERR_SCOPE_TWICE;
	if (kstrtoint(value, 10, &nr))
		return TRACE_UPROBE_ERR_SCOPE_TGID;
	guard(rcu)();
	scope->tgid = find_vpid(nr);
	if (!scope->tgid || !pid_task(scope->tgid, PIDTYPE_TGID)) {
		scope->tgid = NULL;
		return TRACE_UPROBE_ERR_SCOPE_TGID;
	}
	get_pid(scope->tgid);
	return 0;
}

/* Return: 0, or enum trace_uprobe_error and @column is where it is. */
static int read_one(struct trace_uprobe_scope *scope, const char *text,
		    int *column)
{
	size_t len = str_has_prefix(text, "tgid=");

	if (!len)
		return TRACE_UPROBE_ERR_SCOPE_KEY;
	*column += len;
	return read_tgid(scope, text + len);
}

static int read_all(struct trace_uprobe_scope *scope, char *text, int *column)
{
	int begin = *column, error;
	char *rest = text, *one;

	while ((one = strsep(&rest, ","))) {
		*column = begin + (one - text);
		error = read_one(scope, one, column);
		if (error)
			return error;
	}
	return 0;
}

/**
 * trace_uprobe_parse_scope - read what stands between `@` and the name
 * @cmd: the command; its scope is set
 * @column: where in the first word it begins
 * @len: how long it is
 *
 * Return: 0, or -errno after the reason went to error_log.
 */
int trace_uprobe_parse_scope(struct trace_uprobe_command *cmd, int column,
			     size_t len)
{
	struct trace_uprobe_scope *scope;
	char *text;
	int error;

	scope = kzalloc(sizeof(*scope), GFP_KERNEL);
	text = kstrndup(cmd->argv[0] + column, len, GFP_KERNEL);
	if (!scope || !text) {
		kfree(scope);
		kfree(text);
		return -ENOMEM;
	}
	cmd->scope = scope;
	error = read_all(scope, text, &column);
	kfree(text);
	if (!error)
		return 0;
	trace_uprobe_complain(cmd, 0, column, error);
	return error == TRACE_UPROBE_ERR_SCOPE_TGID ? -ESRCH : -EINVAL;
}

/**
 * trace_uprobe_free_scope - free what trace_uprobe_parse_scope() made
 * @scope: the scope, or NULL
 */
void trace_uprobe_free_scope(struct trace_uprobe_scope *scope)
{
	if (!scope)
		return;
	put_pid(scope->tgid);
	kfree(scope);
}

/* ---- writing ------------------------------------------------------------ */

/**
 * trace_uprobe_print_scope - write it as in a command
 * @scope: the scope, or NULL: nothing to write
 * @text: where to
 *
 * The number is the reader's, in whose PID namespace the process may have none: then
 * it is 0, as it is when the process has ended, and names nobody.
 */
void trace_uprobe_print_scope(const struct trace_uprobe_scope *scope,
			      char text[TRACE_UPROBE_SCOPE_TEXT])
{
	pid_t nr = 0;

	text[0] = '\0';
	if (!scope)
		return;
	guard(rcu)();
	if (pid_task(scope->tgid, PIDTYPE_TGID))
		nr = pid_vnr(scope->tgid);
	snprintf(text, TRACE_UPROBE_SCOPE_TEXT, "@tgid=%d", nr);
}

/* ---- asking ------------------------------------------------------------- */

/**
 * trace_uprobe_scope_has - is this task in scope?
 * @scope: of a probe
 * @task: the current one
 *
 * Context: any.
 * Return: true if so.
 */
bool trace_uprobe_scope_has(const struct trace_uprobe_scope *scope,
			    struct task_struct *task)
{
	return task_tgid(task) == scope->tgid;
}

/**
 * trace_uprobe_scope_has_mm - is somebody in scope who uses this address space?
 * @scope: of a probe
 * @mm: the address space; only compared
 *
 * Another process may use it as well, such as a child of vfork() and its parent. The
 * threads of one have the same, or none any more: copy_process() takes CLONE_THREAD
 * only with CLONE_VM, and exec_mmap() comes after de_thread().
 *
 * Context: any.
 * Return: true if so.
 */
bool trace_uprobe_scope_has_mm(const struct trace_uprobe_scope *scope,
			       const struct mm_struct *mm)
{
	struct task_struct *process, *t;
	struct mm_struct *own;

	guard(rcu)();
	process = pid_task(scope->tgid, PIDTYPE_TGID);
	if (!process)
		return false;
	/* the first one may have ended before others */
	for_each_thread(process, t) {
		own = READ_ONCE(t->mm);
		if (own)
			return own == mm;
	}
	return false;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Whose hits does a probe want?
 *
 *	p@tgid=N,uid=N,cgroup=PATH[:[GRP/]EVENT] ...
 *
 * trace_uprobe_parse.c hands the first word of a command over. What is asked
 * later comes from trace_uprobe_record.c: of an address space, when a
 * breakpoint might be made or removed there, and of the current task on a hit.
 * So whoever is out of scope has his text left as it is. When a task changes its
 * user or cgroup, the core asks again (uprobe_scope_get()).
 */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/user_namespace.h>

#include "trace_uprobe.h"

/* ---- reading ------------------------------------------------------------ */

/* A process of the writer's PID namespace; 0, as it is listed when it has ended, is nobody. */
static int read_tgid(struct trace_uprobe_scope *scope, const char *value)
{
	pid_t nr;

	if (scope->has_tgid)
		return TRACE_UPROBE_ERR_SCOPE_TWICE;
	if (kstrtoint(value, 10, &nr))
		return TRACE_UPROBE_ERR_SCOPE_TGID;
	scope->has_tgid = true;
	if (!nr)
		return 0;
	guard(rcu)();
	scope->tgid = find_vpid(nr);
	if (!scope->tgid || !pid_task(scope->tgid, PIDTYPE_TGID)) {
		scope->tgid = NULL;
		return TRACE_UPROBE_ERR_SCOPE_TGID;
	}
	get_pid(scope->tgid);
	return 0;
}

/* A user of the writer's user namespace. */
static int read_uid(struct trace_uprobe_scope *scope, const char *value)
{
	uid_t nr;

	if (scope->has_uid)
		return TRACE_UPROBE_ERR_SCOPE_TWICE;
	if (kstrtouint(value, 10, &nr))
		return TRACE_UPROBE_ERR_SCOPE_UID;
	scope->uid = make_kuid(current_user_ns(), nr);
	scope->has_uid = uid_valid(scope->uid);
	return scope->has_uid ? 0 : TRACE_UPROBE_ERR_SCOPE_UID;
}

#ifdef CONFIG_CGROUPS
static struct cgroup *find_cgroup(const char *path)
{
	return path[0] == '/' ? cgroup_get_from_path(path) : ERR_PTR(-EINVAL);
}

static void put_cgroup(struct cgroup *cgroup)
{
	if (cgroup)
		cgroup_put(cgroup);
}

/* Under RCU. */
static bool is_in_cgroup(struct task_struct *task, struct cgroup *cgroup)
{
	return task_under_cgroup_hierarchy(task, cgroup);
}
#else
static struct cgroup *find_cgroup(const char *path)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static void put_cgroup(struct cgroup *cgroup) { }

static bool is_in_cgroup(struct task_struct *task, struct cgroup *cgroup)
{
	return false;
}
#endif

/* Below the root of the writer's cgroup namespace. */
static int read_cgroup(struct trace_uprobe_scope *scope, char *value)
{
	struct cgroup *cgroup;

	if (scope->cgroup)
		return TRACE_UPROBE_ERR_SCOPE_TWICE;
	scope->path = kstrdup(value, GFP_KERNEL);
	if (!scope->path)
		return -ENOMEM;
	trace_uprobe_unescape(value);
	cgroup = find_cgroup(value);
	if (IS_ERR(cgroup))
		return TRACE_UPROBE_ERR_SCOPE_CGROUP;
	scope->cgroup = cgroup;
	return 0;
}

/* Return: 0, -ENOMEM, or enum trace_uprobe_error and @column is where it is. */
static int read_one(struct trace_uprobe_scope *scope, char *text, int *column)
{
	char *value = strchr(text, '=');

	if (!value)
		return TRACE_UPROBE_ERR_SCOPE_KEY;
	*value++ = '\0';
	if (!strcmp(text, "tgid")) {
		*column += value - text;
		return read_tgid(scope, value);
	}
	if (!strcmp(text, "uid")) {
		*column += value - text;
		return read_uid(scope, value);
	}
	if (!strcmp(text, "cgroup")) {
		*column += value - text;
		return read_cgroup(scope, value);
	}
	return TRACE_UPROBE_ERR_SCOPE_KEY;
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
	if (error <= 0)
		return error;
	trace_uprobe_complain(cmd, 0, column, error);
	return error == TRACE_UPROBE_ERR_SCOPE_TGID ? -ESRCH :
	       error == TRACE_UPROBE_ERR_SCOPE_CGROUP ? -ENOENT : -EINVAL;
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
	put_cgroup(scope->cgroup);
	kfree(scope->path);
	kfree(scope);
}

/* ---- writing ------------------------------------------------------------ */

static pid_t number_of(struct pid *tgid)
{
	guard(rcu)();
	return pid_task(tgid, PIDTYPE_TGID) ? pid_vnr(tgid) : 0;
}

/**
 * trace_uprobe_print_scope - write it as in a command
 * @scope: the scope, or NULL: nothing to write
 * @text: where to
 * @size: bytes there
 *
 * Numbers are the reader's. A process that has ended, or has none in the reader's PID
 * namespace, is 0: nobody. A user without one there is 4294967295, and can't be named so.
 *
 * Return: how long it is, as snprintf() does.
 */
size_t trace_uprobe_print_scope(const struct trace_uprobe_scope *scope,
				char *text, size_t size)
{
	char tgid[24] = "", uid[24] = "";

	if (!scope) {
		if (size)
			text[0] = '\0';
		return 0;
	}
	if (scope->has_tgid)
		snprintf(tgid, sizeof(tgid), ",tgid=%d", number_of(scope->tgid));
	if (scope->has_uid)
		snprintf(uid, sizeof(uid), ",uid=%u",
			 from_kuid(current_user_ns(), scope->uid));
	return snprintf(text, size, "@%s%s%s%s", tgid + !!tgid[0],
			tgid[0] ? uid : uid + !!uid[0],
			!scope->path ? "" : tgid[0] || uid[0] ? ",cgroup=" :
			"cgroup=", scope->path ?: "");
}

/* ---- asking ------------------------------------------------------------- */

/**
 * trace_uprobe_scope_changes - can a task come into scope, and leave it?
 * @scope: of a probe, or NULL
 *
 * Return: true if so; false if it is once and for all.
 */
bool trace_uprobe_scope_changes(const struct trace_uprobe_scope *scope)
{
	return scope && (scope->has_uid || scope->cgroup);
}

/*
 * Does another process use the current one's memory, too? A thread isn't counted any
 * more before it leaves the memory (do_exit()), and not yet when it joins it
 * (copy_process()). So with one that leaves or one that joins meanwhile it errs on the
 * side of yes. Only one of each, both within these few instructions, would deceive it.
 */
static bool shares_memory(void)
{
	int before, users;

	guard(preempt)();
	before = atomic_read(&current->signal->live);
	smp_rmb();
	users = atomic_read(&current->mm->mm_users);
	smp_rmb();
	return users > min(before, atomic_read(&current->signal->live));
}

/**
 * trace_uprobe_scope_has_process - is this task's process in scope?
 * @scope: of a probe
 * @task: the current one, or under RCU
 *
 * Context: any.
 * Return: true if so, or if it isn't the process that matters.
 */
bool trace_uprobe_scope_has_process(const struct trace_uprobe_scope *scope,
				    struct task_struct *task)
{
	return !scope->has_tgid || task_tgid(task) == scope->tgid;
}

/**
 * trace_uprobe_scope_has - is this task in scope?
 * @scope: of a probe
 * @task: the current one, or under RCU
 *
 * Context: any.
 * Return: true if so.
 */
bool trace_uprobe_scope_has(const struct trace_uprobe_scope *scope,
			    struct task_struct *task)
{
	guard(rcu)();
	return trace_uprobe_scope_has_process(scope, task) &&
	       (!scope->has_uid ||
		uid_eq(task_uid(task), scope->uid)) &&
	       (!scope->cgroup || is_in_cgroup(task, scope->cgroup));
}

/*
 * Under RCU. The threads of a process have the same memory, or none any more:
 * copy_process() takes CLONE_THREAD only with CLONE_VM, and exec_mmap() comes after
 * de_thread(). Users and cgroups they have each.
 */
static bool has_thread(const struct trace_uprobe_scope *scope,
		       struct task_struct *process, const struct mm_struct *mm)
{
	struct task_struct *t;
	struct mm_struct *own;

	for_each_thread(process, t) {
		if (t->flags & (PF_KTHREAD | PF_USER_WORKER))
			continue;
		own = READ_ONCE(t->mm);
		if (own && own != mm)
			return false;
		if (own && trace_uprobe_scope_has(scope, t))
			return true;
	}
	return false;
}

/**
 * trace_uprobe_scope_has_mm - is somebody in scope who uses this address space?
 * @scope: of a probe
 * @mm: the address space; only compared, and its users counted
 *
 * Another process may use it as well, such as a child of vfork() and its parent.
 *
 * Context: task context, under no spinlock.
 * Return: true if so.
 */
bool trace_uprobe_scope_has_mm(const struct trace_uprobe_scope *scope,
			       const struct mm_struct *mm)
{
	struct task_struct *p;

	guard(rcu)();
	if (scope->has_tgid) {
		p = pid_task(scope->tgid, PIDTYPE_TGID);
		return p && has_thread(scope, p, mm);
	}
	if (mm == current->mm) {
		if (has_thread(scope, current->group_leader, mm))
			return true;
		if (!shares_memory())
			return false;
	}
	for_each_process(p) {
		if (has_thread(scope, p, mm))
			return true;
	}
	return false;
}

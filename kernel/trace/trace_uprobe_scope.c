// SPDX-License-Identifier: GPL-2.0
/*
 * Whose hits does a probe want?
 *
 *	p@tgid=N,uid=N,cgroup=PATH[:[GRP/]EVENT] ...
 *
 * trace_uprobe_parse.c hands the first word of a command over. Later the core asks
 * about address spaces, when a breakpoint might be made or removed there, and
 * trace_uprobe_record.c about the current task on a hit. So whoever is out of scope has
 * his text left as it is. Probes that want the same share a scope, and so a process
 * is asked about once, however many they are. When a task changes its user or cgroup,
 * the core asks again (uprobe_scope::changes).
 */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/kernfs.h>
#include <linux/nsproxy.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/user_namespace.h>

#include "trace_uprobe.h"

/* ---- cgroups ------------------------------------------------------------ */

#ifdef CONFIG_CGROUPS
#define SCOPE_ESCAPED	TRACE_UPROBE_ESCAPED ":,"

static struct cgroup *find_cgroup(const char *path)
{
	return path[0] == '/' ? cgroup_get_from_path(path) : ERR_PTR(-EINVAL);
}

static void put_cgroup(struct cgroup *cgroup)
{
	if (cgroup)
		cgroup_put(cgroup);
}

static bool is_removed(struct cgroup *cgroup)
{
	return !(READ_ONCE(cgroup->self.flags) & CSS_ONLINE);
}

/* Below the root of the current task's cgroup namespace, escaped; or NULL. */
static char *path_of(struct cgroup *cgroup)
{
	struct cgroup *root = current->nsproxy->cgroup_ns->root_cset->dfl_cgrp;
	char *path = kmalloc(PATH_MAX, GFP_KERNEL), *escaped = NULL;
	int len = -ENOMEM;

	if (path)
		len = kernfs_path_from_node(cgroup->kn, root->kn, path,
					    PATH_MAX);
	/* one that is too long is cut, or there is none: nobody can be meant by that */
	if (path)
		escaped = trace_uprobe_escape(len > 0 && len < PATH_MAX - 1 ?
					      path : "?", SCOPE_ESCAPED);
	kfree(path);
	return escaped;
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

static bool is_removed(struct cgroup *cgroup)
{
	return false;
}

static char *path_of(struct cgroup *cgroup)
{
	return NULL;
}

static bool is_in_cgroup(struct task_struct *task, struct cgroup *cgroup)
{
	return false;
}
#endif

/* ---- asking ------------------------------------------------------------- */

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

static const struct trace_uprobe_scope *of_core(const struct uprobe_scope *core)
{
	return container_of(core, const struct trace_uprobe_scope, core);
}

static bool has_task(const struct uprobe_scope *core, struct task_struct *task)
{
	return trace_uprobe_scope_has(of_core(core), task);
}

/* As a rule somebody is there if anybody is: mm_update_next_owner(). */
static bool owner_is_in(const struct trace_uprobe_scope *scope,
			const struct mm_struct *mm)
{
#ifdef CONFIG_MEMCG
	struct task_struct *owner = rcu_dereference(mm->owner);

	return owner && has_thread(scope, owner->group_leader, mm);
#else
	return false;
#endif
}

/*
 * Is somebody in scope who uses this address space? Another process may use it as well,
 * such as a child of vfork() and its parent.
 */
static bool has_mm(const struct uprobe_scope *core, const struct mm_struct *mm)
{
	const struct trace_uprobe_scope *scope = of_core(core);
	struct task_struct *p;

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
	if (owner_is_in(scope, mm))
		return true;
	for_each_process(p) {
		if (has_thread(scope, p, mm))
			return true;
	}
	return false;
}

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

/* Below the root of the writer's cgroup namespace. */
static int read_cgroup(struct trace_uprobe_scope *scope, char *value)
{
	struct cgroup *cgroup;

	if (scope->cgroup)
		return TRACE_UPROBE_ERR_SCOPE_TWICE;
	trace_uprobe_unescape(value);
	cgroup = find_cgroup(value);
	if (IS_ERR(cgroup))
		return TRACE_UPROBE_ERR_SCOPE_CGROUP;
	scope->cgroup = cgroup;
	return 0;
}

/* Return: 0, or enum trace_uprobe_error and @column is where it is. */
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
	INIT_LIST_HEAD(&scope->list);
	scope->core.has_task = has_task;
	scope->core.has_mm = has_mm;
	cmd->scope = scope;
	error = read_all(scope, text, &column);
	scope->core.changes = scope->has_uid || scope->cgroup;
	kfree(text);
	if (!error)
		return 0;
	trace_uprobe_complain(cmd, 0, column, error);
	return error == TRACE_UPROBE_ERR_SCOPE_TGID ? -ESRCH :
	       error == TRACE_UPROBE_ERR_SCOPE_CGROUP ? -ENOENT : -EINVAL;
}

static void free_scope(struct trace_uprobe_scope *scope)
{
	put_pid(scope->tgid);
	put_cgroup(scope->cgroup);
	kfree(scope);
}

static void free_scope_rcu(struct rcu_head *rcu)
{
	free_scope(container_of(rcu, struct trace_uprobe_scope, rcu));
}

/* Those that probes have. */
static LIST_HEAD(scopes);
static DEFINE_MUTEX(scopes_lock);

static bool are_same(const struct trace_uprobe_scope *a,
		     const struct trace_uprobe_scope *b)
{
	return a->has_tgid == b->has_tgid && a->tgid == b->tgid &&
	       a->has_uid == b->has_uid && uid_eq(a->uid, b->uid) &&
	       a->cgroup == b->cgroup;
}

/**
 * trace_uprobe_share_scope - a probe gets a scope, as others have it
 * @scope: of a command; belongs to the scope that is returned, or is it
 *
 * Return: the scope, with one user more.
 */
struct trace_uprobe_scope *
trace_uprobe_share_scope(struct trace_uprobe_scope *scope)
{
	struct trace_uprobe_scope *other;

	guard(mutex)(&scopes_lock);
	list_for_each_entry(other, &scopes, list) {
		if (are_same(other, scope)) {
			other->users++;
			free_scope(scope);
			return other;
		}
	}
	list_add(&scope->list, &scopes);
	scope->users = 1;
	return scope;
}

/**
 * trace_uprobe_free_scope - a probe, or a command, doesn't need it any more
 * @scope: the scope, or NULL
 */
void trace_uprobe_free_scope(struct trace_uprobe_scope *scope)
{
	if (!scope)
		return;
	if (!scope->users) {
		free_scope(scope);
		return;
	}
	guard(mutex)(&scopes_lock);
	if (--scope->users)
		return;
	list_del(&scope->list);
	call_rcu(&scope->rcu, free_scope_rcu);
}

/* ---- writing ------------------------------------------------------------ */

static pid_t number_of(struct pid *tgid)
{
	guard(rcu)();
	return pid_task(tgid, PIDTYPE_TGID) ? pid_vnr(tgid) : 0;
}

/* Is nobody in scope, as far as the reader can say it? */
static bool is_over(const struct trace_uprobe_scope *scope)
{
	return (scope->has_tgid && !number_of(scope->tgid)) ||
	       (scope->cgroup && is_removed(scope->cgroup));
}

/**
 * trace_uprobe_scope_text - a scope as in a command
 * @scope: the scope, or NULL
 *
 * Numbers and paths are the reader's. Where nobody can be in scope any more, for the
 * process has ended or the cgroup has been removed, that is `tgid=0`, and also for a process
 * without a number in the reader's PID namespace. A user
 * without a number in the reader's user namespace is 4294967295, and a cgroup outside of his
 * cgroup namespace begins with `/..`: these can't be written back.
 *
 * Context: task context, may sleep.
 * Return: `@` and what follows, or "" for no scope, to be freed with kfree(); NULL if there
 * is no memory.
 */
char *trace_uprobe_scope_text(const struct trace_uprobe_scope *scope)
{
	char tgid[24] = "", uid[24] = "", *path = NULL, *text;

	if (!scope || is_over(scope))
		return kstrdup(scope ? "@tgid=0" : "", GFP_KERNEL);
	if (scope->has_tgid)
		snprintf(tgid, sizeof(tgid), ",tgid=%d", number_of(scope->tgid));
	if (scope->has_uid)
		snprintf(uid, sizeof(uid), ",uid=%u",
			 from_kuid(current_user_ns(), scope->uid));
	if (scope->cgroup) {
		path = path_of(scope->cgroup);
		if (!path)
			return NULL;
	}
	text = kasprintf(GFP_KERNEL, "%s%s%s%s", tgid, uid,
			 path ? ",cgroup=" : "", path ?: "");
	kfree(path);
	if (text)
		text[0] = '@';
	return text;
}

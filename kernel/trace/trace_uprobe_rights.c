// SPDX-License-Identifier: GPL-2.0
/*
 * May a perf event have the hits of an address space?
 *
 * Who has CAP_SYS_ADMIN may have all. Others may have what ptrace would let them
 * change: a probe writes into text. ptrace_may_access() says so when the event is
 * opened. It can't be asked later, because it judges the current task, which is then the
 * one that is traced; so whoever has opened the event leaves credentials with it, and
 * each time that a site might be made they are compared with those of all tasks that use
 * the address space. What changes these, or whether the process may be dumped, has
 * the sites looked at once more before the task goes on in user mode
 * (kernel/events/uprobes/scope.c).
 *
 *	task changes				event is opened
 *	------------				---------------
 *	credentials are set			is counted in nr_grants
 *	   (a memory barrier on either side)
 *	looks here whether anybody cares	credentials are compared
 *
 * Security modules are asked when the event is opened, by ptrace_may_access() and by
 * perf, and not again; but what they call the target then has to stay so.
 *
 * trace_uprobe_perf.c has the list of perf events, and asks here about each that could
 * want an address space. Who opens an event of tracefs is asked the same.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/perf_event.h>
#include <linux/ptrace.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysctl.h>
#include <linux/uidgid.h>

#include "trace_uprobe.h"

/**
 * struct trace_uprobe_grant - what an event without privilege was opened on
 * @cred: of who has opened it
 * @user: to whom it is counted
 * @is_probe: as a probe, too; a local event is counted itself
 * @label: what security modules called the target then; any other is refused
 * @rcu: frees it
 *
 * perf_event::pmu_private of the event that was opened, to its end, since whoever finds the
 * event in a task's context may ask; those that are inherited have it from there. NULL:
 * opened with CAP_SYS_ADMIN.
 */
struct trace_uprobe_grant {
	const struct cred	*cred;
	struct uprobe_user	*user;
	bool			is_probe;
	u32			label;
	struct rcu_head		rcu;
};

/* How many of them are there? */
static atomic_t nr_grants;

/* 0: nobody may without CAP_SYS_ADMIN; 1: on what is theirs; 2: as 0, until reboot */
static int unprivileged __read_mostly = 1;

static struct trace_uprobe_grant *grant_of(const struct perf_event *event)
{
	const struct perf_event *owner = event->parent ?: event;

	return owner->pmu_private;
}

/* ---- whose is it? -------------------------------------------------------- */

static bool is_capable(const struct cred *cred, struct user_namespace *ns)
{
	return !security_capable(cred, ns, CAP_SYS_PTRACE, CAP_OPT_NOAUDIT);
}

/*
 * What security modules say of it changes with exec, too. Of the task, since not all of them
 * say it of credentials (AppArmor). Under RCU, or of the current task.
 */
static u32 label_of(const struct task_struct *task)
{
	u32 label = 0;

	security_task_getsecid_obj((struct task_struct *)task, &label);
	return label;
}

/*
 * The same of the current task; all that are confined alike share an object there. If the
 * module's policy is loaded anew, this may be what it was called before, until its
 * credentials change: trace_uprobe_may_probe() knows.
 */
static u32 label_of_current(void)
{
	struct uprobe_task *utask = current->utask;
	const struct cred *cred = current_real_cred();
	u32 label;

	if (utask && utask->labelled == cred)
		return utask->label;
	label = label_of(current);
	if (utask) {
		utask->label = label;
		utask->labelled = cred;
	}
	return label;
}

static bool has_same_ids(const struct cred *cred, const struct cred *task)
{
	return uid_eq(cred->uid, task->uid) && uid_eq(cred->uid, task->euid) &&
	       uid_eq(cred->uid, task->suid) && gid_eq(cred->gid, task->gid) &&
	       gid_eq(cred->gid, task->egid) && gid_eq(cred->gid, task->sgid);
}

/* As __ptrace_may_access() and cap_ptrace_access_check(), with PTRACE_MODE_REALCREDS. */
static bool may_trace(const struct cred *cred, const struct cred *its)
{
	bool has_more;

	has_more = its->user_ns != cred->user_ns ||
		   !cap_issubset(its->cap_permitted, cred->cap_permitted);
	return (has_same_ids(cred, its) && !has_more) ||
	       is_capable(cred, its->user_ns);
}

/* As __ptrace_may_access(). */
static bool may_look_into(const struct cred *cred, struct mm_struct *mm)
{
	return get_dumpable(mm) == SUID_DUMP_USER ||
	       is_capable(cred, mm->user_ns);
}

/* As far as may_trace() is concerned. */
static bool are_alike(const struct cred *a, const struct cred *b)
{
	return a == b ||
	       (uid_eq(a->uid, b->uid) && uid_eq(a->euid, b->euid) &&
		uid_eq(a->suid, b->suid) && gid_eq(a->gid, b->gid) &&
		gid_eq(a->egid, b->egid) && gid_eq(a->sgid, b->sgid) &&
		a->user_ns == b->user_ns &&
		cap_issubset(a->cap_permitted, b->cap_permitted) &&
		cap_issubset(b->cap_permitted, a->cap_permitted));
}

static void note_kind(struct trace_uprobe_look *look, const struct cred *cred,
		      u32 label)
{
	int i;

	for (i = 0; i < look->nr; i++) {
		if (are_alike(look->creds[i], cred) && look->labels[i] == label)
			return;
	}
	if (look->nr == ARRAY_SIZE(look->creds)) {
		look->is_odd = true;
		return;
	}
	look->creds[look->nr] = cred;
	look->labels[look->nr++] = label;
}

/* Who has left by vfork() comes back, or gets a mm of its own. */
static void note_user(struct trace_uprobe_look *look,
		      const struct task_struct *task)
{
	note_kind(look, __task_cred(task), label_of(task));
	if (READ_ONCE(task->vfork_done))
		return;
	look->group = look->group ?: task->signal;
	if (look->group != task->signal)
		look->is_odd = true;
}

/*
 * Of all that use it, in other processes, too: whoever begins to meanwhile asks again. Who
 * changes its credentials says before that it may not be dumped any more: commit_creds().
 */
static void look_at(struct trace_uprobe_look *look)
{
	const struct task_struct *p, *t;
	struct mm_struct *mm = look->mm;

	look->is_done = true;
	if (mm == current->mm && atomic_read(&mm->mm_users) == 1) {
		note_user(look, current);
	} else {
		for_each_process_thread(p, t) {
			if (READ_ONCE(t->mm) == mm && !(t->flags & PF_KTHREAD))
				note_user(look, t);
		}
	}
	/* pairs with commit_creds(), as in __ptrace_may_access() */
	smp_rmb();
}

static bool may_have(const struct cred *cred, struct trace_uprobe_look *look)
{
	int i;

	if (!look->is_done)
		look_at(look);
	if (look->is_odd)
		return false;
	for (i = 0; i < look->nr; i++) {
		if (!may_trace(cred, look->creds[i]))
			return false;
	}
	return may_look_into(cred, look->mm);
}

static bool has_label(const struct trace_uprobe_look *look, u32 label)
{
	int i;

	for (i = 0; i < look->nr; i++) {
		if (look->labels[i] != label)
			return false;
	}
	return true;
}

/**
 * trace_uprobe_may_probe - may a perf event have sites in an address space?
 * @event: a perf event that wants it
 * @data: a struct trace_uprobe_look with the address space, in use; all users of it are looked
 *	at once, when the first event without privilege is met
 *
 * Context: any; under RCU, from the first question about this address space to the last.
 * Return: true if it may.
 */
bool trace_uprobe_may_probe(struct perf_event *event, void *data)
{
	struct trace_uprobe_grant *grant = grant_of(event);
	struct trace_uprobe_look *look = data;

	return !grant || (may_have(grant->cred, look) &&
			  has_label(look, grant->label));
}

/**
 * trace_uprobe_may_hear - may a perf event have a hit of the current task?
 * @event: a perf event that listens here
 * @unused: nothing
 *
 * The site may be there for somebody else.
 *
 * Context: any; preemption may be off.
 * Return: true if it may.
 */
bool trace_uprobe_may_hear(struct perf_event *event, void *unused)
{
	struct trace_uprobe_grant *grant = grant_of(event);
	const struct cred *cred = current_real_cred();

	return !grant || (may_trace(grant->cred, cred) &&
			  label_of_current() == grant->label &&
			  may_look_into(grant->cred, current->mm));
}

/**
 * trace_uprobe_is_privileged - may a perf event have any address space?
 * @event: a perf event
 *
 * Return: true if it was opened with CAP_SYS_ADMIN.
 */
bool trace_uprobe_is_privileged(struct perf_event *event)
{
	return !grant_of(event);
}

/* ---- opening -------------------------------------------------------------- */

/* What perf itself doesn't ask for, of those that have no number. */
static int check_attributes(struct perf_event *event)
{
	if (sysctl_perf_event_paranoid > 2 && !perfmon_capable())
		return -EACCES;
	return event->attr.exclude_kernel ? 0 : -EACCES;
}

/*
 * Stock asks for no more of who opens an event of tracefs, which root has made; nor of who wants it of
 * all processes, if kernel.perf_event_paranoid lets him. perf asks for that behind us.
 */
static bool is_admin(const struct perf_event *event)
{
	if (capable(CAP_SYS_ADMIN))
		return true;
	return event->attr.type == PERF_TYPE_TRACEPOINT &&
	       (perfmon_capable() ||
		(!event->hw.target && !perf_allow_cpu()));
}

/* ptrace_may_access() says yes to whoever asks about himself, and doesn't look at others. */
static int check_target(struct task_struct *target)
{
	struct trace_uprobe_look look = {};
	int ret = 0;

	if (!ptrace_may_access(target, PTRACE_MODE_ATTACH_REALCREDS))
		return -EPERM;
	look.mm = get_task_mm(target);
	if (!look.mm)
		return -ESRCH;
	scoped_guard(rcu) {
		if (!may_have(current_cred(), &look))
			ret = -EPERM;
	}
	mmput_async(look.mm);
	return ret;
}

/**
 * trace_uprobe_check_opener - may the current task open this perf event?
 * @event: being opened by it, or inherited
 *
 * Context: task context. The target may change until the event is listed, upon which
 * trace_uprobe_may_probe() is asked.
 * Return: 0; -EACCES if that takes CAP_SYS_ADMIN; -EPERM if the target is
 * somebody else's; -ESRCH if it has no address space.
 */
int trace_uprobe_check_opener(struct perf_event *event)
{
	struct task_struct *target = event->hw.target;
	int ret;

	if (event->parent || is_admin(event))
		return 0;
	if (READ_ONCE(unprivileged) != 1)
		return -EACCES;
	ret = event->attr.type != PERF_TYPE_TRACEPOINT ?
	      check_attributes(event) : 0;
	if (ret)
		return ret;
	return target ? check_target(target) : -EACCES;
}

/**
 * trace_uprobe_may_open - call->perf_perm: the same
 * @call: the event
 * @event: being opened
 *
 * For a local event trace_uprobe_lock_target() has just asked.
 *
 * Context: event_mutex held.
 * Return: as trace_uprobe_check_opener().
 */
int trace_uprobe_may_open(struct trace_event_call *call,
			  struct perf_event *event)
{
	return event->attr.type == PERF_TYPE_TRACEPOINT ?
	       trace_uprobe_check_opener(event) : 0;
}

static u32 label_of_target(const struct perf_event *event)
{
	guard(rcu)();
	return label_of(event->hw.target);
}

/* The target of an event that is opened by number may execute something meanwhile. */
static int ask_again(struct perf_event *event, u32 label)
{
	int ret = trace_uprobe_check_opener(event);

	if (!ret && label_of_target(event) != label)
		ret = -EPERM;
	return ret;
}

/* A local event was counted when it was made. */
static int charge(struct trace_uprobe_grant *grant,
		  const struct perf_event *event)
{
	grant->is_probe = event->attr.type == PERF_TYPE_TRACEPOINT;
	grant->user = uprobe_user_get(current_cred());
	if (!grant->user)
		return -ENOMEM;
	if (!grant->is_probe ||
	    uprobe_user_charge(grant->user, UPROBE_QUOTA_PROBES, 1))
		return 0;
	uprobe_user_put(grant->user);
	return -EDQUOT;
}

/**
 * trace_uprobe_grant - keep what a perf event was opened on
 * @event: the same
 *
 * Context: task context; the one that opens it. event_mutex held: the memory isn't
 * accounted, which might take as long as its cgroup likes.
 * Return: 0; -EDQUOT if the user has too many; -ENOMEM; or as
 * trace_uprobe_check_opener().
 */
int trace_uprobe_grant(struct perf_event *event)
{
	struct trace_uprobe_grant *grant;
	int ret;

	if (event->parent || is_admin(event))
		return 0;
	/* what it was let in for may have been forbidden meanwhile */
	if (!event->hw.target)
		return -EACCES;
	grant = kmalloc(sizeof(*grant), GFP_KERNEL);
	if (!grant)
		return -ENOMEM;
	grant->label = label_of_target(event);
	ret = ask_again(event, grant->label);
	if (!ret)
		ret = charge(grant, event);
	if (ret) {
		kfree(grant);
		return ret;
	}
	grant->cred = get_current_cred();
	event->pmu_private = grant;
	atomic_inc(&nr_grants);
	/* pairs with trace_uprobe_rights_matter() */
	smp_mb__after_atomic();
	return 0;
}

/**
 * trace_uprobe_revoke - the perf event is closed
 * @event: the same; out of the list
 */
void trace_uprobe_revoke(struct perf_event *event)
{
	struct trace_uprobe_grant *grant = event->pmu_private;

	if (event->parent || !grant)
		return;
	atomic_dec(&nr_grants);
	if (grant->is_probe)
		uprobe_user_uncharge(grant->user, UPROBE_QUOTA_PROBES, 1);
	uprobe_user_put(grant->user);
	/* credentials are freed under RCU, too */
	put_cred(grant->cred);
	kfree_rcu(grant, rcu);
}

/**
 * trace_uprobe_charge_event - count a perf event that was opened without privilege
 * @event: the same, or inherited
 *
 * Return: false if its user may have no more of them.
 */
bool trace_uprobe_charge_event(struct perf_event *event)
{
	return uprobe_user_charge(grant_of(event)->user, UPROBE_QUOTA_EVENTS, 1);
}

/**
 * trace_uprobe_uncharge_event - it is closed
 * @event: what was counted
 */
void trace_uprobe_uncharge_event(struct perf_event *event)
{
	uprobe_user_uncharge(grant_of(event)->user, UPROBE_QUOTA_EVENTS, 1);
}

/**
 * trace_uprobe_may_filter - may a perf event have this filter?
 * @event: any that has filters
 * @text: the filter
 *
 * ".function" compares a field with an address of the kernel. Who chooses what is in the field
 * would learn where the kernel is. And "~" takes as many steps as pattern and string are
 * long, multiplied, while interrupts are off. Both are refused wherever they stand: what is a
 * value, the parser alone knows (it passes over quotation marks in CPUS{}).
 *
 * Return: false if it is on a uprobe, was opened without privilege, and has one of these.
 */
bool trace_uprobe_may_filter(struct perf_event *event, const char *text)
{
	return !event->tp_event ||
	       !(event->tp_event->flags & TRACE_EVENT_FL_UPROBE) ||
	       trace_uprobe_is_privileged(event) ||
	       !(strstr(text, ".function") || strchr(text, '~'));
}

/* ---- changes --------------------------------------------------------------- */

/**
 * trace_uprobe_count_shed - tell the current task's events that they lose its address space
 *
 * Those that may have it as before aren't told.
 *
 * Context: task context; current->mm is there.
 */
void trace_uprobe_count_shed(void)
{
	struct trace_uprobe_look look = { .mm = current->mm };
	struct perf_event_context *ctx;
	struct perf_event *event;

	guard(rcu)();
	ctx = READ_ONCE(current->perf_event_ctxp);
	if (!ctx)
		return;
	list_for_each_entry_rcu(event, &ctx->event_list, event_entry) {
		if (event->tp_event &&
		    event->tp_event->flags & TRACE_EVENT_FL_UPROBE &&
		    !trace_uprobe_may_probe(event, &look))
			trace_uprobe_shed(event->tp_event);
	}
}

/**
 * trace_uprobe_rights_matter - may a change of credentials concern anybody?
 *
 * Asked behind the change.
 *
 * Context: task context.
 * Return: true if there are perf events without privilege.
 */
bool trace_uprobe_rights_matter(void)
{
	/* pairs with trace_uprobe_grant() */
	smp_mb();
	return atomic_read(&nr_grants);
}

/* ---- sysctl ----------------------------------------------------------------- */

static int set_unprivileged(const struct ctl_table *table, int write,
			    void *buffer, size_t *len, loff_t *pos)
{
	int value = READ_ONCE(unprivileged);
	struct ctl_table copy = *table;
	int ret, old;

	copy.data = &value;
	ret = proc_dointvec_minmax(&copy, write, buffer, len, pos);
	if (ret || !write)
		return ret;
	old = READ_ONCE(unprivileged);
	do {
		if (old == 2 && value != 2)
			return -EPERM;
	} while (!try_cmpxchg(&unprivileged, &old, value));
	return 0;
}

static struct ctl_table rights_table[] = {
	{
		.procname	= "uprobe_unprivileged",
		.data		= &unprivileged,
		.maxlen		= sizeof(int),
		.mode		= 0644,
		.proc_handler	= set_unprivileged,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_TWO,
	},
};

static __init int register_rights(void)
{
	register_sysctl_init("kernel", rights_table);
	return 0;
}
late_initcall(register_rights);

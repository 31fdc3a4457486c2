// SPDX-License-Identifier: GPL-2.0
/*
 * How does the PMU "uprobe" of perf_event_open() become an event?
 *
 * A perf event of this PMU says path and offset, or has a definition: a command as
 * uprobe_events takes it (<linux/uprobes.h> of the user's). For either an event is made
 * here that belongs to the perf event alone, and to those that are inherited from it. It has
 * no name that others could look up, and no number in the kernel.
 *
 * The order matters, because the file may be slow and the target may change:
 *
 *	may it be opened?		(the target doesn't execute anything meanwhile)
 *	the file is opened and read	no lock held
 *	may it still?			the same, and until perf has it
 *	registered
 *	sites are made			no lock held
 *
 * kernel/trace/trace_event_perf.c calls in here from perf_uprobe_init(), and then
 * trace_uprobe_switch.c, as for other events.
 */
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/perf_event.h>
#include <linux/pid.h>
#include <linux/rcupdate_trace.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/stringhash.h>
#include <linux/uaccess.h>
#include <uapi/linux/uprobes.h>

#include "trace_uprobe.h"

#define DEFINED_BITS	(PERF_UPROBE_DEFINITION |			\
			 PERF_UPROBE_TYPE_MASK << PERF_UPROBE_TYPE_SHIFT)
#define PLACE_BITS	(PERF_UPROBE_RETURN | GENMASK_ULL(63, 32))

/* ---- the target ----------------------------------------------------------- */

/**
 * trace_uprobe_lock_target - keep the target from executing another program, and ask again
 * @event: being opened
 *
 * exec holds the lock when it closes events, which takes event_mutex: this one comes first.
 *
 * Context: task context, event_mutex not held.
 * Return: 0, and trace_uprobe_unlock_target() has to be called; or -errno, as
 * trace_uprobe_check_opener(), or -EINTR.
 */
int trace_uprobe_lock_target(struct perf_event *event)
{
	struct task_struct *target = event->hw.target;
	int ret = 0;

	if (target)
		ret = down_read_killable(&target->signal->exec_update_lock);
	if (ret)
		return ret;
	ret = trace_uprobe_check_opener(event);
	if (ret)
		trace_uprobe_unlock_target(event);
	return ret;
}

/**
 * trace_uprobe_unlock_target - end what trace_uprobe_lock_target() began
 * @event: the same
 */
void trace_uprobe_unlock_target(struct perf_event *event)
{
	struct task_struct *target = event->hw.target;

	if (target)
		up_read(&target->signal->exec_update_lock);
}

static int check_opener(struct perf_event *event)
{
	int ret = trace_uprobe_lock_target(event);

	if (!ret)
		trace_uprobe_unlock_target(event);
	return ret;
}

/* ---- the file ------------------------------------------------------------- */

/*
 * Whoever has no privilege has to be able to read it, on a mount from which one may execute,
 * and whoever watches the file sees an ordinary open.
 */
static int check_file(const struct path *path)
{
	struct file *file;
	int ret;

	ret = path_permission(path, MAY_READ | MAY_OPEN);
	if (ret)
		return ret;
	if (path_noexec(path))
		return -EACCES;
	file = dentry_open(path, O_RDONLY | O_LARGEFILE, current_cred());
	if (IS_ERR(file))
		return PTR_ERR(file);
	fput(file);
	return 0;
}

static int open_file(struct trace_uprobe *tu, const char *path,
		     unsigned long offset)
{
	int error, ret;

	ret = trace_uprobe_open_file(tu, path, offset, &error);
	if (ret || capable(CAP_SYS_ADMIN))
		return ret;
	return check_file(&tu->path);
}

/* ---- sharing -------------------------------------------------------------- */

/*
 * perf opens an event once for each CPU and each thread of its target. For all that a process
 * opens with one definition there is one event: so a hit passes one consumer. It is the same with
 * path and offset, unless a BPF program may be attached: each of them may have its own then.
 */

/**
 * struct trace_uprobe_share - what several perf events have in common
 * @hash: in shares, by @opener and @text; not any more if nobody may join it
 * @call: their event
 * @opener: the process that opens them; only compared
 * @nr: how many they are
 * @text: the definition
 *
 * All of it under shares_mutex.
 */
struct trace_uprobe_share {
	struct hlist_node	hash;
	struct trace_event_call	*call;
	struct pid		*opener;
	unsigned int		nr;
	char			text[];
};

static DEFINE_HASHTABLE(shares, 8);
static DEFINE_MUTEX(shares_mutex);

/* Of what the current process opens. */
static unsigned long hash_of(const char *text)
{
	return full_name_hash(task_tgid(current), text, strlen(text));
}

static bool is_same_place(const struct trace_uprobe *a,
			  const struct trace_uprobe *b)
{
	return path_equal(&a->path, &b->path) && a->offset == b->offset;
}

/* Another one like it, with one user more; or NULL. */
static struct trace_event_call *join_share(struct trace_uprobe *tu,
					   const char *text)
{
	struct trace_uprobe_share *share;
	struct trace_uprobe *other;

	hash_for_each_possible(shares, share, hash, hash_of(text)) {
		other = trace_uprobe_of_call(share->call);
		if (share->opener != task_tgid(current) ||
		    share->call->event.type != trace_uprobe_call(tu)->event.type ||
		    strcmp(share->text, text) || !is_same_place(other, tu) ||
		    other->consumer.payer != tu->consumer.payer)
			continue;
		share->nr++;
		return share->call;
	}
	return NULL;
}

static int charge(struct trace_uprobe *tu)
{
	if (!tu->consumer.payer)
		return 0;
	tu->is_charged = uprobe_user_charge(tu->consumer.payer,
					    UPROBE_QUOTA_PROBES, 1);
	return tu->is_charged ? 0 : -EDQUOT;
}

static void uncharge(struct trace_uprobe *tu)
{
	if (tu->is_charged)
		uprobe_user_uncharge(tu->consumer.payer, UPROBE_QUOTA_PROBES, 1);
	tu->is_charged = false;
}

/* They have a cache of their own in trace_events.c, which kfree() knows. */
static void free_fields(struct trace_event_call *call)
{
	struct ftrace_event_field *field, *next;

	list_for_each_entry_safe(field, next, trace_get_fields(call), link) {
		list_del(&field->link);
		kfree(field);
	}
}

static void free_event(struct trace_uprobe *tu)
{
	uncharge(tu);
	free_fields(trace_uprobe_call(tu));
	free_percpu(trace_uprobe_call(tu)->perf_events);
	trace_uprobe_free(tu);
}

/* Takes @tu, which is freed if there is one like it. */
static struct trace_event_call *share_event(struct trace_uprobe *tu,
					    const char *text)
{
	size_t size = strlen(text) + 1;
	struct trace_uprobe_share *share;
	struct trace_event_call *call;
	int ret = 0;

	share = kmalloc(struct_size(share, text, size), GFP_KERNEL_ACCOUNT);
	if (!share) {
		free_event(tu);
		return ERR_PTR(-ENOMEM);
	}
	mutex_lock(&shares_mutex);
	call = join_share(tu, text);
	if (!call)
		ret = charge(tu);
	if (!call && !ret) {
		share->call = trace_uprobe_call(tu);
		share->opener = get_pid(task_tgid(current));
		share->nr = 1;
		memcpy(share->text, text, size);
		tu->share = share;
		hash_add(shares, &share->hash, hash_of(text));
	}
	mutex_unlock(&shares_mutex);
	if (!call && !ret)
		return trace_uprobe_call(tu);
	kfree(share);
	free_event(tu);
	return ret ? ERR_PTR(ret) : call;
}

/**
 * trace_uprobe_share_goes_on - the last perf event of an event has been closed: has it successors?
 * @tu: the event's only probe, if it is local
 *
 * Else nobody can join it any more.
 *
 * Context: event_mutex held.
 * Return: true if somebody has joined it who is about to open his; then the probe stays
 * installed.
 */
bool trace_uprobe_share_goes_on(struct trace_uprobe *tu)
{
	if (!tu->share)
		return false;
	guard(mutex)(&shares_mutex);
	/* who has just been closed hasn't left yet */
	if (tu->share->nr > 1)
		return true;
	hash_del(&tu->share->hash);
	return false;
}

/* Return: whether others still use it. */
static bool leave_share(struct trace_uprobe *tu)
{
	struct trace_uprobe_share *share = tu->share;
	bool last;

	if (!share)
		return false;
	mutex_lock(&shares_mutex);
	last = !--share->nr;
	if (last)
		hash_del(&share->hash);
	mutex_unlock(&shares_mutex);
	if (!last)
		return true;
	put_pid(share->opener);
	kfree(share);
	tu->share = NULL;
	return false;
}

/* ---- making --------------------------------------------------------------- */

static int set_payer(struct trace_uprobe *tu)
{
	if (capable(CAP_SYS_ADMIN))
		return 0;
	tu->consumer.payer = uprobe_user_get(current_cred());
	return tu->consumer.payer ? 0 : -ENOMEM;
}

/* Here, because perf would do it under event_mutex, and on nobody's account. */
static int make_perf_lists(struct trace_event_call *call)
{
	struct hlist_head __percpu *lists;
	int cpu;

	lists = alloc_percpu_gfp(struct hlist_head, GFP_KERNEL_ACCOUNT);
	if (!lists)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		INIT_HLIST_HEAD(per_cpu_ptr(lists, cpu));
	call->perf_events = lists;
	return 0;
}

/* The library doesn't account what it allocates, of which a definition may need much. */
static int account_text(const char **text)
{
	const char *copy = kstrdup(*text, GFP_KERNEL_ACCOUNT);

	if (!copy)
		return -ENOMEM;
	kfree(*text);
	*text = copy;
	return 0;
}

static int account_args(struct trace_probe *tp)
{
	struct fetch_insn *steps;
	struct probe_arg *arg;
	size_t n;

	for (arg = tp->args; arg < tp->args + tp->nr_args; arg++) {
		for (n = 0; arg->code[n].op != FETCH_OP_END; n++)
			;
		steps = kmemdup(arg->code, (n + 1) * sizeof(*steps),
				GFP_KERNEL_ACCOUNT);
		if (!steps)
			return -ENOMEM;
		kfree(arg->code);
		arg->code = steps;
		if (arg->comm && account_text(&arg->comm))
			return -ENOMEM;
	}
	return 0;
}

/* What the two ways have in common. The file's server is waited for here. */
static struct trace_event_call *finish_event(struct trace_uprobe *tu, int ret)
{
	if (!ret)
		ret = set_payer(tu);
	if (!ret)
		ret = trace_uprobe_init_call(tu);
	if (!ret)
		ret = account_text((const char **)&trace_uprobe_call(tu)->print_fmt);
	if (!ret)
		ret = make_perf_lists(trace_uprobe_call(tu));
	/* for filters; of others event_define_fields() does it */
	if (!ret)
		ret = trace_uprobe_fields[0].define_fields(trace_uprobe_call(tu));
	if (ret) {
		free_event(tu);
		return ERR_PTR(ret);
	}
	uprobe_fetch_place(trace_uprobe_inode(tu), tu->offset);
	return trace_uprobe_call(tu);
}

static struct trace_event_call *
make_from_place(const char *path, unsigned long offset,
		unsigned long ref_ctr_offset, bool is_return)
{
	struct trace_event_call *call;
	struct trace_uprobe *tu;
	char text[64];
	int ret;

	tu = trace_uprobe_make(TRACE_UPROBE_GROUP, "local", 0, is_return ?
			       TRACE_UPROBE_RETURN : TRACE_UPROBE_ENTRY);
	if (IS_ERR(tu))
		return ERR_CAST(tu);
	tu->ref_ctr_offset = ref_ctr_offset;
	call = finish_event(tu, open_file(tu, path, offset));
	if (IS_ERR(call))
		return call;
	if (tu->consumer.payer && !bpf_capable()) {
		/* no definition; the file is compared anyway */
		snprintf(text, sizeof(text), "%c:0x%lx(0x%lx)",
			 is_return ? 'r' : 'p', offset, ref_ctr_offset);
		return share_event(tu, text);
	}
	ret = charge(tu);
	if (!ret)
		return call;
	free_event(tu);
	return ERR_PTR(ret);
}

/* The library's parser serves one at a time, and mustn't wait for a file. */
static int parse_locked(int argc, const char **argv,
			struct trace_uprobe_command *cmd)
{
	int ret;

	guard(mutex)(&dyn_event_ops_mutex);
	ret = trace_uprobe_parse_private(argc, argv, cmd);
	return ret == -ECANCELED ? -EINVAL : ret;
}

static int parse_args_locked(const struct trace_uprobe_command *cmd,
			     struct trace_uprobe *tu)
{
	guard(mutex)(&dyn_event_ops_mutex);
	/* another command may have been parsed meanwhile */
	trace_probe_log_clear();
	return trace_uprobe_parse_args(cmd, tu);
}

static struct trace_event_call *
make_from_command(const struct trace_uprobe_command *cmd, u16 type)
{
	const struct trace_uprobe_place *place = &cmd->place;
	struct trace_uprobe *tu;
	int ret;

	tu = trace_uprobe_make(cmd->group, cmd->event, cmd->argc - 2, cmd->kind);
	if (IS_ERR(tu))
		return ERR_CAST(tu);
	tu->ref_ctr_offset = place->ref_ctr_offset;
	trace_uprobe_call(tu)->event.type = type;
	ret = open_file(tu, place->filename, place->offset);
	if (!ret)
		ret = parse_args_locked(cmd, tu);
	if (!ret)
		ret = account_args(&tu->tp);
	if (!ret && tu->saved)
		ret = account_args(tu->saved);
	return finish_event(tu, ret);
}

static struct trace_event_call *make_from_definition(const char *text, u16 type)
{
	struct trace_uprobe_command *cmd;
	struct trace_event_call *call;
	char **argv;
	int argc, ret;

	argv = argv_split(GFP_KERNEL_ACCOUNT, text, &argc);
	if (!argv)
		return ERR_PTR(-ENOMEM);
	cmd = kzalloc(sizeof(*cmd), GFP_KERNEL_ACCOUNT);
	ret = cmd ? 0 : -ENOMEM;
	if (!ret && !argc)
		ret = -EINVAL;
	if (!ret)
		ret = parse_locked(argc, (const char **)argv, cmd);
	call = ret ? ERR_PTR(ret) : make_from_command(cmd, type);
	if (!IS_ERR(call))
		call = share_event(trace_uprobe_of_call(call), text);
	if (cmd)
		trace_uprobe_free_command(cmd);
	kfree(cmd);
	argv_free(argv);
	return call;
}

/* strndup_user() says -EINVAL of what is too long. */
static char *copy_text(u64 address, long max)
{
	char *text;

	if (!address)
		return ERR_PTR(-EINVAL);
	text = strndup_user(u64_to_user_ptr(address), max);
	if (IS_ERR(text))
		return text == ERR_PTR(-EINVAL) ? ERR_PTR(-E2BIG) : text;
	if (*text)
		return text;
	kfree(text);
	return ERR_PTR(-EINVAL);
}

/**
 * create_local_trace_uprobe - make the event behind a perf event of the PMU
 * @event: being opened; it has path and offset, or a definition
 * @ref_ctr_offset: offset of the semaphore, 0 for none; not with a definition
 * @is_return: record returns, else entries; a definition says it itself
 *
 * Paths are looked up in the caller's namespace.
 *
 * Context: task context, no locks held: the file's server may take its time.
 * Return: its call, to be freed with destroy_local_trace_uprobe(), or
 * ERR_PTR(-errno).
 */
struct trace_event_call *
create_local_trace_uprobe(struct perf_event *event,
			  unsigned long ref_ctr_offset, bool is_return)
{
	const struct perf_event_attr *attr = &event->attr;
	bool defined = attr->config & PERF_UPROBE_DEFINITION;
	struct trace_event_call *call;
	char *text;
	int ret;

	if (defined && (ref_ctr_offset || is_return || attr->probe_offset))
		return ERR_PTR(-EINVAL);
	/* stock ignores them */
	if ((defined || !capable(CAP_SYS_ADMIN)) &&
	    (attr->config & ~(defined ? DEFINED_BITS : PLACE_BITS)))
		return ERR_PTR(-EINVAL);
	ret = check_opener(event);
	if (ret)
		return ERR_PTR(ret);
	text = copy_text(attr->uprobe_path,
			 defined ? PERF_UPROBE_DEFINITION_MAX : PATH_MAX);
	if (IS_ERR(text))
		return ERR_CAST(text);
	call = defined ?
	       make_from_definition(text, attr->config >> PERF_UPROBE_TYPE_SHIFT) :
	       make_from_place(text, attr->probe_offset, ref_ctr_offset,
			       is_return);
	kfree(text);
	return call;
}

/* ---- going ---------------------------------------------------------------- */

/**
 * trace_uprobe_keeps_perf_lists - are perf's lists freed with the event?
 * @event_call: an event that no perf event uses any more, or none could use
 *
 * perf_trace_event_unreg() would wait for a grace period before it frees them,
 * under event_mutex, for each event that is closed. They were made with the event.
 *
 * Context: event_mutex held.
 * Return: true for a local event.
 */
bool trace_uprobe_keeps_perf_lists(struct trace_event_call *event_call)
{
	struct trace_uprobe *tu;

	if (!(event_call->flags & TRACE_EVENT_FL_UPROBE))
		return false;
	tu = trace_uprobe_of_call(event_call);
	return tu && trace_uprobe_is_local(tu);
}

static void free_local(struct rcu_head *rcu)
{
	free_event(container_of(rcu, struct trace_uprobe, rcu));
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
 * @event_call: its result; for the last perf event that has it: off and closed
 *
 * Now the file, and the rest when handlers that still run are done.
 *
 * Context: task context, event_mutex not held.
 */
void destroy_local_trace_uprobe(struct trace_event_call *event_call)
{
	struct trace_uprobe *tu = trace_uprobe_of_call(event_call);

	if (leave_share(tu))
		return;
	/* kept for somebody who didn't come: trace_uprobe_share_goes_on() */
	scoped_guard(mutex, &event_mutex)
		trace_uprobe_uninstall(tu);
	uncharge(tu);
	path_put(&tu->path);
	tu->path = (struct path){};
	call_rcu_tasks_trace(&tu->rcu, free_local_after_rcu);
}

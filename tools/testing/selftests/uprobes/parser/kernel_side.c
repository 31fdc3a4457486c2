// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's side of the parser in a user-space program: one command goes the way that it goes in the kernel, as far as
 * the file that it names, which isn't opened. What the parser asks the kernel for is here, made up.
 *
 * commands_parse_harmlessly compiles this with the flags of the kernel, and user_side.c as any program.
 */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "trace_uprobe.h"

void *user_malloc(size_t size);
void *user_zalloc(size_t size);
void user_free(const void *p);

/* How many messages the last command has left, and the column of the last one. */
unsigned int kernel_messages;
int kernel_column;

/* ---- memory -------------------------------------------------------------- */

void *__kmalloc_noprof(size_t size, gfp_t flags)
{
	return flags & __GFP_ZERO ? user_zalloc(size) : user_malloc(size);
}

void *__kmalloc_cache_noprof(struct kmem_cache *s, gfp_t flags, size_t size)
{
	return __kmalloc_noprof(size, flags);
}

void kfree(const void *p)
{
	user_free(p);
}

void kvfree_call_rcu(struct rcu_head *head, void *p)
{
	user_free(p);
}

kmem_buckets kmalloc_caches[NR_KMALLOC_TYPES];

static char *copy(const char *s, size_t len)
{
	char *to = user_malloc(len + 1);

	memcpy(to, s, len);
	to[len] = 0;
	return to;
}

char *kstrdup(const char *s, gfp_t flags)
{
	return s ? copy(s, strlen(s)) : NULL;
}

char *kstrndup(const char *s, size_t max, gfp_t flags)
{
	return s ? copy(s, strnlen(s, max)) : NULL;
}

char *kmemdup_nul(const char *s, size_t len, gfp_t flags)
{
	return s ? copy(s, len) : NULL;
}

/* ---- messages ------------------------------------------------------------ */

void tracing_log_err(struct trace_array *tr, const char *loc, const char *cmd,
		     const char **errs, u8 type, u16 pos)
{
	kernel_messages++;
	kernel_column = pos;
	/* the text is there, and the caret stands under the command or just behind it */
	if (!errs[type][0] || pos > strlen(cmd))
		kernel_column = -1;
}

/* ---- who writes ---------------------------------------------------------- */

static struct cred root;
static struct task_struct task = { .cred = &root };
static struct pid process = { .count = REFCOUNT_INIT(1) };
static struct percpu_ref_data references = { .count = ATOMIC_LONG_INIT(1) };
static struct cgroup all = {
	.self.refcnt = { .percpu_count_ptr = __PERCPU_REF_ATOMIC, .data = &references },
};

/* That somebody still has: of the process and of the cgroup. */
long kernel_references(void);
long kernel_references(void)
{
	return refcount_read(&process.count) - 1 + atomic_long_read(&references.count) - 1;
}

struct task_struct init_task;

/* The register that per-CPU variables are relative to is 0. */
void *kernel_current(void);
void *kernel_current(void)
{
	return &task;
}

void __rcu_read_lock(void)
{
}

void __rcu_read_unlock(void)
{
}

struct pid *find_vpid(int nr)
{
	return nr == 1 ? &process : NULL;
}

pid_t pid_vnr(struct pid *pid)
{
	return pid == &process;
}

struct task_struct *pid_task(struct pid *pid, enum pid_type type)
{
	return pid ? &task : NULL;
}

void put_pid(struct pid *pid)
{
	if (pid)
		refcount_dec(&pid->count);
}

void refcount_warn_saturate(refcount_t *r, enum refcount_saturation_type t)
{
	__builtin_trap();
}

kuid_t make_kuid(struct user_namespace *from, uid_t uid)
{
	return KUIDT_INIT(uid);
}

uid_t from_kuid(struct user_namespace *to, kuid_t uid)
{
	return __kuid_val(uid);
}

struct cgroup *cgroup_get_from_path(const char *path)
{
	if (path[1])
		return ERR_PTR(-ENOENT);
	atomic_long_inc(&references.count);
	return &all;
}

int regs_query_register_offset(const char *name)
{
	static const char *const names[] = { "ax", "di", "si", "dx", "cx", "sp", "ip" };
	int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return i * sizeof(long);
	return -EINVAL;
}

/* ---- what only hits would show ------------------------------------------- */

void trace_uprobe_set_saving(struct trace_uprobe *tu)
{
}

bool trace_uprobe_fetch_is_certain(const struct trace_probe *tp)
{
	return false;
}

/* ---- one command --------------------------------------------------------- */

static void free_probe(struct trace_uprobe *tu)
{
	trace_probe_cleanup(&tu->tp);
	if (tu->saved)
		trace_probe_cleanup(tu->saved);
	kfree(tu->saved);
	trace_uprobe_free_scope(tu->scope);
	kfree(tu);
}

static int make_probe(struct trace_uprobe_command *cmd)
{
	struct trace_uprobe *tu = kzalloc(struct_size(tu, tp.args, cmd->argc - 2), GFP_KERNEL);
	int ret;

	tu->kind = cmd->kind;
	ret = trace_probe_init(&tu->tp, cmd->event, cmd->group, true, cmd->argc - 2);
	if (ret) {
		kfree(tu);
		return ret;
	}
	ret = trace_uprobe_parse_args(cmd, tu);
	if (!ret) {
		tu->scope = cmd->scope;
		cmd->scope = NULL;
		ret = traceprobe_set_print_fmt(&tu->tp, tu->kind == TRACE_UPROBE_RETURN ?
					       PROBE_PRINT_RETURN : PROBE_PRINT_NORMAL);
	}
	free_probe(tu);
	return ret;
}

static int create(int argc, const char **argv)
{
	struct trace_uprobe_command *cmd = kmalloc(sizeof(*cmd), GFP_KERNEL);
	int ret = trace_uprobe_parse_command(argc, argv, cmd);

	if (!ret)
		ret = make_probe(cmd);
	trace_uprobe_free_command(cmd);
	trace_probe_log_clear();
	kfree(cmd);
	return ret;
}

int kernel_parse(const char *line);
int kernel_parse(const char *line)
{
	kernel_messages = 0;
	return trace_probe_create(line, create);
}

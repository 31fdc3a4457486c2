// SPDX-License-Identifier: GPL-2.0
/*
 * A consumer of uprobes for tests of the kernel's own interface: pouches, calls that are declined, several consumers
 * of one place.
 *
 *	/sys/kernel/debug/uprobe_consumers/
 *		register	`NAME POUCH DECLINE OFFSET PATH`: one more consumer of a place, with a pouch of so many
 *				bytes. Of the calls whose first argument is a multiple of DECLINE it doesn't want the
 *				return; 0: of all of them.
 *		unregister	NAME
 *		NAME		what it has seen, a line for each number
 *
 * At each entry it fills its pouch with a pattern that belongs to this consumer and this call; at the return the same
 * must be there. `wrong` counts the pouches where it wasn't, and what else the interface promises and didn't keep.
 */
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/namei.h>
#include <linux/ptrace.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uprobes.h>

#define NAME_SIZE	32

struct test_consumer {
	struct list_head	list;
	struct uprobe_consumer	uc;
	struct uprobe		*uprobe;
	struct path		path;
	struct dentry		*file;
	char			name[NAME_SIZE];
	unsigned int		decline;
	u8			seed;
	atomic_long_t		entries;
	atomic_long_t		returns;
	atomic_long_t		wrong;
	atomic_long_t		without;	/* entries without a call */
	atomic_long_t		counts[UPROBE_NR_COUNTS];
};

/* Consumers register and leave at the same time: only their list is locked. */
static DEFINE_MUTEX(lock);
static LIST_HEAD(consumers);
static struct dentry *folder;
static u8 seeds;

static unsigned long first_argument(struct pt_regs *regs)
{
	unsigned long arg = 0;

	if (user_64bit_mode(regs))
		return regs->di;
	uprobe_read_user(&arg, (void __user *)regs->sp + 4, 4);
	return arg;
}

static u8 pattern(const struct test_consumer *tc, const struct uprobe_call *call, size_t i)
{
	return tc->seed + call->id * 7 + i * 13;
}

static void fill(struct test_consumer *tc, const struct uprobe_call *call, u8 *pouch)
{
	size_t i;

	for (i = 0; i < tc->uc.pouch_size; i++)
		pouch[i] = pattern(tc, call, i);
}

static bool is_intact(const struct test_consumer *tc, const struct uprobe_call *call, const u8 *pouch)
{
	size_t i;

	for (i = 0; i < tc->uc.pouch_size; i++) {
		if (pouch[i] != pattern(tc, call, i))
			return false;
	}
	return true;
}

/* A pouch is there with a call, if it was asked for, and is aligned. An entry may have to do without. */
static bool fits(const struct test_consumer *tc, const struct uprobe_call *call, const struct uprobe_hit *hit)
{
	if (!hit->pouch)
		return !call || !tc->uc.pouch_size || hit->opens;
	return call && tc->uc.pouch_size && IS_ALIGNED((unsigned long)hit->pouch, sizeof(u64));
}

static int enter(struct test_consumer *tc, const struct uprobe_hit *hit)
{
	unsigned long arg = first_argument(hit->regs);

	atomic_long_inc(&tc->entries);
	if (!hit->opens || (tc->uc.pouch_size && !hit->pouch))
		atomic_long_inc(&tc->without);
	if (!fits(tc, hit->opens, hit) || (hit->opens && hit->opens->func != hit->func))
		atomic_long_inc(&tc->wrong);
	else if (hit->pouch)
		fill(tc, hit->opens, hit->pouch);
	return tc->decline && arg % tc->decline == 0 ? UPROBE_HANDLER_DECLINE : 0;
}

static void leave(struct test_consumer *tc, const struct uprobe_hit *hit)
{
	atomic_long_inc(&tc->returns);
	if (hit->opens || !fits(tc, hit->call, hit) || (hit->pouch && !is_intact(tc, hit->call, hit->pouch)))
		atomic_long_inc(&tc->wrong);
}

static int commit(struct uprobe_consumer *uc, const struct uprobe_hit *hit, void *buf, size_t size)
{
	struct test_consumer *tc = container_of(uc, struct test_consumer, uc);

	if (hit->call)
		leave(tc, hit);
	else
		return enter(tc, hit);
	return 0;
}

static void count(struct uprobe_consumer *uc, enum uprobe_event_count what)
{
	atomic_long_inc(&container_of(uc, struct test_consumer, uc)->counts[what]);
}

static int numbers_show(struct seq_file *m, void *unused)
{
	static const char *const names[UPROBE_NR_COUNTS] = {
		[UPROBE_INHERITED] = "inherited", [UPROBE_MISSED_DEPTH] = "depth", [UPROBE_MISSED_MEMORY] = "memory",
		[UPROBE_MISSED_FAULT] = "fault", [UPROBE_MISSED_UNWOUND] = "unwound",
		[UPROBE_MISSED_DECLINED] = "declined", [UPROBE_MISSED_INSTALL] = "install",
		[UPROBE_MISSED_EXIT] = "exit", [UPROBE_MISSED_EXEC] = "exec",
		[UPROBE_MISSED_UNREGISTERED] = "unregistered", [UPROBE_MISSED_SHED] = "shed",
		[UPROBE_MISSED_NO_SITE] = "no-site",
	};
	struct test_consumer *tc = m->private;
	size_t i;

	seq_printf(m, "entries %ld\nreturns %ld\nwrong %ld\nwithout %ld\n", atomic_long_read(&tc->entries),
		   atomic_long_read(&tc->returns), atomic_long_read(&tc->wrong), atomic_long_read(&tc->without));
	for (i = 0; i < UPROBE_NR_COUNTS; i++)
		seq_printf(m, "%s %ld\n", names[i], atomic_long_read(&tc->counts[i]));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(numbers);

static void free_consumer(struct test_consumer *tc)
{
	path_put(&tc->path);
	kfree(tc);
}

static int register_consumer(struct test_consumer *tc, const char *path, unsigned long offset)
{
	int err = kern_path(path, LOOKUP_FOLLOW, &tc->path);

	if (err) {
		kfree(tc);
		return err;
	}
	tc->uc.commit = commit;
	tc->uc.returns = true;
	tc->uc.count = count;
	tc->uprobe = uprobe_register(d_real_inode(tc->path.dentry), offset, 0, &tc->uc);
	if (IS_ERR(tc->uprobe)) {
		err = PTR_ERR(tc->uprobe);
		free_consumer(tc);
		return err;
	}
	tc->file = debugfs_create_file(tc->name, 0400, folder, tc, &numbers_fops);
	mutex_lock(&lock);
	list_add(&tc->list, &consumers);
	mutex_unlock(&lock);
	return 0;
}

static void unregister_consumer(struct test_consumer *tc)
{
	debugfs_remove(tc->file);
	uprobe_unregister_nosync(tc->uprobe, &tc->uc);
	uprobe_unregister_sync();
	free_consumer(tc);
}

static ssize_t write_register(struct file *file, const char __user *from, size_t len, loff_t *pos)
{
	struct test_consumer *tc = kzalloc(sizeof(*tc), GFP_KERNEL);
	char *text = memdup_user_nul(from, len);
	unsigned long offset;
	int at = 0, err;

	if (!tc || IS_ERR(text)) {
		kfree(tc);
		return tc ? PTR_ERR(text) : -ENOMEM;
	}
	if (sscanf(text, "%31s %hu %u %lx %n", tc->name, &tc->uc.pouch_size, &tc->decline, &offset, &at) < 4 || !at) {
		kfree(tc);
		err = -EINVAL;
	} else {
		mutex_lock(&lock);
		tc->seed = seeds += 31;
		mutex_unlock(&lock);
		err = register_consumer(tc, strim(text + at), offset);
	}
	kfree(text);
	return err ?: len;
}

static const struct file_operations register_fops = {
	.owner = THIS_MODULE, .open = simple_open, .write = write_register,
};

static struct test_consumer *take(const char *name)
{
	struct test_consumer *tc;

	guard(mutex)(&lock);
	list_for_each_entry(tc, &consumers, list) {
		if (!strcmp(tc->name, name)) {
			list_del(&tc->list);
			return tc;
		}
	}
	return NULL;
}

static ssize_t write_unregister(struct file *file, const char __user *from, size_t len, loff_t *pos)
{
	char *text = memdup_user_nul(from, len);
	struct test_consumer *tc;

	if (IS_ERR(text))
		return PTR_ERR(text);
	tc = take(strim(text));
	kfree(text);
	if (!tc)
		return -ENOENT;
	unregister_consumer(tc);
	return len;
}

static const struct file_operations unregister_fops = {
	.owner = THIS_MODULE, .open = simple_open, .write = write_unregister,
};

static int __init consumer_init(void)
{
	folder = debugfs_create_dir("uprobe_consumers", NULL);
	debugfs_create_file("register", 0200, folder, NULL, &register_fops);
	debugfs_create_file("unregister", 0200, folder, NULL, &unregister_fops);
	return 0;
}
module_init(consumer_init);

static void __exit consumer_exit(void)
{
	struct test_consumer *tc, *next;

	list_for_each_entry_safe(tc, next, &consumers, list) {
		list_del(&tc->list);
		unregister_consumer(tc);
	}
	debugfs_remove(folder);
}
module_exit(consumer_exit);

MODULE_DESCRIPTION("Consumers of uprobes, for tests");
MODULE_LICENSE("GPL");

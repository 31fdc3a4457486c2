// SPDX-License-Identifier: GPL-2.0
/*
 * The least that a consumer with a pouch does, for ci/bench: all of it is written at the entry, and read at the
 * return, where the sum must be right.
 *
 *	path, offset	the place
 *	pouch		whether it wants a pouch, of 64 bytes
 *	returns		how many have come, all of one thread
 *	wrong		of these, with another sum
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/uprobes.h>

static char *path;
module_param(path, charp, 0400);

static unsigned long offset;
module_param(offset, ulong, 0400);

static bool pouch;
module_param(pouch, bool, 0400);

static unsigned long returns, wrong;
module_param(returns, ulong, 0400);
module_param(wrong, ulong, 0400);

static struct uprobe *uprobe;
static struct path place;

#define NR_WORDS	8

static void fill(u64 *words, u64 id)
{
	size_t i;

#pragma GCC unroll 8
	for (i = 0; i < NR_WORDS; i++)
		words[i] = id + i;
}

static bool is_right(const u64 *words, u64 id)
{
	u64 sum = 0;
	size_t i;

#pragma GCC unroll 8
	for (i = 0; i < NR_WORDS; i++)
		sum += words[i];
	return sum == NR_WORDS * id + NR_WORDS * (NR_WORDS - 1) / 2;
}

static int commit(struct uprobe_consumer *uc, const struct uprobe_hit *hit, void *buf, size_t size)
{
	if (!hit->call) {
		if (hit->pouch)
			fill(hit->pouch, hit->opens->id);
		return 0;
	}
	if (hit->pouch && !is_right(hit->pouch, hit->call->id))
		wrong++;
	returns++;
	return 0;
}

static struct uprobe_consumer consumer = { .commit = commit, .returns = true };

static int __init plain_init(void)
{
	int err = path ? kern_path(path, LOOKUP_FOLLOW, &place) : -EINVAL;

	if (err)
		return err;
	if (pouch)
		consumer.pouch_size = NR_WORDS * sizeof(u64);
	uprobe = uprobe_register(d_real_inode(place.dentry), offset, 0, &consumer);
	if (!IS_ERR(uprobe))
		return 0;
	path_put(&place);
	return PTR_ERR(uprobe);
}
module_init(plain_init);

static void __exit plain_exit(void)
{
	uprobe_unregister_nosync(uprobe, &consumer);
	uprobe_unregister_sync();
	path_put(&place);
}
module_exit(plain_exit);

MODULE_DESCRIPTION("A plain consumer of uprobes, to be measured");
MODULE_LICENSE("GPL");

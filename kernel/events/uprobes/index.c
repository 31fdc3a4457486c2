// SPDX-License-Identifier: GPL-2.0
/*
 * Which site is at this address?
 *
 * A hash for hits, read under RCU without a lock, and a tree for questions
 * about ranges. Both change under mmap_lock held for writing. The hash is our
 * own because a look-up in it is some fifteen instructions on every hit. It grows by
 * moving the sites from one table to the next, and a reader may miss one that
 * is being moved: in the trap such a hit goes to task context like any other
 * that finds nothing, and there the tree has the last word.
 *
 * sites.c puts sites in and takes them out.
 */

#include <linux/random.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include "internal.h"

#define MIN_BITS	4
#define MAX_BITS	20

static struct uprobe_table *alloc_table(unsigned int bits, gfp_t may_fail)
{
	struct uprobe_table *table;

	table = kvzalloc(struct_size(table, buckets, 1UL << bits),
			 GFP_KERNEL_ACCOUNT | may_fail);
	if (table) {
		table->bits = bits;
		table->multiplier = get_random_long() | 1;
	}
	return table;
}

/**
 * uprobe_index_init - a new, empty index
 * @space: whose
 * @may_fail: 0, or UPROBE_MAY_FAIL
 *
 * Return: 0 or -ENOMEM.
 */
int uprobe_index_init(struct uprobe_space *space, gfp_t may_fail)
{
	space->table = alloc_table(MIN_BITS, may_fail);
	space->tree = RB_ROOT;
	spin_lock_init(&space->tree_lock);
	return space->table ? 0 : -ENOMEM;
}

/**
 * uprobe_index_free - free an empty index
 * @space: nobody looks it up any more
 */
void uprobe_index_free(struct uprobe_space *space)
{
	kvfree(space->table);
}

/**
 * uprobe_site_get - look a site up for longer
 * @mm: address space, kept by the caller
 * @vaddr: address of the breakpoint
 *
 * Context: task context.
 * Return: the site with a reference, or NULL.
 */
struct uprobe_site *uprobe_site_get(struct mm_struct *mm, unsigned long vaddr)
{
	/* pairs with smp_store_release() in uprobe_space_make() */
	struct uprobe_space *space = smp_load_acquire(&mm->uprobes_state.space);
	struct uprobe_site *site;

	if (!space)
		return NULL;
	guard(rcu)();
	site = uprobe_site_find(space, vaddr);
	if (!site) {
		spin_lock(&space->tree_lock);
		site = uprobe_site_first(space, vaddr);
		spin_unlock(&space->tree_lock);
		if (site && site->vaddr != vaddr)
			site = NULL;
	}
	return site && refcount_inc_not_zero(&site->ref) ? site : NULL;
}

/**
 * uprobe_site_first - the first site at or above an address
 * @space: where to look
 * @from: the address
 *
 * Context: mmap_lock held for writing, or tree_lock, or nobody else has the
 * space. No reference is taken.
 *
 * Return: the site, or NULL.
 */
struct uprobe_site *uprobe_site_first(struct uprobe_space *space,
				      unsigned long from)
{
	struct rb_node *n = space->tree.rb_node;
	struct uprobe_site *best = NULL;

	while (n) {
		struct uprobe_site *s = rb_entry(n, struct uprobe_site, node);

		if (s->vaddr >= from) {
			best = s;
			n = n->rb_left;
		} else {
			n = n->rb_right;
		}
	}
	return best;
}

static bool site_before(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct uprobe_site, node)->vaddr <
	       rb_entry(b, struct uprobe_site, node)->vaddr;
}

/* Entries are looked up. Returns are known by their calls and stand behind. */
static void add_to_bucket(struct uprobe_table *table, struct uprobe_site *site,
			  bool is_entry)
{
	struct hlist_head *bucket = uprobe_bucket(table, site->vaddr);

	if (is_entry)
		hlist_add_head_rcu(&site->hash, bucket);
	else
		hlist_add_tail_rcu(&site->hash, bucket);
}

static void move_sites(struct uprobe_space *space, struct uprobe_table *to)
{
	struct uprobe_site *site;
	unsigned long at = 0;

	while ((site = uprobe_site_first(space, at))) {
		at = site->vaddr + 1;
		hlist_del_rcu(&site->hash);
		add_to_bucket(to, site, site->uprobe);
	}
}

/* Two buckets for a site, up to MAX_BITS. Without memory the lists just get longer. */
static void grow(struct uprobe_space *space)
{
	struct uprobe_table *old = space->table, *new;

	if (2 * space->nr_sites <= 1UL << old->bits || old->bits == MAX_BITS)
		return;
	new = alloc_table(old->bits + 1, UPROBE_MAY_FAIL);
	if (!new)
		return;
	smp_store_release(&space->table, new);
	move_sites(space, new);
	kvfree_rcu(old, rcu);
}

/**
 * uprobe_index_add - hits find this site from now on
 * @site: filled, without a role, and its address isn't in the index
 * @is_entry: it will have the entry role
 *
 * Context: mmap_lock held for writing, or nobody else has the space.
 */
void uprobe_index_add(struct uprobe_site *site, bool is_entry)
{
	struct uprobe_space *space = site->space;

	space->nr_sites++;
	grow(space);
	add_to_bucket(space->table, site, is_entry);
	spin_lock(&space->tree_lock);
	rb_add(&site->node, &space->tree, site_before);
	spin_unlock(&space->tree_lock);
}

/**
 * uprobe_index_remove - hits don't find this site any more
 * @site: in the index, whose reference becomes the caller's
 *
 * Context: mmap_lock held for writing, or nobody else has the space.
 */
void uprobe_index_remove(struct uprobe_site *site)
{
	struct uprobe_space *space = site->space;

	space->nr_sites--;
	hlist_del_rcu(&site->hash);
	uprobe_space_lost_site(space);
	spin_lock(&space->tree_lock);
	rb_erase(&site->node, &space->tree);
	spin_unlock(&space->tree_lock);
}

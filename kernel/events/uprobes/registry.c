// SPDX-License-Identifier: GPL-2.0
/*
 * Which places of which files are probed?
 *
 * Two steps: a hash from inode to uprobe_file, read under RCU so that mmap
 * can tell at a constant cost that a file is of no interest; and in each
 * uprobe_file a tree of its uprobes by offset, under one spinlock that is
 * taken only where probes or mappings come and go.
 *
 * Each uprobe has a number besides, by which a call that returns finds it or
 * learns that it is no more: open calls hold no reference, for that would be
 * a write to shared memory on each of them.
 *
 * register.c puts uprobes in and takes them out; mappings.c asks what is in
 * a range of a file. An entry hit never comes here: it has sites.c.
 */

#include <linux/elf.h>
#include <linux/hashtable.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "internal.h"

/**
 * struct uprobe_file - a file that has uprobes
 * @hash: in files. Written under files_lock, read under RCU.
 * @inode: the file
 * @uprobes: by offset. files_lock.
 * @general: those of them that have a consumer with neither target nor scope, by
 *	offset. files_lock.
 * @nr_general: how many such consumers there are. Written under files_lock.
 * @scopes: of their consumers. Written under files_lock, read under RCU.
 * @rcu: frees it
 */
struct uprobe_file {
	struct hlist_node	hash;
	struct inode		*inode;
	struct rb_root		uprobes;
	struct rb_root		general;
	unsigned int		nr_general;
	struct list_head	scopes;
	struct rcu_head		rcu;
};

/**
 * struct listed_scope - a scope that consumers of a file have
 * @list: in uprobe_file::scopes
 * @scope: which
 * @nr: how many of them have it. files_lock.
 * @rcu: frees it
 */
struct listed_scope {
	struct list_head		list;
	const struct uprobe_scope	*scope;
	unsigned int			nr;
	struct rcu_head			rcu;
};

static DEFINE_HASHTABLE(files, 10);
static DEFINE_SPINLOCK(files_lock);

/* Written by those who register, read under RCU. */
static DEFINE_XARRAY_ALLOC(numbers);
static atomic64_t last_serial;

/*
 * How many uprobes have left the registry, or want more room in their calls. Written
 * under files_lock.
 */
unsigned long uprobe_departures;

static struct uprobe_file *find_file(struct inode *inode)
{
	struct uprobe_file *file;

	hash_for_each_possible_rcu(files, file, hash, (unsigned long)inode,
				   lockdep_is_held(&files_lock)) {
		if (file->inode == inode)
			return file;
	}
	return NULL;
}

/**
 * uprobe_registry_audience - whom do the consumers of this file want?
 * @inode: the file
 *
 * Context: any; takes no lock. The answer is settled for a caller whose
 * mapping stood in inode->i_mapping->i_mmap before it asked: a registration
 * that comes later finds the mapping there.
 *
 * Return: whom.
 */
enum uprobe_audience uprobe_registry_audience(struct inode *inode)
{
	struct uprobe_file *file;

	guard(rcu)();
	file = find_file(inode);
	if (!file)
		return UPROBE_AUDIENCE_NONE;
	return READ_ONCE(file->nr_general) ? UPROBE_AUDIENCE_ANY :
					     UPROBE_AUDIENCE_TARGETS;
}

static bool node_before(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct uprobe, node)->offset <
	       rb_entry(b, struct uprobe, node)->offset;
}

static bool general_before(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct uprobe, general_node)->offset <
	       rb_entry(b, struct uprobe, general_node)->offset;
}

/**
 * uprobe_registry_count_general - a consumer comes or goes that may want anybody
 * @uprobe: of which it is a consumer
 * @d: 1 or -1
 */
void uprobe_registry_count_general(struct uprobe *uprobe, int d)
{
	struct uprobe_file *file = uprobe->file;

	spin_lock(&files_lock);
	if (d > 0 && !uprobe->nr_general)
		rb_add(&uprobe->general_node, &file->general, general_before);
	uprobe->nr_general += d;
	if (!uprobe->nr_general)
		rb_erase(&uprobe->general_node, &file->general);
	WRITE_ONCE(file->nr_general, file->nr_general + d);
	spin_unlock(&files_lock);
}

/**
 * uprobe_registry_has_scope - is somebody in the scope of a consumer of this file?
 * @inode: the file
 * @mm: whose address space
 *
 * However many consumers there are, each scope is asked once.
 *
 * Context: as for uprobe_registry_audience().
 * Return: true if so.
 */
bool uprobe_registry_has_scope(struct inode *inode, const struct mm_struct *mm)
{
	struct listed_scope *listed;
	struct uprobe_file *file;

	guard(rcu)();
	file = find_file(inode);
	if (!file)
		return false;
	list_for_each_entry_rcu(listed, &file->scopes, list) {
		if (listed->scope->has_mm(listed->scope, mm))
			return true;
	}
	return false;
}

static struct listed_scope *find_scope(struct uprobe_file *file,
				       const struct uprobe_scope *scope)
{
	struct listed_scope *listed;

	lockdep_assert_held(&files_lock);
	list_for_each_entry(listed, &file->scopes, list) {
		if (listed->scope == scope)
			return listed;
	}
	return NULL;
}

/**
 * uprobe_registry_join_scope - a consumer with a scope comes
 * @uprobe: of which it is going to be a consumer
 * @scope: its scope
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int uprobe_registry_join_scope(struct uprobe *uprobe,
			       const struct uprobe_scope *scope)
{
	struct listed_scope *new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	struct listed_scope *listed;

	if (!new)
		return -ENOMEM;
	spin_lock(&files_lock);
	listed = find_scope(uprobe->file, scope);
	if (!listed) {
		listed = new;
		listed->scope = scope;
		list_add_rcu(&listed->list, &uprobe->file->scopes);
		new = NULL;
	}
	listed->nr++;
	spin_unlock(&files_lock);
	kfree(new);
	return 0;
}

/**
 * uprobe_registry_leave_scope - it goes
 * @uprobe: of which it is a consumer
 * @scope: its scope
 */
void uprobe_registry_leave_scope(struct uprobe *uprobe,
				 const struct uprobe_scope *scope)
{
	struct listed_scope *listed;

	spin_lock(&files_lock);
	listed = find_scope(uprobe->file, scope);
	if (WARN_ON_ONCE(!listed) || --listed->nr)
		listed = NULL;
	else
		list_del_rcu(&listed->list);
	spin_unlock(&files_lock);
	if (listed)
		kfree_rcu(listed, rcu);
}

static struct uprobe *find_from(struct uprobe_file *file, loff_t from,
				bool general)
{
	struct rb_root *root = general ? &file->general : &file->uprobes;
	struct rb_node *n = root->rb_node;
	struct uprobe *best = NULL;

	while (n) {
		struct uprobe *u = general ?
				   rb_entry(n, struct uprobe, general_node) :
				   rb_entry(n, struct uprobe, node);

		if (u->offset >= from) {
			best = u;
			n = n->rb_left;
		} else {
			n = n->rb_right;
		}
	}
	return best;
}

/**
 * uprobe_registry_next - the first uprobe in a range of a file
 * @inode: the file
 * @from: first offset of the range, in bytes
 * @to: first offset behind the range
 * @general: only those with a consumer that may want anybody
 *
 * Context: any that may take a spinlock.
 * Return: the uprobe with a reference for the caller, or NULL.
 */
struct uprobe *uprobe_registry_next(struct inode *inode, loff_t from,
				    loff_t to, bool general)
{
	struct uprobe_file *file;
	struct uprobe *u = NULL;

	spin_lock(&files_lock);
	file = find_file(inode);
	if (file)
		u = find_from(file, from, general);
	if (u && u->offset < to)
		refcount_inc(&u->ref);
	else
		u = NULL;
	spin_unlock(&files_lock);
	return u;
}

/* Returns the uprobe that now stands for the place: @new or an older one. */
static struct uprobe *insert(struct uprobe *new, struct uprobe_file *new_file)
{
	struct uprobe_file *file = find_file(new->inode);
	struct uprobe *old;

	lockdep_assert_held(&files_lock);
	if (!file) {
		hash_add_rcu(files, &new_file->hash,
			     (unsigned long)new->inode);
		file = new_file;
	}
	old = find_from(file, new->offset, false);
	if (old && old->offset == new->offset) {
		old->users++;
		refcount_inc(&old->ref);
		return old;
	}
	new->file = file;
	rb_add(&new->node, &file->uprobes, node_before);
	return new;
}

/* A file that somebody has mapped, for file systems that can't read without. */
static struct file *get_mapped_file(struct address_space *mapping)
{
	struct vm_area_struct *vma;
	struct file *file = NULL;

	i_mmap_lock_read(mapping);
	vma_interval_tree_foreach(vma, &mapping->i_mmap, 0, ULONG_MAX) {
		file = get_file(vma->vm_file);
		break;
	}
	i_mmap_unlock_read(mapping);
	return file;
}

static struct folio *get_cached_folio(struct address_space *mapping,
				      pgoff_t index)
{
	struct folio *folio = filemap_get_folio(mapping, index);

	if (!IS_ERR(folio)) {
		if (folio_test_uptodate(folio))
			return folio;
		folio_put(folio);
	}
	return NULL;
}

/*
 * From the page cache, which is what processes map. A file that isn't cached is
 * left unread: its server may take its time, and event_mutex may be held. A site
 * goes by what is in memory anyway; what is lost is that an instruction that
 * can't be probed is refused at once. See uprobe_fetch_place().
 */
static ssize_t read_file(struct inode *inode, loff_t pos, u8 *buf, size_t len)
{
	loff_t left = i_size_read(inode) - pos;
	size_t done = 0;

	/* somebody may truncate the file at any time */
	if (left <= 0)
		return -EINVAL;
	len = min_t(loff_t, len, left);
	while (done < len) {
		size_t n = min_t(size_t, len - done,
				 PAGE_SIZE - offset_in_page(pos));
		struct folio *folio = get_cached_folio(inode->i_mapping,
						       pos >> PAGE_SHIFT);

		if (!folio)
			break;
		memcpy_from_folio((char *)buf + done, folio,
				  offset_in_folio(folio, pos), n);
		folio_put(folio);
		done += n;
		pos += n;
	}
	return done;
}

static void fetch(struct inode *inode, loff_t pos)
{
	struct address_space *mapping = inode->i_mapping;
	struct folio *folio;
	struct file *file;

	if (pos >= i_size_read(inode))
		return;
	folio = get_cached_folio(mapping, pos >> PAGE_SHIFT);
	/* a hole, or swapped out: it may have to be charged to somebody's memory cgroup */
	if (!folio && shmem_mapping(mapping))
		folio = shmem_read_folio(mapping, pos >> PAGE_SHIFT);
	file = folio ? NULL : get_mapped_file(mapping);
	if (file) {
		folio = read_mapping_folio(mapping, pos >> PAGE_SHIFT, file);
		fput(file);
	}
	if (!IS_ERR_OR_NULL(folio))
		folio_put(folio);
}

/**
 * uprobe_fetch_place - bring into the page cache what a registration looks at
 * @inode: the file
 * @offset: the place, in bytes
 *
 * Waits for the file's server. Without effect on files that nobody maps, which
 * have no processes to make sites in: ->read_folio of FUSE and 9p need an open
 * file.
 *
 * Context: task context, no locks that others need.
 */
void uprobe_fetch_place(struct inode *inode, loff_t offset)
{
	if ((!inode->i_mapping->a_ops->read_folio &&
	     !shmem_mapping(inode->i_mapping)) || offset < 0)
		return;
	fetch(inode, 0);
	fetch(inode, offset);
	fetch(inode, offset + UPROBE_MAX_INSN - 1);
}

static int read_bytes(struct uprobe *u)
{
	u8 ident[EI_CLASS + 1];
	ssize_t n = read_file(u->inode, u->offset, u->bytes, sizeof(u->bytes));

	if (n < 0)
		return n;
	u->nr_bytes = n;
	u->is_cut = n < min_t(loff_t, sizeof(u->bytes),
			      i_size_read(u->inode) - u->offset);
	if (read_file(u->inode, 0, ident, sizeof(ident)) == sizeof(ident) &&
	    !memcmp(ident, ELFMAG, SELFMAG))
		u->elf_class = ident[EI_CLASS];
	return 0;
}

/* From now on calls find it; until it is published there are none. */
static int number(struct uprobe *u)
{
	u->serial = atomic64_inc_return(&last_serial);
	return xa_alloc(&numbers, &u->id, u, xa_limit_32b, GFP_KERNEL);
}

/**
 * uprobe_registry_find - find a uprobe by its number
 * @id: its uprobe::id
 * @serial: its uprobe::serial
 *
 * Context: a section of RCU or of RCU tasks trace, in which it stays.
 * Return: the uprobe, or NULL if its last consumer has left.
 */
struct uprobe *uprobe_registry_find(u32 id, u64 serial)
{
	struct uprobe *u;

	/* one that was never published goes after a grace period of RCU */
	guard(rcu)();
	u = xa_load(&numbers, id);
	return u && u->serial == serial ? u : NULL;
}

static struct uprobe *alloc_uprobe(struct inode *inode, loff_t offset)
{
	struct uprobe *u = kzalloc(sizeof(*u), GFP_KERNEL);

	if (!u)
		return NULL;
	refcount_set(&u->ref, 1);
	u->users = 1;
	u->inode = inode;
	u->offset = offset;
	mutex_init(&u->lock);
	INIT_LIST_HEAD(&u->consumers);
	spin_lock_init(&u->sites_lock);
	INIT_LIST_HEAD(&u->sites);
	return u;
}

/**
 * uprobe_registry_get - find or make the uprobe of a place
 * @inode: the file, which the caller keeps
 * @offset: offset into it in bytes, less than its size
 *
 * The memory isn't accounted: event_mutex may be held, and whoever charges memory may be made
 * to wait. Users are limited in how many they make.
 *
 * Context: may sleep.
 * Return: the uprobe with one user and one reference more, or an ERR_PTR.
 */
struct uprobe *uprobe_registry_get(struct inode *inode, loff_t offset)
{
	struct uprobe_file *file;
	struct uprobe *u, *kept;
	int err;

	u = alloc_uprobe(inode, offset);
	file = kzalloc(sizeof(*file), GFP_KERNEL);
	err = u && file ? read_bytes(u) : -ENOMEM;
	if (!err)
		err = number(u);
	if (err) {
		kfree(file);
		kfree(u);
		return ERR_PTR(err);
	}
	file->inode = inode;
	INIT_LIST_HEAD(&file->scopes);

	spin_lock(&files_lock);
	kept = insert(u, file);
	if (kept->file == file)
		file = NULL;
	spin_unlock(&files_lock);

	kfree(file);
	if (kept != u) {
		xa_erase(&numbers, u->id);
		kfree_rcu(u, rcu);
	}
	return kept;
}

/**
 * uprobe_registry_leave - a consumer has gone
 * @uprobe: of which it was a consumer
 *
 * With the last one the place is no longer probed, and open calls don't find
 * the uprobe any more.
 */
void uprobe_registry_leave(struct uprobe *uprobe)
{
	struct uprobe_file *file = NULL;

	spin_lock(&files_lock);
	if (--uprobe->users == 0) {
		xa_erase(&numbers, uprobe->id);
		file = uprobe->file;
		WRITE_ONCE(uprobe->file, NULL);
		/* pairs with uprobe_calls_open() and uprobe_of_call() */
		smp_store_release(&uprobe_departures, uprobe_departures + 1);
		rb_erase(&uprobe->node, &file->uprobes);
		if (RB_EMPTY_ROOT(&file->uprobes))
			hash_del_rcu(&file->hash);
		else
			file = NULL;
	}
	spin_unlock(&files_lock);
	if (file)
		kfree_rcu(file, rcu);
}

/**
 * uprobe_registry_unsettle - calls in the pools have to look at their uprobe again
 *
 * To be called when it wants more room, before a hit can know why.
 *
 * Context: any that may take a spinlock.
 */
void uprobe_registry_unsettle(void)
{
	spin_lock(&files_lock);
	/* pairs with uprobe_call_try() */
	smp_store_release(&uprobe_departures, uprobe_departures + 1);
	spin_unlock(&files_lock);
}

/* Those who walk its consumers do so in a section of one RCU or the other. */
static void free_uprobe(struct rcu_head *rcu)
{
	struct uprobe *u = container_of(rcu, struct uprobe, rcu);

	if (rcu_trace_implies_rcu_gp())
		kfree(u);
	else
		kfree_rcu(u, rcu);
}

/**
 * uprobe_put - give back a reference
 * @uprobe: may be freed, after those who walk its consumers are done
 */
void uprobe_put(struct uprobe *uprobe)
{
	if (refcount_dec_and_test(&uprobe->ref))
		call_rcu_tasks_trace(&uprobe->rcu, free_uprobe);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * How does a consumer get the hits of a place, and how does it leave?
 *
 * Registration publishes first and looks around afterwards: the uprobe is in
 * the registry and the consumer in its list before the mappings of the file
 * are visited. A process that maps the file meanwhile is found in i_mmap, or
 * finds the uprobe in the registry (uprobe_mmap()); a fork that copies an
 * address space meanwhile sees that a walk was under way and looks again
 * (uprobe_walked_since()). So nothing stops forks while this runs.
 *
 * Leaving goes the other way round: out of the list, then over the sites, each
 * of which asks whether anybody else wants it.
 *
 * bpf_trace.c, trace_uprobe and test modules call in here; sites.c does the
 * work in one address space.
 */

#include <linux/delay.h>
#include <linux/elf.h>
#include <linux/export.h>
#include <linux/oom.h>
#include <linux/pagemap.h>
#include <linux/preempt.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "internal.h"

/* ---- consumers ---------------------------------------------------------- */

/*
 * Registrations are numbered. A call remembers how many there had been at its
 * entry (open_call::epoch), and a consumer sees the call if it is older than
 * that: the entry and the return of one call go to the same consumers.
 */
u64 uprobe_last_epoch;
static DEFINE_SPINLOCK(epoch_lock);

/*
 * What hits want to know of all consumers together. They read it at any time, so
 * it never says less than it should.
 */
static void sum_up(struct uprobe *uprobe)
{
	struct uprobe_consumer *uc, *last = NULL, *last_returner = NULL;
	unsigned int nr = 0, nr_returners = 0;
	u64 returners = 0;
	bool timed = false;

	lockdep_assert_held(&uprobe->lock);
	list_for_each_entry(uc, &uprobe->consumers, cons_node) {
		nr++;
		last = uc;
		if (!uprobe_consumer_is_returner(uc))
			continue;
		nr_returners++;
		last_returner = uc;
		returners |= BIT_ULL(uc->bit);
		timed |= uc->timed;
	}
	WRITE_ONCE(uprobe->sole, nr == 1 && last->tally ? last : NULL);
	if (nr_returners != 1 || !last_returner->tally ||
	    last_returner->bit == UPROBE_SHARED_BIT)
		last_returner = NULL;
	WRITE_ONCE(uprobe->sole_returner, last_returner);
	WRITE_ONCE(uprobe->returners, returners);
	WRITE_ONCE(uprobe->timed, timed);
}

static unsigned int pouch_end(const struct uprobe_consumer *uc)
{
	return uc->pouch_at + ALIGN(uc->pouch_size, sizeof(u64));
}

/* The first gap between the others' that is wide enough. */
static void find_place_for_pouch(struct uprobe *uprobe,
				 struct uprobe_consumer *uc)
{
	struct uprobe_consumer *other;

	uc->pouch_at = 0;
again:
	list_for_each_entry(other, &uprobe->consumers, cons_node) {
		if (other->pouch_size && uc->pouch_at < pouch_end(other) &&
		    other->pouch_at < pouch_end(uc)) {
			uc->pouch_at = pouch_end(other);
			goto again;
		}
	}
}

/* New calls need no room for who has left. */
static void take_pouch_away(struct uprobe *uprobe)
{
	struct uprobe_consumer *uc;
	unsigned int size = 0;

	lockdep_assert_held(&uprobe->lock);
	list_for_each_entry(uc, &uprobe->consumers, cons_node) {
		if (uc->pouch_size)
			size = max(size, pouch_end(uc));
	}
	WRITE_ONCE(uprobe->pouch_size, size);
}

/*
 * Calls that are open have no room for it, but it doesn't see them. A hit that has
 * read its epoch sees the new size.
 */
static int place_pouch(struct uprobe *uprobe, struct uprobe_consumer *uc,
		       const char **why)
{
	lockdep_assert_held(&uprobe->lock);
	if (!uc->pouch_size)
		return 0;
	*why = "Too many events keep something of the entry here";
	/* there are no bits to say who has filled it */
	if (uc->bit == UPROBE_SHARED_BIT || uc->pouch_size > UPROBE_MAX_POUCHES)
		return -ENOSPC;
	find_place_for_pouch(uprobe, uc);
	if (pouch_end(uc) > UPROBE_MAX_POUCHES)
		return -ENOSPC;
	*why = NULL;
	if (pouch_end(uc) > uprobe->pouch_size) {
		WRITE_ONCE(uprobe->pouch_size, pouch_end(uc));
		uprobe_registry_unsettle();
	}
	return 0;
}

/*
 * A hit that has read the new epoch sees the consumer and the new sums. With an
 * older one it may see either, and the consumer isn't told, whatever its call
 * says of it (uprobe_took()).
 */
static int add_consumer(struct uprobe *uprobe, struct uprobe_consumer *uc,
			const char **why)
{
	int err;

	uc->bit = min(ffz(uprobe->bits), UPROBE_SHARED_BIT);
	err = place_pouch(uprobe, uc, why);
	if (err)
		return err;
	uprobe->bits |= BIT_ULL(uc->bit) & ~BIT_ULL(UPROBE_SHARED_BIT);
	spin_lock(&epoch_lock);
	uc->since = uprobe_last_epoch + 1;
	list_add_rcu(&uc->cons_node, &uprobe->consumers);
	sum_up(uprobe);
	/* pairs with uprobe_epoch() */
	smp_store_release(&uprobe_last_epoch, uc->since);
	spin_unlock(&epoch_lock);
	return 0;
}

/*
 * Before the walk that installs, and after the one that removes: a process that
 * maps the file meanwhile and isn't looked at may not be wanted (targets.c).
 */
static void count_general(struct uprobe *uprobe, struct uprobe_consumer *uc,
			  bool general)
{
	lockdep_assert_held(&uprobe->lock);
	if (uc->general == general)
		return;
	uc->general = general;
	uprobe_registry_count_general(uprobe, general ? 1 : -1);
}

static bool is_general(const struct uprobe_consumer *uc)
{
	return !uc->targeted && !uc->target;
}

static bool is_consumer(struct uprobe *uprobe, struct uprobe_consumer *uc)
{
	struct uprobe_consumer *c;

	lockdep_assert_held(&uprobe->lock);
	list_for_each_entry(c, &uprobe->consumers, cons_node) {
		if (c == uc)
			return true;
	}
	return false;
}

/**
 * uprobe_consumer_wants - ask one consumer about an address space
 * @uc: the consumer
 * @mm: the address space
 *
 * Return: true if it wants hits there.
 */
bool uprobe_consumer_wants(struct uprobe_consumer *uc, struct mm_struct *mm)
{
	return !uc->filter || uc->filter(uc, mm);
}

enum consumers { ALL, RETURNERS };

static bool any_wants(struct uprobe *uprobe, struct mm_struct *mm,
		      enum consumers which)
{
	struct uprobe_consumer *uc;
	bool wanted = false;

	rcu_read_lock_trace();
	for_each_consumer(uc, uprobe) {
		if (which == RETURNERS && !uprobe_consumer_is_returner(uc))
			continue;
		wanted = uprobe_consumer_wants(uc, mm) ||
			 (uc->completes && mm == current->mm &&
			  uprobe_calls_want(uprobe, uc));
		if (wanted)
			break;
	}
	rcu_read_unlock_trace();
	return wanted;
}

/**
 * uprobe_wanted - does any consumer want hits of this address space?
 * @uprobe: whose consumers to ask
 * @mm: the address space
 *
 * Context: task context.
 *
 * Return: true if one does.
 */
bool uprobe_wanted(struct uprobe *uprobe, struct mm_struct *mm)
{
	return any_wants(uprobe, mm, ALL);
}

/**
 * uprobe_wants_returns - does any consumer want returns in this address space?
 * @uprobe: whose consumers to ask
 * @mm: the address space
 *
 * Context: task context.
 *
 * Return: true if one does.
 */
bool uprobe_wants_returns(struct uprobe *uprobe, struct mm_struct *mm)
{
	return any_wants(uprobe, mm, RETURNERS);
}

/**
 * uprobe_count - tell the consumers what became of a place
 * @uprobe: whose consumers to tell
 * @mm: where it happened
 * @what: what happened
 *
 * Context: task context.
 */
void uprobe_count(struct uprobe *uprobe, struct mm_struct *mm,
		  enum uprobe_event_count what)
{
	struct uprobe_consumer *uc;

	rcu_read_lock_trace();
	for_each_consumer(uc, uprobe) {
		if (uc->count && uprobe_consumer_wants(uc, mm))
			uc->count(uc, what);
	}
	rcu_read_unlock_trace();
}

/**
 * uprobe_count_call - tell those who wait for a return what became of it
 * @uprobe: whose call it is
 * @epoch: of the call
 * @takers: of the call
 * @what: what happened
 *
 * Context: any, in a section of RCU or RCU tasks trace.
 */
void uprobe_count_call(struct uprobe *uprobe, u64 epoch, u64 takers,
		       enum uprobe_event_count what)
{
	struct uprobe_consumer *uc;

	/* perf's events of a CPU are consumers each: see attempt() */
	guard(migrate)();
	for_each_consumer(uc, uprobe) {
		if (!uc->count || !uprobe_took(uc, epoch, takers))
			continue;
		/* some of those who share a bit never heard of the process */
		if (uc->bit != UPROBE_SHARED_BIT ||
		    uprobe_consumer_wants(uc, current->mm))
			uc->count(uc, what);
	}
}

/**
 * uprobe_inheritors - who wants the return of a call in a forked child, too?
 * @uprobe: whose call it is
 * @epoch: of the call
 * @takers: of the call
 * @mm: the child's
 *
 * They are told (inherited).
 *
 * Context: task context, in an RCU tasks trace section.
 * Return: the takers of the child's call.
 */
u64 uprobe_inheritors(struct uprobe *uprobe, u64 epoch, u64 takers,
		      struct mm_struct *mm)
{
	struct uprobe_consumer *uc;
	u64 inheritors = 0;

	for_each_consumer(uc, uprobe) {
		if (!uprobe_took(uc, epoch, takers) ||
		    !uprobe_consumer_wants(uc, mm))
			continue;
		inheritors |= BIT_ULL(uc->bit);
		if (uc->count)
			uc->count(uc, UPROBE_INHERITED);
	}
	return inheritors;
}

/* ---- walks over address spaces ------------------------------------------ */

static atomic_t walks_begun;
static atomic_t walks_ended;

/**
 * uprobe_walks_done - how many installing walks have ended
 *
 * For uprobe_walked_since(). fork reads it while the parent's mmap_lock is
 * held: what those walks did to the parent is copied with it.
 *
 * Return: the number, which wraps.
 */
unsigned int uprobe_walks_done(void)
{
	unsigned int done = atomic_read(&walks_ended);

	/* pairs with end_walk(): the walk's effects come before its end */
	smp_rmb();
	return done;
}

/**
 * uprobe_walked_since - may a walk have missed an address space being copied?
 * @done: uprobe_walks_done() before the mappings were copied
 *
 * True if any walk has begun that hadn't ended then. A walk that begins after
 * this finds the new mappings in i_mmap.
 *
 * Return: true if one may have.
 */
bool uprobe_walked_since(unsigned int done)
{
	/* pairs with begin_walk(): i_mmap was filled before this is read */
	smp_mb();
	return atomic_read(&walks_begun) != done;
}

static void begin_walk(void)
{
	atomic_inc(&walks_begun);
	/* pairs with uprobe_walked_since(): this is seen, or i_mmap is */
	smp_mb__after_atomic();
}

static void end_walk(void)
{
	/* pairs with uprobe_walks_done() */
	smp_mb__before_atomic();
	atomic_inc(&walks_ended);
}

/**
 * uprobe_count_walk - an address space was told to look at itself
 *
 * As far as fork is concerned, that is a walk.
 */
void uprobe_count_walk(void)
{
	begin_walk();
	end_walk();
}

/**
 * struct mapping - one mapping of a place, found in i_mmap
 * @mm: whose; with a user reference
 * @vaddr: where the place is mapped
 */
struct mapping {
	struct mm_struct *mm;
	unsigned long vaddr;
};

/*
 * Without the work of the last user, who may have died meanwhile: it would wait
 * for that one's I/O.
 */
static void put_mappings(struct mapping *maps, size_t nr)
{
	while (nr--)
		mmput_async(maps[nr].mm);
	kvfree(maps);
}

/* Fills @maps up to @max; returns how many there are. */
static size_t list_mappings(struct uprobe *uprobe, struct mapping *maps,
			    size_t max, size_t *filled)
{
	struct address_space *mapping = uprobe->inode->i_mapping;
	pgoff_t pgoff = uprobe->offset >> PAGE_SHIFT;
	struct vm_area_struct *vma;
	size_t nr = 0;

	*filled = 0;
	i_mmap_lock_read(mapping);
	vma_interval_tree_foreach(vma, &mapping->i_mmap, pgoff, pgoff) {
		if (!uprobe_vma_is_executed(vma))
			continue;
		if (nr++ >= max || !mmget_not_zero(vma->vm_mm))
			continue;
		maps[*filled].mm = vma->vm_mm;
		maps[(*filled)++].vaddr = uprobe_vaddr_of(vma, uprobe->offset);
	}
	i_mmap_unlock_read(mapping);
	return nr;
}

/* No allocation under i_mmap_rwsem: reclaim takes it. */
static struct mapping *get_mappings(struct uprobe *uprobe, size_t *nr)
{
	struct mapping *maps = NULL;
	size_t max = 0, need;

	for (;;) {
		need = list_mappings(uprobe, maps, max, nr);
		if (need <= max)
			return maps;
		put_mappings(maps, *nr);
		max = need + 8;
		maps = kvmalloc_array(max, sizeof(*maps), GFP_KERNEL);
		if (!maps)
			return ERR_PTR(-ENOMEM);
	}
}

/**
 * uprobe_recheck_site - is this uprobe still wanted at this site?
 * @uprobe: may have been the site's
 * @site: in an address space whose mmap_lock is held for writing
 */
void uprobe_recheck_site(struct uprobe *uprobe, struct uprobe_site *site)
{
	struct uprobe_space *space = site->space;
	struct mm_struct *mm = space->mm;

	/* the role may have ended before the lock was taken */
	if (site->uprobe != uprobe)
		return;
	/* the site's reference may be the last one */
	refcount_inc(&uprobe->ref);
	if (uprobe_wanted(uprobe, mm))
		uprobe_site_refresh(site);
	else
		uprobe_site_drop_uprobe(site);
	uprobe_semaphores_update(uprobe, mm);
	uprobe_put(uprobe);
	if (RB_EMPTY_ROOT(&space->tree))
		uprobe_mark_areas(mm);
}

/**
 * uprobe_place - install a uprobe in a mapping, with its semaphores
 * @uprobe: wanted there
 * @vma: an executable mapping of its file that covers its offset
 *
 * What can't be installed is counted. A consumer that leaves at the same time
 * either finds the site in uprobe::sites, or has left uprobe::consumers by the
 * time that the second question is asked (sites_lock is between the two).
 *
 * Context: mmap_lock held for writing.
 */
void uprobe_place(struct uprobe *uprobe, struct vm_area_struct *vma)
{
	unsigned long vaddr = uprobe_vaddr_of(vma, uprobe->offset);
	struct mm_struct *mm = vma->vm_mm;
	struct uprobe_site *site;
	int err;

	err = uprobe_site_install(uprobe, vma, vaddr);
	if (err && mm == current->mm && fatal_signal_pending(current)) {
		/* it can't read, and won't come by: uprobe_sync() leaves it to others */
		uprobe_mark(mm, vaddr, vaddr + 1);
		return;
	}
	if (err) {
		if (err != -EAGAIN)
			uprobe_count(uprobe, mm, UPROBE_MISSED_INSTALL);
		return;
	}
	site = uprobe_site_get(mm, vaddr);
	if (!WARN_ON_ONCE(!site)) {
		uprobe_recheck_site(uprobe, site);
		uprobe_site_put(site);
	}
}

/* What mmap_write_lock() does; mmap_lock.h has no such thing for writing. */
static bool try_to_lock(struct mm_struct *mm)
{
	if (!down_write_trylock(&mm->mmap_lock))
		return false;
	mm_lock_seqcount_begin(mm);
	return true;
}

/* how long a walk tries to lock address spaces, in jiffies */
#define WALK_PATIENCE	(HZ / 20)

/*
 * A program may hold its mmap_lock for as long as it likes: /proc/self/mem waits
 * with it for a page that the program itself withholds. So walks, which hold locks
 * that others need, try for @deadline (in jiffies); then the place is left to the
 * threads of the program, which don't go on in user mode without.
 */
static bool lock_or_leave(struct mm_struct *mm, unsigned long vaddr,
			  unsigned long deadline)
{
	/* who is being killed gets no page either (get_user_pages()) */
	while (!fatal_signal_pending(current)) {
		if (try_to_lock(mm))
			return true;
		if (time_after(jiffies, deadline))
			break;
		usleep_range(50, 200);
	}
	uprobe_mark_for_all(mm, vaddr, vaddr + 1);
	return false;
}

static void install_in(struct uprobe *uprobe, const struct mapping *map,
		       unsigned long deadline)
{
	struct vm_area_struct *vma;

	if (!lock_or_leave(map->mm, map->vaddr, deadline))
		return;
	vma = vma_lookup(map->mm, map->vaddr);
	/* unstable: dup_mmap() has failed half-way, or the OOM killer is here */
	if (!check_stable_address_space(map->mm) &&
	    vma && uprobe_vma_is_executed(vma) &&
	    file_inode(vma->vm_file) == uprobe->inode &&
	    uprobe_offset_of(vma, map->vaddr) == uprobe->offset)
		uprobe_place(uprobe, vma);
	mmap_write_unlock(map->mm);
}

/* Filters are asked before an address space is locked. */
static int install_everywhere(struct uprobe *uprobe, struct uprobe_consumer *uc)
{
	unsigned long deadline = jiffies + WALK_PATIENCE;
	struct mapping *maps;
	size_t nr, i;
	int err = 0;

	lockdep_assert_held(&uprobe->lock);
	begin_walk();
	maps = get_mappings(uprobe, &nr);
	if (IS_ERR(maps)) {
		err = PTR_ERR(maps);
		goto out;
	}
	for (i = 0; i < nr && !err; i++) {
		if (uprobe_consumer_wants(uc, maps[i].mm))
			install_in(uprobe, &maps[i], deadline);
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	put_mappings(maps, nr);
out:
	end_walk();
	return err;
}

/*
 * The next site of a walk, with references on it and its mm. What has been
 * seen goes to the end of the list, and so do new sites: the walk is over when
 * the first one has been seen. A new site needs no visit: whoever attached it
 * asks the consumers once more afterwards (uprobe_place()).
 */
static struct uprobe_site *next_site(struct uprobe *uprobe)
{
	struct uprobe_site *site;

	spin_lock(&uprobe->sites_lock);
	for (;;) {
		site = list_first_entry_or_null(&uprobe->sites,
						struct uprobe_site,
						uprobe_node);
		if (site && site->walk == uprobe->walk)
			site = NULL;
		if (!site)
			break;
		site->walk = uprobe->walk;
		list_move_tail(&site->uprobe_node, &uprobe->sites);
		/* the space of a linked site is there; is anybody in it? */
		if (mmget_not_zero(site->space->mm)) {
			refcount_inc(&site->ref);
			break;
		}
	}
	spin_unlock(&uprobe->sites_lock);
	return site;
}

static void recheck_everywhere(struct uprobe *uprobe)
{
	unsigned long deadline = jiffies + WALK_PATIENCE;
	struct uprobe_site *site;
	struct mm_struct *mm;

	lockdep_assert_held(&uprobe->lock);
	spin_lock(&uprobe->sites_lock);
	uprobe->walk++;
	spin_unlock(&uprobe->sites_lock);

	while ((site = next_site(uprobe))) {
		mm = site->space->mm;
		if (lock_or_leave(mm, site->vaddr, deadline)) {
			uprobe_recheck_site(uprobe, site);
			mmap_write_unlock(mm);
		}
		uprobe_site_put(site);
		mmput_async(mm);
	}
}

/* Is all that this site does still wanted? */
static bool is_as_wanted(struct uprobe_site *site, struct mm_struct *mm)
{
	return uprobe_wanted(site->uprobe, mm) &&
	       (!site->wants_returns || uprobe_wants_returns(site->uprobe, mm));
}

/**
 * uprobe_recheck_space - remove the sites that nobody wants any more
 * @mm: the current task's
 *
 * With the places where their calls return, and their semaphores. Nothing is made,
 * and of sites that stay the text isn't looked at.
 *
 * Context: task context, no locks held.
 * Return: false if the current task is being killed, and nothing was done.
 */
bool uprobe_recheck_space(struct mm_struct *mm)
{
	struct uprobe_space *space = mm->uprobes_state.space;
	struct uprobe_site *site;
	unsigned long at = 0;

	if (!space)
		return true;
	if (mmap_write_lock_killable(mm))
		return false;
	while ((site = uprobe_site_first(space, at))) {
		at = site->vaddr + 1;
		if (site->uprobe && !is_as_wanted(site, mm))
			uprobe_recheck_site(site->uprobe, site);
		/* its breakpoint couldn't be taken away so far */
		else if (!site->uprobe && !site->is_return)
			uprobe_site_remove(site);
		cond_resched();
	}
	uprobe_semaphores_recheck(mm);
	if (RB_EMPTY_ROOT(&space->tree))
		uprobe_mark_areas(mm);
	mmap_write_unlock(mm);
	return true;
}

/**
 * uprobe_recheck - is this uprobe still wanted in this address space?
 * @uprobe: none of its consumers wanted a hit, or a handler has asked for removal
 * @mm: the current task's
 *
 * If not, others may not be, either: they are asked at once.
 *
 * Context: task context, no locks held.
 */
void uprobe_recheck(struct uprobe *uprobe, struct mm_struct *mm)
{
	if (!uprobe_wanted(uprobe, mm))
		uprobe_recheck_space(mm);
}

/* ---- the API ------------------------------------------------------------ */

static int check_place(struct inode *inode, loff_t offset,
		       loff_t ref_ctr_offset)
{
	if (!inode->i_mapping->a_ops->read_folio &&
	    !shmem_mapping(inode->i_mapping))
		return -EIO;
	if (offset < 0 || offset >= i_size_read(inode))
		return -EINVAL;
	if (ref_ctr_offset < 0 ||
	    !IS_ALIGNED(ref_ctr_offset, sizeof(short)))
		return -EINVAL;
	return 0;
}

static int analyze(const struct uprobe *uprobe, bool is_64bit,
		   const char **why)
{
	struct arch_uprobe arch;

	return arch_uprobe_analyze(&arch, uprobe->bytes, uprobe->nr_bytes,
				   is_64bit, why);
}

/*
 * Whether the instruction can be probed is a matter of each address space and
 * its mode; refused here is what the file's own mode, or none, can have.
 */
static int check_insn(const struct uprobe *uprobe, const char **why)
{
	bool is_64bit = IS_ENABLED(CONFIG_64BIT) &&
			uprobe->elf_class != ELFCLASS32;
	const char *in_other_mode;
	int err;

	if (!uprobe->nr_bytes)
		return 0;
	err = analyze(uprobe, is_64bit, why);
	if (err && !uprobe->elf_class && IS_ENABLED(CONFIG_COMPAT) &&
	    !analyze(uprobe, false, &in_other_mode))
		err = 0;
	/* perhaps the rest is missing */
	if (err == -EILSEQ && uprobe->is_cut)
		err = 0;
	if (!err)
		*why = NULL;
	return err;
}

/**
 * uprobe_register_why - make someone a consumer of a place, or say why not
 * @inode: the file, which the caller keeps (with its mount) until it has
 *	unregistered
 * @offset: of an instruction, in bytes from the start of the file
 * @ref_ctr_offset: where the file has a counter (unsigned short) that says
 *	how many listen, or 0. It belongs to this consumer alone.
 * @uc: the consumer, zeroed but for its callbacks
 * @why: set to a constant text that tells the user why the place can't be
 *	probed, or to NULL
 *
 * The processes that map the file now get their sites before this returns; the
 * others when they map it. A process in which the place can't be probed is
 * counted (UPROBE_MISSED_INSTALL) and is no error.
 *
 * Context: task context, may sleep; event_mutex may be held.
 * Return: a handle, or an ERR_PTR: -EINVAL for arguments, -EIO for a file
 * that can't be read through the page cache, -EOPNOTSUPP and -EILSEQ for an
 * instruction that can't be probed, -ENOSPC if the consumers of the place want too
 * large pouches, -ENOMEM, -EINTR.
 */
struct uprobe *uprobe_register_why(struct inode *inode, loff_t offset,
				   loff_t ref_ctr_offset,
				   struct uprobe_consumer *uc,
				   const char **why)
{
	struct uprobe *uprobe;
	int err;

	*why = NULL;

	if (!uc->handler && !uc->gather && !uc->commit &&
	    !uprobe_consumer_is_returner(uc))
		return ERR_PTR(-EINVAL);
	err = check_place(inode, offset, ref_ctr_offset);
	if (err)
		return ERR_PTR(err);
	uprobe = uprobe_registry_get(inode, offset);
	if (IS_ERR(uprobe))
		return uprobe;
	err = check_insn(uprobe, why);
	if (err)
		goto leave;
	if (uc->target)
		err = uprobe_target_get(uc->target);
	if (err)
		goto leave;

	uc->ref_ctr_offset = ref_ctr_offset;
	mutex_lock(&uprobe->lock);
	err = add_consumer(uprobe, uc, why);
	if (err) {
		mutex_unlock(&uprobe->lock);
		goto put_target;
	}
	count_general(uprobe, uc, is_general(uc));
	err = install_everywhere(uprobe, uc);
	mutex_unlock(&uprobe->lock);
	if (err) {
		uprobe_unregister_nosync(uprobe, uc);
		uprobe_unregister_sync();
		return ERR_PTR(err);
	}
	return uprobe;

put_target:
	if (uc->target)
		uprobe_target_put(uc->target);
leave:
	uprobe_registry_leave(uprobe);
	uprobe_put(uprobe);
	return ERR_PTR(err);
}

/**
 * uprobe_register - make someone a consumer of a place
 * @inode: see uprobe_register_why() for all of this
 * @offset: of an instruction
 * @ref_ctr_offset: of its counter
 * @uc: the consumer
 *
 * The instruction is read from the file before, which may take its server's time.
 *
 * Context: task context, may sleep; no locks that others need.
 * Return: a handle, or an ERR_PTR.
 */
struct uprobe *uprobe_register(struct inode *inode, loff_t offset,
			       loff_t ref_ctr_offset,
			       struct uprobe_consumer *uc)
{
	const char *why;

	uprobe_fetch_place(inode, offset);
	return uprobe_register_why(inode, offset, ref_ctr_offset, uc, &why);
}
EXPORT_SYMBOL_GPL(uprobe_register);

/**
 * uprobe_apply - the filter of a consumer has changed
 * @uprobe: what uprobe_register() returned
 * @uc: the consumer
 * @add: it wants more address spaces, or else fewer
 *
 * A consumer that becomes targeted, or ceases to be, has said so before.
 *
 * Context: task context, may sleep; event_mutex may be held.
 * Return: 0, -ENOENT if @uc isn't registered, -ENOMEM, -EINTR.
 */
int uprobe_apply(struct uprobe *uprobe, struct uprobe_consumer *uc, bool add)
{
	int err = 0;

	mutex_lock(&uprobe->lock);
	if (!is_consumer(uprobe, uc)) {
		err = -ENOENT;
	} else if (add) {
		count_general(uprobe, uc, uc->general || is_general(uc));
		err = install_everywhere(uprobe, uc);
	} else {
		recheck_everywhere(uprobe);
		count_general(uprobe, uc, is_general(uc));
	}
	mutex_unlock(&uprobe->lock);
	return err;
}

/**
 * uprobe_unregister_nosync - a consumer leaves
 * @uprobe: what uprobe_register() returned; not to be used afterwards
 * @uc: the consumer
 *
 * Open calls don't delay it: nobody asks for their returns any more. Handlers
 * of @uc may still run; see uprobe_unregister_sync().
 *
 * Context: task context, may sleep; event_mutex may be held.
 */
void uprobe_unregister_nosync(struct uprobe *uprobe, struct uprobe_consumer *uc)
{
	mutex_lock(&uprobe->lock);
	list_del_rcu(&uc->cons_node);
	uprobe->bits &= ~BIT_ULL(uc->bit);
	take_pouch_away(uprobe);
	sum_up(uprobe);
	recheck_everywhere(uprobe);
	count_general(uprobe, uc, false);
	mutex_unlock(&uprobe->lock);
	if (uc->target)
		uprobe_target_put(uc->target);
	uprobe_registry_leave(uprobe);
	uprobe_put(uprobe);
}
EXPORT_SYMBOL_GPL(uprobe_unregister_nosync);

/**
 * uprobe_unregister_sync - wait until no handler of a gone consumer runs
 *
 * One call serves any number of uprobe_unregister_nosync() before it.
 *
 * Context: task context, sleeps for a grace period of RCU and RCU tasks trace.
 */
void uprobe_unregister_sync(void)
{
	synchronize_rcu_tasks_trace();
	if (!rcu_trace_implies_rcu_gp())
		synchronize_rcu();
}
EXPORT_SYMBOL_GPL(uprobe_unregister_sync);

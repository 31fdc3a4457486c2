// SPDX-License-Identifier: GPL-2.0
/*
 * How do the address spaces come to have the sites that are wanted, and no others?
 *
 * All that map a file are visited when a consumer comes, and those with a site when
 * one leaves (register.c); one at a time, when it maps something (mappings.c) or a hit
 * finds nobody (deliver.c). sites.c does the work in one address space.
 *
 * What is wanted is asked again once a site is made, so that who leaves meanwhile
 * leaves nothing behind.
 */

#include <linux/bsearch.h>
#include <linux/delay.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "internal.h"

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
 * @is_wanted: the consumer that is being installed wants it
 * @is_in_scope: somebody in its scope uses it
 */
struct mapping {
	struct mm_struct *mm;
	unsigned long vaddr;
	bool is_wanted;
	bool is_in_scope;
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

/* Fills @maps up to @max; returns how many there are. @mm: whose; NULL: anybody's. */
static size_t list_mappings(struct uprobe *uprobe, const struct mm_struct *mm,
			    struct mapping *maps, size_t max, size_t *filled)
{
	struct address_space *mapping = uprobe->inode->i_mapping;
	pgoff_t pgoff = uprobe->offset >> PAGE_SHIFT;
	struct vm_area_struct *vma;
	size_t nr = 0;

	*filled = 0;
	i_mmap_lock_read(mapping);
	vma_interval_tree_foreach(vma, &mapping->i_mmap, pgoff, pgoff) {
		if (!uprobe_vma_is_executed(vma) || (mm && vma->vm_mm != mm))
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
static struct mapping *get_mappings(struct uprobe *uprobe,
				    const struct mm_struct *mm, size_t *nr)
{
	struct mapping *maps = NULL;
	size_t max = 0, need;

	for (;;) {
		need = list_mappings(uprobe, mm, maps, max, nr);
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
	bool wanted;

	/* the role may have ended before the lock was taken */
	if (site->uprobe != uprobe)
		return;
	/* the site's reference may be the last one */
	refcount_inc(&uprobe->ref);
	wanted = uprobe_wanted(uprobe, mm);
	if (wanted)
		uprobe_site_refresh(site);
	else
		uprobe_site_drop_uprobe(site);
	/* which may have been its end */
	uprobe_semaphores_update(uprobe, mm, wanted);
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
static bool lock_until(struct mm_struct *mm, unsigned long deadline)
{
	/* who is being killed gets no page either (get_user_pages()) */
	while (!fatal_signal_pending(current)) {
		if (try_to_lock(mm))
			return true;
		if (time_after(jiffies, deadline))
			break;
		usleep_range(50, 200);
	}
	return false;
}

static bool lock_or_leave(struct mm_struct *mm, unsigned long vaddr,
			  unsigned long deadline)
{
	if (lock_until(mm, deadline))
		return true;
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
	/*
	 * unstable: dup_mmap() has failed half-way, or the OOM killer is here. It was wanted
	 * before the lock was taken; whoever has lost the right since has done so before it
	 * looks at its sites.
	 */
	if (!check_stable_address_space(map->mm) &&
	    vma && uprobe_vma_is_executed(vma) &&
	    file_inode(vma->vm_file) == uprobe->inode &&
	    uprobe_offset_of(vma, map->vaddr) == uprobe->offset &&
	    uprobe_wanted(uprobe, map->mm))
		uprobe_place(uprobe, vma);
	mmap_write_unlock(map->mm);
}

static int compare_mms(const void *a, const void *b)
{
	const struct mapping *x = a, *y = b;

	return x->mm < y->mm ? -1 : x->mm > y->mm;
}

static void put_in_scope(struct mapping *maps, size_t nr, struct mm_struct *mm)
{
	const struct mapping key = { .mm = mm };
	struct mapping *found, *map;

	found = bsearch(&key, maps, nr, sizeof(*maps), compare_mms);
	/* all of them, by another thread */
	if (found && found->is_in_scope)
		return;
	for (map = found; map && map >= maps && map->mm == mm; map--)
		map->is_in_scope = true;
	for (map = found; map && map < maps + nr && map->mm == mm; map++)
		map->is_in_scope = true;
}

/* One by one they would each look for their users among all tasks. @maps are sorted. */
static void ask_scope(const struct uprobe_scope *scope, struct mapping *maps,
		      size_t nr)
{
	struct task_struct *p, *t;
	struct mm_struct *mm;
	size_t i;

	for (i = 0; i < nr; i++)
		maps[i].is_in_scope = false;
	rcu_read_lock();
	for_each_process_thread(p, t) {
		mm = READ_ONCE(t->mm);
		if (mm && !(t->flags & (PF_KTHREAD | PF_USER_WORKER)) &&
		    scope->has_task(scope, t))
			put_in_scope(maps, nr, mm);
	}
	rcu_read_unlock();
	for (i = 0; i < nr; i++)
		maps[i].is_wanted &= maps[i].is_in_scope;
}

/* Before any of the address spaces is locked. @maps are sorted: one answer for each of them. */
static void ask_about_all(struct uprobe_consumer *uc, struct mapping *maps,
			  size_t nr)
{
	size_t i, wanted = 0;

	for (i = 0; i < nr; i++) {
		maps[i].is_wanted = i && maps[i].mm == maps[i - 1].mm ?
				    maps[i - 1].is_wanted :
				    uprobe_passes_filter(uc, maps[i].mm);
		wanted += maps[i].is_wanted;
		cond_resched();
	}
	if (wanted && uc->scope)
		ask_scope(uc->scope, maps, nr);
}

/*
 * A process may have mapped the place as often as it likes, and others wait for a walk. So
 * after this many it looks itself.
 */
#define MAX_IN_ONE	64

/* Return: whether to pass this one over; @nr: how many of @mm have come before. */
static bool is_too_much(struct mm_struct *mm, unsigned int nr)
{
	if (nr == MAX_IN_ONE)
		uprobe_visit_later(mm);
	return nr >= MAX_IN_ONE;
}

/**
 * uprobe_install - install a uprobe where a consumer wants it now
 * @uprobe: locked
 * @uc: one of its consumers
 * @task: in whose address space; NULL: in all
 *
 * Who maps the file meanwhile finds the uprobe in the registry; and so does @task, if
 * it gets another address space.
 *
 * Context: task context, may sleep.
 * Return: 0, -ENOMEM, or -EINTR.
 */
int uprobe_install(struct uprobe *uprobe, struct uprobe_consumer *uc,
		   const struct task_struct *task)
{
	unsigned long deadline = jiffies + WALK_PATIENCE;
	struct mm_struct *mm = task ? READ_ONCE(task->mm) : NULL;
	struct mapping *maps;
	size_t nr, i, first = 0;
	int err = 0;

	lockdep_assert_held(&uprobe->lock);
	if (task && !mm)
		return 0;
	begin_walk();
	maps = get_mappings(uprobe, mm, &nr);
	if (IS_ERR(maps)) {
		err = PTR_ERR(maps);
		goto out;
	}
	sort(maps, nr, sizeof(*maps), compare_mms, NULL);
	ask_about_all(uc, maps, nr);
	for (i = 0; i < nr && !err; i++) {
		if (maps[i].mm != maps[first].mm)
			first = i;
		if (maps[i].is_wanted && !is_too_much(maps[i].mm, i - first))
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

static bool has_place(const struct vm_area_struct *vma,
		      const struct uprobe *uprobe)
{
	unsigned long vaddr;

	if (!uprobe_vma_is_executed(vma) ||
	    file_inode(vma->vm_file) != uprobe->inode)
		return false;
	vaddr = uprobe_vaddr_of(vma, uprobe->offset);
	return vaddr >= vma->vm_start && vaddr < vma->vm_end;
}

/* Mappings are found by address: areas may come in between. */
static bool visit_places(struct uprobe *uprobe, struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	unsigned long from = 0;

	/* dup_mmap() has failed half-way, or the OOM killer is here */
	if (check_stable_address_space(mm))
		return true;
	/* who is being killed gets no page */
	while (!fatal_signal_pending(current)) {
		vma = find_vma(mm, from);
		if (!vma)
			return true;
		from = vma->vm_end;
		if (has_place(vma, uprobe) && uprobe_wanted(uprobe, mm))
			uprobe_place(uprobe, vma);
		cond_resched();
	}
	return false;
}

static bool visit_sites(struct uprobe *uprobe, struct mm_struct *mm)
{
	struct uprobe_space *space = mm->uprobes_state.space;
	struct uprobe_site *site;
	unsigned long at = 0;

	while (!fatal_signal_pending(current)) {
		site = uprobe_site_first(space, at);
		if (!site)
			return true;
		at = site->vaddr + 1;
		if (site->uprobe == uprobe)
			uprobe_recheck_site(uprobe, site);
		cond_resched();
	}
	return false;
}

/* What isn't done in time is left to its threads. */
static void visit(struct uprobe *uprobe, struct mm_struct *mm, bool add)
{
	unsigned long deadline = jiffies + WALK_PATIENCE;
	bool done;

	/* it may have kept its lock before, and has to look at itself anyway */
	if (uprobe_is_dirty(mm))
		deadline = jiffies - 1;
	done = lock_until(mm, deadline);
	if (done) {
		done = add ? visit_places(uprobe, mm) : visit_sites(uprobe, mm);
		mmap_write_unlock(mm);
	}
	if (!done)
		uprobe_visit_later(mm);
}

/**
 * uprobe_visit - bring one address space in line with what the consumers of a uprobe want
 * @uprobe: referenced; it may have no consumer any more
 * @mm: the address space, with a user that the caller keeps
 * @add: more may be wanted than before, else less
 *
 * For consumers whose owners make and take away their sites like this
 * (uprobe_consumer::by_visit), when they have registered, and have unregistered. So nobody
 * but the owner waits for the address space, which may be large, lack memory or keep its lock.
 * For a fork meanwhile @add is a walk: the child may have inherited what another owner of the
 * same consumer has.
 *
 * Context: task context, may sleep; no locks that others need, but those of perf for a task
 * that ends, and then the wait for the mmap_lock has a limit.
 */
void uprobe_visit(struct uprobe *uprobe, struct mm_struct *mm, bool add)
{
	/* who has become somebody else by now hasn't got any */
	if (!add && !READ_ONCE(mm->uprobes_state.space))
		return;
	if (add)
		begin_walk();
	visit(uprobe, mm, add);
	if (add)
		end_walk();
}

/**
 * uprobe_visit_later - the same for all uprobes, before any of its threads goes on
 * @mm: the address space, with a user that the caller keeps
 *
 * Context: any.
 */
void uprobe_visit_later(struct mm_struct *mm)
{
	uprobe_mark_for_all(mm, 0, ULONG_MAX);
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

/* Each such walk has a number, of which a space has the latest one's, and how often that came. */
static atomic64_t rechecks;

#define RECHECK_COUNT	16

/*
 * Earlier walks that still go on count with the latest one. Its threads are told once for all of them:
 * behind the beginning of the latest one, when nobody wants the others' sites any more.
 */
static unsigned int count_in_space(struct uprobe_space *space, u64 walk)
{
	s64 old = atomic64_read(&space->rechecked), new;

	do {
		new = walk << RECHECK_COUNT;
		if (old >> RECHECK_COUNT >= (s64)walk)
			new = min_t(s64, old + 1,
				    round_down(old, BIT(RECHECK_COUNT)) |
				    MAX_IN_ONE << 1);
	} while (!atomic64_try_cmpxchg(&space->rechecked, &old, new));
	return new & GENMASK(RECHECK_COUNT - 1, 0);
}

/**
 * uprobe_recheck_everywhere - fewer may want a uprobe than before: ask at all its sites
 * @uprobe: locked
 *
 * Context: task context, may sleep.
 */
void uprobe_recheck_everywhere(struct uprobe *uprobe)
{
	unsigned long deadline = jiffies + WALK_PATIENCE;
	u64 walk = atomic64_inc_return(&rechecks);
	struct uprobe_site *site;
	struct mm_struct *mm;

	lockdep_assert_held(&uprobe->lock);
	spin_lock(&uprobe->sites_lock);
	uprobe->walk++;
	spin_unlock(&uprobe->sites_lock);

	while ((site = next_site(uprobe))) {
		mm = site->space->mm;
		if (!is_too_much(mm, count_in_space(site->space, walk)) &&
		    lock_or_leave(mm, site->vaddr, deadline)) {
			uprobe_recheck_site(uprobe, site);
			mmap_write_unlock(mm);
		}
		uprobe_site_put(site);
		mmput_async(mm);
		cond_resched();
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

// SPDX-License-Identifier: GPL-2.0
/*
 * What happens to an address space when its mappings change?
 *
 * The hooks that mm calls run under mmap_lock held for writing, with live
 * iterators over the mappings, and some under i_mmap_rwsem: they only note the
 * range that changed. Before the system call returns to user mode, the task
 * brings sites and counters in line with the mappings (uprobe_sync()). So exec,
 * dlopen(), mprotect(), mremap() and munmap() all take the same way.
 *
 * fork copies pages with breakpoints: the child gets copies of the sites at
 * once, and asks the filters before its first instruction.
 */

#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "internal.h"

/**
 * uprobe_vma_is_text - may this mapping carry breakpoints?
 * @vma: the mapping
 *
 * Text is a private mapping of a file that is executed and not written: what
 * a process maps only to read must look to it as the file does, and what it
 * writes is its own affair.
 *
 * Context: mmap_lock or i_mmap_rwsem held.
 *
 * Return: true if it may.
 */
bool uprobe_vma_is_text(const struct vm_area_struct *vma)
{
	const vm_flags_t must = VM_EXEC | VM_MAYWRITE;
	const vm_flags_t not = VM_WRITE | VM_SHARED | VM_HUGETLB | VM_IO |
			       VM_PFNMAP;

	return vma->vm_file && (vma->vm_flags & (must | not)) == must;
}

/**
 * uprobe_vma_is_executed - may uprobes be wanted in this mapping?
 * @vma: the mapping
 *
 * Where they can't be had (uprobe_vma_is_text()) they are counted.
 *
 * Context: mmap_lock or i_mmap_rwsem held.
 *
 * Return: true if they may.
 */
bool uprobe_vma_is_executed(const struct vm_area_struct *vma)
{
	return vma->vm_file && vma->vm_flags & VM_EXEC;
}

/* ---- the range that changed --------------------------------------------- */

/*
 * Somebody who will return to user mode has to do the work: the task itself,
 * or, for a change that came from outside (truncation, an io_uring worker), all
 * who have the mm. One of them wouldn't do: it may sleep, or end, while others run.
 * The task itself may never get there: uprobe_leave_to_others().
 */
static void send_word(struct mm_struct *mm)
{
	const struct task_struct *t = current;

	if (t->mm == mm &&
	    !(t->flags & (PF_KTHREAD | PF_USER_WORKER | PF_EXITING)))
		set_thread_flag(TIF_UPROBE);
	/* else there is nobody left: exit_mmap() */
	else if (atomic_read(&mm->mm_users))
		uprobe_flag_threads(mm);
}

static void widen(struct uprobes_state *state, unsigned long start,
		  unsigned long end)
{
	if (!state->dirty_end || start < state->dirty_start)
		state->dirty_start = start;
	WRITE_ONCE(state->dirty_end, max(state->dirty_end, end));
}

static void note(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct uprobes_state *state = &mm->uprobes_state;

	spin_lock(&state->lock);
	widen(state, start, end);
	spin_unlock(&state->lock);
}

/**
 * uprobe_mark - a range has changed: uprobe_sync() has to look at it
 * @mm: the address space
 * @start: first address of the range
 * @end: first address behind it
 *
 * Context: any that may take a spinlock.
 */
void uprobe_mark(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	note(mm, start, end);
	send_word(mm);
}

/**
 * uprobe_mark_for_all - the same, before any of its threads goes on in user mode
 * @mm: the address space
 * @start: first address of the range
 * @end: first address behind it
 */
void uprobe_mark_for_all(struct mm_struct *mm, unsigned long start,
			 unsigned long end)
{
	note(mm, start, end);
	uprobe_flag_threads(mm);
}

/**
 * uprobe_mark_child - look at the whole address space before it is used
 * @mm: of a task that hasn't run yet, and gets its flag next
 */
void uprobe_mark_child(struct mm_struct *mm)
{
	note(mm, 0, ULONG_MAX);
}

/**
 * uprobe_mark_areas - areas may have lost their last slot
 * @mm: unmapped they are by a task of the mm: munmap()'s bookkeeping is done
 *	for current->mm (vms_complete_munmap_vmas())
 */
void uprobe_mark_areas(struct mm_struct *mm)
{
	uprobe_mark(mm, 0, 1);
}

/*
 * The thread that takes the range works for all that have changed something in
 * it, and they must not go to user mode before it is done. So the mm stays
 * dirty meanwhile, with a range that is empty:
 *
 *	A				B
 *	mmap(): uprobe_mark()
 *					mmap(): uprobe_mark()
 *					uprobe_sync(), takes both ranges
 *	uprobe_is_dirty(): waits in
 *	uprobe_sync() for mmap_lock
 */
static bool take_dirty(struct mm_struct *mm, unsigned long *start,
		       unsigned long *end)
{
	struct uprobes_state *state = &mm->uprobes_state;

	spin_lock(&state->lock);
	*start = state->dirty_start;
	*end = state->dirty_end;
	if (state->dirty_end) {
		state->dirty_start = ULONG_MAX;
		WRITE_ONCE(state->dirty_end, 1);
	}
	spin_unlock(&state->lock);
	return *start < *end;
}

/* Unless there is something new. */
static void end_dirty(struct mm_struct *mm)
{
	struct uprobes_state *state = &mm->uprobes_state;

	spin_lock(&state->lock);
	/* pairs with uprobe_is_dirty(): the work is done */
	if (state->dirty_start == ULONG_MAX)
		smp_store_release(&state->dirty_end, 0);
	spin_unlock(&state->lock);
}

/**
 * uprobe_is_dirty - is there anything for uprobe_sync() to do?
 * @mm: the current task's
 *
 * Return: true if there is.
 */
bool uprobe_is_dirty(const struct mm_struct *mm)
{
	const struct uprobe_space *space = READ_ONCE(mm->uprobes_state.space);

	/* in this order: pairs with retry_absent() */
	if (space && (READ_ONCE(space->inherited) ||
		      smp_load_acquire(&space->absent_end)))
		return true;
	/* pairs with end_dirty() */
	return smp_load_acquire(&mm->uprobes_state.dirty_end);
}

static bool has_sites(struct uprobe_space *space, unsigned long start,
		      unsigned long end)
{
	struct uprobe_site *site;
	bool found;

	spin_lock(&space->tree_lock);
	site = uprobe_site_first(space, start);
	found = site && site->vaddr < end;
	spin_unlock(&space->tree_lock);
	return found;
}

/* Is it worth while to ask the filters? @vma is in its file's i_mmap. */
static bool may_be_wanted(const struct vm_area_struct *vma)
{
	struct inode *inode = file_inode(vma->vm_file);

	switch (uprobe_registry_audience(inode)) {
	case UPROBE_AUDIENCE_NONE:
		return false;
	case UPROBE_AUDIENCE_TARGETS:
		return uprobe_is_target(vma->vm_mm) ||
		       uprobe_registry_has_scope(inode, vma->vm_mm);
	case UPROBE_AUDIENCE_ANY:
		return true;
	}
	return true;
}

/* ---- hooks of mm -------------------------------------------------------- */

/**
 * uprobe_mm_init - a new address space
 * @mm: not yet visible to anyone
 *
 * Called by mm_init() in kernel/fork.c, for exec and for fork (where the
 * fields hold a copy of the parent's).
 */
void uprobe_mm_init(struct mm_struct *mm)
{
	mm->uprobes_state = (struct uprobes_state){};
	spin_lock_init(&mm->uprobes_state.lock);
}

/**
 * uprobe_mmap - a mapping of a file has come, grown, or changed protection
 * @vma: the mapping, already in its file's i_mmap
 *
 * Called by mmap_region(), vma_complete() and mprotect_fixup(), with
 * mmap_lock held for writing, always by a task of this mm. The cost for a file
 * without uprobes is one look-up in a hash. If they are all meant for other tasks,
 * these are looked for, but however many uprobes there are, none of them is looked at.
 *
 * Return: 0.
 */
int uprobe_mmap(struct vm_area_struct *vma)
{
	struct uprobe_space *space = vma->vm_mm->uprobes_state.space;
	bool affected;

	if (!vma->vm_file)
		return 0;
	/*
	 * mprotect() may have made it text just now, under mmap_lock alone: either a
	 * registration sees that in list_mappings(), whose i_mmap_rwsem is the other
	 * barrier, or its uprobe is seen here
	 */
	smp_mb();
	affected = uprobe_vma_is_executed(vma) && may_be_wanted(vma);
	if (!affected && !uprobe_vma_is_text(vma))
		affected = space && (has_sites(space, vma->vm_start,
					       vma->vm_end) ||
				     uprobe_semaphores_waiting(space));
	if (affected)
		uprobe_mark(vma->vm_mm, vma->vm_start, vma->vm_end);
	return 0;
}

/**
 * uprobe_munmap - pages of a mapping of a file go, or the mapping changes
 * @vma: the mapping
 * @start: of the range
 * @end: of the range
 *
 * Called by vma_prepare() and unmap_single_vma(): under mmap_lock as a rule,
 * but for truncation under i_mmap_rwsem alone, by a task of any mm, while the
 * mm may be exiting. Hence RCU.
 */
void uprobe_munmap(struct vm_area_struct *vma, unsigned long start,
		   unsigned long end)
{
	struct uprobe_space *space;

	rcu_read_lock();
	space = READ_ONCE(vma->vm_mm->uprobes_state.space);
	if (space && READ_ONCE(space->restorer) != current &&
	    has_sites(space, start, end))
		uprobe_mark(vma->vm_mm, start, end);
	rcu_read_unlock();
}

/* The file has no breakpoints: the pages are the process's own. */
static int restore_moved(struct vm_area_struct *vma, unsigned long from,
			 unsigned long to, unsigned long len)
{
	struct uprobe_space *space = vma->vm_mm->uprobes_state.space;
	struct uprobe_site *site;
	unsigned long at = from, now;
	int err = 0;

	while (!err && (site = uprobe_site_first(space, at)) &&
	       site->vaddr < from + len) {
		at = site->vaddr + 1;
		now = to + (site->vaddr - from);
		if (site->byte != UPROBE_BREAKPOINT &&
		    file_inode(vma->vm_file) == site->inode &&
		    uprobe_offset_of(vma, now) == site->offset)
			err = uprobe_text_restore(space->mm, now, site->byte);
	}
	return err;
}

/**
 * uprobe_moved - mremap() has moved pages of a file's mapping
 * @vma: the new mapping, already in its file's i_mmap
 * @from: where they were; that mapping stays as it is, or goes next
 * @to: where they are now
 * @len: how many bytes
 *
 * Breakpoints that came along have no sites there, and are taken away at once.
 *
 * Called by move_vma() with mmap_lock held for writing, by a task of this mm.
 * Return: 0; or -ENOMEM and the like, upon which move_vma() moves the pages back.
 */
int uprobe_moved(struct vm_area_struct *vma, unsigned long from,
		 unsigned long to, unsigned long len)
{
	struct uprobe_space *space = vma->vm_mm->uprobes_state.space;
	int err = 0;

	if (!vma->vm_file)
		return 0;
	if (space && has_sites(space, from, from + len)) {
		err = restore_moved(vma, from, to, len);
		uprobe_mark(vma->vm_mm, from, from + len);
	}
	uprobe_mmap(vma);
	return err;
}

/**
 * uprobe_dup_mmap - fork is about to copy the mappings
 * @oldmm: the parent's, mmap_lock held for writing
 * @newmm: the child's, not yet visible to anyone
 *
 * Return: 0, or -ENOMEM, upon which the fork fails.
 */
int uprobe_dup_mmap(struct mm_struct *oldmm, struct mm_struct *newmm)
{
	struct uprobes_state *old = &oldmm->uprobes_state;
	struct uprobes_state *new = &newmm->uprobes_state;
	struct uprobe_space *space;

	mmap_assert_write_locked(oldmm);
	new->dup_seq = uprobe_walks_done();
	/* another thread of the parent may have mapped something just now */
	spin_lock(&old->lock);
	new->dirty_start = old->dirty_start;
	new->dirty_end = old->dirty_end;
	spin_unlock(&old->lock);

	if (!old->space)
		return 0;
	if (old->space->absent_end)
		widen(new, old->space->absent_start, old->space->absent_end);
	if (uprobe_space_is_empty(old->space))
		return 0;
	space = uprobe_space_clone(old->space, newmm);
	if (IS_ERR(space))
		return PTR_ERR(space);
	smp_store_release(&new->space, space);
	return 0;
}

/**
 * uprobe_clear_state - nobody uses this address space any more
 * @mm: whose last user has gone; called by __mmput() before exit_mmap()
 */
void uprobe_clear_state(struct mm_struct *mm)
{
	struct uprobe_space *space = mm->uprobes_state.space;

	if (!space)
		return;
	WRITE_ONCE(mm->uprobes_state.space, NULL);
	uprobe_space_free(space);
}

/* ---- bringing sites in line with mappings ------------------------------- */

/*
 * A breakpoint that may have gone can't be renewed. If its uprobe can't have
 * another site, fill_mapping() counts that.
 */
static void give_up(struct uprobe_site *site, int err)
{
	struct mm_struct *mm = site->space->mm;

	/* uprobe_sync() comes back */
	if (err == -EAGAIN)
		return;
	/* sync() leaves it to others */
	if (err == -EINTR)
		return;
	/* after fork only sites are looked at, and nobody would fill the place */
	if (site->uprobe && site->space->inherited)
		uprobe_mark(mm, site->vaddr, site->vaddr + 1);
	uprobe_site_remove(site);
}

/* The mapping is as it should be: is the rest? */
static void renew_site(struct uprobe_site *site)
{
	struct mm_struct *mm = site->space->mm;
	int err = uprobe_site_verify(site);
	u8 byte;

	if (err) {
		give_up(site, err);
		return;
	}
	uprobe_slot_check(site);
	/* a debugger may have written, and written back */
	WRITE_ONCE(site->text, uprobe_text_of(site));
	if (uprobe_text_read(mm, site->vaddr, &byte, 1, NULL) != 1 ||
	    byte == UPROBE_BREAKPOINT)
		return;
	/*
	 * madvise() and truncation have taken the copied page away, and what a
	 * debugger had written there; or mremap() has left the file's
	 */
	site->byte = byte;
	WRITE_ONCE(site->text, TEXT_INTACT);
	err = uprobe_text_set_breakpoint(mm, site->vaddr, byte);
	if (err == -EAGAIN)
		err = uprobe_put_off(site->space, site->vaddr, site->vaddr);
	if (err)
		give_up(site, err);
}

/*
 * fork, which mustn't fail for that, may have made more than the payer may have. Others
 * may want the same.
 */
static bool is_too_much(struct uprobe_site *site)
{
	struct uprobe_user *payer = site->payer, *other;

	/* it goes by itself if there are no entries any more */
	if (!site->uprobe)
		return false;
	if (!uprobe_user_has_too_many(payer, UPROBE_QUOTA_SITES) &&
	    !uprobe_user_has_too_many(payer, UPROBE_QUOTA_SLOT_PAGES))
		return false;
	/* it is counted to him until it goes, as it is about to */
	if (!uprobe_wanted(site->uprobe, site->space->mm))
		return false;
	if (uprobe_charge(site->uprobe, site->space->mm, false,
			  UPROBE_QUOTA_SITES, &other))
		return true;
	/* the new one or the old one; pages of slots stay with whoever they were made for */
	uprobe_user_uncharge(payer, UPROBE_QUOTA_SITES, 1);
	site->payer = other;
	return other == payer &&
	       uprobe_user_has_too_many(payer, UPROBE_QUOTA_SLOT_PAGES);
}

static void check_site(struct uprobe_site *site)
{
	struct mm_struct *mm = site->space->mm;
	struct vm_area_struct *vma = vma_lookup(mm, site->vaddr);

	/* gone, moved, about to be written, or only to be read */
	if (!uprobe_site_matches(site, vma) || !uprobe_vma_is_text(vma)) {
		uprobe_site_remove(site);
		return;
	}
	uprobe_site_link(site);
	if (site->space->inherited && is_too_much(site)) {
		uprobe_count(site->uprobe, mm, UPROBE_MISSED_INSTALL);
		/* somebody else's call may have to return here */
		if (!site->is_return) {
			uprobe_site_remove(site);
			return;
		}
		uprobe_site_end_entry(site);
		if (!site->is_return)
			return;
	}
	if (site->uprobe)
		uprobe_recheck_site(site->uprobe, site);
	if (site->uprobe || site->is_return)
		renew_site(site);
	/* who has taken its role couldn't take its breakpoint */
	else if (uprobe_site_find(site->space, site->vaddr) == site)
		uprobe_site_remove(site);
}

static void check_sites(struct uprobe_space *space, unsigned long start,
			unsigned long end)
{
	struct uprobe_site *site;

	while (!fatal_signal_pending(current) &&
	       (site = uprobe_site_first(space, start)) && site->vaddr < end) {
		start = site->vaddr + 1;
		refcount_inc(&site->ref);
		check_site(site);
		uprobe_site_put(site);
		cond_resched();
	}
}

/*
 * Not beside the range: what is refused there has been counted. @general: only for
 * consumers that may want anybody; the others may be many.
 */
static void fill_mapping(struct vm_area_struct *vma, unsigned long start,
			 unsigned long end, bool general)
{
	struct inode *inode = file_inode(vma->vm_file);
	loff_t from = uprobe_offset_of(vma, max(vma->vm_start, start));
	loff_t to = uprobe_offset_of(vma, min(vma->vm_end, end));
	struct uprobe *uprobe;

	while (!fatal_signal_pending(current) &&
	       (uprobe = uprobe_registry_next(inode, from, to, general))) {
		from = uprobe->offset + 1;
		if (uprobe_wanted(uprobe, vma->vm_mm))
			uprobe_place(uprobe, vma);
		uprobe_put(uprobe);
		cond_resched();
	}
}

/* Mappings are found by address: areas may come in between. */
static void fill_mappings(struct mm_struct *mm, unsigned long start,
			  unsigned long end)
{
	struct vm_area_struct *vma;
	/* for all of them: they stand in i_mmap, and none comes while the lock is held */
	bool is_target = uprobe_is_target(mm), meant;
	enum uprobe_audience audience;
	unsigned long from = start;
	struct inode *inode;

	while (!fatal_signal_pending(current) &&
	       (vma = find_vma(mm, from)) && vma->vm_start < end) {
		from = vma->vm_end;
		cond_resched();
		if (!uprobe_vma_is_executed(vma))
			continue;
		inode = file_inode(vma->vm_file);
		audience = uprobe_registry_audience(inode);
		if (audience == UPROBE_AUDIENCE_NONE)
			continue;
		meant = is_target || uprobe_registry_has_scope(inode, mm);
		if (meant || audience == UPROBE_AUDIENCE_ANY)
			fill_mapping(vma, start, end, !meant);
	}
}

static void sync_range(struct mm_struct *mm, unsigned long start,
		       unsigned long end)
{
	if (mm->uprobes_state.space)
		check_sites(mm->uprobes_state.space, start, end);
	fill_mappings(mm, start, end);
}

/* Threads may be in slots for as long as a page fault there takes. */
#define TIDY_DELAY	(HZ / 10)

static void tidy_up(struct uprobe_space *space)
{
	if (!uprobe_areas_unmap(space))
		queue_delayed_work(system_unbound_wq, &space->tidy, TIDY_DELAY);
}

/* Who is being killed can't read, or write: uprobe_leave_to_others(). */
static bool sync_dirty(struct mm_struct *mm, unsigned long start,
		       unsigned long end)
{
	sync_range(mm, start, end);
	if (!fatal_signal_pending(current))
		return true;
	uprobe_mark(mm, start, end);
	return false;
}

/*
 * What had to wait for a page is tried again, by itself: what is refused near it has
 * been counted. Meanwhile the mm is dirty, as in take_dirty().
 */
static void retry_absent(struct mm_struct *mm, struct uprobe_space *space)
{
	struct uprobes_state *state = &mm->uprobes_state;
	unsigned long start = space->absent_start, end = space->absent_end;

	if (!end)
		return;
	spin_lock(&state->lock);
	widen(state, ULONG_MAX, 1);
	spin_unlock(&state->lock);
	/* pairs with uprobe_is_dirty() */
	smp_store_release(&space->absent_end, 0);
	sync_dirty(mm, start, end);
}

/* A space may come into being meanwhile. */
static void say_synced(struct mm_struct *mm, bool is_synced)
{
	struct uprobe_space *space = mm->uprobes_state.space;

	if (space)
		space->is_synced = is_synced;
}

/* Return: where a page is that has to come first, or 0. */
static unsigned long sync(struct mm_struct *mm, unsigned long unreadable,
			  bool again)
{
	struct uprobe_space *space = mm->uprobes_state.space;
	unsigned long start, end;

	say_synced(mm, true);
	if (space && space->inherited) {
		check_sites(space, 0, ULONG_MAX);
		WRITE_ONCE(space->inherited, fatal_signal_pending(current));
	}
	if (space) {
		space->unreadable = unreadable;
		retry_absent(mm, space);
	}
	while (take_dirty(mm, &start, &end) && sync_dirty(mm, start, end))
		say_synced(mm, true);
	say_synced(mm, false);

	space = mm->uprobes_state.space;
	if (!space)
		return 0;
	uprobe_semaphores_retry(space, again);
	/* nor write: whose sync() it is tries all of them */
	if (fatal_signal_pending(current))
		uprobe_mark_areas(mm);
	if (RB_EMPTY_ROOT(&space->tree))
		tidy_up(space);
	space->unreadable = 0;
	return space->absent_end ? space->absent : 0;
}

/**
 * uprobe_leave_to_others - the current thread ends, is being killed, or calls execve()
 * @mm: its own
 *
 * What it should have done before it goes on in user mode is for those to do who
 * have the address space, too, be they other processes. do_exit() takes it out of
 * signal::live, and exit_mm() out of mm_users; so it is with others that end.
 *
 * Context: task context.
 */
void uprobe_leave_to_others(struct mm_struct *mm)
{
	int users = atomic_read(&mm->mm_users);

	if (current->flags & PF_EXITING)
		users--;
	smp_rmb();
	if (users > atomic_read(&current->signal->live) && uprobe_is_dirty(mm))
		uprobe_flag_threads(mm);
}

/**
 * uprobe_sync - bring sites and counters in line with the mappings
 * @mm: the current task's
 *
 * Who is being killed leaves it undone: uprobe_leave_to_others().
 *
 * Context: task context without locks, before the return to user mode.
 */
void uprobe_sync(struct mm_struct *mm)
{
	unsigned long absent, unreadable = 0;
	unsigned int waits = 0;
	bool again = false;

	while (!fatal_signal_pending(current) &&
	       !mmap_write_lock_killable(mm)) {
		absent = sync(mm, unreadable, again);
		again = true;
		end_dirty(mm);
		mmap_write_unlock(mm);
		if (!absent)
			break;
		unreadable = absent;
		if (uprobe_wait_for_page(absent) && ++waits < UPROBE_MAX_WAITS)
			unreadable = 0;
	}
}

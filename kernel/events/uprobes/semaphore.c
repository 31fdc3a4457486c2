// SPDX-License-Identifier: GPL-2.0
/*
 * Who tells the program that somebody listens?
 *
 * An SDT marker may be guarded by a counter in the program's data (its
 * semaphore): the program prepares the marker's arguments only while the
 * counter isn't 0. A consumer that was registered with ref_ctr_offset adds 1 in
 * each address space where it wants the hits, and takes it back when it leaves.
 *
 * The dynamic linker maps the text of a library before its data, so that a
 * counter may have to wait for its mapping (uprobe_semaphores_retry()).
 *
 * walk.c and mappings.c call in here when consumers or mappings change.
 */

#include <linux/highmem.h>
#include <linux/slab.h>

#include "internal.h"

/**
 * struct uprobe_semaphore - what one consumer has done to one counter
 * @list: in uprobe_space::semaphores
 * @uprobe: of the consumer; only compared. NULL if it has left, and what it has
 *	added couldn't be taken back yet.
 * @uc: the consumer; only compared
 * @since: its uprobe_consumer::since; another one may come to have its address
 * @inode: the file with the counter; only compared
 * @offset: of the counter in the file
 * @vaddr: address of the counter that was increased, 0 as long as there is
 *	no mapping of it
 * @unreadable: its page has been waited for in vain by this uprobe_sync()
 *
 * All of it under mmap_lock held for writing.
 */
struct uprobe_semaphore {
	struct list_head		list;
	const struct uprobe		*uprobe;
	const struct uprobe_consumer	*uc;
	u64				since;
	const struct inode		*inode;
	loff_t				offset;
	unsigned long			vaddr;
	bool				unreadable;
};

static bool holds_counter(const struct uprobe_semaphore *sem,
			  const struct vm_area_struct *vma)
{
	unsigned long vaddr;

	if (!vma->vm_file || file_inode(vma->vm_file) != sem->inode ||
	    (vma->vm_flags & (VM_WRITE | VM_SHARED)) != VM_WRITE)
		return false;
	vaddr = uprobe_vaddr_of(vma, sem->offset);
	return vaddr >= vma->vm_start && vaddr < vma->vm_end;
}

static unsigned long find_counter(const struct uprobe_semaphore *sem,
				  struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	VMA_ITERATOR(vmi, mm, 0);

	for_each_vma(vmi, vma) {
		if (holds_counter(sem, vma))
			return uprobe_vaddr_of(vma, sem->offset);
	}
	return 0;
}

/* The counter is aligned, so that it lies within one page. */
static int add_to_counter(struct mm_struct *mm, unsigned long vaddr, int d)
{
	struct page *page = d > 0 ? uprobe_page_make(mm, vaddr, 0) :
			    uprobe_page_get_back(mm, vaddr, FOLL_WRITE);
	short *counter;
	int err = 0;

	if (IS_ERR(page))
		return PTR_ERR(page);
	counter = kmap_local_page(page) + offset_in_page(vaddr);
	/* a program that wrote there itself must not see it wrap */
	if (*counter + d < 0 || *counter + d > SHRT_MAX)
		err = -ERANGE;
	else
		*counter += d;
	kunmap_local(counter);
	if (!err)
		set_page_dirty_lock(page);
	put_page(page);
	return err;
}

static void try_increase(struct uprobe_semaphore *sem, struct mm_struct *mm)
{
	unsigned long vaddr = sem->unreadable ? 0 : find_counter(sem, mm);
	int err;

	if (!vaddr)
		return;
	err = add_to_counter(mm, vaddr, 1);
	if (err == -EAGAIN)
		err = uprobe_put_off(mm->uprobes_state.space, vaddr, vaddr);
	if (!err)
		sem->vaddr = vaddr;
	sem->unreadable = err == -EIO;
}

/*
 * Return: 0, also if it is gone, because the process has mapped something else
 * there, or has thrown away its copy of the page, which isn't at hand then; or
 * -errno if that can't be done, or found out, just now.
 */
static int take_back(struct uprobe_semaphore *sem, struct mm_struct *mm)
{
	int err;

	if (!sem->vaddr || find_counter(sem, mm) != sem->vaddr)
		return 0;
	err = add_to_counter(mm, sem->vaddr, -1);
	return err == -EINTR || err == -ENOMEM || err == -EBUSY ? err : 0;
}

/* @sem is in a list; if it has to stay, in that of its space. */
static void release(struct uprobe_semaphore *sem, struct mm_struct *mm)
{
	int err = take_back(sem, mm);

	list_del(&sem->list);
	if (!err) {
		kfree(sem);
		return;
	}
	sem->uprobe = NULL;
	list_add(&sem->list, &mm->uprobes_state.space->semaphores);
}

static struct uprobe_semaphore *find(struct uprobe_space *space,
				     const struct uprobe *uprobe,
				     const struct uprobe_consumer *uc)
{
	struct uprobe_semaphore *sem;

	list_for_each_entry(sem, &space->semaphores, list) {
		if (sem->uprobe == uprobe && sem->uc == uc &&
		    sem->since == uc->since)
			return sem;
	}
	return NULL;
}

/* Without memory the marker stays off for this consumer: it gets no hits. */
static void add(struct uprobe_space *space, struct uprobe *uprobe,
		struct uprobe_consumer *uc)
{
	struct uprobe_semaphore *sem = kzalloc(sizeof(*sem),
					       GFP_KERNEL_ACCOUNT |
					       UPROBE_MAY_FAIL);

	if (!sem)
		return;
	sem->uprobe = uprobe;
	sem->uc = uc;
	sem->since = uc->since;
	sem->inode = uprobe->inode;
	sem->offset = uc->ref_ctr_offset;
	list_add(&sem->list, &space->semaphores);
}

static bool is_wanted(const struct uprobe_semaphore *sem, struct mm_struct *mm)
{
	struct uprobe_consumer *uc;

	for_each_consumer(uc, sem->uprobe) {
		if (uc == sem->uc && uc->since == sem->since)
			return uprobe_consumer_wants(uc, mm);
	}
	return false;
}

static bool has_site(struct uprobe_space *space, const struct uprobe *uprobe)
{
	struct uprobe_site *site;
	unsigned long at = 0;

	while ((site = uprobe_site_first(space, at))) {
		if (site->uprobe == uprobe)
			return true;
		at = site->vaddr + 1;
	}
	return false;
}

/* All of a uprobe, if it has no site. */
static void take_unwanted(struct uprobe_space *space, struct uprobe *uprobe,
			  bool has_site, struct list_head *unwanted)
{
	struct uprobe_semaphore *sem, *next;

	list_for_each_entry_safe(sem, next, &space->semaphores, list) {
		if (sem->uprobe != uprobe)
			continue;
		if (!has_site || !is_wanted(sem, space->mm))
			list_move(&sem->list, unwanted);
	}
}

static void add_wanted(struct uprobe_space *space, struct uprobe *uprobe)
{
	struct uprobe_consumer *uc;

	for_each_consumer(uc, uprobe) {
		if (uc->ref_ctr_offset && !find(space, uprobe, uc) &&
		    uprobe_consumer_wants(uc, space->mm))
			add(space, uprobe, uc);
	}
}

static bool has_semaphores(struct uprobe_space *space,
			   const struct uprobe *uprobe)
{
	struct uprobe_semaphore *sem;

	list_for_each_entry(sem, &space->semaphores, list) {
		if (sem->uprobe == uprobe)
			return true;
	}
	return false;
}

static bool wants_semaphores(const struct uprobe *uprobe, struct mm_struct *mm)
{
	struct uprobe_consumer *uc;
	bool wants = false;

	rcu_read_lock_trace();
	for_each_consumer(uc, uprobe) {
		wants = uc->ref_ctr_offset && uprobe_consumer_wants(uc, mm);
		if (wants)
			break;
	}
	rcu_read_unlock_trace();
	return wants;
}

static bool has_leavers(struct uprobe_space *space)
{
	struct uprobe_semaphore *sem;

	list_for_each_entry(sem, &space->semaphores, list) {
		if (!sem->uprobe)
			return true;
	}
	return false;
}

/**
 * uprobe_semaphores_update - consumers or sites of a uprobe have changed
 * @uprobe: the uprobe
 * @mm: with a space; counters in it go up or down
 * @placed: it is known to have a site there
 *
 * The section of RCU is for the consumers; a page may have to come from a disk,
 * and the whole system would wait for the section. What can't be taken back,
 * for want of memory, or because the current task is being killed, is left to those
 * who have the mm.
 *
 * Context: mmap_lock held for writing. May sleep.
 */
void uprobe_semaphores_update(struct uprobe *uprobe, struct mm_struct *mm,
			      bool placed)
{
	struct uprobe_space *space = mm->uprobes_state.space;
	struct uprobe_semaphore *sem, *next;
	LIST_HEAD(unwanted);
	bool wanted;

	mmap_assert_write_locked(mm);
	wanted = wants_semaphores(uprobe, mm);
	if (!wanted && !has_semaphores(space, uprobe))
		return;
	/* only now: sites may be many */
	placed = placed || (wanted && has_site(space, uprobe));
	rcu_read_lock_trace();
	take_unwanted(space, uprobe, placed, &unwanted);
	if (placed)
		add_wanted(space, uprobe);
	rcu_read_unlock_trace();

	list_for_each_entry_safe(sem, next, &unwanted, list)
		release(sem, mm);
	if (has_leavers(space))
		uprobe_mark_areas(mm);
	list_for_each_entry(sem, &space->semaphores, list) {
		if (sem->uprobe == uprobe && !sem->vaddr)
			try_increase(sem, mm);
	}
}

/**
 * uprobe_semaphores_recheck - count down what nobody wants any more
 * @mm: with a space
 *
 * Context: mmap_lock held for writing. May sleep.
 */
void uprobe_semaphores_recheck(struct mm_struct *mm)
{
	struct uprobe_space *space = mm->uprobes_state.space;
	struct uprobe_semaphore *sem, *next;
	LIST_HEAD(unwanted);

	mmap_assert_write_locked(mm);
	list_for_each_entry_safe(sem, next, &space->semaphores, list) {
		/* a uprobe that has one here has a site here */
		rcu_read_lock_trace();
		if (sem->uprobe && !is_wanted(sem, mm))
			list_move(&sem->list, &unwanted);
		rcu_read_unlock_trace();
	}
	list_for_each_entry_safe(sem, next, &unwanted, list)
		release(sem, mm);
	if (has_leavers(space))
		uprobe_mark_areas(mm);
}

/**
 * uprobe_semaphores_waiting - is there a counter whose mapping hasn't come?
 * @space: where; the caller's own
 *
 * Context: mmap_lock held.
 *
 * Return: true if there is.
 */
bool uprobe_semaphores_waiting(struct uprobe_space *space)
{
	struct uprobe_semaphore *sem;

	list_for_each_entry(sem, &space->semaphores, list) {
		if (!sem->vaddr)
			return true;
	}
	return false;
}

/**
 * uprobe_semaphores_retry - mappings have come that may hold counters; or one is
 *	to be taken back
 * @space: where
 * @again: not for the first time in this uprobe_sync()
 *
 * Context: mmap_lock held for writing. May sleep.
 */
void uprobe_semaphores_retry(struct uprobe_space *space, bool again)
{
	struct uprobe_semaphore *sem, *next;

	mmap_assert_write_locked(space->mm);
	list_for_each_entry_safe(sem, next, &space->semaphores, list) {
		/* each of them looks for its mapping; there may be many of both */
		if (fatal_signal_pending(current))
			break;
		cond_resched();
		sem->unreadable &= again;
		if (!sem->uprobe)
			release(sem, space->mm);
		else if (!sem->vaddr)
			try_increase(sem, space->mm);
	}
}

/**
 * uprobe_semaphores_clone - fork: the counters were copied with the memory
 * @to: the child's space
 * @from: the parent's
 *
 * Context: mmap_lock of the parent held for writing.
 * Return: 0 or -ENOMEM; uprobe_semaphores_free() cleans up.
 */
int uprobe_semaphores_clone(struct uprobe_space *to, struct uprobe_space *from)
{
	struct uprobe_semaphore *sem, *copy;

	list_for_each_entry(sem, &from->semaphores, list) {
		copy = kmemdup(sem, sizeof(*sem), GFP_KERNEL_ACCOUNT);
		if (!copy)
			return -ENOMEM;
		list_add(&copy->list, &to->semaphores);
	}
	return 0;
}

/**
 * uprobe_semaphores_free - forget all counters
 * @space: of an mm that nobody uses any more
 */
void uprobe_semaphores_free(struct uprobe_space *space)
{
	struct uprobe_semaphore *sem, *next;

	list_for_each_entry_safe(sem, next, &space->semaphores, list)
		kfree(sem);
	INIT_LIST_HEAD(&space->semaphores);
}

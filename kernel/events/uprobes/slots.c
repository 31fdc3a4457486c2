// SPDX-License-Identifier: GPL-2.0
/*
 * Where do displaced instructions execute?
 *
 * In slots: copies of the instruction in areas of their own, mapped into the
 * process within reach of the code, so that an operand relative to the
 * instruction pointer only needs another displacement. A slot belongs to its
 * site for as long as the site lives; threads share it. Areas come as they are
 * needed and double what there is for the same code: no number of probes or
 * threads is one at which slots run out. (But code may be scattered too widely.)
 *
 * A thread runs through a slot without the kernel's knowledge. So the slot of
 * a site that goes is only retired: it is used again when no thread stands in
 * it (uprobe_slots_reclaim()). Until then the area tells which place each
 * address of the slot stands for (uprobe_slot_origin()).
 *
 * The mapping is r-x, its pages are zeroed and charged to the process's memory
 * cgroup, and only the kernel writes there, through its own mapping. fork
 * copies the mapping, but not the pages: the child's space has its own
 * (uprobe_areas_clone()), found through vm_mm at fault time.
 *
 * sites.c allocates slots; hit.c sends threads there, interrupt.c tells where
 * they would be without.
 */

#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "internal.h"

#define SLOTS_PER_PAGE	(PAGE_SIZE / UPROBE_SLOT_SIZE)
#define MAX_AREA_PAGES	64U

/* So many areas may be lost with threads in their slots; then no more are made. */
#define MAX_LOST	64U

/*
 * A process gets so many. One that scatters its code needs one for each 2 GB; an
 * interrupt looks through all of them.
 */
#define MAX_AREAS	1024U

/* how often to look for threads in slots, if the last look was in vain */
#define SCAN_INTERVAL	(HZ / 20)

static_assert(PAGE_SIZE % UPROBE_SLOT_SIZE == 0);

/**
 * struct uprobe_slot - what a slot stands for
 * @vaddr: address of the original instruction; 0 if the slot is free. Set
 *	before a thread can be sent to the slot, and cleared when none can be
 *	in it any more.
 * @retired: 0, or when its site has gone, for poll_state_synchronize_rcu()
 * @scan: last scan for which it was a candidate: retired, and the grace period
 *	had passed. mmap_lock.
 * @seen: last scan that saw a thread in it. mmap_lock.
 * @arch: lengths of the instruction
 */
struct uprobe_slot {
	unsigned long		vaddr;
	unsigned long		retired;
	unsigned int		scan;
	unsigned int		seen;
	struct arch_uprobe_slot	arch;
};

/**
 * struct uprobe_area - one mapping with slots
 * @list: in uprobe_space::areas; written under mmap_lock, read under RCU
 * @vaddr: where it is mapped
 * @nr_pages: how long it is
 * @lost: 0, or after the process has unmapped some of it, or mapped something over
 *	it: for poll_state_synchronize_rcu(), when its sites had lost their slots.
 *	Set under mmap_lock, never cleared; its sites get other slots.
 * @unmapped: a bit for each page that isn't mapped any more. Written under
 *	mmap_lock.
 * @used: a bit for each slot that isn't free. mmap_lock.
 * @slots: what each slot stands for
 * @payer: to whom its pages are counted; or NULL
 * @rcu: frees it
 * @pages: what is mapped there; each allocated when it is first needed, by a
 *	slot or by a page fault
 *
 * Lives until the space is freed, or none of its slots is used.
 */
struct uprobe_area {
	struct list_head	list;
	unsigned long		vaddr;
	unsigned int		nr_pages;
	unsigned long		lost;
	u64			unmapped;
	unsigned long		*used;
	struct uprobe_slot	*slots;
	struct uprobe_user	*payer;
	struct rcu_head		rcu;
	struct page		*pages[];
};

static_assert(MAX_AREA_PAGES <= 64);

static unsigned int nr_slots(const struct uprobe_area *area)
{
	return area->nr_pages * SLOTS_PER_PAGE;
}

static unsigned long area_end(const struct uprobe_area *area)
{
	return area->vaddr + area->nr_pages * PAGE_SIZE;
}

static unsigned int page_of(const struct uprobe_area *area, unsigned long vaddr)
{
	return (vaddr - area->vaddr) >> PAGE_SHIFT;
}

/*
 * The area that is mapped at an address, or NULL. mmap_lock is held, or an RCU
 * read lock, or nobody else has the mm.
 */
static struct uprobe_area *area_at(const struct uprobe_space *space,
				   unsigned long vaddr)
{
	struct uprobe_area *area;

	list_for_each_entry_rcu(area, &space->areas, list, true) {
		if (vaddr >= area->vaddr && vaddr < area_end(area) &&
		    !(READ_ONCE(area->unmapped) & BIT_ULL(page_of(area, vaddr))))
			return area;
	}
	return NULL;
}

/**
 * uprobe_slot_origin - which place does an address in a slot stand for?
 * @space: of the address space
 * @addr: an instruction pointer
 * @vaddr: set to the address of the original instruction
 *
 * The slot stays what it is for as long as a thread may be in it.
 *
 * Context: any, also NMI; takes no lock.
 * Return: where the thread would be without the slot: @vaddr or behind that
 * instruction; 0 if @addr is in no slot.
 */
unsigned long uprobe_slot_origin(const struct uprobe_space *space,
				 unsigned long addr, unsigned long *vaddr)
{
	const struct uprobe_area *area;
	const struct uprobe_slot *slot;
	unsigned long origin = 0;
	unsigned int i;

	rcu_read_lock();
	area = area_at(space, addr);
	if (area) {
		i = (addr - area->vaddr) / UPROBE_SLOT_SIZE;
		slot = &area->slots[i];
		*vaddr = READ_ONCE(slot->vaddr);
		if (*vaddr)
			origin = arch_uprobe_slot_origin(&slot->arch, *vaddr,
						addr % UPROBE_SLOT_SIZE);
	}
	rcu_read_unlock();
	return origin;
}

/* A page of the area, zeroed when it is new; NULL without memory. */
static struct page *area_page(struct uprobe_area *area, unsigned int i,
			      gfp_t may_fail)
{
	struct page *page = READ_ONCE(area->pages[i]);
	struct page *new, *other;

	if (page)
		return page;
	new = alloc_page(GFP_HIGHUSER | __GFP_ZERO | __GFP_ACCOUNT |
			 may_fail);
	if (!new)
		return NULL;
	/* another thread may fault here at the same time */
	other = cmpxchg(&area->pages[i], NULL, new);
	if (other)
		__free_page(new);
	return other ?: new;
}

/*
 * A page fault in an area. Without ->map_pages it is never called under the
 * lock of the vma alone (vmf_can_call_fault() in mm/memory.c): mmap_lock is
 * held, which keeps writers of the list away.
 */
static vm_fault_t area_fault(struct vm_fault *vmf)
{
	struct uprobe_space *space = vmf->vma->vm_mm->uprobes_state.space;
	struct uprobe_area *area;
	struct page *page;

	area = space ? area_at(space, vmf->address) : NULL;
	if (!area)
		return VM_FAULT_SIGBUS;
	page = area_page(area, page_of(area, vmf->address), 0);
	if (!page)
		return VM_FAULT_OOM;
	get_page(page);
	vmf->page = page;
	return 0;
}

/* Its sites have lost their slots, and hits find new ones. */
static void lose_area(struct uprobe_space *space, struct uprobe_area *area)
{
	struct uprobe_site *site;
	unsigned long at = 0;

	/* munmap() closes mappings with the lock downgraded: no writer is here */
	mmap_assert_locked(space->mm);
	if (area->lost)
		return;
	/* from here on nobody is sent there who isn't in an RCU section now */
	WRITE_ONCE(area->lost, 1);
	space->nr_lost++;
	while ((site = uprobe_site_first(space, at))) {
		at = site->vaddr + 1;
		if (site->area == area)
			uprobe_slot_retire(site);
	}
	WRITE_ONCE(area->lost, get_state_synchronize_rcu() ?: 1);
}

static unsigned int index_of(const struct uprobe_area *area,
			     unsigned long slot)
{
	return (slot - area->vaddr) / UPROBE_SLOT_SIZE;
}

static bool has_used(const struct uprobe_area *area, unsigned long from,
		     unsigned long to)
{
	unsigned int end = index_of(area, to);

	return find_next_bit(area->used, end, index_of(area, from)) < end;
}

static void note_unmapped(struct uprobe_area *area, unsigned long from,
			  unsigned long to)
{
	unsigned int first = page_of(area, from), last = page_of(area, to - 1);

	WRITE_ONCE(area->unmapped, area->unmapped | GENMASK_ULL(last, first));
}

/*
 * The process unmaps the area or what is left of it, or maps something over it;
 * or it exits, and its space has gone before.
 */
static void area_closed(struct vm_area_struct *vma)
{
	struct uprobe_space *space = vma->vm_mm->uprobes_state.space;
	struct uprobe_area *area;

	area = space ? area_at(space, vma->vm_start) : NULL;
	if (!area)
		return;
	lose_area(space, area);
	if (has_used(area, vma->vm_start, vma->vm_end))
		uprobe_strand(space, vma->vm_start, vma->vm_end, area->lost);
	note_unmapped(area, vma->vm_start, vma->vm_end);
}

/*
 * A part of it goes, as the process is free to do with what it doesn't know. The
 * rest stays for the threads that are in slots there.
 */
static int area_split(struct vm_area_struct *vma, unsigned long addr)
{
	struct uprobe_space *space = vma->vm_mm->uprobes_state.space;
	struct uprobe_area *area;

	area = space ? area_at(space, vma->vm_start) : NULL;
	if (area)
		lose_area(space, area);
	return 0;
}

static const char *area_name(struct vm_area_struct *vma)
{
	return "[uprobes]";
}

static int area_refuse_move(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static int area_refuse_mprotect(struct vm_area_struct *vma, unsigned long start,
				unsigned long end, unsigned long newflags)
{
	return -EACCES;
}

static const struct vm_operations_struct area_vm_ops = {
	.fault		= area_fault,
	.close		= area_closed,
	.name		= area_name,
	.may_split	= area_split,
	.mremap		= area_refuse_move,
	.mprotect	= area_refuse_mprotect,
};

static int map_area(struct mm_struct *mm, struct uprobe_area *area)
{
	return uprobe_map(mm, area->vaddr, area->nr_pages * PAGE_SIZE,
			  VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYEXEC,
			  &area_vm_ops);
}

static void free_area(struct rcu_head *rcu)
{
	struct uprobe_area *area = container_of(rcu, struct uprobe_area, rcu);
	unsigned int i;

	for (i = 0; i < area->nr_pages; i++) {
		if (area->pages[i])
			put_page(area->pages[i]);
	}
	uprobe_user_uncharge(area->payer, UPROBE_QUOTA_SLOT_PAGES,
			     area->nr_pages);
	bitmap_free(area->used);
	kvfree(area->slots);
	kfree(area);
}

static struct uprobe_area *alloc_area(unsigned int nr_pages, gfp_t may_fail)
{
	struct uprobe_area *area;

	area = kzalloc(struct_size(area, pages, nr_pages), GFP_KERNEL_ACCOUNT | may_fail);
	if (!area)
		return NULL;
	area->nr_pages = nr_pages;
	area->used = bitmap_zalloc(nr_slots(area), GFP_KERNEL_ACCOUNT | may_fail);
	area->slots = kvcalloc(nr_slots(area), sizeof(*area->slots),
			       GFP_KERNEL_ACCOUNT | may_fail);
	if (!area->used || !area->slots) {
		free_area(&area->rcu);
		return NULL;
	}
	return area;
}

static bool in_reach(const struct uprobe_area *area, unsigned long low,
		     unsigned long high)
{
	return area->vaddr >= low && area_end(area) - 1 <= high;
}

/* As much again as there is for this code. */
static unsigned int pages_wanted(struct uprobe_space *space, unsigned long low,
				 unsigned long high)
{
	struct uprobe_area *area;
	unsigned int nr = 0;

	list_for_each_entry(area, &space->areas, list) {
		if (!area->lost && in_reach(area, low, high))
			nr += area->nr_pages;
	}
	return clamp(nr, 1U, MAX_AREA_PAGES);
}

static struct uprobe_area *add_area(struct uprobe_space *space,
				    struct uprobe_user *payer,
				    unsigned long vaddr, unsigned long low,
				    unsigned long high)
{
	unsigned int nr_pages = pages_wanted(space, low, high);
	struct uprobe_area *area;
	int err;

	if (space->nr_areas >= MAX_AREAS)
		return ERR_PTR(-ENOSPC);
	area = alloc_area(nr_pages, UPROBE_MAY_FAIL);
	if (!area)
		return ERR_PTR(-ENOMEM);
	if (!uprobe_user_charge(payer, UPROBE_QUOTA_SLOT_PAGES, nr_pages)) {
		free_area(&area->rcu);
		return ERR_PTR(-EDQUOT);
	}
	area->payer = payer;
	area->vaddr = uprobe_find_room(space->mm, vaddr, low, high,
				       nr_pages * PAGE_SIZE);
	err = area->vaddr ? map_area(space->mm, area) : -ENOMEM;
	if (err) {
		free_area(&area->rcu);
		return ERR_PTR(err);
	}
	list_add_rcu(&area->list, &space->areas);
	space->nr_areas++;
	return area;
}

/* The process may have unmapped an area, or mapped something over it. */
static bool still_mapped(struct mm_struct *mm, const struct uprobe_area *area)
{
	struct vm_area_struct *vma = vma_lookup(mm, area->vaddr);

	return vma && vma->vm_ops == &area_vm_ops &&
	       vma->vm_start == area->vaddr && vma->vm_end == area_end(area);
}

/* The bytes are there before a thread is told of the slot. */
static int fill(struct uprobe_area *area, unsigned int i, const u8 *bytes,
		gfp_t may_fail)
{
	unsigned long at = i * UPROBE_SLOT_SIZE;
	struct page *page = area_page(area, at >> PAGE_SHIFT, may_fail);

	if (!page)
		return -ENOMEM;
	memcpy_to_page(page, offset_in_page(at), bytes, UPROBE_SLOT_SIZE);
	return 0;
}

static void take_slot(struct uprobe_site *site, struct uprobe_area *area,
		      unsigned int i)
{
	struct uprobe_slot *slot = &area->slots[i];

	__set_bit(i, area->used);
	arch_uprobe_describe_slot(&site->arch, &slot->arch);
	/* an interrupted thread that is looked at has read the slot's address */
	WRITE_ONCE(slot->vaddr, site->vaddr);
	WRITE_ONCE(site->area, area);
	smp_store_release(&site->slot, area->vaddr + i * UPROBE_SLOT_SIZE);
	/* pairs with boost() */
	if (site->arch.class == UPROBE_RELOCATED)
		smp_store_release(&site->next, site->slot);
}

static int use_area(struct uprobe_site *site, struct uprobe_area *area)
{
	unsigned int i = find_first_zero_bit(area->used, nr_slots(area));
	u8 bytes[UPROBE_SLOT_SIZE];
	int err;

	if (i >= nr_slots(area))
		return -ENOSPC;
	err = arch_uprobe_fill_slot(&site->arch, bytes,
				    area->vaddr + i * UPROBE_SLOT_SIZE,
				    site->vaddr);
	if (!err)
		err = fill(area, i, bytes, UPROBE_MAY_FAIL);
	if (!err)
		take_slot(site, area, i);
	return err;
}

static bool is_unused(const struct uprobe_area *area)
{
	return bitmap_empty(area->used, nr_slots(area));
}

/* All of it, or what the process has left. Without a site nothing is lost. */
static void unmap_area(struct uprobe_space *space, struct uprobe_area *area)
{
	struct mm_struct *mm = space->mm;
	unsigned long at = area->vaddr, end = area_end(area);
	struct vm_area_struct *vma;

	while ((vma = find_vma(mm, at)) && vma->vm_start < end) {
		unsigned long start = max(vma->vm_start, at);

		at = vma->vm_end;
		/* another area may be where a part of this one has been */
		if (vma->vm_ops == &area_vm_ops &&
		    !(area->unmapped & BIT_ULL(page_of(area, start))))
			do_munmap(mm, start, min(at, end) - start, NULL);
	}
	lose_area(space, area);
	area->unmapped = U64_MAX;
}

static void forget_area(struct uprobe_space *space, struct uprobe_area *area)
{
	if (area->lost)
		space->nr_lost--;
	space->nr_areas--;
	list_del_rcu(&area->list);
	call_rcu(&area->rcu, free_area);
}

/*
 * Those that have been lost. What of one is still mapped only a task of the mm can
 * unmap: see uprobe_mark_areas().
 */
static void drop_lost_areas(struct uprobe_space *space)
{
	struct uprobe_area *area, *next;

	list_for_each_entry_safe(area, next, &space->areas, list) {
		if (!area->lost || !is_unused(area))
			continue;
		if (current->mm != space->mm &&
		    area->unmapped != GENMASK_ULL(area->nr_pages - 1, 0))
			continue;
		unmap_area(space, area);
		forget_area(space, area);
	}
}

static bool may_add_area(struct uprobe_space *space)
{
	if (!space->nr_lost)
		return true;
	drop_lost_areas(space);
	if (space->nr_lost <= MAX_LOST)
		return true;
	/* with threads in them, or was it only too early to look? */
	space->next_scan = jiffies;
	uprobe_slots_reclaim(space);
	drop_lost_areas(space);
	return space->nr_lost <= MAX_LOST;
}

static int find_slot(struct uprobe_site *site)
{
	struct uprobe_space *space = site->space;
	struct uprobe_area *area;
	unsigned long low, high;
	int err;

	err = arch_uprobe_slot_range(space->mm, &site->arch, site->vaddr,
				     &low, &high);
	if (err)
		return err;
	uprobe_slots_reclaim(space);
	list_for_each_entry(area, &space->areas, list) {
		if (!area->lost && in_reach(area, low, high) &&
		    still_mapped(space->mm, area) && use_area(site, area) == 0)
			return 0;
	}
	if (!may_add_area(space))
		return -ENOMEM;
	area = add_area(space, site->payer, site->vaddr, low, high);
	return IS_ERR(area) ? PTR_ERR(area) : use_area(site, area);
}

/**
 * uprobe_slot_alloc - give a site its slot
 * @site: with a decoded instruction; not yet in the index
 *
 * Context: mmap_lock of the site's mm is held for writing. May sleep.
 * Return: 0; -ENOMEM if there is no memory or no hole within reach; -ENOSPC if the
 * process has too many areas; -ERANGE if
 * nothing can be within reach of both the code and its operand.
 */
int uprobe_slot_alloc(struct uprobe_site *site)
{
	struct mm_struct *mm = site->space->mm;
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(mm);
	struct mem_cgroup *old = set_active_memcg(memcg);
	int err;

	mmap_assert_write_locked(mm);
	err = find_slot(site);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return err;
}

/**
 * uprobe_slot_check - find out whether a site's slot is still mapped
 * @site: in the index
 *
 * madvise() may have kept an area from a child without a word.
 *
 * Context: mmap_lock held for writing.
 */
void uprobe_slot_check(struct uprobe_site *site)
{
	struct uprobe_area *area = site->area;

	mmap_assert_write_locked(site->space->mm);
	if (!area || still_mapped(site->space->mm, area))
		return;
	lose_area(site->space, area);
	note_unmapped(area, area->vaddr, area_end(area));
}

/**
 * uprobe_slot_is_mapped - is there an area?
 * @space: of the address space
 * @addr: an address for which uprobe_slot_origin() has an answer
 *
 * Context: mmap_lock held.
 * Return: false if the process has unmapped it just now.
 */
bool uprobe_slot_is_mapped(const struct uprobe_space *space, unsigned long addr)
{
	const struct vm_area_struct *vma = vma_lookup(space->mm, addr);

	return vma && vma->vm_ops == &area_vm_ops;
}

/**
 * uprobe_slot_is_lost - has the process unmapped it?
 * @site: referenced
 *
 * A site that isn't in the index any more keeps its slot for those who stand on it.
 *
 * Context: a section of RCU: who is sent to the slot in the same section after a
 * false answer is found by uprobe_strand().
 * Return: true if it has.
 */
bool uprobe_slot_is_lost(const struct uprobe_site *site)
{
	const struct uprobe_area *area = READ_ONCE(site->area);

	return area && READ_ONCE(area->lost);
}

/**
 * uprobe_slot_replace - a thread needs the slot, and it is lost
 * @site: referenced, in the current task's address space
 *
 * Not before a thread needs it: a program that unmaps all that it finds shall
 * come to an end.
 *
 * Context: task context, no locks.
 * Return: 0, -ENOMEM, -EINTR.
 */
int uprobe_slot_replace(struct uprobe_site *site)
{
	struct mm_struct *mm = site->space->mm;
	int err = 0;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	if (!site->slot)
		err = uprobe_slot_alloc(site);
	mmap_write_unlock(mm);
	return err;
}

/**
 * uprobe_slot_retire - a site doesn't use its slot any more
 * @site: no thread will be sent to the slot
 *
 * Threads may still be in it: see uprobe_slots_reclaim().
 *
 * Context: any in which the space lives.
 */
void uprobe_slot_retire(struct uprobe_site *site)
{
	struct uprobe_space *space = site->space;
	struct uprobe_area *area = site->area;
	struct uprobe_slot *slot;

	if (!area)
		return;
	slot = &area->slots[index_of(area, site->slot)];
	WRITE_ONCE(site->area, NULL);
	WRITE_ONCE(site->slot, 0);
	if (site->arch.class == UPROBE_RELOCATED)
		WRITE_ONCE(site->next, 0);
	/* a state is never 0: the low bits say that nothing is going on */
	WRITE_ONCE(slot->retired, get_state_synchronize_rcu() ?: 1);
	atomic_inc(&space->nr_retired);
}

/* Zeroed, so that what the process may read there is its live instructions. */
static void free_slot(struct uprobe_area *area, unsigned int i)
{
	unsigned long at = i * UPROBE_SLOT_SIZE;

	memzero_page(area->pages[at >> PAGE_SHIFT], offset_in_page(at),
		     UPROBE_SLOT_SIZE);
	WRITE_ONCE(area->slots[i].vaddr, 0);
	WRITE_ONCE(area->slots[i].retired, 0);
	__clear_bit(i, area->used);
}

/*
 * Hits send threads to a slot inside an RCU section, after they have found its
 * site in the index. When a grace period has passed since the site has gone,
 * threads only leave.
 */
static bool may_be_freed(const struct uprobe_slot *slot)
{
	unsigned long retired = READ_ONCE(slot->retired);

	return retired && poll_state_synchronize_rcu(retired);
}

static unsigned int free_unseen(struct uprobe_space *space)
{
	struct uprobe_area *area;
	unsigned int i, freed = 0;

	list_for_each_entry(area, &space->areas, list) {
		for_each_set_bit(i, area->used, nr_slots(area)) {
			if (area->slots[i].scan != space->scan ||
			    area->slots[i].seen == space->scan)
				continue;
			free_slot(area, i);
			freed++;
		}
	}
	return freed;
}

static bool choose_candidates(struct uprobe_space *space)
{
	struct uprobe_area *area;
	bool any = false;
	unsigned int i;

	list_for_each_entry(area, &space->areas, list) {
		for_each_set_bit(i, area->used, nr_slots(area)) {
			if (!may_be_freed(&area->slots[i]))
				continue;
			area->slots[i].scan = space->scan;
			any = true;
		}
	}
	return any;
}

static void see(void *data, struct task_struct *t, unsigned long ip)
{
	struct uprobe_space *space = data;
	struct uprobe_area *area = area_at(space, ip);

	if (area)
		area->slots[index_of(area, ip)].seen = space->scan;
}

/**
 * uprobe_slots_reclaim - retired slots without a thread become free
 * @space: of an mm with users
 *
 * Context: mmap_lock held for writing. May sleep.
 */
void uprobe_slots_reclaim(struct uprobe_space *space)
{
	unsigned int freed = 0;

	mmap_assert_write_locked(space->mm);
	/*
	 * A thread that stays in its slot, or a grace period that isn't over,
	 * shall not make each new slot dear.
	 */
	if (!atomic_read(&space->nr_retired) ||
	    time_before(jiffies, space->next_scan))
		return;
	if (!++space->scan)
		space->scan++;
	/*
	 * What may be freed is settled before the threads are looked at: of a
	 * slot whose grace period ends meanwhile they tell nothing.
	 */
	if (choose_candidates(space) &&
	    uprobe_visit_threads(space->mm, see, space))
		freed = free_unseen(space);
	atomic_sub(freed, &space->nr_retired);
	if (!freed)
		space->next_scan = jiffies + SCAN_INTERVAL;
}

static struct uprobe_area *clone_area(struct uprobe_space *to,
				      const struct uprobe_area *from)
{
	struct uprobe_area *area = alloc_area(from->nr_pages, 0);

	if (!area)
		return NULL;
	area->vaddr = from->vaddr;
	area->payer = from->payer;
	uprobe_user_force(area->payer, UPROBE_QUOTA_SLOT_PAGES, area->nr_pages);
	list_add_tail_rcu(&area->list, &to->areas);
	to->nr_areas++;
	return area;
}

/**
 * uprobe_areas_clone - fork: the child has areas where the parent has
 * @to: the child's space; nobody else knows it
 * @from: the parent's
 *
 * Their slots are free: uprobe_slot_clone() takes those of the sites that
 * are copied. Areas that are lost have none.
 *
 * Context: mmap_lock of the parent is held for writing.
 * Return: 0 or -ENOMEM; uprobe_areas_free() cleans up.
 */
int uprobe_areas_clone(struct uprobe_space *to, struct uprobe_space *from)
{
	struct uprobe_area *area;

	list_for_each_entry(area, &from->areas, list) {
		if (!area->lost && !clone_area(to, area))
			return -ENOMEM;
	}
	return 0;
}

/**
 * uprobe_slot_clone - fork: the copy of a site has its slot where the
 *	original has
 * @site: the copy, in a space that uprobe_areas_clone() has filled
 * @from: the original
 *
 * A slot that the parent has lost isn't copied: a hit finds another one.
 *
 * Context: mmap_lock of the parent is held for writing.
 * Return: 0 or -ENOMEM.
 */
int uprobe_slot_clone(struct uprobe_site *site, const struct uprobe_site *from)
{
	u8 bytes[UPROBE_SLOT_SIZE];
	struct uprobe_area *area;
	unsigned int i;
	int err;

	if (!from->slot)
		return 0;
	area = area_at(site->space, from->slot);
	i = index_of(area, from->slot);
	memcpy_from_page(bytes, from->area->pages[i / SLOTS_PER_PAGE],
			 offset_in_page(from->slot), UPROBE_SLOT_SIZE);
	err = fill(area, i, bytes, 0);
	if (!err)
		take_slot(site, area, i);
	return err;
}

/**
 * uprobe_areas_unmap - take the mappings of unused areas away
 * @space: has no sites any more
 *
 * Context: mmap_lock is held for writing, by a task of this mm.
 *
 * Return: true if all areas have gone; else slots wait for threads to leave.
 */
bool uprobe_areas_unmap(struct uprobe_space *space)
{
	struct uprobe_area *area, *next;

	uprobe_slots_reclaim(space);
	list_for_each_entry_safe(area, next, &space->areas, list) {
		if (!is_unused(area))
			continue;
		unmap_area(space, area);
		forget_area(space, area);
	}
	return list_empty(&space->areas);
}

/**
 * uprobe_areas_free - give the memory of all areas back
 * @space: of an mm without users
 */
void uprobe_areas_free(struct uprobe_space *space)
{
	struct uprobe_area *area, *next;

	list_for_each_entry_safe(area, next, &space->areas, list) {
		list_del_rcu(&area->list);
		call_rcu(&area->rcu, free_area);
	}
}

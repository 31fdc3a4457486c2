// SPDX-License-Identifier: GPL-2.0
/*
 * Where do displaced instructions execute?
 *
 * In slots: copies of the instruction in areas of their own, mapped into the
 * process within reach of the code, so that an operand relative to the
 * instruction pointer only needs another displacement. A slot belongs to its
 * site for as long as the site lives; threads share it. Areas come as they
 * are needed and double in size, so that there is no number of probes or
 * threads at which slots run out.
 *
 * The mapping is r-x, its pages are zeroed and charged to the process's memory
 * cgroup, and only the kernel writes there, through its own mapping. fork
 * copies the mapping, but not the pages: the child's space has its own
 * (uprobe_areas_clone()), found through vm_mm at fault time.
 *
 * sites.c allocates and frees slots; step.c lets threads run in them.
 */

#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "internal.h"

#define SLOTS_PER_PAGE	(PAGE_SIZE / UPROBE_SLOT_SIZE)
#define MAX_AREA_PAGES	64U

/* what the heap is left to grow into before an area comes */
#define HEAP_ROOM	SZ_1G

static_assert(PAGE_SIZE % UPROBE_SLOT_SIZE == 0);

/**
 * struct uprobe_area - one mapping with slots
 * @list: in uprobe_space::areas
 * @vaddr: where it is mapped
 * @nr_pages: how long it is
 * @gone: the process has unmapped it, or mapped something over it. Set under
 *	mmap_lock, never cleared; its sites get other slots.
 * @used: a bit for each slot. Set under mmap_lock, cleared by whoever drops
 *	the last reference to the site.
 * @pages: what is mapped there; each allocated when it is first needed, by a
 *	slot or by a page fault
 *
 * Lives until the space is freed, or none of its slots is used.
 */
struct uprobe_area {
	struct list_head	list;
	unsigned long		vaddr;
	unsigned int		nr_pages;
	bool			gone;
	unsigned long		*used;
	struct page		*pages[];
};

static unsigned long area_end(const struct uprobe_area *area)
{
	return area->vaddr + area->nr_pages * PAGE_SIZE;
}

/**
 * uprobe_area_at - find the area that covers an address
 * @space: where to look
 * @vaddr: the address
 *
 * Context: mmap_lock held, or nobody else has the mm.
 *
 * Return: the area, or NULL.
 */
struct uprobe_area *uprobe_area_at(struct uprobe_space *space,
				   unsigned long vaddr)
{
	struct uprobe_area *area;

	list_for_each_entry(area, &space->areas, list) {
		if (!area->gone && vaddr >= area->vaddr &&
		    vaddr < area_end(area))
			return area;
	}
	return NULL;
}

/* A page of the area, zeroed when it is new; NULL without memory. */
static struct page *area_page(struct uprobe_area *area, unsigned int i)
{
	struct page *page = READ_ONCE(area->pages[i]);
	struct page *new, *other;

	if (page)
		return page;
	new = alloc_page(GFP_HIGHUSER | __GFP_ZERO | __GFP_ACCOUNT);
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

	area = space ? uprobe_area_at(space, vmf->address) : NULL;
	if (!area)
		return VM_FAULT_SIGBUS;
	page = area_page(area, (vmf->address - area->vaddr) >> PAGE_SHIFT);
	if (!page)
		return VM_FAULT_OOM;
	get_page(page);
	vmf->page = page;
	return 0;
}

/*
 * The process unmaps the area, or maps something over it; or it exits, and
 * its space has gone before. mmap_lock is held for writing.
 */
static void area_closed(struct vm_area_struct *vma)
{
	struct uprobe_space *space = vma->vm_mm->uprobes_state.space;
	struct uprobe_area *area;

	area = space ? uprobe_area_at(space, vma->vm_start) : NULL;
	if (area)
		WRITE_ONCE(area->gone, true);
}

static const char *area_name(struct vm_area_struct *vma)
{
	return "[uprobes]";
}

static int area_refuse_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
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
	.may_split	= area_refuse_split,
	.mremap		= area_refuse_move,
	.mprotect	= area_refuse_mprotect,
};

/*
 * A hole of @len bytes in [low, high]: the highest one below the code, or else
 * the lowest one above it, but not where the heap grows.
 */
static unsigned long find_hole(struct mm_struct *mm, unsigned long vaddr,
			       unsigned long low, unsigned long high,
			       unsigned long len)
{
	VMA_ITERATOR(vmi, mm, 0);

	mmap_assert_write_locked(mm);
	low = PAGE_ALIGN(low);
	if (low < vaddr && !mas_empty_area_rev(&vmi.mas, low, vaddr - 1, len))
		return vmi.mas.last + 1 - len;

	mas_reset(&vmi.mas);
	low = vaddr;
	if (mm->brk > vaddr)
		low = mm->brk + HEAP_ROOM;
	if (low < high && !mas_empty_area(&vmi.mas, PAGE_ALIGN(low), high, len))
		return vmi.mas.index;
	return 0;
}

static int map_area(struct mm_struct *mm, struct uprobe_area *area)
{
	struct vm_area_struct *vma = vm_area_alloc(mm);
	int err;

	if (!vma)
		return -ENOMEM;
	vma->vm_start = area->vaddr;
	vma->vm_end = area_end(area);
	/*
	 * VM_DONTEXPAND keeps it from merging with anything. Not installed
	 * through _install_special_mapping(), which would report the mapping
	 * as one of the current task, be it the tracer.
	 */
	vm_flags_init(vma, VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYEXEC |
			   VM_DONTEXPAND | VM_DONTDUMP | VM_SOFTDIRTY);
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	vma->vm_ops = &area_vm_ops;
	err = insert_vm_struct(mm, vma);
	if (err) {
		vm_area_free(vma);
		return err;
	}
	vm_stat_account(mm, vma->vm_flags, area->nr_pages);
	return 0;
}

static struct uprobe_area *alloc_area(unsigned int nr_pages)
{
	struct uprobe_area *area;

	area = kzalloc(struct_size(area, pages, nr_pages), GFP_KERNEL_ACCOUNT);
	if (!area)
		return NULL;
	area->used = bitmap_zalloc(nr_pages * SLOTS_PER_PAGE,
				   GFP_KERNEL_ACCOUNT);
	if (!area->used) {
		kfree(area);
		return NULL;
	}
	area->nr_pages = nr_pages;
	return area;
}

static void free_area(struct uprobe_area *area)
{
	unsigned int i;

	for (i = 0; i < area->nr_pages; i++) {
		if (area->pages[i])
			put_page(area->pages[i]);
	}
	bitmap_free(area->used);
	kfree(area);
}

static struct uprobe_area *add_area(struct uprobe_space *space,
				    unsigned long vaddr, unsigned long low,
				    unsigned long high)
{
	unsigned int nr_pages = clamp(space->nr_pages, 1U, MAX_AREA_PAGES);
	struct uprobe_area *area = alloc_area(nr_pages);
	int err;

	if (!area)
		return ERR_PTR(-ENOMEM);
	area->vaddr = find_hole(space->mm, vaddr, low, high,
				nr_pages * PAGE_SIZE);
	err = area->vaddr ? map_area(space->mm, area) : -ENOMEM;
	if (err) {
		free_area(area);
		return ERR_PTR(err);
	}
	list_add(&area->list, &space->areas);
	space->nr_pages += nr_pages;
	return area;
}

static bool in_reach(const struct uprobe_area *area, unsigned long low,
		     unsigned long high)
{
	return area->vaddr >= low && area_end(area) - 1 <= high;
}

/* The process may have unmapped an area, or mapped something over it. */
static bool still_mapped(struct mm_struct *mm, const struct uprobe_area *area)
{
	struct vm_area_struct *vma = vma_lookup(mm, area->vaddr);

	return vma && vma->vm_ops == &area_vm_ops &&
	       vma->vm_start == area->vaddr && vma->vm_end == area_end(area);
}

static unsigned long take_slot(struct uprobe_area *area)
{
	unsigned int nr = area->nr_pages * SLOTS_PER_PAGE;
	unsigned int i;

	do {
		i = find_first_zero_bit(area->used, nr);
		if (i >= nr)
			return 0;
	} while (test_and_set_bit(i, area->used));
	return area->vaddr + i * UPROBE_SLOT_SIZE;
}

static int fill(struct uprobe_area *area, unsigned long slot,
		const u8 *bytes)
{
	struct page *page = area_page(area, (slot - area->vaddr) >> PAGE_SHIFT);

	if (!page)
		return -ENOMEM;
	memcpy_to_page(page, offset_in_page(slot), bytes, UPROBE_SLOT_SIZE);
	return 0;
}

static int use_area(struct uprobe_site *site, struct uprobe_area *area)
{
	u8 bytes[UPROBE_SLOT_SIZE] = {};
	unsigned long slot = take_slot(area);
	int err;

	if (!slot)
		return -ENOSPC;
	err = arch_uprobe_fill_slot(&site->arch, bytes, slot, site->vaddr);
	if (!err)
		err = fill(area, slot, bytes);
	site->area = area;
	WRITE_ONCE(site->slot, slot);
	if (err)
		uprobe_slot_free(site);
	return err;
}

static int find_slot(struct uprobe_site *site)
{
	struct uprobe_space *space = site->space;
	struct uprobe_area *area;
	unsigned long low, high;

	arch_uprobe_slot_range(space->mm, site->vaddr, &low, &high);
	list_for_each_entry(area, &space->areas, list) {
		if (!area->gone && in_reach(area, low, high) &&
		    still_mapped(space->mm, area) && use_area(site, area) == 0)
			return 0;
	}
	area = add_area(space, site->vaddr, low, high);
	return IS_ERR(area) ? PTR_ERR(area) : use_area(site, area);
}

/**
 * uprobe_slot_alloc - give a site its slot
 * @site: with a decoded instruction; not yet in the index
 *
 * Context: mmap_lock of the site's mm is held for writing. May sleep.
 * Return: 0, or -ENOMEM if there is no memory or no hole within reach.
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
 * uprobe_slot_is_lost - has the process taken the slot's mapping away?
 * @site: referenced
 *
 * Context: any.
 *
 * Return: true if it has, or if there never was one.
 */
bool uprobe_slot_is_lost(const struct uprobe_site *site)
{
	const struct uprobe_area *area = READ_ONCE(site->area);

	return !area || READ_ONCE(area->gone);
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
	mmap_assert_write_locked(site->space->mm);
	if (site->area && !still_mapped(site->space->mm, site->area))
		WRITE_ONCE(site->area->gone, true);
}

/**
 * uprobe_slot_replace - a thread needs the slot, and it is lost
 * @site: referenced, in the current task's address space
 *
 * Not before a thread needs it: a program that unmaps all that it finds shall
 * come to an end. Threads that are in the old slot execute what they find
 * there, as with any code that is unmapped under them.
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
	if (uprobe_slot_is_lost(site)) {
		uprobe_slot_free(site);
		err = uprobe_slot_alloc(site);
	}
	mmap_write_unlock(mm);
	return err;
}

/**
 * uprobe_slot_free - take the slot of a site back
 * @site: nobody stands on it
 *
 * Context: any in which the space lives. The bytes are zeroed first, so that
 * what the process may read there is its live instructions and nothing else.
 */
void uprobe_slot_free(struct uprobe_site *site)
{
	struct uprobe_area *area = site->area;
	unsigned long at;

	if (!area)
		return;
	at = site->slot - area->vaddr;
	/* unless it was never filled */
	if (area->pages[at >> PAGE_SHIFT])
		memzero_page(area->pages[at >> PAGE_SHIFT],
			     offset_in_page(at), UPROBE_SLOT_SIZE);
	clear_bit_unlock(at / UPROBE_SLOT_SIZE, area->used);
	site->area = NULL;
	site->slot = 0;
}

static int clone_area(struct uprobe_space *to, const struct uprobe_area *from)
{
	struct uprobe_area *area = alloc_area(from->nr_pages);
	unsigned int i;

	if (!area)
		return -ENOMEM;
	area->vaddr = from->vaddr;
	area->gone = from->gone;
	list_add_tail(&area->list, &to->areas);
	to->nr_pages += area->nr_pages;
	for (i = 0; i < from->nr_pages; i++) {
		if (!from->pages[i])
			continue;
		area->pages[i] = alloc_page(GFP_HIGHUSER | __GFP_ACCOUNT);
		if (!area->pages[i])
			return -ENOMEM;
		copy_highpage(area->pages[i], from->pages[i]);
	}
	return 0;
}

/**
 * uprobe_areas_clone - fork: the child gets the same slots at the same places
 * @to: the child's space; nobody else knows it
 * @from: the parent's
 *
 * All slots are free afterwards; uprobe_space_clone() takes those of the
 * sites that it copies.
 *
 * Context: mmap_lock of the parent is held for writing.
 * Return: 0 or -ENOMEM; uprobe_areas_free() cleans up.
 */
int uprobe_areas_clone(struct uprobe_space *to, struct uprobe_space *from)
{
	struct uprobe_area *area;

	list_for_each_entry(area, &from->areas, list) {
		int err = clone_area(to, area);

		if (err)
			return err;
	}
	return 0;
}

/**
 * uprobe_slot_adopt - the copy of a site takes the slot of the original
 * @site: the copy, in a space that uprobe_areas_clone() has filled
 * @slot: address of the slot
 */
void uprobe_slot_adopt(struct uprobe_site *site, unsigned long slot)
{
	site->area = uprobe_area_at(site->space, slot);
	/* lost in the parent: uprobe_slot_check() finds another one */
	if (!site->area)
		return;
	site->slot = slot;
	set_bit((slot - site->area->vaddr) / UPROBE_SLOT_SIZE,
		site->area->used);
}

/**
 * uprobe_areas_unmap - take the mappings of all areas away
 * @space: has no sites any more
 *
 * Context: mmap_lock is held for writing, by a task of this mm.
 */
void uprobe_areas_unmap(struct uprobe_space *space)
{
	struct uprobe_area *area, *next;

	list_for_each_entry_safe(area, next, &space->areas, list) {
		/* a thread may still be in the slot of a site that is gone */
		if (!bitmap_empty(area->used,
				  area->nr_pages * SLOTS_PER_PAGE))
			continue;
		if (!area->gone && still_mapped(space->mm, area)) {
			area->gone = true;
			do_munmap(space->mm, area->vaddr,
				  area->nr_pages * PAGE_SIZE, NULL);
		}
		space->nr_pages -= area->nr_pages;
		list_del(&area->list);
		free_area(area);
	}
}

/**
 * uprobe_areas_free - give the memory of all areas back
 * @space: of an mm without users
 */
void uprobe_areas_free(struct uprobe_space *space)
{
	struct uprobe_area *area, *next;

	list_for_each_entry_safe(area, next, &space->areas, list)
		free_area(area);
	INIT_LIST_HEAD(&space->areas);
}

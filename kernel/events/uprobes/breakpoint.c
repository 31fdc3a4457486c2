// SPDX-License-Identifier: GPL-2.0
/*
 * How is one byte of a process's text changed, and taken back?
 *
 * The text is a private mapping of a file. get_user_pages() with FOLL_WRITE
 * and FOLL_FORCE makes a private copy of the page exactly as it does for a
 * debugger (charged to the process, split from huge pages, unshared from
 * KSM), and the byte is changed in the copy. One byte is atomic for
 * processors that execute it meanwhile: they see the old instruction or int3
 * (Intel SDM vol. 3 §9.1.3, the case of a one-byte breakpoint, which
 * text_poke_bp() relies on as well).
 *
 * sites.c calls in here with mmap_lock held for writing, which keeps fork,
 * mprotect and debuggers (access_remote_vm() takes it for reading) away. What
 * those write at a site doesn't come here: debugger.c.
 *
 * A page that somebody may withhold isn't waited for here: absent.c.
 */

#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/pagemap.h>
#include <linux/pagewalk.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/userfaultfd_k.h>

#include "internal.h"

static struct page *get_page_now(struct mm_struct *mm, unsigned long vaddr,
				 unsigned int flags)
{
	struct page *page;
	long got;

	got = get_user_pages_remote(mm, vaddr, 1, flags, &page, NULL);
	if (got == 1)
		return page;
	/* 0 is FOLL_NOWAIT's */
	return ERR_PTR(got ?: -EAGAIN);
}

static bool is_mapped(struct mm_struct *mm, unsigned long vaddr)
{
	struct page *page = get_page_now(mm, vaddr, FOLL_FORCE | FOLL_NOFAULT);

	if (IS_ERR(page))
		return false;
	put_page(page);
	return true;
}

/**
 * uprobe_page_get - get a page of a process that is at hand
 * @mm: the address space
 * @vaddr: an address in the page
 * @flags: FOLL_WRITE to get the process's own copy, FOLL_FORCE and the like
 *
 * FOLL_NOWAIT alone isn't enough: filemap_fault() reads by itself what it finds
 * neither in the page cache nor by read-ahead. So only what has been seen there,
 * or in the process, just before is faulted in.
 *
 * Context: mmap_lock of @mm is held. May sleep, but waits for no file's server
 * and for no other program.
 * Return: the page, referenced; -EAGAIN if it isn't at hand: without locks,
 * uprobe_wait_for_page() waits for it; -EFAULT, -ENOMEM, -EINTR.
 */
struct page *uprobe_page_get(struct mm_struct *mm, unsigned long vaddr,
			     unsigned int flags)
{
	struct vm_area_struct *vma;
	struct page *page;

	mmap_assert_locked(mm);
	page = get_page_now(mm, vaddr, flags | FOLL_NOFAULT);
	if (page != ERR_PTR(-EFAULT))
		return page;
	if (!is_mapped(mm, vaddr)) {
		/* so says get_user_pages(), whatever is there */
		if (fatal_signal_pending(current))
			return ERR_PTR(-EINTR);
		vma = vma_lookup(mm, vaddr);
		/* the thread that would supply it must not wait for it */
		if (vma && userfaultfd_armed(vma))
			return ERR_PTR(-EFAULT);
		if (!uprobe_is_at_hand(vma, vaddr))
			return ERR_PTR(-EAGAIN);
	}
	return get_page_now(mm, vaddr, flags | FOLL_NOWAIT);
}

/**
 * uprobe_text_read - read what is in memory at an address
 * @mm: the address space
 * @vaddr: the first byte
 * @buf: where to
 * @len: how many bytes at the most
 * @absent: if not NULL: set to an address in the page that isn't at hand, upon
 *	which fewer bytes are read; else to 0
 *
 * Context: mmap_lock of @mm is held. May sleep.
 * Return: how many bytes could be read, 1 at the least, or -errno; -EAGAIN if
 * not even the first page is at hand; -EINTR if the caller was killed meanwhile,
 * which says nothing about the second page.
 */
int uprobe_text_read(struct mm_struct *mm, unsigned long vaddr, void *buf,
		     size_t len, unsigned long *absent)
{
	size_t done = 0;

	if (absent)
		*absent = 0;
	while (done < len) {
		unsigned long at = vaddr + done;
		size_t n = min(len - done, PAGE_SIZE - offset_in_page(at));
		struct page *page = uprobe_page_get(mm, at, FOLL_FORCE);

		if (absent && page == ERR_PTR(-EAGAIN))
			*absent = at;
		if (IS_ERR(page))
			return done && page != ERR_PTR(-EINTR) ?
			       done : PTR_ERR(page);
		memcpy_from_page(buf + done, page, offset_in_page(at), n);
		put_page(page);
		done += n;
	}
	return done;
}

/* How long is one that is at its limit left alone? */
#define NO_ROOM_FOR	(HZ / 10)

/*
 * Is there memory for one page more of the process? To make it get_user_pages() would have a
 * process of its memory cgroup killed, if that is at its limit: mem_cgroup_oom(). Asked with
 * __GFP_NORETRY: try_charge_memcg() would go on for as long as reclaim finds anything.
 */
static bool has_room(struct mm_struct *mm)
{
	struct uprobe_space *space = mm->uprobes_state.space;
	struct folio *folio;
	bool has;

	if (space && space->no_room &&
	    time_before(jiffies, space->no_room + NO_ROOM_FOR))
		return false;
	folio = folio_alloc(GFP_HIGHUSER_MOVABLE | UPROBE_MAY_FAIL, 0);
	has = folio &&
	      !mem_cgroup_charge(folio, mm,
				 GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
	if (folio)
		folio_put(folio);
	if (space)
		space->no_room = has ? 0 : jiffies | 1;
	return has;
}

/**
 * uprobe_page_make - get the process's own copy of a page, made if there is none
 * @mm: the address space
 * @vaddr: an address in the page
 * @flags: as for uprobe_page_get()
 *
 * Context: mmap_lock of @mm is held for writing. May sleep.
 * Return: as uprobe_page_get(); -ENOMEM also if its memory cgroup is at its limit.
 */
struct page *uprobe_page_make(struct mm_struct *mm, unsigned long vaddr,
			      unsigned int flags)
{
	struct page *page;

	mmap_assert_write_locked(mm);
	flags |= FOLL_WRITE;
	page = get_page_now(mm, vaddr, flags | FOLL_NOFAULT);
	if (page != ERR_PTR(-EFAULT))
		return page;
	return has_room(mm) ? uprobe_page_get(mm, vaddr, flags) :
			      ERR_PTR(-ENOMEM);
}

/* The process's own copy of the page. */
#define OWN_PAGE	(FOLL_FORCE | FOLL_WRITE | FOLL_SPLIT_PMD)

/* Return: false if something else than @from stands there. */
static bool replace_byte(struct page *page, unsigned long vaddr, u8 from, u8 to)
{
	u8 *byte = kmap_local_page(page) + offset_in_page(vaddr);
	/* mprotect() may just have made it the program's to write */
	bool found = cmpxchg(byte, from, to) == from;

	kunmap_local(byte);
	/*
	 * The page table entry of a page that was swapped in again may be
	 * clean: without this, reclaim could drop the byte.
	 */
	if (found)
		set_page_dirty_lock(page);
	return found;
}

/**
 * uprobe_text_set_breakpoint - put a breakpoint over an instruction
 * @mm: the address space
 * @vaddr: the first byte of the instruction
 * @old: what stands there: the caller has read it, so that no page is copied
 *	only to find out that it is another one's text
 *
 * Context: mmap_lock of @mm is held for writing. May sleep.
 * Return: 0, -EILSEQ if the byte isn't @old, -EAGAIN if the page isn't at hand
 * any more, -ENOMEM and the like.
 */
int uprobe_text_set_breakpoint(struct mm_struct *mm, unsigned long vaddr,
			       u8 old)
{
	struct page *page = uprobe_page_make(mm, vaddr, OWN_PAGE);
	int err = 0;

	if (IS_ERR(page))
		return PTR_ERR(page);
	if (!replace_byte(page, vaddr, old, UPROBE_BREAKPOINT))
		err = -EILSEQ;
	put_page(page);
	return err;
}

/*
 * Has the private copy become the same as the file again? Only what the page
 * cache holds is compared: nothing is read for it.
 */
static bool same_as_file(struct vm_area_struct *vma, unsigned long vaddr,
			 struct page *page)
{
	struct address_space *mapping = vma->vm_file->f_mapping;
	struct folio *folio;
	bool same;

	folio = filemap_get_folio(mapping, linear_page_index(vma, vaddr));
	if (IS_ERR(folio))
		return false;
	same = folio_test_uptodate(folio) &&
	       pages_identical(page, folio_file_page(folio,
					linear_page_index(vma, vaddr)));
	folio_put(folio);
	return same;
}

/* Where is a page of the process? */
enum whereabouts {
	NOWHERE,
	MAPPED,
	SWAPPED,
};

/* Markers of userfaultfd and the like stand for no page. */
static int find_page(pte_t *ptep, unsigned long addr, unsigned long next,
		     struct mm_walk *walk)
{
	enum whereabouts *where = walk->private;
	pte_t pte = ptep_get(ptep);
	swp_entry_t entry;

	if (pte_present(pte)) {
		*where = MAPPED;
	} else if (is_swap_pte(pte)) {
		entry = pte_to_swp_entry(pte);
		if (!non_swap_entry(entry) || is_migration_entry(entry))
			*where = SWAPPED;
	}
	return 0;
}

static const struct mm_walk_ops page_walk = {
	.pte_entry	= find_page,
	.walk_lock	= PGWALK_WRLOCK,
};

/**
 * uprobe_page_get_back - get a page that has been written to, if it is still there
 * @mm: the address space
 * @vaddr: an address in the page
 * @flags: as for uprobe_page_get()
 *
 * It is a copy of the process's own, in memory or swapped out, unless the process
 * has thrown that away. What was swapped out nobody withholds, and with mmap_lock
 * held for writing it stays what it is.
 *
 * Context: mmap_lock of @mm is held for writing. May sleep.
 * Return: as uprobe_page_get(); -EAGAIN if the copy has gone, -EBUSY if it
 * can't be had just now.
 */
struct page *uprobe_page_get_back(struct mm_struct *mm, unsigned long vaddr,
				  unsigned int flags)
{
	struct page *page = uprobe_page_get(mm, vaddr, flags);
	unsigned long start = vaddr & PAGE_MASK;
	enum whereabouts where = NOWHERE;

	mmap_assert_write_locked(mm);
	if (page != ERR_PTR(-EAGAIN) && page != ERR_PTR(-EFAULT))
		return page;
	walk_page_range(mm, start, start + PAGE_SIZE, &page_walk, &where);
	switch (where) {
	case NOWHERE:
		return ERR_PTR(-EAGAIN);
	case MAPPED:
		return ERR_PTR(-EBUSY);
	case SWAPPED:
		break;
	}
	return get_page_now(mm, vaddr, flags);
}

/* Return: 1, 0, or -errno if it can't be found out. */
static int holds_breakpoint(struct mm_struct *mm, unsigned long vaddr)
{
	struct vm_area_struct *vma = vma_lookup(mm, vaddr);
	struct page *page;
	u8 byte;

	if (!vma || !is_cow_mapping(vma->vm_flags))
		return 0;
	page = uprobe_page_get_back(mm, vaddr, FOLL_FORCE);
	if (IS_ERR(page))
		return page == ERR_PTR(-EAGAIN) ? 0 : PTR_ERR(page);
	memcpy_from_page(&byte, page, offset_in_page(vaddr), 1);
	put_page(page);
	return byte == UPROBE_BREAKPOINT;
}

/**
 * uprobe_text_in_file - which byte does the file have?
 * @vma: a mapping of the file
 * @vaddr: where it is mapped
 * @byte: set, if the page cache holds it: nothing is read for it
 *
 * Context: mmap_lock held.
 * Return: true if it does.
 */
bool uprobe_text_in_file(struct vm_area_struct *vma, unsigned long vaddr,
			 u8 *byte)
{
	pgoff_t index = linear_page_index(vma, vaddr);
	struct folio *folio;
	bool found;

	folio = filemap_get_folio(vma->vm_file->f_mapping, index);
	if (IS_ERR(folio))
		return false;
	found = folio_test_uptodate(folio);
	if (found)
		memcpy_from_page(byte, folio_file_page(folio, index),
				 offset_in_page(vaddr), 1);
	folio_put(folio);
	return found;
}

/* The page is as the file has it: uprobe_munmap() has nothing to look for. */
static void give_back(struct vm_area_struct *vma, unsigned long page)
{
	struct uprobe_space *space = vma->vm_mm->uprobes_state.space;

	WRITE_ONCE(space->restorer, current);
	zap_page_range_single(vma, page, PAGE_SIZE, NULL);
	WRITE_ONCE(space->restorer, NULL);
}

/**
 * uprobe_text_restore - take a breakpoint away
 * @mm: the address space
 * @vaddr: where it is
 * @old: the first byte of the instruction that it covers
 *
 * A copied page that has become the same as the file's is given back. What
 * isn't a breakpoint (any more) is left alone: the process has written there.
 *
 * Context: mmap_lock of @mm is held for writing. May sleep.
 * Return: 0, also when there was no breakpoint; -ENOMEM, -EINTR and the like.
 */
int uprobe_text_restore(struct mm_struct *mm, unsigned long vaddr, u8 old)
{
	struct vm_area_struct *vma = vma_lookup(mm, vaddr);
	struct page *page;
	bool drop;
	int holds;

	mmap_assert_write_locked(mm);
	holds = holds_breakpoint(mm, vaddr);
	if (holds <= 0)
		return holds;
	page = uprobe_page_get_back(mm, vaddr, OWN_PAGE);
	if (IS_ERR(page))
		return PTR_ERR(page);
	replace_byte(page, vaddr, UPROBE_BREAKPOINT, old);

	/*
	 * mmap_lock is held for writing and the mapping isn't writable: the
	 * page can't change between the comparison and the unmapping, except
	 * through a pin of somebody else's, in which case it is kept.
	 */
	drop = uprobe_vma_is_text(vma) &&
	       !folio_maybe_dma_pinned(page_folio(page)) &&
	       same_as_file(vma, vaddr, page);
	put_page(page);
	if (drop)
		give_back(vma, vaddr & PAGE_MASK);
	return 0;
}

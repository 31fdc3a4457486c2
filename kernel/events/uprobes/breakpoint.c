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
 * mprotect and debuggers (access_remote_vm() takes it for reading) away.
 */

#include <linux/highmem.h>
#include <linux/pagemap.h>

#include "internal.h"

static struct page *get_text_page(struct mm_struct *mm, unsigned long vaddr,
				  unsigned int flags)
{
	struct page *page;
	long got;

	mmap_assert_locked(mm);
	got = get_user_pages_remote(mm, vaddr, 1, FOLL_FORCE | flags, &page,
				    NULL);
	if (got == 1)
		return page;
	return ERR_PTR(got < 0 ? got : -EFAULT);
}

/**
 * uprobe_text_read - read what is in memory at an address
 * @mm: the address space
 * @vaddr: the first byte
 * @buf: where to
 * @len: how many bytes at the most
 *
 * Context: mmap_lock of @mm is held. May sleep.
 * Return: how many bytes could be read, 1 at the least, or -errno.
 */
int uprobe_text_read(struct mm_struct *mm, unsigned long vaddr, void *buf,
		     size_t len)
{
	size_t done = 0;

	while (done < len) {
		unsigned long at = vaddr + done;
		size_t n = min(len - done, PAGE_SIZE - offset_in_page(at));
		struct page *page = get_text_page(mm, at, 0);

		if (IS_ERR(page))
			return done ? done : PTR_ERR(page);
		memcpy_from_page(buf + done, page, offset_in_page(at), n);
		put_page(page);
		done += n;
	}
	return done;
}

/*
 * Replace the byte @from by @to in the process's own copy of the page.
 * -EILSEQ: something else stands there.
 */
static int replace_byte(struct mm_struct *mm, unsigned long vaddr, u8 from,
			u8 to, struct page **pagep)
{
	struct page *page;
	u8 *byte;
	int err = 0;

	mmap_assert_write_locked(mm);
	page = get_text_page(mm, vaddr, FOLL_WRITE | FOLL_SPLIT_PMD);
	if (IS_ERR(page))
		return PTR_ERR(page);

	byte = kmap_local_page(page) + offset_in_page(vaddr);
	if (*byte == from)
		WRITE_ONCE(*byte, to);
	else
		err = -EILSEQ;
	kunmap_local(byte);

	/*
	 * The page table entry of a page that was swapped in again may be
	 * clean: without this, reclaim could drop the byte.
	 */
	if (!err)
		set_page_dirty_lock(page);
	if (err || !pagep)
		put_page(page);
	else
		*pagep = page;
	return err;
}

/**
 * uprobe_text_set_breakpoint - put a breakpoint over an instruction
 * @mm: the address space
 * @vaddr: the first byte of the instruction
 * @old: what stands there
 *
 * Context: mmap_lock of @mm is held for writing. May sleep.
 * Return: 0, -EILSEQ if the byte isn't @old, -ENOMEM and the like.
 */
int uprobe_text_set_breakpoint(struct mm_struct *mm, unsigned long vaddr,
			       u8 old)
{
	u8 now;
	int ret;

	/* don't copy a page only to find out that it is another one's text */
	ret = uprobe_text_read(mm, vaddr, &now, 1);
	if (ret < 0)
		return ret;
	if (now != old)
		return -EILSEQ;
	return replace_byte(mm, vaddr, old, UPROBE_BREAKPOINT, NULL);
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
 * Return: 0, also when there was no breakpoint; -ENOMEM and the like.
 */
int uprobe_text_restore(struct mm_struct *mm, unsigned long vaddr, u8 old)
{
	struct vm_area_struct *vma = vma_lookup(mm, vaddr);
	struct page *page;
	bool drop;
	u8 now;
	int ret;

	if (!vma)
		return 0;
	ret = uprobe_text_read(mm, vaddr, &now, 1);
	if (ret < 0 || now != UPROBE_BREAKPOINT)
		return ret < 0 ? ret : 0;
	ret = replace_byte(mm, vaddr, UPROBE_BREAKPOINT, old, &page);
	if (ret)
		return ret == -EILSEQ ? 0 : ret;

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
		zap_page_range_single(vma, vaddr & PAGE_MASK, PAGE_SIZE, NULL);
	return 0;
}

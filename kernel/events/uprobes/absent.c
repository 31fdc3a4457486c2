// SPDX-License-Identifier: GPL-2.0
/*
 * What if the page with the instruction isn't in memory?
 *
 * A site is made from what stands in memory, and a page that isn't there comes
 * from the file's server, which may take as long as it likes (FUSE). Locks that
 * others need are held then: mmap_lock, that of the uprobe, event_mutex. So the
 * place is put off, and the threads of the process wait for the page with no
 * lock held before they go on in user mode (uprobe_sync()), and make the site.
 * Nobody can execute the instruction in the meantime, for want of the page.
 *
 *	sites.c		uprobe_put_off()		not now
 *	mappings.c	uprobe_wait_for_text()		before the next attempt
 *
 * semaphores.c puts off counters, too.
 */

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>

#include "internal.h"

static bool is_cached(struct vm_area_struct *vma, unsigned long addr)
{
	struct folio *folio;
	bool cached;

	folio = filemap_get_folio(vma->vm_file->f_mapping,
				  linear_page_index(vma, addr));
	if (IS_ERR(folio))
		return false;
	cached = folio_test_uptodate(folio);
	folio_put(folio);
	return cached;
}

/* The process may have a copy of its own. */
static bool is_mapped(struct vm_area_struct *vma, unsigned long addr)
{
	struct page *page;

	if (get_user_pages_remote(vma->vm_mm, addr, 1,
				  FOLL_FORCE | FOLL_NOFAULT, &page, NULL) != 1)
		return false;
	put_page(page);
	return true;
}

/* What lies in memory alone, on a disk at the worst, is nobody's to withhold. */
static bool is_present(struct vm_area_struct *vma, unsigned long addr)
{
	struct inode *inode = file_inode(vma->vm_file);

	if (addr >= vma->vm_end ||
	    uprobe_offset_of(vma, addr) >= i_size_read(inode))
		return true;
	return shmem_mapping(inode->i_mapping) || is_cached(vma, addr) ||
	       is_mapped(vma, addr);
}

/* All of them: whoever comes first to the page waits for it there. */
static void flag_threads(struct mm_struct *mm)
{
	struct task_struct *p, *t;

	guard(rcu)();
	for_each_process_thread(p, t) {
		if (READ_ONCE(t->mm) != mm ||
		    (t->flags & (PF_KTHREAD | PF_USER_WORKER)))
			continue;
		set_tsk_thread_flag(t, TIF_UPROBE);
		if (t != current)
			kick_process(t);
	}
}

static void note(struct uprobe_space *space, unsigned long vaddr,
		 unsigned long absent)
{
	bool first = !space->absent_end;

	if (first || vaddr < space->absent_start) {
		space->absent_start = vaddr;
		space->absent = absent;
	}
	WRITE_ONCE(space->absent_end, max(space->absent_end, vaddr + 1));
	if (first)
		flag_threads(space->mm);
}

/**
 * uprobe_put_off - is what has to be read in memory?
 * @vma: a mapping of a file, of an mm with a space
 * @vaddr: the first byte
 * @len: how many; less than a page
 *
 * Context: mmap_lock held for writing.
 * Return: 0 if it is; -EAGAIN if it isn't, and uprobe_sync() will come back to
 * @vaddr; -EIO if that has been tried in vain.
 */
int uprobe_put_off(struct vm_area_struct *vma, unsigned long vaddr, size_t len)
{
	struct uprobe_space *space = vma->vm_mm->uprobes_state.space;
	unsigned long at = vaddr, end = vaddr + len;

	mmap_assert_write_locked(space->mm);
	for (; at < end; at = (at & PAGE_MASK) + PAGE_SIZE) {
		if (is_present(vma, at))
			continue;
		if (space->unreadable && !((space->unreadable ^ at) & PAGE_MASK))
			return -EIO;
		note(space, vaddr, at);
		return -EAGAIN;
	}
	return 0;
}

/**
 * uprobe_wait_for_text - wait until a page is there
 * @absent: an address in it, of the current process
 *
 * Context: task context, no locks. A fatal signal ends the waiting.
 * Return: true if it is there.
 */
bool uprobe_wait_for_text(unsigned long absent)
{
	struct page *page;

	if (get_user_pages_unlocked(absent, 1, &page, FOLL_FORCE) != 1)
		return false;
	put_page(page);
	return true;
}

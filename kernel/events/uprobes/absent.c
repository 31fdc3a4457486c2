// SPDX-License-Identifier: GPL-2.0
/*
 * What if the page with the instruction isn't in memory?
 *
 * A site is made from what stands in memory, and a page that isn't there comes
 * from the file's server, which may take as long as it likes (FUSE). Locks that
 * others need are held then: mmap_lock, that of the uprobe, event_mutex. So the place is put off, and the threads of the
 * process wait for the page with no lock held before they go on in user mode
 * (uprobe_sync()), and make the site. Nobody can execute the instruction in the
 * meantime, for want of the page.
 *
 *	breakpoint.c	uprobe_page_get()		-EAGAIN
 *	sites.c		uprobe_put_off()		not now
 *	mappings.c	uprobe_wait_for_page()		before the next attempt
 *
 * semaphore.c puts off counters in the same way. A return site is waited for by
 * the thread that wants it.
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
	/*
	 * at a mark for read-ahead, filemap_fault() asks the server for more; and
	 * without read-ahead it reads by itself what has gone since this look
	 */
	cached = folio_test_uptodate(folio) && !folio_test_readahead(folio) &&
		 !(vma->vm_flags & VM_RAND_READ) && vma->vm_file->f_ra.ra_pages;
	folio_put(folio);
	return cached;
}

/**
 * uprobe_is_at_hand - can a page be faulted in without waiting for anybody?
 * @vma: the mapping, or NULL if there is none
 * @addr: an address in the page
 *
 * What lies in memory alone, on a disk at the worst, is nobody's to withhold. Nor
 * is what isn't there at all: who reads it is told.
 *
 * Context: mmap_lock held.
 * Return: true if it can, or if nothing would come of it.
 */
bool uprobe_is_at_hand(struct vm_area_struct *vma, unsigned long addr)
{
	struct inode *inode;

	if (!vma || !vma->vm_file)
		return true;
	inode = file_inode(vma->vm_file);
	return uprobe_offset_of(vma, addr) >= i_size_read(inode) ||
	       shmem_mapping(inode->i_mapping) || is_cached(vma, addr);
}

/**
 * uprobe_flag_threads - no thread goes on in user mode before uprobe_sync()
 * @mm: the address space
 *
 * Those that run there are interrupted.
 *
 * Context: any.
 */
void uprobe_flag_threads(struct mm_struct *mm)
{
	struct task_struct *p, *t;

	guard(rcu)();
	for_each_process_thread(p, t) {
		if (READ_ONCE(t->mm) != mm ||
		    (t->flags & (PF_KTHREAD | PF_USER_WORKER | PF_EXITING)))
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
	/* all of them: whoever comes first to the page waits for it there */
	if (first)
		uprobe_flag_threads(space->mm);
}

/**
 * uprobe_put_off - a place has to wait for a page
 * @space: of the address space
 * @vaddr: the place
 * @absent: an address in the page, which isn't at hand
 *
 * Context: mmap_lock held for writing.
 * Return: -EAGAIN, and uprobe_sync() will come back to @vaddr; -EIO if that has
 * been tried in vain.
 */
int uprobe_put_off(struct uprobe_space *space, unsigned long vaddr,
		   unsigned long absent)
{
	mmap_assert_write_locked(space->mm);
	if (space->unreadable && !((space->unreadable ^ absent) & PAGE_MASK))
		return -EIO;
	note(space, vaddr, absent);
	return -EAGAIN;
}

/**
 * uprobe_wait_for_page - wait until a page is there
 * @absent: an address in it, of the current process
 *
 * Context: task context, no locks. A fatal signal ends the waiting.
 * Return: true if it is there.
 */
bool uprobe_wait_for_page(unsigned long absent)
{
	struct mm_struct *mm = current->mm;
	struct page *page;
	int locked = 1;
	long got;

	if (mmap_read_lock_killable(mm))
		return false;
	/* by force, and as if from outside: the program may only execute it */
	got = get_user_pages_remote(mm, absent, 1, FOLL_FORCE, &page, &locked);
	if (locked)
		mmap_read_unlock(mm);
	if (got != 1)
		return false;
	put_page(page);
	return true;
}

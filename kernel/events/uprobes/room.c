// SPDX-License-Identifier: GPL-2.0
/*
 * Where in a process is there room for what is mapped for uprobes?
 *
 * Below the code that needs it, or in holes where neither the heap nor the stack
 * grows, and mapped like nothing that mmap() makes. slots.c maps areas,
 * trampoline.c a page.
 */

#include <linux/mm.h>
#include <linux/sizes.h>

#include "internal.h"

/* what the heap is left to grow into */
#define HEAP_ROOM	SZ_1G

/* The lowest hole, or 0. */
static unsigned long find_lowest(struct mm_struct *mm, unsigned long low,
				 unsigned long high, unsigned long len)
{
	VMA_ITERATOR(vmi, mm, 0);

	low = PAGE_ALIGN(low);
	if (low >= high || mas_empty_area(&vmi.mas, low, high, len))
		return 0;
	return vmi.mas.index;
}

/**
 * uprobe_find_room - find a hole between mappings
 * @mm: the address space
 * @vaddr: the code that it is for
 * @low: the lowest address that may be in it
 * @high: the highest one; may be in the middle of a page, which isn't used then
 * @len: how many bytes, a multiple of PAGE_SIZE
 *
 * Context: mmap_lock held for writing.
 * Return: address of a page: in the highest hole below the code, or else in the
 * lowest one above it, but not where the heap grows; 0 if there is none.
 */
unsigned long uprobe_find_room(struct mm_struct *mm, unsigned long vaddr,
			       unsigned long low, unsigned long high,
			       unsigned long len)
{
	unsigned long below, found;
	VMA_ITERATOR(vmi, mm, 0);

	mmap_assert_write_locked(mm);
	high = ((high + 1) & PAGE_MASK) - 1;
	below = min(max(vaddr & PAGE_MASK, 1UL) - 1, high);
	low = PAGE_ALIGN(low);
	if (low < below && !mas_empty_area_rev(&vmi.mas, low, below, len))
		return vmi.mas.last + 1 - len;

	low = max(low, vaddr);
	if (mm->brk <= vaddr)
		return find_lowest(mm, low, high, len);
	found = find_lowest(mm, low, min(high, mm->start_brk - 1), len);
	return found ?: find_lowest(mm, max(low, mm->brk + HEAP_ROOM), high, len);
}

/**
 * uprobe_map - map something for uprobes
 * @mm: the address space
 * @vaddr: address of a page
 * @len: how many bytes, a multiple of PAGE_SIZE
 * @flags: what may be done there
 * @ops: whose it is
 *
 * Context: mmap_lock held for writing.
 * Return: 0 or -errno.
 */
int uprobe_map(struct mm_struct *mm, unsigned long vaddr, unsigned long len,
	       vm_flags_t flags, const struct vm_operations_struct *ops)
{
	struct vm_area_struct *vma;
	int err;

	/* mm/ takes that for granted */
	if (WARN_ON_ONCE(offset_in_page(vaddr)))
		return -EINVAL;
	vma = vm_area_alloc(mm);
	if (!vma)
		return -ENOMEM;
	vma->vm_start = vaddr;
	vma->vm_end = vaddr + len;
	/*
	 * VM_DONTEXPAND keeps it from merging with anything. Not installed
	 * through _install_special_mapping(), which would report the mapping
	 * as one of the current task, be it the tracer.
	 */
	vm_flags_init(vma, flags | VM_DONTEXPAND | VM_DONTDUMP | VM_SOFTDIRTY);
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	vma->vm_ops = ops;
	err = insert_vm_struct(mm, vma);
	if (err) {
		vm_area_free(vma);
		return err;
	}
	vm_stat_account(mm, vma->vm_flags, len >> PAGE_SHIFT);
	return 0;
}

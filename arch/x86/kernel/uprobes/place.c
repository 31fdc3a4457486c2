// SPDX-License-Identifier: GPL-2.0
/*
 * Which mode is an address space in, and where may a slot be?
 *
 * Called by the core when a site is made: the answers choose how the
 * instruction is decoded (classify.c) and where its slot goes (relocate.c).
 */
#include <linux/minmax.h>
#include <linux/mm_types.h>
#include <linux/security.h>
#include <linux/sizes.h>
#include <linux/uprobes.h>
#include <asm/mmu_context.h>

/*
 * Displacements reach 2 GB. A slot stays half a gigabyte below that, so that
 * operands up to half a gigabyte away from the code are in its reach too.
 */
#define REACH	(SZ_2G - SZ_512M)

/**
 * arch_uprobe_mm_is_64bit - is the code of this address space 64-bit code?
 * @mm: the address space
 *
 * A thread that goes on in a code segment of the other mode is told from the
 * rest by arch_uprobe_fits().
 *
 * Return: what execve() loaded.
 */
bool arch_uprobe_mm_is_64bit(const struct mm_struct *mm)
{
	return is_64bit_mm((struct mm_struct *)mm);
}

/**
 * arch_uprobe_slot_range - where may the slot of an instruction be?
 * @mm: the address space
 * @vaddr: where the instruction is
 * @low: lowest address that the slot may have
 * @high: highest address that the last byte of the slot may have
 *
 * Context: any.
 */
void arch_uprobe_slot_range(const struct mm_struct *mm, unsigned long vaddr,
			    unsigned long *low, unsigned long *high)
{
	unsigned long bottom = max(mmap_min_addr, PAGE_SIZE);
	unsigned long top = mm->task_size - 1;

	*low = bottom;
	*high = top;
	if (!arch_uprobe_mm_is_64bit(mm))
		return;
	if (vaddr > bottom + REACH)
		*low = vaddr - REACH;
	if (vaddr < top - REACH)
		*high = vaddr + REACH;
}

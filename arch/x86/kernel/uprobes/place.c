// SPDX-License-Identifier: GPL-2.0
/*
 * Which mode is an address space in, where may a slot be, and where a return?
 *
 * Called by the core when a site is made: the answers choose how the
 * instruction is decoded (classify.c) and where its slot goes (relocate.c). And
 * when a call is to return by the trampoline.
 */
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/mm_types.h>
#include <linux/security.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/uprobes.h>
#include <asm/insn.h>
#include <asm/mmu_context.h>

/* Displacements reach 2 GB; the rest is for the length of area and code. */
#define REACH	((s64)SZ_2G - SZ_16M)

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

/* How far the operand is from the instruction, if that makes a difference. */
static s64 operand_distance(const struct arch_uprobe *au)
{
	s32 disp;

	if (!au->rip_disp || au->addr32)
		return 0;
	memcpy(&disp, au->insn + au->rip_disp, sizeof(disp));
	return disp;
}

/**
 * arch_uprobe_slot_range - where may the slot of an instruction be?
 * @mm: the address space
 * @au: the instruction
 * @vaddr: where it is
 * @low: set to the lowest address that the slot may have
 * @high: set to the highest address that the last byte of the slot may have
 *
 * The slot must reach the code behind the instruction, and its operand, which
 * may be 2 GB on either side.
 *
 * Context: any.
 * Return: 0, or -ERANGE if there is no such address.
 */
int arch_uprobe_slot_range(const struct mm_struct *mm,
			   const struct arch_uprobe *au, unsigned long vaddr,
			   unsigned long *low, unsigned long *high)
{
	unsigned long bottom = max(mmap_min_addr, PAGE_SIZE);
	unsigned long top = mm->task_size - 1;
	s64 distance = operand_distance(au), below, above;

	*low = bottom;
	*high = top;
	if (!arch_uprobe_mm_is_64bit(mm))
		return 0;
	below = REACH - max(distance, 0LL);
	above = REACH + min(distance, 0LL);
	if ((s64)(vaddr - bottom) > below)
		*low = vaddr - below;
	if (above < 0 && vaddr < -above)
		return -ERANGE;
	if ((s64)(top - vaddr) > above)
		*high = vaddr + above;
	return *low < *high ? 0 : -ERANGE;
}

/* The longest of `call *disp32(base,index,scale)`, with a prefix or two. */
#define MAX_CALL	9

/**
 * arch_uprobe_follows_call - can this be where a call returns to?
 * @vaddr: the address, of the current process
 * @is_64bit: the mode of the code
 *
 * Context: task context; may sleep.
 * Return: true if the bytes before it can be read as a near call.
 */
bool arch_uprobe_follows_call(unsigned long vaddr, bool is_64bit)
{
	u8 bytes[MAX_CALL];
	struct insn insn;
	int len;

	for (len = 2; len <= MAX_CALL; len++) {
		if (copy_from_user(bytes, (void __user *)vaddr - len, len))
			return false;
		if (insn_decode(&insn, bytes, len, is_64bit ? INSN_MODE_64 :
				INSN_MODE_32) || insn.length != len ||
		    insn_is_avx(&insn))
			continue;
		if (insn.opcode.bytes[0] == 0xe8 ||
		    (insn.opcode.bytes[0] == 0xff &&
		     X86_MODRM_REG(insn.modrm.value) == 2))
			return true;
	}
	return false;
}

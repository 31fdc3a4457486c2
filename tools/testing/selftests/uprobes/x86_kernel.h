/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The x86 classifier as a part of a user-space program: the kernel's decoder, and the files of
 * arch/x86/kernel/uprobes/ that need nothing else.
 *
 * The Makefile sees the include of this header and compiles with the decoder's tables, which an awk script of
 * the stock tree generates, and with that tree's tools/ before our own arch/x86/include.
 */
#ifndef X86_KERNEL_H
#define X86_KERNEL_H

#include <string.h>

#include "tap.h"

/* the kernel isn't compiled with these */
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"

#include <inat.c>
#include <insn.c>

#include "../../../../arch/x86/kernel/uprobes/tables.c"
#include "../../../../arch/x86/kernel/uprobes/classify.c"
#include "../../../../arch/x86/kernel/uprobes/relocate.c"

/* "f3 0f 1e fa" -> bytes; returns how many. */
static inline size_t parse_hex(const char *text, u8 *bytes, size_t max)
{
	size_t n = 0;
	unsigned int byte;
	int used;

	while (n < max && sscanf(text, "%2x%n", &byte, &used) == 1) {
		bytes[n++] = byte;
		text += used;
		while (*text == ' ')
			text++;
	}
	return n;
}

static inline s32 displacement_at(const u8 *bytes, u8 offset)
{
	s32 value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

/* Where a relative branch goes, in the mode that it was decoded for. */
static inline unsigned long branch_target(const struct arch_uprobe *au, unsigned long vaddr)
{
	unsigned long target = vaddr + au->len + (long)au->rel;

	return au->is_64bit ? target : (u32)target;
}

static inline unsigned long rip_operand(const struct arch_uprobe *au, unsigned long vaddr)
{
	unsigned long operand = vaddr + au->len + (long)displacement_at(au->insn, au->rip_disp);

	return au->addr32 ? (u32)operand : operand;
}

/* The branch in the slot goes where the original goes, through a pointer in 64-bit mode. */
static inline bool branch_is_right(const struct arch_uprobe *au, const struct arch_uprobe *in_slot, const u8 *slot,
				   unsigned long slot_addr, unsigned long vaddr)
{
	bool is_call = au->op == UPROBE_OP_CALL;
	unsigned long got;

	if (!au->is_64bit)
		return in_slot->op == (is_call ? UPROBE_OP_CALL : UPROBE_OP_JUMP) &&
		       branch_target(in_slot, slot_addr) == branch_target(au, vaddr);
	if (in_slot->op != (is_call ? UPROBE_OP_CALL_INDIRECT : UPROBE_OP_JUMP_INDIRECT) || !in_slot->rip_disp)
		return false;
	memcpy(&got, slot + (rip_operand(in_slot, slot_addr) - slot_addr), sizeof(got));
	return got == branch_target(au, vaddr);
}

/* The same bytes, but for the displacement of the operand, which is the same operand. */
static inline bool copy_is_right(const struct arch_uprobe *au, const struct arch_uprobe *in_slot,
				 unsigned long slot_addr, unsigned long vaddr)
{
	u8 bytes[UPROBE_MAX_INSN];

	memcpy(bytes, in_slot->insn, sizeof(bytes));
	if (au->rip_disp != in_slot->rip_disp)
		return false;
	if (au->rip_disp) {
		if (rip_operand(in_slot, slot_addr) != rip_operand(au, vaddr))
			return false;
		memcpy(bytes + au->rip_disp, au->insn + au->rip_disp, sizeof(s32));
	}
	return in_slot->op == au->op && in_slot->len == au->len && !memcmp(bytes, au->insn, au->len);
}

/* Does the instruction in the slot mean what the original does, and does the jump lead back? */
static inline bool slot_is_right(const struct arch_uprobe *au, unsigned long slot_addr, unsigned long vaddr)
{
	struct arch_uprobe in_slot, back;
	u8 slot[UPROBE_SLOT_SIZE];
	const char *reason;

	if (arch_uprobe_fill_slot(au, slot, slot_addr, vaddr) ||
	    arch_uprobe_analyze(&in_slot, slot, sizeof(slot), au->is_64bit, &reason) ||
	    arch_uprobe_analyze(&back, slot + in_slot.len, sizeof(slot) - in_slot.len, au->is_64bit, &reason))
		return false;
	if (in_slot.len != uprobe_slot_insn_len(au) || back.op != UPROBE_OP_JUMP ||
	    branch_target(&back, slot_addr + in_slot.len) != vaddr + au->len)
		return false;
	if (is_relative_branch(au))
		return branch_is_right(au, &in_slot, slot, slot_addr, vaddr);
	return copy_is_right(au, &in_slot, slot_addr, vaddr);
}

#endif /* X86_KERNEL_H */

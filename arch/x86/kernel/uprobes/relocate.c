// SPDX-License-Identifier: GPL-2.0
/*
 * Which bytes go into a slot?
 *
 * The instruction, so encoded that it does at the slot's address what the
 * original does at its own, and behind it a jump to the instruction after the
 * original: a thread needs no trap to get back. An operand relative to the
 * instruction pointer gets another displacement; place.c keeps slots near
 * enough.
 *
 * Relative branches land here only if they fault, or if the processor has to
 * keep a shadow stack. Their slot reaches any target, taken for granted that
 * the branch is taken: emulate.c deals with those that aren't.
 *
 * Called by the core when a site is made, compiled in user space, too. Next:
 * the thread that hits the site (notify.c).
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "internal.h"

#define JUMP_LEN	5	/* e9 and 32 bits; e8 likewise */
#define POINTER_JUMP	6	/* ff 25 and 32 bits: jump through a pointer */
#define POINTER_AT	16	/* where that pointer stands in the slot */
#define LONGEST_INSN	15

static_assert(LONGEST_INSN + JUMP_LEN <= UPROBE_SLOT_SIZE);
static_assert(POINTER_JUMP + JUMP_LEN <= POINTER_AT);
static_assert(POINTER_AT + sizeof(u64) <= UPROBE_SLOT_SIZE);

static bool is_relative_branch(const struct arch_uprobe *au)
{
	return au->op >= UPROBE_OP_JUMP && au->op <= UPROBE_OP_CALL;
}

/**
 * uprobe_slot_insn_len - how long is the instruction in the slot?
 * @au: the instruction
 *
 * Return: bytes; not those of the original for a relative branch, which is
 * replaced by one that reaches farther.
 */
unsigned int uprobe_slot_insn_len(const struct arch_uprobe *au)
{
	if (!is_relative_branch(au))
		return au->len;
	return au->is_64bit ? POINTER_JUMP : JUMP_LEN;
}

/**
 * arch_uprobe_describe_slot - write down what has to be known of a slot
 * @au: the instruction
 * @slot: filled
 *
 * Context: any; pure.
 */
void arch_uprobe_describe_slot(const struct arch_uprobe *au,
			       struct arch_uprobe_slot *slot)
{
	slot->insn_len = uprobe_slot_insn_len(au);
	slot->len = au->len;
}

/**
 * arch_uprobe_slot_origin - where would a thread in a slot be without it?
 * @slot: what is known of the slot
 * @vaddr: where the original instruction is
 * @offset: of the instruction pointer in the slot
 *
 * Behind the instruction there is nothing but the jump back.
 *
 * Context: any, also NMI.
 * Return: @vaddr, or the address behind the original.
 */
unsigned long arch_uprobe_slot_origin(const struct arch_uprobe_slot *slot,
				      unsigned long vaddr, unsigned int offset)
{
	return offset < slot->insn_len ? vaddr : vaddr + slot->len;
}

/* In 32-bit code addresses wrap around, so that every distance fits. */
static int put_distance(const struct arch_uprobe *au, u8 *at, u64 from, u64 to)
{
	s64 distance = to - from;
	s32 encoded = distance;

	if (au->is_64bit && distance != encoded)
		return -ERANGE;
	memcpy(at, &encoded, sizeof(encoded));
	return 0;
}

static int put_branch(const struct arch_uprobe *au, u8 *slot, u64 slot_addr,
		      u64 vaddr)
{
	u64 target = vaddr + au->len + (s64)au->rel;
	bool is_call = au->op == UPROBE_OP_CALL;

	if (!au->is_64bit) {
		slot[0] = is_call ? 0xe8 : 0xe9;
		return put_distance(au, slot + 1, slot_addr + JUMP_LEN, target);
	}
	slot[0] = 0xff;
	slot[1] = is_call ? 0x15 : 0x25;
	memcpy(slot + POINTER_AT, &target, sizeof(target));
	return put_distance(au, slot + 2, POINTER_JUMP, POINTER_AT);
}

static int put_copy(const struct arch_uprobe *au, u8 *slot, u64 slot_addr,
		    u64 vaddr)
{
	s32 old;
	u64 operand;

	memcpy(slot, au->insn, au->len);
	if (!au->rip_disp)
		return 0;
	memcpy(&old, slot + au->rip_disp, sizeof(old));
	operand = vaddr + au->len + (s64)old;
	if (au->addr32) {
		u32 encoded = operand - (slot_addr + au->len);

		memcpy(slot + au->rip_disp, &encoded, sizeof(encoded));
		return 0;
	}
	return put_distance(au, slot + au->rip_disp, slot_addr + au->len,
			    operand);
}

/**
 * arch_uprobe_fill_slot - write what a slot holds
 * @au: the instruction
 * @slot: UPROBE_SLOT_SIZE bytes to be mapped at @slot_addr
 * @slot_addr: where the thread will find the slot
 * @vaddr: where the original instruction is
 *
 * Context: any; pure.
 * Return: 0, or -ERANGE if the operand or the code is too far from the slot.
 */
int arch_uprobe_fill_slot(const struct arch_uprobe *au, u8 *slot,
			  unsigned long slot_addr, unsigned long vaddr)
{
	unsigned int len = uprobe_slot_insn_len(au);
	int err;

	memset(slot, 0, UPROBE_SLOT_SIZE);
	err = is_relative_branch(au) ? put_branch(au, slot, slot_addr, vaddr) :
				       put_copy(au, slot, slot_addr, vaddr);
	if (err)
		return err;
	slot[len] = 0xe9;
	return put_distance(au, slot + len + 1,
			    (u64)slot_addr + len + JUMP_LEN,
			    (u64)vaddr + au->len);
}

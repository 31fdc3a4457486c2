/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which registers and bytes decide what memory an instruction touches and where it jumps?
 *
 * Instructions out of real programs, or made up, mean memory that isn't there. describe() finds out with the
 * kernel's decoder where their addresses come from, once, and points displacements that no register can make
 * up for at scratch memory; aim() then chooses the registers for each execution.
 */
#ifndef UPROBES_OPERANDS_H
#define UPROBES_OPERANDS_H

#include "x86_kernel.h"

#include "instructions_found.h"
#include "processor_state.h"

/*
 * Everything lies at the same address in each run, below 2 GB so that displacements reach it:
 * pointers to the landings, cells with code, and scratch memory between two pages without access.
 */
#define POINTERS	0x1fff0000ul
#define CODE		0x20000000ul
#define SCRATCH		0x30000000ul
#define SCRATCH_SIZE	0x4000ul
#define OPERANDS	(SCRATCH + 0x2000)	/* the stack lies below */
#define HOLE		(SCRATCH + SCRATCH_SIZE)
#define HOLE_SIZE	0x1000ul

/* A cell: a jump that is arrived at from ahead, the instruction, a jump, and another that is arrived at. */
#define CODE_START	64			/* behind an ELF header, from which the kernel knows the mode */
#define CELL_SIZE	44			/* no power of 2: some instructions lie across pages */
#define CELL_INSN	8
#define CELL_AHEAD	32

#define NO_REG		(-1)
#define RSP		4
#define RBP		5

enum {
	MEMORY		= 0x01,	/* a ModRM operand in memory */
	THREAD		= 0x02,	/* relative to the segment that thread-local data is in */
	VECTOR_INDEX	= 0x04,	/* the index is a vector register */
	COUNTED		= 0x08,	/* rcx counts */
	BRANCH		= 0x10,	/* the operand is where it goes */
	POPS_FLAGS	= 0x20,
	SELECTS		= 0x40,	/* rax, rcx and rdx say which of the processor's registers */
	RELATIVE	= 0x80,	/* a branch that can go back as well as ahead */
};

struct cell {
	u8		bytes[UPROBE_MAX_INSN];
	u8		len;
	u8		class;		/* enum uprobe_class */
	u8		flags;
	s8		base;
	s8		index;
	s8		bit;		/* register with the number of a bit in memory */
	u8		scale;
	bool		behind;		/* branches go back */
	bool		is_broken;	/* the processor itself gets it wrong */
	s32		disp;		/* relative to the instruction pointer: the address */
	unsigned int	source;
	int		wanted_error;
};

static __thread unsigned char thread_scratch[256] __attribute__((aligned(64)));
static unsigned long thread_base;

static void note_thread_base(void)
{
#ifdef __i386__
	asm("movl %%gs:0, %0" : "=r"(thread_base));
#else
	asm("movq %%fs:0, %0" : "=r"(thread_base));
#endif
}

static unsigned long cell_address(size_t i)
{
	return CODE + CODE_START + i * CELL_SIZE + CELL_INSN;
}

static bool is_legacy(struct insn *insn, unsigned int map, u8 opcode)
{
	return !insn_is_avx(insn) && insn->opcode.nbytes == map && uprobe_insn_opcode(insn) == opcode;
}

static bool in_register(const struct insn *insn)
{
	return is_register_form(insn);
}

/* ---- what isn't tried --------------------------------------------------- */

/* Without segments, and so without thread-local data, the test itself couldn't go on. */
static bool loads_segment(struct insn *insn)
{
	static const u8 one[] = { 0x07, 0x17, 0x1f, 0x8e, 0xc4, 0xc5 }, two[] = { 0xa1, 0xa9, 0xb2, 0xb4, 0xb5 };
	size_t i;

	for (i = 0; i < sizeof(one); i++)
		if (is_legacy(insn, 1, one[i]))
			return true;
	for (i = 0; i < sizeof(two); i++)
		if (is_legacy(insn, 2, two[i]))
			return true;
	/* wrfsbase, wrgsbase */
	return is_legacy(insn, 2, 0xae) && in_register(insn) && uprobe_insn_has_prefix(insn, 0xf3) &&
	       (modrm_reg(insn) == 2 || modrm_reg(insn) == 3);
}

/* Time stamps, random numbers, and waiting until a certain time or a store. */
static bool is_unrepeatable(struct insn *insn)
{
	u8 modrm = insn->modrm.bytes[0];

	if (is_legacy(insn, 2, 0x31) || is_legacy(insn, 2, 0x33))
		return true;
	if (is_legacy(insn, 2, 0xc7))
		return in_register(insn);
	if (is_legacy(insn, 2, 0xae))
		return modrm_reg(insn) == 6 && in_register(insn) && insn->prefixes.nbytes;
	return is_legacy(insn, 2, 0x01) && modrm >= 0xc8 && (modrm == 0xc8 || modrm == 0xc9 || modrm >= 0xf9);
}

/* Addresses that can't be pointed at scratch memory. */
static bool is_out_of_reach(struct insn *insn, bool thread)
{
	if (insn->modrm.nbytes && thread && (insn->addr_bytes != sizeof(long) || insn_rip_relative(insn)))
		return true;
	/* enter with a big frame */
	return is_legacy(insn, 1, 0xc8) && insn->immediate1.value > 64;
}

/* ---- memory ------------------------------------------------------------- */

static void put(struct cell *c, unsigned int offset, unsigned long value, unsigned int len)
{
	memcpy(c->bytes + offset, &value, len);
}

/* Where something lies that always has the same address: sometimes it's across the end of the scratch memory. */
static unsigned long fixed_address(const struct cell *c)
{
	if (c->flags & THREAD)
		return (unsigned long)thread_scratch + draw() % 3 * 64 - thread_base;
	switch (draw() % 8) {
	case 0:
		return c->flags & BRANCH ? HOLE : HOLE - 1 - draw() % 8;
	case 1:
		return OPERANDS + 0x400 + draw() % 64;
	default:
		return OPERANDS + draw() % 16 * 64;
	}
}

static void describe_sib(struct cell *c, struct insn *insn)
{
	u8 sib = insn->sib.bytes[0], rex = insn->rex_prefix.bytes[0], index = X86_SIB_INDEX(sib);
	bool no_base = X86_SIB_BASE(sib) == 5 && X86_MODRM_MOD(insn->modrm.bytes[0]) == 0;

	if (insn_is_avx(insn)) {
		/* inverted, and in other places */
		u8 vex = insn->vex_prefix.nbytes > 2 ? insn->vex_prefix.bytes[1] : 0xff;

		rex = (vex & 0x40 ? 0 : 2) | (vex & 0x20 ? 0 : 1);
	}
	index |= X86_REX_X(rex) ? 8 : 0;
	if (c->flags & VECTOR_INDEX || index != 4)
		c->index = index;
	c->scale = 1 << X86_SIB_SCALE(sib);
	if (!no_base)
		c->base = X86_SIB_BASE(sib) | (X86_REX_B(rex) ? 8 : 0);
}

static void describe_base(struct cell *c, struct insn *insn)
{
	u8 rm = X86_MODRM_RM(insn->modrm.bytes[0]), rex = insn->rex_prefix.bytes[0];

	if (insn_is_avx(insn))
		rex = insn->vex_prefix.nbytes > 2 && !(insn->vex_prefix.bytes[1] & 0x20);
	if (rm == 5 && X86_MODRM_MOD(insn->modrm.bytes[0]) == 0)
		return;
	c->base = rm | (X86_REX_B(rex) ? 8 : 0);
}

/* Registers make up for displacements; where there is none, or the stack pointer, the bytes are changed. */
static void describe_memory(struct cell *c, struct insn *insn, unsigned long address)
{
	unsigned int offset = insn_offset_displacement(insn);

	if (!insn->modrm.nbytes || in_register(insn) || insn->addr_bytes == 2)
		return;
	c->flags |= MEMORY;
	if (insn->sib.nbytes)
		describe_sib(c, insn);
	else
		describe_base(c, insn);
	c->disp = insn->displacement.nbytes ? insn->displacement.value : 0;
	if (c->base == NO_REG)
		c->disp = fixed_address(c);
	else if (c->base == RSP && insn->displacement.nbytes == 4)
		c->disp = c->disp % 0x800;
	if (insn->displacement.nbytes == 4)
		put(c, offset, c->disp - (insn_rip_relative(insn) ? address + c->len : 0), 4);
}

static void describe_accumulator_move(struct cell *c, struct insn *insn)
{
	if (!insn_is_avx(insn) && insn->opcode.nbytes == 1 && (insn->opcode.bytes[0] & 0xfc) == 0xa0)
		put(c, insn_offset_immediate(insn), fixed_address(c), insn->addr_bytes);
}

/* A bit number may lead far away from the operand. */
static void describe_bit(struct cell *c, struct insn *insn)
{
	static const u8 opcodes[] = { 0xa3, 0xab, 0xb3, 0xbb };
	size_t i;

	for (i = 0; i < sizeof(opcodes); i++)
		if (is_legacy(insn, 2, opcodes[i]) && !in_register(insn))
			c->bit = modrm_reg(insn) | (X86_REX_R(insn->rex_prefix.bytes[0]) ? 8 : 0);
}

/* ---- branches and the rest ---------------------------------------------- */

static void describe_branch(struct cell *c, struct insn *insn, unsigned long address, u8 op)
{
	unsigned long target = address - CELL_INSN + (c->behind ? 0 : CELL_AHEAD);

	switch (op) {
	case UPROBE_OP_JUMP ... UPROBE_OP_CALL:
		c->flags |= RELATIVE;
		put(c, insn_offset_immediate(insn), target - address - c->len, insn->immediate.nbytes);
		break;
	case UPROBE_OP_JUMP_INDIRECT:
	case UPROBE_OP_CALL_INDIRECT:
		c->flags |= BRANCH;
		if (in_register(insn))
			c->base = X86_MODRM_RM(insn->modrm.bytes[0]) | (X86_REX_B(insn->rex_prefix.bytes[0]) ? 8 : 0);
		break;
	}
}

static bool is_counted(struct insn *insn, u8 op)
{
	u8 opcode = insn->opcode.bytes[0];
	bool is_string = insn->opcode.nbytes == 1 && !insn_is_avx(insn) &&
			 ((opcode >= 0xa4 && opcode <= 0xa7) || (opcode >= 0xaa && opcode <= 0xaf));

	return (op >= UPROBE_OP_LOOPNE && op <= UPROBE_OP_JCXZ) || is_string;
}

static void describe_rest(struct cell *c, struct insn *insn, u8 op)
{
	if (is_counted(insn, op))
		c->flags |= COUNTED;
	if (op == UPROBE_OP_POPF)
		c->flags |= POPS_FLAGS;
	/* xgetbv, rdpkru, wrpkru */
	if (is_legacy(insn, 2, 0x01) && in_register(insn))
		c->flags |= SELECTS;
	if (insn_is_avx(insn) && insn_vex_m_bits(insn) == 2 && (uprobe_insn_opcode(insn) & 0xfc) == 0x90)
		c->flags |= VECTOR_INDEX;
	describe_bit(c, insn);
}

static bool uses_thread_segment(const struct insn *insn)
{
	return uprobe_insn_has_prefix(insn, sizeof(long) == 8 ? 0x64 : 0x65);
}

/* XOP is decoded as if it were VEX, but begins with another byte. */
static bool is_missing(struct insn *insn, u8 first)
{
	if (insn_is_avx(insn) && first == 0x8f)
		return !__builtin_cpu_supports("xop");
	return insn_is_evex(insn) && !__builtin_cpu_supports("avx512f");
}

enum fate { TRIED, UNKNOWN, UNTRIED, MISSING, NR_FATES };

/*
 * @c: has bytes, at least 15, and says where branches should go; the rest is filled in
 * @address: where it is going to be executed
 */
static enum fate describe(struct cell *c, unsigned long address)
{
	struct arch_uprobe au;
	const char *reason;
	struct insn insn;

	if (!decode_bytes(&insn, c->bytes, MAX_INSN_SIZE))
		return c->class = UPROBE_REFUSED, UNKNOWN;
	c->len = insn.length;
	memset(c->bytes + c->len, 0, sizeof(c->bytes) - c->len);
	arch_uprobe_analyze(&au, c->bytes, sizeof(c->bytes), sizeof(long) == 8, &reason);
	c->class = au.class;
	c->flags = 0;
	c->base = c->index = c->bit = NO_REG;
	if (c->class == UPROBE_REFUSED)
		return TRIED;
	if (loads_segment(&insn) || is_unrepeatable(&insn) || is_out_of_reach(&insn, uses_thread_segment(&insn)))
		return UNTRIED;
	if (is_missing(&insn, c->bytes[insn_offset_vex_prefix(&insn)]))
		return MISSING;
	if (uses_thread_segment(&insn))
		c->flags |= THREAD;
	describe_branch(c, &insn, address, au.op);
	describe_rest(c, &insn, au.op);
	describe_memory(c, &insn, address);
	describe_accumulator_move(c, &insn);
	return TRIED;
}

/* ---- one execution ------------------------------------------------------ */

/*
 * A run of an instruction is one of these: its operands lie well aligned, anywhere, across the end of the
 * scratch memory, or where there is nothing.
 */
enum aim { ALIGNED, ALIGNED_AGAIN, ANYWHERE, ACROSS, NOTHING, NR_AIMS };

static unsigned long choose_address(enum aim aim)
{
	switch (aim) {
	case ANYWHERE:
		return OPERANDS + draw() % 0x1000;
	case ACROSS:
		return HOLE - 1 - draw() % 31;
	case NOTHING:
#ifndef __i386__
		if (draw() & 1)
			return 1ul << 63 | OPERANDS;
#endif
		return HOLE + draw() % 0x800;
	default:
		return OPERANDS + draw() % 16 * 64;
	}
}

/* The stack, and what strings, xlat and leave use. */
static void aim_implied(enum aim aim)
{
	in.regs[RSP] = SCRATCH + 0x1000 + draw() % 16 * 16;
	in.regs[RBP] = SCRATCH + 0x1400 + draw() % 16 * 16;
	in.regs[3] = choose_address(ANYWHERE);
	in.regs[6] = choose_address(aim == ACROSS ? ANYWHERE : aim);
	in.regs[7] = choose_address(aim);
	if (aim == ACROSS && draw() & 1)
		in.regs[RSP] = SCRATCH + draw() % 8;
	else if (aim == ACROSS)
		in.regs[RSP] = HOLE - draw() % 8;
	else if (aim == NOTHING)
		in.regs[RSP] = choose_address(NOTHING);
}

/* The vector with the indices begins with a small number in each of its lanes, whatever their width. */
static void make_indices_small(unsigned int reg)
{
	unsigned int lane;

	for (lane = 0; lane < 4; lane++) {
		u64 small = draw() % 64;

		memcpy(in.xsave + (lane < 2 ? 160 : 576) + 16 * reg + lane % 2 * 8, &small, 8);
	}
}

static void aim_operand(const struct cell *c, enum aim aim)
{
	unsigned long address = choose_address(aim), index = draw() % 16;

	if (c->base == RSP && aim == NOTHING)
		address = HOLE + 0x400;
	if (c->flags & THREAD)
		address = (aim < ACROSS ? (unsigned long)thread_scratch + draw() % 4 * 16 : address) - thread_base;
	address -= c->disp;
	if (c->flags & VECTOR_INDEX)
		make_indices_small(c->index);
	else if (c->index != NO_REG && c->index == c->base)
		address /= 1 + c->scale;
	else if (c->index != NO_REG)
		in.regs[c->index] = index;
	if (c->index != NO_REG && c->index != c->base && !(c->flags & VECTOR_INDEX))
		address -= index * c->scale;
	if (c->base != NO_REG)
		in.regs[c->base] = address;
}

/* The same sum that the processor makes; false if the target can't be written there. */
static bool find_operand(const struct cell *c, unsigned long **operand)
{
	unsigned long address = c->disp;

	if (c->base != NO_REG)
		address += in.regs[c->base];
	if (c->index != NO_REG)
		address += in.regs[c->index] * c->scale;
	if (c->flags & THREAD)
		address += thread_base;
	*operand = (unsigned long *)address;
	return (address >= SCRATCH && address <= HOLE - sizeof(long)) ||
	       (address >= (unsigned long)thread_scratch && address < (unsigned long)(thread_scratch + 200));
}

static void store_on_stack(unsigned long value)
{
	if (in.regs[RSP] >= SCRATCH && in.regs[RSP] <= HOLE - sizeof(long))
		memcpy((void *)in.regs[RSP], &value, sizeof(value));
}

static void aim_branch(const struct cell *c, unsigned long address)
{
	unsigned long target = address - CELL_INSN + (draw() & 1 ? 0 : CELL_AHEAD), *operand;

	store_on_stack(c->flags & POPS_FLAGS ? (draw() & 0x244cd5) | (draw() & 3 ? 0x202 : 0x302) : target);
	if (!(c->flags & BRANCH))
		return;
	if (!(c->flags & MEMORY)) {
		in.regs[c->base] = draw() % 8 ? target : choose_address(NOTHING);
		return;
	}
	if (find_operand(c, &operand))
		memcpy(operand, &target, sizeof(target));
}

static void aim(const struct cell *c, unsigned long address, enum aim aim)
{
	aim_implied(aim);
	if (c->flags & COUNTED)
		in.regs[1] = draw() % 9;
	if (c->flags & SELECTS)
		in.regs[0] = in.regs[1] = in.regs[2] = 0;
	if (c->flags & MEMORY)
		aim_operand(c, aim);
	if (c->bit != NO_REG && c->bit != c->base)
		in.regs[c->bit] = draw() % 1024;
	aim_branch(c, address);
}

#endif /* UPROBES_OPERANDS_H */

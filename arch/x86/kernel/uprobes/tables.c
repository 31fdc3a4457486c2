// SPDX-License-Identifier: GPL-2.0
/*
 * What kind of instruction stands behind an opcode?
 *
 * The tables are indexed by opcode map first: the byte 7f is jg in the
 * one-byte map, a store in map 0f and something else again behind a VEX or
 * EVEX prefix. Whatever isn't listed is invalid, since the decoder only guesses
 * the length of opcodes that it doesn't know. Behind VEX and EVEX the decoder
 * itself rejects what it doesn't know, and no instruction there is a branch.
 *
 * Called by classify.c. Also compiled in user space.
 */
#include <linux/kernel.h>
#include <linux/types.h>
#include <asm/insn.h>

#include "internal.h"

/* Where the opcode byte is looked up; REX2 selects one of the first two. */
enum opcode_map {
	MAP_ONE_BYTE,
	MAP_0F,
	MAP_0F38,
	MAP_0F3A,
	MAP_VEX,
};

struct opcode_range {
	u8 first;
	u8 last;
};

/* Prefixes appear as opcodes if there are too many, or in an odd order. */
static const u8 one_byte[256] = {
	[0x00 ... 0x0e] = VERDICT_PLAIN,
	[0x10 ... 0x16] = VERDICT_PLAIN,
	[0x17]		= VERDICT_STACK_SEGMENT,	/* pop ss */
	[0x18 ... 0x25] = VERDICT_PLAIN,
	[0x27 ... 0x2d] = VERDICT_PLAIN,
	[0x2f ... 0x35] = VERDICT_PLAIN,
	[0x37 ... 0x3d] = VERDICT_PLAIN,
	[0x3f ... 0x5f] = VERDICT_PLAIN,
	[0x60 ... 0x63] = VERDICT_PLAIN,
	[0x68 ... 0x6b] = VERDICT_PLAIN,
	[0x6c ... 0x6f] = VERDICT_PORT,
	[0x70 ... 0x7f] = VERDICT_JCC,
	[0x80 ... 0x8d] = VERDICT_PLAIN,
	[0x8e ... 0x8f] = VERDICT_GROUP,
	[0x90]		= VERDICT_NOP,
	[0x91 ... 0x99] = VERDICT_PLAIN,
	[0x9a]		= VERDICT_FAR,
	[0x9b]		= VERDICT_PLAIN,
	[0x9c]		= VERDICT_PUSHF,
	[0x9d]		= VERDICT_POPF,
	[0x9e ... 0xa0] = VERDICT_PLAIN,
	[0xa1]		= VERDICT_GROUP,
	[0xa2 ... 0xc1] = VERDICT_PLAIN,
	[0xc2 ... 0xc3] = VERDICT_RETURN,
	[0xc4 ... 0xc5] = VERDICT_PLAIN,
	[0xc6 ... 0xc7] = VERDICT_GROUP,
	[0xc8 ... 0xc9] = VERDICT_PLAIN,
	[0xca ... 0xcb] = VERDICT_FAR,
	[0xcc ... 0xcf] = VERDICT_INTERRUPT,
	[0xd0 ... 0xd5] = VERDICT_PLAIN,
	[0xd7 ... 0xdf] = VERDICT_PLAIN,
	[0xe0 ... 0xe3] = VERDICT_LOOP,
	[0xe4 ... 0xe7] = VERDICT_PORT,
	[0xe8]		= VERDICT_CALL,
	[0xe9]		= VERDICT_JUMP,
	[0xea]		= VERDICT_FAR,
	[0xeb]		= VERDICT_JUMP,
	[0xec ... 0xef] = VERDICT_PORT,
	[0xf1]		= VERDICT_INTERRUPT,		/* int1 */
	[0xf4]		= VERDICT_PRIVILEGED,		/* hlt */
	[0xf5 ... 0xf9] = VERDICT_PLAIN,
	[0xfa ... 0xfb] = VERDICT_PRIVILEGED,		/* cli, sti */
	[0xfc ... 0xfd] = VERDICT_PLAIN,
	[0xfe ... 0xff] = VERDICT_GROUP,
};

/* One-byte opcodes that are prefixes or nothing in 64-bit mode, in order. */
static const struct opcode_range not_in_64bit[] = {
	{ 0x06, 0x07 }, { 0x0e, 0x0e }, { 0x16, 0x17 }, { 0x1e, 0x1f },
	{ 0x27, 0x27 }, { 0x2f, 0x2f }, { 0x37, 0x37 }, { 0x3f, 0x4f },
	{ 0x60, 0x62 }, { 0x82, 0x82 }, { 0x9a, 0x9a }, { 0xc4, 0xc5 },
	{ 0xce, 0xce }, { 0xd4, 0xd5 }, { 0xea, 0xea },
};

static const u8 map_0f[256] = {
	[0x00 ... 0x01] = VERDICT_GROUP,
	[0x02 ... 0x03] = VERDICT_PLAIN,		/* lar, lsl */
	[0x05]		= VERDICT_SYSCALL,
	[0x06 ... 0x09] = VERDICT_PRIVILEGED,		/* clts, sysret, ... */
	[0x0b]		= VERDICT_PLAIN,		/* ud2: faults there as well as here */
	[0x0d ... 0x1d] = VERDICT_PLAIN,
	[0x1e ... 0x1f] = VERDICT_HINT,
	[0x20 ... 0x23] = VERDICT_PRIVILEGED,		/* mov cr, dr */
	[0x28 ... 0x2f] = VERDICT_PLAIN,
	[0x30]		= VERDICT_PRIVILEGED,		/* wrmsr */
	[0x31]		= VERDICT_PLAIN,		/* rdtsc */
	[0x32]		= VERDICT_PRIVILEGED,		/* rdmsr */
	[0x33]		= VERDICT_PLAIN,		/* rdpmc */
	[0x34]		= VERDICT_SYSCALL,		/* sysenter */
	[0x35]		= VERDICT_PRIVILEGED,		/* sysexit */
	[0x37]		= VERDICT_PRIVILEGED,		/* getsec */
	[0x40 ... 0x77] = VERDICT_PLAIN,
	[0x78 ... 0x79] = VERDICT_PRIVILEGED,		/* vmread, vmwrite */
	[0x7a ... 0x7f] = VERDICT_PLAIN,
	[0x80 ... 0x8f] = VERDICT_JCC,
	[0x90 ... 0xa9] = VERDICT_PLAIN,
	[0xaa]		= VERDICT_PRIVILEGED,		/* rsm */
	[0xab ... 0xad] = VERDICT_PLAIN,
	[0xae]		= VERDICT_GROUP,
	[0xaf ... 0xb8] = VERDICT_PLAIN,
	[0xb9]		= VERDICT_PLAIN,		/* ud1 */
	[0xba ... 0xc6] = VERDICT_PLAIN,
	[0xc7]		= VERDICT_GROUP,
	[0xc8 ... 0xfe] = VERDICT_PLAIN,
	[0xff]		= VERDICT_PLAIN,		/* ud0 */
};

/* The only opcodes of map 0f that no ModRM byte follows, in order. */
static const struct opcode_range no_modrm_in_0f[] = {
	{ 0x05, 0x09 }, { 0x0b, 0x0b }, { 0x0e, 0x0e }, { 0x30, 0x37 },
	{ 0x77, 0x77 }, { 0x80, 0x8f }, { 0xa0, 0xa2 }, { 0xa8, 0xaa },
	{ 0xc8, 0xcf }, { 0xff, 0xff },
};

/* 0f 01 with a register operand is a map of its own, here from modrm c0 on. */
static const u8 map_0f01[64] = {
	[0x00]		= VERDICT_PRIVILEGED,		/* enclv */
	[0x01]		= VERDICT_VIRTUAL,		/* vmcall */
	[0x02 ... 0x0f] = VERDICT_PRIVILEGED,		/* vmlaunch, ... */
	[0x10]		= VERDICT_PLAIN,		/* xgetbv */
	[0x11 ... 0x13] = VERDICT_PRIVILEGED,		/* xsetbv */
	[0x14]		= VERDICT_VIRTUAL,		/* vmfunc */
	[0x15 ... 0x16] = VERDICT_PLAIN,		/* xend, xtest */
	[0x17]		= VERDICT_ENCLAVE,		/* enclu */
	[0x18]		= VERDICT_PRIVILEGED,		/* vmrun */
	[0x19]		= VERDICT_VIRTUAL,		/* vmmcall */
	[0x1a ... 0x1f] = VERDICT_PRIVILEGED,		/* vmload, ... */
	[0x20 ... 0x27] = VERDICT_PLAIN,		/* smsw */
	[0x28 ... 0x2b] = VERDICT_PLAIN,		/* serialize, ... */
	[0x2c]		= VERDICT_INTERRUPT,		/* uiret */
	[0x2d ... 0x2f] = VERDICT_PLAIN,		/* rdpkru, wrpkru */
	[0x30 ... 0x38] = VERDICT_PRIVILEGED,		/* lmsw, swapgs */
	[0x39 ... 0x3d] = VERDICT_PLAIN,		/* rdtscp, monitorx */
	[0x3e ... 0x3f] = VERDICT_PRIVILEGED,		/* invlpgb, tlbsync */
};

/**
 * uprobe_insn_has_prefix - does a legacy prefix stand before the instruction?
 * @insn: decoded
 * @prefix: 66, 67, f0, f2, f3 or a segment override
 *
 * Return: true if it does, once or more.
 */
bool uprobe_insn_has_prefix(const struct insn *insn, u8 prefix)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(insn->prefixes.bytes); i++) {
		if (insn->prefixes.bytes[i] == prefix)
			return true;
	}
	return false;
}

/**
 * uprobe_insn_opcode - which opcode is it inside its map?
 * @insn: decoded
 *
 * Return: the last byte of the opcode.
 */
u8 uprobe_insn_opcode(const struct insn *insn)
{
	return insn->opcode.bytes[insn->opcode.nbytes - 1];
}

static bool in_ranges(u8 opcode, const struct opcode_range *ranges, size_t nr)
{
	size_t i;

	for (i = 0; i < nr && opcode >= ranges[i].first; i++) {
		if (opcode <= ranges[i].last)
			return true;
	}
	return false;
}

static enum opcode_map map_of(struct insn *insn)
{
	if (insn_is_avx(insn))
		return MAP_VEX;
	if (insn_is_rex2(insn))
		return insn_rex2_m_bit(insn) ? MAP_0F : MAP_ONE_BYTE;
	if (insn->opcode.nbytes == 1)
		return MAP_ONE_BYTE;
	if (insn->opcode.nbytes == 2)
		return MAP_0F;
	return insn->opcode.bytes[1] == 0x38 ? MAP_0F38 : MAP_0F3A;
}

static bool is_register_form(const struct insn *insn)
{
	return X86_MODRM_MOD(insn->modrm.bytes[0]) == 3;
}

static unsigned int modrm_reg(const struct insn *insn)
{
	return X86_MODRM_REG(insn->modrm.bytes[0]);
}

static enum uprobe_verdict mov_to_segment(struct insn *insn)
{
	return modrm_reg(insn) == 2 ? VERDICT_STACK_SEGMENT : VERDICT_PLAIN;
}

/* With another reg field it is an XOP prefix that classify.c doesn't know. */
static enum uprobe_verdict pop_memory(struct insn *insn)
{
	return modrm_reg(insn) == 0 ? VERDICT_PLAIN : VERDICT_INVALID;
}

static enum uprobe_verdict mov_accumulator(struct insn *insn)
{
	return insn_is_rex2(insn) ? VERDICT_REX2_BRANCH : VERDICT_PLAIN;
}

static enum uprobe_verdict mov_immediate(struct insn *insn)
{
	if (modrm_reg(insn) == 0)
		return VERDICT_PLAIN;
	if (insn->modrm.bytes[0] != 0xf8)
		return VERDICT_INVALID;
	/* xabort is harmless; xbegin keeps the address of its fallback */
	return uprobe_insn_opcode(insn) == 0xc6 ? VERDICT_PLAIN :
						  VERDICT_TRANSACTION;
}

static enum uprobe_verdict group4(struct insn *insn)
{
	return modrm_reg(insn) < 2 ? VERDICT_PLAIN : VERDICT_INVALID;
}

static enum uprobe_verdict group5(struct insn *insn)
{
	static const u8 by_reg[8] = {
		[0 ... 1] = VERDICT_PLAIN,		/* inc, dec */
		[2] = VERDICT_CALL_INDIRECT,
		[3] = VERDICT_FAR,
		[4] = VERDICT_JUMP_INDIRECT,
		[5] = VERDICT_FAR,
		[6] = VERDICT_PLAIN,			/* push */
	};

	return by_reg[modrm_reg(insn)];
}

static enum uprobe_verdict group6(struct insn *insn)
{
	static const u8 by_reg[8] = {
		[0 ... 1] = VERDICT_PLAIN,		/* sldt, str */
		[2 ... 3] = VERDICT_PRIVILEGED,		/* lldt, ltr */
		[4 ... 5] = VERDICT_PLAIN,		/* verr, verw */
		[6] = VERDICT_PRIVILEGED,		/* lkgs */
	};

	return by_reg[modrm_reg(insn)];
}

static enum uprobe_verdict group7(struct insn *insn)
{
	static const u8 by_reg[8] = {
		[0 ... 1] = VERDICT_PLAIN,		/* sgdt, sidt */
		[2 ... 3] = VERDICT_PRIVILEGED,		/* lgdt, lidt */
		[4 ... 5] = VERDICT_PLAIN,		/* smsw, rstorssp */
		[6 ... 7] = VERDICT_PRIVILEGED,		/* lmsw, invlpg */
	};
	u8 modrm = insn->modrm.bytes[0];

	if (!is_register_form(insn))
		return by_reg[modrm_reg(insn)];
	/* setssbsy shares its byte with serialize, rmpread with rdpru */
	if (uprobe_insn_has_prefix(insn, 0xf3) &&
	    (modrm == 0xe8 || modrm == 0xfd))
		return VERDICT_PRIVILEGED;
	return map_0f01[modrm & 0x3f];
}

static enum uprobe_verdict group9(struct insn *insn)
{
	static const u8 in_memory[8] = {
		[1] = VERDICT_PLAIN,			/* cmpxchg8b */
		[3] = VERDICT_PRIVILEGED,		/* xrstors */
		[4] = VERDICT_PLAIN,			/* xsavec */
		[5] = VERDICT_PRIVILEGED,		/* xsaves */
		[6 ... 7] = VERDICT_PRIVILEGED,		/* vmptrld, ... */
	};

	if (!is_register_form(insn))
		return in_memory[modrm_reg(insn)];
	/* rdrand, rdseed, rdpid, senduipi */
	return modrm_reg(insn) >= 6 ? VERDICT_PLAIN : VERDICT_INVALID;
}

static enum uprobe_verdict group15(struct insn *insn)
{
	/* clrssbsy */
	if (modrm_reg(insn) == 6 && !is_register_form(insn) &&
	    uprobe_insn_has_prefix(insn, 0xf3))
		return VERDICT_PRIVILEGED;
	return VERDICT_PLAIN;
}

/* The opcodes that the tables call a group. */
static const struct {
	enum opcode_map map;
	u8 opcode;
	enum uprobe_verdict (*verdict)(struct insn *insn);
} groups[] = {
	{ MAP_ONE_BYTE, 0x8e, mov_to_segment },
	{ MAP_ONE_BYTE, 0x8f, pop_memory },
	{ MAP_ONE_BYTE, 0xa1, mov_accumulator },
	{ MAP_ONE_BYTE, 0xc6, mov_immediate },
	{ MAP_ONE_BYTE, 0xc7, mov_immediate },
	{ MAP_ONE_BYTE, 0xfe, group4 },
	{ MAP_ONE_BYTE, 0xff, group5 },
	{ MAP_0F, 0x00, group6 },
	{ MAP_0F, 0x01, group7 },
	{ MAP_0F, 0xae, group15 },
	{ MAP_0F, 0xc7, group9 },
};

static enum uprobe_verdict group_verdict(enum opcode_map map, struct insn *insn)
{
	u8 opcode = uprobe_insn_opcode(insn);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		if (groups[i].map == map && groups[i].opcode == opcode)
			return groups[i].verdict(insn);
	}
	return VERDICT_INVALID;
}

static enum uprobe_verdict one_byte_verdict(struct insn *insn)
{
	u8 opcode = uprobe_insn_opcode(insn);

	if (insn->x86_64 &&
	    in_ranges(opcode, not_in_64bit, ARRAY_SIZE(not_in_64bit)))
		return VERDICT_INVALID;
	return one_byte[opcode];
}

static enum uprobe_verdict map_0f_verdict(struct insn *insn)
{
	u8 opcode = uprobe_insn_opcode(insn);

	if (!insn->modrm.nbytes &&
	    !in_ranges(opcode, no_modrm_in_0f, ARRAY_SIZE(no_modrm_in_0f)))
		return VERDICT_INVALID;
	return map_0f[opcode];
}

/* Everything in 0f 38 and 0f 3a has a ModRM byte, or isn't known. */
static enum uprobe_verdict map_0f38_verdict(struct insn *insn)
{
	bool f3 = uprobe_insn_has_prefix(insn, 0xf3);

	if (!insn->modrm.nbytes)
		return VERDICT_INVALID;
	switch (uprobe_insn_opcode(insn)) {
	case 0x80 ... 0x82:				/* invept, ... */
	case 0xf5:					/* wruss */
		return VERDICT_PRIVILEGED;
	case 0xdc:					/* loadiwkey */
		return f3 && is_register_form(insn) ? VERDICT_PRIVILEGED :
						      VERDICT_PLAIN;
	case 0xf8:					/* enqcmds */
		return f3 && !is_register_form(insn) ? VERDICT_PRIVILEGED :
						       VERDICT_PLAIN;
	default:
		return VERDICT_PLAIN;
	}
}

static enum uprobe_verdict map_0f3a_verdict(struct insn *insn)
{
	if (!insn->modrm.nbytes)
		return VERDICT_INVALID;
	/* hreset */
	return uprobe_insn_opcode(insn) == 0xf0 ? VERDICT_PRIVILEGED :
						  VERDICT_PLAIN;
}

/* Map 4 of EVEX repeats the legacy maps, with their privileged instructions. */
static enum uprobe_verdict vex_verdict(struct insn *insn)
{
	bool f3 = insn_vex_p_bits(insn) == INAT_PFX_REPE;

	if (!insn_is_evex(insn) || insn_vex_m_bits(insn) != 4)
		return VERDICT_PLAIN;
	switch (uprobe_insn_opcode(insn)) {
	case 0x65:					/* wruss */
		return VERDICT_PRIVILEGED;
	case 0xf0 ... 0xf2:				/* invept, ... */
		return f3 ? VERDICT_PRIVILEGED : VERDICT_PLAIN;
	case 0xf8:					/* enqcmds */
		return f3 && !is_register_form(insn) ? VERDICT_PRIVILEGED :
						       VERDICT_PLAIN;
	default:
		return VERDICT_PLAIN;
	}
}

/**
 * uprobe_opcode_verdict - what kind of instruction is this?
 * @insn: completely decoded, in the mode in which it runs
 *
 * Return: anything but VERDICT_GROUP.
 */
enum uprobe_verdict uprobe_opcode_verdict(struct insn *insn)
{
	static enum uprobe_verdict (*const verdict_of[])(struct insn *) = {
		[MAP_ONE_BYTE]	= one_byte_verdict,
		[MAP_0F]	= map_0f_verdict,
		[MAP_0F38]	= map_0f38_verdict,
		[MAP_0F3A]	= map_0f3a_verdict,
		[MAP_VEX]	= vex_verdict,
	};
	enum opcode_map map = map_of(insn);
	enum uprobe_verdict verdict = verdict_of[map](insn);

	return verdict == VERDICT_GROUP ? group_verdict(map, insn) : verdict;
}

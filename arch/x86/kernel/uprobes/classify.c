// SPDX-License-Identifier: GPL-2.0
/*
 * How is the instruction under a breakpoint to be carried out, or why can't
 * it be?
 *
 * Decodes the bytes once, in the mode of the code that they stand in, and
 * writes down all that emulate.c, relocate.c and step.c need. Knows nothing
 * of tasks and addresses, so it is compiled in user space, too.
 *
 * An instruction is accepted only if the probed program can't tell the
 * difference: where a fault is all that could happen (privileged
 * instructions), the probe would be useless; where the instruction keeps its
 * own address (system calls, transactions, enclaves), it would be wrong.
 *
 * Called by the core when a site is made; the next step for the instruction
 * is a slot (relocate.c).
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <asm/insn.h>

#include "internal.h"

#define REFUSED(why)	"The instruction can't be probed: " why

static const char *const reasons[UPROBE_NR_VERDICTS] = {
	[VERDICT_SYSCALL]	= REFUSED("system call instruction"),
	[VERDICT_INTERRUPT]	= REFUSED("software interrupt, or return from one"),
	[VERDICT_UNDEFINED]	= REFUSED("undefined instruction that a hypervisor understands"),
	[VERDICT_PRIVILEGED]	= REFUSED("privileged instruction"),
	[VERDICT_PORT]		= REFUSED("port input or output"),
	[VERDICT_FAR]		= REFUSED("far jump, call or return"),
	[VERDICT_STACK_SEGMENT]	= REFUSED("load of the stack segment register"),
	[VERDICT_TRANSACTION]	= REFUSED("start of a memory transaction"),
	[VERDICT_VIRTUAL]	= REFUSED("call to a hypervisor"),
	[VERDICT_ENCLAVE]	= REFUSED("entry into an enclave"),
	[VERDICT_REX2_BRANCH]	= REFUSED("branch with a REX2 prefix"),
	[VERDICT_SHORT_BRANCH]	= REFUSED("branch with an operand size prefix"),
};

static bool has_lock(const struct insn *insn)
{
	return uprobe_insn_has_prefix(insn, 0xf0);
}

/* Prefixes that mean nothing here today, and may mean something tomorrow. */
static bool is_decorated(struct insn *insn)
{
	return has_lock(insn) || uprobe_insn_has_prefix(insn, 0xf2) ||
	       uprobe_insn_has_prefix(insn, 0xf3) || insn_is_rex2(insn);
}

static u8 extended_register(const struct insn *insn, u8 low)
{
	return low | (X86_REX_B(insn->rex_prefix.bytes[0]) ? 8 : 0);
}

static bool has_short_operand(const struct insn *insn)
{
	return uprobe_insn_has_prefix(insn, 0x66) &&
	       !X86_REX_W(insn->rex_prefix.bytes[0]);
}

/* insn::opnd_bytes says 8 in 64-bit mode, whatever the prefixes say. */
static u8 stack_width(const struct insn *insn)
{
	if (has_short_operand(insn))
		return 2;
	return insn->x86_64 ? 8 : 4;
}

static enum uprobe_verdict look_at_nop(struct arch_uprobe *au,
				       struct insn *insn)
{
	/* f3 makes it pause; REX.B makes it an exchange with r8 */
	if (is_decorated(insn) || extended_register(insn, 0))
		return VERDICT_PLAIN;
	au->op = UPROBE_OP_NOP;
	return VERDICT_EMULATE;
}

static enum uprobe_verdict look_at_hint(struct arch_uprobe *au,
					struct insn *insn)
{
	static const u8 endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	static const u8 endbr32[] = { 0xf3, 0x0f, 0x1e, 0xfb };
	bool is_endbr = !memcmp(au->insn, endbr64, sizeof(endbr64)) ||
			!memcmp(au->insn, endbr32, sizeof(endbr32));
	bool is_nop = uprobe_insn_opcode(insn) == 0x1f && !is_decorated(insn) &&
		      X86_MODRM_REG(insn->modrm.bytes[0]) == 0;

	if (!is_endbr && !is_nop)
		return VERDICT_PLAIN;
	au->op = UPROBE_OP_NOP;
	return VERDICT_EMULATE;
}

/* If it has to be stepped, it pushes the trap flag that makes it trap. */
static enum uprobe_verdict look_at_pushf(struct arch_uprobe *au,
					 struct insn *insn)
{
	if (has_lock(insn))
		return VERDICT_INVALID;
	au->op = UPROBE_OP_PUSHF;
	au->width = stack_width(insn);
	return VERDICT_PLAIN;
}

static enum uprobe_verdict look_at_popf(struct arch_uprobe *au,
					struct insn *insn)
{
	au->op = UPROBE_OP_POPF;
	au->width = stack_width(insn);
	return VERDICT_STEP;
}

/*
 * An operand size prefix cuts the target to 16 bits; in 64-bit mode it does
 * so on some processors and is ignored by others. REX.W settles that, and
 * compilers emit both in calls of __tls_get_addr().
 */
static enum uprobe_verdict branch(struct arch_uprobe *au, struct insn *insn,
				  enum uprobe_op op)
{
	if (insn_is_rex2(insn))
		return VERDICT_REX2_BRANCH;
	if (has_lock(insn))
		return VERDICT_INVALID;
	if (has_short_operand(insn))
		return VERDICT_SHORT_BRANCH;
	au->op = op;
	au->width = insn->x86_64 ? 8 : 4;
	return VERDICT_EMULATE;
}

static enum uprobe_verdict look_at_jump(struct arch_uprobe *au,
					struct insn *insn)
{
	au->rel = insn->immediate.value;
	return branch(au, insn, UPROBE_OP_JUMP);
}

static enum uprobe_verdict look_at_jcc(struct arch_uprobe *au,
				       struct insn *insn)
{
	au->rel = insn->immediate.value;
	au->cond = uprobe_insn_opcode(insn) & 0xf;
	return branch(au, insn, UPROBE_OP_JCC);
}

static enum uprobe_verdict look_at_loop(struct arch_uprobe *au,
					struct insn *insn)
{
	enum uprobe_op op = UPROBE_OP_LOOPNE + (uprobe_insn_opcode(insn) & 3);
	enum uprobe_verdict verdict = branch(au, insn, op);

	au->rel = insn->immediate.value;
	au->width = insn->addr_bytes;
	return verdict;
}

static enum uprobe_verdict look_at_call(struct arch_uprobe *au,
					struct insn *insn)
{
	au->rel = insn->immediate.value;
	return branch(au, insn, UPROBE_OP_CALL);
}

static enum uprobe_verdict look_at_return(struct arch_uprobe *au,
					  struct insn *insn)
{
	au->op = UPROBE_OP_RETURN;
	return VERDICT_PLAIN;
}

static enum uprobe_verdict indirect(struct arch_uprobe *au, struct insn *insn,
				    enum uprobe_op op)
{
	u8 modrm = insn->modrm.bytes[0];

	au->reg = X86_MODRM_MOD(modrm) == 3 ?
		  extended_register(insn, X86_MODRM_RM(modrm)) : UPROBE_NO_REG;
	return branch(au, insn, op);
}

static enum uprobe_verdict look_at_jump_indirect(struct arch_uprobe *au,
						 struct insn *insn)
{
	return indirect(au, insn, UPROBE_OP_JUMP_INDIRECT);
}

static enum uprobe_verdict look_at_call_indirect(struct arch_uprobe *au,
						 struct insn *insn)
{
	return indirect(au, insn, UPROBE_OP_CALL_INDIRECT);
}

typedef enum uprobe_verdict (*look_fn)(struct arch_uprobe *au,
				       struct insn *insn);

static const look_fn looks[UPROBE_NR_VERDICTS] = {
	[VERDICT_NOP]		= look_at_nop,
	[VERDICT_HINT]		= look_at_hint,
	[VERDICT_PUSHF]		= look_at_pushf,
	[VERDICT_POPF]		= look_at_popf,
	[VERDICT_JUMP]		= look_at_jump,
	[VERDICT_JCC]		= look_at_jcc,
	[VERDICT_LOOP]		= look_at_loop,
	[VERDICT_CALL]		= look_at_call,
	[VERDICT_RETURN]	= look_at_return,
	[VERDICT_JUMP_INDIRECT]	= look_at_jump_indirect,
	[VERDICT_CALL_INDIRECT]	= look_at_call_indirect,
};

/*
 * AMD's XOP prefix begins like pop, which never has these bits in its second
 * byte, and is laid out like VEX, but its maps aren't known to the decoder. It is
 * lent an instruction of the same shape from the first map of VEX: vshufps,
 * which has an 8-bit immediate like all of map 8, or vmovaps like all of map 9.
 */
static int decode_xop(struct insn *insn, const struct arch_uprobe *au,
		      size_t len, enum insn_mode mode)
{
	u8 bytes[UPROBE_MAX_INSN];
	unsigned int at = insn_offset_opcode(insn);
	u8 map;

	if (at + 4 > len)
		return -ENODATA;
	memcpy(bytes, au->insn, sizeof(bytes));
	map = bytes[at + 1] & 0x1f;
	if (map != 8 && map != 9)
		return -EINVAL;
	bytes[at] = 0xc4;
	bytes[at + 1] = (bytes[at + 1] & 0xe0) | 1;
	bytes[at + 2] &= 0x78;
	bytes[at + 3] = map == 8 ? 0xc6 : 0x28;
	return insn_decode(insn, bytes, len, mode);
}

static bool is_fma4(struct insn *insn)
{
	u8 opcode = insn->opcode.bytes[0];

	return insn_is_avx(insn) && !insn_is_evex(insn) &&
	       insn_vex_m_bits(insn) == 3 && insn_vex_p_bits(insn) == 1 &&
	       ((opcode >= 0x5c && opcode <= 0x5f) ||
		(opcode >= 0x68 && opcode <= 0x6f) ||
		(opcode >= 0x78 && opcode <= 0x7f));
}

/*
 * AMD's FMA4, which libm has for processors that have it, isn't known to the
 * decoder either. All of it is laid out like vblendvps, which names a fourth
 * register in its last byte.
 */
static int decode_fma4(struct insn *insn, const struct arch_uprobe *au,
		       size_t len, enum insn_mode mode)
{
	unsigned int at = insn_offset_opcode(insn);
	u8 bytes[UPROBE_MAX_INSN];

	memcpy(bytes, au->insn, sizeof(bytes));
	bytes[at - 1] &= ~0x80;	/* VEX.W exchanges two operands */
	bytes[at] = 0x4a;
	return insn_decode(insn, bytes, len, mode);
}

static int decode(struct insn *insn, const struct arch_uprobe *au, size_t len)
{
	enum insn_mode mode = au->is_64bit ? INSN_MODE_64 : INSN_MODE_32;
	int err = insn_decode(insn, au->insn, len, mode);

	if (!err && insn->opcode.nbytes == 1 && insn->opcode.bytes[0] == 0x8f &&
	    !insn_is_avx(insn) && X86_MODRM_REG(insn->modrm.bytes[0]))
		err = decode_xop(insn, au, len, mode);
	else if (err == -EINVAL && insn->opcode.nbytes == 1 && is_fma4(insn))
		err = decode_fma4(insn, au, len, mode);
	return err;
}

static enum uprobe_verdict judge(struct arch_uprobe *au, struct insn *insn)
{
	enum uprobe_verdict verdict;

	/* the decoder takes ud2 and three letters for one long prefix */
	if (insn_has_emulate_prefix(insn))
		return VERDICT_UNDEFINED;
	verdict = uprobe_opcode_verdict(insn);
	return looks[verdict] ? looks[verdict](au, insn) : verdict;
}

static int refuse(enum uprobe_verdict verdict, const char **reason)
{
	if (reasons[verdict]) {
		*reason = reasons[verdict];
		return -EOPNOTSUPP;
	}
	*reason = REFUSED("not a valid instruction");
	return -EILSEQ;
}

static void note_rip_operand(struct arch_uprobe *au, struct insn *insn)
{
	if (!insn_rip_relative(insn))
		return;
	au->rip_disp = insn_offset_displacement(insn);
	au->addr32 = insn->addr_bytes == 4;
}

/**
 * arch_uprobe_analyze - decode and classify an instruction
 * @au: filled if the instruction can be probed
 * @bytes: the instruction and whatever follows it
 * @len: how many bytes there are; at the end of a file fewer than
 *	UPROBE_MAX_INSN
 * @is_64bit: the mode of the code
 * @reason: if it can't be probed, set to a constant text that tells the user
 *	why; else NULL
 *
 * Context: any; pure.
 * Return: 0; -EOPNOTSUPP for an instruction that is refused; -EILSEQ if there
 * is none, or not all of it.
 */
int arch_uprobe_analyze(struct arch_uprobe *au, const u8 *bytes, size_t len,
			bool is_64bit, const char **reason)
{
	enum uprobe_verdict verdict;
	struct insn insn;
	int err;

	memset(au, 0, sizeof(*au));
	if (len > sizeof(au->insn))
		len = sizeof(au->insn);
	memcpy(au->insn, bytes, len);
	au->class = UPROBE_REFUSED;
	au->is_64bit = is_64bit;
	*reason = NULL;

	err = decode(&insn, au, len);
	if (err == -ENODATA && len < MAX_INSN_SIZE) {
		*reason = REFUSED("the file ends inside the instruction");
		return -EILSEQ;
	}
	verdict = err ? VERDICT_INVALID : judge(au, &insn);
	switch (verdict) {
	case VERDICT_EMULATE:
		au->class = UPROBE_EMULATED;
		break;
	case VERDICT_PLAIN:
		au->class = UPROBE_RELOCATED;
		break;
	case VERDICT_STEP:
		au->class = UPROBE_STEPPED;
		break;
	default:
		return refuse(verdict, reason);
	}
	au->len = insn.length;
	note_rip_operand(au, &insn);
	return 0;
}

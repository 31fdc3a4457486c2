// SPDX-License-Identifier: GPL-2.0
/*
 * What does the processor do to registers and stack when it executes this
 * instruction?
 *
 * Nops and near branches, which don't do the same in a slot, are carried out
 * here. Either all of it happens or nothing: what would fault, or can't be done
 * as the processor does it, returns false with nothing changed, and step.c lets
 * the processor do it in the slot. The user's memory is written last, once, and
 * before the registers.
 *
 * Called by the core after the consumers of a hit have been told, in the trap or
 * on the way back to user mode.
 */
#include <linux/mm_types.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <asm/debugreg.h>
#include <asm/insn-eval.h>
#include <asm/insn.h>
#include <asm/segment.h>
#include <asm/shstk.h>

#include "internal.h"

/**
 * struct outcome - where the thread goes on
 * @ip: the next instruction, until a branch is taken
 * @branched: a branch was taken; a debugger may have asked for just these
 */
struct outcome {
	unsigned long	ip;
	bool		branched;
};

/**
 * uprobe_read_operand - read an operand as the processor would
 * @addr: address in the user's memory
 * @width: how many bytes: 2, 4 or 8
 * @value: set to what was read, zero-extended
 *
 * Context: may sleep, unless page faults are disabled.
 * Return: was it read?
 */
bool uprobe_read_operand(unsigned long addr, u8 width, unsigned long *value)
{
	*value = 0;
	return !copy_from_user(value, (void __user *)addr, width);
}

/**
 * uprobe_write_operand - write an operand as the processor would
 * @addr: address in the user's memory
 * @width: how many bytes: 2, 4 or 8
 * @value: what to write; higher bytes are ignored
 *
 * All or nothing in one store, as put_user() does it.
 *
 * Context: may sleep, unless page faults are disabled.
 * Return: was it written?
 */
bool uprobe_write_operand(unsigned long addr, u8 width, unsigned long value)
{
	switch (width) {
	case 2:
		return !put_user((u16)value, (u16 __user *)addr);
	case 4:
		return !put_user((u32)value, (u32 __user *)addr);
	default:
		return !put_user((u64)value, (u64 __user *)addr);
	}
}

/* A program may have asked for a fault if it uses an odd address. */
static bool is_aligned(const struct pt_regs *regs, unsigned long addr, u8 width)
{
	return !(regs->flags & X86_EFLAGS_AC) || (addr & (width - 1)) == 0;
}

/* A 16-bit write leaves the rest alone, a 32-bit one clears it. */
static void set_register(unsigned long *reg, u8 width, unsigned long value)
{
	if (width == 2)
		*reg = (*reg & ~0xffffUL) | (u16)value;
	else if (width == 4)
		*reg = (u32)value;
	else
		*reg = value;
}

static unsigned long get_register(const unsigned long *reg, u8 width)
{
	if (width == 2)
		return (u16)*reg;
	return width == 4 ? (u32)*reg : *reg;
}

static unsigned long *find_register(struct pt_regs *regs, u8 nr)
{
	return (void *)regs + pt_regs_offset(regs, nr);
}

/* Stack pointers and addresses of code wrap at the size of the mode. */
static unsigned long wrap(const struct arch_uprobe *au, unsigned long addr)
{
	return au->is_64bit ? addr : (u32)addr;
}

/* Another stack segment may be small, or somewhere else: not for us. */
static bool has_flat_stack(const struct arch_uprobe *au,
			   const struct pt_regs *regs)
{
	return au->is_64bit || regs->ss == __USER_DS;
}

static bool push(const struct arch_uprobe *au, struct pt_regs *regs,
		 unsigned long value)
{
	unsigned long sp = wrap(au, regs->sp - au->width);

	if (!has_flat_stack(au, regs) || !is_aligned(regs, sp, au->width) ||
	    !uprobe_write_operand(sp, au->width, value))
		return false;
	regs->sp = sp;
	return true;
}

/* Beyond user space the processor knows best which fault that is, and where. */
static bool branch_to(const struct arch_uprobe *au, struct outcome *out,
		      unsigned long target)
{
	target = wrap(au, target);
	if (target >= TASK_SIZE_MAX)
		return false;
	out->ip = target;
	out->branched = true;
	return true;
}

static bool branch_relative(const struct arch_uprobe *au, struct outcome *out)
{
	return branch_to(au, out, out->ip + au->rel);
}

static bool emulate_nop(const struct arch_uprobe *au, struct pt_regs *regs,
			struct outcome *out)
{
	return true;
}

static bool emulate_jump(const struct arch_uprobe *au, struct pt_regs *regs,
			 struct outcome *out)
{
	return branch_relative(au, out);
}

/* Intel SDM volume 2, appendix B.1.4.7: bit 0 negates the condition. */
static bool condition_holds(unsigned long flags, u8 cond)
{
	static const u16 any_of[] = {
		X86_EFLAGS_OF,				/* o */
		X86_EFLAGS_CF,				/* b */
		X86_EFLAGS_ZF,				/* e */
		X86_EFLAGS_CF | X86_EFLAGS_ZF,		/* be */
		X86_EFLAGS_SF,				/* s */
		X86_EFLAGS_PF,				/* p */
		0,					/* l */
		X86_EFLAGS_ZF,				/* le */
	};
	unsigned int pair = cond >> 1;
	bool holds = flags & any_of[pair];

	if (pair >= 6)
		holds |= !(flags & X86_EFLAGS_SF) != !(flags & X86_EFLAGS_OF);
	return holds != (cond & 1);
}

static bool emulate_jcc(const struct arch_uprobe *au, struct pt_regs *regs,
			struct outcome *out)
{
	return !condition_holds(regs->flags, au->cond) ||
	       branch_relative(au, out);
}

static bool emulate_loop(const struct arch_uprobe *au, struct pt_regs *regs,
			 struct outcome *out)
{
	unsigned long count = get_register(&regs->cx, au->width) - 1;
	bool zero_flag = regs->flags & X86_EFLAGS_ZF;
	bool taken = get_register(&count, au->width) != 0;

	if (au->op == UPROBE_OP_LOOPE)
		taken &= zero_flag;
	else if (au->op == UPROBE_OP_LOOPNE)
		taken &= !zero_flag;
	if (taken && !branch_relative(au, out))
		return false;
	set_register(&regs->cx, au->width, count);
	return true;
}

static bool emulate_jcxz(const struct arch_uprobe *au, struct pt_regs *regs,
			 struct outcome *out)
{
	return get_register(&regs->cx, au->width) != 0 ||
	       branch_relative(au, out);
}

/*
 * With a shadow stack the return address has to go there as well. The
 * processor does both in the slot, and arch_uprobe_step_end() then corrects
 * both words: writing the shadow stack from here would need its pointer out
 * of the saved registers of the FPU, twice.
 */
static bool call(const struct arch_uprobe *au, struct pt_regs *regs,
		 struct outcome *out, unsigned long target)
{
	unsigned long ret_addr = out->ip;

	if (shstk_is_enabled() || !branch_to(au, out, target))
		return false;
	return push(au, regs, ret_addr);
}

static bool emulate_call(const struct arch_uprobe *au, struct pt_regs *regs,
			 struct outcome *out)
{
	return call(au, regs, out, out->ip + au->rel);
}

/*
 * The descriptors of an LDT are behind a mutex, which this place can't take:
 * a process that has one leaves its memory operands to the processor.
 */
static bool has_plain_segments(const struct arch_uprobe *au)
{
#ifdef CONFIG_MODIFY_LDT_SYSCALL
	return au->is_64bit || !READ_ONCE(current->mm->context.ldt);
#else
	return true;
#endif
}

static bool read_target_word(const struct arch_uprobe *au,
			     struct pt_regs *regs, unsigned long *target)
{
	struct insn insn;
	unsigned long addr;

	if (!has_plain_segments(au) ||
	    insn_decode(&insn, au->insn, au->len,
			au->is_64bit ? INSN_MODE_64 : INSN_MODE_32))
		return false;
	addr = (unsigned long)insn_get_addr_ref(&insn, regs);
	return addr != -1UL && is_aligned(regs, addr, au->width) &&
	       uprobe_read_operand(addr, au->width, target);
}

static bool read_target(const struct arch_uprobe *au, struct pt_regs *regs,
			unsigned long *target)
{
	if (au->reg == UPROBE_NO_REG)
		return read_target_word(au, regs, target);
	*target = *find_register(regs, au->reg);
	return true;
}

static bool emulate_jump_indirect(const struct arch_uprobe *au,
				  struct pt_regs *regs, struct outcome *out)
{
	unsigned long target;

	return read_target(au, regs, &target) && branch_to(au, out, target);
}

static bool emulate_call_indirect(const struct arch_uprobe *au,
				  struct pt_regs *regs, struct outcome *out)
{
	unsigned long target;

	return read_target(au, regs, &target) && call(au, regs, out, target);
}

typedef bool (*emulate_fn)(const struct arch_uprobe *au, struct pt_regs *regs,
			   struct outcome *out);

static const emulate_fn emulators[UPROBE_NR_OPS] = {
	[UPROBE_OP_NOP]			= emulate_nop,
	[UPROBE_OP_JUMP]		= emulate_jump,
	[UPROBE_OP_JCC]			= emulate_jcc,
	[UPROBE_OP_LOOPNE]		= emulate_loop,
	[UPROBE_OP_LOOPE]		= emulate_loop,
	[UPROBE_OP_LOOP]		= emulate_loop,
	[UPROBE_OP_JCXZ]		= emulate_jcxz,
	[UPROBE_OP_CALL]		= emulate_call,
	[UPROBE_OP_JUMP_INDIRECT]	= emulate_jump_indirect,
	[UPROBE_OP_CALL_INDIRECT]	= emulate_call_indirect,
};

/**
 * arch_uprobe_next - where does an instruction lead that does nothing else?
 * @au: the instruction
 * @vaddr: where it is
 *
 * For nops and jumps whose target is known, so that a hit need not come here.
 *
 * Context: any; pure.
 * Return: the address; 0 if there is more to do, or if going there may fault
 * in another way than the processor would show it.
 */
unsigned long arch_uprobe_next(const struct arch_uprobe *au,
			       unsigned long vaddr)
{
	struct outcome out = { .ip = wrap(au, vaddr + au->len) };

	if (au->class != UPROBE_EMULATED)
		return 0;
	if (au->op == UPROBE_OP_NOP ||
	    (au->op == UPROBE_OP_JUMP && branch_relative(au, &out)))
		return out.ip;
	return 0;
}

/**
 * arch_uprobe_emulate - carry out the displaced instruction in the kernel
 * @au: the instruction
 * @regs: of the thread, the instruction pointer at @vaddr; arch_uprobe_fits()
 * @vaddr: where the instruction is
 *
 * If the trap flag is set, what follows a single step happens, too: SIGTRAP.
 *
 * Context: trap or task context. May sleep, unless page faults are disabled.
 * Return: true if it is done and the instruction pointer stands at the next
 * instruction; false if nothing was changed and the slot has to do it.
 */
bool arch_uprobe_emulate(const struct arch_uprobe *au, struct pt_regs *regs,
			 unsigned long vaddr)
{
	unsigned long old_dr6 = current->thread.virtual_dr6;
	struct outcome out = { .ip = wrap(au, vaddr + au->len) };
	bool stepped;

	if (au->class != UPROBE_EMULATED)
		return false;

	/* a watchpoint on the stack shows up here during the access */
	current->thread.virtual_dr6 &= ~DR_TRAP_BITS;
	if (!emulators[au->op](au, regs, &out)) {
		current->thread.virtual_dr6 = old_dr6;
		return false;
	}
	regs->ip = out.ip;
	stepped = (regs->flags & X86_EFLAGS_TF) &&
		  (out.branched || !test_thread_flag(TIF_BLOCKSTEP));
	uprobe_report_traps(regs, old_dr6, stepped);
	return true;
}

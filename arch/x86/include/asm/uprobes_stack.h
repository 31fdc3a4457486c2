/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where does this call return to, and has it returned?
 *
 * The call instruction has left the return address on top of the stack; until
 * the function returns, that word's address names the call. The core reads
 * it at entry and asks at each return site which calls are over. It is written only
 * for the trampoline.
 *
 * Inline, for each return passes through both: included by the core's files
 * that ask, and by the one that fetches a function's arguments.
 */
#ifndef _ASM_X86_UPROBES_STACK_H
#define _ASM_X86_UPROBES_STACK_H

#include <linux/uaccess.h>
#include <asm/ptrace.h>
#include <asm/shstk.h>

/* `ret $imm16` of 32-bit code: the callee takes its arguments away, too */
#define UPROBE_MAX_CALLEE_POP	128

/* A word of the stack, of 64 or 32 bits; false if it can't be read. */
static __always_inline bool uprobe_read_word(unsigned long *value,
					     unsigned long sp, bool is_64bit)
{
	const void __user *at = (const void __user *)sp;
	u32 low;

	if (!user_read_access_begin(at, sizeof(*value)))
		return false;
	if (is_64bit) {
		unsafe_get_user(*value, (unsigned long __user *)at, fault);
	} else {
		unsafe_get_user(low, (u32 __user *)at, fault);
		*value = low;
	}
	user_read_access_end();
	return true;
fault:
	user_read_access_end();
	return false;
}

/* As uprobe_read_word(). May sleep. */
static inline bool uprobe_write_word(unsigned long value, unsigned long sp,
				     bool is_64bit)
{
	if (is_64bit)
		return !put_user(value, (unsigned long __user *)sp);
	return !put_user((u32)value, (u32 __user *)sp);
}

/**
 * arch_uprobe_may_divert - may the return word of a call be replaced?
 *
 * Context: task context.
 * Return: true, unless a shadow stack has another copy of it, or the processor
 * executes whatever can be read.
 */
static inline bool arch_uprobe_may_divert(void)
{
	return !shstk_is_enabled() && (__supported_pte_mask & _PAGE_NX);
}

/**
 * arch_uprobe_read_return - read the return address at a function's entry
 * @regs: at the first instruction of the function
 * @sp: set to the address of the return word
 * @ret_addr: set to the return address
 *
 * Context: may sleep, unless page faults are disabled.
 * Return: true, or false if the word can't be read.
 */
static __always_inline bool arch_uprobe_read_return(struct pt_regs *regs,
						    unsigned long *sp,
						    unsigned long *ret_addr)
{
	if (likely(user_64bit_mode(regs))) {
		*sp = regs->sp;
		return uprobe_read_word(ret_addr, *sp, true);
	}
	*sp = (u32)regs->sp;
	return uprobe_read_word(ret_addr, *sp, false);
}

/* Of the words on the stack. */
static inline size_t arch_uprobe_word_size(const struct pt_regs *regs)
{
	return user_64bit_mode((struct pt_regs *)regs) ? sizeof(u64) :
							 sizeof(u32);
}

/* So many integer arguments of 64-bit code are in registers. */
#define UPROBE_REGISTER_ARGUMENTS	(IS_ENABLED(CONFIG_X86_64) ? 6 : 0)

/**
 * arch_uprobe_argument - where is an integer argument of a function?
 * @regs: at its first instruction
 * @n: which one, from 0
 * @value: what it is, if it is in a register
 * @at: else its address
 *
 * As the System V ABIs have it: AMD64 3.2.3, i386 2.2.3. Arguments of another class
 * don't count; what doesn't fit into a register counts as several.
 *
 * Context: any.
 * Return: 0 if it is in a register, else how many bytes it has at @at.
 */
static inline size_t arch_uprobe_argument(const struct pt_regs *regs,
					  unsigned int n, unsigned long *value,
					  unsigned long *at)
{
	const unsigned long in_registers[] = {
		regs->di, regs->si, regs->dx, regs->cx,
#ifdef CONFIG_X86_64
		regs->r8, regs->r9,
#endif
	};

	if (!user_64bit_mode((struct pt_regs *)regs)) {
		*at = (u32)(regs->sp + (n + 1) * sizeof(u32));
		return sizeof(u32);
	}
	if (n < ARRAY_SIZE(in_registers)) {
		*value = in_registers[n];
		return 0;
	}
	*at = regs->sp + (n + 1 - ARRAY_SIZE(in_registers)) * sizeof(u64);
	return sizeof(u64);
}

/**
 * arch_uprobe_is_behind - does the stack pointer say that this call is over?
 * @call_sp: where its return word was
 * @regs: of a thread at its return address
 *
 * It has moved up by the return word, and in 32-bit code by up to 128 bytes of
 * arguments more.
 *
 * Context: any.
 * Return: true if it does.
 */
static __always_inline bool arch_uprobe_is_behind(unsigned long call_sp,
						  struct pt_regs *regs)
{
	u32 popped;

	if (likely(user_64bit_mode(regs)))
		return regs->sp == call_sp + sizeof(u64);
	popped = (u32)regs->sp - (u32)call_sp - sizeof(u32);
	return popped <= UPROBE_MAX_CALLEE_POP && popped % sizeof(u32) == 0;
}

/**
 * arch_uprobe_has_returned - has this call just returned?
 * @call_sp: where its return word was
 * @ret_addr: what the word held
 * @regs: of a thread at that address
 *
 * The stack pointer says so (arch_uprobe_is_behind()), and after a real return the
 * word still stands there. Functions that are inside a deeper frame, or that jumped here without
 * returning, have another stack pointer.
 *
 * Context: may sleep, unless page faults are disabled.
 * Return: 1 if this call is over; 0 if the stack pointer says that it isn't;
 * -ENOENT if only the word has changed, -EFAULT if it can't be read.
 */
static __always_inline int arch_uprobe_has_returned(unsigned long call_sp,
						    unsigned long ret_addr,
						    struct pt_regs *regs)
{
	unsigned long word;

	if (!arch_uprobe_is_behind(call_sp, regs))
		return 0;
	if (!uprobe_read_word(&word, call_sp, user_64bit_mode(regs)))
		return -EFAULT;
	return word == ret_addr ? 1 : -ENOENT;
}

#endif /* _ASM_X86_UPROBES_STACK_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * Where does this call return to, and has it returned?
 *
 * The call instruction has left the return address on top of the stack; until
 * the function returns, that word's address names the call. The core reads
 * it at entry and asks at each return site which calls are over. Nothing
 * here writes to the user's memory.
 */
#include <linux/ptrace.h>
#include <linux/uaccess.h>
#include <linux/uprobes.h>

/* `ret $imm16` of 32-bit code: the callee takes its arguments away, too */
#define MAX_CALLEE_POP	128

/**
 * arch_uprobe_read_return - read the return address at a function's entry
 * @regs: at the first instruction of the function
 * @sp: set to the address of the return word
 * @ret_addr: set to the return address
 *
 * Context: may sleep, unless page faults are disabled.
 * Return: 0, or -EFAULT if the word can't be read.
 */
int arch_uprobe_read_return(struct pt_regs *regs, unsigned long *sp,
			    unsigned long *ret_addr)
{
	u32 word;

	if (user_64bit_mode(regs)) {
		*sp = regs->sp;
		return get_user(*ret_addr, (unsigned long __user *)*sp);
	}
	*sp = (u32)regs->sp;
	if (get_user(word, (u32 __user *)*sp))
		return -EFAULT;
	*ret_addr = word;
	return 0;
}

/**
 * arch_uprobe_call_returned - has this call just returned?
 * @call_sp: where its return word was
 * @regs: of a thread at the address that the call returns to
 *
 * The stack pointer has moved up by the return word, and in 32-bit code by up
 * to 128 bytes of arguments more. Functions that are inside a deeper frame,
 * or that jumped here without returning, have another one.
 *
 * Return: true if this call is over.
 */
bool arch_uprobe_call_returned(unsigned long call_sp, struct pt_regs *regs)
{
	u32 popped;

	if (user_64bit_mode(regs))
		return regs->sp == call_sp + sizeof(u64);
	popped = (u32)regs->sp - (u32)call_sp - sizeof(u32);
	return popped <= MAX_CALLEE_POP && popped % sizeof(u32) == 0;
}

/**
 * arch_uprobe_word_is - does a word of the stack hold this value?
 * @sp: address of the word
 * @value: an address that a call may have pushed there
 * @regs: tell the size of a word
 *
 * Context: may sleep, unless page faults are disabled.
 * Return: 1 if it does, 0 if not, -EFAULT if it can't be read.
 */
int arch_uprobe_word_is(unsigned long sp, unsigned long value,
			struct pt_regs *regs)
{
	unsigned long word = 0;
	size_t size = user_64bit_mode(regs) ? sizeof(u64) : sizeof(u32);

	if (copy_from_user(&word, (void __user *)sp, size))
		return -EFAULT;
	return word == value;
}

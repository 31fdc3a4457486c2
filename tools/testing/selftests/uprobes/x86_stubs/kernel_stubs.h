/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What emulate.c and step.c of arch/x86/kernel/uprobes/ take from the kernel, as far as it can be had in user
 * space: one task whose memory is that of the program itself, between user_memory and user_memory_end.
 */
#ifndef KERNEL_STUBS_H
#define KERNEL_STUBS_H

#include <asm/processor-flags.h>
#include <linux/compiler.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <asm/insn.h>

#undef UINT_MAX
#define UINT_MAX		(~0U)
#define TASK_SIZE_MAX		0x7ffffffff000UL
#define CONFIG_MODIFY_LDT_SYSCALL

#define __USER32_CS		0x23
#define __USER_CS		0x33
#define __USER_DS		0x2b
#define SEGMENT_TI_MASK		4

#define DR_TRAP_BITS		0xf
#define DR_STEP			0x4000

/* In the order of user_regs_struct. */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax;
	unsigned long ip, cs, flags, sp, ss;
	unsigned long fs_base, gs_base, ds, es, fs, gs;
};

enum { TIF_BLOCKSTEP = 1, TIF_FORCED_TF = 2 };

struct mm_struct {
	struct {
		void	*ldt;
	} context;
};

struct task_struct {
	unsigned long		flags;
	unsigned int		nr_sigtraps;
	int			sigtrap_code;
	struct mm_struct	*mm;
	struct thread_struct {
		unsigned int	trap_nr;
		unsigned long	virtual_dr6;
	} thread;
};

static struct mm_struct the_mm;
static struct task_struct the_task = { .mm = &the_mm };
#define current (&the_task)

static unsigned long user_memory, user_memory_end;

static inline bool test_thread_flag(int flag)
{
	return current->flags & flag;
}

static inline void clear_thread_flag(int flag)
{
	current->flags &= ~flag;
}

static inline void set_task_blockstep(struct task_struct *task, bool on)
{
	task->flags = on ? task->flags | TIF_BLOCKSTEP : task->flags & ~TIF_BLOCKSTEP;
}

static inline int get_si_code(unsigned long dr6)
{
	return dr6 & DR_STEP ? 2 /* TRAP_TRACE */ : 4 /* TRAP_HWBKPT */;
}

static inline void send_sigtrap(struct pt_regs *regs, int error_code, int code)
{
	current->nr_sigtraps++;
	current->sigtrap_code = code;
}

static inline bool shstk_is_enabled(void)
{
	return false;
}

static inline int shstk_update_last_frame(unsigned long value)
{
	return 0;
}

static inline bool user_64bit_mode(struct pt_regs *regs)
{
	return regs->cs == __USER_CS;
}

static inline bool user_range(const void *at, size_t len)
{
	unsigned long addr = (unsigned long)at;

	return addr >= user_memory && addr <= user_memory_end - len;
}

static inline unsigned long copy_from_user(void *to, const void *from, size_t len)
{
	if (!user_range(from, len))
		return len;
	memcpy(to, from, len);
	return 0;
}

#define put_user(value, at) \
	({ __typeof__(*(at)) v = (value); user_range(at, sizeof(v)) ? (memcpy(at, &v, sizeof(v)), 0) : -EFAULT; })

static inline int pt_regs_offset(struct pt_regs *regs, int nr)
{
	static const u8 order[16] = { 10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0 };

	return order[nr] * sizeof(unsigned long);
}

static inline unsigned long register_value(struct pt_regs *regs, int nr)
{
	return *(unsigned long *)((char *)regs + pt_regs_offset(regs, nr));
}

/* 32- and 64-bit addresses without segments. The kernel's own insn-eval.c isn't what is tested. */
static inline void *insn_get_addr_ref(struct insn *insn, struct pt_regs *regs)
{
	u8 modrm = insn->modrm.bytes[0], rex = insn->rex_prefix.bytes[0], sib = insn->sib.bytes[0];
	int base = X86_MODRM_RM(modrm) | (X86_REX_B(rex) ? 8 : 0);
	int index = X86_SIB_INDEX(sib) | (X86_REX_X(rex) ? 8 : 0);
	unsigned long addr = (long)insn->displacement.value;

	if (insn->addr_bytes == 2)
		return (void *)-1UL;
	if (insn->sib.nbytes)
		base = X86_SIB_BASE(sib) | (X86_REX_B(rex) ? 8 : 0);
	if ((base & 7) == 5 && X86_MODRM_MOD(modrm) == 0)
		addr += !insn->sib.nbytes && insn->x86_64 ? regs->ip + insn->length : 0;
	else
		addr += register_value(regs, base);
	if (insn->sib.nbytes && index != 4)
		addr += register_value(regs, index) << X86_SIB_SCALE(sib);
	return (void *)(insn->addr_bytes == 4 ? (unsigned long)(u32)addr : addr);
}

#endif /* KERNEL_STUBS_H */

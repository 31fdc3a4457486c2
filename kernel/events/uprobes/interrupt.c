// SPDX-License-Identifier: GPL-2.0
/*
 * What is seen of a thread that is interrupted in a slot?
 *
 * Never the slot. Who only wants to know where the thread is (perf, rseq, the
 * address in a siginfo) is told where it would be without
 * (uprobe_user_ip()). Who might change or show its registers (signal frames,
 * debuggers, core dumps) comes through get_signal(), and there the thread is
 * moved out: to the original instruction if that hasn't been executed, or else
 * behind it.
 *
 * An instruction that a thread was moved back to has had its hit. When the
 * thread comes back to it, because nobody wanted the signal, or by sigreturn,
 * it is sent to the slot again (uprobe_resume()) and doesn't meet the
 * breakpoint. If it comes some other way, after a longjmp() out of the signal
 * handler for instance, that is a new hit.
 *
 *	interrupted in the slot
 *	  get_signal() -> uprobe_deny_signal()	ip = site, remember (site, sp)
 *	    no handler				-> uprobe_resume()
 *	    handler runs; sigreturn		-> uprobe_resume()
 */

#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>

#include "internal.h"

/* Signal handlers that were left by longjmp() leave theirs behind. */
#define MAX_INTERRUPTIONS	64

/**
 * struct uprobe_interruption - an instruction that waits to be gone on with
 * @next: an earlier one of the same thread
 * @vaddr: address of the instruction
 * @sp: the thread's stack pointer there
 */
struct uprobe_interruption {
	struct uprobe_interruption	*next;
	unsigned long			vaddr;
	unsigned long			sp;
};

/* ---- where a thread would be -------------------------------------------- */

static unsigned long origin_of(struct pt_regs *regs, unsigned long *vaddr)
{
	unsigned long ip = instruction_pointer(regs);
	const struct uprobe_thread *ut = uprobe_thread_of(current);
	struct mm_struct *mm = current->mm;
	/* pairs with smp_store_release() in uprobe_space_make() */
	struct uprobe_space *space =
		mm ? smp_load_acquire(&mm->uprobes_state.space) : NULL;

	if (!arch_uprobe_in_flat_code(regs))
		return 0;
	if (ut && ut->stranded && ut->stranded == ip) {
		*vaddr = ut->stranded_vaddr;
		return ut->stranded_origin;
	}
	return space ? uprobe_slot_origin(space, ip, vaddr) : 0;
}

/**
 * uprobe_user_ip - where would this thread be without uprobes?
 * @regs: of the current task, in user mode
 *
 * Context: any, also NMI.
 * Return: the instruction pointer, or what it stands for in a slot.
 */
unsigned long uprobe_user_ip(struct pt_regs *regs)
{
	struct mm_struct *mm = current->mm;
	struct uprobe_space *space =
		/* pairs with smp_store_release() in uprobe_space_make() */
		mm ? smp_load_acquire(&mm->uprobes_state.space) : NULL;
	unsigned long vaddr;

	return origin_of(regs, &vaddr) ?: uprobe_diverted_ip(space, regs) ?:
	       instruction_pointer(regs);
}

/**
 * uprobe_task_ip - the same for another task
 * @task: the task, which waits in the kernel
 * @ip: its instruction pointer in user mode
 *
 * Called by collect_syscall(), for /proc/PID/syscall.
 *
 * Context: task context, no locks; may sleep.
 * Return: @ip, or what it stands for in a slot.
 */
unsigned long uprobe_task_ip(struct task_struct *task, unsigned long ip)
{
	struct mm_struct *mm = get_task_mm(task);
	unsigned long origin = 0, vaddr;
	struct uprobe_space *space;

	if (!mm)
		return ip;
	/* pairs with smp_store_release() in uprobe_space_make() */
	space = smp_load_acquire(&mm->uprobes_state.space);
	if (space)
		origin = uprobe_slot_origin(space, ip, &vaddr);
	/* the caller holds locks of the task */
	mmput_async(mm);
	return origin ?: ip;
}

/**
 * uprobe_get_trap_addr - where would this trap be without uprobes?
 * @regs: of the current task, in a trap
 *
 * For si_addr of the signals that report the address of an instruction.
 *
 * Return: the address.
 */
unsigned long uprobe_get_trap_addr(struct pt_regs *regs)
{
	return uprobe_user_ip(regs);
}

/**
 * uprobe_leave_slot - the thread goes on somewhere else
 * @regs: of the current task; the caller sets the instruction pointer
 *
 * A thread that runs through its slot is simply sent away. One that is stepped
 * there has the trap flag set, and a site that waits for the trap.
 *
 * Called when a restartable sequence is aborted, after uprobe_user_ip().
 *
 * Context: task context before the return to user mode.
 */
void uprobe_leave_slot(struct pt_regs *regs)
{
	struct uprobe_thread *ut = uprobe_thread_of(current);

	if (ut && ut->site)
		uprobe_step_cancel(ut, regs);
}

/* ---- moved out of the slot, and back ------------------------------------ */

/* The link to the one with this address and stack pointer, or to the end. */
static struct uprobe_interruption **find(struct uprobe_thread *ut,
					 unsigned long vaddr, unsigned long sp)
{
	struct uprobe_interruption **link = &ut->interrupted;

	while (*link && ((*link)->vaddr != vaddr || (*link)->sp != sp))
		link = &(*link)->next;
	return link;
}

static void forget(struct uprobe_thread *ut, struct uprobe_interruption **link)
{
	struct uprobe_interruption *i = *link;

	*link = i->next;
	ut->nr_interrupted--;
	kfree(i);
}

static void forget_oldest(struct uprobe_thread *ut)
{
	struct uprobe_interruption **link = &ut->interrupted;

	while ((*link)->next)
		link = &(*link)->next;
	forget(ut, link);
}

/**
 * uprobe_remember - the thread may come back to an instruction
 * @ut: the current thread
 * @vaddr: its address; it has been hit and isn't executed
 * @sp: the stack pointer that the thread will have there
 *
 * Without memory it will be hit once more.
 *
 * Context: task context, may sleep.
 */
void uprobe_remember(struct uprobe_thread *ut, unsigned long vaddr,
		     unsigned long sp)
{
	struct uprobe_interruption *i;

	if (*find(ut, vaddr, sp))
		return;
	i = kmalloc(sizeof(*i), GFP_KERNEL_ACCOUNT | UPROBE_MAY_FAIL);
	if (!i)
		return;
	*i = (struct uprobe_interruption){ ut->interrupted, vaddr, sp };
	ut->interrupted = i;
	if (++ut->nr_interrupted > MAX_INTERRUPTIONS)
		forget_oldest(ut);
}

/**
 * uprobe_interrupted - an instruction is to be gone on with later
 * @ut: the current thread
 * @vaddr: its address; it has been hit and isn't executed
 * @regs: the registers that it will go on with
 *
 * Context: task context before the return to user mode; may sleep.
 */
void uprobe_interrupted(struct uprobe_thread *ut, unsigned long vaddr,
			struct pt_regs *regs)
{
	ut->resumes = true;
	set_thread_flag(TIF_UPROBE);
	uprobe_remember(ut, vaddr, user_stack_pointer(regs));
}

/**
 * uprobe_inherit_interruptions - fork: the child may return from the same
 *	signal handlers
 * @child: of a child that has not run yet
 * @parent: the current thread
 *
 * Context: task context, may sleep.
 */
void uprobe_inherit_interruptions(struct uprobe_thread *child,
				  const struct uprobe_thread *parent)
{
	struct uprobe_interruption **tail = &child->interrupted, *from;

	for (from = parent->interrupted; from; from = from->next) {
		*tail = kmemdup(from, sizeof(*from), GFP_KERNEL_ACCOUNT);
		if (!*tail)
			return;
		tail = &(*tail)->next;
		*tail = NULL;
		child->nr_interrupted++;
	}
}

/**
 * uprobe_forget_interruptions - the thread ends, or its program does
 * @ut: the thread
 */
void uprobe_forget_interruptions(struct uprobe_thread *ut)
{
	while (ut->interrupted)
		forget(ut, &ut->interrupted);
}

/* Return: false if it wasn't in a slot. */
static bool move_out(struct uprobe_thread *ut, struct pt_regs *regs)
{
	unsigned long origin, vaddr;

	if (ut->site) {
		uprobe_step_abort(ut, regs);
		return true;
	}
	origin = origin_of(regs, &vaddr);
	if (!origin)
		return false;
	instruction_pointer_set(regs, origin);
	if (origin == vaddr)
		uprobe_interrupted(ut, vaddr, regs);
	return true;
}

/**
 * uprobe_rescue - has the process unmapped the slot that the thread is in?
 * @ut: the current thread
 * @regs: what it is about to return to user mode with
 *
 * Context: task context before the return to user mode, before uprobe_resume().
 */
void uprobe_rescue(struct uprobe_thread *ut, struct pt_regs *regs)
{
	if (!ut->stranded)
		return;
	/* unless it was sent elsewhere */
	if (ut->stranded == instruction_pointer(regs))
		move_out(ut, regs);
	WRITE_ONCE(ut->stranded, 0);
}

/**
 * uprobe_deny_signal - a signal is about to be looked at
 *
 * Called by get_signal() before it takes siglock: the one place that every
 * signal frame, debugger and core dump comes through.
 *
 * Context: task context before the return to user mode.
 * Return: false: signals never have to wait.
 */
bool uprobe_deny_signal(void)
{
	struct uprobe_thread *ut = uprobe_thread_of(current);
	struct pt_regs *regs = task_pt_regs(current);
	struct uprobe_interruption **link;

	/* before the fault has come, or under a debugger's trap flag */
	if (current->mm && uprobe_has_returned_diverted(regs)) {
		uprobe_return_diverted(uprobe_thread_of(current), regs);
		return false;
	}
	if (!ut)
		return false;
	if (ut->trap == TRAP_SENT) {
		ut->trap = TRAP_SEEN;
		set_thread_flag(TIF_UPROBE);
	}
	if (move_out(ut, regs))
		return false;
	/* about to meet a breakpoint: that will be a hit when it comes back */
	link = find(ut, instruction_pointer(regs), user_stack_pointer(regs));
	if (*link && !ut->resumes)
		forget(ut, link);
	return false;
}

/**
 * uprobe_sigreturn - a signal handler is about to return
 *
 * Called before the registers are restored; uprobe_resume() looks at them.
 *
 * Context: the system call.
 */
void uprobe_sigreturn(void)
{
	struct uprobe_thread *ut = uprobe_thread_of(current);

	if (!ut || !ut->interrupted)
		return;
	ut->resumes = true;
	set_thread_flag(TIF_UPROBE);
}

/**
 * uprobe_resume - does the thread go on with an interrupted instruction?
 * @ut: the current thread
 * @regs: what it is about to return to user mode with
 *
 * Context: task context before the return to user mode, before signals.
 */
void uprobe_resume(struct uprobe_thread *ut, struct pt_regs *regs)
{
	struct uprobe_interruption **link;
	unsigned long vaddr = instruction_pointer(regs);

	if (ut->trap == TRAP_SEEN && uprobe_back_from_trap(ut, regs))
		return;
	if (!ut->resumes)
		return;
	ut->resumes = false;
	link = find(ut, vaddr, user_stack_pointer(regs));
	if (!*link)
		return;
	forget(ut, link);
	uprobe_go_on(ut, vaddr, regs);
}

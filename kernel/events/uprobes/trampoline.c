// SPDX-License-Identifier: GPL-2.0
/*
 * What if a call returns to where no breakpoint can stand?
 *
 * Generated code, and text that the program writes, carry no return sites
 * (uprobe_vma_is_text()). A function that is called from there has its return
 * diverted: the return word on the stack is replaced by the address of the
 * trampoline, and kept here.
 *
 *	entry hit				return
 *	  the word is kept, by its address	  the thread is at the trampoline
 *	  the trampoline takes its place	  the word is put back
 *	  a call is opened, as ever		  the call is closed, as ever
 *						  it goes on where it returns to
 *
 * The trampoline is a page of zeros that can be read and not executed: to jump there
 * faults, also if the program has unmapped it. So no code of ours can be executed by
 * others, and no system call is made that filters would have to know of. It can be
 * read because unwinders look at the code of a frame that they don't know, and are
 * content with what they find.
 *
 * What is kept stands for itself, not for the call: whatever becomes of that, be
 * its consumer gone, the function returns to its caller; in another thread too, or
 * in a child. As long as somebody wants returns it stays, and is used again by the
 * next call with its return word in the same place. When nobody wants returns any more,
 * it goes with its call's return, or if that is over with the next fork. If there are too
 * many, those go that no return word refers to.
 *
 * This is the one case in which the stack is touched. Debuggers don't see that
 * (uprobe_hide_trampoline()), nor does a signal handler see a thread at the
 * trampoline (uprobe_deny_signal()), but an unwinder in the program meets it.
 * kernel.uprobe_trampoline switches it off; then the returns are missed (no-site).
 */

#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/userfaultfd_k.h>
#include <linux/xarray.h>
#include <asm/uprobes_stack.h>

#include "internal.h"

/* `ret imm16` takes away so much, and the word. */
#define MAX_POPPED	(U16_MAX + sizeof(u64))

/* and so much as a rule: another stack in the same mapping isn't as near */
#define MAX_ARGUMENTS	1024

/* and so much if another word is as likely */
#define MAX_NEAR	128

/* When there are too many, it is looked so often which of them can go. */
#define SWEEP_INTERVAL	(HZ / 10)

/* The word was kept since the sweep has looked for it. */
#define KEPT		XA_MARK_0

/* Its call hasn't returned, as far as is known; also if it has taken the word away. */
#define OPEN		XA_MARK_1

/* Its call has returned, and left it for the next one. */
#define RETURNED	XA_MARK_2

/* ---- the page ----------------------------------------------------------- */

/* In the page: an unwinder may look for the call before it, too. */
#define OFFSET		64

/* One for all: nobody writes there. */
static struct page *page;

static vm_fault_t fault(struct vm_fault *vmf)
{
	get_page(page);
	vmf->page = page;
	return 0;
}

/*
 * The process unmaps it. As long as nothing is mapped there, returns are seen as
 * ever; but what will be is up to others.
 */
static void closed(struct vm_area_struct *vma)
{
	struct uprobe_space *space = vma->vm_mm->uprobes_state.space;

	/* a child has that of a parent whose probes had all gone */
	if (space && vma->vm_start == (space->trampoline & PAGE_MASK))
		WRITE_ONCE(space->trampoline_lost, true);
}

static int refuse_move(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static const char *name(struct vm_area_struct *vma)
{
	return "[uprobes]";
}

static const struct vm_operations_struct vm_ops = {
	.fault	= fault,
	.close	= closed,
	.mremap	= refuse_move,
	.name	= name,
};

static int __init alloc_trampoline(void)
{
	page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	return page ? 0 : -ENOMEM;
}
core_initcall(alloc_trampoline);

/* Anywhere in the process, once and for all. */
static int map_trampoline(struct uprobe_space *space, unsigned long vaddr)
{
	struct mm_struct *mm = space->mm;
	unsigned long at;
	int err = 0;

	if (READ_ONCE(space->trampoline))
		return 0;
	if (!page)
		return -ENOMEM;
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	if (!space->trampoline) {
		at = uprobe_find_room(mm, vaddr, max(mmap_min_addr, PAGE_SIZE),
				      mm->task_size - 1, PAGE_SIZE);
		err = at ? uprobe_map(mm, at, PAGE_SIZE, VM_READ | VM_MAYREAD,
				      &vm_ops) : -ENOMEM;
		if (!err)
			WRITE_ONCE(space->trampoline, at + OFFSET);
	}
	mmap_write_unlock(mm);
	return err;
}

/* ---- what is kept ------------------------------------------------------- */

/* A word of either length begins at a multiple of four, or it isn't kept. */
static unsigned long index_of(unsigned long sp)
{
	return sp / sizeof(u32);
}

static unsigned long sp_of(unsigned long index)
{
	return index * sizeof(u32);
}

/* An address of user space has room for the bit. */
static void *entry_of(unsigned long ret_addr, bool is_64bit)
{
	return xa_mk_value(ret_addr << 1 | is_64bit);
}

static unsigned long ret_addr_of(void *entry)
{
	return xa_to_value(entry) >> 1;
}

static bool is_64bit(void *entry)
{
	return xa_to_value(entry) & 1;
}

static size_t size_of(void *entry)
{
	return is_64bit(entry) ? sizeof(u64) : sizeof(u32);
}

static bool is_open(struct uprobe_space *space, unsigned long sp)
{
	return xa_get_mark(&space->diverted, index_of(sp), OPEN);
}

static bool has_returned(struct uprobe_space *space, unsigned long sp)
{
	return xa_get_mark(&space->diverted, index_of(sp), RETURNED);
}

/* By code of the same mode; or NULL. */
static void *kept_at(struct uprobe_space *space, struct pt_regs *regs,
		     unsigned long sp)
{
	void *entry = xa_load(&space->diverted, index_of(sp));

	return entry && is_64bit(entry) == user_64bit_mode(regs) ? entry : NULL;
}

/* What is kept of a call that hasn't returned; or NULL. */
static void *awaited_at(struct uprobe_space *space, unsigned long sp)
{
	unsigned long index = index_of(sp);
	void *entry;

	/* an entry and its marks don't go at once */
	xa_lock(&space->diverted);
	entry = xa_load(&space->diverted, index);
	if (entry && xa_get_mark(&space->diverted, index, RETURNED))
		entry = NULL;
	xa_unlock(&space->diverted);
	return entry;
}

/* Does the return word lead to the trampoline? */
static bool is_diverted(struct uprobe_space *space, unsigned long sp,
			void *entry)
{
	unsigned long word;

	return uprobe_read_word(&word, sp, is_64bit(entry)) &&
	       word == space->trampoline;
}

/* Of a stack that has gone, or was given back, there is nothing to wait for. */
static bool can_be_read(unsigned long sp)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	bool can;

	if (!mmap_read_trylock(mm))
		return false;
	vma = vma_lookup(mm, sp);
	can = !vma || (vma_is_anonymous(vma) && !userfaultfd_armed(vma));
	mmap_read_unlock(mm);
	return can;
}

/* As above; if that can't be found out without waiting for others, it may. */
static bool may_be_diverted(struct uprobe_space *space, unsigned long sp,
			    void *entry)
{
	unsigned long word;
	bool read;

	pagefault_disable();
	read = uprobe_read_word(&word, sp, is_64bit(entry));
	pagefault_enable();
	if (!read && can_be_read(sp))
		return is_diverted(space, sp, entry);
	return !read || word == space->trampoline;
}

static void erase(struct uprobe_space *space, unsigned long index, void *entry)
{
	xa_lock(&space->diverted);
	if (xa_load(&space->diverted, index) == entry &&
	    !xa_get_mark(&space->diverted, index, KEPT)) {
		__xa_erase(&space->diverted, index);
		WRITE_ONCE(space->nr_diverted, space->nr_diverted - 1);
	}
	xa_unlock(&space->diverted);
}

/* glibc's vfork() has its return word in a register as long as there is a child. */
static bool has_vfork_child(const struct mm_struct *mm)
{
	struct task_struct *p, *t;

	guard(rcu)();
	for_each_process_thread(p, t) {
		if (READ_ONCE(t->mm) == mm && READ_ONCE(t->vfork_done))
			return true;
	}
	return false;
}

/*
 * For want of room: takes away what no word refers to, one thread at a time. The mark
 * goes before the word is read: who keeps one, diverts it, and keeps it once more, has
 * either diverted it by then or sets the mark again. A call that has taken its word
 * away can't be spared, unless there is a child of vfork().
 */
static void sweep(struct uprobe_space *space)
{
	int vforks = atomic_read_acquire(&space->nr_vforks);
	unsigned long index;
	void *entry;

	if (has_vfork_child(space->mm) || xchg(&space->is_swept, true))
		return;
	xa_for_each(&space->diverted, index, entry) {
		xa_clear_mark(&space->diverted, index, KEPT);
		if (!may_be_diverted(space, sp_of(index), entry)) {
			/* pairs with atomic_inc(), before the child runs */
			smp_rmb();
			if (atomic_read(&space->nr_vforks) != vforks)
				break;
			erase(space, index, entry);
		}
		cond_resched();
	}
	smp_store_release(&space->is_swept, false);
}

/* Return: false if something else, or nothing, is kept there by now. */
static bool mark_returned(struct uprobe_space *space, unsigned long index,
			  void *entry)
{
	bool same;

	xa_lock(&space->diverted);
	same = xa_load(&space->diverted, index) == entry;
	if (same) {
		__xa_clear_mark(&space->diverted, index, OPEN);
		__xa_set_mark(&space->diverted, index, RETURNED);
	}
	xa_unlock(&space->diverted);
	return same;
}

/* A thread may still be about to keep the same: that takes the mark away. */
static void drop_if_returned(struct uprobe_space *space, unsigned long index)
{
	xa_lock(&space->diverted);
	if (xa_get_mark(&space->diverted, index, RETURNED)) {
		__xa_erase(&space->diverted, index);
		WRITE_ONCE(space->nr_diverted, space->nr_diverted - 1);
	}
	xa_unlock(&space->diverted);
}

/* Nobody wants returns any more: there is no next call for it. */
static void drop_returned(struct uprobe_space *space)
{
	unsigned long index;
	void *entry;

	xa_for_each_marked(&space->diverted, index, entry, RETURNED) {
		drop_if_returned(space, index);
		cond_resched();
	}
}

/* Threads that come at once may exceed the limit by as many. */
static bool has_room(struct uprobe_space *space, unsigned long sp)
{
	unsigned int limit = READ_ONCE(uprobe_max_return_sites);

	if (READ_ONCE(space->nr_diverted) < limit ||
	    xa_load(&space->diverted, index_of(sp)))
		return true;
	if (time_before(jiffies, READ_ONCE(space->next_sweep)))
		return false;
	WRITE_ONCE(space->next_sweep, jiffies + SWEEP_INTERVAL);
	sweep(space);
	return READ_ONCE(space->nr_diverted) < limit;
}

static int keep(struct uprobe_space *space, unsigned long sp, void *entry)
{
	unsigned long index = index_of(sp);
	void *old;

	xa_lock(&space->diverted);
	old = __xa_store(&space->diverted, index, entry, GFP_KERNEL_ACCOUNT);
	if (!xa_is_err(old)) {
		__xa_set_mark(&space->diverted, index, KEPT);
		__xa_set_mark(&space->diverted, index, OPEN);
		__xa_clear_mark(&space->diverted, index, RETURNED);
		if (!old)
			WRITE_ONCE(space->nr_diverted, space->nr_diverted + 1);
	}
	xa_unlock(&space->diverted);
	return xa_err(old);
}

/* A child of vfork(): who made it returns from the same frames. */
static bool is_on_parents_stack(void)
{
	guard(rcu)();
	return current->vfork_done &&
	       READ_ONCE(rcu_dereference(current->real_parent)->mm) ==
	       current->mm;
}

static bool is_executable(unsigned long addr)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	bool is;

	/* it is being killed */
	if (mmap_read_lock_killable(mm))
		return true;
	vma = vma_lookup(mm, addr);
	is = vma && (vma->vm_flags & VM_EXEC);
	mmap_read_unlock(mm);
	return is;
}

/*
 * Has a call put its word where that of @entry was? Data may look like code; and if the
 * call has a site, it isn't to be seen.
 */
static bool is_place_of_call(unsigned long sp, void *entry)
{
	unsigned long word;

	return uprobe_read_word(&word, sp, is_64bit(entry)) &&
	       is_executable(word) &&
	       arch_uprobe_follows_call(word, is_64bit(entry));
}

/* ---- entries ------------------------------------------------------------ */

/*
 * Not the vDSO: unwinders know the way out of a signal handler. And not what merely
 * lies where the word of a call would, where all memory can be executed.
 */
static bool is_generated_code(struct vm_area_struct *vma)
{
	return vma && (vma->vm_flags & VM_EXEC) && !uprobe_vma_is_text(vma) &&
	       (vma->vm_file || vma_is_anonymous(vma));
}

/*
 * A stack that others can read has to say what it says: debuggers of theirs, too.
 * Return: as uprobe_may_divert()
 */
static int check_caller(unsigned long ret_addr, unsigned long sp, bool is_64bit)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *stack;
	int err = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	stack = vma_lookup(mm, sp);
	if (!is_generated_code(vma_lookup(mm, ret_addr)))
		err = -ENXIO;
	else if (!stack || !is_cow_mapping(stack->vm_flags))
		err = -EPERM;
	mmap_read_unlock(mm);
	if (err == -ENXIO || !arch_uprobe_follows_call(ret_addr, is_64bit))
		return -ENXIO;
	return err;
}

/**
 * uprobe_may_divert - can a call return by the trampoline?
 * @entry: the site that was hit, in the current task's address space; referenced
 * @regs: at the function's first instruction
 * @sp: address of the return word
 * @ret_addr: what it holds
 *
 * The stack isn't touched before the consumers have seen it: uprobe_divert().
 *
 * Context: task context, no locks; may sleep.
 * Return: 0; -ENXIO if it isn't called from generated code; -EPERM if its return
 * word isn't to be touched; -ENOSPC if too many have been, -ENOMEM, -EINTR.
 */
int uprobe_may_divert(struct uprobe_site *entry, struct pt_regs *regs,
		      unsigned long sp, unsigned long ret_addr)
{
	struct uprobe_space *space = entry->space;
	bool is_64bit = user_64bit_mode(regs);
	int err;

	if (!IS_ENABLED(CONFIG_64BIT) || ret_addr >= TASK_SIZE_MAX)
		return -ENXIO;
	err = check_caller(ret_addr, sp, is_64bit);
	if (err)
		return err;
	if (!READ_ONCE(uprobe_trampoline) || !arch_uprobe_may_divert() ||
	    sp_of(index_of(sp)) != sp || is_on_parents_stack())
		return -EPERM;
	err = map_trampoline(space, entry->vaddr);
	if (err)
		return err;
	/* code of the other mode was first */
	if (READ_ONCE(space->trampoline_lost) ||
	    (!is_64bit && space->trampoline > U32_MAX))
		return -EPERM;
	return has_room(space, sp) ? 0 : -ENOSPC;
}

/**
 * uprobe_divert - let a call return by the trampoline
 * @space: of the current task's mm
 * @regs: at the function's first instruction
 * @sp: address of the return word
 * @ret_addr: what it holds, for which uprobe_may_divert() has returned 0
 *
 * Whatever becomes of the call, the function returns to its caller.
 *
 * Context: task context, no locks; may sleep.
 * Return: 0; -EPERM if that isn't so any more, or a handler has changed the word;
 * -EFAULT or -ENOMEM.
 */
int uprobe_divert(struct uprobe_space *space, struct pt_regs *regs,
		  unsigned long sp, unsigned long ret_addr)
{
	void *entry = entry_of(ret_addr, user_64bit_mode(regs));
	unsigned long word;
	int err;

	if (READ_ONCE(space->trampoline_lost) ||
	    !uprobe_read_word(&word, sp, is_64bit(entry)) || word != ret_addr)
		return -EPERM;
	err = keep(space, sp, entry);
	if (err)
		return err;
	if (!uprobe_write_word(space->trampoline, sp, is_64bit(entry)))
		return -EFAULT;
	err = keep(space, sp, entry);
	if (err)
		uprobe_write_word(ret_addr, sp, is_64bit(entry));
	return err;
}

/**
 * uprobe_divert_again - a call has been opened that returns by the trampoline anyhow
 * @space: of the current task's mm
 * @sp: where its return word is, for which uprobe_is_diverted() has returned true
 *
 * Context: any that may take a spinlock.
 */
void uprobe_divert_again(struct uprobe_space *space, unsigned long sp)
{
	/* with one before it, as a rule */
	if (!is_open(space, sp))
		xa_set_mark(&space->diverted, index_of(sp), OPEN);
}

/**
 * uprobe_forget_diverted - a call has been left, and will not return
 * @sp: where its return word was, in the current task's address space
 *
 * What stands there decides from now on, unless an open one is as likely.
 *
 * Context: task context.
 */
void uprobe_forget_diverted(unsigned long sp)
{
	struct uprobe_space *space;

	/* at the end of a task there may be none */
	space = current->mm ? current->mm->uprobes_state.space : NULL;
	if (space && !xa_empty(&space->diverted))
		xa_clear_mark(&space->diverted, index_of(sp), OPEN);
}

/**
 * uprobe_is_diverted - does a function that is entered return by the trampoline?
 * @space: of the current task's mm
 * @regs: at its first instruction
 * @sp: address of the return word
 * @ret_addr: what it holds; set to what it has held
 *
 * It has been entered by a jump, then, or has several uprobes.
 *
 * Context: any.
 * Return: true if it does.
 */
bool uprobe_is_diverted(struct uprobe_space *space, struct pt_regs *regs,
			unsigned long sp, unsigned long *ret_addr)
{
	void *entry;

	if (!space->trampoline || *ret_addr != space->trampoline)
		return false;
	entry = kept_at(space, regs, sp);
	if (!entry || has_returned(space, sp))
		return false;
	*ret_addr = ret_addr_of(entry);
	return true;
}

/* ---- returns ------------------------------------------------------------ */

static bool is_at_trampoline(struct uprobe_space *space, struct pt_regs *regs)
{
	return space && READ_ONCE(space->trampoline) &&
	       instruction_pointer(regs) == space->trampoline &&
	       arch_uprobe_in_flat_code(regs);
}

/* Where the return word was, if the function has taken away nothing but that. */
static unsigned long word_behind(struct pt_regs *regs)
{
	return user_stack_pointer(regs) -
	       (user_64bit_mode(regs) ? sizeof(u64) : sizeof(u32));
}

/**
 * struct search - for a word that a thread has passed
 * @space: of the current task's mm
 * @regs: at the trampoline
 * @last: where the word was, if nothing but that was taken away
 */
struct search {
	struct uprobe_space	*space;
	struct pt_regs		*regs;
	unsigned long		last;
};

/* What may be kept of a call that hasn't returned: is it open, does its word lead here? */
#define OPEN_HERE	BIT(0)
#define OPEN_GONE	BIT(1)
#define LEFT_HERE	BIT(2)
#define LEFT_GONE	BIT(3)

static unsigned int kind_of(struct uprobe_space *space, unsigned long sp,
			    void *entry)
{
	if (is_open(space, sp))
		return is_diverted(space, sp, entry) ? OPEN_HERE : OPEN_GONE;
	return is_diverted(space, sp, entry) ? LEFT_HERE : LEFT_GONE;
}

/*
 * The nearest one of these @kinds, no further before @last than @most bytes.
 * @sp: set to where
 */
static void *find_popped(const struct search *s, unsigned long most,
			 unsigned int kinds, unsigned long *sp)
{
	struct uprobe_space *space = s->space;
	void *entry, *found = NULL;
	unsigned long index;

	xa_for_each_range(&space->diverted, index, entry,
			  index_of(s->last - min(s->last, most)),
			  index_of(s->last)) {
		cond_resched();
		entry = awaited_at(space, sp_of(index));
		if (!entry || is_64bit(entry) != user_64bit_mode(s->regs) ||
		    !(kind_of(space, sp_of(index), entry) & kinds))
			continue;
		*sp = sp_of(index);
		found = entry;
	}
	return found;
}

/* It has passed the word of @last_entry, or where that was; but perhaps more. */
static void *find_beside(const struct search *s, void *last_entry,
			 unsigned long *sp)
{
	switch (kind_of(s->space, s->last, last_entry)) {
	case LEFT_HERE:
		/* taken for left; or a word was pushed there behind arguments */
		return find_popped(s, MAX_NEAR,
				   OPEN_HERE | OPEN_GONE, sp) ?: last_entry;
	case LEFT_GONE:
		return find_popped(s, MAX_ARGUMENTS, OPEN_HERE, sp) ?:
		       last_entry;
	default:
		/* it has taken its word away; or arguments stand there */
		return find_popped(s, MAX_NEAR, OPEN_HERE, sp) ?:
		       last_entry;
	}
}

/*
 * It has taken arguments away, by `ret imm16` or before it pushed its word again, and
 * what it has jumped to then may have used the place.
 */
static void *find_behind_arguments(const struct search *s, unsigned long *sp)
{
	return find_popped(s, MAX_NEAR, OPEN_HERE, sp) ?:
	       find_popped(s, MAX_ARGUMENTS, OPEN_HERE | OPEN_GONE | LEFT_HERE,
			   sp) ?:
	       find_popped(s, MAX_POPPED, OPEN_HERE | LEFT_HERE, sp) ?:
	       find_popped(s, MAX_ARGUMENTS, LEFT_GONE, sp);
}

/*
 * What has returned? As a rule the word that the stack pointer has just passed leads
 * here, and its call is open. If it doesn't, more was taken away than that, by
 * `ret imm16`, or the word was pushed once more behind the arguments; or the
 * function has taken its word away, used its place, and jumped here in the end. If
 * it does, and the call isn't open, that was taken for left. There may be words of calls
 * that have returned, and of those that were left without anybody's having noticed: so it
 * may take the likeliest.
 */
static void *find_returned(struct uprobe_space *space, struct pt_regs *regs,
			   unsigned long *sp)
{
	const struct search s = {
		.space	= space,
		.regs	= regs,
		.last	= word_behind(regs),
	};
	void *entry = awaited_at(space, s.last);

	*sp = s.last;
	if (!entry || is_64bit(entry) != user_64bit_mode(regs))
		return find_behind_arguments(&s, sp) ?:
		       kept_at(space, regs, s.last);
	if (is_diverted(space, s.last, entry) ? is_open(space, s.last) :
						is_place_of_call(s.last, entry))
		return entry;
	return find_beside(&s, entry, sp);
}

/**
 * uprobe_diverted_ip - where is a thread that is at the trampoline?
 * @space: of its address space
 * @regs: of the current task
 *
 * Context: any, also NMI.
 * Return: where it goes on, as a rule; 0 if it isn't there, or if nothing is kept of the
 * word just behind it, because more than that was taken away.
 */
unsigned long uprobe_diverted_ip(struct uprobe_space *space,
				 struct pt_regs *regs)
{
	void *entry;

	if (!is_at_trampoline(space, regs))
		return 0;
	entry = kept_at(space, regs, word_behind(regs));
	return entry && !has_returned(space, word_behind(regs)) ?
	       ret_addr_of(entry) : 0;
}

/**
 * uprobe_has_returned_diverted - is the thread at the trampoline?
 * @regs: of the current task, which has faulted, or gets a signal
 *
 * Context: task context, no locks; may sleep.
 * Return: true if so: uprobe_return_diverted() is to be called before it executes
 * anything.
 */
bool uprobe_has_returned_diverted(struct pt_regs *regs)
{
	struct uprobe_thread *ut = uprobe_thread_of(current);
	struct uprobe_space *space;
	unsigned long sp;

	/* pairs with smp_store_release() in uprobe_space_make() */
	space = smp_load_acquire(&current->mm->uprobes_state.space);
	if (!is_at_trampoline(space, regs) || !find_returned(space, regs, &sp))
		return false;
	/* a child may return before it has met a breakpoint */
	if (!ut)
		ut = uprobe_thread_make(GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
	if (ut->step != STEP_NONE)
		return false;
	ut->step = STEP_DIVERTED;
	ut->hit_time = ktime_get_ns();
	set_thread_flag(TIF_UPROBE);
	return true;
}

/**
 * uprobe_return_diverted - a function has returned by the trampoline
 * @ut: the current thread, in STEP_DIVERTED
 * @regs: at the trampoline; afterwards where the function was called
 *
 * Context: task context, interrupts on, no locks.
 */
void uprobe_return_diverted(struct uprobe_thread *ut, struct pt_regs *regs)
{
	struct uprobe_space *space = current->mm->uprobes_state.space;
	struct uprobe_site caller = { .space = space, .is_return = true };
	unsigned long sp;
	void *entry = find_returned(space, regs, &sp);

	ut->step = STEP_NONE;
	/* another thread has overwritten it just now: this one faults again */
	if (!entry)
		return;
	caller.vaddr = ret_addr_of(entry);
	instruction_pointer_set(regs, caller.vaddr);
	if (!is_on_parents_stack() &&
	    mark_returned(space, index_of(sp), entry)) {
		/* or its place is in use again */
		if (is_diverted(space, sp, entry))
			uprobe_write_word(caller.vaddr, sp, is_64bit(entry));
		/* nobody wants returns any more */
		if (!READ_ONCE(space->nr_returners))
			drop_if_returned(space, index_of(sp));
	}
	uprobe_calls_attend(ut);
	ut->returned_sp = sp;
	uprobe_deliver_patiently(ut, &caller, regs);
	ut->returned_sp = 0;
	uprobe_calls_entered(ut, ktime_get_ns());
	uprobe_calls_release(ut);
}

/* ---- observers ----------------------------------------------------------- */

/**
 * uprobe_returns_to - where does a return word lead?
 * @sp: address of the word on the current task's stack
 * @word: what it holds
 *
 * For call chains.
 *
 * Context: any, also NMI.
 * Return: @word, or what the trampoline has replaced.
 */
unsigned long uprobe_returns_to(unsigned long sp, unsigned long word)
{
	struct uprobe_space *space;
	void *entry;

	if (!current->mm)
		return word;
	/* pairs with smp_store_release() in uprobe_space_make() */
	space = smp_load_acquire(&current->mm->uprobes_state.space);
	if (likely(!space || !space->trampoline || word != space->trampoline))
		return word;
	entry = xa_load(&space->diverted, index_of(sp));
	return entry ? ret_addr_of(entry) : word;
}

/**
 * uprobe_hide_trampoline - a debugger has read memory
 * @space: of the process
 * @addr: where
 * @buf: what has been read; gets the words that the program has put there
 * @len: how many bytes
 *
 * Of a word that is read only in part nobody knows whether it is diverted.
 *
 * Context: any that may take an RCU read lock.
 */
void uprobe_hide_trampoline(struct uprobe_space *space, unsigned long addr,
			    void *buf, size_t len)
{
	unsigned long index, at, word, ret_addr;
	void *entry;

	xa_for_each_range(&space->diverted, index, entry,
			  DIV_ROUND_UP(addr, sizeof(u32)),
			  index_of(addr + len - 1)) {
		at = sp_of(index) - addr;
		if (at + size_of(entry) > len)
			break;
		word = 0;
		memcpy(&word, buf + at, size_of(entry));
		ret_addr = ret_addr_of(entry);
		if (word == space->trampoline)
			memcpy(buf + at, &ret_addr, size_of(entry));
	}
}

/* ---- spaces ------------------------------------------------------------- */

/**
 * uprobe_diverted_clone - fork: the child's stack has the same words
 * @to: the child's space, which nobody else knows yet
 * @from: the parent's, which is the current task's
 *
 * Context: task context, may sleep; mmap_lock of the parent held for writing.
 * Return: 0 or -ENOMEM.
 */
int uprobe_diverted_clone(struct uprobe_space *to, struct uprobe_space *from)
{
	unsigned long index;
	void *entry;
	int err;

	to->trampoline = from->trampoline;
	to->trampoline_lost = from->trampoline_lost;
	if (!from->nr_returners)
		drop_returned(from);
	/*
	 * A function that has taken its word away jumps back in the child, too, and
	 * what was called in its place may have taken it for left. On which of the
	 * stacks the child goes on, nobody knows.
	 */
	xa_for_each(&from->diverted, index, entry) {
		cond_resched();
		entry = awaited_at(from, sp_of(index));
		if (!entry)
			continue;
		err = keep(to, sp_of(index), entry);
		if (err)
			return err;
		if (!is_open(from, sp_of(index)))
			xa_clear_mark(&to->diverted, index, OPEN);
	}
	return 0;
}

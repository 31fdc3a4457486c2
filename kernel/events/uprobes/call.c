// SPDX-License-Identifier: GPL-2.0
/*
 * Which entry does a return belong to?
 *
 * At an entry hit whose returns are wanted, the return address is read from
 * the stack, a return site is made there (sites.c), and a call is opened. It
 * is known by the address of its return word, which is unique among live
 * frames. A thread that arrives at the return site with its stack pointer just
 * behind that word has returned; one that comes along with another stack
 * pointer (a loop whose head follows the call, say) has not. The stack itself
 * is never written: unwinders, debuggers and shadow stacks see what is there.
 *
 *	stack address				calls, innermost first
 *	high  |  return word of a()  |		c: sp = &c's word
 *	      |  frame of a()        |		b: sp = &b's word
 *	      |  return word of b()  |		a: sp = &a's word
 *	      |  return word of c()  |
 *	low   |  frame of c()        |  <- sp
 *
 * Frames left by longjmp() or an exception never return. They show when the
 * thread enters or leaves a function above them on the same stack.
 *
 * hit.c calls in here; consumers get the returns from deliver().
 */

#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "internal.h"

/* A protection, not a limit on honest recursion: 8 MB of stack end earlier. */
#define MAX_CALLS	65536

/* Numbers are handed to threads in blocks: the shared counter stays cold. */
#define ID_BLOCK	1024

/**
 * struct open_call - an entry that waits for its return
 * @pub: what consumers see
 * @next: the next outer call of the thread, or the next one in its pool
 * @uprobe: whose call it is; holds a reference
 * @epoch: of the entry hit; consumers that came later don't see the call
 * @handler_ns: uprobe_thread::handler_ns when the entry was done
 *
 * Owned by one thread.
 */
struct open_call {
	struct uprobe_call	pub;
	struct open_call	*next;
	struct uprobe		*uprobe;
	u64			epoch;
	u64			handler_ns;
};

static u64 take_id(struct uprobe_thread *ut)
{
	static atomic64_t blocks;

	if (ut->next_id == ut->end_id) {
		ut->end_id = atomic64_inc_return(&blocks) * ID_BLOCK;
		ut->next_id = ut->end_id - ID_BLOCK;
	}
	return ++ut->next_id;
}

static struct open_call *take_call(struct uprobe_thread *ut)
{
	struct open_call *call = ut->pool;

	if (!call)
		return kmalloc(sizeof(*call), GFP_KERNEL_ACCOUNT);
	ut->pool = call->next;
	return call;
}

/* @link points to the call in the thread's list. */
static void drop_call(struct uprobe_thread *ut, struct open_call **link)
{
	struct open_call *call = *link;

	*link = call->next;
	ut->nr_calls--;
	uprobe_put(call->uprobe);
	call->next = ut->pool;
	ut->pool = call;
}

static void abandon_call(struct uprobe_thread *ut, struct open_call **link,
			 enum uprobe_event_count why)
{
	struct open_call *call = *link;

	uprobe_count(call->uprobe, current->mm, call->epoch, why);
	drop_call(ut, link);
}

/*
 * Are two stack pointers on one stack? Stacks are mappings of their own, as a
 * rule; those that a program makes in its heap can't be told apart.
 */
static bool same_stack(unsigned long a, unsigned long b)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	bool same;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, a);
	same = vma && vma == vma_lookup(mm, b) &&
	       !(vma->vm_start < mm->brk && vma->vm_end > mm->start_brk);
	mmap_read_unlock(mm);
	return same;
}

/*
 * A function is entered with its return word at @sp. Frames below it are gone;
 * so is a frame of the same function with the same word. A frame of another
 * function there has called this one as its tail: both return at once.
 */
static bool is_dead(const struct open_call *call, const struct uprobe *uprobe,
		    unsigned long sp, unsigned long ret_addr)
{
	if (call->pub.sp == sp)
		return call->uprobe == uprobe || call->pub.ret_addr != ret_addr;
	return call->pub.sp < sp && same_stack(call->pub.sp, sp);
}

/* Takes the caller's reference to the uprobe. */
static void open_call(struct uprobe_thread *ut, struct open_call *call,
		      struct uprobe *uprobe, u64 epoch)
{
	call->uprobe = uprobe;
	call->epoch = epoch;
	call->pub.id = take_id(ut);
	call->pub.entry_time = 0;
	call->pub.latency = 0;
	call->next = ut->calls;
	ut->calls = call;
	ut->nr_calls++;
}

/**
 * uprobe_calls_open - an entry hit whose return somebody wants
 * @ut: the current thread
 * @uprobe: that was hit
 * @func: where
 * @epoch: of the hit
 * @regs: at the function's first instruction
 *
 * If the return can't be seen, that is counted.
 *
 * Context: task context, inside an RCU tasks trace section; may sleep.
 */
void uprobe_calls_open(struct uprobe_thread *ut, struct uprobe *uprobe,
		       unsigned long func, u64 epoch, struct pt_regs *regs)
{
	enum uprobe_event_count why;
	unsigned long sp, ret_addr;
	struct open_call *call;
	int err;

	/* the last consumer has left since the thread trapped: nobody to tell */
	if (!refcount_inc_not_zero(&uprobe->ref))
		return;
	why = UPROBE_MISSED_FAULT;
	if (arch_uprobe_read_return(regs, &sp, &ret_addr))
		goto missed;
	while (ut->calls && is_dead(ut->calls, uprobe, sp, ret_addr))
		abandon_call(ut, &ut->calls, UPROBE_MISSED_UNWOUND);

	why = UPROBE_MISSED_DEPTH;
	if (ut->nr_calls >= MAX_CALLS)
		goto missed;
	err = uprobe_site_make_return(current->mm, ret_addr, uprobe);
	why = err == -ENOMEM ? UPROBE_MISSED_MEMORY : UPROBE_MISSED_NO_SITE;
	if (err)
		goto missed;
	why = UPROBE_MISSED_MEMORY;
	call = take_call(ut);
	if (!call)
		goto missed;

	call->pub.func = func;
	call->pub.ret_addr = ret_addr;
	call->pub.sp = sp;
	open_call(ut, call, uprobe, epoch);
	return;
missed:
	uprobe_count(uprobe, current->mm, epoch, why);
	uprobe_put(uprobe);
}

/**
 * uprobe_calls_entered - the handlers of an entry are done
 * @ut: the current thread
 * @now: ns of CLOCK_MONOTONIC
 *
 * What counts as the duration of the calls just opened begins here.
 */
void uprobe_calls_entered(struct uprobe_thread *ut, u64 now)
{
	struct open_call *call;

	for (call = ut->calls; call && !call->pub.entry_time;
	     call = call->next) {
		call->pub.entry_time = now;
		call->handler_ns = ut->handler_ns;
	}
}

static void deliver(const struct open_call *call, struct pt_regs *regs)
{
	struct uprobe_consumer *uc;

	for_each_consumer(uc, call->uprobe) {
		if (uc->since > call->epoch ||
		    !uprobe_consumer_is_returner(uc) ||
		    !uprobe_consumer_wants(uc, current->mm))
			continue;
		if (uc->exit)
			uc->exit(uc, &call->pub, regs);
		else
			uc->ret_handler(uc, call->pub.func, regs);
	}
}

/*
 * The code that catches an exception may jump to the return address of the
 * call that it came out of. By then it has called the unwinder's functions
 * from the same frame, which has overwritten the return word: after a real
 * return the word still stands there.
 */
static struct open_call *find_returned(struct uprobe_thread *ut,
				       unsigned long vaddr,
				       struct pt_regs *regs)
{
	struct open_call **link = &ut->calls;

	while (*link) {
		struct uprobe_call *call = &(*link)->pub;

		if (call->ret_addr != vaddr ||
		    !arch_uprobe_call_returned(call->sp, regs))
			link = &(*link)->next;
		else if (arch_uprobe_word_is(call->sp, vaddr, regs))
			return *link;
		else
			abandon_call(ut, link, UPROBE_MISSED_UNWOUND);
	}
	return NULL;
}

static void close_call(struct uprobe_thread *ut, struct open_call **link,
		       struct pt_regs *regs)
{
	struct open_call *call = *link;

	call->pub.latency = ut->hit_time - call->pub.entry_time -
			    (ut->handler_ns - call->handler_ns);
	deliver(call, regs);
	drop_call(ut, link);
}

/**
 * uprobe_calls_close - a thread has arrived at a return site
 * @ut: the current thread
 * @vaddr: address of the site
 * @regs: at the site
 *
 * Calls that share the return word have returned together (tail calls), the
 * inner one first. Calls inside of them, on the same stack, never will.
 *
 * Context: task context, inside an RCU tasks trace section; may sleep.
 */
void uprobe_calls_close(struct uprobe_thread *ut, unsigned long vaddr,
			struct pt_regs *regs)
{
	struct open_call *outer = find_returned(ut, vaddr, regs);
	struct open_call **link = &ut->calls;
	unsigned long sp;

	if (!outer)
		return;
	sp = outer->pub.sp;
	while (*link != outer) {
		if ((*link)->pub.sp <= sp && same_stack((*link)->pub.sp, sp))
			abandon_call(ut, link, UPROBE_MISSED_UNWOUND);
		else
			link = &(*link)->next;
	}
	while (*link && (*link)->pub.sp == sp && (*link)->pub.ret_addr == vaddr)
		close_call(ut, link, regs);
}

static struct open_call *copy_call(const struct open_call *from)
{
	struct open_call *call = kmemdup(from, sizeof(*from),
					 GFP_KERNEL_ACCOUNT);

	if (call) {
		refcount_inc(&call->uprobe->ref);
		call->next = NULL;
	}
	return call;
}

/**
 * uprobe_calls_inherit - fork: the child will return from the calls, too
 * @child: of a child that has not run yet; NULL if there was no memory for it
 * @parent: the current thread
 * @mm: the child's
 *
 * Context: task context, may sleep.
 */
void uprobe_calls_inherit(struct uprobe_thread *child,
			  const struct uprobe_thread *parent,
			  struct mm_struct *mm)
{
	struct open_call **tail = child ? &child->calls : NULL;
	const struct open_call *from;
	struct open_call *copy;

	if (child)
		child->handler_ns = parent->handler_ns;
	for (from = parent->calls; from; from = from->next) {
		uprobe_count(from->uprobe, mm, from->epoch, UPROBE_INHERITED);
		copy = child ? copy_call(from) : NULL;
		if (!copy) {
			uprobe_count(from->uprobe, mm, from->epoch,
				     UPROBE_MISSED_MEMORY);
			continue;
		}
		*tail = copy;
		tail = &copy->next;
		child->nr_calls++;
	}
}

/**
 * uprobe_calls_free - a thread ends, or its program does
 * @ut: the current thread
 * @why: what the calls that are still open are counted as
 */
void uprobe_calls_free(struct uprobe_thread *ut, enum uprobe_event_count why)
{
	struct open_call *call;

	while (ut->calls)
		abandon_call(ut, &ut->calls, why);
	while ((call = ut->pool)) {
		ut->pool = call->next;
		kfree(call);
	}
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What of the calls that other threads have open?
 *
 * A user-level thread may return from a function in another thread of the kernel
 * than it entered it in: the return finds no call among the thread's own. Then the
 * call is looked for among those of the process's other threads, and fetched. And
 * whoever wants to know how many calls of a uprobe are open has to ask all threads.
 *
 * Calls belong to their thread, which uses them without a lock. So a thread is
 * asked when it doesn't run, or by an interrupt on its CPU (threads.c); and not
 * while it is in the middle of its calls: in the trap, where page faults are off,
 * or in task context with uprobe_thread::attending set.
 *
 * Calls that were taken for left, by longjmp() or an exception, are noted: if
 * several of them return after all, the process has several stacks in one mapping,
 * and no frame is taken for left without a proof any more. One may be another call,
 * from the same place of the same frame, that nobody has asked for.
 *
 * As a rule a return without a call of its own is one that nobody has asked for,
 * and looking is in vain. A thread that has looked in vain so often looks once a
 * tick.
 */

#include <linux/delay.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <asm/uprobes_stack.h>

#include "internal.h"

/* So often in vain. */
#define MAX_VAIN	16

/*
 * A thread that is in the middle of its calls is asked so often, so far apart, if
 * calls are known to return in other threads.
 */
#define MAX_ASKED	5
#define ASK_AGAIN_US	50

/*
 * So many of its calls are looked at, with interrupts off, for one that has returned; those
 * that returned together with it are all taken.
 */
#define MAX_LOOKED_AT	1024

/* So many calls must return that were taken for left, in so many ticks. */
#define NR_PROOFS	3
#define PROOF_TICKS	HZ

/**
 * struct question - what is asked of threads
 * @look: looks at the calls of a thread that stands still
 * @uprobe: pending: whose calls
 * @uc: pending: and for whom
 * @nr: pending: how many there are
 * @vaddr: fetch: where the current thread has returned to
 * @regs: fetch: its registers
 * @to: fetch: its state
 * @found: fetch: the calls of one thread, the innermost first
 * @rivals: fetch: those of others, of which all but one must be left behind
 * @busy: a thread couldn't be asked
 */
struct question {
	void (*look)(struct question *q, struct uprobe_thread *ut);
	const struct uprobe *uprobe;
	const struct uprobe_consumer *uc;
	unsigned long nr;
	unsigned long vaddr;
	struct pt_regs *regs;
	struct uprobe_thread *to;
	struct open_call *found;
	struct open_call *rivals;
	bool busy;
};

/* With interrupts off, in the thread itself or while it doesn't run. */
static void ask(void *data, struct task_struct *t, unsigned long ip)
{
	struct uprobe_thread *ut = uprobe_thread_of(t);
	struct question *q = data;

	/* a new thread still has what it was copied from */
	if (!ut || ut->owner != t)
		return;
	if (READ_ONCE(ut->attending) || (t == current && pagefault_disabled()))
		q->busy = true;
	else
		q->look(q, ut);
}

/* ---- calls that return elsewhere ---------------------------------------- */

/**
 * uprobe_calls_are_sought - might this return be one of another thread's call?
 * @ut: the current thread, which has no such call
 *
 * Context: trap, or task context.
 * Return: true if it is worth looking: uprobe_calls_fetch().
 */
bool uprobe_calls_are_sought(struct uprobe_thread *ut)
{
	if (ut->vain < MAX_VAIN || READ_ONCE(jiffies) != ut->vain_at)
		ut->seeks = true;
	return ut->seeks;
}

/* Its own place for each frame: many are left at once. */
static unsigned int place_of(unsigned long sp)
{
	return hash_long(sp / sizeof(u32), ilog2(UPROBE_NR_LEFT));
}

/**
 * uprobe_calls_note_left - a call is taken for one that won't return
 * @space: of the current task
 * @call: whose return word is still there
 *
 * Context: any. Other threads may note theirs at the same time: a note may be
 * lost, or be of two calls, and then matches neither.
 */
void uprobe_calls_note_left(struct uprobe_space *space,
			    const struct open_call *call)
{
	struct uprobe_left *left = &space->left[place_of(call->pub.sp)];

	WRITE_ONCE(left->sp, call->pub.sp);
	WRITE_ONCE(left->ret_addr, call->pub.ret_addr);
}

/* Nothing is known of this return: is it a proof? Each note is one only once. */
static void look_for_proof(struct uprobe_space *space, unsigned long vaddr,
			   struct pt_regs *regs)
{
	struct uprobe_left *left = space->left;
	size_t i;

	for (i = 0; i < UPROBE_NR_LEFT; i++, left++) {
		if (READ_ONCE(left->ret_addr) != vaddr || left->sp == space->proof_sp ||
		    !arch_uprobe_is_behind(READ_ONCE(left->sp), regs))
			continue;
		if (time_after(jiffies, space->proof_at + PROOF_TICKS))
			space->nr_proofs = 0;
		space->proof_at = jiffies;
		space->proof_sp = left->sp;
		if (++space->nr_proofs >= NR_PROOFS)
			WRITE_ONCE(space->wanders, true);
		return;
	}
}

static bool has_returned(const struct open_call *call, const struct question *q)
{
	return call->pub.ret_addr == q->vaddr &&
	       arch_uprobe_is_behind(call->pub.sp, q->regs);
}

/* Functions that were entered by a jump have returned together. */
static void take(struct question *q, struct uprobe_thread *ut)
{
	struct open_call **tail = q->found ? &q->rivals : &q->found, **begin;
	struct open_call **link = &ut->calls, *call;
	unsigned int passed = 0;

	while ((call = *link) && !has_returned(call, q)) {
		if (++passed == MAX_LOOKED_AT)
			return;
		link = &call->next;
	}
	while (*tail)
		tail = &(*tail)->next;
	begin = tail;
	while ((call = *link) && has_returned(call, q)) {
		ut->unlinked += link != &ut->calls;
		*link = call->next;
		ut->nr_calls--;
		ut->nr_timed -= call->timed;
		ut->pouches -= call->room;
		q->to->nr_calls++;
		q->to->nr_timed += call->timed;
		q->to->pouches += call->room;
		call->depth_of = 0;
		/* handlers of the other thread are none of this call's */
		call->handler_ns = q->to->handler_ns;
		call->is_foreign = true;
		call->next = NULL;
		*tail = call;
		tail = &call->next;
	}
	if (unlikely(ut->keeps) && *begin) {
		q->to->keeps = true;
		ut->keeps = ut->calls;
		/* as in keep_on() */
		if (ut->calls)
			ut->calls->losses = 0;
	}
}

/* The thread's own from now on, as its innermost ones. */
static void add_to_own(struct uprobe_thread *ut, struct open_call *calls)
{
	struct open_call **end = &calls;

	while (*end)
		end = &(*end)->next;
	*end = ut->calls;
	ut->calls = calls;
}

/*
 * The same frame in two threads: a return was lost, and the next call came from the
 * same place in another one. Which is which isn't known.
 */
static void leave_all(struct question *q)
{
	add_to_own(q->to, q->rivals);
	add_to_own(q->to, q->found);
	uprobe_calls_leave(q->to, q->vaddr, q->regs);
	q->found = NULL;
}

static void ask_process(struct question *q)
{
	struct task_struct *t;

	guard(rcu)();
	for_each_thread(current, t) {
		if (t == current || !READ_ONCE(t->utask))
			continue;
		if (!uprobe_visit_thread(t, current->mm, ask, q))
			q->busy = true;
	}
}

/**
 * uprobe_calls_fetch - look for what has returned among other threads' calls
 * @ut: the current thread, which has no such call
 * @vaddr: address of the return site where it is
 * @regs: at the site
 *
 * What is found becomes the thread's own.
 *
 * Context: task context, no locks; may sleep. The thread attends to its calls, but
 * not while it waits: others may look for theirs here.
 * Return: as uprobe_calls_returned().
 */
struct open_call *uprobe_calls_fetch(struct uprobe_thread *ut,
				     unsigned long vaddr, struct pt_regs *regs)
{
	struct uprobe_space *space = current->mm->uprobes_state.space;
	struct question q = {
		.look = take, .vaddr = vaddr, .regs = regs, .to = ut,
	};
	struct open_call *returned = NULL;
	int tries = 0;

	ut->seeks = false;
	for (;;) {
		q.busy = false;
		ask_process(&q);
		if (q.found || !q.busy || !READ_ONCE(space->wanders) ||
		    ++tries == MAX_ASKED || fatal_signal_pending(current))
			break;
		uprobe_calls_release(ut);
		usleep_range(ASK_AGAIN_US, 2 * ASK_AGAIN_US);
		uprobe_calls_attend(ut);
	}
	if (q.rivals)
		leave_all(&q);
	if (q.found) {
		add_to_own(ut, q.found);
		returned = uprobe_calls_returned(ut, vaddr, regs);
	}
	if (returned) {
		ut->vain = 0;
		WRITE_ONCE(space->wanders, true);
		return returned;
	}
	look_for_proof(space, vaddr, regs);
	ut->vain += ut->vain < MAX_VAIN;
	ut->vain_at = READ_ONCE(jiffies);
	return NULL;
}

/* ---- calls that are open ------------------------------------------------ */

static void add_up(struct question *q, struct uprobe_thread *ut)
{
	const struct open_call *call;

	for (call = ut->calls; call; call = call->next) {
		if (call->uprobe_id == q->uprobe->id &&
		    call->uprobe_serial == q->uprobe->serial &&
		    uprobe_took(q->uc, call->epoch, call->takers))
			q->nr++;
	}
}

/**
 * uprobe_pending - how many calls wait for their return?
 * @uprobe: whose calls
 * @uc: one of its consumers, who wants their returns
 *
 * Exact if the threads are at rest. One that is in the middle of a hit may not be
 * counted; those who share a bit count each other's. A thread with very many open
 * calls stands still for as long as they take to count, with interrupts off.
 *
 * Context: task context, interrupts on; @uc stays registered.
 * Return: how many.
 */
unsigned long uprobe_pending(struct uprobe *uprobe, struct uprobe_consumer *uc)
{
	struct question q = { .look = add_up, .uprobe = uprobe, .uc = uc };
	struct task_struct *p, *t;
	struct mm_struct *mm;

	if (!uprobe_consumer_is_returner(uc))
		return 0;
	guard(rcu)();
	for_each_process_thread(p, t) {
		mm = READ_ONCE(t->mm);
		if (mm && READ_ONCE(t->utask))
			uprobe_visit_thread(t, mm, ask, &q);
	}
	return q.nr;
}

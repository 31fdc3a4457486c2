// SPDX-License-Identifier: GPL-2.0
/*
 * What happens when a thread arrives at a breakpoint?
 *
 * As a rule all of it here, in the trap: the site is looked up, the consumers are
 * told, and the displaced instruction is carried out by the processor in the
 * slot, from which a jump leads back, or by the architecture's emulation. One
 * exception, one return to user mode; no lock, no allocation, no write to memory
 * that threads share.
 *
 * The consumers are told at once, which takes that no more than one of them
 * wants a record. It is asked first, for it may refuse; the others only count.
 * So either all have been told or nothing has happened. A hit that is more than
 * that is tried in two phases (uprobe_deliver_now()), and if that fails, too, it
 * is left to task context (hit.c).
 *
 * Every instruction here is one of each hit: ci/meter/profile shows them.
 */

#include <linux/mm.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <asm/uprobes_stack.h>

#include "internal.h"

/* ---- the consumers ------------------------------------------------------ */

/* For the one consumer that wants more than to count. See tell(). */
static __always_inline int record(struct uprobe_thread *ut,
				  struct uprobe_site *site,
				  struct pt_regs *regs,
				  struct uprobe_consumer *uc,
				  struct open_call *call, bool returns)
{
	const struct uprobe_hit hit = {
		.regs	= regs,
		.func	= returns ? call->pub.func : site->vaddr,
		.call	= returns ? &call->pub : NULL,
		.opens	= returns || !call ? NULL : &call->pub,
		.pouch	= returns ? uprobe_pouch_filled(call, uc) :
				    uprobe_pouch_to_fill(call, uc),
		.wish	= UPROBE_WISH_RECORD,
	};
	void *buffer = this_cpu_ptr(&uprobe_gather_buffer);
	int size = 0, verdict;

	if (!uc->commit)
		return -EAGAIN;
	if (unlikely(uc->asks_depth && call) &&
	    !uprobe_depth_is_near(ut, call, call->uprobe_serial))
		return -EAGAIN;
	if (uc->gather) {
		ut->unread.nr_bad = 0;
		ut->unread.addr = 0;
		size = uc->gather(uc, &hit, buffer, UPROBE_GATHER_SIZE);
		if (size < 0 || ut->unread.addr)
			return -EAGAIN;
	}
	if (returns)
		return uc->commit(uc, &hit, buffer, size);
	/* perf's call chains look whether a function begins here */
	ut->task.auprobe = &site->arch;
	verdict = uc->commit(uc, &hit, buffer, size);
	ut->task.auprobe = NULL;
	return verdict;
}

/* Return: 0, -EAGAIN, or what the consumer has answered. */
static noinline int record_entry(struct uprobe_thread *ut,
				 struct uprobe_site *site,
				 struct pt_regs *regs,
				 struct uprobe_consumer *uc,
				 struct open_call *call)
{
	return record(ut, site, regs, uc, call, false);
}

static noinline int record_return(struct uprobe_thread *ut,
				  struct uprobe_site *site,
				  struct pt_regs *regs,
				  struct uprobe_consumer *uc,
				  struct open_call *call)
{
	return record(ut, site, regs, uc, call, true);
}

/* Return: false if there must be another attempt. */
static __always_inline bool record_one(struct uprobe_thread *ut,
				       struct uprobe_site *site,
				       struct pt_regs *regs,
				       struct uprobe_consumer *uc,
				       struct open_call *call, bool returns,
				       u64 *takers)
{
	int verdict;

	if (returns)
		return record_return(ut, site, regs, uc, call) >= 0;
	verdict = record_entry(ut, site, regs, uc, call);
	if (likely(!verdict))
		return true;
	if (verdict < 0)
		return false;
	*takers &= ~BIT_ULL(uc->bit);
	uprobe_count_declined(uc);
	return true;
}

static void count(struct uprobe_site *site, struct pt_regs *regs,
		  struct uprobe_consumer *uc, const struct uprobe_call *call)
{
	const struct uprobe_hit hit = {
		.regs	= regs,
		.func	= call ? call->func : site->vaddr,
		.call	= call,
	};

	uc->commit(uc, &hit, NULL, 0);
}

/* Consumers that the trap asks, most of whom may say no. */
#define MAX_ASKED	(4 * UPROBE_MAX_IN_TRAP)

/* See tell(). */
static noinline bool tell_several(struct uprobe_thread *ut,
				  struct uprobe_site *site,
				  struct pt_regs *regs, struct uprobe *uprobe,
				  struct open_call *call, bool returns,
				  u64 epoch, u64 *takers)
{
	const struct uprobe_call *returning = returns ? &call->pub : NULL;
	struct uprobe_consumer *uc, *recorder = NULL;
	bool wanted = returns;
	enum uprobe_wish wish;
	unsigned int nr = 0, asked = 0;

	for_each_consumer(uc, uprobe) {
		if (!uprobe_took(uc, epoch, *takers))
			continue;
		if (++asked > MAX_ASKED)
			return false;
		wish = uprobe_wish_of(uc, returning);
		/* who shares a bit is asked one by one; here each says no, or it is left */
		if (wish != UPROBE_WISH_NONE &&
		    (++nr > UPROBE_MAX_IN_TRAP || uc->bit == UPROBE_SHARED_BIT))
			return false;
		switch (wish) {
		case UPROBE_WISH_NONE:
			if (uc->bit != UPROBE_SHARED_BIT)
				*takers &= ~BIT_ULL(uc->bit);
			break;
		case UPROBE_WISH_TALLY:
			wanted = true;
			break;
		case UPROBE_WISH_RECORD:
			if (recorder)
				return false;
			wanted = true;
			recorder = uc;
			break;
		case UPROBE_WISH_HANDLER:
			return false;
		}
	}
	*takers &= ~BIT_ULL(UPROBE_SHARED_BIT);
	if (!wanted)
		return !uprobe_site_may_ask(site);
	/* nobody of those who are told wants its return: it opens no call */
	if (!returns && !(*takers & READ_ONCE(uprobe->returners)))
		call = NULL;
	if (recorder &&
	    !record_one(ut, site, regs, recorder, call, returns, takers))
		return false;
	for_each_consumer(uc, uprobe) {
		if (uc != recorder && uprobe_took(uc, epoch, *takers))
			count(site, regs, uc, returning);
	}
	return true;
}

/*
 * Tell the consumers of a hit, or none of them: false. @call: the one that
 * returns, or that the entry opens, or NULL. @epoch: of the entry. @takers:
 * uprobe_consumer::bit of those that are told, less by those that turn out to want
 * nothing.
 */
static __always_inline bool tell(struct uprobe_thread *ut,
				 struct uprobe_site *site,
				 struct pt_regs *regs, struct uprobe *uprobe,
				 struct open_call *call, bool returns,
				 u64 epoch, u64 *takers)
{
	struct uprobe_consumer *uc = returns ?
				     READ_ONCE(uprobe->sole_returner) :
				     READ_ONCE(uprobe->sole);
	enum uprobe_wish wish;

	if (unlikely(!uc))
		return tell_several(ut, site, regs, uprobe, call, returns,
				    epoch, takers);
	/* it has just come */
	if (unlikely(!uprobe_took(uc, epoch, *takers)))
		return true;
	wish = uc->tally(uc, returns ? &call->pub : NULL);
	if (likely(wish == UPROBE_WISH_TALLY))
		return true;
	if (wish == UPROBE_WISH_RECORD)
		return record_one(ut, site, regs, uc, call, returns, takers);
	*takers = 0;
	return wish == UPROBE_WISH_NONE &&
	       (returns || !uprobe_site_may_ask(site));
}

/* ---- entries and returns ------------------------------------------------ */

/* For a thread that is in the same process as one that is wanted. */
static noinline bool nobody_wants(const struct uprobe_site *site,
				  struct uprobe *uprobe, u64 epoch)
{
	struct uprobe_consumer *uc;
	unsigned int nr = 0;

	for_each_consumer(uc, uprobe) {
		if (++nr > UPROBE_MAX_IN_TRAP ||
		    (uc->since <= epoch &&
		     uprobe_wish_of(uc, NULL) != UPROBE_WISH_NONE))
			return false;
	}
	return !uprobe_site_may_ask(site);
}

/* An entry whose return somebody may want. */
static bool enter_call(struct uprobe_thread *ut, struct uprobe_site *site,
		       struct pt_regs *regs, struct uprobe *uprobe, u64 epoch,
		       u64 returners)
{
	struct open_call *call;
	u64 takers = ~0ULL;
	bool told;

	call = uprobe_call_try(ut, uprobe, site, regs);
	if (unlikely(!call))
		return nobody_wants(site, uprobe, epoch);
	told = tell(ut, site, regs, uprobe, call, false, epoch, &takers);
	takers &= returners;
	if (unlikely(!told || !takers)) {
		uprobe_call_undo(ut, call);
		return told;
	}
	call->epoch = epoch;
	call->takers = takers;
	call->timed = READ_ONCE(uprobe->timed);
	if (unlikely(call->timed))
		ut->nr_timed++;
	return true;
}

static __always_inline bool enter(struct uprobe_thread *ut,
				  struct uprobe_site *site,
				  struct pt_regs *regs)
{
	struct uprobe *uprobe = READ_ONCE(site->uprobe);
	u64 epoch, returners, takers = ~0ULL;

	if (unlikely(!uprobe))
		return true;
	/* before the consumers are read, and what they want together */
	epoch = uprobe_epoch();
	returners = READ_ONCE(uprobe->returners);
	if (returners)
		return enter_call(ut, site, regs, uprobe, epoch, returners);
	return tell(ut, site, regs, uprobe, NULL, false, epoch, &takers);
}

/* With calls open, at a site where calls return and no function begins. */
static bool leave(struct uprobe_thread *ut, struct uprobe_site *site,
		  struct pt_regs *regs)
{
	struct open_call *call;
	struct uprobe *uprobe;
	u64 takers;

	call = uprobe_calls_returned_now(ut, site->vaddr, regs);
	if (!call)
		return !uprobe_calls_are_sought(ut);
	if (IS_ERR(call) || unlikely(ut->keeps))
		return false;
	takers = call->takers;
	/* tail calls return together; who shares a bit is asked one by one */
	if (unlikely((call->next && call->next->pub.sp == call->pub.sp) ||
		     (takers & BIT_ULL(UPROBE_SHARED_BIT))))
		return false;
	if (unlikely(call->timed))
		uprobe_call_measure(ut, call);
	uprobe = uprobe_of_call(call);
	if (likely(uprobe) &&
	    unlikely(!tell(ut, site, regs, uprobe, call, true, call->epoch,
			   &takers)))
		return false;
	ut->nr_timed -= call->timed;
	uprobe_call_undo(ut, call);
	return true;
}

/*
 * Is this the return of the innermost call, for one consumer that only counts,
 * to an instruction that is done in its slot? The same as what pass() does, with
 * all that need not be asked left out. Return: false if nothing has happened.
 */
static __always_inline bool leave_quickly(struct uprobe_thread *ut,
					  struct open_call *call,
					  struct uprobe_space *space,
					  unsigned long vaddr,
					  struct pt_regs *regs)
{
	struct uprobe_consumer *uc;
	struct uprobe_site *site;
	struct uprobe *uprobe;
	unsigned long next;

	if (call->losses != READ_ONCE(space->losses) || ut->nr_timed)
		return false;
	site = call->site;
	/* pairs with take_slot(): the slot is filled */
	next = smp_load_acquire(&site->next);
	if (READ_ONCE(site->uprobe) || READ_ONCE(site->text) != TEXT_INTACT ||
	    !next || !arch_uprobe_fits(&site->arch, regs) ||
	    arch_uprobe_is_stepped(regs) ||
	    arch_uprobe_has_returned(call->pub.sp, vaddr, regs) != 1 ||
	    (call->next && call->next->pub.sp == call->pub.sp))
		return false;
	uprobe = uprobe_of_call(call);
	uc = likely(uprobe) ? READ_ONCE(uprobe->sole_returner) : NULL;
	if (!uc || !uprobe_took(uc, call->epoch, call->takers) ||
	    uc->tally(uc, &call->pub) != UPROBE_WISH_TALLY)
		return false;
	uprobe_call_undo(ut, call);
	instruction_pointer_set(regs, next);
	return true;
}

/* ---- the trap ----------------------------------------------------------- */

static __always_inline bool deliver(struct uprobe_thread *ut,
				    struct uprobe_site *site,
				    struct pt_regs *regs)
{
	bool told;

	if (!READ_ONCE(site->is_return))
		told = enter(ut, site, regs);
	else if (READ_ONCE(site->uprobe))
		told = false;
	else if (ut->calls)
		told = leave(ut, site, regs);
	else
		told = !uprobe_calls_are_sought(ut);
	return likely(told) || !uprobe_deliver_now(ut, site, regs);
}

/* Return: what is left to do. */
static __always_inline enum uprobe_step pass(struct uprobe_thread *ut,
					     struct uprobe_space *space,
					     unsigned long vaddr,
					     struct pt_regs *regs)
{
	struct uprobe_site *site = uprobe_site_find(space, vaddr);

	if (unlikely(!site || READ_ONCE(site->text) != TEXT_INTACT ||
		     !arch_uprobe_fits(&site->arch, regs)))
		return STEP_HIT;
	if (unlikely(!deliver(ut, site, regs)))
		return STEP_HIT;
	if (unlikely(ut->nr_timed))
		uprobe_calls_entered(ut, ktime_get_ns());
	return likely(uprobe_boost(site, regs)) ||
	       arch_uprobe_emulate(&site->arch, regs, vaddr) ? STEP_NONE :
							       STEP_EXECUTE;
}

static noinline void leave_to_task(struct uprobe_thread *ut,
				   enum uprobe_step step, unsigned long vaddr,
				   struct pt_regs *regs)
{
	ut->step = step;
	ut->hit_vaddr = vaddr;
	/* settle() wants to know whether that was a breakpoint */
	if (step == STEP_HIT) {
		instruction_pointer_set(regs, vaddr + UPROBE_BREAKPOINT_SIZE);
		/* if somebody measures, the trap has taken it when it began */
		if (!ut->nr_timed)
			ut->hit_time = ktime_get_ns();
	}
	set_thread_flag(TIF_UPROBE);
}

/* What hasn't the length of ours can't be met again by going back. */
static bool is_long_breakpoint(struct pt_regs *regs)
{
	unsigned long end = instruction_pointer(regs);
	u8 bytes[2];

	return !copy_from_user_nofault(bytes, (void __user *)end - 2, 2) &&
	       bytes[1] != UPROBE_BREAKPOINT &&
	       arch_uprobe_is_breakpoint(regs, bytes);
}

/*
 * The thread's first breakpoint. At a site nothing has happened: it traps again
 * when it has its state. Elsewhere the breakpoint may be the program's own, of
 * two bytes even, and settle() has to find out. Without memory for that, one of
 * ours is met again.
 */
static noinline bool meet_first(struct uprobe_space *space, unsigned long vaddr,
				struct pt_regs *regs)
{
	struct uprobe_thread *ut = NULL;
	bool known = uprobe_site_find(space, vaddr);

	if (!known)
		ut = uprobe_thread_make(GFP_ATOMIC | __GFP_ACCOUNT);
	if (ut) {
		leave_to_task(ut, STEP_HIT, vaddr, regs);
		return true;
	}
	if (!known && is_long_breakpoint(regs))
		return false;
	instruction_pointer_set(regs, vaddr);
	set_thread_flag(TIF_UPROBE);
	return true;
}

static noinline bool arrive(struct uprobe_thread *ut,
			    struct uprobe_space *space, unsigned long vaddr,
			    struct pt_regs *regs)
{
	enum uprobe_step left;

	if (unlikely(!ut))
		return meet_first(space, vaddr, regs);
	/* what is stepped in a slot is never a breakpoint (classify.c) */
	if (unlikely(ut->step != STEP_NONE))
		return false;
	if (unlikely(ut->nr_timed))
		ut->hit_time = ktime_get_ns();
	instruction_pointer_set(regs, vaddr);
	local_irq_enable();
	/* which is a section of RCU, too */
	preempt_disable();
	pagefault_disable();
	left = pass(ut, space, vaddr, regs);
	pagefault_enable();
	preempt_enable();
	local_irq_disable();
	if (unlikely(left != STEP_NONE))
		leave_to_task(ut, left, vaddr, regs);
	return true;
}

/**
 * uprobe_breakpoint - a breakpoint has trapped in user mode
 * @regs: of the current task, behind the breakpoint
 *
 * Context: the architecture's trap handler, interrupts off.
 * Return: true if it may be ours: what is left to do is done in
 * uprobe_notify_resume().
 */
bool uprobe_breakpoint(struct pt_regs *regs)
{
	unsigned long vaddr = instruction_pointer(regs) -
			      UPROBE_BREAKPOINT_SIZE;
	struct uprobe_thread *ut = uprobe_thread_of(current);
	struct mm_struct *mm = current->mm;
	struct uprobe_space *space;
	struct open_call *call;
	bool done;

	space = mm ? READ_ONCE(mm->uprobes_state.space) : NULL;
	if (unlikely(!space))
		return false;
	call = ut ? ut->calls : NULL;
	if (call && call->pub.ret_addr == vaddr && ut->step == STEP_NONE) {
		pagefault_disable();
		done = leave_quickly(ut, call, space, vaddr, regs);
		pagefault_enable();
		if (likely(done))
			return true;
	}
	return arrive(ut, space, vaddr, regs);
}

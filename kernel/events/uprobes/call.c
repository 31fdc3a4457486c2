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
 * isn't written: unwinders, debuggers and shadow stacks see what is there. (The
 * exception are callers that can't have a return site: trampoline.c.)
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
 * In the trap nothing is done here that waits: whatever would need a lock, a
 * page or memory is left to task context.
 *
 * deliver.c calls in here.
 */

#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <asm/uprobes_stack.h>

#include "internal.h"

/* how many calls are looked at in the trap */
#define MAX_SEARCH	64

/* Numbers are handed to threads in blocks: the shared counter stays cold. */
#define ID_BLOCK	1024

/* The blocks of numbers that threads have taken. */
static atomic64_t blocks;

static u64 take_id(struct uprobe_thread *ut)
{
	if (unlikely(ut->next_id == ut->end_id)) {
		ut->end_id = atomic64_inc_return(&blocks) * ID_BLOCK;
		ut->next_id = ut->end_id - ID_BLOCK;
	}
	return ++ut->next_id;
}

/* Whose call it is. The uprobe was in the registry when @departures was read. */
static __always_inline void set_uprobe(struct open_call *call,
				       struct uprobe *uprobe,
				       unsigned long departures)
{
	call->uprobe = uprobe;
	call->departures = departures;
	call->uprobe_id = uprobe->id;
	call->uprobe_serial = uprobe->serial;
}

/* The head of the thread's pool becomes its innermost open call. */
static __always_inline void push_call(struct uprobe_thread *ut,
				      struct open_call *call,
				      unsigned long func, unsigned long sp,
				      unsigned long ret_addr)
{
	ut->pool = call->next;
	call->pub.func = func;
	call->pub.ret_addr = ret_addr;
	call->pub.sp = sp;
	call->pub.entry_time = 0;
	call->filled = 0;
	call->pub.id = take_id(ut);
	call->next = ut->calls;
	ut->calls = call;
	ut->nr_calls++;
}

static void free_call(struct open_call *call)
{
	uprobe_user_uncharge(call->payer, UPROBE_QUOTA_CALLS, 1);
	kfree(call);
}

/* ---- calls that are over ------------------------------------------------ */

/*
 * Sites are kept for the thread's calls. When the last one is closed,
 * uprobe_notify_resume() looks which can go. That mustn't be done by leave_quickly(),
 * which looks at the innermost call: either this one, or one that lies upon it and
 * leaves it as it is.
 */
static void keep_on(struct uprobe_thread *ut)
{
	if (ut->calls)
		ut->calls->losses = 0;
	else
		set_thread_flag(TIF_UPROBE);
}

/* @link points to the call in the thread's list. */
static void drop_call(struct uprobe_thread *ut, struct open_call **link)
{
	struct open_call *call = *link;

	ut->unlinked += link != &ut->calls;
	*link = call->next;
	ut->nr_calls--;
	ut->nr_timed -= call->timed;
	if (unlikely(ut->keeps))
		keep_on(ut);
	if (call->is_foreign) {
		ut->pouches -= call->room;
		free_call(call);
		return;
	}
	call->next = ut->pool;
	ut->pool = call;
}

static void count_call(const struct open_call *call,
		       enum uprobe_event_count what)
{
	struct uprobe *uprobe;

	rcu_read_lock_trace();
	uprobe = uprobe_of_call(call);
	if (uprobe)
		uprobe_count_call(uprobe, call->epoch, call->takers, what);
	rcu_read_unlock_trace();
}

static void abandon_call(struct uprobe_thread *ut, struct open_call **link,
			 enum uprobe_event_count why)
{
	count_call(*link, why);
	uprobe_forget_diverted((*link)->pub.sp);
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

	if (mmap_read_lock_killable(mm))
		return false;
	vma = vma_lookup(mm, a);
	same = vma && vma == vma_lookup(mm, b) &&
	       !(vma->vm_start < mm->brk && vma->vm_end > mm->start_brk);
	mmap_read_unlock(mm);
	return same;
}

/*
 * Has the thread left the frame of a call, now that its stack pointer is @sp? Or is
 * the frame on another stack in the same mapping? Stacks that a program makes for
 * threads of its own often are: Go's are. Once a call has returned that was taken
 * for left, or in another thread, a frame counts as left when its return word is
 * overwritten.
 */
static bool is_left(const struct open_call *call, unsigned long sp,
		    struct pt_regs *regs)
{
	struct uprobe_space *space = current->mm->uprobes_state.space;
	unsigned long word;

	if (call->pub.sp > sp || !same_stack(call->pub.sp, sp))
		return false;
	if (!uprobe_read_word(&word, call->pub.sp, user_64bit_mode(regs)))
		return true;
	uprobe_is_diverted(space, regs, call->pub.sp, &word);
	if (word != call->pub.ret_addr)
		return true;
	if (READ_ONCE(space->wanders))
		return false;
	uprobe_calls_note_left(space, call);
	return true;
}

/* ---- entries ------------------------------------------------------------ */

/*
 * A function is entered with its return word at opening->sp. Frames below it
 * are gone; so is a frame of the same function with the same word. A frame of
 * another function there has called this one as its tail: both return at once.
 *
 * Return: 1 if the call is dead, 0 if not, -EAGAIN if that has to be found out.
 */
static int is_dead(const struct open_call *call, const struct uprobe *uprobe,
		   const struct uprobe_opening *opening, struct pt_regs *regs,
		   bool may_wait)
{
	if (call->pub.sp > opening->sp)
		return 0;
	if (call->pub.sp == opening->sp)
		return call->uprobe_serial == uprobe->serial ||
		       call->pub.ret_addr != opening->ret_addr;
	if (!may_wait)
		return -EAGAIN;
	return is_left(call, opening->sp, regs);
}

/* @returned: what this very hit closes */
static int bury_dead(struct uprobe_thread *ut, const struct uprobe *uprobe,
		     const struct open_call *returned,
		     const struct uprobe_opening *opening, struct pt_regs *regs,
		     bool may_wait)
{
	struct open_call **link = &ut->calls;
	int dead;

	while (*link) {
		if (returned && uprobe_shares_word(*link, &returned->pub)) {
			link = &(*link)->next;
			continue;
		}
		dead = is_dead(*link, uprobe, opening, regs, may_wait);
		if (dead <= 0)
			return dead;
		if (!may_wait)
			return -EAGAIN;
		abandon_call(ut, link, UPROBE_MISSED_UNWOUND);
	}
	return 0;
}

/*
 * The call will be seen to return, where it does or by the trampoline; or -EAGAIN;
 * with @may_wait other errors.
 */
static int see_to_return(struct uprobe_site *entry, struct pt_regs *regs,
			 struct uprobe_opening *opening, bool may_wait)
{
	int err;

	if (opening->diverted ||
	    uprobe_returns_are_seen(entry, opening->ret_addr))
		return 0;
	if (!may_wait)
		return -EAGAIN;
	if (!READ_ONCE(entry->wants_returns)) {
		err = uprobe_site_make_return(entry, opening->ret_addr);
		if (err != -ENXIO)
			return err;
	}
	err = uprobe_may_divert(entry, regs, opening->sp, opening->ret_addr);
	opening->divert = !err;
	if (err != -ENXIO)
		return err;
	return uprobe_site_make_return(entry, opening->ret_addr);
}

/*
 * What has room in the pool gives way. One call may be as large as it likes. Return:
 * false if those that are open have too much.
 */
static bool make_room(struct uprobe_thread *ut, unsigned int room)
{
	const u64 limit = UPROBE_POUCHES * READ_ONCE(uprobe_max_depth);
	struct open_call **link = &ut->pool, *call;

	while (room && ut->pouches + room > limit && (call = *link)) {
		if (!call->room) {
			link = &call->next;
			continue;
		}
		*link = call->next;
		ut->pouches -= call->room;
		free_call(call);
	}
	return !room || !ut->pouches || ut->pouches + room <= limit;
}

/*
 * The first call of the pool has room for what the next one who needs it wants. One
 * that is too small makes way for another; unless the thread has too much open: then
 * only those who keep nothing get the call.
 */
static int fill_pool(struct uprobe_thread *ut, struct uprobe *uprobe,
		     struct uprobe_opening *opening, bool may_wait)
{
	unsigned int room = READ_ONCE(uprobe->pouch_size);
	struct uprobe_user *payer;
	struct open_call *call;

	if (ut->pool && ut->pool->room >= room)
		return 0;
	if (!may_wait)
		return -EAGAIN;
	if (!make_room(ut, room)) {
		opening->cramped = room;
		if (ut->pool)
			return 0;
		room = 0;
	}
	if (uprobe_charge(uprobe, current->mm, true, UPROBE_QUOTA_CALLS,
			  &payer))
		return -ENOMEM;
	call = kzalloc(struct_size(call, pouches, room / sizeof(u64)),
		       GFP_KERNEL_ACCOUNT | UPROBE_MAY_FAIL);
	if (!call) {
		uprobe_user_uncharge(payer, UPROBE_QUOTA_CALLS, 1);
		return -ENOMEM;
	}
	call->payer = payer;
	call->room = room;
	ut->pouches += room;
	if (ut->pool) {
		ut->pouches -= ut->pool->room;
		call->next = ut->pool->next;
		free_call(ut->pool);
	}
	ut->pool = call;
	return 0;
}

static __always_inline int
prepare(struct uprobe_thread *ut, struct uprobe *uprobe,
	struct uprobe_site *entry, struct pt_regs *regs,
	const struct open_call *returned, struct uprobe_opening *opening,
	bool may_wait)
{
	int err;

	opening->missed = UPROBE_MISSED_FAULT;
	if (!arch_uprobe_read_return(regs, &opening->sp, &opening->ret_addr))
		return -EAGAIN;
	opening->divert = false;
	opening->diverted = uprobe_is_diverted(entry->space, regs, opening->sp,
					       &opening->ret_addr);
	err = bury_dead(ut, uprobe, returned, opening, regs, may_wait);
	if (err)
		return err;
	opening->missed = UPROBE_MISSED_DEPTH;
	if (ut->nr_calls >= READ_ONCE(uprobe_max_depth))
		return 0;
	err = see_to_return(entry, regs, opening, may_wait);
	opening->missed = err == -ENOMEM ? UPROBE_MISSED_MEMORY :
					   UPROBE_MISSED_NO_SITE;
	if (err)
		return err;
	opening->missed = UPROBE_MISSED_MEMORY;
	opening->cramped = 0;
	err = fill_pool(ut, uprobe, opening, may_wait);
	if (!err)
		opening->missed = -1;
	return err;
}

/**
 * uprobe_calls_prepare_now - get ready what a new call needs, in the trap
 * @ut: the current thread
 * @uprobe: whose entry is hit
 * @entry: where
 * @regs: at the function's first instruction
 * @returned: the innermost call that ends at the same place, or NULL
 * @opening: filled for uprobe_calls_open()
 *
 * Return: 0, or -EAGAIN if that takes waiting, and uprobe_calls_prepare().
 */
int uprobe_calls_prepare_now(struct uprobe_thread *ut, struct uprobe *uprobe,
			     struct uprobe_site *entry, struct pt_regs *regs,
			     const struct open_call *returned,
			     struct uprobe_opening *opening)
{
	return prepare(ut, uprobe, entry, regs, returned, opening, false);
}

/**
 * uprobe_calls_prepare - get ready what a new call needs
 * @ut: the current thread
 * @uprobe: whose entry is hit
 * @entry: where
 * @regs: at the function's first instruction
 * @returned: the innermost call that ends at the same place, or NULL
 * @opening: filled for uprobe_calls_open(); says why no call can be opened
 *
 * Frames that the entry shows to be gone are counted (unwound).
 *
 * Context: task context, outside of RCU sections.
 */
void uprobe_calls_prepare(struct uprobe_thread *ut, struct uprobe *uprobe,
			  struct uprobe_site *entry, struct pt_regs *regs,
			  const struct open_call *returned,
			  struct uprobe_opening *opening)
{
	prepare(ut, uprobe, entry, regs, returned, opening, true);
}

/**
 * uprobe_calls_open - an entry hit whose return somebody wants
 * @ut: the current thread
 * @uprobe: that was hit
 * @func: where
 * @epoch: of the hit
 * @opening: what uprobe_calls_prepare() has found
 *
 * Context: inside a section of RCU or RCU tasks trace; doesn't sleep.
 * Return: the call, or NULL: see @opening, or nobody is left to tell.
 */
struct open_call *uprobe_calls_open(struct uprobe_thread *ut,
				    struct uprobe *uprobe, unsigned long func,
				    u64 epoch,
				    const struct uprobe_opening *opening)
{
	unsigned long departures;
	struct open_call *call;

	if (opening->missed >= 0)
		return NULL;
	/* pairs with uprobe_registry_leave() */
	departures = smp_load_acquire(&uprobe_departures);
	/* the last consumer has left meanwhile: nobody to tell */
	if (!READ_ONCE(uprobe->file))
		return NULL;
	call = ut->pool;
	set_uprobe(call, uprobe, departures);
	/* who has come since wants more room: the next user is to see that */
	if (call->room < READ_ONCE(uprobe->pouch_size))
		call->departures--;
	call->losses = 0;
	push_call(ut, call, func, opening->sp, opening->ret_addr);
	call->timed = opening->timed;
	call->epoch = epoch;
	call->takers = opening->takers;
	ut->nr_timed += call->timed;
	return call;
}

/**
 * uprobe_calls_divert - the call that was just opened returns by the trampoline
 * @ut: the current thread
 * @space: its address space's
 * @regs: at the function's first instruction
 * @opening: what uprobe_calls_prepare() has found
 *
 * If it can't, it is missed.
 *
 * Context: task context, no locks; may sleep.
 */
void uprobe_calls_divert(struct uprobe_thread *ut, struct uprobe_space *space,
			 struct pt_regs *regs,
			 const struct uprobe_opening *opening)
{
	int err = uprobe_divert(space, regs, opening->sp, opening->ret_addr);

	if (err)
		abandon_call(ut, &ut->calls, err == -ENOMEM ?
			     UPROBE_MISSED_MEMORY : UPROBE_MISSED_NO_SITE);
}

/**
 * uprobe_call_try - open a call in the trap, if nothing is in the way
 * @ut: the current thread
 * @uprobe: whose entry is hit
 * @entry: where
 * @regs: at the function's first instruction
 *
 * In the way are frames that may be dead, a caller without a return site, and
 * an empty pool, or one whose first call has too little room.
 *
 * Context: trap, preemption and page faults off.
 * Return: the call, whose timed, epoch and takers the caller sets; or which it
 * takes back by uprobe_call_undo(). NULL if it takes uprobe_calls_prepare().
 */
struct open_call *uprobe_call_try(struct uprobe_thread *ut,
				  struct uprobe *uprobe,
				  struct uprobe_site *entry,
				  struct pt_regs *regs)
{
	struct uprobe_space *space = entry->space;
	unsigned long sp, ret_addr, losses, departures;
	struct open_call *call = ut->pool;
	struct uprobe_site *site;

	if (unlikely(!call || !READ_ONCE(entry->wants_returns) ||
		     ut->nr_calls >= READ_ONCE(uprobe_max_depth) ||
		     !arch_uprobe_read_return(regs, &sp, &ret_addr) ||
		     (ut->calls && ut->calls->pub.sp <= sp)))
		return NULL;
	/*
	 * Pairs with uprobe_space_lost_site(). Read behind @wants_returns, as in
	 * uprobe_returns_are_seen().
	 */
	losses = smp_load_acquire(&space->losses);
	if (call->losses != losses || call->pub.ret_addr != ret_addr) {
		site = uprobe_site_find(space, ret_addr);
		if (!site || !READ_ONCE(site->is_return))
			return NULL;
		call->site = site;
		call->losses = losses;
		/* should this come to nothing, the two belong together */
		call->pub.ret_addr = ret_addr;
	}
	/* pairs with uprobe_registry_leave() */
	departures = smp_load_acquire(&uprobe_departures);
	if (call->departures != departures || call->uprobe != uprobe) {
		if (!READ_ONCE(uprobe->file) ||
		    call->room < READ_ONCE(uprobe->pouch_size))
			return NULL;
		set_uprobe(call, uprobe, departures);
	}
	push_call(ut, call, entry->vaddr, sp, ret_addr);
	return call;
}

/**
 * uprobe_calls_entered - the handlers of a hit are done
 * @ut: the current thread
 * @now: ns of CLOCK_MONOTONIC
 *
 * What counts as the duration of a call just opened begins here.
 */
void uprobe_calls_entered(struct uprobe_thread *ut, u64 now)
{
	struct open_call *call = ut->calls;

	if (ut->hit_time)
		ut->handler_ns += now - ut->hit_time;
	ut->hit_time = 0;
	/* a hit opens one call at the most */
	if (call && call->timed && !call->pub.entry_time) {
		call->pub.entry_time = now;
		call->handler_ns = ut->handler_ns;
	}
}

/* ---- returns ------------------------------------------------------------ */

/*
 * The code that catches an exception may jump to the return address of the
 * call that it came out of. By then it has called the unwinder's functions
 * from the same frame, which has overwritten the return word: after a real
 * return the word still stands there.
 */
static int has_returned(const struct uprobe_thread *ut,
			const struct uprobe_call *call, unsigned long vaddr,
			struct pt_regs *regs)
{
	if (call->ret_addr != vaddr)
		return 0;
	if (unlikely(call->sp == ut->returned_sp))
		return 1;
	return arch_uprobe_has_returned(call->sp, vaddr, regs);
}

static struct open_call **find_returned(struct uprobe_thread *ut,
					unsigned long vaddr,
					struct pt_regs *regs)
{
	struct open_call **link = &ut->calls;
	int returned;

	while (*link) {
		returned = has_returned(ut, &(*link)->pub, vaddr, regs);
		if (returned == -ENOENT)
			abandon_call(ut, link, UPROBE_MISSED_UNWOUND);
		else if (returned)
			return link;
		else
			link = &(*link)->next;
	}
	return NULL;
}

/**
 * uprobe_calls_returned_now - which calls have returned? Asked in the trap
 * @ut: the current thread, with calls
 * @vaddr: address of the return site where it is
 * @regs: at the site
 *
 * Nearly always it is the innermost one, or none.
 *
 * Return: the innermost of them, for for_each_returned(); NULL if there is
 * none; ERR_PTR(-EAGAIN) if finding out takes uprobe_calls_returned().
 */
struct open_call *uprobe_calls_returned_now(struct uprobe_thread *ut,
					    unsigned long vaddr,
					    struct pt_regs *regs)
{
	struct open_call *call = ut->calls;
	unsigned int passed = 0;
	int returned;

	do {
		if (likely(call->pub.ret_addr == vaddr)) {
			returned = arch_uprobe_has_returned(call->pub.sp, vaddr,
							    regs);
			if (returned == 1 && call == ut->calls)
				return call;
			if (returned)
				return ERR_PTR(-EAGAIN);
		}
		/* a long search isn't for the trap, with preemption off */
		if (++passed > MAX_SEARCH)
			return ERR_PTR(-EAGAIN);
	} while ((call = call->next));
	return NULL;
}

/**
 * uprobe_calls_returned - which calls have returned?
 * @ut: the current thread
 * @vaddr: address of the return site where it is
 * @regs: at the site
 *
 * Calls that share the return word have returned together (tail calls). Calls
 * inside of them, on the same stack, never will: they are counted (unwound).
 *
 * Context: task context, outside of RCU sections.
 * Return: the innermost of them, for for_each_returned(); NULL if there is
 * none.
 */
struct open_call *uprobe_calls_returned(struct uprobe_thread *ut,
					unsigned long vaddr,
					struct pt_regs *regs)
{
	struct open_call **link = &ut->calls, **found, *call;
	unsigned int kept = 0;

	found = find_returned(ut, vaddr, regs);
	if (!found)
		return NULL;
	call = *found;
	/* many that are kept belong to other stacks */
	while (*link != call && kept < MAX_SEARCH) {
		if (is_left(*link, call->pub.sp, regs)) {
			abandon_call(ut, link, UPROBE_MISSED_UNWOUND);
		} else {
			link = &(*link)->next;
			kept++;
		}
	}
	return call;
}

/**
 * uprobe_calls_leave - give up all calls that may have returned here
 * @ut: the current thread
 * @vaddr: address of the return site where it is
 * @regs: at the site
 *
 * They are counted (unwound).
 *
 * Context: task context, outside of RCU sections.
 */
void uprobe_calls_leave(struct uprobe_thread *ut, unsigned long vaddr,
			struct pt_regs *regs)
{
	struct open_call **link;

	while ((link = find_returned(ut, vaddr, regs)))
		abandon_call(ut, link, UPROBE_MISSED_UNWOUND);
}

/**
 * uprobe_call_measure - how long did it take?
 * @ut: the current thread
 * @call: has returned
 */
void uprobe_call_measure(struct uprobe_thread *ut, struct open_call *call)
{
	s64 latency;

	if (!call->timed)
		return;
	latency = ut->hit_time - call->pub.entry_time -
		  (ut->handler_ns - call->handler_ns);
	call->pub.latency = max(latency, 0LL);
}

/**
 * uprobe_calls_closed - returns have been delivered
 * @ut: the current thread
 * @first: the innermost of them
 * @max: so many at the most
 *
 * Return: the innermost of those that returned with them and haven't been; or NULL.
 */
struct open_call *uprobe_calls_closed(struct uprobe_thread *ut,
				      struct open_call *first,
				      unsigned int max)
{
	const struct uprobe_call word = first->pub;
	struct open_call **link = &ut->calls;
	unsigned int nr = 0;

	while (*link != first)
		link = &(*link)->next;
	do
		drop_call(ut, link);
	while (uprobe_shares_word(*link, &word) && ++nr < max);
	return uprobe_shares_word(*link, &word) ? *link : NULL;
}

/**
 * uprobe_calls_want - is a consumer to be told of the return of a call that is open?
 * @uprobe: whose calls
 * @uc: its consumer, whose scope tasks can leave
 *
 * If so, the address space is looked at again behind the last return.
 *
 * Context: task context.
 * Return: true if it took one of the current thread's calls.
 */
bool uprobe_calls_want(const struct uprobe *uprobe,
		       const struct uprobe_consumer *uc)
{
	struct uprobe_thread *ut = uprobe_thread_of(current);
	struct open_call *call;
	bool attended, wanted = false;

	if (!ut)
		return false;
	/* other threads may take calls of whoever isn't attending: foreign.c */
	attended = ut->attending;
	uprobe_calls_attend(ut);
	for (call = ut->calls; call && !wanted; call = call->next)
		wanted = call->uprobe_serial == uprobe->serial &&
			 uprobe_took(uc, call->epoch, call->takers);
	if (wanted) {
		ut->keeps = true;
		keep_on(ut);
	}
	if (!attended)
		uprobe_calls_release(ut);
	return wanted;
}

/* ---- fork and exit ------------------------------------------------------ */

/* @payer: as of uprobe_inheritors() */
static u64 inherit(const struct open_call *call, struct task_struct *child,
		   struct uprobe_user **payer)
{
	struct uprobe *uprobe;
	u64 inheritors = 0;

	*payer = NULL;
	rcu_read_lock_trace();
	uprobe = uprobe_of_call(call);
	if (uprobe)
		inheritors = uprobe_inheritors(uprobe, call->epoch,
					       call->takers, child, payer);
	rcu_read_unlock_trace();
	return inheritors;
}

/* @ut: of the child; or NULL */
static struct open_call *copy_call(const struct uprobe_thread *ut,
				   const struct open_call *from,
				   struct uprobe_user *payer)
{
	struct open_call *copy;

	if (IS_ERR(payer))
		return NULL;
	copy = !ut ? NULL :
	       kmemdup(from, sizeof(*from) + from->room,
		       GFP_KERNEL_ACCOUNT | UPROBE_MAY_FAIL);
	if (copy)
		copy->payer = payer;
	else
		uprobe_user_uncharge(payer, UPROBE_QUOTA_CALLS, 1);
	return copy;
}

/**
 * uprobe_calls_inherit - fork: the child will return from the calls, too
 * @ut: of the child; NULL if there was no memory for it
 * @parent: the current thread
 * @child: has not run yet
 *
 * Context: task context, may sleep.
 */
void uprobe_calls_inherit(struct uprobe_thread *ut,
			  const struct uprobe_thread *parent,
			  struct task_struct *child)
{
	struct open_call **tail = ut ? &ut->calls : NULL;
	const struct open_call *from;
	struct uprobe_user *payer;
	struct open_call *copy;

	if (ut)
		ut->handler_ns = parent->handler_ns;
	for (from = parent->calls; from; from = from->next) {
		struct open_call call = *from;

		cond_resched();
		call.takers = inherit(from, child, &payer);
		if (!call.takers)
			continue;
		copy = copy_call(ut, from, payer);
		if (!copy) {
			count_call(&call, UPROBE_MISSED_MEMORY);
			continue;
		}
		copy->takers = call.takers;
		copy->losses = 0;
		copy->depth_of = 0;
		ut->pouches += copy->room;
		copy->is_foreign = false;
		copy->next = NULL;
		*tail = copy;
		tail = &copy->next;
		ut->nr_calls++;
		ut->nr_timed += copy->timed;
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
		free_call(call);
	}
}

// SPDX-License-Identifier: GPL-2.0
/*
 * How do the consumers get a hit?
 *
 * In two phases. *Gather*: each consumer that wants the hit reads what it needs
 * into a buffer, without a page fault and without any effect. *Commit*: if all
 * of them could, they write their records, and calls are closed and opened. So
 * a hit can be tried in the trap, and if anything is missing there (a page, a
 * return site, memory, or a consumer may sleep), nothing has happened yet, and
 * it is tried again in task context, where the missing thing is procured first,
 * outside of RCU sections.
 *
 *	trap	uprobe_deliver_now()		one attempt
 *	task	uprobe_deliver_patiently()	procure, attempt, procure, …
 *
 * A hit may be several deliveries: the returns of all calls that end here, the
 * innermost first, and the entry. Tail calls that go round in a circle make any
 * number of returns; in task context they are delivered some at a time, and one by one
 * in a last attempt. Consumers of the stock kind just have their handlers
 * called, in task context, at the place of the commit. What takes less than that, as
 * most hits do, is dealt with in trap.c.
 */

#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/slab.h>

#include "internal.h"

/* Room for what is gathered in task context, in bytes. */
#define GATHER_MAX	((size_t)512 * 1024)

/* Consumers times calls of one attempt; grows in task context. */
#define LIST_MIN	8
#define LIST_MAX	131072

/* Calls that return together, delivered with one attempt. */
#define RETURNS_AT_ONCE	16

/* Each attempt procures one thing: as a rule a page that an argument is in. */
#define MAX_ATTEMPTS	1024

/* What a handler of a consumer may answer. */
#define VERDICTS	(UPROBE_HANDLER_REMOVE | UPROBE_HANDLER_IGNORE |	\
			 UPROBE_HANDLER_DECLINE)

/**
 * enum attempt - how hard to try
 * @ATTEMPT_TRAP: in the trap: nothing that sleeps, faults, or allocates
 * @ATTEMPT_TASK: in task context: what is missing is a reason to try again
 * @ATTEMPT_LAST: and now it is missed
 */
enum attempt {
	ATTEMPT_TRAP,
	ATTEMPT_TASK,
	ATTEMPT_LAST,
};

/**
 * struct uprobe_delivery - one consumer gets one entry or return
 * @uc: the consumer
 * @call: the call that returns; NULL at entry
 * @at: where in the buffer that is which it has gathered
 * @size: how many bytes
 * @wish: what it wants of the hit
 */
struct uprobe_delivery {
	struct uprobe_consumer		*uc;
	struct open_call		*call;
	unsigned int			at;
	unsigned int			size;
	enum uprobe_wish		wish;
};

/**
 * struct arrival - a hit on its way to the consumers
 * @ut: the thread
 * @site: where it is
 * @hit: what the consumers are told
 * @attempt: how hard to try
 * @buffer: for what is gathered
 * @size: bytes of @buffer
 * @used: bytes that are in use
 * @nr: deliveries so far, in uprobe_thread::list
 * @epoch: of the hit
 * @entry: the uprobe that is entered, or NULL
 * @met: calls that return, and their consumers
 * @asked: consumers of @entry that saw the hit
 * @kept: those of them that want more of this address space
 * @declined: uprobe_consumer::bit of those that don't want its return after all
 * @removes: a handler has asked for removal
 * @unwanted: nobody wanted the entry when calls were prepared, and so none was
 * @opening: the call that is opened if somebody wants the return
 * @opened: the same when it is
 * @returned: the innermost call that returns here and isn't delivered yet, or NULL
 * @at_once: so many returns at the most are delivered in one attempt
 */
struct arrival {
	struct uprobe_thread	*ut;
	struct uprobe_site	*site;
	struct uprobe_hit	hit;
	enum attempt		attempt;
	void			*buffer;
	unsigned int		size;
	unsigned int		used;
	unsigned int		nr;
	u64			epoch;
	struct uprobe		*entry;
	unsigned int		met;
	unsigned int		asked;
	unsigned int		kept;
	u64			declined;
	bool			removes;
	bool			unwanted;
	struct uprobe_opening	opening;
	struct open_call	*opened;
	struct open_call	*returned;
	unsigned int		at_once;
};

DEFINE_PER_CPU(struct uprobe_gather_buffer, uprobe_gather_buffer);

/* What a consumer is told of an entry (@call is NULL) or of a return. */
static const struct uprobe_hit *tell(struct arrival *a,
				     const struct uprobe_consumer *uc,
				     struct open_call *call,
				     enum uprobe_wish wish)
{
	a->hit.func = call ? call->pub.func : a->site->vaddr;
	a->hit.call = call ? &call->pub : NULL;
	a->hit.opens = !call && a->opened ? &a->opened->pub : NULL;
	a->hit.pouch = call ? uprobe_pouch_filled(call, uc) :
			      wish == UPROBE_WISH_TALLY ? NULL :
			      uprobe_pouch_to_fill(a->opened, uc);
	a->hit.wish = wish;
	return &a->hit;
}

/* ---- one delivery ------------------------------------------------------- */

static int call_handler(struct uprobe_delivery *d, struct pt_regs *regs)
{
	struct uprobe_consumer *uc = d->uc;
	int verdict;

	verdict = d->call ? uc->ret_handler(uc, d->call->pub.func, regs) :
			    uc->handler(uc, regs);
	/* bpf_trace.c returns what the program did, from return handlers */
	if (d->call && !uc->commit)
		return 0;
	WARN_ONCE(verdict & ~VERDICTS, "%ps returned %#x\n",
		  uc->handler, verdict);
	return verdict;
}

/* The consumer doesn't want the return of this entry, or no return at all. */
static void decline(struct arrival *a, struct uprobe_consumer *uc, bool all)
{
	/* in the call it can't be told apart from those who share its bit */
	if (uc->bit != UPROBE_SHARED_BIT)
		a->declined |= BIT_ULL(uc->bit);
	else if (!all)
		return;
	uprobe_count_declined(uc);
}

static void commit(struct arrival *a, struct uprobe_delivery *d)
{
	int verdict;

	a->hit.verdict = d->wish == UPROBE_WISH_HANDLER ?
			 call_handler(d, a->hit.regs) : 0;
	verdict = a->hit.verdict;
	if (d->uc->commit)
		verdict |= d->uc->commit(d->uc,
					 tell(a, d->uc, d->call, d->wish),
					 a->buffer + d->at, d->size);
	if (d->call)
		return;
	if (verdict & UPROBE_HANDLER_REMOVE) {
		a->kept--;
		a->removes = true;
	}
	if (verdict & (UPROBE_HANDLER_REMOVE | UPROBE_HANDLER_DECLINE))
		decline(a, d->uc, verdict & UPROBE_HANDLER_REMOVE);
}

/* ---- gather ------------------------------------------------------------- */

static bool wants_mm(struct uprobe_consumer *uc)
{
	return uprobe_consumer_wants(uc, current->mm);
}

/*
 * A gather has failed, or there is no room in the list (-ENOSPC): in the end the consumer
 * misses the hit; of an entry whose return it wants, the return, and so it counts the entry.
 */
static int refused(struct arrival *a, struct uprobe_consumer *uc,
		   struct open_call *call, int err)
{
	if (err == -ENOENT || err == -ESRCH || a->attempt != ATTEMPT_LAST)
		return err;
	if (!call && uc->returns && uc->commit)
		uc->commit(uc, tell(a, uc, NULL, UPROBE_WISH_TALLY), NULL, 0);
	if (uc->count)
		uc->count(uc, err == -E2BIG || err == -ENOSPC ?
			      UPROBE_MISSED_MEMORY : UPROBE_MISSED_FAULT);
	return -ENOENT;
}

/*
 * Return: 0; -ENOENT if the consumer doesn't want this hit, -ESRCH if it may want
 * none of this address space; else why another attempt is needed.
 */
static int gather(struct arrival *a, struct uprobe_consumer *uc,
		  struct open_call *call)
{
	struct uprobe_thread *ut = a->ut;
	enum uprobe_wish wish = uprobe_wish_of(uc, call ? &call->pub : NULL);
	int size = 0;

	if (wish == UPROBE_WISH_HANDLER && a->attempt == ATTEMPT_TRAP)
		return -EAGAIN;
	/* a long way isn't for the trap, with preemption off */
	if (unlikely(uc->asks_depth) && a->attempt == ATTEMPT_TRAP &&
	    !uprobe_depth_is_near(ut, call ?: ut->calls, call ?
				  call->uprobe_serial : a->entry->serial))
		return -EAGAIN;
	/* who has a gather() says it there */
	if (wish == UPROBE_WISH_NONE && !uc->gather)
		return -ESRCH;
	if (uc->gather) {
		ut->unread.addr = 0;
		size = uc->gather(uc, tell(a, uc, call, wish),
				  a->buffer + a->used, a->size - a->used);
		if (size < 0)
			return refused(a, uc, call, size);
		if (ut->unread.addr && a->attempt != ATTEMPT_LAST)
			return -EAGAIN;
	}
	if (wish != UPROBE_WISH_HANDLER && !uc->commit)
		return 0;
	if (a->nr == ut->room)
		return refused(a, uc, call, -ENOSPC);
	ut->list[a->nr++] = (struct uprobe_delivery){ uc, call, a->used, size,
						      wish };
	a->used += ALIGN(size, sizeof(u64));
	return 0;
}

/* So many aren't for the trap, with preemption off. */
static bool is_too_much(const struct arrival *a, unsigned int nr)
{
	return nr == UPROBE_MAX_IN_TRAP && a->attempt == ATTEMPT_TRAP;
}

static int gather_return(struct arrival *a, struct open_call *call)
{
	struct uprobe *uprobe = uprobe_of_call(call);
	struct uprobe_consumer *uc;
	int err;

	if (is_too_much(a, a->met++))
		return -EAGAIN;
	if (!uprobe)
		return 0;
	uprobe_call_measure(a->ut, call);
	for_each_consumer(uc, uprobe) {
		if (is_too_much(a, a->met++))
			return -EAGAIN;
		if (!uprobe_took(uc, call->epoch, call->takers) ||
		    !uprobe_consumer_is_returner(uc))
			continue;
		if (uc->bit == UPROBE_SHARED_BIT) {
			/* some of those who share it never heard of the process */
			if (a->attempt == ATTEMPT_TRAP)
				return -EAGAIN;
			if (!wants_mm(uc))
				continue;
		}
		err = gather(a, uc, call);
		if (err && err != -ENOENT && err != -ESRCH)
			return err;
	}
	return 0;
}

static int gather_returns(struct arrival *a)
{
	struct open_call *call;
	int err;

	if (!a->returned)
		return 0;
	for_each_returned(call, a->returned, a->at_once) {
		err = gather_return(a, call);
		if (err)
			return err;
	}
	return 0;
}

/* Of an entry that it was told of. Stock's kind isn't asked about a hit. */
static bool wants_return(struct uprobe_consumer *uc)
{
	return uprobe_consumer_is_returner(uc) &&
	       (uc->gather || uc->commit || wants_mm(uc));
}

/* The call was prepared before the epoch was read: is it still what is wanted? */
static int settle_opening(struct arrival *a)
{
	struct uprobe_opening *opening = &a->opening;

	if (a->unwanted && a->attempt != ATTEMPT_LAST)
		return -ENOBUFS;
	if (opening->missed >= 0)
		return 0;
	if (!opening->diverted && !opening->divert &&
	    !uprobe_returns_are_seen(a->site, opening->ret_addr)) {
		if (a->attempt != ATTEMPT_LAST)
			return -ENOBUFS;
		opening->missed = UPROBE_MISSED_NO_SITE;
		return 0;
	}
	if (a->ut->pool->room >= READ_ONCE(a->entry->pouch_size))
		return 0;
	if (opening->cramped != READ_ONCE(a->entry->pouch_size) &&
	    a->attempt != ATTEMPT_LAST)
		return -ENOBUFS;
	opening->lost = opening->keepers;
	if (opening->lost == opening->takers)
		opening->missed = UPROBE_MISSED_MEMORY;
	return 0;
}

static int gather_entry(struct arrival *a)
{
	struct uprobe_consumer *uc;
	int err;

	if (!a->entry)
		return 0;
	for_each_consumer(uc, a->entry) {
		if (uc->since > a->epoch)
			continue;
		if (is_too_much(a, a->asked++))
			return -EAGAIN;
		err = gather(a, uc, NULL);
		if (err == -ESRCH)
			continue;
		a->kept++;
		if (err == -ENOENT)
			continue;
		if (err)
			return err;
		if (wants_return(uc)) {
			a->opening.takers |= BIT_ULL(uc->bit);
			if (uc->pouch_size)
				a->opening.keepers |= BIT_ULL(uc->bit);
			a->opening.timed |= uc->timed;
		}
	}
	if (!a->opening.takers)
		return 0;
	/* should the call be missed, filters are asked: uprobe_count_call() */
	if (a->attempt == ATTEMPT_TRAP &&
	    (a->opening.takers & BIT_ULL(UPROBE_SHARED_BIT)))
		return -EAGAIN;
	if (a->attempt == ATTEMPT_TRAP)
		return uprobe_calls_prepare_now(a->ut, a->entry, a->site,
						a->hit.regs, a->returned,
						&a->opening);
	return settle_opening(a);
}

/* ---- commit ------------------------------------------------------------- */

/* Before the entry is committed: what it leaves in pouches is in the call. */
static void enter_call(struct arrival *a)
{
	a->opening.takers &= ~a->declined;
	if (a->opening.takers)
		a->opened = uprobe_calls_open(a->ut, a->entry, a->site->vaddr,
					      a->epoch, &a->opening);
}

/* Who hasn't declined it has a call, or misses its return. */
static void settle_call(struct arrival *a)
{
	u64 takers = a->opening.takers & ~a->declined;
	u64 lost = takers & a->opening.lost;
	struct open_call *call = a->opened;

	if (!call) {
		if (takers && a->opening.missed >= 0)
			uprobe_count_call(a->entry, a->epoch, takers,
					  a->opening.missed);
		return;
	}
	if (unlikely(lost))
		uprobe_count_call(a->entry, a->epoch, lost,
				  UPROBE_MISSED_MEMORY);
	/* perhaps nobody wants its return any more */
	call->takers = takers & ~lost;
	if (call->takers)
		return;
	a->ut->nr_timed -= call->timed;
	uprobe_call_undo(a->ut, call);
	a->opened = NULL;
}

static void commit_all(struct arrival *a)
{
	struct uprobe_thread *ut = a->ut;
	unsigned int i = 0;

	for (; i < a->nr && ut->list[i].call; i++)
		commit(a, &ut->list[i]);
	/* the first call of the pool is the one that was prepared */
	enter_call(a);
	/* perf's call chains look whether a function begins here */
	ut->task.auprobe = &a->site->arch;
	for (; i < a->nr; i++)
		commit(a, &ut->list[i]);
	ut->task.auprobe = NULL;
	settle_call(a);
	if (unlikely(a->opening.diverted) && a->opened)
		uprobe_divert_again(a->site->space, a->opening.sp);
	if (a->returned)
		a->returned = uprobe_calls_closed(ut, a->returned, a->at_once);
}

/* ---- attempts ----------------------------------------------------------- */

/*
 * Inside an RCU section of the kind that the attempt needs. 0: the hit is
 * delivered; else nothing has happened.
 */
static int deliver(struct arrival *a)
{
	struct uprobe *uprobe = READ_ONCE(a->site->uprobe);
	bool may_wait = a->attempt != ATTEMPT_TRAP;
	int err;

	/* to be read before the consumers are */
	a->epoch = uprobe_epoch();
	a->nr = a->used = a->met = a->asked = a->kept = 0;
	a->opening.takers = a->opening.keepers = a->opening.lost = 0;
	a->declined = 0;
	a->removes = false;
	a->opened = NULL;
	a->opening.timed = false;
	/* a site that is both has its return role first: the call is over */
	if (!may_wait && a->ut->calls && READ_ONCE(a->site->is_return)) {
		a->returned = uprobe_calls_returned_now(a->ut, a->site->vaddr,
							a->hit.regs);
		if (IS_ERR(a->returned))
			return PTR_ERR(a->returned);
	}
	if (!may_wait && !a->returned && READ_ONCE(a->site->is_return) &&
	    (a->ut->seeks || uprobe_calls_are_sought(a->ut)))
		return -EAGAIN;
	err = gather_returns(a);
	if (err)
		return err;
	/* in task context the uprobe is the one that calls were prepared for */
	if (!may_wait)
		a->entry = uprobe;
	else if (a->entry != uprobe)
		a->entry = NULL;
	err = gather_entry(a);
	if (err)
		return err;
	/* nor may anybody be left to be asked */
	if (!may_wait && a->entry && !a->kept && uprobe_site_may_ask(a->site))
		return -EAGAIN;
	commit_all(a);
	return 0;
}

/**
 * uprobe_deliver_now - try to deliver a hit in the trap
 * @ut: the current thread
 * @site: where it is
 * @regs: at the site
 *
 * Context: trap, preemption and page faults off.
 * Return: 0, or -errno: nothing has happened, uprobe_deliver_patiently() is to
 * do it.
 */
int uprobe_deliver_now(struct uprobe_thread *ut, struct uprobe_site *site,
		       struct pt_regs *regs)
{
	struct arrival a = {
		.ut	= ut,
		.site	= site,
		.hit	= { .regs = regs },
		/* all or none: is_too_much() */
		.at_once = UINT_MAX,
		.buffer	= this_cpu_ptr(&uprobe_gather_buffer),
		.size	= sizeof(uprobe_gather_buffer),
	};

	ut->unread.nr_bad = 0;
	return deliver(&a);
}

static struct uprobe *get_uprobe(struct uprobe_site *site)
{
	struct uprobe *uprobe;

	rcu_read_lock_trace();
	uprobe = READ_ONCE(site->uprobe);
	if (uprobe && !refcount_inc_not_zero(&uprobe->ref))
		uprobe = NULL;
	rcu_read_unlock_trace();
	return uprobe;
}

/* What is in list and buffer is of an attempt that has failed. */
static void grow_list(struct uprobe_thread *ut, unsigned int room)
{
	struct uprobe_delivery *list;

	room = min(room, LIST_MAX);
	if (room <= ut->room)
		return;
	list = kvmalloc_array(room, sizeof(*list),
			      GFP_KERNEL_ACCOUNT | UPROBE_MAY_FAIL);
	if (!list)
		return;
	kvfree(ut->list);
	ut->list = list;
	ut->room = room;
}

static void grow_buffer(struct uprobe_thread *ut, size_t size)
{
	void *buffer;

	size = min(size, GATHER_MAX);
	if (size <= ut->buffer_size)
		return;
	buffer = kvmalloc(size, GFP_KERNEL_ACCOUNT | UPROBE_MAY_FAIL);
	if (!buffer)
		return;
	kvfree(ut->buffer);
	ut->buffer = buffer;
	ut->buffer_size = size;
}

/* Return: false if it can't be had, and so the next attempt is the last one. */
static bool procure(struct uprobe_thread *ut, int what)
{
	unsigned int room = ut->room;
	size_t size = ut->buffer_size;

	switch (what) {
	case -ENOSPC:
		grow_list(ut, max(2 * room, LIST_MIN));
		return ut->room > room;
	case -E2BIG:
		grow_buffer(ut, max(2 * size, UPROBE_GATHER_SIZE));
		return ut->buffer_size > size;
	case -ENOBUFS:
		/* uprobe_calls_prepare() does it */
		return true;
	default:
		return ut->unread.addr && uprobe_fault_in(ut);
	}
}

static unsigned int nr_consumers(struct uprobe *uprobe)
{
	struct uprobe_consumer *uc;
	unsigned int nr = 0;

	for_each_consumer(uc, uprobe)
		nr++;
	return nr;
}

/*
 * Nobody is to be refused in the last attempt for what the ones before it would have
 * procured: it may be the first.
 */
static void procure_for_last(struct arrival *a)
{
	struct uprobe_thread *ut = a->ut;
	struct open_call *call;
	struct uprobe *uprobe;
	unsigned int nr;

	rcu_read_lock_trace();
	nr = a->entry ? nr_consumers(a->entry) : 0;
	if (a->returned) {
		for_each_returned(call, a->returned, a->at_once) {
			uprobe = uprobe_of_call(call);
			nr += uprobe ? nr_consumers(uprobe) : 0;
		}
	}
	rcu_read_unlock_trace();
	grow_list(ut, nr);
	/* up to GATHER_MAX that is the largest record for each */
	grow_buffer(ut, (size_t)nr * UPROBE_GATHER_SIZE);
	/* who is being killed gets less, as a rule: vmalloc() */
	if (!ut->buffer)
		grow_buffer(ut, UPROBE_GATHER_SIZE);
}

/*
 * On one CPU: perf's events of a CPU are consumers each, and one after the other is
 * asked whether the hit is on its own. Handlers may sleep in it; __set_cpus_allowed_ptr()
 * waits for them, as it does for BPF programs that sleep.
 */
static bool attempt(struct arrival *a)
{
	struct uprobe_thread *ut = a->ut;
	int err;

	a->buffer = ut->buffer;
	a->size = ut->buffer_size;
	rcu_read_lock_trace();
	migrate_disable();
	err = deliver(a);
	migrate_enable();
	rcu_read_unlock_trace();
	if (err && !procure(ut, err))
		a->attempt = ATTEMPT_LAST;
	return !err;
}

/*
 * Nothing is procured for a thread that nobody wants here: neither sites where it
 * returns, nor memory.
 */
static bool anybody_wants(struct uprobe *uprobe)
{
	struct uprobe_consumer *uc;
	bool wanted = false;

	rcu_read_lock_trace();
	migrate_disable();
	for_each_consumer(uc, uprobe) {
		wanted = uprobe_wish_of(uc, NULL) != UPROBE_WISH_NONE;
		if (wanted)
			break;
	}
	migrate_enable();
	rcu_read_unlock_trace();
	return wanted;
}

/*
 * Nobody wanted the entry. Is that so for everybody in this address space? A handler
 * that asks for removal is to have it; else that is asked but once a second.
 */
static void ask_again(struct arrival *a, struct uprobe *uprobe)
{
	if (!a->removes && !uprobe_site_may_ask(a->site))
		return;
	WRITE_ONCE(a->site->ask_at, jiffies + UPROBE_ASK_SITE_AGAIN);
	uprobe_recheck(uprobe, current->mm);
}

/*
 * No call of this process returns here, and none is sought but once in a while: does
 * anybody want returns at all? A place of return has no filter of its own.
 */
static void ask_about_returns(struct uprobe_space *space)
{
	if (!uprobe_may_ask(READ_ONCE(space->ask_at), UPROBE_ASK_SPACE_AGAIN))
		return;
	WRITE_ONCE(space->ask_at, jiffies + UPROBE_ASK_SPACE_AGAIN);
	uprobe_recheck_space(current->mm);
}

/* @uprobe: that is entered, or NULL. */
static void attempt_until_done(struct arrival *a, struct uprobe *uprobe)
{
	struct uprobe_thread *ut = a->ut;
	int tries = 0;

	a->attempt = ATTEMPT_TASK;
	ut->unread.nr_bad = 0;
	do {
		cond_resched();
		if (++tries == MAX_ATTEMPTS || fatal_signal_pending(current))
			a->attempt = ATTEMPT_LAST;
		a->entry = uprobe;
		/* for who comes between this and the attempt there is no site */
		a->opening.missed = UPROBE_MISSED_NO_SITE;
		a->unwanted = uprobe && !anybody_wants(uprobe);
		if (uprobe && !a->unwanted &&
		    uprobe_wants_returns(uprobe, current->mm))
			uprobe_calls_prepare(ut, uprobe, a->site, a->hit.regs,
					     a->returned, &a->opening);
		a->at_once = RETURNS_AT_ONCE;
		if (a->attempt == ATTEMPT_LAST) {
			a->at_once = 1;
			procure_for_last(a);
		}
	} while (!attempt(a));
}

/**
 * uprobe_deliver_patiently - deliver a hit, whatever it takes
 * @ut: the current thread
 * @site: where it is; referenced
 * @regs: at the site
 *
 * What can't be had in the end is missed, and counted.
 *
 * Context: task context, no locks; may sleep.
 */
void uprobe_deliver_patiently(struct uprobe_thread *ut,
			      struct uprobe_site *site, struct pt_regs *regs)
{
	struct uprobe *uprobe = get_uprobe(site);
	struct arrival a = {
		.ut	= ut,
		.site	= site,
		.hit	= { .regs = regs },
	};

	if (READ_ONCE(site->is_return) && ut->calls)
		a.returned = uprobe_calls_returned(ut, site->vaddr, regs);
	if (READ_ONCE(site->is_return) && !a.returned &&
	    uprobe_calls_are_sought(ut)) {
		a.returned = uprobe_calls_fetch(ut, site->vaddr, regs);
		if (!a.returned)
			ask_about_returns(site->space);
	}
	/* what is left for the entry is one, or none */
	while (a.returned &&
	       uprobe_shares_word(a.returned->next, &a.returned->pub))
		attempt_until_done(&a, NULL);
	attempt_until_done(&a, uprobe);
	if (a.opened && a.opening.divert)
		uprobe_calls_divert(ut, site->space, regs, &a.opening);
	if (uprobe) {
		if (!a.kept)
			ask_again(&a, uprobe);
		uprobe_put(uprobe);
	}
}

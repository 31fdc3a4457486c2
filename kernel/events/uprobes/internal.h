/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The objects of the uprobes core and who may touch them.
 *
 * The files, in the order in which a probe travels:
 *
 *	registry.c	(inode, offset) -> uprobe
 *	register.c	consumers come and go, and say what they want
 *	walk.c		the address spaces follow
 *	targets.c	can anybody want an address space at all?
 *	scope.c		a task comes to be wanted where it is, or ceases to be
 *	mappings.c	mmap, munmap, fork and exit change an address space
 *	sites.c		the breakpoints of an address space
 *	index.c		address -> site
 *	breakpoint.c	one byte of text, written and taken back
 *	absent.c	what is put off, for want of a page
 *	semaphore.c	the SDT counters that say "somebody listens"
 *	slots.c		executable copies of displaced instructions
 *	room.c		where they are mapped
 *	threads.c	where the threads of an address space stand
 *	strand.c	slots go, with threads in them
 *	trap.c		a thread arrives at a breakpoint
 *	deliver.c	the consumers get the hit
 *	hit.c		what the trap has left to do
 *	gather.c	user memory for them, read without page faults
 *	call.c		entries that wait for their return
 *	depth.c		how many of one function
 *	foreign.c	those of other threads
 *	trampoline.c	those whose callers can't have a breakpoint
 *	step.c		the displaced instruction under the trap flag
 *	interrupt.c	a thread is interrupted in a slot
 *	debugger.c	a debugger reads and writes where sites are
 *	task.c		what a thread carries along; work before user mode
 *	limits.c	how much one program may take
 *	users.c		and all of one user together
 *
 * Lock order, outermost first:
 *
 *	event_mutex				(trace events and perf)
 *	  uprobe::lock				consumers of one uprobe
 *	    mm_struct::mmap_lock		sites, areas and semaphores of
 *						one address space
 *	      files_lock (registry.c)		the registry
 *	      targets_lock (targets.c)		the tasks that are wanted
 *	      uprobe::sites_lock		the sites of one uprobe
 *	      uprobe_space::tree_lock		the ordered sites of a space
 *	      uprobes_state::lock		the dirty range of an mm
 *
 * Everything in a space changes under mmap_lock held for writing, but for what
 * a debugger writes over a site (debugger.c). A hit looks
 * its site up under RCU. Consumers are walked and called inside an RCU section
 * in the trap and inside an RCU tasks trace section in task context: their
 * memory and uprobes are freed after a grace period of both, and what may wait
 * for ever (a page of a program that another one withholds) is waited for
 * outside.
 */
#ifndef _KERNEL_EVENTS_UPROBES_INTERNAL_H
#define _KERNEL_EVENTS_UPROBES_INTERNAL_H

#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/rcupdate_trace.h>
#include <linux/rculist.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/uprobes.h>
#include <linux/xarray.h>

/*
 * For what is counted as missed if there is no memory for it: at the limit of a memory cgroup that is
 * better than to have a process of it killed. Not where fork() would fail, nor for what a thread
 * needs to go on at all.
 */
#define UPROBE_MAY_FAIL		(__GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/**
 * struct uprobe - one place in one file that has consumers
 * @ref: consumers, sites and walks of the registry
 * @users: registered consumers; at 0 the uprobe leaves the registry.
 *	files_lock.
 * @file: its file in the registry, NULL when it has left. Written under
 *	files_lock.
 * @node: in uprobe_file::uprobes, by offset. files_lock.
 * @general_node: in uprobe_file::general, likewise, unless @nr_general is 0
 * @nr_general: how many consumers have neither target nor scope. files_lock.
 * @inode: the file; only compared, never followed after the last consumer
 * @offset: where in the file
 * @nr_bytes: how many of @bytes are known
 * @bytes: the file's bytes at @offset, as far as they could be read when the
 *	uprobe was made
 * @is_cut: the file has more, but it wasn't cached
 * @elf_class: ELFCLASS32 or ELFCLASS64 as the file says, 0 if unknown
 * @id: its number while it is in the registry
 * @serial: its number for ever: an @id is used again
 * @lock: serialises register, apply and unregister
 * @consumers: of struct uprobe_consumer. Written under @lock, read in
 *	sections of either RCU.
 * @bits: uprobe_consumer::bit of all of them. @lock.
 * @sole: the only consumer, if it can tally. Written under @lock, read by hits.
 * @sole_returner: the only one that wants returns, if it can tally and shares its
 *	bit with nobody. As @sole.
 * @returners: uprobe_consumer::bit of those that want returns. As @sole.
 * @timed: some of these want to know how long calls take. As @sole.
 * @pouch_size: bytes of pouches that a call has room for. As @sole.
 * @sites_lock: guards @sites and @walk
 * @sites: of struct uprobe_site, where this uprobe is installed
 * @walk: number of the last walk over @sites
 * @rcu: frees it after grace periods of RCU and RCU tasks trace
 */
struct uprobe {
	refcount_t		ref;
	unsigned int		users;
	struct uprobe_file	*file;
	struct rb_node		node;
	struct rb_node		general_node;
	unsigned int		nr_general;
	struct inode		*inode;
	loff_t			offset;
	size_t			nr_bytes;
	u8			bytes[UPROBE_MAX_INSN];
	bool			is_cut;
	u8			elf_class;
	u32			id;
	u64			serial;
	struct mutex		lock;
	struct list_head	consumers;
	u64			bits;
	struct uprobe_consumer	*sole;
	struct uprobe_consumer	*sole_returner;
	u64			returners;
	bool			timed;
	u16			pouch_size;
	spinlock_t		sites_lock;
	struct list_head	sites;
	unsigned int		walk;
	struct rcu_head		rcu;
};

#define UPROBE_NR_LEFT	64

/* A call that was taken for left by longjmp() or the like: see foreign.c. */
struct uprobe_left {
	unsigned long		sp;
	unsigned long		ret_addr;
};

/**
 * struct uprobe_space - what uprobes know of one address space
 * @mm: the address space; the space goes before it does
 * @table: address -> site; written under mmap_lock, read under RCU
 * @nr_sites: how many there are. mmap_lock.
 * @losses: goes up after a site has left the index, or lost its return role;
 *	never 0. Written under mmap_lock. A call that has found a return site
 *	after it had read this may use it in RCU sections in which it reads the
 *	same.
 * @tree_lock: guards @tree against readers that have no mmap_lock
 * @tree: the same sites by address
 * @areas: of struct uprobe_area. Written under mmap_lock, read under RCU.
 * @nr_areas: how many there are. mmap_lock.
 * @nr_lost: areas that are lost. mmap_lock.
 * @nr_retired: slots whose site has gone
 * @scan: number of the last search for threads in slots. mmap_lock.
 * @next_scan: no other one before this time, in jiffies. mmap_lock.
 * @tidy: unmaps areas when the last thread has left them
 * @semaphores: of struct uprobe_semaphore. mmap_lock.
 * @nr_returners: sites whose uprobe has consumers of returns; at 0 the return
 *	sites go. mmap_lock to write.
 * @wanders: calls have returned that were taken for left, or in other threads
 * @left: calls that were taken for left, the last one of each hash of their stack
 *	address; written without a lock
 * @nr_proofs: how many of them have lately returned. Like @proof_at and @proof_sp
 *	without a lock: what is lost of them comes again.
 * @proof_at: jiffies when the last one did
 * @proof_sp: and which one it was
 * @nr_return_sites: sites in return role. mmap_lock.
 * @trampoline: address of the trampoline, 0 if it isn't mapped yet. Set under
 *	mmap_lock, and never changed.
 * @trampoline_lost: the process has unmapped it. Never cleared.
 * @diverted: return words that it has replaced, by their addresses: trampoline.c
 * @nr_diverted: how many. Lock of @diverted to write.
 * @nr_vforks: how many times a child has come that shares the address space and
 *	lets its parent wait
 * @is_swept: a thread looks which of them can go
 * @next_sweep: jiffies before which none does so again, for want of room
 * @ask_at: when all filters may be asked again because no call returned where one
 *	might, in jiffies
 * @inherited: filters must be asked about every site, since fork made them.
 *	mmap_lock.
 * @absent_start: first of the places that wait for a page (absent.c). mmap_lock.
 * @absent_end: behind the last of them, 0 if there is none. Written under
 *	mmap_lock.
 * @absent: where the page is that the first one waits for. mmap_lock.
 * @unreadable: where a page is that has been waited for in vain, while
 *	uprobe_sync() does without; else 0. mmap_lock.
 * @restorer: the task that gives a page of text back, under mmap_lock; or NULL
 * @is_synced: uprobe_sync() is at work. mmap_lock.
 * @no_room: when its memory cgroup was last found at its limit, in jiffies; or 0. mmap_lock.
 * @rechecked: the last walk that looked at sites here, and at how many
 *	(uprobe_recheck_everywhere())
 * @rcu: frees it
 */
struct uprobe_space {
	struct mm_struct	*mm;
	struct uprobe_table	*table;
	unsigned int		nr_sites;
	unsigned long		losses;
	spinlock_t		tree_lock;
	struct rb_root		tree;
	struct list_head	areas;
	unsigned int		nr_areas;
	unsigned int		nr_lost;
	atomic_t		nr_retired;
	unsigned int		scan;
	unsigned long		next_scan;
	struct delayed_work	tidy;
	struct list_head	semaphores;
	unsigned int		nr_returners;
	unsigned int		nr_return_sites;
	unsigned long		trampoline;
	struct xarray		diverted;
	unsigned int		nr_diverted;
	atomic_t		nr_vforks;
	bool			trampoline_lost;
	bool			is_swept;
	unsigned long		next_sweep;
	unsigned long		ask_at;
	bool			inherited;
	bool			wanders;
	struct uprobe_left	left[UPROBE_NR_LEFT];
	unsigned int		nr_proofs;
	unsigned long		proof_at;
	unsigned long		proof_sp;
	unsigned long		absent_start;
	unsigned long		absent_end;
	unsigned long		absent;
	unsigned long		unreadable;
	struct task_struct	*restorer;
	bool			is_synced;
	unsigned long		no_room;
	atomic64_t		rechecked;
	struct rcu_head		rcu;
};

/**
 * enum uprobe_text - what the program has where a site is
 * @TEXT_INTACT: the displaced instruction
 * @TEXT_TRAPPED: the same with a breakpoint over it, which isn't ours
 * @TEXT_CHANGED: something else: the site has to go, or to be decoded anew
 */
enum uprobe_text {
	TEXT_INTACT,
	TEXT_TRAPPED,
	TEXT_CHANGED,
};

/**
 * struct uprobe_site - a breakpoint in one address space
 * @ref: one for the index, one for each thread that stands on the site
 * @hash: in uprobe_space::table
 * @node: in uprobe_space::tree
 * @space: the address space
 * @vaddr: where the breakpoint is
 * @inode: the mapped file; only compared
 * @offset: where in the file
 * @uprobe: entry role: whose hits these are, or NULL. Written under
 *	mmap_lock, read in RCU tasks trace sections.
 * @uprobe_node: in uprobe::sites while @uprobe is set; not yet in a child
 *	that hasn't run. uprobe::sites_lock.
 * @walk: last walk over uprobe::sites that saw it. uprobe::sites_lock.
 * @is_return: return role: calls may return here. Set under mmap_lock, when the
 *	breakpoint is there: other threads open calls without a lock.
 * @wants_returns: somebody wants the returns of its entries; counted in
 *	uprobe_space::nr_returners. Set under mmap_lock; as long as it is, return
 *	sites stay, which threads that open calls rely on without a lock.
 * @area: where its slot is, or NULL. mmap_lock.
 * @slot: address of the slot; 0 if the process has unmapped it. Written under
 *	mmap_lock.
 * @next: where a hit sends the thread, unless it is stepped: the slot, or for
 *	nops and jumps where they lead; 0 if the instruction takes more than
 *	that. Written under mmap_lock.
 * @arch: the displaced instruction, decoded for this address space
 * @byte: what the program has at @vaddr: the first byte of the instruction,
 *	or what a debugger has written. Written under mmap_lock held for
 *	writing, or for reading and uprobe_space::tree_lock.
 * @text: and what that makes of the instruction. Written like @byte.
 * @ask_at: when filters may be asked again because nobody wanted a hit, in jiffies
 * @payer: to whom it is counted; or NULL
 * @rcu: frees it
 */
struct uprobe_site {
	refcount_t		ref;
	struct hlist_node	hash;
	struct rb_node		node;
	struct uprobe_space	*space;
	unsigned long		vaddr;
	struct inode		*inode;
	loff_t			offset;
	struct uprobe		*uprobe;
	struct list_head	uprobe_node;
	unsigned int		walk;
	bool			is_return;
	bool			wants_returns;
	struct uprobe_area	*area;
	unsigned long		slot;
	unsigned long		next;
	struct arch_uprobe	arch;
	u8			byte;
	enum uprobe_text	text;
	unsigned long		ask_at;
	struct uprobe_user	*payer;
	struct rcu_head		rcu;
};

/* What the first byte says, if the rest of the instruction is unchanged. */
static inline enum uprobe_text uprobe_text_of(const struct uprobe_site *site)
{
	if (site->byte == site->arch.insn[0])
		return TEXT_INTACT;
	return site->byte == UPROBE_BREAKPOINT ? TEXT_TRAPPED : TEXT_CHANGED;
}

/**
 * struct uprobe_table - the hash of the sites of one address space
 * @rcu: frees it
 * @multiplier: odd, and nobody knows it: who chooses the addresses of sites can't
 *	choose their buckets
 * @bits: logarithm of the number of buckets
 * @buckets: lists of sites, by address
 */
struct uprobe_table {
	struct rcu_head		rcu;
	unsigned long		multiplier;
	unsigned int		bits;
	struct hlist_head	buckets[];
};

/*
 * Sites often stand at equal distances, as callers in generated code do. Multiplied once,
 * by a number that nobody chose, they may share few buckets; twice they don't.
 */
static inline struct hlist_head *uprobe_bucket(struct uprobe_table *table,
					       unsigned long vaddr)
{
	unsigned long hash = vaddr * table->multiplier;

	hash ^= hash >> (BITS_PER_LONG / 2);
	return &table->buckets[hash * table->multiplier >>
			       (BITS_PER_LONG - table->bits)];
}

/*
 * The site at an address, or NULL; which may be wrong unless mmap_lock is held.
 * Under RCU or with preemption off, or with mmap_lock held for writing. No
 * reference is taken.
 */
static __always_inline struct uprobe_site *
uprobe_site_find(struct uprobe_space *space, unsigned long vaddr)
{
	struct uprobe_table *table = READ_ONCE(space->table);
	struct uprobe_site *site;

	hlist_for_each_entry_rcu_notrace(site, uprobe_bucket(table, vaddr),
					 hash) {
		if (site->vaddr == vaddr)
			return site;
	}
	return NULL;
}

/*
 * Send a thread where it needs no help: to the slot, or where a nop or a jump
 * leads. Nothing is known of it afterwards; a signal or a debugger that comes
 * while it is in the slot doesn't see it there (interrupt.c). False if the
 * instruction takes more than that.
 */
static __always_inline bool uprobe_boost(const struct uprobe_site *site,
					 struct pt_regs *regs)
{
	/* pairs with take_slot(): the slot is filled */
	unsigned long next = smp_load_acquire(&site->next);

	if (unlikely(!next || arch_uprobe_is_stepped(regs)))
		return false;
	instruction_pointer_set(regs, next);
	return true;
}

/**
 * enum uprobe_step - what a thread is in the middle of
 * @STEP_NONE: nothing
 * @STEP_HIT: it trapped at a breakpoint; no consumer has been told
 * @STEP_EXECUTE: the consumers have been told; the instruction isn't executed
 * @STEP_RUNNING: it is in a slot, with the trap flag set
 * @STEP_DONE: the trap after the displaced instruction has come
 * @STEP_DIVERTED: none of these: it has returned to the trampoline
 */
enum uprobe_step {
	STEP_NONE,
	STEP_HIT,
	STEP_EXECUTE,
	STEP_RUNNING,
	STEP_DONE,
	STEP_DIVERTED,
};

/**
 * enum uprobe_trap - has the thread met a debugger's breakpoint at a site?
 * @TRAP_NONE: no
 * @TRAP_SENT: it has been sent the SIGTRAP for it
 * @TRAP_SEEN: which the debugger, or whoever it is for, is getting
 */
enum uprobe_trap {
	TRAP_NONE,
	TRAP_SENT,
	TRAP_SEEN,
};

/**
 * struct uprobe_unread - user memory that couldn't be read without page faults
 * @addr: the first byte, or 0 if all could be read
 * @len: how many bytes
 * @bad: pages that are known to be unreadable; or NULL
 * @nr_bad: how many
 * @room: for how many
 */
struct uprobe_unread {
	unsigned long		addr;
	size_t			len;
	unsigned long		*bad;
	unsigned int		nr_bad;
	unsigned int		room;
};

/**
 * struct open_call - an entry that waits for its return
 * @pub: what consumers see
 * @next: the next outer call of the thread, or the next one in its pool
 * @site: where it returns to, as long as uprobe_space::losses is @losses
 * @losses: 0 if @site isn't known
 * @uprobe: whose call it is; not referenced: see uprobe_of_call()
 * @departures: uprobe_departures when @uprobe was known to be there
 * @uprobe_id: its uprobe::id
 * @uprobe_serial: and its uprobe::serial
 * @epoch: of the entry hit; consumers that came later don't see the call
 * @takers: uprobe_consumer::bit of those that took the entry
 * @filled: and of those that were shown their pouch then
 * @timed: some consumer wants to know how long it takes
 * @is_foreign: another thread has opened it, and misses it in its pool
 * @room: bytes of @pouches
 * @handler_ns: uprobe_thread::handler_ns when the entry was done
 * @depth_of: uprobe_call::id of the call whose depth is known
 * @depth_at: uprobe_thread::unlinked when it was found out
 * @depth: how many calls of its uprobe were open then, with this one
 * @payer: to whom it is counted; or NULL
 * @pouches: of all consumers that have one (uprobe_pouch_filled())
 *
 * Owned by one thread. In the pool, @site and @uprobe with what belongs to them
 * are those of its last use, for the next one is often the same.
 */
struct open_call {
	struct uprobe_call	pub;
	struct open_call	*next;
	struct uprobe_site	*site;
	unsigned long		losses;
	struct uprobe		*uprobe;
	unsigned long		departures;
	u32			uprobe_id;
	bool			timed;
	bool			is_foreign;
	u16			room;
	u64			uprobe_serial;
	u64			epoch;
	u64			takers;
	u64			filled;
	u64			handler_ns;
	u64			depth_of;
	unsigned int		depth_at;
	unsigned int		depth;
	struct uprobe_user	*payer;
	u64			pouches[];
};

/* Calls that return together have one return word; @call may be NULL. */
static inline bool uprobe_shares_word(const struct open_call *call,
				      const struct uprobe_call *other)
{
	return call && call->pub.sp == other->sp &&
	       call->pub.ret_addr == other->ret_addr;
}

/* @first and those that returned together with it, outwards; @max of them at the most. */
#define for_each_returned(call, first, max)				\
	for (unsigned int __nr = ((call) = (first), 0);			\
	     __nr < (max) && uprobe_shares_word(call, &(first)->pub);	\
	     (call) = (call)->next, __nr++)

/**
 * struct uprobe_opening - the call that an entry hit may open
 * @sp: address of the return word
 * @ret_addr: what it holds
 * @diverted: it has held that; now it leads to the trampoline
 * @divert: it shall lead there
 * @missed: why no call can be opened: enum uprobe_event_count, or -1
 * @timed: some consumer wants to know how long the call takes
 * @cramped: 0, or what it would keep, in bytes, and is more than the thread may have
 * @takers: uprobe_consumer::bit of those that want the return
 * @keepers: of those of them that have a pouch
 * @lost: of those that miss the return, since the call has no room for pouches
 */
struct uprobe_opening {
	unsigned long		sp;
	unsigned long		ret_addr;
	bool			diverted;
	bool			divert;
	int			missed;
	bool			timed;
	unsigned int		cramped;
	u64			takers;
	u64			keepers;
	u64			lost;
};

/**
 * struct uprobe_thread - what a thread that met a uprobe carries along
 * @task: the part that others read; task_struct::utask points to it
 * @owner: whose it is. A task that is being made points to its parent's for a while.
 * @step: what it is in the middle of
 * @resumes: it may be back at an interrupted instruction
 * @hit_vaddr: in STEP_HIT and STEP_EXECUTE: the address of the breakpoint
 * @hit_time: when the breakpoint trapped, ns of CLOCK_MONOTONIC; of no meaning
 *	if no open call was timed then
 * @site: in STEP_RUNNING and after: the site it stands on, referenced
 * @slot: and the slot it is in, which may be lost to the process meanwhile
 * @arch: what the architecture saved for the step
 * @stranded: 0, or where in a slot it was when that was unmapped
 * @stranded_origin: where that is without the slot
 * @stranded_vaddr: and the address of the instruction
 * @interrupted: instructions that it will go on with without another hit
 * @nr_interrupted: how many
 * @trap: has it met a debugger's breakpoint at a site?
 * @trap_vaddr: if so: where; the consumers have been told
 * @trap_sp: and with which stack pointer
 * @list: room for the deliveries of a hit
 * @room: for so many
 * @buffer: room for what they gather, in task context
 * @buffer_size: how much, in bytes
 * @unread: user memory that a gather couldn't read
 * @calls: open calls, the innermost first (struct open_call)
 * @nr_calls: how many
 * @nr_timed: how many of them are timed
 * @unlinked: how many have gone that weren't the innermost
 * @pouches: bytes of open_call::pouches in @calls and @pool
 * @keeps: sites are kept for @calls that nobody wants any more
 * @attending: it is using its calls, in task context
 * @returned_sp: where the return word was of what has returned by the trampoline,
 *	while that is delivered, else 0: what stands there may be something else by now
 * @seeks: it is to look for a call among those of other threads
 * @vain: so often it has done so in vain, up to a limit
 * @vain_at: jiffies when it has last done so
 * @pool: call objects to use again
 * @handler_ns: time that this thread has spent on hits, in ns
 * @next_id: number of the next call
 * @end_id: end of the block of numbers that this thread has taken
 *
 * Only the thread itself uses it, except for uprobe_copy_process(), which
 * fills the one of a child that has not run yet, and for uprobe_strand(), while
 * the thread doesn't run or from an interrupt on its CPU; so do those who ask for
 * its calls (foreign.c).
 */
struct uprobe_thread {
	struct uprobe_task	task;
	struct task_struct	*owner;
	enum uprobe_step	step;
	bool			resumes;
	unsigned long		hit_vaddr;
	u64			hit_time;
	struct uprobe_site	*site;
	unsigned long		slot;
	struct arch_uprobe_task	arch;
	unsigned long		stranded;
	unsigned long		stranded_origin;
	unsigned long		stranded_vaddr;
	struct uprobe_interruption *interrupted;
	unsigned int		nr_interrupted;
	enum uprobe_trap	trap;
	unsigned long		trap_vaddr;
	unsigned long		trap_sp;
	struct uprobe_delivery	*list;
	unsigned int		room;
	void			*buffer;
	size_t			buffer_size;
	struct uprobe_unread	unread;
	struct open_call	*calls;
	unsigned int		nr_calls;
	unsigned int		nr_timed;
	unsigned int		unlinked;
	u64			pouches;
	bool			keeps;
	bool			attending;
	unsigned long		returned_sp;
	bool			seeks;
	u8			vain;
	unsigned long		vain_at;
	struct open_call	*pool;
	u64			handler_ns;
	u64			next_id;
	u64			end_id;
};

/* The innermost call goes back to the pool, as if it had never been opened. */
static inline void uprobe_call_undo(struct uprobe_thread *ut,
				    struct open_call *call)
{
	ut->calls = call->next;
	ut->nr_calls--;
	call->next = ut->pool;
	ut->pool = call;
}

/* Nobody else takes calls away, or counts them, until uprobe_calls_release(). */
static inline void uprobe_calls_attend(struct uprobe_thread *ut)
{
	WRITE_ONCE(ut->attending, true);
	/* who asks does so on this CPU, or when the thread has left it */
	barrier();
}

static inline void uprobe_calls_release(struct uprobe_thread *ut)
{
	barrier();
	WRITE_ONCE(ut->attending, false);
}

/* The consumers of @uprobe, inside a section of either RCU. */
#define for_each_consumer(uc, uprobe)					\
	list_for_each_entry_rcu(uc, &(uprobe)->consumers, cons_node,	\
				rcu_read_lock_trace_held())

static inline struct uprobe_thread *uprobe_thread_of(struct task_struct *t)
{
	return t->utask ? container_of(t->utask, struct uprobe_thread, task) :
			  NULL;
}

/* where in its file is an address of a mapping, and the other way round */
static inline loff_t uprobe_offset_of(const struct vm_area_struct *vma,
				      unsigned long vaddr)
{
	return ((loff_t)vma->vm_pgoff << PAGE_SHIFT) + (vaddr - vma->vm_start);
}

static inline unsigned long uprobe_vaddr_of(const struct vm_area_struct *vma,
					    loff_t offset)
{
	return vma->vm_start + offset - ((loff_t)vma->vm_pgoff << PAGE_SHIFT);
}

/**
 * enum uprobe_audience - whom do the consumers of a file's uprobes want?
 * @UPROBE_AUDIENCE_NONE: there are none
 * @UPROBE_AUDIENCE_TARGETS: at the most the address spaces of announced tasks, or of
 *	those in a scope: uprobe_registry_has_scope()
 * @UPROBE_AUDIENCE_ANY: only the filters know
 */
enum uprobe_audience {
	UPROBE_AUDIENCE_NONE,
	UPROBE_AUDIENCE_TARGETS,
	UPROBE_AUDIENCE_ANY,
};

/* registry.c */
extern unsigned long uprobe_departures;
struct uprobe *uprobe_registry_get(struct inode *inode, loff_t offset);
void uprobe_registry_leave(struct uprobe *uprobe);
struct uprobe *uprobe_registry_find(u32 id, u64 serial);
struct uprobe *uprobe_registry_next(struct inode *inode, loff_t from,
				    loff_t to, bool general);
enum uprobe_audience uprobe_registry_audience(struct inode *inode);
void uprobe_registry_count_general(struct uprobe *uprobe, int d);
bool uprobe_registry_has_scope(struct inode *inode, const struct mm_struct *mm);
int uprobe_registry_join_scope(struct uprobe *uprobe,
			       const struct uprobe_scope *scope);
void uprobe_registry_leave_scope(struct uprobe *uprobe,
				 const struct uprobe_scope *scope);
void uprobe_registry_unsettle(void);

/*
 * Whose call is it? NULL if its last consumer has left. In a section of RCU or
 * RCU tasks trace, in which the uprobe stays.
 */
static inline struct uprobe *uprobe_of_call(const struct open_call *call)
{
	/* as long as none has left, this one hasn't; later it waits for us */
	if (likely(READ_ONCE(uprobe_departures) == call->departures))
		return call->uprobe;
	return uprobe_registry_find(call->uprobe_id, call->uprobe_serial);
}

/* The consumer's own bytes in a call that is opened, or NULL. */
static inline void *uprobe_pouch_to_fill(struct open_call *call,
					 const struct uprobe_consumer *uc)
{
	if (likely(!uc->pouch_size) || !call ||
	    uc->pouch_at + uc->pouch_size > call->room)
		return NULL;
	call->filled |= BIT_ULL(uc->bit);
	return (u8 *)call->pouches + uc->pouch_at;
}

/* The same at the return: what is in it is of this consumer and this call. */
static inline void *uprobe_pouch_filled(struct open_call *call,
					const struct uprobe_consumer *uc)
{
	if (likely(!uc->pouch_size) || !(call->filled & BIT_ULL(uc->bit)))
		return NULL;
	return (u8 *)call->pouches + uc->pouch_at;
}

/* register.c */
extern u64 uprobe_last_epoch;
bool uprobe_consumer_wants(struct uprobe_consumer *uc, struct mm_struct *mm);
bool uprobe_wanted(struct uprobe *uprobe, struct mm_struct *mm);
bool uprobe_wants_returns(struct uprobe *uprobe, struct mm_struct *mm);
void uprobe_count(struct uprobe *uprobe, struct mm_struct *mm,
		  enum uprobe_event_count what);
void uprobe_count_call(struct uprobe *uprobe, u64 epoch, u64 takers,
		       enum uprobe_event_count what);
u64 uprobe_inheritors(struct uprobe *uprobe, u64 epoch, u64 takers,
		      struct task_struct *child, struct uprobe_user **payer);
int uprobe_charge(struct uprobe *uprobe, struct mm_struct *mm, bool returns,
		  enum uprobe_quota what, struct uprobe_user **payer);

/*
 * How many consumers there have been; to be read before the consumers of a hit
 * are looked at. Pairs with add_consumer(): who is counted is in its list.
 */
static inline u64 uprobe_epoch(void)
{
	return smp_load_acquire(&uprobe_last_epoch);
}

/* More consumers than bits: the last ones share one, and are asked again. */
#define UPROBE_SHARED_BIT	63

/*
 * Did this consumer take the entry of a call, and so gets its return? @epoch and
 * @takers: of the call.
 */
static inline bool uprobe_took(const struct uprobe_consumer *uc, u64 epoch,
			       u64 takers)
{
	return uc->since <= epoch && (takers & BIT_ULL(uc->bit));
}

static inline bool uprobe_consumer_is_returner(const struct uprobe_consumer *uc)
{
	return uc->ret_handler || uc->returns;
}

/* Without its scope. */
static inline bool uprobe_passes_filter(struct uprobe_consumer *uc,
					struct mm_struct *mm)
{
	return !uc->filter || uc->filter(uc, mm);
}

/* walk.c */
void uprobe_count_walk(void);
unsigned int uprobe_walks_done(void);
bool uprobe_walked_since(unsigned int done);
void uprobe_place(struct uprobe *uprobe, struct vm_area_struct *vma);
void uprobe_recheck_site(struct uprobe *uprobe, struct uprobe_site *site);
void uprobe_recheck(struct uprobe *uprobe, struct mm_struct *mm);
bool uprobe_recheck_space(struct mm_struct *mm);
int uprobe_install(struct uprobe *uprobe, struct uprobe_consumer *uc,
		   const struct task_struct *task);
void uprobe_recheck_everywhere(struct uprobe *uprobe);

/* targets.c */
bool uprobe_is_target(const struct mm_struct *mm);

/* scope.c */
void uprobe_scope_copied(struct task_struct *t, u64 flags);

/* mappings.c */
bool uprobe_vma_is_text(const struct vm_area_struct *vma);
bool uprobe_vma_is_executed(const struct vm_area_struct *vma);
void uprobe_sync(struct mm_struct *mm);
void uprobe_mark(struct mm_struct *mm, unsigned long start, unsigned long end);
void uprobe_mark_for_all(struct mm_struct *mm, unsigned long start,
			 unsigned long end);
void uprobe_mark_child(struct mm_struct *mm);
void uprobe_leave_to_others(struct mm_struct *mm);
void uprobe_mark_areas(struct mm_struct *mm);
bool uprobe_is_dirty(const struct mm_struct *mm);

/*
 * A site has gone, or no call returns there any more. Pairs with
 * uprobe_call_try(): who reads the new number doesn't find the site.
 */
static inline void uprobe_space_lost_site(struct uprobe_space *space)
{
	smp_store_release(&space->losses, space->losses + 1);
}

/* sites.c */
struct uprobe_space *uprobe_space_make(struct mm_struct *mm);
bool uprobe_space_is_empty(struct uprobe_space *space);
struct uprobe_space *uprobe_space_clone(struct uprobe_space *from,
					struct mm_struct *mm);
void uprobe_space_free(struct uprobe_space *space);
void uprobe_site_put(struct uprobe_site *site);
bool uprobe_site_matches(const struct uprobe_site *site,
			 const struct vm_area_struct *vma);
int uprobe_site_install(struct uprobe *uprobe, struct vm_area_struct *vma,
			unsigned long vaddr);
bool uprobe_returns_are_seen(struct uprobe_site *entry, unsigned long vaddr);
int uprobe_site_make_return(struct uprobe_site *entry, unsigned long vaddr);
int uprobe_site_verify(struct uprobe_site *site);
void uprobe_site_link(struct uprobe_site *site);
void uprobe_site_refresh(struct uprobe_site *site);
void uprobe_site_abandon(struct uprobe_site *site);
void uprobe_site_remove(struct uprobe_site *site);
void uprobe_site_drop_uprobe(struct uprobe_site *site);
void uprobe_site_end_entry(struct uprobe_site *site);

/* index.c */
int uprobe_index_init(struct uprobe_space *space, gfp_t may_fail);
void uprobe_index_free(struct uprobe_space *space);
void uprobe_index_add(struct uprobe_site *site, bool is_entry);
void uprobe_index_remove(struct uprobe_site *site);
struct uprobe_site *uprobe_site_get(struct mm_struct *mm, unsigned long vaddr);
struct uprobe_site *uprobe_site_first(struct uprobe_space *space,
				      unsigned long from);

/* breakpoint.c */
struct page *uprobe_page_make(struct mm_struct *mm, unsigned long vaddr,
			      unsigned int flags);
struct page *uprobe_page_get(struct mm_struct *mm, unsigned long vaddr,
			     unsigned int flags);
struct page *uprobe_page_get_back(struct mm_struct *mm, unsigned long vaddr,
				  unsigned int flags);
int uprobe_text_read(struct mm_struct *mm, unsigned long vaddr, void *buf,
		     size_t len, unsigned long *absent);
int uprobe_text_set_breakpoint(struct mm_struct *mm, unsigned long vaddr,
			       u8 old);
int uprobe_text_restore(struct mm_struct *mm, unsigned long vaddr, u8 old);
bool uprobe_text_in_file(struct vm_area_struct *vma, unsigned long vaddr,
			 u8 *byte);

/* absent.c */

/* So often a page is waited for that has gone again when it is looked at. */
#define UPROBE_MAX_WAITS	64

bool uprobe_is_at_hand(struct vm_area_struct *vma, unsigned long addr);
void uprobe_flag_threads(struct mm_struct *mm);
int uprobe_put_off(struct uprobe_space *space, unsigned long vaddr,
		   unsigned long absent);
bool uprobe_wait_for_page(unsigned long absent);

/* semaphore.c */
void uprobe_semaphores_recheck(struct mm_struct *mm);
void uprobe_semaphores_update(struct uprobe *uprobe, struct mm_struct *mm,
			      bool placed);
bool uprobe_semaphores_waiting(struct uprobe_space *space);
void uprobe_semaphores_retry(struct uprobe_space *space, bool again);
int uprobe_semaphores_clone(struct uprobe_space *to,
			    struct uprobe_space *from);
void uprobe_semaphores_free(struct uprobe_space *space);

/* slots.c */
int uprobe_slot_alloc(struct uprobe_site *site);
unsigned long uprobe_slot_origin(const struct uprobe_space *space,
				 unsigned long addr, unsigned long *vaddr);
bool uprobe_slot_is_mapped(const struct uprobe_space *space, unsigned long addr);
bool uprobe_slot_is_lost(const struct uprobe_site *site);
int uprobe_slot_replace(struct uprobe_site *site);
void uprobe_slot_check(struct uprobe_site *site);
void uprobe_slot_retire(struct uprobe_site *site);
void uprobe_slots_reclaim(struct uprobe_space *space);
int uprobe_slot_clone(struct uprobe_site *site, const struct uprobe_site *from);
int uprobe_areas_clone(struct uprobe_space *to, struct uprobe_space *from);
bool uprobe_areas_unmap(struct uprobe_space *space);
void uprobe_areas_free(struct uprobe_space *space);

/* room.c */
unsigned long uprobe_find_room(struct mm_struct *mm, unsigned long vaddr,
			       unsigned long low, unsigned long high,
			       unsigned long len);
int uprobe_map(struct mm_struct *mm, unsigned long vaddr, unsigned long len,
	       vm_flags_t flags, const struct vm_operations_struct *ops);

/* threads.c */
typedef void (*uprobe_visitor)(void *data, struct task_struct *t,
			       unsigned long ip);
bool uprobe_visit_thread(struct task_struct *task, struct mm_struct *mm,
			 uprobe_visitor visit, void *data);
bool uprobe_visit_threads(struct mm_struct *mm, uprobe_visitor visit,
			  void *data);

/* strand.c has uprobe_deny_fault(), too, which the architecture calls */
void uprobe_strand(const struct uprobe_space *space, unsigned long start,
		   unsigned long end, unsigned long lost);

/* trap.c has uprobe_breakpoint(), which the architecture calls */

/* Consumers of an entry, or calls and consumers of a return, that are dealt with in the trap. */
#define UPROBE_MAX_IN_TRAP	32

/* Room for what is gathered in the trap, in bytes; no hit uses it for long. */
#define UPROBE_GATHER_SIZE	((size_t)8192)

struct uprobe_gather_buffer {
	u64 words[UPROBE_GATHER_SIZE / sizeof(u64)];
};

DECLARE_PER_CPU(struct uprobe_gather_buffer, uprobe_gather_buffer);

/* hit.c */
void uprobe_handle_hit(struct uprobe_thread *ut, struct pt_regs *regs);
void uprobe_go_on(struct uprobe_thread *ut, unsigned long vaddr,
		  struct pt_regs *regs);

/* deliver.c */
/*
 * Nobody wanted an entry at a site: is that so for the whole address space? Who was
 * wanted may have ended while others use its memory. More often the thread is one of a
 * process where another one is wanted, so filters are asked but once in a while.
 */
#define UPROBE_ASK_SITE_AGAIN	HZ
#define UPROBE_ASK_SPACE_AGAIN	(10 * HZ)

/* @at: not before this time, in jiffies, which is at the most @wait ahead of its setting. */
static inline bool uprobe_may_ask(unsigned long at, unsigned long wait)
{
	return !time_in_range(at, jiffies + 1, jiffies + wait);
}

static inline bool uprobe_site_may_ask(const struct uprobe_site *site)
{
	return uprobe_may_ask(READ_ONCE(site->ask_at), UPROBE_ASK_SITE_AGAIN);
}

static inline enum uprobe_wish uprobe_wish_of(struct uprobe_consumer *uc,
					      const struct uprobe_call *call)
{
	if (uc->wish)
		return uc->wish(uc, call);
	return (call ? !!uc->ret_handler : !!uc->handler) ?
	       UPROBE_WISH_HANDLER : UPROBE_WISH_RECORD;
}

/* At entry: it doesn't want the return, if it is one who gets returns. */
static inline void uprobe_count_declined(struct uprobe_consumer *uc)
{
	if (uc->count && uprobe_consumer_is_returner(uc))
		uc->count(uc, UPROBE_MISSED_DECLINED);
}

int uprobe_deliver_now(struct uprobe_thread *ut, struct uprobe_site *site,
		       struct pt_regs *regs);
void uprobe_deliver_patiently(struct uprobe_thread *ut,
			      struct uprobe_site *site, struct pt_regs *regs);

/* gather.c */
bool uprobe_fault_in(struct uprobe_thread *ut);

/* interrupt.c */
void uprobe_interrupted(struct uprobe_thread *ut, unsigned long vaddr,
			struct pt_regs *regs);
void uprobe_remember(struct uprobe_thread *ut, unsigned long vaddr,
		     unsigned long sp);
void uprobe_inherit_interruptions(struct uprobe_thread *child,
				  const struct uprobe_thread *parent);
void uprobe_forget_interruptions(struct uprobe_thread *ut);
void uprobe_rescue(struct uprobe_thread *ut, struct pt_regs *regs);
void uprobe_resume(struct uprobe_thread *ut, struct pt_regs *regs);

/* debugger.c */
void uprobe_trap(struct uprobe_thread *ut, unsigned long vaddr,
		 struct pt_regs *regs);
bool uprobe_back_from_trap(struct uprobe_thread *ut, struct pt_regs *regs);

/* users.c */
void uprobe_user_force(struct uprobe_user *user, enum uprobe_quota what, long n);
bool uprobe_user_is_same(const struct uprobe_user *a,
			 const struct uprobe_user *b);
bool uprobe_user_has_too_many(const struct uprobe_user *user,
			      enum uprobe_quota what);

/* limits.c */
/* So many bytes of pouches for each of uprobe_max_depth calls, as a mean. */
#define UPROBE_POUCHES	256ULL

extern unsigned int uprobe_max_depth, uprobe_max_return_sites, uprobe_trampoline;

/* step.c */
void uprobe_step_start(struct uprobe_thread *ut, struct uprobe_site *site,
		       unsigned long slot, struct pt_regs *regs);
void uprobe_step_finish(struct uprobe_thread *ut, struct pt_regs *regs);
void uprobe_step_abort(struct uprobe_thread *ut, struct pt_regs *regs);
void uprobe_step_cancel(struct uprobe_thread *ut, struct pt_regs *regs);

/* foreign.c */
void uprobe_calls_note_left(struct uprobe_space *space,
			    const struct open_call *call);
bool uprobe_calls_are_sought(struct uprobe_thread *ut);
struct open_call *uprobe_calls_fetch(struct uprobe_thread *ut,
				     unsigned long vaddr, struct pt_regs *regs);

/* trampoline.c */
int uprobe_may_divert(struct uprobe_site *entry, struct pt_regs *regs,
		      unsigned long sp, unsigned long ret_addr);
int uprobe_divert(struct uprobe_space *space, struct pt_regs *regs,
		  unsigned long sp, unsigned long ret_addr);
void uprobe_divert_again(struct uprobe_space *space, unsigned long sp);
void uprobe_forget_diverted(unsigned long sp);
bool uprobe_is_diverted(struct uprobe_space *space, struct pt_regs *regs,
			unsigned long sp, unsigned long *ret_addr);
unsigned long uprobe_diverted_ip(struct uprobe_space *space,
				 struct pt_regs *regs);
bool uprobe_has_returned_diverted(struct pt_regs *regs);
void uprobe_return_diverted(struct uprobe_thread *ut, struct pt_regs *regs);
void uprobe_hide_trampoline(struct uprobe_space *space, unsigned long addr,
			    void *buf, size_t len);
int uprobe_diverted_clone(struct uprobe_space *to, struct uprobe_space *from);

/* call.c */
int uprobe_calls_prepare_now(struct uprobe_thread *ut, struct uprobe *uprobe,
			     struct uprobe_site *entry, struct pt_regs *regs,
			     const struct open_call *returned,
			     struct uprobe_opening *opening);
void uprobe_calls_prepare(struct uprobe_thread *ut, struct uprobe *uprobe,
			  struct uprobe_site *entry, struct pt_regs *regs,
			  const struct open_call *returned,
			  struct uprobe_opening *opening);
void uprobe_calls_divert(struct uprobe_thread *ut, struct uprobe_space *space,
			 struct pt_regs *regs,
			 const struct uprobe_opening *opening);
struct open_call *uprobe_calls_open(struct uprobe_thread *ut,
				    struct uprobe *uprobe, unsigned long func,
				    u64 epoch,
				    const struct uprobe_opening *opening);
struct open_call *uprobe_call_try(struct uprobe_thread *ut,
				  struct uprobe *uprobe,
				  struct uprobe_site *entry,
				  struct pt_regs *regs);
void uprobe_calls_entered(struct uprobe_thread *ut, u64 now);
void uprobe_calls_leave(struct uprobe_thread *ut, unsigned long vaddr,
			struct pt_regs *regs);
struct open_call *uprobe_calls_returned_now(struct uprobe_thread *ut,
					    unsigned long vaddr,
					    struct pt_regs *regs);
struct open_call *uprobe_calls_returned(struct uprobe_thread *ut,
					unsigned long vaddr,
					struct pt_regs *regs);
void uprobe_call_measure(struct uprobe_thread *ut, struct open_call *call);
bool uprobe_calls_want(const struct uprobe *uprobe,
		       const struct uprobe_consumer *uc);
struct open_call *uprobe_calls_closed(struct uprobe_thread *ut,
				      struct open_call *first,
				      unsigned int max);
void uprobe_calls_inherit(struct uprobe_thread *ut,
			  const struct uprobe_thread *parent,
			  struct task_struct *child);
void uprobe_calls_free(struct uprobe_thread *ut, enum uprobe_event_count why);

/* depth.c */
bool uprobe_depth_is_near(const struct uprobe_thread *ut,
			  const struct open_call *call, u64 serial);

/* scope.c */
void uprobe_scope_get(const struct uprobe_scope *scope);
void uprobe_scope_put(const struct uprobe_scope *scope);

/* task.c */
struct uprobe_thread *uprobe_thread_make(gfp_t gfp);

#endif /* _KERNEL_EVENTS_UPROBES_INTERNAL_H */

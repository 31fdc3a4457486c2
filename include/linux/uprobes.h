/* SPDX-License-Identifier: GPL-2.0 */
/*
 * User-space probes.
 *
 * Three parts: what a consumer uses to get the hits of a place in a file;
 * the hooks that mm, fork, exec, signals and entry code call; the contract
 * between the core (kernel/events/uprobes/) and the architecture
 * (arch/.../kernel/uprobes/). Documentation/trace/uprobes-design.rst tells how a probe
 * travels through all of it and what the words mean.
 */
#ifndef _LINUX_UPROBES_H
#define _LINUX_UPROBES_H

#include <linux/err.h>
#include <linux/errno.h>
#include <linux/list.h>
#include <linux/types.h>
#include <linux/uprobes_types.h>
#include <uapi/linux/uprobes.h>

struct cred;
struct inode;
struct mm_struct;
struct notifier_block;
struct page;
struct perf_event;
struct pt_regs;
struct task_struct;
struct trace_event_call;
struct uprobe;
struct uprobe_user;
struct vm_area_struct;

/* ---- consumers ---------------------------------------------------------- */

/* handler(): "this process no longer interests me"; filter() must agree */
#define UPROBE_HANDLER_REMOVE		1
/* the same of a consumer with commit(), which finds it in uprobe_hit::verdict */
#define UPROBE_HANDLER_IGNORE		2
/* handler() and commit() at an entry: "not this call", its return isn't wanted */
#define UPROBE_HANDLER_DECLINE		4

/* bytes of the pouches of all consumers of a place together: a call fits in 32 kB */
#define UPROBE_MAX_POUCHES		(32768 - 256)

/**
 * enum uprobe_event_count - what happens besides a plain entry or return
 * @UPROBE_INHERITED: fork copied an open call into the child; counts like
 *	an entry
 * @UPROBE_MISSED_DEPTH: the task had too many open calls
 * @UPROBE_MISSED_MEMORY: no memory for the call, or for its record
 * @UPROBE_MISSED_FAULT: user memory that was needed could not be read
 * @UPROBE_MISSED_UNWOUND: the frame was left by longjmp() or an exception
 * @UPROBE_MISSED_DECLINED: the consumer's entry handler didn't want this call
 * @UPROBE_MISSED_INSTALL: no site could be made where the consumer wants one
 * @UPROBE_MISSED_EXIT: the task exited inside the call
 * @UPROBE_MISSED_EXEC: the task called execve() inside the call
 * @UPROBE_MISSED_UNREGISTERED: the consumer went away during the call; that it
 *	works out itself
 * @UPROBE_MISSED_SHED: the process gained privileges, or may not be traced any more
 * @UPROBE_MISSED_NO_SITE: the return address can't carry a site
 * @UPROBE_NR_COUNTS: how many there are
 *
 * For each consumer of returns whose targets are at rest: entries + inherited =
 * returns + calls still open + everything missed but UPROBE_MISSED_INSTALL and
 * UPROBE_MISSED_SHED, which don't count calls.
 */
enum uprobe_event_count {
	UPROBE_INHERITED,
	UPROBE_MISSED_DEPTH,
	UPROBE_MISSED_MEMORY,
	UPROBE_MISSED_FAULT,
	UPROBE_MISSED_UNWOUND,
	UPROBE_MISSED_DECLINED,
	UPROBE_MISSED_INSTALL,
	UPROBE_MISSED_EXIT,
	UPROBE_MISSED_EXEC,
	UPROBE_MISSED_UNREGISTERED,
	UPROBE_MISSED_SHED,
	UPROBE_MISSED_NO_SITE,
	UPROBE_NR_COUNTS,
};

/**
 * enum uprobe_quota - what is counted to a user without privilege
 * @UPROBE_QUOTA_PROBES: consumers
 * @UPROBE_QUOTA_SITES: breakpoints in address spaces
 * @UPROBE_QUOTA_SLOT_PAGES: pages of slots there
 * @UPROBE_QUOTA_CALLS: calls that threads have room for
 * @UPROBE_QUOTA_EVENTS: perf events that want the hits of the probes
 * @UPROBE_NR_QUOTAS: how many there are
 */
enum uprobe_quota {
	UPROBE_QUOTA_PROBES,
	UPROBE_QUOTA_SITES,
	UPROBE_QUOTA_SLOT_PAGES,
	UPROBE_QUOTA_CALLS,
	UPROBE_QUOTA_EVENTS,
	UPROBE_NR_QUOTAS,
};

/**
 * struct uprobe_call - one entry of a function that waits for its return
 * @func: address of the function's first instruction in this process
 * @ret_addr: where it returns to
 * @sp: address of the return word on the user stack
 * @entry_time: CLOCK_MONOTONIC in ns when the entry's handlers were done; for
 *	consumers with uprobe_consumer::timed
 * @latency: at return, for these: ns from entry to return, less the time
 *	that probe handlers took in this task in between
 * @id: number of this call, unique in the boot
 *
 * Consumers only read it. It lives from the entry hit to the end of the
 * commits of the return and belongs to the task that made the call.
 */
struct uprobe_call {
	unsigned long		func;
	unsigned long		ret_addr;
	unsigned long		sp;
	u64			entry_time;
	u64			latency;
	u64			id;
};

/**
 * enum uprobe_wish - what a consumer wants of a hit
 * @UPROBE_WISH_NONE: nothing, nor the return of an entry
 * @UPROBE_WISH_TALLY: to count it, which is a commit() of nothing
 * @UPROBE_WISH_RECORD: gather() and commit()
 * @UPROBE_WISH_HANDLER: its handler to be called, too, which may sleep
 */
enum uprobe_wish {
	UPROBE_WISH_NONE,
	UPROBE_WISH_TALLY,
	UPROBE_WISH_RECORD,
	UPROBE_WISH_HANDLER,
};

/**
 * struct uprobe_hit - what gather() and commit() are told
 * @regs: registers of the current task; the instruction pointer stands at the
 *	probed instruction, or at the return address
 * @func: address of the probed instruction in this process
 * @call: the call that returns; NULL at entry
 * @opens: at entry, in a commit: the call that it opens, if somebody wants its
 *	return and that can be seen; else NULL
 * @pouch: the consumer's own uprobe_consumer::pouch_size bytes in that call,
 *	aligned to 8: of any content until a commit at entry has written them, and
 *	what that has written at return. NULL without a call or without a pouch, at
 *	an entry whose call has no room for it, so that the return is missed, and
 *	at the return of a call whose entry it has only counted.
 * @wish: what the consumer has just said that it wants of the hit;
 *	UPROBE_WISH_NONE if it hasn't been asked
 * @verdict: what the consumer's handler of this hit has returned; 0 without
 */
struct uprobe_hit {
	struct pt_regs			*regs;
	unsigned long			func;
	const struct uprobe_call	*call;
	const struct uprobe_call	*opens;
	void				*pouch;
	enum uprobe_wish		wish;
	int				verdict;
};

/**
 * struct uprobe_scope - some of the tasks, of which consumers want hits
 * @has_task: is this task one of them? It is the current one, or kept.
 * @has_mm: does one of them use this address space? It may be anybody's.
 * @changes: a task can come into it and leave it, by its user or its cgroup
 *
 * Both are called in a section of RCU. One scope may serve any number of consumers: a process
 * that maps their file is asked about once. It stays for a grace period of RCU after
 * the last of them has unregistered.
 */
struct uprobe_scope {
	bool (*has_task)(const struct uprobe_scope *self,
			 struct task_struct *task);
	bool (*has_mm)(const struct uprobe_scope *self,
		       const struct mm_struct *mm);
	bool changes;
};

/**
 * struct uprobe_consumer - somebody who wants the hits of a uprobe
 * @gather: an entry or, for @returns, a return: read what is needed into
 *	@buf, which has room for @size bytes and is aligned to 8. Atomic, and
 *	without any effect, for it may be called again, for the same hit. Reads
 *	the program's memory by uprobe_read_user() and its like. Returns how
 *	many bytes it has used; -E2BIG if there is too little room; -ENOENT if
 *	the consumer doesn't want the hit; -ESRCH, as after UPROBE_WISH_NONE, if it
 *	may not want any of this address space: when all say so, their filters are
 *	asked, but not at every hit. Memory that can't be read is no error: it is noted,
 *	and what there is in its place is the consumer's to say. May be NULL: nothing to
 *	read.
 * @commit: all consumers have gathered: write the record. What is in @buf
 *	isn't used afterwards; with a @size of 0, as after UPROBE_WISH_TALLY,
 *	the hit is only counted. Doesn't sleep; preemption may be on. Returns 0,
 *	or at an entry that isn't only counted UPROBE_HANDLER_DECLINE. May be NULL.
 * @handler: called at an entry hit, with the address of the probed
 *	instruction as instruction pointer. May sleep, and so takes the hit to
 *	task context; the thread stays on its CPU, and who wants to move it, or the
 *	CPU to go, waits. Returns 0 or UPROBE_HANDLER_ values. May be NULL.
 * @ret_handler: called when a call returns; @func is the probed address.
 *	May sleep, as @handler. Returns 0 or, with @commit, UPROBE_HANDLER_ values. May be
 *	NULL.
 * @wish: what does it want of an entry (@call is NULL) or a return, here and
 *	now? Atomic, without any effect. NULL: always its handler, or without one
 *	a record.
 * @tally: says the same, and if that is UPROBE_WISH_TALLY it has counted the
 *	hit. Asked in the trap, if there is no other consumer. NULL: as @wish.
 * @returns: gather() and commit() want returns, too
 * @pouch_size: how many bytes of its own it wants in each call: uprobe_hit::pouch.
 *	Not for the 64th consumer of a place and later ones, which can't decline
 *	calls either.
 * @timed: they want to know when and how long
 * @asks_depth: gather() and commit() may call uprobe_call_depth()
 * @filter: does this consumer want hits of this address space? NULL: of all.
 *	Asked in task context with mm->mmap_lock of @mm possibly held, for
 *	reading or writing, whenever a site might be made or removed.
 * @targeted: filter() wants at the most the address spaces of tasks that
 *	were announced by uprobe_target_get(): a process that has none of them
 *	isn't asked about. Read by uprobe_register(), which then makes no site, and by
 *	uprobe_apply().
 * @target: filter() wants at the most this task's address space. The consumer
 *	keeps the task until it has unregistered. NULL: nothing of the kind.
 * @scope: of the address spaces that filter() wants only those that somebody in scope
 *	uses. NULL: all of them. Who leaves a scope inside of calls, and whom filter() still wants,
 *	keeps the sites until they have returned. Whose a hit is wish() has to ask itself.
 * @payer: to whom is counted what is made for it, unless somebody else wants the same
 *	to whom nothing is counted; or NULL: nobody. Kept by the consumer.
 * @by_visit: it is targeted, and its sites come and go by uprobe_visit(), and not when it
 *	registers or unregisters. May be cleared at any time before it unregisters.
 * @count: told of each call of this consumer that ends otherwise than by a
 *	return, but not of those that are open when it unregisters; of each inherited
 *	one; of each entry or return that is missed; and of each place where no site
 *	could be made. May be NULL. Must not sleep.
 * @cons_node: list of the uprobe's consumers; private to the core
 * @ref_ctr_offset: file offset of the semaphore of this consumer, 0 for
 *	none; private to the core, set by uprobe_register()
 * @general: it is counted as not targeted; private to the core, under the
 *	lock of its uprobe
 * @since: first epoch of registrations whose calls this consumer sees;
 *	private to the core
 * @bit: stands for it in open calls; private to the core
 * @pouch_at: where its pouch is among those of a call; private to the core
 *
 * gather() and commit() of one hit come in this order, in the task that hit
 * the probe; with a handler, that is called in between. All of them run inside
 * a read-side section of RCU or of RCU tasks trace, which is why memory of a
 * consumer may be freed only after uprobe_unregister_sync().
 */
struct uprobe_consumer {
	int (*gather)(struct uprobe_consumer *self,
		      const struct uprobe_hit *hit, void *buf, size_t size);
	int (*commit)(struct uprobe_consumer *self,
		      const struct uprobe_hit *hit, void *buf, size_t size);
	int (*handler)(struct uprobe_consumer *self, struct pt_regs *regs);
	int (*ret_handler)(struct uprobe_consumer *self, unsigned long func,
			   struct pt_regs *regs);
	enum uprobe_wish (*wish)(struct uprobe_consumer *self,
				 const struct uprobe_call *call);
	enum uprobe_wish (*tally)(struct uprobe_consumer *self,
				  const struct uprobe_call *call);
	bool (*filter)(struct uprobe_consumer *self, struct mm_struct *mm);
	void (*count)(struct uprobe_consumer *self,
		      enum uprobe_event_count what);
	bool			returns;
	bool			timed;
	bool			asks_depth;
	bool			targeted;
	bool			by_visit;
	u16			pouch_size;
	struct task_struct	*target;
	const struct uprobe_scope *scope;
	struct uprobe_user	*payer;

	bool			general;
	struct list_head	cons_node;
	loff_t			ref_ctr_offset;
	u64			since;
	u8			bit;
	u16			pouch_at;
};

#ifdef CONFIG_UPROBES
#include <asm/uprobes.h>

/**
 * struct uprobe_task - what code outside the core reads of a task's state
 * @vaddr: a pointer that the handlers leave for helpers they call
 *	(bpf_get_func_ip() finds the probed address through it)
 * @auprobe: the probed instruction while entry handlers run, else NULL;
 *	perf's call chains look at its bytes
 * @labelled: the task's credentials when @label was asked for; only compared, and NULL
 *	when they have changed
 * @label: what security modules call the task (trace_uprobe_rights.c)
 *
 * Reached through task_struct::utask by the task itself only.
 */
struct uprobe_task {
	unsigned long			vaddr;
	struct arch_uprobe		*auprobe;
	const struct cred		*labelled;
	u32				label;
};

struct uprobe *uprobe_register(struct inode *inode, loff_t offset,
			       loff_t ref_ctr_offset,
			       struct uprobe_consumer *uc);
struct uprobe *uprobe_register_why(struct inode *inode, loff_t offset,
				   loff_t ref_ctr_offset,
				   struct uprobe_consumer *uc,
				   const char **why);
void uprobe_fetch_place(struct inode *inode, loff_t offset);
int uprobe_apply(struct uprobe *uprobe, struct uprobe_consumer *uc, bool add);
int uprobe_apply_to_task(struct uprobe *uprobe, struct uprobe_consumer *uc,
			 const struct task_struct *task);
void uprobe_unregister_nosync(struct uprobe *uprobe,
			      struct uprobe_consumer *uc);
void uprobe_unregister_sync(void);
struct uprobe *uprobe_hold(struct uprobe *uprobe);
void uprobe_put(struct uprobe *uprobe);
void uprobe_visit(struct uprobe *uprobe, struct mm_struct *mm, bool add);
void uprobe_visit_later(struct mm_struct *mm);
struct mm_struct *uprobe_mm_of_process(struct task_struct *task);
unsigned long uprobe_pending(struct uprobe *uprobe, struct uprobe_consumer *uc);
unsigned int uprobe_call_depth(const struct uprobe_call *call);
int uprobe_target_get(struct task_struct *task);
void uprobe_target_put(struct task_struct *task);
bool uprobe_task_has_perf_event(const struct task_struct *task,
				const struct trace_event_call *call,
				bool (*may)(struct perf_event *event, void *data),
				void *data);
bool uprobe_mm_has_perf_event(const struct mm_struct *mm,
			      const struct trace_event_call *call,
			      bool (*may)(struct perf_event *event, void *data),
			      void *data);
struct uprobe_user *uprobe_user_get(const struct cred *cred);
void uprobe_user_put(struct uprobe_user *user);
bool uprobe_user_charge(struct uprobe_user *user, enum uprobe_quota what,
			long n);
void uprobe_user_uncharge(struct uprobe_user *user, enum uprobe_quota what,
			  long n);
int uprobe_read_user(void *to, const void __user *from, size_t len);
long uprobe_read_user_string(char *to, const char __user *from, long len);

/* what trace events know of perf events, and of those that were opened without privilege */
#ifdef CONFIG_UPROBE_EVENTS
bool trace_uprobe_rights_matter(void);
void trace_uprobe_count_shed(void);
int trace_uprobe_describe(struct perf_event *event, unsigned int cmd,
			  void __user *arg);
#else
static inline bool trace_uprobe_rights_matter(void) { return false; }
static inline void trace_uprobe_count_shed(void) { }
#endif

/* ---- hooks for mm, fork, exec, signals and entry code ------------------- */

void uprobes_init(void);
void uprobe_mm_init(struct mm_struct *mm);
int uprobe_mmap(struct vm_area_struct *vma);
void uprobe_munmap(struct vm_area_struct *vma, unsigned long start,
		   unsigned long end);
int uprobe_moved(struct vm_area_struct *vma, unsigned long from,
		 unsigned long to, unsigned long len);
int uprobe_dup_mmap(struct mm_struct *oldmm, struct mm_struct *newmm);
void uprobe_copy_process(struct task_struct *t, u64 flags);
void uprobe_credentials_changed(const struct cred *old);
void uprobe_dumpable_changed(void);
void uprobe_cgroup_changed(struct task_struct *task);
void uprobe_free_utask(struct task_struct *t);
void uprobe_clear_state(struct mm_struct *mm);
void uprobe_peek(struct vm_area_struct *vma, unsigned long addr, void *buf,
		 size_t len);
void uprobe_poke(struct vm_area_struct *vma, struct page *page,
		 unsigned long addr, void *to, const void *from, size_t len);
void uprobe_notify_resume(struct pt_regs *regs);
bool uprobe_deny_signal(void);
void uprobe_sigreturn(void);
unsigned long uprobe_user_ip(struct pt_regs *regs);
unsigned long uprobe_returns_to(unsigned long sp, unsigned long word);
unsigned long uprobe_task_ip(struct task_struct *task, unsigned long ip);
void uprobe_leave_slot(struct pt_regs *regs);
unsigned long uprobe_get_trap_addr(struct pt_regs *regs);
bool uprobe_deny_fault(struct pt_regs *regs);

/* ---- contract with the architecture ------------------------------------- */

/* the architecture calls these from its trap handlers, interrupts off */
bool uprobe_breakpoint(struct pt_regs *regs);
bool uprobe_step_done(struct pt_regs *regs);

/*
 * The architecture provides these, and in <asm/uprobes_stack.h> where calls
 * return to; arch/x86/include/asm/uprobes.h describes struct arch_uprobe and
 * struct arch_uprobe_task.
 */
bool arch_uprobe_mm_is_64bit(const struct mm_struct *mm);
int arch_uprobe_analyze(struct arch_uprobe *au, const u8 *bytes, size_t len,
			bool is_64bit, const char **reason);
int arch_uprobe_fill_slot(const struct arch_uprobe *au, u8 *slot,
			  unsigned long slot_addr, unsigned long vaddr);
void arch_uprobe_describe_slot(const struct arch_uprobe *au,
			       struct arch_uprobe_slot *slot);
unsigned long arch_uprobe_slot_origin(const struct arch_uprobe_slot *slot,
				      unsigned long vaddr, unsigned int offset);
bool arch_uprobe_follows_call(unsigned long vaddr, bool is_64bit);
int arch_uprobe_slot_range(const struct mm_struct *mm,
			   const struct arch_uprobe *au, unsigned long vaddr,
			   unsigned long *low, unsigned long *high);
unsigned long arch_uprobe_next(const struct arch_uprobe *au,
			       unsigned long vaddr);
bool arch_uprobe_emulate(const struct arch_uprobe *au, struct pt_regs *regs,
			 unsigned long vaddr);
void arch_uprobe_step_begin(const struct arch_uprobe *au,
			    struct arch_uprobe_task *aut,
			    struct pt_regs *regs, unsigned long slot_addr);
int arch_uprobe_step_end(const struct arch_uprobe *au,
			 struct arch_uprobe_task *aut, struct pt_regs *regs,
			 unsigned long slot_addr, unsigned long vaddr);
void arch_uprobe_step_abort(const struct arch_uprobe *au,
			    struct arch_uprobe_task *aut,
			    struct pt_regs *regs, unsigned long slot_addr,
			    unsigned long vaddr);
bool arch_uprobe_is_breakpoint(struct pt_regs *regs, const u8 *bytes);
void arch_uprobe_send_trap(struct pt_regs *regs);
int arch_uprobe_exception_notify(struct notifier_block *self,
				 unsigned long val, void *data);

#else /* !CONFIG_UPROBES */

static inline void uprobes_init(void) { }

#define uprobe_get_trap_addr(regs)	instruction_pointer(regs)
#define uprobe_user_ip(regs)		instruction_pointer(regs)
#define uprobe_returns_to(sp, word)	(word)
#define uprobe_task_ip(task, ip)	(ip)

static inline struct uprobe *
uprobe_register(struct inode *inode, loff_t offset, loff_t ref_ctr_offset,
		struct uprobe_consumer *uc)
{
	return ERR_PTR(-ENOSYS);
}

static inline int uprobe_apply(struct uprobe *uprobe,
			       struct uprobe_consumer *uc, bool add)
{
	return -ENOSYS;
}

static inline void uprobe_unregister_nosync(struct uprobe *uprobe,
					    struct uprobe_consumer *uc) { }
static inline void uprobe_unregister_sync(void) { }
static inline int uprobe_mmap(struct vm_area_struct *vma) { return 0; }
static inline void uprobe_munmap(struct vm_area_struct *vma,
				 unsigned long start, unsigned long end) { }
static inline int uprobe_moved(struct vm_area_struct *vma, unsigned long from,
			       unsigned long to, unsigned long len)
{
	return 0;
}

static inline int uprobe_dup_mmap(struct mm_struct *oldmm,
				  struct mm_struct *newmm) { return 0; }
static inline void uprobe_copy_process(struct task_struct *t, u64 flags) { }
static inline void uprobe_credentials_changed(const struct cred *old) { }
static inline void uprobe_dumpable_changed(void) { }
static inline void uprobe_cgroup_changed(struct task_struct *task) { }
static inline void uprobe_free_utask(struct task_struct *t) { }
static inline void uprobe_clear_state(struct mm_struct *mm) { }
static inline void uprobe_peek(struct vm_area_struct *vma, unsigned long addr,
			       void *buf, size_t len) { }
/* where it is used, <asm/cacheflush.h> is at hand */
#define uprobe_poke(vma, page, addr, to, from, len)	\
	copy_to_user_page(vma, page, addr, to, from, len)
static inline void uprobe_notify_resume(struct pt_regs *regs) { }
static inline bool uprobe_deny_signal(void) { return false; }
static inline bool uprobe_deny_fault(struct pt_regs *regs) { return false; }
static inline void uprobe_sigreturn(void) { }
static inline void uprobe_leave_slot(struct pt_regs *regs) { }
static inline bool uprobe_breakpoint(struct pt_regs *regs) { return false; }

#endif /* CONFIG_UPROBES */

/* ---- hooks for perf, with and without uprobes ---------------------------- */

#ifdef CONFIG_UPROBE_EVENTS
bool trace_uprobe_may_filter(struct perf_event *event, const char *text);
bool trace_uprobe_not_inherited(struct perf_event *event);
#else
static inline bool trace_uprobe_may_filter(struct perf_event *event,
					   const char *text)
{
	return true;
}

static inline bool trace_uprobe_not_inherited(struct perf_event *event)
{
	return false;
}
#endif

/*
 * fork brackets the copying of the address space with these. A registration
 * that runs at the same time is noticed by its number instead (see
 * uprobe_dup_mmap()), so that it never stalls a fork.
 */
static inline void uprobe_start_dup_mmap(void) { }
static inline void uprobe_end_dup_mmap(void) { }

#endif /* _LINUX_UPROBES_H */

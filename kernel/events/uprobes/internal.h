/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The objects of the uprobes core and who may touch them.
 *
 * The files, in the order in which a probe travels:
 *
 *	registry.c	(inode, offset) -> uprobe
 *	register.c	consumers come and go; which address spaces want them
 *	mappings.c	mmap, munmap, fork and exit change an address space
 *	sites.c		address -> site, one index for each address space
 *	breakpoint.c	one byte of text, written and taken back
 *	semaphore.c	the SDT counters that say "somebody listens"
 *	slots.c		executable copies of displaced instructions
 *	hit.c		a thread arrives at a breakpoint
 *	step.c		it executes the displaced instruction
 *	call.c		entries that wait for their return
 *	task.c		what a thread carries along; work before user mode
 *
 * Lock order, outermost first:
 *
 *	event_mutex				(trace events and perf)
 *	  uprobe::lock				consumers of one uprobe
 *	    mm_struct::mmap_lock		sites, areas and semaphores of
 *						one address space
 *	      files_lock (registry.c)		the registry
 *	      uprobe::sites_lock		the sites of one uprobe
 *	      uprobe_space::tree_lock		the ordered sites of a space
 *	      uprobes_state::lock		the dirty range of an mm
 *
 * Everything in a space changes under mmap_lock held for writing. Hits look
 * sites up under RCU and hold a reference. Handlers run, and lists of
 * consumers are walked, inside an RCU tasks trace section: a consumer's
 * memory and a uprobe are freed after its grace period.
 */
#ifndef _KERNEL_EVENTS_UPROBES_INTERNAL_H
#define _KERNEL_EVENTS_UPROBES_INTERNAL_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/rcupdate_trace.h>
#include <linux/rculist.h>
#include <linux/refcount.h>
#include <linux/rhashtable-types.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/uprobes.h>

/**
 * struct uprobe - one place in one file that has consumers
 * @ref: consumers, open calls and walks of the registry
 * @users: registered consumers; at 0 the uprobe leaves the registry.
 *	files_lock.
 * @file: its file in the registry, NULL when it has left. files_lock.
 * @node: in uprobe_file::uprobes, by offset. files_lock.
 * @inode: the file; only compared, never followed after the last consumer
 * @offset: where in the file
 * @nr_bytes: how many of @bytes are known
 * @bytes: the file's bytes at @offset, as far as they could be read when the
 *	uprobe was made
 * @elf_class: ELFCLASS32 or ELFCLASS64 as the file says, 0 if unknown
 * @lock: serialises register, apply and unregister
 * @consumers: of struct uprobe_consumer. Written under @lock, read in RCU
 *	tasks trace sections.
 * @sites_lock: guards @sites and @walk
 * @sites: of struct uprobe_site, where this uprobe is installed
 * @walk: number of the last walk over @sites
 * @rcu: frees it after a grace period of RCU tasks trace
 */
struct uprobe {
	refcount_t		ref;
	unsigned int		users;
	struct uprobe_file	*file;
	struct rb_node		node;
	struct inode		*inode;
	loff_t			offset;
	size_t			nr_bytes;
	u8			bytes[UPROBE_MAX_INSN];
	u8			elf_class;
	struct mutex		lock;
	struct list_head	consumers;
	spinlock_t		sites_lock;
	struct list_head	sites;
	unsigned int		walk;
	struct rcu_head		rcu;
};

/**
 * struct uprobe_space - what uprobes know of one address space
 * @mm: the address space; the space goes before it does
 * @index: address -> site; written under mmap_lock, read under RCU
 * @tree_lock: guards @tree against readers that have no mmap_lock
 * @tree: the same sites by address
 * @areas: of struct uprobe_area. mmap_lock.
 * @nr_pages: pages of all areas together. mmap_lock.
 * @semaphores: of struct uprobe_semaphore. mmap_lock.
 * @nr_returners: sites whose uprobe has consumers of returns; at 0 the return
 *	sites go. mmap_lock.
 * @inherited: filters must be asked about every site, since fork made them.
 *	mmap_lock.
 * @rcu: frees it
 */
struct uprobe_space {
	struct mm_struct	*mm;
	struct rhashtable	index;
	spinlock_t		tree_lock;
	struct rb_root		tree;
	struct list_head	areas;
	unsigned int		nr_pages;
	struct list_head	semaphores;
	unsigned int		nr_returners;
	bool			inherited;
	struct rcu_head		rcu;
};

/**
 * struct uprobe_site - a breakpoint in one address space
 * @ref: one for the index, one for each thread that stands on the site
 * @hash: in uprobe_space::index
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
 * @is_return: return role: calls may return here. Set under mmap_lock.
 * @wants_returns: counted in uprobe_space::nr_returners. mmap_lock.
 * @area: where its slot is, or NULL when the instruction never needs one
 * @slot: address of the slot, or 0
 * @arch: the displaced instruction, decoded for this address space
 * @rcu: frees it
 */
struct uprobe_site {
	refcount_t		ref;
	struct rhash_head	hash;
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
	struct arch_uprobe	arch;
	struct rcu_head		rcu;
};

/**
 * enum uprobe_step - what a thread is in the middle of
 * @STEP_NONE: nothing
 * @STEP_HIT: it trapped at a breakpoint; handlers have not run
 * @STEP_RUNNING: it is in a slot, with the trap flag set
 * @STEP_DONE: the trap after the displaced instruction has come
 * @STEP_ABORTED: the displaced instruction faulted or the thread was killed
 */
enum uprobe_step {
	STEP_NONE,
	STEP_HIT,
	STEP_RUNNING,
	STEP_DONE,
	STEP_ABORTED,
};

/**
 * struct uprobe_thread - what a thread that met a uprobe carries along
 * @task: the part that others read; task_struct::utask points to it
 * @step: what it is in the middle of
 * @hit_vaddr: in STEP_HIT: the address of the breakpoint
 * @hit_time: when the breakpoint trapped, ns of CLOCK_MONOTONIC
 * @site: in STEP_RUNNING and after: the site it stands on, referenced
 * @slot: and the slot it is in, which may be lost to the process meanwhile
 * @again_vaddr: address of an instruction that was interrupted half-way
 *	(a repeated string instruction) and goes on without another hit, or 0
 * @again_sp: stack pointer that it goes on with
 * @arch: what the architecture saved for the step
 * @calls: open calls, the innermost first (struct open_call)
 * @nr_calls: how many
 * @pool: call objects to use again
 * @handler_ns: time that this thread has spent on hits, in ns
 * @next_id: number of the next call
 * @end_id: end of the block of numbers that this thread has taken
 *
 * Only the thread itself uses it, except for uprobe_copy_process(), which
 * fills the one of a child that has not run yet.
 */
struct uprobe_thread {
	struct uprobe_task	task;
	enum uprobe_step	step;
	unsigned long		hit_vaddr;
	u64			hit_time;
	struct uprobe_site	*site;
	unsigned long		slot;
	unsigned long		again_vaddr;
	unsigned long		again_sp;
	struct arch_uprobe_task	arch;
	struct open_call	*calls;
	unsigned int		nr_calls;
	struct open_call	*pool;
	u64			handler_ns;
	u64			next_id;
	u64			end_id;
};

/* The consumers of @uprobe, inside an RCU tasks trace section. */
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

/* registry.c */
struct uprobe *uprobe_registry_get(struct inode *inode, loff_t offset);
void uprobe_registry_leave(struct uprobe *uprobe);
struct uprobe *uprobe_registry_next(struct inode *inode, loff_t from,
				    loff_t to);
bool uprobe_registry_has(struct inode *inode);
void uprobe_put(struct uprobe *uprobe);

/* register.c */
u64 uprobe_epoch(void);
unsigned int uprobe_walks_done(void);
bool uprobe_walked_since(unsigned int done);
bool uprobe_consumer_wants(struct uprobe_consumer *uc, struct mm_struct *mm);
bool uprobe_wanted(struct uprobe *uprobe, struct mm_struct *mm);
bool uprobe_wants_returns(struct uprobe *uprobe, struct mm_struct *mm);
void uprobe_count(struct uprobe *uprobe, struct mm_struct *mm, u64 epoch,
		  enum uprobe_event_count what);
void uprobe_place(struct uprobe *uprobe, struct vm_area_struct *vma);
void uprobe_recheck_site(struct uprobe *uprobe, struct uprobe_site *site);
void uprobe_recheck(struct uprobe *uprobe, struct mm_struct *mm);

static inline bool uprobe_consumer_is_returner(const struct uprobe_consumer *uc)
{
	return uc->ret_handler || uc->exit;
}

/* mappings.c */
bool uprobe_vma_is_text(const struct vm_area_struct *vma);
void uprobe_sync(struct mm_struct *mm);
void uprobe_mark(struct mm_struct *mm, unsigned long start, unsigned long end);
void uprobe_mark_all(struct mm_struct *mm);
void uprobe_mark_areas(struct mm_struct *mm);
bool uprobe_is_dirty(const struct mm_struct *mm);

/* sites.c */
struct uprobe_space *uprobe_space_make(struct mm_struct *mm);
struct uprobe_space *uprobe_space_clone(struct uprobe_space *from,
					struct mm_struct *mm);
void uprobe_space_free(struct uprobe_space *space);
struct uprobe_site *uprobe_site_get(struct mm_struct *mm, unsigned long vaddr);
void uprobe_site_put(struct uprobe_site *site);
struct uprobe_site *uprobe_site_first(struct uprobe_space *space,
				      unsigned long from);
bool uprobe_site_matches(const struct uprobe_site *site,
			 const struct vm_area_struct *vma);
int uprobe_site_install(struct uprobe *uprobe, struct vm_area_struct *vma,
			unsigned long vaddr);
int uprobe_site_make_return(struct mm_struct *mm, unsigned long vaddr,
			    struct uprobe *uprobe);
bool uprobe_site_is_intact(struct uprobe_site *site);
void uprobe_site_link(struct uprobe_site *site);
void uprobe_site_refresh(struct uprobe_site *site);
void uprobe_site_abandon(struct uprobe_site *site);
void uprobe_site_remove(struct uprobe_site *site);
void uprobe_site_drop_uprobe(struct uprobe_site *site);

/* breakpoint.c */
int uprobe_text_read(struct mm_struct *mm, unsigned long vaddr, void *buf,
		     size_t len);
int uprobe_text_set_breakpoint(struct mm_struct *mm, unsigned long vaddr,
			       u8 old);
int uprobe_text_restore(struct mm_struct *mm, unsigned long vaddr, u8 old);

/* semaphore.c */
void uprobe_semaphores_update(struct uprobe *uprobe, struct mm_struct *mm);
bool uprobe_semaphores_waiting(struct uprobe_space *space);
void uprobe_semaphores_retry(struct uprobe_space *space);
int uprobe_semaphores_clone(struct uprobe_space *to,
			    struct uprobe_space *from);
void uprobe_semaphores_free(struct uprobe_space *space);

/* slots.c */
int uprobe_slot_alloc(struct uprobe_site *site);
void uprobe_slot_free(struct uprobe_site *site);
bool uprobe_slot_is_lost(const struct uprobe_site *site);
int uprobe_slot_replace(struct uprobe_site *site);
void uprobe_slot_check(struct uprobe_site *site);
void uprobe_slot_adopt(struct uprobe_site *site, unsigned long slot);
int uprobe_areas_clone(struct uprobe_space *to, struct uprobe_space *from);
struct uprobe_area *uprobe_area_at(struct uprobe_space *space,
				   unsigned long vaddr);
void uprobe_areas_unmap(struct uprobe_space *space);
void uprobe_areas_free(struct uprobe_space *space);

/* hit.c */
void uprobe_handle_hit(struct uprobe_thread *ut, struct pt_regs *regs);

/* step.c */
void uprobe_step_start(struct uprobe_thread *ut, struct uprobe_site *site,
		       struct pt_regs *regs);
bool uprobe_step_goes_on(struct uprobe_thread *ut, struct pt_regs *regs);
void uprobe_step_finish(struct uprobe_thread *ut, struct pt_regs *regs);

/* call.c */
void uprobe_calls_open(struct uprobe_thread *ut, struct uprobe *uprobe,
		       unsigned long func, u64 epoch, struct pt_regs *regs);
void uprobe_calls_close(struct uprobe_thread *ut, unsigned long vaddr,
			struct pt_regs *regs);
void uprobe_calls_entered(struct uprobe_thread *ut, u64 now);
void uprobe_calls_inherit(struct uprobe_thread *child,
			  const struct uprobe_thread *parent,
			  struct mm_struct *mm);
void uprobe_calls_free(struct uprobe_thread *ut, enum uprobe_event_count why);

/* task.c */
struct uprobe_thread *uprobe_thread_make(gfp_t gfp);

#endif /* _KERNEL_EVENTS_UPROBES_INTERNAL_H */

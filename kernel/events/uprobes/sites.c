// SPDX-License-Identifier: GPL-2.0
/*
 * Which breakpoints does an address space have, and what for?
 *
 * They are in the index (index.c), from address to site. What a site is for
 * changes under mmap_lock held for writing:
 *
 *	entry role	site->uprobe is set: hits are the uprobe's
 *	return role	site->is_return: open calls may end here
 *
 * A site without a role is taken away: first the byte is restored, then the
 * site leaves the index. A thread that trapped in between finds no site and no
 * breakpoint, and simply executes the instruction (hit.c). Threads that stand
 * on the site hold a reference; the slot goes with the last one.
 *
 * walk.c and mappings.c install and remove, call.c asks for return sites, hit.c
 * looks up.
 */

#include <linux/slab.h>

#include "internal.h"

/**
 * uprobe_site_put - give a reference back
 * @site: the site; with the last reference its slot retires
 */
void uprobe_site_put(struct uprobe_site *site)
{
	if (!refcount_dec_and_test(&site->ref))
		return;
	uprobe_slot_retire(site);
	uprobe_user_uncharge(site->payer, UPROBE_QUOTA_SITES, 1);
	kfree_rcu(site, rcu);
}

static void unpublish(struct uprobe_site *site)
{
	uprobe_index_remove(site);
	uprobe_site_put(site);
}

/**
 * uprobe_site_matches - is the site's place still mapped at its address?
 * @site: in the index
 * @vma: the mapping that covers its address, or NULL
 *
 * Context: mmap_lock held.
 *
 * Return: true if it is.
 */
bool uprobe_site_matches(const struct uprobe_site *site,
			 const struct vm_area_struct *vma)
{
	return vma && vma->vm_file && file_inode(vma->vm_file) == site->inode &&
	       uprobe_offset_of(vma, site->vaddr) == site->offset;
}

/* ---- roles -------------------------------------------------------------- */

static int take_breakpoint_away(struct uprobe_site *site)
{
	struct mm_struct *mm = site->space->mm;

	/* a debugger's stays; and what was moved, uprobe_moved() has restored */
	if (site->byte == UPROBE_BREAKPOINT ||
	    !uprobe_site_matches(site, vma_lookup(mm, site->vaddr)))
		return 0;
	return uprobe_text_restore(mm, site->vaddr, site->byte);
}

static void remove_site(struct uprobe_site *site)
{
	struct mm_struct *mm = site->space->mm;

	if (!take_breakpoint_away(site)) {
		unpublish(site);
		return;
	}
	/*
	 * Without memory for that, or if the current task is being killed, the
	 * breakpoint stays and so does the site: a thread that comes along
	 * executes the instruction in the slot, and no handler runs. The
	 * process's own try once more, or who shares the address space, unless
	 * this was such a try.
	 */
	if (!site->space->is_synced || fatal_signal_pending(current))
		uprobe_mark(mm, site->vaddr, site->vaddr + 1);
}

static void set_return_role(struct uprobe_site *site, bool is_return)
{
	struct uprobe_space *space = site->space;

	if (site->is_return == is_return)
		return;
	WRITE_ONCE(site->is_return, is_return);
	WRITE_ONCE(space->nr_return_sites,
		   space->nr_return_sites + (is_return ? 1 : -1));
}

static void drop_return_roles(struct uprobe_space *space)
{
	struct uprobe_site *site;
	unsigned long at = 0;

	while ((site = uprobe_site_first(space, at))) {
		at = site->vaddr + 1;
		if (!site->is_return)
			continue;
		set_return_role(site, false);
		uprobe_space_lost_site(space);
		if (!site->uprobe)
			remove_site(site);
	}
}

static void want_returns(struct uprobe_site *site)
{
	if (site->wants_returns)
		return;
	WRITE_ONCE(site->space->nr_returners, site->space->nr_returners + 1);
	WRITE_ONCE(site->wants_returns, true);
}

static void count_down(struct uprobe_space *space)
{
	WRITE_ONCE(space->nr_returners, space->nr_returners - 1);
	if (!space->nr_returners)
		drop_return_roles(space);
}

static void forget_returns(struct uprobe_site *site)
{
	if (!site->wants_returns)
		return;
	WRITE_ONCE(site->wants_returns, false);
	count_down(site->space);
}

/*
 * Nobody wants returns of this entry, or so it seemed. A consumer may have come
 * since, and threads open calls for it that see @wants_returns and rely on return
 * sites. Either they see that it is false, or the consumer is seen here: they
 * read their epoch, which says that it is there, before (uprobe_call_try()).
 *
 * Return: false if somebody wants them.
 */
static bool cease_returns(struct uprobe_site *site)
{
	if (!site->wants_returns)
		return true;
	WRITE_ONCE(site->wants_returns, false);
	smp_mb();
	if (uprobe_wants_returns(site->uprobe, site->space->mm)) {
		WRITE_ONCE(site->wants_returns, true);
		return false;
	}
	count_down(site->space);
	return true;
}

static void set_uprobe(struct uprobe_site *site, struct uprobe *uprobe)
{
	refcount_inc(&uprobe->ref);
	WRITE_ONCE(site->uprobe, uprobe);
}

/**
 * uprobe_site_link - walks over the uprobe's sites shall find this one
 * @site: in the index
 *
 * Whoever calls this asks the consumers afterwards whether they want the site
 * at all: one that leaves meanwhile sees the site, or is seen to have left.
 *
 * Context: mmap_lock held for writing.
 */
void uprobe_site_link(struct uprobe_site *site)
{
	struct uprobe *uprobe = site->uprobe;

	if (!uprobe || !list_empty(&site->uprobe_node))
		return;
	spin_lock(&uprobe->sites_lock);
	site->walk = uprobe->walk;
	list_add_tail(&site->uprobe_node, &uprobe->sites);
	spin_unlock(&uprobe->sites_lock);
}

static void detach(struct uprobe_site *site)
{
	struct uprobe *uprobe = site->uprobe;

	if (!uprobe)
		return;
	spin_lock(&uprobe->sites_lock);
	list_del_init(&site->uprobe_node);
	spin_unlock(&uprobe->sites_lock);
	WRITE_ONCE(site->uprobe, NULL);
	/* not when the space is on its way out */
	if (site->space->mm->uprobes_state.space == site->space)
		uprobe_semaphores_update(uprobe, site->space->mm, false);
	uprobe_put(uprobe);
}

/**
 * uprobe_site_refresh - consumers of the site's uprobe have changed
 * @site: in the index, in entry role
 *
 * Context: mmap_lock held for writing.
 */
void uprobe_site_refresh(struct uprobe_site *site)
{
	struct mm_struct *mm = site->space->mm;

	mmap_assert_write_locked(mm);
	if (uprobe_wants_returns(site->uprobe, mm))
		want_returns(site);
	else
		cease_returns(site);
}

/**
 * uprobe_site_drop_uprobe - end the entry role; the site may go
 * @site: in the index, in entry role
 *
 * Not if somebody has come meanwhile who wants its returns.
 *
 * Context: mmap_lock held for writing.
 */
void uprobe_site_drop_uprobe(struct uprobe_site *site)
{
	mmap_assert_write_locked(site->space->mm);
	if (!cease_returns(site))
		return;
	refcount_inc(&site->ref);
	detach(site);
	if (!site->is_return)
		remove_site(site);
	uprobe_site_put(site);
}

/**
 * uprobe_site_end_entry - end the entry role, whoever wants it
 * @site: in the index, in both roles
 *
 * It may have gone with the last entry that wants returns.
 *
 * Context: mmap_lock held for writing.
 */
void uprobe_site_end_entry(struct uprobe_site *site)
{
	mmap_assert_write_locked(site->space->mm);
	refcount_inc(&site->ref);
	detach(site);
	forget_returns(site);
	uprobe_site_put(site);
}

/**
 * uprobe_site_remove - take a site away, whatever its roles
 * @site: in the index; its mapping has gone, or can't carry it any more
 *
 * Context: mmap_lock held for writing.
 */
void uprobe_site_remove(struct uprobe_site *site)
{
	mmap_assert_write_locked(site->space->mm);
	refcount_inc(&site->ref);
	detach(site);
	set_return_role(site, false);
	uprobe_space_lost_site(site->space);
	remove_site(site);
	forget_returns(site);
	uprobe_site_put(site);
}

/**
 * uprobe_site_abandon - a site can't be used in this process after all
 * @site: referenced; in the current task's address space
 *
 * The code it is in is executed in another mode than the process was started
 * in (a far jump to a 32-bit code segment): the instruction was decoded wrong.
 *
 * Context: task context, no locks.
 */
void uprobe_site_abandon(struct uprobe_site *site)
{
	struct mm_struct *mm = site->space->mm;
	struct uprobe *uprobe;

	if (mmap_write_lock_killable(mm))
		return;
	uprobe = site->uprobe;
	if (uprobe)
		uprobe_count(uprobe, mm, UPROBE_MISSED_INSTALL);
	if (uprobe_site_find(site->space, site->vaddr) == site)
		uprobe_site_remove(site);
	mmap_write_unlock(mm);
}

/* ---- making a site ------------------------------------------------------ */

/* What the program executes at a site, seen through anybody's breakpoint. */
static u8 first_byte(const struct uprobe_site *site)
{
	return site->byte == UPROBE_BREAKPOINT ? site->arch.insn[0] :
						 site->byte;
}

/*
 * What stands in memory, seen through the breakpoints of other sites. Memory
 * and not the file is what the process would execute: it may have relocations
 * in its text.
 */
static int read_insn(struct uprobe_site *site, u8 *bytes, size_t len,
		     unsigned long *absent)
{
	unsigned long end = site->vaddr + len;
	unsigned long at = site->vaddr + 1;
	struct uprobe_site *other;
	int n;

	n = uprobe_text_read(site->space->mm, site->vaddr, bytes, len, absent);
	while ((other = uprobe_site_first(site->space, at)) &&
	       other->vaddr < end) {
		bytes[other->vaddr - site->vaddr] = first_byte(other);
		at = other->vaddr + 1;
	}
	return n;
}

/**
 * uprobe_site_verify - does its instruction stand there as it was decoded?
 * @site: in the index
 *
 * Bytes behind the first one may have changed with the file, after the copied
 * page was taken away by madvise() or truncation.
 *
 * Context: mmap_lock held for writing.
 *
 * Return: 0 if it does; -EAGAIN if uprobe_sync() will come back to it; -EINTR and
 * -ENOMEM if that can't be found out now; others if the site has to go.
 */
int uprobe_site_verify(struct uprobe_site *site)
{
	u8 bytes[UPROBE_MAX_INSN];
	unsigned long absent;
	int n;

	n = read_insn(site, bytes, site->arch.len, &absent);
	if (n < site->arch.len && absent)
		return uprobe_put_off(site->space, site->vaddr, absent);
	if (n < site->arch.len)
		return n < 0 ? n : -EFAULT;
	if (bytes[0] == UPROBE_BREAKPOINT)
		bytes[0] = first_byte(site);
	return memcmp(bytes, site->arch.insn, site->arch.len) ? -EILSEQ : 0;
}

static struct uprobe_site *alloc_site(struct uprobe_space *space,
				      unsigned long vaddr, gfp_t may_fail)
{
	struct uprobe_site *site = kzalloc(sizeof(*site),
					   GFP_KERNEL_ACCOUNT | may_fail);

	if (!site)
		return NULL;
	refcount_set(&site->ref, 1);
	INIT_LIST_HEAD(&site->uprobe_node);
	site->space = space;
	site->vaddr = vaddr;
	site->ask_at = jiffies;
	return site;
}

/*
 * Somebody has put a breakpoint there before: a debugger, or the program itself.
 * Which instruction is under it?
 */
static u8 byte_under_breakpoint(const struct uprobe_site *site,
				struct vm_area_struct *vma,
				const struct uprobe *uprobe)
{
	u8 byte = UPROBE_BREAKPOINT;

	if (uprobe && uprobe->nr_bytes)
		return uprobe->bytes[0];
	uprobe_text_in_file(vma, site->vaddr, &byte);
	return byte;
}

/*
 * What can't be read, because the instruction reaches into a mapping that
 * hasn't come yet, is taken from the file. @absent: set to an address in the page
 * that is missing, if -EAGAIN is returned: of the second one only if the
 * instruction reaches there.
 */
static int prepare(struct uprobe_site *site, struct vm_area_struct *vma,
		   const struct uprobe *uprobe, unsigned long *absent)
{
	size_t known = uprobe ? uprobe->nr_bytes : 0;
	u8 bytes[UPROBE_MAX_INSN] = {};
	const char *reason;
	int n, err;

	if (uprobe)
		memcpy(bytes, uprobe->bytes, sizeof(bytes));
	n = read_insn(site, bytes, sizeof(bytes), absent);
	if (n < 0)
		return n;
	site->byte = bytes[0];
	if (bytes[0] == UPROBE_BREAKPOINT)
		bytes[0] = byte_under_breakpoint(site, vma, uprobe);
	n = max_t(int, n, known);
	err = arch_uprobe_analyze(&site->arch, bytes, n,
				  arch_uprobe_mm_is_64bit(site->space->mm),
				  &reason);
	if (err)
		return err == -EILSEQ && *absent && n < UPROBE_MAX_INSN ?
		       -EAGAIN : err;
	site->text = uprobe_text_of(site);
	/* whose first byte it was is known only if the rest is the file's */
	if (known && site->text == TEXT_TRAPPED &&
	    memcmp(bytes + 1, uprobe->bytes + 1,
		   min_t(size_t, site->arch.len, known) - 1))
		return -EILSEQ;
	site->next = arch_uprobe_next(&site->arch, site->vaddr);
	return uprobe_slot_alloc(site);
}

/* The index knows the site before a thread can trap there. */
static int put_in_place(struct uprobe_site *site, bool is_entry)
{
	int err = 0;

	uprobe_index_add(site, is_entry);
	if (site->text == TEXT_INTACT)
		err = uprobe_text_set_breakpoint(site->space->mm, site->vaddr,
						 site->byte);
	if (err) {
		refcount_inc(&site->ref);
		unpublish(site);
	}
	return err;
}

/*
 * The caller gives the site its role. @uprobe: whose place it is, NULL for a
 * return site. @payer: the site has been charged to him. Text that was changed in this process isn't what the probe was
 * meant for. @absent: set to an address in the page that is missing, if the
 * answer is -EAGAIN.
 */
static struct uprobe_site *make_site(struct vm_area_struct *vma,
				     unsigned long vaddr,
				     const struct uprobe *uprobe,
				     struct uprobe_user *payer,
				     unsigned long *absent)
{
	struct uprobe_space *space = uprobe_space_make(vma->vm_mm);
	struct uprobe_site *site;
	int err;

	site = space ? alloc_site(space, vaddr, UPROBE_MAY_FAIL) : NULL;
	if (!site) {
		uprobe_user_uncharge(payer, UPROBE_QUOTA_SITES, 1);
		return ERR_PTR(-ENOMEM);
	}
	site->payer = payer;
	site->inode = file_inode(vma->vm_file);
	site->offset = uprobe_offset_of(vma, vaddr);
	err = prepare(site, vma, uprobe, absent);
	if (!err && uprobe && uprobe->nr_bytes &&
	    site->arch.insn[0] != uprobe->bytes[0])
		err = -EILSEQ;
	if (!err) {
		*absent = vaddr;
		err = put_in_place(site, uprobe);
	}
	if (err) {
		uprobe_site_put(site);
		return ERR_PTR(err);
	}
	return site;
}

/* The site at an address, unless it is left over from an earlier mapping. */
static struct uprobe_site *find_current(struct vm_area_struct *vma,
					unsigned long vaddr)
{
	struct uprobe_space *space = vma->vm_mm->uprobes_state.space;
	struct uprobe_site *site = space ? uprobe_site_find(space, vaddr) : NULL;

	if (site && !uprobe_site_matches(site, vma)) {
		uprobe_site_remove(site);
		site = uprobe_site_find(space, vaddr) ? ERR_PTR(-EBUSY) : NULL;
	}
	return site;
}

/**
 * uprobe_site_install - give a uprobe a site in an address space
 * @uprobe: the uprobe
 * @vma: an executable mapping of its file
 * @vaddr: where its offset is mapped
 *
 * Context: mmap_lock held for writing. May sleep.
 * The caller asks the consumers once more afterwards (uprobe_place()).
 *
 * Return: 0 (also if it was there), -EAGAIN if uprobe_sync() will come back to
 * it, -EIO if it has in vain, -EACCES if the mapping may not carry breakpoints, -EOPNOTSUPP or -EILSEQ if the instruction can't be probed in this process,
 * -EDQUOT if nobody may have more of them, -ENOMEM and the like.
 */
int uprobe_site_install(struct uprobe *uprobe, struct vm_area_struct *vma,
			unsigned long vaddr)
{
	struct uprobe_site *site = find_current(vma, vaddr);
	struct uprobe_user *payer;
	unsigned long absent;

	mmap_assert_write_locked(vma->vm_mm);
	if (!uprobe_vma_is_text(vma))
		return -EACCES;
	/* uprobe_sync() looks what has become of the text, and comes back */
	if (!IS_ERR_OR_NULL(site) && site->text == TEXT_CHANGED)
		return uprobe_put_off(site->space, vaddr, vaddr);
	if (!site) {
		if (uprobe_charge(uprobe, vma->vm_mm, false,
				  UPROBE_QUOTA_SITES, &payer))
			return -EDQUOT;
		site = make_site(vma, vaddr, uprobe, payer, &absent);
	}
	if (site == ERR_PTR(-EAGAIN))
		return uprobe_put_off(vma->vm_mm->uprobes_state.space, vaddr,
				      absent);
	if (IS_ERR(site))
		return PTR_ERR(site);
	/* its last consumer left, and a new one made another for the place */
	if (site->uprobe != uprobe) {
		detach(site);
		set_uprobe(site, uprobe);
	}
	uprobe_site_link(site);
	return 0;
}

static bool too_many_return_sites(struct mm_struct *mm)
{
	const struct uprobe_space *space = READ_ONCE(mm->uprobes_state.space);

	return space && READ_ONCE(space->nr_return_sites) >=
			READ_ONCE(uprobe_max_return_sites);
}

/*
 * Whoever wanted it may have left, and taken the return sites away: the last
 * one takes them all. @absent: as for make_site().
 */
static int make_return(struct uprobe_site *entry, unsigned long vaddr,
		       unsigned long *absent)
{
	struct vm_area_struct *vma = vma_lookup(entry->space->mm, vaddr);
	struct uprobe_user *payer = NULL;
	struct uprobe_site *site;

	if (entry->uprobe)
		uprobe_site_refresh(entry);
	if (!entry->wants_returns)
		return -ESRCH;
	if (!vma || !uprobe_vma_is_text(vma))
		return -ENXIO;
	site = find_current(vma, vaddr);
	if (!site) {
		if (entry->uprobe &&
		    uprobe_charge(entry->uprobe, entry->space->mm, true,
				  UPROBE_QUOTA_SITES, &payer))
			return -ENOSPC;
		site = make_site(vma, vaddr, NULL, payer, absent);
	}
	if (IS_ERR(site))
		return PTR_ERR(site);
	set_return_role(site, true);
	return 0;
}

/**
 * uprobe_returns_are_seen - will a call that is opened now be seen to return?
 * @entry: where it was hit
 * @vaddr: where it returns to
 *
 * As long as @entry wants returns no return site goes. In this order: if it doesn't
 * any more, what is found afterwards is without the role.
 *
 * Context: the epoch of the hit has been read, or this is asked again when it has.
 * Return: true if it will.
 */
bool uprobe_returns_are_seen(struct uprobe_site *entry, unsigned long vaddr)
{
	struct uprobe_site *site;
	bool seen;

	if (!READ_ONCE(entry->wants_returns))
		return false;
	/* pairs with cease_returns() */
	smp_rmb();
	rcu_read_lock();
	site = uprobe_site_find(entry->space, vaddr);
	seen = site && READ_ONCE(site->is_return);
	rcu_read_unlock();
	return seen;
}

/**
 * uprobe_site_make_return - let calls end at an address
 * @entry: where the call was hit, in the current task's address space; referenced.
 *	Somebody wanted its return then.
 * @vaddr: the return address
 *
 * Context: task context; takes mmap_lock, and waits for pages without.
 * Return: 0, or -errno if the address can't carry a site: no private file
 * text (-ENXIO), nobody who wants it any more (-ESRCH), an instruction that can't be probed, a page that doesn't come,
 * no memory, or too many of them (-ENOSPC).
 */
int uprobe_site_make_return(struct uprobe_site *entry, unsigned long vaddr)
{
	struct mm_struct *mm = entry->space->mm;
	unsigned long absent;
	int err, tries = 0;

	if (uprobe_returns_are_seen(entry, vaddr))
		return 0;
	/* threads that come at once may exceed it by as many */
	if (too_many_return_sites(mm))
		return -ENOSPC;

	do {
		if (mmap_write_lock_killable(mm))
			return -EINTR;
		err = make_return(entry, vaddr, &absent);
		mmap_write_unlock(mm);
	} while (err == -EAGAIN && ++tries < UPROBE_MAX_WAITS &&
		 uprobe_wait_for_page(absent));
	return err;
}

/* ---- spaces ------------------------------------------------------------- */

/* Areas are unmapped by a task of the mm: see uprobe_mark_areas(). */
static void tidy(struct work_struct *work)
{
	struct uprobe_space *space = container_of(to_delayed_work(work),
						  struct uprobe_space, tidy);

	uprobe_mark_areas(space->mm);
}

static struct uprobe_space *alloc_space(struct mm_struct *mm, gfp_t may_fail)
{
	struct uprobe_space *space = kzalloc(sizeof(*space),
					     GFP_KERNEL_ACCOUNT | may_fail);

	if (!space)
		return NULL;
	if (uprobe_index_init(space, may_fail)) {
		kfree(space);
		return NULL;
	}
	space->mm = mm;
	space->losses = 1;
	space->next_scan = jiffies;
	space->ask_at = jiffies + UPROBE_ASK_SPACE_AGAIN;
	INIT_LIST_HEAD(&space->areas);
	INIT_DELAYED_WORK(&space->tidy, tidy);
	INIT_LIST_HEAD(&space->semaphores);
	xa_init_flags(&space->diverted, XA_FLAGS_ACCOUNT);
	return space;
}

/**
 * uprobe_space_make - the space of an mm, made if it has none
 * @mm: with a user that the caller keeps
 *
 * Context: mmap_lock held for writing.
 * Return: the space, or NULL without memory.
 */
struct uprobe_space *uprobe_space_make(struct mm_struct *mm)
{
	struct uprobe_space *space = mm->uprobes_state.space;

	mmap_assert_write_locked(mm);
	if (space)
		return space;
	space = alloc_space(mm, UPROBE_MAY_FAIL);
	/* pairs with smp_load_acquire() of those who have no lock */
	if (space)
		smp_store_release(&mm->uprobes_state.space, space);
	return space;
}

/**
 * uprobe_space_is_empty - has the last probe gone from this address space?
 * @space: its space, which stays as long as the mm
 *
 * Context: mmap_lock held for writing.
 * Return: true if nothing would have to be copied for a child.
 */
bool uprobe_space_is_empty(struct uprobe_space *space)
{
	mmap_assert_write_locked(space->mm);
	return RB_EMPTY_ROOT(&space->tree) && list_empty(&space->areas) &&
	       list_empty(&space->semaphores) && xa_empty(&space->diverted);
}

/*
 * The copy isn't linked to its uprobe yet: as long as the child has no
 * mappings, a consumer that leaves could not take the breakpoint away.
 */
static int clone_site(struct uprobe_space *to, const struct uprobe_site *from)
{
	struct uprobe_site *site = alloc_site(to, from->vaddr, 0);
	int err;

	if (!site)
		return -ENOMEM;
	site->inode = from->inode;
	site->offset = from->offset;
	site->arch = from->arch;
	site->next = arch_uprobe_next(&site->arch, site->vaddr);
	site->byte = from->byte;
	site->text = from->text;
	site->payer = from->payer;
	uprobe_user_force(site->payer, UPROBE_QUOTA_SITES, 1);
	err = uprobe_slot_clone(site, from);
	if (err) {
		uprobe_site_put(site);
		return err;
	}
	uprobe_index_add(site, from->uprobe);
	set_return_role(site, from->is_return);
	if (from->uprobe)
		set_uprobe(site, from->uprobe);
	site->wants_returns = from->wants_returns;
	to->nr_returners += from->wants_returns;
	return 0;
}

/**
 * uprobe_space_clone - fork: the child's pages come with the breakpoints
 * @from: the parent's space; its mmap_lock is held for writing
 * @mm: the child's mm, which nobody else knows yet
 *
 * The child's filters can't be asked yet: uprobe_sync() does that before its
 * first instruction.
 *
 * Return: the child's space, or an ERR_PTR, upon which fork must fail: a
 * child with breakpoints that nobody knows would be killed by them.
 */
struct uprobe_space *uprobe_space_clone(struct uprobe_space *from,
					struct mm_struct *mm)
{
	struct uprobe_space *space = alloc_space(mm, 0);
	struct uprobe_site *site;
	unsigned long at = 0;
	int err;

	if (!space)
		return ERR_PTR(-ENOMEM);
	space->inherited = true;
	space->wanders = from->wanders;
	err = uprobe_areas_clone(space, from);
	if (!err)
		err = uprobe_semaphores_clone(space, from);
	if (!err)
		err = uprobe_diverted_clone(space, from);
	while (!err && (site = uprobe_site_first(from, at))) {
		err = clone_site(space, site);
		at = site->vaddr + 1;
	}
	if (err) {
		uprobe_space_free(space);
		return ERR_PTR(err);
	}
	return space;
}

/**
 * uprobe_space_free - give everything back
 * @space: no task uses its mm, and mm->uprobes_state.space is already NULL.
 *	Others may still hold a pointer: uprobe_munmap() under RCU, and walks
 *	of uprobe::sites, which find out by mmget_not_zero() that the mm is
 *	gone.
 *
 * Context: task context.
 */
void uprobe_space_free(struct uprobe_space *space)
{
	struct uprobe_site *site;

	cancel_delayed_work_sync(&space->tidy);
	while ((site = uprobe_site_first(space, 0))) {
		detach(site);
		unpublish(site);
	}
	uprobe_semaphores_free(space);
	uprobe_areas_free(space);
	uprobe_index_free(space);
	xa_destroy(&space->diverted);
	kfree_rcu(space, rcu);
}

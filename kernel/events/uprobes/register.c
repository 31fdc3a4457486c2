// SPDX-License-Identifier: GPL-2.0
/*
 * How does a consumer get the hits of a place, and how does it leave?
 *
 * Registration publishes first and looks around afterwards: the uprobe is in
 * the registry and the consumer in its list before the mappings of the file
 * are visited. A process that maps the file meanwhile is found in i_mmap, or
 * finds the uprobe in the registry (uprobe_mmap()); a fork that copies an
 * address space meanwhile sees that a walk was under way and looks again
 * (uprobe_walked_since()). So nothing stops forks while this runs.
 *
 * Leaving goes the other way round: out of the list, then over the sites, each
 * of which asks whether anybody else wants it.
 *
 * bpf_trace.c, trace_uprobe and test modules call in here; walk.c goes over the
 * address spaces.
 */

#include <linux/elf.h>
#include <linux/export.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "internal.h"

/* ---- consumers ---------------------------------------------------------- */

/*
 * Registrations are numbered. A call remembers how many there had been at its
 * entry (open_call::epoch), and a consumer sees the call if it is older than
 * that: the entry and the return of one call go to the same consumers.
 */
u64 uprobe_last_epoch;
static DEFINE_SPINLOCK(epoch_lock);

/*
 * What hits want to know of all consumers together. They read it at any time, so
 * it never says less than it should.
 */
static void sum_up(struct uprobe *uprobe)
{
	struct uprobe_consumer *uc, *last = NULL, *last_returner = NULL;
	unsigned int nr = 0, nr_returners = 0;
	u64 returners = 0;
	bool timed = false;

	lockdep_assert_held(&uprobe->lock);
	list_for_each_entry(uc, &uprobe->consumers, cons_node) {
		nr++;
		last = uc;
		if (!uprobe_consumer_is_returner(uc))
			continue;
		nr_returners++;
		last_returner = uc;
		returners |= BIT_ULL(uc->bit);
		timed |= uc->timed;
	}
	WRITE_ONCE(uprobe->sole, nr == 1 && last->tally ? last : NULL);
	if (nr_returners != 1 || !last_returner->tally ||
	    last_returner->bit == UPROBE_SHARED_BIT)
		last_returner = NULL;
	WRITE_ONCE(uprobe->sole_returner, last_returner);
	WRITE_ONCE(uprobe->returners, returners);
	WRITE_ONCE(uprobe->timed, timed);
}

static unsigned int pouch_end(const struct uprobe_consumer *uc)
{
	return uc->pouch_at + ALIGN(uc->pouch_size, sizeof(u64));
}

/* The first gap between the others' that is wide enough. */
static void find_place_for_pouch(struct uprobe *uprobe,
				 struct uprobe_consumer *uc)
{
	struct uprobe_consumer *other;

	uc->pouch_at = 0;
again:
	list_for_each_entry(other, &uprobe->consumers, cons_node) {
		if (other->pouch_size && uc->pouch_at < pouch_end(other) &&
		    other->pouch_at < pouch_end(uc)) {
			uc->pouch_at = pouch_end(other);
			goto again;
		}
	}
}

/* New calls need no room for who has left. */
static void take_pouch_away(struct uprobe *uprobe)
{
	struct uprobe_consumer *uc;
	unsigned int size = 0;

	lockdep_assert_held(&uprobe->lock);
	list_for_each_entry(uc, &uprobe->consumers, cons_node) {
		if (uc->pouch_size)
			size = max(size, pouch_end(uc));
	}
	WRITE_ONCE(uprobe->pouch_size, size);
}

/*
 * Calls that are open have no room for it, but it doesn't see them. A hit that has
 * read its epoch sees the new size.
 */
static int place_pouch(struct uprobe *uprobe, struct uprobe_consumer *uc,
		       unsigned int room, const char **why)
{
	lockdep_assert_held(&uprobe->lock);
	if (!uc->pouch_size)
		return 0;
	*why = "Too many events keep something of the entry here";
	/* there are no bits to say who has filled it */
	if (uc->bit == UPROBE_SHARED_BIT || uc->pouch_size > room)
		return -ENOSPC;
	find_place_for_pouch(uprobe, uc);
	if (pouch_end(uc) > room)
		return -ENOSPC;
	*why = NULL;
	if (pouch_end(uc) > uprobe->pouch_size) {
		WRITE_ONCE(uprobe->pouch_size, pouch_end(uc));
		uprobe_registry_unsettle();
	}
	return 0;
}

/*
 * What users may have of a place. Whoever hits it passes all of its consumers, so each user,
 * with all that is below him, may have a few of them; fewer with a bit of their own, and with
 * a pouch, so that some are left for others. Half of the bits, and most of the room for pouches,
 * which all calls have, are only for those to whom nothing is counted. These may take the
 * rest as well.
 */
#define USER_CONSUMERS		16
#define USER_BITS		8
#define USER_POUCHES		(UPROBE_MAX_POUCHES / 8)
#define USERS_BITS		GENMASK_ULL(31, 0)
#define USERS_POUCHES		(UPROBE_MAX_POUCHES / 4)

/* What one user has of a place. */
struct share {
	unsigned int consumers;
	unsigned int bits;
	unsigned int pouches;
};

static struct share share_of(const struct uprobe *uprobe,
			     const struct uprobe_user *payer)
{
	struct share share = {};
	struct uprobe_consumer *uc;

	lockdep_assert_held(&uprobe->lock);
	list_for_each_entry(uc, &uprobe->consumers, cons_node) {
		if (!uc->payer || !uprobe_user_is_same(uc->payer, payer))
			continue;
		share.consumers++;
		share.bits += uc->bit != UPROBE_SHARED_BIT;
		share.pouches += ALIGN(uc->pouch_size, sizeof(u64));
	}
	return share;
}

static u8 find_users_bit(const struct uprobe *uprobe, const struct share *share)
{
	u64 left = USERS_BITS & ~uprobe->bits;

	return left && share->bits < USER_BITS ? __ffs64(left) :
						 UPROBE_SHARED_BIT;
}

/* From the other end. */
static u8 find_bit(const struct uprobe *uprobe)
{
	u64 left = ~uprobe->bits & ~BIT_ULL(UPROBE_SHARED_BIT);

	return left ? fls64(left) - 1 : UPROBE_SHARED_BIT;
}

static int choose_place(struct uprobe *uprobe, struct uprobe_consumer *uc,
			const char **why)
{
	struct share share;

	if (!uc->payer) {
		uc->bit = find_bit(uprobe);
		return place_pouch(uprobe, uc, UPROBE_MAX_POUCHES, why);
	}
	share = share_of(uprobe, uc->payer);
	*why = "You have too many events here";
	if (share.consumers >= USER_CONSUMERS ||
	    (uc->pouch_size && share.bits >= USER_BITS) ||
	    share.pouches + uc->pouch_size > USER_POUCHES)
		return -EDQUOT;
	*why = NULL;
	uc->bit = find_users_bit(uprobe, &share);
	return place_pouch(uprobe, uc, USERS_POUCHES, why);
}

/*
 * A hit that has read the new epoch sees the consumer and the new sums. With an
 * older one it may see either, and the consumer isn't told, whatever its call
 * says of it (uprobe_took()).
 */
static int add_consumer(struct uprobe *uprobe, struct uprobe_consumer *uc,
			const char **why)
{
	int err;

	err = choose_place(uprobe, uc, why);
	if (err)
		return err;
	uprobe->bits |= BIT_ULL(uc->bit) & ~BIT_ULL(UPROBE_SHARED_BIT);
	spin_lock(&epoch_lock);
	uc->since = uprobe_last_epoch + 1;
	/* who has a right to all is asked first */
	if (uc->payer)
		list_add_tail_rcu(&uc->cons_node, &uprobe->consumers);
	else
		list_add_rcu(&uc->cons_node, &uprobe->consumers);
	sum_up(uprobe);
	/* pairs with uprobe_epoch() */
	smp_store_release(&uprobe_last_epoch, uc->since);
	spin_unlock(&epoch_lock);
	return 0;
}

/*
 * An entry may have read @returners with @uc in it and then not find @uc, to tell it. Its
 * return mustn't find @uc by @sole_returner, which needs no list.
 */
static void remove_consumer(struct uprobe *uprobe, struct uprobe_consumer *uc)
{
	/* from now on returns look into the list: an entry that misses @uc there has a return that misses it here */
	WRITE_ONCE(uprobe->sole_returner, NULL);
	/* an entry reads before its return does, which x86 keeps without a barrier; for the next one, too */
	smp_wmb();
	list_del_rcu(&uc->cons_node);
	/* who passes @uc over by the new @sole doesn't find it in the list later */
	smp_wmb();
	sum_up(uprobe);
	uprobe->bits &= ~BIT_ULL(uc->bit);
	take_pouch_away(uprobe);
}

/*
 * Before the walk that installs, and after the one that removes: a process that
 * maps the file meanwhile and isn't looked at may not be wanted (targets.c).
 */
static void count_general(struct uprobe *uprobe, struct uprobe_consumer *uc,
			  bool general)
{
	lockdep_assert_held(&uprobe->lock);
	if (uc->general == general)
		return;
	uc->general = general;
	uprobe_registry_count_general(uprobe, general ? 1 : -1);
}

static bool is_general(const struct uprobe_consumer *uc)
{
	return !uc->targeted && !uc->target && !uc->scope;
}

static bool is_consumer(struct uprobe *uprobe, struct uprobe_consumer *uc)
{
	struct uprobe_consumer *c;

	lockdep_assert_held(&uprobe->lock);
	list_for_each_entry(c, &uprobe->consumers, cons_node) {
		if (c == uc)
			return true;
	}
	return false;
}

/**
 * uprobe_consumer_wants - ask one consumer about an address space
 * @uc: the consumer
 * @mm: the address space
 *
 * Return: true if it wants hits there.
 */
bool uprobe_consumer_wants(struct uprobe_consumer *uc, struct mm_struct *mm)
{
	if (!uprobe_passes_filter(uc, mm))
		return false;
	guard(rcu)();
	return !uc->scope || uc->scope->has_mm(uc->scope, mm);
}

/* The same of a child, who is the only one to use its address space so far. */
static bool wants_child(struct uprobe_consumer *uc, struct task_struct *child)
{
	if (!uprobe_passes_filter(uc, child->mm))
		return false;
	guard(rcu)();
	return !uc->scope || uc->scope->has_task(uc->scope, child);
}

enum consumers { ALL, RETURNERS };

/* Or have those who left its scope a call open? The scope may be left, the right mustn't have gone. */
static bool wants_here(struct uprobe *uprobe, struct uprobe_consumer *uc,
		       struct mm_struct *mm)
{
	return uprobe_consumer_wants(uc, mm) ||
	       (uc->scope && uc->scope->changes && mm == current->mm &&
		uprobe_passes_filter(uc, mm) && uprobe_calls_want(uprobe, uc));
}

static bool any_wants(struct uprobe *uprobe, struct mm_struct *mm,
		      enum consumers which)
{
	struct uprobe_consumer *uc;
	bool wanted = false;

	rcu_read_lock_trace();
	for_each_consumer(uc, uprobe) {
		if (which == RETURNERS && !uprobe_consumer_is_returner(uc))
			continue;
		wanted = wants_here(uprobe, uc, mm);
		if (wanted)
			break;
	}
	rcu_read_unlock_trace();
	return wanted;
}

/**
 * uprobe_wanted - does any consumer want hits of this address space?
 * @uprobe: whose consumers to ask
 * @mm: the address space
 *
 * Context: task context.
 *
 * Return: true if one does.
 */
bool uprobe_wanted(struct uprobe *uprobe, struct mm_struct *mm)
{
	return any_wants(uprobe, mm, ALL);
}

/**
 * uprobe_wants_returns - does any consumer want returns in this address space?
 * @uprobe: whose consumers to ask
 * @mm: the address space
 *
 * Context: task context.
 *
 * Return: true if one does.
 */
bool uprobe_wants_returns(struct uprobe *uprobe, struct mm_struct *mm)
{
	return any_wants(uprobe, mm, RETURNERS);
}

/*
 * The site of an entry is there for calls that are open, too; that of a return, and a call, are for a
 * new one.
 */
static bool wants(struct uprobe *uprobe, struct uprobe_consumer *uc,
		  struct mm_struct *mm, enum consumers which,
		  enum uprobe_quota what)
{
	return which == ALL && what == UPROBE_QUOTA_SITES ?
	       wants_here(uprobe, uc, mm) : uprobe_consumer_wants(uc, mm);
}

/* Does somebody want it to whom nothing is counted? In an RCU tasks trace section. */
static bool is_free(struct uprobe *uprobe, struct mm_struct *mm,
		    enum consumers which, enum uprobe_quota what)
{
	struct uprobe_consumer *uc;
	bool others = false;

	for_each_consumer(uc, uprobe) {
		if (which == RETURNERS && !uprobe_consumer_is_returner(uc))
			continue;
		if (uc->payer)
			others = true;
		else if (wants(uprobe, uc, mm, which, what))
			return true;
	}
	/* who has left since may have wanted it */
	return !others;
}

/**
 * uprobe_charge - find somebody to whom something is counted
 * @uprobe: whose consumers want it
 * @mm: where
 * @returns: it is for those of them that want returns
 * @what: what it is
 * @payer: set to who has it counted, and has to be told when it goes
 *	(uprobe_user_uncharge()); or to NULL: nobody, if one of them needn't
 *
 * Context: task context, may sleep.
 * Return: 0, also if none of them wants it any more; or -EDQUOT if each of those that do has
 * as much as he may.
 */
int uprobe_charge(struct uprobe *uprobe, struct mm_struct *mm, bool returns,
		  enum uprobe_quota what, struct uprobe_user **payer)
{
	enum consumers which = returns ? RETURNERS : ALL;
	struct uprobe_consumer *uc;
	int err = 0;

	*payer = NULL;
	rcu_read_lock_trace();
	if (is_free(uprobe, mm, which, what)) {
		rcu_read_unlock_trace();
		return 0;
	}
	for_each_consumer(uc, uprobe) {
		if ((which == RETURNERS && !uprobe_consumer_is_returner(uc)) ||
		    !uc->payer || !wants(uprobe, uc, mm, which, what))
			continue;
		err = -EDQUOT;
		if (!uprobe_user_charge(uc->payer, what, 1))
			continue;
		*payer = uc->payer;
		err = 0;
		break;
	}
	rcu_read_unlock_trace();
	return err;
}

/**
 * uprobe_count - tell the consumers what became of a place
 * @uprobe: whose consumers to tell
 * @mm: where it happened
 * @what: what happened
 *
 * Context: task context.
 */
void uprobe_count(struct uprobe *uprobe, struct mm_struct *mm,
		  enum uprobe_event_count what)
{
	struct uprobe_consumer *uc;

	rcu_read_lock_trace();
	for_each_consumer(uc, uprobe) {
		if (uc->count && uprobe_consumer_wants(uc, mm))
			uc->count(uc, what);
	}
	rcu_read_unlock_trace();
}

/**
 * uprobe_count_call - tell those who wait for a return what became of it
 * @uprobe: whose call it is
 * @epoch: of the call
 * @takers: of the call
 * @what: what happened
 *
 * Context: any, in a section of RCU or RCU tasks trace.
 */
void uprobe_count_call(struct uprobe *uprobe, u64 epoch, u64 takers,
		       enum uprobe_event_count what)
{
	struct uprobe_consumer *uc;

	/* perf's events of a CPU are consumers each: see attempt() */
	guard(migrate)();
	for_each_consumer(uc, uprobe) {
		if (!uc->count || !uprobe_took(uc, epoch, takers))
			continue;
		/* some of those who share a bit never heard of the process */
		if (uc->bit != UPROBE_SHARED_BIT ||
		    uprobe_consumer_wants(uc, current->mm))
			uc->count(uc, what);
	}
}

/**
 * uprobe_inheritors - who wants the return of a call in a forked child, too?
 * @uprobe: whose call it is
 * @epoch: of the call
 * @takers: of the call
 * @child: has not run yet
 * @payer: set to whom it has been counted; to NULL if one of them is free of that; or to
 *	-EDQUOT if each of them has as many calls as he may
 *
 * They are told (inherited).
 *
 * Context: task context, in an RCU tasks trace section.
 * Return: the takers of the child's call.
 */
u64 uprobe_inheritors(struct uprobe *uprobe, u64 epoch, u64 takers,
		      struct task_struct *child, struct uprobe_user **payer)
{
	struct uprobe_consumer *uc;
	u64 inheritors = 0;
	bool free = false;

	*payer = NULL;
	for_each_consumer(uc, uprobe) {
		if (!uprobe_took(uc, epoch, takers) || !wants_child(uc, child))
			continue;
		inheritors |= BIT_ULL(uc->bit);
		if (!uc->payer)
			free = true;
		else if (!*payer && uprobe_user_charge(uc->payer, UPROBE_QUOTA_CALLS, 1))
			*payer = uc->payer;
		if (uc->count)
			uc->count(uc, UPROBE_INHERITED);
	}
	if (free && *payer) {
		uprobe_user_uncharge(*payer, UPROBE_QUOTA_CALLS, 1);
		*payer = NULL;
	}
	if (inheritors && !free && !*payer)
		*payer = ERR_PTR(-EDQUOT);
	return inheritors;
}

/* ---- the API ------------------------------------------------------------ */

static int check_place(struct inode *inode, loff_t offset,
		       loff_t ref_ctr_offset, const char **why)
{
	*why = "The file can't be read through the page cache";
	if (!inode->i_mapping->a_ops->read_folio &&
	    !shmem_mapping(inode->i_mapping))
		return -EIO;
	*why = "The place is past the end of the file";
	if (offset < 0 || offset >= i_size_read(inode))
		return -EINVAL;
	*why = "The reference counter is past the end of the file";
	if (ref_ctr_offset >= i_size_read(inode))
		return -EINVAL;
	*why = "The reference counter's offset has to be even";
	if (ref_ctr_offset < 0 ||
	    !IS_ALIGNED(ref_ctr_offset, sizeof(short)))
		return -EINVAL;
	*why = NULL;
	return 0;
}

static int analyze(const struct uprobe *uprobe, bool is_64bit,
		   const char **why)
{
	struct arch_uprobe arch;

	return arch_uprobe_analyze(&arch, uprobe->bytes, uprobe->nr_bytes,
				   is_64bit, why);
}

/*
 * Whether the instruction can be probed is a matter of each address space and
 * its mode; refused here is what the file's own mode, or none, can have.
 */
static int check_insn(const struct uprobe *uprobe, const char **why)
{
	bool is_64bit = IS_ENABLED(CONFIG_64BIT) &&
			uprobe->elf_class != ELFCLASS32;
	const char *in_other_mode;
	int err;

	if (!uprobe->nr_bytes)
		return 0;
	err = analyze(uprobe, is_64bit, why);
	if (err && !uprobe->elf_class && IS_ENABLED(CONFIG_COMPAT) &&
	    !analyze(uprobe, false, &in_other_mode))
		err = 0;
	/* perhaps the rest is missing */
	if (err == -EILSEQ && uprobe->is_cut)
		err = 0;
	if (!err)
		*why = NULL;
	return err;
}

/* Whom it wants, if not everybody: before anybody asks its filter. */
static int announce(struct uprobe *uprobe, struct uprobe_consumer *uc)
{
	int err;

	err = uc->target ? uprobe_target_get(uc->target) : 0;
	if (err || !uc->scope)
		return err;
	uprobe_scope_get(uc->scope);
	err = uprobe_registry_join_scope(uprobe, uc->scope);
	if (!err)
		return 0;
	uprobe_scope_put(uc->scope);
	if (uc->target)
		uprobe_target_put(uc->target);
	return err;
}

static void withdraw(struct uprobe *uprobe, struct uprobe_consumer *uc)
{
	if (uc->scope) {
		uprobe_registry_leave_scope(uprobe, uc->scope);
		uprobe_scope_put(uc->scope);
	}
	if (uc->target)
		uprobe_target_put(uc->target);
}

/**
 * uprobe_register_why - make someone a consumer of a place, or say why not
 * @inode: the file, which the caller keeps (with its mount) until it has
 *	unregistered
 * @offset: of an instruction, in bytes from the start of the file
 * @ref_ctr_offset: where the file has a counter (unsigned short) that says
 *	how many listen, or 0. It belongs to this consumer alone.
 * @uc: the consumer, zeroed but for its callbacks
 * @why: set to a constant text that tells the user why the place can't be
 *	probed, or to NULL
 *
 * The processes that map the file now get their sites before this returns, unless the
 * consumer is targeted, which says of each when it wants it (uprobe_apply_to_task(),
 * uprobe_apply()); the others when they map it. A process in which the place can't be probed is
 * counted (UPROBE_MISSED_INSTALL) and is no error.
 *
 * Context: task context, may sleep; event_mutex may be held.
 * Return: a handle, or an ERR_PTR: -EINVAL for arguments, -EIO for a file
 * that can't be read through the page cache, -EOPNOTSUPP and -EILSEQ for an
 * instruction that can't be probed, -ENOSPC if the consumers of the place want too
 * large pouches, -EDQUOT if the payer has too many there, -ENOMEM, -EINTR.
 */
struct uprobe *uprobe_register_why(struct inode *inode, loff_t offset,
				   loff_t ref_ctr_offset,
				   struct uprobe_consumer *uc,
				   const char **why)
{
	struct uprobe *uprobe;
	int err;

	*why = NULL;

	if (!uc->handler && !uc->gather && !uc->commit &&
	    !uprobe_consumer_is_returner(uc))
		return ERR_PTR(-EINVAL);
	err = check_place(inode, offset, ref_ctr_offset, why);
	if (err)
		return ERR_PTR(err);
	uprobe = uprobe_registry_get(inode, offset);
	if (IS_ERR(uprobe))
		return uprobe;
	err = check_insn(uprobe, why);
	if (err)
		goto leave;
	err = announce(uprobe, uc);
	if (err)
		goto leave;

	uc->ref_ctr_offset = ref_ctr_offset;
	mutex_lock(&uprobe->lock);
	err = add_consumer(uprobe, uc, why);
	if (err) {
		mutex_unlock(&uprobe->lock);
		withdraw(uprobe, uc);
		goto leave;
	}
	count_general(uprobe, uc, is_general(uc));
	/* about those that a targeted one wants it asks itself */
	err = uc->targeted ? 0 : uprobe_install(uprobe, uc, NULL);
	mutex_unlock(&uprobe->lock);
	if (err) {
		uprobe_unregister_nosync(uprobe, uc);
		uprobe_unregister_sync();
		return ERR_PTR(err);
	}
	return uprobe;

leave:
	uprobe_registry_leave(uprobe);
	uprobe_put(uprobe);
	return ERR_PTR(err);
}

/**
 * uprobe_register - make someone a consumer of a place
 * @inode: see uprobe_register_why() for all of this
 * @offset: of an instruction
 * @ref_ctr_offset: of its counter
 * @uc: the consumer
 *
 * The instruction is read from the file before, which may take its server's time.
 *
 * Context: task context, may sleep; no locks that others need.
 * Return: a handle, or an ERR_PTR.
 */
struct uprobe *uprobe_register(struct inode *inode, loff_t offset,
			       loff_t ref_ctr_offset,
			       struct uprobe_consumer *uc)
{
	const char *why;

	uprobe_fetch_place(inode, offset);
	return uprobe_register_why(inode, offset, ref_ctr_offset, uc, &why);
}
EXPORT_SYMBOL_GPL(uprobe_register);

/**
 * uprobe_apply - the filter of a consumer has changed
 * @uprobe: what uprobe_register() returned
 * @uc: the consumer
 * @add: it wants more address spaces, or else fewer
 *
 * A consumer that becomes targeted, or ceases to be, has said so before.
 *
 * Context: task context, may sleep; event_mutex may be held.
 * Return: 0, -ENOENT if @uc isn't registered, -ENOMEM, -EINTR.
 */
int uprobe_apply(struct uprobe *uprobe, struct uprobe_consumer *uc, bool add)
{
	int err = 0;

	mutex_lock(&uprobe->lock);
	if (!is_consumer(uprobe, uc)) {
		err = -ENOENT;
	} else if (add) {
		count_general(uprobe, uc, uc->general || is_general(uc));
		err = uprobe_install(uprobe, uc, NULL);
	} else {
		uprobe_recheck_everywhere(uprobe);
		count_general(uprobe, uc, is_general(uc));
	}
	mutex_unlock(&uprobe->lock);
	return err;
}

/**
 * uprobe_apply_to_task - the filter of a consumer wants one task's address space, too
 * @uprobe: what uprobe_register() returned
 * @uc: the consumer
 * @task: announced with uprobe_target_get(), which suffices for what it maps later
 *
 * As uprobe_apply(), but others that map the file aren't asked about.
 *
 * Context: task context, may sleep; event_mutex may be held.
 * Return: 0, -ENOENT if @uc isn't registered, -ENOMEM, -EINTR.
 */
int uprobe_apply_to_task(struct uprobe *uprobe, struct uprobe_consumer *uc,
			 const struct task_struct *task)
{
	guard(mutex)(&uprobe->lock);
	if (!is_consumer(uprobe, uc))
		return -ENOENT;
	return uprobe_install(uprobe, uc, task);
}

/**
 * uprobe_unregister_nosync - a consumer leaves
 * @uprobe: what uprobe_register() returned; not to be used afterwards
 * @uc: the consumer
 *
 * Open calls don't delay it: nobody asks for their returns any more. Handlers
 * of @uc may still run; see uprobe_unregister_sync(). The sites go, unless @uc has
 * asked for them by uprobe_visit().
 *
 * Context: task context, may sleep; event_mutex may be held.
 */
void uprobe_unregister_nosync(struct uprobe *uprobe, struct uprobe_consumer *uc)
{
	mutex_lock(&uprobe->lock);
	remove_consumer(uprobe, uc);
	if (!uc->by_visit)
		uprobe_recheck_everywhere(uprobe);
	count_general(uprobe, uc, false);
	mutex_unlock(&uprobe->lock);
	withdraw(uprobe, uc);
	uprobe_registry_leave(uprobe);
	uprobe_put(uprobe);
}
EXPORT_SYMBOL_GPL(uprobe_unregister_nosync);

/**
 * uprobe_hold - keep a uprobe, for uprobe_visit()
 * @uprobe: what uprobe_register() returned; its consumer is still registered
 *
 * Return: @uprobe, to be given back with uprobe_put().
 */
struct uprobe *uprobe_hold(struct uprobe *uprobe)
{
	refcount_inc(&uprobe->ref);
	return uprobe;
}

/**
 * uprobe_unregister_sync - wait until no handler of a gone consumer runs
 *
 * One call serves any number of uprobe_unregister_nosync() before it.
 *
 * Context: task context, sleeps for a grace period of RCU and RCU tasks trace.
 */
void uprobe_unregister_sync(void)
{
	synchronize_rcu_tasks_trace();
	if (!rcu_trace_implies_rcu_gp())
		synchronize_rcu();
}
EXPORT_SYMBOL_GPL(uprobe_unregister_sync);

// SPDX-License-Identifier: GPL-2.0
/*
 * How much may all uprobes of one user take together?
 *
 * What somebody without privilege has made for his probes is counted to him: the
 * probes, the perf events on them, the sites that they have in address spaces, the pages of
 * slots there, and the calls that threads have room for, which they keep. A user of a user namespace is counted there, and
 * with him who owns the namespace, in the one above it, as it is with other things
 * (kernel/ucount.c). Whatever is wanted by somebody with privilege, too, costs nobody
 * anything.
 *
 * What is counted keeps the user's object, and may outlive consumers, processes and
 * credentials. The limits are the same for all, and are asked when something is made.
 *
 * sites.c, slots.c and call.c charge by way of uprobe_charge() (register.c), and whoever
 * makes probes (kernel/trace/trace_uprobe_local.c).
 */

#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/init.h>
#include <linux/slab.h>
#include <linux/sysctl.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "internal.h"

/**
 * struct uprobe_user - what is counted to one user
 * @hash: in users. users_lock.
 * @ns: the user namespace; kept
 * @uid: the user in it
 * @above: who owns @ns, in the namespace above; NULL at the top. Kept.
 * @refs: who holds it, and everything that is charged
 * @used: how much of each kind
 */
struct uprobe_user {
	struct hlist_node	hash;
	struct user_namespace	*ns;
	kuid_t			uid;
	struct uprobe_user	*above;
	atomic_long_t		refs;
	atomic_long_t		used[UPROBE_NR_QUOTAS];
};

static DEFINE_HASHTABLE(users, 6);
static DEFINE_SPINLOCK(users_lock);

/* What a large program takes with a probe on all of its functions. */
static unsigned int limits[UPROBE_NR_QUOTAS] = {
	[UPROBE_QUOTA_PROBES]		= 4096,
	[UPROBE_QUOTA_SITES]		= 65536,
	[UPROBE_QUOTA_SLOT_PAGES]	= 4096,
	[UPROBE_QUOTA_CALLS]		= 1048576,
	[UPROBE_QUOTA_EVENTS]		= 65536,
};

static struct hlist_head *bucket_of(const struct user_namespace *ns, kuid_t uid)
{
	return &users[hash_min((unsigned long)ns + __kuid_val(uid),
			       HASH_BITS(users))];
}

/* Under users_lock. */
static struct uprobe_user *look_up(struct user_namespace *ns, kuid_t uid)
{
	struct uprobe_user *user;

	hlist_for_each_entry(user, bucket_of(ns, uid), hash) {
		if (user->ns == ns && uid_eq(user->uid, uid)) {
			atomic_long_inc(&user->refs);
			return user;
		}
	}
	return NULL;
}

static void free_user(struct uprobe_user *user)
{
	put_user_ns(user->ns);
	kfree(user);
}

static void put_refs(struct uprobe_user *user, long n)
{
	struct uprobe_user *above;
	unsigned long flags;
	bool last;

	for (; user; user = above, n = 1) {
		if (atomic_long_add_unless(&user->refs, -n, n))
			return;
		spin_lock_irqsave(&users_lock, flags);
		last = !atomic_long_sub_return(n, &user->refs);
		if (last)
			hlist_del(&user->hash);
		spin_unlock_irqrestore(&users_lock, flags);
		if (!last)
			return;
		above = user->above;
		free_user(user);
	}
}

static struct uprobe_user *make_user(struct user_namespace *ns, kuid_t uid,
				     struct uprobe_user *above)
{
	struct uprobe_user *user, *other;

	/* event_mutex may be held, and whoever charges memory may be made to wait */
	user = kzalloc(sizeof(*user), GFP_KERNEL);
	if (!user) {
		put_refs(above, 1);
		return NULL;
	}
	user->ns = get_user_ns(ns);
	user->uid = uid;
	user->above = above;
	atomic_long_set(&user->refs, 1);
	spin_lock_irq(&users_lock);
	other = look_up(ns, uid);
	if (!other)
		hlist_add_head(&user->hash, bucket_of(ns, uid));
	spin_unlock_irq(&users_lock);
	if (!other)
		return user;
	put_refs(above, 1);
	free_user(user);
	return other;
}

static struct uprobe_user *find_or_make(struct user_namespace *ns, kuid_t uid)
{
	struct uprobe_user *user, *above = NULL;

	spin_lock_irq(&users_lock);
	user = look_up(ns, uid);
	spin_unlock_irq(&users_lock);
	if (user)
		return user;
	/* 32 of them may be inside each other: create_user_ns() */
	if (ns->parent) {
		above = find_or_make(ns->parent, ns->owner);
		if (!above)
			return NULL;
	}
	return make_user(ns, uid, above);
}

/**
 * uprobe_user_get - whom is counted what these credentials make?
 * @cred: whose
 *
 * Context: task context, may sleep.
 * Return: to be given back with uprobe_user_put(); or NULL without memory.
 */
struct uprobe_user *uprobe_user_get(const struct cred *cred)
{
	return find_or_make(cred->user_ns, cred->euid);
}

/**
 * uprobe_user_put - give back what uprobe_user_get() has given
 * @user: the user; or NULL
 */
void uprobe_user_put(struct uprobe_user *user)
{
	put_refs(user, 1);
}

/*
 * To whom is it counted as well? Not to root of the initial namespace, who has given away
 * namespaces, as for containers: they would share what he may have.
 */
static struct uprobe_user *payer_above(const struct uprobe_user *user)
{
	struct uprobe_user *above = user->above;

	return above && !above->above && uid_eq(above->uid, GLOBAL_ROOT_UID) ?
	       NULL : above;
}

/* The user to whom everything is counted in the end. */
static const struct uprobe_user *topmost(const struct uprobe_user *user)
{
	const struct uprobe_user *above;

	while ((above = payer_above(user)))
		user = above;
	return user;
}

/**
 * uprobe_user_is_same - does the same user pay for both in the end?
 * @a: a user
 * @b: another one
 *
 * Return: true if so, whatever namespaces they are in; all users of a namespace that root
 * has given away are one.
 */
bool uprobe_user_is_same(const struct uprobe_user *a,
			 const struct uprobe_user *b)
{
	a = topmost(a);
	b = topmost(b);
	return a == b || (a->above && b->above && a->ns == b->ns);
}

/**
 * uprobe_user_force - count something to a user, whatever the limit says
 * @user: the user; or NULL: nobody
 * @what: what it is
 * @n: how many
 *
 * Context: any.
 */
void uprobe_user_force(struct uprobe_user *user, enum uprobe_quota what, long n)
{
	struct uprobe_user *u;

	if (!user)
		return;
	atomic_long_add(n, &user->refs);
	for (u = user; u; u = payer_above(u))
		atomic_long_add(n, &u->used[what]);
}

/**
 * uprobe_user_charge - count something to a user, if he may have it
 * @user: the user; or NULL: nobody
 * @what: what it is
 * @n: how many
 *
 * Context: any.
 * Return: false if he, or somebody above, would have more than the limit.
 */
bool uprobe_user_charge(struct uprobe_user *user, enum uprobe_quota what, long n)
{
	uprobe_user_force(user, what, n);
	if (!uprobe_user_has_too_many(user, what))
		return true;
	uprobe_user_uncharge(user, what, n);
	return false;
}

/**
 * uprobe_user_has_too_many - has more been counted to a user than he may have?
 * @user: the user; or NULL: nobody
 * @what: what it is
 *
 * Return: true if so, or if somebody above has.
 */
bool uprobe_user_has_too_many(const struct uprobe_user *user,
			      enum uprobe_quota what)
{
	for (; user; user = payer_above(user)) {
		if (atomic_long_read(&user->used[what]) >
		    (long)READ_ONCE(limits[what]))
			return true;
	}
	return false;
}

/**
 * uprobe_user_uncharge - it is there no more
 * @user: to whom it was charged; or NULL
 * @what: what it was
 * @n: how many
 *
 * Context: any but NMI.
 */
void uprobe_user_uncharge(struct uprobe_user *user, enum uprobe_quota what,
			  long n)
{
	struct uprobe_user *u;

	if (!user)
		return;
	for (u = user; u; u = payer_above(u))
		atomic_long_sub(n, &u->used[what]);
	put_refs(user, n);
}

/* ---- sysctls ------------------------------------------------------------ */

#define LIMIT(name, what) {						\
	.procname	= "uprobe_user_max_" name,			\
	.data		= &limits[UPROBE_QUOTA_##what],			\
	.maxlen		= sizeof(unsigned int),				\
	.mode		= 0644,						\
	.proc_handler	= proc_douintvec,				\
}

static struct ctl_table limit_table[] = {
	LIMIT("probes", PROBES),
	LIMIT("sites", SITES),
	LIMIT("slot_pages", SLOT_PAGES),
	LIMIT("calls", CALLS),
	LIMIT("events", EVENTS),
};

static int __init register_limits(void)
{
	register_sysctl_init("kernel", limit_table);
	return 0;
}
late_initcall(register_limits);

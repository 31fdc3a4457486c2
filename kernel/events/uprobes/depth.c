// SPDX-License-Identifier: GPL-2.0
/*
 * How many calls of one function are open in a thread?
 *
 * Nobody counts them, for hardly anybody asks: who does looks through the thread's open
 * calls, outwards, as far as one of the same uprobe that knows how many there were with
 * it, and leaves word in those that it has passed. So a recursion that is asked about at
 * each entry costs a look at one other call. What a call knows holds as long as
 * none has gone from behind another one: coroutines end in any order.
 *
 * deliver.c and trap.c ask before they gather whether there is a long way to go.
 */

#include <linux/sched.h>

#include "internal.h"

/* how many calls are looked at in the trap */
#define MAX_SEARCH	64

static bool knows(const struct uprobe_thread *ut, const struct open_call *call)
{
	return call->depth_of == call->pub.id && call->depth_at == ut->unlinked;
}

/**
 * uprobe_depth_is_near - can uprobe_call_depth() answer in the trap?
 * @ut: the current thread
 * @call: the call that it will be asked of, or the innermost one before that; or NULL
 * @serial: uprobe::serial of the uprobe
 *
 * Context: any; the thread's calls stay.
 * Return: true if so.
 */
bool uprobe_depth_is_near(const struct uprobe_thread *ut,
			  const struct open_call *call, u64 serial)
{
	unsigned int passed = 0;

	for (; call; call = call->next) {
		if (call->uprobe_serial == serial && knows(ut, call))
			return true;
		if (++passed > MAX_SEARCH)
			return false;
	}
	return true;
}

/**
 * uprobe_call_depth - how many calls of one uprobe are open in the thread?
 * @pub: the current task's: the last one that counts
 *
 * Context: commit() of a consumer with uprobe_consumer::asks_depth; its gather() at a
 * return.
 * Return: with @pub; 1 if that is the outermost.
 */
unsigned int uprobe_call_depth(const struct uprobe_call *pub)
{
	struct open_call *first = container_of(pub, struct open_call, pub);
	const struct uprobe_thread *ut = uprobe_thread_of(current);
	const u64 serial = first->uprobe_serial;
	unsigned int depth = 0;
	struct open_call *c;

	for (c = first; c; c = c->next) {
		if (c->uprobe_serial != serial)
			continue;
		if (knows(ut, c)) {
			depth += c->depth;
			break;
		}
		depth++;
	}
	for (c = first; depth && c; c = c->next) {
		if (c->uprobe_serial != serial)
			continue;
		if (knows(ut, c))
			break;
		c->depth_of = c->pub.id;
		c->depth_at = ut->unlinked;
		c->depth = depth--;
	}
	return first->depth;
}

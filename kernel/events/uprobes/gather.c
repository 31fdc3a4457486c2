// SPDX-License-Identifier: GPL-2.0
/*
 * How does a consumer read the program's memory at a hit?
 *
 * Without page faults: a gather runs inside RCU sections, and a page may be
 * withheld for ever by somebody whom nobody else should have to wait for
 * (userfaultfd, a file system in user space). What couldn't be read is noted
 * here; deliver.c then leaves the sections, has the page faulted in, and lets
 * the consumers gather anew. A page that can't be had at all is remembered, so
 * that it isn't tried again.
 */

#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "internal.h"

static bool is_bad(const struct uprobe_unread *unread, unsigned long addr)
{
	unsigned int i;

	for (i = 0; i < unread->nr_bad; i++) {
		if (unread->bad[i] == (addr & PAGE_MASK))
			return true;
	}
	return false;
}

/* Of several in one gather the first is enough: it is tried again. */
static int note(unsigned long addr, size_t len)
{
	struct uprobe_thread *ut = uprobe_thread_of(current);
	unsigned long last = addr + len - 1;

	if (ut && !ut->unread.addr && access_ok((void __user *)addr, len) &&
	    !is_bad(&ut->unread, addr) && !is_bad(&ut->unread, last)) {
		ut->unread.addr = addr;
		ut->unread.len = len;
	}
	return -EFAULT;
}

/**
 * uprobe_read_user - read the program's memory
 * @to: where to
 * @from: what
 * @len: how many bytes
 *
 * Context: gather() of a consumer.
 * Return: 0 or -EFAULT. The gather may be repeated then, when the memory has
 * been faulted in; what is wrong for good stays so.
 */
int uprobe_read_user(void *to, const void __user *from, size_t len)
{
	if (!copy_from_user_nofault(to, from, len))
		return 0;
	return len ? note((unsigned long)from, len) : 0;
}
EXPORT_SYMBOL_GPL(uprobe_read_user);

/* Bytes up to the end of the page, so that it is known which one is missing. */
static long in_page(const char __user *from, long len)
{
	return min_t(long, len, PAGE_SIZE - offset_in_page(from));
}

/**
 * uprobe_read_user_string - read a string of the program's
 * @to: where to
 * @from: the string
 * @len: how many bytes there is room for, with the final 0
 *
 * Context: gather() of a consumer.
 * Return: bytes read, with the final 0; @len if the string is longer, and then
 * it is cut and ends with a 0, too; -EFAULT as for uprobe_read_user().
 */
long uprobe_read_user_string(char *to, const char __user *from, long len)
{
	long done = 0;

	while (done < len) {
		long n = in_page(from + done, len - done);
		long got = strncpy_from_user_nofault(to + done, from + done, n);

		if (got < 0)
			return note((unsigned long)from + done, 1);
		/* of an empty string it says 0 */
		if (!got)
			return done + 1;
		/* a string that is cut has a 0 in place of the last byte */
		if (got < n)
			return done + got;
		if (uprobe_read_user(to + done + n - 1, from + done + n - 1, 1))
			return -EFAULT;
		if (!to[done + n - 1])
			return done + n;
		done += n;
	}
	if (len)
		to[len - 1] = '\0';
	return len;
}
EXPORT_SYMBOL_GPL(uprobe_read_user_string);

/* Return: false if there is no room for it. */
static bool remember_bad(struct uprobe_unread *unread, unsigned long addr)
{
	unsigned int room = max(2 * unread->room, 8U);
	unsigned long *bad;

	if (unread->nr_bad == unread->room) {
		bad = krealloc_array(unread->bad, room, sizeof(*bad),
				     GFP_KERNEL_ACCOUNT | UPROBE_MAY_FAIL);
		if (!bad)
			return false;
		unread->bad = bad;
		unread->room = room;
	}
	unread->bad[unread->nr_bad++] = addr & PAGE_MASK;
	return true;
}

/**
 * uprobe_fault_in - fault in what a gather couldn't read
 * @ut: the current thread
 *
 * Context: task context, outside of every lock and RCU section. May wait for
 * as long as the owner of the memory likes, but ends by SIGKILL.
 * Return: false if it isn't worth another attempt, for lack of memory.
 */
bool uprobe_fault_in(struct uprobe_thread *ut)
{
	struct uprobe_unread *unread = &ut->unread;
	size_t left = fault_in_readable((void __user *)unread->addr,
					unread->len);
	unsigned long missing = unread->addr + unread->len - left;

	unread->addr = 0;
	return !left || remember_bad(unread, missing);
}

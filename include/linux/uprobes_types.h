/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What struct mm_struct embeds for uprobes, and nothing else.
 *
 * <linux/mm_types.h> includes this header, and so does nearly every file of
 * the kernel; the API lives in <linux/uprobes.h>, so that an edit there
 * recompiles a dozen files instead of all of them.
 */
#ifndef _LINUX_UPROBES_TYPES_H
#define _LINUX_UPROBES_TYPES_H

#include <linux/spinlock_types.h>

struct uprobe_space;

/**
 * struct uprobes_state - the part of an mm_struct that belongs to uprobes
 * @space: sites, areas and semaphores of this address space, or NULL as long
 *	as nobody has probed it. Set under mmap_lock held for writing, taken
 *	away by uprobe_clear_state() when the last user of the mm is gone;
 *	readers that hold neither use RCU.
 * @lock: guards the three fields below
 * @dirty_start: lowest address whose mapping changed since the last
 *	uprobe_sync() of this mm
 * @dirty_end: end of that range, 0 if nothing changed
 * @dup_seq: what uprobe_dup_mmap() saw of the registrations under way
 */
struct uprobes_state {
#ifdef CONFIG_UPROBES
	struct uprobe_space *space;
	spinlock_t lock;
	unsigned long dirty_start;
	unsigned long dirty_end;
	unsigned int dup_seq;
#endif
};

#endif /* _LINUX_UPROBES_TYPES_H */

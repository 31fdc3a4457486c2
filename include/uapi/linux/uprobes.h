/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The PMU "uprobe" of perf_event_open(): what is ours of its interface.
 *
 * perf_event_attr::config of an event of this PMU:
 *
 *	bit 0		PERF_UPROBE_RETURN: returns, else entries
 *	bit 1		PERF_UPROBE_DEFINITION: config1 is the address of a command
 *	bits 16 to 31	with a definition: the number that records have for their type
 *			(common_type), which user space chooses
 *	bits 32 to 63	without one: offset of the semaphore in the file
 *
 * Without a definition, config1 is the address of a path and config2 an offset in that
 * file. With one, config2 is 0, and the command is a line as uprobe_events takes it,
 * without scope (`@`); its group and event name are what the format says.
 */
#ifndef _UAPI_LINUX_UPROBES_H
#define _UAPI_LINUX_UPROBES_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define PERF_UPROBE_RETURN		(1ULL << 0)
#define PERF_UPROBE_DEFINITION		(1ULL << 1)
#define PERF_UPROBE_TYPE_SHIFT		16
#define PERF_UPROBE_TYPE_MASK		0xffffULL

/* no definition is longer, with the NUL behind it */
#define PERF_UPROBE_DEFINITION_MAX	4096

/**
 * struct perf_uprobe_text - what an event of the PMU says of itself
 * @text: address of room for it
 * @size: bytes of that room; set to those of the text, with the NUL behind it
 * @reserved: 0
 *
 * For the descriptor of an event of this PMU the ioctls return 0; or ENOSPC, when @size is set
 * and nothing is written to @text; EFAULT; EINVAL.
 *
 * PERF_EVENT_IOC_UPROBE_FORMAT: how its records are laid out, as in a "format" file of tracefs.
 *
 * PERF_EVENT_IOC_UPROBE_MISSED: what became of its hits, as in uprobe_missed of tracefs: a line of
 * names that begins with "#", and a line of numbers. All that a process has opened
 * with the same definition are one event.
 */
struct perf_uprobe_text {
	__u64 text;
	__u32 size;
	__u32 reserved;
};

#define PERF_EVENT_IOC_UPROBE_FORMAT	_IOWR('$', 32, struct perf_uprobe_text)
#define PERF_EVENT_IOC_UPROBE_MISSED	_IOWR('$', 33, struct perf_uprobe_text)

#endif /* _UAPI_LINUX_UPROBES_H */

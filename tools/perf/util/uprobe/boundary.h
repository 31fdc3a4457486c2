/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Is a place in a file the start of an instruction?
 */
#ifndef __PERF_UPROBE_BOUNDARY_H
#define __PERF_UPROBE_BOUNDARY_H

#include <stdbool.h>
#include <linux/compiler.h>
#include <linux/types.h>

/**
 * struct uprobe_boundary - where instructions begin, around a place that is inside of one
 * @function: the symbol that it belongs to; to be freed
 * @before: the instruction begins so far behind the symbol, in bytes
 * @after: and the next one so far
 */
struct uprobe_boundary {
	char	*function;
	u64	before;
	u64	after;
};

#ifdef HAVE_AUXTRACE_SUPPORT
bool uprobe_boundary__is_inside(int fd, u64 offset, struct uprobe_boundary *boundary);
#else
static inline bool uprobe_boundary__is_inside(int fd __maybe_unused, u64 offset __maybe_unused,
					      struct uprobe_boundary *boundary __maybe_unused)
{
	return false;
}
#endif

#endif /* __PERF_UPROBE_BOUNDARY_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Can the file that -x names hold probes, and where?
 */
#ifndef __PERF_UPROBE_TARGET_H
#define __PERF_UPROBE_TARGET_H

#include <stdbool.h>
#include <linux/types.h>

/* The exit status when an option is wrong, as of parse_options(). */
#define UPROBE_BAD_OPTION 129

struct nsinfo;
struct uprobe_boundary;

void uprobe_target__require(const char *path, struct nsinfo *nsi);
char *uprobe_target__code(const char *path, struct nsinfo *nsi, u64 offset);
bool uprobe_target__boundary(const char *path, struct nsinfo *nsi, u64 offset,
			     struct uprobe_boundary *boundary);
bool uprobe_target__offset(const char *path, struct nsinfo *nsi, u64 address, u64 *offset);

#endif /* __PERF_UPROBE_TARGET_H */

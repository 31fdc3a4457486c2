/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Can the file that -x names hold probes?
 */
#ifndef __PERF_UPROBE_TARGET_H
#define __PERF_UPROBE_TARGET_H

/* The exit status when an option is wrong, as of parse_options(). */
#define UPROBE_BAD_OPTION 129

struct nsinfo;

void uprobe_target__require(const char *path, struct nsinfo *nsi);

#endif /* __PERF_UPROBE_TARGET_H */

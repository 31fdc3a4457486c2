/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Can the file that -x names hold probes?
 */
#ifndef __PERF_UPROBE_TARGET_H
#define __PERF_UPROBE_TARGET_H

struct nsinfo;

void uprobe_target__require(const char *path, struct nsinfo *nsi);

#endif /* __PERF_UPROBE_TARGET_H */

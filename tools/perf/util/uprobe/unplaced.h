/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Why does a definition name no place in its file?
 */
#ifndef __PERF_UPROBE_UNPLACED_H
#define __PERF_UPROBE_UNPLACED_H

struct perf_probe_event;

char *uprobe_unplaced__why(struct perf_probe_event *pev, int error);
char *uprobe_unplaced__misplaced(struct perf_probe_event *pev);

#endif /* __PERF_UPROBE_UNPLACED_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Why did the kernel not take a command, and what is left of those that it took?
 */
#ifndef __PERF_UPROBE_REFUSAL_H
#define __PERF_UPROBE_REFUSAL_H

struct perf_probe_event;
struct strlist;

struct strlist *uprobe_refusal__events(void);
char *uprobe_refusal__existing(const char *words, struct strlist *before);
char *uprobe_refusal__why(struct perf_probe_event *pevs, int npevs);
int uprobe_refusal__undo(struct perf_probe_event *pevs, int npevs, struct strlist *before);

#endif /* __PERF_UPROBE_REFUSAL_H */

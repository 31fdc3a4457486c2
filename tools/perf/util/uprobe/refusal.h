/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Why did the kernel not take a command, and what is left of those that it took?
 */
#ifndef __PERF_UPROBE_REFUSAL_H
#define __PERF_UPROBE_REFUSAL_H

struct perf_probe_event;
struct strlist;

/**
 * struct uprobe_before - what tracefs holds before a command writes to it
 * @events: uprobe_events, NULL: it can't be read, or nothing will be written
 * @refusal: first line of the newest entry of error_log, with its time; NULL: there is none
 */
struct uprobe_before {
	struct strlist *events;
	char *refusal;
};

void uprobe_before__read(struct uprobe_before *before);
void uprobe_before__forget(struct uprobe_before *before);
char *uprobe_refusal__existing(const char *words, const struct uprobe_before *before);
char *uprobe_refusal__why(struct perf_probe_event *pevs, int npevs,
			  const struct uprobe_before *before);
int uprobe_refusal__undo(struct perf_probe_event *pevs, int npevs,
			 const struct uprobe_before *before);

#endif /* __PERF_UPROBE_REFUSAL_H */

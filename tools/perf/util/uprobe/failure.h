/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What does perf probe say when it fails for a user-space probe?
 */
#ifndef __PERF_UPROBE_FAILURE_H
#define __PERF_UPROBE_FAILURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "util/probe-finder.h"
#include "refusal.h"

struct perf_probe_event;

/**
 * struct uprobe_failure - what one perf probe command may have to say when it fails
 * @typed: the definitions as they were typed, in the order of the events made of them
 * @definitions: how many of them there are
 * @user: the command is about user-space probes
 * @kept: where perf's messages go meanwhile, NULL: to the user
 * @words: those messages, complete once @kept is closed
 * @size: how long @words is
 * @where: "FILE: 'DEFINITION'" at which it failed, NULL if nobody knows
 * @line: the one line to say instead of @words, NULL: make one of @words
 * @left: how many events it added that couldn't be taken away
 * @before: what tracefs held before the first event was added
 *
 * All zero to begin with; lives as long as the command.
 */
struct uprobe_failure {
	char *typed[MAX_PROBES];
	int definitions;
	bool user;
	FILE *kept;
	char *words;
	size_t size;
	char *where;
	char *line;
	int left;
	struct uprobe_before before;
};

int uprobe_failure__parse(struct uprobe_failure *failure, const char *typed,
			  struct perf_probe_event *pev);
void uprobe_failure__watch(struct uprobe_failure *failure, bool user, char command);
int uprobe_failure__resolved(struct uprobe_failure *failure, struct perf_probe_event *pevs,
			     int npevs, int error);
int uprobe_failure__applied(struct uprobe_failure *failure, struct perf_probe_event *pevs,
			    int npevs, int error);
void uprobe_failure__say(struct uprobe_failure *failure, int error);

#endif /* __PERF_UPROBE_FAILURE_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What does a report of returns say, before anything decides how it looks?
 *
 * report.c fills struct returns while it reads the recorded data; a view
 * (table.c) turns it into text. Only plain data in here, no perf: a view can
 * be tested without recorded data.
 */
#ifndef __PERF_RETURNS_RETURNS_H
#define __PERF_RETURNS_RETURNS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "histogram.h"

/**
 * struct returns_function - what one event saw of one function
 * @name: the function as it is printed, owned
 * @dso: short name of the file that it is in, owned
 * @event: name of the event that the returns were recorded by, owned
 * @latency: one value in ns for each return
 *
 * Two events on the same function are two of these: each return would be
 * counted twice if they were put together.
 */
struct returns_function {
	char			*name;
	char			*dso;
	char			*event;
	struct histogram	latency;
};

/**
 * struct returns - everything that is known about the returns of a recording
 * @functions: one for each function and event, in the order of their first
 *	return, owned
 * @nr_functions: how many
 * @count: returns in all functions together
 * @threads: how many threads returned from any of them
 * @lost: returns that the kernel could not record
 * @sampled: not each return of some event was recorded
 * @unreadable: records that were too short for the fields that they must have
 * @first_time: earliest time of an exec, exit or return in ns; 0 if there is none
 * @last_time: latest such time
 * @command: the measured command line, owned; NULL if it was not recorded
 */
struct returns {
	struct returns_function	**functions;
	size_t			nr_functions;
	u64			count;
	u64			threads;
	u64			lost;
	bool			sampled;
	u64			unreadable;
	u64			first_time;
	u64			last_time;
	char			*command;
};

struct returns_function *returns__add_function(struct returns *returns, const char *name,
					       const char *dso, const char *event);
int returns__add(struct returns *returns, struct returns_function *function, u64 latency);
void returns__note_time(struct returns *returns, u64 time);
void returns__exit(struct returns *returns);

#endif /* __PERF_RETURNS_RETURNS_H */

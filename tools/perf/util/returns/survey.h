/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which events of a recording can be reported, and what is said of the others?
 *
 * report.c asks as soon as the events are known.
 */
#ifndef __PERF_RETURNS_SURVEY_H
#define __PERF_RETURNS_SURVEY_H

#include <stdbool.h>

struct evlist;

/* At most so many events are named in a message. */
#define SURVEY_MAX_NAMES	5

/**
 * struct survey - which events can be reported, and which can't
 * @usable: how many have a latency
 * @ignored: how many have none
 * @names: the first of those that have none
 */
struct survey {
	unsigned int	usable;
	unsigned int	ignored;
	const char	*names[SURVEY_MAX_NAMES];
};

int survey__require_latency(struct survey *survey, struct evlist *evlist);
void survey__warn_ignored(const struct survey *survey);

#endif /* __PERF_RETURNS_SURVEY_H */

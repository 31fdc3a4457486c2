/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Is a recorded event a return event, and where in its records is the latency?
 *
 * report.c asks once per event and reads every record through the answer.
 */
#ifndef __PERF_RETURNS_EVENT_H
#define __PERF_RETURNS_EVENT_H

#include <linux/types.h>
#include <stdbool.h>

struct evlist;
struct evsel;
struct perf_sample;
struct tep_format_field;

/**
 * struct returns_event - what a report of returns knows about one event
 * @function: the field that holds the address of the probed function; NULL if
 *	this is no return event with a latency
 * @latency: the field that holds the latency in ns; NULL like @function
 *
 * Lives in evsel->priv from the first question until returns_event__forget().
 */
struct returns_event {
	struct tep_format_field	*function;
	struct tep_format_field	*latency;
};

/**
 * struct returned_call - what one record says
 * @function: address of the probed function in its process
 * @latency: ns from entry to return
 */
struct returned_call {
	u64	function;
	u64	latency;
};

const struct returns_event *returns_event__of(struct evsel *evsel);
bool returns_event__has_latency(const struct returns_event *event);
int returns_event__read(const struct returns_event *event, const struct evsel *evsel,
			struct perf_sample *sample, struct returned_call *call);
void returns_event__forget(struct evlist *evlist);

#endif /* __PERF_RETURNS_EVENT_H */

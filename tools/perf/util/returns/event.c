// SPDX-License-Identifier: GPL-2.0
/*
 * Is a recorded event a return event, and where in its records is the latency?
 *
 * Called by report.c. The kernel describes the records of an event in its format
 * file, which perf record stores with the data; the names in there are the
 * contract. The call that a record tells of goes to place.c.
 */
#include "event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <traceevent/event-parse.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>

#include "util/evlist.h"
#include "util/evsel.h"
#include "util/sample.h"

/* Every return event has these two, whatever its user asked for. */
#define FIELD_FUNCTION	"__probe_func"
#define FIELD_RETURN	"__probe_ret_ip"

/*
 * What a field made from $latency is called by those who follow the documents:
 * the first if its user gave it no name. It is a plain u64 to everybody else.
 */
static const char * const latency_names[] = { "latency", "lat" };

static struct tep_format_field *find_latency(struct tep_event *format)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(latency_names); i++) {
		struct tep_format_field *field = tep_find_field(format, latency_names[i]);

		if (field && !strcmp(field->type, "u64") && field->size == sizeof(u64))
			return field;
	}
	return NULL;
}

static void inspect(struct returns_event *event, struct tep_event *format)
{
	struct tep_format_field *function = tep_find_field(format, FIELD_FUNCTION);

	if (!function || !tep_find_field(format, FIELD_RETURN))
		return;

	event->latency = find_latency(format);
	if (event->latency)
		event->function = function;
}

/**
 * returns_event__of - what is known about an event
 * @evsel: the event; its format must have been read
 *
 * Return: the answer, which lives until returns_event__forget(), or NULL if
 * memory is short.
 */
const struct returns_event *returns_event__of(struct evsel *evsel)
{
	if (!evsel->priv) {
		struct returns_event *event = zalloc(sizeof(*event));

		if (event && evsel->tp_format)
			inspect(event, evsel->tp_format);
		evsel->priv = event;
	}
	return evsel->priv;
}

/**
 * returns_event__has_latency - can a report of returns use this event?
 * @event: the event
 *
 * Return: true if its records can be read with returns_event__read().
 */
bool returns_event__has_latency(const struct returns_event *event)
{
	return event->latency;
}

static bool holds(const struct perf_sample *sample, const struct tep_format_field *field)
{
	return sample->raw_data && (u64)field->offset + field->size <= sample->raw_size;
}

/**
 * returns_event__read - read one record
 * @event: its event, one that has a latency
 * @evsel: the same event as perf knows it
 * @sample: the record
 * @call: where to
 *
 * Return: 0, or -EINVAL if the record is too short for its own format.
 */
int returns_event__read(const struct returns_event *event, const struct evsel *evsel,
			struct perf_sample *sample, struct returned_call *call)
{
	if (!holds(sample, event->function) || !holds(sample, event->latency))
		return -EINVAL;

	call->function = format_field__intval(event->function, sample, evsel->needs_swap);
	call->latency = format_field__intval(event->latency, sample, evsel->needs_swap);
	return 0;
}

/**
 * returns_event__forget - free what was found out about all events
 * @evlist: the events
 */
void returns_event__forget(struct evlist *evlist)
{
	struct evsel *evsel;

	evlist__for_each_entry(evlist, evsel)
		zfree(&evsel->priv);
}

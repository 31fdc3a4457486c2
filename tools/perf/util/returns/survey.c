// SPDX-License-Identifier: GPL-2.0
/*
 * Which events of a recording can be reported, and what is said of the others?
 *
 * Called by report.c: before it reads a file, and after it has read a pipe, which
 * does not say what is in it. event.c knows about each single event.
 */
#include "survey.h"

#include <errno.h>
#include <stdio.h>
#include <linux/kernel.h>

#include "event.h"
#include "util/debug.h"
#include "util/evlist.h"
#include "util/evsel.h"

static void add_event(struct survey *survey, const struct returns_event *event, const char *name)
{
	if (returns_event__has_latency(event)) {
		survey->usable++;
		return;
	}

	if (survey->ignored < SURVEY_MAX_NAMES)
		survey->names[survey->ignored] = name;
	survey->ignored++;
}

static int survey_events(struct survey *survey, struct evlist *evlist)
{
	const struct returns_event *event;
	struct evsel *evsel;

	*survey = (struct survey){};
	evlist__for_each_entry(evlist, evsel) {
		/* perf record's own, to be told of new mappings. */
		if (evsel__is_dummy_event(evsel))
			continue;

		event = returns_event__of(evsel);
		if (!event)
			return -ENOMEM;
		add_event(survey, event, evsel__name(evsel));
	}
	return 0;
}

/**
 * survey__require_latency - find the events that can be reported
 * @survey: where to
 * @evlist: all events of the recording
 *
 * Return: 0; -ENOMEM; -EINVAL if there is none, and then that has been printed.
 */
int survey__require_latency(struct survey *survey, struct evlist *evlist)
{
	int err = survey_events(survey, evlist);

	if (err)
		return err;
	if (survey->usable)
		return 0;

	pr_err("Error: no event with a latency field: use $latency in the return event's definition, "
	       "named latency or lat\n");
	return -EINVAL;
}

/**
 * survey__warn_ignored - say in one line which events were not used
 * @survey: what survey__require_latency() found
 */
void survey__warn_ignored(const struct survey *survey)
{
	unsigned int named = min_t(unsigned int, survey->ignored, SURVEY_MAX_NAMES);
	unsigned int i;

	if (!survey->ignored || quiet)
		return;

	fprintf(stderr, "Ignored, no latency field: ");
	for (i = 0; i < named; i++)
		fprintf(stderr, "%s%s", i ? ", " : "", survey->names[i]);
	if (named < survey->ignored)
		fprintf(stderr, " and %u more", survey->ignored - named);
	fprintf(stderr, "\n");
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What does a report of returns say, before anything decides how it looks?
 *
 * Called by report.c for every recorded return, and by place.c for a function
 * that has not returned before. The result goes to a view: table.c.
 */
#include "returns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void free_function(struct returns_function *function)
{
	histogram__exit(&function->latency);
	free(function->name);
	free(function->dso);
	free(function->event);
	free(function);
}

static struct returns_function *new_function(const char *name, const char *dso,
					     const char *event)
{
	struct returns_function *function = calloc(1, sizeof(*function));

	if (!function)
		return NULL;

	function->name = strdup(name);
	function->dso = strdup(dso);
	function->event = strdup(event);
	if (function->name && function->dso && function->event)
		return function;

	free_function(function);
	return NULL;
}

/**
 * returns__add_function - make room for the returns of a function
 * @returns: where
 * @name: the function as it is to be printed
 * @dso: short name of the file that it is in
 * @event: name of the event that records its returns
 *
 * Return: the new function, owned by @returns, or NULL if memory is short.
 */
struct returns_function *returns__add_function(struct returns *returns, const char *name,
					       const char *dso, const char *event)
{
	struct returns_function **functions;
	struct returns_function *function;

	functions = realloc(returns->functions,
			    (returns->nr_functions + 1) * sizeof(*functions));
	if (!functions)
		return NULL;
	returns->functions = functions;

	function = new_function(name, dso, event);
	if (function)
		functions[returns->nr_functions++] = function;
	return function;
}

/**
 * returns__add - count one return
 * @returns: where @function belongs to
 * @function: what returned
 * @latency: ns from its entry to its return
 *
 * Return: 0 or -ENOMEM.
 */
int returns__add(struct returns *returns, struct returns_function *function, u64 latency)
{
	int err = histogram__record(&function->latency, latency);

	if (!err)
		returns->count++;
	return err;
}

/**
 * returns__note_time - stretch the reported period so that it includes a time
 * @returns: whose period
 * @time: of a record in ns; 0 and ~0 are the times of records that perf made
 *	up and are passed over
 */
void returns__note_time(struct returns *returns, u64 time)
{
	if (!time || !~time)
		return;
	if (!returns->first_time || time < returns->first_time)
		returns->first_time = time;
	if (time > returns->last_time)
		returns->last_time = time;
}

/**
 * returns__exit - free what a report owns
 * @returns: an empty report afterwards
 */
void returns__exit(struct returns *returns)
{
	size_t i;

	for (i = 0; i < returns->nr_functions; i++)
		free_function(returns->functions[i]);
	free(returns->functions);
	free(returns->command);
	*returns = (struct returns){};
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What does perf probe say when it fails for a user-space probe?
 *
 * One line: what is wrong, where, and what to try next. perf's own messages are
 * kept until the command has ended. If it succeeded they are printed as they
 * are. If it failed, and unplaced.c or refusal.c know why, their sentence is
 * printed instead; else all that perf said, in one line, so that no failure is
 * silent. With -v nothing is kept.
 *
 * Called by builtin-probe.c, around resolving and adding.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/zalloc.h>

#include "util/debug.h"
#include "util/probe-event.h"
#include "util/strbuf.h"
#include "util/strlist.h"
#include "failure.h"
#include "refusal.h"
#include "target.h"
#include "unplaced.h"

/* What perf says when something that we don't look at ourselves is wrong, and what helps. */
static const struct {
	const char *words;
	const char *advice;
} advices[] = {
	{ "does not hit any event", "'perf probe -l' lists those that there are" },
	{ "in this function", "'perf probe -x FILE -V FUNCTION' lists the variables" },
	{ "Too many functions", "name fewer, or raise --max-probes" },
	{ "Too many( >", "name fewer, or raise --max-probes" },
	{ "bad for event name", "use letters, digits and _" },
	{ "event name", "begin with a name, as in NAME=FUNCTION" },
	{ "make a group name", "give one, as in GROUP:EVENT=FUNCTION" },
};

/* --- keeping what perf says --- */

static void keep_words(struct uprobe_failure *failure)
{
	if (verbose > 0)
		return;
	failure->kept = open_memstream(&failure->words, &failure->size);
	if (failure->kept)
		debug_set_file(failure->kept);
}

static void end_words(struct uprobe_failure *failure)
{
	if (!failure->kept)
		return;
	debug_set_file(stderr);
	fclose(failure->kept);
	failure->kept = NULL;
}

static void forget_words(struct uprobe_failure *failure)
{
	zfree(&failure->words);
	failure->size = 0;
}

/* Until now; stays valid until perf says more. */
static const char *words_so_far(struct uprobe_failure *failure)
{
	if (failure->kept)
		fflush(failure->kept);
	return failure->words ?: "";
}

/* --- making one line of it --- */

static const char *skip_prefix(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) ? text : text + len;
}

/* The last of perf's lines says which command failed; that is known. */
static bool says_nothing(const char *text)
{
	return !strncmp(text, "Failed to add events", 20) ||
	       !strncmp(text, "Failed to delete events", 23) ||
	       !strncmp(text, "Failed to show ", 15);
}

/* @said takes the lines of @words that say something. */
static void join_lines(struct strbuf *said, char *words)
{
	char *line, *rest = words, *last = NULL;

	while ((line = strsep(&rest, "\n"))) {
		line = (char *)skip_prefix(skip_prefix(strim(line), "Error: "), "Semantic error :");
		if (!*line || says_nothing(line) || (last && !strcmp(line, last)))
			continue;
		strbuf_addf(said, "%s%s", last ? " " : "", line);
		last = line;
	}
}

static void add_advice(struct strbuf *said)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(advices); i++) {
		if (!strstr(said->buf, advices[i].words))
			continue;
		if (said->buf[said->len - 1] == '.')
			strbuf_setlen(said, said->len - 1);
		strbuf_addf(said, ": %s", advices[i].advice);
		return;
	}
}

static const char *what_is_left(const struct uprobe_failure *failure)
{
	return failure->left ? "; events of this command are in use and stay: see 'perf probe -l'" : "";
}

static void say_words(struct uprobe_failure *failure, int error)
{
	struct strbuf said = STRBUF_INIT;

	if (failure->words)
		join_lines(&said, failure->words);
	if (!said.len)
		strbuf_addstr(&said, strerror(-error));
	add_advice(&said);
	pr_err("Error: %s%s%s%s\n", failure->where ?: "", failure->where ? ": " : "", said.buf,
	       what_is_left(failure));
	strbuf_release(&said);
}

/* --- where it happened --- */

static void remember_where(struct uprobe_failure *failure, const struct perf_probe_event *pev,
			   int index)
{
	const char *typed = index < failure->definitions ? failure->typed[index] : NULL;

	zfree(&failure->where);
	if (asprintf(&failure->where, "%s: '%s'", pev->target ?: "kernel", typed ?: "") < 0)
		failure->where = NULL;
}

/* The definition at which resolving ended, npevs if all of them have a place. */
static int find_unplaced(const struct perf_probe_event *pevs, int npevs)
{
	int i;

	for (i = 0; i < npevs && pevs[i].ntevs > 0; i++)
		;
	return i;
}

/* --- entry points, in the order in which a command comes by --- */

/**
 * uprobe_failure__parse - parse_perf_probe_command(), with one line about a mistake
 * @failure: of this command, remembers what was typed
 * @typed: the definition
 * @pev: what it is parsed into
 *
 * For a user-space probe, ends perf with the status of a wrong option if @typed
 * is wrong.
 *
 * Return: what parse_perf_probe_command() returns.
 */
int uprobe_failure__parse(struct uprobe_failure *failure, const char *typed,
			  struct perf_probe_event *pev)
{
	int error;

	if (failure->definitions < MAX_PROBES) {
		char *copy = strdup(skip_spaces(typed));

		failure->typed[failure->definitions++] = copy ? strim(copy) : NULL;
	}
	if (!pev->uprobes)
		return parse_perf_probe_command(typed, pev);

	keep_words(failure);
	error = parse_perf_probe_command(typed, pev);
	end_words(failure);
	if (error < 0) {
		remember_where(failure, pev, failure->definitions - 1);
		say_words(failure, error);
		exit(UPROBE_BAD_OPTION);
	}
	if (failure->words)
		fputs(failure->words, stderr);
	forget_words(failure);
	return error;
}

/**
 * uprobe_failure__watch - from here to uprobe_failure__say() perf's messages are kept
 * @failure: of this command
 * @user: it is about user-space probes
 * @command: the letter of its option
 *
 * That nothing matches what is to be deleted is as true of kernel probes; all
 * else that is said of those stays as it is.
 */
void uprobe_failure__watch(struct uprobe_failure *failure, bool user, char command)
{
	failure->user = user;
	if (user || command == 'd')
		keep_words(failure);
}

/* That a line has no code ends otherwise if there are arguments to look for there. */
static int why_silent(struct uprobe_failure *failure, const struct perf_probe_event *pev, int error)
{
	if (error == -ENOENT && pev->nargs && !*words_so_far(failure))
		return -ENODEV;
	return error;
}

/**
 * uprobe_failure__resolved - what convert_perf_probe_events() came to
 * @failure: of this command
 * @pevs: the definitions
 * @npevs: how many
 * @error: what it returned
 *
 * Return: @error, or -errno if a place was found that can't be right.
 */
int uprobe_failure__resolved(struct uprobe_failure *failure, struct perf_probe_event *pevs,
			     int npevs, int error)
{
	int i;

	if (!failure->user)
		return error;
	if (error < 0) {
		i = find_unplaced(pevs, npevs);
		if (i == npevs)
			return error;
		remember_where(failure, &pevs[i], i);
		failure->line = uprobe_unplaced__why(&pevs[i], why_silent(failure, &pevs[i], error));
		return error;
	}
	for (i = 0; i < npevs; i++) {
		failure->line = uprobe_unplaced__misplaced(&pevs[i]);
		if (failure->line)
			return -ENOENT;
	}
	if (npevs == 1)
		remember_where(failure, pevs, 0);
	uprobe_before__read(&failure->before);
	return error;
}

/**
 * uprobe_failure__applied - what apply_perf_probe_events() came to
 * @failure: of this command
 * @pevs: the definitions
 * @npevs: how many
 * @error: what it returned
 *
 * If it failed, the events that it added before it did are taken away again.
 *
 * Return: @error.
 */
int uprobe_failure__applied(struct uprobe_failure *failure, struct perf_probe_event *pevs,
			    int npevs, int error)
{
	if (!failure->user || error >= 0)
		return error;
	if (error == -EEXIST)
		failure->line = uprobe_refusal__existing(words_so_far(failure), &failure->before);
	if (!failure->line)
		failure->line = uprobe_refusal__why(pevs, npevs, &failure->before);
	failure->left = uprobe_refusal__undo(pevs, npevs, &failure->before);
	return error;
}

/**
 * uprobe_failure__say - the command has ended: say what there is to say
 * @failure: of this command, empty afterwards
 * @error: -errno if it failed
 */
void uprobe_failure__say(struct uprobe_failure *failure, int error)
{
	bool kept = failure->kept;
	bool ours = failure->user;
	int i;

	end_words(failure);
	if (kept && strstr(failure->words ?: "", "does not hit any event"))
		ours = true;
	if (error < 0 && failure->line)
		pr_err("Error: %s%s\n", failure->line, what_is_left(failure));
	else if (error < 0 && kept && ours)
		say_words(failure, error);
	else if (kept && failure->words)
		fputs(failure->words, stderr);

	for (i = 0; i < failure->definitions; i++)
		free(failure->typed[i]);
	uprobe_before__forget(&failure->before);
	free(failure->words);
	free(failure->where);
	free(failure->line);
	memset(failure, 0, sizeof(*failure));
}

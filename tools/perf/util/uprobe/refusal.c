// SPDX-License-Identifier: GPL-2.0
/*
 * Why did the kernel not take a command, and what is left of those that it took?
 *
 * The kernel's errno says little; its reason, and the word that it is about, are
 * the newest entry of error_log. Called by failure.c when adding has failed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/string.h>

#include "util/probe-event.h"
#include "util/probe-file.h"
#include "util/strlist.h"
#include "private.h"
#include "refusal.h"
#include "store.h"
#include "store.h"

/* --- what is in uprobe_events --- */

/* The commands that there are now; NULL if uprobe_events can't be read. */
static struct strlist *read_events(void)
{
	struct strlist *events;
	int fd;

	fd = uprobe_store__open(false, open_trace_file("uprobe_events", false));
	if (fd < 0)
		return NULL;
	events = probe_file__get_rawlist(fd);
	close(fd);
	return events;
}

/* Of "p:GROUP/EVENT PLACE…", also with filters before the colon: its length and where GROUP begins. */
static const char *find_name(const char *command, size_t *len)
{
	const char *name = command;
	const char *end = strchrnul(command, ' ');
	const char *p;

	for (p = command; p < end; p++)
		if (*p == ':')
			name = p + 1;
	*len = end - name;
	return name;
}

/* The group of @event, any of its groups with @group NULL; NULL if it isn't there. */
static char *find_event(struct strlist *events, const char *group, const char *event)
{
	struct str_node *node;

	if (!events)
		return NULL;
	strlist__for_each_entry(node, events) {
		size_t len, in_group;
		const char *name = find_name(node->s, &len);
		const char *slash = memchr(name, '/', len);

		if (!slash)
			continue;
		in_group = slash - name;
		if (len - in_group - 1 != strlen(event) || memcmp(slash + 1, event, strlen(event)))
			continue;
		if (!group || (strlen(group) == in_group && !memcmp(name, group, in_group)))
			return strndup(name, in_group);
	}
	return NULL;
}

/* --- an event that exists --- */

/**
 * uprobe_refusal__existing - which event is in the way of a new one?
 * @words: what perf said, which names the event but not its group
 * @before: what tracefs held before the command
 *
 * perf looks at the name alone, so that the event may be one of another group.
 *
 * Return: a sentence, to be freed, or NULL if @words or uprobe_events don't tell.
 */
char *uprobe_refusal__existing(const char *words, const struct uprobe_before *before)
{
	struct strlist *events = read_events();
	char *group = NULL, *old = NULL, *line = NULL;
	char event[64];
	int written = -1;

	words = strstr(words, "event \"");
	if (words && sscanf(words, "event \"%63[^\"]\" already exists", event) == 1) {
		group = find_event(events ?: before->events, NULL, event);
		old = find_event(before->events, NULL, event);
	}
	if (group && (old || !before->events))
		written = asprintf(&line, "event %s:%s exists: delete it with 'perf probe -d %s:%s', or add a second one with --force",
				   group, event, group, event);
	else if (group)
		written = asprintf(&line, "two definitions of one command would be event %s:%s: name one of them, as in NAME=FUNCTION",
				   group, event);
	free(group);
	free(old);
	strlist__delete(events);
	return written < 0 ? NULL : line;
}

/* --- a command that the kernel refuses --- */

/* The newest entry of error_log. */
struct refusal {
	char *first;	/* its first line, NULL: there is no entry */
	char *reason;	/* from there */
	char *command;	/* as it was written */
	size_t column;	/* in @command, where the caret points */
};

static void clear_refusal(struct refusal *newest)
{
	free(newest->first);
	free(newest->reason);
	free(newest->command);
	memset(newest, 0, sizeof(*newest));
}

/*
 * [  41.123456] trace_uprobe: error: Invalid probed address
 *   Command: p:a/b /bin/true:0x1
 *                            ^
 */
static void read_line(struct refusal *newest, char *line)
{
	static const char says[] = ": error: ", gives[] = "  Command: ";
	char *found;

	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(line, gives, strlen(gives))) {
		free(newest->command);
		newest->command = strdup(line + strlen(gives));
	} else if (line[0] == '[') {
		clear_refusal(newest);
		newest->first = strdup(line);
		found = strstr(line, says);
		newest->reason = found ? strdup(found + strlen(says)) : NULL;
	} else {
		found = strchr(line, '^');
		if (found && found - line >= (long)strlen(gives))
			newest->column = found - line - strlen(gives);
	}
}

static void read_newest(struct refusal *newest)
{
	int fd = open_trace_file("error_log", false);
	FILE *log = fd < 0 ? NULL : fdopen(fd, "r");
	char *line = NULL;
	size_t size = 0;

	memset(newest, 0, sizeof(*newest));
	if (!log) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (getline(&line, &size, log) > 0)
		read_line(newest, line);
	free(line);
	fclose(log);
}

/**
 * uprobe_before__read - remember what tracefs holds now
 * @before: where
 *
 * Nothing in a dry run, which adds nothing.
 */
void uprobe_before__read(struct uprobe_before *before)
{
	struct refusal newest;

	if (probe_event_dry_run)
		return;
	before->events = read_events();
	read_newest(&newest);
	before->refusal = newest.first;
	newest.first = NULL;
	clear_refusal(&newest);
}

/**
 * uprobe_before__forget - free what was remembered
 * @before: empty afterwards
 */
void uprobe_before__forget(struct uprobe_before *before)
{
	strlist__delete(before->events);
	free(before->refusal);
	memset(before, 0, sizeof(*before));
}

/* error_log belongs to everybody: the newest entry must be about a command of ours. */
static bool is_ours(struct perf_probe_event *pev, const char *command)
{
	bool ours = false;
	int i;

	for (i = 0; i < pev->ntevs && !ours; i++) {
		char *written = NULL;

		if (pev->tevs[i].event && pev->tevs[i].group)
			written = synthesize_probe_trace_command(&pev->tevs[i]);
		ours = written && !strcmp(written, command);
		free(written);
	}
	return ours;
}

/**
 * uprobe_refusal__why - why did the kernel refuse one of the commands?
 * @pevs: the definitions, with the events made of them
 * @npevs: how many
 * @before: what tracefs held before the command
 *
 * Return: a sentence with the command and the kernel's reason, to be freed, or
 * NULL if error_log doesn't tell. If it was to be the user's own: the rule that it breaks.
 */
char *uprobe_refusal__why(struct perf_probe_event *pevs, int npevs,
			  const struct uprobe_before *before)
{
	struct refusal newest;
	const char *word = "";
	char *line = NULL;
	bool ours = false;
	int i, len;

	if (uprobe_store__is_used())
		return uprobe_private__why_not();
	read_newest(&newest);
	if (newest.first && before->refusal && !strcmp(newest.first, before->refusal))
		goto out;
	for (i = 0; i < npevs && newest.command && !ours; i++)
		ours = is_ours(&pevs[i], newest.command);
	if (!ours || !newest.reason)
		goto out;
	if (newest.column < strlen(newest.command))
		word = newest.command + newest.column;
	len = strcspn(word, " ");
	if (asprintf(&line, "the kernel refuses '%s': %s%s%.*s%s", newest.command, newest.reason,
		     len ? " (at '" : "", len, word, len ? "')" : "") < 0)
		line = NULL;
out:
	clear_refusal(&newest);
	return line;
}

/* --- nothing half done --- */

/* Of one that the command wrote: it is there now and wasn't before. */
static bool is_left(const struct probe_trace_event *tev, const struct uprobe_before *before)
{
	struct strlist *now;
	char *old, *new;
	bool left;

	if (!tev->written)
		return false;
	now = read_events();
	old = find_event(before->events, tev->group, tev->event);
	new = find_event(now, tev->group, tev->event);
	left = new && !old;
	free(old);
	free(new);
	strlist__delete(now);
	return left;
}

static bool remove_event(const struct probe_trace_event *tev)
{
	int fd = uprobe_store__open(true, open_trace_file("uprobe_events", true));
	char *command = NULL;
	bool removed;

	if (asprintf(&command, "-:%s/%s", tev->group, tev->event) < 0)
		command = NULL;
	removed = fd >= 0 && command && uprobe_store__write(fd, command) >= 0;
	free(command);
	if (fd >= 0)
		close(fd);
	return removed;
}

/**
 * uprobe_refusal__undo - take away what a command added before it failed
 * @pevs: its definitions, with the events made of them
 * @npevs: how many
 * @before: what tracefs held before the command; that stays
 *
 * Return: how many events couldn't be taken away, since somebody uses them already.
 */
int uprobe_refusal__undo(struct perf_probe_event *pevs, int npevs,
			 const struct uprobe_before *before)
{
	int i, j, left = 0;

	for (i = 0; before->events && i < npevs; i++)
		for (j = 0; j < pevs[i].ntevs; j++)
			if (is_left(&pevs[i].tevs[j], before))
				left += !remove_event(&pevs[i].tevs[j]);
	return left;
}

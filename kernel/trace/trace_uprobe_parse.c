// SPDX-License-Identifier: GPL-2.0
/*
 * What does a command say?
 *
 *	p|r[@SCOPE][:[GRP/][EVENT]] PATH:OFFSET[%return][(REF)] [FETCHARG ...]
 *
 * trace_uprobe_event.c hands each line that was written to uprobe_events or
 * dynamic_events to trace_uprobe_parse_command(), opens the file, and goes on to
 * trace_uprobe_args.c with the event for its arguments; SCOPE is trace_uprobe_scope.c's.
 * The line is cut at white space by
 * then; a mistake is reported as a word, a column in it, and a reason, and
 * the caret in error_log points into what the user typed.
 */
#include <linux/ctype.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/string_helpers.h>

#include "trace_uprobe.h"

#define SUBSYSTEM	"trace_uprobe"	/* in front of the lines of error_log */

#define OWN(error)	[TRACE_UPROBE_ERR_##error - TRACE_UPROBE_ERR_FIRST]

static const char *own_texts[] = {
	OWN(COMMAND)	= "Not a command: p|r[:[GRP/]EVENT] PATH:OFFSET [FETCHARG ...]",
	OWN(VERB)	= "Only '@' or ':' and a name may follow 'p' or 'r'",
	OWN(MANY_ARGS)	= "Too many arguments",
	OWN(PAST_END)	= "Offset is past the end of the file",
	OWN(RETURN_ONLY) = "Only return events have that",
	OWN(WORD_TYPE)	= "This is a 64-bit integer: u64, s64 or x64",
	OWN(INNER)	= "entry() can't have that inside",
	OWN(REMOVAL)	= "Not a removal: -:[GRP/]EVENT [PLACE [FETCHARG ...]]",
	OWN(NO_EVENT)	= "There is no such event",
	OWN(BUSY)	= "The event is in use",
	OWN(NUL)	= "A command is text without NUL characters",
	OWN(LINE_TOO_LONG) = "The line is too long",
	OWN(NO_END)	= "The line had no end when the file was closed",
	OWN(SCOPE_KEY)	= "Behind '@' goes tgid=N, uid=N or cgroup=/PATH, with commas between",
	OWN(SCOPE_TWICE) = "This is there twice",
	OWN(SCOPE_TGID)	= "There is no such process",
	OWN(SCOPE_UID)	= "There can be no such user",
	OWN(SCOPE_CGROUP) = "There is no such cgroup: it begins with '/', and is one of version 2",
};

static_assert(ARRAY_SIZE(own_texts) ==
	      TRACE_UPROBE_ERR_END - TRACE_UPROBE_ERR_FIRST);

/* ---- errors ------------------------------------------------------------- */

/**
 * trace_uprobe_complain_line - put a mistake of ours into error_log
 * @line: the command as the user typed it
 * @column: which character is wrong
 * @error: enum trace_uprobe_error
 */
void trace_uprobe_complain_line(const char *line, int column, int error)
{
	tracing_log_err(NULL, SUBSYSTEM, line, own_texts,
			error - TRACE_UPROBE_ERR_FIRST, column);
}

/*
 * error_log keeps an array of texts and a number, and looks at them when it is
 * read. The core has a text of its own for each reason, which gets its place in
 * an array when it is first needed. event_mutex.
 */
static const char *place_texts[48];

static int number_of(const char *text)
{
	int i;

	lockdep_assert_held(&event_mutex);
	for (i = 0; i < ARRAY_SIZE(place_texts) && place_texts[i]; i++) {
		if (place_texts[i] == text)
			return i;
	}
	if (WARN_ON_ONCE(i == ARRAY_SIZE(place_texts)))
		return -ENOSPC;
	place_texts[i] = text;
	return i;
}

/**
 * trace_uprobe_complain_place - put what the core says of a place into error_log
 * @line: the command
 * @column: where the offset begins
 * @why: constant text of the core
 *
 * Context: event_mutex held.
 */
void trace_uprobe_complain_place(const char *line, int column, const char *why)
{
	int number = number_of(why);

	if (number >= 0)
		tracing_log_err(NULL, SUBSYSTEM, line, place_texts, number,
				column);
}

static void complain_own(const struct trace_uprobe_command *cmd, int word,
			 int column, int error)
{
	size_t len = 0, at = 0;
	char *line;
	int i;

	if (cmd->is_private)
		return;
	for (i = 0; i < cmd->argc; i++) {
		if (i == word)
			column += len;
		len += strlen(cmd->argv[i]) + 1;
	}
	line = kmalloc(len, GFP_KERNEL);
	if (!line)
		return;
	for (i = 0; i < cmd->argc; i++)
		at += sprintf(line + at, i ? " %s" : "%s", cmd->argv[i]);
	trace_uprobe_complain_line(line, column, error);
	kfree(line);
}

/**
 * trace_uprobe_complain - put a mistake into error_log
 * @cmd: the command
 * @word: which of its words is wrong
 * @column: which character of that word
 * @error: TP_ERR_* of the library, or enum trace_uprobe_error
 *
 * Context: dyn_event_ops_mutex held, between trace_probe_log_init() and
 * trace_probe_log_clear().
 */
void trace_uprobe_complain(const struct trace_uprobe_command *cmd, int word,
			   int column, int error)
{
	if (error >= TRACE_UPROBE_ERR_FIRST) {
		complain_own(cmd, word, column, error);
		return;
	}
	trace_probe_log_set_index(word);
	__trace_probe_log_err(column, error);
}

/* ---- PATH:OFFSET[%return][(REF)] ---------------------------------------- */

static int place_error(struct trace_uprobe_place *place, int column, int error,
		       int ret)
{
	place->error_column = column;
	place->error = error;
	return ret;
}

/* Cut "(REF)" off the end of @tail. */
static int parse_ref_ctr(struct trace_uprobe_place *place, char *tail)
{
	char *open = strchr(tail, '('), *close;
	int ret;

	if (!open)
		return 0;
	close = strchr(open, ')');
	if (!close)
		return place_error(place, strlen(place->filename) + 1 +
				   strlen(tail), TP_ERR_REFCNT_OPEN_BRACE,
				   -EINVAL);
	if (close[1])
		return place_error(place, close + 1 - place->filename,
				   TP_ERR_BAD_REFCNT_SUFFIX, -EINVAL);
	*close = '\0';
	*open++ = '\0';
	ret = kstrtoul(open, 0, &place->ref_ctr_offset);
	if (!ret && (!IS_ALIGNED(place->ref_ctr_offset, sizeof(short)) ||
		     place->ref_ctr_offset > LLONG_MAX))
		ret = -EINVAL;
	if (ret)
		place_error(place, open - place->filename, TP_ERR_BAD_REFCNT,
			    ret);
	return ret;
}

/* @tail is what follows the colon, in the same memory as the file name. */
static int parse_tail(struct trace_uprobe_place *place, char *tail)
{
	char *suffix;
	int ret;

	ret = parse_ref_ctr(place, tail);
	if (ret)
		return ret;
	suffix = strchr(tail, '%');
	if (suffix) {
		if (strcmp(suffix, "%return"))
			return place_error(place, suffix - place->filename,
					   TP_ERR_BAD_ADDR_SUFFIX, -EINVAL);
		place->is_return = true;
		*suffix = '\0';
	}
	place->offset_column = tail - place->filename;
	ret = kstrtoul(tail, 0, &place->offset);
	if (ret)
		place_error(place, place->offset_column,
			    TP_ERR_BAD_UPROBE_OFFS, ret);
	return ret;
}

/**
 * trace_uprobe_escape - write characters as three octal digits
 * @text: the text
 * @which: those that have to be
 *
 * Return: the new text, to be freed with kfree(); or NULL.
 */
char *trace_uprobe_escape(const char *text, const char *which)
{
	size_t len = strlen(text), size = 4 * len;
	char *escaped = kmalloc(size + 1, GFP_KERNEL);

	if (escaped)
		escaped[string_escape_mem(text, len, escaped, size,
					  ESCAPE_OCTAL, which)] = '\0';
	return escaped;
}

/**
 * trace_uprobe_unescape - put characters where their numbers are
 * @text: `\040` and the like, but for `\000`; other characters stand for themselves
 */
void trace_uprobe_unescape(char *text)
{
	char *to = text;
	u8 c;

	while (*text) {
		c = 0;
		if (text[0] == '\\' && in_range(text[1], '0', 4) &&
		    in_range(text[2], '0', 8) && in_range(text[3], '0', 8))
			c = (text[1] - '0') << 6 | (text[2] - '0') << 3 |
			    (text[3] - '0');
		*to++ = c ?: *text;
		text += c ? 4 : 1;
	}
	*to = '\0';
}

/**
 * trace_uprobe_parse_place - cut PATH:OFFSET[%return][(REF)] up
 * @text: the place
 * @place: filled in, on error with what is wrong and where
 *
 * In PATH, `\040` and the like are characters: those that would end the word.
 *
 * Looks at nothing but @text. What was filled in has to be freed with
 * trace_uprobe_free_place(), also on error.
 *
 * Return: 0, -ENOMEM, or another -errno with @place's error set.
 */
int trace_uprobe_parse_place(const char *text,
			     struct trace_uprobe_place *place)
{
	/* the last one: the path may contain some */
	const char *colon = strrchr(text, ':');
	char *tail;
	int ret;

	memset(place, 0, sizeof(*place));
	if (!colon || !isdigit(colon[1]))
		return place_error(place, colon ? colon + 1 - text :
				   strlen(text), TP_ERR_BAD_UPROBE_OFFS,
				   -EINVAL);
	place->filename = kstrdup(text, GFP_KERNEL);
	if (!place->filename)
		return -ENOMEM;
	tail = place->filename + (colon - text);
	*tail++ = '\0';
	ret = parse_tail(place, tail);
	/* last of all, for the columns are those of the text */
	trace_uprobe_unescape(place->filename);
	return ret;
}

/**
 * trace_uprobe_free_place - free what trace_uprobe_parse_place() made
 * @place: the place; what it held may be gone already
 */
void trace_uprobe_free_place(struct trace_uprobe_place *place)
{
	kfree(place->filename);
	place->filename = NULL;
}

/* ---- the command -------------------------------------------------------- */

/*
 * dynamic_events offers each line to kprobes, uprobes, eprobes, ... in turn:
 * what decides is that there is a path and an offset.
 */
static bool is_ours(int argc, const char **argv)
{
	return (argv[0][0] == 'p' || argv[0][0] == 'r') && argc >= 2 &&
	       strchr(argv[1], '/') && strchr(argv[1], ':');
}

/* p_FILE_0xOFFSET, with FILE up to its first '.', '-' or '_', or cut to leave room */
static void make_name(struct trace_uprobe_command *cmd)
{
	const char *file = kbasename(cmd->place.filename);
	int room = sizeof(cmd->event_buf) - sizeof("p__0x0123456789abcdef");
	char *c;

	snprintf(cmd->event_buf, sizeof(cmd->event_buf), "p_%.*s_0x%lx",
		 min((int)strcspn(file, ".-_"), room), file,
		 cmd->place.offset);
	/* libstdc++, [: a listing has to be accepted again */
	for (c = cmd->event_buf; *c; c++)
		if (!isalnum(*c))
			*c = '_';
	cmd->event = cmd->event_buf;
}

static int parse_verb(struct trace_uprobe_command *cmd)
{
	const char *verb = cmd->argv[0], *name = strchrnul(verb, ':');
	int ret;

	cmd->group = TRACE_UPROBE_GROUP;
	/* a perf event has a task already */
	if (verb[1] == '@' && cmd->is_private)
		return -EINVAL;
	if (verb[1] && verb[1] != ':' && verb[1] != '@') {
		trace_uprobe_complain(cmd, 0, 1, TRACE_UPROBE_ERR_VERB);
		return -EINVAL;
	}
	if (*name) {
		cmd->event = name + 1;
		trace_probe_log_set_index(0);
		ret = traceprobe_parse_event_name(&cmd->event, &cmd->group,
						  cmd->group_buf,
						  name + 1 - verb);
		if (ret)
			return ret;
	}
	/* also "p:GRP/", after which the library leaves NULL */
	if (!cmd->event)
		make_name(cmd);
	return verb[1] != '@' ? 0 :
	       trace_uprobe_parse_scope(cmd, 2, name - verb - 2);
}

/**
 * trace_uprobe_free_command - free what trace_uprobe_parse_command() made
 * @cmd: the command; what it held may be gone already
 */
void trace_uprobe_free_command(struct trace_uprobe_command *cmd)
{
	trace_uprobe_free_place(&cmd->place);
	trace_uprobe_free_scope(cmd->scope);
	cmd->scope = NULL;
}

static int parse(int argc, const char **argv, struct trace_uprobe_command *cmd)
{
	int ret;

	cmd->argc = argc;
	cmd->argv = argv;
	if (argc - 2 > MAX_TRACE_ARGS) {
		trace_uprobe_complain(cmd, MAX_TRACE_ARGS + 2, 0,
				      TRACE_UPROBE_ERR_MANY_ARGS);
		return -E2BIG;
	}
	ret = trace_uprobe_parse_place(argv[1], &cmd->place);
	if (ret) {
		if (cmd->place.error_column)
			trace_uprobe_complain(cmd, 1, cmd->place.error_column,
					      cmd->place.error);
		return ret;
	}
	cmd->kind = argv[0][0] == 'r' || cmd->place.is_return ?
		    TRACE_UPROBE_RETURN : TRACE_UPROBE_ENTRY;
	return parse_verb(cmd);
}

/**
 * trace_uprobe_parse_command - read everything but the fetch arguments
 * @argc: number of words
 * @argv: the words; must outlive @cmd
 * @cmd: filled in; to be freed with trace_uprobe_free_command(), also on error
 *
 * Context: dyn_event_ops_mutex held. On any result but -ECANCELED the
 * library's error log is set up for this command.
 *
 * Return: 0, -ECANCELED when this is no command for uprobes, or another
 * -errno after the reason went to error_log.
 */
int trace_uprobe_parse_command(int argc, const char **argv,
			       struct trace_uprobe_command *cmd)
{
	memset(cmd, 0, sizeof(*cmd));
	if (!is_ours(argc, argv))
		return -ECANCELED;
	trace_probe_log_init(SUBSYSTEM, argc, argv);
	return parse(argc, argv, cmd);
}

/**
 * trace_uprobe_parse_private - the same, and nothing goes to error_log
 * @argc: number of words
 * @argv: the words; must outlive @cmd
 * @cmd: filled in; to be freed with trace_uprobe_free_command(), also on error
 *
 * The library says nothing as long as it hasn't been told what the words are. That log is
 * one for all, and the administrator's.
 *
 * Context: dyn_event_ops_mutex held.
 * Return: 0, -ECANCELED when this is no command for uprobes, or another -errno.
 */
int trace_uprobe_parse_private(int argc, const char **argv,
			       struct trace_uprobe_command *cmd)
{
	memset(cmd, 0, sizeof(*cmd));
	cmd->is_private = true;
	trace_probe_log_clear();
	return is_ours(argc, argv) ? parse(argc, argv, cmd) : -ECANCELED;
}

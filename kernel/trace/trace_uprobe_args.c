// SPDX-License-Identifier: GPL-2.0
/*
 * What does a fetch argument say?
 *
 *	[NAME=]FETCHARG[:TYPE]
 *
 * The library (trace_probe.c) parses what it knows. What it doesn't know is
 * rewritten to something of the same type that it does, and the steps that come of
 * it are changed:
 *
 *	typed				for the library		the first step becomes
 *	$latency			latency=\0:u64		FETCH_OP_WORD
 *	n=+8($arg1):u32			n=+8(\0):u32		FETCH_OP_ARG
 *
 * What a return event has of the entry is an argument of trace_uprobe::saved as
 * well, which is fetched at the entry, into the call's pouch:
 *
 *	typed		for the library		the first step becomes	saved
 *	s=+0($arg1):string  s=+0(\0):string	FETCH_OP_SAVED_WORD	saved1=$arg1
 *	s=entry(%di):s32    s=+0(\0):s32	FETCH_OP_SAVED, alone	saved1=%di:s32
 *
 * The columns that the library reports are those of its text: struct draft keeps
 * where they come from.
 */
#include <linux/ctype.h>
#include <linux/limits.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "trace_uprobe.h"

/* $argN: no function has more. */
#define MAX_ARG_N		1024

/**
 * struct word - a fetch argument that the library doesn't know
 * @text: how it is typed; only a type may follow
 * @op: which value
 * @at_entry: entry events have it, too
 * @timed: it takes the time of the entry
 */
struct word {
	const char		*text;
	enum trace_uprobe_word	op;
	bool			at_entry;
	bool			timed;
};

static const struct word words[] = {
	{ "$latency",	 TRACE_UPROBE_LATENCY,	  false, true },
	{ "$entry_time", TRACE_UPROBE_ENTRY_TIME, false, true },
	{ "$call",	 TRACE_UPROBE_CALL,	  true,	 false },
	{ "$depth",	 TRACE_UPROBE_DEPTH,	  true,	 false },
};

/**
 * struct argument - one fetch argument on its way into a probe
 * @cmd: the command
 * @tu: the probe
 * @i: its number, from 0
 * @text: as it was typed
 * @body: behind the name and '='
 * @type: behind FETCHARG: ':' or the end
 */
struct argument {
	const struct trace_uprobe_command	*cmd;
	struct trace_uprobe			*tu;
	int					i;
	const char				*text;
	const char				*body;
	const char				*type;
};

/* ---- texts for the library ---------------------------------------------- */

#define MAX_PIECES	5

/**
 * struct draft - a text for the library, and where it comes from
 * @text: the text
 * @len: of it
 * @nr_pieces: how many pieces it has
 * @pieces: where in @text each begins, and which column of what was typed that is;
 *	one that was made up stands for one column
 */
struct draft {
	char	text[MAX_ARG_NAME_LEN + MAX_ARGSTR_LEN + 64];
	int	len;
	int	nr_pieces;
	struct {
		int	at;
		int	column;
		bool	made_up;
	} pieces[MAX_PIECES];
};

static void add(struct draft *d, const char *text, int len, int column,
		bool made_up)
{
	if (WARN_ON_ONCE(d->nr_pieces == MAX_PIECES))
		return;
	d->pieces[d->nr_pieces].at = d->len;
	d->pieces[d->nr_pieces].column = column;
	d->pieces[d->nr_pieces++].made_up = made_up;
	len = min(len, (int)sizeof(d->text) - 1 - d->len);
	memcpy(d->text + d->len, text, len);
	d->len += len;
	d->text[d->len] = '\0';
}

/* From the argument, up to @end. */
static void add_typed(struct draft *d, const struct argument *arg,
		      const char *from, const char *end)
{
	add(d, from, end - from, from - arg->text, false);
}

/* In place of what stands there in the argument. */
static void add_made_up(struct draft *d, const struct argument *arg,
			const char *text, const char *instead_of)
{
	add(d, text, strlen(text), instead_of - arg->text, true);
}

/* For column_of(). dyn_event_ops_mutex. */
static const struct draft *current_draft;

static int column_of(int offset)
{
	const struct draft *d = current_draft;
	int i = d->nr_pieces - 1;

	while (i > 0 && d->pieces[i].at > offset)
		i--;
	return d->pieces[i].column +
	       (d->pieces[i].made_up ? 0 : offset - d->pieces[i].at);
}

static int parse_by_library(const struct argument *arg, struct trace_probe *tp,
			    int i, const struct draft *d, bool at_return)
{
	struct traceprobe_parse_context ctx = { .flags = TPARG_FL_USER };
	int ret;

	if (at_return)
		ctx.flags |= TPARG_FL_RETURN;
	trace_probe_log_set_index(arg->i + 2);
	current_draft = d;
	trace_probe_log_set_columns(column_of);
	ret = traceprobe_parse_probe_arg(tp, i, d->text, &ctx);
	trace_probe_log_set_columns(NULL);
	traceprobe_finish_parse(&ctx);
	return ret;
}

static bool is_return(const struct argument *arg)
{
	return arg->cmd->kind == TRACE_UPROBE_RETURN;
}

/* The probe's own argument; listings and removal have it as it was typed. */
static int parse_own(const struct argument *arg, const struct draft *d)
{
	struct probe_arg *own = &arg->tu->tp.args[arg->i];
	int ret;

	ret = parse_by_library(arg, &arg->tu->tp, arg->i, d, is_return(arg));
	if (ret)
		return ret;
	kfree(own->comm);
	own->comm = kstrdup(arg->body, GFP_KERNEL);
	return own->comm ? 0 : -ENOMEM;
}

static int complain(const struct argument *arg, const char *at, int error)
{
	trace_uprobe_complain(arg->cmd, arg->i + 2, at - arg->text, error);
	return -EINVAL;
}

static const char *end_of(const char *text)
{
	return text + strlen(text);
}

/* ---- words -------------------------------------------------------------- */

static const struct word *find_word(const struct argument *arg)
{
	const struct word *w;
	size_t len = arg->type - arg->body;

	for (w = words; w < words + ARRAY_SIZE(words); w++)
		if (strlen(w->text) == len && !memcmp(w->text, arg->body, len))
			return w;
	return NULL;
}

static bool is_type_of_word(const char *type)
{
	return !*type || !strcmp(type, ":u64") || !strcmp(type, ":s64") ||
	       !strcmp(type, ":x64");
}

static int parse_word(const struct argument *arg, const struct word *w)
{
	struct probe_arg *own = &arg->tu->tp.args[arg->i];
	struct draft d = {};
	int ret;

	if (!w->at_entry && !is_return(arg))
		return complain(arg, arg->body, TRACE_UPROBE_ERR_RETURN_ONLY);
	if (!is_type_of_word(arg->type))
		return complain(arg, arg->type + 1, TRACE_UPROBE_ERR_WORD_TYPE);
	if (arg->body == arg->text) {
		/* $latency is called latency */
		add(&d, w->text + 1, strlen(w->text + 1), 0, true);
		add_made_up(&d, arg, "=", arg->body);
	} else {
		add_typed(&d, arg, arg->text, arg->body);
	}
	add_made_up(&d, arg, *arg->type ? "\\0" : "\\0:u64", arg->body);
	add_typed(&d, arg, arg->type, end_of(arg->type));
	ret = parse_own(arg, &d);
	if (ret)
		return ret;
	own->code[0].op = FETCH_OP_WORD;
	own->code[0].param = w->op;
	arg->tu->consumer.timed |= w->timed;
	arg->tu->consumer.asks_depth |= w->op == TRACE_UPROBE_DEPTH;
	arg->tu->names_calls |= w->at_entry;
	return 0;
}

/* ---- $argN -------------------------------------------------------------- */

/* What the other steps start from: the innermost of what is in parentheses. */
static const char *operand_of(const char *body, const char *end)
{
	const char *p;

	/* "text" may hold anything */
	for (p = end; p > body && *body != '\\'; p--)
		if (p[-1] == '(')
			return p;
	return body;
}

/**
 * struct arg_n - `$argN` inside of a fetch argument
 * @at: where it begins
 * @end: where it ends
 * @n: N - 1
 */
struct arg_n {
	const char	*at;
	const char	*end;
	unsigned int	n;
};

/* Return: 1 if there is one, 0 if there is none, or -EINVAL. */
static int find_arg_n(const struct argument *arg, const char *body,
		      const char *end, struct arg_n *found)
{
	const char *at = operand_of(body, end), *p;
	unsigned int n = 0;

	if (end - at < 4 || memcmp(at, "$arg", 4))
		return 0;
	for (p = at + 4; p < end && isdigit(*p) && n <= MAX_ARG_N; p++)
		n = 10 * n + *p - '0';
	if (p == at + 4 || !n || n > MAX_ARG_N ||
	    (p < end && *p != ')'))
		return complain(arg, at, TP_ERR_BAD_ARG_NUM);
	*found = (struct arg_n){ at, p, n - 1 };
	return 1;
}

/* No longer than it, where that matters; alone it must not pass for a string. */
static void add_stand_in(struct draft *d, const struct argument *arg,
			 const char *body, const char *at)
{
	add_made_up(d, arg, at == body ? "$stack" : "\\0", at);
}

/* Did the library begin with the stand-in? What it doesn't look at may be in front. */
static bool begins_with_stand_in(const struct fetch_insn *code)
{
	return code->op == FETCH_OP_STACKP || code->op == FETCH_OP_IMM;
}

/* ---- what is kept from the entry ---------------------------------------- */

static int make_saved(struct trace_uprobe *tu)
{
	if (tu->saved)
		return 0;
	tu->saved = kzalloc(struct_size(tu->saved, args, tu->tp.nr_args),
			    GFP_KERNEL_ACCOUNT);
	return tu->saved ? 0 : -ENOMEM;
}

/* Room in each open call, for the library's part and the strings behind it. */
static size_t pouch_size(const struct trace_probe *saved)
{
	const struct probe_arg *arg;
	size_t size = saved->size;

	for (arg = saved->args; arg < saved->args + saved->nr_args; arg++)
		if (arg->dynamic)
			size += TRACE_UPROBE_SAVED_STRING *
				max(arg->count, 1U);
	return size;
}

/*
 * FETCHARG from @body to @end is fetched at the entry, with the type of the argument
 * if @typed, else as a word.
 *
 * Return: its number in trace_uprobe::saved, or -errno.
 */
static int save(const struct argument *arg, const char *body, const char *end,
		bool typed)
{
	struct trace_probe *saved;
	struct arg_n arg_n;
	struct draft d = {};
	char name[16];
	int i, ret, has_arg_n;

	has_arg_n = find_arg_n(arg, body, end, &arg_n);
	if (has_arg_n < 0)
		return has_arg_n;
	ret = make_saved(arg->tu);
	if (ret)
		return ret;
	saved = arg->tu->saved;
	i = saved->nr_args++;
	snprintf(name, sizeof(name), "saved%d=", i + 1);
	add_made_up(&d, arg, name, arg->text);
	if (has_arg_n) {
		add_typed(&d, arg, body, arg_n.at);
		add_stand_in(&d, arg, body, arg_n.at);
		body = arg_n.end;
	}
	add_typed(&d, arg, body, end);
	if (typed)
		add_typed(&d, arg, arg->type, end_of(arg->type));
	ret = parse_by_library(arg, saved, i, &d, false);
	if (ret)
		return ret;
	if (has_arg_n) {
		if (!begins_with_stand_in(saved->args[i].code))
			return complain(arg, arg->body, TP_ERR_BAD_VAR);
		saved->args[i].code[0].op = FETCH_OP_ARG;
		saved->args[i].code[0].param = arg_n.n;
	}
	if (pouch_size(saved) > TRACE_UPROBE_SAVED_MAX)
		return complain(arg, arg->body, TP_ERR_EVENT_TOO_BIG);
	return i;
}

/* Does the operand of a FETCHARG belong to the call, and not to the entry? */
static bool has_own(const char *body, const char *end)
{
	const char *at = operand_of(body, end);
	const struct word *w;
	size_t len;

	for (w = words; w < words + ARRAY_SIZE(words); w++) {
		len = strlen(w->text);
		if (len <= end - at && !memcmp(w->text, at, len) &&
		    (at + len == end || at[len] == ')'))
			return true;
	}
	return at - body >= 6 && !memcmp(at - 6, "entry(", 6);
}

/* entry(FETCHARG) */
static int parse_entry(const struct argument *arg, const char *inner)
{
	struct probe_arg *own = &arg->tu->tp.args[arg->i];
	const char *close = arg->type - 1;
	struct draft d = {};
	char type[16];
	int ret, i;

	if (!is_return(arg))
		return complain(arg, arg->body, TRACE_UPROBE_ERR_RETURN_ONLY);
	if (close < inner || *close != ')')
		return complain(arg, arg->type, TP_ERR_DEREF_OPEN_BRACE);
	if (close == inner)
		return complain(arg, close, TP_ERR_NO_ARG_BODY);
	if (has_own(inner, close))
		return complain(arg, inner, TRACE_UPROBE_ERR_INNER);
	i = save(arg, inner, close, true);
	if (i < 0)
		return i;
	/* $comm is a string without saying so */
	snprintf(type, sizeof(type), ":%s",
		 arg->tu->saved->args[i].type->name);
	add_typed(&d, arg, arg->text, arg->body);
	add_made_up(&d, arg, "+0(\\0)", arg->body);
	if (*arg->type)
		add_typed(&d, arg, arg->type, end_of(arg->type));
	else
		add_made_up(&d, arg, type, arg->type);
	ret = parse_own(arg, &d);
	if (ret)
		return ret;
	own->code[0].op = FETCH_OP_SAVED;
	own->code[0].param = i;
	own->code[1].op = FETCH_OP_END;
	return 0;
}

/* $argN, or something that begins there */
static int parse_arg_n(const struct argument *arg, const struct arg_n *arg_n)
{
	struct probe_arg *own = &arg->tu->tp.args[arg->i];
	struct draft d = {};
	int ret, i = 0;

	add_typed(&d, arg, arg->text, arg_n->at);
	add_stand_in(&d, arg, arg->body, arg_n->at);
	add_typed(&d, arg, arg_n->end, end_of(arg_n->end));
	ret = parse_own(arg, &d);
	if (ret)
		return ret;
	if (!begins_with_stand_in(own->code))
		return complain(arg, arg->body, TP_ERR_BAD_VAR);
	if (is_return(arg)) {
		i = save(arg, arg_n->at, arg_n->end, false);
		if (i < 0)
			return i;
	}
	own->code[0].op = is_return(arg) ? FETCH_OP_SAVED_WORD : FETCH_OP_ARG;
	own->code[0].param = is_return(arg) ? i : arg_n->n;
	return 0;
}

/* ---- all of them -------------------------------------------------------- */

static int parse_argument(const struct argument *arg)
{
	const struct word *w = find_word(arg);
	size_t len = str_has_prefix(arg->body, "entry(");
	struct draft d = {};
	struct arg_n arg_n;
	int ret;

	if (arg->body - arg->text > MAX_ARG_NAME_LEN + 1)
		return complain(arg, arg->text, TP_ERR_ARG_NAME_TOO_LONG);
	if (strlen(arg->body) > MAX_ARGSTR_LEN) {
		complain(arg, arg->body, TP_ERR_ARG_TOO_LONG);
		return -E2BIG;
	}
	if (w)
		return parse_word(arg, w);
	if (len)
		return parse_entry(arg, arg->body + len);
	ret = find_arg_n(arg, arg->body, arg->type, &arg_n);
	if (ret)
		return ret < 0 ? ret : parse_arg_n(arg, &arg_n);
	add_typed(&d, arg, arg->text, end_of(arg->text));
	return parse_own(arg, &d);
}

/**
 * trace_uprobe_parse_args - give an event its fetch arguments
 * @cmd: the command
 * @tu: made for as many arguments as @cmd has
 *
 * Context: dyn_event_ops_mutex held.
 * Return: 0, or -errno after the reason went to error_log.
 */
int trace_uprobe_parse_args(const struct trace_uprobe_command *cmd,
			    struct trace_uprobe *tu)
{
	struct argument arg = { .cmd = cmd, .tu = tu };
	int ret;

	for (arg.i = 0; arg.i < cmd->argc - 2; arg.i++) {
		arg.text = cmd->argv[arg.i + 2];
		arg.body = strchr(arg.text, '=');
		arg.body = arg.body ? arg.body + 1 : arg.text;
		arg.type = strchrnul(arg.body, ':');
		ret = parse_argument(&arg);
		if (ret)
			return ret;
	}
	tu->is_certain = trace_uprobe_fetch_is_certain(&tu->tp);
	if (tu->saved) {
		tu->consumer.pouch_size = pouch_size(tu->saved);
		trace_uprobe_set_saving(tu);
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What happens on `perf report --returns`?
 *
 * Called by builtin-report.c once its options are parsed. The recorded data are
 * read through a session with callbacks of its own: event.c says what a record
 * means, place.c which function it is about, returns.c adds it up, and a view
 * prints the sum.
 */
#include "report.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <subcmd/pager.h>
#include <subcmd/parse-options.h>

#include "command.h"
#include "event.h"
#include "place.h"
#include "returns.h"
#include "survey.h"
#include "table.h"
#include "ui/ui.h"
#include "util/compress.h"
#include "util/data.h"
#include "util/evlist.h"
#include "util/evsel.h"
#include "util/header.h"
#include "util/sample.h"
#include "util/session.h"
#include "util/symbol.h"
#include "util/thread.h"
#include "util/tool.h"

/**
 * struct returns_report - a report while it is made
 * @tool: the callbacks of @session
 * @session: the recorded data
 * @places: finds the functions of @returns
 * @returns: the result
 * @lost_by_event: returns lost, from counters of the return events themselves
 * @has_lost_by_event: the recording has such counters, if only of other events
 * @first_comm: name of the first program executed, empty until there is one
 */
struct returns_report {
	struct perf_tool	tool;
	struct perf_session	*session;
	struct places		places;
	struct returns		returns;
	u64			lost_by_event;
	bool			has_lost_by_event;
	char			first_comm[16];
};

/**
 * struct view - a way to show the result
 * @name: what the user calls it
 * @fprintf: prints it; returns 0 or a negative error
 */
struct view {
	const char	*name;
	int		(*fprintf)(const struct returns *returns, FILE *fp);
};

static const struct view views[] = {
	[RETURNS_VIEW_TABLE] = { "table", returns_table__fprintf },
};

static void count_thread(struct returns_report *report, struct thread *thread)
{
	/* Any pointer will do as a mark, and nobody else needs the place. */
	if (thread__priv(thread))
		return;
	thread__set_priv(thread, report);
	report->returns.threads++;
}

static int add_call(struct returns_report *report, struct evsel *evsel, struct machine *machine,
		    const struct perf_sample *sample, const struct returned_call *call)
{
	struct thread *thread = machine__findnew_thread(machine, sample->pid, sample->tid);
	struct returns_function *function;
	int err = -ENOMEM;

	if (!thread)
		return -ENOMEM;

	count_thread(report, thread);
	function = places__find(&report->places, evsel, thread, sample->cpumode, call->function);
	if (function)
		err = returns__add(&report->returns, function, call->latency);
	thread__put(thread);
	return err;
}

static int process_sample(const struct perf_tool *tool, union perf_event *record __maybe_unused,
			  struct perf_sample *sample, struct evsel *evsel,
			  struct machine *machine)
{
	struct returns_report *report = container_of(tool, struct returns_report, tool);
	const struct returns_event *event = returns_event__of(evsel);
	struct returned_call call;

	if (!event)
		return -ENOMEM;
	if (!returns_event__has_latency(event))
		return 0;
	if (evsel->core.attr.freq || evsel->core.attr.sample_period != 1)
		report->returns.sampled = true;

	if (returns_event__read(event, evsel, sample, &call)) {
		report->returns.unreadable++;
		return 0;
	}
	returns__note_time(&report->returns, sample->time);
	return add_call(report, evsel, machine, sample, &call);
}

static int process_comm(const struct perf_tool *tool, union perf_event *record,
			struct perf_sample *sample, struct machine *machine)
{
	struct returns_report *report = container_of(tool, struct returns_report, tool);

	if (record->header.misc & PERF_RECORD_MISC_COMM_EXEC) {
		returns__note_time(&report->returns, sample->time);
		if (!report->first_comm[0])
			snprintf(report->first_comm, sizeof(report->first_comm), "%.15s",
				 record->comm.comm);
	}
	return perf_event__process_comm(tool, record, sample, machine);
}

static int process_exit(const struct perf_tool *tool, union perf_event *record,
			struct perf_sample *sample, struct machine *machine)
{
	struct returns_report *report = container_of(tool, struct returns_report, tool);

	returns__note_time(&report->returns, sample->time);
	return perf_event__process_exit(tool, record, sample, machine);
}

/*
 * The kernel has a counter of lost records for each event, which perf record
 * reads at the end, and another for each buffer, which counts what it lost of
 * all events that share it. Both count the same records: never add them up.
 */
static int process_lost_samples(const struct perf_tool *tool, union perf_event *record,
				struct perf_sample *sample,
				struct machine *machine __maybe_unused)
{
	struct returns_report *report = container_of(tool, struct returns_report, tool);
	struct evsel *evsel = evlist__id2evsel(report->session->evlist, sample->id);
	const struct returns_event *event;

	/* Refused by the user's own BPF filter: not lost. */
	if (record->header.misc & PERF_RECORD_MISC_LOST_SAMPLES_BPF)
		return 0;

	report->has_lost_by_event = true;
	if (!evsel)
		return 0;

	event = returns_event__of(evsel);
	if (!event)
		return -ENOMEM;
	if (returns_event__has_latency(event))
		report->lost_by_event += record->lost_samples.lost;
	return 0;
}

static int process_feature(struct perf_session *session, union perf_event *record)
{
	/* One past the last feature says that there are no more. */
	if (record->feat.feat_id >= HEADER_LAST_FEATURE)
		return 0;
	return perf_event__process_feature(session, record);
}

static void set_callbacks(struct perf_tool *tool)
{
	perf_tool__init(tool, /*ordered_events=*/true);
	tool->ordering_requires_timestamps = true;
	/* Each record is one return of its own event, not one of each in its group. */
	tool->dont_split_sample_group = true;

	tool->sample	   = process_sample;
	tool->lost_samples = process_lost_samples;
	tool->comm	   = process_comm;
	tool->exit	   = process_exit;
	tool->feature	   = process_feature;

	tool->fork	   = perf_event__process_fork;
	tool->mmap	   = perf_event__process_mmap;
	tool->mmap2	   = perf_event__process_mmap2;
	tool->namespaces   = perf_event__process_namespaces;
	tool->build_id	   = perf_event__process_build_id;
	tool->attr	   = perf_event__process_attr;
	tool->event_update = perf_event__process_event_update;
	tool->id_index	   = perf_event__process_id_index;
	tool->tracing_data = perf_event__process_tracing_data;
}

static void complete(struct returns_report *report)
{
	const struct perf_session *session = report->session;
	const struct perf_env *env = &session->header.env;
	/* A truncated file has the number of words without the words. */
	int words = env->cmdline_argv ? env->nr_cmdline : 0;

	report->returns.command = measured_command((char *const *)env->cmdline_argv, words,
						   report->first_comm);
	report->returns.lost = report->has_lost_by_event ? report->lost_by_event :
							   session->evlist->stats.total_lost;
}

static int read_session(struct returns_report *report, struct survey *survey)
{
	struct perf_session *session = report->session;
	int err;

	/* A pipe does not say what is in it before it has been read. */
	if (perf_data__is_pipe(session->data)) {
		/* Ctrl-C ends perf record at the other side, then this one ends too. */
		signal(SIGINT, SIG_IGN);
	} else {
		err = survey__require_latency(survey, session->evlist);
		if (err)
			return err;
	}

	err = perf_session__process_events(session);
	if (err)
		return err;
	return survey__require_latency(survey, session->evlist);
}

static int show(struct returns_report *report, const struct returns_options *options)
{
	struct survey survey;
	int err = read_session(report, &survey);

	if (err)
		return err;

	complete(report);
	survey__warn_ignored(&survey);
	if (!perf_data__is_pipe(report->session->data))
		setup_pager();
	return views[options->view].fprintf(&report->returns, stdout);
}

static int run_session(struct returns_report *report, const struct returns_options *options)
{
	struct perf_session *session = report->session;
	/* place.c wants the parameters of C++ functions, which perf leaves out. */
	bool demangle = symbol_conf.demangle;
	int err;

	symbol_conf.demangle = false;
	if (symbol__init(&session->header.env) < 0)
		return -EINVAL;
	if (zstd_init(&session->zstd_data, 0) < 0)
		pr_warning("Compressed parts of the data can't be read\n");

	err = places__init(&report->places, &report->returns, demangle);
	if (!err)
		err = show(report, options);

	places__exit(&report->places);
	returns__exit(&report->returns);
	returns_event__forget(session->evlist);
	zstd_fini(&session->zstd_data);
	return err;
}

/**
 * returns_report__run - do `perf report --returns`
 * @options: what the user asked for
 * @input: name of the recorded data, "-" for standard input
 * @leftover: a word on the command line that belongs to no option, or NULL
 *
 * Return: 0 or a negative error, and then the reason has been printed.
 */
int returns_report__run(const struct returns_options *options, const char *input,
			const char *leftover)
{
	struct returns_report report = {};
	struct perf_data data = {
		.path  = input,
		.mode  = PERF_DATA_MODE_READ,
		.force = symbol_conf.force,
	};
	int err;

	if (leftover) {
		pr_err("Error: '%s' means nothing to --returns, which shows all functions\n",
		       leftover);
		return -EINVAL;
	}

	use_browser = 0;
	set_callbacks(&report.tool);
	report.session = perf_session__new(&data, &report.tool);
	if (IS_ERR(report.session))
		return PTR_ERR(report.session);

	err = run_session(&report, options);
	perf_session__delete(report.session);
	return err;
}

static int find_view(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(views); i++) {
		if (views[i].name && !strcmp(views[i].name, name))
			return i;
	}
	return -EINVAL;
}

/**
 * returns_report__parse - parse the argument of --returns
 * @opt: its value is a struct returns_options
 * @arg: name of a view, or NULL for the table
 * @unset: it was --no-returns
 *
 * Return: 0 or -1, and then the reason has been printed.
 */
int returns_report__parse(const struct option *opt, const char *arg, int unset)
{
	struct returns_options *options = opt->value;
	int view = RETURNS_VIEW_TABLE;

	if (unset)
		view = RETURNS_VIEW_NONE;
	else if (arg)
		view = find_view(arg);

	if (view < 0) {
		pr_err("Error: --returns has no view '%s', only table\n", arg);
		return -1;
	}
	options->view = view;
	return 0;
}

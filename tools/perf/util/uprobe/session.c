// SPDX-License-Identifier: GPL-2.0
/*
 * Which probes are for one perf command alone?
 *
 * Those of --probe: a file and a definition as perf probe takes it, './srv:parse%return
 * len'. They are made as perf probe makes them, but kept in memory only (store.c), and
 * then opened as events of the user's own (private.c).
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <linux/kernel.h>
#include <subcmd/parse-options.h>

#include "util/debug.h"
#include "util/evlist.h"
#include "util/parse-events.h"
#include "util/probe-event.h"
#include "util/probe-finder.h"
#include "failure.h"
#include "private.h"
#include "session.h"
#include "store.h"
#include "target.h"

/* FILE:DEFINITION: the longest FILE that is there. Return: where DEFINITION begins; or NULL. */
static const char *cut_file(const char *typed, char *file)
{
	const char *colon, *found = NULL;
	char name[PATH_MAX];
	struct stat st;

	for (colon = typed; (colon = strchr(colon, ':')); colon++) {
		if (colon - typed >= PATH_MAX)
			break;
		memcpy(name, typed, colon - typed);
		name[colon - typed] = '\0';
		if (!stat(name, &st) && S_ISREG(st.st_mode) && realpath(name, file))
			found = colon + 1;
	}
	return found;
}

static int add_event(struct evlist *evlist, const struct probe_trace_event *tev)
{
	struct parse_events_error error;
	char name[256];
	int ret;

	snprintf(name, sizeof(name), "%s:%s", tev->group, tev->event);
	parse_events_error__init(&error);
	ret = parse_events(evlist, name, &error);
	if (ret)
		parse_events_error__print(&error, name);
	parse_events_error__exit(&error);
	return ret ? -EINVAL : 0;
}

static int add_events(struct evlist *evlist, struct perf_probe_event *pev)
{
	int i, nr = 0, ret = 0;

	for (i = 0; i < pev->ntevs && !ret; i++) {
		if (!pev->tevs[i].event)
			continue;
		ret = add_event(evlist, &pev->tevs[i]);
		nr++;
	}
	return ret ?: nr ? 0 : -ENOENT;
}

/* As perf probe does it, also when something is wrong. */
static int make_probes(struct perf_probe_event *pev, struct uprobe_failure *failure)
{
	int ret = uprobe_store__keep_in_memory();

	/* else only perf probe sets it */
	probe_conf.max_probes = probe_conf.max_probes ?: MAX_PROBES;
	if (!ret)
		ret = init_probe_symbol_maps(true);
	if (ret)
		return ret;
	uprobe_failure__watch(failure, true, 'a');
	ret = convert_perf_probe_events(pev, 1);
	ret = uprobe_failure__resolved(failure, pev, 1, ret);
	if (ret >= 0) {
		/* another name if there is one of the same, be it of another file; but no doubtful places */
		probe_conf.force_add = true;
		ret = apply_perf_probe_events(pev, 1);
		probe_conf.force_add = false;
		ret = uprobe_failure__applied(failure, pev, 1, ret);
	}
	uprobe_failure__say(failure, ret);
	exit_probe_symbol_maps();
	return ret < 0 ? ret : 0;
}

/**
 * uprobe_session__parse - the option --probe
 * @opt: its value is a struct evlist **, which gets the events
 * @typed: FILE:DEFINITION
 * @unset: --no-probe, which nobody says
 *
 * Return: 0; or a negative value, and what is wrong has been said.
 */
int uprobe_session__parse(const struct option *opt, const char *typed, int unset)
{
	struct evlist *evlist = *(struct evlist **)opt->value;
	struct perf_probe_event pev = { .uprobes = true };
	struct uprobe_failure failure = {};
	char file[PATH_MAX];
	const char *rest;
	int ret;

	if (unset || !typed)
		return -EINVAL;
	rest = cut_file(typed, file);
	if (!rest) {
		pr_err("--probe '%s': no file: say FILE:FUNCTION, or FILE:'FUNCTION%%return ARG...'\n",
		       typed);
		return -EINVAL;
	}
	if (!uprobe_private__is_supported()) {
		pr_err("--probe '%s': this kernel takes no probes from perf record: make it with perf probe -x\n",
		       typed);
		return -EOPNOTSUPP;
	}
	uprobe_target__require(file, NULL);
	pev.target = strdup(file);
	ret = pev.target ? uprobe_failure__parse(&failure, rest, &pev) : -ENOMEM;
	if (ret >= 0)
		ret = make_probes(&pev, &failure);
	if (!ret) {
		uprobe_private__load_anew();
		ret = add_events(evlist, &pev);
	}
	cleanup_perf_probe_events(&pev, 1);
	if (ret < 0)
		pr_err("--probe '%s': no probe could be made\n", typed);
	return ret;
}

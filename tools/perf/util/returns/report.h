/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What happens on `perf report --returns`?
 *
 * The only door from the rest of perf: builtin-report.c has the option and one
 * call.
 */
#ifndef __PERF_RETURNS_REPORT_H
#define __PERF_RETURNS_REPORT_H

#include <errno.h>
#include <linux/compiler.h>

#include "util/debug.h"

struct option;

/**
 * enum returns_view - what a report of returns shows
 * @RETURNS_VIEW_NONE: --returns was not given
 * @RETURNS_VIEW_TABLE: one line per function
 */
enum returns_view {
	RETURNS_VIEW_NONE,
	RETURNS_VIEW_TABLE,
};

/**
 * struct returns_options - what the user asked for
 * @view: which view
 */
struct returns_options {
	enum returns_view	view;
};

#ifdef HAVE_LIBTRACEEVENT
int returns_report__parse(const struct option *opt, const char *arg, int unset);
int returns_report__run(const struct returns_options *options, const char *input,
			const char *leftover);
#else
static inline int returns_report__parse(const struct option *opt __maybe_unused,
					const char *arg __maybe_unused,
					int unset __maybe_unused)
{
	pr_err("Error: --returns reads trace events; this perf was built without libtraceevent\n");
	return -1;
}

static inline int returns_report__run(const struct returns_options *options __maybe_unused,
				      const char *input __maybe_unused,
				      const char *leftover __maybe_unused)
{
	return -EOPNOTSUPP;
}
#endif

#endif /* __PERF_RETURNS_REPORT_H */

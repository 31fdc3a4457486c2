/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which probes are for one perf command alone?
 */
#ifndef __PERF_UPROBE_SESSION_H
#define __PERF_UPROBE_SESSION_H

struct option;

int uprobe_session__parse(const struct option *opt, const char *typed, int unset);

#endif /* __PERF_UPROBE_SESSION_H */

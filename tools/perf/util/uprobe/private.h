/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How does perf use the events that a user keeps for himself?
 */
#ifndef __PERF_UPROBE_PRIVATE_H
#define __PERF_UPROBE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

struct evsel;
struct list_head;
struct perf_probe_event;
struct print_callbacks;
struct target;

#ifdef HAVE_LIBELF_SUPPORT
bool uprobe_private__is_supported(void);
int uprobe_private__try(const char *command);
void uprobe_private__load_anew(void);
int uprobe_private__read_format(const char *group, const char *event, char **text, size_t *size);
bool uprobe_private__match(const char *group, const char *event, int i, const char **its_group,
			   const char **its_event);
int uprobe_private__open(struct evsel *evsel, int pid, int cpu, int group_fd, unsigned long flags);
bool uprobe_private__are_among(struct list_head *evsels);
bool uprobe_private__has_tracefs(void);
int uprobe_private__write_events(int fd, struct list_head *evsels);
int uprobe_private__write_formats(int fd, struct list_head *evsels);
void uprobe_private__say_use(const struct perf_probe_event *pevs, int nr, const char *group,
			     const char *event);
bool uprobe_private__strerror(struct evsel *evsel, struct target *target, int err, char *msg,
			      size_t size);
bool uprobe_private__why(const char *group, const char *event, char *msg, size_t size);
char *uprobe_private__why_not(void);
void uprobe_private__init(struct evsel *evsel);
void uprobe_private__print(const struct print_callbacks *print_cb, void *print_state);
#else
#include <errno.h>

#include "perf-sys.h"
#include "util/evsel.h"

static inline int uprobe_private__read_format(const char *group, const char *event, char **text,
					      size_t *size)
{
	(void)group, (void)event, (void)text, (void)size;
	return -ENOENT;
}

static inline bool uprobe_private__match(const char *group, const char *event, int i,
					 const char **its_group, const char **its_event)
{
	(void)group, (void)event, (void)i, (void)its_group, (void)its_event;
	return false;
}

static inline int uprobe_private__open(struct evsel *evsel, int pid, int cpu, int group_fd,
				       unsigned long flags)
{
	return sys_perf_event_open(&evsel->core.attr, pid, cpu, group_fd, flags);
}

static inline bool uprobe_private__are_among(struct list_head *evsels)
{
	(void)evsels;
	return false;
}

static inline bool uprobe_private__has_tracefs(void)
{
	return true;
}

static inline int uprobe_private__write_events(int fd, struct list_head *evsels)
{
	(void)fd, (void)evsels;
	return -ENOENT;
}

static inline int uprobe_private__write_formats(int fd, struct list_head *evsels)
{
	(void)fd, (void)evsels;
	return -ENOENT;
}

static inline bool uprobe_private__strerror(struct evsel *evsel, struct target *target, int err,
					    char *msg, size_t size)
{
	(void)evsel, (void)target, (void)err, (void)msg, (void)size;
	return false;
}

static inline bool uprobe_private__why(const char *group, const char *event, char *msg,
				       size_t size)
{
	(void)group, (void)event, (void)msg, (void)size;
	return false;
}

static inline void uprobe_private__init(struct evsel *evsel)
{
	(void)evsel;
}

static inline void uprobe_private__print(const struct print_callbacks *print_cb, void *print_state)
{
	(void)print_cb, (void)print_state;
}
#endif /* HAVE_LIBELF_SUPPORT */

#endif /* __PERF_UPROBE_PRIVATE_H */

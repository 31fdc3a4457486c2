// SPDX-License-Identifier: GPL-2.0
/*
 * How does perf use the events that a user keeps for himself?
 *
 * As tracepoints, as far as the rest of perf is concerned: their format is read from a perf
 * event that is opened for it and closed again, instead of from tracefs, and goes into
 * perf.data like that of others. What is different is how they are opened: the PMU
 * "uprobe" is given the command itself. The number that their records have is chosen here, from
 * above, where the kernel's own don't reach as a rule.
 *
 * store.c keeps the commands. probe-file.c, trace-event.c, parse-events.c, evsel.c, print-events.c
 * and trace-event-info.c call in here, at one place each.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <api/fs/fs.h>
#include <api/fs/tracing_path.h>
#include <linux/capability.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/perf_event.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/zalloc.h>
#ifdef HAVE_LIBTRACEEVENT
#include <traceevent/event-parse.h>
#endif

#include "../../../../include/uapi/linux/uprobes.h"
#include "perf-sys.h"
#include "util/cap.h"
#include "util/cloexec.h"
#include "util/debug.h"
#include "util/evsel.h"
#include "util/print-events.h"
#include "util/probe-event.h"
#include "util/string2.h"
#include "util/strlist.h"
#include "util/target.h"
#include "util/trace-event.h"
#include "private.h"
#include "store.h"

#define PMU	"bus/event_source/devices/uprobe/"

/* No event has it: the kernel numbers from below. */
#define LAST_TYPE	0xffff

/**
 * struct definition - an event that the user keeps for himself
 * @node: in definitions
 * @group: of the event
 * @event: its name
 * @command: that makes it
 * @type: the number of its records
 * @in_memory: it is for this command of perf alone, else it is kept
 * @format: how its records are laid out, NULL: nobody has asked so far. Kept, since the file may have
 *	gone when perf.data is completed.
 * @format_size: its length
 */
struct definition {
	struct list_head node;
	char *group, *event, *command;
	unsigned int type;
	bool in_memory;
	char *format;
	size_t format_size;
};

/* Those in memory come first. */
static LIST_HEAD(definitions);
static unsigned int next_type = LAST_TYPE;
static bool loaded;

/* What the kernel said last when a format was to be read; and when a command was tried. */
static struct {
	struct definition *of;
	int err, try_err;
	char *try_command;
} refused;

/**
 * uprobe_private__is_supported - does the kernel take commands from users?
 *
 * Return: true if so.
 */
bool uprobe_private__is_supported(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" PMU "format/definition", sysfs__mountpoint());
	return !access(path, R_OK);
}

/* ---- which are there ------------------------------------------------------- */

/* Folders of tracefs are open to all if its mount is, but its files may not be. */
static bool may_read(const char *name)
{
	const char *tracefs = tracing_path_mount();
	char *path;
	bool may;

	if (!tracefs || asprintf(&path, "%s/events/%s", tracefs, name) < 0)
		return false;
	/* as they are opened: with what perf may by its effective ids and capabilities */
	may = !faccessat(AT_FDCWD, path, R_OK, AT_EACCESS);
	free(path);
	return may;
}

static bool has_tracefs(const char *group, const char *event)
{
	char *name;
	bool has;

	if (asprintf(&name, "%s/%s/format", group, event) < 0)
		return false;
	has = may_read(name);
	free(name);
	return has;
}

/**
 * uprobe_private__has_tracefs - may we read what is in tracefs?
 *
 * Return: true if so.
 */
bool uprobe_private__has_tracefs(void)
{
	return may_read("header_page");
}

/* Of what is kept, only that which isn't in tracefs: others may write the file of root's shell. */
static struct definition *find(const char *group, const char *event)
{
	struct definition *d;

	list_for_each_entry(d, &definitions, node)
		if (!strcmp(d->group, group) && !strcmp(d->event, event) &&
		    (d->in_memory || !has_tracefs(group, event)))
			return d;
	return NULL;
}

static bool is_known(const char *group, const char *event, bool in_memory)
{
	struct definition *d;

	list_for_each_entry(d, &definitions, node)
		if (d->in_memory == in_memory && !strcmp(d->group, group) &&
		    !strcmp(d->event, event))
			return true;
	return false;
}

static void free_definition(struct definition *d)
{
	free(d->group);
	free(d->event);
	free(d->command);
	free(d->format);
	free(d);
}

static struct definition *make(const char *command)
{
	struct definition *d = zalloc(sizeof(*d));
	struct probe_trace_event tev = {};

	if (!d || parse_probe_trace_command(command, &tev) < 0)
		goto fail;
	d->group = strdup(tev.group);
	d->event = strdup(tev.event);
	d->command = strdup(command);
	if (!d->group || !d->event || !d->command)
		goto fail;
	clear_probe_trace_event(&tev);
	return d;
fail:
	clear_probe_trace_event(&tev);
	if (d)
		free_definition(d);
	return NULL;
}

static void add(const char *command, bool in_memory)
{
	struct definition *d = make(command);

	if (!d) {
		pr_debug("uprobe store: not a command: %s\n", command);
		return;
	}
	if (is_known(d->group, d->event, in_memory)) {
		free_definition(d);
		return;
	}
	d->in_memory = in_memory;
	d->type = next_type--;
	if (in_memory)
		list_add(&d->node, &definitions);
	else
		list_add_tail(&d->node, &definitions);
}

static void load_some(bool in_memory)
{
	struct strlist *commands = uprobe_store__commands(in_memory);
	struct str_node *node;

	if (!commands)
		return;
	strlist__for_each_entry(node, commands)
		add(node->s, in_memory);
	strlist__delete(commands);
}

static void load(void)
{
	if (loaded)
		return;
	loaded = true;
	if (!uprobe_private__is_supported())
		return;
	load_some(true);
	load_some(false);
}

/**
 * uprobe_private__load_anew - there are more in the store than before
 *
 * Those that are known stay as they are.
 */
void uprobe_private__load_anew(void)
{
	loaded = false;
	load();
}

/**
 * uprobe_private__match - go over the events of which a name may mean several
 * @group: a name, or a pattern
 * @event: a name, or a pattern
 * @i: which of those that match
 * @its_group: set to its group
 * @its_event: set to its name
 *
 * Return: false if there are fewer, or if tracefs is to be asked.
 */
bool uprobe_private__match(const char *group, const char *event, int i, const char **its_group,
			   const char **its_event)
{
	struct definition *d;

	if (uprobe_private__has_tracefs())
		return false;
	load();
	list_for_each_entry(d, &definitions, node) {
		if (!strglobmatch(d->group, group) || !strglobmatch(d->event, event) || i--)
			continue;
		*its_group = d->group;
		*its_event = d->event;
		return true;
	}
	return false;
}

static struct definition *of_evsel(const struct evsel *evsel)
{
	struct definition *d;
	size_t len;

	if (evsel->core.attr.type != PERF_TYPE_TRACEPOINT || !evsel->name)
		return NULL;
	list_for_each_entry(d, &definitions, node) {
		len = strlen(d->group);
		if (d->type == evsel->core.attr.config && !strncmp(evsel->name, d->group, len) &&
		    evsel->name[len] == ':' && strstarts(evsel->name + len + 1, d->event))
			return d;
	}
	return NULL;
}

/* ---- opening ---------------------------------------------------------------- */

/* What the kernel asks of somebody without privilege is no loss: a probe hits user code. */
static int set_up(struct perf_event_attr *attr, const char *command, unsigned int type)
{
	int pmu;

	if (sysfs__read_int(PMU "type", &pmu) < 0)
		return -ENOENT;
	attr->type = pmu;
	attr->config = PERF_UPROBE_DEFINITION | (u64)type << PERF_UPROBE_TYPE_SHIFT;
	attr->config1 = (u64)(unsigned long)command;
	attr->config2 = 0;
	attr->exclude_kernel = 1;
	attr->exclude_callchain_kernel = 1;
	return 0;
}

/* On perf itself, which calls nothing of it; to see what the kernel says. */
static int open_here(const char *command, unsigned int type)
{
	struct perf_event_attr attr = { .size = sizeof(attr), .disabled = 1 };
	int fd, ret = set_up(&attr, command, type);

	if (ret)
		return ret;
	fd = sys_perf_event_open(&attr, 0, -1, -1, perf_event_open_cloexec_flag());
	return fd < 0 ? -errno : fd;
}

/**
 * uprobe_private__try - would the kernel take this command of us?
 * @command: as for uprobe_events
 *
 * Return: 0 or a negative errno.
 */
int uprobe_private__try(const char *command)
{
	int fd = open_here(command, LAST_TYPE);

	refused.try_err = fd < 0 ? -fd : 0;
	free(refused.try_command);
	refused.try_command = strdup(command);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/**
 * uprobe_private__open - perf_event_open(), of an event of the user's own, too
 * @evsel: what is opened
 * @pid: as there
 * @cpu: as there
 * @group_fd: as there
 * @flags: as there
 *
 * Return: as there.
 */
int uprobe_private__open(struct evsel *evsel, int pid, int cpu, int group_fd, unsigned long flags)
{
	struct perf_event_attr attr = evsel->core.attr;
	struct definition *d = of_evsel(evsel);

	if (d && set_up(&attr, d->command, d->type) < 0) {
		errno = ENOENT;
		return -1;
	}
	return sys_perf_event_open(&attr, pid, cpu, group_fd, flags);
}

/* ---- format ------------------------------------------------------------------ */

static int read_format(int fd, char **text, size_t *size)
{
	struct perf_uprobe_text format = {};
	int ret;

	if (!ioctl(fd, PERF_EVENT_IOC_UPROBE_FORMAT, &format) || errno != ENOSPC)
		return -EINVAL;
	*text = malloc(format.size);
	if (!*text)
		return -ENOMEM;
	format.text = (u64)(unsigned long)*text;
	ret = ioctl(fd, PERF_EVENT_IOC_UPROBE_FORMAT, &format) ? -errno : 0;
	if (ret)
		zfree(text);
	else
		*size = format.size - 1;
	return ret;
}

static int ask_format(struct definition *d)
{
	int fd = open_here(d->command, d->type), ret;

	if (fd < 0) {
		refused.of = d;
		refused.err = -fd;
		return fd;
	}
	ret = read_format(fd, &d->format, &d->format_size);
	close(fd);
	return ret;
}

/* To be freed. */
static int copy_format(struct definition *d, char **text, size_t *size)
{
	int ret = d->format ? 0 : ask_format(d);

	if (ret)
		/* the event is there, its file isn't */
		return ret == -ENOENT ? -ESTALE : ret;
	*text = memdup(d->format, d->format_size + 1);
	*size = d->format_size;
	return *text ? 0 : -ENOMEM;
}

/**
 * uprobe_private__read_format - how are the records of an event laid out?
 * @group: of the event
 * @event: its name
 * @text: set to what its file "format" would say, to be freed
 * @size: set to its length
 *
 * Return: 0, -ENOENT if the user has no such event, or another negative errno.
 */
int uprobe_private__read_format(const char *group, const char *event, char **text, size_t *size)
{
	struct definition *d;

	load();
	d = find(group, event);
	if (!d)
		return -ENOENT;
	return copy_format(d, text, size);
}

/* ---- perf.data ----------------------------------------------------------------- */

#ifdef HAVE_LIBTRACEEVENT

/**
 * uprobe_private__are_among - are there events of the user's own?
 * @evsels: a list of struct evsel
 *
 * Return: true if so.
 */
bool uprobe_private__are_among(struct list_head *evsels)
{
	struct evsel *evsel;

	list_for_each_entry(evsel, evsels, core.node)
		if (of_evsel(evsel))
			return true;
	return false;
}

/**
 * struct held - an event of which perf.data holds the format
 * @node: in a list of them
 * @system: of the event
 * @name: its name
 * @type: the number of its records
 * @own: the user's own event, NULL: that of tracefs
 */
struct held {
	struct list_head node;
	char *system, *name;
	u64 type;
	struct definition *own;
};

static void free_held(struct held *held)
{
	free(held->system);
	free(held->name);
	free(held);
}

static void free_all(struct list_head *all)
{
	struct held *held, *next;

	list_for_each_entry_safe(held, next, all, node)
		free_held(held);
}

/* Of -e 2:315 or tracepoint/config=315/ nothing but the number is known. */
static void name_by_number(struct held *held)
{
	char *name = tracepoint_id_to_name(held->type), *colon = name ? strchr(name, ':') : NULL;

	if (colon) {
		held->system = strndup(name, colon - name);
		held->name = strdup(colon + 1);
	}
	free(name);
}

/* Not by what the event is called here: that may be any name. Return: false if it isn't found. */
static bool name_it(struct held *held, const struct evsel *evsel)
{
	held->type = evsel->core.attr.config;
	held->own = of_evsel(evsel);
	if (held->own) {
		held->system = strdup(held->own->group);
		held->name = strdup(held->own->event);
	} else if (evsel->tp_format) {
		held->system = strdup(evsel->tp_format->system);
		held->name = strdup(evsel->tp_format->name);
	} else {
		name_by_number(held);
	}
	return held->system && held->name;
}

/* Has the same event been before? */
static bool is_held(struct list_head *all, const struct evsel *evsel)
{
	struct definition *own = of_evsel(evsel);
	struct held *held;

	list_for_each_entry(held, all, node)
		if (held->type == evsel->core.attr.config && held->own == own)
			return true;
	return false;
}

/* Those of the system ftrace stand for themselves in perf.data. */
static int hold(struct list_head *all, const struct evsel *evsel)
{
	struct held *held;

	if (evsel->core.attr.type != PERF_TYPE_TRACEPOINT || is_held(all, evsel))
		return 0;
	held = zalloc(sizeof(*held));
	if (!held)
		return -ENOMEM;
	if (name_it(held, evsel) && strcmp(held->system, "ftrace"))
		list_add_tail(&held->node, all);
	else
		free_held(held);
	return 0;
}

/* Has no event of its system been before in the list? */
static bool is_first(struct list_head *all, const struct held *held)
{
	struct held *other;

	list_for_each_entry(other, all, node)
		if (!strcmp(other->system, held->system))
			return other == held;
	return false;
}

static int put(int fd, const void *data, size_t size)
{
	return write(fd, data, size) == (ssize_t)size ? 0 : -EIO;
}

static int put_format(int fd, const struct held *held)
{
	char *text = NULL, *path;
	size_t size = 0;
	u64 size64;
	int ret;

	if (held->own) {
		ret = copy_format(held->own, &text, &size);
	} else {
		if (asprintf(&path, "%s/events/%s/%s/format", tracing_path_mount(), held->system,
			     held->name) < 0)
			return -ENOMEM;
		ret = filename__read_str(path, &text, &size);
		free(path);
	}
	size64 = size;
	ret = ret ?: put(fd, &size64, sizeof(size64)) ?: put(fd, text, size);
	free(text);
	return ret;
}

static int put_system(int fd, struct list_head *all, const char *system)
{
	struct held *held;
	u32 nr = 0;
	int ret;

	list_for_each_entry(held, all, node)
		nr += !strcmp(held->system, system);
	ret = put(fd, system, strlen(system) + 1) ?: put(fd, &nr, sizeof(nr));
	list_for_each_entry(held, all, node) {
		if (ret)
			break;
		if (!strcmp(held->system, system))
			ret = put_format(fd, held);
	}
	return ret;
}

static int put_systems(int fd, struct list_head *all)
{
	struct held *held;
	u32 nr = 0;
	int ret;

	list_for_each_entry(held, all, node)
		nr += is_first(all, held);
	ret = put(fd, &nr, sizeof(nr));
	list_for_each_entry(held, all, node) {
		if (ret)
			break;
		if (is_first(all, held))
			ret = put_system(fd, all, held->system);
	}
	return ret;
}

/**
 * uprobe_private__write_events - what perf.data holds of the events that are in tracefs, or the user's own
 * @fd: where to
 * @evsels: all events of the session
 *
 * Return: 0 or a negative errno.
 */
int uprobe_private__write_events(int fd, struct list_head *evsels)
{
	struct evsel *evsel;
	LIST_HEAD(all);
	int ret = 0;

	list_for_each_entry(evsel, evsels, core.node)
		ret = ret ?: hold(&all, evsel);
	ret = ret ?: put_systems(fd, &all);
	free_all(&all);
	return ret;
}

/**
 * uprobe_private__write_formats - what perf.data holds of tracefs, without tracefs
 * @fd: where the head of it has been written to
 * @evsels: all events of the session
 *
 * In the order of trace-event-read.c; what isn't about events is empty, but for the head of a
 * page of the ring buffer: it says how long a long is here.
 *
 * Return: 0 or a negative errno.
 */
int uprobe_private__write_formats(int fd, struct list_head *evsels)
{
	const u64 none = 0;
	char page[256];
	u64 page_size;

	page_size = scnprintf(page, sizeof(page),
			      "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
			      "\tfield: local_t commit;\toffset:8;\tsize:%zu;\tsigned:1;\n"
			      "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
			      "\tfield: char data;\toffset:%zu;\tsize:%zu;\tsigned:1;\n",
			      sizeof(long), 8 + sizeof(long), 4096 - 8 - sizeof(long));
	/* no events of ftrace; in the end kallsyms, printk formats, names of tasks */
	return put(fd, "header_page", 12) ?: put(fd, &page_size, 8) ?:
	       put(fd, page, page_size) ?: put(fd, "header_event", 13) ?: put(fd, &none, 8) ?:
	       put(fd, &none, 4) ?: uprobe_private__write_events(fd, evsels) ?:
	       put(fd, &none, 4) ?: put(fd, &none, 4) ?: put(fd, &none, 8);
}
#endif /* HAVE_LIBTRACEEVENT */

/* ---- what is wrong --------------------------------------------------------------- */

static int read_sysctl(const char *name, int value)
{
	char path[64];

	snprintf(path, sizeof(path), "kernel/%s", name);
	sysctl__read_int(path, &value);
	return value;
}

static int say_access(struct target *target, char *msg, size_t size)
{
	int allowed = read_sysctl("uprobe_unprivileged", 1);
	int paranoid = read_sysctl("perf_event_paranoid", 2);
	bool used_root;

	if (allowed != 1 && !perf_cap__capable(CAP_SYS_ADMIN, &used_root))
		return scnprintf(msg, size, "this system allows no probes without CAP_SYS_ADMIN (kernel.uprobe_unprivileged is %d, 1 would allow them%s)",
				 allowed, allowed == 2 ? " after the next boot" : "");
	if (paranoid > 2 && !perf_cap__capable(CAP_PERFMON, &used_root))
		return scnprintf(msg, size, "this system allows no perf events without CAP_PERFMON (kernel.perf_event_paranoid is %d, 2 would allow them)",
				 paranoid);
	if (target && target->cpu_list && !target__has_task(target))
		return scnprintf(msg, size, "-C without -p is for all processes, which takes CAP_SYS_ADMIN: leave it out, or name processes of yours with -p");
	if (target && !target__has_task(target) && !target__none(target))
		return scnprintf(msg, size, "all processes can be probed with CAP_SYS_ADMIN only: name a command, or processes of yours with -p");
	return scnprintf(msg, size, "the file of the probe can't be read, or its file system is mounted noexec");
}

/* Return: false if perf's own words are as good. */
static bool explain(int err, const char *command, struct target *target, char *msg, size_t size)
{
	switch (err) {
	case EACCES:
		say_access(target, msg, size);
		return true;
	case EPERM:
		if (target)
			scnprintf(msg, size, "the process is of another user, has more privileges, or may not be traced (prctl(PR_SET_DUMPABLE), kernel.yama.ptrace_scope): CAP_SYS_ADMIN lifts that");
		else
			scnprintf(msg, size, "perf itself may not be traced, which it tries: it has capabilities or can't be read (CAP_SYS_ADMIN lifts that)");
		return true;
	case EDQUOT:
		scnprintf(msg, size, "you have as much as one user may: %d probes (kernel.uprobe_user_max_probes), %d perf events (kernel.uprobe_user_max_events; perf opens one for each thread and CPU, with --per-thread one for each thread), or 16 probes at one place",
			  read_sysctl("uprobe_user_max_probes", 0),
			  read_sysctl("uprobe_user_max_events", 0));
		return true;
	case EINVAL:
		if (!command)
			return false;
		scnprintf(msg, size, "the kernel doesn't take '%s': an argument is wrong, or the file has changed and has no such place: 'perf probe -d' and add it again",
			  command);
		return true;
	case EILSEQ:
	case EOPNOTSUPP:
		scnprintf(msg, size, "the instruction there can't be probed");
		return true;
	case ENOENT:
		scnprintf(msg, size, "the file of the probe is not there any more: 'perf probe -d' removes it");
		return true;
	default:
		return false;
	}
}

/**
 * uprobe_private__strerror - why couldn't an event of the user's own be opened?
 * @evsel: what was opened
 * @target: for whom
 * @err: errno
 * @msg: where the one line goes
 * @size: room for it
 *
 * Return: false if it is none of the user's own, or if perf's own words are as good.
 */
bool uprobe_private__strerror(struct evsel *evsel, struct target *target, int err, char *msg,
			      size_t size)
{
	struct definition *d = of_evsel(evsel);
	int n;

	if (!d)
		return false;
	if (err == EOPNOTSUPP && evsel->core.attr.branch_sample_type)
		return false;
	n = scnprintf(msg, size, "%s:%s: ", d->group, d->event);
	/* a command that has a format is right */
	return explain(err, d->format ? NULL : d->command, target, msg + n, size - n);
}

/**
 * uprobe_private__why - why couldn't the format of an event be read?
 * @group: of the event
 * @event: its name
 * @msg: where the one line goes
 * @size: room for it
 *
 * What perf probe names is looked for among the user's own, if tracefs can't be asked.
 *
 * Return: false if it is none of the user's own, or could be read.
 */
bool uprobe_private__why(const char *group, const char *event, char *msg, size_t size)
{
	struct definition *d = refused.of;
	int n;

	if (!d || strcmp(d->group, group) || strcmp(d->event, event)) {
		if (!strstarts(group, "probe_") || uprobe_private__has_tracefs() ||
		    !uprobe_private__is_supported())
			return false;
		scnprintf(msg, size, "you have no event %s:%s: 'perf probe -l' lists those that you have, 'perf probe -x FILE FUNCTION' adds one",
			  group, event);
		return true;
	}
	n = scnprintf(msg, size, "%s:%s: ", d->group, d->event);
	if (!explain(refused.err, d->command, NULL, msg + n, size - n))
		scnprintf(msg + n, size - n, "%s", strerror(refused.err));
	return true;
}

/**
 * uprobe_private__why_not - why did the kernel not take the last command that was tried?
 *
 * Return: a sentence, to be freed; or NULL if perf's own words are as good.
 */
char *uprobe_private__why_not(void)
{
	char msg[BUFSIZ];

	return refused.try_err &&
	       explain(refused.try_err, refused.try_command, NULL, msg, sizeof(msg)) ?
	       strdup(msg) : NULL;
}

/* All of them, with commas between them, to be freed; or NULL if there is but one. */
static char *list_names(const struct perf_probe_event *pevs, int nr)
{
	char *names = NULL, *more;
	int i, k, n = 0;

	for (i = 0; i < nr; i++) {
		for (k = 0; k < pevs[i].ntevs; k++) {
			const struct probe_trace_event *tev = &pevs[i].tevs[k];

			if (!tev->event)
				continue;
			if (asprintf(&more, "%s%s%s:%s", names ?: "", names ? "," : "",
				     tev->group, tev->event) < 0)
				more = NULL;
			free(names);
			names = more;
			n++;
		}
	}
	if (n < 2)
		zfree(&names);
	return names;
}

/**
 * uprobe_private__say_use - perf probe: how to use what has just been added
 * @pevs: what was asked for
 * @nr: how many
 * @group: of the last one
 * @event: its name
 *
 * A function that is in several places is one event in tracefs, but as many of the user's own.
 */
void uprobe_private__say_use(const struct perf_probe_event *pevs, int nr, const char *group,
			     const char *event)
{
	char *names;

	if (!uprobe_store__is_used()) {
		pr_info("\tperf record -e %s:%s -aR sleep 1\n\n", group, event);
		return;
	}
	names = list_names(pevs, nr);
	if (names)
		pr_info("\tperf record -e %s ./PROGRAM, or -p PID of yours\n\n", names);
	else
		pr_info("\tperf record -e %s:%s ./PROGRAM, or -p PID of yours\n\n", group, event);
	free(names);
}

/**
 * uprobe_private__init - a new evsel may be for an event of the user's own
 * @evsel: a tracepoint, as the rest of perf is concerned
 *
 * A probe hits user code. That nothing else is wanted has to be said in the name, too.
 */
void uprobe_private__init(struct evsel *evsel)
{
	if (of_evsel(evsel))
		evsel->core.attr.exclude_kernel = 1;
}

/**
 * uprobe_private__print - perf list: the events that the user keeps for himself
 * @print_cb: what prints them
 * @print_state: for it
 *
 * Leaves errno alone: perf list has opened tracefs before, and says afterwards why it couldn't.
 */
void uprobe_private__print(const struct print_callbacks *print_cb, void *print_state)
{
	int error = errno;
	struct definition *d;
	char name[NAME_MAX];

	load();
	list_for_each_entry(d, &definitions, node) {
		if (has_tracefs(d->group, d->event))
			continue;
		snprintf(name, sizeof(name), "%s:%s", d->group, d->event);
		print_cb->print_event(print_state, /*topic=*/NULL, /*pmu_name=*/NULL, name,
				      /*event_alias=*/NULL, /*scale_unit=*/NULL, /*deprecated=*/false,
				      "Tracepoint event", /*desc=*/NULL, /*long_desc=*/NULL,
				      /*encoding_desc=*/d->command);
	}
	errno = error;
}

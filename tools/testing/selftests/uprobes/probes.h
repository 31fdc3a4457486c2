/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How does a C or C++ test put probes into itself and read what they counted?
 *
 * A test is usually its own target: it names a place by the address it has in
 * this process, and the file and offset come from /proc/self/maps. All events
 * are in the group "t". An event may have several probes.
 *
 * Stock has no uprobe_missed and counts entries for return events; a histogram
 * counts the returns there, so that the tests can be tried out on stock.
 */
#ifndef UPROBES_PROBES_H
#define UPROBES_PROBES_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define TRACING		"/sys/kernel/tracing/"
#define UNUSED		__attribute__((unused))
#define PROBED		__attribute__((noipa, aligned(16)))
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

/* The test itself can't go on: no subtest is to blame. */
#define must(what)							\
	do {								\
		if (!(what)) {						\
			printf("Bail out! line %d: %s: %s\n", __LINE__,	\
			       #what, strerror(errno));			\
			exit(2);					\
		}							\
	} while (0)

/* ---- files -------------------------------------------------------------- */

/* Returns 0 or the errno. */
static UNUSED int write_file(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags), err = 0;

	if (fd < 0)
		return errno;
	if (*text && write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = errno;
	close(fd);
	return err;
}

/* The whole file with a 0 behind it, to be freed; NULL if it isn't there. */
static UNUSED char *read_file(const char *path, size_t *len)
{
	size_t size = 1 << 16, done = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = (char *)malloc(size);
	ssize_t n;

	if (fd < 0) {
		free(text);
		return NULL;
	}
	while ((n = read(fd, text + done, size - done - 1)) > 0) {
		done += n;
		if (size - done < 4096)
			text = (char *)realloc(text, size *= 2);
	}
	close(fd);
	text[done] = 0;
	if (len)
		*len = done;
	return text;
}

/* ---- places ------------------------------------------------------------- */

struct place {
	char path[PATH_MAX];
	unsigned long offset;
	unsigned long start, end;	/* of its mapping */
};

/* The mapping of @pid that covers @address; false if there is none. */
static UNUSED bool find_place(int pid, const void *address, struct place *place)
{
	unsigned long start, end, offset;
	char line[PATH_MAX + 128], name[64];
	bool found = false;
	FILE *maps;

	sprintf(name, "/proc/%d/maps", pid);
	maps = fopen(name, "re");
	while (maps && !found && fgets(line, sizeof(line), maps)) {
		place->path[0] = 0;
		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %[^\n]", &start, &end, &offset, place->path) < 3)
			continue;
		place->start = start;
		place->end = end;
		place->offset = (uintptr_t)address - start + offset;
		found = (uintptr_t)address >= start && (uintptr_t)address < end;
	}
	if (maps)
		fclose(maps);
	return found;
}

static UNUSED struct place place_of(const void *address)
{
	struct place place;

	must(find_place(getpid(), address, &place));
	return place;
}

/* ---- events ------------------------------------------------------------- */

/*
 * To record command names, two hot tracepoints of the scheduler are patched
 * whenever the first event comes and the last one goes. QEMU's TCG sometimes
 * executes what was there before.
 */
static void __attribute__((constructor)) probes_patch_no_code(void)
{
	write_file(TRACING "options/record-cmd", 0, "0");
}

/* Returns 0 or the errno. */
static UNUSED int command(const char *format, ...)
{
	char line[PATH_MAX + 512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	return write_file(TRACING "uprobe_events", O_APPEND, line);
}

static UNUSED bool has_missed(void)
{
	return access(TRACING "uprobe_missed", F_OK) == 0;
}

static UNUSED int event_file(const char *event, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), TRACING "events/t/%.64s/%.64s", event, file);
	return write_file(path, 0, text);
}

/* Its number, by which perf opens it. */
static UNUSED unsigned long event_id(const char *event)
{
	char path[256], *text;
	unsigned long id;

	snprintf(path, sizeof(path), TRACING "events/t/%.64s/id", event);
	text = read_file(path, NULL);
	must(text);
	id = strtoul(text, NULL, 0);
	free(text);
	return id;
}

/*
 * Stock: a histogram for each return event, which keeps the event on. So it
 * goes when the event is switched off, and what it has counted is kept here.
 */
static struct {
	char event[64];
	unsigned long returns;
	bool on;
} stock[256];

#define STOCK_HISTOGRAM	"hist:keys=__probe_func"

static unsigned long read_histogram(const char *event)
{
	unsigned long n = 0;
	char path[256], *text, *at;

	snprintf(path, sizeof(path), TRACING "events/t/%.64s/hist", event);
	text = read_file(path, NULL);
	at = text ? strstr(text, "Hits: ") : NULL;
	if (at)
		sscanf(at, "Hits: %lu", &n);
	free(text);
	return n;
}

static UNUSED void stock_begin(const char *event)
{
	size_t i;

	if (has_missed())
		return;
	for (i = 0; i < ARRAY_SIZE(stock) && stock[i].event[0]; i++)
		if (!strcmp(stock[i].event, event))
			return;
	must(i < ARRAY_SIZE(stock));
	snprintf(stock[i].event, sizeof(stock[i].event), "%s", event);
}

/* @event: NULL for all. */
static UNUSED void stock_switch(const char *event, bool on)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stock); i++) {
		if (!stock[i].event[0] || stock[i].on == on || (event && strcmp(event, stock[i].event)))
			continue;
		if (!on)
			stock[i].returns += read_histogram(stock[i].event);
		must(!event_file(stock[i].event, "trigger", on ? STOCK_HISTOGRAM : "!" STOCK_HISTOGRAM));
		stock[i].on = on;
	}
}

static unsigned long stock_returns(const char *event)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stock); i++)
		if (!strcmp(stock[i].event, event))
			return stock[i].returns + (stock[i].on ? read_histogram(event) : 0);
	return 0;
}

/* @kind: 'p' or 'r'; @args: fetch arguments or "". */
static UNUSED void define_in_file(char kind, const char *event, const char *path, unsigned long offset,
				  const char *args)
{
	int err = command("%c:t/%s %s:0x%lx %s", kind, event, path, offset, args);

	if (err)
		note("%c:t/%s %s:0x%lx %s: %s", kind, event, path, offset, args, strerror(err));
	must(!err);
	if (kind == 'r')
		stock_begin(event);
}

static UNUSED void define(char kind, const char *event, const void *address, const char *args)
{
	struct place place = place_of(address);

	define_in_file(kind, event, place.path, place.offset, args);
}

/* p:NAME and r:NAME_ret at one function; args at entry. */
static UNUSED void define_both(const char *name, const void *address)
{
	char ret[64];

	snprintf(ret, sizeof(ret), "%s_ret", name);
	define('p', name, address, "");
	define('r', ret, address, "");
}

static UNUSED int try_enable(const char *event)
{
	stock_switch(event, true);
	return event_file(event, "enable", "1");
}

static UNUSED void enable(const char *event)
{
	int err = try_enable(event);

	if (err)
		note("enable %s: %s", event, strerror(err));
	must(!err);
}

static UNUSED void disable(const char *event)
{
	must(!event_file(event, "enable", "0"));
	stock_switch(event, false);
}

static UNUSED void enable_all(void)
{
	stock_switch(NULL, true);
	must(!write_file(TRACING "events/t/enable", 0, "1"));
}

static UNUSED void disable_all(void)
{
	must(!write_file(TRACING "events/t/enable", 0, "0"));
	stock_switch(NULL, false);
}

static UNUSED void remove_all(void)
{
	write_file(TRACING "events/t/enable", 0, "0");
	stock_switch(NULL, false);
	memset(stock, 0, sizeof(stock));
	must(!write_file(TRACING "uprobe_events", O_TRUNC, ""));
	must(!write_file(TRACING "trace", O_TRUNC, ""));
}

/* ---- counts ------------------------------------------------------------- */

/* Stock: file event entries. @each: one number per probe, up to @max. */
static unsigned long stock_entries(const char *event, unsigned long *each, size_t max)
{
	char *text = read_file(TRACING "uprobe_profile", NULL), *line, *save = NULL;
	unsigned long sum = 0, n;
	char name[256];
	size_t i = 0;

	must(text);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%*s %255s %lu", name, &n) != 2 || strcmp(name, event))
			continue;
		sum += n;
		if (each && i < max)
			each[i++] = n;
	}
	free(text);
	return sum;
}

/* Number of the column of that name in the first line of uprobe_missed. */
static int find_column(const char *header, const char *name)
{
	char names[1024], *word, *save = NULL;
	int i = 0;

	snprintf(names, sizeof(names), "%s", header + 2);
	for (word = strtok_r(names, " ", &save); word; word = strtok_r(NULL, " ", &save), i++)
		if (!strcmp(word, name))
			return i;
	return -1;
}

static unsigned long sum_line(char *line, int column)
{
	unsigned long sum = 0, n;
	char *word, *save = NULL;
	int i = 0;

	for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save), i++) {
		n = strtoul(word, NULL, 10);
		/* all that is missed: not event, entries, returns, pending, inherited */
		if (i == column || (column < 0 && i > 4))
			sum += n;
	}
	return sum;
}

static UNUSED unsigned long count_each(const char *event, const char *what, unsigned long *each, size_t max)
{
	char *text = read_file(TRACING "uprobe_missed", NULL), *line, *save = NULL;
	size_t i = 0, len = strlen(event);
	unsigned long sum = 0, n;
	int column;

	if (!text) {
		if (!strcmp(what, "entries"))
			return stock_entries(event, each, max);
		return strcmp(what, "returns") ? 0 : stock_returns(event);
	}
	line = strtok_r(text, "\n", &save);
	must(line && line[0] == '#');
	column = find_column(line, what);
	must(column >= 0 || !strcmp(what, "missed"));
	while ((line = strtok_r(NULL, "\n", &save))) {
		if (strncmp(line, "t/", 2) || strncmp(line + 2, event, len) || line[2 + len] != ' ')
			continue;
		n = sum_line(line, column);
		sum += n;
		if (each && i < max)
			each[i++] = n;
	}
	free(text);
	return sum;
}

/*
 * @what: entries, returns, inherited, missed for all that was missed, or a
 * single cause.
 */
static UNUSED unsigned long count(const char *event, const char *what)
{
	return count_each(event, what, NULL, 0);
}

/* What install counts are no calls. */
static UNUSED bool adds_up(const char *event)
{
	unsigned long in = count(event, "entries") + count(event, "inherited");
	unsigned long missed = count(event, "missed") - count(event, "install");

	return in == count(event, "returns") + count(event, "pending") + missed;
}

/*
 * The promise that holds for a return event whenever the targets are at rest. When an event is switched off, what
 * is missing counts as unregistered: so there must be none, unless calls were open.
 */
static UNUSED bool is_balanced(const char *event)
{
	bool balanced = adds_up(event) && !count(event, "unregistered");

	if (!balanced)
		note("%s: %lu entries, %lu inherited, %lu returns, %lu pending, %lu missed, of these %lu unregistered",
		     event, count(event, "entries"), count(event, "inherited"), count(event, "returns"),
		     count(event, "pending"), count(event, "missed"), count(event, "unregistered"));
	return balanced;
}

/* ---- processes ---------------------------------------------------------- */

/* Runs @body in a child; returns what waitpid() says. */
static UNUSED int in_child(void (*body)(void))
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		body();
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid);
	return status;
}

/* A number of /proc/PID/smaps for the mapping that covers @address; -1: no such. */
static UNUSED long smaps_kb(int pid, const void *address, const char *field)
{
	char path[64], *text, *line, *save = NULL;
	unsigned long start, end;
	bool here = false;
	long kb = -1;

	sprintf(path, "/proc/%d/smaps", pid);
	text = read_file(path, NULL);
	for (line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = (uintptr_t)address >= start && (uintptr_t)address < end;
		else if (here && !strncmp(line, field, strlen(field)) && line[strlen(field)] == ':')
			kb = atol(line + strlen(field) + 1);
	}
	free(text);
	return kb;
}

/*
 * How many bytes of the mapping that covers @address differ from its file; -1: can't say. Not read through
 * /proc/PID/mem, which doesn't show breakpoints.
 */
static UNUSED long text_differs(int pid, const void *address)
{
	unsigned char *memory, *file;
	struct place place;
	struct iovec to, from;
	long differs = -1;
	size_t len;
	int fd;

	if (!find_place(pid, address, &place))
		return -1;
	len = place.end - place.start;
	memory = (unsigned char *)calloc(2, len);
	file = memory + len;
	to = (struct iovec){ memory, len };
	from = (struct iovec){ (void *)place.start, len };
	fd = open(place.path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && syscall(SYS_process_vm_readv, (long)pid, &to, 1L, &from, 1L, 0L) == (long)len &&
	    pread(fd, file, len, place.offset - ((uintptr_t)address - place.start)) > 0) {
		size_t i;

		differs = 0;
		for (i = 0; i < len; i++)
			differs += memory[i] != file[i];
	}
	close(fd);
	free(memory);
	return differs;
}

/* Nobody's breakpoint has ever been there, or every trace of it is gone. */
static UNUSED bool is_untouched(int pid, const void *address)
{
	long bytes = text_differs(pid, address);
	/* a file that was just written is dirty without any copy of it */
	long anonymous = smaps_kb(pid, address, "Anonymous");

	if (bytes || anonymous)
		note("process %d: %ld bytes differ from the file, %ld kB anonymous", pid,
		     bytes, anonymous);
	return !bytes && !anonymous;
}

/* Where does a process execute this place of a file? That differs from process to process. NULL: nowhere. */
static UNUSED const void *address_of(int pid, const char *file, unsigned long place)
{
	char path[64], line[PATH_MAX + 128], perms[8], name[PATH_MAX];
	unsigned long start, end, offset, found = 0;
	FILE *maps;

	sprintf(path, "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	must(maps);
	while (!found && fgets(line, sizeof(line), maps)) {
		name[0] = 0;
		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %[^\n]", &start, &end, perms, &offset, name) < 4)
			continue;
		if (!strcmp(name, file) && perms[2] == 'x' && place >= offset && place < offset + (end - start))
			found = start + place - offset;
	}
	fclose(maps);
	return (const void *)found;
}

/* Does it execute it, and is its text the file's? */
static UNUSED bool file_is_clean(int pid, const char *file, unsigned long place)
{
	const void *address = address_of(pid, file, place);

	return address && is_untouched(pid, address);
}

#endif /* UPROBES_PROBES_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * Where does perf probe keep the events of somebody who may not write tracefs?
 *
 * In a file of his own, $XDG_STATE_HOME/perf/probes, or below ~/.local/state: lines as
 * uprobe_events of tracefs has them. It takes the place of that file: what is opened here is
 * read as that is, and what is written to it is done here as the kernel does it there. A
 * new event is tried before it is kept. Beside it lies probes.lock, which is empty: who changes the
 * file holds its lock alone, who reads it together with other readers.
 *
 * Whoever may write the file decides what perf does. So it has to be the caller's own, also
 * if that is root with the HOME of somebody else; and a line that isn't a command is passed over.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/ctype.h>
#include <linux/kernel.h>

#include "util/debug.h"
#include "util/probe-event.h"
#include "util/probe-file.h"
#include "util/strlist.h"
#include "private.h"
#include "store.h"

/* probe_file__get_rawlist() reads no longer ones. */
#define MAX_LINE	4092

/* With the colon between group and event: what perf has room for. */
#define MAX_NAME	126

/* perf probe --persist: those of tracefs, or none */
bool uprobe_store__persist;

/* The descriptor that has been given out; -1: none. */
static int store_fd = -1;
static bool is_used;

/* What takes the place of the file; -1: nothing. */
static int memory = -1;

/**
 * uprobe_store__is_used - does perf probe work on the user's own events?
 *
 * Return: true if it has opened them instead of those of tracefs.
 */
bool uprobe_store__is_used(void)
{
	return is_used;
}

/* ---- lines ------------------------------------------------------------------ */

/* GROUP/EVENT of a command. Return: where it begins; or NULL. */
static const char *find_name(const char *line, size_t *len)
{
	static const char in_names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
	const char *name = line + 2;
	size_t group, event;

	if ((line[0] != 'p' && line[0] != 'r') || line[1] != ':')
		return NULL;
	group = strspn(name, in_names);
	if (!group || name[group] != '/')
		return NULL;
	event = strspn(name + group + 1, in_names);
	*len = group + 1 + event;
	return event && name[*len] == ' ' && *len < MAX_NAME ? name : NULL;
}

/* [pr]:GROUP/EVENT /PATH:0xOFFSET …: what perf writes, and nothing that it can't read. */
static bool is_command(const char *line)
{
	const char *name, *place, *colon, *end;
	size_t len;

	name = find_name(line, &len);
	if (!name || strlen(line) > MAX_LINE)
		return false;
	/* nor what perf would take for a space */
	if (strpbrk(line, "\t\v\f\r"))
		return false;
	place = name + len + 1;
	colon = place + strcspn(place, ": ");
	if (*place != '/' || strncmp(colon, ":0x", 3))
		return false;
	/* half a number isn't one */
	end = colon + 3 + strspn(colon + 3, "0123456789abcdefABCDEF");
	return end != colon + 3 && (!*end || *end == ' ' || *end == '(');
}

/* Is this the line that makes what @name names? */
static bool makes(const char *line, const char *name, size_t len)
{
	size_t its_len;
	const char *its = find_name(line, &its_len);

	return its && its_len == len && !memcmp(its, name, len);
}

static int append(int fd, const char *command)
{
	size_t len = strlen(command);
	off_t end = lseek(fd, 0, SEEK_END);
	ssize_t written;
	char *line;
	int ret = 0;

	if (len > MAX_LINE)
		return -E2BIG;
	if (end < 0)
		return -errno;
	if (asprintf(&line, "%s\n", command) < 0)
		return -ENOMEM;
	written = write(fd, line, len + 1);
	if (written != (ssize_t)len + 1)
		ret = written < 0 ? -errno : -ENOSPC;
	/* half a line would be in the way of the next one */
	if (written >= 0 && ret && ftruncate(fd, end) < 0)
		pr_debug("uprobe store: half a line is left\n");
	free(line);
	return ret;
}

/* ---- the file ------------------------------------------------------------- */

/* Return: what has to be freed, or NULL if nobody is at home. */
static char *folder(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *path = NULL;
	int ret = -1;

	if (state && *state == '/')
		ret = asprintf(&path, "%s/perf", state);
	else if (home && *home == '/')
		ret = asprintf(&path, "%s/.local/state/perf", home);
	return ret < 0 ? NULL : path;
}

/* Nothing is made in a home of somebody else, as that of who has used sudo. */
static bool is_home_of_others(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	struct stat st;

	return !stat(state && *state == '/' ? state : home ?: "/", &st) && st.st_uid != geteuid();
}

/* As mkdir -p. What others may not read stays so. */
static int make_folders(char *path)
{
	char *slash;

	for (slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* Does @fd belong to us, and may nobody else write it? */
static bool is_our_own(int fd, mode_t type)
{
	struct stat st;

	return !fstat(fd, &st) && (st.st_mode & S_IFMT) == type &&
	       st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static int checked(int fd, mode_t type, const char *path)
{
	if (fd < 0)
		return -errno;
	if (is_our_own(fd, type))
		return fd;
	/* root with the HOME of somebody else has tracefs */
	if (geteuid())
		pr_warning("%s isn't used: it has to be yours, and nobody else may write it\n",
			   path);
	close(fd);
	return -EPERM;
}

static int open_folder(bool make)
{
	char *path = folder();
	int ret = path ? 0 : -ENOENT;

	if (!ret && make)
		ret = is_home_of_others() ? -EPERM : make_folders(path);
	if (!ret)
		ret = checked(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), S_IFDIR, path);
	free(path);
	return ret;
}

static int open_in(int dir, bool readwrite)
{
	int flags = readwrite ? O_RDWR | O_CREAT | O_APPEND : O_RDONLY;

	return checked(openat(dir, "probes", flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600),
		       S_IFREG, "the file 'probes' of perf probe");
}

/*
 * Whoever can open a file can lock it, and keep us waiting: others may open the folder, but not this one.
 * Return: what holds the lock until it is closed.
 */
static int lock_in(int dir, int operation)
{
	int flags = operation == LOCK_EX ? O_RDWR | O_CREAT : O_RDONLY;
	int fd = checked(openat(dir, "probes.lock", flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600),
			 S_IFREG, "the file 'probes.lock' of perf probe");
	int error;

	/* it may have come with other rights, as from a backup */
	if (fd >= 0 && operation == LOCK_EX && fchmod(fd, 0600) < 0)
		pr_debug("uprobe store: others can lock it, too\n");
	if (fd < 0 || !flock(fd, operation))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

/* Who only reads is content without a lock, if there is none or it may not be taken: @lock is negative then. */
static int open_home(bool readwrite, int *lock)
{
	int dir = open_folder(readwrite), fd;

	if (dir < 0)
		return dir;
	*lock = lock_in(dir, LOCK_SH);
	fd = open_in(dir, readwrite);
	close(dir);
	return fd;
}

/* Each with a position of its own. */
static int open_memory(void)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Takes the end off. Without one it is half a line, or may be, as half a number is one. */
static bool is_whole(char *line, ssize_t len)
{
	if (line[len - 1] != '\n')
		return false;
	line[len - 1] = '\0';
	return true;
}

/* Is it a command, and the first one of that name? */
static bool is_new(struct strlist *names, const char *line)
{
	const char *name;
	char *copy;
	size_t len;
	bool is;

	if (!is_command(line))
		return false;
	name = find_name(line, &len);
	copy = strndup(name, len);
	is = copy && !strlist__add(names, copy);
	free(copy);
	return is;
}

/* Everything that is a command, in memory, where it can be read and added to. */
static int copy_commands(int from)
{
	int fd = dup(from), to = memfd_create("commands", MFD_CLOEXEC), ret = 0;
	struct strlist *names = strlist__new(NULL, NULL);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	if (!file || to < 0 || !names)
		ret = -errno ?: -ENOMEM;
	while (!ret && (len = getline(&line, &room, file)) > 0) {
		if (is_whole(line, len) && is_new(names, line))
			ret = append(to, line);
		else
			pr_debug("uprobe store: not a command: %s\n", line);
	}
	if (!ret && !feof(file))
		ret = -EIO;
	free(line);
	strlist__delete(names);
	if (file)
		fclose(file);
	else if (fd >= 0)
		close(fd);
	if (!ret && lseek(to, 0, SEEK_SET) < 0)
		ret = -errno;
	if (ret && to >= 0)
		close(to);
	return ret ?: to;
}

static int open_commands(bool in_memory, bool readwrite)
{
	int lock = -1, from = in_memory ? open_memory() : open_home(readwrite, &lock), fd;

	/* nothing has been kept so far */
	if (from == -ENOENT && !readwrite)
		from = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fd = from < 0 ? from : copy_commands(from);
	if (from >= 0)
		close(from);
	/* nobody changes it while it is copied */
	if (lock >= 0)
		close(lock);
	return fd;
}

/**
 * uprobe_store__keep_in_memory - new events are for this command alone
 *
 * Nothing else is there, and tracefs isn't looked at.
 *
 * Return: 0 or a negative errno.
 */
int uprobe_store__keep_in_memory(void)
{
	if (memory < 0)
		memory = memfd_create("probes", MFD_CLOEXEC);
	return memory < 0 ? -errno : 0;
}

/* Root has tracefs as a rule. */
static void say_why_not(int error)
{
	char *path = folder();

	if (!path)
		pr_warning("Probes of your own can't be kept: set HOME or XDG_STATE_HOME\n");
	else if (geteuid())
		pr_warning("Probes of your own can't be kept in %s/probes: %s\n", path,
			   error == -ELOOP ? "it is a symbolic link" : strerror(-error));
	free(path);
}

/* Is that a matter of rights, or is tracefs not there at all? */
static bool is_withheld(int error)
{
	return error == -EACCES || error == -EPERM || error == -ENOENT;
}

/**
 * uprobe_store__open - the user's own events, if those of tracefs can't be had
 * @readwrite: to change them
 * @error: why not, a negative errno; or the descriptor of that file
 *
 * Return: a descriptor to be read as uprobe_events, and to be written with
 * uprobe_store__write(); or @error.
 */
int uprobe_store__open(bool readwrite, int error)
{
	int fd;

	if (uprobe_store__persist)
		return error;
	if (memory >= 0 && error >= 0) {
		close(error);
		error = -EBADF;
	} else if (memory < 0 && !is_withheld(error)) {
		return error;
	}
	if (!uprobe_private__is_supported())
		return error;
	fd = open_commands(memory >= 0, readwrite && !probe_event_dry_run);
	if (fd < 0) {
		say_why_not(fd);
		return error;
	}
	store_fd = fd;
	is_used = true;
	return fd;
}

/**
 * uprobe_store__commands - all events of the user's own
 * @in_memory: those of this command alone, else those that are kept
 *
 * Return: their lines, to be freed with strlist__delete(); or NULL.
 */
struct strlist *uprobe_store__commands(bool in_memory)
{
	struct strlist *commands;
	int fd;

	if (in_memory && memory < 0)
		return NULL;
	fd = open_commands(in_memory, false);
	if (fd < 0)
		return NULL;
	commands = probe_file__get_rawlist(fd);
	close(fd);
	return commands;
}

/* ---- changes --------------------------------------------------------------- */

static int copy_line(int to, const char *line, ssize_t size)
{
	ssize_t written = write(to, line, size);

	if (written == size)
		return 0;
	return written < 0 ? -errno : -ENOSPC;
}

/* Looks at all lines of @from; those of others go to @to, unless that is -1. */
static int pass_over(int from, int to, const char *name, size_t len, bool *found)
{
	int fd = dup(from), ret = 0;
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t size;

	if (!file) {
		ret = -errno;
		if (fd >= 0)
			close(fd);
		return ret;
	}
	*found = false;
	while (!ret && (size = getline(&line, &room, file)) > 0) {
		if (makes(line, name, len))
			*found = true;
		else if (to >= 0)
			ret = copy_line(to, line, size);
	}
	if (!ret && !feof(file))
		ret = -EIO;
	free(line);
	fclose(file);
	return ret;
}

/* A line without an end is no command, and must not become one by what is added: it is cut off. */
static int drop_half_line(int fd)
{
	char text[256] = "";
	struct stat st;
	off_t end;
	char last;

	if (fstat(fd, &st) < 0)
		return -errno;
	for (end = st.st_size; end; end--) {
		if (pread(fd, &last, 1, end - 1) != 1)
			return -EIO;
		if (last == '\n')
			break;
	}
	if (end == st.st_size)
		return 0;
	/* somebody may have written it by hand */
	if (pread(fd, text, sizeof(text) - 1, end) < 0 || ftruncate(fd, end) < 0)
		return -errno;
	pr_warning("Half a line is taken out of your probes, where the last one had no end: %s\n", text);
	return 0;
}

static int add_event(int dir, const char *command)
{
	int fd, ret;
	const char *name;
	bool found;
	size_t len;

	name = find_name(command, &len);
	if (!name || !is_command(command))
		return -EINVAL;
	fd = open_in(dir, true);
	if (fd < 0)
		return fd;
	ret = drop_half_line(fd) ?: pass_over(fd, -1, name, len, &found);
	/* another perf was faster */
	if (!ret && found)
		ret = -EEXIST;
	ret = ret ?: append(fd, command);
	close(fd);
	return ret;
}

/* Into another file, which takes its place: nothing is half-done. */
static int remove_event(int dir, const char *name)
{
	static const char other[] = "probes.new";
	int from = open_in(dir, false), to, ret;
	bool found = false;

	if (from < 0)
		return from;
	/* who holds the lock is alone: it is left over from somebody who was killed */
	unlinkat(dir, other, 0);
	to = openat(dir, other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ret = to < 0 ? -errno : pass_over(from, to, name, strlen(name), &found);
	if (!ret && !found)
		ret = -ENOENT;
	if (!ret && (fsync(to) < 0 || renameat(dir, other, dir, "probes") < 0))
		ret = -errno;
	if (ret && to >= 0)
		unlinkat(dir, other, 0);
	if (to >= 0)
		close(to);
	close(from);
	return ret;
}

/* One at a time. */
static int change(const char *command)
{
	int dir = open_folder(true), lock, ret;

	if (dir < 0)
		return dir;
	lock = lock_in(dir, LOCK_EX);
	if (lock < 0)
		ret = lock;
	else if (*command == '-')
		ret = remove_event(dir, command + 2);
	else
		ret = add_event(dir, command);
	if (lock >= 0)
		close(lock);
	close(dir);
	return ret;
}

/**
 * uprobe_store__write - do what a command says
 * @fd: uprobe_events of tracefs, or what uprobe_store__open() has returned
 * @command: as for uprobe_events: a new event, or `-:GROUP/EVENT`
 *
 * Return: the length of @command; or -1, and errno says why.
 */
ssize_t uprobe_store__write(int fd, const char *command)
{
	int ret = 0;

	if (fd != store_fd || fd < 0)
		return write(fd, command, strlen(command));
	if (probe_event_dry_run)
		ret = -EBADF;
	if (!ret && *command != '-')
		ret = is_command(command) ? uprobe_private__try(command) : -EINVAL;
	if (!ret)
		ret = memory >= 0 ? append(memory, command) : change(command);
	/* what has been given out says the same */
	if (!ret && *command != '-')
		ret = append(fd, command);
	if (!ret)
		return strlen(command);
	errno = -ret;
	return -1;
}

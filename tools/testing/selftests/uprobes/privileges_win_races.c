// SPDX-License-Identifier: GPL-2.0
/*
 * Is there ever a breakpoint in the text of a set-user-ID program, when a user opens events on the process that is
 * about to execute it?
 *
 * One process of the user makes children that execute the program, another one opens events on them as fast as it
 * can, at any moment of that. The program itself looks, and has the right to: a breakpoint that is written, and taken
 * back before it goes on in user mode, isn't seen; one that a thread could meet is.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "../../../../include/uapi/linux/uprobes.h"
#include "probes.h"

#define FOLDER		"/tmp/privileges_win_races/"
#define PROGRAM		FOLDER "setuid"
#define USER		1000

static PROBED long target(long x)
{
	return x + 9;
}

/* ---- the program ---------------------------------------------------------- */

/* Exit status: 0 if all is as it should be. */
static int look(void)
{
	static const unsigned char breakpoint = 0xcc;
	int i;

	if (geteuid())
		return 3;
	for (i = 0; i < 20; i++) {
		if (*(volatile const unsigned char *)target == breakpoint)
			return 2;
		if (target(i) != i + 9)
			return 4;
		if (i % 5 == 4)
			usleep(100);
	}
	return 0;
}

/* ---- the user --------------------------------------------------------------- */

static void become_user(void)
{
	must(!setgroups(0, NULL) && !setresgid(USER, USER, USER) && !setresuid(USER, USER, USER));
	/* as after any program that it might have executed */
	must(!prctl(PR_SET_DUMPABLE, 1));
}

static int open_on(int pid, const char *command)
{
	char *type = read_file("/sys/bus/event_source/devices/uprobe/type", NULL);
	struct perf_event_attr attr = {
		.type = atoi(type), .size = sizeof(attr), .exclude_kernel = 1, .inherit = 1,
		.config = PERF_UPROBE_DEFINITION, .config1 = (uintptr_t)command,
	};

	free(type);
	return syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* Reads who has been made, and writes how often it could open something; which stays open until the next one comes. */
static void open_all(int pids, int done, const char *command)
{
	unsigned long opened = 0;
	int pid, fd = -1;

	become_user();
	while (read(pids, &pid, sizeof(pid)) == sizeof(pid)) {
		if (fd >= 0)
			close(fd);
		fd = open_on(pid, command);
		opened += fd >= 0;
	}
	must(write(done, &opened, sizeof(opened)) == sizeof(opened));
	_exit(0);
}

/* Returns how many of the children have seen what they mustn't. */
static unsigned long execute_all(int pids, int rounds)
{
	unsigned long bad = 0;
	int i, pid, status;

	for (i = 0; i < rounds; i++) {
		pid = fork();
		must(pid >= 0);
		if (!pid) {
			if (i % 3)
				usleep(i % 300);
			execl(PROGRAM, PROGRAM, "look", NULL);
			_exit(127);
		}
		must(write(pids, &pid, sizeof(pid)) == sizeof(pid));
		must(waitpid(pid, &status, 0) == pid);
		bad += status != 0;
	}
	return bad;
}

int main(int argc, char **argv)
{
	const char *kernel = getenv("PROBEX_KERNEL");
	int rounds = argc > 1 ? atoi(argv[1]) : kernel && !strcmp(kernel, "debug") ? 1000 : 10000, pids[2], done[2], result[2], opener, executor;
	unsigned long opened, bad = 0;
	char command[512], *text;
	struct place place;
	size_t len;
	int fd;

	if (argc > 1 && !strcmp(argv[1], "look"))
		return look();
	must(!getuid());
	mkdir(FOLDER, 0755);
	text = read_file("/proc/self/exe", &len);
	fd = open(PROGRAM, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	must(fd >= 0 && write(fd, text, len) == (ssize_t)len && !fchmod(fd, 04755));
	close(fd);
	must(!write_file("/proc/sys/kernel/perf_event_paranoid", 0, "2"));
	place = place_of((const void *)target);
	snprintf(command, sizeof(command), "p:t/one " PROGRAM ":0x%lx", place.offset);

	must(!pipe(pids) && !pipe(done) && !pipe(result));
	fflush(stdout);
	opener = fork();
	must(opener >= 0);
	if (!opener) {
		close(pids[1]);
		close(result[1]);
		open_all(pids[0], done[1], command);
	}
	executor = fork();
	must(executor >= 0);
	if (!executor) {
		close(pids[0]);
		close(done[1]);
		become_user();
		bad = execute_all(pids[1], rounds);
		must(write(result[1], &bad, sizeof(bad)) == sizeof(bad));
		_exit(0);
	}
	/* who dies is nobody to be waited for */
	close(pids[0]);
	close(pids[1]);
	close(done[1]);
	close(result[1]);
	must(read(result[0], &bad, sizeof(bad)) == sizeof(bad));
	must(read(done[0], &opened, sizeof(opened)) == sizeof(opened));
	waitpid(opener, NULL, 0);
	waitpid(executor, NULL, 0);
	note("%d rounds, in %lu of them an event could be opened", rounds, opened);
	check(opened > 0, "some_come_before_the_program");
	check(opened < (unsigned long)rounds, "and_some_behind_it");
	equal(bad, 0, "no_program_with_privileges_is_ever_probed");
	return finish();
}

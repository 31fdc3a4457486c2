// SPDX-License-Identifier: GPL-2.0
/*
 * Is an instruction decoded for the process that executes it?
 *
 * A 32-bit process of a user maps a 64-bit library as text and stays; its user probes it there; then root
 * probes the library in all processes. 64-bit users of it must live and be counted.
 *
 * Seen to fail on stock: one uprobe is decoded once, in the mode of whoever comes
 * first, and 64-bit users are killed by SIGSEGV.
 */
#define _GNU_SOURCE
#include <dlfcn.h>

#include <linux/perf_event.h>

#include "probes.h"

#define FOLDER		"/tmp/bitness_is_each_process_own/"
#define USER		1000

static const char *beside(const char *name)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);

	must(n > 0);
	path[n] = 0;
	strcpy(strrchr(path, '/'), name);
	return path;
}

/* The way to where it was built may not be open to users. */
static char *copy(const char *from, const char *to)
{
	size_t len;
	char *data = read_file(beside(from), &len);
	int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	must(data && fd >= 0 && write(fd, data, len) == (ssize_t)len && !fsync(fd));
	close(fd);
	free(data);
	return strdup(to);
}

static void become_user(void)
{
	if (setresgid(USER, USER, USER) || setresuid(USER, USER, USER))
		_exit(1);
}

static int hold;
static char *library_path;

/* A process of 32 bits with @path mapped; ends when @hold is closed. */
static pid_t start_32_bit_mapper(const char *path)
{
	int in[2], out[2];
	char byte;
	pid_t pid;

	must(!pipe(in) && !pipe(out));
	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close_range(3, 1000, 0);
		become_user();
		execl(FOLDER "maps_file-32", "maps_file-32", path, NULL);
		_exit(1);
	}
	close(in[0]);
	close(out[1]);
	must(read(out[0], &byte, 1) == 1);
	close(out[0]);
	hold = in[1];
	return pid;
}

/*
 * Its first instruction has a REX prefix and an operand relative to the
 * instruction pointer: in 32-bit code these bytes mean something else.
 */
static int (*load_library(void **library))(int)
{
	*library = dlopen(library_path, RTLD_NOW);
	must(*library);
	return (int (*)(int))dlsym(*library, "library_marked");
}

static pid_t user;

/* Has its user an event open on it, which he keeps? */
static bool its_user_probes(pid_t pid, unsigned long offset)
{
	char *type = read_file("/sys/bus/event_source/devices/uprobe/type", NULL), byte;
	struct perf_event_attr attr = {
		.type = atoi(type), .size = sizeof(attr), .exclude_kernel = 1,
		.config1 = (uintptr_t)library_path, .config2 = offset,
	};
	int done[2];

	must(!pipe(done));
	user = fork();
	must(user >= 0);
	if (!user) {
		become_user();
		if (syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC) < 0 ||
		    write(done[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(done[1]);
	free(type);
	return read(done[0], &byte, 1) == 1;
}

static void child_calls(void)
{
	void *library;
	int (*marked)(int) = load_library(&library);
	int i, sum = 0;

	for (i = 0; i < 20; i++)
		sum += marked(i);
	_exit(sum);
}

int main(void)
{
	int status, mapper_status;
	const unsigned char *code;
	unsigned long offset;
	char mapper[64];
	void *library;
	pid_t pid;

	mkdir(FOLDER, 0755);
	must(!write_file("/proc/sys/kernel/perf_event_paranoid", 0, "2"));
	copy("/targets/maps_file-32", FOLDER "maps_file-32");
	library_path = copy("/targets/libprobed.so", FOLDER "libprobed.so");
	code = (const unsigned char *)load_library(&library);
	must(code[0] == 0x48);
	define_both("marked", code);
	offset = place_of(code).offset;
	/* when the probe comes, the other process alone has the library mapped */
	dlclose(library);
	pid = start_32_bit_mapper(library_path);
	sprintf(mapper, "/proc/%d/exe", pid);
	check(access(mapper, F_OK) == 0, "program_of_32_bits_maps_the_library");
	check(its_user_probes(pid, offset), "its_user_probes_it_there_first");
	enable_all();
	status = in_child(child_calls);
	check(!status, "programs_of_64_bits_live");
	equal(count("marked", "entries"), 20, "programs_of_64_bits_are_counted");
	equal(count("marked_ret", "returns"), 20, "programs_of_64_bits_return");
	disable_all();
	status = in_child(child_calls);
	check(!status, "programs_of_64_bits_live_afterwards");
	kill(user, SIGKILL);
	must(waitpid(user, &status, 0) == user);
	close(hold);
	must(waitpid(pid, &mapper_status, 0) == pid);
	equal(mapper_status, 0, "program_of_32_bits_lives");
	remove_all();
	return finish();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Is an instruction decoded for the process that executes it?
 *
 * A 32-bit process maps a 64-bit library as text and stays; then the library
 * is probed. 64-bit users of it must live and be counted.
 *
 * Seen to fail on stock: one uprobe is decoded once, in the mode of whoever comes
 * first, and 64-bit users are killed by SIGSEGV.
 */
#define _GNU_SOURCE
#include <dlfcn.h>

#include "probes.h"

static const char *beside(const char *name)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);

	must(n > 0);
	path[n] = 0;
	strcpy(strrchr(path, '/'), name);
	return path;
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
		execl(beside("/targets/maps_file-32"), "maps_file-32", path, NULL);
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
	char mapper[64];
	void *library;
	pid_t pid;

	library_path = strdup(beside("/targets/libprobed.so"));
	code = (const unsigned char *)load_library(&library);
	must(code[0] == 0x48);
	define_both("marked", code);
	/* when the probe comes, the other process alone has the library mapped */
	dlclose(library);
	pid = start_32_bit_mapper(library_path);
	sprintf(mapper, "/proc/%d/exe", pid);
	check(access(mapper, F_OK) == 0, "program_of_32_bits_maps_the_library");
	enable_all();
	status = in_child(child_calls);
	check(!status, "programs_of_64_bits_live");
	equal(count("marked", "entries"), 20, "programs_of_64_bits_are_counted");
	equal(count("marked_ret", "returns"), 20, "programs_of_64_bits_return");
	disable_all();
	status = in_child(child_calls);
	check(!status, "programs_of_64_bits_live_afterwards");
	close(hold);
	must(waitpid(pid, &mapper_status, 0) == pid);
	equal(mapper_status, 0, "program_of_32_bits_lives");
	remove_all();
	return finish();
}

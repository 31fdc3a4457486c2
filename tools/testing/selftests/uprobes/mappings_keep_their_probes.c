// SPDX-License-Identifier: GPL-2.0
/*
 * Is a probe where its file is mapped as text, and nowhere else, whatever the
 * process does to its mappings?
 *
 * Seen to fail on stock: madvise_dontneed_keeps_probes (they are lost), mprotect_*
 * and data_sees_* (breakpoints in what the process reads or has written itself).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sched.h>
#include <setjmp.h>

#include "code_file.h"

#define FILE_PATH	"/tmp/mappings_keep_their_probes.code"
#define OTHER_PATH	"/tmp/mappings_keep_their_probes.other"

static char *const anywhere = (char *)0x600000000000;

/* Events one, two, three, across and end, entries; one_ret. */
static void probe_file(void)
{
	define_in_file('p', "one", FILE_PATH, ADDS_ONE, "");
	define_in_file('r', "one_ret", FILE_PATH, ADDS_ONE, "");
	define_in_file('p', "two", FILE_PATH, ADDS_TWO, "");
	define_in_file('p', "three", FILE_PATH, ADDS_THREE, "");
	define_in_file('p', "across", FILE_PATH, ACROSS_PAGES, "");
	define_in_file('p', "end", FILE_PATH, LAST_BYTE, "");
	enable_all();
}

static char *map_all(void)
{
	return map_code(FILE_PATH, NULL, 0, CODE_PAGES, PROT_READ | PROT_EXEC, MAP_PRIVATE);
}

/* All entry events, in the order of their offsets. */
static unsigned long all_entries(void)
{
	return count("one", "entries") + count("two", "entries") + count("across", "entries") +
	       count("three", "entries") + count("end", "entries");
}

static int call_all(const char *code)
{
	return call_code(code, ADDS_ONE, 10) + call_code(code, ADDS_TWO, 10) + call_code(code, ADDS_THREE, 10) +
	       (call_code(code, ACROSS_PAGES, 10) == 0x1122334e) + call_code(code, AT_THE_END, 10);
}

#define ALL_SUM	47	/* 11 + 12 + 13 + 1 + 10 */

static void every_place_of_a_page_can_be_probed(void)
{
	char *before = map_all(), *after;
	int sum = 0;

	probe_file();
	after = map_all();
	sum = call_all(before) + call_all(after);
	equal(sum, 2 * ALL_SUM, "page_borders_compute_the_same");
	check(all_entries() == 10 && count("across", "entries") == 2 && count("end", "entries") == 2,
	      "page_borders_can_be_probed");
	equal(count("one_ret", "returns"), 2, "mappings_before_and_after_are_probed");
	remove_all();
	equal(text_differs(getpid(), before), 0, "nothing_is_left_in_the_text");
	equal(smaps_kb(getpid(), before, "Anonymous"), 0, "no_copied_page_is_left");
	munmap(before, CODE_PAGES * PAGE);
	munmap(after, CODE_PAGES * PAGE);
}

static void moved_text_stays_probed(void)
{
	char *code, *moved;
	int sum = 0, i;

	probe_file();
	code = map_all();
	sum = call_all(code);
	for (i = 0; i < 10; i++) {
		moved = mremap(code, CODE_PAGES * PAGE, CODE_PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       anywhere + i * 0x100000);
		must(moved != MAP_FAILED);
		code = moved;
		sum += call_all(code);
	}
	equal(sum, 11 * ALL_SUM, "moved_text_computes_the_same");
	equal(all_entries(), 55, "moved_text_stays_probed");
	equal(count("one_ret", "returns"), 11, "moved_text_returns");
	remove_all();
	sum = call_all(code);
	equal(sum, ALL_SUM, "moved_text_is_restored");
	equal(text_differs(getpid(), code), 0, "moved_text_has_no_breakpoint_left");
	munmap(code, CODE_PAGES * PAGE);
}

/* Both mappings stay: at the old place the pages are the file's again. */
static void copied_text_stays_probed(void)
{
	char *code, *moved;
	int sum;

	probe_file();
	code = map_all();
	sum = call_all(code);
	moved = mremap(code, CODE_PAGES * PAGE, CODE_PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	must(moved != MAP_FAILED);
	sum += call_all(moved) + call_all(code) + call_all(moved);
	equal(sum, 4 * ALL_SUM, "text_that_is_moved_and_kept_computes_the_same");
	equal(all_entries(), 20, "text_that_is_moved_and_kept_is_probed_twice");
	equal(count("one_ret", "returns"), 4, "text_that_is_moved_and_kept_returns");
	remove_all();
	equal(call_all(code) + call_all(moved), 2 * ALL_SUM, "text_that_is_moved_and_kept_is_restored");
	equal(text_differs(getpid(), code), 0, "text_that_is_kept_has_no_breakpoint_left");
	equal(text_differs(getpid(), moved), 0, "text_that_is_moved_has_no_breakpoint_left");
	munmap(code, CODE_PAGES * PAGE);
	munmap(moved, CODE_PAGES * PAGE);
}

/* Into one mapping, and apart again. */
static void split_and_merged_text_stays_probed(void)
{
	char *code = anywhere;
	int sum = 0;

	probe_file();
	map_code(FILE_PATH, code, 0, 2, PROT_READ | PROT_EXEC, MAP_PRIVATE);
	sum += call_code(code, ADDS_ONE, 0) + call_code(code, ADDS_TWO, 0);
	map_code(FILE_PATH, code + 2 * PAGE, 2, 2, PROT_READ | PROT_EXEC, MAP_PRIVATE);
	sum += call_all(code);
	must(!mprotect(code + PAGE, PAGE, PROT_NONE));
	sum += call_code(code, ADDS_ONE, 0) + call_code(code, ADDS_THREE, 0);
	must(!mprotect(code + PAGE, PAGE, PROT_READ | PROT_EXEC));
	sum += call_all(code);
	munmap(code + 2 * PAGE, 2 * PAGE);
	must(mremap(code, 2 * PAGE, 4 * PAGE, 0) == code);
	sum += call_all(code);
	equal(sum, 3 + ALL_SUM + 4 + ALL_SUM + ALL_SUM, "split_and_merged_text_computes_the_same");
	equal(all_entries() - count("across", "entries"), 2 + 4 + 2 + 4 + 4, "split_and_merged_text_stays_probed");
	equal(count("across", "entries"), 3, "split_and_merged_text_has_instructions_across_the_border");
	remove_all();
	equal(text_differs(getpid(), code), 0, "split_and_merged_text_is_restored");
	munmap(code, CODE_PAGES * PAGE);
}

static void writable_text_is_the_process_own(void)
{
	char *code;

	probe_file();
	code = map_all();
	call_code(code, ADDS_ONE, 0);
	must(!mprotect(code, CODE_PAGES * PAGE, PROT_READ | PROT_WRITE));
	check(!memcmp(code + ADDS_ONE, "\x8d\x47\x01\xc3", 4), "mprotect_shows_the_bytes_that_were_there");
	/* the program changes its function: adds 7 */
	code[ADDS_ONE + 2] = 7;
	must(!mprotect(code, CODE_PAGES * PAGE, PROT_READ | PROT_EXEC));
	equal(call_code(code, ADDS_ONE, 0), 7, "mprotect_keeps_what_was_written");
	equal(call_code(code, ADDS_THREE, 0), 3, "mprotect_keeps_what_was_not_written");
	equal(count("three", "entries"), 1, "mprotect_back_to_text_is_probed_again");
	must(!mprotect(code, CODE_PAGES * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
	equal(call_code(code, ADDS_THREE, 0), 3, "mprotect_to_everything_runs");
	equal(text_differs(getpid(), code), 1, "mprotect_to_everything_shows_just_the_programs_change");
	equal(count("three", "install"), 1, "mprotect_to_everything_is_counted");
	remove_all();
	equal(call_code(code, ADDS_ONE, 0), 7, "what_was_written_survives_the_probe");
	munmap(code, CODE_PAGES * PAGE);
}

static void what_comes_in_its_place_is_not_probed(void)
{
	char *code = anywhere;
	int i, sum = 0;

	probe_file();
	for (i = 0; i < 10; i++) {
		map_code(FILE_PATH, code, 0, CODE_PAGES, PROT_READ | PROT_EXEC, MAP_PRIVATE);
		sum += call_code(code, ADDS_ONE, 0);
		if (i & 1)
			munmap(code, CODE_PAGES * PAGE);
		map_code(OTHER_PATH, code, 0, CODE_PAGES, PROT_READ | PROT_EXEC, MAP_PRIVATE);
		sum += call_code(code, ADDS_ONE, 0);
	}
	equal(sum, 20, "another_file_at_the_same_address_computes_the_same");
	equal(count("one", "entries"), 10, "another_file_at_the_same_address_is_not_probed");
	equal(count("one_ret", "returns"), 10, "the_same_file_at_the_same_address_is_probed_again");
	equal(text_differs(getpid(), code), 0, "another_file_at_the_same_address_is_untouched");
	/* shifted by a page, the addresses are those of another offset */
	map_code(FILE_PATH, code, 1, 3, PROT_READ | PROT_EXEC, MAP_PRIVATE);
	equal(call_code(code, ADDS_ONE, 0), 2, "another_offset_at_the_same_address_runs");
	check(count("one", "entries") == 10 && count("two", "entries") == 1,
	      "another_offset_at_the_same_address_is_its_own_probe");
	remove_all();
	munmap(code, CODE_PAGES * PAGE);
}

static void dropped_pages_are_probed_again(void)
{
	char *code;
	int i, sum = 0;

	probe_file();
	code = map_all();
	for (i = 0; i < 10; i++) {
		sum += call_all(code);
		must(!madvise(code, CODE_PAGES * PAGE, MADV_DONTNEED));
	}
	equal(sum, 10 * ALL_SUM, "madvise_dontneed_computes_the_same");
	equal(all_entries(), 50, "madvise_dontneed_keeps_probes");
	remove_all();
	equal(text_differs(getpid(), code), 0, "madvise_dontneed_leaves_nothing_behind");
	munmap(code, CODE_PAGES * PAGE);
}

static int drop_pages(void *code)
{
	while (!madvise(code, CODE_PAGES * PAGE, MADV_DONTNEED))
		;
	return 1;
}

/* What the child owes to the text when it is killed is left to the parent, in another process. */
static void pages_dropped_by_the_killed_are_probed_again(void)
{
	static char stack[1 << 16] __attribute__((aligned(16)));
	char *code = map_all();
	int i, pid, sum = 0;

	probe_file();
	for (i = 0; i < 100; i++) {
		pid = clone(drop_pages, stack + sizeof(stack), CLONE_VM | SIGCHLD, code);
		must(pid > 0);
		usleep(1000 + i * 37);
		must(!kill(pid, SIGKILL) && waitpid(pid, NULL, 0) == pid);
		sum += call_all(code);
	}
	disable_all();
	equal(sum, 100 * ALL_SUM, "pages_dropped_by_the_killed_compute_the_same");
	equal(all_entries(), 500, "pages_dropped_by_the_killed_are_probed_again");
	remove_all();
	munmap(code, CODE_PAGES * PAGE);
}

static void only_text_is_probed(void)
{
	char *code, *data, *shared, *own;
	int fd = open(FILE_PATH, O_RDONLY);
	char bytes[4];

	probe_file();
	code = map_all();
	data = map_code(FILE_PATH, NULL, 0, CODE_PAGES, PROT_READ, MAP_PRIVATE);
	shared = map_code(FILE_PATH, NULL, 0, CODE_PAGES, PROT_READ | PROT_EXEC, MAP_SHARED);
	own = map_code(FILE_PATH, NULL, 0, CODE_PAGES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE);
	call_code(code, ADDS_ONE, 0);
	equal(text_differs(getpid(), data), 0, "data_sees_the_bytes_of_the_file");
	must(pread(fd, bytes, 4, ADDS_ONE) == 4);
	close(fd);
	check(!memcmp(bytes, "\x8d\x47\x01\xc3", 4), "read_sees_the_bytes_of_the_file");
	equal(call_code(shared, ADDS_ONE, 0) + call_code(own, ADDS_ONE, 0), 2, "shared_and_writable_text_runs");
	check(text_differs(getpid(), shared) == 0 && text_differs(getpid(), own) == 0,
	      "shared_and_writable_text_is_untouched");
	equal(count("one", "entries"), 1, "shared_and_writable_text_is_not_probed");
	equal(count("one", "install"), 2, "shared_and_writable_text_is_counted");
	disable_all();
	enable_all();
	equal(count("one", "install"), 4, "shared_and_writable_text_is_counted_again_when_switched_on");

	must(!mprotect(data, CODE_PAGES * PAGE, PROT_READ | PROT_EXEC));
	equal(call_all(data), ALL_SUM, "data_that_becomes_text_runs");
	check(count("one", "entries") == 2 && count("three", "entries") == 1,
	      "data_that_becomes_text_is_probed");
	must(!mprotect(data, CODE_PAGES * PAGE, PROT_READ));
	equal(text_differs(getpid(), data), 0, "text_that_becomes_data_sees_the_bytes_of_the_file");
	remove_all();
	munmap(code, CODE_PAGES * PAGE);
	munmap(data, CODE_PAGES * PAGE);
	munmap(shared, CODE_PAGES * PAGE);
	munmap(own, CODE_PAGES * PAGE);
}

static sigjmp_buf escape;

static void escape_from_fault(int signal)
{
	siglongjmp(escape, signal);
}

static void truncated_text_faults_as_ever(void)
{
	struct sigaction action = { .sa_handler = escape_from_fault };
	volatile int caught = 0, r = 0;
	char *code;

	must(!sigaction(SIGBUS, &action, NULL));
	probe_file();
	code = map_all();
	call_all(code);
	must(!truncate(FILE_PATH, PAGE));
	caught = sigsetjmp(escape, 1);
	if (!caught)
		r = call_code(code, ADDS_THREE, 0);
	check(caught == SIGBUS && !r, "truncated_text_faults");
	equal(call_code(code, ADDS_ONE, 0), 1, "text_before_the_truncation_runs");
	make_code_file(FILE_PATH);
	equal(call_all(code), ALL_SUM, "text_that_has_come_back_runs");
	remove_all();
	equal(call_all(code), ALL_SUM, "text_that_has_come_back_is_restored");
	equal(text_differs(getpid(), code), 0, "truncation_leaves_nothing_behind");
	munmap(code, CODE_PAGES * PAGE);
}

static const char *library_path(void)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);

	must(n > 0);
	path[n] = 0;
	strcpy(strrchr(path, '/'), "/targets/libprobed.so");
	return path;
}

static int use_library(int times)
{
	void *library = dlopen(library_path(), RTLD_NOW);
	int (*add)(int, int), i, sum = 0;

	must(library);
	add = (int (*)(int, int))dlsym(library, "library_add");
	for (i = 0; i < times; i++)
		sum += add(i, 1);
	dlclose(library);
	return sum;
}

static void libraries_come_and_go(void)
{
	void *library = dlopen(library_path(), RTLD_NOW);
	int i, sum = 0;

	must(library);
	define_both("add", dlsym(library, "library_add"));
	dlclose(library);
	enable_all();
	for (i = 0; i < 50; i++)
		sum += use_library(3);
	disable_all();
	equal(sum, 50 * 6, "libraries_that_come_and_go_compute_the_same");
	equal(count("add", "entries"), 150, "libraries_that_come_and_go_are_probed");
	equal(count("add_ret", "returns"), 150, "libraries_that_come_and_go_return");
	remove_all();
}

int main(void)
{
	make_code_file(FILE_PATH);
	make_code_file(OTHER_PATH);
	every_place_of_a_page_can_be_probed();
	moved_text_stays_probed();
	copied_text_stays_probed();
	split_and_merged_text_stays_probed();
	writable_text_is_the_process_own();
	what_comes_in_its_place_is_not_probed();
	dropped_pages_are_probed_again();
	pages_dropped_by_the_killed_are_probed_again();
	only_text_is_probed();
	truncated_text_faults_as_ever();
	libraries_come_and_go();
	return finish();
}

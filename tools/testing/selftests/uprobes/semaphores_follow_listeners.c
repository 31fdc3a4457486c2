// SPDX-License-Identifier: GPL-2.0
/*
 * Does the semaphore of an SDT marker say how many listen?
 *
 * In the main program and in a library that comes later; with several
 * listeners, with several semaphores for one place, in children.
 *
 * Seen to fail on stock: semaphore_is_3_* (one for all listeners of a place), and
 * the test ends at two_semaphores_* (EINVAL for the second offset).
 */
#define _GNU_SOURCE
#define _SDT_HAS_SEMAPHORES 1
#include <dlfcn.h>
#include <sys/sdt.h>

#include "probes.h"

volatile unsigned short program_marker_semaphore __attribute__((section(".probes")));
volatile unsigned short program_other_semaphore __attribute__((section(".probes")));

static PROBED int marked(int x)
{
	if (program_marker_semaphore)
		DTRACE_PROBE1(program, marker, x);
	return program_marker_semaphore;
}

static PROBED int marked_again(int x)
{
	if (program_other_semaphore)
		DTRACE_PROBE1(program, other, x);
	return program_other_semaphore;
}

/* Returns 0 or the errno. */
static int listen_in(char kind, const char *event, const void *code, const volatile void *semaphore)
{
	struct place place = place_of(code), counter = place_of((const void *)semaphore);

	return command("%c:t/%s %s:0x%lx(0x%lx)", kind, event, place.path, place.offset, counter.offset);
}

static void semaphore_counts_listeners(void)
{
	equal(marked(1), 0, "semaphore_is_0_without_listeners");
	must(!listen_in('p', "one", marked, &program_marker_semaphore));
	must(!listen_in('p', "two", marked, &program_marker_semaphore));
	must(!listen_in('r', "three", marked, &program_marker_semaphore));
	equal(marked(1), 0, "semaphore_is_0_before_they_are_on");
	enable("one");
	equal(marked(1), 1, "semaphore_is_1_with_one_listener");
	enable("two");
	enable("three");
	equal(marked(1), 3, "semaphore_is_3_with_three_listeners");
	disable("one");
	equal(marked(1), 2, "semaphore_goes_down_with_the_first");
	disable_all();
	equal(marked(1), 0, "semaphore_is_0_when_all_have_gone");
	check(count("one", "entries") == 2 && count("two", "entries") == 2, "listeners_hear_the_marker");
	remove_all();
	equal(program_other_semaphore, 0, "semaphore_beside_it_stays_0");
}

static void places_share_a_semaphore(void)
{
	must(!listen_in('p', "one", marked, &program_marker_semaphore));
	must(!listen_in('p', "two", marked_again, &program_marker_semaphore));
	enable_all();
	equal(program_marker_semaphore, 2, "semaphore_counts_listeners_at_different_places");
	disable("one");
	equal(program_marker_semaphore, 1, "semaphore_keeps_listeners_at_other_places");
	remove_all();
	equal(program_marker_semaphore, 0, "semaphore_of_two_places_goes_back_to_0");
}

static void one_place_has_two_semaphores(void)
{
	must(!listen_in('p', "one", marked, &program_marker_semaphore));
	must(!listen_in('p', "two", marked, &program_other_semaphore));
	define('p', "none", marked, "");
	enable("one");
	equal(try_enable("two"), 0, "two_semaphores_at_one_place_are_accepted");
	enable("none");
	check(program_marker_semaphore == 1 && program_other_semaphore == 1, "two_semaphores_count_their_listener");
	marked(1);
	check(count("one", "entries") == 1 && count("two", "entries") == 1 && count("none", "entries") == 1,
	      "two_semaphores_and_none_all_hear");
	disable("one");
	check(program_marker_semaphore == 0 && program_other_semaphore == 1, "two_semaphores_go_one_by_one");
	remove_all();
	check(program_marker_semaphore == 0 && program_other_semaphore == 0, "two_semaphores_go_back_to_0");
}

static void child_looks(void)
{
	_exit(marked(1) == 1 ? 0 : 1);
}

static void child_waits_for_the_end(void)
{
	int i;

	/* the parent switches the event off meanwhile */
	for (i = 0; i < 500 && program_marker_semaphore; i++)
		usleep(10000);
	_exit(program_marker_semaphore);
}

static void children_have_their_own(void)
{
	pid_t pid;
	int status;

	must(!listen_in('p', "one", marked, &program_marker_semaphore));
	enable_all();
	equal(in_child(child_looks), 0, "child_inherits_the_semaphore");
	fflush(stdout);
	pid = fork();
	if (!pid)
		child_waits_for_the_end();
	disable_all();
	must(waitpid(pid, &status, 0) == pid);
	equal(status, 0, "childs_semaphore_goes_down_as_well");
	equal(program_marker_semaphore, 0, "parents_semaphore_goes_down");
	remove_all();
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

static int (*library_marked)(int x);

static void *load_library(void)
{
	void *library = dlopen(library_path(), RTLD_NOW);

	must(library);
	library_marked = (int (*)(int))dlsym(library, "library_marked");
	return library;
}

static void libraries_come_later(void)
{
	void *library = load_library();
	int i, right = 0;

	must(!listen_in('p', "one", library_marked, dlsym(library, "library_marker_semaphore")));
	must(!listen_in('p', "two", library_marked, dlsym(library, "library_marker_semaphore")));
	enable_all();
	equal(library_marked(1), 2, "semaphore_of_a_loaded_library_counts");
	dlclose(library);
	for (i = 0; i < 10; i++) {
		library = load_library();
		right += library_marked(1) == 2;
		dlclose(library);
	}
	equal(right, 10, "semaphore_of_a_library_that_comes_later_counts");
	equal(count("one", "entries"), 11, "listeners_hear_libraries_that_come_later");
	library = load_library();
	disable_all();
	equal(library_marked(1), 0, "semaphore_of_a_library_goes_back_to_0");
	dlclose(library);
	remove_all();
}

/* The offset isn't one of a counter; the process is, all the same. */
static void wrong_semaphores_do_no_harm(void)
{
	struct place place = place_of(marked);

	equal(command("p:t/odd %s:0x%lx(0x11)", place.path, place.offset) ||
	      try_enable("odd"), 1, "semaphore_at_an_odd_offset_is_refused");
	remove_all();
	must(!command("p:t/far %s:0x%lx(0x7ffffff0)", place.path, place.offset));
	try_enable("far");
	equal(marked(1), 0, "semaphore_behind_the_file_changes_nothing");
	remove_all();
}

int main(void)
{
	semaphore_counts_listeners();
	places_share_a_semaphore();
	one_place_has_two_semaphores();
	children_have_their_own();
	libraries_come_later();
	wrong_semaphores_do_no_harm();
	return finish();
}

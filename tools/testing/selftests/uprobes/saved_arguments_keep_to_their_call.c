// SPDX-License-Identifier: GPL-2.0
/*
 * Does what a return event keeps of an entry come out at the return of this call, and of no other event?
 *
 * With several events at one place and several places of one event, after fork, with events that come and go inside the
 * call, with a BPF program, and if a page isn't there at the entry.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <sys/ioctl.h>

#include "bpf_link.h"
#include "probes.h"

/* ---- targets ------------------------------------------------------------ */

static PROBED int holds(int n, const char *text, int (*inside)(void))
{
	int more = inside ? inside() : 0;

	asm volatile("" : "+r" (text), "+r" (more));
	return n + more;
}

static PROBED int holds_too(int n)
{
	return n * 2;
}

/* ---- records ------------------------------------------------------------ */

/* How many records of @event end in @fields? */
static int records(const char *event, const char *fields)
{
	char *text = read_file(TRACING "trace", NULL), begin[80], end[160], *at, *line, *save = NULL;
	int nr = 0;

	must(text);
	snprintf(begin, sizeof(begin), ": %s: (", event);
	snprintf(end, sizeof(end), ") %s", fields);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		at = strstr(line, begin);
		nr += at && strlen(at) > strlen(end) && !strcmp(at + strlen(at) - strlen(end), end);
		if (at && nr != 1)
			note("%s", at);
	}
	free(text);
	return nr;
}

/* ---- subtests ----------------------------------------------------------- */

#define KEEPS	"n=entry($arg1):u32 s=entry(+0($arg2)):string"

static int call_inside(void)
{
	return holds(3, "inner", NULL);
}

static void several_events(void)
{
	define('r', "one", holds, KEEPS);
	define('r', "two", holds, "s=entry(+0($arg2)):string f=$arg3:x64 n=entry($arg1):u64 v=$retval:u32");
	define('r', "none", holds, "v=$retval:u32");
	enable_all();
	must(holds(4, "outer", call_inside) == 7);
	disable_all();
	equal(records("one", "n=3 s=\"inner\""), 1, "inner_call_of_the_first");
	equal(records("one", "n=4 s=\"outer\""), 1, "outer_call_of_the_first");
	equal(records("two", "s=\"inner\" f=0x0 n=3 v=3"), 1, "inner_call_of_the_second");
	equal(records("none", "v=7"), 1, "outer_call_of_who_keeps_nothing");
	check(is_balanced("one") && is_balanced("two") && is_balanced("none"), "several_events_are_balanced");
	remove_all();
}

static void several_places(void)
{
	define('r', "places", holds, "n=entry($arg1):u32");
	define('r', "places", holds_too, "n=$retval:u32");
	enable_all();
	must(holds(5, "", NULL) == 5 && holds_too(6) == 12);
	disable_all();
	equal(records("places", "n=5"), 1, "place_that_keeps_something");
	equal(records("places", "n=12"), 1, "place_that_keeps_nothing");
	remove_all();
}

static pid_t child;

static int fork_inside(void)
{
	fflush(stdout);
	child = fork();
	must(child >= 0);
	return 0;
}

static void fork_in_a_call(void)
{
	define('r', "forked", holds, KEEPS);
	enable_all();
	must(holds(7, "family", fork_inside) == 7);
	if (!child)
		_exit(0);
	must(waitpid(child, NULL, 0) == child);
	disable_all();
	equal(records("forked", "n=7 s=\"family\""), 2, "parent_and_child_return_with_it");
	check(is_balanced("forked"), "parent_and_child_are_balanced");
	remove_all();
}

static int replace_inside(void)
{
	disable("first");
	must(!command("-:t/first"));
	define('r', "second", holds, "f=$arg3:x64 " KEEPS);
	enable("second");
	return 0;
}

static int switch_inside(void)
{
	disable("second");
	enable("second");
	return 0;
}

static void events_change_inside(void)
{
	define('r', "first", holds, KEEPS);
	enable("first");
	must(holds(8, "old", replace_inside) == 8);
	equal(count("second", "returns"), 0, "new_event_sees_no_old_call");
	must(holds(9, "new", NULL) == 9);
	equal(records("second", "f=0x0 n=9 s=\"new\""), 1, "new_event_sees_new_calls");
	must(holds(10, "between", switch_inside) == 10);
	must(holds(11, "after", NULL) == 11);
	equal(records("second", "f=0x0 n=11 s=\"after\""), 1, "event_that_was_off_sees_new_calls");
	equal(count("second", "unregistered"), 1, "call_that_it_was_off_in_is_counted");
	equal(count("second", "returns"), 2, "and_nothing_else");
	check(adds_up("second"), "events_that_come_and_go_add_up");
	remove_all();
}

/* r0 = 1; exit: the record is wanted. */
static int load_program(void)
{
	static const uint64_t instructions[] = { 0x1000000b7, 0x95 };
	struct load_attr attr = {
		.type = BPF_PROG_TYPE_KPROBE,
		.instruction_count = ARRAY_SIZE(instructions),
		.instructions = (unsigned long)instructions,
		.license = (unsigned long)"GPL",
	};

	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

static void with_a_program(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	int program = load_program(), fd;
	unsigned long hits = 0;

	must(program >= 0);
	define('r', "program", holds, KEEPS);
	attr.config = event_id("program");
	fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	must(fd >= 0 && !ioctl(fd, PERF_EVENT_IOC_SET_BPF, program));
	must(holds(12, "program alone", NULL) == 12);
	enable("program");
	must(holds(13, "program and ftrace", NULL) == 13);
	disable("program");
	must(read(fd, &hits, sizeof(hits)) == sizeof(hits));
	equal(hits, 2, "perf_counts_what_the_program_lets_pass");
	equal(records("program", "n=13 s=\"program and ftrace\""), 1, "record_beside_a_program");
	close(fd);
	close(program);
	remove_all();
}

static void page_that_is_not_there(void)
{
	FILE *file = tmpfile();
	char *text;

	must(file && fputs("in the file", file) >= 0 && !fflush(file) && !ftruncate(fileno(file), 4096));
	text = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fileno(file), 0);
	must(text != MAP_FAILED);
	define('r', "absent", holds, KEEPS);
	enable_all();
	must(holds(14, text, NULL) == 14);
	must(!madvise(text, 4096, MADV_DONTNEED));
	must(holds(15, text, NULL) == 15);
	disable_all();
	equal(records("absent", "n=14 s=\"in the file\""), 1, "page_that_was_never_touched");
	equal(records("absent", "n=15 s=\"in the file\""), 1, "page_that_was_given_back");
	munmap(text, 4096);
	fclose(file);
	remove_all();
}

int main(void)
{
	several_events();
	several_places();
	fork_in_a_call();
	events_change_inside();
	with_a_program();
	page_that_is_not_there();
	return finish();
}

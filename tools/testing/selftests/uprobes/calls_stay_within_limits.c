// SPDX-License-Identifier: GPL-2.0
/*
 * What if a program exceeds the limits that the administrator has set?
 *
 * Calls that are too deep, callers that are too many and calls of which too much is kept are missed, by the right
 * cause and to the last one; the program computes the same; and with the limit raised again everything is seen.
 *
 * Seen to fail on stock, which has no such limits.
 */
#define _GNU_SOURCE
#include "probes.h"

#define DEPTH_LIMIT	"/proc/sys/kernel/uprobe_max_depth"
#define SITES_LIMIT	"/proc/sys/kernel/uprobe_max_return_sites"
#define NR_CALLERS	40

static PROBED int deep(int n)
{
	int r = 1;

	if (n)
		r += deep(n - 1);
	asm volatile("" : "+r"(r) : : "memory");
	return r;
}

static PROBED int called(int x)
{
	return x + 1;
}

/* Each is a place of its own that called() returns to. */
#define CALL	do { sum += called(1); asm volatile("" : "+r"(sum) : : "memory"); } while (0);
#define CALL_10	CALL CALL CALL CALL CALL CALL CALL CALL CALL CALL

static PROBED int call_from_everywhere(void)
{
	int sum = 0;

	CALL_10 CALL_10 CALL_10 CALL_10
	return sum;
}

static int set_limit(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err;

	if (fd < 0)
		return errno;
	err = write(fd, value, strlen(value)) == (ssize_t)strlen(value) ? 0 : errno;
	close(fd);
	return err;
}

static void counts_are(const char *event, unsigned int entries, const char *cause, unsigned int missed,
		       const char *name)
{
	note("%s: %lu entries, %lu returns, %lu %s, %lu missed", event, count(event, "entries"),
	     count(event, "returns"), count(event, cause), cause, count(event, "missed"));
	check(count(event, "entries") == entries && count(event, cause) == missed && count(event, "missed") == missed &&
	      count(event, "returns") == entries - missed, "%s", name);
}

#define KEEPS_8		"a=entry(+0($stack)):u64[1]"
#define KEEPS_512	"a=entry(+0($stack)):u64[64]"

/*
 * Ten calls may keep 2,560 bytes. Whoever keeps nothing sees calls that have too much for others; and so does whoever
 * keeps little, once the other one has left.
 */
static void what_is_kept_is_limited(void)
{
	define('r', "plain", (const void *)deep, "");
	define('r', "little", (const void *)deep, KEEPS_8);
	define('r', "much", (const void *)deep, KEEPS_512);
	enable("little");
	enable("much");
	enable("plain");
	must(!set_limit(DEPTH_LIMIT, "10"));
	equal(deep(8), 9, "what_keeps_much_computes_the_same");
	counts_are("much", 9, "memory", 5, "what_keeps_too_much_is_missed");
	counts_are("little", 9, "memory", 5, "so_is_what_lies_beside_it");
	counts_are("plain", 9, "memory", 0, "who_keeps_nothing_misses_nothing");
	equal(deep(2), 3, "few_calls_compute_the_same");
	counts_are("much", 12, "memory", 5, "few_calls_keep_what_they_want");
	disable("much");
	equal(deep(8), 9, "what_keeps_little_computes_the_same");
	counts_are("little", 21, "memory", 5, "calls_have_no_room_for_who_has_left");
	counts_are("plain", 21, "memory", 0, "who_keeps_nothing_goes_on");
	enable("much");
	must(!set_limit(DEPTH_LIMIT, "65536"));
	equal(deep(200), 201, "raised_limit_of_what_is_kept_computes_the_same");
	counts_are("much", 213, "memory", 5, "raised_limit_keeps_everything");
	counts_are("little", 222, "memory", 5, "beside_each_other");
	remove_all();
}

/* Six arrays of 496 bytes make 2,976; a place has 32,512. */
static void events_of_a_place_keep_so_much(void)
{
	char args[512] = "", event[16], *log;
	int i, err = 0;

	for (i = 0; i < 6; i++)
		sprintf(args + strlen(args), "a%d=entry(+0($stack)):u64[62] ", i);
	for (i = 0; i < 11; i++) {
		sprintf(event, "keeper%d", i);
		define('r', event, (const void *)called, args);
		err = try_enable(event);
		if (err)
			break;
	}
	note("event %d: %s", i, strerror(err));
	check(i == 10 && err == ENOSPC, "eleventh_event_finds_no_room");
	log = read_file(TRACING "error_log", NULL);
	check(log && strstr(log, "Too many events keep something of the entry here"), "and_error_log_says_so");
	free(log);
	equal(called(1), 2, "ten_that_keep_much_compute_the_same");
	equal(count("keeper9", "returns"), 1, "the_tenth_is_told");
	remove_all();
}

static void defaults_hold_no_program_up(void)
{
	char *depth = read_file(DEPTH_LIMIT, NULL), *sites = read_file(SITES_LIMIT, NULL);

	check(atoi(depth) == 65536 && atoi(sites) == 65536, "defaults_are_the_documented_ones");
	check(set_limit(DEPTH_LIMIT, "-1") && set_limit(SITES_LIMIT, "many"), "what_is_no_number_is_refused");
	free(depth);
	free(sites);
}

static void depth_is_limited(void)
{
	define('r', "deep", (const void *)deep, "");
	enable("deep");
	must(!set_limit(DEPTH_LIMIT, "100"));
	equal(deep(200), 201, "deep_recursion_computes_the_same");
	counts_are("deep", 201, "depth", 101, "what_is_deeper_is_missed");
	must(!set_limit(DEPTH_LIMIT, "0"));
	equal(deep(9), 10, "no_depth_computes_the_same");
	counts_are("deep", 211, "depth", 111, "no_depth_misses_everything");
	must(!set_limit(DEPTH_LIMIT, "65536"));
	equal(deep(200), 201, "raised_depth_computes_the_same");
	counts_are("deep", 412, "depth", 111, "raised_depth_misses_nothing");
	remove_all();
}

/* With one event, no other place of this process has returns. */
static void callers_are_limited(void)
{
	define('r', "called", (const void *)called, "");
	enable("called");
	must(!set_limit(SITES_LIMIT, "10"));
	equal(call_from_everywhere(), 2 * NR_CALLERS, "many_callers_compute_the_same");
	counts_are("called", NR_CALLERS, "no-site", NR_CALLERS - 10, "what_has_too_many_callers_is_missed");
	equal(call_from_everywhere(), 2 * NR_CALLERS, "many_callers_compute_the_same_again");
	counts_are("called", 2 * NR_CALLERS, "no-site", 2 * (NR_CALLERS - 10), "callers_keep_their_places");
	must(!set_limit(SITES_LIMIT, "65536"));
	equal(call_from_everywhere(), 2 * NR_CALLERS, "raised_limit_computes_the_same");
	counts_are("called", 3 * NR_CALLERS, "no-site", 2 * (NR_CALLERS - 10), "raised_limit_misses_nothing");

	disable("called");
	must(!set_limit(SITES_LIMIT, "40"));
	enable("called");
	equal(call_from_everywhere(), 2 * NR_CALLERS, "removed_places_compute_the_same");
	counts_are("called", 4 * NR_CALLERS, "no-site", 2 * (NR_CALLERS - 10), "removed_places_count_no_more");
	must(!set_limit(SITES_LIMIT, "65536"));
	remove_all();
}

int main(void)
{
	defaults_hold_no_program_up();
	depth_is_limited();
	callers_are_limited();
	what_is_kept_is_limited();
	events_of_a_place_keep_so_much();
	return finish();
}

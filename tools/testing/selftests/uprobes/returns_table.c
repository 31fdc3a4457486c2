// SPDX-License-Identifier: GPL-2.0
/*
 * Does the table of returns say what is in the data, in the form that was agreed?
 *
 * The text is compared character by character with what a user is to see. The
 * files under test are included as they are: no perf and no kernel are needed.
 */
#include "tap.h"

#include <stdint.h>
#include <string.h>

/* As in tools/include/linux/types.h. */
typedef uint64_t u64;

#include "../../../perf/util/returns/command.c"
#include "../../../perf/util/returns/format.c"
#include "../../../perf/util/returns/histogram.c"
#include "../../../perf/util/returns/returns.c"
#include "../../../perf/util/returns/table.c"

static bool is_text(const char *got, const char *expected)
{
	if (got && !strcmp(got, expected))
		return true;
	note("expected: %s", expected);
	note("got:      %s", got ?: "(nothing)");
	return false;
}

struct duration_case {
	u64		ns;
	const char	*rough;
	const char	*exact;
};

static const struct duration_case durations[] = {
	{ 0,				"0ns",		"0ns" },
	{ 7,				"7ns",		"7ns" },
	{ 999,				"999ns",	"999ns" },
	{ 1000,				"1.00us",	"1.00us" },
	{ 4984,				"4.98us",	"4.98us" },
	{ 4985,				"4.99us",	"4.99us" },
	{ 9994,				"9.99us",	"9.99us" },
	{ 9996,				"10.0us",	"10.00us" },
	{ 88000,			"88.0us",	"88.00us" },
	{ 99949,			"99.9us",	"99.95us" },
	{ 99950,			"100us",	"99.95us" },
	{ 99996,			"100us",	"100.0us" },
	{ 123149,			"123us",	"123.1us" },
	{ 999499,			"999us",	"999.5us" },
	{ 999500,			"1.00ms",	"999.5us" },
	{ 999949,			"1.00ms",	"999.9us" },
	{ 999950,			"1.00ms",	"1.00ms" },
	{ 1210000,			"1.21ms",	"1.21ms" },
	{ 41300000,			"41.3ms",	"41.30ms" },
	{ 999999999,			"1.00 s",	"1.00 s" },
	{ 12100000000ULL,		"12.1 s",	"12.10 s" },
	{ 3600000000000ULL,		"3600 s",	"3600.0 s" },
	{ UINT64_MAX,			"18446744074 s", "18446744073.7 s" },
};

static bool durations_read_well(void)
{
	bool match = true;
	size_t i;

	for (i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		char text[RETURNS_FORMAT_MAX];

		format_duration(text, sizeof(text), durations[i].ns, DURATION_ROUGH);
		match &= is_text(text, durations[i].rough);
		format_duration(text, sizeof(text), durations[i].ns, DURATION_EXACT);
		match &= is_text(text, durations[i].exact);
	}
	return match;
}

static bool count_is(u64 count, const char *expected)
{
	char text[RETURNS_FORMAT_MAX];

	format_count(text, sizeof(text), count);
	return is_text(text, expected);
}

static bool share_is(u64 part, u64 all, const char *expected)
{
	char text[RETURNS_FORMAT_MAX];

	format_share(text, sizeof(text), part, all);
	return is_text(text, expected);
}

static bool counts_have_separators(void)
{
	char tiny[4];

	format_count(tiny, sizeof(tiny), 1234);
	return count_is(0, "0") & count_is(7, "7") & count_is(999, "999") &
	       count_is(1000, "1,000") & count_is(98304, "98,304") &
	       count_is(1204331, "1,204,331") &
	       count_is(UINT64_MAX, "18,446,744,073,709,551,615") & is_text(tiny, "1,2");
}

static bool shares_are_rounded(void)
{
	return share_is(0, 0, "0.0%") & share_is(1, 1, "100.0%") & share_is(1, 3, "33.3%") &
	       share_is(2, 3, "66.7%") & share_is(1, 2000, "0.1%") & share_is(1, 2001, "0.0%") &
	       share_is(UINT64_MAX / 2, UINT64_MAX, "50.0%");
}

static bool command_is(const char *comm, const char *expected, int argc, const char **argv)
{
	char *command = measured_command((char *const *)argv, argc, comm);
	bool match = is_text(command, expected);

	free(command);
	return match;
}

#define COMMAND(...) \
	(int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)), (const char *[]){ __VA_ARGS__ }

static bool command_is_found(void)
{
	return command_is("srv", "./srv --bench",
			  COMMAND("/usr/bin/perf", "record", "-e", "demo:f", "./srv", "--bench")) &
	       command_is("env", "env A=1 ./srv -- x",
			  COMMAND("perf", "record", "--", "env", "A=1", "./srv", "--", "x")) &
	       command_is("srv", "./srv -- x", COMMAND("perf", "record", "./srv", "--", "x")) &
	       command_is("srv", "srv -v", COMMAND("perf", "record", "-e", "srv", "--", "srv", "-v")) &
	       command_is("srv", "wrapper srv", COMMAND("perf", "record", "--", "wrapper", "srv")) &
	       command_is("", "perf record --", COMMAND("perf", "record", "--")) &
	       command_is("", "perf record -o d/ -a", COMMAND("perf", "record", "-o", "d/", "-a")) &
	       command_is("a-very-long-nam", "/bin/a-very-long-name -v",
			  COMMAND("perf", "record", "-g", "/bin/a-very-long-name", "-v")) &
	       command_is("", "perf record -p 4242", COMMAND("perf", "record", "-p", "4242")) &
	       command_is("other", "perf record -a", COMMAND("perf", "record", "-a")) &
	       command_is("sh", "sh -c a b", COMMAND("perf", "record", "sh", "-c", "a\nb")) &
	       (measured_command(NULL, 0, "sh") == NULL);
}

static void record_many(struct returns *returns, struct returns_function *function,
			u64 latency, unsigned int count)
{
	while (count--)
		returns__add(returns, function, latency);
}

/* What one run prints, to be freed. */
static char *table_text(const struct returns *returns)
{
	char *text = NULL;
	size_t size = 0;
	FILE *fp = open_memstream(&text, &size);

	if (returns_table__fprintf(returns, fp))
		note("no memory");
	fclose(fp);
	return text;
}

static bool prints(const struct returns *returns, const char *expected)
{
	char *text = table_text(returns);
	bool match = is_text(text, expected);

	free(text);
	return match;
}

static bool table_is_as_agreed(void)
{
	struct returns returns = {
		.threads	   = 8,
		.first_time	   = 1000000000,
		.last_time	   = 4214999999,
		.command	   = strdup("./srv --bench"),
	};
	struct returns_function *parse, *run;
	bool match;

	parse = returns__add_function(&returns, "parse_header", "srv", "srv:parse");
	run = returns__add_function(&returns, "db::Query::run(Stmt&)", "srv", "srv:run");
	record_many(&returns, parse, 4100, 8999);
	record_many(&returns, parse, 2020000, 1);
	record_many(&returns, run, 50000, 400);
	record_many(&returns, run, 90000, 400);
	record_many(&returns, run, 1210000, 150);
	record_many(&returns, run, 5000000, 40);
	record_many(&returns, run, 41300000, 10);

	match = prints(&returns,
"# cmd: ./srv --bench   3.214 s   threads 8   returns 10,000   lost 0\n"
"# durations include time blocked; probe handlers excluded\n"
" Total%    Calls    Total      Avg      p50      p90      p99      Max  Function\n"
"  95.6%    1,000  850.5ms  850.5us   89.9us   1.21ms   5.00ms   41.3ms  db::Query::run(Stmt&)  [srv]\n"
"   4.4%    9,000  38.92ms   4.32us   4.11us   4.11us   4.11us   2.02ms  parse_header           [srv]\n");
	returns__exit(&returns);
	return match;
}

static bool odd_tables_are_readable(void)
{
	struct returns returns = { .lost = 1234, .sampled = true, .unreadable = 2 };
	struct returns_function *function;
	bool match;

	match = prints(&returns,
"# cmd: (not recorded)   0.000 s   threads 0   returns 0   lost 1,234\n"
"# durations include time blocked; probe handlers excluded\n"
"# recorded with -c or -F: Calls and Total are of the sampled returns only\n"
"# 2 records were too short to hold a latency and are left out\n"
"# no returns were recorded\n");

	function = returns__add_function(&returns, "f", "[vdso]", "a:one");
	record_many(&returns, function, 5, 1);
	function = returns__add_function(&returns, "f", "[vdso]", "a:two");
	record_many(&returns, function, 5000000000000, 1);
	function = returns__add_function(&returns, "f", "other", "a:one");
	record_many(&returns, function, 0, 1234567890 / 1000);

	match &= prints(&returns,
"# cmd: (not recorded)   0.000 s   threads 0   returns 1,234,569   lost 1,234\n"
"# durations include time blocked; probe handlers excluded\n"
"# recorded with -c or -F: Calls and Total are of the sampled returns only\n"
"# 2 records were too short to hold a latency and are left out\n"
" Total%      Calls     Total       Avg      p50      p90      p99      Max  Function\n"
" 100.0%          1  5000.0 s  5000.0 s   5000 s   5000 s   5000 s   5000 s  f (a:two)  [vdso]\n"
"   0.0%          1       5ns       5ns      5ns      5ns      5ns      5ns  f (a:one)  [vdso]\n"
"   0.0%  1,234,567       0ns       0ns      0ns      0ns      0ns      0ns  f          [other]\n");
	returns__exit(&returns);
	return match;
}

static bool endless_totals_do_not_wrap(void)
{
	struct returns returns = {};
	bool match;

	record_many(&returns, returns__add_function(&returns, "f", "srv", "a:f"), UINT64_MAX, 1);
	record_many(&returns, returns__add_function(&returns, "g", "srv", "a:g"), UINT64_MAX / 2, 1);
	match = prints(&returns,
"# cmd: (not recorded)   0.000 s   threads 0   returns 2   lost 0\n"
"# durations include time blocked; probe handlers excluded\n"
" Total%    Calls            Total              Avg            p50            p90            p99            Max  Function\n"
" 100.0%        1  18446744073.7 s  18446744073.7 s  18446744074 s  18446744074 s  18446744074 s  18446744074 s  f  [srv]\n"
"  50.0%        1   9223372036.9 s   9223372036.9 s   9223372037 s   9223372037 s   9223372037 s   9223372037 s  g  [srv]\n");
	returns__exit(&returns);
	return match;
}

static bool period_spans_all_times(void)
{
	struct returns returns = {};

	returns__note_time(&returns, 0);
	returns__note_time(&returns, ~0ULL);
	if (returns.first_time || returns.last_time)
		return false;

	returns__note_time(&returns, 20);
	returns__note_time(&returns, 10);
	returns__note_time(&returns, 30);
	returns__note_time(&returns, 15);
	returns__note_time(&returns, 0);
	returns__note_time(&returns, ~0ULL);
	return returns.first_time == 10 && returns.last_time == 30;
}

int main(void)
{
	check(durations_read_well(), "durations_are_rounded_to_their_digits");
	check(counts_have_separators(), "counts_have_separators");
	check(shares_are_rounded(), "shares_are_rounded");
	check(command_is_found(), "measured_command_is_found");
	check(period_spans_all_times(), "period_spans_all_times");
	check(table_is_as_agreed(), "table_is_as_agreed");
	check(odd_tables_are_readable(), "odd_tables_are_readable");
	check(endless_totals_do_not_wrap(), "endless_totals_do_not_wrap");
	return finish();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Does a record hold what the program had: its arguments in registers and on the stack, at the return those of the
 * entry, and which call it was, how deep, and since when?
 */
#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <ucontext.h>

#include "probes.h"

#define DEPTH	50
#define THREADS	4

/* ---- targets ------------------------------------------------------------ */

static char name[64];

/* Arguments in registers and on the stack; none of them is left at the return. */
PROBED long eight(long a, const char *text, long c, long d, long e, long f, long g, long h)
{
	volatile long *where[] = { &a, &c, &d, &e, &f, &g, &h };
	long sum = a + c + d + e + f + g + h;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(where); i++)
		*where[i] = -1;
	strcpy(name, "overwritten");
	text = NULL;
	asm volatile("" : : "r"(text) : "memory");
	return sum;
}

struct pair {
	uint8_t small;
	int16_t numbers[3];
	const char *names[2];
};

PROBED int takes_pair(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	return 0;
}

PROBED int recurse(int n, const char *text)
{
	char deeper[16];

	if (!n)
		return 1;
	snprintf(deeper, sizeof(deeper), "%s+", n % 8 ? text : "");
	return recurse(n - 1, deeper) + 1;
}

/* ---- what was recorded -------------------------------------------------- */

static char *trace;

static void read_trace(void)
{
	free(trace);
	trace = read_file(TRACING "trace", NULL);
	must(trace);
}

/* The next line of @event behind @at, or NULL. */
static const char *next_record(const char *at, const char *event)
{
	char begin[80];

	snprintf(begin, sizeof(begin), ": %s: (", event);
	at = strstr(at, begin);
	return at ? at + strlen(begin) : NULL;
}

/* What stands behind " NAME=" in a line. */
static bool field_is(const char *line, const char *field, const char *value)
{
	size_t len = strcspn(line, "\n");
	char wanted[128], *copy = strndup(line, len);
	bool is;

	must(copy);
	snprintf(wanted, sizeof(wanted), " %s=%s", field, value);
	line = strstr(copy, wanted);
	is = line && (line[strlen(wanted)] == ' ' || !line[strlen(wanted)]);
	if (!is)
		note("no '%s' in '%s'", wanted, copy);
	free(copy);
	return is;
}

static uint64_t number_in(const char *line, const char *field)
{
	char wanted[64];
	const char *at;

	snprintf(wanted, sizeof(wanted), " %s=", field);
	at = strstr(line, wanted);
	must(at && at < line + strcspn(line, "\n"));
	return strtoull(at + strlen(wanted), NULL, 0);
}

static bool has_arguments(const char *line)
{
	char value[32], field[8];
	bool has = true;
	int i;

	for (i = 1; i <= 8; i++) {
		if (i == 2)
			continue;
		snprintf(field, sizeof(field), "a%d", i);
		snprintf(value, sizeof(value), "%d", 11 * i);
		has &= field_is(line, field, value);
	}
	return has;
}

/* ---- subtests ----------------------------------------------------------- */

#define EIGHT	"a1=$arg1:u32 a3=$arg3:u32 a4=$arg4:u32 a5=$arg5:u32 a6=$arg6:u32 a7=$arg7:u32 a8=$arg8:s16 "

static void arguments_are_recorded(void)
{
	const char *line;

	define('p', "eight", eight, EIGHT "s=+0($arg2):string w=$stack1");
	define('r', "eight_ret", eight, EIGHT "s=entry(+0($arg2)):string now=+0($arg2):string "
	       "n=entry($arg2):u8 third=entry(+2($arg2)):u8 who=entry($comm) text=entry(\\\"constant\") v=$retval:u32");
	enable_all();
	strcpy(name, "as it was");
	equal(eight(11, name, 33, 44, 55, 66, 77, 88), 374, "function_computes_the_same");
	disable_all();
	read_trace();
	line = next_record(trace, "eight");
	must(line);
	check(has_arguments(line), "entry_has_the_arguments");
	check(field_is(line, "s", "\"as it was\""), "entry_has_the_string");
	equal(number_in(line, "w"), sizeof(long) == 8 ? 77 : 11, "entry_has_one_word_of_the_stack");
	line = next_record(trace, "eight_ret");
	must(line);
	check(has_arguments(line), "return_has_the_arguments_of_the_entry");
	check(field_is(line, "s", "\"as it was\""), "return_has_the_string_of_the_entry");
	check(field_is(line, "now", "\"overwritten\""), "return_reads_by_an_argument_of_the_entry");
	equal(number_in(line, "n"), (uint8_t)(uintptr_t)name, "return_has_a_part_of_an_argument_of_the_entry");
	equal(number_in(line, "third"), ' ', "return_has_memory_of_the_entry");
	check(field_is(line, "who", "\"arguments_are_t\""), "return_has_the_name_of_the_task");
	check(field_is(line, "text", "\"constant\""), "return_has_a_constant");
	check(field_is(line, "v", "374"), "return_has_the_value");
	remove_all();
}

static void arrays_are_recorded(void)
{
	struct pair p = { .small = 7, .numbers = { 1, -2, 300 }, .names = { "one", "another" } };
	char args[256];
	const char *line;

	snprintf(args, sizeof(args), "small=entry(+0($arg1)):u8 numbers=entry(+%zu($arg1)):s16[3] "
		 "names=entry(+%zu($arg1)):string[2] bits=entry(+0($arg1)):b2@1/8 now=+0($arg1):u8",
		 offsetof(struct pair, numbers), offsetof(struct pair, names));
	define('r', "pair", takes_pair, args);
	enable_all();
	takes_pair(&p);
	disable_all();
	read_trace();
	line = next_record(trace, "pair");
	must(line);
	check(field_is(line, "small", "7"), "number_of_the_entry");
	check(field_is(line, "numbers", "{1,-2,300}"), "numbers_of_the_entry");
#ifdef __x86_64__
	/* a pointer of the array is as long as one of the kernel */
	check(field_is(line, "names", "{\"one\",\"another\"}"), "strings_of_the_entry");
#endif
	check(field_is(line, "bits", "3"), "bits_of_the_entry");
	check(field_is(line, "now", "0"), "number_of_the_return");
	remove_all();
}

static void what_cant_be_read_is_said(void)
{
	const char *line;

	define('r', "eight_ret", eight, "s=entry(+0($arg1)):string n=entry(+0($arg1)):u32 next=entry(+0($arg2)):string");
	enable_all();
	strcpy(name, "behind it");
	eight(1, name, 0, 0, 0, 0, 0, 0);
	disable_all();
	read_trace();
	line = next_record(trace, "eight_ret");
	must(line);
	check(field_is(line, "s", "(fault)"), "string_that_cant_be_read_is_a_fault");
	check(field_is(line, "n", "0"), "number_that_cant_be_read_is_0");
	check(field_is(line, "next", "\"behind it\""), "string_behind_it_is_there");
	remove_all();
}

static void long_strings_are_cut(void)
{
	static char text[4096], wanted[512];
	const char *line;

	memset(text, 'x', sizeof(text) - 1);
	define('r', "eight_ret", eight, "s=entry(+0($arg2)):string n=entry($arg3):u32 second=entry(+0($arg4)):string");
	enable_all();
	eight(1, text, 42, (long)"short", 0, 0, 0, 0);
	disable_all();
	read_trace();
	line = next_record(trace, "eight_ret");
	must(line);
	snprintf(wanted, sizeof(wanted), "\"%.255s\"", text);
	line = strstr(line, " s=");
	must(line);
	check(!strncmp(line + 3, wanted, strlen(wanted)), "long_string_of_the_entry_is_cut");
	check(field_is(line, "n", "42"), "number_beside_a_long_string");
	check(field_is(line, "second", "\"short\""), "string_beside_a_long_string");
	remove_all();
}

/* Entry @enter and return @leave are of one call if they have the same number. */
static int wrong_pairs(int *pairs)
{
	const char *enter = trace, *leave;
	uint64_t call;
	int wrong = 0;

	for (*pairs = 0; (enter = next_record(enter, "rec")); (*pairs)++) {
		call = number_in(enter, "call");
		for (leave = trace; (leave = next_record(leave, "rec_ret"));)
			if (number_in(leave, "call") == call)
				break;
		wrong += !call || !leave || number_in(leave, "n") != number_in(enter, "n") ||
			 number_in(leave, "depth") != number_in(enter, "depth") ||
			 number_in(leave, "depth") + number_in(leave, "n") != DEPTH + 1 ||
			 number_in(leave, "v") != number_in(leave, "n") + 1 ||
			 strlen(strstr(enter, " s=")) - strlen(strstr(enter, "\n")) !=
			 strlen(strstr(leave, " s=")) - strlen(strstr(leave, "\n"));
	}
	return wrong;
}

static void *recurse_here(void *unused)
{
	must(recurse(DEPTH, "") == DEPTH + 1);
	return unused;
}

static void calls_have_numbers(void)
{
	pthread_t threads[THREADS];
	int i, pairs;

	define('p', "rec", recurse, "$call $depth n=$arg1:u32 s=+0($arg2):string");
	define('r', "rec_ret", recurse, "$call $depth n=$arg1:u32 v=$retval:u32 s=entry(+0($arg2)):string");
	enable_all();
	for (i = 0; i < THREADS; i++)
		must(!pthread_create(&threads[i], NULL, recurse_here, NULL));
	for (i = 0; i < THREADS; i++)
		must(!pthread_join(threads[i], NULL));
	disable_all();
	read_trace();
	equal(wrong_pairs(&pairs), 0, "entry_and_return_of_a_call_agree");
	equal(pairs, THREADS * (DEPTH + 1), "all_calls_have_both");
	equal(count("rec_ret", "returns"), pairs, "all_calls_return");
	check(is_balanced("rec_ret"), "they_are_balanced");
	remove_all();
}

/* Nobody waits for the return: there is no call. */
static void without_returns_there_is_no_call(void)
{
	const char *line;

	define('p', "rec", recurse, "$call $depth");
	enable_all();
	recurse(0, "");
	disable_all();
	read_trace();
	line = next_record(trace, "rec");
	must(line);
	check(field_is(line, "call", "0") && field_is(line, "depth", "0"), "entry_without_a_call_says_0");
	remove_all();
}

/* ---- depths ------------------------------------------------------------- */

#define NR_TURNS	5

static ucontext_t coroutines[2], scheduler;

/* Stacks are told apart by their mappings. */
static void *make_stack(size_t size)
{
	char *stack = mmap(NULL, size + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(stack != MAP_FAILED && !mprotect(stack + 4096, size, PROT_READ | PROT_WRITE));
	return stack + 4096;
}


static PROBED int yields(int n)
{
	must(!swapcontext(&coroutines[n], &scheduler));
	return n + 1;
}

static void coroutine(int n)
{
	for (;;)
		must(yields(n) == n + 1);
}

static void make_coroutine(int n)
{
	const size_t size = 64 << 10;

	must(!getcontext(&coroutines[n]));
	coroutines[n].uc_stack.ss_sp = make_stack(size);
	coroutines[n].uc_stack.ss_size = size;
	makecontext(&coroutines[n], (void (*)(void))coroutine, 1, n);
}

static void go_on(int n)
{
	must(!swapcontext(&scheduler, &coroutines[n]));
}

/* The calls of two coroutines end in another order than that of their entries. */
static void coroutines_have_depths(void)
{
	int i, wrong = 0, nr = 0;
	const char *at;

	make_coroutine(0);
	make_coroutine(1);
	define('p', "yields", yields, "$depth");
	define('r', "yields_ret", yields, "");
	enable_all();
	for (i = 0; i < NR_TURNS; i++) {
		go_on(0);
		go_on(1);
	}
	disable_all();
	read_trace();
	for (at = trace; (at = next_record(at, "yields")); nr++)
		wrong += number_in(at, "depth") != (nr ? 2 : 1);
	equal(nr, 2 * NR_TURNS, "entries_of_coroutines_are_recorded");
	equal(wrong, 0, "depth_is_how_many_are_open_in_the_thread");
	remove_all();
}

static PROBED int leaf(int n)
{
	return n + 1;
}

static PROBED int goes_deep(int n)
{
	int i;

	if (n) {
		n = goes_deep(n - 1) + 1;
		/* not by a loop */
		asm volatile("" : "+r" (n));
		return n;
	}
	for (i = 0; i < NR_TURNS; i++)
		must(leaf(i) == i + 1);
	return 0;
}

/* Many calls of another function are between it and the next one of its own. */
static void depth_is_found_behind_many(void)
{
	const char *at;
	int nr = 0, wrong = 0;

	define('r', "deep_ret", goes_deep, "");
	define('p', "leaf", leaf, "$depth");
	define('r', "leaf_ret", leaf, "$depth");
	enable_all();
	must(goes_deep(1000) == 1000);
	disable_all();
	read_trace();
	for (at = trace; (at = next_record(at, "leaf")); nr++)
		wrong += number_in(at, "depth") != 1;
	for (at = trace; (at = next_record(at, "leaf_ret")); nr++)
		wrong += number_in(at, "depth") != 1;
	equal(nr, 2 * NR_TURNS, "calls_inside_of_many_are_recorded");
	equal(wrong, 0, "others_dont_count");
	check(is_balanced("leaf_ret") && is_balanced("deep_ret"), "calls_inside_of_many_are_balanced");
	remove_all();
}

static void times_add_up(void)
{
	uint64_t before, entry_time, latency;
	struct timespec t;
	const char *line;

	define('r', "rec_ret", recurse, "$entry_time $latency");
	enable_all();
	clock_gettime(CLOCK_MONOTONIC, &t);
	before = t.tv_sec * 1000000000ull + t.tv_nsec;
	recurse(0, "");
	clock_gettime(CLOCK_MONOTONIC, &t);
	disable_all();
	read_trace();
	line = next_record(trace, "rec_ret");
	must(line);
	entry_time = number_in(line, "entry_time");
	latency = number_in(line, "latency");
	check(entry_time >= before, "entry_is_after_what_came_before");
	check(entry_time + latency <= t.tv_sec * 1000000000ull + t.tv_nsec, "return_is_before_what_came_after");
	remove_all();
}

int main(void)
{
	arguments_are_recorded();
	arrays_are_recorded();
	what_cant_be_read_is_said();
	long_strings_are_cut();
	calls_have_numbers();
	without_returns_there_is_no_call();
	coroutines_have_depths();
	depth_is_found_behind_many();
	times_add_up();
	return finish();
}

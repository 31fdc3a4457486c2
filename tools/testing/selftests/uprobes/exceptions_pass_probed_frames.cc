// SPDX-License-Identifier: GPL-2.0
/*
 * Can exceptions be thrown through return-probed functions, from every depth
 * to every height, and can a program look at its own stack?
 *
 * Seen to fail on stock: the unwinder meets the trampoline's address in the first
 * probed frame and the child is aborted.
 */
#include <execinfo.h>
#include <stdexcept>

#include "probes.h"

#define DEPTH	12

static int destroyed;

struct guard {
	int level;
	explicit guard(int level) : level(level) { }
	~guard() { destroyed += level; }
};

struct error : std::runtime_error {
	int from;
	explicit error(int from) : std::runtime_error("thrown"), from(from) { }
};

/* Throws at the bottom; caught at level @height, or not at all there. */
static PROBED int climb(int level, int height)
{
	guard g(level);
	int r;

	if (level == DEPTH)
		throw error(level);
	if (level != height) {
		r = climb(level + 1, height);
		asm volatile("" : "+r"(r) : : "memory");
		return r + 1;
	}
	try {
		r = climb(level + 1, height);
	} catch (const error &e) {
		r = e.from * 100 + level;
	}
	return r;
}

static PROBED int rethrow(int level)
{
	guard g(level);

	try {
		return climb(DEPTH - 3, -1) + 1;
	} catch (const std::exception &) {
		if (level)
			return rethrow(level - 1) + 1;
		throw;
	}
}

static PROBED int catch_above(int (*thrower)(int), int level)
{
	try {
		return thrower(level);
	} catch (const error &e) {
		return e.from + 1000;
	}
}

static PROBED void *look_at_stack(int level, void **frames, int max, int *nr)
{
	void *r;

	if (level) {
		r = look_at_stack(level - 1, frames, max, nr);
		asm volatile("" : "+r"(r) : : "memory");
		return r;
	}
	*nr = backtrace(frames, max);
	return __builtin_return_address(0);
}

static int climb_from_above(int height)
{
	return climb(0, height);
}

struct output {
	int climbed[DEPTH], rethrown, uncaught_here, destroyed;
};

/* What the program prints, so to speak. */
static struct output run(void)
{
	struct output out = {};
	int height;

	destroyed = 0;
	for (height = 0; height < DEPTH; height++)
		out.climbed[height] = catch_above(climb_from_above, height);
	out.rethrown = catch_above(rethrow, 3);
	out.uncaught_here = catch_above(climb_from_above, -1);
	out.destroyed = destroyed;
	return out;
}

static struct output unprobed;

static void child_runs_again(void)
{
	struct output probed = run();

	_exit(memcmp(&probed, &unprobed, sizeof(probed)) ? 1 : 0);
}

static void exceptions_arrive(void)
{
	unsigned long entries, returns, unwound;
	int status;

	unprobed = run();
	define('r', "climb", (void *)climb, "");
	define('r', "rethrow", (void *)rethrow, "");
	define('r', "catch_above", (void *)catch_above, "");
	enable_all();
	status = in_child(child_runs_again);
	disable_all();

	check(WIFEXITED(status), "program_is_not_aborted");
	equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0, "exceptions_arrive_with_everything_destroyed");
	/* climbed at height h: 13 entered, the h + 1 at the top return */
	entries = DEPTH * (DEPTH + 1) + 4 * 4 + DEPTH + 1;
	returns = DEPTH * (DEPTH + 1) / 2;
	unwound = entries - returns;
	equal(count("climb", "entries"), entries, "throwing_function_has_its_entries");
	equal(count("climb", "returns"), returns, "throwing_function_has_the_returns_above_the_handler");
	equal(count("climb", "unwound"), unwound, "throwing_function_has_the_rest_unwound");
	check(is_balanced("climb"), "throwing_function_is_accounted_for");
	equal(count("rethrow", "entries"), 4, "rethrowing_function_has_its_entries");
	equal(count("rethrow", "unwound"), 4, "rethrowing_function_never_returns");
	equal(count("catch_above", "returns"), DEPTH + 2, "catching_function_returns");
	check(is_balanced("catch_above"), "catching_function_is_accounted_for");
	remove_all();
}

/* Shared with the children. */
struct view {
	void *frames[32];
	int nr;
	void *ret;
};

static struct view *seen;

static void child_looks_at_stack(void)
{
	seen->ret = look_at_stack(8, seen->frames, 32, &seen->nr);
}

static void program_sees_its_own_stack(void)
{
	struct view views[2];
	int i, status;

	seen = (struct view *)mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(seen != MAP_FAILED);
	define('r', "look", (void *)look_at_stack, "");
	for (i = 0; i < 2; i++) {
		memset(seen, 0, sizeof(*seen));
		if (i)
			enable_all();
		status = in_child(child_looks_at_stack);
		views[i] = *seen;
	}
	disable_all();
	equal(status, 0, "program_that_looks_at_its_stack_survives");
	/* 9 of look_at_stack() and one of child_looks_at_stack(); the compiler may clone those above */
	check(views[0].nr > 10 && views[0].nr == views[1].nr && views[0].ret == views[1].ret &&
	      !memcmp(views[0].frames, views[1].frames, 10 * sizeof(void *)),
	      "backtrace_and_return_address_are_the_real_ones");
	equal(count("look", "returns"), 9, "functions_that_look_at_the_stack_return");
	remove_all();
}

int main()
{
	exceptions_arrive();
	program_sees_its_own_stack();
	return finish();
}

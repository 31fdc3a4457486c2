/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How does a C or C++ test say what it found?
 *
 *	check(PASSED, NAME, ...)	one subtest
 *	equal(GOT, WANTED, NAME, ...)	one subtest about a number
 *	skip_one(REASON, NAME, ...)	one subtest that can't say anything here
 *	skip(REASON)			ends the test: none of it can
 *	finish()			plan; the exit status of main()
 *
 * NAME is a format, and says the property that holds if the subtest passes.
 */
#ifndef UPROBES_TAP_H
#define UPROBES_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned int tap_count, tap_failed;

static inline void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void check(bool passed, const char *name, ...) __attribute__((format(printf, 2, 3)));
static inline void equal(unsigned long long got, unsigned long long wanted, const char *name, ...)
	__attribute__((format(printf, 3, 4)));

/* A child that inherits half a line would print it again. */
static void __attribute__((constructor)) tap_print_whole_lines(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
}

static inline void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

static inline void tap_result(bool passed, const char *name, va_list args)
{
	tap_count++;
	tap_failed += !passed;
	printf("%sok %u - ", passed ? "" : "not ", tap_count);
	vprintf(name, args);
	printf("\n");
}

static inline void check(bool passed, const char *name, ...)
{
	va_list args;

	va_start(args, name);
	tap_result(passed, name, args);
	va_end(args);
}

static inline void equal(unsigned long long got, unsigned long long wanted, const char *name, ...)
{
	va_list args;

	if (got != wanted)
		note("expected %llu, got %llu", wanted, got);
	va_start(args, name);
	tap_result(got == wanted, name, args);
	va_end(args);
}

static inline void skip_one(const char *reason, const char *name, ...) __attribute__((format(printf, 2, 3)));

static inline void skip_one(const char *reason, const char *name, ...)
{
	va_list args;

	printf("ok %u - ", ++tap_count);
	va_start(args, name);
	vprintf(name, args);
	va_end(args);
	printf(" # SKIP %s\n", reason);
}

static inline void __attribute__((noreturn)) skip(const char *reason)
{
	printf("1..0 # SKIP %s\n", reason);
	exit(4);
}

static inline int finish(void)
{
	printf("1..%u\n", tap_count);
	return tap_failed || !tap_count;
}

#endif /* UPROBES_TAP_H */

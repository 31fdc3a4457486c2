/* SPDX-License-Identifier: GPL-2.0 */
/* How do the C tests of the report of returns say what they found? */
#ifndef RETURNS_TAP_H
#define RETURNS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* perf's names for these; the files under test are included as they are. */
typedef uint64_t u64;

static unsigned int tap_count, tap_failed;

static inline void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

static inline void check(bool passed, const char *name)
{
	tap_count++;
	tap_failed += !passed;
	printf("%sok %u - %s\n", passed ? "" : "not ", tap_count, name);
}

static inline int finish(void)
{
	printf("1..%u\n", tap_count);
	return tap_failed || !tap_count;
}

#endif /* RETURNS_TAP_H */

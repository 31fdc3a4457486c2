/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How is a number written for a person: 1,204,331 and 4.98us?
 *
 * table.c writes its cells with these. No perf in here: tested in user space by
 * tools/testing/selftests/uprobes/returns_table.c.
 */
#ifndef __PERF_RETURNS_FORMAT_H
#define __PERF_RETURNS_FORMAT_H

#include <linux/types.h>
#include <stddef.h>

/* Enough for every u64 in each of the forms below. */
#define RETURNS_FORMAT_MAX	32

/**
 * enum duration_digits - how many digits of a duration are shown
 * @DURATION_ROUGH: three, what a percentile is worth: 8.80us, 88.0us, 880us
 * @DURATION_EXACT: up to four, for sums and means: 8.80us, 88.00us, 880.0us
 */
enum duration_digits {
	DURATION_ROUGH = 3,
	DURATION_EXACT = 4,
};

void format_count(char *text, size_t size, u64 count);
void format_duration(char *text, size_t size, u64 ns, enum duration_digits digits);
void format_share(char *text, size_t size, u64 part, u64 all);

#endif /* __PERF_RETURNS_FORMAT_H */

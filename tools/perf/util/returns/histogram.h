/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How are the latencies of one function kept, however many calls there are?
 *
 * returns.c embeds one histogram in each function and records every return
 * into it; table.c reads the figures back. Neither the file nor the answer
 * knows anything about perf: the same code is tested in user space by
 * tools/testing/selftests/uprobes/returns_histogram.c.
 */
#ifndef __PERF_RETURNS_HISTOGRAM_H
#define __PERF_RETURNS_HISTOGRAM_H

#include <linux/types.h>

/* log2 of the number of cells that one octave [2^n, 2^(n+1)) is divided into. */
#define HISTOGRAM_CELL_BITS	7
#define HISTOGRAM_CELLS		(1u << HISTOGRAM_CELL_BITS)

/* Group 0 is the values below HISTOGRAM_CELLS, each octave above has its own. */
#define HISTOGRAM_GROUPS	(64 - HISTOGRAM_CELL_BITS + 1)

/* 100 percent in the unit of histogram__value_at(). */
#define HISTOGRAM_PPM_ALL	1000000u

/**
 * struct histogram - log-linear histogram of u64 values (latencies in ns)
 * @count: how many values were recorded
 * @total: their exact sum; U64_MAX if the sum is larger than that
 * @min: the smallest value, exact; only meaningful when @count is not 0
 * @max: the largest value, exact
 * @groups: HISTOGRAM_CELLS counters each, NULL until a value falls into the group
 *
 * A zeroed struct is an empty histogram. Every u64 can be recorded. Values
 * below 256 are kept exactly; above, a cell is at most 1/128 of its lower bound
 * wide and is reported by its middle, so that a value read back is wrong by at
 * most 1/256 (0.39 percent) of the true one. Rounding it to three digits adds
 * at most 0.5 percent: a printed percentile is within 1 percent. This is the
 * construction of Gil Tene's HdrHistogram (http://hdrhistogram.org).
 *
 * Memory is 1 KB per octave that holds a value: 58 KB at the very most, and
 * about 10 KB for latencies that span three orders of magnitude.
 */
struct histogram {
	u64	count;
	u64	total;
	u64	min;
	u64	max;
	u64	*groups[HISTOGRAM_GROUPS];
};

int histogram__record(struct histogram *histogram, u64 value);
int histogram__merge(struct histogram *into, const struct histogram *from);
u64 histogram__value_at(const struct histogram *histogram, unsigned int ppm);
u64 histogram__mean(const struct histogram *histogram);
void histogram__exit(struct histogram *histogram);

#endif /* __PERF_RETURNS_HISTOGRAM_H */

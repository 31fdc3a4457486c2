// SPDX-License-Identifier: GPL-2.0
/*
 * How are the latencies of one function kept, however many calls there are?
 *
 * Called by returns.c for every return; table.c asks for the percentiles.
 * The promises are in histogram.h.
 */
#include "histogram.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * The worst error is half a cell at the lowest value of an octave. It has to leave
 * room for the half percent that three printed digits can be wrong.
 */
static_assert(2 * HISTOGRAM_CELLS >= 200, "printed percentiles would be off by over 1 percent");

static unsigned int highest_bit(u64 value)
{
	return 63 - __builtin_clzll(value);
}

static unsigned int group_of(u64 value)
{
	if (value < HISTOGRAM_CELLS)
		return 0;
	return highest_bit(value) - HISTOGRAM_CELL_BITS + 1;
}

/* Values of a cell of @group differ only in this many low bits. */
static unsigned int shift_of(unsigned int group)
{
	return group ? group - 1 : 0;
}

static unsigned int cell_of(u64 value, unsigned int group)
{
	/* Above group 0 the highest bit is always set: it names the group. */
	return (value >> shift_of(group)) & (HISTOGRAM_CELLS - 1);
}

static u64 middle_of(unsigned int group, unsigned int cell)
{
	u64 lowest = group ? HISTOGRAM_CELLS + cell : cell;

	return (lowest << shift_of(group)) + (1ULL << shift_of(group)) / 2;
}

static int add_group(struct histogram *histogram, unsigned int group)
{
	if (!histogram->groups[group])
		histogram->groups[group] = calloc(HISTOGRAM_CELLS, sizeof(u64));
	return histogram->groups[group] ? 0 : -ENOMEM;
}

/* The figures that are kept exactly, beside the cells. */
static void add_exact(struct histogram *histogram, u64 count, u64 total,
		      u64 min, u64 max)
{
	if (!histogram->count || min < histogram->min)
		histogram->min = min;
	if (max > histogram->max)
		histogram->max = max;
	if (__builtin_add_overflow(histogram->total, total, &histogram->total))
		histogram->total = UINT64_MAX;
	histogram->count += count;
}

/**
 * histogram__record - add one value
 * @histogram: where to
 * @value: what, usually nanoseconds
 *
 * Return: 0, or -ENOMEM, and then nothing was recorded.
 */
int histogram__record(struct histogram *histogram, u64 value)
{
	unsigned int group = group_of(value);

	if (add_group(histogram, group))
		return -ENOMEM;

	histogram->groups[group][cell_of(value, group)]++;
	add_exact(histogram, 1, value, value, value);
	return 0;
}

/**
 * histogram__merge - add all values of one histogram to another
 * @into: what grows
 * @from: what is added; stays as it is
 *
 * The result is the same as if every value had been recorded in @into.
 *
 * Return: 0, or -ENOMEM, and then @into holds the values that it held before.
 */
int histogram__merge(struct histogram *into, const struct histogram *from)
{
	unsigned int group, cell;

	if (!from->count)
		return 0;

	for (group = 0; group < HISTOGRAM_GROUPS; group++) {
		if (from->groups[group] && add_group(into, group))
			return -ENOMEM;
	}

	for (group = 0; group < HISTOGRAM_GROUPS; group++) {
		if (!from->groups[group])
			continue;
		for (cell = 0; cell < HISTOGRAM_CELLS; cell++)
			into->groups[group][cell] += from->groups[group][cell];
	}

	add_exact(into, from->count, from->total, from->min, from->max);
	return 0;
}

/* ceil(@count * @ppm / 1,000,000) without overflow or rounding. */
static u64 rank_of(u64 count, unsigned int ppm)
{
	u64 millions = count / HISTOGRAM_PPM_ALL;
	u64 rest = count % HISTOGRAM_PPM_ALL;

	return millions * ppm + (rest * ppm + HISTOGRAM_PPM_ALL - 1) / HISTOGRAM_PPM_ALL;
}

/* The middle of a cell may lie outside of what was recorded. */
static u64 within_extremes(const struct histogram *histogram, u64 value)
{
	if (value < histogram->min)
		return histogram->min;
	if (value > histogram->max)
		return histogram->max;
	return value;
}

static bool rank_is_in(const u64 *cells, u64 *rank, unsigned int *cell)
{
	for (*cell = 0; *cell < HISTOGRAM_CELLS; (*cell)++) {
		if (*rank <= cells[*cell])
			return true;
		*rank -= cells[*cell];
	}
	return false;
}

/**
 * histogram__value_at - value that a share of all values does not exceed
 * @histogram: where from
 * @ppm: the share in parts per million: 500000 is the median, 999000 is p99.9
 *
 * The nearest-rank percentile: the smallest recorded value such that at least
 * @ppm of all values are less than or equal to it, as close as struct histogram
 * promises. 0 and HISTOGRAM_PPM_ALL give the exact minimum and maximum.
 *
 * Return: the value; 0 for an empty histogram.
 */
u64 histogram__value_at(const struct histogram *histogram, unsigned int ppm)
{
	unsigned int group, cell;
	u64 rank;

	if (!histogram->count)
		return 0;
	if (!ppm)
		return histogram->min;
	if (ppm >= HISTOGRAM_PPM_ALL)
		return histogram->max;

	rank = rank_of(histogram->count, ppm);
	for (group = 0; group < HISTOGRAM_GROUPS; group++) {
		if (!histogram->groups[group])
			continue;
		if (rank_is_in(histogram->groups[group], &rank, &cell))
			return within_extremes(histogram, middle_of(group, cell));
	}
	return histogram->max;
}

/**
 * histogram__mean - arithmetic mean, rounded to the nearest integer
 * @histogram: where from
 *
 * Return: the mean of the exact values, not of the cells; 0 if there are none.
 */
u64 histogram__mean(const struct histogram *histogram)
{
	u64 count = histogram->count;
	u64 mean;

	if (!count)
		return 0;

	mean = histogram->total / count;
	if (histogram->total % count >= count - count / 2)
		mean++;
	return mean;
}

/**
 * histogram__exit - free the cells and leave an empty histogram
 * @histogram: what is no longer needed
 */
void histogram__exit(struct histogram *histogram)
{
	unsigned int group;

	for (group = 0; group < HISTOGRAM_GROUPS; group++)
		free(histogram->groups[group]);
	*histogram = (struct histogram){};
}

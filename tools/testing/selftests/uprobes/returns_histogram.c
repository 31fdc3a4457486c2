// SPDX-License-Identifier: GPL-2.0
/*
 * Does the histogram of latencies keep what its header promises?
 *
 * Every percentile is compared with the one that sorting all values gives. The
 * file under test is included as it is: no perf and no kernel are needed.
 */
#include "tap.h"

#include <stdint.h>
#include <string.h>

/* As in tools/include/linux/types.h. */
typedef uint64_t u64;

#include "../../../perf/util/returns/histogram.c"

#define MAX_VALUES	200000

/* One part in so many: the header promises 0.39 percent, the user is told 1. */
#define TOLERANCE	256

struct values {
	u64	*value;
	size_t	count;
};

/* xorshift64*, so that a failure can be repeated. */
static u64 random_u64(u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static void add(struct values *values, u64 value)
{
	if (values->count < MAX_VALUES)
		values->value[values->count++] = value;
}

static int compare_u64(const void *a, const void *b)
{
	u64 left = *(const u64 *)a, right = *(const u64 *)b;

	return left < right ? -1 : left > right;
}

static bool is_close(u64 got, u64 expected)
{
	u64 error = got > expected ? got - expected : expected - got;

	return error <= expected / TOLERANCE;
}

/* The definition, in the most literal arithmetic: ceil(count * ppm / 10^6). */
static u64 exact_percentile(const struct values *sorted, unsigned int ppm)
{
	unsigned __int128 scaled = (unsigned __int128)sorted->count * ppm;
	u64 rank = (scaled + 999999) / 1000000;

	return sorted->value[rank ? rank - 1 : 0];
}

static struct histogram record_all(const struct values *values)
{
	struct histogram histogram = {};
	size_t i;

	for (i = 0; i < values->count; i++) {
		if (histogram__record(&histogram, values->value[i]))
			exit(1);
	}
	return histogram;
}

static bool percentiles_match(const struct values *values)
{
	static const unsigned int shares[] = {
		0, 1, 10, 1000, 10000, 100000, 250000, 333333, 500000, 666667, 750000,
		900000, 950000, 990000, 999000, 999900, 999990, 999999, 1000000,
	};
	struct histogram histogram = record_all(values);
	bool match = true;
	size_t i;

	qsort(values->value, values->count, sizeof(u64), compare_u64);
	for (i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		u64 expected = exact_percentile(values, shares[i]);
		u64 got = histogram__value_at(&histogram, shares[i]);

		if (!is_close(got, expected)) {
			note("%zu values, %u ppm: %llu instead of %llu", values->count, shares[i],
			     (unsigned long long)got, (unsigned long long)expected);
			match = false;
		}
	}
	histogram__exit(&histogram);
	return match;
}

static bool single_values_match(void)
{
	bool match = true;
	unsigned int bit;
	int around;

	for (bit = 0; bit < 64; bit++) {
		for (around = -150; around <= 150; around++) {
			u64 value = (1ULL << bit) + around;
			struct histogram histogram = {};
			u64 got;

			/* Two others, so that the extremes don't do the work. */
			if (value > UINT64_MAX - value / 50)
				continue;
			histogram__record(&histogram, value / 2);
			histogram__record(&histogram, value);
			histogram__record(&histogram, value + value / 50);
			got = histogram__value_at(&histogram, 500000);
			if (!is_close(got, value)) {
				note("%llu reads back as %llu", (unsigned long long)value,
				     (unsigned long long)got);
				match = false;
			}
			histogram__exit(&histogram);
		}
	}
	return match;
}

/* Latencies as they occur: any order of magnitude, all equally likely. */
static void fill_log_uniform(struct values *values, size_t count, u64 *state)
{
	values->count = 0;
	while (count--)
		add(values, random_u64(state) >> (random_u64(state) % 64));
}

static void fill_around(struct values *values, size_t count, u64 center, u64 spread, u64 *state)
{
	values->count = 0;
	while (count--)
		add(values, center + random_u64(state) % spread);
}

/* Each edge between two cells, from both sides. */
static void fill_edges(struct values *values)
{
	unsigned int shift, cell;

	values->count = 0;
	for (shift = 0; shift < 50; shift++) {
		for (cell = 128; cell < 256; cell++) {
			u64 edge = (u64)cell << shift;

			add(values, edge - 1);
			add(values, edge);
			add(values, edge + (1ULL << shift) - 1);
		}
	}
}

static bool random_percentiles_match(struct values *values, u64 *state)
{
	bool match = true;
	size_t count;

	for (count = 1; count <= MAX_VALUES; count = count * 3 + 1) {
		fill_log_uniform(values, count, state);
		match &= percentiles_match(values);
		fill_around(values, count, 1000, 9000000000ULL, state);
		match &= percentiles_match(values);
		fill_around(values, count, 123456789, 3, state);
		match &= percentiles_match(values);
	}
	return match;
}

static bool edge_percentiles_match(struct values *values)
{
	fill_edges(values);
	return percentiles_match(values);
}

/* One slow call among many: the rank decides, not a rounded product. */
static bool ranks_are_exact(struct values *values)
{
	bool match = true;
	size_t count;

	for (count = 1; count <= 3000; count++) {
		struct histogram histogram;
		size_t slow = count / 1000, i;

		values->count = 0;
		for (i = 0; i < count; i++)
			add(values, i < slow ? 1000000 : 10);
		histogram = record_all(values);
		/* p99.9 leaves out a thousandth, rounded down: all slow ones. */
		if (histogram__value_at(&histogram, 999000) != 10 ||
		    (slow && histogram__value_at(&histogram, 1000000) != 1000000)) {
			note("p99.9 of %zu values is wrong", count);
			match = false;
		}
		histogram__exit(&histogram);
	}
	return match;
}

/* 2^47 values of a thousand kinds: what a fast function makes in a month. */
static bool huge_counts_are_exact(struct values *values)
{
	static const unsigned int shares[] = { 1, 999, 1000, 1001, 499999, 500001, 999000, 999999 };
	struct histogram histogram;
	bool match = true;
	size_t i;

	values->count = 0;
	for (i = 0; i < 1024; i++)
		add(values, 128 + i % 128 + 256 * (i / 128));
	qsort(values->value, values->count, sizeof(u64), compare_u64);
	histogram = record_all(values);
	for (i = 0; i < 37; i++)
		histogram__merge(&histogram, &histogram);

	match = histogram.count == 1ULL << 47;
	for (i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		u64 expected = exact_percentile(values, shares[i]);

		match &= is_close(histogram__value_at(&histogram, shares[i]), expected);
	}
	histogram__exit(&histogram);
	return match;
}

static bool means_are_rounded(void)
{
	struct histogram histogram = {};
	bool match;

	histogram__record(&histogram, 1);
	histogram__record(&histogram, 2);
	match = histogram__mean(&histogram) == 2;
	histogram__record(&histogram, 1);
	match &= histogram__mean(&histogram) == 1;
	histogram__exit(&histogram);
	return match;
}

static bool exact_figures_are_exact(struct values *values, u64 *state)
{
	struct histogram histogram;
	u64 total = 0, min = UINT64_MAX, max = 0, mean;
	bool match;
	size_t i;

	fill_around(values, 100001, 7, 100000000, state);
	for (i = 0; i < values->count; i++) {
		total += values->value[i];
		min = values->value[i] < min ? values->value[i] : min;
		max = values->value[i] > max ? values->value[i] : max;
	}
	mean = (2 * total + values->count) / (2 * values->count);

	histogram = record_all(values);
	match = histogram.count == values->count && histogram.total == total &&
		histogram.min == min && histogram.max == max &&
		histogram__mean(&histogram) == mean &&
		histogram__value_at(&histogram, 0) == min &&
		histogram__value_at(&histogram, 1000000) == max;
	histogram__exit(&histogram);
	return match;
}

static bool are_equal(const struct histogram *a, const struct histogram *b)
{
	static const u64 nothing[HISTOGRAM_CELLS];
	unsigned int group;

	if (a->count != b->count || a->total != b->total || a->min != b->min || a->max != b->max)
		return false;

	for (group = 0; group < HISTOGRAM_GROUPS; group++) {
		if (memcmp(a->groups[group] ?: nothing, b->groups[group] ?: nothing, sizeof(nothing)))
			return false;
	}
	return true;
}

static bool merged_equals_single(struct values *values, u64 *state)
{
	struct histogram parts[3] = {}, merged = {}, single, empty = {};
	bool match;
	size_t i;

	fill_around(values, 50000, 100, 1000000000, state);
	for (i = 0; i < values->count; i++)
		histogram__record(&parts[values->value[i] % 3], values->value[i]);
	single = record_all(values);

	histogram__merge(&merged, &empty);
	for (i = 0; i < 3; i++)
		histogram__merge(&merged, &parts[i]);
	histogram__merge(&merged, &empty);
	match = are_equal(&merged, &single) && !are_equal(&merged, &parts[0]);

	for (i = 0; i < 3; i++)
		histogram__exit(&parts[i]);
	histogram__exit(&merged);
	histogram__exit(&single);
	return match;
}

static bool extremes_are_kept(void)
{
	struct histogram histogram = {};
	bool match;

	match = histogram__value_at(&histogram, 500000) == 0 && histogram__mean(&histogram) == 0;

	histogram__record(&histogram, 0);
	match &= histogram__value_at(&histogram, 500000) == 0 && histogram.max == 0;

	histogram__record(&histogram, UINT64_MAX);
	match &= histogram.min == 0 && histogram.max == UINT64_MAX &&
		 histogram.total == UINT64_MAX &&
		 histogram__value_at(&histogram, 1000000) == UINT64_MAX &&
		 is_close(histogram__value_at(&histogram, 999999), UINT64_MAX);

	/* No wrapping around: the sum says "at least this much". */
	histogram__record(&histogram, UINT64_MAX);
	match &= histogram.total == UINT64_MAX && histogram.count == 3;

	histogram__exit(&histogram);
	match &= histogram.count == 0 && histogram.max == 0;
	return match;
}

/* Ten times the records must not need more memory. */
static bool memory_is_bounded(struct values *values, u64 *state)
{
	struct histogram histogram;
	unsigned int groups = 0, group;

	fill_around(values, MAX_VALUES, 1000, 1000000, state);
	histogram = record_all(values);
	for (group = 0; group < HISTOGRAM_GROUPS; group++)
		groups += !!histogram.groups[group];
	histogram__exit(&histogram);

	note("%u groups of %u cells for 1us to 1ms, at most %u", groups, HISTOGRAM_CELLS,
	     HISTOGRAM_GROUPS);
	return groups <= 12 && HISTOGRAM_GROUPS * HISTOGRAM_CELLS * sizeof(u64) <= 64 * 1024;
}

int main(void)
{
	struct values values = { .value = calloc(MAX_VALUES, sizeof(u64)) };
	u64 state = 0x9e3779b97f4a7c15ULL;

	if (!values.value)
		return 1;

	check(single_values_match(), "a_value_reads_back_within_the_stated_error");
	check(edge_percentiles_match(&values), "edges_of_cells_read_back_within_the_stated_error");
	check(random_percentiles_match(&values, &state), "percentiles_equal_those_of_sorting");
	check(ranks_are_exact(&values), "ranks_are_exact");
	check(huge_counts_are_exact(&values), "huge_counts_are_exact");
	check(means_are_rounded(), "means_are_rounded");
	check(exact_figures_are_exact(&values, &state), "count_total_mean_min_max_are_exact");
	check(merged_equals_single(&values, &state), "merged_equals_recorded_in_one");
	check(extremes_are_kept(), "extremes_are_kept");
	check(memory_is_bounded(&values, &state), "memory_is_bounded");

	free(values.value);
	return finish();
}

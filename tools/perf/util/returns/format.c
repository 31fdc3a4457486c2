// SPDX-License-Identifier: GPL-2.0
/*
 * How is a number written for a person: 1,204,331 and 4.98us?
 *
 * Called by table.c for its cells. Integer arithmetic and no locale: the same
 * data gives the same text everywhere.
 */
#include "format.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

struct duration_unit {
	const char	*name;
	u64		ns;
	unsigned int	max_decimals;
};

static const struct duration_unit units[] = {
	{ "ns",	1,		0 },
	{ "us",	1000,		2 },
	{ "ms",	1000000,	2 },
	{ " s",	1000000000,	2 },
};

#define NR_UNITS	(sizeof(units) / sizeof(units[0]))

static u64 power_of_ten(unsigned int exponent)
{
	u64 power = 1;

	while (exponent--)
		power *= 10;
	return power;
}

/* @ns in units of 10^-@decimals of @unit, rounded half up. */
static u64 scale(u64 ns, const struct duration_unit *unit, unsigned int decimals)
{
	u64 power = power_of_ten(decimals);

	return ns / unit->ns * power +
	       (ns % unit->ns * power + unit->ns / 2) / unit->ns;
}

static void write_scaled(char *text, size_t size, u64 scaled,
			 unsigned int decimals, const char *unit)
{
	u64 power = power_of_ten(decimals);

	if (decimals)
		snprintf(text, size, "%" PRIu64 ".%0*" PRIu64 "%s", scaled / power,
			 (int)decimals, scaled % power, unit);
	else
		snprintf(text, size, "%" PRIu64 "%s", scaled, unit);
}

/*
 * Write @ns in @unit with as many decimals as @digits leaves. The decision is
 * taken on the rounded number: 9.996 is three digits as 10.0, not as 10.00.
 */
static bool fits_unit(char *text, size_t size, u64 ns, enum duration_digits digits,
		      const struct duration_unit *unit, bool last)
{
	unsigned int least = digits == DURATION_EXACT && unit->max_decimals ? 1 : 0;
	unsigned int decimals = unit->max_decimals;
	u64 limit = power_of_ten(unit->max_decimals ? digits : 3);
	u64 scaled = scale(ns, unit, decimals);

	while (scaled >= limit && decimals > least)
		scaled = scale(ns, unit, --decimals);

	if (scaled >= limit && !last)
		return false;

	write_scaled(text, size, scaled, decimals, unit->name);
	return true;
}

/**
 * format_duration - write nanoseconds in the unit that reads best
 * @text: where to
 * @size: of @text, RETURNS_FORMAT_MAX is enough
 * @ns: the duration
 * @digits: how many digits it is worth
 *
 * The number stays below 1000 in each unit but the last, seconds.
 */
void format_duration(char *text, size_t size, u64 ns, enum duration_digits digits)
{
	unsigned int i;

	for (i = 0; i < NR_UNITS; i++) {
		if (fits_unit(text, size, ns, digits, &units[i], i == NR_UNITS - 1))
			return;
	}
}

/**
 * format_count - write a number with a comma before each group of three digits
 * @text: where to
 * @size: of @text, RETURNS_FORMAT_MAX is enough
 * @count: the number
 */
void format_count(char *text, size_t size, u64 count)
{
	char reversed[RETURNS_FORMAT_MAX];
	unsigned int length = 0, digits = 0;
	size_t i;

	do {
		if (digits && digits % 3 == 0)
			reversed[length++] = ',';
		reversed[length++] = '0' + count % 10;
		digits++;
		count /= 10;
	} while (count);

	for (i = 0; length && i + 1 < size; i++)
		text[i] = reversed[--length];
	if (size)
		text[i] = '\0';
}

/**
 * format_share - write a part of a whole in percent with one decimal
 * @text: where to
 * @size: of @text, RETURNS_FORMAT_MAX is enough
 * @part: the part
 * @all: the whole; a share of nothing is 0.0%
 */
void format_share(char *text, size_t size, u64 part, u64 all)
{
	u64 tenths;

	for (; all > UINT64_MAX / 2000; all /= 2)
		part /= 2;

	tenths = all ? (part * 1000 + all / 2) / all : 0;
	snprintf(text, size, "%" PRIu64 ".%" PRIu64 "%%", tenths / 10, tenths % 10);
}

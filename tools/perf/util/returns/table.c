// SPDX-License-Identifier: GPL-2.0
/*
 * How does the table of returns look?
 *
 * Called by report.c when everything has been read. One line per function, the
 * one that took the most time in all first. The last stop of a probe.
 */
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "returns.h"

/* Function names are padded to the widest one, but not beyond this. */
#define MAX_NAME_WIDTH	60

/**
 * struct row - one line of the table
 * @function: what it shows
 * @name_width: how many characters its name takes
 * @ambiguous: another line has the same function and file, so the event is named
 */
struct row {
	const struct returns_function	*function;
	int				name_width;
	bool				ambiguous;
};

/**
 * struct figure - what a cell is written from
 * @latency: of the function in the cell's line
 * @all: ns that all functions took together
 * @ppm: the share of calls whose percentile is wanted, in parts per million
 */
struct figure {
	const struct histogram	*latency;
	u64			all;
	unsigned int		ppm;
};

/**
 * struct column - one column of figures
 * @title: its head
 * @min_width: its width including the space to its left
 * @write: writes a cell
 * @ppm: for struct figure
 */
struct column {
	const char	*title;
	int		min_width;
	void		(*write)(char *text, size_t size, const struct figure *figure);
	unsigned int	ppm;
};

static void write_share(char *text, size_t size, const struct figure *figure)
{
	format_share(text, size, figure->latency->total, figure->all);
}

static void write_calls(char *text, size_t size, const struct figure *figure)
{
	format_count(text, size, figure->latency->count);
}

static void write_total(char *text, size_t size, const struct figure *figure)
{
	format_duration(text, size, figure->latency->total, DURATION_EXACT);
}

static void write_mean(char *text, size_t size, const struct figure *figure)
{
	format_duration(text, size, histogram__mean(figure->latency), DURATION_EXACT);
}

static void write_percentile(char *text, size_t size, const struct figure *figure)
{
	format_duration(text, size, histogram__value_at(figure->latency, figure->ppm),
			DURATION_ROUGH);
}

static const struct column columns[] = {
	{ "Total%",	7,	write_share,		0 },
	{ "Calls",	9,	write_calls,		0 },
	{ "Total",	9,	write_total,		0 },
	{ "Avg",	9,	write_mean,		0 },
	{ "p50",	9,	write_percentile,	500000 },
	{ "p90",	9,	write_percentile,	900000 },
	{ "p99",	9,	write_percentile,	990000 },
	{ "Max",	9,	write_percentile,	HISTOGRAM_PPM_ALL },
};

#define NR_COLUMNS	(sizeof(columns) / sizeof(columns[0]))

/**
 * struct table - the table while it is laid out
 * @rows: its lines, owned
 * @nr_rows: how many
 * @all: ns that all functions took together
 * @widths: of @columns
 * @name_width: of the column that the function is in
 */
struct table {
	struct row	*rows;
	size_t		nr_rows;
	u64		all;
	int		widths[NR_COLUMNS];
	int		name_width;
};

static int compare_names(const void *a, const void *b)
{
	const struct returns_function *left = ((const struct row *)a)->function;
	const struct returns_function *right = ((const struct row *)b)->function;

	return strcmp(left->name, right->name) ?: strcmp(left->dso, right->dso);
}

/* Most time first; the rest makes the order the same for the same data. */
static int compare_totals(const void *a, const void *b)
{
	const struct returns_function *left = ((const struct row *)a)->function;
	const struct returns_function *right = ((const struct row *)b)->function;

	if (left->latency.total != right->latency.total)
		return left->latency.total < right->latency.total ? 1 : -1;
	if (left->latency.count != right->latency.count)
		return left->latency.count < right->latency.count ? 1 : -1;
	return compare_names(a, b) ?: strcmp(left->event, right->event);
}

static void mark_ambiguous(struct table *table)
{
	struct row *row;

	qsort(table->rows, table->nr_rows, sizeof(*row), compare_names);
	for (row = table->rows; row + 1 < table->rows + table->nr_rows; row++) {
		if (compare_names(row, row + 1))
			continue;
		row[0].ambiguous = true;
		row[1].ambiguous = true;
	}
}

static int collect_rows(struct table *table, const struct returns *returns)
{
	size_t i;

	table->nr_rows = returns->nr_functions;
	table->rows = calloc(table->nr_rows, sizeof(*table->rows));
	if (!table->rows)
		return -ENOMEM;

	for (i = 0; i < table->nr_rows; i++) {
		table->rows[i].function = returns->functions[i];
		if (__builtin_add_overflow(table->all, returns->functions[i]->latency.total, &table->all))
			table->all = ~(u64)0;
	}

	mark_ambiguous(table);
	qsort(table->rows, table->nr_rows, sizeof(*table->rows), compare_totals);
	return 0;
}

static int fprint_name(const struct row *row, FILE *fp)
{
	if (row->ambiguous)
		return fprintf(fp, "%s (%s)", row->function->name, row->function->event);
	return fprintf(fp, "%s", row->function->name);
}

static int name_width(const struct row *row)
{
	size_t width = strlen(row->function->name);

	if (row->ambiguous)
		width += strlen(" ()") + strlen(row->function->event);
	return width;
}

static int max_int(int a, int b)
{
	return a > b ? a : b;
}

static void write_cell(char *text, size_t size, const struct table *table,
		       const struct row *row, const struct column *column)
{
	const struct figure figure = {
		.latency = &row->function->latency,
		.all	 = table->all,
		.ppm	 = column->ppm,
	};

	column->write(text, size, &figure);
}

static void set_widths(struct table *table)
{
	char text[RETURNS_FORMAT_MAX];
	size_t c, r;

	for (c = 0; c < NR_COLUMNS; c++) {
		int gap = c ? 2 : 1;

		table->widths[c] = columns[c].min_width;
		for (r = 0; r < table->nr_rows; r++) {
			write_cell(text, sizeof(text), table, &table->rows[r], &columns[c]);
			table->widths[c] = max_int(table->widths[c], strlen(text) + gap);
		}
	}

	for (r = 0; r < table->nr_rows; r++) {
		struct row *row = &table->rows[r];

		row->name_width = name_width(row);
		if (row->name_width <= MAX_NAME_WIDTH)
			table->name_width = max_int(table->name_width, row->name_width);
	}
}

static void fprint_titles(const struct table *table, FILE *fp)
{
	size_t c;

	for (c = 0; c < NR_COLUMNS; c++)
		fprintf(fp, "%*s", table->widths[c], columns[c].title);
	fprintf(fp, "  Function\n");
}

static void fprint_row(const struct table *table, const struct row *row, FILE *fp)
{
	const char *dso = row->function->dso;
	char text[RETURNS_FORMAT_MAX];
	int padding = max_int(table->name_width - row->name_width, 0);
	size_t c;

	for (c = 0; c < NR_COLUMNS; c++) {
		write_cell(text, sizeof(text), table, row, &columns[c]);
		fprintf(fp, "%*s", table->widths[c], text);
	}

	fprintf(fp, "  ");
	fprint_name(row, fp);
	/* Some names bring their own brackets: [vdso]. */
	fprintf(fp, *dso == '[' ? "%*s  %s\n" : "%*s  [%s]\n", padding, "", dso);
}

static void fprint_header(const struct returns *returns, FILE *fp)
{
	u64 period = returns->last_time - returns->first_time;
	char count[RETURNS_FORMAT_MAX], threads[RETURNS_FORMAT_MAX], lost[RETURNS_FORMAT_MAX];

	format_count(count, sizeof(count), returns->count);
	format_count(threads, sizeof(threads), returns->threads);
	format_count(lost, sizeof(lost), returns->lost);

	fprintf(fp, "# cmd: %s   %" PRIu64 ".%03" PRIu64 " s   threads %s   returns %s   lost %s\n",
		returns->command ?: "(not recorded)", period / 1000000000,
		period / 1000000 % 1000, threads, count, lost);
	fprintf(fp, "# durations include time blocked; probe handlers excluded\n");
	if (returns->sampled)
		fprintf(fp, "# recorded with -c or -F: Calls and Total are of the sampled returns only\n");
	if (returns->unreadable)
		fprintf(fp, "# %" PRIu64 " records were too short to hold a latency and are left out\n",
			returns->unreadable);
}

/**
 * returns_table__fprintf - print the table of returns
 * @returns: what was recorded
 * @fp: where to
 *
 * Return: 0 or -ENOMEM.
 */
int returns_table__fprintf(const struct returns *returns, FILE *fp)
{
	struct table table = {};
	size_t r;

	fprint_header(returns, fp);
	if (!returns->nr_functions) {
		fprintf(fp, "# no returns were recorded\n");
		return 0;
	}

	if (collect_rows(&table, returns))
		return -ENOMEM;

	set_widths(&table);
	fprint_titles(&table, fp);
	for (r = 0; r < table.nr_rows; r++)
		fprint_row(&table, &table.rows[r], fp);

	free(table.rows);
	return 0;
}

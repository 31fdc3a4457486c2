// SPDX-License-Identifier: GPL-2.0
/*
 * Which command was measured?
 *
 * Called by report.c, printed by the views. A recording holds the command line
 * of perf record, and only perf record itself knows which of its words are
 * options. What is known besides is the name that the measured program had when
 * it was executed: the command starts at the word of that name.
 */
#include "command.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A task's name is cut by the kernel to TASK_COMM_LEN - 1 characters. */
#define COMM_LENGTH	15

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int find_separator(char *const *argv, int argc)
{
	int i;

	for (i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--"))
			return i;
	}
	return -1;
}

static bool is_program(const char *word, const char *comm)
{
	return *comm && !strncmp(base_name(word), comm, COMM_LENGTH);
}

static int find_program(char *const *argv, int argc, const char *comm)
{
	int i;

	/* argv[0] is perf, argv[1] is record. */
	for (i = 2; i < argc; i++) {
		if (is_program(argv[i], comm))
			return i;
	}
	return -1;
}

/*
 * Behind "--" unless the program stands before it, with a "--" of its own. A word of
 * the program's name that stands before it may also be the value of an option: then
 * the program is behind it as well.
 */
static int find_start(char *const *argv, int argc, const char *comm)
{
	int separator = find_separator(argv, argc);
	int program = find_program(argv, argc, comm);
	bool separated = separator >= 0 && separator + 1 < argc;

	if (separated && (program < 0 || program > separator || is_program(argv[separator + 1], comm)))
		return separator + 1;
	return program < 0 ? 0 : program;
}

/* One line, whatever the words contain. */
static char *join(char *const *argv, int argc)
{
	size_t size = 1;
	char *text, *end;
	int i;

	for (i = 0; i < argc; i++)
		size += strlen(argv[i]) + 1;

	text = calloc(1, size);
	if (!text)
		return NULL;

	for (i = 0, end = text; i < argc; i++) {
		if (i)
			*end++ = ' ';
		end = stpcpy(end, argv[i]);
	}

	for (end = text; *end; end++) {
		if (iscntrl((unsigned char)*end))
			*end = ' ';
	}
	return text;
}

/**
 * measured_command - the command that perf record ran, in one line
 * @argv: the words of perf record's own command line
 * @argc: how many
 * @comm: the name of the first task that was executed, empty if there was none
 *
 * Without a command (perf record -a, perf record -p) it is perf record's line.
 *
 * Return: the text, to be freed by the caller; NULL if @argc is 0 or memory is short.
 */
char *measured_command(char *const *argv, int argc, const char *comm)
{
	int start;

	if (argc <= 0)
		return NULL;

	start = find_start(argv, argc, comm);
	return join(argv + start, argc - start);
}

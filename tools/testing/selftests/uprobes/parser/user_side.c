// SPDX-License-Identifier: GPL-2.0
/*
 * Reads commands of uprobe_events, a line each, and gives them to the parser of the kernel (kernel_side.c). Says how many
 * were accepted, how many were refused without a message or with a caret that points nowhere, and how many left memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int kernel_parse(const char *line);
void *kernel_current(void);
extern unsigned int kernel_messages;
extern int kernel_column;
long kernel_references(void);

static long allocated;

void *user_malloc(size_t size)
{
	allocated++;
	return malloc(size);
}

void *user_zalloc(size_t size)
{
	allocated++;
	return calloc(1, size);
}

void user_free(const void *p)
{
	allocated -= p > (void *)16;
	if (p > (void *)16)
		free((void *)p);
}

/* ---- functions of the kernel that the C library has by another name ------- */

long sized_strscpy(char *to, const char *from, size_t size)
{
	size_t len = strnlen(from, size);

	if (!size)
		return -E2BIG;
	if (len == size) {
		memcpy(to, from, size - 1);
		to[size - 1] = 0;
		return -E2BIG;
	}
	memcpy(to, from, len + 1);
	return len;
}

size_t strlcat(char *to, const char *from, size_t size)
{
	size_t len = strlen(to), more = strlen(from);
	size_t fits = more < size - len ? more : size - len - 1;

	memcpy(to + len, from, fits);
	to[len + fits] = 0;
	return len + more;
}

char *kasprintf(unsigned int flags, const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	(void)flags;
	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	allocated++;
	return len < 0 ? NULL : text;
}

unsigned long simple_strtoul(const char *s, char **end, unsigned int base)
{
	/* no sign, and no white space in front */
	if (strchr("+- \t\n\v\f\r", *s) && *s) {
		*end = (char *)s;
		return 0;
	}
	return strtoul(s, end, base);
}

/* ---- the library's calls that only an event with a file would make -------- */

#define NOT_CALLED(name)	void name(void) { abort(); }

NOT_CALLED(copy_from_kernel_nofault)
NOT_CALLED(glob_match)
NOT_CALLED(preempt_schedule_thunk)
NOT_CALLED(kallsyms_lookup_name)
NOT_CALLED(register_trace_event)
NOT_CALLED(trace_add_event_call)
NOT_CALLED(trace_define_field)
NOT_CALLED(trace_seq_printf)
NOT_CALLED(trace_seq_putc)
NOT_CALLED(trace_seq_puts)
NOT_CALLED(unregister_trace_event)
NOT_CALLED(_copy_from_user)
NOT_CALLED(call_rcu)
NOT_CALLED(kernfs_path_from_node)
NOT_CALLED(mutex_lock)
NOT_CALLED(mutex_unlock)
NOT_CALLED(string_escape_mem)

/* struct pcpu_hot begins with the current task; there is another name for who writes there */
void *const_pcpu_hot[8], *pcpu_hot[8];

void *ftrace_events[2] = { ftrace_events, ftrace_events };

int main(void)
{
	long accepted = 0, foreign = 0, references = 0, silent = 0, pointless = 0, leaking = 0, n = 0;
	size_t size = 0;
	char *line = NULL;
	ssize_t len;
	int err;

	const_pcpu_hot[0] = kernel_current();
	while ((len = getline(&line, &size, stdin)) > 0) {
		line[len - 1] = 0;
		n++;
		allocated = 0;
		kernel_column = 0;
		err = kernel_parse(line);
		/* -ECANCELED: dynamic_events asks somebody else; uprobe_events says that it is no command */
		accepted += !err;
		foreign += err == -ECANCELED;
		if (err && err != -ECANCELED && !kernel_messages && !silent++)
			printf("without a message: %s\n", line);
		if (kernel_column < 0 && !pointless++)
			printf("caret in the wrong place: %s\n", line);
		allocated += kernel_references() - references;
		references = kernel_references();
		if (allocated && !leaking++)
			printf("%ld allocations or references are left: %s\n", allocated, line);
	}
	free(line);
	printf("%ld commands: %ld accepted, %ld not for uprobes, %ld silent, %ld pointless, %ld leaking\n",
	       n, accepted, foreign, silent, pointless, leaking);
	/* a parser that refuses everything is harmless, too */
	return silent || pointless || leaking || accepted < n / 20;
}

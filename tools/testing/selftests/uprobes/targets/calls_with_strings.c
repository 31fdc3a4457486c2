// SPDX-License-Identifier: GPL-2.0
/*
 * What do uprobe events record of a call? A program for the tests of events.
 * usage: calls_with_strings CALLS [LENGTH]
 * work(I, "hello") for each I below CALLS returns I + 5; descend(4) calls itself three times; show() gets 64
 * strings of LENGTH characters, default 3; ignore() gets the address of "ELF" in pages that nobody has touched.
 * Prints its process id and address of work.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#define KEEP asm volatile("" ::: "memory")

int work(int number, const char *text);
int descend(int depth);
int show(char **strings);
void ignore(const char *text);

NOINLINE int work(int number, const char *text)
{
	KEEP;
	return number + (int)strlen(text);
}

NOINLINE int descend(int depth)
{
	int below = 0;

	KEEP;
	if (depth > 1)
		below = descend(depth - 1);
	KEEP;
	return below + 1;
}

NOINLINE int show(char **strings)
{
	KEEP;
	return strings[0][0];
}

NOINLINE void ignore(const char *text)
{
	(void)text;
	KEEP;
}

static const char *untouched(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char *start = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);

	close(fd);
	return start + 1;
}

int main(int argc, char **argv)
{
	int i, calls = argc > 1 ? atoi(argv[1]) : 1;
	size_t length = argc > 2 ? strtoul(argv[2], NULL, 10) : 3;
	char *text = malloc(length + 1), *strings[64];
	long sum = 0;

	memset(text, 'x', length);
	text[length] = '\0';
	for (i = 0; i < 64; i++)
		strings[i] = text;
	for (i = 0; i < calls; i++)
		sum += work(i, "hello");
	sum += descend(4) + show(strings);
	ignore(untouched());
	printf("%d %p\n", getpid(), (void *)work);
	return sum == -1;
}

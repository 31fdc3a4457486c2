// SPDX-License-Identifier: GPL-2.0
/*
 * What do uprobe events record of a call? A program for the tests of events.
 * usage: calls_with_strings CALLS [LENGTH [LOST]]
 * work(I, "hello") for each I below CALLS returns I + 5; descend(4) calls itself three times; show() gets 64
 * strings of LENGTH characters, default 3; ignore() gets the address of "ELF" in pages that nobody has touched;
 * lack() gets a null pointer, an array of strings with one in the middle, and one whose end isn't mapped;
 * stray() gets 64 strings, of which every other one is where nothing is mapped, and the rest in pages that nobody has
 * touched: "page 1", "page 3", …; lose() is called if LOST isn't 0, and gets so many strings in pages that can't be read.
 * Prints its process id and address of work.
 */
#define _GNU_SOURCE
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
void lack(void **nothing, const char **some, const char **cut);
void stray(char **strings);
void lose(char **strings);

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

NOINLINE void lack(void **nothing, const char **some, const char **cut)
{
	(void)nothing;
	(void)some;
	(void)cut;
	KEEP;
}

NOINLINE void stray(char **strings)
{
	(void)strings;
	KEEP;
}

NOINLINE void lose(char **strings)
{
	(void)strings;
	KEEP;
}

#define NR_STRAY	64

/* Each has a page of a file to itself. */
static char **stray_strings(void)
{
	static char *strings[NR_STRAY];
	int i, fd = memfd_create("stray", MFD_CLOEXEC);
	char text[16], *start;

	for (i = 1; i < NR_STRAY; i += 2) {
		sprintf(text, "page %d", i);
		if (pwrite(fd, text, sizeof(text), i * 4096L) != sizeof(text))
			abort();
	}
	start = mmap(NULL, NR_STRAY * 4096L, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	for (i = 0; i < NR_STRAY; i++)
		strings[i] = start + i * 4096L;
	for (i = 0; i < NR_STRAY; i += 2)
		munmap(strings[i], 4096);
	return strings;
}

/* Each in another page. */
static char **lost_strings(int nr)
{
	char *start = mmap(NULL, nr * 4096L, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char **strings = calloc(nr, sizeof(*strings));
	int i;

	for (i = 0; i < nr; i++)
		strings[i] = start + i * 4096L;
	return strings;
}

/* Of three pointers the last one would lie in a page that can't be read. */
static const char **cut_array(void)
{
	char *start = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const char **strings = (const char **)(start + 4096) - 2;

	mprotect(start + 4096, 4096, PROT_NONE);
	strings[0] = "first";
	strings[1] = "second";
	return strings;
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
	int i, calls = argc > 1 ? atoi(argv[1]) : 1, lost = argc > 3 ? atoi(argv[3]) : 0;
	size_t length = argc > 2 ? strtoul(argv[2], NULL, 10) : 3;
	const char *some[] = { "one", NULL, "three" };
	char *text = malloc(length + 1), *strings[64];
	void *nothing = NULL;
	long sum = 0;

	memset(text, 'x', length);
	text[length] = '\0';
	for (i = 0; i < 64; i++)
		strings[i] = text;
	for (i = 0; i < calls; i++)
		sum += work(i, "hello");
	sum += descend(4) + show(strings);
	ignore(untouched());
	lack(&nothing, some, cut_array());
	stray(stray_strings());
	if (lost)
		lose(lost_strings(lost));
	printf("%d %p\n", getpid(), (void *)work);
	return sum == -1;
}

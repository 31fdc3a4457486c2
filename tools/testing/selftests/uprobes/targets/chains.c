// SPDX-License-Identifier: GPL-2.0
/*
 * Something with a stack to look at: outer, middle three times, inner, leaf. Prints what glibc's and libunwind's
 * unwinders see from leaf up to main, once, and then computes for samplers.
 *
 * usage: chains CALLS. Has frame pointers and fixed addresses.
 */
#define UNW_LOCAL_ONLY
#include <execinfo.h>
#include <libunwind.h>
#include <stdio.h>
#include <stdlib.h>

#define FUNCTION __attribute__((noipa))

int main(int argc, char **argv);

static volatile unsigned int noise = 1;

static void show_by_glibc(void)
{
	void *frames[32];
	int i, nr = backtrace(frames, 32);

	for (i = 1; i < nr && (char *)frames[i] < (char *)0x1000000; i++)
		printf("backtrace %p\n", frames[i]);
}

static void show_by_libunwind(void)
{
	unw_context_t context;
	unw_cursor_t cursor;
	unw_word_t offset;
	char name[64] = "";

	unw_getcontext(&context);
	unw_init_local(&cursor, &context);
	while (unw_step(&cursor) > 0 && !unw_get_proc_name(&cursor, name, sizeof(name), &offset)) {
		printf("libunwind %s+0x%lx\n", name, (unsigned long)offset);
		if (name[0] == 'm' && name[1] == 'a')
			break;
	}
}

FUNCTION int leaf(int x)
{
	int i;

	if (!x) {
		show_by_glibc();
		show_by_libunwind();
	}
	for (i = 0; i < 200000; i++)
		noise = noise * 1664525 + 1013904223;
	return x * 2;
}

FUNCTION int inner(int x)
{
	return leaf(x) + 1;
}

FUNCTION int middle(int x, int depth)
{
	int r = depth ? middle(x, depth - 1) : inner(x);

	asm volatile("" : "+r"(r) : : "memory");	/* no loop */
	return r + 1;
}

FUNCTION int outer(int x)
{
	return middle(x, 2) + 1;
}

int main(int argc, char **argv)
{
	int i, calls = argc > 1 ? atoi(argv[1]) : 1, sum = 0;

	for (i = 0; i < calls; i++)
		sum += outer(i);
	printf("sum %d\n", sum);
	return 0;
}

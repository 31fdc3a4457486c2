// SPDX-License-Identifier: GPL-2.0
/* A library to be probed: functions, and an SDT marker that asks its semaphore. */
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

unsigned short library_marker_semaphore __attribute__((section(".probes")));

__attribute__((noipa, aligned(16))) int library_add(int a, int b)
{
	return a + b;
}

/* Returns what the semaphore says. */
__attribute__((noipa, aligned(16))) int library_marked(int x)
{
	if (__builtin_expect(library_marker_semaphore, 0))
		DTRACE_PROBE1(library, marker, x);
	return library_marker_semaphore;
}

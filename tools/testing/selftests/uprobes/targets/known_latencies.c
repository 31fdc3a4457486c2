// SPDX-License-Identifier: GPL-2.0
/*
 * Which calls is a report of returns to show?
 *
 * A program that calls functions a known number of times and measures each call
 * twice: inside, from the first to the last statement of the function, and
 * outside, around the call. Whatever a probe costs, a latency measured by the
 * kernel lies between the two. Prints one line per function:
 *
 *	NAME CALLS INSIDE OUTSIDE
 *
 * with both sums in ns. The functions return the ns measured inside, so that a
 * probe can record them without the kernel's help.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define PROBED		__attribute__((noipa))

#define NR_THREADS	3
#define NR_NAPS		40
#define NR_LONG_NAPS	10
#define NR_SPINS	200
#define NR_QUICK	2000
#define NR_DESCENTS	20
#define DEPTH		10

struct sum {
	const char	*name;
	unsigned int	calls;
	uint64_t	inside;
	uint64_t	outside;
};

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static void sleep_us(unsigned int us)
{
	struct timespec time = { .tv_nsec = us * 1000L };

	nanosleep(&time, NULL);
}

PROBED uint64_t nap(unsigned int us)
{
	uint64_t start = now();

	sleep_us(us);
	return now() - start;
}

PROBED uint64_t long_nap(unsigned int us)
{
	uint64_t start = now();

	sleep_us(us);
	return now() - start;
}

PROBED uint64_t spin(unsigned int us)
{
	uint64_t start = now();

	while (now() - start < us * 1000ULL)
		;
	return now() - start;
}

PROBED uint64_t quick(unsigned int us)
{
	uint64_t start = now();

	(void)us;
	return now() - start;
}

PROBED uint64_t descend(unsigned int depth)
{
	uint64_t start = now();

	if (depth > 1)
		descend(depth - 1);
	return now() - start;
}

static void measure(struct sum *sum, uint64_t (*function)(unsigned int), unsigned int argument,
		    unsigned int count)
{
	while (count--) {
		uint64_t start = now();

		sum->inside += function(argument);
		sum->outside += now() - start;
		sum->calls++;
	}
}

static void *nap_in_thread(void *sum)
{
	measure(sum, nap, 5000, NR_NAPS);
	return NULL;
}

static void run_threads(struct sum *sum)
{
	struct sum each[NR_THREADS] = {};
	pthread_t thread[NR_THREADS];
	int i;

	for (i = 0; i < NR_THREADS; i++)
		pthread_create(&thread[i], NULL, nap_in_thread, &each[i]);

	for (i = 0; i < NR_THREADS; i++) {
		pthread_join(thread[i], NULL);
		sum->calls += each[i].calls;
		sum->inside += each[i].inside;
		sum->outside += each[i].outside;
	}
}

static void print(const struct sum *sum)
{
	printf("%s %u %llu %llu\n", sum->name, sum->calls, (unsigned long long)sum->inside,
	       (unsigned long long)sum->outside);
}

int main(void)
{
	struct sum naps = { .name = "nap" }, long_naps = { .name = "long_nap" };
	struct sum spins = { .name = "spin" }, quicks = { .name = "quick" };
	struct sum descents = { .name = "descend" };

	run_threads(&naps);
	measure(&long_naps, long_nap, 30000, NR_LONG_NAPS);
	measure(&spins, spin, 1000, NR_SPINS);
	measure(&quicks, quick, 0, NR_QUICK);
	measure(&descents, descend, DEPTH, NR_DESCENTS);
	/* Every level returns, but only the outermost is measured. */
	descents.calls *= DEPTH;

	print(&naps);
	print(&long_naps);
	print(&spins);
	print(&quicks);
	print(&descents);
	return 0;
}

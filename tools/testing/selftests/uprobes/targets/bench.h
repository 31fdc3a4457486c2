/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How do the programs of ci/bench measure, and say what they measured?
 *
 * A measurement is repeated. Each time, it is a section for ci/meter, and its
 * time is taken. Prints, for each, one line
 *
 *	section NUMBER PART SUBJECT WHAT TIMES NANOSECONDS
 *
 * with how often the section does what is measured, and the shortest time of
 * the whole section. The meter's file has a line for each repetition, with the
 * same number. Other facts are lines "fact PART SUBJECT WHAT VALUE"; what the
 * kernel refuses is "refused PART SUBJECT WHAT ERRNO".
 */
#ifndef UPROBES_BENCH_H
#define UPROBES_BENCH_H

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../../../../ci/meter/mark.h"

#define UNUSED		__attribute__((unused))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define TEXT_OF(x)	#x
#define VALUE_OF(x)	TEXT_OF(x)

/* ---- sections ----------------------------------------------------------- */

/* All marks, one behind the other, each followed by a return: 8 bytes. */
extern char marks[];
__asm__(".pushsection .text\n.balign 64\nmarks:\n"
	".set mark, " VALUE_OF(MARK_MAGIC) "\n"
	".rept " VALUE_OF(MARK_COUNT) "\n"
	"nopl mark(%rax)\nret\n.set mark, mark + 1\n"
	".endr\n.popsection\n");

static inline void mark(unsigned int number)
{
	((void (*)(void))(marks + 8 * number))();
}

/* Set from the command line. */
static unsigned int hits = 20, rounds = 20;

/* The next section's number; each program has a range of its own. */
static unsigned int next_section;

static inline uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* What is measured: @run does it @times times. @prepare, if any, runs before each repetition. */
struct work {
	void (*run)(void *data, unsigned int times);
	void (*prepare)(void *data);
	void *data;
};

static UNUSED void measure(const char *part, const char *subject, const char *what, const struct work *work,
			   unsigned int times)
{
	uint64_t best = UINT64_MAX, took;
	unsigned int round, section = next_section++;

	if (section >= MARK_COUNT)
		errx(1, "there are no more marks");
	for (round = 0; round < rounds; round++) {
		if (work->prepare)
			work->prepare(work->data);
		took = now();
		mark(section);
		work->run(work->data, times);
		mark(MARK_END);
		took = now() - took;
		if (took < best)
			best = took;
	}
	printf("section %u %s %s %s %u %" PRIu64 "\n", section, part, subject, what, times, best);
}

static UNUSED void refused(const char *part, const char *subject, const char *what)
{
	printf("refused %s %s %s %d\n", part, subject, what, errno);
}

/* ---- probes ------------------------------------------------------------- */

static char own_path[4096];

/* Where in the file is this address? */
static UNUSED uint64_t file_offset(const void *address)
{
	unsigned long start, end, offset, want = (unsigned long)address;
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[4200];

	if (!maps)
		err(1, "/proc/self/maps");
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && want >= start && want < end) {
			fclose(maps);
			return want - start + offset;
		}
	}
	errx(1, "no mapping at %p", address);
}

/* Of the mapping that holds @address, in kB: what the process has for itself alone. */
static UNUSED long copied_kb(const void *address)
{
	unsigned long start, end, want = (unsigned long)address;
	FILE *smaps = fopen("/proc/self/smaps", "r");
	bool here = false;
	char line[4200];
	long kb = -1;

	if (!smaps)
		err(1, "/proc/self/smaps");
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = want >= start && want < end;
		else if (here && sscanf(line, "Anonymous: %ld", &kb) == 1)
			break;
	}
	fclose(smaps);
	return kb;
}

static UNUSED unsigned int pmu_type(void)
{
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
	unsigned int type;

	if (!file || fscanf(file, "%u", &type) != 1)
		err(1, "the PMU uprobe has no type");
	fclose(file);
	return type;
}

static UNUSED int open_event(struct perf_event_attr *attr, int pid)
{
	attr->size = sizeof(*attr);
	return syscall(SYS_perf_event_open, attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

enum { AT_ENTRY, AT_RETURN };

/* Who has no privilege has to. */
static UNUSED int exclude_kernel;

/* Counts only; @pid 0: this thread. */
static UNUSED int open_probe(uint64_t offset, int where, int pid)
{
	struct perf_event_attr attr = {
		.type = pmu_type(),
		.config = where,
		.exclude_kernel = exclude_kernel,
		.uprobe_path = (unsigned long)own_path,
		.probe_offset = offset,
	};
	return open_event(&attr, pid);
}

static UNUSED uint64_t read_count(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) != sizeof(count))
		err(1, "read");
	return count;
}

/* ---- the machine -------------------------------------------------------- */

static UNUSED void run_on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "CPU %d", cpu);
}

/* usage: PROGRAM HITS ROUNDS PART… */
static UNUSED void start_bench(int argc, char **argv, unsigned int first_section)
{
	if (argc < 4)
		errx(2, "usage: %s HITS ROUNDS PART…", argv[0]);
	hits = atoi(argv[1]);
	rounds = atoi(argv[2]);
	next_section = first_section;
	if (readlink("/proc/self/exe", own_path, sizeof(own_path) - 1) < 0)
		err(1, "/proc/self/exe");
	/* Whoever reads along loses nothing when the machine dies. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	run_on_cpu(0);
}

#endif /* UPROBES_BENCH_H */

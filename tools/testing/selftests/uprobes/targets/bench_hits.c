// SPDX-License-Identifier: GPL-2.0
/*
 * How long does one hit take, for each kind of first instruction?
 *
 * Each kind is a function that begins with the instruction in question. It is called in a loop without a
 * probe, with a counted entry, and with a counted entry and return, both through perf_event_open() on the
 * PMU "uprobe" for the program's own task. Prints lines "KIND WHAT NANOSECONDS"; ci/bench compares the
 * lines of two kernels. Run only inside the virtual machine.
 */
#define _GNU_SOURCE
#include <err.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A function whose first instruction is INSN; it does nothing in all. */
#define KIND(name, insn, rest)					\
	void bench_##name(void);				\
	__asm__(".pushsection .text\n.balign 64\n"		\
		".globl bench_" #name "\nbench_" #name ":\n"	\
		insn "\n" rest "\nret\n.popsection\n")

KIND(nop, "nop", "");
KIND(nop5, ".byte 0x0f,0x1f,0x44,0,0", "");
KIND(push, "push %rbp", "pop %rbp");
KIND(endbr64, "endbr64", "");
KIND(sub, "sub $8,%rsp", "add $8,%rsp");
KIND(mov, "mov %rdi,%rax", "");
KIND(load_rip, "mov bench_data(%rip),%rax", "");
KIND(load_avx, "vmovdqu bench_data(%rip),%ymm0", "vzeroupper");
KIND(ret, "ret", "");
KIND(call, "call bench_empty", "");
KIND(jmp, "jmp 1f", "1:");

uint8_t bench_data[32];
void bench_empty(void);
__asm__(".pushsection .text\nbench_empty: ret\n.popsection\n");

#define ENTRY(name) { #name, bench_##name }
static const struct kind {
	const char *name;
	void (*function)(void);
} kinds[] = {
	ENTRY(nop), ENTRY(nop5), ENTRY(push), ENTRY(endbr64), ENTRY(sub), ENTRY(mov),
	ENTRY(load_rip), ENTRY(load_avx), ENTRY(ret), ENTRY(call), ENTRY(jmp),
};

static char own_path[4096];

/* Where in the file is this address? */
static uint64_t file_offset(void *address)
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

static unsigned int pmu_type(void)
{
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
	unsigned int type;

	if (!file || fscanf(file, "%u", &type) != 1)
		err(1, "the PMU uprobe has no type");
	fclose(file);
	return type;
}

static int open_probe(const struct kind *kind, int is_return)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = pmu_type(),
		.config = is_return,
		.uprobe_path = (unsigned long)own_path,
		.probe_offset = file_offset(kind->function),
	};
	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static uint64_t read_count(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) != sizeof(count))
		err(1, "read");
	return count;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* The best of five: what disturbs only ever adds. */
static double time_call(const struct kind *kind, unsigned int calls)
{
	uint64_t best = UINT64_MAX, took;
	unsigned int round, i;

	for (round = 0; round < 5; round++) {
		took = now();
		for (i = 0; i < calls; i++)
			kind->function();
		took = now() - took;
		if (took < best)
			best = took;
	}
	return (double)best / calls;
}

static void measure(const struct kind *kind, unsigned int calls)
{
	double plain = time_call(kind, calls), entry, both;
	int in = open_probe(kind, 0), out;

	if (in < 0) {
		warn("%s can't be probed", kind->name);
		printf("%s entry refused\n%s return refused\n", kind->name, kind->name);
		return;
	}
	entry = time_call(kind, calls);
	out = open_probe(kind, 1);
	both = time_call(kind, calls);
	if (read_count(in) < calls * 5ull || read_count(out) < calls * 5ull)
		errx(1, "%s: hits are missing: %" PRIu64 " entries, %" PRIu64 " returns", kind->name,
		     read_count(in), read_count(out));
	close(out);
	close(in);
	printf("%s entry %.0f\n%s return %.0f\n", kind->name, entry - plain, kind->name, both - entry);
}

int main(int argc, char **argv)
{
	unsigned int calls = argc > 1 ? atoi(argv[1]) : 20000;
	size_t i;

	if (readlink("/proc/self/exe", own_path, sizeof(own_path) - 1) < 0)
		err(1, "/proc/self/exe");
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		measure(&kinds[i], calls);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What do many probes in one file cost: to make and remove them, whoever hits one, and whoever isn't wanted?
 *
 * The file is this program, which has 10,000 small functions. Single probes are
 * perf events on the PMU "uprobe"; crowds are one BPF link, since to close 10,000
 * perf events takes stock minutes. Run only inside the virtual machine.
 */
#include "bench.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define NR_PLACES	10000
#define PLACE_SIZE	16

extern char places[];
__asm__(".pushsection .text\n.balign 4096\nplaces:\n"
	".rept " VALUE_OF(NR_PLACES) "\n"
	"mov %rdi,%rax\nret\n.balign " VALUE_OF(PLACE_SIZE) "\n"
	".endr\n.popsection\n");

static uint64_t offsets[NR_PLACES];

/* How often something is done that takes longer than a hit. */
static unsigned int few_rounds(unsigned int times)
{
	return times <= 10 ? 5 : times <= 1000 ? 3 : 1;
}

static void measure_slowly(const char *part, const char *subject, const char *what, const struct work *work,
			   unsigned int times, unsigned int repeated)
{
	unsigned int usual = rounds;

	rounds = repeated;
	measure(part, subject, what, work, times);
	rounds = usual;
}

/* ---- a crowd: one link, many probes ------------------------------------- */

/* Debian 12's headers are older than these. */
#define BPF_PROG_LOAD			5
#define BPF_LINK_CREATE			28
#define BPF_PROG_TYPE_KPROBE		2
#define BPF_TRACE_UPROBE_MULTI		48

struct load_attr {
	uint32_t type, instruction_count;
	uint64_t instructions, license;
	uint32_t log_level, log_size;
	uint64_t log;
	uint32_t kernel_version, flags;
	char name[16];
	uint32_t interface, expected_attach_type;
};

struct link_attr {
	uint32_t program, unused, attach_type, flags;
	uint64_t path, offsets, semaphores, cookies;
	uint32_t count, multi_flags, pid, padding;
};

/* A program that does nothing: r0 = 0; exit. */
static int load_program(void)
{
	static const uint64_t instructions[] = { 0xb7, 0x95 };
	struct load_attr attr = {
		.type = BPF_PROG_TYPE_KPROBE,
		.instruction_count = ARRAY_SIZE(instructions),
		.instructions = (unsigned long)instructions,
		.license = (unsigned long)"GPL",
		.expected_attach_type = BPF_TRACE_UPROBE_MULTI,
	};
	int fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	if (fd < 0)
		err(1, "BPF program");
	return fd;
}

struct crowd {
	unsigned int first, count;
	int pid;
	int link;
};

static int link_crowd(struct crowd *crowd)
{
	static int program = -1;
	struct link_attr attr = {
		.attach_type = BPF_TRACE_UPROBE_MULTI,
		.path = (unsigned long)own_path,
		.offsets = (unsigned long)(offsets + crowd->first),
		.count = crowd->count,
		.pid = crowd->pid,
	};

	if (program < 0)
		program = load_program();
	attr.program = program;
	return syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
}

static void attach_crowd(void *data, unsigned int unused)
{
	struct crowd *crowd = data;

	(void)unused;
	if (!crowd->count)
		return;
	crowd->link = link_crowd(crowd);
	if (crowd->link < 0)
		err(1, "a link with %u probes", crowd->count);
}

static void detach_crowd(void *data, unsigned int unused)
{
	struct crowd *crowd = data;

	(void)unused;
	if (crowd->link >= 0)
		close(crowd->link);
	crowd->link = -1;
}

static void crowd_is_attached(void *data)
{
	struct crowd *crowd = data;

	if (crowd->link < 0)
		attach_crowd(crowd, 0);
}

static void crowd_is_detached(void *data)
{
	detach_crowd(data, 0);
}

/* ---- a hit among many --------------------------------------------------- */

static void call_first(void *unused, unsigned int times)
{
	(void)unused;
	while (times--)
		((void (*)(void))places)();
}

static void measure_hit_among(unsigned int count)
{
	struct crowd others = { .first = 1, .count = count - 1, .pid = getpid(), .link = -1 };
	const struct work work = { .run = call_first };
	char subject[16];
	int fd;

	attach_crowd(&others, 0);
	fd = open_probe(offsets[0], AT_ENTRY, 0);
	if (fd < 0)
		err(1, "perf_event_open");
	snprintf(subject, sizeof(subject), "%u", count);
	measure("registered", subject, "entry", &work, hits);
	if (read_count(fd) != (uint64_t)hits * rounds)
		errx(1, "%" PRIu64 " hits were counted among %u probes", read_count(fd), count);
	close(fd);
	detach_crowd(&others, 0);
}

static void measure_registered(void)
{
	const struct work work = { .run = call_first };
	unsigned int count;

	measure("registered", "0", "plain", &work, hits);
	for (count = 1; count <= NR_PLACES; count *= 10)
		measure_hit_among(count);
}

/* ---- making and removing ------------------------------------------------ */

static int events[1000];

static void open_events(void *unused, unsigned int times)
{
	(void)unused;
	while (times--) {
		events[times] = open_probe(offsets[times], AT_ENTRY, 0);
		if (events[times] < 0)
			err(1, "perf_event_open");
	}
}

static void close_events(void *unused, unsigned int times)
{
	(void)unused;
	while (times--) {
		if (events[times])
			close(events[times]);
		events[times] = 0;
	}
}

static unsigned int wanted_events;

static void events_are_open(void *unused)
{
	if (!events[0])
		open_events(unused, wanted_events);
}

static void events_are_closed(void *unused)
{
	close_events(unused, wanted_events);
}

static void measure_events(unsigned int count)
{
	const struct work opening = { .run = open_events, .prepare = events_are_closed };
	const struct work closing = { .run = close_events, .prepare = events_are_open };
	unsigned int repeated = count <= 10 ? 3 : 1;
	char subject[16];

	wanted_events = count;
	snprintf(subject, sizeof(subject), "%u", count);
	measure_slowly("events", subject, "attach", &opening, count, repeated);
	measure_slowly("events", subject, "detach", &closing, count, repeated);
}

static void measure_crowd(unsigned int count)
{
	struct crowd crowd = { .count = count, .pid = getpid(), .link = -1 };
	const struct work attaching = { .run = attach_crowd, .prepare = crowd_is_detached, .data = &crowd };
	const struct work detaching = { .run = detach_crowd, .prepare = crowd_is_attached, .data = &crowd };
	char subject[16];

	snprintf(subject, sizeof(subject), "%u", count);
	measure_slowly("link", subject, "attach", &attaching, count, few_rounds(count));
	measure_slowly("link", subject, "detach", &detaching, count, few_rounds(count));
	detach_crowd(&crowd, 0);
}

static void measure_attaching(void)
{
	unsigned int count;

	for (count = 1; count <= ARRAY_SIZE(events); count *= 10)
		measure_events(count);
	for (count = 1; count <= NR_PLACES; count *= 10)
		measure_crowd(count);
}

/* ---- who isn't wanted --------------------------------------------------- */

static int start_wanted(void)
{
	int pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (!pid)
		for (;;)
			pause();
	return pid;
}

static void map_file(void *fd, unsigned int times)
{
	size_t size = NR_PLACES * PLACE_SIZE;
	off_t offset = offsets[0];

	while (times--) {
		void *text = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, *(int *)fd, offset);

		if (text == MAP_FAILED)
			err(1, "mmap");
		munmap(text, size);
	}
}

static int child;

static void child_is_gone(void *unused)
{
	(void)unused;
	if (child)
		waitpid(child, NULL, 0);
	child = 0;
}

/* The parent's part alone: what a child does varies more than what is looked for. */
static void fork_once(void *unused, unsigned int times)
{
	(void)unused;
	(void)times;
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child)
		_exit(0);
}

/* Of the mapping that holds the places, in kB. */
static long copied_text(void)
{
	unsigned long start, end, want = (unsigned long)places;
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

static void measure_unwanted_beside(struct crowd *crowd)
{
	int file = open(own_path, O_RDONLY | O_CLOEXEC);
	const struct work calling = { .run = call_first };
	const struct work mapping = { .run = map_file, .data = &file };
	const struct work forking = { .run = fork_once, .prepare = child_is_gone };
	char subject[16];

	snprintf(subject, sizeof(subject), "%u", crowd->count);
	attach_crowd(crowd, 0);
	measure("unwanted", subject, "call", &calling, hits);
	measure("unwanted", subject, "mmap", &mapping, 1);
	measure("unwanted", subject, "fork", &forking, 1);
	child_is_gone(NULL);
	printf("fact unwanted %s pages %ld\n", subject, copied_text() * 1024 / getpagesize());
	detach_crowd(crowd, 0);
	close(file);
}

static void measure_unwanted(void)
{
	int pid = start_wanted();
	struct crowd none = { .pid = pid, .link = -1 };
	struct crowd all = { .count = NR_PLACES, .pid = pid, .link = -1 };

	measure_unwanted_beside(&none);
	measure_unwanted_beside(&all);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	const struct rlimit files = { 4096, 4096 };
	unsigned int n;
	int i;

	start_bench(argc, argv, 512);
	if (setrlimit(RLIMIT_NOFILE, &files))
		err(1, "RLIMIT_NOFILE");
	offsets[0] = file_offset(places);
	for (n = 1; n < NR_PLACES; n++)
		offsets[n] = offsets[0] + n * PLACE_SIZE;
	for (i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "registered"))
			measure_registered();
		else if (!strcmp(argv[i], "attach"))
			measure_attaching();
		else if (!strcmp(argv[i], "unwanted"))
			measure_unwanted();
		else
			errx(2, "what is '%s'?", argv[i]);
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What does one hit cost, for each kind of first instruction, and with several threads?
 *
 * Each kind is a function that begins with the instruction in question. It is
 * called in a loop without a probe, with its entry counted, its return, both, and
 * with its entry sampled, through perf_event_open() on the PMU "uprobe" for the
 * program's own task. For threads it is one event of
 * uprobe_events that counts in all of them, as `perf record` opens it.
 * ci/bench compares the lines of two kernels. Run only inside the virtual
 * machine.
 */
#include "bench.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/sysinfo.h>

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
static struct kind {
	const char *name;
	void (*function)(void);
} kinds[] = {
	ENTRY(nop), ENTRY(nop5), ENTRY(push), ENTRY(endbr64), ENTRY(sub), ENTRY(mov),
	ENTRY(load_rip), ENTRY(load_avx), ENTRY(ret), ENTRY(call), ENTRY(jmp),
};

static void call_often(void *kind, unsigned int times)
{
	void (*function)(void) = ((struct kind *)kind)->function;

	while (times--)
		function();
}

/* An event that has missed something, or counts what wasn't there, has no cost. */
static void must_have_counted(const char *name, int fd, uint64_t expected)
{
	uint64_t count = read_count(fd);

	if (count != expected)
		errx(1, "%s: counted %" PRIu64 " of %" PRIu64 " hits", name, count, expected);
}

/* ---- each kind ---------------------------------------------------------- */

/* @events: one or two, or -1. */
static void measure_counted(struct kind *kind, const char *what, const int *events)
{
	const struct work work = { .run = call_often, .data = kind };
	int i;

	for (i = 0; i < 2; i++)
		ioctl(events[i], PERF_EVENT_IOC_RESET, 0);
	measure("kinds", kind->name, what, &work, hits);
	for (i = 0; i < 2; i++)
		if (events[i] >= 0)
			must_have_counted(kind->name, events[i], (uint64_t)hits * rounds);
}

static void measure_events(struct kind *kind, const char *what, bool entry, bool ret)
{
	uint64_t offset = file_offset(kind->function);
	int events[2] = { -1, -1 };

	if (entry)
		events[0] = open_probe(offset, AT_ENTRY, 0);
	if (ret)
		events[1] = open_probe(offset, AT_RETURN, 0);
	if ((entry && events[0] < 0) || (ret && events[1] < 0))
		refused("kinds", kind->name, what);
	else
		measure_counted(kind, what, events);
	close(events[1]);
	close(events[0]);
}

/* The ring buffer of the sampled event. */
#define RING_PAGES	256
static struct perf_event_mmap_page *ring;
static uint64_t sampled_bytes;

static void empty_ring(void *unused)
{
	uint64_t head = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE);

	(void)unused;
	sampled_bytes += head - ring->data_tail;
	__atomic_store_n(&ring->data_tail, head, __ATOMIC_RELEASE);
}

/* Nobody is to be woken: that isn't part of a sample. */
static int open_sampled(struct kind *kind)
{
	struct perf_event_attr attr = {
		.type = pmu_type(),
		.uprobe_path = (unsigned long)own_path,
		.probe_offset = file_offset(kind->function),
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_RAW,
		.watermark = 1,
		.wakeup_watermark = 1u << 31,
	};
	return open_event(&attr, 0);
}

static void measure_sampled(struct kind *kind)
{
	const struct work work = { .run = call_often, .prepare = empty_ring, .data = kind };
	size_t size = (RING_PAGES + 1) * getpagesize();
	int fd = open_sampled(kind);

	if (fd < 0) {
		refused("kinds", kind->name, "sampled");
		return;
	}
	ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		err(1, "ring buffer");
	sampled_bytes = 0;
	measure("kinds", kind->name, "sampled", &work, hits);
	empty_ring(NULL);
	/* header, ip, pid and tid, time: a record has at least these */
	if (sampled_bytes < (uint64_t)hits * rounds * 32)
		errx(1, "%s: only %" PRIu64 " bytes were sampled", kind->name, sampled_bytes);
	munmap(ring, size);
	close(fd);
}

static void measure_kind(struct kind *kind)
{
	measure_events(kind, "plain", false, false);
	measure_events(kind, "entry", true, false);
	measure_events(kind, "return", false, true);
	measure_events(kind, "both", true, true);
	measure_sampled(kind);
}

static void measure_kinds(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		measure_kind(&kinds[i]);
}

/* ---- threads ------------------------------------------------------------ */

#define MAX_THREADS	4

/*
 * All wait by spinning, so that nothing but hits enters the kernel. "pause" is
 * where QEMU goes on with the next processor.
 */
static struct team {
	struct kind *kind;
	unsigned int size;
	unsigned int times;		/* for each member */
	unsigned int turn;		/* goes up when all may start */
	unsigned int finished;		/* members but the first, in this turn */
	bool over;
} team;

static void wait_for(unsigned int *where, unsigned int value)
{
	while (__atomic_load_n(where, __ATOMIC_ACQUIRE) != value)
		__builtin_ia32_pause();
}

static void *play(void *number)
{
	unsigned int turn = 1;

	run_on_cpu((uintptr_t)number);
	for (;; turn++) {
		wait_for(&team.turn, turn);
		if (team.over)
			return NULL;
		call_often(team.kind, team.times);
		__atomic_add_fetch(&team.finished, 1, __ATOMIC_RELEASE);
	}
}

static void start_turn(void)
{
	team.finished = 0;
	__atomic_add_fetch(&team.turn, 1, __ATOMIC_RELEASE);
}

static void call_together(void *unused, unsigned int times)
{
	(void)unused;
	team.times = times / team.size;
	start_turn();
	call_often(team.kind, team.times);
	wait_for(&team.finished, team.size - 1);
}

static bool write_command(const char *text)
{
	int fd = open("/sys/kernel/tracing/uprobe_events", O_WRONLY | O_APPEND | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return done;
}

static unsigned int define_event(char role, struct kind *kind)
{
	char text[sizeof(own_path) + 64];
	unsigned int id;
	FILE *file;

	snprintf(text, sizeof(text), "%c:bench/%s_%c %s:0x%" PRIx64, role, kind->name, role, own_path,
		 file_offset(kind->function));
	if (!write_command(text))
		err(1, "%s", text);
	snprintf(text, sizeof(text), "/sys/kernel/tracing/events/bench/%s_%c/id", kind->name, role);
	file = fopen(text, "r");
	if (!file || fscanf(file, "%u", &id) != 1)
		err(1, "%s", text);
	fclose(file);
	return id;
}

static void remove_event(char role, struct kind *kind)
{
	char text[64];

	snprintf(text, sizeof(text), "-:bench/%s_%c", kind->name, role);
	if (!write_command(text))
		err(1, "%s", text);
}

/* Inherited by the threads that are made afterwards. */
static int open_inherited(unsigned int id)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .config = id, .inherit = 1 };
	int fd = open_event(&attr, 0);

	if (fd < 0)
		err(1, "perf_event_open");
	return fd;
}

static void measure_team(struct kind *kind, unsigned int size, const char *what)
{
	const struct work work = { .run = call_together };
	pthread_t members[MAX_THREADS];
	char subject[64];
	uintptr_t i;

	team = (struct team){ .kind = kind, .size = size };
	for (i = 1; i < size; i++)
		if (pthread_create(&members[i], NULL, play, (void *)i))
			errx(1, "pthread_create");
	snprintf(subject, sizeof(subject), "%s:%u", kind->name, size);
	measure("threads", subject, what, &work, hits * size);
	team.over = true;
	start_turn();
	for (i = 1; i < size; i++)
		pthread_join(members[i], NULL);
}

static void measure_threads_of_kind(struct kind *kind, unsigned int max)
{
	unsigned int entry_id = define_event('p', kind), return_id = define_event('r', kind), n;
	int entry, ret;

	for (n = 1; n <= max; n++) {
		measure_team(kind, n, "plain");
		entry = open_inherited(entry_id);
		measure_team(kind, n, "entry");
		must_have_counted(kind->name, entry, (uint64_t)hits * rounds * n);
		close(entry);
		ret = open_inherited(return_id);
		measure_team(kind, n, "return");
		must_have_counted(kind->name, ret, (uint64_t)hits * rounds * n);
		close(ret);
	}
	remove_event('r', kind);
	remove_event('p', kind);
}

/* One kind that stock emulates and one that it steps. */
static void measure_threads(void)
{
	unsigned int max = get_nprocs() < MAX_THREADS ? get_nprocs() : MAX_THREADS;

	measure_threads_of_kind(&kinds[0], max);
	measure_threads_of_kind(&kinds[1], max);
}

int main(int argc, char **argv)
{
	int i;

	start_bench(argc, argv, 1);
	for (i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "kinds"))
			measure_kinds();
		else if (!strcmp(argv[i], "threads"))
			measure_threads();
		else
			errx(2, "what is '%s'?", argv[i]);
	}
	return 0;
}

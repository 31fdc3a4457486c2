// SPDX-License-Identifier: GPL-2.0
/*
 * Does everything hold at once?
 *
 * For a minute, threads hit probes of every class while others register and unregister, send signals, fork, execute
 * programs, change mappings and debug. Then every result must have been right, no handler or debugger may have seen a
 * slot, each event that stayed must have counted what was executed, to the last one, and the balance of returns must
 * hold. (That the kernel log is clean is the runner's affair.)
 *
 * storm_functions.h has the functions, storm_calls.h calls them and compares, storm_actors.h has the actors.
 * Usage: storm [SECONDS [ACTOR…]]; with numbers of actors, only those take part, to find out who it takes.
 *
 * Seen to fail: entries and returns were off when threads mapped text at once and one of them went on before another
 * had made its sites; each round of a string instruction that a debugger stepped was a hit; a mapping over a part of an
 * area was refused; inherited perf events lost their target; perf lost returns of threads that changed the processor.
 * The balance: with calls that a jump has left not counted.
 */
#define _GNU_SOURCE
#include "storm_actors.h"

#define SECONDS		60
#define NR_CPUS		4
#define COPY		"/tmp/uprobes_storm"

static const struct {
	const char *name;
	void *(*act)(void *number);
} actors[] = {
	/* callers first: they are numbered from 0 */
	{ "caller", call_functions }, { "caller", call_functions }, { "caller", call_functions },
	{ "caller", call_functions }, { "caller", call_functions },
	{ "signals", send_signals },
	{ "threads", make_threads },
	{ "forks", fork_children }, { "forks", fork_children },
	{ "vforks", vfork_children },
	{ "bad children", make_bad_children },
	{ "mapper", map_and_unmap }, { "mapper", map_and_unmap },
	{ "divider", divide_text },
	{ "debugger", debug_child },
	{ "switcher", switch_events }, { "switcher", switch_events },
	{ "opener", open_and_close }, { "opener", open_and_close },
};

/* ---- events that stay --------------------------------------------------- */

/* Every other function has both, the others one of them. */
static bool has_entry_event(size_t f)
{
	return f % 4 != 1;
}

static bool has_return_event(size_t f)
{
	return f % 4 != 2;
}

static void define_kept(void)
{
	char name[64];
	size_t f;

	for (f = 0; f < NR_FUNCTIONS; f++) {
		const struct code *code = &functions[f].code[KEPT];

		if (has_entry_event(f))
			define('p', functions[f].name, code->insn, "");
		snprintf(name, sizeof(name), "%s_ret", functions[f].name);
		if (has_return_event(f))
			define('r', name, code->start, f % 3 || !has_missed() ? "" : "$latency");
	}
	define_both("recurse", (const void *)recurse);
	define_both("call_back", (const void *)call_back);
	enable_all();
}

/* ---- perf events that stay ---------------------------------------------- */

#define RING_PAGES	16

/* On each processor: counts entries, counts returns, samples entries. And one that is inherited by everybody. */
static struct {
	int entries[NR_CPUS], returns[NR_CPUS], samples[NR_CPUS], inherited;
	struct perf_event_mmap_page *rings[NR_CPUS];
	size_t entries_of, returns_of, samples_of, inherited_of;
	unsigned long records;
} perf = { .inherited = -1 };

static void open_ring(int cpu)
{
	struct perf_event_attr attr = {
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_CALLCHAIN,
		.read_format = PERF_FORMAT_LOST,
	};

	perf.samples[cpu] = open_perf(functions[perf.samples_of].code[KEPT].insn, false, attr, -1, cpu);
	must(perf.samples[cpu] >= 0);
	perf.rings[cpu] = mmap(NULL, (1 + RING_PAGES) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			       perf.samples[cpu], 0);
	must(perf.rings[cpu] != MAP_FAILED);
}

static void open_kept(void)
{
	struct perf_event_attr counts = {}, inherits = { .inherit = 1 };
	int cpu;

	perf.entries_of = find_function("locked");
	perf.returns_of = find_function("sse");
	perf.samples_of = find_function("nests");
	perf.inherited_of = find_function("pops_flags");
	must(!is_escapable(perf.returns_of));
	for (cpu = 0; cpu < NR_CPUS; cpu++) {
		perf.entries[cpu] = open_perf(functions[perf.entries_of].code[KEPT].insn, false, counts, -1, cpu);
		perf.returns[cpu] = open_perf(functions[perf.returns_of].code[KEPT].start, true, counts, -1, cpu);
		must(perf.entries[cpu] >= 0 && perf.returns[cpu] >= 0);
		open_ring(cpu);
	}
	perf.inherited = open_perf(functions[perf.inherited_of].code[KEPT].insn, false, inherits, 0, -1);
	must(perf.inherited >= 0);
}

static unsigned long read_count(int fd, unsigned long *lost)
{
	uint64_t values[2] = {};

	must(read(fd, values, lost ? 16 : 8) == (lost ? 16 : 8));
	if (lost)
		*lost += values[1];
	return values[0];
}

static unsigned long read_all(const int fds[NR_CPUS], unsigned long *lost)
{
	unsigned long sum = 0;
	int cpu;

	for (cpu = 0; cpu < NR_CPUS; cpu++)
		sum += read_count(fds[cpu], lost);
	return sum;
}

static void drain_ring(struct perf_event_mmap_page *ring)
{
	const char *data = (const char *)ring + ring->data_offset;
	uint64_t head = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE), tail = ring->data_tail;

	while (tail < head) {
		/* headers are aligned to their size: never across the end */
		const struct perf_event_header *header = (const void *)(data + tail % ring->data_size);

		perf.records += header->type == PERF_RECORD_SAMPLE;
		must(header->size >= sizeof(*header));
		tail += header->size;
	}
	__atomic_store_n(&ring->data_tail, tail, __ATOMIC_RELEASE);
}

static void drain_rings(void)
{
	int cpu;

	for (cpu = 0; cpu < NR_CPUS; cpu++)
		drain_ring(perf.rings[cpu]);
}

/* ---- the end ------------------------------------------------------------ */

static unsigned int differences;

static void expect(const char *event, const char *what, unsigned long wanted)
{
	unsigned long got = count(event, what);

	if (got == wanted)
		return;
	differences++;
	note("%s: %lu %s, should be %lu: %+ld", event, got, what, wanted, got - wanted);
}

static void entries_are_exact(void)
{
	char name[64];
	size_t f;

	differences = 0;
	for (f = 0; f < NR_FUNCTIONS; f++) {
		snprintf(name, sizeof(name), "%s_ret", functions[f].name);
		if (has_entry_event(f))
			expect(functions[f].name, "entries", shared->executed[f]);
		if (has_return_event(f))
			expect(name, "entries", shared->executed[f]);
	}
	expect("recurse", "entries", shared->recursions);
	expect("recurse_ret", "entries", shared->recursions);
	expect("call_back", "entries", shared->callbacks);
	expect("call_back_ret", "entries", shared->callbacks);
	equal(differences, 0, "every_execution_is_counted_and_nothing_else");
}

/* After a jump out of a function the next call from the same place may look as if it came by a tail call. */
static void returns_are_exact(void)
{
	char name[64];
	size_t f;

	differences = 0;
	for (f = 0; f < NR_FUNCTIONS; f++) {
		snprintf(name, sizeof(name), "%s_ret", functions[f].name);
		if (has_return_event(f) && !is_escapable(f))
			expect(name, "returns", shared->executed[f]);
	}
	expect("recurse_ret", "returns", shared->recursions);
	expect("call_back_ret", "inherited", shared->inherited);
	equal(differences, 0, "every_return_is_counted_and_nothing_else");
}

static void returns_are_balanced(void)
{
	unsigned int unbalanced = 0;
	char name[64];
	size_t f;

	for (f = 0; f < NR_FUNCTIONS; f++) {
		snprintf(name, sizeof(name), "%s_ret", functions[f].name);
		if (has_return_event(f) && !is_balanced(name))
			unbalanced++;
	}
	unbalanced += !is_balanced("recurse_ret") + !is_balanced("call_back_ret");
	equal(unbalanced, 0, "entries_and_inherited_are_returns_and_missed");
}

static void perf_is_exact(void)
{
	unsigned long lost = 0, hits;

	equal(read_all(perf.entries, NULL), shared->executed[perf.entries_of], "perf_counts_every_entry");
	equal(read_all(perf.returns, NULL), shared->executed[perf.returns_of], "perf_counts_every_return");
	equal(read_count(perf.inherited, NULL), shared->executed[perf.inherited_of],
	      "perf_counts_for_a_program_and_its_children");
	drain_rings();
	hits = read_all(perf.samples, &lost);
	equal(hits, shared->executed[perf.samples_of], "perf_counts_what_it_samples");
	note("%lu samples, %lu lost", perf.records, lost);
	equal(perf.records + lost, hits, "every_hit_is_a_sample_or_known_to_be_lost");
}

static void close_kept(void)
{
	int cpu;

	for (cpu = 0; cpu < NR_CPUS; cpu++) {
		close(perf.entries[cpu]);
		close(perf.returns[cpu]);
		close(perf.samples[cpu]);
		munmap(perf.rings[cpu], (1 + RING_PAGES) * PAGE);
	}
	close(perf.inherited);
}

/* ---- the storm ---------------------------------------------------------- */

static bool takes_part[ARRAY_SIZE(actors)];

static void start_actors(pthread_t *threads)
{
	sigset_t all;
	size_t i;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (i = 0; i < ARRAY_SIZE(actors); i++)
		if (takes_part[i])
			must(!pthread_create(&threads[i], NULL, actors[i].act, (void *)i));
}

static bool everybody_has_had_a_turn(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(actors); i++)
		if (takes_part[i] && !*(volatile unsigned long *)&shared->rounds[i])
			return false;
	return true;
}

/* Longer on a machine that is so slow that somebody would have done nothing. */
static void storm(int seconds)
{
	pthread_t threads[ARRAY_SIZE(actors)];
	time_t start = time(NULL), now = start;
	size_t i;

	start_actors(threads);
	while (now < start + seconds || (now < start + 4 * seconds && !everybody_has_had_a_turn())) {
		usleep(2000);
		drain_rings();
		now = time(NULL);
	}
	shared->stop = true;
	for (i = 0; i < ARRAY_SIZE(actors); i++)
		if (takes_part[i])
			pthread_join(threads[i], NULL);
}

static void say_who_had_a_turn(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(actors); i++)
		if (takes_part[i])
			note("%-12s %lu rounds", actors[i].name, shared->rounds[i]);
	note("%lu calls, %lu signals, %lu escapes, %lu forks, %lu execs", shared->calls, shared->signals,
	     shared->escapes, shared->forks, shared->execs);
	check(everybody_has_had_a_turn(), "everybody_had_a_turn");
}

/* Memory that programs find by the number of a file. */
static void share(const char *fd)
{
	shared_fd = fd ? atoi(fd) : memfd_create("storm", 0);
	must(shared_fd >= 0 && !ftruncate(shared_fd, sizeof(*shared)));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
	must(shared != MAP_FAILED);
}

static int run_program(const char *fd, const char *seed)
{
	uint64_t stream = strtoull(seed, NULL, 10) | 1;

	share(fd);
	call_once(&stream);
	return 0;
}

/* On a file system in memory: the one that the test comes from may keep divided mappings from merging again. */
static void run_copy(char **argv)
{
	char *bytes;
	size_t len;
	int fd;

	if (!strcmp(argv[0], COPY))
		return;
	bytes = read_file("/proc/self/exe", &len);
	fd = open(COPY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	must(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && !close(fd));
	argv[0] = (char *)COPY;
	execv(COPY, argv);
	must(false);
}

static void choose_actors(char **numbers)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(actors); i++)
		takes_part[i] = !*numbers;
	for (; *numbers; numbers++)
		takes_part[atoi(*numbers) % ARRAY_SIZE(actors)] = true;
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : SECONDS;

	find_functions();
	if (argc == 4 && !strcmp(argv[1], "program"))
		return run_program(argv[2], argv[3]);

	run_copy(argv);
	share(NULL);
	find_image();
	find_text();
	handle_signals();
	choose_actors(argc > 2 ? argv + 2 : argv + argc);
	define_kept();
	open_kept();
	storm(seconds);

	equal(shared->wrong, 0, "every_result_is_right");
	equal(shared->in_slots, 0, "no_slot_is_ever_seen");
	equal(shared->failures, 0, "no_child_fails_and_no_request");
	say_who_had_a_turn();
	perf_is_exact();
	/* nobody has switched them off so far */
	returns_are_balanced();
	close_kept();
	disable_all();
	entries_are_exact();
	returns_are_exact();
	remove_all();
	check(!text_differs(getpid(), image.start) && !smaps_kb(getpid(), image.start, "Anonymous"),
	      "text_is_untouched_in_the_end");
	return finish();
}

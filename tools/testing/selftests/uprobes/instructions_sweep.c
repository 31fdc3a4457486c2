// SPDX-License-Identifier: GPL-2.0
/*
 * Do thousands of instructions, found in real programs and made up, do the same with a probe on them as without?
 *
 * Each lies in a cell of its own in a file of code. It is executed from random registers, flags, vector registers,
 * x87 state and memory: unprobed, probed, and unprobed again. What it leaves behind must be the same every time:
 * registers, flags, vectors, memory, where it went, and for a fault the signal, its address and the registers saved
 * with it. The probe must have counted each execution once. What the kernel refuses must be what is known to be refused.
 *
 * instructions_found.h and instructions_generated.h say which instructions these are, operands.h what memory
 * they mean, processor_state.h how one is executed.
 *
 * With a part of the name of a family or file as its argument it looks at that alone.
 *
 * instructions_compute_the_same asks the same of fewer instructions, which a person can read.
 *
 * Seen to fail on stock: the instructions that instructions_generated.h begins with, and AVX. To be tried there
 * in parts: what it refuses makes it slow.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <sys/syscall.h>

#include "instructions_generated.h"
#include "operands.h"

#define TYPE_PATH	"/sys/bus/event_source/devices/uprobe/type"
#define FILE_PATH	"/tmp/instructions_sweep.code"
#define MAX_CELLS	16384
#define BATCH		1024
#define ROUNDS		(NR_AIMS + 1)
#define MAX_EXPLAINED	40
#define POSSIBLE_FLAGS	0x254fd7ul	/* those that user mode can set, and bit 1 */

static const char *const files[] = {
#ifdef __i386__
	"/lib32/libc.so.6",
	"/lib32/libm.so.6",
	"/lib32/libstdc++.so.6",
	"/lib32/libgcc_s.so.1",
	"/lib32/libquadmath.so.0",
#else
	"/lib/x86_64-linux-gnu/libc.so.6",
	"/lib/x86_64-linux-gnu/libm.so.6",
	"/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
	"/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
	"/bin/bash",
	"/usr/bin/git",
#endif
};

#define NR_SOURCES	(ARRAY_SIZE(families) + ARRAY_SIZE(files))

/* What became of the instructions from one source, which is a family or a file. */
static struct tally {
	unsigned int found;		/* in the file */
	unsigned int executed, of_class[UPROBE_REFUSED + 1];
	unsigned int differ, miscounted, unrepeatable, wrong_errno;
	unsigned int of_fate[NR_FATES], unknown_to_processor, broken;
} tallies[NR_SOURCES];

static struct cell cells[MAX_CELLS];
static size_t nr_cells;

/* One in this many is executed; the debug kernel is several times slower. */
static unsigned int share = 1;

static const char *source_name(unsigned int source)
{
	return source < ARRAY_SIZE(families) ? families[source].name : files[source - ARRAY_SIZE(families)];
}

/* ---- collecting --------------------------------------------------------- */

static u64 hash_bytes(const u8 *bytes, size_t len)
{
	u64 hash = len;
	size_t i;

	for (i = 0; i < len; i++)
		hash = hash_more(hash, bytes[i]);
	return hash;
}

/* What the test's argument asks for, if there is one. */
static const char *wanted_source = "";

static bool is_asked_for(unsigned int source)
{
	return strstr(source_name(source), wanted_source);
}

static bool is_wanted(u64 hash, unsigned int source)
{
	bool is_single = source < ARRAY_SIZE(families) && !strpbrk(families[source].patterns, ";-/*");

	return is_asked_for(source) && (is_single || (hash >> 20) % share == 0);
}

/* Returns whether the instruction is a branch that could as well go back. */
static bool collect_one(const u8 *bytes, size_t len, unsigned int source, bool behind)
{
	struct cell *c = &cells[nr_cells];
	u64 outer_seed = seed;
	enum fate fate;

	must(nr_cells < MAX_CELLS);
	memset(c, 0, sizeof(*c));
	memcpy(c->bytes, bytes, len);
	c->source = source;
	c->behind = behind;
	if (source < ARRAY_SIZE(families))
		c->wanted_error = families[source].error;
	else if (may_be_refused(bytes, len))
		c->wanted_error = EOPNOTSUPP;
	seed = hash_bytes(bytes, len) | 1;
	fate = describe(c, cell_address(nr_cells));
	seed = outer_seed;
	if (fate == UNKNOWN && c->wanted_error) {
		c->len = len;
		fate = TRIED;
	}
	tallies[source].of_fate[fate]++;
	if (fate == TRIED && is_wanted(hash_bytes(c->bytes, c->len), source) &&
	    add_number(hash_bytes(c->bytes, c->len)))
		nr_cells++;
	return c->flags & RELATIVE;
}

static void collect(const u8 *bytes, size_t len, unsigned int source)
{
	if (collect_one(bytes, len, source, false))
		collect_one(bytes, len, source, true);
}

static void collect_all(void)
{
	struct tally *of_files = tallies + ARRAY_SIZE(families);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		seed = 0x9e3779b97f4a7c15 * (i + 1);
		make_family(&families[i], collect, i);
	}
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		if (!is_asked_for(ARRAY_SIZE(families) + i))
			continue;
		of_files[i].found = look_at_file(files[i], share, collect, ARRAY_SIZE(families) + i);
		note("%s: %u instructions looked at", files[i], of_files[i].found);
	}
}

/* ---- code and memory ---------------------------------------------------- */

static void put_jump(u8 *to, unsigned int pointer)
{
	u32 address = POINTERS + pointer * sizeof(long);

	/* through memory: 25 is relative to the instruction pointer in 64-bit code, 04 25 isn't */
	to[0] = 0xff;
	if (sizeof(long) == 8) {
		to[1] = 0x24;
		to++;
	}
	to[1] = 0x25;
	memcpy(to + 2, &address, sizeof(address));
}

static void *map_at(unsigned long address, size_t len, int prot, int fd)
{
	int flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE | (fd < 0 ? MAP_ANONYMOUS : 0);
	void *p = mmap((void *)address, len, prot, flags, fd, 0);

	must(p == (void *)address);
	return p;
}

static void make_code(void)
{
	size_t len = (CODE_START + nr_cells * CELL_SIZE + 4095) & ~4095ul, i;
	u8 *text = malloc(len);
	int fd;

	memset(text, 0xcc, len);
	memcpy(text, ELFMAG, SELFMAG);
	text[EI_CLASS] = sizeof(long) == 8 ? ELFCLASS64 : ELFCLASS32;
	for (i = 0; i < nr_cells; i++) {
		u8 *cell = text + CODE_START + i * CELL_SIZE;

		put_jump(cell, BEHIND);
		memcpy(cell + CELL_INSN, cells[i].bytes, cells[i].len);
		put_jump(cell + CELL_INSN + cells[i].len, NEXT);
		put_jump(cell + CELL_AHEAD, AHEAD);
	}
	fd = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	must(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	map_at(CODE, len, PROT_READ | PROT_EXEC, fd);
	close(fd);
	free(text);
}

static unsigned char original[SCRATCH_SIZE], thread_original[sizeof(thread_scratch)];

static void make_memory(void)
{
	const void **pointers = map_at(POINTERS, 4096, PROT_READ | PROT_WRITE, -1);

	pointers[NEXT] = arrived_next;
	pointers[AHEAD] = arrived_ahead;
	pointers[BEHIND] = arrived_behind;
	must(!mprotect(pointers, 4096, PROT_READ));
	map_at(SCRATCH - HOLE_SIZE, HOLE_SIZE, PROT_NONE, -1);
	map_at(SCRATCH, SCRATCH_SIZE, PROT_READ | PROT_WRITE, -1);
	map_at(HOLE, HOLE_SIZE, PROT_NONE, -1);
	note_thread_base();
	seed = 1;
	fill(original, sizeof(original));
	fill(thread_original, sizeof(thread_original));
	memcpy((void *)SCRATCH, original, sizeof(original));
	memcpy(thread_scratch, thread_original, sizeof(thread_original));
}

/* ---- executing ---------------------------------------------------------- */

struct outcome {
	struct state	state;
	u64		hash;		/* of all that changed in memory */
	u32		first;		/* where, from the beginning of the scratch memory, */
	u32		nr;		/* and how many words */
	u64		word;		/* the first of them */
};

static unsigned long draw_register(void)
{
	switch (draw() % 6) {
	case 0:
		return draw() % 256;
	case 1:
		return -(draw() % 256);
	case 2:
		return OPERANDS + draw() % 0x400;
	case 3:
		return (u32)draw();
	default:
		return draw();
	}
}

/* The second and the fifth time with other rounding, and exceptions that aren't masked. */
static void draw_controls(unsigned int round)
{
	u16 control = 0x7f | (draw() & 0xf00);
	u32 mxcsr = 0x1f80 | (draw() & 0xe07f);

	if (round % 3 != 1)
		return;
	if (round == 4)
		control &= ~(draw() & 0x3f);
	memcpy(in.xsave, &control, sizeof(control));
	memcpy(in.xsave + 24, &mxcsr, sizeof(mxcsr));
}

static void run(size_t i, unsigned int round)
{
	size_t r;

	seed = 0x9e3779b97f4a7c15 * (i + 1) + 0x1234567 * (round + 1);
	draw();
	for (r = 0; r < NR_REGS; r++)
		in.regs[r] = draw_register();
	in.flags = draw_flags(draw());
	fill_xsave(in.xsave);
	draw_controls(round);
	aim(&cells[i], cell_address(i), round % NR_AIMS);
	run_code((void *)cell_address(i));
}

static void note_changes(struct outcome *outcome, void *memory, const void *before, size_t len, u32 at)
{
	u64 *now = memory;
	const u64 *then = before;
	size_t i;

	if (!memcmp(memory, before, len))
		return;
	for (i = 0; i < len / 8; i++) {
		if (now[i] == then[i])
			continue;
		if (!outcome->nr++) {
			outcome->first = at + i * 8;
			outcome->word = now[i];
		}
		outcome->hash = hash_more(hash_more(outcome->hash, at + i * 8), now[i]);
	}
	memcpy(memory, before, len);
}

static void run_and_note(size_t i, unsigned int round, struct outcome *outcome)
{
	u32 at;

	memset(outcome, 0, sizeof(*outcome));
	run(i, round);
	outcome->state = out;
	for (at = 0; at < SCRATCH_SIZE; at += 1024)
		note_changes(outcome, (void *)(SCRATCH + at), original + at, 1024, at);
	note_changes(outcome, thread_scratch, thread_original, sizeof(thread_original), SCRATCH_SIZE);
}

/* ---- probing ------------------------------------------------------------ */

static int uprobe_type;

static void prepare_probing(void)
{
	char *text = read_file(TYPE_PATH, NULL);

	must(text);
	uprobe_type = atoi(text);
	free(text);
}

/* By a perf event, which is refused quickly; 0 or the errno. */
static int try_probe(size_t i)
{
	struct perf_event_attr attr = {
		.type = uprobe_type,
		.size = sizeof(attr),
		.config1 = (uintptr_t)FILE_PATH,
		.config2 = cell_address(i) - CODE,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* ---- comparing ---------------------------------------------------------- */

static unsigned int nr_explained;

/* Says which instruction; false if enough has been said. */
static bool explain_cell(size_t i, const char *what)
{
	char text[3 * UPROBE_MAX_INSN + 1] = "";
	size_t b;

	if (nr_explained++ >= MAX_EXPLAINED)
		return false;
	for (b = 0; b < cells[i].len; b++)
		sprintf(text + 3 * b, "%02x ", cells[i].bytes[b]);
	note("%s: %s(%s, at %#lx)", what, text, source_name(cells[i].source), cell_address(i));
	return true;
}

static void explain_start(size_t i, unsigned int round)
{
	char text[NR_REGS * 32] = "";
	size_t r;

	run(i, round);
	memcpy((void *)SCRATCH, original, SCRATCH_SIZE);
	memcpy(thread_scratch, thread_original, sizeof(thread_original));
	for (r = 0; r < NR_REGS; r++)
		sprintf(text + strlen(text), " %s=%lx", state_names[r], in.regs[r]);
	note("state %u began with%s flags=%lx", round, text, in.flags);
}

static bool is_same(const struct outcome *a, const struct outcome *b)
{
	return !memcmp(&a->state, &b->state, sizeof(a->state)) && a->hash == b->hash && a->nr == b->nr;
}

static bool compare(size_t i, const struct outcome *plain, const struct outcome *other, const char *what)
{
	unsigned int round;

	for (round = 0; round < ROUNDS && is_same(&plain[round], &other[round]); round++)
		;
	if (round == ROUNDS)
		return true;
	plain += round;
	other += round;
	if (!explain_cell(i, what))
		return false;
	explain_state(&plain->state, &other->state, round);
	if (plain->hash != other->hash || plain->nr != other->nr)
		note("state %u: memory: unprobed %u words from %#x (%#llx), probed %u from %#x (%#llx)", round, plain->nr,
		     plain->first, (long long)plain->word, other->nr, other->first, (long long)other->word);
	return false;
}

static struct outcome before[BATCH][ROUNDS], probed[BATCH][ROUNDS], after[BATCH][ROUNDS];

static bool is_executed(const struct cell *c)
{
	return c->class != UPROBE_REFUSED && !c->is_broken;
}

static void run_batch(size_t first, size_t nr, struct outcome outcomes[][ROUNDS])
{
	unsigned int round;
	size_t i;

	for (i = 0; i < nr; i++)
		for (round = 0; is_executed(&cells[first + i]) && round < ROUNDS; round++)
			run_and_note(first + i, round, &outcomes[i][round]);
}

/*
 * QEMU 7.2 leaves bits of a result in the flags after some instructions of BMI, among them those that allow to
 * switch interrupts off. A trap would save them, and bring them back to stay.
 */
static void set_broken_aside(size_t first, size_t nr)
{
	unsigned int round;
	size_t i;

	for (i = 0; i < nr; i++) {
		for (round = 0; round < ROUNDS; round++)
			if (is_executed(&cells[first + i]) && (before[i][round].state.flags & ~POSSIBLE_FLAGS))
				cells[first + i].is_broken = true;
		tallies[cells[first + i].source].broken += cells[first + i].is_broken;
	}
}

static void check_refusal(size_t i, bool was_refused)
{
	struct cell *c = &cells[i];
	int err = try_probe(i);

	if (err == c->wanted_error)
		return;
	if (!was_refused)
		c->class = UPROBE_REFUSED;
	tallies[c->source].wrong_errno++;
	if (explain_cell(i, "not as expected"))
		note("expected errno %d, got %d", c->wanted_error, err);
}

static bool probe_batch(size_t first, size_t nr)
{
	size_t i;
	bool any = false;

	for (i = 0; i < nr; i++) {
		if (!is_executed(&cells[first + i]))
			continue;
		must(!command("p:t/sweep " FILE_PATH ":0x%lx", cell_address(first + i) - CODE));
		any = true;
	}
	return !any || !try_enable("sweep");
}

/* All of them are probes of one event. If it is refused, then without those to blame. */
static void enable_batch(size_t first, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (cells[first + i].class == UPROBE_REFUSED)
			check_refusal(first + i, true);
	if (probe_batch(first, nr))
		return;
	remove_all();
	for (i = 0; i < nr; i++)
		if (is_executed(&cells[first + i]))
			check_refusal(first + i, false);
	must(probe_batch(first, nr));
}

/* Each execution has been counted once. */
static void check_counts(size_t first, size_t nr)
{
	unsigned long hits[BATCH] = {};
	size_t i, probe = 0;

	count_each("sweep", "entries", hits, BATCH);
	for (i = 0; i < nr; i++) {
		if (!is_executed(&cells[first + i]) || hits[probe++] == ROUNDS)
			continue;
		tallies[cells[first + i].source].miscounted++;
		if (explain_cell(first + i, "miscounted"))
			note("%lu hits instead of %d", hits[probe - 1], ROUNDS);
	}
}

static void compare_cell(size_t i, const struct outcome *plain, const struct outcome *with_probe,
			 const struct outcome *again)
{
	struct tally *tally = &tallies[cells[i].source];

	tally->of_class[cells[i].class]++;
	if (!is_executed(&cells[i]))
		return;
	if (cells[i].wanted_error) {
		tally->wrong_errno++;
		explain_cell(i, "not refused");
	}
	if (plain->state.signal[0] == SIGILL)
		tally->unknown_to_processor++;
	else
		tally->executed++;
	if (!compare(i, plain, again, "differs unprobed")) {
		tally->unrepeatable++;
	} else if (!compare(i, plain, with_probe, "differs")) {
		tally->differ++;
		if (nr_explained <= MAX_EXPLAINED)
			explain_start(i, 0);
	}
}

static void sweep(void)
{
	bool dry = getenv("DRY_RUN");
	size_t first, nr, i;

	for (first = 0; first < nr_cells; first += nr) {
		nr = nr_cells - first < BATCH ? nr_cells - first : BATCH;
		run_batch(first, nr, before);
		set_broken_aside(first, nr);
		if (!dry)
			enable_batch(first, nr);
		run_batch(first, nr, probed);
		if (!dry) {
			check_counts(first, nr);
			remove_all();
		}
		run_batch(first, nr, after);
		for (i = 0; i < nr; i++)
			compare_cell(first + i, before[i], probed[i], after[i]);
	}
}

/* ---- the result --------------------------------------------------------- */

/* Each of its patterns has the mark of the width that this program doesn't have. */
static bool is_for_other_width(const struct family *family)
{
	const char *mark = sizeof(long) == 8 ? "@32" : "@64", *at = family->patterns, *end;

	for (; at; at = end ? end + 1 : NULL) {
		const char *found = strstr(at, mark);

		end = strchr(at, ';');
		if (!found || (end && found > end))
			return false;
	}
	return true;
}

/* A file that isn't there or can't be read, or a pattern that makes nothing. */
static bool has_yielded(unsigned int source)
{
	const struct tally *t = &tallies[source];

	if (source >= ARRAY_SIZE(families))
		return t->found;
	return t->executed || t->of_class[UPROBE_REFUSED] || t->unknown_to_processor || t->of_fate[UNKNOWN] ||
	       is_for_other_width(&families[source]);
}

static void report_source(unsigned int source)
{
	const struct tally *t = &tallies[source];

	note("%s: %u executed (%u emulated, %u relocated, %u stepped), %u refused", source_name(source), t->executed,
	     t->of_class[UPROBE_EMULATED], t->of_class[UPROBE_RELOCATED], t->of_class[UPROBE_STEPPED],
	     t->of_class[UPROBE_REFUSED]);
	if (t->unknown_to_processor || t->of_fate[UNKNOWN] || t->of_fate[UNTRIED] || t->broken || t->of_fate[MISSING])
		note("  the processor doesn't know %u, the decoder %u; %u not tried; %u end with impossible flags; "
		     "%u of AVX-512 and XOP skipped", t->unknown_to_processor, t->of_fate[UNKNOWN], t->of_fate[UNTRIED],
		     t->broken, t->of_fate[MISSING]);
	if (t->differ || t->miscounted || t->wrong_errno || t->unrepeatable)
		note("%u differ, %u are miscounted, %u are refused or accepted wrongly, %u differ unprobed", t->differ,
		     t->miscounted, t->wrong_errno, t->unrepeatable);
	if (!has_yielded(source))
		note("nothing of it was tried");
	check(has_yielded(source) && !t->differ && !t->miscounted && !t->wrong_errno && !t->unrepeatable, "%s",
	      source_name(source));
}

static void add_up(struct tally *sum, const struct tally *t)
{
	unsigned int *to = (unsigned int *)sum, i;
	const unsigned int *from = (const unsigned int *)t;

	for (i = 0; i < sizeof(*t) / sizeof(*to); i++)
		to[i] += from[i];
}

static void report(void)
{
	unsigned int wanted = sizeof(long) == 8 ? 3000 : 1500, i;
	struct tally sum = {};

	for (i = 0; i < NR_SOURCES; i++) {
		if (!is_asked_for(i))
			continue;
		add_up(&sum, &tallies[i]);
		report_source(i);
	}
	note("in all: %u encodings executed %d times each, %u differ, %u are miscounted; %u refused; %u of AVX-512 and XOP skipped",
	     sum.executed, ROUNDS, sum.differ, sum.miscounted, sum.of_class[UPROBE_REFUSED], sum.of_fate[MISSING]);
	if (!*wanted_source)
		check(sum.executed >= wanted / share, "%u encodings were executed", wanted / share);
}

int main(int argc, char **argv)
{
	const char *kernel = getenv("VM_KERNEL");

	if (argc > 1)
		wanted_source = argv[1];
	if (!has_avx2())
		skip("the processor has no AVX2");
	if (kernel && !strcmp(kernel, "debug"))
		share = 4;
	stay_on_one_processor();
	collect_all();
	make_memory();
	make_code();
	prepare_probing();
	catch_signals();
	sweep();
	report();
	return finish();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What does the guest execute between two marks?
 *
 * A plugin of QEMU's TCG, loaded by ci/vm --meter. A program marks a section of
 * its execution by two instructions, long nops that carry a number (mark.h);
 * anywhere else they do nothing. What is executed in between is counted:
 *
 *	kernel	instructions in the upper half of the addresses
 *	user	instructions in the lower half
 *	locked	of those in the kernel: with a LOCK prefix, or xchg with memory
 *	NAME	arrivals at the addresses that were given for that name
 *
 * Arguments: out=FILE, and any number of NAME=ADDRESS, in hexadecimal, several
 * for one name if need be. kernel-from=ADDRESS moves the border between the
 * halves. FILE gets a line with the names of the columns, then for every
 * section a line with its number and the counts, as soon as it ends.
 * profile=FILE2: that file gets, for every section, a line for each address of the
 * kernel that was executed: the section, the address, how often. ci/meter/profile
 * makes a table of functions of it.
 *
 * An instruction counts when it begins: one that faults counts again when it is
 * restarted, and each round of a rep instruction is one, as is the last look at
 * its count. The marks themselves
 * don't count. All processors are counted together, which is exact as long as
 * QEMU runs them in one thread (thread=single), and there is one section at a
 * time: whoever marks must be alone. A beginning inside a section starts anew.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"
#include "plugin.h"

EXPORTED int qemu_plugin_version = QEMU_PLUGIN_VERSION;

enum { KERNEL, USER, LOCKED, FIRST_NAMED, MAX_COUNTERS = 24 };

static const char *names[MAX_COUNTERS] = { "kernel", "user", "locked" };
static unsigned int nr_counters = FIRST_NAMED;

/* Only ever go up: compiled into the guest's code as additions. */
static uint64_t counters[MAX_COUNTERS];

static struct place {
	uint64_t address;
	unsigned int counter;
} places[128];
static unsigned int nr_places;

static uint64_t kernel_from = 1ull << 63;
static FILE *results, *profile;

/* For a profile: each instruction of the kernel by its address, 0: free. A hash with the next free place. */
#define PROFILE_SIZE	(1u << 20)
static struct {
	uint64_t address, count, before;
} *instructions;

/* The open section, and the counters at its beginning. */
static unsigned int section;
static uint64_t before[MAX_COUNTERS];

/* ---- instructions ------------------------------------------------------- */

/* The code: its bytes, with at least one of them left. */
struct code {
	const uint8_t *at, *end;
};

static bool is_prefix(uint8_t byte)
{
	static const uint8_t prefixes[] = {
		0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65
	};

	return memchr(prefixes, byte, sizeof(prefixes));
}

/* Returns whether a LOCK prefix was among them. */
static bool skip_prefixes(struct code *code)
{
	bool lock = false;

	while (code->at < code->end && is_prefix(*code->at))
		lock |= *code->at++ == 0xf0;
	return lock;
}

/* xchg locks without saying so, unless both operands are registers. */
static bool is_xchg_with_memory(struct code code)
{
	if (code.at < code.end && (*code.at & 0xf0) == 0x40)
		code.at++;	/* REX */
	return code.end - code.at >= 2 && (code.at[0] & 0xfe) == 0x86 && code.at[1] < 0xc0;
}

static bool is_locked(struct code code)
{
	return skip_prefixes(&code) || is_xchg_with_memory(code);
}

/* Returns the number of the mark, or -1. */
static int mark_of(struct code code)
{
	static const uint8_t nop[] = { 0x0f, 0x1f, 0x80 };
	uint32_t displacement;

	skip_prefixes(&code);
	if (code.end - code.at != sizeof(nop) + sizeof(displacement) || memcmp(code.at, nop, sizeof(nop)))
		return -1;
	memcpy(&displacement, code.at + sizeof(nop), sizeof(displacement));
	displacement -= MARK_MAGIC;
	return displacement < MARK_COUNT ? (int)displacement : -1;
}

/* ---- sections ----------------------------------------------------------- */

static void begin_profile(void)
{
	unsigned int i;

	for (i = 0; i < PROFILE_SIZE; i++)
		instructions[i].before = instructions[i].count;
}

static void end_profile(void)
{
	unsigned int i;

	for (i = 0; i < PROFILE_SIZE; i++)
		if (instructions[i].count != instructions[i].before)
			fprintf(profile, "%u %llx %llu\n", section, (unsigned long long)instructions[i].address,
				(unsigned long long)(instructions[i].count - instructions[i].before));
	fflush(profile);
}

static void end_section(void)
{
	unsigned int i;

	if (profile)
		end_profile();

	fprintf(results, "%u", section);
	for (i = 0; i < nr_counters; i++)
		fprintf(results, " %llu", (unsigned long long)(counters[i] - before[i]));
	fputc('\n', results);
	fflush(results);
	section = 0;
}

/* Before the mark is executed. The userdata is its number. */
static void arrive_at_mark(unsigned int cpu, void *userdata)
{
	unsigned int mark = (uintptr_t)userdata;

	(void)cpu;
	if (mark != MARK_END) {
		section = mark;
		if (profile)
			begin_profile();
		memcpy(before, counters, sizeof(before));
	} else if (section) {
		end_section();
	}
}

/* ---- translation -------------------------------------------------------- */

static void add_one(struct qemu_plugin_insn *insn, uint64_t *to)
{
	qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, to, 1);
}

static void count(struct qemu_plugin_insn *insn, unsigned int counter)
{
	add_one(insn, &counters[counter]);
}

/* A profile that is full is worth nothing. */
static void count_address(struct qemu_plugin_insn *insn, uint64_t address)
{
	unsigned int i = address * 0x9e3779b97f4a7c15ull >> 44, tries;

	for (tries = 0; tries < PROFILE_SIZE; tries++, i = (i + 1) % PROFILE_SIZE) {
		if (instructions[i].address && instructions[i].address != address)
			continue;
		instructions[i].address = address;
		add_one(insn, &instructions[i].count);
		return;
	}
	fprintf(stderr, "meter: too many instructions for a profile\n");
	exit(1);
}

static void count_places(struct qemu_plugin_insn *insn, uint64_t address)
{
	unsigned int i;

	for (i = 0; i < nr_places; i++)
		if (places[i].address == address)
			count(insn, places[i].counter);
}

static void translate_insn(struct qemu_plugin_insn *insn)
{
	uint64_t address = qemu_plugin_insn_vaddr(insn);
	bool in_kernel = address >= kernel_from;
	struct code code;
	int mark;

	code.at = qemu_plugin_insn_data(insn);
	code.end = code.at + qemu_plugin_insn_size(insn);
	mark = mark_of(code);
	if (mark >= 0) {
		qemu_plugin_register_vcpu_insn_exec_cb(insn, arrive_at_mark, QEMU_PLUGIN_CB_NO_REGS,
						       (void *)(uintptr_t)mark);
		return;
	}
	count(insn, in_kernel ? KERNEL : USER);
	if (in_kernel && is_locked(code))
		count(insn, LOCKED);
	if (in_kernel && profile)
		count_address(insn, address);
	count_places(insn, address);
}

static void translate_block(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
	size_t i, n = qemu_plugin_tb_n_insns(block);

	(void)id;
	for (i = 0; i < n; i++)
		translate_insn(qemu_plugin_tb_get_insn(block, i));
}

/* ---- arguments ---------------------------------------------------------- */

/* Makes the counter if there is none of that name; -1: too many. */
static int find_counter(const char *name)
{
	unsigned int i;

	for (i = FIRST_NAMED; i < nr_counters; i++)
		if (!strcmp(names[i], name))
			return i;
	if (nr_counters == MAX_COUNTERS)
		return -1;
	names[nr_counters] = strdup(name);
	return nr_counters++;
}

static bool add_place(const char *name, uint64_t address)
{
	int counter = find_counter(name);

	if (counter < 0 || nr_places == sizeof(places) / sizeof(places[0]))
		return false;
	places[nr_places++] = (struct place){ .address = address, .counter = counter };
	return true;
}

static bool start_profile(const char *path)
{
	instructions = calloc(PROFILE_SIZE, sizeof(*instructions));
	profile = fopen(path, "w");
	return instructions && profile;
}

/* @argument is NAME=VALUE, and is taken apart. */
static bool take_argument(char *argument)
{
	char *value = strchr(argument, '='), *end;
	uint64_t address;

	if (!value)
		return false;
	*value++ = 0;
	if (!strcmp(argument, "out")) {
		results = results ? NULL : fopen(value, "w");
		return results;
	}
	if (!strcmp(argument, "profile"))
		return !profile && start_profile(value);
	address = strtoull(value, &end, 16);
	if (!*value || *end)
		return false;
	if (strcmp(argument, "kernel-from"))
		return add_place(argument, address);
	kernel_from = address;
	return true;
}

static void write_header(void)
{
	unsigned int i;

	fputs("section", results);
	for (i = 0; i < nr_counters; i++)
		fprintf(results, " %s", names[i]);
	fputc('\n', results);
	fflush(results);
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (!take_argument(argv[i])) {
			fprintf(stderr, "meter: argument %d, '%s', isn't understood\n", i + 1, argv[i]);
			return -1;
		}
	}
	if (!results) {
		fprintf(stderr, "meter: no out=FILE\n");
		return -1;
	}
	write_header();
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate_block);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Is there a place for the slot of an instruction whose operand is as far away as can be?
 *
 * The slot must reach the operand and the code behind the instruction, which leaves few megabytes of room, beginning
 * or ending anywhere in a page. And code that is scattered needs slots in many places, but few in each.
 *
 * Seen to fail when slots were put wherever the room ended: the kernel fell over when the process exited.
 */
#define _GNU_SOURCE
#include "probes.h"

#define PAGE		4096ul
#define FILE_PATH	"/tmp/slots_reach_far_operands.code"
#define AT		0x123ul		/* where in its page the instruction is */
#define LEN		6
#define NR_SCATTERED	100

/* mov disp(%rip),%eax; ret. One page for each distance, and one where a call comes before: call *%rdi; mov; ret. */
static const int distances[] = { INT32_MIN, INT32_MIN + 0x345, INT32_MIN + 0xfffffe, INT32_MAX & ~3, 0x7f123450, 0x1000000 };

#define PLACE(i)	((i) * PAGE + AT)
#define CALLS		((ARRAY_SIZE(distances)) * PAGE + AT)
#define NR_PAGES	(ARRAY_SIZE(distances) + 1)

static void put_mov(char *to, int distance)
{
	memcpy(to, "\x8b\x05", 2);
	memcpy(to + 2, &distance, 4);
	to[LEN] = (char)0xc3;
}

static void make_file(void)
{
	char *text = calloc(NR_PAGES, PAGE);
	int fd = open(FILE_PATH, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0755);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(distances); i++)
		put_mov(text + PLACE(i), distances[i]);
	/* what is called returns to the mov */
	memcpy(text + CALLS - 2, "\xff\xd7", 2);
	put_mov(text + CALLS, INT32_MIN);
	must(fd >= 0 && write(fd, text, NR_PAGES * PAGE) == (ssize_t)(NR_PAGES * PAGE));
	close(fd);
	free(text);
}

static char *map_at(unsigned long at, int prot, size_t len)
{
	char *p = mmap((void *)at, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Text with 64 MB of nothing around it, and memory that was touched below that. */
static char *map_text(unsigned long at)
{
	int fd = open(FILE_PATH, O_RDONLY | O_CLOEXEC);
	char *text = mmap((void *)at, NR_PAGES * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0);
	unsigned long off;

	must(fd >= 0 && text == (char *)at);
	close(fd);
	for (off = 0x200000; off <= 0x2000000; off += 0x200000) {
		char *p = map_at(at - off - 0x100000, PROT_READ | PROT_WRITE, PAGE);

		must(p);
		*p = 1;
	}
	return text;
}

static void put_operand(char *insn, int distance, int value)
{
	unsigned long at = (uintptr_t)insn + LEN + distance;

	if (!mincore((void *)(at & -PAGE), 1, &(unsigned char){ 0 }) || map_at(at & -PAGE, PROT_READ | PROT_WRITE, 2 * PAGE))
		memcpy((void *)at, &value, sizeof(value));
}

/* How many mappings of slots are there, and how many pages? Each begins and ends with a page. */
static int slot_mappings(long *pages)
{
	char *maps = read_file("/proc/self/maps", NULL), *line, *save = NULL;
	unsigned long start, end;
	int n = 0;

	*pages = 0;
	for (line = strtok_r(maps, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		if (start % PAGE || end % PAGE)
			note("not of whole pages: %s", line);
		if (start % PAGE || end % PAGE)
			n = -1000;
		if (strstr(line, "[uprobes]")) {
			*pages += (end - start) / PAGE;
			n++;
		}
	}
	free(maps);
	return n;
}

static PROBED int returns_first(void)
{
	asm volatile("");
	return 1;
}

/* In a child, which exits with what it has mapped. */
static void probe_far_operands(void)
{
	char *text = map_text(0x100001000000);
	size_t i;
	int wrong = 0;
	long pages;

	for (i = 0; i < ARRAY_SIZE(distances); i++)
		put_operand(text + PLACE(i), distances[i], 1000 + i);
	for (i = 0; i < ARRAY_SIZE(distances); i++)
		wrong += ((int (*)(void))(text + PLACE(i)))() != (int)(1000 + i);
	if (slot_mappings(&pages) < 1)
		_exit(2);
	_exit(wrong);
}

static void operands_far_away_are_reached(void)
{
	char name[16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(distances); i++) {
		snprintf(name, sizeof(name), "far%zu", i);
		define_in_file('p', name, FILE_PATH, PLACE(i), "");
	}
	enable_all();
	equal(in_child(probe_far_operands), 0, "operands_far_away_are_read");
	for (i = 0; i < ARRAY_SIZE(distances); i++) {
		snprintf(name, sizeof(name), "far%zu", i);
		equal(count(name, "entries"), 1, "operand_at_%d_is_read_by_a_probed_instruction", distances[i]);
	}
	remove_all();
}

static void return_to_far_operand(void)
{
	char *text = map_text(0x200001000000);
	int r;
	long pages;

	put_operand(text + CALLS, INT32_MIN, 77);
	/* into the call: its own return word is what the mov's ret takes */
	r = ((int (*)(int (*)(void)))(text + CALLS - 2))(returns_first);
	if (slot_mappings(&pages) < 1)
		_exit(2);
	_exit(r != 77);
}

static void returns_to_operands_far_away(void)
{
	define('r', "first", returns_first, "");
	enable_all();
	equal(in_child(return_to_far_operand), 0, "caller_with_an_operand_far_away_computes_the_same");
	equal(count("first", "returns"), 1, "caller_with_an_operand_far_away_is_returned_to");
	remove_all();
}

static void scatter(void)
{
	long pages = 0;
	int i, wrong = 0;
	char *text;

	for (i = 0; i < NR_SCATTERED; i++) {
		text = map_text(0x200001000000 + i * 0x200000000);
		put_operand(text + PLACE(5), distances[5], i);
		wrong += ((int (*)(void))(text + PLACE(5)))() != i;
	}
	if (wrong)
		_exit(1);
	if (slot_mappings(&pages) != NR_SCATTERED)
		_exit(2);
	_exit(pages == NR_SCATTERED ? 0 : 3);
}

static void scattered_code_has_few_slots_each(void)
{
	define_in_file('p', "far", FILE_PATH, PLACE(5), "");
	enable_all();
	equal(in_child(scatter), 0, "scattered_code_has_a_page_of_slots_each");
	equal(count("far", "entries"), NR_SCATTERED, "scattered_code_is_probed");
	remove_all();
}

int main(void)
{
	make_file();
	operands_far_away_are_reached();
	returns_to_operands_far_away();
	scattered_code_has_few_slots_each();
	return finish();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of a thread that is in a slot when its process unmaps it, or maps something over it?
 *
 * The slot's instruction reads a page that is withheld (userfaultfd), so that the thread stays there for as long as
 * it takes. What it does then is what it would have done without the probe, and that is one hit.
 *
 * Seen to fail without uprobe_strand(): the thread executes what it finds in the slot's place, or dies.
 */
#define _GNU_SOURCE
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>

#include "probes.h"

#define FILE_PATH	"/tmp/slots_go_under_threads.code"
#define PAGE		4096
#define PATIENCE	60	/* seconds */
#define HLT		0xf4

/* ---- the instructions --------------------------------------------------- */

#define LOADS		0x000
#define COPIES		0x080
#define POPS		0x100

#define WORD		0x12345678
#define FLAGS		0x246

static const struct kind {
	const char *name;
	unsigned int offset;
	unsigned int probe;	/* offset of the instruction that is probed */
	const char *code;
	unsigned int len;
} kinds[] = {
#ifdef __x86_64__
	/* mov (%rdi),%eax; ret */
	{ "loads", LOADS, LOADS, "\x8b\x07\xc3", 3 },
	/* mov $64,%ecx; rep movsb; mov -1(%rdi),%al; ret */
	{ "copies", COPIES, COPIES + 5, "\xb9\x40\0\0\0\xf3\xa4\x8a\x47\xff\xc3", 11 },
	/* mov %rsp,%rax; mov %rdi,%rsp; popf (under the trap flag); mov %rax,%rsp; pushf; pop %rax; ret */
	{ "pops", POPS, POPS + 6, "\x48\x89\xe0\x48\x89\xfc\x9d\x48\x89\xc4\x9c\x58\xc3", 13 },
#else
	/* mov 4(%esp),%eax; mov (%eax),%eax; ret */
	{ "loads", LOADS, LOADS + 4, "\x8b\x44\x24\x04\x8b\x00\xc3", 7 },
	/* push %esi; push %edi; mov 12(%esp),%edi; mov 16(%esp),%esi; mov $64,%ecx; rep movsb; ... */
	{ "copies", COPIES, COPIES + 15, "\x56\x57\x8b\x7c\x24\x0c\x8b\x74\x24\x10\xb9\x40\0\0\0\xf3\xa4"
					 "\x8a\x47\xff\x5f\x5e\xc3", 23 },
	/* mov 4(%esp),%ecx; mov %esp,%eax; mov %ecx,%esp; popf; mov %eax,%esp; pushf; pop %eax; ret */
	{ "pops", POPS, POPS + 8, "\x8b\x4c\x24\x04\x89\xe0\x89\xcc\x9d\x89\xc4\x9c\x58\xc3", 14 },
#endif
};

static char *code;

static void make_file(void)
{
	static unsigned char text[PAGE];
	int fd = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	size_t i;

	memset(text, 0xcc, sizeof(text));
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		memcpy(text + kinds[i].offset, kinds[i].code, kinds[i].len);
	must(fd >= 0 && write(fd, text, sizeof(text)) == sizeof(text));
	code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	must(code != MAP_FAILED);
	close(fd);
}

/* ---- the page that is withheld ------------------------------------------ */

static char *present;		/* two pages, of which the second is withheld */
static char destination[64];
static int fault_fd;

static void withhold(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	present = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(present, 1, PAGE);
	fault_fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	must(fault_fd >= 0 && !ioctl(fault_fd, UFFDIO_API, &api));
	range.range.start = (unsigned long)present + PAGE;
	range.range.len = PAGE;
	must(!ioctl(fault_fd, UFFDIO_REGISTER, &range));
}

static void wait_for_fault(void)
{
	struct pollfd wait = { .fd = fault_fd, .events = POLLIN };
	struct uffd_msg message;

	must(poll(&wait, 1, PATIENCE * 1000) == 1);
	must(read(fault_fd, &message, sizeof(message)) == sizeof(message));
}

static void release(void)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	struct uffdio_copy copy = { .dst = (unsigned long)present + PAGE, .src = (unsigned long)page, .len = PAGE };
	static const unsigned long words[] = { WORD, FLAGS };

	memset(page, 2, PAGE);
	memcpy(page, words, sizeof(words));
	must(!ioctl(fault_fd, UFFDIO_COPY, &copy));
}

/* ---- the thread --------------------------------------------------------- */

typedef int (*code_fn)(char *first, char *second);

static const struct kind *kind;
static int result;

static void *call(void *unused)
{
	code_fn fn = (code_fn)(uintptr_t)(code + kind->offset);

	switch (kind->offset) {
	case LOADS:
		result = fn(present + PAGE, NULL);
		break;
	case COPIES:
		result = fn(destination, present + PAGE - 16) & 0xff;
		break;
	case POPS:
		result = fn(present + PAGE + sizeof(long), NULL) & 0xfff;
		break;
	}
	return unused;
}

static bool result_is_right(void)
{
	switch (kind->offset) {
	case LOADS:
		return result == WORD;
	case COPIES:
		return result == 2 && !memcmp(destination, present + PAGE - 16, sizeof(destination));
	}
	return result == FLAGS;
}

/* ---- what the process does meanwhile ------------------------------------ */

static char *area;
static size_t area_size;

static bool find_area(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	char line[512];

	area = NULL;
	while (!area && fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "[uprobes]") || sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		area = (char *)start;
		area_size = end - start;
	}
	fclose(maps);
	return area;
}

static void map_over(int prot)
{
	must(mmap(area, area_size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area);
}

static void nothing(void)
{
}

static void unmaps_it(void)
{
	must(!munmap(area, area_size));
}

static void maps_data_over_it(void)
{
	map_over(PROT_READ | PROT_WRITE);
}

static void maps_nothing_over_it(void)
{
	map_over(PROT_NONE);
}

static void maps_code_over_it(void)
{
	map_over(PROT_READ | PROT_WRITE | PROT_EXEC);
	memset(area, HLT, area_size);
}

/* Past the end of a file: SIGBUS for who executes there. */
static void maps_a_hole_over_it(void)
{
	int fd = open(FILE_PATH, O_RDONLY | O_CLOEXEC);

	must(fd >= 0);
	must(mmap(area, area_size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, PAGE) == area);
	close(fd);
}

static const struct deed {
	const char *name;
	void (*do_it)(void);
} deeds[] = {
	{ "nothing_happens", nothing },
	{ "process_unmaps_it", unmaps_it },
	{ "process_maps_data_over_it", maps_data_over_it },
	{ "process_maps_nothing_over_it", maps_nothing_over_it },
	{ "process_maps_code_over_it", maps_code_over_it },
	{ "process_maps_a_hole_over_it", maps_a_hole_over_it },
};

static const struct deed *deed;

/* In a child: it may end badly. */
static void try(void)
{
	pthread_t thread;

	withhold();
	must(!pthread_create(&thread, NULL, call, NULL));
	wait_for_fault();
	must(find_area());
	deed->do_it();
	release();
	must(!pthread_join(thread, NULL));
	if (!result_is_right())
		_exit(1);
	/* and once more, with nothing withheld */
	result = 0;
	memset(destination, 0, sizeof(destination));
	call(NULL);
	_exit(result_is_right() ? 0 : 2);
}

int main(void)
{
	unsigned long before;
	char subtest[80];
	size_t k, d;

	make_file();
	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		define_in_file('p', kinds[k].name, FILE_PATH, kinds[k].probe, "");
	enable_all();
	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (d = 0; d < ARRAY_SIZE(deeds); d++) {
			kind = &kinds[k];
			deed = &deeds[d];
			before = count(kind->name, "entries");
			snprintf(subtest, sizeof(subtest), "%s_while_%s", kind->name, deed->name);
			equal(in_child(try), 0, subtest);
			snprintf(subtest, sizeof(subtest), "%s_while_%s_are_two_hits", kind->name, deed->name);
			equal(count(kind->name, "entries") - before, 2, subtest);
		}
	}
	remove_all();
	return finish();
}

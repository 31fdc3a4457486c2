// SPDX-License-Identifier: GPL-2.0
/*
 * Are the slots in which displaced instructions execute enough for everyone,
 * and safe from the program?
 *
 * Seen to fail on stock: area_is_read_only_text (not readable there),
 * moving_is_refused, upon which the program is killed at its next hit.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>

#include "probes.h"

#define FILE_PATH	"/tmp/slots_are_sealed.code"
#define NR_SITES	300
#define NR_THREADS	70
#define SITE_SIZE	16

typedef int (*site_fn)(int x);

static char *code;

/* lea i(%rdi),%eax; ret: executed in a slot */
static void make_file(void)
{
	unsigned char site[SITE_SIZE] = { 0x8d, 0x87, 0, 0, 0, 0, 0xc3 };
	int fd = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC, 0755), i;

	must(fd >= 0);
	for (i = 0; i < NR_SITES; i++) {
		memcpy(site + 2, &i, sizeof(i));
		must(write(fd, site, sizeof(site)) == sizeof(site));
	}
	code = mmap(NULL, NR_SITES * SITE_SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	must(code != MAP_FAILED);
	close(fd);
}

static int call_site(int i, int x)
{
	return ((site_fn)(uintptr_t)(code + i * SITE_SIZE))(x);
}

static long call_all(int x)
{
	long sum = 0;
	int i;

	for (i = 0; i < NR_SITES; i++)
		sum += call_site(i, x);
	return sum;
}

#define ALL_SUM(x)	((long)NR_SITES * (NR_SITES - 1) / 2 + (long)NR_SITES * (x))

static void probe_all(void)
{
	int i;

	for (i = 0; i < NR_SITES; i++)
		must(!command("p:t/site %s:0x%x", FILE_PATH, i * SITE_SIZE));
	enable("site");
}

struct area {
	char *start;
	size_t len;
	char rights[8];
};

/* The first mapping called [uprobes], of @len bytes at least. */
static bool find_area_of(size_t len, struct area *area)
{
	unsigned long start, end;
	char line[512], rights[8];
	FILE *maps = fopen("/proc/self/maps", "r");
	bool found = false;

	while (!found && fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "[uprobes]") || sscanf(line, "%lx-%lx %7s", &start, &end, rights) != 3 ||
		    end - start < len)
			continue;
		area->start = (char *)start;
		area->len = end - start;
		strcpy(area->rights, rights);
		found = true;
	}
	fclose(maps);
	return found;
}

static bool find_area(struct area *area)
{
	return find_area_of(0, area);
}

static void many_sites_have_slots(void)
{
	unsigned long each[NR_SITES];
	int i, exact = 0;

	equal(call_all(1) + call_all(2), ALL_SUM(1) + ALL_SUM(2), "many_sites_compute_the_same");
	count_each("site", "entries", each, NR_SITES);
	for (i = 0; i < NR_SITES; i++)
		exact += each[i] == 2;
	equal(exact, NR_SITES, "many_sites_count_their_hits");
}

static void *call_from_thread(void *sum)
{
	*(long *)sum = call_all(3);
	return NULL;
}

static void many_threads_step_at_once(void)
{
	unsigned long before = count("site", "entries");
	pthread_t threads[NR_THREADS];
	long sums[NR_THREADS];
	int i, right = 0;

	for (i = 0; i < NR_THREADS; i++)
		must(!pthread_create(&threads[i], NULL, call_from_thread, &sums[i]));
	for (i = 0; i < NR_THREADS; i++) {
		pthread_join(threads[i], NULL);
		right += sums[i] == ALL_SUM(3);
	}
	equal(right, NR_THREADS, "many_threads_compute_the_same");
	equal(count("site", "entries") - before, (unsigned long)NR_THREADS * NR_SITES,
	      "many_threads_count_their_hits");
}

static sigjmp_buf escape;

static void escape_from_fault(int signal)
{
	siglongjmp(escape, signal);
}

/* What has never held a slot isn't there. */
static bool can_read(const char *at, uint64_t *word)
{
	struct sigaction action = { .sa_handler = escape_from_fault }, old;
	bool faulted;

	sigaction(SIGBUS, &action, &old);
	faulted = sigsetjmp(escape, 1);
	if (!faulted)
		*word = *(const volatile uint64_t *)at;
	sigaction(SIGBUS, &old, NULL);
	return !faulted;
}

/* Addresses of the kernel are what must not be there. */
static bool holds_only_code(const struct area *area)
{
	size_t i, pages = 0;
	uint64_t word;

	for (i = 0; i < area->len; i += 8) {
		if (!(i & 4095)) {
			if (!can_read(area->start + i, &word)) {
				i += 4088;
				continue;
			}
			pages++;
		}
		memcpy(&word, area->start + i, 8);
		if (word >> 47 == 0x1ffff && word != UINT64_MAX)
			return false;
	}
	note("%zu of %zu pages are there", pages, area->len / 4096);
	return pages > 0;
}

static bool can_write(char *at)
{
	struct sigaction action = { .sa_handler = escape_from_fault }, old;
	bool faulted;

	sigaction(SIGSEGV, &action, &old);
	faulted = sigsetjmp(escape, 1);
	if (!faulted)
		*(volatile char *)at = 0x90;
	sigaction(SIGSEGV, &old, NULL);
	return !faulted;
}

static void program_can_not_write(void)
{
	int self = open("/proc/self/mem", O_RDWR);
	struct area area = {};
	char byte = 0x90;

	check(find_area(&area), "area_is_named");
	check(!strncmp(area.rights, "r-xp", 4), "area_is_read_only_text");
	check(mprotect(area.start, area.len, PROT_READ | PROT_WRITE | PROT_EXEC) < 0, "mprotect_is_refused");
	check(!can_write(area.start), "stores_fault");
	check(mremap(area.start, area.len, area.len, MREMAP_MAYMOVE | MREMAP_FIXED,
		     (char *)0x600000000000) == MAP_FAILED, "moving_is_refused");
	note("write to /proc/self/mem: %zd", pwrite(self, &byte, 1, (uintptr_t)area.start));
	close(self);
	equal(call_all(4), ALL_SUM(4), "sites_work_whatever_was_tried");
}

static void area_holds_no_kernel_memory(void)
{
	struct area area = {};

	check(find_area(&area) && holds_only_code(&area), "area_holds_no_kernel_memory");
}

/* ---- in children: they may end badly ------------------------------------ */

static void child_calls(void)
{
	_exit(call_all(5) == ALL_SUM(5) ? 0 : 1);
}

static void child_unmaps(void)
{
	struct area area;

	while (find_area(&area))
		must(!munmap(area.start, area.len));
	_exit(call_all(5) == ALL_SUM(5) ? 0 : 1);
}

/* What it maps there is a program that adds 1,000. */
static void child_maps_over(void)
{
	struct area area;

	must(find_area(&area));
	must(mmap(area.start, area.len, PROT_READ | PROT_WRITE | PROT_EXEC,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area.start);
	memset(area.start, 0xf4, area.len);
	_exit(call_all(5) == ALL_SUM(5) && *(unsigned char *)area.start == 0xf4 ? 0 : 1);
}

/* More areas than may be lost. */
static void child_unmaps_again_and_again(void)
{
	struct area area;
	int i;

	for (i = 0; i < 100; i++) {
		call_site(i % 2, 5);
		if (!find_area(&area) || munmap(area.start, area.len))
			_exit(2);
	}
	_exit(call_all(5) == ALL_SUM(5) ? 0 : 1);
}

/* Of an area that it doesn't know, a program may hit any part. */
static void child_unmaps_a_part(void)
{
	struct area area;

	must(find_area_of(2 * 4096, &area));
	_exit(!munmap(area.start + 4096, 4096) && call_all(5) == ALL_SUM(5) ? 0 : 1);
}

static void child_maps_over_a_part(void)
{
	struct area area;
	char *at;

	must(find_area_of(2 * 4096, &area));
	at = area.start - 4096;
	if (mmap(at, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
		_exit(2);
	memset(at, 0xf4, 2 * 4096);
	_exit(call_all(5) == ALL_SUM(5) && *(unsigned char *)area.start == 0xf4 ? 0 : 1);
}

static void children_have_their_own(void)
{
	unsigned long before = count("site", "entries");

	equal(in_child(child_calls), 0, "forked_child_computes_the_same");
	equal(count("site", "entries") - before, NR_SITES, "forked_child_counts_its_hits");
	equal(in_child(child_unmaps), 0, "slots_survive_munmap");
	equal(in_child(child_maps_over), 0, "slots_survive_another_mapping_in_their_place");
	before = count("site", "entries");
	equal(in_child(child_unmaps_again_and_again), 0, "slots_survive_munmap_again_and_again");
	equal(count("site", "entries") - before, 100 + NR_SITES, "slots_come_again_and_again");
	equal(in_child(child_unmaps_a_part), 0, "slots_survive_munmap_of_a_part");
	equal(in_child(child_maps_over_a_part), 0, "slots_survive_another_mapping_over_a_part");
}

int main(void)
{
	struct area area;

	make_file();
	check(!find_area(&area), "area_comes_with_the_first_probe");
	probe_all();
	many_sites_have_slots();
	many_threads_step_at_once();
	area_holds_no_kernel_memory();
	program_can_not_write();
	children_have_their_own();
	remove_all();
	equal(call_all(6), ALL_SUM(6), "text_is_restored");
	equal(text_differs(getpid(), code), 0, "text_is_the_files");
	return finish();
}

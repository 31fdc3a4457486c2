// SPDX-License-Identifier: GPL-2.0
/*
 * What does a pouch cost, and what do callers in many places?
 *
 * A consumer with a pouch is a module (consumer/plain.c), given on the command
 * line; a kernel without pouches has none. Callers are 5,000 places in this
 * program that call malloc() of the C library, whose returns are counted. Run
 * only inside the virtual machine.
 */
#include "bench.h"

#include <fcntl.h>
#include <link.h>

/* ---- pouches ------------------------------------------------------------ */

static const char *module;

/* "mov", as in bench_hits.c */
void bench_callee(void);
__asm__(".pushsection .text\n.balign 64\n.globl bench_callee\nbench_callee: mov %rdi,%rax\nret\n.popsection\n");

static void call_often(void *unused, unsigned int times)
{
	(void)unused;
	while (times--)
		bench_callee();
}

static unsigned long parameter(const char *name)
{
	char path[100];
	unsigned long value;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/plain/parameters/%s", name);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%lu", &value) != 1)
		err(1, "%s", path);
	fclose(file);
	return value;
}

static bool insert(bool pouch)
{
	char text[sizeof(own_path) + 100];
	int fd = open(module, O_RDONLY | O_CLOEXEC);
	bool done;

	snprintf(text, sizeof(text), "path=%s offset=0x%" PRIx64 " pouch=%d", own_path, file_offset(bench_callee), pouch);
	done = fd >= 0 && !syscall(SYS_finit_module, fd, text, 0);
	close(fd);
	return done;
}

static void measure_pouch(bool pouch, const char *subject)
{
	const struct work work = { .run = call_often };

	if (!insert(pouch)) {
		refused("pouch", subject, "return");
		return;
	}
	measure("pouch", subject, "return", &work, hits);
	if (parameter("returns") != (unsigned long)hits * rounds || parameter("wrong"))
		errx(1, "pouch of %s bytes: %lu of %u returns, %lu wrong", subject, parameter("returns"),
		     hits * rounds, parameter("wrong"));
	if (syscall(SYS_delete_module, "plain", 0))
		err(1, "delete_module");
}

static void measure_pouches(void)
{
	measure_pouch(false, "0");
	measure_pouch(true, "64");
}

/* ---- callers ------------------------------------------------------------ */

#define NR_CALLERS	5000

void call_from_everywhere(void);
void call_from_one_place(unsigned int times);
__asm__(".pushsection .text\n.balign 4096\n"
	"call_from_everywhere:\n"
	"push %rbx\n"
	".rept " VALUE_OF(NR_CALLERS) "\n"
	"mov $16,%edi\ncall malloc@plt\nmov %rax,%rdi\ncall free@plt\n"
	".endr\n"
	"pop %rbx\nret\n"
	"call_from_one_place:\n"
	"push %rbx\nmov %edi,%ebx\n"
	"1: mov $16,%edi\ncall malloc@plt\nmov %rax,%rdi\ncall free@plt\n"
	"dec %ebx\njnz 1b\n"
	"pop %rbx\nret\n.popsection\n");

static void run_everywhere(void *unused, unsigned int unused_too)
{
	(void)unused;
	(void)unused_too;
	call_from_everywhere();
}

static void run_in_one_place(void *unused, unsigned int times)
{
	(void)unused;
	call_from_one_place(times);
}

static struct perf_event_attr malloc_returns = { .config = AT_RETURN };

static int find_malloc(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	if (!strstr(info->dlpi_name, "libc.so"))
		return 0;
	malloc_returns.uprobe_path = (unsigned long)info->dlpi_name;
	malloc_returns.probe_offset = file_offset(malloc);
	return 1;
}

/* In kB, of the whole machine, where nothing else runs. */
static long kernel_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[200];
	long kb = -1;

	if (!file)
		err(1, "/proc/meminfo");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "SUnreclaim: %ld", &kb) == 1)
			break;
	fclose(file);
	return kb;
}

static void measure_first_round(void)
{
	const struct work everywhere = { .run = run_everywhere };
	long slabs = kernel_memory();
	unsigned int usual = rounds;

	rounds = 1;
	measure("callers", VALUE_OF(NR_CALLERS), "first", &everywhere, NR_CALLERS);
	rounds = usual;
	printf("fact callers " VALUE_OF(NR_CALLERS) " slabs %ld\n", kernel_memory() - slabs);
	printf("fact callers " VALUE_OF(NR_CALLERS) " copied %ld\n", copied_kb(call_from_everywhere));
}

static void measure_callers(void)
{
	const struct work everywhere = { .run = run_everywhere };
	const struct work one_place = { .run = run_in_one_place };
	uint64_t expected = (uint64_t)NR_CALLERS * (2 * rounds + 1);
	int fd;

	dl_iterate_phdr(find_malloc, NULL);
	if (!malloc_returns.uprobe_path)
		errx(1, "where is malloc()?");
	malloc_returns.type = pmu_type();
	call_from_everywhere();
	measure("callers", VALUE_OF(NR_CALLERS), "plain", &everywhere, NR_CALLERS);
	measure("callers", "1", "plain", &one_place, NR_CALLERS);
	fd = open_event(&malloc_returns, 0);
	if (fd < 0)
		err(1, "perf_event_open");
	measure_first_round();
	measure("callers", VALUE_OF(NR_CALLERS), "again", &everywhere, NR_CALLERS);
	measure("callers", "1", "again", &one_place, NR_CALLERS);
	/* printf() and fopen() may have called it, too */
	if (read_count(fd) < expected || read_count(fd) > expected + 20)
		errx(1, "%" PRIu64 " of %" PRIu64 " returns were counted", read_count(fd), expected);
	close(fd);
}

/* usage: bench_returns HITS ROUNDS MODULE PART… */
int main(int argc, char **argv)
{
	int i;

	start_bench(argc, argv, 300);
	module = argv[3];
	for (i = 4; i < argc; i++) {
		if (!strcmp(argv[i], "pouch"))
			measure_pouches();
		else if (!strcmp(argv[i], "callers"))
			measure_callers();
		else
			errx(2, "what is '%s'?", argv[i]);
	}
	return 0;
}

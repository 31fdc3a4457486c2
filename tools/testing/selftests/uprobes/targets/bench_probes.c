// SPDX-License-Identifier: GPL-2.0
/*
 * What do many probes in one file cost: to make and remove them, whoever hits one, and whoever isn't wanted?
 * And to make and remove them in many processes?
 *
 * The file is this program, which has 10,000 small functions. Single probes are
 * perf events on the PMU "uprobe"; crowds are one BPF link, since to close 10,000
 * perf events takes stock minutes. Run only inside the virtual machine.
 */
#include "bench.h"
#include "../bpf_link.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
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

struct crowd {
	unsigned int first, count;
	int pid;
	int link;
};

static int link_crowd(struct crowd *crowd)
{
	static int program = -1;

	if (program < 0)
		program = load_empty_program();
	if (program < 0)
		err(1, "BPF program");
	return link_places(program, own_path, offsets + crowd->first, crowd->count, crowd->pid);
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

/* @pid: NULL for the own process */
static void open_events(void *pid, unsigned int times)
{
	while (times--) {
		events[times] = open_probe(offsets[times], AT_ENTRY, pid ? *(int *)pid : 0);
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

/* ---- events of tracefs -------------------------------------------------- */

#define TRACING		"/sys/kernel/tracing/"

static void write_text(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags);

	if (fd < 0 || (*text && write(fd, text, strlen(text)) != (ssize_t)strlen(text)))
		err(1, "%s", path);
	close(fd);
}

static void define_events(const char *scope)
{
	char line[4200];
	unsigned int n;

	for (n = 0; n < ARRAY_SIZE(events); n++) {
		snprintf(line, sizeof(line), "p%s:crowd/e%u %s:0x%" PRIx64 "\n", scope, n, own_path,
			 offsets[n]);
		write_text(TRACING "uprobe_events", O_APPEND, line);
	}
}

static void switch_events(void *on, unsigned int unused)
{
	(void)unused;
	write_text(TRACING "events/crowd/enable", 0, on ? "1" : "0");
}

static uint64_t number_of_event(unsigned int n)
{
	char path[256];
	uint64_t number;
	FILE *file;

	snprintf(path, sizeof(path), TRACING "events/crowd/e%u/id", n);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%" SCNu64, &number) != 1)
		err(1, "%s", path);
	fclose(file);
	return number;
}

static void open_by_number(void *pid, unsigned int times)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT };

	while (times--) {
		attr.config = number_of_event(times);
		events[times] = open_event(&attr, *(int *)pid);
		if (events[times] < 0)
			err(1, "perf_event_open");
	}
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

static void measure_unwanted_beside(const char *subject)
{
	int file = open(own_path, O_RDONLY | O_CLOEXEC);
	const struct work calling = { .run = call_first };
	const struct work mapping = { .run = map_file, .data = &file };
	const struct work forking = { .run = fork_once, .prepare = child_is_gone };

	measure("unwanted", subject, "call", &calling, hits);
	measure("unwanted", subject, "mmap", &mapping, 1);
	measure("unwanted", subject, "fork", &forking, 1);
	child_is_gone(NULL);
	printf("fact unwanted %s pages %ld\n", subject, copied_kb(places) * 1024 / getpagesize());
	close(file);
}

static void measure_unwanted(void)
{
	int pid = start_wanted();
	struct crowd all = { .count = NR_PLACES, .pid = pid, .link = -1 };

	/* what attaching takes of this process's memory is copied by each fork from then on */
	attach_crowd(&all, 0);
	detach_crowd(&all, 0);
	measure_unwanted_beside("0");
	attach_crowd(&all, 0);
	measure_unwanted_beside(VALUE_OF(NR_PLACES));
	detach_crowd(&all, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Another process has them open: to copy a thousand descriptors would make each fork here dearer. */
static int start_holder(void (*open_all)(void *pid, unsigned int times), int wanted)
{
	int ready[2], pid;
	char byte = 0;

	if (pipe2(ready, O_CLOEXEC))
		err(1, "pipe");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		open_all(&wanted, ARRAY_SIZE(events));
		if (write(ready[1], &byte, 1) != 1)
			err(1, "pipe");
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		errx(1, "the holder has failed");
	close(ready[0]);
	return pid;
}

static void end_process(int pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void measure_beside_holder(const char *subject, void (*open_all)(void *pid, unsigned int times), int wanted)
{
	int holder = start_holder(open_all, wanted);

	measure_unwanted_beside(subject);
	end_process(holder);
}

/* The same beside perf events: of the PMU, and those that use events of tracefs; and beside events of another user's. */
static void measure_unwanted_events(void)
{
	int pid = start_wanted(), on = 1;

	measure_beside_holder("pmu", open_events, pid);
	define_events("");
	measure_beside_holder("tracefs", open_by_number, pid);
	write_text(TRACING "uprobe_events", O_TRUNC, "");
	end_process(pid);
	define_events("@uid=54321");
	switch_events(&on, 0);
	measure_unwanted_beside("scope");
	switch_events(NULL, 0);
	write_text(TRACING "uprobe_events", O_TRUNC, "");
}

/* ---- the same beside what a user without privilege has ------------------- */

#define USER		1000
#define OTHER_USER	1001
#define USER_HITS	1000000

static void become_user(int user)
{
	if (setresgid(user, user, user) || setresuid(user, user, user) || prctl(PR_SET_DUMPABLE, 1))
		err(1, "user %d", user);
}

static void open_as_user(void *pid, unsigned int times)
{
	become_user(USER);
	exclude_kernel = 1;
	open_events(pid, times);
}

/* Says when it is ready; then calls what is probed, and says so, whenever it is asked to. */
static void be_hit(int in, int out)
{
	char byte = 0;

	become_user(USER);
	while (write(out, &byte, 1) == 1 && read(in, &byte, 1) == 1)
		call_first(NULL, USER_HITS);
	_exit(0);
}

static int start_users_process(int to[2], int from[2])
{
	char byte;
	int pid;

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		err(1, "pipe");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		close(to[1]);
		be_hit(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	if (read(from[0], &byte, 1) != 1)
		errx(1, "the user's process has failed");
	return pid;
}

/* It tells by its status how many sections there are more. */
static void measure_as_other_user(const char *subject)
{
	unsigned int first = next_section;
	int pid, status;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		become_user(OTHER_USER);
		measure_unwanted_beside(subject);
		fflush(stdout);
		_exit(next_section - first);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || !WEXITSTATUS(status))
		errx(1, "the other user's process has failed");
	next_section += WEXITSTATUS(status);
}

static void measure_unwanted_by_user(void)
{
	int to[2], from[2], pid = start_users_process(to, from), holder;
	char byte = 0;

	write_text("/proc/sys/kernel/perf_event_paranoid", 0, "2");
	measure_as_other_user("no-user");
	holder = start_holder(open_as_user, pid);
	if (write(to[1], &byte, 1) != 1 || read(from[0], &byte, 1) != 1)
		errx(1, "the user's process has died");
	measure_unwanted_beside("user");
	measure_as_other_user("other-user");
	end_process(holder);
	end_process(pid);
	close(to[1]);
	close(from[0]);
}

/* ---- many processes ----------------------------------------------------- */

#define NR_PROCESSES	50

static int processes[NR_PROCESSES];

/* Every other one is a child that has been copied, the others have started anew. */
static int start_process(bool anew)
{
	int started[2], pid;
	char byte;

	if (pipe2(started, O_CLOEXEC))
		err(1, "pipe");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		if (anew)
			execl(own_path, own_path, "wait", NULL);
		close(started[1]);
		for (;;)
			pause();
	}
	close(started[1]);
	/* closed by exec, or by hand */
	if (read(started[0], &byte, 1))
		errx(1, "a process that waits has something to say");
	close(started[0]);
	return pid;
}

static void start_processes(void)
{
	int i;

	for (i = 0; i < NR_PROCESSES; i++)
		processes[i] = start_process(i & 1);
}

static void end_processes(void)
{
	int i;

	for (i = 0; i < NR_PROCESSES; i++) {
		kill(processes[i], SIGKILL);
		waitpid(processes[i], NULL, 0);
	}
}

static void open_for_all(void *unused, unsigned int times)
{
	struct perf_event_attr attr = { .type = pmu_type(), .uprobe_path = (unsigned long)own_path };

	(void)unused;
	attr.size = sizeof(attr);
	while (times--) {
		attr.probe_offset = offsets[times];
		events[times] = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
		if (events[times] < 0)
			err(1, "perf_event_open");
	}
}

/* Once: what was attached must be detached first. */
static void measure_crowd_by(const char *subject, const struct work *attaching, const struct work *detaching)
{
	long copied;

	measure_slowly("crowd", subject, "attach", attaching, ARRAY_SIZE(events), 1);
	copied = copied_kb(places);
	measure_slowly("crowd", subject, "detach", detaching, ARRAY_SIZE(events), 1);
	printf("fact crowd %s pages %ld\n", subject, copied * 1024 / getpagesize());
	if (copied_kb(places))
		errx(1, "%s: %ld kB of the file are still copied", subject, copied_kb(places));
}

static void measure_crowd_of_processes(void)
{
	struct crowd crowd = { .count = ARRAY_SIZE(events), .link = -1 };
	const struct work attach_link = { .run = attach_crowd, .data = &crowd };
	const struct work detach_link = { .run = detach_crowd, .data = &crowd };
	const struct work switch_on = { .run = switch_events, .data = &crowd };
	const struct work switch_off = { .run = switch_events };
	const struct work open_all = { .run = open_for_all };
	const struct work close_all = { .run = close_events };

	start_processes();
	measure_crowd_by("link", &attach_link, &detach_link);
	define_events("");
	measure_crowd_by("tracefs", &switch_on, &switch_off);
	write_text(TRACING "uprobe_events", O_TRUNC, "");
	measure_crowd_by("perf", &open_all, &close_all);
	end_processes();
}

int main(int argc, char **argv)
{
	const struct rlimit files = { 4096, 4096 };
	unsigned int n;
	int i;

	if (argc == 2 && !strcmp(argv[1], "wait"))
		for (;;)
			pause();
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
		else if (!strcmp(argv[i], "unwanted_events"))
			measure_unwanted_events();
		else if (!strcmp(argv[i], "unwanted_by_user"))
			measure_unwanted_by_user();
		else if (!strcmp(argv[i], "crowd"))
			measure_crowd_of_processes();
		else
			errx(2, "what is '%s'?", argv[i]);
	}
	return 0;
}

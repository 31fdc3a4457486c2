// SPDX-License-Identifier: GPL-2.0
/*
 * Does anybody wait for a page that somebody else withholds?
 *
 * A file server (FUSE) withholds the page that a probe lies in, while the probe is registered, or while a process
 * that maps the file brings its sites in line, or a function is about to return there; a program reads such a page
 * of itself, or drops it; and a program withholds the page of an argument (userfaultfd) at a hit, or the one to which
 * BPF copies the name of a file. Meanwhile others fork, register and unregister elsewhere, define and remove events:
 * all of that has to end while the page is still withheld. Whoever wanted the page gets it in the end, and then every call is counted.
 *
 * No time is measured: a watchdog that ends the waiting is what fails.
 *
 * Seen to fail when the page was waited for under event_mutex, or a walk waited for an mmap_lock under which somebody
 * waited for the page: nobody else registered or unregistered meanwhile. When the name went with its probe, what was
 * copied was no name any more. On stock forks wait, too.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "bpf_link.h"
#include "fuse_server.h"

#define NR_FORKS	200
#define NR_REGISTRATIONS 20
#define PATIENCE	60	/* seconds */
#define USER		1000

#ifdef __i386__
#define FIRST_ARGUMENT	"+4(%sp)"
#else
#define FIRST_ARGUMENT	"%di"
#endif

static PROBED int elsewhere(int x)
{
	return x + 3;
}

static PROBED int leaves(int x)
{
	return x + 1;
}

static PROBED unsigned long takes_string(const char *s)
{
	return (unsigned long)s + 1;
}

/* ---- what must not wait ------------------------------------------------- */

static int open_pmu(const char *path, unsigned long offset, pid_t pid, int cpu)
{
	char *type = read_file("/sys/bus/event_source/devices/uprobe/type", NULL);
	struct perf_event_attr attr = {
		.type = atoi(type), .size = sizeof(attr), .config1 = (unsigned long)path, .config2 = offset,
		.exclude_kernel = 1,
	};

	free(type);
	return syscall(SYS_perf_event_open, &attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static void fork_often(void)
{
	int i, status;
	pid_t pid;

	for (i = 0; i < NR_FORKS; i++) {
		pid = fork();
		must(pid >= 0);
		if (!pid)
			_exit(elsewhere(4));
		must(waitpid(pid, &status, 0) == pid);
	}
}

static void switch_often(void)
{
	int i;

	for (i = 0; i < NR_REGISTRATIONS; i++) {
		enable("elsewhere");
		elsewhere(i);
		disable("elsewhere");
	}
}

static void open_often(void)
{
	struct place place = place_of((const void *)elsewhere);
	int i, fd;

	for (i = 0; i < NR_REGISTRATIONS; i++) {
		fd = open_pmu(place.path, place.offset, i & 1 ? 0 : -1, i & 1 ? -1 : 0);
		must(fd >= 0);
		elsewhere(i);
		close(fd);
	}
}

static void define_often(void)
{
	int i;

	for (i = 0; i < NR_REGISTRATIONS; i++) {
		define('p', "defined", (const void *)elsewhere, "");
		must(!command("-:t/defined"));
	}
}

/* Another place of the file, whose page is there. */
static void open_beside(void)
{
	int i, fd;

	for (i = 0; i < NR_REGISTRATIONS; i++) {
		fd = open_pmu(FUSE_FILE, ADDS_ONE, -1, 0);
		must(fd >= 0);
		close(fd);
	}
}

static const struct {
	const char *name;
	void (*act)(void);
} others[] = {
	{ "forks", fork_often },
	{ "switching_events", switch_often },
	{ "opening_and_closing_perf_events", open_often },
	{ "defining_events", define_often },
	{ "probing_another_page", open_beside },
};

/* ---- what may wait ------------------------------------------------------ */

struct activity {
	void (*act)(void);
	volatile bool done;
	pthread_t thread;
};

static void *be_active(void *data)
{
	struct activity *activity = data;

	activity->act();
	activity->done = true;
	return NULL;
}

static void begin(struct activity *activity, void (*act)(void))
{
	*activity = (struct activity){ .act = act };
	must(!pthread_create(&activity->thread, NULL, be_active, activity));
}

/* Return: was it done before @end? */
static bool wait_until_done(const struct activity *activity, time_t end)
{
	while (!activity->done && time(NULL) < end)
		usleep(10000);
	return activity->done;
}

static void end(struct activity *activity)
{
	pthread_join(activity->thread, NULL);
}

/* All at once: one that waits shall not be blamed on another. */
static void nobody_waits(const char *what, void (*release)(void))
{
	struct activity activities[ARRAY_SIZE(others)];
	bool done[ARRAY_SIZE(others)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(others); i++)
		begin(&activities[i], others[i].act);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		done[i] = wait_until_done(&activities[i], time(NULL) + PATIENCE);
	release();
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		end(&activities[i]);
		check(done[i], "%s_doesnt_delay_%s", what, others[i].name);
	}
}

/* ---- a process that maps the file --------------------------------------- */

static int to_mapper[2], from_mapper[2];
static pid_t mapper;

static int ask_mapper(char question)
{
	int answer = -1;

	if (question)
		must(write(to_mapper[1], &question, 1) == 1);
	must(read(from_mapper[0], &answer, sizeof(answer)) == sizeof(answer));
	return answer;
}

static void tell_mapper(char question)
{
	must(write(to_mapper[1], &question, 1) == 1);
}

static int read_self(const char *at)
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	char byte = 0;

	must(fd >= 0 && pread(fd, &byte, 1, (uintptr_t)at) == 1);
	close(fd);
	return byte;
}

/* leaves(@x) returns to @target, which returns here. */
static int return_through(const char *target, long x)
{
	int result = 0;

	asm volatile("sub $128, %%rsp\n\tlea 1f(%%rip), %%rax\n\tpush %%rax\n\tpush %[target]\n\t"
		     "jmp *%[leaves]\n1:\tadd $128, %%rsp"
		     : "=&a" (result), "+D" (x) : [target] "r" (target), [leaves] "r" (leaves)
		     : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
	return result;
}

static int answer_question(char question)
{
	static char *code;

	switch (question) {
	case 'm':
		code = map_code(FUSE_FILE, NULL, 0, CODE_PAGES, PROT_READ | PROT_EXEC, MAP_PRIVATE);
		return 0;
	case 's':
		return read_self(code + ADDS_TWO);
	case 'd':
		must(!madvise(code + PAGE, PAGE, MADV_DONTNEED));
		return call_code(code, ADDS_TWO, 40);
	case 'r':
		return return_through(code + ADDS_TWO, 40);
	case '1':
		return call_code(code, ADDS_ONE, 40);
	}
	return call_code(code, ADDS_TWO, 40);
}

static void be_mapper(void)
{
	char question;
	int answer;

	while (read(to_mapper[0], &question, 1) == 1) {
		answer = answer_question(question);
		must(write(from_mapper[1], &answer, sizeof(answer)) == sizeof(answer));
	}
	_exit(0);
}

static bool mapper_is_a_users;

static void start_mapper(void)
{
	must(!pipe2(to_mapper, O_CLOEXEC) && !pipe2(from_mapper, O_CLOEXEC));
	mapper = fork();
	must(mapper >= 0);
	if (!mapper) {
		close(to_mapper[1]);
		if (mapper_is_a_users)
			must(!setresgid(USER, USER, USER) && !setresuid(USER, USER, USER) &&
			     !prctl(PR_SET_DUMPABLE, 1));
		be_mapper();
	}
	close(to_mapper[0]);
	close(from_mapper[1]);
}

static void stop_mapper(void)
{
	close(to_mapper[1]);
	close(from_mapper[0]);
	waitpid(mapper, NULL, 0);
}

/* The page with ADDS_ONE is there. */
static void cache_first_page(void)
{
	int fd = open(FUSE_FILE, O_RDONLY | O_CLOEXEC);
	char byte;

	must(fd >= 0 && pread(fd, &byte, 1, 0) == 1);
	close(fd);
}

/* ---- registering -------------------------------------------------------- */

static int perf_fd;

static void enable_two(void)
{
	enable("two");
}

static void open_two(void)
{
	perf_fd = open_pmu(FUSE_FILE, ADDS_TWO, mapper, -1);
}

/* This thread alone is the user's, and ends then. */
static void open_two_as_user(void)
{
	must(!syscall(SYS_setresgid, USER, USER, USER) && !syscall(SYS_setresuid, USER, USER, USER));
	open_two();
}

static void give_time(void)
{
	int i;

	for (i = 0; i < PATIENCE * 100 && !fuse_is_withholding(); i++)
		usleep(10000);
}

/* Else nobody would have to wait for anything. */
static void wait_for_question(const char *what)
{
	give_time();
	check(fuse_is_withholding(), "%s_asks_for_it", what);
}

static void registration_stalls_nobody(const char *what, void (*act)(void), bool is_event)
{
	struct activity registration;
	uint64_t hits = 0;

	start_mapper();
	fuse_withhold(1);
	cache_first_page();
	ask_mapper('m');
	begin(&registration, act);
	/* to switch an event on leaves it to whoever needs the page */
	if (is_event) {
		check(wait_until_done(&registration, time(NULL) + PATIENCE), "%s_doesnt_wait_itself", what);
		tell_mapper('c');
	}
	wait_for_question(what);
	nobody_waits(what, fuse_release);
	end(&registration);
	equal(ask_mapper(is_event ? 0 : 'c'), 42, "%s_leaves_the_program_alone", what);
	if (is_event)
		hits = count("two", "entries");
	else
		must(read(perf_fd, &hits, sizeof(hits)) == sizeof(hits));
	equal(hits, 1, "%s_is_there_when_the_page_is", what);
	stop_mapper();
	if (is_event)
		disable("two");
	else
		close(perf_fd);
}

static void mapping_stalls_nobody(void)
{
	unsigned long before = count("two", "entries");

	fuse_withhold(1);
	cache_first_page();
	enable("two");
	start_mapper();
	tell_mapper('m');
	wait_for_question("mapping_a_withheld_page");
	nobody_waits("mapping_a_withheld_page", fuse_release);
	ask_mapper(0);
	equal(ask_mapper('c'), 42, "mapping_a_withheld_page_leaves_the_program_alone");
	equal(count("two", "entries") - before, 1, "mapped_page_is_probed_when_it_is_there");
	stop_mapper();
	disable("two");
}

static bool mapper_answers(void)
{
	struct pollfd answer = { .fd = from_mapper[0], .events = POLLIN };

	return poll(&answer, 1, PATIENCE * 1000) == 1;
}

/* Several places wait, each for a page of its own, and none of them comes. */
static void pages_that_fail_end_no_program(void)
{
	bool answers;

	fuse_fail();
	enable("two");
	enable("three");
	start_mapper();
	tell_mapper('m');
	answers = mapper_answers();
	check(answers, "who_maps_pages_that_cant_be_read_goes_on");
	if (!answers)
		kill(mapper, SIGKILL);
	equal(count("two", "install"), 1, "page_that_cant_be_read_is_counted_once");
	equal(count("three", "install"), 1, "and_so_is_another_one");
	stop_mapper();
	disable("two");
	disable("three");
	fuse_recover();
}

/* ---- programs that wait themselves -------------------------------------- */

static void enable_one(void)
{
	enable("one");
}

static void disable_two(void)
{
	disable("two");
}

static void disable_leaves(void)
{
	disable("leaves");
}

/* The mapper waits, for @deed. Meanwhile others @act in it. */
static void waiting_program_stalls_nobody(const char *what, char deed, void (*act)(void))
{
	struct activity acting;

	tell_mapper(deed);
	give_time();
	check(fuse_is_withholding(), "%s_waits", what);
	begin(&acting, act);
	check(wait_until_done(&acting, time(NULL) + PATIENCE), "%s_doesnt_delay_who_probes_it", what);
	nobody_waits(what, fuse_release);
	end(&acting);
}

/* With its own mmap_lock. */
static void reader_stalls_nobody(void)
{
	start_mapper();
	fuse_withhold(1);
	cache_first_page();
	ask_mapper('m');
	waiting_program_stalls_nobody("a_program_that_reads_a_withheld_page", 's', enable_one);
	equal(ask_mapper(0), 0x8d - 0x100, "program_has_read_its_page");
	equal(ask_mapper('1'), 41, "program_that_waited_computes_the_same");
	equal(count("one", "entries"), 1, "program_that_waited_is_probed");
	stop_mapper();
	disable("one");
}

static void dropped_page_stalls_nobody(void)
{
	unsigned long before = count("two", "entries");

	enable("two");
	start_mapper();
	ask_mapper('m');
	equal(ask_mapper('c'), 42, "page_is_there_before_it_is_dropped");
	fuse_withhold(1);
	waiting_program_stalls_nobody("a_program_that_drops_a_page", 'd', disable_two);
	equal(ask_mapper(0), 42, "program_that_dropped_a_page_computes_the_same");
	equal(count("two", "entries") - before, 1, "page_that_is_dropped_has_no_probe_left");
	stop_mapper();
}

static void return_stalls_nobody(void)
{
	define('r', "leaves", (const void *)leaves, "");
	enable("leaves");
	start_mapper();
	fuse_withhold(1);
	cache_first_page();
	ask_mapper('m');
	waiting_program_stalls_nobody("a_return_to_a_withheld_page", 'r', disable_leaves);
	equal(ask_mapper(0), 42, "return_to_a_withheld_page_computes_the_same");
	/* the event has gone while the call was opened */
	check(is_balanced("leaves"), "return_to_a_withheld_page_is_accounted_for");
	stop_mapper();
}

/* ---- an argument -------------------------------------------------------- */

static char *missing;
static int fault_fd;

static void withhold_argument(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	missing = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fault_fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	must(fault_fd >= 0 && !ioctl(fault_fd, UFFDIO_API, &api));
	range.range.start = (unsigned long)missing;
	range.range.len = PAGE;
	must(!ioctl(fault_fd, UFFDIO_REGISTER, &range));
}

static void release_argument(void)
{
	char page[PAGE] __attribute__((aligned(PAGE))) = "here it is";
	struct uffdio_copy copy = { .dst = (unsigned long)missing, .src = (unsigned long)page, .len = PAGE };

	must(!ioctl(fault_fd, UFFDIO_COPY, &copy));
}

static void wait_for_fault(void)
{
	struct pollfd wait = { .fd = fault_fd, .events = POLLIN };
	struct uffd_msg message;

	must(poll(&wait, 1, PATIENCE * 1000) == 1);
	must(read(fault_fd, &message, sizeof(message)) == sizeof(message));
}

static unsigned long string_result;

static void hit(void)
{
	string_result = takes_string(missing);
}

/* Another event at the same place: the thread that waits there has met it, too. */
static void leave(void)
{
	disable("beside");
	enable("beside");
	disable("beside");
}

static void argument_stalls_nobody(void)
{
	struct activity hitting, leaving;
	char *text;
	bool left;

	define('p', "string", (const void *)takes_string, "s=+0(" FIRST_ARGUMENT "):string");
	define('p', "beside", (const void *)takes_string, "");
	enable("string");
	enable("beside");
	withhold_argument();
	begin(&hitting, hit);
	wait_for_fault();
	begin(&leaving, leave);
	left = wait_until_done(&leaving, time(NULL) + PATIENCE);
	check(left, "withheld_argument_doesnt_delay_who_leaves_its_place");
	check(!hitting.done, "thread_waits_for_its_argument");
	nobody_waits("a_withheld_argument", release_argument);
	end(&leaving);
	end(&hitting);
	equal(string_result, (unsigned long)missing + 1, "withheld_argument_leaves_the_program_alone");
	text = read_file(TRACING "trace", NULL);
	check(strstr(text, "s=\"here it is\""), "withheld_argument_is_recorded_when_it_is_there");
	free(text);
	equal(count("string", "entries"), 1, "withheld_argument_is_one_hit");
	disable("string");
	close(fault_fd);
}

static void waiting_thread_can_be_killed(void)
{
	pid_t pid;
	int status;

	enable("string");
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		withhold_argument();
		takes_string(missing);
		_exit(0);
	}
	usleep(300000);
	kill(pid, SIGKILL);
	must(waitpid(pid, &status, 0) == pid);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "thread_that_waits_can_be_killed");
	disable("string");
}

/* ---- a name ------------------------------------------------------------- */

static int named_fd;

/* Of an event that a command has made, with a BPF program. */
static int open_named(const char *event)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	char path[128], *id;
	int fd;

	snprintf(path, sizeof(path), TRACING "events/t/%s/id", event);
	id = read_file(path, NULL);
	attr.config = atoi(id);
	free(id);
	fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	must(fd >= 0 && !ioctl(fd, PERF_EVENT_IOC_SET_BPF, load_empty_program()));
	return fd;
}

static void ask_for_name(void)
{
	must(!query_name(named_fd, missing, PAGE));
}

/* The probe that is named goes while its name is copied. */
static void name_outlives_its_probe(void)
{
	struct place place = place_of((const void *)takes_string);
	struct activity asking;

	define('p', "named", (const void *)takes_string, "");
	define('p', "named", (const void *)elsewhere, "");
	named_fd = open_named("named");
	withhold_argument();
	begin(&asking, ask_for_name);
	wait_for_fault();
	must(!command("-:t/named %s:0x%lx", place.path, place.offset));
	release_argument();
	end(&asking);
	check(!strcmp(missing, place.path), "name_outlives_its_probe");
	must(!query_name(named_fd, missing, PAGE));
	check(!strcmp(missing, place.path), "the_next_probe_has_its_name");
	close(named_fd);
	close(fault_fd);
}

int main(void)
{
	fuse_start();
	must(!write_file("/proc/sys/kernel/perf_event_paranoid", 0, "2"));
	define('p', "elsewhere", (const void *)elsewhere, "");
	define_in_file('p', "one", FUSE_FILE, ADDS_ONE, "");
	define_in_file('p', "two", FUSE_FILE, ADDS_TWO, "");
	define_in_file('p', "three", FUSE_FILE, ADDS_THREE, "");
	registration_stalls_nobody("enabling_an_event_on_a_withheld_page", enable_two, true);
	registration_stalls_nobody("opening_a_perf_event_on_a_withheld_page", open_two, false);
	mapper_is_a_users = true;
	registration_stalls_nobody("a_user_who_opens_one_there", open_two_as_user, false);
	mapper_is_a_users = false;
	mapping_stalls_nobody();
	pages_that_fail_end_no_program();
	reader_stalls_nobody();
	dropped_page_stalls_nobody();
	return_stalls_nobody();
	argument_stalls_nobody();
	waiting_thread_can_be_killed();
	name_outlives_its_probe();
	remove_all();
	fuse_stop();
	return finish();
}

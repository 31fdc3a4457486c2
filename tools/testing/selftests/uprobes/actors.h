/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Actors: copies of a test that run as some user and do what they are told, one line at a time. Some open perf
 * events, others are probed. The test includes this, defines PROGRAM as the path of the copies, and calls run_actor()
 * if its first argument is "act".
 */
#include <ctype.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "../../../../include/uapi/linux/uprobes.h"
#include "code_file.h"

#define USER		1000
#define OTHER		1001
#define MAX_FDS		4200

/* read when it is called, at a displacement from the instruction */
static volatile int target_data = 3;

/* in the file, as sections of semaphores are */
static volatile unsigned short semaphores[2] __attribute__((section(".data")));

static PROBED long target(long x)
{
	return x + target_data;
}

/* May it not be dumped any more, is its own breakpoint there when it goes on? */
static UNUSED PROBED long hides_inside(void)
{
	const volatile unsigned char *self = (const volatile unsigned char *)(uintptr_t)hides_inside;

	if (*self != 0xcc)
		return -EBADMSG;
	return prctl(PR_SET_DUMPABLE, 0) ? -errno : *self == 0xcc;
}

/* ---- actors --------------------------------------------------------------- */

static int fds[MAX_FDS], nr_fds;

static bool is_event(int i)
{
	return i >= 0 && i < nr_fds;
}

static int pmu_type(void)
{
	static int type;
	char *text;

	if (!type) {
		text = read_file("/sys/bus/event_source/devices/uprobe/type", NULL);
		type = text ? atoi(text) : -1;
		free(text);
	}
	return type;
}

/* Returns the number of the event, or -errno. */
static int keep(struct perf_event_attr *attr, int pid, int cpu, unsigned long flags)
{
	int fd = syscall(SYS_perf_event_open, attr, pid, cpu, -1, flags);

	if (fd < 0)
		return -errno;
	if (nr_fds == MAX_FDS) {
		close(fd);
		return -ENFILE;
	}
	fds[nr_fds] = fd;
	return nr_fds++;
}

static struct perf_event_attr new_attr(void)
{
	return (struct perf_event_attr){
		.type = pmu_type(), .size = sizeof(struct perf_event_attr), .exclude_kernel = 1,
	};
}

/* pid cpu config offset path */
static int open_place(char *args)
{
	struct perf_event_attr attr = new_attr();
	unsigned long long config, offset;
	char path[256];
	int pid, cpu;

	if (sscanf(args, "%d %d %llx %llx %255s", &pid, &cpu, &config, &offset, path) != 5)
		return -EBADMSG;
	attr.config = config;
	attr.config1 = (uintptr_t)path;
	attr.config2 = offset;
	return keep(&attr, pid, cpu, PERF_FLAG_FD_CLOEXEC);
}

/*
 * pid first nr pages path: so many places, of a file each of whose pages begins with instructions of one byte. How many
 * of them may one have?
 */
static int open_places(char *args)
{
	struct perf_event_attr attr = new_attr();
	int pid, first, nr, pages, i, answer, opened = 0;
	char path[256];

	if (sscanf(args, "%d %d %d %d %255s", &pid, &first, &nr, &pages, path) != 5)
		return -EBADMSG;
	attr.config1 = (uintptr_t)path;
	for (i = first; i < first + nr; i++) {
		attr.config2 = i % pages * 4096UL + i / pages;
		answer = keep(&attr, pid, -1, PERF_FLAG_FD_CLOEXEC);
		if (answer >= 0)
			opened++;
		else if (answer != -EDQUOT)
			return answer;
	}
	return opened;
}

/* pid inherit type command */
static int open_definition(char *args)
{
	struct perf_event_attr attr = new_attr();
	int pid, inherit, type, at = 0;

	if (sscanf(args, "%d %d %d %n", &pid, &inherit, &type, &at) < 3)
		return -EBADMSG;
	attr.config = PERF_UPROBE_DEFINITION | (unsigned long long)type << PERF_UPROBE_TYPE_SHIFT;
	attr.config1 = (uintptr_t)args + at;
	attr.inherit = inherit;
	return keep(&attr, pid, -1, PERF_FLAG_FD_CLOEXEC);
}

/* @command, and spaces up to @len bytes, with nothing mapped behind them. */
static char *text_before_nothing(const char *command, size_t len)
{
	size_t size = (len + 4095) & -4096UL;
	char *at = mmap(NULL, size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(at != MAP_FAILED && !munmap(at + size, 4096));
	at += size - len;
	memset(at, ' ', len);
	memcpy(at, command, strlen(command));
	return at;
}

/* pid what: attributes that aren't for everybody */
static int open_odd(char *args)
{
	struct perf_event_attr attr = new_attr();
	char command[] = "p:t/odd " PROGRAM ":0x1000", what[32];
	unsigned long flags = PERF_FLAG_FD_CLOEXEC;
	int pid;

	if (sscanf(args, "%d %31s", &pid, what) != 2)
		return -EBADMSG;
	attr.config = PERF_UPROBE_DEFINITION;
	attr.config1 = (uintptr_t)command;
	if (!strcmp(what, "kernel"))
		attr.exclude_kernel = 0;
	else if (!strcmp(what, "return"))
		attr.config |= PERF_UPROBE_RETURN;
	else if (!strcmp(what, "offset"))
		attr.config2 = 1;
	else if (!strcmp(what, "semaphore"))
		attr.config |= 2ULL << 32;
	else if (!strcmp(what, "unmapped"))
		attr.config1 = 4096;
	else if (!strcmp(what, "in_kernel"))
		attr.config1 = -4096UL;
	else if (!strcmp(what, "no_end"))
		attr.config1 = (uintptr_t)text_before_nothing(command, strlen(command));
	else if (!strcmp(what, "a_megabyte"))
		attr.config1 = (uintptr_t)text_before_nothing(command, 1 << 20);
	else if (!strcmp(what, "nul_inside"))
		command[5] = 0;
	else if (!strcmp(what, "sigtrap_over_execution"))
		attr.sigtrap = 1;
	else if (strcmp(what, "cgroup"))
		return -EBADMSG;
	if (strcmp(what, "cgroup"))
		return keep(&attr, pid, -1, flags);
	pid = open("/sys/fs/cgroup", O_RDONLY | O_CLOEXEC);
	return pid < 0 ? -EBADMSG : keep(&attr, pid, 0, flags | PERF_FLAG_PID_CGROUP);
}

/* pid kind command: with what perf does for any event */
static int open_kind(char *args)
{
	struct perf_event_attr attr = new_attr();
	char kind[32];
	int pid, at = 0;

	if (sscanf(args, "%d %31s %n", &pid, kind, &at) < 2)
		return -EBADMSG;
	attr.config = PERF_UPROBE_DEFINITION;
	attr.config1 = (uintptr_t)args + at;
	attr.sample_period = 1;
	if (!strcmp(kind, "sigtrap"))
		attr.sigtrap = attr.remove_on_exec = 1;
	else if (!strcmp(kind, "threads"))
		attr.inherit = attr.inherit_thread = 1;
	else if (!strcmp(kind, "execution"))
		attr.disabled = attr.enable_on_exec = 1;
	else if (!strcmp(kind, "aux"))
		attr.aux_sample_size = 4096;
	else
		return -EBADMSG;
	return keep(&attr, pid, -1, PERF_FLAG_FD_CLOEXEC);
}

/* number: how long is its format? */
static int read_format(int i)
{
	struct perf_uprobe_text format = {};
	char text[8192];

	if (!is_event(i))
		return -EBADF;
	if (!ioctl(fds[i], PERF_EVENT_IOC_UPROBE_FORMAT, &format) || errno != ENOSPC)
		return errno ? -errno : -EBADMSG;
	format.text = (uintptr_t)text;
	if (format.size > sizeof(text) || ioctl(fds[i], PERF_EVENT_IOC_UPROBE_FORMAT, &format))
		return -errno;
	return strlen(text) + 1 == format.size && strstr(text, "print fmt: ") ? (int)format.size : -EBADMSG;
}

static int read_event(int i)
{
	unsigned long long n;

	if (!is_event(i))
		return -EBADF;
	return read(fds[i], &n, sizeof(n)) == sizeof(n) ? (int)n : -errno;
}

/* ---- records ---- */

#define RING_SIZE	(64UL * 4096)

static char *ring;

/* pid sample_type exclude_callchain_kernel command: with call chains, registers and whatever else may be had */
static int open_ring(char *args)
{
	struct perf_event_attr attr = new_attr();
	unsigned long long sample_type;
	int pid, exclude, at = 0, i;

	if (sscanf(args, "%d %llx %d %n", &pid, &sample_type, &exclude, &at) < 3)
		return -EBADMSG;
	attr.exclude_callchain_kernel = exclude;
	attr.config = PERF_UPROBE_DEFINITION | 60000ULL << PERF_UPROBE_TYPE_SHIFT;
	attr.config1 = (uintptr_t)args + at;
	attr.sample_period = 1;
	attr.sample_type = sample_type;
	attr.branch_sample_type = sample_type & PERF_SAMPLE_BRANCH_STACK ?
				  PERF_SAMPLE_BRANCH_USER | PERF_SAMPLE_BRANCH_ANY : 0;
	attr.sample_regs_user = attr.sample_regs_intr = 0xff;
	attr.sample_stack_user = 256;
	i = keep(&attr, pid, -1, PERF_FLAG_FD_CLOEXEC);
	if (i < 0)
		return i;
	ring = mmap(NULL, 4096 + RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0);
	if (ring != MAP_FAILED)
		return i;
	ring = NULL;
	return -errno;
}

/* The last sample, as far as it fits. */
static unsigned char last_sample[1024];

static void copy_from_ring(void *to, uint64_t at, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		((char *)to)[i] = ring[4096 + (at + i) % RING_SIZE];
}

static uint32_t half_at(uint64_t at)
{
	uint32_t half;

	copy_from_ring(&half, at, sizeof(half));
	return half;
}

/*
 * Fields of the record lie at odd multiples of 4, so that all are tried: what seems to be the upper half of an address may be
 * the lower half of a small negative number, or of a mark in call chains.
 */
static bool is_kernels(uint64_t at, uint64_t end)
{
	uint32_t low = half_at(at), high = half_at(at + 4);

	if (high >= 0xfffff000 && at + 12 <= end && half_at(at + 8) == 0xffffffff)
		return false;
	return high >= 0xffff8000 && ((uint64_t)high << 32 | low) < -4096ULL;
}

/*
 * How many samples are there that haven't been looked at? -EBADMSG: some were lost; -EPERM: there is an address of the
 * kernel in them.
 */
static int look_into_ring(void)
{
	struct perf_event_mmap_page *page = (struct perf_event_mmap_page *)ring;
	struct perf_event_header header;
	uint64_t at, head, i;
	bool bad = false;
	int samples = 0;

	if (!ring)
		return -EBADF;
	head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
	for (at = page->data_tail; at < head; at += header.size) {
		copy_from_ring(&header, at, sizeof(header));
		if (header.type == PERF_RECORD_LOST || header.type == PERF_RECORD_LOST_SAMPLES)
			return -EBADMSG;
		if (header.type != PERF_RECORD_SAMPLE)
			continue;
		samples++;
		copy_from_ring(last_sample, at, header.size < sizeof(last_sample) ? header.size : sizeof(last_sample));
		for (i = at + 8; i + 8 <= at + header.size; i += 4)
			bad |= is_kernels(i, at + header.size);
	}
	__atomic_store_n(&page->data_tail, head, __ATOMIC_RELEASE);
	return bad ? -EPERM : samples;
}

/* offset: 4 bytes of the last record, of an event with no field but that */
static int look_into_record(int offset)
{
	int value;

	if (offset < 0 || 12 + offset + sizeof(value) > sizeof(last_sample))
		return -EBADMSG;
	memcpy(&value, last_sample + 12 + offset, sizeof(value));
	return value;
}

/* number: what mustn't have any effect. How much of it is accepted? */
static int change_event(int i)
{
	struct perf_event_attr attr = new_attr();
	char path[] = "/bin/sh";
	int accepted = 0;

	if (!is_event(i))
		return -EBADF;
	attr.config1 = (uintptr_t)path;
	accepted += !ioctl(fds[i], PERF_EVENT_IOC_MODIFY_ATTRIBUTES, &attr);
	accepted += !ioctl(fds[i], PERF_EVENT_IOC_SET_BPF, -1);
	accepted += !ioctl(fds[i], PERF_EVENT_IOC_SET_BPF, 0);
	accepted += !ioctl(fds[i], PERF_EVENT_IOC_SET_FILTER, "((nothing ==");
	accepted += !ioctl(fds[i], PERF_EVENT_IOC_SET_FILTER, (char *)4096);
	accepted += !ioctl(fds[i], PERF_EVENT_IOC_SET_OUTPUT, 0);
	accepted += !ioctl(fds[i], PERF_EVENT_IOC_UPROBE_FORMAT, (char *)4096);
	accepted += !ioctl(fds[i], PERF_EVENT_IOC_UPROBE_MISSED, -4096L);
	return accepted;
}

/* number filter */
static int set_filter(char *args)
{
	int i, at = 0;

	if (sscanf(args, "%d %n", &i, &at) < 1 || !is_event(i))
		return -EBADF;
	return ioctl(fds[i], PERF_EVENT_IOC_SET_FILTER, args + at) ? -errno : 0;
}

/* pid id: an event of tracefs */
static int open_tracepoint(char *args)
{
	struct perf_event_attr attr = new_attr();
	int pid, id;

	if (sscanf(args, "%d %d", &pid, &id) != 2)
		return -EBADMSG;
	attr.type = PERF_TYPE_TRACEPOINT;
	attr.config = id;
	return keep(&attr, pid, -1, PERF_FLAG_FD_CLOEXEC);
}

/* number descriptor: of a program of BPF */
static int attach(char *args)
{
	int i, fd;

	if (sscanf(args, "%d %d", &i, &fd) != 2 || !is_event(i))
		return -EBADF;
	return ioctl(fds[i], PERF_EVENT_IOC_SET_BPF, fd) ? -errno : 0;
}

/* @cause: a name of uprobe_missed. Returns -1 if it can't say. */
static long missed(int i, const char *cause)
{
	struct perf_uprobe_text to = {};
	char text[1024], *numbers;
	int column;
	size_t size;

	to.text = (uintptr_t)text;
	to.size = sizeof(text);
	if (!is_event(i) || ioctl(fds[i], PERF_EVENT_IOC_UPROBE_MISSED, &to))
		return -1;
	numbers = strchr(text, '\n');
	if (!numbers)
		return -1;
	*numbers++ = 0;
	size = strcspn(numbers, "\n");
	numbers[size] = 0;
	column = find_column(text, cause);
	return column < 0 ? -1 : (long)sum_line(numbers, column);
}

static int call_target(int n)
{
	long sum = 0;
	int i;

	for (i = 0; i < n; i++)
		sum += target(i);
	return sum >= 0 ? n : -EBADMSG;
}

static void *call_from_thread(void *n)
{
	return (void *)(long)call_target((long)n);
}

static int call_in_thread(int n)
{
	pthread_t thread;
	void *called;

	if (pthread_create(&thread, NULL, call_from_thread, (void *)(long)n) || pthread_join(thread, &called))
		return -EAGAIN;
	return (long)called;
}

/* So many children at once, each of which calls it once, and then this one. */
static int call_in_children(int n)
{
	int called[2], go_on[2], i;
	char byte = 0;

	if (pipe2(called, O_CLOEXEC) || pipe2(go_on, O_CLOEXEC))
		return -errno;
	for (i = 0; i < n; i++) {
		int pid = fork();

		if (pid < 0)
			break;
		if (pid)
			continue;
		close(go_on[1]);
		call_target(1);
		if (write(called[1], &byte, 1) == 1)
			while (read(go_on[0], &byte, 1) == 1)
				;
		_exit(0);
	}
	close(called[1]);
	for (n = i; i && read(called[0], &byte, 1) == 1; i--)
		;
	call_target(1);
	close(go_on[1]);
	while (wait(NULL) > 0)
		;
	close(called[0]);
	close(go_on[0]);
	return i ? -ECHILD : n;
}

static int call_malloc(int n)
{
	void *volatile p;
	int i;

	for (i = 0; i < n; i++) {
		p = malloc(i % 100 + 1);
		free(p);
	}
	return n;
}

static char *mapped;

/* path pages: text of a file */
static int map_text(char *args)
{
	char path[256];
	int pages, fd;

	if (sscanf(args, "%255s %d", path, &pages) != 2)
		return -EBADMSG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	mapped = mmap(NULL, pages * 4096UL, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	close(fd);
	return mapped == MAP_FAILED ? -errno : 0;
}

/* kind path: the same of a copy that no path leads to. Returns its descriptor. */
static int map_nameless(char *args)
{
	char kind[32], path[256], removed[] = "/tmp/removed.XXXXXX", *text;
	size_t len;
	int fd;

	if (sscanf(args, "%31s %255s", kind, path) != 2)
		return -EBADMSG;
	if (strcmp(kind, "removed"))
		fd = syscall(SYS_memfd_create, "nameless", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	else
		fd = mkstemp(removed);
	if (fd < 0 || (!strcmp(kind, "removed") && unlink(removed)))
		return -errno;
	text = read_file(path, &len);
	if (!text || write(fd, text, len) != (ssize_t)len)
		return -EIO;
	free(text);
	if (!strcmp(kind, "sealed") &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
		return -errno;
	mapped = mmap(NULL, len, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	return mapped == MAP_FAILED ? -errno : fd;
}

/* In how many places couldn't a site be made? */
static int sum_missed(const char *cause)
{
	long sum = 0;
	int i;

	for (i = 0; i < nr_fds; i++)
		sum += missed(i, cause);
	return sum;
}

/* Calls are open for a while. */
static UNUSED PROBED long sink(long n)
{
	long r = n ? sink(n - 1) : 0;

	asm volatile("" : "+r"(r) : : "memory");
	return r + 1;
}

static int changed[2];

/* Says what has become of it. */
static void change_and_stay(void *uid)
{
	int err = syscall(SYS_setresuid, (long)uid, (long)uid, (long)uid) ? -errno : 0;

	if (write(changed[1], &err, sizeof(err)) != sizeof(err))
		_exit(1);
	for (;;)
		pause();
}

static int wait_for_change(void)
{
	struct pollfd change = { .fd = changed[0], .events = POLLIN };
	int err = -EPIPE;

	if (poll(&change, 1, 10000) != 1 || read(changed[0], &err, sizeof(err)) != sizeof(err))
		err = -EPIPE;
	close(changed[0]);
	close(changed[1]);
	return err;
}

static void *change_alone(void *uid)
{
	change_and_stay(uid);
	return NULL;
}

/* A thread with another user, the others stay who they are: the C library wouldn't do that. */
static int thread_of(int uid)
{
	pthread_t thread;

	if (pipe2(changed, O_CLOEXEC) || pthread_create(&thread, NULL, change_alone, (void *)(long)uid))
		return -EAGAIN;
	return wait_for_change();
}

static int share_and_become(void *uid)
{
	change_and_stay(uid);
	return 0;
}

/* A process with the same memory. */
static int process_of(int uid)
{
	char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int pid, err;

	if (pipe2(changed, O_CLOEXEC))
		return -errno;
	pid = clone(share_and_become, stack + 65536, CLONE_VM | SIGCHLD, (void *)(long)uid);
	err = pid < 0 ? -errno : wait_for_change();
	return err ? err : pid;
}

static void become_program(char *path)
{
	execl(path, path, "act", NULL);
}

static int act(char *line)
{
	char *args = line + 2;
	int n = atoi(args), i;

	switch (line[0]) {
	case 'o':
		return open_place(args);
	case 'O':
		return open_places(args);
	case 'd':
		return open_definition(args);
	case 'a':
		return open_odd(args);
	case 'K':
		return open_kind(args);
	case 'f':
		return read_format(n);
	case 'r':
		return read_event(n);
	case 'S':
		return n < 0 || n > 1 ? -EBADMSG : semaphores[n];
	case 'n':
		return is_event(n) ? fds[n] : -EBADF;
	case 'R':
		return open_ring(args);
	case 'k':
		return look_into_ring();
	case 'w':
		return look_into_record(n);
	case 'I':
		return change_event(n);
	case 'l':
		return set_filter(args);
	case 'B':
		return attach(args);
	case 'E':
		return open_tracepoint(args);
	case 'h':
		return hides_inside();
	case 's':
		return missed(n, "shed");
	case 'y':
		return missed(n, "memory");
	case 'i':
		return sum_missed("install");
	case 'F':
		return map_text(args);
	case 'V':
		return map_nameless(args);
	case 'b':
		return n < 0 ? -EBADMSG : (unsigned char)mapped[n];
	case 'x':
		return call_code(mapped, n, 40);
	case 'c':
		if (ring)
			munmap(ring, 4096 + RING_SIZE);
		ring = NULL;
		for (i = 0; i < nr_fds; i++)
			close(fds[i]);
		nr_fds = 0;
		return 0;
	case 't':
		return call_target(n);
	case 'H':
		return call_in_thread(n);
	case 'C':
		return call_in_children(n);
	case 'M':
		return call_malloc(n);
	case 'D':
		for (i = 0; i < n; i++)
			sink(50);
		return n;
	case 'm':
		return prctl(PR_SET_DUMPABLE, n) ? -errno : 0;
	case 'u':
		return setresuid(n, n, n) ? -errno : 0;
	case 'g':
		return syscall(SYS_setresgid, n, n, n) || syscall(SYS_setresuid, n, n, n) ? -errno : 0;
	case 'T':
		return thread_of(n);
	case 'P':
		return process_of(n);
	case 'N':
		return unshare(CLONE_NEWUSER) ? -errno : 0;
	case 'e':
		become_program(args);
		return -errno;
	}
	return -EBADMSG;
}

/* After an execve() it is there again, and says so. */
static int run_actor(void)
{
	char line[8192];
	size_t len = 0;
	char c;

	dprintf(1, "0\n");
	while (read(0, &c, 1) == 1) {
		if (c != '\n' && len < sizeof(line) - 1) {
			line[len++] = c;
			continue;
		}
		line[len] = 0;
		len = 0;
		dprintf(1, "%d\n", act(line));
	}
	return 0;
}

struct actor {
	int pid, in, out;
};

static int answer(struct actor *actor)
{
	char text[32];
	size_t len = 0;

	while (len < sizeof(text) - 1 && read(actor->out, text + len, 1) == 1 && text[len] != '\n')
		len++;
	text[len] = 0;
	/* or it says why it can't go on */
	return len && (isdigit(text[0]) || text[0] == '-') ? atoi(text) : -EPIPE;
}

static int tell(struct actor *actor, const char *format, ...)
{
	char line[8192];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	line[len] = '\n';
	if (write(actor->in, line, len + 1) != len + 1)
		return -EPIPE;
	return answer(actor);
}

/* To keep it over execve(), too. */
static void keep_right_to_change(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 1 << CAP_SETUID, 1 << CAP_SETUID, 1 << CAP_SETUID }, {} };

	must(!syscall(SYS_capset, &head, data));
	must(!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SETUID, 0, 0));
}

/* As fork(), but with this number, if it isn't 0. */
static pid_t fork_as(pid_t pid)
{
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1 };

	return pid ? syscall(SYS_clone3, &args, sizeof(args)) : fork();
}

/* @may_change: to another user, but has no other right of root's; @pid: as for fork_as() */
static struct actor start_with(int uid, bool may_change, pid_t pid)
{
	int to[2], from[2];
	const struct rlimit files = { 2 * MAX_FDS, 2 * MAX_FDS };
	struct actor actor;

	/* who is told something may be dead */
	signal(SIGPIPE, SIG_IGN);
	must(!pipe2(to, O_CLOEXEC) && !pipe2(from, O_CLOEXEC));
	fflush(stdout);
	actor.pid = fork_as(pid);
	must(actor.pid >= 0);
	if (!actor.pid) {
		must(dup2(to[0], 0) == 0 && dup2(from[1], 1) == 1);
		must(!setrlimit(RLIMIT_NOFILE, &files));
		must(!setgroups(0, NULL) && !prctl(PR_SET_KEEPCAPS, may_change));
		must(!setresgid(uid, uid, uid) && !setresuid(uid, uid, uid));
		if (may_change)
			keep_right_to_change();
		signal(SIGPIPE, SIG_DFL);
		become_program((char *)PROGRAM);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	actor.in = to[1];
	actor.out = from[0];
	must(answer(&actor) == 0);
	return actor;
}

static struct actor start(int uid)
{
	return start_with(uid, false, 0);
}

static void stop(struct actor *actor)
{
	/* killed first: who is about to exit and killed then leaves it to its targets to remove their sites */
	kill(actor->pid, SIGKILL);
	waitpid(actor->pid, NULL, 0);
	close(actor->in);
	close(actor->out);
}

/* ---- places ---------------------------------------------------------------- */

/* Of the program, which isn't position independent: the same in all processes. */
static unsigned long target_offset;

static bool is_clean(struct actor *actor)
{
	return is_untouched(actor->pid, (const void *)target);
}

static UNUSED bool is_probed(struct actor *actor)
{
	return text_differs(actor->pid, (const void *)target) == 1;
}

static int open_on(struct actor *user, int pid)
{
	return tell(user, "d %d 0 60000 p:t/one %s:0x%lx", pid, PROGRAM, target_offset);
}

static UNUSED int open_here(struct actor *user, struct actor *victim)
{
	return open_on(user, victim->pid);
}

static UNUSED bool is_refused(int answer)
{
	if (answer != -EPERM)
		note("the answer is %d", answer);
	return answer == -EPERM;
}

static void copy_program(const char *path, int uid, int mode)
{
	size_t len;
	char *text = read_file("/proc/self/exe", &len);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	must(text && fd >= 0 && write(fd, text, len) == (ssize_t)len);
	must(!fchown(fd, uid, uid) && !fchmod(fd, mode));
	must(!fsync(fd));
	close(fd);
	free(text);
}

static void set_sysctl(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
	must(!write_file(path, 0, value));
}

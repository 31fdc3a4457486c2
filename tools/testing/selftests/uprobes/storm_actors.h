/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who takes part in the storm?
 *
 * Each actor is a thread that does one kind of thing until the storm is over: call functions, send signals, fork,
 * execute programs, map the text and change the mapping, debug a child, register and unregister. What they execute
 * of the functions whose events stay is counted; where a breakpoint may be missing for a moment by their own doing
 * (text that was written or dropped while another thread runs it) only functions are called whose events don't
 * stay.
 */
#ifndef UPROBES_STORM_ACTORS_H
#define UPROBES_STORM_ACTORS_H

#include <linux/perf_event.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>

#include "storm_calls.h"

extern char **environ;

#define NR_CALLERS	5
#define PAGE		4096ul

static pid_t caller_tids[NR_CALLERS];
static int shared_fd;

/* ---- the places --------------------------------------------------------- */

/* Of the functions' text, in whole pages. */
static struct {
	char *start;
	size_t size;
	struct place place;
	unsigned char *bytes;	/* as the file has them */
} image;

static void find_image(void)
{
	unsigned long end = ((unsigned long)__stop_storm_text + PAGE - 1) & -PAGE;
	int fd;

	image.start = (char *)((unsigned long)__start_storm_text & -PAGE);
	image.size = end - (unsigned long)image.start;
	image.place = place_of(image.start);
	image.bytes = malloc(image.size);
	fd = open(image.place.path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && pread(fd, image.bytes, image.size, image.place.offset) == (ssize_t)image.size);
	close(fd);
}

static unsigned long offset_of(const void *address)
{
	return image.place.offset + ((const char *)address - image.start);
}

/* ---- perf --------------------------------------------------------------- */

static int uprobe_pmu(void)
{
	char *text = read_file("/sys/bus/event_source/devices/uprobe/type", NULL);
	int type;

	must(text);
	type = atoi(text);
	free(text);
	return type;
}

static int open_perf(const void *address, bool is_return, struct perf_event_attr attr, pid_t pid, int cpu)
{
	static int type;

	if (!type)
		type = uprobe_pmu();
	attr.type = type;
	attr.size = sizeof(attr);
	attr.config = is_return;
	attr.config1 = (unsigned long)image.place.path;
	attr.config2 = offset_of(address);
	return syscall(SYS_perf_event_open, &attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

/* ---- callers and signals ------------------------------------------------ */

static void call_something(uint64_t *stream, int how)
{
	call_function(stream, KEPT, 0, how | COUNTED);
	call_function(stream, LOOSE, 0, how);
}

static void *call_functions(void *number)
{
	uint64_t stream = make_stream((long)number);
	sigset_t all;

	me.stream = make_stream(1000 + (long)number);
	use_alternate_stack();
	caller_tids[(long)number] = syscall(SYS_gettid);
	sigfillset(&all);
	pthread_sigmask(SIG_UNBLOCK, &all, NULL);
	while (!shared->stop) {
		call_something(&stream, ESCAPABLE);
		if (draw(&stream) % 4 == 0)
			call_recursion(&stream);
		ADD(rounds[(long)number], 1);
	}
	/* the alternate stack and the jump's target go */
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	return NULL;
}

static void *send_signals(void *number)
{
	uint64_t stream = make_stream((long)number);
	struct itimerval every = { { 0, 5000 }, { 0, 5000 } }, never = {};
	size_t i;

	setitimer(ITIMER_REAL, &every, NULL);
	while (!shared->stop) {
		i = draw(&stream) % NR_CALLERS;
		if (caller_tids[i])
			syscall(SYS_tgkill, getpid(), caller_tids[i],
				signal_numbers[draw(&stream) % ARRAY_SIZE(signal_numbers)]);
		usleep(draw(&stream) % 1000);
		ADD(rounds[(long)number], 1);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	return NULL;
}

static void *call_once(void *stream)
{
	int i;

	for (i = 0; i < 20; i++)
		call_something(stream, 0);
	call_recursion(stream);
	return NULL;
}

static void *make_threads(void *number)
{
	uint64_t stream = make_stream((long)number);
	pthread_t threads[3];
	uint64_t streams[3];
	size_t i;

	while (!shared->stop) {
		for (i = 0; i < ARRAY_SIZE(threads); i++) {
			streams[i] = draw(&stream);
			must(!pthread_create(&threads[i], NULL, call_once, &streams[i]));
		}
		for (i = 0; i < ARRAY_SIZE(threads); i++)
			pthread_join(threads[i], NULL);
		ADD(rounds[(long)number], 1);
	}
	return NULL;
}

/* ---- processes ---------------------------------------------------------- */

static void wait_for(pid_t pid, int wanted)
{
	int status = -1;

	while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	if (status == wanted)
		return;
	if (shared->failures < 20)
		note("process %d ended with status %#x", pid, status);
	ADD(failures, 1);
}

static void execute_program(uint64_t *stream)
{
	char fd[16], seed[32];
	char *argv[] = { (char *)"storm", (char *)"program", fd, seed, NULL };

	sprintf(fd, "%d", shared_fd);
	sprintf(seed, "%llu", (long long)draw(stream));
	execve("/proc/self/exe", argv, environ);
	_exit(9);
}

/* Children return from the call that they were made in, or execute a program, or end there. */
static long fork_here(void *stream)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	*(uint64_t *)stream ^= 77;
	ADD(inherited, 1);
	switch (draw(stream) % 4) {
	case 0:
		ADD(execs, 1);
		execute_program(stream);
		break;
	case 1:
		call_once(stream);
		_exit(0);
	}
	return 0;
}

static void *fork_children(void *number)
{
	uint64_t stream = make_stream((long)number);
	long pid;

	while (!shared->stop) {
		ADD(callbacks, 1);
		pid = call_back(fork_here, &stream) - 1;
		if (!pid) {
			call_once(&stream);
			_exit(0);
		}
		ADD(forks, 1);
		wait_for(pid, 0);
		ADD(rounds[(long)number], 1);
	}
	return NULL;
}

/* The child shares the address space, and this thread's data. */
static __attribute__((noinline)) void share_with_child(uint64_t *stream)
{
	pid_t pid = vfork();

	if (!pid) {
		call_something(stream, 0);
		if (draw(stream) % 2)
			execute_program(stream);
		_exit(0);
	}
	wait_for(pid, 0);
}

static void *vfork_children(void *number)
{
	uint64_t stream = make_stream((long)number);

	while (!shared->stop) {
		share_with_child(&stream);
		ADD(rounds[(long)number], 1);
	}
	return NULL;
}

/* ---- a process that treats its text badly and may be killed at any time --- */

static void *call_loose(void *stream)
{
	for (;;)
		call_function(stream, LOOSE, 0, 0);
	return NULL;
}

static void treat_badly(uint64_t *stream)
{
	uint64_t theirs = draw(stream);
	pthread_t thread;

	if (pthread_create(&thread, NULL, call_loose, &theirs))
		_exit(9);
	for (;;) {
		char *page = image.start + draw(stream) % (image.size / PAGE) * PAGE;

		switch (draw(stream) % 4) {
		case 0:
			madvise(page, PAGE, MADV_DONTNEED);
			break;
		case 1:
			mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
			break;
		case 2:
			mprotect(image.start, image.size, PROT_READ | PROT_EXEC);
			break;
		case 3:
			call_function(stream, LOOSE, 0, 0);
		}
	}
}

static void *make_bad_children(void *number)
{
	uint64_t stream = make_stream((long)number);
	pid_t pid;

	while (!shared->stop) {
		draw(&stream);
		pid = fork();
		if (!pid)
			treat_badly(&stream);
		usleep(draw(&stream) % 30000);
		kill(pid, SIGKILL);
		wait_for(pid, SIGKILL);
		ADD(rounds[(long)number], 1);
	}
	return NULL;
}

/* ---- mappings ----------------------------------------------------------- */

static char *map_text(char *at)
{
	int fd = open(image.place.path, O_RDONLY | O_CLOEXEC);
	char *code;

	must(fd >= 0);
	code = mmap(at, image.size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, image.place.offset);
	must(code == at);
	close(fd);
	return code;
}

static void call_mapped(uint64_t *stream, const char *code, int how)
{
	int i;

	for (i = 0; i < 6; i++)
		call_function(stream, i & 1 ? LOOSE : KEPT, code - image.start, how);
}

/* Somewhere that the mapper of this number has to itself, but for the slots that may be there. */
static char *choose_place(uint64_t *stream, long number)
{
	unsigned long first = sizeof(long) == 8 ? 0x100000000000ul + ((unsigned long)number << 40) :
						  0x60000000ul + number * 0x1000000ul;

	return (char *)(unsigned long)(first + draw(stream) % 64 * image.size);
}

static void change_protection(char *code, int prot)
{
	must(!mprotect(code, image.size, prot));
	if (!(prot & PROT_WRITE))
		return;
	if (memcmp(code, image.bytes, image.size))
		ADD(wrong, 1);
}

static char *change_mapping(uint64_t *stream, long number, char *code)
{
	char *other;

	switch (draw(stream) % 6) {
	case 0:
		change_protection(code, PROT_READ | PROT_WRITE);
		change_protection(code, PROT_READ | PROT_EXEC);
		break;
	case 1:
		change_protection(code, PROT_READ | PROT_WRITE | PROT_EXEC);
		call_mapped(stream, code, 0);
		change_protection(code, PROT_READ | PROT_EXEC);
		break;
	case 2:
		must(!madvise(code, image.size, MADV_DONTNEED));
		break;
	case 3:
		other = choose_place(stream, number);
		if (other == code)
			break;
		must(mremap(code, image.size, image.size, MREMAP_MAYMOVE | MREMAP_FIXED, other) == other);
		return other;
	case 4:
		map_text(code);
		break;
	case 5:
		must(!mprotect(code + PAGE, PAGE, PROT_NONE));
		must(!mprotect(code + PAGE, PAGE, PROT_READ | PROT_EXEC));
		break;
	}
	return code;
}

static void *map_and_unmap(void *number)
{
	uint64_t stream = make_stream((long)number);
	int i;

	while (!shared->stop) {
		char *code = map_text(choose_place(&stream, (long)number));

		call_mapped(&stream, code, COUNTED);
		for (i = 0; i < 3; i++) {
			code = change_mapping(&stream, (long)number, code);
			call_mapped(&stream, code, COUNTED);
		}
		munmap(code, image.size);
		ADD(rounds[(long)number], 1);
	}
	return NULL;
}

/* The program's own text: mappings are divided and merged, while everybody executes it. */
static void *divide_text(void *number)
{
	uint64_t stream = make_stream((long)number);

	while (!shared->stop) {
		char *page = image.start + draw(&stream) % (image.size / PAGE) * PAGE;

		must(!madvise(page, PAGE, draw(&stream) % 2 ? MADV_DONTDUMP : MADV_DODUMP));
		usleep(draw(&stream) % 2000);
		ADD(rounds[(long)number], 1);
	}
	must(!madvise(image.start, image.size, MADV_DODUMP));
	return NULL;
}

/* ---- a debugger --------------------------------------------------------- */

static void be_debugged(uint64_t *stream)
{
	while (!shared->debugged_stop) {
		call_function(stream, KEPT, 0, COUNTED | STEPPABLE);
		call_function(stream, LOOSE, 0, STEPPABLE);
	}
	_exit(0);
}

static unsigned long ip_of(pid_t pid)
{
	struct user_regs_struct regs = {};

	ptrace(PTRACE_GETREGS, pid, 0, &regs);
#ifdef __i386__
	return regs.eip;
#else
	return regs.rip;
#endif
}

static bool is_stopped(pid_t pid)
{
	int status = -1;

	if (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
		return true;
	note("the debugged process has ended with status %#x", status);
	return false;
}

static void look_at_steps(pid_t pid, int steps)
{
	for (; steps; steps--) {
		if (!is_in_text(ip_of(pid))) {
			note("a debugger sees %#lx", ip_of(pid));
			ADD(in_slots, 1);
		}
		if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) || !is_stopped(pid))
			return;
	}
}

/* Stepping over popf makes the kernel forget that the trap flag isn't the program's. */
static void detach(pid_t pid)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, 0, &regs))
		return;
	regs.eflags &= ~0x100ul;
	ptrace(PTRACE_SETREGS, pid, 0, &regs);
	ptrace(PTRACE_DETACH, pid, 0, 0);
}

static void *debug_child(void *number)
{
	uint64_t stream = make_stream((long)number);
	pid_t pid = fork();

	if (!pid)
		be_debugged(&stream);
	while (!shared->stop) {
		if (ptrace(PTRACE_SEIZE, pid, 0, 0)) {
			ADD(failures, 1);
			return NULL;
		}
		usleep(draw(&stream) % 3000);
		if (!ptrace(PTRACE_INTERRUPT, pid, 0, 0) && is_stopped(pid)) {
			look_at_steps(pid, draw(&stream) % 40);
			detach(pid);
		}
		usleep(draw(&stream) % 3000);
		ADD(rounds[(long)number], 1);
	}
	shared->debugged_stop = true;
	wait_for(pid, 0);
	return NULL;
}

/* ---- who registers and unregisters -------------------------------------- */

static const unsigned char *choose_probe(uint64_t *stream, char *kind)
{
	const struct code *code = &functions[draw(stream) % NR_FUNCTIONS].code[draw(stream) % 4 ? LOOSE : KEPT];

	*kind = draw(stream) % 2 ? 'p' : 'r';
	return *kind == 'p' ? code->insn : code->start;
}

/* One event at several functions, for everybody; the event's other files are used by others meanwhile. */
static void *switch_events(void *number)
{
	uint64_t stream = make_stream((long)number);
	char name[32], kind;
	int i, n, err;

	sprintf(name, "switched%ld", (long)number);
	while (!shared->stop) {
		const unsigned char *at = choose_probe(&stream, &kind);

		n = 1 + draw(&stream) % 4;
		err = command("%c:t/%s %s:0x%lx", kind, name, image.place.path, offset_of(at));
		for (i = 1; i < n && !err; i++) {
			const struct code *code = &functions[draw(&stream) % NR_FUNCTIONS].code[LOOSE];

			/* twice the same is refused */
			command("%c:t/%s %s:0x%lx", kind, name, image.place.path,
				offset_of(kind == 'p' ? code->insn : code->start));
		}
		for (i = 0; i < 3 && !err; i++) {
			err = event_file(name, "enable", "1");
			usleep(draw(&stream) % 3000);
			err = err ?: event_file(name, "enable", "0");
		}
		err = err ?: command("-:t/%s", name);
		if (err) {
			note("switching %s: %s", name, strerror(err));
			ADD(failures, 1);
		}
		ADD(rounds[(long)number], 1);
	}
	return NULL;
}

static pid_t choose_target(uint64_t *stream)
{
	unsigned int i = draw(stream) % (NR_CALLERS + 3);

	if (i < NR_CALLERS)
		return caller_tids[i];
	return i == NR_CALLERS ? -1 : 0;
}

#define MAX_OPEN	12

static void *open_and_close(void *number)
{
	uint64_t stream = make_stream((long)number);
	int fds[MAX_OPEN], i;
	char kind;

	memset(fds, -1, sizeof(fds));
	while (!shared->stop) {
		const unsigned char *at = choose_probe(&stream, &kind);
		struct perf_event_attr attr = { .inherit = draw(&stream) % 2 };
		pid_t target = choose_target(&stream);

		i = draw(&stream) % MAX_OPEN;
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = open_perf(at, kind == 'r', attr, target, target < 0 ? 0 : -1);
		/* a caller may be gone already */
		if (fds[i] < 0 && errno != ESRCH) {
			note("opening %c at %p for %d: %s", kind, at, target, strerror(errno));
			ADD(failures, 1);
		}
		call_something(&stream, 0);
		ADD(rounds[(long)number], 1);
	}
	for (i = 0; i < MAX_OPEN; i++)
		close(fds[i]);
	return NULL;
}

#endif /* UPROBES_STORM_ACTORS_H */

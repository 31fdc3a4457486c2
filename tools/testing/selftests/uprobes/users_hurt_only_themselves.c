// SPDX-License-Identifier: GPL-2.0
/*
 * Whatever a user without privilege does with probes in an own process: is it that process alone that it concerns?
 *
 * Each attempt is a process of the user that executes this program and probes itself, often where it shouldn't. When it has done
 * its worst, it waits while two bystanders that execute the same files, one of another user and one of root, are looked at: what their
 * text is, and what they compute. Then it goes on to its end. In the end the files are compared. The numbers are those of the
 * negative tests in Documentation/trace/uprobes-security.rst.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stddef.h>
#include <ucontext.h>

#define FOLDER		"/tmp/users_hurt_only_themselves/"
#define PROGRAM		FOLDER "program"
#define OWN_FILE	FOLDER "own/code"

#include "actors.h"

#define PATIENCE	60000	/* ms */
#define SYS_URETPROBE	335

/* ---- what the user has at hand ---------------------------------------------- */

/* Returns the number of the event, or -errno. */
static int probe(const char *kind, const void *address, const char *args)
{
	struct place place = place_of(address);
	char line[PATH_MAX + 512];

	snprintf(line, sizeof(line), "0 0 60000 %s:t/one %s:0x%lx %s", kind, place.path, place.offset, args);
	return open_definition(line);
}

/* The worst is there: now others are looked at. */
static void let_others_be_looked_at(void)
{
	char byte = 'x';

	if (write(1, &byte, 1) != 1 || read(0, &byte, 1) != 1)
		_exit(99);
}

struct area {
	char *start;
	size_t len;
};

static bool find_slots(struct area *area)
{
	unsigned long start, end;
	FILE *maps = fopen("/proc/self/maps", "re");
	bool found = false;
	char line[512];

	while (!found && fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "[uprobes]") || sscanf(line, "%lx-%lx r-xp", &start, &end) != 2)
			continue;
		*area = (struct area){ (char *)start, end - start };
		found = true;
	}
	fclose(maps);
	return found;
}

/* ---- wrong places (11, 12) ----------------------------------------------------- */

/* mov $0x90909090,%eax; ret: whoever writes into it gets another number. */
extern char odd_code[];
__asm__(".pushsection .text\n.balign 64\nodd_code:\n"
	".byte 0xb8, 0x90, 0x90, 0x90, 0x90, 0xc3\n.popsection\n");

static int middle_of_an_own_instruction(void)
{
	unsigned int (*number)(void) = (unsigned int (*)(void))(uintptr_t)odd_code;
	int event = probe("p", odd_code + 1, "");
	unsigned int result = number();

	let_others_be_looked_at();
	return event >= 0 && result == 0x909090cc ? 0 : 1;
}

/* From now on nothing of it is called that might allocate. */
static int middle_of_an_instruction_of_libc(void)
{
	char *function = dlsym(RTLD_DEFAULT, "malloc"), line[PATH_MAX + 64];
	struct place place = place_of(function);
	int i, event, opened = 0, there = 0, status = 0;

	for (i = 1; i < 16; i++) {
		snprintf(line, sizeof(line), "0 0 60000 p:t/one %s:0x%lx", place.path, place.offset + i);
		event = open_definition(line);
		if (event < 0 && event != -EINVAL && event != -EILSEQ && event != -EOPNOTSUPP)
			status = -event;
		opened += event >= 0;
	}
	for (i = 1; i < 16; i++)
		there += ((volatile unsigned char *)function)[i] == 0xcc;
	let_others_be_looked_at();
	syscall(SYS_exit_group, opened && there ? status : 96);
	return 1;
}

/* ---- returns (27, 38) ------------------------------------------------------------ */

static int return_that_is_forged(void)
{
	int event = probe("r", (const void *)target, "");

	if (event < 0 || target(1) != 4 || read_event(event) != 1)
		return 1;
	let_others_be_looked_at();
	syscall(SYS_URETPROBE);
	return 2;
}

/* Nothing forbids the call. */
static int return_that_is_forged_behind_a_filter(void)
{
	struct sock_filter steps[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog filter = { ARRAY_SIZE(steps), steps };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return 3;
	return return_that_is_forged();
}

/* The number is another call's in the table of 32 bits, which has nothing to send. */
static int return_that_is_forged_by_the_other_table(void)
{
	int event = probe("r", (const void *)target, "");
	long result = SYS_URETPROBE;

	if (event < 0 || target(1) != 4)
		return 1;
	let_others_be_looked_at();
	asm volatile("int $0x80" : "+a" (result) : "b" (0L), "c" (0L), "d" (0L), "S" (0L) : "memory", "r8", "r9", "r10", "r11");
	return result < 0 && target(2) == 5 && read_event(event) == 2 ? 0 : 2;
}

static ucontext_t outside, inside;

/* The call ends when its stack is left for good. */
static PROBED long leaves_its_stack(long x)
{
	asm volatile("" : "+r"(x) : : "memory");
	swapcontext(&inside, &outside);
	return x;
}

static void run_inside(void)
{
	leaves_its_stack(3);
	_exit(98);
}

static int calls_on_stacks_that_are_left(void)
{
	static char stack[16][65536];
	int event = probe("r", (const void *)leaves_its_stack, ""), i;

	for (i = 0; i < 64; i++) {
		getcontext(&inside);
		inside.uc_stack.ss_sp = stack[i % 16];
		inside.uc_stack.ss_size = sizeof(stack[0]);
		makecontext(&inside, run_inside, 0);
		swapcontext(&outside, &inside);
	}
	let_others_be_looked_at();
	if (event < 0 || read_event(event))
		return 1;
	return missed(event, "entries") == 64 &&
	       missed(event, "pending") + missed(event, "unwound") == 64 ? 0 : 2;
}

static PROBED void forges(void *to)
{
	((void *volatile *)__builtin_frame_address(0))[1] = to;
}

/* Not by a call. */
static __attribute__((force_align_arg_pointer)) void arrived(void)
{
	let_others_be_looked_at();
	_exit(read_event(0) || missed(0, "entries") != 1 ? 1 : 0);
}

/* It goes where it says, as if nobody had probed it. */
static int return_address_that_is_forged(void)
{
	if (probe("r", (const void *)forges, "") != 0)
		return 1;
	forges((void *)arrived);
	return 2;
}

/* ---- slots (28, 29, 39) --------------------------------------------------------------- */

#define SLOT_SIZE	32
#define JUMP_LEN	5

/* Is there the first instruction of target(), but for the displacement of its operand, and a jump to the second one? */
static bool is_slot_of_target(const unsigned char *slot, size_t len, const char *at)
{
	int self = open("/proc/self/mem", O_RDONLY | O_CLOEXEC), to;
	size_t jump, differ = 0;
	unsigned char text[16];
	bool found = false;

	must(pread(self, text, sizeof(text), (uintptr_t)target) == sizeof(text));
	close(self);
	for (jump = 1; jump < sizeof(text) && !found; jump++) {
		differ += slot[jump - 1] != text[jump - 1];
		memcpy(&to, slot + jump + 1, sizeof(to));
		found = differ <= 4 && slot[0] == text[0] && slot[jump] == 0xe9 && len <= jump + JUMP_LEN &&
			at + jump + JUMP_LEN + to == (const char *)target + jump;
	}
	return found;
}

/* The slot of the only site, and zeroes. */
static bool holds_only_text(const struct area *area)
{
	int self = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned char bytes[PAGE], slot[SLOT_SIZE] = {};
	size_t at, i, first = SIZE_MAX, last = 0;

	for (at = 0; at < area->len; at += PAGE) {
		/* what has never held a slot isn't there */
		if (pread(self, bytes, PAGE, (uintptr_t)area->start + at) != PAGE)
			continue;
		for (i = 0; i < PAGE; i++) {
			if (!bytes[i])
				continue;
			first = first == SIZE_MAX ? at + i : first;
			last = at + i;
			if (last - first < sizeof(slot))
				slot[last - first] = bytes[i];
		}
	}
	close(self);
	return first != SIZE_MAX && is_slot_of_target(slot, last - first + 1, area->start + first);
}

static int slots_that_are_changed(void)
{
	int event = probe("p", (const void *)target, "");
	struct area area;

	if (event < 0 || target(1) != 4 || !find_slots(&area) || !holds_only_text(&area))
		return 1;
	if (!mprotect(area.start, area.len, PROT_READ | PROT_WRITE | PROT_EXEC) || errno != EACCES)
		return 2;
	if (mremap(area.start, area.len, area.len, MREMAP_MAYMOVE | MREMAP_FIXED, (char *)0x600000000000) != MAP_FAILED ||
	    errno != EINVAL)
		return 3;
	munmap(area.start, area.len);
	if (target(2) != 5 || !find_slots(&area))
		return 4;
	if (mmap(area.start, area.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != area.start)
		return 6;
	let_others_be_looked_at();
	return target(3) == 6 && read_event(event) == 3 ? 0 : 5;
}

/* Whoever reads the program's memory sees the program. */
static int text_that_is_read(void)
{
	int event = probe("p", (const void *)target, ""), self = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	struct place place = place_of((const void *)target);
	int file = open(PROGRAM, O_RDONLY | O_CLOEXEC);
	unsigned char memory[16], text[16];

	let_others_be_looked_at();
	if (event < 0 || *(volatile unsigned char *)target != 0xcc)
		return 1;
	if (pread(self, memory, sizeof(memory), (uintptr_t)target) != sizeof(memory) ||
	    pread(file, text, sizeof(text), place.offset) != sizeof(text))
		return 2;
	return memcmp(memory, text, sizeof(text)) ? 3 : 0;
}

/* ---- text that changes (30, 31) ---------------------------------------------------------- */

/* mov $N,%eax; ret */
static void make_number(unsigned char *code, unsigned char n)
{
	memcpy(code, (const unsigned char[]){ 0xb8, n, 0, 0, 0, 0xc3 }, 6);
}

static int number_at(const char *code)
{
	return ((int (*)(void))(uintptr_t)code)();
}

static int own_text_that_is_written(void)
{
	char *page = (char *)((uintptr_t)odd_code & -PAGE);
	int event = probe("p", odd_code, "");

	if (event < 0 || number_at(odd_code) != (int)0x90909090 || read_event(event) != 1)
		return 1;
	if (mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC))
		return 2;
	/* push $7; pop %rax; ret */
	memcpy(odd_code, (const unsigned char[]){ 0x6a, 7, 0x58, 0xc3 }, 4);
	let_others_be_looked_at();
	if (number_at(odd_code) != 7)
		return 3;
	close(fds[event]);
	return number_at(odd_code) == 7 ? 0 : 4;
}

static char *map_own_file(void)
{
	int fd = open(OWN_FILE, O_RDONLY | O_CLOEXEC);
	char *code = mmap(NULL, 2 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	close(fd);
	return code;
}

/* A page of a file that ends before it: SIGBUS. */
static int own_file_that_is_rewritten(void)
{
	int fd = open(OWN_FILE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755), event, status;
	unsigned char text[2 * PAGE] = {};
	char *code, *again;
	pid_t pid;

	make_number(text, 7);
	make_number(text + PAGE, 8);
	if (fd < 0 || write(fd, text, sizeof(text)) != sizeof(text))
		return 1;
	code = map_own_file();
	event = probe("p", code, "");
	if (event < 0 || number_at(code) != 7 || number_at(code + PAGE) != 8 || read_event(event) != 1)
		return 2;
	make_number(text, 9);
	if (pwrite(fd, text, 6, 0) != 6)
		return 3;
	again = map_own_file();
	/* by another process, which nobody probes */
	pid = fork();
	if (!pid)
		_exit(number_at(map_own_file()));
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 9)
		return 4;
	if (number_at(again) != 9 || read_event(event) != 2)
		return 5;
	let_others_be_looked_at();
	if (ftruncate(fd, 0))
		return 6;
	return number_at(code);
}

/* ---- no room, no right (46, 48, 51) --------------------------------------------------------- */

/* All that a displacement of 32 bits reaches. */
static bool take_low_addresses(void)
{
	unsigned long from = 0x10000, start, end, limit = 0x200000000;
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	bool more = true;

	while (from < limit && more) {
		more = fgets(line, sizeof(line), maps) && sscanf(line, "%lx-%lx", &start, &end) == 2;
		if (!more || start > limit)
			start = limit;
		if (start > from &&
		    mmap((void *)from, start - from, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) != (void *)from)
			return false;
		if (more)
			from = end;
	}
	fclose(maps);
	return true;
}

static int address_space_that_is_full(void)
{
	int event;

	if (!take_low_addresses())
		return 3;
	event = probe("p", (const void *)target, "");
	let_others_be_looked_at();
	if (target(2) != 5)
		return 1;
	return event >= 0 && read_event(event) + missed(event, "install") == 1 ? 0 : 2;
}

static int process_that_may_not_call(void)
{
	int event = probe("r", (const void *)target, "");

	let_others_be_looked_at();
	if (event < 0 || target(1) != 4 || read_event(event) != 1 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		return 1;
	syscall(SYS_exit, target(3) == 6 ? 0 : 2);
	return 3;
}

/* mov $SYS_getppid,%eax; syscall; ret. At the system call itself there can't be a probe. */
extern char asks[], asking[], asked[];
__asm__(".pushsection .text\n.balign 64\nasks:\nmov $110,%eax\nasking:\nsyscall\nasked:\nret\n.popsection\n");

/* It may ask from there only. */
static int process_that_may_call_from_one_place(void)
{
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(uintptr_t)asked, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog filter = { ARRAY_SIZE(steps), steps };
	int event = probe("p", asks, ""), returns = probe("r", asks, ""), at_call = probe("p", asking, "");
	int parent = getppid();

	let_others_be_looked_at();
	if (event < 0 || returns < 0 || at_call != -EOPNOTSUPP || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return 1;
	if (number_at(asks) != parent)
		return 2;
	return read_event(event) == 1 && read_event(returns) == 1 ? 0 : 3;
}

/* To withhold it from the kernel takes a privilege: the argument can't be fetched. */
static int argument_that_is_withheld(void)
{
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fault = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY), event;
	struct uffdio_api api = { .api = UFFD_API };
	char line[512], *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	range.range.start = (uintptr_t)page;
	range.range.len = PAGE;
	if (fault < 0 || ioctl(fault, UFFDIO_API, &api) || ioctl(fault, UFFDIO_REGISTER, &range))
		return 1;
	snprintf(line, sizeof(line), "0 %llx 1 p:t/one %s:0x%lx s=+0(%%di):string", PERF_SAMPLE_RAW | 0ULL, PROGRAM,
		 place_of((const void *)target).offset);
	event = open_ring(line);
	let_others_be_looked_at();
	if (event < 0 || target((long)page) != (long)page + 3 || look_into_ring() != 1)
		return 2;
	/* where the string is, in the lower half, and how long */
	return look_into_record(16) >> 16 ? 3 : 0;
}

/* ---- many (37) --------------------------------------------------------------------------------- */

/* Each child returns from all calls in which it was born. */
static PROBED int multiply(int depth)
{
	int i, born = 0;

	for (i = 0; i < 3 && depth; i++) {
		if (!fork()) {
			born = 1;
			i = -1;
			depth--;
		}
	}
	asm volatile("" : "+r"(born) : : "memory");
	return born;
}

static int children_of_children(void)
{
	pid_t first = getpid();
	char line[512];
	int event;

	snprintf(line, sizeof(line), "0 1 60000 r:t/multiply %s:0x%lx", PROGRAM,
		 place_of((const void *)multiply).offset);
	event = open_definition(line);
	if (event < 0)
		return 1;
	multiply(4);
	if (getpid() != first) {
		while (wait(NULL) > 0)
			;
		_exit(0);
	}
	let_others_be_looked_at();
	while (wait(NULL) > 0)
		;
	/* 3 + 9 + 27 + 81 children, and itself */
	if (read_event(event) != 121)
		return 2;
	return missed(event, "entries") == 1 && missed(event, "inherited") == 120 ? 0 : 3;
}

/* ---- the attempts --------------------------------------------------------------------------------- */

static const struct attempt {
	const char *name;
	int (*run)(void);
	int signal;	/* that ends it */
} attempts[] = {
	{ "middle_of_an_own_instruction", middle_of_an_own_instruction, 0 },
	{ "middle_of_an_instruction_of_libc", middle_of_an_instruction_of_libc, 0 },
	{ "return_that_is_forged", return_that_is_forged, SIGILL },
	{ "return_that_is_forged_behind_a_filter", return_that_is_forged_behind_a_filter, SIGILL },
	{ "return_that_is_forged_by_the_other_table", return_that_is_forged_by_the_other_table, 0 },
	{ "calls_on_stacks_that_are_left", calls_on_stacks_that_are_left, 0 },
	{ "return_address_that_is_forged", return_address_that_is_forged, 0 },
	{ "slots_that_are_changed", slots_that_are_changed, 0 },
	{ "text_that_is_read", text_that_is_read, 0 },
	{ "own_text_that_is_written", own_text_that_is_written, 0 },
	{ "own_file_that_is_rewritten", own_file_that_is_rewritten, SIGBUS },
	{ "address_space_that_is_full", address_space_that_is_full, 0 },
	{ "process_that_may_not_call", process_that_may_not_call, 0 },
	{ "process_that_may_call_from_one_place", process_that_may_call_from_one_place, 0 },
	{ "argument_that_is_withheld", argument_that_is_withheld, 0 },
	{ "children_of_children", children_of_children, 0 },
};

static int run_attempt(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attempts); i++) {
		if (!strcmp(attempts[i].name, name))
			return attempts[i].run();
	}
	return 97;
}

static const char *libc_path;
static unsigned long malloc_offset;

static bool is_undisturbed(struct actor *actor)
{
	return is_clean(actor) && file_is_clean(actor->pid, libc_path, malloc_offset) &&
	       tell(actor, "t 3") == 3 && tell(actor, "M 10") == 10;
}

static void attempt(const struct attempt *it, struct actor *other, struct actor *root)
{
	int to[2], from[2], status = -1;
	bool ready, ended_well;
	pid_t pid;
	char byte;

	must(!pipe2(to, O_CLOEXEC) && !pipe2(from, O_CLOEXEC));
	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		must(dup2(to[0], 0) == 0 && dup2(from[1], 1) == 1);
		must(!setgroups(0, NULL) && !setresgid(USER, USER, USER) && !setresuid(USER, USER, USER));
		execl(PROGRAM, PROGRAM, "do", it->name, NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	ready = poll(&(struct pollfd){ .fd = from[0], .events = POLLIN }, 1, PATIENCE) == 1 &&
		read(from[0], &byte, 1) == 1;
	check(is_undisturbed(other) && is_undisturbed(root), "%s_disturbs_nobody", it->name);
	if (ready)
		ready = write(to[1], &byte, 1) == 1;
	/* the other end is closed by its exit */
	poll(&(struct pollfd){ .fd = from[0], .events = POLLIN }, 1, PATIENCE);
	kill(pid, SIGKILL);
	must(waitpid(pid, &status, 0) == pid);
	close(to[1]);
	close(from[0]);
	/* who has died before has shown nothing */
	ended_well = ready && (it->signal ? WIFSIGNALED(status) && WTERMSIG(status) == it->signal : !status);
	if (!ended_well)
		note("status 0x%x", status);
	check(ended_well, "%s_ends_as_it_should", it->name);
	check(is_undisturbed(other) && is_undisturbed(root), "%s_leaves_nothing_behind", it->name);
}

static bool is_same_file(const char *path, const char *text, size_t len)
{
	size_t now_len;
	char *now = read_file(path, &now_len);
	bool same = now && now_len == len && !memcmp(now, text, len);

	free(now);
	return same;
}

int main(int argc, char **argv)
{
	size_t i, program_len, libc_len;
	struct actor other, root;
	char *program, *libc;
	struct place place;

	if (argc > 1 && !strcmp(argv[1], "act"))
		return run_actor();
	if (argc > 2 && !strcmp(argv[1], "do"))
		return run_attempt(argv[2]);
	must(!getuid());
	mkdir(FOLDER, 0755);
	mkdir(FOLDER "own", 0755);
	must(!chown(FOLDER "own", USER, USER));
	copy_program(PROGRAM, 0, 0755);
	place = place_of((const void *)target);
	target_offset = place.offset;
	place = place_of(dlsym(RTLD_DEFAULT, "malloc"));
	libc_path = place.path;
	malloc_offset = place.offset;
	program = read_file(PROGRAM, &program_len);
	libc = read_file(libc_path, &libc_len);
	set_sysctl("perf_event_paranoid", "2");
	other = start(OTHER);
	root = start(0);
	for (i = 0; i < ARRAY_SIZE(attempts); i++)
		attempt(&attempts[i], &other, &root);
	stop(&other);
	stop(&root);
	check(is_same_file(PROGRAM, program, program_len) && is_same_file(libc_path, libc, libc_len),
	      "files_are_as_they_were");
	return finish();
}

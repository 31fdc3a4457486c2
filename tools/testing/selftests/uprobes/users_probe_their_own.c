// SPDX-License-Identifier: GPL-2.0
/*
 * What can a user without privilege probe: own processes, and nobody else's?
 *
 * Actors are copies of this program that run as some user and do what they are told, one line at a time: those who
 * open perf events, and those who are probed. What has become of a victim's text is looked at from outside, as root.
 * The numbers are those of the negative tests in Documentation/trace/uprobes-security.rst.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#define FOLDER		"/tmp/users_probe_their_own/"
#define PROGRAM		FOLDER "program"

#include "actors.h"
#include "bpf_link.h"

/* ---- one's own --------------------------------------------------------------- */

static void own_process(void)
{
	struct actor user = start(USER), victim = start(USER);
	int event;

	event = open_here(&user, &victim);
	check(event >= 0 && is_probed(&victim), "own_process_is_probed");
	must(tell(&victim, "t 7") == 7);
	equal(tell(&user, "r %d", event), 7, "and_counted");
	check(tell(&user, "f %d", event) > 0, "format_of_a_definition");
	must(!tell(&user, "c"));
	check(is_clean(&victim), "nothing_is_left_of_it");
	event = tell(&user, "o %d -1 0 %lx %s", victim.pid, target_offset, PROGRAM);
	check(event >= 0 && is_probed(&victim), "the_way_of_stock_works_as_well");
	equal(tell(&user, "f %d", event) > 0, true, "it_has_a_format_as_well");
	must(!tell(&user, "c"));
	event = tell(&user, "d %d 0 60000 r:t/one %s:0x%lx x=$arg1:s64 v=$retval:s64 l=$latency s=entry($comm)",
		     victim.pid, PROGRAM, target_offset);
	check(event >= 0, "returns_with_arguments");
	must(tell(&victim, "t 5") == 5);
	equal(tell(&user, "r %d", event), 5, "returns_are_counted");
	stop(&user);
	check(is_clean(&victim), "nothing_is_left_when_the_user_is_killed");
	stop(&victim);
}

/* ---- others' (1, 2, 3, 4) ----------------------------------------------------- */

static int kernel_thread(void)
{
	char *text = read_file("/proc/2/status", NULL);

	must(text && strstr(text, "kthreadd"));
	free(text);
	return 2;
}

static void others(void)
{
	struct actor user = start(USER), other = start(OTHER), root = start(0);

	check(is_refused(open_here(&user, &other)) && is_clean(&other), "another_users_process");
	check(is_refused(open_here(&user, &root)) && is_clean(&root), "a_process_of_root");
	check(is_refused(open_on(&user, 1)), "init");
	check(is_refused(open_on(&user, kernel_thread())), "a_kernel_thread");
	equal(open_on(&user, 99999), -ESRCH, "nobody");
	equal(tell(&user, "o -1 0 0 %lx %s", target_offset, PROGRAM), -EACCES, "all_processes");
	equal(tell(&user, "a 0 cgroup"), -EACCES, "a_cgroup");
	/* where perf itself has no objection */
	set_sysctl("perf_event_paranoid", "-1");
	equal(tell(&user, "o -1 0 0 %lx %s", target_offset, PROGRAM), -EACCES, "all_processes_whatever_perf_says");
	equal(tell(&user, "a 0 cgroup"), -EACCES, "a_cgroup_whatever_perf_says");
	set_sysctl("perf_event_paranoid", "2");
	check(is_clean(&other) && is_clean(&root), "nobody_is_probed");
	check(open_here(&root, &other) >= 0 && is_probed(&other), "root_may");
	must(!tell(&root, "c"));
	stop(&user);
	stop(&other);
	stop(&root);
}

/* ---- who gains privileges (5, 6, 7, 20, 25, 26, 45) ---------------------------- */

static unsigned long offset_in_libc;
static char libc_path[PATH_MAX];

static void find_libc(void)
{
	struct place place = place_of((const void *)getppid);

	/* through the procedure linkage table it may be ours */
	if (!strstr(place.path, "libc"))
		place = place_of((const void *)dlsym(RTLD_DEFAULT, "getppid"));
	offset_in_libc = place.offset;
	snprintf(libc_path, sizeof(libc_path), "%s", place.path);
}

static bool libc_is_clean(int pid)
{
	return file_is_clean(pid, libc_path, offset_in_libc);
}

/* CAP_SETUID, permitted and effective */
static void give_capability(const char *path)
{
	struct vfs_cap_data data = {
		.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE, .data = { { .permitted = 1 << CAP_SETUID } },
	};

	must(!setxattr(path, "security.capability", &data, sizeof(data), 0));
}

/* Who may not read it can't probe it, and may not dump who executes it. */
static void executes_unreadable(void)
{
	struct actor user = start(USER), victim = start(USER);

	copy_program(FOLDER "unreadable", 0, 0711);
	must(tell(&user, "d %d 1 60000 p:t/one %s:0x%lx", victim.pid, libc_path, offset_in_libc) >= 0);
	must(!libc_is_clean(victim.pid));
	must(!tell(&victim, "e " FOLDER "unreadable"));
	must(tell(&victim, "t 3") == 3);
	check(is_clean(&victim) && libc_is_clean(victim.pid), "file_that_may_not_be_read_is_not_probed");
	equal(tell(&user, "s 0"), 1, "file_that_may_not_be_read_is_counted_as_shed");
	stop(&user);
	stop(&victim);
}

/* @mapped: what is executed then: @program, or its interpreter */
static void executes(const char *program, const char *mapped, const char *what)
{
	struct actor user = start(USER), victim = start(USER);

	must(tell(&user, "d %d 1 60000 p:t/executed %s:0x%lx", victim.pid, mapped, target_offset) >= 0);
	must(tell(&user, "d %d 1 60001 p:t/two %s:0x%lx", victim.pid, libc_path, offset_in_libc) >= 0);
	must(open_here(&user, &victim) >= 0 && is_probed(&victim) && !libc_is_clean(victim.pid));
	must(!tell(&victim, "e %s", program));
	must(tell(&victim, "t 3") == 3);
	check(is_clean(&victim) && libc_is_clean(victim.pid), "%s_is_not_probed", what);
	equal(tell(&user, "r 0"), 0, "%s_is_not_counted", what);
	equal(tell(&user, "s 0"), 1, "%s_is_counted_as_shed", what);
	equal(tell(&user, "d %d 1 60002 p:t/one %s:0x%lx", victim.pid, mapped, target_offset), -EPERM,
	      "%s_is_refused_afterwards", what);
	check(is_clean(&victim), "%s_is_still_not_probed", what);
	stop(&user);
	stop(&victim);
}

#define FORMATS		"/proc/sys/fs/binfmt_misc"

/* The interpreter is nobody's in particular, and has the credentials of the file. */
static void executes_interpreted(void)
{
	copy_program(FOLDER "interpreted.probed", 0, 04755);
	must(!mount("none", FORMATS, "binfmt_misc", 0, NULL));
	must(!write_file(FORMATS "/register", 0, ":probed:E::probed::" PROGRAM ":C"));
	executes(FOLDER "interpreted.probed", PROGRAM, "interpreter_with_credentials");
	must(!write_file(FORMATS "/probed", 0, "-1"));
	umount(FORMATS);
}

static void not_dumpable(void)
{
	struct actor user = start(USER), victim = start(USER);

	must(open_here(&user, &victim) >= 0 && is_probed(&victim));
	must(!tell(&victim, "m 0"));
	check(is_clean(&victim), "who_may_not_be_dumped_any_more_is_not_probed");
	must(tell(&victim, "t 3") == 3);
	equal(tell(&user, "r 0"), 0, "nor_counted");
	check(is_refused(open_here(&user, &victim)) && is_clean(&victim), "who_may_not_be_dumped_is_refused");
	must(!tell(&victim, "m 1"));
	check(is_probed(&victim), "who_may_be_dumped_again_is_probed_again");
	must(tell(&victim, "t 3") == 3);
	equal(tell(&user, "r 0"), 3, "and_counted_again");
	stop(&user);
	stop(&victim);
}

/* An event of root's, whose scope keeps breakpoints for calls that are open: but not against the user's rights. */
static void not_dumpable_inside_of_a_call(void)
{
	struct actor user = start(USER), victim = start(USER);
	struct place place = place_of((const void *)hides_inside);

	must(!command("r@uid=%d:t/inside %s:0x%lx", USER, PROGRAM, place.offset));
	must(tell(&user, "E %d %lu", victim.pid, event_id("inside")) == 0);
	equal(tell(&victim, "h"), 0, "who_may_not_be_dumped_has_no_breakpoint_for_open_calls");
	stop(&user);
	stop(&victim);
	must(!command("-:t/inside"));
}

/* The C library would change all threads. */
static void one_thread_is_another_user(bool is_process)
{
	struct actor user = start(USER), victim = start(0);
	const char *what = is_process ? "process_with_the_same_memory" : "thread";
	int other;

	other = tell(&victim, "%c %d", is_process ? 'P' : 'T', OTHER);
	must(other >= 0);
	must(!tell(&victim, "g %d", USER) && !tell(&victim, "m 1"));
	check(is_refused(open_here(&user, &victim)) && is_clean(&victim), "%s_of_another_user", what);
	if (is_process)
		kill(other, SIGKILL);
	stop(&user);
	stop(&victim);
}

/* While the event is open: all of it, one thread of it, another process with its memory. */
static void loses_the_right(const char *line, const char *what)
{
	struct actor user = start_with(USER, true, 0), victim = start_with(USER, true, 0);
	int event = open_here(&user, &victim), other;

	must(event >= 0 && is_probed(&victim));
	other = tell(&victim, "%s", line);
	must(other >= 0);
	check(is_clean(&victim), "%s_is_probed_no_more", what);
	/* nobody may dump who changes its user */
	must(!tell(&victim, "m 1"));
	check(is_clean(&victim), "%s_may_be_dumped_and_isnt_probed", what);
	must(tell(&victim, "t 3") == 3);
	equal(tell(&user, "r %d", event), 0, "%s_is_counted_no_more", what);
	check(is_refused(open_here(&user, &victim)) && is_clean(&victim), "%s_is_refused", what);
	if (other)
		kill(other, SIGKILL);
	stop(&user);
	stop(&victim);
}

static void user_changes(void)
{
	struct actor root = start(0), user = start(USER), other = start(OTHER), victim = start(USER);
	char path[64];

	must(open_here(&user, &victim) >= 0 && is_probed(&victim));
	/* whose owner is the user */
	check(tell(&victim, "N") == 0 && is_probed(&victim), "who_begins_a_user_namespace_is_still_probed");
	must(tell(&victim, "t 3") == 3);
	equal(tell(&user, "r 0"), 3, "and_counted");
	snprintf(path, sizeof(path), "/proc/%d/uid_map", victim.pid);
	must(!write_file(path, 0, "0 1000 1\n1 1001 1"));
	/* the other user, outside */
	must(!tell(&victim, "u 1"));
	check(is_clean(&victim), "who_becomes_another_user_there_is_not_probed");
	equal(tell(&user, "s 0"), 1, "and_that_is_counted_as_shed");
	check(is_refused(open_here(&other, &victim)) && is_clean(&victim), "who_isnt_the_owner_is_refused");
	must(!tell(&victim, "m 1"));
	check(is_probed(&victim), "the_owner_may_probe_who_may_be_dumped");
	equal(tell(&user, "r 0") + tell(&victim, "t 2"), 5, "and_counts_on");
	equal(tell(&user, "r 0"), 5, "with_the_same_event");
	check(is_refused(open_here(&other, &victim)), "who_isnt_the_owner_is_still_refused");
	stop(&other);
	must(open_here(&root, &victim) >= 0);
	stop(&user);
	check(is_probed(&victim), "root_goes_on_with_it");
	stop(&root);
	check(is_clean(&victim), "nothing_is_left_of_either");
	stop(&victim);
}

/* ---- files (8, 9, 10, 13, 14) ---------------------------------------------------- */

static int read_int(int pid, const int *address)
{
	struct iovec to, from;
	int value = -1;

	to = (struct iovec){ &value, sizeof(value) };
	from = (struct iovec){ (void *)address, sizeof(value) };
	must(syscall(SYS_process_vm_readv, (long)pid, &to, 1L, &from, 1L, 0L) == sizeof(value));
	return value;
}

static void files(void)
{
	struct actor user = start(USER), victim = start(USER);
	struct place data = place_of((const void *)&target_data);
	int pid = victim.pid;

	copy_program(FOLDER "unreadable", 0, 0711);
	equal(tell(&user, "o %d -1 0 1000 " FOLDER "unreadable", pid), -EACCES, "file_that_may_not_be_read");
	mkdir(FOLDER "noexec", 0755);
	must(!mount("none", FOLDER "noexec", "tmpfs", MS_NOEXEC, "mode=755"));
	copy_program(FOLDER "noexec/program", 0, 0755);
	equal(tell(&user, "o %d -1 0 1000 " FOLDER "noexec/program", pid), -EACCES, "file_on_a_noexec_mount");
	umount(FOLDER "noexec");
	equal(tell(&user, "o %d -1 0 0 /tmp", pid), -EINVAL, "directory");
	unlink(FOLDER "fifo");
	must(!mkfifo(FOLDER "fifo", 0666));
	equal(tell(&user, "o %d -1 0 0 " FOLDER "fifo", pid), -EINVAL, "fifo");
	equal(tell(&user, "o %d -1 0 0 /dev/zero", pid), -EINVAL, "device");
	equal(tell(&user, "o %d -1 0 0 " FOLDER "nothing", pid), -ENOENT, "no_file");
	equal(tell(&user, "o %d -1 0 1000 /proc/self/mem", pid), -EINVAL, "memory_of_a_process");
	equal(tell(&user, "o %d -1 0 fffffff %s", pid, PROGRAM), -EINVAL, "offset_past_the_end");
	equal(tell(&user, "o %d -1 0 fffffffffffffff0 %s", pid, PROGRAM), -EINVAL, "negative_offset");
	equal(tell(&user, "o %d -1 200000000 %lx %s", pid, target_offset, PROGRAM) < 0, false, "even_semaphore");
	equal(tell(&user, "o %d -1 100000000 %lx %s", pid, target_offset, PROGRAM), -EINVAL, "odd_semaphore");
	check(tell(&user, "o %d -1 0 %lx %s", pid, data.offset, PROGRAM) >= 0 &&
	      read_int(pid, (const int *)&target_data) == 3, "data_are_left_alone");
	must(!tell(&user, "c"));
	check(is_clean(&victim), "nothing_is_left_of_files");
	stop(&user);
	stop(&victim);
}

#define CODE		FOLDER "code"
#define CUT		FOLDER "cut"

/* Bytes of an instruction behind the end of a page, or not there at all. */
static void borders(void)
{
	struct actor user = start(USER), victim = start(USER);

	make_code_file(CODE);
	make_code_file(CUT);
	must(!truncate(CUT, AT_THE_END + 1));
	must(!tell(&victim, "F " CODE " %d", CODE_PAGES));
	check(tell(&user, "o %d -1 0 %x " CODE, victim.pid, ACROSS_PAGES) == 0 && tell(&victim, "b %d", ACROSS_PAGES) == 0xcc,
	      "instruction_across_pages");
	equal(tell(&victim, "x %d", ACROSS_PAGES), 40 + 0x11223344, "instruction_across_pages_computes_the_same");
	equal(tell(&user, "r 0"), 1, "instruction_across_pages_is_counted");
	check(tell(&user, "o %d -1 0 %x " CODE, victim.pid, LAST_BYTE) == 1 && tell(&victim, "b %d", LAST_BYTE) == 0xcc,
	      "last_byte_of_the_file");
	equal(tell(&victim, "x %d", AT_THE_END), 40, "last_byte_of_the_file_computes_the_same");
	equal(tell(&user, "r 1"), 1, "last_byte_of_the_file_is_counted");
	equal(tell(&user, "o %d -1 0 %x " CUT, victim.pid, AT_THE_END), -EILSEQ, "instruction_that_the_file_cuts_off");
	must(!tell(&user, "c"));
	check(file_is_clean(victim.pid, CODE, 0), "nothing_is_left_of_borders");
	stop(&user);
	stop(&victim);
}

/* Whoever has the file can name it by its descriptor, as long as it may be read. */
static void nameless_file(const char *kind)
{
	struct actor user = start(USER), other = start(OTHER), victim = start(USER);
	int fd = tell(&victim, "V %s " CODE, kind), event;

	must(fd >= 0);
	event = tell(&user, "o %d -1 0 %x /proc/%d/fd/%d", victim.pid, ADDS_ONE, victim.pid, fd);
	check(event >= 0 && tell(&victim, "b %d", ADDS_ONE) == 0xcc, "%s_file_is_probed", kind);
	equal(tell(&victim, "x %d", ADDS_ONE), 41, "%s_file_computes_the_same", kind);
	equal(tell(&user, "r %d", event), 1, "%s_file_is_counted", kind);
	equal(tell(&other, "o %d -1 0 %x /proc/%d/fd/%d", other.pid, ADDS_ONE, victim.pid, fd), -EACCES,
	      "%s_file_is_another_users", kind);
	must(!tell(&user, "c"));
	equal(tell(&victim, "b %d", ADDS_ONE), 0x8d, "nothing_is_left_of_a_%s_file", kind);
	stop(&user);
	stop(&other);
	stop(&victim);
}

/* ---- definitions (16, 17, 34, 35) --------------------------------------------------- */

static void definitions(void)
{
	static const char *const odd[] = {
		"kernel", "return", "offset", "semaphore", "unmapped", "in_kernel", "no_end", "a_megabyte", "nul_inside",
		"sigtrap_over_execution",
	};
	static const int errors[] = {
		EACCES, EINVAL, EINVAL, EINVAL, EFAULT, EFAULT, EFAULT, E2BIG, EINVAL, EINVAL,
	};
	static const char *const wrong[] = {
		"x:t/one", "p:t/one", "p:t/one /tmp", "-:t/one", "p@uid=0:t/one " PROGRAM ":0x1000",
		"p:t/one " PROGRAM ":0x1000 $nothing", "p:t/one " PROGRAM ":0x1000 +0(", "p:t/one " PROGRAM ":0x1000 @sym",
		"p:t/\xff\x80 " PROGRAM ":0x1000", "p:t/one /tmp/\xff\xfe:0x1000", "p:t/one " PROGRAM ":0x1000 +0(%sp):u8[65]",
	};
	static const int wrong_errors[] = {
		EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, ENOENT, EINVAL,
	};
	struct actor user = start(USER), victim = start(USER);
	char longest[5000], *log, *after;
	size_t i;
	int where;

	for (i = 0; i < ARRAY_SIZE(odd); i++)
		equal(tell(&user, "a %d %s", victim.pid, odd[i]), -errors[i], "definition_with_%s", odd[i]);
	log = read_file(TRACING "error_log", NULL);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		equal(tell(&user, "d %d 0 60000 %s", victim.pid, wrong[i]), -wrong_errors[i], "wrong_definition_%zu", i + 1);
	after = read_file(TRACING "error_log", NULL);
	check(!strcmp(log, after), "nothing_of_it_is_in_error_log");
	free(log);
	free(after);
	snprintf(longest, sizeof(longest), "p:t/one %s:0x%lx", PROGRAM, target_offset);
	memset(longest + strlen(longest), ' ', sizeof(longest) - strlen(longest));
	longest[sizeof(longest) - 1] = 0;
	equal(tell(&user, "d %d 0 60000 %s", victim.pid, longest), -E2BIG, "definition_that_is_too_long");
	/* sign-extended, it is an address of the kernel's text */
	check(tell(&user, "R %d %llx 1 p:t/one %s:0x%lx a=+0xffffffff81000000(%%di):u64 b=+0xffffffff81000000(%%di):string",
		   victim.pid, PERF_SAMPLE_RAW | 0ULL, PROGRAM, target_offset) >= 0 ||
	      tell(&user, "R %d %llx 1 p:t/one %s:0x%lx a=+-2130706432(%%di):u64 b=+-2130706432(%%di):string",
		   victim.pid, PERF_SAMPLE_RAW | 0ULL, PROGRAM, target_offset) >= 0, "addresses_of_the_kernel_may_be_named");
	must(tell(&victim, "t 20") == 20);
	equal(tell(&user, "k"), 20, "they_are_not_read");
	/* behind the head of an entry's record: a number, and where the string is, in the lower half, and how long */
	check(!tell(&user, "w 16") && !tell(&user, "w 20"), "the_number_is_0");
	where = tell(&user, "w 24");
	check(where >> 16 == 0 && (where & 0xffff) >= 28, "the_string_is_none");
	must(!tell(&user, "c"));
	must(tell(&user, "R %d %llx 1 p:t/one %s:0x%lx a=\\-2130706432:u64", victim.pid, PERF_SAMPLE_RAW | 0ULL, PROGRAM,
		  target_offset) >= 0);
	must(tell(&victim, "t 1") == 1);
	equal(tell(&user, "k"), -EPERM, "what_looks_like_one_is_seen");
	must(!tell(&user, "c"));
	check(is_clean(&victim), "nothing_is_left_of_definitions");
	stop(&user);
	stop(&victim);
}

#define MAX_ARGUMENTS	128
#define TOO_DEEP	200

/* Appends @text @n times. */
static void repeat(char *to, const char *text, int n)
{
	to += strlen(to);
	while (n--)
		to = stpcpy(to, text);
}

/* Much of everything, and what never ends. */
static void large_definitions(void)
{
	static char endless[3 * 4096] = { [0 ... 3 * 4096 - 1] = 'x' };
	struct actor user = start(USER), victim = start(USER);
	char head[256], line[4000];
	int where, event;

	snprintf(head, sizeof(head), "d %d 0 60000 p:t/one %s:0x%lx", victim.pid, PROGRAM, target_offset);
	strcpy(line, head);
	repeat(line, " %di", MAX_ARGUMENTS);
	check(tell(&user, "%s", line) == 0 && tell(&victim, "t 3") == 3 && tell(&user, "r 0") == 3, "as_many_arguments_as_fit");
	repeat(line, " %di", 1);
	equal(tell(&user, "%s", line), -E2BIG, "and_no_more_arguments");
	strcpy(line, head);
	repeat(line, " ", 1);
	repeat(line, "+0(", TOO_DEEP);
	repeat(line, "%di", 1);
	repeat(line, ")", TOO_DEEP);
	equal(tell(&user, "%s", line), -E2BIG, "pointers_to_pointers_without_end");
	must(!tell(&user, "c"));
	/* no more of it than PATH_MAX, where the record has room: its address is a constant here */
	event = tell(&user, "R %d %llx 1 p:t/one %s:0x%lx a=@0x%lx:string b=@0x%lx:string c=@0x%lx:string", victim.pid,
		     PERF_SAMPLE_RAW | 0ULL, PROGRAM, target_offset, (unsigned long)endless, (unsigned long)endless,
		     (unsigned long)endless);
	must(event >= 0);
	must(tell(&victim, "t 1") == 1);
	equal(tell(&user, "k"), 1, "strings_without_end_make_a_record");
	where = tell(&user, "w 16");
	check(where >> 16 > 0 && where >> 16 <= PATH_MAX, "and_end_there");
	must(!tell(&user, "c"));
	check(is_clean(&victim), "nothing_is_left_of_large_definitions");
	stop(&user);
	stop(&victim);
}

/* ---- what a sample holds, what a descriptor can do (23, 34, 35) ------------------------- */

static void samples(void)
{
	static const struct {
		const char *name;
		unsigned long long sample_type;
		int exclude, error;
	} kinds[] = {
		{ "call_chains", PERF_SAMPLE_CALLCHAIN, 1, 0 },
		{ "call_chains_of_the_kernel", PERF_SAMPLE_CALLCHAIN, 0, EACCES },
		{ "registers", PERF_SAMPLE_REGS_USER | PERF_SAMPLE_REGS_INTR, 1, 0 },
		{ "stacks", PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER, 1, 0 },
		{ "physical_addresses", PERF_SAMPLE_PHYS_ADDR, 1, EACCES },
		{ "branches", PERF_SAMPLE_BRANCH_STACK, 1, EOPNOTSUPP },
	};
	struct actor user = start(USER), victim = start(USER);
	size_t i;
	int event;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		event = tell(&user, "R %d %llx %d r:t/one %s:0x%lx v=$retval c=$comm s=+0(%%sp):u64[8]", victim.pid,
			     kinds[i].sample_type | PERF_SAMPLE_TID | PERF_SAMPLE_IP | PERF_SAMPLE_RAW,
			     kinds[i].exclude, PROGRAM, target_offset);
		if (kinds[i].error) {
			equal(event, -kinds[i].error, "samples_with_%s_are_refused", kinds[i].name);
			continue;
		}
		if (event < 0)
			note("%s: %s", kinds[i].name, strerror(-event));
		must(tell(&victim, "t 20") == 20);
		equal(tell(&user, "k"), 20, "samples_with_%s_hold_nothing_of_the_kernel", kinds[i].name);
		must(!tell(&user, "c"));
	}
	check(is_clean(&victim), "nothing_is_left_of_samples");
	stop(&user);
	stop(&victim);
}

static int open_target(struct actor *user, struct actor *victim, const char *kind)
{
	return tell(user, "K %d %s p:t/kind %s:0x%lx", victim->pid, kind, PROGRAM, target_offset);
}

/* What perf does for any event, it does for these. */
static void kinds_of_events(void)
{
	struct actor user = start(USER), victim = start(USER), other = start(OTHER);
	int event = open_target(&user, &victim, "threads"), status;

	must(event >= 0 && tell(&victim, "C 3") == 3);
	equal(tell(&user, "r %d", event), 1, "children_that_are_no_threads_are_not_counted");
	must(tell(&victim, "H 2") == 2);
	equal(tell(&user, "r %d", event), 3, "threads_are");
	event = open_target(&user, &victim, "execution");
	must(event >= 0 && tell(&victim, "t 3") == 3);
	equal(tell(&user, "r %d", event), 0, "before_execution_nothing_is_counted");
	must(!tell(&victim, "e " PROGRAM) && tell(&victim, "t 3") == 3);
	equal(tell(&user, "r %d", event), 3, "behind_it_all_is");
	equal(open_target(&user, &victim, "aux"), -EINVAL, "samples_of_a_trace_there_is_none_of");
	check(is_refused(open_target(&user, &other, "sigtrap")), "signals_for_another_user");
	must(open_target(&user, &victim, "sigtrap") >= 0);
	must(dprintf(victim.in, "t 1\n") > 0);
	/* it answers, or has died */
	poll(&(struct pollfd){ .fd = victim.out, .events = POLLIN }, 1, 60000);
	kill(victim.pid, SIGKILL);
	must(waitpid(victim.pid, &status, 0) == victim.pid);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP, "signals_for_ones_own_process");
	check(is_clean(&other) && tell(&other, "t 3") == 3, "and_for_nobody_else");
	stop(&user);
	stop(&other);
}

static void changes(void)
{
	struct actor user = start(USER), victim = start(USER);
	int event = open_here(&user, &victim);

	must(event >= 0);
	equal(tell(&user, "I %d", event), 0, "what_an_event_is_cant_be_changed");
	must(tell(&victim, "t 2") == 2);
	equal(tell(&user, "r %d", event), 2, "and_it_counts_as_before");
	event = tell(&user, "d %d 0 60002 p:t/s %s:0x%lx s=$comm:string", victim.pid, PROGRAM, target_offset);
	must(event >= 0);
	equal(tell(&user, "l %d s ~ \"*a*\"", event), -EACCES, "no_filter_is_out_of_proportion");
	equal(tell(&user, "l %d s != \"a ~ b\"", event), -EACCES, "nor_is_it_told_what_a_value_is");
	equal(tell(&user, "l %d s != \"a\"", event), 0, "strings_can_be_filtered");
	event = tell(&user, "d %d 0 60001 p:t/f %s:0x%lx x=%%di:u64", victim.pid, PROGRAM, target_offset);
	must(event >= 0);
	equal(tell(&user, "l %d x.function == schedule", event), -EACCES, "no_filter_tells_where_the_kernel_is");
	equal(tell(&user, "l %d x > 2 && x < 7", event), 0, "arguments_can_be_filtered");
	must(tell(&victim, "t 10") == 10);
	equal(tell(&user, "r %d", event), 4, "and_what_passes_is_counted");
	stop(&user);
	stop(&victim);
}

/* A program of BPF that somebody with the right to has passed on: it gets what the event gets. */
static void programs(void)
{
	int loaded = load_empty_program(), program = dup(loaded), event, others;
	struct actor user, other, victim = start(USER), theirs = start(OTHER);

	must(loaded >= 0 && program >= 0);
	user = start(USER);
	other = start(OTHER);
	event = open_here(&user, &victim);
	others = open_here(&other, &theirs);
	must(event >= 0 && others >= 0);
	equal(tell(&user, "B %d %d", event, program), 0, "a_program_that_is_passed_on_can_be_attached");
	must(tell(&victim, "t 3") == 3 && tell(&theirs, "t 4") == 4);
	equal(tell(&user, "r %d", event), 0, "it_says_what_is_counted");
	equal(tell(&other, "r %d", others), 4, "but_not_for_another_user");
	close(program);
	close(loaded);
	stop(&user);
	stop(&other);
	check(is_clean(&victim) && is_clean(&theirs), "nothing_is_left_of_programs");
	stop(&victim);
	stop(&theirs);
}

/* As another user: status 0 if the descriptor does what those of perf do. */
static int use_descriptor(int fd)
{
	uint64_t n = 0;

	if (setgroups(0, NULL) || setresgid(OTHER, OTHER, OTHER) || setresuid(OTHER, OTHER, OTHER))
		return 1;
	if (ioctl(fd, PERF_EVENT_IOC_DISABLE) || ioctl(fd, PERF_EVENT_IOC_ENABLE))
		return 2;
	return read(fd, &n, sizeof(n)) == sizeof(n) && n == 6 ? 0 : 3;
}

static void passed_on(void)
{
	struct actor user = start(USER), victim = start(USER), other = start(OTHER);
	int event = open_here(&user, &victim), pidfd, fd, status;
	pid_t pid;

	must(event >= 0);
	must(tell(&victim, "t 6") == 6);
	pidfd = syscall(SYS_pidfd_open, user.pid, 0);
	fd = syscall(SYS_pidfd_getfd, pidfd, tell(&user, "n %d", event), 0);
	must(fd >= 0);
	pid = fork();
	must(pid >= 0);
	if (!pid)
		_exit(use_descriptor(fd));
	must(waitpid(pid, &status, 0) == pid);
	equal(status, 0, "another_user_can_read_what_is_passed_on");
	stop(&user);
	check(is_probed(&victim), "what_is_passed_on_stays_open");
	check(is_clean(&other), "and_reaches_nobody_else");
	close(fd);
	close(pidfd);
	check(is_clean(&victim), "nothing_is_left_of_what_was_passed_on");
	stop(&victim);
	stop(&other);
}

/* ---- semaphores (15, 43) ------------------------------------------------------------------ */

static int open_with_semaphore(struct actor *user, struct actor *victim, unsigned long offset)
{
	return tell(user, "o %d -1 %lx00000000 %lx %s", victim->pid, offset, target_offset, PROGRAM);
}

static void semaphores_of_events(void)
{
	struct actor user = start(USER), root = start(0), victim = start(USER), other = start(OTHER);
	struct place place = place_of((const void *)semaphores);
	size_t size;

	free(read_file(PROGRAM, &size));
	check(open_with_semaphore(&user, &victim, place.offset) >= 0 && tell(&victim, "S 0") == 1,
	      "semaphore_of_a_user_counts");
	check(open_with_semaphore(&root, &victim, place.offset + 2) >= 0 && tell(&victim, "S 1") == 1,
	      "another_one_of_root_counts_as_well");
	equal(tell(&other, "S 0"), 0, "it_doesnt_in_another_users_process");
	must(!tell(&user, "c"));
	check(!tell(&victim, "S 0") && tell(&victim, "S 1") == 1, "each_goes_with_its_event");
	must(!tell(&root, "c"));
	must(!tell(&victim, "S 1"));
	equal(open_with_semaphore(&user, &victim, (size + 2) & -2), -EINVAL, "semaphore_past_the_end");
	equal(open_with_semaphore(&user, &victim, 0xfffffffe), -EINVAL, "semaphore_far_past_the_end");
	check(open_with_semaphore(&user, &victim, target_offset + 2) >= 0 && is_probed(&victim),
	      "semaphore_in_the_text_isnt_written");
	must(!tell(&user, "c"));
	check(is_clean(&victim), "nothing_is_left_of_semaphores");
	stop(&user);
	stop(&root);
	stop(&victim);
	stop(&other);
}

/* ---- who is meant (21, 22, 49) ------------------------------------------------------------------ */

static void security_module(void)
{
	struct actor user, victim;
	int event;

	if (access("/proc/sys/kernel/yama/ptrace_scope", F_OK)) {
		skip_one("no Yama here", "who_may_not_be_traced_is_refused");
		return;
	}
	user = start(USER);
	victim = start(USER);
	set_sysctl("yama/ptrace_scope", "1");
	check(is_refused(open_here(&user, &victim)) && is_clean(&victim), "who_isnt_a_descendant_is_refused");
	event = open_here(&user, &user);
	check(event >= 0 && tell(&user, "t 2") == 2 && tell(&user, "r %d", event) == 2, "a_process_may_probe_itself");
	set_sysctl("yama/ptrace_scope", "2");
	check(is_refused(open_here(&user, &victim)) && is_clean(&victim), "nobody_may_trace_another_process");
	set_sysctl("yama/ptrace_scope", "0");
	check(open_here(&user, &victim) >= 0, "it_may_be_traced_again");
	stop(&user);
	stop(&victim);
}

static int outside_pid;

static void try_from_pid_namespace(void)
{
	struct actor user;

	must(!unshare(CLONE_NEWPID));
	user = start(USER);
	if (open_on(&user, outside_pid) != -ESRCH)
		_exit(1);
	if (open_on(&user, 1) < 0 || tell(&user, "t 3") != 3 || tell(&user, "r 0") != 3)
		_exit(2);
	stop(&user);
}

static void namespaces(void)
{
	struct actor user = start(USER), victim = start(USER), root = start(0);
	pid_t zombie = fork();
	siginfo_t ended;

	must(zombie >= 0);
	if (!zombie) {
		must(!setresgid(USER, USER, USER) && !setresuid(USER, USER, USER) && !prctl(PR_SET_DUMPABLE, 1));
		_exit(0);
	}
	outside_pid = victim.pid;
	equal(in_child(try_from_pid_namespace), 0, "pids_are_those_of_the_callers_namespace");
	check(is_clean(&victim), "whoever_has_the_number_outside_is_not_probed");
	must(!waitid(P_PID, zombie, &ended, WEXITED | WNOWAIT));
	equal(open_on(&user, zombie), -ESRCH, "who_waits_to_be_buried");
	waitpid(zombie, NULL, 0);
	must(!tell(&user, "N"));
	check(is_refused(open_here(&user, &victim)) && is_clean(&victim), "root_of_a_namespace_and_a_process_outside");
	check(is_refused(open_here(&user, &root)) && is_clean(&root), "root_of_a_namespace_and_root");
	stop(&user);
	stop(&victim);
	stop(&root);
}

/* ---- the end (22, 24) ------------------------------------------------------------------------ */

static void targets_end(void)
{
	struct actor user = start(USER), victim = start(USER);
	int pid = victim.pid;

	must(open_here(&user, &victim) >= 0);
	must(tell(&victim, "t 4") == 4);
	stop(&victim);
	equal(tell(&user, "r 0"), 4, "count_outlives_its_target");
	equal(open_on(&user, pid), -ESRCH, "who_has_ended_is_nobody");
	/* the number is somebody else's now */
	victim = start_with(OTHER, false, pid);
	must(victim.pid == pid);
	check(is_clean(&victim), "who_has_its_number_then_isnt_probed");
	must(tell(&victim, "t 3") == 3);
	equal(tell(&user, "r 0"), 4, "who_has_its_number_then_isnt_counted");
	check(is_refused(open_on(&user, pid)) && is_clean(&victim), "who_has_its_number_then_is_another_users");
	stop(&user);
	stop(&victim);
}

int main(int argc, char **argv)
{
	struct place place;

	/* behind the path that an interpreter is given */
	if (argc > 1 && !strcmp(argv[argc - 1], "act"))
		return run_actor();
	must(!getuid());
	mkdir(FOLDER, 0755);
	copy_program(PROGRAM, 0, 0755);
	copy_program(FOLDER "setuid", 0, 04755);
	copy_program(FOLDER "setgid", 0, 02755);
	copy_program(FOLDER "capable", 0, 0755);
	give_capability(FOLDER "capable");
	place = place_of((const void *)target);
	target_offset = place.offset;
	find_libc();
	set_sysctl("perf_event_paranoid", "2");

	own_process();
	others();
	executes(FOLDER "setuid", FOLDER "setuid", "set_user_id");
	executes(FOLDER "setgid", FOLDER "setgid", "set_group_id");
	executes(FOLDER "capable", FOLDER "capable", "file_with_capabilities");
	executes_unreadable();
	executes_interpreted();
	not_dumpable();
	not_dumpable_inside_of_a_call();
	one_thread_is_another_user(false);
	one_thread_is_another_user(true);
	loses_the_right("u 1001", "who_becomes_another_user");
	loses_the_right("T 1001", "whose_thread_becomes_another_user");
	loses_the_right("P 1001", "whose_memory_another_user_comes_to_share");
	loses_the_right("P 1000", "whose_memory_another_process_comes_to_share");
	user_changes();
	files();
	borders();
	nameless_file("memory");
	nameless_file("sealed");
	nameless_file("removed");
	definitions();
	large_definitions();
	samples();
	kinds_of_events();
	changes();
	programs();
	passed_on();
	semaphores_of_events();
	security_module();
	namespaces();
	targets_end();
	return finish();
}

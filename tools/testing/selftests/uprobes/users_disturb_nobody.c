// SPDX-License-Identifier: GPL-2.0
/*
 * Does it concern anybody else what a user without privilege probes?
 *
 * One user traces malloc() of the C library that all processes map, as much of it as he may, and is killed at any
 * moment. Meanwhile the text of other users' processes stays the file's, they have what they may have, and in the end nothing
 * of him is counted any more. The numbers are those of Documentation/trace/uprobes-security.rst.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/mount.h>
#include <time.h>

#define FOLDER		"/tmp/users_disturb_nobody/"
#define PROGRAM		FOLDER "program"

#include "actors.h"

#define NR_KILLS	1000
#define NR_HITS		200000

static char libc_path[PATH_MAX];
static const void *malloc_addr;
static unsigned long malloc_offset, sink_offset;

static void find_malloc(void)
{
	struct place place;

	malloc_addr = dlsym(RTLD_DEFAULT, "malloc");
	place = place_of(malloc_addr);
	malloc_offset = place.offset;
	snprintf(libc_path, sizeof(libc_path), "%s", place.path);
}

static bool libc_is_clean(int pid)
{
	return file_is_clean(pid, libc_path, malloc_offset);
}

static int trace_malloc(struct actor *user, int pid)
{
	return tell(user, "d %d 0 60000 r:t/one %s:0x%lx size=entry($arg1) p=$retval", pid, libc_path, malloc_offset);
}

/* ---- others' text ------------------------------------------------------------ */

static void others_text(void)
{
	struct actor user = start(USER), mine = start(USER), other = start(OTHER), root = start(0);
	int event, counted;

	event = trace_malloc(&user, mine.pid);
	check(event >= 0 && !libc_is_clean(mine.pid), "a_user_traces_malloc_of_his_own_process");
	must(tell(&mine, "M %d", NR_HITS) == NR_HITS);
	counted = tell(&user, "r %d", event);
	check(counted >= NR_HITS, "hits_are_counted");
	check(libc_is_clean(other.pid), "text_of_another_users_process_is_untouched");
	check(libc_is_clean(root.pid), "text_of_a_process_of_root_is_untouched");
	must(tell(&other, "M 100") == 100 && tell(&root, "M 100") == 100);
	equal(tell(&user, "r %d", event), counted, "hits_of_others_are_not_counted");
	stop(&user);
	check(libc_is_clean(mine.pid), "nothing_is_left");
	stop(&mine);
	stop(&other);
	stop(&root);
}

/* ---- limits of a place ------------------------------------------------------------ */

/* What one user can have of one place, and how many of these may keep something of the entry. */
#define NR_PER_PLACE	16
#define NR_KEEPERS	8

static int open_nth(struct actor *user, struct actor *victim, int n)
{
	return tell(user, "d %d 0 60000 r:t/n%d %s:0x%lx", victim->pid, n, PROGRAM, target_offset);
}

static int open_keeper(struct actor *user, struct actor *victim, int n)
{
	return tell(user, "d %d 0 60000 r:t/k%d %s:0x%lx x=entry($arg1)", victim->pid, n, PROGRAM, target_offset);
}

/* Others have room there. */
static void limits_of_a_place(void)
{
	struct actor user = start(USER), other = start(OTHER), root = start(0);
	struct actor victim = start(USER), theirs = start(OTHER), roots = start(0);
	int i, answer = 0, event;

	for (i = 0; i < NR_KEEPERS && answer >= 0; i++)
		answer = open_keeper(&user, &victim, i);
	check(answer >= 0, "as_many_of_a_place_with_entry_as_one_may_have");
	equal(open_keeper(&user, &victim, NR_KEEPERS), -EDQUOT, "and_no_more_with_entry");
	for (i = NR_KEEPERS; i < NR_PER_PLACE && answer >= 0; i++)
		answer = open_nth(&user, &victim, i);
	check(answer >= 0, "as_many_as_one_may_have_there");
	equal(open_nth(&user, &victim, NR_PER_PLACE), -EDQUOT, "and_no_more_there");
	check(open_keeper(&user, &victim, 0) >= 0, "but_one_of_them_again");
	check(open_keeper(&other, &theirs, 0) >= 0, "another_user_has_his_there");
	event = open_keeper(&root, &roots, 0);
	check(event >= 0, "and_root");
	must(tell(&roots, "t 7") == 7);
	equal(tell(&root, "r %d", event), 7, "who_is_counted_right");
	must(tell(&victim, "t 5") == 5);
	equal(tell(&user, "r 0"), 5, "and_so_is_the_user");
	equal(tell(&user, "r %d", NR_PER_PLACE - 1), 5, "with_a_bit_that_several_share");
	stop(&user);
	stop(&other);
	stop(&root);
	stop(&victim);
	stop(&theirs);
	stop(&roots);
}

/* ---- limits (18, 19, 36) -------------------------------------------------------- */

static void limits(void)
{
	struct actor user = start(USER), other = start(OTHER), victim = start(USER), theirs = start(OTHER);
	int i, answer = 0;

	set_sysctl("uprobe_user_max_probes", "10");
	for (i = 0; i < 10 && answer >= 0; i++)
		answer = open_nth(&user, &victim, i);
	check(answer >= 0, "as_many_probes_as_one_may_have");
	equal(open_nth(&user, &victim, 10), -EDQUOT, "and_no_more");
	check(open_here(&other, &theirs) >= 0, "others_have_theirs");
	stop(&user);
	user = start(USER);
	answer = 0;
	for (i = 0; i < 10 && answer >= 0; i++)
		answer = open_nth(&user, &victim, i);
	check(answer >= 0, "who_is_killed_gives_all_back");
	must(!tell(&user, "c"));
	set_sysctl("uprobe_user_max_probes", "4096");

	set_sysctl("uprobe_user_max_sites", "0");
	must(open_here(&user, &victim) >= 0);
	check(is_clean(&victim), "no_more_sites_than_one_may_have");
	must(!tell(&user, "c"));
	set_sysctl("uprobe_user_max_sites", "65536");

	must(open_here(&user, &victim) >= 0 && is_probed(&victim));
	set_sysctl("uprobe_unprivileged", "0");
	equal(open_nth(&user, &victim, 1), -EACCES, "it_can_be_switched_off");
	must(tell(&victim, "t 4") == 4);
	equal(tell(&user, "r 0"), 4, "what_is_open_counts_on");
	must(!tell(&user, "c"));
	set_sysctl("uprobe_unprivileged", "1");
	set_sysctl("perf_event_paranoid", "3");
	equal(open_here(&user, &victim), -EACCES, "perf_can_be_switched_off");
	set_sysctl("perf_event_paranoid", "2");
	check(open_here(&user, &victim) >= 0, "and_on_again");
	stop(&user);
	stop(&other);
	stop(&victim);
	stop(&theirs);
}

static void limit_of_slots(void)
{
	struct actor user = start(USER), victim = start(USER);

	set_sysctl("uprobe_user_max_slot_pages", "0");
	must(open_here(&user, &victim) >= 0);
	must(tell(&victim, "t 4") == 4);
	check(is_clean(&victim), "no_more_slots_than_one_may_have");
	equal(tell(&user, "i"), 1, "and_the_place_is_missed");
	set_sysctl("uprobe_user_max_slot_pages", "4096");
	must(!tell(&user, "c"));
	must(open_here(&user, &victim) >= 0);
	check(is_probed(&victim), "slots_are_there_when_one_may_have_some");
	stop(&user);
	stop(&victim);
}

/*
 * What is there is copied by fork, and goes from a child if it is too much. @beside: root wants it as well, and then it
 * isn't the user's.
 */
static void limit_in_children(const char *what, bool beside)
{
	struct actor user = start(USER), root = start(0), victim = start(USER);
	int event = tell(&user, "d %d 1 60000 p:t/one %s:0x%lx", victim.pid, PROGRAM, target_offset);
	const char *how = beside ? "with_root" : "alone";
	char name[64];

	must(event >= 0 && is_probed(&victim));
	must(!beside || !tell(&root, "d %d 1 60001 p:t/two %s:0x%lx", victim.pid, PROGRAM, target_offset));
	snprintf(name, sizeof(name), "uprobe_user_max_%s", what);
	set_sysctl(name, "1");
	equal(tell(&victim, "C 3"), 3, "fork_goes_on_beyond_the_limit_of_%s_%s", what, how);
	equal(tell(&user, "r %d", event), beside ? 4 : 1, "children_have_no_more_%s_than_one_may_have_%s", what, how);
	equal(tell(&user, "i"), beside ? 0 : 3, "and_that_is_counted_for_%s_%s", what, how);
	if (beside)
		equal(tell(&root, "r 0"), 4, "root_counts_all_children_at_the_limit_of_%s", what);
	set_sysctl(name, strcmp(what, "sites") ? "4096" : "65536");
	stop(&user);
	stop(&root);
	check(is_clean(&victim), "nothing_is_left_at_the_limit_of_%s_%s", what, how);
	stop(&victim);
}

/* What has no room is missed, and the program doesn't notice. */
static void limit_of_calls(void)
{
	struct actor user = start(USER), victim = start(USER);
	int event = tell(&user, "d %d 0 60000 r:t/sink %s:0x%lx", victim.pid, PROGRAM, sink_offset), returned;

	set_sysctl("uprobe_user_max_calls", "10");
	must(event >= 0);
	must(tell(&victim, "D 1") == 1);
	returned = tell(&user, "r %d", event);
	check(returned >= 1 && returned <= 10, "no_more_calls_than_one_may_have");
	equal(returned + tell(&user, "y %d", event), 51, "the_others_are_counted");
	set_sysctl("uprobe_user_max_calls", "1048576");
	must(tell(&victim, "D 1") == 1);
	equal(tell(&user, "r %d", event), returned + 51, "and_come_when_one_may_have_more");
	stop(&user);
	stop(&victim);
}

/* Children that can't inherit the event begin all the same, and the others are counted as before. */
static void limit_of_events(void)
{
	struct actor user = start(USER), victim = start(USER);
	int event, i;

	set_sysctl("uprobe_user_max_events", "4");
	event = tell(&user, "d %d 1 60000 p:t/one %s:0x%lx", victim.pid, PROGRAM, target_offset);
	must(event >= 0);
	equal(tell(&victim, "C 10"), 10, "fork_goes_on_without_an_event");
	equal(tell(&user, "r %d", event), 4, "no_more_children_are_counted_than_one_may_have");
	equal(tell(&user, "i"), 7, "the_other_children_are_missed");
	/* the victim may have exchanged its own for one of theirs, so that both are there */
	for (i = 0; i < 3 && open_nth(&user, &victim, i) >= 0; i++)
		;
	check(i >= 2, "they_have_given_theirs_back");
	equal(open_nth(&user, &victim, 3), -EDQUOT, "and_no_more_can_be_had");
	set_sysctl("uprobe_user_max_events", "65536");
	equal(tell(&victim, "C 10"), 10, "fork_goes_on_with_them");
	equal(tell(&user, "r %d", event), 4 + 11, "and_all_are_counted");
	stop(&user);
	stop(&victim);
}

/* ---- floods (33) ------------------------------------------------------------------ */

static int record(struct actor *actor, int pid)
{
	return tell(actor, "R %d %llx 1 p:t/one %s:0x%lx", pid, (unsigned long long)PERF_SAMPLE_TID, PROGRAM,
		    target_offset);
}

static void floods(void)
{
	struct actor user = start(USER), mine = start(USER), other = start(OTHER), theirs = start(OTHER);
	struct actor root = start(0);
	int i, others = 0, roots = 0;

	must(record(&user, mine.pid) == 0);
	must(record(&other, theirs.pid) >= 0 && record(&root, root.pid) >= 0);
	/* without end, and nobody reads what comes of it */
	dprintf(mine.in, "t 1000000000\n");
	for (i = 0; i < 20; i++) {
		must(tell(&theirs, "t 100") == 100 && tell(&root, "t 100") == 100);
		others += tell(&other, "k");
		roots += tell(&root, "k");
	}
	equal(others, 2000, "another_user_loses_no_record_by_a_flood");
	equal(roots, 2000, "root_loses_none_either");
	check(!poll(&(struct pollfd){ .fd = mine.out, .events = POLLIN }, 1, 0), "the_flood_goes_on_meanwhile");
	check(tell(&user, "r 0") > 2000, "the_flood_is_counted");
	check(tell(&user, "k") > 2000, "and_recorded");
	stop(&user);
	stop(&mine);
	stop(&other);
	stop(&theirs);
	stop(&root);
}

/* ---- many (18, 44, 47) ------------------------------------------------------------------- */

#define TEXT		FOLDER "text"
#define TEXT_PAGES	2000
#define NR_MANY		1000
#define CGROUPS		FOLDER "cgroups"

/* Each page begins with nop; nop; nop; nop; ret. */
static void make_text(void)
{
	static char page[4096] = "\x90\x90\x90\x90\xc3";
	int fd = open(TEXT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755), i;

	must(fd >= 0);
	for (i = 0; i < TEXT_PAGES; i++)
		must(write(fd, page, sizeof(page)) == sizeof(page));
	must(!fsync(fd));
	close(fd);
}

/* Returns how many could be opened. */
static int probe_pages(struct actor *user, struct actor *victim, int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		if (tell(user, "o %d -1 0 %x " TEXT, victim->pid, i * 4096) < 0)
			break;
	}
	return i;
}

static long long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Others open events while the thousand go. */
static void many_go_at_once(void)
{
	struct actor user = start(USER), victim = start(USER), other = start(OTHER), theirs = start(OTHER);
	const void *text;
	long long begin;
	int rounds, failed = 0;

	must(!tell(&victim, "F " TEXT " %d", TEXT_PAGES));
	equal(probe_pages(&user, &victim, NR_MANY), NR_MANY, "a_thousand_probes");
	check(!file_is_clean(victim.pid, TEXT, 0), "are_there");
	begin = milliseconds();
	kill(user.pid, SIGKILL);
	/* whose pages are read through process_vm_readv() meanwhile keeps his copies of them */
	text = address_of(victim.pid, TEXT, 0);
	for (rounds = 0; rounds < 20 || (smaps_kb(victim.pid, text, "Anonymous") && milliseconds() < begin + 60000);
	     rounds++) {
		failed += open_here(&other, &theirs) < 0;
		failed += tell(&other, "c") != 0;
	}
	note("%d rounds in %lld ms", rounds, milliseconds() - begin);
	stop(&user);
	check(file_is_clean(victim.pid, TEXT, 0), "they_go_with_who_has_them");
	equal(failed, 0, "others_open_events_meanwhile");
	stop(&victim);
	stop(&other);
	stop(&theirs);
}

#define NR_OPENERS	50
#define NR_OPENED	10000
#define MAX_PROBES	4096

/* All at once, each of them other places. Returns how many could be opened. */
static int open_from_many(struct actor *victim)
{
	struct actor users[NR_OPENERS];
	int i, answers[NR_OPENERS], sum = 0;

	for (i = 0; i < NR_OPENERS; i++)
		users[i] = start(USER);
	for (i = 0; i < NR_OPENERS; i++)
		dprintf(users[i].in, "O %d %d %d %d %s\n", victim->pid, i * (NR_OPENED / NR_OPENERS),
			NR_OPENED / NR_OPENERS, TEXT_PAGES, TEXT);
	for (i = 0; i < NR_OPENERS; i++) {
		answers[i] = answer(&users[i]);
		if (answers[i] < 0)
			note("opener %d says %d", i, answers[i]);
		sum += answers[i];
	}
	for (i = 0; i < NR_OPENERS; i++)
		stop(&users[i]);
	return sum;
}

/* What is refused is EDQUOT, or the answer is something else. */
static void all_one_may_have(void)
{
	struct actor user = start(USER), victim = start(USER), other = start(OTHER), theirs = start(OTHER);

	must(!tell(&victim, "F " TEXT " %d", TEXT_PAGES) && !tell(&theirs, "F " TEXT " %d", TEXT_PAGES));
	equal(tell(&user, "O %d 0 %d %d %s", victim.pid, NR_OPENED, TEXT_PAGES, TEXT), MAX_PROBES,
	      "a_process_has_as_many_as_its_user_may_have");
	check(open_here(&other, &theirs) >= 0 && tell(&theirs, "t 3") == 3 && tell(&other, "r 0") == 3,
	      "another_user_has_his_beside_all_of_them");
	check(!file_is_clean(victim.pid, TEXT, 0) && file_is_clean(theirs.pid, TEXT, 0), "and_nobody_else_is_probed");
	stop(&user);
	equal(open_from_many(&victim), MAX_PROBES, "and_so_have_many_processes_together");
	check(file_is_clean(victim.pid, TEXT, 0), "nothing_is_left_of_all_that");
	stop(&victim);
	stop(&other);
	stop(&theirs);
}

static long long memory_of_group(const char *what)
{
	char *text = read_file(CGROUPS "/group/memory.current", NULL), *at;
	long long n = -1;

	if (what) {
		free(text);
		text = read_file(CGROUPS "/group/memory.events", NULL);
		at = text ? strstr(text, what) : NULL;
		if (at)
			n = atoll(at + strlen(what));
	} else if (text) {
		n = atoll(text);
	}
	free(text);
	return n;
}

static void limit_of_memory(int uid, const char *who)
{
	struct actor user = start(uid), victim = start(USER);
	long long limit = 4 << 20, most = 0, now;
	char pid[32];
	int i, nr_missed;

	mkdir(CGROUPS, 0755);
	must(!mount("none", CGROUPS, "cgroup2", 0, NULL));
	must(!write_file(CGROUPS "/cgroup.subtree_control", 0, "+memory"));
	must(!mkdir(CGROUPS "/group", 0755));
	must(!write_file(CGROUPS "/group/memory.max", 0, "4194304"));
	snprintf(pid, sizeof(pid), "%d", victim.pid);
	must(!write_file(CGROUPS "/group/cgroup.procs", 0, pid));
	must(!tell(&victim, "F " TEXT " %d", TEXT_PAGES));

	for (i = 0; i < TEXT_PAGES; i++) {
		must(tell(&user, "o %d -1 0 %x " TEXT, victim.pid, i * 4096) >= 0);
		now = memory_of_group(NULL);
		most = now > most ? now : most;
	}
	nr_missed = tell(&user, "i");
	note("%lld bytes at the most, %d places of %d missed", most, nr_missed, TEXT_PAGES);
	check(most > limit / 2 && most <= limit, "what_a_target_of_%s_may_have_is_its_memory_cgroups", who);
	check(nr_missed > 0 && nr_missed < TEXT_PAGES, "what_has_no_room_there_is_counted_to_%s", who);
	equal(memory_of_group("oom_kill "), 0, "nobody_is_killed_for_%s", who);
	equal(tell(&victim, "t 4"), 4, "the_target_of_%s_goes_on", who);
	stop(&user);
	for (i = 0; i < 600 && memory_of_group(NULL) > limit / 2; i++)
		usleep(100000);
	check(memory_of_group(NULL) <= limit / 2, "the_target_of_%s_has_its_memory_back", who);
	stop(&victim);
	for (i = 0; i < 100 && rmdir(CGROUPS "/group"); i++)
		usleep(100000);
	umount(CGROUPS);
}

/* Killed at any moment, with probes, sites and calls open: all of it can be had again. */
static void killed(void)
{
	static const struct {
		const char *name, *taken;
	} limits[] = { { "probes", "16" }, { "sites", "2" }, { "slot_pages", "1" }, { "calls", "1" }, { "events", "16" } };
	struct actor user, victim;
	char name[64];
	size_t i;
	const char *kernel = getenv("PROBEX_KERNEL");
	int n, answer = 0, rounds = kernel && !strcmp(kernel, "debug") ? NR_KILLS / 5 : NR_KILLS;

	for (n = 0; n < rounds; n++) {
		user = start(USER);
		victim = n % 4 ? user : start(USER);
		answer = tell(&user, "d %d 0 60000 r:t/sink %s:0x%lx", victim.pid, PROGRAM, sink_offset);
		if (answer < 0)
			break;
		dprintf(victim.in, "D 1000000\n");
		usleep(n % 17 * 50);
		kill(user.pid, SIGKILL);
		stop(&user);
		if (victim.pid != user.pid)
			stop(&victim);
	}
	equal(n, rounds, "a_user_is_killed_so_often_and_can_open_more");

	/* so much as is taken below; what had been kept would be missing now */
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		snprintf(name, sizeof(name), "uprobe_user_max_%s", limits[i].name);
		set_sysctl(name, limits[i].taken);
	}
	user = start(USER);
	victim = start(USER);
	/* pages of slots go after a grace period */
	for (i = 0; i < 100; i++) {
		for (n = 0, answer = 0; n < 16 && answer >= 0; n++)
			answer = tell(&user, "d %d 0 %d r:t/n%d %s:0x%lx", victim.pid, 60000 + n, n, PROGRAM,
				      target_offset);
		if (answer >= 0 && is_probed(&victim))
			break;
		must(!tell(&user, "c"));
		usleep(100000);
	}
	check(i < 100, "nothing_of_the_killed_is_counted");
	must(tell(&victim, "t 5") == 5);
	equal(tell(&user, "r 0"), 5, "and_calls_return");
	stop(&user);
	stop(&victim);
	set_sysctl("uprobe_user_max_probes", "4096");
	set_sysctl("uprobe_user_max_sites", "65536");
	set_sysctl("uprobe_user_max_slot_pages", "4096");
	set_sysctl("uprobe_user_max_calls", "1048576");
	set_sysctl("uprobe_user_max_events", "65536");
}

int main(int argc, char **argv)
{
	struct place place;

	if (argc > 1 && !strcmp(argv[1], "act"))
		return run_actor();
	must(!getuid());
	mkdir(FOLDER, 0755);
	copy_program(PROGRAM, 0, 0755);
	place = place_of((const void *)target);
	target_offset = place.offset;
	place = place_of((const void *)sink);
	sink_offset = place.offset;
	find_malloc();
	make_text();
	set_sysctl("perf_event_paranoid", "2");

	others_text();
	limits_of_a_place();
	limits();
	limit_of_slots();
	limit_in_children("sites", false);
	limit_in_children("sites", true);
	limit_in_children("slot_pages", false);
	limit_in_children("slot_pages", true);
	limit_of_calls();
	limit_of_events();
	floods();
	many_go_at_once();
	all_one_may_have();
	limit_of_memory(USER, "a_user");
	limit_of_memory(0, "root");
	killed();
	return finish();
}

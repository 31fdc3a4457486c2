// SPDX-License-Identifier: GPL-2.0
/*
 * Does a registration reach the processes that are being made, or are mapping the file, at that very moment?
 *
 * An event is switched on and off again and again while others fork, execute programs, and map, move and change
 * mappings of the probed file without a pause. What is called between the moment that switching on has returned and
 * the one that switching off begins is counted, exactly, no matter when its process or its mapping came into being.
 *
 * Seen to fail, in about every second run, with take_dirty() leaving the mm clean before its sites are there.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <time.h>

#include "code_file.h"

#define FILE_PATH	"/tmp/registration_misses_nobody.code"
#define SECONDS		12

extern char **environ;

static struct shared {
	int on, in_flight;
	bool stop;
	unsigned long executed[2], rounds[8], wrong;
} *shared;

static int shared_fd;

static PROBED int target(int x)
{
	return x + 7;
}

enum { TARGET, MAPPED };

/* Calls nothing unless the event is on and stays on. */
static void call_if_on(int which, const char *code)
{
	int r = 0, wanted = 0;

	__atomic_add_fetch(&shared->in_flight, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&shared->on, __ATOMIC_SEQ_CST)) {
		r = which == TARGET ? target(1) + target(2) : call_code(code, ADDS_ONE, 1) + call_code(code, ADDS_ONE, 2);
		wanted = which == TARGET ? 17 : 5;
		__atomic_add_fetch(&shared->executed[which], 2, __ATOMIC_SEQ_CST);
	}
	__atomic_sub_fetch(&shared->in_flight, 1, __ATOMIC_SEQ_CST);
	if (r != wanted)
		__atomic_add_fetch(&shared->wrong, 1, __ATOMIC_SEQ_CST);
}

static void linger(unsigned int i)
{
	if (i % 3)
		usleep(i * 37 % 400);
}

/* ---- those that come into being ----------------------------------------- */

static void *fork_children(void *number)
{
	int status;
	pid_t pid;

	for (; !shared->stop; shared->rounds[(long)number]++) {
		pid = fork();
		if (!pid) {
			linger(shared->rounds[(long)number]);
			call_if_on(TARGET, NULL);
			_exit(0);
		}
		if (waitpid(pid, &status, 0) != pid || status)
			__atomic_add_fetch(&shared->wrong, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void *run_programs(void *number)
{
	char fd[16], *argv[] = { (char *)"again", fd, NULL };
	int status;
	pid_t pid;

	sprintf(fd, "%d", shared_fd);
	for (; !shared->stop; shared->rounds[(long)number]++) {
		must(!posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ));
		if (waitpid(pid, &status, 0) != pid || status)
			__atomic_add_fetch(&shared->wrong, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static char *map_in_some_way(char *at, unsigned int i)
{
	char *code = map_code(FILE_PATH, at, 0, CODE_PAGES, i & 1 ? PROT_READ : PROT_READ | PROT_EXEC, MAP_PRIVATE);

	if (i & 1)
		must(!mprotect(code, CODE_PAGES * PAGE, PROT_READ | PROT_EXEC));
	if (i & 2) {
		code = mremap(code, CODE_PAGES * PAGE, CODE_PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			      at + 0x100000);
		must(code != MAP_FAILED);
	}
	if (i & 4)
		must(!madvise(code, CODE_PAGES * PAGE, MADV_DONTNEED));
	return code;
}

static void *map_and_unmap(void *number)
{
	char *at = (char *)(unsigned long)(sizeof(long) == 8 ? 0x600000000000 : 0x60000000) + (long)number * 0x1000000;

	for (; !shared->stop; shared->rounds[(long)number]++) {
		char *code = map_in_some_way(at, shared->rounds[(long)number]);

		call_if_on(MAPPED, code);
		munmap(code, CODE_PAGES * PAGE);
	}
	return NULL;
}

/* ---- the event ---------------------------------------------------------- */

static unsigned long executed(int which)
{
	return __atomic_load_n(&shared->executed[which], __ATOMIC_SEQ_CST);
}

/* However slow the machine is, some find the event on in every second round. */
static void stay_on(unsigned int round, time_t end)
{
	unsigned long targets = executed(TARGET), mapped = executed(MAPPED);

	usleep(round * 53 % 15000);
	while (!(round & 1) && (executed(TARGET) == targets || executed(MAPPED) == mapped) && time(NULL) < end)
		usleep(1000);
}

static void switch_on_and_off(unsigned int round, time_t end)
{
	enable("target");
	enable("mapped");
	__atomic_store_n(&shared->on, 1, __ATOMIC_SEQ_CST);
	stay_on(round, end);
	__atomic_store_n(&shared->on, 0, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&shared->in_flight, __ATOMIC_SEQ_CST))
		sched_yield();
	disable("target");
	disable("mapped");
}

static void share(const char *fd)
{
	shared_fd = fd ? atoi(fd) : memfd_create("shared", 0);
	must(shared_fd >= 0 && !ftruncate(shared_fd, sizeof(*shared)));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
	must(shared != MAP_FAILED);
}

int main(int argc, char **argv)
{
	static void *(*const bodies[])(void *) = { fork_children, fork_children, run_programs, run_programs,
						   map_and_unmap, map_and_unmap };
	pthread_t threads[ARRAY_SIZE(bodies)];
	time_t end = time(NULL) + SECONDS;
	unsigned int round;
	size_t i;

	if (argc > 1) {
		share(argv[1]);
		call_if_on(TARGET, NULL);
		return 0;
	}
	share(NULL);
	make_code_file(FILE_PATH);
	define('p', "target", (const void *)target, "");
	define_in_file('p', "mapped", FILE_PATH, ADDS_ONE, "");
	for (i = 0; i < ARRAY_SIZE(bodies); i++)
		must(!pthread_create(&threads[i], NULL, bodies[i], (void *)i));
	for (round = 0; time(NULL) < end; round++)
		switch_on_and_off(round, end + SECONDS);
	shared->stop = true;
	for (i = 0; i < ARRAY_SIZE(bodies); i++)
		pthread_join(threads[i], NULL);

	note("%u times on and off, %lu and %lu calls", round, shared->executed[TARGET], shared->executed[MAPPED]);
	note("%lu + %lu forks, %lu + %lu programs, %lu + %lu mappings", shared->rounds[0], shared->rounds[1],
	     shared->rounds[2], shared->rounds[3], shared->rounds[4], shared->rounds[5]);
	equal(shared->wrong, 0, "all_results_are_right");
	check(shared->executed[TARGET] && shared->executed[MAPPED], "events_were_on");
	equal(count("target", "entries"), shared->executed[TARGET], "processes_in_the_making_are_reached");
	equal(count("mapped", "entries"), shared->executed[MAPPED], "mappings_in_the_making_are_reached");
	remove_all();
	return finish();
}

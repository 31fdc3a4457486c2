// SPDX-License-Identifier: GPL-2.0
/*
 * Does a Go program run under return probes, with goroutines whose stacks move and which go on in other threads?
 *
 * usage: go_programs_run [SECONDS]
 *
 * Seen to fail on stock: it writes its own address over the return address, where Go's runtime finds it when it moves
 * a stack, and ends the program. What can't be paired here is counted, with the cause. targets/goroutines.go says what
 * is called.
 */
#include <signal.h>

#include "probes.h"

#define PROGRAM		"build/tests/targets/goroutines"

struct program {
	pid_t pid;
	FILE *in, *out;
};

static struct program start(const char *seconds)
{
	struct program p;
	int in[2], out[2];

	must(!pipe(in) && !pipe(out));
	p.pid = fork();
	must(p.pid >= 0);
	if (!p.pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl(PROGRAM, PROGRAM, seconds, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	p.in = fdopen(in[1], "w");
	p.out = fdopen(out[0], "r");
	must(p.in && p.out);
	return p;
}

static void define_at(const struct program *p, const char *name, void *address)
{
	char event[64];
	struct place place;

	must(find_place(p->pid, address, &place));
	define_in_file('p', name, place.path, place.offset, "");
	snprintf(event, sizeof(event), "%s_return", name);
	define_in_file('r', event, place.path, place.offset, "");
}

/* A function that finds its stack too small is entered again when that has grown. */
static void has_counted(const char *name, unsigned long calls)
{
	unsigned long entries = count(name, "entries");
	char event[64];

	snprintf(event, sizeof(event), "%s_return", name);
	note("%s: %lu calls, %lu entries, %lu returns, %lu missed", name, calls, entries, count(event, "returns"),
	     count(event, "missed"));
	check(entries >= calls, "%s_is_counted", name);
	equal(count(event, "entries"), entries, "%s_opens_calls", name);
	check(is_balanced(event), "%s_is_balanced", name);
}

int main(int argc, char **argv)
{
	struct program p = start(argc > 1 ? argv[1] : "3");
	long descents = -1, yields = -1, wrong = -1;
	void *descend, *yield;
	int status = -1;

	must(fscanf(p.out, "%p %p", &descend, &yield) == 2);
	define_at(&p, "descend", descend);
	define_at(&p, "yield", yield);
	enable_all();
	must(fputs("\n", p.in) >= 0 && !fflush(p.in));
	equal(fscanf(p.out, "%ld %ld %ld", &descents, &yields, &wrong), 3, "program_ends");
	must(waitpid(p.pid, &status, 0) == p.pid);
	equal(status, 0, "program_ends_well");
	equal(wrong, 0, "program_computes_the_same");
	disable_all();
	has_counted("descend", descents);
	has_counted("yield", yields);
	remove_all();
	return finish();
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How does a thread of the storm call a function and find out whether it was right?
 *
 * call_function() executes the version without a probe and one with, from the same random state, compares what they
 * leave behind, and counts what was executed in memory that all processes of the storm share. So do the handlers of
 * signals, which may also leave by siglongjmp(): then the saved instruction pointer tells what had been executed.
 * Where it can't tell (at the very instruction that is probed) they return.
 */
#ifndef UPROBES_STORM_CALLS_H
#define UPROBES_STORM_CALLS_H

#include <setjmp.h>
#include <ucontext.h>

#include "storm_functions.h"

#ifdef __i386__
#define REG_IP	REG_EIP
#else
#define REG_IP	REG_RIP
#endif

#define MAX_ACTORS	64

/* What the processes of the storm share. */
struct shared {
	bool stop, debugged_stop;
	unsigned long executed[MAX_FUNCTIONS];	/* KEPT versions, where events have to count them */
	unsigned long escaped[MAX_FUNCTIONS];	/* of those, by siglongjmp() */
	unsigned long recursions, callbacks, inherited;
	unsigned long wrong, in_slots, failures;
	unsigned long calls, signals, escapes, forks, execs;
	unsigned long rounds[MAX_ACTORS];
};

static struct shared *shared;
static size_t index_push, index_lea, index_nests, index_ends_in_other, index_returns, index_pops_flags;

#define ADD(counter, n)	((void)__atomic_add_fetch(&shared->counter, (n), __ATOMIC_RELAXED))

/* ---- random, but the same in each storm --------------------------------- */

static uint64_t draw(uint64_t *stream)
{
	*stream ^= *stream << 13;
	*stream ^= *stream >> 7;
	*stream ^= *stream << 17;
	return *stream;
}

static uint64_t make_stream(unsigned int number)
{
	uint64_t stream = (number + 1) * 0x9e3779b97f4a7c15ull;
	int i;

	for (i = 0; i < 8; i++)
		draw(&stream);
	return stream;
}

/* ---- this thread -------------------------------------------------------- */

static __thread struct {
	volatile bool armed;		/* a signal may end the call of @code */
	struct code code;
	size_t function;
	const unsigned char *ret_addr;
	sigjmp_buf escape;
	volatile int depth;		/* of signal handlers */
	uint64_t stream;		/* the handlers' own */
} me;

/* Events count entries at the start and at the instruction; a jump from in between is neither. */
static bool is_escapable(size_t f)
{
	return f % 4 == 3 && f != index_nests && f != index_ends_in_other;
}

static size_t find_function(const char *name)
{
	size_t f;

	for (f = 0; f < NR_FUNCTIONS && strcmp(functions[f].name, name); f++)
		;
	must(f < NR_FUNCTIONS);
	return f;
}

static void find_functions(void)
{
	must(NR_FUNCTIONS <= MAX_FUNCTIONS);
	index_push = find_function("push");
	index_lea = find_function("lea");
	index_nests = find_function("nests");
	index_ends_in_other = find_function("ends_in_other");
	index_returns = find_function("returns");
	index_pops_flags = find_function("pops_flags");
}

static void count_executed(size_t f)
{
	ADD(executed[f], 1);
	if (f == index_nests) {
		ADD(executed[index_push], 1);
		ADD(executed[index_lea], 1);
	}
	if (f == index_ends_in_other)
		ADD(executed[index_returns], 1);
}

/* ---- one call ----------------------------------------------------------- */

/* What a call begins with and leaves behind. The address of the memory is part of it. */
struct state {
	struct registers registers;
	uint64_t memory[MEMORY_SIZE / 8];
};

static void fill(struct state *state, uint64_t *stream)
{
	size_t i;

	for (i = 0; i < NR_REGS; i++)
		state->registers.reg[i] = draw(stream);
	for (i = 0; i < ARRAY_SIZE(state->memory); i++)
		state->memory[i] = draw(stream);
	state->registers.flags = 0x202 | (draw(stream) & FLAGS_ALL);
}

static void explain(size_t f, const struct state *in, const struct state *plain, const struct state *probed)
{
	size_t i;

	for (i = 0; i < NR_REGS; i++)
		if (plain->registers.reg[i] != probed->registers.reg[i])
			note("%s: register %zu is %#lx, should be %#lx, was %#lx", functions[f].name, i,
			     probed->registers.reg[i], plain->registers.reg[i], in->registers.reg[i]);
	if ((plain->registers.flags ^ probed->registers.flags) & FLAGS_ALL)
		note("%s: flags are %#lx, should be %#lx, were %#lx", functions[f].name, probed->registers.flags,
		     plain->registers.flags, in->registers.flags);
	for (i = 0; i < ARRAY_SIZE(in->memory); i++)
		if (plain->memory[i] != probed->memory[i])
			note("%s: memory %zu is %#llx, should be %#llx, was %#llx", functions[f].name, i,
			     (long long)probed->memory[i], (long long)plain->memory[i], (long long)in->memory[i]);
}

static void compare(size_t f, const struct state *in, const struct state *plain, const struct state *probed)
{
	ADD(calls, 1);
	if (!memcmp(plain->registers.reg, probed->registers.reg, sizeof(plain->registers.reg)) &&
	    !memcmp(plain->memory, probed->memory, sizeof(plain->memory)) &&
	    !((plain->registers.flags ^ probed->registers.flags) & FLAGS_ALL))
		return;
	if (shared->wrong < 20)
		explain(f, in, plain, probed);
	ADD(wrong, 1);
}

/* Both executions are called from here: what they make of the stack pointer is the same. */
static __attribute__((noinline)) void execute_both(const unsigned char *plain_code, const unsigned char *code,
						   run_fn *run, struct state *in, struct state *plain,
						   struct state *probed, bool armed)
{
	uint64_t memory[MEMORY_SIZE / 8] __attribute__((aligned(64)));
	struct state *const results[] = { plain, probed };
	const unsigned char *const codes[] = { plain_code, code };
	volatile int i;

	in->registers.reg[DI] = (unsigned long)memory;
	for (i = 0; i < 2; i++) {
		memcpy(memory, in->memory, sizeof(memory));
		me.armed = armed && i;
		run(codes[i], &in->registers, &results[i]->registers);
		me.armed = false;
		memcpy(results[i]->memory, memory, sizeof(memory));
	}
}

enum {
	COUNTED		= 1,	/* the version that events count has its breakpoints */
	ESCAPABLE	= 2,	/* signals come, and may leave it by siglongjmp() */
	STEPPABLE	= 4,	/* a debugger sets the trap flag, which pushf would tell */
};

/* Return: false if a signal handler has left the call. */
static __attribute__((noinline)) bool execute_escapably(size_t f, enum version version, size_t way, struct state *in,
							struct state *plain, struct state *probed)
{
	const struct code *code = functions[f].code;

	me.function = f;
	me.code = code[version];
	me.ret_addr = run_returns[way];
	if (sigsetjmp(me.escape, 1))
		return false;
	execute_both(code[PLAIN].start, code[version].start, runs[way], in, plain, probed, true);
	return true;
}

/* @shift: of the mapping to call it in, from the program's own */
static void call_function(uint64_t *stream, enum version version, long shift, int how)
{
	size_t f = draw(stream) % NR_FUNCTIONS, way = draw(stream) % (how & STEPPABLE ? 2 : ARRAY_SIZE(runs));
	const struct code *code = functions[f].code;
	struct state in, plain, probed;

	if ((how & STEPPABLE) && f == index_pops_flags)
		return;
	fill(&in, stream);
	if ((how & ESCAPABLE) && is_escapable(f) && draw(stream) % 2) {
		if (!execute_escapably(f, version, way, &in, &plain, &probed))
			return;
	} else {
		execute_both(code[PLAIN].start, code[version].start + shift, runs[way], &in, &plain, &probed, false);
	}
	if (version == KEPT && (how & COUNTED))
		count_executed(f);
	compare(f, &in, &plain, &probed);
}

/* ---- functions in C ----------------------------------------------------- */

static PROBED unsigned int recurse(unsigned int n, unsigned int x)
{
	unsigned int r = n ? recurse(n - 1, x ^ n) : x * 2654435761u;

	asm volatile("" : "+r"(r) : : "memory");
	return r + n;
}

static void call_recursion(uint64_t *stream)
{
	unsigned int n = draw(stream) % 8, x = draw(stream), wanted = x, sum = 0, i;

	for (i = n; i; i--) {
		sum += i;
		wanted ^= i;
	}
	if (recurse(n, x) != wanted * 2654435761u + sum)
		ADD(wrong, 1);
	ADD(recursions, n + 1);
}

static PROBED long call_back(long (*function)(void *), void *data)
{
	long r = function(data);

	asm volatile("" : "+r"(r) : : "memory");
	return r + 1;
}

/* ---- signals ------------------------------------------------------------ */

/* Where the program may be when a signal comes: its own text and that of libraries. */
static struct {
	unsigned long start, end;
} text[32];

static void find_text(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end;
	char line[512], prot[8];
	size_t n = 0;

	while (fgets(line, sizeof(line), maps) && n < ARRAY_SIZE(text))
		if (sscanf(line, "%lx-%lx %7s", &start, &end, prot) == 3 && prot[2] == 'x' &&
		    !strstr(line, "[uprobes]")) {
			text[n].start = start;
			text[n++].end = end;
		}
	fclose(maps);
}

static bool is_in_text(unsigned long ip)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(text); i++)
		if (ip >= text[i].start && ip < text[i].end)
			return true;
	return false;
}

/* Is it known whether the instruction has been executed and the function has returned? */
static void try_to_escape(const unsigned char *ip)
{
	bool is_inside = ip > me.code.insn && ip < me.code.end;
	bool has_returned = ip > me.ret_addr && ip < me.ret_addr + 16;

	if (!is_inside && !has_returned)
		return;
	me.armed = false;
	ADD(escapes, 1);
	if (me.code.start == functions[me.function].code[KEPT].start) {
		count_executed(me.function);
		if (is_inside)
			ADD(escaped[me.function], 1);
	}
	siglongjmp(me.escape, 1);
}

static int signal_numbers[6];
#define ESCAPES		4	/* from here on they may leave by siglongjmp() */

static void on_signal(int number, siginfo_t *info __attribute__((unused)), void *context)
{
	unsigned long ip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_IP];
	bool armed = me.armed;
	int saved_errno = errno;

	me.armed = false;
	ADD(signals, 1);
	if (!is_in_text(ip)) {
		if (shared->in_slots < 10)
			note("a signal handler sees %#lx", ip);
		ADD(in_slots, 1);
	}
	if (me.depth < 4) {
		me.depth++;
		call_function(&me.stream, KEPT, 0, COUNTED);
		call_function(&me.stream, LOOSE, 0, 0);
		if (draw(&me.stream) % 8 == 0)
			raise(signal_numbers[draw(&me.stream) % ESCAPES]);
		me.depth--;
	}
	me.armed = armed;
	errno = saved_errno;
	if (armed && (number == signal_numbers[ESCAPES] || number == signal_numbers[ESCAPES + 1]))
		try_to_escape((const unsigned char *)ip);
}

/* Every other one comes on the alternate stack; one may come while it is handled. */
static void handle_signals(void)
{
	const int numbers[] = { SIGUSR1, SIGUSR2, SIGALRM, SIGRTMIN, SIGRTMIN + 1, SIGRTMIN + 2 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };

		if (i % 2)
			action.sa_flags |= SA_ONSTACK;
		if (numbers[i] == SIGRTMIN)
			action.sa_flags |= SA_NODEFER;
		signal_numbers[i] = numbers[i];
		must(!sigaction(numbers[i], &action, NULL));
	}
}

/* A mapping of its own, as stacks have to be: between pages without access. */
static void use_alternate_stack(void)
{
	size_t size = 1 << 18;
	char *at = mmap(NULL, size + 2 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = { .ss_sp = at + 4096, .ss_size = size };

	must(at != MAP_FAILED && !mprotect(at + 4096, size, PROT_READ | PROT_WRITE));
	must(!sigaltstack(&stack, NULL));
}

#endif /* UPROBES_STORM_CALLS_H */

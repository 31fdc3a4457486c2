// SPDX-License-Identifier: GPL-2.0
/*
 * Is an instruction that can't be probed refused, with an errno that a C
 * library can print and a line in error_log, and is the program unaffected?
 *
 * Seen to fail on stock: syscall and others are accepted, and what is refused is
 * refused with errno 524.
 */
#define _GNU_SOURCE
#include <sys/syscall.h>

#include "probes.h"

struct refused {
	const char *text;
	const void *insn;
};

asm(".macro refuse text:vararg\n"
    "	.pushsection refused_text, \"ax\"\n"
    "	.balign 16\n"
    "7771:	\\text\n"
    "	ret\n"
    "	.popsection\n"
    "	.pushsection refused_names, \"a\"\n"
    "7772:	.asciz \"\\text\"\n"
    "	.popsection\n"
    "	.pushsection refused_table, \"aw\"\n"
    "	.quad 7772b, 7771b\n"
    "	.popsection\n"
    ".endm\n"
    "refuse syscall\n"
    "refuse sysenter\n"
    "refuse int $0x80\n"
    "refuse int3\n"
    "refuse int $3\n"
    "refuse .byte 0xf1\n"
    "refuse hlt\n"
    "refuse cli\n"
    "refuse sti\n"
    "refuse .byte 0xcf\n"
    "refuse .byte 0xcb\n"
    "refuse .byte 0xca, 8, 0\n"
    "refuse lcall *(%rdi)\n"
    "refuse ljmp *(%rdi)\n"
    "refuse mov %eax, %ss\n"
    "refuse in $0x80, %al\n"
    "refuse out %al, $0x80\n"
    "refuse in (%dx), %eax\n"
    "refuse insb\n"
    "refuse rep outsb\n"
    "refuse wrmsr\n"
    "refuse rdmsr\n"
    "refuse swapgs\n"
    "refuse .byte 0x0f, 0x07\n"
    "refuse mov %cr0, %rax\n"
    "refuse mov %rax, %dr0\n"
    "refuse lgdt (%rdi)\n"
    "refuse invlpg (%rdi)\n"
    "refuse wbinvd\n"
    "refuse clts\n"
    "refuse vmcall\n"
    "refuse vmmcall\n"
    "refuse xbegin .\n"
    "refuse data16 jmp .\n"
    /* no instructions of 64-bit code */
    "refuse .byte 0xf0, 0xe9, 0, 0, 0, 0\n"
    "refuse .byte 0xff, 0xff\n"
    "refuse .byte 0xfe, 0xf8\n"
    "refuse .byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90\n");

extern const struct refused __start_refused_table[], __stop_refused_table[];

/* push %es: an instruction of 32-bit code, so that only this process can't have it */
extern char only_32_bit[];
asm(".text\nonly_32_bit: .byte 0x06\n	ret\n");

/* A system call that the probes are tried on, in the running program. */
long own_getpid(void);
extern char own_syscall[];
asm(".text\n"
    "own_getpid:\n"
    "	movl	$39, %eax\n"
    "own_syscall: syscall\n"
    "	ret\n");

/* Returns how many lines error_log has. */
static size_t log_lines(void)
{
	char *text = read_file(TRACING "error_log", NULL), *at;
	size_t n = 0;

	must(text);
	for (at = text; (at = strchr(at, '\n')); at++)
		n++;
	free(text);
	return n;
}

static void try_one(const char *name, const void *insn)
{
	size_t before;
	int err;

	must(!write_file(TRACING "error_log", O_TRUNC, ""));
	before = log_lines();
	define('p', "one", insn, "");
	err = try_enable("one");
	if (err != EOPNOTSUPP && err != EILSEQ)
		note("errno %d: %s", err, strerror(err));
	check((err == EOPNOTSUPP || err == EILSEQ) && log_lines() > before &&
	      text_differs(getpid(), insn) == 0, "%s", name);
	remove_all();
}

int main(void)
{
	const struct refused *r;
	char *events;
	size_t len;

	for (r = __start_refused_table; r < __stop_refused_table; r++)
		try_one(r->text, r->insn);
	try_one("syscall in a program that executes it", own_syscall);
	equal(own_getpid(), getpid(), "program_with_refused_probes_is_unaffected");

	define('p', "elsewhere", only_32_bit, "");
	check(try_enable("elsewhere") != 0, "instruction_of_another_mode_is_refused");
	check(is_untouched(getpid(), only_32_bit), "instruction_of_another_mode_leaves_text_untouched");
	remove_all();

	/* of one event with several probes none stays */
	define('p', "mixed", (const void *)try_one, "");
	define('p', "mixed", own_syscall, "");
	check(try_enable("mixed") != 0, "event_with_one_refused_probe_stays_off");
	check(is_untouched(getpid(), (const void *)try_one), "event_with_one_refused_probe_leaves_nothing_behind");
	remove_all();
	events = read_file(TRACING "uprobe_events", &len);
	equal(len, 0, "no_event_is_left");
	free(events);
	return finish();
}

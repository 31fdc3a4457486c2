// SPDX-License-Identifier: GPL-2.0
/*
 * Is an instruction that can't be probed refused, with an errno that a C
 * library can print and the reason in error_log, and is the program unaffected?
 *
 * The reasons were seen to fail when error_log had one text for all of them. Seen
 * to fail on stock: syscall and others are accepted, and what is refused is
 * refused with errno 524.
 */
#define _GNU_SOURCE
#include <sys/syscall.h>

#include "probes.h"

struct refused {
	const char *text;
	const char *why;
	const void *insn;
};

#define QUOTE(why)	"\"" why "\""
#define REFUSE(why)	"refuse " QUOTE(why) ", "
#define SYSCALL		"system call instruction"
#define INTERRUPT	"software interrupt, or return from one"
#define UNDEFINED	"undefined instruction that a hypervisor understands"
#define PRIVILEGED	"privileged instruction"
#define PORT		"port input or output"
#define FAR		"far jump, call or return"
#define STACK		"load of the stack segment register"
#define TRANSACTION	"start of a memory transaction"
#define VIRTUAL		"call to a hypervisor"
#define SHORT		"branch with an operand size prefix"
#define INVALID		"not a valid instruction"

asm(".macro refuse why, text:vararg\n"
    "	.pushsection refused_text, \"ax\"\n"
    "	.balign 16\n"
    "7771:	\\text\n"
    "	ret\n"
    "	.popsection\n"
    "	.pushsection refused_names, \"a\"\n"
    "7772:	.asciz \"\\text\"\n"
    "7773:	.asciz \"\\why\"\n"
    "	.popsection\n"
    "	.pushsection refused_table, \"aw\"\n"
    "	.quad 7772b, 7773b, 7771b\n"
    "	.popsection\n"
    ".endm\n"
    REFUSE(SYSCALL) "syscall\n"
    REFUSE(SYSCALL) "sysenter\n"
    REFUSE(INTERRUPT) "int $0x80\n"
    REFUSE(INTERRUPT) "int3\n"
    REFUSE(INTERRUPT) "int $3\n"
    REFUSE(INTERRUPT) ".byte 0xf1\n"
    REFUSE(UNDEFINED) ".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2\n"
    REFUSE(PRIVILEGED) "hlt\n"
    REFUSE(PRIVILEGED) "cli\n"
    REFUSE(PRIVILEGED) "sti\n"
    REFUSE(INTERRUPT) ".byte 0xcf\n"
    REFUSE(FAR) ".byte 0xcb\n"
    REFUSE(FAR) ".byte 0xca, 8, 0\n"
    REFUSE(FAR) "lcall *(%rdi)\n"
    REFUSE(FAR) "ljmp *(%rdi)\n"
    REFUSE(STACK) "mov %eax, %ss\n"
    REFUSE(PORT) "in $0x80, %al\n"
    REFUSE(PORT) "out %al, $0x80\n"
    REFUSE(PORT) "in (%dx), %eax\n"
    REFUSE(PORT) "insb\n"
    REFUSE(PORT) "rep outsb\n"
    REFUSE(PRIVILEGED) "wrmsr\n"
    REFUSE(PRIVILEGED) "rdmsr\n"
    REFUSE(PRIVILEGED) "swapgs\n"
    REFUSE(PRIVILEGED) ".byte 0x0f, 0x07\n"
    REFUSE(PRIVILEGED) "mov %cr0, %rax\n"
    REFUSE(PRIVILEGED) "mov %rax, %dr0\n"
    REFUSE(PRIVILEGED) "lgdt (%rdi)\n"
    REFUSE(PRIVILEGED) "invlpg (%rdi)\n"
    REFUSE(PRIVILEGED) "wbinvd\n"
    REFUSE(PRIVILEGED) "clts\n"
    REFUSE(VIRTUAL) "vmcall\n"
    REFUSE(VIRTUAL) "vmmcall\n"
    REFUSE(TRANSACTION) "xbegin .\n"
    REFUSE(SHORT) "data16 jmp .\n"
    /* no instructions of 64-bit code */
    REFUSE(INVALID) ".byte 0xf0, 0xe9, 0, 0, 0, 0\n"
    REFUSE(INVALID) ".byte 0xff, 0xff\n"
    REFUSE(INVALID) ".byte 0xfe, 0xf8\n"
    REFUSE(INVALID) ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90\n");

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

/* Does error_log say so, with the caret below the offset? */
static bool is_logged(const char *why)
{
	char *text = read_file(TRACING "error_log", NULL), *line, *end, *colon = NULL, expected[256];
	bool logged = false;

	must(text);
	snprintf(expected, sizeof(expected), "error: The instruction can't be probed: %s\n", why);
	line = strstr(text, "  Command: ");
	end = line ? strchr(line, '\n') : NULL;
	if (end)
		colon = (char *)memrchr(line, ':', end - line);
	if (colon)
		logged = strstr(text, expected) && (long)strspn(end + 1, " ") == colon + 1 - line &&
			 end[1 + strspn(end + 1, " ")] == '^';
	if (!logged)
		note("wanted %s, got %s", expected, text);
	free(text);
	return logged;
}

static void try_one(const char *name, const char *why, const void *insn)
{
	int err;

	must(!write_file(TRACING "error_log", O_TRUNC, ""));
	define('p', "one", insn, "");
	err = try_enable("one");
	if (err != EOPNOTSUPP && err != EILSEQ)
		note("errno %d: %s", err, strerror(err));
	check(err == (!strcmp(why, INVALID) ? EILSEQ : EOPNOTSUPP) && is_logged(why) &&
	      text_differs(getpid(), insn) == 0, "%s", name);
	remove_all();
}

int main(void)
{
	const struct refused *r;
	char *events;
	size_t len;

	for (r = __start_refused_table; r < __stop_refused_table; r++)
		try_one(r->text, r->why, r->insn);
	try_one("syscall in a program that executes it", SYSCALL, own_syscall);
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

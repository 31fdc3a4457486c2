// SPDX-License-Identifier: GPL-2.0
/*
 * Is every kind of instruction carried out in the way that is right for it, or refused with a reason?
 */
#include "x86_kernel.h"

/* bits: the modes in which a case holds */
enum { M64 = 1, M32 = 2, BOTH = M64 | M32 };

struct kind {
	const char	*name;
	int		modes;
	const char	*bytes;
	enum uprobe_op	op;
};

static const struct kind emulated[] = {
	{ "nop",			BOTH, "90", UPROBE_OP_NOP },
	{ "data16 nop",			BOTH, "66 90", UPROBE_OP_NOP },
	{ "rex.W nop",			M64, "48 90", UPROBE_OP_NOP },
	{ "nop with 14 prefixes",	BOTH, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", UPROBE_OP_NOP },
	{ "nopl (%rax)",		BOTH, "0f 1f 00", UPROBE_OP_NOP },
	{ "5-byte nop",			BOTH, "0f 1f 44 00 00", UPROBE_OP_NOP },
	{ "10-byte cs nopw",		BOTH, "66 2e 0f 1f 84 00 00 00 00 00", UPROBE_OP_NOP },
	{ "15-byte cs nopw",		BOTH, "66 66 66 66 66 66 2e 0f 1f 84 00 00 00 00 00", UPROBE_OP_NOP },
	{ "nopl rip-relative",		M64, "0f 1f 05 00 00 00 00", UPROBE_OP_NOP },
	{ "endbr64",			BOTH, "f3 0f 1e fa", UPROBE_OP_NOP },
	{ "endbr32",			BOTH, "f3 0f 1e fb", UPROBE_OP_NOP },
	{ "jmp rel8",			BOTH, "eb fe", UPROBE_OP_JUMP },
	{ "jmp rel32",			BOTH, "e9 00 01 00 00", UPROBE_OP_JUMP },
	{ "bnd jmp rel32",		BOTH, "f2 e9 00 01 00 00", UPROBE_OP_JUMP },
	{ "jg rel8",			BOTH, "7f 10", UPROBE_OP_JCC },
	{ "jne,pt rel8",		BOTH, "3e 75 10", UPROBE_OP_JCC },
	{ "jle rel32",			BOTH, "0f 8e 00 01 00 00", UPROBE_OP_JCC },
	{ "loopne",			BOTH, "e0 10", UPROBE_OP_LOOPNE },
	{ "loope",			BOTH, "e1 10", UPROBE_OP_LOOPE },
	{ "loop",			BOTH, "e2 10", UPROBE_OP_LOOP },
	{ "addr32 loop",		BOTH, "67 e2 10", UPROBE_OP_LOOP },
	{ "jrcxz",			BOTH, "e3 10", UPROBE_OP_JCXZ },
	{ "jecxz, jcxz",		BOTH, "67 e3 10", UPROBE_OP_JCXZ },
	{ "call rel32",			BOTH, "e8 00 01 00 00", UPROBE_OP_CALL },
	{ "addr32 call rel32",		BOTH, "67 e8 00 01 00 00", UPROBE_OP_CALL },
	{ "data16 rex.W call (tls)",	M64, "66 66 48 e8 00 01 00 00", UPROBE_OP_CALL },
	{ "data16 rex.W call *rip (tls)", M64, "66 48 ff 15 00 01 00 00", UPROBE_OP_CALL_INDIRECT },
	{ "jmp *%rax",			BOTH, "ff e0", UPROBE_OP_JUMP_INDIRECT },
	{ "notrack jmp *%rdx",		BOTH, "3e ff e2", UPROBE_OP_JUMP_INDIRECT },
	{ "jmp *%r11",			M64, "41 ff e3", UPROBE_OP_JUMP_INDIRECT },
	{ "jmp *rip-relative",		M64, "ff 25 00 01 00 00", UPROBE_OP_JUMP_INDIRECT },
	{ "bnd jmp *rip-relative",	M64, "f2 ff 25 00 01 00 00", UPROBE_OP_JUMP_INDIRECT },
	{ "notrack jmp *(,%rax,8)",	BOTH, "3e ff 24 c5 00 01 00 00", UPROBE_OP_JUMP_INDIRECT },
	{ "jmp *%fs:8",			BOTH, "64 ff 24 25 08 00 00 00", UPROBE_OP_JUMP_INDIRECT },
	{ "call *%rax",			BOTH, "ff d0", UPROBE_OP_CALL_INDIRECT },
	{ "call *8(%rsp)",		BOTH, "ff 54 24 08", UPROBE_OP_CALL_INDIRECT },
	{ "call *%gs:0x10",		M32, "65 ff 15 10 00 00 00", UPROBE_OP_CALL_INDIRECT },
	{ "call *16-bit address",	M32, "67 ff 57 08", UPROBE_OP_CALL_INDIRECT },
};

static const struct kind relocated[] = {
	{ "ud2",			BOTH, "0f 0b", UPROBE_OP_OTHER },
	{ "ud1",			BOTH, "0f b9 c0", UPROBE_OP_OTHER },
	{ "ud0",			BOTH, "0f ff", UPROBE_OP_OTHER },
	{ "vfmaddsd (fma4)",		BOTH, "c4 e3 f9 6b c2 10", UPROBE_OP_OTHER },
	{ "vfnmsubpd ymm, memory (fma4)", BOTH, "c4 e3 6d 7d 40 10 30", UPROBE_OP_OTHER },
	{ "vfmaddss rip-relative (fma4)", M64, "c4 e3 71 6a 05 00 01 00 00 20", UPROBE_OP_OTHER },
	{ "push %rbp",			BOTH, "55", UPROBE_OP_OTHER },
	{ "push %rsp",			BOTH, "54", UPROBE_OP_OTHER },
	{ "push %r15",			M64, "41 57", UPROBE_OP_OTHER },
	{ "push %bp",			BOTH, "66 55", UPROBE_OP_OTHER },
	{ "pop %rbp",			BOTH, "5d", UPROBE_OP_OTHER },
	{ "pop %rsp",			BOTH, "5c", UPROBE_OP_OTHER },
	{ "pop %r8",			M64, "41 58", UPROBE_OP_OTHER },
	{ "pop %ax",			BOTH, "66 58", UPROBE_OP_OTHER },
	{ "pushf",			BOTH, "9c", UPROBE_OP_PUSHF },
	{ "pushfw",			BOTH, "66 9c", UPROBE_OP_PUSHF },
	{ "rep pushf",			BOTH, "f3 9c", UPROBE_OP_PUSHF },
	{ "vmovdqu store (7f)",		BOTH, "c5 fe 7f 07", UPROBE_OP_OTHER },
	{ "vmovdqu load",		BOTH, "c5 fe 6f 07", UPROBE_OP_OTHER },
	{ "vmovdqu rip-relative",	M64, "c5 fe 6f 05 00 01 00 00", UPROBE_OP_OTHER },
	{ "vpxor",			BOTH, "c5 f1 ef c0", UPROBE_OP_OTHER },
	{ "vpaddq",			BOTH, "c5 f1 d4 c0", UPROBE_OP_OTHER },
	{ "vpsubsb (e8)",		BOTH, "c5 f1 e8 c2", UPROBE_OP_OTHER },
	{ "vpsubsw (e9)",		BOTH, "c5 f1 e9 c2", UPROBE_OP_OTHER },
	{ "vpor (eb)",			BOTH, "c5 f1 eb c2", UPROBE_OP_OTHER },
	{ "vzeroupper (77)",		BOTH, "c5 f8 77", UPROBE_OP_OTHER },
	{ "vpcmpeqb (74)",		BOTH, "c5 f1 74 c2", UPROBE_OP_OTHER },
	{ "vpcmpeqw (75)",		BOTH, "c5 f1 75 c2", UPROBE_OP_OTHER },
	{ "vpcmpeqd (76)",		BOTH, "c5 f1 76 c2", UPROBE_OP_OTHER },
	{ "vpshufd (70)",		BOTH, "c5 f9 70 c1 10", UPROBE_OP_OTHER },
	{ "vandps (54)",		BOTH, "c5 f0 54 c2", UPROBE_OP_OTHER },
	{ "vmulps (59)",		BOTH, "c5 f0 59 c2", UPROBE_OP_OTHER },
	{ "vpermps (16)",		BOTH, "c4 e2 75 16 c2", UPROBE_OP_OTHER },
	{ "vfmadd132ps (98)",		BOTH, "c4 e2 71 98 c2", UPROBE_OP_OTHER },
	{ "kmovw (90)",			BOTH, "c5 f8 90 c9", UPROBE_OP_OTHER },
	{ "vmovdqu8 (evex 7f)",		BOTH, "62 f1 7f 48 7f 07", UPROBE_OP_OTHER },
	{ "vmovdqa64 (evex 6f)",	BOTH, "62 f1 fd 48 6f 07", UPROBE_OP_OTHER },
	{ "vpermt2ps (evex 7f, map 2)",	BOTH, "62 f2 75 48 7f c2", UPROBE_OP_OTHER },
	{ "vpmovm2b (evex 28, map 2)",	BOTH, "62 f2 7e 48 28 c1", UPROBE_OP_OTHER },
	{ "vpternlogd (evex map 3)",	BOTH, "62 f3 75 48 25 c2 ff", UPROBE_OP_OTHER },
	{ "andn (vex f2)",		BOTH, "c4 e2 70 f2 c2", UPROBE_OP_OTHER },
	{ "rorx (vex map 3 f0)",	BOTH, "c4 e3 7b f0 c1 05", UPROBE_OP_OTHER },
	{ "xchg %r8,%rax",		M64, "49 90", UPROBE_OP_OTHER },
	{ "pause",			BOTH, "f3 90", UPROBE_OP_OTHER },
	{ "lock xadd",			BOTH, "f0 0f c1 07", UPROBE_OP_OTHER },
	{ "lock cmpxchg16b",		M64, "f0 48 0f c7 0f", UPROBE_OP_OTHER },
	{ "lock nop",			BOTH, "f0 90", UPROBE_OP_OTHER },
	{ "mov %fs:0x28",		M64, "64 48 8b 04 25 28 00 00 00", UPROBE_OP_OTHER },
	{ "mov cs:",			BOTH, "2e 8b 07", UPROBE_OP_OTHER },
	{ "lea rip-relative",		M64, "48 8d 05 00 01 00 00", UPROBE_OP_OTHER },
	{ "mov rip-relative with imm",	M64, "c7 05 00 01 00 00 2a 00 00 00", UPROBE_OP_OTHER },
	{ "sub $8,%rsp",		M64, "48 83 ec 08", UPROBE_OP_OTHER },
	{ "movabs",			M64, "48 b8 01 02 03 04 05 06 07 08", UPROBE_OP_OTHER },
	{ "rep movsb",			BOTH, "f3 a4", UPROBE_OP_OTHER },
	{ "ret",			BOTH, "c3", UPROBE_OP_RETURN },
	{ "rep ret",			BOTH, "f3 c3", UPROBE_OP_RETURN },
	{ "ret $8",			BOTH, "c2 08 00", UPROBE_OP_RETURN },
	{ "leave",			BOTH, "c9", UPROBE_OP_OTHER },
	{ "enter",			BOTH, "c8 10 00 00", UPROBE_OP_OTHER },
	{ "push $1",			BOTH, "6a 01", UPROBE_OP_OTHER },
	{ "push (%rax)",		BOTH, "ff 30", UPROBE_OP_OTHER },
	{ "pop (%rax)",			BOTH, "8f 00", UPROBE_OP_OTHER },
	{ "inc %eax",			BOTH, "ff c0", UPROBE_OP_OTHER },
	{ "inc %eax, one byte",		M32, "40", UPROBE_OP_OTHER },
	{ "pusha",			M32, "60", UPROBE_OP_OTHER },
	{ "bound",			M32, "62 00", UPROBE_OP_OTHER },
	{ "les",			M32, "c4 00", UPROBE_OP_OTHER },
	{ "push %cs",			M32, "0e", UPROBE_OP_OTHER },
	{ "arpl, movslq",		BOTH, "63 c7", UPROBE_OP_OTHER },
	{ "mov %eax,%ds",		BOTH, "8e d8", UPROBE_OP_OTHER },
	{ "fld",			BOTH, "d9 00", UPROBE_OP_OTHER },
	{ "fwait",			BOTH, "9b", UPROBE_OP_OTHER },
	{ "cpuid",			BOTH, "0f a2", UPROBE_OP_OTHER },
	{ "rdtsc",			BOTH, "0f 31", UPROBE_OP_OTHER },
	{ "rdtscp",			BOTH, "0f 01 f9", UPROBE_OP_OTHER },
	{ "rdpmc",			BOTH, "0f 33", UPROBE_OP_OTHER },
	{ "xgetbv",			BOTH, "0f 01 d0", UPROBE_OP_OTHER },
	{ "xend",			BOTH, "0f 01 d5", UPROBE_OP_OTHER },
	{ "xtest",			BOTH, "0f 01 d6", UPROBE_OP_OTHER },
	{ "xabort",			BOTH, "c6 f8 01", UPROBE_OP_OTHER },
	{ "rdpkru",			BOTH, "0f 01 ee", UPROBE_OP_OTHER },
	{ "wrpkru",			BOTH, "0f 01 ef", UPROBE_OP_OTHER },
	{ "monitorx",			BOTH, "0f 01 fa", UPROBE_OP_OTHER },
	{ "serialize",			BOTH, "0f 01 e8", UPROBE_OP_OTHER },
	{ "sgdt",			BOTH, "0f 01 00", UPROBE_OP_OTHER },
	{ "rdrand",			BOTH, "0f c7 f0", UPROBE_OP_OTHER },
	{ "rdpid",			BOTH, "f3 0f c7 f8", UPROBE_OP_OTHER },
	{ "rdfsbase",			M64, "f3 48 0f ae c0", UPROBE_OP_OTHER },
	{ "xsavec",			BOTH, "0f c7 20", UPROBE_OP_OTHER },
	{ "fxsave",			BOTH, "0f ae 00", UPROBE_OP_OTHER },
	{ "mfence",			BOTH, "0f ae f0", UPROBE_OP_OTHER },
	{ "rdsspq, a nop elsewhere",	M64, "f3 48 0f 1e c8", UPROBE_OP_OTHER },
	{ "incsspq",			M64, "f3 48 0f ae e8", UPROBE_OP_OTHER },
	{ "prefetcht0",			BOTH, "0f 18 08", UPROBE_OP_OTHER },
	{ "sha1rnds4",			BOTH, "0f 3a cc c1 00", UPROBE_OP_OTHER },
	{ "crc32",			BOTH, "f2 0f 38 f1 c1", UPROBE_OP_OTHER },
	{ "movbe",			BOTH, "0f 38 f0 00", UPROBE_OP_OTHER },
	{ "pshufb",			BOTH, "66 0f 38 00 c1", UPROBE_OP_OTHER },
	{ "3DNow pavgusb",		BOTH, "0f 0f c1 bf", UPROBE_OP_OTHER },
	{ "xop vpcmov (map 8)",		BOTH, "8f e8 78 a2 c1 20", UPROBE_OP_OTHER },
	{ "xop vprotd (map 8)",		BOTH, "8f e8 78 c2 ec 0e", UPROBE_OP_OTHER },
	{ "xop vprotd (map 9)",		BOTH, "8f e9 78 92 00", UPROBE_OP_OTHER },
	{ "xop rip-relative",		M64, "8f e8 78 c2 05 00 01 00 00 0e", UPROBE_OP_OTHER },
	{ "emms",			BOTH, "0f 77", UPROBE_OP_OTHER },
};

static const struct kind stepped[] = {
	{ "popf",			BOTH, "9d", UPROBE_OP_POPF },
	{ "popfw",			BOTH, "66 9d", UPROBE_OP_POPF },
};

struct refusal {
	const char	*name;
	int		modes;
	const char	*bytes;
	const char	*reason;
};

static const struct refusal refused[] = {
	{ "syscall",			BOTH, "0f 05", "system call" },
	{ "sysenter",			BOTH, "0f 34", "system call" },
	{ "int $0x80",			BOTH, "cd 80", "software interrupt" },
	{ "int3",			BOTH, "cc", "software interrupt" },
	{ "int1",			BOTH, "f1", "software interrupt" },
	{ "into",			M32, "ce", "software interrupt" },
	{ "iret",			BOTH, "cf", "software interrupt" },
	{ "uiret",			M64, "f3 0f 01 ec", "software interrupt" },
	{ "ud2 that escapes to xen",	BOTH, "0f 0b 78 65 6e 0f a2", "hypervisor understands" },
	{ "hlt",			BOTH, "f4", "privileged" },
	{ "cli",			BOTH, "fa", "privileged" },
	{ "sti",			BOTH, "fb", "privileged" },
	{ "wrmsr",			BOTH, "0f 30", "privileged" },
	{ "rdmsr",			BOTH, "0f 32", "privileged" },
	{ "sysexit",			BOTH, "0f 35", "privileged" },
	{ "sysret",			BOTH, "0f 07", "privileged" },
	{ "clts",			BOTH, "0f 06", "privileged" },
	{ "invd",			BOTH, "0f 08", "privileged" },
	{ "wbinvd",			BOTH, "0f 09", "privileged" },
	{ "mov %cr0,%rax",		BOTH, "0f 20 c0", "privileged" },
	{ "mov %rax,%dr7",		BOTH, "0f 23 f8", "privileged" },
	{ "getsec",			BOTH, "0f 37", "privileged" },
	{ "vmread",			BOTH, "0f 78 c1", "privileged" },
	{ "rsm",			BOTH, "0f aa", "privileged" },
	{ "lldt",			BOTH, "0f 00 d0", "privileged" },
	{ "lgdt",			BOTH, "0f 01 10", "privileged" },
	{ "invlpg",			BOTH, "0f 01 38", "privileged" },
	{ "lmsw",			BOTH, "0f 01 f0", "privileged" },
	{ "swapgs",			M64, "0f 01 f8", "privileged" },
	{ "monitor",			BOTH, "0f 01 c8", "privileged" },
	{ "xsetbv",			BOTH, "0f 01 d1", "privileged" },
	{ "stac",			BOTH, "0f 01 cb", "privileged" },
	{ "vmlaunch",			BOTH, "0f 01 c2", "privileged" },
	{ "setssbsy",			M64, "f3 0f 01 e8", "privileged" },
	{ "clrssbsy",			M64, "f3 0f ae 30", "privileged" },
	{ "xsaves",			BOTH, "0f c7 28", "privileged" },
	{ "vmptrld",			BOTH, "0f c7 30", "privileged" },
	{ "invpcid",			BOTH, "66 0f 38 82 00", "privileged" },
	{ "wrussq",			M64, "66 48 0f 38 f5 00", "privileged" },
	{ "enqcmds",			M64, "f3 0f 38 f8 00", "privileged" },
	{ "hreset",			BOTH, "f3 0f 3a f0 c0 00", "privileged" },
	{ "in $0x10,%al",		BOTH, "e4 10", "port" },
	{ "out %eax,(%dx)",		BOTH, "ef", "port" },
	{ "rep insb",			BOTH, "f3 6c", "port" },
	{ "outsl",			BOTH, "6f", "port" },
	{ "lcall *(%rax)",		BOTH, "ff 18", "far" },
	{ "ljmp *(%rax)",		BOTH, "ff 28", "far" },
	{ "lcall $sel,$off",		M32, "9a 00 00 00 00 23 00", "far" },
	{ "ljmp $sel,$off",		M32, "ea 00 00 00 00 23 00", "far" },
	{ "lret",			BOTH, "cb", "far" },
	{ "lret $8",			BOTH, "ca 08 00", "far" },
	{ "mov %eax,%ss",		BOTH, "8e d0", "stack segment" },
	{ "pop %ss",			M32, "17", "stack segment" },
	{ "xbegin",			BOTH, "c7 f8 00 00 00 00", "transaction" },
	{ "vmcall",			BOTH, "0f 01 c1", "hypervisor" },
	{ "vmmcall",			BOTH, "0f 01 d9", "hypervisor" },
	{ "vmfunc",			BOTH, "0f 01 d4", "hypervisor" },
	{ "enclu",			BOTH, "0f 01 d7", "enclave" },
	{ "data16 call",		M64, "66 e8 00 01 00 00", "operand size prefix" },
	{ "data16 call",		M32, "66 e8 00 01", "operand size prefix" },
	{ "data16 jmp rel8",		BOTH, "66 eb 10", "operand size prefix" },
	{ "data16 jne",			BOTH, "66 75 10", "operand size prefix" },
	{ "data16 jmp *%rax",		BOTH, "66 ff e0", "operand size prefix" },
	{ "data16 loop",		BOTH, "66 e2 10", "operand size prefix" },
	{ "jmpabs",			M64, "d5 00 a1 00 00 00 00 00 00 00 00", "REX2" },
	{ "rex2 call *%r16",		M64, "d5 10 ff d0", "REX2" },
};

static const struct refusal invalid[] = {
	{ "rex rex nop",		M64, "48 48 90", "not a valid" },
	{ "five kinds of prefixes",	BOTH, "66 67 2e f2 f0 01 00", "not a valid" },
	{ "lock jmp",			BOTH, "f0 eb 10", "not a valid" },
	{ "push %es in 64-bit mode",	M64, "06", "not a valid" },
	{ "pusha in 64-bit mode",	M64, "60", "not a valid" },
	{ "into in 64-bit mode",	M64, "ce", "not a valid" },
	{ "lcall in 64-bit mode",	M64, "9a 00 00 00 00 23 00", "not a valid" },
	{ "salc",			BOTH, "d6", "not a valid" },
	{ "0f 04",			BOTH, "0f 04", "not a valid" },
	{ "0f 24",			BOTH, "0f 24 c0", "not a valid" },
	{ "0f 38 ff",			BOTH, "0f 38 ff c0", "not a valid" },
	{ "0f 3a ff",			BOTH, "0f 3a ff c0 00", "not a valid" },
	{ "jmpe",			BOTH, "0f b8 00", "not a valid" },
	{ "xop map 10",			BOTH, "8f ea 78 10 c1 20 00 00 00", "not a valid" },
	{ "vex opcode of nothing",	BOTH, "c5 f8 04 c0", "not a valid" },
	{ "fma4 opcode without 66",	BOTH, "c4 e3 f8 6b c2 10", "not a valid" },
	{ "cut fma4",			M64, "c4 e3 f9 6b", "the file ends" },
	{ "group 11, reg 3",		BOTH, "c7 d8 00 00 00 00", "not a valid" },
	{ "group 5, reg 7",		BOTH, "ff f8", "not a valid" },
	{ "fifteen prefixes",		BOTH, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", "not a valid" },
	{ "cut call",			BOTH, "e8 00 00", "the file ends" },
	{ "cut prefix",			BOTH, "66", "the file ends" },
	{ "cut vex",			M64, "c5 fe 7f", "the file ends" },
	{ "nothing",			BOTH, "", "the file ends" },
};

/* Code, and slots on either side of it. */
static const struct {
	unsigned long	vaddr;
	unsigned long	slot;
} places[] = {
	{ 0x401000, 0x300020 },
	{ 0x401000, 0x50000040 },
	{ 0x555555555000, 0x555500000000 },
	{ 0x555555555000, 0x555590000000 },
	{ 0x7ffff7dd2000, 0x7fffb0000020 },
	{ 0x7ffff7dd2000, 0x7ffff0000fe0 },
};

static bool slots_are_right(const struct arch_uprobe *au)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		unsigned long mask = au->is_64bit ? ~0UL : 0x7fffffff;

		if (!slot_is_right(au, places[i].slot & mask, places[i].vaddr & mask))
			return false;
	}
	return true;
}

static const char *title(const char *name, bool is_64bit, const char *what)
{
	static char text[120];

	snprintf(text, sizeof(text), "%s: %s in %s mode", what, name, is_64bit ? "64-bit" : "32-bit");
	return text;
}

static bool is_of_kind(const struct kind *kind, bool is_64bit, enum uprobe_class class)
{
	struct arch_uprobe au;
	u8 bytes[UPROBE_MAX_INSN] = {};
	size_t len = parse_hex(kind->bytes, bytes, sizeof(bytes));
	const char *reason;
	int err = arch_uprobe_analyze(&au, bytes, sizeof(bytes), is_64bit, &reason);

	if (!err && au.class == class && au.op == kind->op && au.len <= 15 && !reason &&
	    (au.len == len || !is_64bit) && slots_are_right(&au))
		return true;
	note("err %d, class %d, op %u, length %u, %s", err, au.class, au.op, au.len, reason ?: "no reason");
	return false;
}

static void check_kinds(const struct kind *kinds, size_t nr, enum uprobe_class class, const char *what)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		if (kinds[i].modes & M64)
			check(is_of_kind(&kinds[i], true, class), "%s", title(kinds[i].name, true, what));
		if (kinds[i].modes & M32)
			check(is_of_kind(&kinds[i], false, class), "%s", title(kinds[i].name, false, what));
	}
}

static bool is_refused(const struct refusal *refusal, bool is_64bit, int expected, bool cut)
{
	struct arch_uprobe au;
	u8 bytes[UPROBE_MAX_INSN] = {};
	size_t len = parse_hex(refusal->bytes, bytes, sizeof(bytes));
	const char *reason;
	int err = arch_uprobe_analyze(&au, bytes, cut ? len : sizeof(bytes), is_64bit, &reason);

	if (err == expected && au.class == UPROBE_REFUSED && reason && strstr(reason, refusal->reason))
		return true;
	note("err %d, class %d, %s", err, au.class, reason ?: "no reason");
	return false;
}

static void check_refusals(const struct refusal *refusals, size_t nr, int expected, const char *what)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		bool cut = strstr(refusals[i].reason, "ends");

		if (refusals[i].modes & M64)
			check(is_refused(&refusals[i], true, expected, cut), "%s", title(refusals[i].name, true, what));
		if (refusals[i].modes & M32)
			check(is_refused(&refusals[i], false, expected, cut), "%s", title(refusals[i].name, false, what));
	}
}

static bool fills(const char *hex, unsigned long vaddr, unsigned long slot_addr)
{
	u8 bytes[UPROBE_MAX_INSN] = {}, slot[UPROBE_SLOT_SIZE];
	struct arch_uprobe au;
	const char *reason;

	parse_hex(hex, bytes, sizeof(bytes));
	if (arch_uprobe_analyze(&au, bytes, sizeof(bytes), true, &reason))
		return false;
	return !arch_uprobe_fill_slot(&au, slot, slot_addr, vaddr);
}

static void check_reach(void)
{
	check(!fills("90", 0x555555555000, 0x5554d5554000), "a slot 2 GB away is out of reach");
	check(!fills("48 8b 05 00 00 00 70", 0x555555555000, 0x555500000000),
	      "an operand that is far from the slot, though not from the code, is out of reach");
	check(fills("48 8b 05 00 00 00 70", 0x555555555000, 0x555590000000),
	      "an operand between code and slot is in reach");
	check(fills("e8 00 00 00 7f", 0x555555555000, 0x5554f0000000),
	      "a call reaches its target from any slot");
}

static bool details_are(const char *hex, bool is_64bit, u8 reg, u8 cond, u8 width, s32 rel)
{
	u8 bytes[UPROBE_MAX_INSN] = {};
	struct arch_uprobe au;
	const char *reason;

	parse_hex(hex, bytes, sizeof(bytes));
	if (!arch_uprobe_analyze(&au, bytes, sizeof(bytes), is_64bit, &reason) &&
	    au.reg == reg && au.cond == cond && au.width == width && au.rel == rel)
		return true;
	note("reg %u, cond %u, width %u, rel %d", au.reg, au.cond, au.width, au.rel);
	return false;
}

static void check_details(void)
{
	check(details_are("66 9c", true, 0, 0, 2, 0), "pushfw moves 2 bytes");
	check(details_are("66 48 9c", true, 0, 0, 8, 0), "REX.W wins over an operand size prefix");
	check(details_are("9c", false, 0, 0, 4, 0), "pushf of 32-bit code moves 4 bytes");
	check(details_are("eb fe", true, 0, 0, 8, -2), "an 8-bit displacement is signed");
	check(details_are("0f 8f 00 ff ff ff", true, 0, 15, 8, -256), "jg is condition 15");
	check(details_are("e2 10", true, 0, 0, 8, 16), "loop counts in rcx");
	check(details_are("67 e2 10", true, 0, 0, 4, 16), "addr32 loop counts in ecx");
	check(details_are("67 e3 10", false, 0, 0, 2, 16), "addr16 jcxz looks at cx");
	check(details_are("41 ff e3", true, 11, 0, 8, 0), "jmp *r11 names register 11");
	check(details_are("ff 25 00 00 00 00", true, UPROBE_NO_REG, 0, 8, 0), "jmp *memory names none");
}

int main(void)
{
	check_kinds(emulated, ARRAY_SIZE(emulated), UPROBE_EMULATED, "emulated");
	check_kinds(relocated, ARRAY_SIZE(relocated), UPROBE_RELOCATED, "relocated");
	check_kinds(stepped, ARRAY_SIZE(stepped), UPROBE_STEPPED, "stepped");
	check_refusals(refused, ARRAY_SIZE(refused), -EOPNOTSUPP, "refused");
	check_refusals(invalid, ARRAY_SIZE(invalid), -EILSEQ, "invalid");
	check_details();
	check_reach();
	return finish();
}

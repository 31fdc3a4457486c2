/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A BPF link on many places of a file, with a program that does nothing: the headers of Debian 12 are older than it.
 * And what BPF says of a perf event.
 */
#ifndef UPROBES_BPF_LINK_H
#define UPROBES_BPF_LINK_H

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BPF_PROG_LOAD			5
#define BPF_TASK_FD_QUERY		20
#define BPF_LINK_CREATE			28
#define BPF_PROG_TYPE_KPROBE		2
#define BPF_TRACE_UPROBE_MULTI		48

struct load_attr {
	uint32_t type, instruction_count;
	uint64_t instructions, license;
	uint32_t log_level, log_size;
	uint64_t log;
	uint32_t kernel_version, flags;
	char name[16];
	uint32_t interface, expected_attach_type;
};

struct link_attr {
	uint32_t program, unused, attach_type, flags;
	uint64_t path, offsets, semaphores, cookies;
	uint32_t count, multi_flags, pid, padding;
};

struct query_attr {
	uint32_t pid, fd, flags, len;
	uint64_t name;
	uint32_t program, fd_type;
	uint64_t offset, address;
};

/* r0 = 0; exit. Returns a descriptor, or -1 and errno. */
static inline int load_empty_program(void)
{
	static const uint64_t instructions[] = { 0xb7, 0x95 };
	struct load_attr attr = {
		.type = BPF_PROG_TYPE_KPROBE,
		.instruction_count = sizeof(instructions) / sizeof(instructions[0]),
		.instructions = (unsigned long)instructions,
		.license = (unsigned long)"GPL",
		.expected_attach_type = BPF_TRACE_UPROBE_MULTI,
	};

	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

/* @pid 0: of every process. Returns a descriptor, or -1 and errno. */
static inline int link_places(int program, const char *path, const uint64_t *offsets, unsigned int count, int pid)
{
	struct link_attr attr = {
		.program = program,
		.attach_type = BPF_TRACE_UPROBE_MULTI,
		.path = (unsigned long)path,
		.offsets = (unsigned long)offsets,
		.count = count,
		.pid = pid,
	};

	return syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
}

/* The file that the uprobe of a perf event of this process is in. Returns 0, or -1 and errno. */
static inline int query_name(int fd, char *name, uint32_t len)
{
	struct query_attr attr = { .pid = getpid(), .fd = fd, .len = len, .name = (unsigned long)name };

	return syscall(SYS_bpf, BPF_TASK_FD_QUERY, &attr, sizeof(attr));
}

#endif /* UPROBES_BPF_LINK_H */

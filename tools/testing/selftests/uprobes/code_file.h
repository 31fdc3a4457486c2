/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file of machine code that a test makes, maps and probes by offset. Not an
 * ELF file: the loader and its mappings stay out of it.
 */
#ifndef UPROBES_CODE_FILE_H
#define UPROBES_CODE_FILE_H

#include "probes.h"

#define PAGE		4096
#define CODE_PAGES	4

#define ADDS_ONE	0x0010	/* lea 1(%rdi),%eax; ret */
#define ADDS_TWO	0x1010	/* lea 2(%rdi),%eax; ret */
#define ACROSS_PAGES	0x1ffd	/* lea 0x11223344(%rdi),%eax; ret */
#define ADDS_THREE	0x3010	/* lea 3(%rdi),%eax; ret */
#define AT_THE_END	0x3ffd	/* mov %edi,%eax; ret: the last byte of the file */
#define LAST_BYTE	0x3fff

typedef int (*code_fn)(int x);

static UNUSED void make_code_file(const char *path)
{
	static unsigned char text[CODE_PAGES * PAGE];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	memset(text, 0xcc, sizeof(text));
	memcpy(text + ADDS_ONE, "\x8d\x47\x01\xc3", 4);
	memcpy(text + ADDS_TWO, "\x8d\x47\x02\xc3", 4);
	memcpy(text + ACROSS_PAGES, "\x8d\x87\x44\x33\x22\x11\xc3", 7);
	memcpy(text + ADDS_THREE, "\x8d\x47\x03\xc3", 4);
	memcpy(text + AT_THE_END, "\x89\xf8\xc3", 3);
	must(fd >= 0);
	must(write(fd, text, sizeof(text)) == sizeof(text));
	close(fd);
}

static UNUSED char *map_code(const char *path, void *at, int first_page, int pages, int prot, int flags)
{
	int fd = open(path, (flags & MAP_SHARED ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	char *code;

	must(fd >= 0);
	code = mmap(at, pages * PAGE, prot, flags | (at ? MAP_FIXED : 0), fd, first_page * PAGE);
	close(fd);
	must(code != MAP_FAILED);
	return code;
}

static UNUSED int call_code(const char *code, unsigned long offset, int x)
{
	return ((code_fn)(uintptr_t)(code + offset))(x);
}

#endif /* UPROBES_CODE_FILE_H */

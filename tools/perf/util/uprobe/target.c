// SPDX-License-Identifier: GPL-2.0
/*
 * Can the file that -x names hold probes, and where?
 *
 * Asked before any symbol is looked for, so that what is wrong with the file
 * isn't told as something that is wrong with its symbols.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/debug.h"
#include "util/namespaces.h"
#include "util/strbuf.h"
#include "boundary.h"
#include "target.h"

/* The path is the one in the mount namespace that --target-ns asks for. */
static int open_in(struct nsinfo *nsi, const char *path)
{
	struct nscookie cookie;
	int fd, error;

	nsinfo__mountns_enter(nsi, &cookie);
	/* A FIFO must not keep us waiting. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	error = errno;
	nsinfo__mountns_exit(&cookie);
	errno = error;
	return fd;
}

/* e_ident, e_type and e_machine lie alike in both classes. */
static const char *what_is_wrong(int fd)
{
	Elf64_Ehdr header;
	struct stat st;
	ssize_t size;

	if (fd < 0 || fstat(fd, &st) < 0)
		return strerror(errno);
	if (S_ISDIR(st.st_mode))
		return "is a directory: name a program or a shared library in it";
	if (!S_ISREG(st.st_mode))
		return "is not a regular file: name a program or a shared library";
	size = pread(fd, &header, sizeof(header), 0);
	if (size < 0)
		return strerror(errno);
	if ((size_t)size < sizeof(Elf32_Ehdr) || memcmp(header.e_ident, ELFMAG, SELFMAG))
		return "is not an ELF file: name a program or a shared library, not a script that starts one";
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return "is neither a program nor a shared library: name what it was linked into";
	return NULL;
}

/* The next part of the file that is mapped as code, from header @i on. */
static bool next_code(Elf *elf, size_t *i, GElf_Phdr *phdr)
{
	size_t count;

	if (elf_getphdrnum(elf, &count))
		return false;
	while (*i < count && gelf_getphdr(elf, (*i)++, phdr)) {
		if (phdr->p_type == PT_LOAD && (phdr->p_flags & PF_X) && phdr->p_filesz)
			return true;
	}
	return false;
}

/* @ranges takes all that is code. Returns whether @offset is in it. */
static bool find_code(Elf *elf, u64 offset, struct strbuf *ranges)
{
	GElf_Phdr phdr;
	size_t i = 0;

	while (next_code(elf, &i, &phdr)) {
		if (offset - phdr.p_offset < phdr.p_filesz)
			return true;
		strbuf_addf(ranges, "%s%#" PRIx64 "-%#" PRIx64, ranges->len ? ", " : "",
			    phdr.p_offset, phdr.p_offset + phdr.p_filesz - 1);
	}
	return false;
}

/**
 * uprobe_target__require - go on only with a file that can hold probes
 * @path: what the user gave to -x, or before the definitions
 * @nsi: whose mount namespace @path is looked up in, NULL: ours
 *
 * Otherwise says why it can't, in one line, and ends perf with the status of a
 * wrong option.
 */
void uprobe_target__require(const char *path, struct nsinfo *nsi)
{
	int fd = open_in(nsi, path);
	const char *wrong = what_is_wrong(fd);

	if (wrong) {
		pr_err("Error: %s: %s\n", path, wrong);
		exit(UPROBE_BAD_OPTION);
	}
	close(fd);
}

/**
 * uprobe_target__code - where in a file is code, if not at an offset?
 * @path: of the file
 * @nsi: whose mount namespace @path is looked up in, NULL: ours
 * @offset: in the file
 *
 * Return: the offsets of the first and the last byte of each range, in words and to
 * be freed; NULL if @offset is in one of them, or if the file doesn't tell.
 */
char *uprobe_target__code(const char *path, struct nsinfo *nsi, u64 offset)
{
	struct strbuf ranges = STRBUF_INIT;
	int fd = open_in(nsi, path);
	char *code = NULL;
	Elf *elf;

	if (fd < 0)
		return NULL;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf && !find_code(elf, offset, &ranges))
		code = strdup(ranges.len ? ranges.buf : "no offset at all");
	strbuf_release(&ranges);
	elf_end(elf);
	close(fd);
	return code;
}

/**
 * uprobe_target__boundary - does a place in a file lie inside of an instruction?
 * @path: of the file
 * @nsi: whose mount namespace @path is looked up in, NULL: ours
 * @offset: in the file
 * @boundary: set if so: see boundary.h
 *
 * Return: false also if the file doesn't tell.
 */
bool uprobe_target__boundary(const char *path, struct nsinfo *nsi, u64 offset,
			     struct uprobe_boundary *boundary)
{
	int fd = open_in(nsi, path);
	bool is_inside;

	if (fd < 0)
		return false;
	is_inside = uprobe_boundary__is_inside(fd, offset, boundary);
	close(fd);
	return is_inside;
}

/**
 * uprobe_target__offset - where in a file is what has an address in its memory?
 * @path: of the file
 * @nsi: whose mount namespace @path is looked up in, NULL: ours
 * @address: as in its symbols and debug information
 * @offset: the answer
 *
 * Return: whether there is code at @address.
 */
bool uprobe_target__offset(const char *path, struct nsinfo *nsi, u64 address, u64 *offset)
{
	int fd = open_in(nsi, path);
	bool found = false;
	GElf_Phdr phdr;
	size_t i = 0;
	Elf *elf;

	if (fd < 0)
		return false;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	while (elf && !found && next_code(elf, &i, &phdr)) {
		found = address - phdr.p_vaddr < phdr.p_filesz;
		*offset = address - phdr.p_vaddr + phdr.p_offset;
	}
	elf_end(elf);
	close(fd);
	return found;
}

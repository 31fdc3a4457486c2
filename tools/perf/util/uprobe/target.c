// SPDX-License-Identifier: GPL-2.0
/*
 * Can the file that -x names hold probes?
 *
 * Asked before any symbol is looked for, so that what is wrong with the file
 * isn't told as something that is wrong with its symbols.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/debug.h"
#include "util/namespaces.h"
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

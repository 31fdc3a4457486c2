// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of text that is written when its writer has closed the file? A program for the tests of commands.
 * usage: writes_after_close FILE <TEXT
 * Registers FILE with an io_uring, closes it, and writes TEXT (up to 64 KB) through the ring, in one write; then the
 * ring lets go of it. Fails if not all was written.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static char text[65536];

static void must(bool done, const char *what)
{
	if (!done) {
		perror(what);
		exit(1);
	}
}

static char *map(int ring, size_t size, off_t what)
{
	char *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, what);

	must(start != MAP_FAILED, "mmap");
	return start;
}

/* Submits the only entry of the ring, and returns its result. */
static int submit(int ring, const struct io_uring_params *params, const struct io_uring_sqe *sqe)
{
	char *sq = map(ring, params->sq_off.array + sizeof(unsigned int), IORING_OFF_SQ_RING);
	char *cq = map(ring, params->cq_off.cqes + 2 * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);

	memcpy(map(ring, sizeof(*sqe), IORING_OFF_SQES), sqe, sizeof(*sqe));
	*(unsigned int *)(sq + params->sq_off.array) = 0;
	__atomic_store_n((unsigned int *)(sq + params->sq_off.tail), 1, __ATOMIC_RELEASE);
	must(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1, "io_uring_enter");
	must(__atomic_load_n((unsigned int *)(cq + params->cq_off.tail), __ATOMIC_ACQUIRE) == 1, "no completion");
	return ((struct io_uring_cqe *)(cq + params->cq_off.cqes))->res;
}

int main(int argc, char **argv)
{
	struct io_uring_params params = {};
	ssize_t len = read(STDIN_FILENO, text, sizeof(text));
	int ring, file, written;

	if (argc != 2 || len < 0) {
		fputs("usage: writes_after_close FILE <TEXT\n", stderr);
		return 2;
	}
	file = open(argv[1], O_WRONLY | O_APPEND | O_CLOEXEC);
	must(file >= 0, argv[1]);
	ring = syscall(SYS_io_uring_setup, 1, &params);
	must(ring >= 0, "io_uring_setup");
	must(!syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &file, 1), "io_uring_register");
	must(!close(file), "close");
	/* fd: its number in the ring */
	written = submit(ring, &params, &(struct io_uring_sqe){
		.opcode = IORING_OP_WRITE, .flags = IOSQE_FIXED_FILE, .fd = 0,
		.addr = (unsigned long)text, .len = len, .off = -1,
	});
	must(!syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_FILES, NULL, 0), "io_uring_register");
	return written != len;
}

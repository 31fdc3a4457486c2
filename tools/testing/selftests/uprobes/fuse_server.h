/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file whose pages come from a server that may withhold them.
 *
 * A small FUSE server, a process of its own: one folder with one file, "code", which holds the same as
 * make_code_file() writes. It answers everything at once, but a read of a page that it has been told to withhold.
 *
 *	fuse_start()		mounts it
 *	fuse_withhold(PAGE)	a read of that page of the file waits from now on
 *	fuse_is_withholding()	somebody waits for it
 *	fuse_release()		gives all that is withheld, and what comes later
 *	fuse_fail()		can't read any page of the file from now on
 *	fuse_recover()		can again
 *	fuse_stop()		unmounts it
 */
#ifndef UPROBES_FUSE_SERVER_H
#define UPROBES_FUSE_SERVER_H

#include <linux/fuse.h>
#include <poll.h>
#include <sys/mount.h>

#include "code_file.h"

#define FUSE_FOLDER	"/tmp/uprobes_fuse"
#define FUSE_FILE	FUSE_FOLDER "/code"
#define FUSE_NODE	2
#define MAX_WITHHELD	16

static struct {
	volatile int withheld_page;	/* or -1 */
	volatile bool fails;
	volatile int nr_waiting;
	pid_t server;
} *fuse;

struct fuse_request {
	struct fuse_in_header header;
	char body[65536];
};

static unsigned char fuse_text[CODE_PAGES * PAGE];

static void fuse_answer(int fd, uint64_t unique, int error, const void *data, size_t len)
{
	static char answer[sizeof(struct fuse_out_header) + sizeof(fuse_text)];
	struct fuse_out_header header = { .len = sizeof(header) + len, .error = error, .unique = unique };

	memcpy(answer, &header, sizeof(header));
	memcpy(answer + sizeof(header), data, len);
	/* the request may have been interrupted */
	if (write(fd, answer, header.len) != (ssize_t)header.len && errno != ENOENT)
		_exit(3);
}

static struct fuse_attr fuse_attributes(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node, .nlink = 1, .blksize = PAGE,
		.mode = node == FUSE_NODE ? S_IFREG | 0755 : S_IFDIR | 0755,
		.size = node == FUSE_NODE ? sizeof(fuse_text) : 0,
	};
}

static void fuse_answer_read(int fd, uint64_t unique, const struct fuse_read_in *in)
{
	size_t from = in->offset < sizeof(fuse_text) ? in->offset : sizeof(fuse_text), len = in->size;

	if (len > sizeof(fuse_text) - from)
		len = sizeof(fuse_text) - from;
	if (fuse->fails)
		fuse_answer(fd, unique, -EIO, NULL, 0);
	else
		fuse_answer(fd, unique, 0, fuse_text + from, len);
}

static bool fuse_is_withheld(const struct fuse_request *r)
{
	const struct fuse_read_in *in = (const void *)r->body;
	long from = (long)fuse->withheld_page * PAGE;

	return r->header.opcode == FUSE_READ && from >= 0 && (long)in->offset < from + PAGE &&
	       (long)(in->offset + in->size) > from;
}

static void fuse_serve(int fd, const struct fuse_request *r)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = PAGE };
	struct fuse_entry_out entry = { .nodeid = FUSE_NODE, .attr_valid = 1000, .entry_valid = 1000,
					.attr = fuse_attributes(FUSE_NODE) };
	struct fuse_attr_out attr = { .attr_valid = 1000, .attr = fuse_attributes(r->header.nodeid) };
	struct fuse_open_out opened = { .fh = 1, .open_flags = FOPEN_KEEP_CACHE };
	uint64_t unique = r->header.unique;

	switch (r->header.opcode) {
	case FUSE_INIT:
		fuse_answer(fd, unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		if (strcmp(r->body, "code"))
			fuse_answer(fd, unique, -ENOENT, NULL, 0);
		else
			fuse_answer(fd, unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		fuse_answer(fd, unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		fuse_answer(fd, unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		fuse_answer_read(fd, unique, (const void *)r->body);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		fuse_answer(fd, unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		fuse_answer(fd, unique, -ENOSYS, NULL, 0);
	}
}

static void fuse_be_server(int fd)
{
	static struct fuse_request waiting[MAX_WITHHELD], r;
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	for (;;) {
		while (fuse->withheld_page < 0 && fuse->nr_waiting)
			fuse_serve(fd, &waiting[--fuse->nr_waiting]);
		if (poll(&wait, 1, 5) <= 0)
			continue;
		if (read(fd, &r, sizeof(r)) < 0) {
			if (errno == ENODEV)
				_exit(0);
			continue;
		}
		if (fuse_is_withheld(&r) && fuse->nr_waiting < MAX_WITHHELD)
			waiting[fuse->nr_waiting++] = r;
		else
			fuse_serve(fd, &r);
	}
}

static void fuse_read_text(void)
{
	int fd = open("/tmp/uprobes_fuse.code", O_RDONLY | O_CLOEXEC);

	must(read(fd, fuse_text, sizeof(fuse_text)) == sizeof(fuse_text));
	close(fd);
}

static UNUSED void fuse_start(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[128];

	must(fd >= 0);
	make_code_file("/tmp/uprobes_fuse.code");
	fuse_read_text();
	fuse = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fuse->withheld_page = -1;
	mkdir(FUSE_FOLDER, 0755);
	sprintf(options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
	must(!mount("uprobes", FUSE_FOLDER, "fuse", MS_NODEV, options));
	fuse->server = fork();
	if (!fuse->server)
		fuse_be_server(fd);
	close(fd);
}

static UNUSED void fuse_withhold(int page)
{
	int fd = open(FUSE_FILE, O_RDONLY | O_CLOEXEC);

	/* not from the page cache */
	must(fd >= 0 && !posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	close(fd);
	fuse->withheld_page = page;
}

static UNUSED void fuse_fail(void)
{
	/* nothing is in the page cache */
	fuse_withhold(-1);
	fuse->fails = true;
}

static UNUSED void fuse_recover(void)
{
	fuse->fails = false;
}

static UNUSED bool fuse_is_withholding(void)
{
	return fuse->nr_waiting > 0;
}

static UNUSED void fuse_release(void)
{
	fuse->withheld_page = -1;
}

static UNUSED void fuse_stop(void)
{
	fuse_release();
	umount2(FUSE_FOLDER, MNT_DETACH);
	waitpid(fuse->server, NULL, 0);
}

#endif /* UPROBES_FUSE_SERVER_H */

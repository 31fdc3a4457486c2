// SPDX-License-Identifier: GPL-2.0
/* Maps a file as text, says so, and stays until its standard input ends. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;
	volatile char *text;
	struct stat stat;
	char c;

	if (fd < 0 || fstat(fd, &stat))
		return 1;
	text = mmap(NULL, stat.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return 1;
	c = text[0];
	printf("%p %d\n", (void *)text, c);
	fflush(stdout);
	return read(0, &c, 1) < 0;
}

/* SPDX-License-Identifier: MIT */
/* One file after another, each mapped executable and deleted at once, so that the next one gets its inode number in the same
 * tick of the clock: each is told.
 *
 * judges 7
 * expect 50 of 7 ImageLoaded=$work/file */
#include "behaviour.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE 4096

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (int i = 0; i < 50; i++) {
		void *at;
		int fd;

		fd = (int)MUST(open("file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0700));
		MUST(ftruncate(fd, SIZE));
		at = mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
		MUST(at == MAP_FAILED ? -1 : 0);
		MUST(munmap(at, SIZE));
		MUST(close(fd));
		MUST(unlink("file"));
	}
}

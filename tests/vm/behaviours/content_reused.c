/* SPDX-License-Identifier: MIT */
/* A file that is to be kept gets the inode number of one that was deleted before it, and is deleted itself before anybody has
 * heard of either: its content is kept all the same.
 *
 * judges 23
 * expect 10 of 23 TargetFilename=$work/archived/kept Archived=true IsExecutable=false Hashes=SHA256=434728A410A78F56FC1B5899C3593436E61AB0C731E9072D95E96DB290205E53 */
#include "behaviour.h"

#include <fcntl.h>
#include <unistd.h>

static void write_file(const char *path)
{
	int fd = (int)MUST(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));

	MUST(write(fd, "content\n", 8) == 8 ? 0 : -1);
	MUST(close(fd));
}

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	make_directory("archived");
	for (int i = 0; i < 10; i++) {
		write_file("before");
		usleep(100000); /* by then it is known, and nobody holds it */
		MUST(unlink("before"));
		write_file("archived/kept");
		MUST(unlink("archived/kept"));
	}
}

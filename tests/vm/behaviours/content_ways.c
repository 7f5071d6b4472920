/* SPDX-License-Identifier: MIT */
/* Ways to get a program's bytes into a file: through a mapping that outlives the descriptor, in pieces, over another
 * content, by a child that has since gone, and by the parent of whoever closes the file. One that was only open for
 * writing was not written.
 *
 * judges 29
 * expect 29 TargetFilename=$work/mapped Hashes=SHA256=$sha256(mapped)
 * expect 29 TargetFilename=$work/pieces Hashes=SHA256=$sha256(pieces)
 * expect 29 TargetFilename=$work/child Hashes=SHA256=$sha256(child) ProcessId=$writer
 * expect 29 TargetFilename=$work/inherited Hashes=SHA256=$sha256(inherited) ProcessId=$closer
 * expect 29 TargetFilename=$work/gone Hashes=SHA256=$sha256(gone) */
#include "behaviour.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Written with holes in place of the program, which then comes through memory. */
static void map_self(const char *path, const char *tag)
{
	int self = (int)MUST(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	int fd = (int)MUST(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0755));
	struct stat st;
	size_t size;
	char *to;

	MUST(fstat(self, &st));
	size = (size_t)st.st_size + strlen(tag);
	MUST(ftruncate(fd, (off_t)size));
	to = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(to == MAP_FAILED ? -1 : 0);
	MUST(close(fd));
	MUST(pread(self, to, (size_t)st.st_size, 0) == st.st_size ? 0 : -1);
	memcpy(to + st.st_size, tag, strlen(tag));
	MUST(munmap(to, size));
	MUST(close(self));
}

static void in_child(void)
{
	copy_self("child", "child");
}

static int inherited;

static void close_later(void)
{
	usleep(200000);
	MUST(close(inherited));
}

void behave(int argc, char **argv)
{
	int fd;

	(void)argc, (void)argv;
	map_self("mapped", "mapped");

	fd = (int)MUST(open("pieces", O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
	copy_self_to(fd, "pie");
	MUST(write(fd, "ces", 3) == 3 ? 0 : -1);
	MUST(close(fd));

	say("writer", "%d", child(in_child));

	inherited = (int)MUST(open("inherited", O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
	copy_self_to(inherited, "inherited");
	fd = start(close_later);
	MUST(close(inherited));
	say("closer", "%d", fd);
	wait_for(fd);

	copy_self("gone", "gone");
	MUST(unlink("gone"));

	usleep(100000); /* the ones above are looked at by now */
	MUST(close((int)MUST(open("pieces", O_RDWR | O_CLOEXEC))));
}

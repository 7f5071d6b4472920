/* SPDX-License-Identifier: MIT */
/* Files that become executable in a process, each told once: mapped so, made so later, through a personality that
 * makes so whatever is readable, without a name, without ever having been a file. Not: what is mapped to be read,
 * the program itself, memory that is no file, and what was refused. It stays for two seconds, since a mapping leads to
 * its file as long as it is there.
 *
 * judges 7
 * expect 7 ImageLoaded=$work/twice Hashes=SHA256=$sha256(twice) Signed=false Signature=- SignatureStatus=Unavailable
 * expect 7 ImageLoaded=$work/changed Hashes=SHA256=$sha256(changed)
 * expect 7 ImageLoaded=$work/personality Hashes=SHA256=$sha256(personality)
 * expect 7 ImageLoaded="$work/deleted (deleted)" Hashes=SHA256=$sha256(deleted)
 * expect 7 ImageLoaded="memfd:payload (deleted)" Hashes=SHA256=$sha256(memory)
 * expect 7 ImageLoaded=$work/twice ProcessId=$child
 * expect 7 ImageLoaded=$work/rewritten Hashes=SHA256=$sha256(rewritten_)
 * expect 7 ImageLoaded=$work/rewritten */
#include "behaviour.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <unistd.h>

#define SIZE 65536

static int made(const char *name)
{
	copy_self(name, name);
	return (int)MUST(open(name, O_RDONLY | O_CLOEXEC));
}

static void *map(int fd, int protection)
{
	void *at = mmap(NULL, SIZE, protection, MAP_PRIVATE, fd, 0);

	MUST(at == MAP_FAILED ? -1 : 0);
	return at;
}

static void map_twice(void)
{
	map((int)MUST(open("twice", O_RDONLY | O_CLOEXEC)), PROT_READ | PROT_EXEC);
}

static void memory_file(void)
{
	int fd = (int)MUST(memfd_create("payload", MFD_CLOEXEC));

	copy_self_to(fd, "memory");
	map(fd, PROT_READ | PROT_EXEC);
}

/* The state of a file is part of what was told: another content is told again. */
static void rewritten(void)
{
	int fd = made("rewritten");

	map(fd, PROT_READ | PROT_EXEC);
	usleep(50000); /* file times move in ticks */
	fd = (int)MUST(open("rewritten", O_WRONLY | O_APPEND | O_CLOEXEC));
	MUST(write(fd, "_", 1));
	MUST(close(fd));
	map_twice();
	map((int)MUST(open("rewritten", O_RDONLY | O_CLOEXEC)), PROT_READ | PROT_EXEC);
}

void behave(int argc, char **argv)
{
	int fd = made("twice");
	void *at;

	(void)argc, (void)argv;
	map(fd, PROT_READ | PROT_EXEC);
	map(fd, PROT_READ | PROT_EXEC);
	at = map(made("changed"), PROT_READ);
	MUST(mprotect(at, 4096, PROT_READ | PROT_EXEC));
	MUST(mprotect(at, SIZE, PROT_READ));
	MUST(mprotect(at, SIZE, PROT_READ | PROT_EXEC));

	map(made("only-read"), PROT_READ | PROT_WRITE);
	map((int)MUST(open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), PROT_READ | PROT_EXEC);
	at = mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(at == MAP_FAILED ? -1 : 0);
	fd = (int)MUST(open("only-read", O_WRONLY | O_CLOEXEC)); /* not to be read, so not to be mapped */
	MUST(mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? 0 : -1);

	fd = made("deleted");
	MUST(unlink("deleted"));
	map(fd, PROT_READ | PROT_EXEC);
	memory_file();
	say("child", "%d", child(map_twice));
	rewritten();
	MUST(personality(READ_IMPLIES_EXEC));
	map(made("personality"), PROT_READ);
	sleep(2);
}

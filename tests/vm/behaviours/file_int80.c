/* SPDX-License-Identifier: MIT */
/* A 64-bit program may call as a 32-bit one does: other numbers, other registers. Where the kernel refuses that, it
 * makes and deletes nothing.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/ordinary
 * expect $possible of 11 TargetFilename=$work/file
 * expect $possible of 26 TargetFilename=$work/file */
#include "behaviour.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPEN_32   5
#define GETPID_32 20
#define UNLINK_32 10

static long call_32(long number, const char *path, long flags, long mode)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(path), "c"(flags), "d"(mode)
			 : "memory", "r8", "r9", "r10", "r11");
	if (result < 0)
		errno = (int)-result;
	return result;
}

static bool possible(void)
{
	pid_t pid = (pid_t)MUST(fork());
	int status;

	if (pid == 0)
		_exit(call_32(GETPID_32, NULL, 0, 0) <= 0);
	MUST(waitpid(pid, &status, 0));
	return status == 0; /* else it ended by SIGSEGV */
}

void behave(int argc, char **argv)
{
	/* Its pointers have 32 bits. */
	char *path = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	(void)argc, (void)argv;
	MUST(path == MAP_FAILED ? -1 : 0);
	make_file("ordinary");
	say("possible", "%d", possible());
	if (!possible())
		return;
	strcpy(path, "file");
	MUST(call_32(OPEN_32, path, O_WRONLY | O_CREAT, 0644));
	MUST(call_32(UNLINK_32, path, 0, 0));
}

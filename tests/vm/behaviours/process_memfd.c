/* SPDX-License-Identifier: MIT */
/* A program that never was a file. It stays for a second: a memory file that is gone before it can be opened has
 * no digest on a kernel with tracepoints only, and that is documented.
 *
 * judges 1 5
 * expect 1 CommandLine=$image
 * expect 1 ProcessId=$child Image="memfd:payload (deleted)" CommandLine="payload stay" Hashes~"SHA256=$sha256(payload).*"
 * expect 5 ProcessId=$child Image="memfd:payload (deleted)"
 * expect 5 */
#include "behaviour.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static void execute_memory(void)
{
	char *arguments[] = { (char *)"payload", (char *)"stay", NULL };
	int fd = (int)MUST(memfd_create("payload", MFD_CLOEXEC));

	copy_self_to(fd, "payload");
	MUST(fexecve(fd, arguments, environ));
}

void behave(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		sleep(1);
	else
		say("child", "%d", child(execute_memory));
}

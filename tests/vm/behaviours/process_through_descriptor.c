/* SPDX-License-Identifier: MIT */
/* Executed as /proc/self/fd/N: the file has a path of its own, and that is the image.
 *
 * judges 1
 * expect 1 CommandLine=$image
 * expect 1 ProcessId=$child Image=$work/program CommandLine="/proc/self/fd/77 again" Hashes~"SHA256=$sha256(seventy-seven).*" */
#include "behaviour.h"

#include <fcntl.h>
#include <unistd.h>

static void execute_descriptor(void)
{
	MUST(dup2((int)MUST(open("program", O_RDONLY)), 77));
	become("/proc/self/fd/77", "again");
}

void behave(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return;
	copy_self("program", "seventy-seven");
	say("child", "%d", child(execute_descriptor));
}

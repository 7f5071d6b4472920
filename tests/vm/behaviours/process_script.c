/* SPDX-License-Identifier: MIT */
/* A script: the image is the interpreter, the command line what the kernel made of it.
 *
 * judges 1
 * expect 1 CommandLine=$image
 * expect 1 ProcessId=$child CommandLine="$image interpret ./script argument" CurrentDirectory=$work Hashes~"SHA256=$sha256().*" */
#include "behaviour.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void execute_script(void)
{
	become("./script", "argument");
}

void behave(int argc, char **argv)
{
	int fd;

	(void)argv;
	if (argc > 1)
		return;
	fd = (int)MUST(open("script", O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
	MUST(dprintf(fd, "#!%s interpret\n", image()));
	MUST(fchmod(fd, 0755));
	MUST(close(fd));
	say("child", "%d", child(execute_script));
}

/* SPDX-License-Identifier: MIT */
/* A script: the image is the interpreter, the command line what the kernel made of it. Context names the script, however
 * it was called: a comma in its name cannot be taken for one between two items.
 *
 * judges 1
 * expect 1 CommandLine=$image Context!~".*script=.*"
 * expect 1 ProcessId=$child CommandLine="$image interpret ./script argument" CurrentDirectory=$work Hashes~"SHA256=$sha256().*" Context~".*,script=$work/script"
 * expect 1 ProcessId=$absolute Context~".*,script=$work/script"
 * expect 1 ProcessId=$comma Context~".*,script=$work/a\\\\x2Cscript=b" */
#include "behaviour.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void execute_script(void)
{
	become("./script", "argument");
}

static void execute_absolute(void)
{
	char folder[PATH_MAX], path[PATH_MAX + 8];

	MUST(getcwd(folder, sizeof(folder)) ? 0 : -1);
	MUST(snprintf(path, sizeof(path), "%s/script", folder));
	become(path, "argument");
}

static void execute_with_comma(void)
{
	become("a,script=b", "argument");
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
	say("absolute", "%d", child(execute_absolute));
	MUST(rename("script", "a,script=b"));
	say("comma", "%d", child(execute_with_comma));
}

/* SPDX-License-Identifier: MIT */
/* In a chroot: the path is the machine's, not the prisoner's.
 *
 * judges 11 26
 * expect 11 ProcessId=$child TargetFilename=$work/jail/directory/file
 * expect 26 ProcessId=$child TargetFilename=$work/jail/directory/file */
#include "behaviour.h"

#include <unistd.h>

static void act_in_jail(void)
{
	MUST(chroot("jail"));
	MUST(chdir("/"));
	make_file("/directory/file");
	MUST(unlink("/directory/file"));
}

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	make_directory("jail");
	make_directory("jail/directory");
	say("child", "%d", child(act_in_jail));
}

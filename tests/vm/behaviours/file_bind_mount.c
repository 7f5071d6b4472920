/* SPDX-License-Identifier: MIT */
/* Below a bind mount: the path is the one under which it was done, in the namespace where it was done.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/there/file
 * expect 26 TargetFilename=$work/there/file */
#include "behaviour.h"

#include <sys/mount.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	own_mounts();
	make_directory("here");
	make_directory("there");
	MUST(mount("here", "there", NULL, MS_BIND, NULL));
	make_file("there/file");
	MUST(unlink("there/file"));
}

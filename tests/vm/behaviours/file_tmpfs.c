/* SPDX-License-Identifier: MIT */
/* On a tmpfs that was mounted a moment ago.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/memory/directory/one
 * expect 11 TargetFilename=$work/memory/two
 * expect 11 TargetFilename=$work/memory/directory/one
 * expect 26 TargetFilename=$work/memory/directory/one
 * expect 26 TargetFilename=$work/memory/directory/one */
#include "behaviour.h"

#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	own_mounts();
	make_directory("memory");
	MUST(mount("tmpfs", "memory", "tmpfs", 0, NULL));
	make_directory("memory/directory");
	make_file("memory/directory/one");
	make_file("memory/two");
	MUST(rename("memory/two", "memory/directory/one"));
	MUST(unlink("memory/directory/one"));
	MUST(rmdir("memory/directory"));
}

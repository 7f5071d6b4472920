/* SPDX-License-Identifier: MIT */
/* Directories come and go without events 11 and 26.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/over/file
 * expect 26 TargetFilename=$work/over/file */
#include "behaviour.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	make_directory("one");
	make_directory("two");
	make_directory("three");
	MUST(rmdir("one"));
	MUST(unlinkat(AT_FDCWD, "two", AT_REMOVEDIR));
	make_directory("over");
	MUST(rename("three", "over"));
	make_file("over/file");
	MUST(unlink("over/file"));
	MUST(rmdir("over"));
}

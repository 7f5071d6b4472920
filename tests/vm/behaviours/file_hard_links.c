/* SPDX-License-Identifier: MIT */
/* One of several names of a file is deleted: that name, not another of the same file.
 *
 * judges 26
 * expect 26 TargetFilename=$work/second
 * expect 26 TargetFilename=$work/directory/third
 * expect 26 TargetFilename=$work/first */
#include "behaviour.h"

#include <unistd.h>

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	make_file("first");
	make_directory("directory");
	MUST(link("first", "second"));
	MUST(link("first", "directory/third"));
	MUST(unlink("second"));
	MUST(unlink("directory/third"));
	MUST(unlink("first"));
}

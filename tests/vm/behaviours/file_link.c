/* SPDX-License-Identifier: MIT */
/* A second name for a file is a file that came.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/first
 * expect 11 TargetFilename=$work/second
 * expect 11 TargetFilename=$work/directory/third */
#include "behaviour.h"

#include <fcntl.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	make_file("first");
	make_directory("directory");
	MUST(link("first", "second"));
	MUST(linkat(AT_FDCWD, "second", (int)MUST(open("directory", O_PATH)), "third", 0));
	MUST(link("first", "second") < 0 ? 0 : -1);
}

/* SPDX-License-Identifier: MIT */
/* Overwritten from its beginning: the content is new, the birth time is not.
 *
 * judges 11 26
 * expect 2 of 11 TargetFilename=$work/file */
#include "behaviour.h"

#include <fcntl.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	make_file("file");
	MUST(write((int)MUST(open("file", O_WRONLY | O_CLOEXEC)), "old", 3));
	MUST(write((int)MUST(open("file", O_WRONLY | O_TRUNC | O_CLOEXEC)), "new", 3));
}

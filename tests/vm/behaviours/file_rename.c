/* SPDX-License-Identifier: MIT */
/* Renamed into place: one event under the final name. Renaming a directory makes no file.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/before
 * expect 11 TargetFilename=$work/old/after */
#include "behaviour.h"

#include <stdio.h>

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	make_file("before");
	make_directory("old");
	MUST(rename("before", "old/after"));
	MUST(rename("old", "directory"));
}

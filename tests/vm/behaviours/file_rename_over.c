/* SPDX-License-Identifier: MIT */
/* Renamed over another file: one came under that name, and one is gone.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/new
 * expect 2 of 11 TargetFilename=$work/old
 * expect 26 TargetFilename=$work/old IsExecutable=false */
#include "behaviour.h"

#include <stdio.h>

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	make_file("new");
	make_file("old");
	MUST(rename("new", "old"));
}

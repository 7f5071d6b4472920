/* SPDX-License-Identifier: MIT */
/* A program that was deleted while it ran, before the monitor came: it has its name, marked as the kernel marks it.
 *
 * judges 5 11
 * expect 11 TargetFilename=$work/late Image="$work/gone (deleted)"
 * expect 5 Image="$work/gone (deleted)" */
#include "behaviour.h"

#include <unistd.h>

void behave(int argc, char **argv)
{
	char go;

	(void)argv;
	if (argc == 1) {
		copy_self("gone", "");
		become("./gone", "again");
	}
	MUST(unlink("gone"));
	say("ready", "yes");
	MUST(read(STDIN_FILENO, &go, 1) == 1 ? 0 : -1);
	make_file("late");
}

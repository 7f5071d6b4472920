/* SPDX-License-Identifier: MIT */
/* What could not be executed was not: no event 1.
 *
 * judges 1
 * expect 1 CommandLine=$image */
#include "behaviour.h"

#include <unistd.h>

void behave(int argc, char **argv)
{
	(void)argc;
	make_file("not-executable");
	MUST(execv("./not-executable", argv) < 0 ? 0 : -1);
	MUST(execv("./missing", argv) < 0 ? 0 : -1);
}

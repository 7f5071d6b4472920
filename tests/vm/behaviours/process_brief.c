/* SPDX-License-Identifier: MIT */
/* Programs that live a millisecond, one after another, each another file: all have their digest.
 *
 * judges 1 5
 * expect 1 CommandLine=$image
 * expect 20 of 1 ProcessId~\d+ Image=$work/brief CommandLine="$work/brief again" Hashes~"SHA256=$sha256(brief).*" ParentProcessId=$self
 * expect 20 of 5 ProcessId~\d+ Image=$work/brief
 * expect 5 */
#include "behaviour.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

static char path[PATH_MAX];

static void become_brief(void)
{
	become(path, "again");
}

void behave(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		_exit(0);
	for (int i = 0; i < 20; i++) {
		copy_self("brief", "brief");
		MUST(realpath("brief", path) ? 0 : -1);
		child(become_brief);
		MUST(unlink("brief"));
	}
}

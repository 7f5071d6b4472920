/* SPDX-License-Identifier: MIT */
/* The first thing a program does is to delete its own file: its digest is known all the same.
 *
 * judges 1 5 26
 * expect 1 CommandLine=$image
 * expect 1 ProcessId=$child Image=$work/brief CommandLine="$work/brief vanish" Hashes~"SHA256=$sha256(vanishing).*"
 * expect 26 ProcessId=$child Image=$work/brief TargetFilename=$work/brief
 * expect 5 ProcessId=$child Image=$work/brief
 * expect 5 */
#include "behaviour.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void become_brief(void)
{
	char path[PATH_MAX];

	MUST(realpath("brief", path) ? 0 : -1);
	become(path, "vanish");
}

void behave(int argc, char **argv)
{
	if (argc > 1) {
		MUST(unlink(argv[0]));
		return;
	}
	copy_self("brief", "vanishing");
	say("child", "%d", child(become_brief));
}

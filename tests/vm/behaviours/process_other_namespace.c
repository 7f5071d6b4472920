/* SPDX-License-Identifier: MIT */
/* Another mount namespace has another file under the same path: the digest is that of what ran.
 *
 * judges 1
 * expect 1 CommandLine=$image
 * expect 1 ProcessId=$inside Image=$work/bin/program Hashes~"SHA256=$sha256(inside).*"
 * expect 1 ProcessId=$outside Image=$work/bin/program Hashes~"SHA256=$sha256(outside).*" */
#include "behaviour.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/mount.h>

static char program[PATH_MAX];

static void run_outside(void)
{
	become(program, "again");
}

static void run_inside(void)
{
	own_mounts();
	MUST(mount("other", "bin", NULL, MS_BIND, NULL));
	become(program, "again");
}

void behave(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return;
	make_directory("bin");
	make_directory("other");
	copy_self("bin/program", "outside");
	copy_self("other/program", "inside");
	MUST(realpath("bin/program", program) ? 0 : -1);
	say("inside", "%d", child(run_inside));
	say("outside", "%d", child(run_outside));
}

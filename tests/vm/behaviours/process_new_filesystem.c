/* SPDX-License-Identifier: MIT */
/* Executed from a file system that was mounted a moment ago, in a namespace that the monitor does not share. It stays
 * for a second: nobody holds on to what is executed there until the first program has been.
 *
 * judges 1 5
 * expect 1 CommandLine=$image
 * expect 1 ProcessId=$inside Image=$work/new/program Hashes~"SHA256=$sha256(new).*"
 * expect 5 ProcessId=$inside Image=$work/new/program
 * expect 5 */
#include "behaviour.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

static void run_inside(void)
{
	char program[PATH_MAX];

	own_mounts();
	MUST(mount("tmpfs", "new", "tmpfs", 0, NULL));
	copy_self("new/program", "new");
	MUST(realpath("new/program", program) ? 0 : -1);
	become(program, "stay");
}

void behave(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		sleep(1);
		return;
	}
	make_directory("new");
	say("inside", "%d", child(run_inside));
}

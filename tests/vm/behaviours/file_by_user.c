/* SPDX-License-Identifier: MIT */
/* Done under another user id, taken on without an exec.
 *
 * judges 11 26
 * expect 11 ProcessId=$child User=nobody TargetFilename=$work/open-to-all/file
 * expect 26 ProcessId=$child User=nobody TargetFilename=$work/open-to-all/file */
#include "behaviour.h"

#include <sys/stat.h>
#include <unistd.h>

static void act(void)
{
	MUST(setgid(65534));
	MUST(setuid(65534));
	make_file("open-to-all/file");
	MUST(unlink("open-to-all/file"));
}

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	make_directory("open-to-all");
	MUST(chmod("open-to-all", 0777));
	say("child", "%d", child(act));
}

/* SPDX-License-Identifier: MIT */
/* A child by vfork(2), which shares its parent's memory until it executes.
 *
 * judges 1 5
 * expect 1 CommandLine=$image
 * expect 1 ProcessId=$child CommandLine="$image child" ParentProcessId=$self ParentImage=$image ParentCommandLine=$image ParentUser=root
 * expect 5 ProcessId=$child
 * expect 5 */
#include "behaviour.h"

#include <unistd.h>

void behave(int argc, char **argv)
{
	pid_t pid;

	(void)argv;
	if (argc > 1)
		return;
	pid = vfork();
	if (pid == 0) {
		execl(image(), image(), "child", (char *)NULL);
		_exit(1);
	}
	MUST(pid);
	say("pid", "%d", pid);
	say("child", "%d", pid);
	wait_for(pid);
}

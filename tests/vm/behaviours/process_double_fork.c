/* SPDX-License-Identifier: MIT */
/* A daemon's way: the parent is gone when the grandchild executes. Its parent is still who made it, not who inherited
 * it: that is what a chain of processes is followed by.
 *
 * judges 1 5
 * expect 1 CommandLine=$image
 * expect 1 ProcessId=$grandchild CommandLine="$image orphan" ParentProcessId=$middle ParentImage=$image ParentCommandLine=$image ParentUser=root
 * expect 5 ProcessId=$middle
 * expect 5 ProcessId=$grandchild
 * expect 5 */
#include "behaviour.h"

#include <unistd.h>

static int done[2];
static pid_t middle;

static void orphan(void)
{
	say("pid", "%d", getpid());
	say("grandchild", "%d", getpid());
	MUST(close(done[0]));
	while (getppid() == middle)
		usleep(1000);
	become(image(), "orphan"); /* done[1] stays open until it ends */
}

static void fork_again(void)
{
	middle = getpid();
	if (MUST(fork()) == 0)
		orphan();
}

void behave(int argc, char **argv)
{
	char end;

	(void)argv;
	if (argc > 1)
		return;
	MUST(pipe(done));
	say("middle", "%d", child(fork_again));
	MUST(close(done[1]));
	MUST(read(done[0], &end, 1));
}

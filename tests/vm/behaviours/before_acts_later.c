/* SPDX-License-Identifier: MIT */
/* Runs before the monitor does, acts when it is there: it has an identity and a name all the same, and so has its
 * child's parent.
 *
 * judges 1 5 11
 * expect 11 TargetFilename=$work/late
 * expect 1 ProcessId=$child CommandLine="$image child" ParentProcessId=$self ParentImage=$image ParentCommandLine=$image ParentUser=root
 * expect 5 ProcessId=$child
 * expect 5 ProcessId=$sleeper
 * expect 5 */
#include "behaviour.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

static void become_child(void)
{
	become(image(), "child");
}

static void sleep_until_killed(void)
{
	MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
	for (;;)
		pause();
}

void behave(int argc, char **argv)
{
	char go;
	pid_t sleeper;

	(void)argv;
	if (argc > 1)
		return;
	sleeper = start(sleep_until_killed);
	say("sleeper", "%d", sleeper);
	say("ready", "yes");
	MUST(read(STDIN_FILENO, &go, 1) == 1 ? 0 : -1);
	make_file("late");
	say("child", "%d", child(become_child));
	MUST(kill(sleeper, SIGTERM));
	wait_for(sleeper);
}

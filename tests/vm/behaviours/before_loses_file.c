/* SPDX-License-Identifier: MIT */
/* A program that ran before the monitor came, and its fork: its file is deleted while the monitor is there.
 *
 * judges 25
 * expect 25 Image=$work/mine Type="Image is deleted" */
#include "behaviour.h"

#include <signal.h>
#include <unistd.h>

static void do_nothing(void)
{
	pause();
}

void behave(int argc, char **argv)
{
	pid_t same;
	char go;

	(void)argv;
	if (argc == 1) {
		copy_self("mine", "");
		become("./mine", "again");
	}
	same = start(do_nothing);
	say("ready", "yes");
	MUST(read(STDIN_FILENO, &go, 1) == 1 ? 0 : -1);
	MUST(unlink("mine"));
	MUST(kill(same, SIGKILL));
	wait_for(same);
}

/* SPDX-License-Identifier: MIT */
/* Death by signal is an end like any other. The child never executed anything: no event 1.
 *
 * judges 1 5
 * expect 1
 * expect 5 ProcessId=$child
 * expect 5 */
#include "behaviour.h"

#include <signal.h>

static void die(void)
{
	raise(SIGKILL);
}

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	say("child", "%d", child(die));
}

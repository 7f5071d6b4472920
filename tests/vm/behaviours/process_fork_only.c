/* SPDX-License-Identifier: MIT */
/* A fork that executes nothing has no event 1, but what it does is its own, under the inherited name.
 *
 * judges 1 5 11
 * expect 1
 * expect 11 ProcessId=$child TargetFilename=$work/by-the-child
 * expect 5 ProcessId=$child
 * expect 5 */
#include "behaviour.h"

static void act(void)
{
	make_file("by-the-child");
}

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	say("child", "%d", child(act));
}

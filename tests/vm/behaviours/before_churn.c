/* SPDX-License-Identifier: MIT */
/* Starts one program after another while the monitor comes up: from some point on every one of them is there, with
 * its parent, and before that none. `suffix 1 children` says it: those of $children that have an event 1 are
 * the last ones of that list, none is missing in between, and there is at least one.
 *
 * suffix 1 children */
#include "behaviour.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static void become_child(void)
{
	become(image(), "child");
}

void behave(int argc, char **argv)
{
	struct pollfd told = { .fd = STDIN_FILENO, .events = POLLIN };

	(void)argv;
	if (argc > 1)
		return;
	say("ready", "yes");
	while (MUST(poll(&told, 1, 0)) == 0)
		say("children", "%d", child(become_child));
	for (int i = 0; i < 5; i++) /* the monitor is there by now */
		say("children", "%d", child(become_child));
}

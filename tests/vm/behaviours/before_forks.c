/* SPDX-License-Identifier: MIT */
/* Children that execute nothing and end soon, while the monitor comes up: of whoever's end is told, the name is
 * known, also if it was born before the monitor saw anything and gone before it looked around. (That no process is
 * without a name is judged for the whole log.)
 *
 * suffix 5 children */
#include "behaviour.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#define BROOD 10

static void live_on(void)
{
	pause();
}

/* Each ends when the one before is gone: who comes after one whose end was seen must be seen. */
static void bear_brood(void)
{
	pid_t children[BROOD];

	for (int i = 0; i < BROOD; i++) {
		children[i] = start(live_on);
		say("children", "%d", children[i]);
	}
	for (int i = 0; i < BROOD; i++) {
		usleep(5000); /* so that one of them ends at any moment */
		MUST(kill(children[i], SIGKILL));
		wait_for(children[i]);
	}
}

void behave(int argc, char **argv)
{
	struct pollfd told = { .fd = STDIN_FILENO, .events = POLLIN };

	(void)argc, (void)argv;
	say("ready", "yes");
	while (MUST(poll(&told, 1, 0)) == 0)
		bear_brood();
	bear_brood(); /* the monitor is there by now */
}

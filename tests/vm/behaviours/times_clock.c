/* SPDX-License-Identifier: MIT */
/* A clock that is set back gives the files that are made now a time of the past. Set forward it is no such event, nor
 * is a look at it. (One millisecond: nobody else minds.)
 *
 * judges 2
 * expect $times of 2 TargetFilename="[clock]" CreationUtcTime~"20.*" */
#include "behaviour.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/timex.h>
#include <time.h>

#define STEP_US 1000

/* False: this machine lets nobody. */
static bool step(long us)
{
	struct timex by = { .modes = ADJ_SETOFFSET, .time = { us < 0 ? -1 : 0, us < 0 ? 1000000 + us : us } };

	return clock_adjtime(CLOCK_REALTIME, &by) >= 0 || (MUST(errno == EPERM ? 0 : -1), false);
}

static bool set_back(void)
{
	struct timespec now;

	MUST(clock_gettime(CLOCK_REALTIME, &now));
	now.tv_nsec -= STEP_US * 1000;
	if (now.tv_nsec < 0) {
		now.tv_nsec += 1000000000;
		now.tv_sec--;
	}
	return clock_settime(CLOCK_REALTIME, &now) == 0 || (MUST(errno == EPERM ? 0 : -1), false);
}

void behave(int argc, char **argv)
{
	struct timex look = { .modes = 0 };
	int times = 0;

	(void)argc, (void)argv;
	MUST(clock_adjtime(CLOCK_REALTIME, &look));
	if (step(-STEP_US)) {
		times++;
		step(STEP_US);
	}
	if (set_back()) {
		times++;
		step(STEP_US);
	}
	say("times", "%d", times);
}

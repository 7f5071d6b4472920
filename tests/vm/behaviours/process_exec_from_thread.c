/* SPDX-License-Identifier: MIT */
/* A thread that is not the first executes: it takes over the process id, the other threads die. One process,
 * two images, one end.
 *
 * judges 1 5
 * expect 1 CommandLine=$image
 * expect 1 CommandLine="$image again"
 * expect 5 */
#include "behaviour.h"

#include <pthread.h>
#include <unistd.h>

static void *execute(void *nothing)
{
	become(image(), "again");
	return nothing;
}

void behave(int argc, char **argv)
{
	pthread_t thread;

	(void)argv;
	if (argc > 1)
		return;
	MUST(-pthread_create(&thread, NULL, execute, NULL));
	for (;;)
		pause();
}

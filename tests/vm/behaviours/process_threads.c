/* SPDX-License-Identifier: MIT */
/* Threads come and go: they are no processes.
 *
 * judges 1 5
 * expect 1 CommandLine=$image CurrentDirectory=$work IntegrityLevel=System Hashes~"SHA256=$sha256().*" RuleName=-
 * expect 5 RuleName=- */
#include "behaviour.h"

#include <pthread.h>

static void *idle(void *nothing)
{
	return nothing;
}

void behave(int argc, char **argv)
{
	pthread_t thread[3];

	(void)argc, (void)argv;
	for (int i = 0; i < 3; i++)
		MUST(-pthread_create(&thread[i], NULL, idle, NULL));
	for (int i = 0; i < 3; i++)
		MUST(-pthread_join(thread[i], NULL));
}

/* SPDX-License-Identifier: MIT */
/* The first thread ends and the others go on: the process ends with the last of them, once, and what they
 * do in between is still its doing.
 *
 * judges 1 5 11
 * expect 1
 * expect 11 TargetFilename=$work/by-a-thread
 * expect 5 */
#include "behaviour.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A leader that is gone is a zombie while its threads live. */
static int leader_is_gone(void)
{
	char state[512] = "";
	int fd = (int)MUST(open("/proc/self/stat", O_RDONLY | O_CLOEXEC));

	MUST(read(fd, state, sizeof(state) - 1));
	MUST(close(fd));
	return strstr(state, ") Z ") != NULL;
}

static void *outlive(void *nothing)
{
	while (!leader_is_gone())
		usleep(1000);
	make_file("by-a-thread");
	return nothing;
}

void behave(int argc, char **argv)
{
	pthread_t thread;

	(void)argc, (void)argv;
	MUST(-pthread_create(&thread, NULL, outlive, NULL));
	pthread_exit(NULL);
}

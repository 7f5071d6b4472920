/* SPDX-License-Identifier: MIT */
/* Done by a thread: the process did it.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/file
 * expect 26 TargetFilename=$work/file */
#include "behaviour.h"

#include <pthread.h>
#include <unistd.h>

static void *act(void *nothing)
{
	make_file("file");
	MUST(unlink("file"));
	return nothing;
}

void behave(int argc, char **argv)
{
	pthread_t thread;

	(void)argc, (void)argv;
	MUST(-pthread_create(&thread, NULL, act, NULL));
	MUST(-pthread_join(thread, NULL));
}

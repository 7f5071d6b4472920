/* SPDX-License-Identifier: MIT */
/* A FIFO made and opened, at both ends. An anonymous pipe has no name, also when it is opened again through /proc.
 *
 * judges 11 17 18
 * expect 17 PipeName=$work/fifo EventType=CreatePipe
 * expect 17 PipeName=$work/mknod EventType=CreatePipe
 * expect 17 PipeName=$work/directory/mknodat EventType=CreatePipe
 * expect 18 PipeName=$work/fifo EventType=ConnectPipe
 * expect 18 PipeName=$work/fifo EventType=ConnectPipe ProcessId=$writer
 * expect 18 PipeName=$work/mknod EventType=ConnectPipe */
#include "behaviour.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_end(void)
{
	MUST(open("fifo", O_WRONLY | O_CLOEXEC));
}

void behave(int argc, char **argv)
{
	char again[40];
	int directory, anonymous[2];
	pid_t writer;

	(void)argc, (void)argv;
	MUST(mkfifo("fifo", 0600));
	MUST(mknod("mknod", S_IFIFO | 0600, 0));
	make_directory("directory");
	directory = (int)MUST(open("directory", O_PATH | O_CLOEXEC));
	MUST(mknodat(directory, "mknodat", S_IFIFO | 0600, 0));
	MUST(mkfifo("fifo", 0600) < 0 ? 0 : -1); /* it is there */

	writer = start(write_end);
	say("writer", "%d", writer);
	MUST(open("fifo", O_RDONLY | O_CLOEXEC));
	wait_for(writer);
	MUST(open("mknod", O_RDWR | O_CLOEXEC));
	MUST(open("mknod", O_PATH | O_CLOEXEC));

	MUST(pipe2(anonymous, O_CLOEXEC));
	snprintf(again, sizeof(again), "/proc/self/fd/%d", anonymous[0]);
	MUST(open(again, O_RDONLY | O_CLOEXEC));
}

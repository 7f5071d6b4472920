/* SPDX-License-Identifier: MIT */
/* A file that was written before anybody watched, and is deleted afterwards. Where deletions can be made to wait it is
 * archived; elsewhere it is only told of.
 *
 * judges 23
 * expect 23 RuleName=archived TargetFilename=$work/archived/old Archived=$archived IsExecutable=false
 * expect 23 RuleName=archived TargetFilename=$work/archived/older Archived=$archived IsExecutable=false */
#include "behaviour.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_file(const char *path, const char *text)
{
	int fd = (int)MUST(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));

	MUST(write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1);
	MUST(close(fd));
}

void behave(int argc, char **argv)
{
	char go;

	(void)argc, (void)argv;
	make_directory("archived");
	write_file("archived/old", "old\n");
	write_file("archived/older", "older\n");
	write_file("new", "new\n");
	say("archived", "%s", getenv("BEHAVIOUR_FULL") ? "true" : "false");
	say("ready", "1");
	MUST(read(STDIN_FILENO, &go, 1));
	MUST(unlink("archived/old"));
	MUST(rename("new", "archived/older"));
}

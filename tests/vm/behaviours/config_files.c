/* SPDX-License-Identifier: MIT */
/* A file of settings that no lens reads is one value: made, written as it was, changed, appended to by a child, renamed,
 * deleted. What is read, and the same file elsewhere, are none.
 *
 * judges 12 13 14
 * expect 12 EventType=CreateKey TargetObject=/run/udev/rules.d/config_files.rules RuleName=-
 * expect 13 EventType=SetValue TargetObject=/run/udev/rules.d/config_files.rules Details=SHA256=2C8B08DA5CE60398E1F19AF0E5DCCC744DF274B826ABE585EABA68C525434806 RuleName=-
 * expect 13 EventType=SetValue TargetObject=/run/udev/rules.d/config_files.rules Details=SHA256=27DD8ED44A83FF94D557F9FD0412ED5A8CBCA69EA04922D88C01184A07300A5A
 * expect 13 EventType=SetValue TargetObject=/run/udev/rules.d/config_files.rules ProcessId=$pid Details=SHA256=F3952CCD5ACBC3122B2FDC39D122B73E55F403FCB49DC411DE7DA4B4E987C07F
 * expect 14 EventType=RenameKey TargetObject=/run/udev/rules.d/config_files.rules NewName=/run/udev/rules.d/config_files.other
 * expect 12 EventType=CreateKey TargetObject=/run/udev/rules.d/config_files.other
 * expect 13 EventType=SetValue TargetObject=/run/udev/rules.d/config_files.other Details=SHA256=F3952CCD5ACBC3122B2FDC39D122B73E55F403FCB49DC411DE7DA4B4E987C07F
 * expect 12 EventType=DeleteKey TargetObject=/run/udev/rules.d/config_files.other */
#include "behaviour.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH "/run/udev/rules.d/config_files.rules"

static void write_file(const char *path, const char *text, int how)
{
	int fd = (int)MUST(open(path, O_WRONLY | O_CREAT | O_CLOEXEC | how, 0644));

	MUST(write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1);
	MUST(close(fd));
	sleep(2); /* until it has been read: in an emulated machine that takes a while */
}

static void append(void)
{
	write_file(PATH, "three\n", O_APPEND);
}

void behave(int argc, char **argv)
{
	char text[64];
	int fd;

	(void)argc, (void)argv;
	mkdir("/run/udev", 0755);
	mkdir("/run/udev/rules.d", 0755);
	write_file("config_files.rules", "one\n", O_TRUNC);
	write_file(PATH, "one\n", O_TRUNC);
	write_file(PATH, "one\n", 0);
	write_file(PATH, "two\n", O_TRUNC);
	child(append);
	fd = (int)MUST(open(PATH, O_RDONLY | O_CLOEXEC));
	MUST(read(fd, text, sizeof(text)));
	MUST(close(fd));
	MUST(rename(PATH, "/run/udev/rules.d/config_files.other"));
	sleep(2);
	MUST(unlink("/run/udev/rules.d/config_files.other"));
}

/* SPDX-License-Identifier: MIT */
/* Executables written where a rule forbids it are removed once they are closed, under the name they have then, and what
 * still holds them open cannot execute them. Other files, and executables elsewhere, stay.
 *
 * judges 27
 * expect 27 RuleName=forbidden TargetFilename=$work/forbidden/elf Hashes=SHA256=$sha256(elf)
 * expect 27 RuleName=forbidden TargetFilename=$work/forbidden/script Hashes=SHA256=$sha
 * expect 27 RuleName=forbidden TargetFilename=$work/forbidden/held Hashes=SHA256=$sha256(held) */
#include "behaviour.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void write_file(const char *path, const char *text)
{
	int fd = (int)MUST(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755));

	MUST(write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1);
	MUST(close(fd));
}

static void must_go(const char *path)
{
	for (int tries = 0; tries < 500; tries++) {
		if (access(path, F_OK) < 0)
			return;
		usleep(20000);
	}
	MUST(-1);
}

void behave(int argc, char **argv)
{
	char name[] = "held", again[] = "x";
	char *const arguments[] = { name, again, NULL }, *const nothing[] = { NULL };
	int held, written;

	if (argc > 1) /* executed though it must not be */
		_exit(1);
	(void)argv;
	make_directory("forbidden");
	copy_self("forbidden/elf", "elf");
	must_go("forbidden/elf");

	write_file("forbidden/script", "#!/bin/sh\n");
	must_go("forbidden/script");
	say("sha", "%s", "A8076D3D28D21E02012B20EAF7DBF75409A6277134439025F282E368E3305ABF");

	held = (int)MUST(open("forbidden/held", O_RDONLY | O_CREAT | O_CLOEXEC, 0755));
	written = (int)MUST(open("forbidden/held", O_WRONLY | O_CLOEXEC));
	copy_self_to(written, "held");
	MUST(close(written));
	must_go("forbidden/held");
	MUST(fexecve(held, arguments, nothing) == -1 && errno == EPERM ? 0 : -1);

	write_file("forbidden/text", "text\n");
	copy_self("allowed", "allowed");
	usleep(200000);
	MUST(access("forbidden/text", F_OK));
	MUST(access("allowed", F_OK));
}

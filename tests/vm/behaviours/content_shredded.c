/* SPDX-License-Identifier: MIT */
/* Overwriting what is in a file, where a rule forbids it: refused before a byte is lost, on kernels whose security hooks can
 * be told. Appending, a new file and a file elsewhere are none of its business.
 *
 * judges 28
 * expect $refused of 28 RuleName=treasure TargetFilename=$work/treasure/gold Hashes=SHA256=$sha IsExecutable=false */
#include "behaviour.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_file(const char *path, const char *text, int flags)
{
	int fd = (int)MUST(open(path, O_WRONLY | O_CLOEXEC | flags, 0644));

	MUST(write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1);
	MUST(close(fd));
}

void behave(int argc, char **argv)
{
	char found[10] = "";
	int fd, refused;

	(void)argc, (void)argv;
	make_directory("treasure");
	write_file("treasure/gold", "go", O_CREAT);
	write_file("treasure/gold", "ld\n", O_APPEND);
	write_file("lead", "lead\n", O_CREAT);
	say("sha", "%s", "3BB0AC0514EE5AB7E91040C7ABA0E969BFB308A4035F3C883F3877E2E83F9DEC");

	fd = (int)MUST(open("treasure/gold", O_RDWR | O_CLOEXEC));
	refused = write(fd, "xxxx\n", 5) < 0 && errno == EPERM;
	MUST(close(fd));
	say("refused", "%d", refused);
	if (getenv("BEHAVIOUR_FULL")) /* where it can be refused, it must be */
		MUST(refused ? 0 : -1);
	if (refused) {
		fd = (int)MUST(open("treasure/gold", O_RDONLY | O_CLOEXEC));
		MUST(read(fd, found, sizeof(found) - 1));
		MUST(strcmp(found, "gold\n") == 0 ? 0 : -1);
		MUST(close(fd));
	}
	write_file("lead", "LEAD\n", 0);
	write_file("treasure/new", "new\n", O_CREAT);
}

/* SPDX-License-Identifier: MIT */
/* Context tells in whose login something was done, whoever one has become since. Where the kernel keeps no logins, it says
 * nothing of them.
 *
 * judges 1 11
 * expect 1 CommandLine=$image
 * expect 11 ProcessId=$forked TargetFilename=$work/forked Context~"$login.*"
 * expect 1 ProcessId=$executed CommandLine="$image again" Context~"$login.*" */
#include "behaviour.h"

#include <fcntl.h>
#include <unistd.h>

static void make_forked(void)
{
	make_file("forked");
}

static void execute(void)
{
	become(image(), "again");
}

void behave(int argc, char **argv)
{
	int fd;

	(void)argv;
	if (argc > 1)
		return;
	fd = open("/proc/self/loginuid", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "65534", 5) == 5)
		say("login", "login=nobody,session=");
	else
		say("login", "%s", "");
	/* It was executed before it logged in: what it forks is told. */
	say("forked", "%d", child(make_forked));
	say("executed", "%d", child(execute));
}

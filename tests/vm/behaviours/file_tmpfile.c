/* SPDX-License-Identifier: MIT */
/* A file made without a name gets one by linkat(2), and only then is there an event; without a name there is
 * none, neither for its making nor for its end.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/named */
#include "behaviour.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	char link[64];
	int fd = (int)MUST(open(".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644));

	(void)argc, (void)argv;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	MUST(linkat(AT_FDCWD, link, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	MUST(close(fd));
	MUST(close((int)MUST(open(".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644))));
}

/* SPDX-License-Identifier: MIT */
/* A raw device is known by the type and number of its node, whatever that is called. Opened to write counts as well;
 * looked at, or opened as a name only, it is not opened. Ordinary devices are none.
 *
 * judges 9
 * expect $block of 9 Device=$work/notes
 * expect $written of 9 Device=$work/notes
 * expect $memory of 9 Device=$work/mem */
#include "behaviour.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Some block device that is there. */
static dev_t block_device(void)
{
	char line[100];
	unsigned major, minor;
	FILE *partitions = fopen("/proc/partitions", "re");

	while (partitions && fgets(line, sizeof(line), partitions))
		if (sscanf(line, " %u %u", &major, &minor) == 2) {
			fclose(partitions);
			return makedev(major, minor);
		}
	return makedev(7, 0);
}

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	MUST(mknod("notes", S_IFBLK | 0600, block_device()));
	MUST(mknod("mem", S_IFCHR | 0600, makedev(1, 1)));
	MUST(mknod("null", S_IFCHR | 0600, makedev(1, 3)));
	say("block", "%d", opens("notes", O_RDONLY));
	say("written", "%d", opens("notes", O_WRONLY));
	say("memory", "%d", opens("mem", O_RDONLY));
	MUST(opens("notes", O_PATH) ? 0 : -1);
	MUST(opens("null", O_RDWR) ? 0 : -1);
	MUST(access("notes", R_OK));
	MUST(opens("/dev/zero", O_RDONLY) ? 0 : -1);
}

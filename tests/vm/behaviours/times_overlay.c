/* SPDX-License-Identifier: MIT */
/* On overlayfs: one event, for the file that the program sees, with the time that it had there, also when the file
 * had to be copied up first. Through a bind mount it is told by the path of the mount.
 *
 * judges 2
 * expect 2 TargetFilename=$work/lower/low CreationUtcTime="2017-07-14 02:40:00.000"
 * expect 2 TargetFilename=$work/merged/low CreationUtcTime="2001-09-09 01:46:40.123" PreviousCreationUtcTime="2017-07-14 02:40:00.000"
 * expect 2 TargetFilename=$work/merged/low CreationUtcTime="2017-07-14 02:40:00.000" PreviousCreationUtcTime="2001-09-09 01:46:40.123"
 * expect 2 TargetFilename=$work/bound/file CreationUtcTime="2001-09-09 01:46:40.123" */
#include "behaviour.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

static void set(const char *path, time_t seconds, long ns)
{
	MUST(utimensat(AT_FDCWD, path, (struct timespec[2]){ { seconds, 0 }, { seconds, ns } }, 0));
}

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	prepare_overlay();
	make_file("lower/low");
	set("lower/low", 1500000000, 0);
	mount_overlay();
	set("merged/low", 1000000000, 123456789);
	set("merged/low", 1500000000, 0);
	make_directory("origin");
	make_directory("bound");
	make_file("origin/file");
	MUST(mount("origin", "bound", NULL, MS_BIND, NULL));
	set("bound/file", 1000000000, 123456789);
}

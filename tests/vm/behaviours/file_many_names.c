/* SPDX-License-Identifier: MIT */
/* A file with more names than anybody looks at: it is told which of them came and went. In memory the file system
 * holds all names all the time, on a disk only those in use.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/disk/0
 * expect 29 of 11 TargetFilename~$work/disk/[1-9][0-9]?
 * expect 11 TargetFilename=$work/disk/moved
 * expect 26 TargetFilename=$work/disk/0
 * expect 26 TargetFilename=$work/disk/29
 * expect 26 TargetFilename=$work/disk/moved
 * expect 11 TargetFilename=$work/memory/0
 * expect 29 of 11 TargetFilename~$work/memory/[1-9][0-9]?
 * expect 11 TargetFilename=$work/memory/moved
 * expect 26 TargetFilename=$work/memory/0
 * expect 26 TargetFilename=$work/memory/29
 * expect 26 TargetFilename=$work/memory/moved */
#include "behaviour.h"

#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#define NAMES 30

static void give_and_take_names(void)
{
	char name[8];

	make_file("0");
	for (int i = 1; i < NAMES; i++) {
		snprintf(name, sizeof(name), "%d", i);
		MUST(link("0", name));
	}
	MUST(rename("15", "moved"));
	MUST(unlink("0"));
	MUST(unlink("29"));
	MUST(unlink("moved"));
}

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	own_mounts();
	make_directory("disk");
	make_directory("memory");
	MUST(mount("tmpfs", "memory", "tmpfs", 0, NULL));
	MUST(chdir("disk"));
	give_and_take_names();
	MUST(chdir("../memory"));
	give_and_take_names();
}

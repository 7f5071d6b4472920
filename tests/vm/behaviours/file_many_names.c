/* SPDX-License-Identifier: MIT */
/* A file with more names than anybody looks at: it is told which of them came and went. In memory the file system
 * holds all names all the time, on a disk only those in use.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/disk/0
 * expect 11 TargetFilename=$work/disk/1
 * expect 11 TargetFilename=$work/disk/2
 * expect 11 TargetFilename=$work/disk/3
 * expect 11 TargetFilename=$work/disk/4
 * expect 11 TargetFilename=$work/disk/5
 * expect 11 TargetFilename=$work/disk/moved
 * expect 26 TargetFilename=$work/disk/0
 * expect 26 TargetFilename=$work/disk/5
 * expect 26 TargetFilename=$work/disk/moved
 * expect 11 TargetFilename=$work/memory/0
 * expect 11 TargetFilename=$work/memory/1
 * expect 11 TargetFilename=$work/memory/2
 * expect 11 TargetFilename=$work/memory/3
 * expect 11 TargetFilename=$work/memory/4
 * expect 11 TargetFilename=$work/memory/5
 * expect 11 TargetFilename=$work/memory/moved
 * expect 26 TargetFilename=$work/memory/0
 * expect 26 TargetFilename=$work/memory/5
 * expect 26 TargetFilename=$work/memory/moved */
#include "behaviour.h"

#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#define NAMES 6

static void give_and_take_names(void)
{
	char name[8];

	make_file("0");
	for (int i = 1; i < NAMES; i++) {
		snprintf(name, sizeof(name), "%d", i);
		MUST(link("0", name));
	}
	MUST(rename("2", "moved"));
	MUST(unlink("0"));
	MUST(unlink("5"));
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

/* SPDX-License-Identifier: MIT */
/* An overlay whose upper layer is a tmpfs, and what comes and goes in it by link and rename: the path is the one that
 * the program sees.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/lower/low
 * expect 11 TargetFilename=$work/merged/first
 * expect 11 TargetFilename=$work/merged/second
 * expect 11 TargetFilename=$work/merged/low
 * expect 26 TargetFilename=$work/merged/low
 * expect 26 TargetFilename=$work/merged/second
 * expect 26 TargetFilename=$work/merged/low */
#include "behaviour.h"

#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	own_mounts();
	make_directory("lower");
	make_directory("memory");
	make_directory("merged");
	make_file("lower/low");
	MUST(mount("tmpfs", "memory", "tmpfs", 0, NULL));
	make_directory("memory/upper");
	make_directory("memory/inner");
	MUST(mount("overlay", "merged", "overlay", 0,
		   "lowerdir=lower,upperdir=memory/upper,workdir=memory/inner"));
	make_file("merged/first");
	MUST(link("merged/first", "merged/second"));
	MUST(unlink("merged/low"));
	MUST(rename("merged/first", "merged/low"));
	MUST(unlink("merged/second"));
	MUST(unlink("merged/low"));
}

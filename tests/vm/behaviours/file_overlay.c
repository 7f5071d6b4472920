/* SPDX-License-Identifier: MIT */
/* On overlayfs, as in a container: one event for the file that the program sees, none for those that the
 * file system keeps underneath, neither when it copies one up nor when it hides one.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/lower/low
 * expect 11 TargetFilename=$work/lower/changed
 * expect 11 TargetFilename=$work/merged/new
 * expect 26 TargetFilename=$work/merged/new
 * expect 26 TargetFilename=$work/merged/low
 * expect 26 TargetFilename=$work/merged/changed */
#include "behaviour.h"

#include <fcntl.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	prepare_overlay();
	make_file("lower/low");
	make_file("lower/changed");
	mount_overlay();
	make_file("merged/new");
	MUST(write((int)MUST(open("merged/changed", O_WRONLY | O_APPEND | O_CLOEXEC)), "more", 4));
	MUST(unlink("merged/new"));
	MUST(unlink("merged/low"));
	MUST(unlink("merged/changed"));
}

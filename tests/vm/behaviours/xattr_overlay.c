/* SPDX-License-Identifier: MIT */
/* On overlayfs: what the program sets is told once, for the file that it sees; what the file system copies and sets for
 * itself is not.
 *
 * judges 15
 * expect 15 TargetFilename=$work/lower/low:user.first
 * expect 15 TargetFilename=$work/merged/low:user.second Contents=second
 * expect 15 TargetFilename=$work/merged/low:user.third Contents=third */
#include "behaviour.h"

#include <sys/xattr.h>

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	prepare_overlay();
	make_file("lower/low");
	MUST(setxattr("lower/low", "user.first", "first", 5, 0));
	mount_overlay();
	MUST(setxattr("merged/low", "user.second", "second", 6, 0));
	MUST(setxattr("merged/low", "user.third", "third", 5, 0));
}

/* SPDX-License-Identifier: MIT */
/* Named relatively, through symbolic links, beside a descriptor: the record has the whole and final path.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/a/one
 * expect 11 TargetFilename=$work/b/two
 * expect 11 TargetFilename=$work/b/three
 * expect 11 TargetFilename=$work/b/pointed-to
 * expect 26 TargetFilename=$work/a/one
 * expect 26 TargetFilename=$work/b/two */
#include "behaviour.h"

#include <fcntl.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	int b;

	(void)argc, (void)argv;
	make_directory("a");
	make_directory("b");
	MUST(symlink("../b", "a/to-b"));
	MUST(symlink("pointed-to", "b/dangling"));
	MUST(chdir("a"));
	make_file(".././a//./one");
	make_file("to-b/two");
	b = (int)MUST(open("../b", O_PATH | O_CLOEXEC));
	MUST(close((int)MUST(openat(b, "three", O_WRONLY | O_CREAT | O_CLOEXEC, 0644))));
	make_file("to-b/dangling");
	MUST(unlink("../a/one"));
	MUST(unlink("to-b/two"));
}

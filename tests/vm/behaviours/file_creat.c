/* SPDX-License-Identifier: MIT */
/* creat(2).
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/file */
#include "behaviour.h"

#include <sys/syscall.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	MUST(syscall(SYS_creat, "file", 0644)); /* the library's creat() is an openat(2) */
}

/* SPDX-License-Identifier: MIT */
/* openat2(2), which no list of system calls from before 2020 has.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/file */
#include "behaviour.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	struct open_how how = { .flags = O_CREAT | O_WRONLY | O_CLOEXEC, .mode = 0644,
				.resolve = RESOLVE_BENEATH };

	(void)argc, (void)argv;
	MUST(syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof(how)));
}

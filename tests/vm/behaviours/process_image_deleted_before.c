/* SPDX-License-Identifier: MIT */
/* The file is deleted before it is executed, through a descriptor. It stays for a second: kernels such as 6.1 tell fanotify
 * nothing of a file that is executed by descriptor alone (do_open_execat() there skips an empty name), so that it
 * can only be read while the process lives, as a memory file.
 *
 * judges 1 5
 * expect 1 CommandLine=$image
 * expect 1 ProcessId=$child Image="$work/gone (deleted)" CommandLine="nothing to see" Hashes~"SHA256=$sha256(gone).*"
 * expect 5 ProcessId=$child Image="$work/gone (deleted)"
 * expect 5 */
#include "behaviour.h"

#include <fcntl.h>
#include <unistd.h>

static void execute_deleted(void)
{
	char *arguments[] = { (char *)"nothing", (char *)"to", (char *)"see", NULL };
	int fd = (int)MUST(open("gone", O_RDONLY | O_CLOEXEC));

	MUST(unlink("gone"));
	MUST(fexecve(fd, arguments, environ));
}

void behave(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		sleep(1);
		return;
	}
	copy_self("gone", "gone");
	say("child", "%d", child(execute_deleted));
}

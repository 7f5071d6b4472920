/* SPDX-License-Identifier: MIT */
/* mknod(2) makes regular files too; what else it makes is no file in the sense of event 11, nor is a directory,
 * a symbolic link or a socket.
 *
 * judges 11
 * expect 11 TargetFilename=$work/file
 * expect 11 TargetFilename=$work/file-too */
#include "behaviour.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };

	(void)argc, (void)argv;
	MUST(mknod("file", S_IFREG | 0644, 0));
	MUST(mknodat(AT_FDCWD, "file-too", 0644, 0)); /* no type means regular */
	MUST(mknod("pipe", S_IFIFO | 0644, 0));
	MUST(symlink("file", "symbolic"));
	make_directory("directory");
	MUST(bind((int)MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), (struct sockaddr *)&address,
		  sizeof(address)));
}

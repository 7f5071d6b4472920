/* SPDX-License-Identifier: MIT */
/* Deleted: once each, also while it is open; what could not be deleted was not.
 *
 * judges 26
 * expect 26 TargetFilename=$work/closed IsExecutable=false
 * expect 26 TargetFilename=$work/open IsExecutable=false
 * expect 26 TargetFilename=$work/directory/beside-descriptor IsExecutable=false */
#include "behaviour.h"

#include <fcntl.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	int directory;

	(void)argc, (void)argv;
	make_file("closed");
	MUST(unlink("closed"));
	MUST(open("open", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	MUST(unlink("open"));
	make_directory("directory");
	make_file("directory/beside-descriptor");
	directory = (int)MUST(open("directory", O_PATH | O_CLOEXEC));
	MUST(unlinkat(directory, "beside-descriptor", 0));
	MUST(unlink("missing") < 0 ? 0 : -1);
	MUST(unlink("directory") < 0 ? 0 : -1);
}

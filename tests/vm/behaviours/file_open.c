/* SPDX-License-Identifier: MIT */
/* A file that open(2) makes gives one event; opening it again, also with O_CREAT, gives none.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/file RuleName=- CreationUtcTime~"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}" */
#include "behaviour.h"

#include <fcntl.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	make_file("file");
	make_file("file");
	MUST(close((int)MUST(open("file", O_RDWR | O_CLOEXEC))));
	MUST(open("file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) < 0 ? 0 : -1);
}

/* SPDX-License-Identifier: MIT */
/* A path that no call can name in one piece: more than 4,095 bytes. Its end is kept.
 *
 * judges 11 26
 * expect 11 TargetFilename~".{3900,4200}/the-end" Context~".*path=cut.*"
 * expect 26 TargetFilename~".{3900,4200}/the-end" Context~".*path=cut.*" */
#include "behaviour.h"

#include <string.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	char name[201];

	(void)argc, (void)argv;
	memset(name, 'd', 200);
	name[200] = '\0';
	for (int depth = 0; depth < 25; depth++) {
		make_directory(name);
		MUST(chdir(name));
	}
	make_file("the-end");
	MUST(unlink("the-end"));
}

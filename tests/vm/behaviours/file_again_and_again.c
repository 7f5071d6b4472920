/* SPDX-License-Identifier: MIT */
/* One name, made and deleted many times in a row (BEHAVIOUR_MANY: emulated machines do fewer): each once.
 *
 * judges 11 26
 * expect $many of 11 TargetFilename=$work/file
 * expect $many of 26 TargetFilename=$work/file */
#include "behaviour.h"

#include <stdlib.h>
#include <unistd.h>

void behave(int argc, char **argv)
{
	const char *wanted = getenv("BEHAVIOUR_MANY");
	int many = wanted ? atoi(wanted) : 50000;

	(void)argc, (void)argv;
	say("many", "%d", many);
	for (int i = 0; i < many; i++) {
		make_file("file");
		MUST(unlink("file"));
	}
}

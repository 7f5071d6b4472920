/* SPDX-License-Identifier: MIT */
/* A path of 4,000 bytes, the longest that is named in one piece being 4,095.
 *
 * judges 11 26
 * expect 11 TargetFilename=$long Context!~".*path=.*"
 * expect 26 TargetFilename=$long Context!~".*path=.*" */
#include "behaviour.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LONG 4000

/* One more component, as long as it may be without leaving less than a name's worth of bytes. */
static void descend(char *path, size_t *length)
{
	char name[201];
	size_t n = LONG - *length - 1;

	if (n > 200)
		n = n - 200 < 2 ? 190 : 200;
	memset(name, 'd', n);
	name[n] = '\0';
	*length += (size_t)snprintf(path + *length, PATH_MAX - *length, "/%s", name);
	if (*length == LONG)
		return;
	make_directory(name);
	MUST(chdir(name));
}

void behave(int argc, char **argv)
{
	char path[PATH_MAX];
	size_t length;

	(void)argc, (void)argv;
	MUST(getcwd(path, sizeof(path)) ? 0 : -1);
	length = strlen(path);
	while (length < LONG)
		descend(path, &length);
	say("long", "%s", path);
	make_file(path);
	MUST(unlink(path));
}

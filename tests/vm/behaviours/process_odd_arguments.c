/* SPDX-License-Identifier: MIT */
/* Arguments with blanks, empty ones, line ends, quotes, bytes that are no UTF-8, escape sequences, and an exec
 * without any argument.
 *
 * judges 1
 * expect 1 CommandLine=$image
 * expect 1 ProcessId=$child CommandLine="$image a b  \"c\"\nd \\xFF \\x1B[2J \\x5cx41 <&>]]>"
 * expect 1 ProcessId=$child Image=$work/bare CommandLine=- */
#include "behaviour.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void execute_odd(void)
{
	MUST(execl(image(), image(), "a b", "", "\"c\"\nd", "\xff", "\033[2J", "\\x41", "<&>]]>", (char *)NULL));
}

void behave(int argc, char **argv)
{
	char *nothing[] = { NULL };

	if (argc == 1 && argv[0][0] != '\0') {
		copy_self("bare", "");
		say("child", "%d", child(execute_odd));
	} else if (argc > 2) {
		MUST(execv("./bare", nothing));
	}
}

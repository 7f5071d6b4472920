/* SPDX-License-Identifier: MIT */
/* A program that writes over its own arguments and name: what it was started with counts, for itself and
 * for its children.
 *
 * judges 1
 * expect 1 CommandLine=$image
 * expect 1 ProcessId=$rewriter CommandLine="$image rewrite" ParentCommandLine=$image
 * expect 1 ProcessId=$child CommandLine="$image child" ParentProcessId=$rewriter ParentImage=$image ParentCommandLine="$image rewrite" */
#include "behaviour.h"

#include <string.h>
#include <sys/prctl.h>

static void become_child(void)
{
	become(image(), "child");
}

static void become_rewriter(void)
{
	become(image(), "rewrite");
}

void behave(int argc, char **argv)
{
	if (argc == 1) {
		say("rewriter", "%d", child(become_rewriter));
	} else if (strcmp(argv[1], "rewrite") == 0) {
		memset(argv[0], 'X', strlen(argv[0]));
		memset(argv[1], 'X', strlen(argv[1]));
		MUST(prctl(PR_SET_NAME, "kworker/0:1"));
		say("child", "%d", child(become_child));
	}
}

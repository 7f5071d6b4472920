/* SPDX-License-Identifier: MIT */
/* Process and user ids are those of the machine, whatever a namespace calls them.
 *
 * judges 1 5
 * expect 1 CommandLine=$image
 * expect 1 ProcessId=$first CommandLine="$image first" ParentProcessId=$self ParentImage=$image
 * expect 5 ProcessId=$first
 * expect 1 ProcessId=$apart CommandLine="$image apart" User=nobody IntegrityLevel=Low
 * expect 5 ProcessId=$apart User=nobody
 * expect 5 */
#include "behaviour.h"

#include <sched.h>
#include <unistd.h>

static void become_first(void)
{
	MUST(getpid() == 1 ? 0 : -1);
	become(image(), "first");
}

/* Nobody, in a user namespace without a map of ids. */
static void become_apart(void)
{
	MUST(setgid(65534));
	MUST(setuid(65534));
	MUST(unshare(CLONE_NEWUSER));
	become(image(), "apart");
}

void behave(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return;
	say("apart", "%d", child(become_apart));
	MUST(unshare(CLONE_NEWPID));
	say("first", "%d", child(become_first));
}

/* SPDX-License-Identifier: MIT */
/* Who it is: the effective user after the exec, by name, by number if it has none.
 *
 * judges 1 5
 * expect 1 CommandLine=$image User=root IntegrityLevel=System
 * expect 1 ProcessId=$nobody User=nobody IntegrityLevel=Medium ParentUser=root
 * expect 1 ProcessId=$stranger User=54321 IntegrityLevel=Medium ParentUser=root
 * expect 1 ProcessId=$raised Image=$work/raise User=root
 * expect 5 ProcessId=$nobody User=nobody
 * expect 5 ProcessId=$stranger User=54321
 * expect 5 ProcessId=$raised Image=$work/raise User=root
 * expect 5 */
#include "behaviour.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char raise_path[PATH_MAX];

static void as(uid_t user, const char *program)
{
	MUST(setgid(user));
	MUST(setuid(user));
	become(program, "again");
}

static void as_nobody(void)
{
	as(65534, image());
}

static void as_stranger(void)
{
	as(54321, image());
}

static void raised_by_the_file(void)
{
	as(65534, raise_path);
}

void behave(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return;
	copy_self("raise", "");
	MUST(chmod("raise", 04755));
	MUST(realpath("raise", raise_path) ? 0 : -1);
	say("nobody", "%d", child(as_nobody));
	say("stranger", "%d", child(as_stranger));
	say("raised", "%d", child(raised_by_the_file));
}

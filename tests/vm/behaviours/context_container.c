/* SPDX-License-Identifier: MIT */
/* Context tells where a process is: the control group in which it was executed, the container whose id stands in that
 * group's name, namespaces that are not those of the machine. What it does is told with the same; so is what its forks do.
 *
 * judges 1 11
 * expect 1 CommandLine=$image Context!~".*(container|pidns)=.*"
 * expect 1 ProcessId=$inside CommandLine="$image inside" Context~"(login=.*,)?container=0123456789ab,cgroup=.+$group,pidns=[0-9]+,mntns=[0-9]+"
 * expect 11 ProcessId=$inside TargetFilename=$work/made Context~"(login=.*,)?container=0123456789ab,cgroup=.+$group,pidns=.*"
 * expect 11 ProcessId~[0-9]+ TargetFilename=$work/forked Context~"(login=.*,)?container=0123456789ab,cgroup=.+$group,pidns=.*" */
#include "behaviour.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUP "docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope"

static void make_forked(void)
{
	make_file("forked");
}

static void enter(void)
{
	int fd = (int)MUST(open("groups/" GROUP "/cgroup.procs", O_WRONLY | O_CLOEXEC));

	MUST(write(fd, "0", 1));
	MUST(close(fd));
	become(image(), "inside");
}

void behave(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		make_file("made");
		child(make_forked);
		return;
	}
	own_mounts();
	make_directory("groups");
	MUST(mount("cgroup2", "groups", "cgroup2", 0, NULL));
	MUST(mkdir("groups/" GROUP, 0755));
	say("group", "%s", GROUP);
	MUST(unshare(CLONE_NEWPID));
	say("inside", "%d", child(enter));
	MUST(rmdir("groups/" GROUP));
}

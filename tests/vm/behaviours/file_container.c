/* SPDX-License-Identifier: MIT */
/* As a container runtime does it: overlay, mount and process namespaces, pivot_root, the old root away. A path is
 * the one in the namespace where it was done. The program stays for a second, see process_new_filesystem.c.
 *
 * judges 1 11 26
 * expect 1 CommandLine=$image
 * expect 11 TargetFilename=$work/lower/program
 * expect 11 ProcessId=$inside TargetFilename=/made-inside
 * expect 26 ProcessId=$inside TargetFilename=/made-inside
 * expect 1 ProcessId=$inside Image=/program CommandLine="/program inside" CurrentDirectory=/ Hashes~"SHA256=$sha256(container).*" */
#include "behaviour.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static void live_inside(void)
{
	own_mounts();
	MUST(mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=inner"));
	MUST(chdir("merged"));
	MUST(syscall(SYS_pivot_root, ".", "."));
	MUST(umount2(".", MNT_DETACH));
	make_file("/made-inside");
	MUST(unlink("/made-inside"));
	become("/program", "inside");
}

void behave(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		sleep(1);
		return;
	}
	make_directory("lower");
	make_directory("upper");
	make_directory("inner");
	make_directory("merged");
	copy_self("lower/program", "container");
	MUST(unshare(CLONE_NEWPID));
	say("inside", "%d", child(live_inside));
}

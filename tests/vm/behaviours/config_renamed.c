/* SPDX-License-Identifier: MIT */
/* Files of settings get other names: in one folder, from one into another, and two change places. What moves in another
 * folder than those of settings is none, nor is a second name. The folder is one of its own.
 *
 * judges 14
 * expect 14 EventType=RenameKey TargetObject=/etc/first NewName=/etc/second RuleName=-
 * expect 14 EventType=RenameKey TargetObject=/etc/second NewName=/etc/below/third
 * expect 14 EventType=RenameKey TargetObject=/etc/one NewName=/etc/below/other
 * expect 14 EventType=RenameKey TargetObject=/etc/below/other NewName=/etc/one */
#include "behaviour.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	make_file("from");
	MUST(rename("from", "to"));
	own_mounts();
	MUST(mount("etc", "/etc", "tmpfs", 0, NULL));
	make_directory("/etc/below");
	make_file("/etc/first");
	MUST(rename("/etc/first", "/etc/second"));
	MUST(chdir("/etc/below"));
	MUST(rename("../second", "third"));
	make_file("/etc/one");
	make_file("other");
	MUST(syscall(SYS_renameat2, AT_FDCWD, "/etc/one", AT_FDCWD, "other", RENAME_EXCHANGE));
	MUST(link("third", "fourth"));
}

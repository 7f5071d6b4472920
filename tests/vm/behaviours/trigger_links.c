/* SPDX-License-Identifier: MIT */
/* Units are enabled by links: one by each way to make a link, one that takes the place of another; and disabled. A link
 * elsewhere is none.
 *
 * judges 12 13 14 21
 * expect 12 EventType=CreateKey TargetObject=/run/systemd/system/trigger_links.target.wants/a.service RuleName=-
 * expect 13 EventType=SetValue TargetObject=/run/systemd/system/trigger_links.target.wants/a.service Details=/nowhere/a.service
 * expect 21 Operation=Created Consumer=a.service Filter=trigger_links.target RuleName=-
 * expect 12 EventType=CreateKey TargetObject=/run/systemd/system/trigger_links.target.wants/b.timer
 * expect 13 EventType=SetValue TargetObject=/run/systemd/system/trigger_links.target.wants/b.timer Details=../b.timer
 * expect 21 Operation=Created Consumer=b.timer Filter=trigger_links.target
 * expect 12 EventType=CreateKey TargetObject=/run/systemd/system/trigger_links.target.wants/c.service
 * expect 13 EventType=SetValue TargetObject=/run/systemd/system/trigger_links.target.wants/c.service Details=/nowhere/c.service
 * expect 21 Operation=Created Consumer=c.service Filter=trigger_links.target
 * expect 12 EventType=CreateKey TargetObject=/run/systemd/system/trigger_links.target.wants/d.service
 * expect 13 EventType=SetValue TargetObject=/run/systemd/system/trigger_links.target.wants/d.service Details=../b.timer
 * expect 21 Operation=Created Consumer=d.service Filter=trigger_links.target
 * expect 12 EventType=DeleteKey TargetObject=/run/systemd/system/trigger_links.target.wants/a.service
 * expect 21 Operation=Deleted Consumer=a.service Filter=trigger_links.target
 * expect 12 EventType=DeleteKey TargetObject=/run/systemd/system/trigger_links.target.wants/b.timer
 * expect 21 Operation=Deleted Consumer=b.timer Filter=trigger_links.target
 * expect 14 EventType=RenameKey TargetObject=/run/systemd/system/trigger_links.target.wants/c.service NewName=/run/systemd/system/trigger_links.target.requires/c.service
 * expect 21 Operation=Deleted Consumer=c.service Filter=trigger_links.target
 * expect 12 EventType=CreateKey TargetObject=/run/systemd/system/trigger_links.target.requires/c.service
 * expect 13 EventType=SetValue TargetObject=/run/systemd/system/trigger_links.target.requires/c.service Details=/nowhere/c.service
 * expect 21 Operation=Created Consumer=c.service Filter=trigger_links.target
 * expect 13 EventType=SetValue TargetObject=/run/systemd/system/trigger_links.target.wants/d.service Details=/nowhere/e.service */
#include "uring.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BY_THEN 3 /* as in trigger_units.c */

void behave(int argc, char **argv)
{
	struct io_uring_sqe link_it = { .opcode = IORING_OP_SYMLINKAT, .flags = IOSQE_ASYNC, .fd = AT_FDCWD,
					.addr = (uintptr_t)"/nowhere/c.service", .addr2 = (uintptr_t)"c.service" };

	(void)argc, (void)argv;
	MUST(symlink("/nowhere/elsewhere", "elsewhere"));
	MUST(symlink("/nowhere/e.service", "e.service"));
	mkdir("/run/systemd", 0755);
	mkdir("/run/systemd/system", 0755);
	make_directory("/run/systemd/system/trigger_links.target.wants");
	make_directory("/run/systemd/system/trigger_links.target.requires");
	/* The last of these names is one of the same file system as the folders. */
	MUST(symlink("/nowhere/e.service", "/run/trigger_links.e"));
	MUST(chdir("/run/systemd/system/trigger_links.target.wants"));
	MUST(symlink("/nowhere/a.service", "a.service"));
	MUST(symlinkat("../b.timer", AT_FDCWD, "b.timer"));
	open_ring();
	MUST(perform(&link_it));
	MUST(linkat(AT_FDCWD, "b.timer", AT_FDCWD, "d.service", 0));
	sleep(READ_BY_THEN);
	MUST(unlink("a.service"));
	MUST(unlink("b.timer"));
	MUST(rename("c.service", "../trigger_links.target.requires/c.service"));
	MUST(rename("/run/trigger_links.e", "d.service"));
	sleep(READ_BY_THEN);
}

/* SPDX-License-Identifier: MIT */
/* Deleted files that a rule wants kept: their content is in the archive of their file system, whichever way they were
 * deleted. Without a rule they are merely told of. A sparse file of 100 GB is not kept.
 *
 * judges 23 26
 * expect 23 RuleName=archived TargetFilename=$work/archived/plain.txt Hashes=SHA256=DACF36547C7774A0A170806363B5D412991FBC0D6260B2C00B1D3A80A816C23F IsExecutable=false Archived=true
 * expect 23 RuleName=archived TargetFilename=$work/archived/script IsExecutable=true Archived=true Hashes=SHA256=85E0D2294376CBF2F6365EFFCEEA302E1A34ED85380D0A55A81635FFAD9A9FFB
 * expect 23 RuleName=archived TargetFilename=$work/archived/replaced.d Archived=true IsExecutable=false
 * expect 23 RuleName=archived TargetFilename=$work/archived/open Archived=true IsExecutable=false
 * expect 23 RuleName=archived TargetFilename=$work/archived/name1 Archived=true IsExecutable=false
 * expect 23 RuleName=archived TargetFilename=$work/archived/name2 Archived=true IsExecutable=false
 * expect 23 RuleName=archived TargetFilename=$work/archived/huge Hashes=- Archived=false IsExecutable=false
 * expect 26 TargetFilename=$work/elsewhere */
#include "behaviour.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_file(const char *path, const char *text)
{
	int fd = (int)MUST(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));

	MUST(write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1);
	return fd;
}

/* The archive lies at the root of the file system: as far up as the device stays the same. */
static void find_archive(char *path, size_t size)
{
	struct stat here, above;
	char at[2000] = ".", up[2100];

	MUST(stat(at, &here));
	for (;;) {
		snprintf(up, sizeof(up), "%s/..", at);
		MUST(stat(up, &above));
		if (above.st_dev != here.st_dev || above.st_ino == here.st_ino)
			break;
		here = above;
		memcpy(at, up, strlen(up) + 1);
	}
	snprintf(path, size, "%s/konseki-behaviours", at);
}

static void must_be_kept(const char *archive, const char *name, const char *text)
{
	char path[2400], found[100] = "";
	struct stat st;
	int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", archive, name);
	for (int tries = 0; tries < 500 && fd < 0; tries++) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			usleep(20000);
	}
	MUST(fd);
	MUST(read(fd, found, sizeof(found) - 1));
	MUST(strcmp(found, text) == 0 ? 0 : -1);
	MUST(fstat(fd, &st));
	MUST(st.st_uid == 0 && (st.st_mode & 077) == 0 ? 0 : -1);
	MUST(close(fd));
	MUST(stat(archive, &st));
	MUST(st.st_uid == 0 && (st.st_mode & 07777) == 0700 ? 0 : -1);
}

void behave(int argc, char **argv)
{
	char archive[2200];
	int fd;

	(void)argc, (void)argv;
	make_directory("archived");
	MUST(close(write_file("archived/plain.txt", "plain\n")));
	MUST(unlink("archived/plain.txt"));

	MUST(close(write_file("archived/script", "#!/bin/sh\n: script\n")));
	MUST(unlink("archived/script"));

	MUST(close(write_file("archived/replaced.d", "replaced\n")));
	MUST(close(write_file("elsewhere", "new\n")));
	MUST(rename("elsewhere", "archived/replaced.d"));

	fd = write_file("archived/open", "open ");
	MUST(close(fd));
	fd = (int)MUST(open("archived/open", O_WRONLY | O_APPEND | O_CLOEXEC));
	MUST(unlink("archived/open"));
	MUST(close(fd));

	MUST(close(write_file("archived/name1", "two names\n")));
	MUST(link("archived/name1", "archived/name2"));
	MUST(unlink("archived/name1"));
	MUST(unlink("archived/name2"));

	fd = write_file("archived/huge", "huge\n");
	MUST(ftruncate(fd, 100ll << 30));
	MUST(close(fd));
	MUST(unlink("archived/huge"));

	MUST(close(write_file("elsewhere", "not wanted\n")));
	MUST(unlink("elsewhere"));

	find_archive(archive, sizeof(archive));
	must_be_kept(archive, "DACF36547C7774A0A170806363B5D412991FBC0D6260B2C00B1D3A80A816C23F.txt", "plain\n");
	must_be_kept(archive, "85E0D2294376CBF2F6365EFFCEEA302E1A34ED85380D0A55A81635FFAD9A9FFB", "#!/bin/sh\n: script\n");
	must_be_kept(archive, "E2208F01E42B2CAB0FEF975B55DC70D39579DD3D0C5D0758C499BAA5109EF187.d", "replaced\n");
	must_be_kept(archive, "11A9AD89A9111759B496AFEB99A08E14669754741B9B160C358A3D1B68FAD400", "two names\n");
}

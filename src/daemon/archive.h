/* SPDX-License-Identifier: MIT */
/* The archive of deleted files: a folder at the root of each file system, for root alone, and the removal of files
 * that a rule forbids. The monitor's part: it makes, names and removes; what is in the files it never reads. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define ARCHIVE_NAME_MAX 64
#define ARCHIVE_SIZE_DEFAULT (1u << 30)

/* What is in a folder, so that it need not be read for each file. Too much when somebody has removed something; what
 * nobody but root could have added does not count until it is read again. */
struct archive_sum {
	dev_t dev;
	ino_t ino;
	uint64_t bytes;
};
#define ARCHIVE_SUMS 16

/* Zeroed at first. */
struct archive_sums {
	struct archive_sum of[ARCHIVE_SUMS];
	unsigned next; /* to be written over */
};

/* A new file without a name, on the file system on which `file` lies, for `size` bytes. The oldest files give way so
 * that all together are at most `limit` bytes and a twentieth of the file system stays free. The descriptor or
 * -errno: EFBIG, ENOSPC, EROFS, EPERM (somebody else's folder stands there) ... */
int archive_new(struct archive_sums *sums, const char *name, int file, uint64_t size, uint64_t limit);

/* Gives it the name DIGEST.EXTENSION; what is there already is the same content. 0 or -errno. */
int archive_keep(struct archive_sums *sums, const char *name, int stored, const char *digest, const char *extension);

/* Removes this file under the name it has, if it still has it; its other names stay. 0 or -errno. */
int file_remove(int file, const char *path);
/* The same, the path being one below this folder. */
int file_remove_below(int root, int file, const char *path);

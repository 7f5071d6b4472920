/* SPDX-License-Identifier: MIT */
/* /proc/PID, never of another process that got the same number since. */
#pragma once
#include <stdint.h>

#include "../../schema/wire.h"

/* A file of the folder of this process ("exe", "cmdline"), read-only: a descriptor or -errno; -ESRCH when
 * that process is no more. start_ns: CLOCK_BOOTTIME of its start. */
int process_file_open(uint32_t tgid, uint64_t start_ns, const char *name);

/* The regular file of this identity, read-only: a descriptor or -errno. Found by the path the kernel gave it, in the root
 * of that process or else in our own; nothing is waited for on the way: of names that are not in the kernel's cache it
 * is -EAGAIN. -ESTALE: another file is there by now. */
int named_file_open(uint32_t tgid, uint64_t start_ns, const char *path, const struct ks_file_id *id);

/* The start time out of /proc/PID/stat, in 1/100 s since boot. 0 or -EBADMSG. Pure. */
int stat_start_ticks(const char *stat, uint64_t *ticks);

/* A regular file by its path below root, found without any file system being asked: an O_PATH descriptor that is the caller's,
 * its device (12 bits major, 20 bits minor) and number. 0 or -errno. */
int cached_file_find(int root, const char *path, int *found, uint32_t *dev, uint64_t *ino);
/* The same file, read-only: a descriptor or -errno. */
int cached_file_open(int found);

/* SPDX-License-Identifier: MIT */
/* /proc/PID, never of another process that got the same number since. */
#pragma once
#include <stdint.h>

/* A file of the folder of this process ("exe", "cmdline"), read-only: a descriptor or -errno; -ESRCH when
 * that process is no more. start_ns: CLOCK_BOOTTIME of its start. */
int process_file_open(uint32_t tgid, uint64_t start_ns, const char *name);

/* The start time out of /proc/PID/stat, in 1/100 s since boot. 0 or -EBADMSG. Pure. */
int stat_start_ticks(const char *stat, uint64_t *ticks);

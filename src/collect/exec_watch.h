/* SPDX-License-Identifier: MIT */
/* Holds on to what is executed. A program that lives a millisecond and whose file is gone at once can be
 * hashed all the same, because a fanotify event in descriptor mode pins the file it tells of
 * (FAN_OPEN_EXEC, no permission event: the exec never waits for us). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "../base/err.h"

/* A group that watches every mounted file system that can hold programs. Needs CAP_SYS_ADMIN.
 * The descriptor, or -errno. */
int exec_watch_open(struct err *e);

/* Marks the file systems that were mounted since: call it when /proc/self/mountinfo polls POLLERR. */
void exec_watch_refresh(int watch);

/* Marks the file system on which `file` lies (one of another mount namespace). 0 or -errno. */
int exec_watch_add(int watch, int file);

/* The reading side, without privilege: the next executed file. 1: *file is the caller's descriptor and
 * *tgid who opened it; 0: nothing waits; -EOVERFLOW: the queue ran over, files are missing; -errno.
 * An interpreter, a script and the dynamic loader are each told of, as each is opened for execution. */
struct exec_watch_reader {
	int watch;
	uint32_t used, length;
	uint8_t buffer[4096] __attribute__((aligned(8)));
};
int exec_watch_next(struct exec_watch_reader *r, int *file, uint32_t *tgid);

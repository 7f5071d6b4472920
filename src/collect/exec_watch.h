/* SPDX-License-Identifier: MIT */
/* Holds on to what is executed, and to what was written. A program that lives a millisecond and whose file is gone at once can be
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

/* The same for files that were open for writing and are closed (FAN_CLOSE_WRITE): a mapping keeps a file open, so
 * what was written through one is told of when it goes. A group that watches nothing yet; */
int write_watch_open(struct err *e);
void write_watch_refresh(int watch);       /* from now on, or once more: all file systems that hold content, */
int write_watch_add(int watch, int file);  /* this one too, */
void write_watch_end(int watch);           /* none. */

/* A group of files that nobody may execute: whoever reads it answers no to everything (a kernel that waits for an
 * answer lets pass when the group is closed). The descriptor, or -1. */
int exec_deny_open(void);
int exec_deny_add(int deny, int file);
void exec_deny_serve(int deny);

/* The reading side, without privilege: the next file of a group. 1: *file is the caller's descriptor and
 * *tgid who opened it; 0: nothing waits; -EOVERFLOW: the queue ran over, files are missing; -errno.
 * An interpreter, a script and the dynamic loader are each told of, as each is opened for execution. */
struct exec_watch_reader {
	int watch;
	uint32_t used, length;
	uint8_t buffer[4096] __attribute__((aligned(8)));
};
int exec_watch_next(struct exec_watch_reader *r, int *file, uint32_t *tgid);

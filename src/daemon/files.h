/* SPDX-License-Identifier: MIT */
/* Small files, by name: for the processes of root only. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../base/err.h"

/* At most size - 1 bytes and a NUL. Length or -errno. */
ssize_t files_read_text(const char *path, char *text, size_t size);

/* Writes it whole or not at all: beside the file, synced, renamed over it. 0 or -errno. */
int files_write(const char *path, const void *bytes, size_t n, mode_t mode);
int files_write_text(const char *path, const char *text, mode_t mode);

/* A sealed file in memory with the bytes of fd from its start, at most max of them; -EFBIG if there are
 * more. Whoever gets it reads the same bytes, whatever happens to the original. -errno. */
int files_freeze(int fd, size_t max);
int bytes_freeze(const void *bytes, size_t n);
/* 0 if fd is such a file of at most max bytes. */
int files_is_frozen(int fd, size_t max);

/* Writes what a frozen file holds to path, as files_write(). */
int files_write_frozen(const char *path, int frozen, mode_t mode);

/* For a new child: it keeps these descriptors and 0 to 2, and nothing of the others'. Sorts the list. */
void files_close_all_but(int *keep, unsigned count);

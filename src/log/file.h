/* SPDX-License-Identifier: MIT */
/* The file under the log: whole reads and writes at places, sizes in slots (places for one chunk each).
 * Only pread, pwrite, fallocate, ftruncate, fstat and fdatasync on the descriptor: the log is written
 * by a process that may do nothing else. Internal to src/log/. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "../evtx/format.h"

static inline uint64_t slot_offset(uint32_t slot)
{
	return EVTX_FILE_HEADER_SIZE + (uint64_t)slot * EVTX_CHUNK_SIZE;
}

/* All n bytes: 0, -errno, -ENODATA when the file ends before. */
int file_read(int fd, void *bytes, size_t n, uint64_t at);
int file_write(int fd, const void *bytes, size_t n, uint64_t at);
int file_write_zeroes(int fd, size_t n, uint64_t at);

int file_size(int fd, uint64_t *size);

/* Grows the file to `size`, the space really taken so that later writes cannot fail for want of it. On
 * failure the file is as large as before. */
int file_grow(int fd, uint64_t from, uint64_t size);

/* Once more what the file holds there, as its readers see it: after a failed sync the kernel takes for written what it could
 * not write. 0 or -errno. */
int file_write_again(int fd, uint64_t from, uint64_t n);

/* Is this the answer of a disk, a quota or a limit that has no more to give? */
int is_full(int r);

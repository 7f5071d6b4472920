/* SPDX-License-Identifier: MIT */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int file_read(int fd, void *bytes, size_t n, uint64_t at)
{
	char *to = bytes;

	while (n) {
		ssize_t r = pread(fd, to, n, (off_t)at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -ENODATA;
		to += r;
		at += (uint64_t)r;
		n -= (size_t)r;
	}
	return 0;
}

int file_write(int fd, const void *bytes, size_t n, uint64_t at)
{
	const char *from = bytes;

	while (n) {
		ssize_t r = pwrite(fd, from, n, (off_t)at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		from += r;
		at += (uint64_t)r;
		n -= (size_t)r;
	}
	return 0;
}

int file_write_zeroes(int fd, size_t n, uint64_t at)
{
	static const char zeroes[EVTX_CHUNK_SIZE];
	int r = 0;

	while (n && r == 0) {
		size_t step = n < sizeof(zeroes) ? n : sizeof(zeroes);

		r = file_write(fd, zeroes, step, at);
		at += step;
		n -= step;
	}
	return r;
}

int file_size(int fd, uint64_t *size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*size = (uint64_t)st.st_size;
	return 0;
}

int file_write_again(int fd, uint64_t from, uint64_t n)
{
	static uint8_t bytes[EVTX_CHUNK_SIZE];
	int r = 0;

	while (n && r == 0) {
		size_t step = n < sizeof(bytes) ? (size_t)n : sizeof(bytes);

		r = file_read(fd, bytes, step, from);
		if (r == 0)
			r = file_write(fd, bytes, step, from);
		from += step;
		n -= step;
	}
	return r;
}

int is_full(int r)
{
	return r == -ENOSPC || r == -EDQUOT || r == -EFBIG;
}

/* Not posix_fallocate(): where the file system cannot do it, the C library falls back to calls that the
 * writer of the log is not allowed. Zeroes do the same. */
int file_grow(int fd, uint64_t from, uint64_t size)
{
	int r;

	do
		r = fallocate(fd, 0, (off_t)from, (off_t)(size - from)) < 0 ? -errno : 0;
	while (r == -EINTR);
	if (r == -EOPNOTSUPP)
		r = file_write_zeroes(fd, (size_t)(size - from), from);
	if (r < 0 && ftruncate(fd, (off_t)from) < 0)
		return -errno;
	return r;
}

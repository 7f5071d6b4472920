/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/own.h"

ssize_t files_read_text(const char *path, char *text, size_t size)
{
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (n < 0)
		return -errno;
	text[n] = 0;
	return n;
}

static int write_all(int fd, const uint8_t *bytes, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, bytes, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		bytes += w;
		n -= (size_t)w;
	}
	return 0;
}

static int write_synced(const char *path, const void *bytes, size_t n, mode_t mode)
{
	OWNED_FD fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, bytes, n);
	if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		r = -errno;
	return r;
}

int files_write(const char *path, const void *bytes, size_t n, mode_t mode)
{
	char beside[512];
	int r;

	if (snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside))
		return -ENAMETOOLONG;
	r = write_synced(beside, bytes, n, mode);
	if (r == 0 && rename(beside, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(beside);
	return r;
}

int files_write_text(const char *path, const char *text, mode_t mode)
{
	return files_write(path, text, strlen(text), mode);
}

/* --- frozen files */

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

static int seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
}

int bytes_freeze(const void *bytes, size_t n)
{
	OWNED_FD memory = memfd_create("konseki rules", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (memory < 0)
		return -errno;
	r = write_all(memory, bytes, n);
	if (r == 0)
		r = seal(memory);
	return r < 0 ? r : MOVE_FD(memory);
}

int files_freeze(int fd, size_t max)
{
	OWNED_FD memory = memfd_create("konseki rules", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint8_t bytes[65536];
	size_t total = 0;
	ssize_t n;
	int r;

	if (memory < 0)
		return -errno;
	while ((n = read(fd, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		total += (size_t)n;
		if (total > max)
			return -EFBIG;
		r = write_all(memory, bytes, (size_t)n);
		if (r < 0)
			return r;
	}
	r = seal(memory);
	return r < 0 ? r : MOVE_FD(memory);
}

int files_is_frozen(int fd, size_t max)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0)
		return -EINVAL;
	return (uint64_t)st.st_size > max ? -EFBIG : 0;
}

int files_write_frozen(const char *path, int frozen, mode_t mode)
{
	struct stat st;
	void *bytes;
	int r;

	if (fstat(frozen, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return files_write(path, "", 0, mode);
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, frozen, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	r = files_write(path, bytes, (size_t)st.st_size, mode);
	munmap(bytes, (size_t)st.st_size);
	return r;
}

/* --- descriptors of a child */

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void files_close_all_but(int *keep, unsigned count)
{
	unsigned from = 3;

	qsort(keep, count, sizeof(*keep), by_number);
	for (unsigned i = 0; i < count; i++) {
		if (keep[i] < 3)
			continue;
		if ((unsigned)keep[i] > from)
			close_range(from, (unsigned)keep[i] - 1, 0);
		from = (unsigned)keep[i] + 1;
	}
	close_range(from, ~0u, 0);
}

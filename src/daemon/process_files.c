/* SPDX-License-Identifier: MIT */
#include "process_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/own.h"

#define TICK_NS 10000000u /* USER_HZ is 100 on every architecture we run on */

/* The name in round brackets is the process's own choice and may hold brackets and blanks, but what
 * follows its last bracket is the kernel's: a letter and numbers, the 20th of which is the start. */
int stat_start_ticks(const char *stat, uint64_t *ticks)
{
	const char *at = strrchr(stat, ')');
	unsigned long long value;

	for (unsigned skipped = 0; at && skipped < 20; skipped++)
		at = strchr(at + 1, ' ');
	if (!at || sscanf(at, " %llu", &value) != 1)
		return -EBADMSG;
	*ticks = value;
	return 0;
}

static int has_started_at(int folder, uint64_t start_ns)
{
	OWNED_FD fd = openat(folder, "stat", O_RDONLY | O_CLOEXEC);
	char text[1024];
	uint64_t ticks;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	text[n] = 0;
	if (stat_start_ticks(text, &ticks) < 0)
		return -EBADMSG;
	return ticks == start_ns / TICK_NS ? 0 : -ESRCH;
}

/* The folder of this process, or -errno. */
static int process_folder(uint32_t tgid, uint64_t start_ns)
{
	char path[32];
	OWNED_FD folder = -1;
	int r;

	/* The folder's descriptor stays with the process it was opened for, so one check is enough: when
	 * that process ends, everything below is ESRCH, whoever gets its number. */
	snprintf(path, sizeof(path), "/proc/%u", tgid);
	folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	r = has_started_at(folder, start_ns);
	return r < 0 ? r : MOVE_FD(folder);
}

int process_file_open(uint32_t tgid, uint64_t start_ns, const char *name)
{
	OWNED_FD folder = process_folder(tgid, start_ns);
	int fd;

	if (folder < 0)
		return folder;
	fd = openat(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? (errno == ENOENT ? -ESRCH : -errno) : fd;
}

/* --- a file by its path, which a stranger may have replaced by anything */

#define TRIES 3 /* a renaming elsewhere may get in between */

/* Only what the kernel has at hand anyway: a name on a file system that a process or a network serves could hold us
 * up, and whatever was just used is at hand. */
static int open_cached(int root, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_CACHED | RESOLVE_NO_SYMLINKS,
	};
	int fd;

	for (unsigned i = 0; i < TRIES; i++) {
		fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd < 0 ? -errno : fd;
}

int cached_file_find(int root, const char *path, int *found, uint32_t *dev, uint64_t *ino)
{
	OWNED_FD fd = open_cached(root, path);
	struct statx st;

	if (fd < 0)
		return fd;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &st) < 0)
		return -errno;
	if (!S_ISREG(st.stx_mode))
		return -EACCES;
	*dev = st.stx_dev_major << 20 | st.stx_dev_minor;
	*ino = st.stx_ino;
	*found = MOVE_FD(fd);
	return 0;
}

int cached_file_open(int found)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOATIME | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Overlayfs and btrfs show another device in stat() than the kernel side sees. */
static bool shows_its_device(uint32_t fs_magic)
{
	return fs_magic != OVERLAYFS_SUPER_MAGIC && fs_magic != BTRFS_SUPER_MAGIC;
}

static int open_if_it_is(int root, const char *path, const struct ks_file_id *id)
{
	OWNED_FD found = -1;
	uint32_t dev;
	uint64_t ino;
	int r = cached_file_find(root, path, &found, &dev, &ino);

	if (r < 0)
		return r;
	if (ino != id->ino || (dev != id->dev && shows_its_device(id->fs_magic)))
		return -ESTALE;
	return cached_file_open(found);
}

int named_file_open(uint32_t tgid, uint64_t start_ns, const char *path, const struct ks_file_id *id)
{
	OWNED_FD folder = process_folder(tgid, start_ns);
	OWNED_FD root = folder < 0 ? -1 : openat(folder, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int file = -ESRCH;

	if (path[0] != '/' || !path[1])
		return -EINVAL;
	if (root >= 0)
		file = open_if_it_is(root, path + 1, id);
	/* It ended, or has another root than its namespace. */
	return file < 0 ? open_if_it_is(AT_FDCWD, path, id) : file;
}

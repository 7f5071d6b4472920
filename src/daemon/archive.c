/* SPDX-License-Identifier: MIT */
#include "archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../base/own.h"

#define DIGEST_LENGTH 64
#define EXTENSION_MAX 16

/* --- the root of a file system */

/* One line of mountinfo: which mount, of what, and where. */
struct mount_line {
	unsigned id, major, minor;
	char root[PATH_MAX], point[PATH_MAX];
};

static bool next_mount(FILE *mounts, struct mount_line *l)
{
	static char line[2 * PATH_MAX + 1024];

	while (fgets(line, sizeof(line), mounts))
		if (sscanf(line, "%u %*u %u:%u %4095s %4095s", &l->id, &l->major, &l->minor, l->root,
			   l->point) == 5)
			return true;
	return false;
}

/* mountinfo writes blank, tab, newline and backslash as \ooo. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] && from[2] && from[3]) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = 0;
}

/* How well this mount leads to the root of that file system; 0: not at all. The number of the mount may be one of
 * another namespace, and stat() does not show the device of every file system. */
static unsigned merit(const struct mount_line *l, const struct statx *of)
{
	bool same_device = l->major == of->stx_dev_major && l->minor == of->stx_dev_minor;

	if (same_device)
		return strcmp(l->root, "/") == 0 ? 3 : 2;
	return l->id == of->stx_mnt_id;
}

static int find_root(const struct statx *of, char point[PATH_MAX])
{
	static struct mount_line l;
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	unsigned best = 0;

	if (!mounts)
		return -errno;
	while (best < 3 && next_mount(mounts, &l))
		if (merit(&l, of) > best) {
			best = merit(&l, of);
			memcpy(point, l.point, PATH_MAX);
		}
	fclose(mounts);
	if (best)
		unescape(point);
	return best ? 0 : -ENOENT;
}

static int open_root(int file)
{
	char point[PATH_MAX];
	struct statx sx;
	int r, fd;

	if (statx(file, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) < 0)
		return -errno;
	r = find_root(&sx, point);
	if (r < 0)
		return r;
	fd = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* --- the folder */

static int open_folder(int root, const char *name, struct stat *st)
{
	OWNED_FD folder = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (folder < 0)
		return -errno;
	/* Whoever else can write at the root might have made it, to read what is kept. */
	if (fstat(folder, st) < 0 || st->st_uid != 0 || (st->st_mode & 077))
		return -EPERM;
	return MOVE_FD(folder);
}

static int folder_of(const char *name, int file, struct stat *st)
{
	OWNED_FD root = open_root(file);
	int folder;

	if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	if (root < 0)
		return root;
	folder = open_folder(root, name, st);
	if (folder == -ENOENT && mkdirat(root, name, 0700) == 0)
		folder = open_folder(root, name, st);
	return folder == -ENOENT ? -errno : folder;
}

/* Letters and digits only: the rest of a stranger's name has no business in one of ours. */
static bool is_plain(const char *text)
{
	return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(text);
}

/* DIGEST or DIGEST.EXTENSION: the folder may hold what others put there. */
static bool is_ours(const char *name)
{
	const char *rest;

	if (strspn(name, "0123456789ABCDEF") != DIGEST_LENGTH)
		return false;
	rest = name + DIGEST_LENGTH;
	return !*rest || (*rest == '.' && strlen(rest + 1) <= EXTENSION_MAX && is_plain(rest + 1));
}

/* --- room */

struct kept {
	char name[DIGEST_LENGTH + 1 + EXTENSION_MAX + 1];
	uint64_t size;
	struct timespec when;
};

/* The oldest of a folder of any size: as many are chosen in one reading. */
#define CHOSEN 512u
struct oldest {
	struct kept list[2 * CHOSEN];
	unsigned count;
	uint64_t bytes; /* of all */
};

static int older(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	if (x->when.tv_sec != y->when.tv_sec)
		return x->when.tv_sec < y->when.tv_sec ? -1 : 1;
	return (x->when.tv_nsec > y->when.tv_nsec) - (x->when.tv_nsec < y->when.tv_nsec);
}

static void choose(struct oldest *o)
{
	qsort(o->list, o->count, sizeof(o->list[0]), older);
	if (o->count > CHOSEN)
		o->count = CHOSEN;
}

static const struct oldest *read_folder(int folder)
{
	static struct oldest found;
	struct oldest *o = &found;
	int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	struct stat st;

	o->count = 0;
	o->bytes = 0;
	while (dir && (entry = readdir(dir))) {
		struct kept *k = &o->list[o->count];

		if (!is_ours(entry->d_name) || fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		memcpy(k->name, entry->d_name, strlen(entry->d_name) + 1);
		k->size = (uint64_t)st.st_blocks * 512;
		k->when = st.st_mtim;
		o->bytes += k->size;
		if (++o->count == 2 * CHOSEN)
			choose(o);
	}
	choose(o);
	if (dir)
		closedir(dir);
	return o;
}

static bool has_free(int folder, uint64_t size)
{
	struct statvfs fs;

	if (fstatvfs(folder, &fs) < 0)
		return false;
	return (uint64_t)fs.f_bavail * fs.f_frsize >= size + (uint64_t)fs.f_blocks * fs.f_frsize / 20;
}

static bool fits(const struct archive_sum *sum, int folder, uint64_t size, uint64_t limit)
{
	return sum->bytes + size <= limit && has_free(folder, size);
}

/* Reads the folder, and if there is no room removes so many of the oldest that it need not be read again soon.
 * Returns how many. */
static unsigned remove_oldest(struct archive_sum *sum, int folder, uint64_t size, uint64_t limit)
{
	const struct oldest *o = read_folder(folder);
	const uint64_t spare = o->bytes / 16;
	unsigned removed = 0;

	sum->bytes = o->bytes;
	if (fits(sum, folder, size, limit))
		return 0;
	for (unsigned i = 0; i < o->count && !fits(sum, folder, size + spare, limit); i++)
		if (unlinkat(folder, o->list[i].name, 0) == 0) {
			sum->bytes -= o->list[i].size;
			removed++;
		}
	return removed;
}

static int make_room(struct archive_sum *sum, int folder, uint64_t size, uint64_t limit)
{
	if (size > limit)
		return -EFBIG;
	while (!fits(sum, folder, size, limit) && remove_oldest(sum, folder, size, limit))
		;
	return has_free(folder, size) ? 0 : -ENOSPC;
}

static struct archive_sum *sum_of(struct archive_sums *sums, int folder, const struct stat *st)
{
	struct archive_sum *sum;

	for (unsigned i = 0; i < ARCHIVE_SUMS; i++)
		if (sums->of[i].ino == st->st_ino && sums->of[i].dev == st->st_dev)
			return &sums->of[i];
	sum = &sums->of[sums->next++ % ARCHIVE_SUMS];
	*sum = (struct archive_sum){ .dev = st->st_dev, .ino = st->st_ino, .bytes = read_folder(folder)->bytes };
	return sum;
}

/* --- what is asked for */

int archive_new(struct archive_sums *sums, const char *name, int file, uint64_t size, uint64_t limit)
{
	struct stat st;
	OWNED_FD folder = folder_of(name, file, &st);
	int r, fd;

	if (folder < 0)
		return folder;
	r = make_room(sum_of(sums, folder, &st), folder, size, limit);
	if (r < 0)
		return r;
	fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

int archive_keep(struct archive_sums *sums, const char *name, int stored, const char *digest, const char *extension)
{
	struct stat st, added;
	OWNED_FD folder = folder_of(name, stored, &st);
	char link[32], full[128];
	struct archive_sum *sum;

	if (folder < 0)
		return folder;
	sum = sum_of(sums, folder, &st);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", stored);
	snprintf(full, sizeof(full), "%s%s%s", digest, *extension ? "." : "", extension);
	if (!is_ours(full))
		return -EINVAL;
	if (linkat(AT_FDCWD, link, folder, full, AT_SYMLINK_FOLLOW) == 0) {
		if (fstat(stored, &added) == 0)
			sum->bytes += (uint64_t)added.st_blocks * 512;
		return 0;
	}
	/* The same content once more: it is the newest again. */
	if (errno == EEXIST)
		return utimensat(folder, full, NULL, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	return -errno;
}

static int open_parent(int root, const char *path, const char **last)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_NO_SYMLINKS | (root == AT_FDCWD ? 0 : RESOLVE_IN_ROOT) };
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	long fd;

	if (!slash || path[0] != '/' || n >= sizeof(parent) || !slash[1])
		return -EINVAL;
	memcpy(parent, path, n);
	memcpy(parent + n, n ? "" : "/", n ? 1 : 2);
	*last = slash + 1;
	fd = syscall(SYS_openat2, root, parent, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

/* Between looking and removing, whoever may change the folder can put another file of theirs there: then that one
 * goes, which they could have removed themselves. */
int file_remove_below(int root, int file, const char *path)
{
	const char *last;
	OWNED_FD parent = open_parent(root, path, &last);
	struct stat opened, named;

	if (parent < 0)
		return parent;
	if (fstat(file, &opened) < 0 || fstatat(parent, last, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (opened.st_ino != named.st_ino || opened.st_dev != named.st_dev)
		return -ESTALE;
	return unlinkat(parent, last, 0) < 0 ? -errno : 0;
}

int file_remove(int file, const char *path)
{
	return file_remove_below(AT_FDCWD, file, path);
}

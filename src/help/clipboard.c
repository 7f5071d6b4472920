/* SPDX-License-Identifier: MIT */
#include "clipboard_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../base/clock.h"

#define USERS_MAX 256

/* --- who has one */

struct user {
	uid_t uid;
	gid_t gid;
	bool x, wayland;
};

struct users {
	struct user list[USERS_MAX];
	unsigned count;
};

/* Is it the prefix, and a number behind it? */
static bool is_numbered(const char *name, const char *prefix, unsigned *number)
{
	size_t n = strlen(name), n_prefix = strlen(prefix);

	if (n <= n_prefix || n > n_prefix + 5 || strncmp(name, prefix, n_prefix) != 0 ||
	    strspn(name + n_prefix, "0123456789") != n - n_prefix)
		return false;
	*number = (unsigned)strtoul(name + n_prefix, NULL, 10);
	return true;
}

/* NULL: of root, or too many. */
static struct user *user_of(struct users *users, const struct stat *st)
{
	struct user *u;

	for (u = users->list; u < users->list + users->count; u++)
		if (u->uid == st->st_uid)
			return u;
	if (st->st_uid == 0 || users->count == USERS_MAX)
		return NULL;
	users->count++;
	*u = (struct user){ .uid = st->st_uid, .gid = st->st_gid };
	return u;
}

/* The next socket that has such a name. */
static bool next_socket(DIR *folder, const char *prefix, unsigned *number, struct stat *st)
{
	struct dirent *entry;

	while ((entry = readdir(folder)))
		if (is_numbered(entry->d_name, prefix, number) &&
		    fstatat(dirfd(folder), entry->d_name, st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st->st_mode))
			return true;
	return false;
}

static void find_x(struct users *users)
{
	DIR *folder = opendir(CLIPBOARD_X_SOCKETS);
	struct user *u;
	struct stat st;
	unsigned number;

	while (folder && next_socket(folder, "X", &number, &st))
		if ((u = user_of(users, &st)))
			u->x = true;
	if (folder)
		closedir(folder);
}

/* Its owner may put a file system of his own there, which would let us wait. */
static bool is_mounted_by_others(const char *path)
{
	static char line[8192], point[4096];
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	bool others = !mounts;

	while (mounts && fgets(line, sizeof(line), mounts))
		if (sscanf(line, "%*s %*s %*s %*s %4095s", point) == 1 && strcmp(point, path) == 0)
			others = !strstr(line, " - tmpfs ");
	if (mounts)
		fclose(mounts);
	return others;
}

static bool has_wayland(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	unsigned number;
	bool has = false;

	while (folder && !has && (entry = readdir(folder)))
		has = entry->d_type == DT_SOCK && is_numbered(entry->d_name, "wayland-", &number);
	if (folder)
		closedir(folder);
	return has;
}

static void find_wayland(struct users *users)
{
	DIR *folder = opendir(CLIPBOARD_RUNTIME);
	struct dirent *entry;
	struct user *u;
	struct stat st;
	char path[sizeof(CLIPBOARD_RUNTIME) + 256];

	while (folder && (entry = readdir(folder))) {
		snprintf(path, sizeof(path), CLIPBOARD_RUNTIME "/%s", entry->d_name);
		if (strspn(entry->d_name, "0123456789") == strlen(entry->d_name) && !is_mounted_by_others(path) &&
		    lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == strtoul(entry->d_name, NULL, 10) &&
		    has_wayland(path) && (u = user_of(users, &st)))
			u->wayland = true;
	}
	if (folder)
		closedir(folder);
}

static int by_uid(const void *a, const void *b)
{
	const struct user *p = a, *q = b;

	return p->uid < q->uid ? -1 : p->uid > q->uid;
}

int help_clipboard_find(unsigned slot, struct clipboard_server *server)
{
	static struct users users;
	const struct user *u;

	users.count = 0;
	find_x(&users);
	find_wayland(&users);
	qsort(users.list, users.count, sizeof(*users.list), by_uid);
	for (u = users.list; u < users.list + users.count && slot >= (unsigned)u->x + u->wayland; u++)
		slot -= (unsigned)u->x + u->wayland;
	if (u == users.list + users.count)
		return -ENOENT;
	*server = (struct clipboard_server){ .uid = u->uid, .gid = u->gid };
	server->wayland = u->wayland && slot == u->x;
	if (server->wayland)
		return clipboard_load_wayland() ? 0 : -ENOSYS;
	server->beside_wayland = u->wayland && clipboard_load_wayland();
	return clipboard_load_x() ? 0 : -ENOSYS;
}

/* --- looking at it: from here on everything is done as that user */

unsigned clipboard_sockets(const char *path, const char *prefix, uid_t uid, unsigned numbers[CLIPBOARD_TRIES])
{
	DIR *folder = opendir(path);
	struct stat st;
	unsigned count = 0, number, at;

	while (folder && next_socket(folder, prefix, &number, &st)) {
		if (st.st_uid != uid)
			continue;
		/* In its place among the lowest; the highest falls out. */
		for (at = count; at > 0 && numbers[at - 1] > number; at--)
			if (at < CLIPBOARD_TRIES)
				numbers[at] = numbers[at - 1];
		if (at < CLIPBOARD_TRIES)
			numbers[at] = number;
		count += count < CLIPBOARD_TRIES;
	}
	if (folder)
		closedir(folder);
	return count;
}

int clipboard_connect(const char *path, uid_t uid, pid_t *pid)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	OWNED_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (strlen(path) >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0 || peer.uid != uid)
		return -ECONNREFUSED;
	if (pid)
		*pid = peer.pid;
	return MOVE_FD(fd);
}

static int sealed_text(const struct clipboard_text *text)
{
	int fd = memfd_create("clipboard", MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

	if (fd < 0)
		return -errno;
	r = help_write(fd, text->bytes, text->n);
	if (r == 0)
		r = help_seal(fd);
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

int help_clipboard(const struct clipboard_server *server, bool known, uint64_t mark, unsigned seconds,
		   struct clipboard_change *change)
{
	OWNED_HEAP char *bytes = malloc(CLIPBOARD_TEXT_MAX);
	struct clipboard_text text = { bytes, 0 };
	const struct clipboard_wait wait = { known, mark, (int64_t)now_ms() + seconds * 1000 };
	int r;

	if (!bytes)
		return -ENOMEM;
	r = server->wayland ? clipboard_wait_wayland(server, &wait, &text, change) :
			      clipboard_wait_x(server, &wait, &text, change);
	return r < 0 ? r : sealed_text(&text);
}

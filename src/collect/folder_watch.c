/* SPDX-License-Identifier: MIT */
#include "folder_watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/own.h"

#define DEPTH_MAX   8
#define DEPTH_HOME  6 /* at which those in homes begin: they have few folders */
#define FOLDERS_MAX 8192u
#define HOMES_MAX   1024u
#define EVENT_FLAGS (O_RDONLY | O_CLOEXEC | O_LARGEFILE | O_NONBLOCK | O_NOATIME)

int folder_watch_open(struct err *e)
{
	int watch = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK, EVENT_FLAGS);

	return watch < 0 ? err_set(e, errno, "opening a fanotify group for settings") : watch;
}

/* Takes the folder over. Links are not followed: they lead to where somebody else may write. */
static void mark_take(int watch, int folder, unsigned depth, unsigned *count)
{
	DIR *entries;
	const struct dirent *entry;

	if (folder < 0)
		return;
	entries = fdopendir(folder);
	if (!entries) {
		close(folder);
		return;
	}
	fanotify_mark(watch, FAN_MARK_ADD | FAN_MARK_ONLYDIR, FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD, folder, ".");
	while (depth < DEPTH_MAX && *count < FOLDERS_MAX && (entry = readdir(entries)))
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			++*count;
			mark_take(watch, openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
				  depth + 1, count);
		}
	closedir(entries);
}

void folder_watch_mark(int watch, const char *const roots[])
{
	unsigned count = 0;

	for (unsigned i = 0; roots[i]; i++)
		mark_take(watch, open(roots[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), 0, &count);
}

/* His folders are his to make links of. */
static int open_below(int home, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
				.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH };

	return (int)syscall(SYS_openat2, home, path, &how, sizeof(how));
}

static void mark_home_take(int watch, int home, const char *const files[], const char *const folders[])
{
	unsigned count = 0;

	if (home < 0)
		return;
	for (unsigned i = 0; folders[i]; i++)
		mark_take(watch, open_below(home, folders[i]), DEPTH_HOME, &count);
	for (unsigned i = 0; files[i]; i++)
		fanotify_mark(watch, FAN_MARK_ADD | FAN_MARK_DONT_FOLLOW, FAN_CLOSE_WRITE, home, files[i]);
	close(home);
}

void folder_watch_mark_homes(int watch, const char *const files[], const char *const folders[])
{
	DIR *homes = opendir("/home");
	const struct dirent *entry;
	unsigned count = 0;

	mark_home_take(watch, open("/root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), files, folders);
	while (homes && count++ < HOMES_MAX && (entry = readdir(homes)))
		if (*entry->d_name != '.')
			mark_home_take(watch, openat(dirfd(homes), entry->d_name,
						     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
				       files, folders);
	if (homes)
		closedir(homes);
}

void folder_watch_clear(int watch)
{
	fanotify_mark(watch, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL);
}

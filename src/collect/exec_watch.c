/* SPDX-License-Identifier: MIT */
#include "exec_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include "../base/own.h"

/* Descriptor mode opens the file anew for us: without O_NONBLOCK a FIFO-like file could hold us up, and
 * with atime updates each exec would write to the disk. */
#define EVENT_FLAGS (O_RDONLY | O_CLOEXEC | O_LARGEFILE | O_NONBLOCK | O_NOATIME)

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

/* A file system served by a process can hang whoever touches it, so it is never touched here; files
 * executed from one are reached through /proc/PID/exe instead. */
static bool can_hang(const char *type)
{
	return strncmp(type, "fuse", 4) == 0 || strcmp(type, "autofs") == 0 ||
	       strncmp(type, "nfs", 3) == 0 || strcmp(type, "cifs") == 0 ||
	       strcmp(type, "9p") == 0 || strcmp(type, "ceph") == 0;
}

static int mark(int watch, int dir, const char *path)
{
	if (fanotify_mark(watch, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_EXEC, dir, path) < 0)
		return -errno;
	return 0;
}

void exec_watch_refresh(int watch)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	OWNED_HEAP char *line = NULL;
	size_t size = 0;

	if (!mounts)
		return;
	while (getline(&line, &size, mounts) >= 0) {
		char *point = NULL, *type = strstr(line, " - ");
		char *rest = line;

		if (!type)
			continue;
		type += 3;
		type[strcspn(type, " \n")] = 0;
		for (unsigned column = 0; column < 5 && rest; column++)
			point = strsep(&rest, " ");
		if (!point || can_hang(type))
			continue;
		unescape(point);
		/* A file system without programs (proc, sysfs ...) may refuse the mark: nothing is missed. */
		mark(watch, AT_FDCWD, point);
	}
	fclose(mounts);
}

int exec_watch_open(struct err *e)
{
	int watch = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK, EVENT_FLAGS);

	if (watch < 0)
		return err_set(e, errno, "opening a fanotify group for executed files");
	exec_watch_refresh(watch);
	return watch;
}

int exec_watch_add(int watch, int file)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return mark(watch, AT_FDCWD, path);
}

int exec_watch_next(struct exec_watch_reader *r, int *file, uint32_t *tgid)
{
	struct fanotify_event_metadata event;

	if (r->used == r->length) {
		ssize_t n = read(r->watch, r->buffer, sizeof(r->buffer));

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		r->used = 0;
		r->length = (uint32_t)n;
	}
	if (r->length - r->used < sizeof(event))
		return 0;
	memcpy(&event, r->buffer + r->used, sizeof(event));
	if (event.event_len < sizeof(event) || event.event_len > r->length - r->used)
		return -EBADMSG;
	r->used += event.event_len;

	if (event.mask & FAN_Q_OVERFLOW)
		return -EOVERFLOW;
	*file = event.fd;
	*tgid = (uint32_t)event.pid;
	return event.fd >= 0 ? 1 : -EOVERFLOW;
}

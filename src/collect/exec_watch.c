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

/* What holds no content: writing there is talking to the kernel. */
static bool holds_content(const char *type)
{
	static const char *const doors[] = { "proc", "sysfs", "cgroup", "cgroup2", "devpts", "debugfs",
					     "tracefs", "securityfs", "bpf", "configfs", "efivarfs",
					     "binfmt_misc", "selinuxfs", "fusectl", "mqueue", "nsfs" };

	for (unsigned i = 0; i < ARRAY_SIZE(doors); i++)
		if (strcmp(type, doors[i]) == 0)
			return false;
	return true;
}

static int mark(int watch, uint64_t mask, const char *path)
{
	if (fanotify_mark(watch, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask, AT_FDCWD, path) < 0)
		return -errno;
	return 0;
}

static void mark_all(int watch, uint64_t mask)
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
		if (!point || can_hang(type) || (mask == FAN_CLOSE_WRITE && !holds_content(type)))
			continue;
		unescape(point);
		/* A file system without programs (proc, sysfs ...) may refuse the mark: nothing is missed. */
		mark(watch, mask, point);
	}
	fclose(mounts);
}

void exec_watch_refresh(int watch)
{
	mark_all(watch, FAN_OPEN_EXEC);
}

int exec_watch_open(struct err *e)
{
	int watch = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK, EVENT_FLAGS);

	if (watch < 0)
		return err_set(e, errno, "opening a fanotify group for executed files");
	exec_watch_refresh(watch);
	return watch;
}

static int mark_of_file(int watch, uint64_t mask, int file)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return mark(watch, mask, path);
}

int exec_watch_add(int watch, int file)
{
	return mark_of_file(watch, FAN_OPEN_EXEC, file);
}

/* The queue has no bound: what ran over would be a way to hide. Its reader lets go of what nobody wants at
 * once, and each file is in it once for each process that wrote it. */
int write_watch_open(struct err *e)
{
	int watch = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE,
				  EVENT_FLAGS);

	return watch < 0 ? err_set(e, errno, "opening a fanotify group for written files") : watch;
}

void write_watch_refresh(int watch)
{
	mark_all(watch, FAN_CLOSE_WRITE);
}

int write_watch_add(int watch, int file)
{
	return mark_of_file(watch, FAN_CLOSE_WRITE, file);
}

void write_watch_end(int watch)
{
	fanotify_mark(watch, FAN_MARK_FLUSH | FAN_MARK_FILESYSTEM, 0, AT_FDCWD, NULL);
}

int exec_deny_open(void)
{
	return fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK, EVENT_FLAGS);
}

int exec_deny_add(int deny, int file)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return fanotify_mark(deny, FAN_MARK_ADD, FAN_OPEN_EXEC_PERM, AT_FDCWD, path) < 0 ? -errno : 0;
}

void exec_deny_serve(int deny)
{
	struct exec_watch_reader r = { .watch = deny };
	uint32_t tgid;
	int file;

	while (exec_watch_next(&r, &file, &tgid) > 0) {
		struct fanotify_response no = { .fd = file, .response = FAN_DENY };

		if (write(deny, &no, sizeof(no)) < 0)
			fprintf(stderr, "konseki: refusing an execution: %s\n", strerror(errno));
		close(file);
	}
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

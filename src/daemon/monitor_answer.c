/* SPDX-License-Identifier: MIT */
/* What the engine asks for. One function a row; the table is made from the rows. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../collect/exec_watch.h"
#include "../collect/folder_watch.h"
#include "../help/settings.h"
#include "monitor_parts.h"
#include "paths.h"
#include "process_files.h"

static int answer_EXE(struct monitor *m, const struct message *request, union answer_body *body)
{
	(void)m;
	(void)body;
	return process_file_open(request->body.process.tgid, request->body.process.start_ns, "exe");
}

/* /proc/PID/map_files leads to the mapped file itself, also when it has no name any more. */
static int answer_MAPPED(struct monitor *m, const struct message *request, union answer_body *body)
{
	const struct body_mapping *where = &request->body.mapping;
	char name[64];

	(void)m;
	(void)body;
	snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, where->from, where->to);
	return process_file_open(where->process.tgid, where->process.start_ns, name);
}

/* A name is no evidence, and the engine shall not read what it likes: whose number the kernel side has not seen is
 * not handed out. */
static int answer_LIBRARY(struct monitor *m, const struct message *request, union answer_body *body)
{
	OWNED_FD found = -1;
	uint32_t dev;
	uint64_t ino;
	int r = cached_file_find(AT_FDCWD, request->body.library.path, &found, &dev, &ino);

	(void)body;
	if (r < 0)
		return r;
	/* While we stop there is no sensor any more to vouch for it. */
	return m->sensor && sensor_was_mapped(m->sensor, dev, ino) ? cached_file_open(found) : -EACCES;
}

static int answer_CMDLINE(struct monitor *m, const struct message *request, union answer_body *body)
{
	(void)m;
	(void)body;
	return process_file_open(request->body.process.tgid, request->body.process.start_ns,
				 "cmdline");
}

static int answer_SNAPSHOT(struct monitor *m, const struct message *request, union answer_body *body)
{
	struct err e;

	(void)request;
	(void)body;
	return sensor_snapshot(m->sensor, &e);
}

static int open_database(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int answer_PASSWD(struct monitor *m, const struct message *request, union answer_body *body)
{
	(void)m;
	(void)request;
	(void)body;
	return open_database("/etc/passwd");
}

static int answer_SERVICES(struct monitor *m, const struct message *request, union answer_body *body)
{
	(void)m;
	(void)request;
	(void)body;
	return open_database("/etc/services");
}

static int answer_PACKAGE_STATE(struct monitor *m, const struct message *request, union answer_body *body)
{
	(void)body;
	(void)m;
	(void)request;
	return open_database(PATH_PACKAGES "/status");
}

static int answer_FOLDERS(struct monitor *m, const struct message *request, union answer_body *body)
{
	(void)body;
	if (m->folder_watch < 0)
		return -EOPNOTSUPP;
	if (!request->body.toggle.on) {
		folder_watch_clear(m->folder_watch);
		return 0;
	}
	folder_watch_mark(m->folder_watch, settings_roots);
	folder_watch_mark_homes(m->folder_watch, settings_home_files, settings_home_folders);
	return 0;
}

/* No part of the way may be a link, since who owns a folder on it can put one there. */
static int open_setting_file(const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
				.resolve = RESOLVE_NO_SYMLINKS };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (fd < 0 && errno == ELOOP) {
		how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC; /* the link itself */
		fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	}
	return fd < 0 ? -errno : fd;
}

/* Only what is watched, and only a regular file or a link: the paths come from what others did. */
static int answer_SETTING_FILE(struct monitor *m, const struct message *request, union answer_body *body)
{
	const char *path = request->body.setting.text;
	struct stat st;
	OWNED_FD fd = -1;

	(void)m;
	(void)body;
	if (!settings_is_watched(path, strlen(path)) || strstr(path, "/../"))
		return -EPERM;
	fd = open_setting_file(path);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)))
		return -EINVAL;
	return MOVE_FD(fd);
}

static int answer_WATCH(struct monitor *m, const struct message *request, union answer_body *body)
{
	OWNED_FD file = -1;

	(void)body;
	if (m->exec_watch < 0)
		return -EOPNOTSUPP;
	file = process_file_open(request->body.process.tgid, request->body.process.start_ns, "exe");
	if (file < 0)
		return file;
	if (m->held.watches_writes)
		write_watch_add(m->write_watch, file);
	return exec_watch_add(m->exec_watch, file);
}

/* What readlink() shows of a file that lost its name looks like a name with this ending. */
static bool is_mark_of_deletion(const char *path, size_t n, int file)
{
	static const char mark[] = " (deleted)";
	const size_t length = sizeof(mark) - 1;
	struct stat named, opened;

	if (n < length || memcmp(path + n - length, mark, length) != 0)
		return false;
	return fstat(file, &opened) < 0 || lstat(path, &named) < 0 || named.st_ino != opened.st_ino ||
	       named.st_dev != opened.st_dev;
}

static int answer_PATH(struct monitor *m, const struct message *request, union answer_body *body)
{
	struct body_path *p = &body->path;
	char link[32], path[KS_PATH_MAX + 1];
	ssize_t n;

	(void)m;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", request->fds[0]);
	n = readlink(link, path, KS_PATH_MAX);
	if (n < 0)
		return -errno;
	path[n] = 0;
	p->deleted = is_mark_of_deletion(path, (size_t)n, request->fds[0]);
	if (p->deleted)
		n -= (ssize_t)strlen(" (deleted)");
	p->length = (uint32_t)n;
	memcpy(p->bytes, path, (size_t)n);
	return 0;
}

static int answer_FILE(struct monitor *m, const struct message *request, union answer_body *body)
{
	const struct body_file *b = &request->body.file;
	const struct ks_file_id id = { .ino = b->ino, .dev = b->dev, .fs_magic = b->fs_magic };

	(void)m;
	(void)body;
	return named_file_open(b->process.tgid, b->process.start_ns, b->path, &id);
}

static int answer_STORE(struct monitor *m, const struct message *request, union answer_body *body)
{
	const struct body_archive *b = &request->body.archive;

	(void)body;
	return archive_new(&m->archives, b->folder, request->fds[0], b->size, m->start->options->archive_size);
}

static int answer_KEEP(struct monitor *m, const struct message *request, union answer_body *body)
{
	const struct body_archive *b = &request->body.archive;

	(void)body;
	return archive_keep(&m->archives, b->folder, request->fds[0], b->digest, b->extension);
}

/* The path is that of the file system as we see it, or as the process that wrote the file does. */
static int answer_BLOCK(struct monitor *m, const struct message *request, union answer_body *body)
{
	const struct body_process *by = &request->body.process;
	char seen[KS_PATH_MAX + 64];
	int r;

	if (m->exec_deny >= 0)
		exec_deny_add(m->exec_deny, request->fds[0]);
	r = answer_PATH(m, request, body);
	if (r < 0)
		return r;
	r = snprintf(seen, sizeof(seen), "%.*s", (int)body->path.length, body->path.bytes);
	r = file_remove(request->fds[0], seen);
	if (r == -ESTALE || r == -ENOENT) {
		OWNED_FD root = process_file_open(by->tgid, by->start_ns, "root");

		if (root >= 0)
			r = file_remove_below(root, request->fds[0], seen);
	}
	return r;
}

/* The contents of written files are looked at only when a rule asks for it. */
static void watch_writes(struct monitor *m, bool wanted)
{
	if (m->write_watch < 0 || wanted == m->held.watches_writes)
		return;
	m->held.watches_writes = wanted;
	if (wanted)
		write_watch_refresh(m->write_watch);
	else
		write_watch_end(m->write_watch);
}

static int answer_WANT(struct monitor *m, const struct message *request, union answer_body *body)
{
	bool wanted[KS_RECORD_COUNT];
	struct err e;
	int r;

	(void)body;
	if (m->stopping) /* before the engine had its first rules: nothing is attached any more */
		return 0;
	for (unsigned i = 0; i < KS_RECORD_COUNT; i++) {
		wanted[i] = request->body.want.wanted[i] != 0;
		m->wanted[i] = wanted[i];
	}
	watch_writes(m, wanted[KS_FILE_EXE_DETECTED] || wanted[KS_FILE_BLOCK_EXE] || wanted[KS_FILE_DELETE]);
	r = sensor_want(m->sensor, wanted, &e);
	/* Also after a failure: some hooks may have come or gone. */
	held_send(m);
	return r;
}

static int answer_NEWLOG(struct monitor *m, const struct message *request, union answer_body *body)
{
	(void)body;
	return m->stopping ? -ESHUTDOWN : place_new_log(m, request->body.toggle.on);
}

static int answer_SEALS(struct monitor *m, const struct message *request, union answer_body *body)
{
	(void)request;
	(void)body;
	return m->seal < 0 ? -ENOENT : fcntl(m->seal, F_DUPFD_CLOEXEC, 0);
}

static int (*const answers[MESSAGE_KINDS])(struct monitor *, const struct message *, union answer_body *) = {
#define ENGINE_ASKS(name, ...) [ASK_##name] = answer_##name,
#include "requests.def"
};

int answer_engine(struct monitor *m, const struct message *request, union answer_body *body)
{
	return answers[request->head.kind](m, request, body);
}

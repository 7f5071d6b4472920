/* SPDX-License-Identifier: MIT */
/* The log's files by name: opening them, putting full ones aside, seeing that they are where they should be. The engine
 * writes into what it is handed from here. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../event/event.h"
#include "../evtx/format.h"
#include "host.h"
#include "monitor_parts.h"
#include "paths.h"

#define MISPLACED_EVERY_MS 600000
#define PRUNE_EVERY_MS     60000
#define FIRST_BYTES        (EVTX_FILE_HEADER_SIZE + EVTX_CHUNK_SIZE)
#define ENDING             ".evtx"
#define NAME_ROOM          320 /* the log's path, a time and endings */

/* --- opening */

static bool is_zero(const uint8_t *bytes, size_t n)
{
	while (n > 0 && bytes[n - 1] == 0)
		n--;
	return n == 0;
}

/* Somebody's letter is not ours to write over. A file that is empty or all zeroes (a crash while it was made)
 * is as good as new: 1 for an event log, 0 for a new one. */
static int look_at_log(int log, struct evtx_file_header *h)
{
	uint8_t head[128] = { 0 };
	ssize_t n = pread(log, head, sizeof(head), 0);
	int r;

	if (n < 0)
		return -errno;
	if (is_zero(head, sizeof(head)))
		return 0;
	r = n < (ssize_t)sizeof(head) ? -EBADMSG : evtx_file_header_read(head, h);
	return r < 0 && r != -EILSEQ ? r : 1;
}

/* The former run's end, as far as the file tells: a log that was not closed was cut off, and the last
 * write to it is the last that was seen. */
static void tell_gap(int log, const struct evtx_file_header *h, char *gap, size_t size)
{
	struct stat st;
	char from[24], to[24];

	if (!(h->flags & EVTX_FILE_DIRTY) || fstat(log, &st) < 0)
		return;
	utc_text(time_ns(st.st_mtim), from);
	utc_text(now_utc_ns(), to);
	snprintf(gap, size, "The former run was cut off: not watching from %s (last record) to %s",
		 from, to);
}

/* The group that may read logs, 0 where there is none. */
static gid_t log_readers(void)
{
	struct group *adm = NULL;
	FILE *groups = fopen("/etc/group", "re");
	gid_t gid;

	while (groups && (adm = fgetgrent(groups)))
		if (strcmp(adm->gr_name, "adm") == 0)
			break;
	gid = adm ? adm->gr_gid : 0;
	if (groups)
		fclose(groups);
	return gid;
}

static void give_to_log_readers(int fd)
{
	gid_t adm = log_readers();

	if (adm && fchown(fd, (uid_t)-1, adm) < 0)
		fprintf(stderr, "konseki: giving the log to group adm: %s\n", strerror(errno));
}

static int make_log_folder(struct err *e)
{
	OWNED_FD folder = -1;

	if (mkdir(PATH_LOGS, 0750) < 0 && errno != EEXIST)
		return err_set(e, errno, "making the folder '%s'", PATH_LOGS);
	folder = open(PATH_LOGS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return err_set(e, errno, "opening the folder '%s'", PATH_LOGS);
	give_to_log_readers(folder);
	return 0;
}

static int open_log(struct monitor *m, int *log, struct err *e)
{
	const char *path = m->start->options->log_path;
	struct evtx_file_header h = { 0 };
	struct stat st;
	int r;

	if (m->start->options->service && make_log_folder(e) < 0)
		return -e->code;
	*log = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
	if (*log < 0)
		return err_set(e, errno,
			       "opening the log '%s' for writing (another place: --log FILE)", path);
	if (fstat(*log, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, EBADMSG, "the log '%s' is no regular file", path);
	r = look_at_log(*log, &h);
	if (r < 0)
		return err_set(e, r == -EBADMSG ? EBADMSG : -r,
			       "'%s' is no event log and is left as it is", path);
	if (fchmod(*log, 0640) < 0)
		return err_set(e, errno, "setting the mode of '%s'", path);
	give_to_log_readers(*log);
	if (r > 0)
		tell_gap(*log, &h, m->held.start.gap, sizeof(m->held.start.gap));
	return 0;
}

/* The installation's key, or that of a run in a terminal; without one the log is not sealed. */
static int open_key(struct monitor *m, struct err *e)
{
	const struct watch_options *o = m->start->options;

	m->seal_key = o->seal_key;
	if (!o->service)
		return 0;
	m->seal_key = open(PATH_SEAL_KEY, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	return m->seal_key < 0 && errno != ENOENT ? err_set(e, errno, "opening '%s'", PATH_SEAL_KEY) : 0;
}

static int open_seals(const struct monitor *m, int *seals, struct err *e)
{
	char path[NAME_ROOM];

	snprintf(path, sizeof(path), "%s" SEAL_SUFFIX, m->start->options->log_path);
	*seals = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
	if (*seals < 0 || fchmod(*seals, 0640) < 0)
		return err_set(e, errno, "opening '%s'", path);
	give_to_log_readers(*seals);
	return 0;
}

int log_files_open(struct monitor *m, struct err *e)
{
	if (open_log(m, &m->log, e) < 0 || open_key(m, e) < 0)
		return -e->code;
	return m->seal_key < 0 ? 0 : open_seals(m, &m->seal, e);
}

/* A member may give its files to the group; otherwise that would take a capability more. */
void join_log_readers(void)
{
	gid_t adm = log_readers();

	if (adm && setgroups(1, &adm) < 0)
		fprintf(stderr, "konseki: joining group adm: %s\n", strerror(errno));
}

/* --- archives */

static bool has_its_name(int fd, const char *path)
{
	struct stat file, named;

	return fstat(fd, &file) == 0 && lstat(path, &named) == 0 && file.st_dev == named.st_dev &&
	       file.st_ino == named.st_ino;
}

/* Room for the first records: the engine cannot go back. A file system that cannot promise it says so. */
static int reserve(int fd, struct err *e)
{
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, FIRST_BYTES) < 0 && errno != EOPNOTSUPP)
		return err_set(e, errno, "room for a new file");
	return 0;
}

static int make_new_log(struct monitor *m, int *log, int *seals, struct err *e)
{
	int r = open_log(m, log, e);

	if (r == 0)
		r = reserve(*log, e);
	if (r == 0 && m->seal >= 0)
		r = open_seals(m, seals, e);
	return r == 0 && m->seal >= 0 ? reserve(*seals, e) : r;
}

/* NAME.evtx becomes NAME-20261124T031417Z.evtx; a second one within a second waits. */
static int name_of_archive(const char *path, char aside[NAME_ROOM])
{
	size_t n = strlen(path), end = strlen(ENDING);
	time_t now = time(NULL);
	struct tm utc;
	char when[32];

	if (n > end && strcmp(path + n - end, ENDING) == 0)
		n -= end;
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
	snprintf(aside, NAME_ROOM, "%.*s-%s" ENDING, (int)n, path, when);
	return access(aside, F_OK) == 0 ? -EAGAIN : 0;
}

/* With its seals. */
static int rename_log(const struct monitor *m, const char *from, const char *to)
{
	char seals[NAME_ROOM + sizeof(SEAL_SUFFIX)], seals_to[sizeof(seals)];

	snprintf(seals, sizeof(seals), "%s" SEAL_SUFFIX, from);
	snprintf(seals_to, sizeof(seals_to), "%s" SEAL_SUFFIX, to);
	if (m->seal >= 0 && has_its_name(m->seal, seals) && rename(seals, seals_to) < 0)
		return -errno;
	return rename(from, to) < 0 ? -errno : 0;
}

static int delete_log(const char *path)
{
	char seals[NAME_ROOM + sizeof(SEAL_SUFFIX)];

	snprintf(seals, sizeof(seals), "%s" SEAL_SUFFIX, path);
	unlink(seals);
	return unlink(path);
}

/* The archive goes only when its successor stands, and gets its name back when none can be made. */
static int replace_log(struct monitor *m, int *log, int *seals, struct err *e)
{
	const char *path = m->start->options->log_path;
	bool is_there = has_its_name(m->log, path);
	char aside[NAME_ROOM];
	int r = is_there ? name_of_archive(path, aside) : 0;

	if (r == 0 && is_there)
		r = rename_log(m, path, aside);
	if (r < 0)
		return r;
	r = make_new_log(m, log, seals, e);
	if (r < 0 && is_there)
		rename_log(m, aside, path);
	else if (r == 0 && is_there && m->clearing && !m->clear_keeps)
		delete_log(aside);
	return r;
}

int place_new_log(struct monitor *m, bool put_aside)
{
	OWNED_FD log = -1, seals = -1;
	struct err e = { 0 };
	int r;

	if (!put_aside && has_its_name(m->log, m->start->options->log_path))
		return -EBUSY;
	r = replace_log(m, &log, &seals, &e);
	if (r < 0) {
		fprintf(stderr, "konseki: a new file for the log: %s\n", *e.text ? e.text : strerror(-r));
		return r;
	}
	m->clear_begun = m->clearing;
	close(m->log);
	m->log = MOVE_FD(log);
	if (m->seal >= 0) {
		close(m->seal);
		m->seal = MOVE_FD(seals);
	}
	m->pruned_ms = 0;
	held_send(m);
	return fcntl(m->log, F_DUPFD_CLOEXEC, 0);
}

struct archives {
	char oldest[NAME_MAX + 1];
	uint64_t bytes, age_s; /* of all; of the oldest */
};

/* Their names sort by time. */
static bool find_archives(const char *folder, const char *pattern, struct archives *a)
{
	DIR *d = opendir(folder);
	const struct dirent *entry;
	struct stat st;

	*a = (struct archives){ 0 };
	while (d && (entry = readdir(d))) {
		if (fnmatch(pattern, entry->d_name, 0) != 0 ||
		    fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		a->bytes += (uint64_t)st.st_size;
		if (*a->oldest && strcmp(entry->d_name, a->oldest) > 0)
			continue;
		snprintf(a->oldest, sizeof(a->oldest), "%s", entry->d_name);
		a->age_s = time(NULL) > st.st_mtime ? (uint64_t)(time(NULL) - st.st_mtime) : 0;
	}
	if (d)
		closedir(d);
	return *a->oldest;
}

static void prune(const struct monitor *m)
{
	const struct watch_options *o = m->start->options;
	const char *slash = strrchr(o->log_path, '/');
	char folder[NAME_ROOM], pattern[NAME_ROOM], path[NAME_ROOM];
	struct archives a;

	snprintf(folder, sizeof(folder), "%.*s", (int)(slash - o->log_path), o->log_path);
	snprintf(pattern, sizeof(pattern), "%.*s-[0-9]*T[0-9]*Z" ENDING, (int)(strlen(slash + 1) - strlen(ENDING)),
		 slash + 1);
	while (find_archives(folder, pattern, &a)) {
		if (a.bytes <= o->archive_bytes && (!o->archive_days || a.age_s < o->archive_days * 86400ull))
			return;
		if (snprintf(path, sizeof(path), "%s/%s", folder, a.oldest) >= (int)sizeof(path) || delete_log(path) < 0)
			return;
	}
}

/* --- is it where it should be? */

static void tell_place(struct monitor *m, bool right)
{
	char link[40], now[200], text[240];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", m->log);
	n = readlink(link, now, sizeof(now) - 1);
	now[n < 0 ? 0 : n] = 0;
	snprintf(text, sizeof(text), "%s%.150s", right ? "The log is at its place again: " :
		 "The log was moved or covered, and is written on where it is: ", now);
	fprintf(stderr, "konseki: %s\n", text);
	note(m, text);
}

/* A file without any name is the engine's to notice: it asks for another. */
static void look_at_place(struct monitor *m)
{
	bool right = has_its_name(m->log, m->start->options->log_path);
	struct stat st;

	if (!right && (fstat(m->log, &st) < 0 || st.st_nlink == 0))
		return;
	if (right ? !m->misplaced : m->misplaced && now_ms() - m->misplaced_ms < MISPLACED_EVERY_MS)
		return;
	tell_place(m, right);
	m->misplaced = !right;
	m->misplaced_ms = now_ms();
}

void log_files_tick(struct monitor *m)
{
	if (m->stopping || m->log < 0)
		return;
	look_at_place(m);
	if (m->start->options->archive_bytes && (!m->pruned_ms || now_ms() - m->pruned_ms >= PRUNE_EVERY_MS)) {
		prune(m);
		m->pruned_ms = now_ms();
	}
}

/* SPDX-License-Identifier: MIT */
#include "forwards.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/clock.h"
#include "files.h"
#include "host.h"
#include "paths.h"
#include "privilege.h"
#include "supervisor.h"

#define END_WAIT_MS 8000
#define NICE        10

/* --- what a forwarder is given */

void forward_path(const char *name, const char *ending, char out[FORWARD_PATH_MAX])
{
	snprintf(out, FORWARD_PATH_MAX, PATH_FORWARD "/%s%s", name, ending);
}

int forward_make_folder(struct err *e)
{
	return mkdir(PATH_FORWARD, 0700) < 0 && errno != EEXIST ?
		       err_set(e, errno, "making the folder '%s'", PATH_FORWARD) : 0;
}

static int open_in_folder(const char *name, const char *ending, int flags, struct err *e)
{
	char path[FORWARD_PATH_MAX];
	int fd;

	if (forward_make_folder(e) < 0)
		return -e->code;
	forward_path(name, ending, path);
	fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? err_set(e, errno, "opening '%s'", path) : fd;
}

int forward_read_secret(struct forward_target *t, struct err *e)
{
	OWNED_FD fd = open_in_folder(t->name, FORWARD_SECRET, O_RDONLY, e);
	ssize_t n;

	t->secret[0] = 0;
	if (fd < 0)
		return e->code == ENOENT ? 0 : -e->code;
	n = read(fd, t->secret, sizeof(t->secret) - 1);
	if (n < 0 || n == sizeof(t->secret) - 1)
		return err_set(e, n < 0 ? errno : EFBIG, "reading the secret of '%s'", t->name);
	t->secret[n] = 0;
	t->secret[strcspn(t->secret, "\r\n")] = 0;
	return 0;
}

/* Two at once would both move it. */
static int open_bookmark(const char *name, struct err *e)
{
	OWNED_FD fd = open_in_folder(name, FORWARD_BOOKMARK, O_RDWR | O_CREAT, e);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, errno, "another process sends to '%s'", name);
	return MOVE_FD(fd);
}

void forward_identity(struct identity *id)
{
	*id = (struct identity){ 0 };
	host_number(id->host, sizeof(id->host));
	files_read_text("/proc/sys/kernel/random/boot_id", id->boot, sizeof(id->boot));
	id->boot[strcspn(id->boot, "\n")] = 0;
	host_name(id->computer, sizeof(id->computer));
	snprintf(id->log, sizeof(id->log), "0");
}

int forward_open_sealed(const struct forward_target *t, const struct identity *id, struct sink **sink, struct err *e)
{
	int r;

	signal(SIGPIPE, SIG_IGN); /* forward/stream.h */
	r = t->row->open(t, id, sink, e);
	return r < 0 ? r : privilege_seal_forwarder(e);
}

/* --- the log's files */

static int is_archive(const struct dirent *entry)
{
	return fnmatch("*-[0-9]*T[0-9]*Z.evtx", entry->d_name, 0) == 0;
}

static void add_file(struct forwarder_start *s, const char *path)
{
	char seals[PATH_MAX];
	int log = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (log < 0)
		return;
	snprintf(seals, sizeof(seals), "%s" SEAL_SUFFIX, path);
	s->files[s->file_count].log = log;
	s->files[s->file_count++].seals = open(seals, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* Archives, whose names sort by time, then the log. */
static void open_files(struct forwarder_start *s, const char *log_path)
{
	const char *slash = strrchr(log_path, '/');
	char folder[PATH_MAX], path[PATH_MAX];
	struct dirent **names = NULL;
	int count;

	snprintf(folder, sizeof(folder), "%.*s", (int)(slash - log_path), log_path);
	count = scandir(folder, &names, is_archive, alphasort);
	for (int i = 0; i < count; i++) {
		if (i >= count - (int)FORWARD_FILES_MAX + 1 &&
		    snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name) < (int)sizeof(path))
			add_file(s, path);
		free(names[i]);
	}
	free(names);
	add_file(s, log_path);
}

/* --- the process */

static void keep_only(const struct forwarder_start *s)
{
	int keep[2 * FORWARD_FILES_MAX + 2];
	unsigned n = 0;

	for (unsigned i = 0; i < s->file_count; i++) {
		keep[n++] = s->files[i].log;
		if (s->files[i].seals >= 0)
			keep[n++] = s->files[i].seals;
	}
	keep[n++] = s->bookmark;
	keep[n++] = s->until;
	files_close_all_but(keep, n);
}

static void __attribute__((noreturn)) be_forwarder(struct forwards *f, unsigned i, int until)
{
	static struct forward_target target; /* with its secret, which the others need not have */
	static struct identity identity;
	struct forwarder_start s = { .target = &target, .identity = &identity, .until = until, .shown = &f->shown[i] };
	struct err e = { 0 };
	int r;

	prctl(PR_SET_NAME, "konseki-forward");
	target = f->one[i].target;
	s.bookmark = open_bookmark(target.name, &e);
	r = s.bookmark < 0 ? -e.code : forward_read_secret(&target, &e);
	forward_identity(&identity);
	open_files(&s, f->log_path);
	keep_only(&s);
	companion_leave_signals();
	setpriority(PRIO_PROCESS, 0, NICE);
	if (r == 0 && s.file_count == 0)
		r = err_set(&e, ENOENT, "the log");
	if (r == 0)
		r = forward_open_sealed(&target, &identity, &s.sink, &e);
	if (r == 0)
		r = forwarder_run(&s, &e);
	if (r < 0)
		snprintf(s.shown->text, sizeof(s.shown->text), "%.190s", e.text);
	_exit(r < 0 ? 2 : 0);
}

/* --- who looks after them */

static void note_settings(struct forwards *f)
{
	if (stat(PATH_SETTINGS, &f->settings) < 0)
		memset(&f->settings, 0, sizeof(f->settings));
}

static struct timespec secret_time(const char *name)
{
	char path[FORWARD_PATH_MAX];
	struct stat st = { 0 };

	forward_path(name, FORWARD_SECRET, path);
	return stat(path, &st) == 0 ? st.st_mtim : (struct timespec){ 0 };
}

static void put(struct forwards *f, unsigned i, const struct forward_target *t)
{
	f->one[i].target = *t;
	f->one[i].secret = secret_time(t->name);
	f->one[i].failures = 0;
	f->one[i].start_ms = now_ms();
	f->shown[i] = (struct forwarded){ .on = 1 };
	snprintf(f->shown[i].name, sizeof(f->shown[i].name), "%s", t->name);
	snprintf(f->shown[i].sink, sizeof(f->shown[i].sink), "%.30s", t->row->name);
}

int forwards_init(struct forwards *f, const struct settings *s, const char *log_path)
{
	*f = (struct forwards){ .log_path = log_path };
	f->shown = mmap(NULL, FORWARD_TARGETS_MAX * sizeof(*f->shown), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (f->shown == MAP_FAILED)
		return -errno;
	note_settings(f);
	for (unsigned i = 0; i < s->forward_count; i++)
		put(f, i, &s->forward[i]);
	return 0;
}

static void start(struct forwards *f, unsigned i)
{
	int until;

	if (companion_start(&f->one[i].process, &until))
		be_forwarder(f, i, until);
}

static void forget(struct forwards *f, unsigned i)
{
	memset(&f->one[i], 0, sizeof(f->one[i]));
	memset(&f->shown[i], 0, sizeof(f->shown[i]));
}

static void ended(struct forwards *f, unsigned i, int status)
{
	bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	f->one[i].failures = well ? 0 : f->one[i].failures + 1;
	f->one[i].start_ms = now_ms() + restart_delay_ms(f->one[i].failures + 1);
	if (!well && f->one[i].failures == 1)
		fprintf(stderr, "konseki: forwarding to '%s' ended: %s\n", f->one[i].target.name,
			WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : f->shown[i].text);
	if (f->one[i].dismissed)
		forget(f, i);
}

/* Ends it as the service's end does. */
static void dismiss(struct forwards *f, unsigned i)
{
	f->one[i].dismissed = true;
	companion_dismiss(&f->one[i].process);
	if (f->one[i].process.pid == 0)
		forget(f, i);
}

static const struct forward_target *target_named(const struct settings *s, const char *name)
{
	for (unsigned i = 0; i < s->forward_count; i++)
		if (strcmp(s->forward[i].name, name) == 0)
			return &s->forward[i];
	return NULL;
}

static int slot_of(const struct forwards *f, const char *name)
{
	for (int i = 0; i < (int)FORWARD_TARGETS_MAX; i++)
		if (f->one[i].target.row && strcmp(f->one[i].target.name, name) == 0)
			return i;
	return -1;
}

static int free_slot(const struct forwards *f)
{
	for (int i = 0; i < (int)FORWARD_TARGETS_MAX; i++)
		if (!f->one[i].target.row)
			return i;
	return -1;
}

static bool is_as_wanted(const struct forwards *f, unsigned i, const struct settings *s)
{
	const struct forward_target *wanted = target_named(s, f->one[i].target.name);
	struct timespec secret = secret_time(f->one[i].target.name);

	return wanted && memcmp(wanted, &f->one[i].target, sizeof(*wanted)) == 0 &&
	       memcmp(&secret, &f->one[i].secret, sizeof(secret)) == 0;
}

/* False: something must wait until one that is dismissed has ended. */
static bool follow_settings(struct forwards *f, const struct settings *s)
{
	bool all = true;

	for (unsigned i = 0; i < FORWARD_TARGETS_MAX; i++)
		if (f->one[i].target.row && !is_as_wanted(f, i, s))
			dismiss(f, i);
	for (unsigned k = 0; k < s->forward_count; k++) {
		int i = slot_of(f, s->forward[k].name);

		if (i >= 0 && !f->one[i].dismissed)
			continue;
		i = i >= 0 ? -1 : free_slot(f);
		if (i >= 0)
			put(f, (unsigned)i, &s->forward[k]);
		all = all && i >= 0;
	}
	return all;
}

static void look_at_settings(struct forwards *f)
{
	static struct settings s; /* large */
	struct stat before = f->settings;
	struct err e = { 0 };

	note_settings(f);
	if (before.st_ino == f->settings.st_ino && before.st_size == f->settings.st_size &&
	    memcmp(&before.st_mtim, &f->settings.st_mtim, sizeof(before.st_mtim)) == 0)
		return;
	if (settings_load(PATH_SETTINGS, &s, &e) < 0) {
		fprintf(stderr, "konseki: the settings are as before: %s\n", e.text);
		return;
	}
	if (!follow_settings(f, &s))
		memset(&f->settings, 0, sizeof(f->settings)); /* look again */
}

void forwards_begin(struct forwards *f)
{
	f->begun = true;
	forwards_look_after(f);
}

void forwards_look_after(struct forwards *f)
{
	if (!f->begun)
		return;
	look_at_settings(f);
	for (unsigned i = 0; i < FORWARD_TARGETS_MAX; i++) {
		int status;

		if (companion_has_ended(&f->one[i].process, &status))
			ended(f, i, status);
		if (f->one[i].target.row && f->one[i].process.pid == 0 && now_ms() >= f->one[i].start_ms)
			start(f, i);
	}
}

void forwards_change_files(struct forwards *f)
{
	for (unsigned i = 0; i < FORWARD_TARGETS_MAX; i++) {
		const struct companion *c = &f->one[i].process;

		if (c->pid > 0 && c->until >= 0 && write(c->until, "", 1) < 0)
			fprintf(stderr, "konseki: telling a forwarder of the log's new file: %s\n", strerror(errno));
	}
}

void forwards_end(struct forwards *f)
{
	uint64_t kill_ms = now_ms() + END_WAIT_MS;

	for (unsigned i = 0; i < FORWARD_TARGETS_MAX; i++)
		companion_dismiss(&f->one[i].process);
	for (unsigned i = 0; i < FORWARD_TARGETS_MAX; i++)
		companion_end(&f->one[i].process, kill_ms);
}

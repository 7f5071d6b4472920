/* SPDX-License-Identifier: MIT */
/* Operations on files. What the ledger says of them: a regular file made, put under a name or overwritten
 * by O_TRUNC is a FileCreate of its final path; one that loses a name is a FileDelete of that path. Times set by hand,
 * attributes, what is mapped executable, and FIFOs made and opened have events of their own. Other kinds of files,
 * failures and calls that change nothing are none. */
#include "truth.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LONG "long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-"

/* What stands before and behind the number in a name. */
static const struct { const char *before, *behind; } name_forms[] = {
	{ "f", "" },
	{ "with blank ", " " },
	{ "two\nlines ", "" },
	{ "\"quotes\" 'n' ", "" },
	{ "\xff\xfe bytes ", "\xc0" },
	{ "caf\xc3\xa9 ", "" },
	{ "\\x41 looks escaped ", "" },
	{ "tab\t", "\r" },
	{ "\x1b[31mred ", "\x7f" },
	{ "<&>]]>", "" },
	{ "cut ", "\xe2\x82" },
	{ "", " \xf0\x9f\x98\x80" },
	{ "back\\slash ", "\\" },
	{ "-rf ", "*" },
	{ "%s", "%n" },
	{ LONG LONG, "" },
};

static struct slot *slot_in_state(struct actor *a, bool exists, const struct area *area)
{
	size_t first = choose(a, SLOTS);

	for (size_t i = 0; i < SLOTS; i++) {
		size_t at = (first + i) % SLOTS;

		if (a->slots[at].exists == exists &&
		    (!area || area == &a->worker->areas[at % a->worker->area_count]))
			return &a->slots[at];
	}
	return NULL;
}

static size_t area_number(const struct actor *a, const struct slot *s)
{
	return (size_t)(s - a->slots) % a->worker->area_count;
}

/* A slot whose file does not exist gets a new name with each use, mostly; sometimes it keeps the old one, so
 * that one name comes and goes many times. */
static struct slot *new_slot(struct actor *a, const struct area *area)
{
	struct slot *s = slot_in_state(a, false, area);
	uint64_t form;

	if (!s || (s->name[0] && choose(a, 3) == 0))
		return s;
	s->directory = (unsigned)choose(a, DIRECTORIES);
	form = choose(a, ARRAY_SIZE(name_forms));
	snprintf(s->name, sizeof(s->name), "%s%llu%s", name_forms[form].before,
		 (unsigned long long)(a->serial++ * SLOTS + (uint64_t)(s - a->slots)),
		 name_forms[form].behind);
	return s;
}

static struct slot *old_slot(struct actor *a)
{
	return slot_in_state(a, true, NULL);
}

static const struct area *area_of(const struct actor *a, const struct slot *s)
{
	return &a->worker->areas[area_number(a, s)];
}

/* This name in the directory of a slot. */
static struct place place_beside(const struct actor *a, const struct slot *s, const char *name)
{
	size_t n = area_number(a, s);
	const struct area *directory = &a->directories[n][s->directory];
	struct place p = { .directory = a->descriptors[n][s->directory], .name = name };

	path_join(p.path, directory->access, name);
	path_join(p.report, directory->report, name);
	return p;
}

static struct place place_of(const struct actor *a, const struct slot *s)
{
	return place_beside(a, s, s->name);
}

bool place_unused(struct actor *a, struct place *ret)
{
	const struct slot *s = new_slot(a, NULL);

	if (s)
		*ret = place_of(a, s);
	return s;
}

static void created(const struct actor *a, const char *how, const struct place *p, uint64_t since)
{
	ledger_file(a, EVENT_FILE_CREATE, how, p->report, since);
}

static void deleted(const struct actor *a, const char *how, const struct place *p, uint64_t since)
{
	ledger_file(a, EVENT_FILE_DELETE, how, p->report, since);
}

/* --- One file made. Each row: a call that makes it, and returns a descriptor, 0 or -errno. --- */

static int by_open(struct actor *a, const struct place *p)
{
	(void)a;
	return open(p->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static int by_open_truncating(struct actor *a, const struct place *p)
{
	(void)a;
	return open(p->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static int by_openat(struct actor *a, const struct place *p)
{
	(void)a;
	return openat(p->directory, p->name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static int by_openat_dots(struct actor *a, const struct place *p)
{
	char dots[NAME_MAX + 8];

	(void)a;
	snprintf(dots, sizeof(dots), "././/%s", p->name);
	return openat(p->directory, dots, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int by_openat2(struct actor *a, const struct place *p)
{
	struct open_how how = { .flags = O_WRONLY | O_CREAT | O_CLOEXEC, .mode = 0600,
				.resolve = RESOLVE_BENEATH };

	(void)a;
	return (int)syscall(SYS_openat2, p->directory, p->name, &how, sizeof(how));
}

static int by_creat(struct actor *a, const struct place *p)
{
	(void)a;
	return creat(p->path, 0600);
}

static int by_mknod(struct actor *a, const struct place *p)
{
	(void)a;
	return mknod(p->path, S_IFREG | 0600, 0);
}

static int by_mknodat(struct actor *a, const struct place *p)
{
	(void)a;
	return mknodat(p->directory, p->name, 0600, 0);
}

/* An unnamed file that gets its name later: one event, for the name. */
static int by_tmpfile(struct actor *a, const struct place *p)
{
	int fd = openat(p->directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char self[64];

	(void)a;
	if (fd < 0)
		return fd;
	snprintf(self, sizeof(self), "self/fd/%d", fd);
	if (linkat(proc_directory(), self, p->directory, p->name, AT_SYMLINK_FOLLOW) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int by_uring(struct actor *a, const struct place *p)
{
	struct io_uring_sqe e = { .opcode = IORING_OP_OPENAT, .fd = p->directory,
				  .addr = (uintptr_t)p->name, .len = 0600,
				  .open_flags = O_RDWR | O_CREAT | O_CLOEXEC };

	return uring_do(&a->ring, &e);
}

static int by_uring_worker(struct actor *a, const struct place *p)
{
	struct io_uring_sqe e = { .opcode = IORING_OP_OPENAT, .flags = IOSQE_ASYNC, .fd = AT_FDCWD,
				  .addr = (uintptr_t)p->path, .len = 0600,
				  .open_flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC };

	return uring_do(&a->ring, &e);
}

static int by_uring_openat2(struct actor *a, const struct place *p)
{
	struct open_how how = { .flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, .mode = 0600 };
	struct io_uring_sqe e = { .opcode = IORING_OP_OPENAT2, .fd = p->directory,
				  .addr = (uintptr_t)p->name, .len = sizeof(how),
				  .off = (uintptr_t)&how };

	return uring_do(&a->ring, &e);
}

enum { I386_OPEN = 5, I386_CREAT = 8, I386_LINK = 9, I386_UNLINK = 10, I386_MKNOD = 14,
       I386_RENAME = 38, I386_OPENAT = 295, I386_UNLINKAT = 301 };

static uintptr_t low(struct actor *a, unsigned which, const char *text)
{
	char *at = a->low_page + which * PATH_MAX;

	strcpy(at, text); /* a path: shorter than PATH_MAX */
	return (uintptr_t)at;
}

static int by_open32(struct actor *a, const struct place *p)
{
	return call32(I386_OPEN, low(a, 0, p->path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static int by_creat32(struct actor *a, const struct place *p)
{
	return call32(I386_CREAT, low(a, 0, p->path), 0600, 0);
}

static int by_mknod32(struct actor *a, const struct place *p)
{
	return call32(I386_MKNOD, low(a, 0, p->path), S_IFREG | 0600, 0);
}

static const struct making {
	const char *name;
	int (*make)(struct actor *a, const struct place *p);
	bool no_descriptor;
} makings[] = {
	{ "open", by_open, false },
	{ "open O_TRUNC", by_open_truncating, false },
	{ "openat", by_openat, false },
	{ "openat with dots", by_openat_dots, false },
	{ "openat2", by_openat2, false },
	{ "creat", by_creat, false },
	{ "mknod", by_mknod, true },
	{ "mknodat", by_mknodat, true },
	{ "O_TMPFILE and linkat", by_tmpfile, false },
	{ "io_uring openat", by_uring, false },
	{ "io_uring openat by a worker", by_uring_worker, false },
	{ "io_uring openat2", by_uring_openat2, false },
	/* The last, for kernels without: */
	{ "open by int 0x80", by_open32, false },
	{ "creat by int 0x80", by_creat32, false },
	{ "mknod by int 0x80", by_mknod32, true },
};

#define MAKINGS_32 3

static bool act_create(struct actor *a, const char *unused)
{
	const struct making *m = &makings[choose(a, ARRAY_SIZE(makings) - (can_call32() ? 0 : MAKINGS_32))];
	struct slot *s = new_slot(a, NULL);
	uint64_t since = now();
	struct place p;
	int fd;

	(void)unused;
	if (!s)
		return false;
	p = place_of(a, s);
	fd = m->make(a, &p);
	if (fd == -1 && errno == EOPNOTSUPP) /* O_TMPFILE on overlayfs before 6.3 */
		return false;
	must(fd, m->name, __FILE__, __LINE__);
	created(a, m->name, &p, since);
	s->exists = true;
	if (m->no_descriptor)
		return true;
	if (choose(a, 2))
		MUST(write(fd, "content", 7));
	MUST(close(fd));
	return true;
}

/* --- A file that exists gets new content, or is only opened. --- */

static bool act_overwrite(struct actor *a, const char *name)
{
	static const int flags[] = { O_WRONLY | O_TRUNC, O_RDWR | O_TRUNC, O_WRONLY | O_CREAT | O_TRUNC };
	struct slot *s = old_slot(a);
	uint64_t since = now();
	struct place p;

	if (!s)
		return false;
	p = place_of(a, s);
	MUST(close((int)MUST(openat(p.directory, p.name,
				    flags[choose(a, ARRAY_SIZE(flags))] | O_CLOEXEC, 0600))));
	created(a, name, &p, since);
	return true;
}

static bool act_creat_again(struct actor *a, const char *name)
{
	struct slot *s = old_slot(a);
	uint64_t since = now();
	struct place p;

	if (!s)
		return false;
	p = place_of(a, s);
	MUST(close((int)MUST(creat(p.path, 0600))));
	created(a, name, &p, since);
	return true;
}

static bool act_uring_overwrite(struct actor *a, const char *name)
{
	struct slot *s = old_slot(a);
	uint64_t since = now();
	struct io_uring_sqe e = { .opcode = IORING_OP_OPENAT, .open_flags = O_WRONLY | O_TRUNC | O_CLOEXEC,
				  .flags = choose(a, 2) ? IOSQE_ASYNC : 0 };
	struct place p;

	if (!s)
		return false;
	p = place_of(a, s);
	e.fd = p.directory;
	e.addr = (uintptr_t)p.name;
	MUST(close((int)MUST(uring_do(&a->ring, &e))));
	created(a, name, &p, since);
	return true;
}

/* Opens that are no event: nothing is made, nothing is replaced. */
static bool act_only_open(struct actor *a, const char *name)
{
	static const int flags[] = { O_RDONLY, O_RDWR, O_WRONLY | O_APPEND, O_RDWR | O_CREAT, O_PATH };
	struct slot *s = old_slot(a);
	struct place p;
	int fd;

	(void)name;
	if (!s)
		return false;
	p = place_of(a, s);
	fd = (int)MUST(openat(p.directory, p.name, flags[choose(a, ARRAY_SIZE(flags))] | O_CLOEXEC, 0600));
	MUST(close(fd));
	return true;
}

/* --- Times and attributes. --- */

/* Which of several names that are in use was meant, tracepoints do not tell. */
static bool has_one_name(const struct place *p)
{
	struct stat s;

	MUST(fstatat(p->directory, p->name, &s, AT_SYMLINK_NOFOLLOW));
	return s.st_nlink == 1;
}

static bool act_times(struct actor *a, const char *name)
{
	static const struct timespec now_times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_OMIT } };
	struct timespec times[2] = { { .tv_sec = (time_t)choose(a, 2000000000) }, { .tv_nsec = UTIME_OMIT } };
	struct slot *s = old_slot(a);
	uint64_t since = now();
	struct place p;

	if (!s)
		return false;
	p = place_of(a, s);
	if (!has_one_name(&p))
		return false;
	MUST(utimensat(p.directory, p.name, now_times, 0)); /* is none */
	times[1] = times[choose(a, 2)];
	MUST(choose(a, 2) ? utimensat(p.directory, p.name, times, 0) : utimensat(AT_FDCWD, p.path, times, 0));
	ledger_file(a, EVENT_FILE_TIME, name, p.report, since);
	return true;
}

/* Mapped once as it is made, or made executable afterwards; again is none, as long as the file stays as it is. */
static bool map_executable(struct actor *a, int fd)
{
	void *at;

	if (choose(a, 2)) {
		at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	} else {
		at = mmap(NULL, 4096, PROT_READ, choose(a, 2) ? MAP_PRIVATE : MAP_SHARED, fd, 0);
		if (at != MAP_FAILED && mprotect(at, 4096, PROT_READ | PROT_EXEC) < 0) {
			MUST(munmap(at, 4096));
			return false;
		}
	}
	if (at == MAP_FAILED)
		return false;
	MUST(munmap(at, 4096));
	return true;
}

static bool act_mapped(struct actor *a, const char *name)
{
	uint64_t since = now();
	struct statvfs fs;
	struct place p;
	int fd;

	if (!place_unused(a, &p))
		return false;
	fd = (int)MUST(openat(p.directory, p.name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0700));
	created(a, name, &p, since);
	MUST(ftruncate(fd, 4096));
	MUST(fstatvfs(fd, &fs));
	since = now();
	if (map_executable(a, fd)) {
		ledger_file(a, EVENT_IMAGE_LOAD, name, p.report, since);
		map_executable(a, fd);
	} else if (!(fs.f_flag & ST_NOEXEC)) {
		NEVER("a file could not be mapped executable");
	}
	MUST(close(fd));
	since = now();
	MUST(unlinkat(p.directory, p.name, 0));
	deleted(a, name, &p, since);
	return true;
}

#define ATTRIBUTE "user.truth"

static bool act_attribute(struct actor *a, const char *name)
{
	char report[PATH_MAX + sizeof(ATTRIBUTE)];
	struct slot *s = old_slot(a);
	uint64_t since = now();
	struct place p;

	if (!s)
		return false;
	p = place_of(a, s);
	if (!has_one_name(&p))
		return false;
	if (setxattr(p.path, ATTRIBUTE, name, strlen(name), 0) < 0 && errno == EOPNOTSUPP) /* tmpfs before 6.6 */
		return false;
	snprintf(report, sizeof(report), "%s:" ATTRIBUTE, p.report);
	ledger_file(a, EVENT_FILE_STREAM, name, report, since);
	MUST(removexattr(p.path, ATTRIBUTE)); /* is none */
	return true;
}

/* --- Names given. --- */

static int link_somehow(struct actor *a, const struct place *old, const struct place *new, const char **how)
{
	struct io_uring_sqe e = { .opcode = IORING_OP_LINKAT, .fd = old->directory,
				  .addr = (uintptr_t)old->name, .len = (unsigned)new->directory,
				  .addr2 = (uintptr_t)new->name };

	switch (choose(a, can_call32() ? 4 : 3)) {
	case 0:
		*how = "link";
		return link(old->path, new->path);
	case 1:
		*how = "linkat";
		return linkat(old->directory, old->name, new->directory, new->name, 0);
	case 2:
		*how = "io_uring linkat";
		return uring_do(&a->ring, &e);
	default:
		*how = "link by int 0x80";
		return call32(I386_LINK, low(a, 0, old->path), low(a, 1, new->path), 0);
	}
}

static bool act_link(struct actor *a, const char *name)
{
	struct slot *from = old_slot(a), *to;
	uint64_t since = now();
	struct place old, new;

	if (!from || !(to = new_slot(a, area_of(a, from))))
		return false;
	old = place_of(a, from);
	new = place_of(a, to);
	MUST(link_somehow(a, &old, &new, &name));
	created(a, name, &new, since);
	to->exists = true;
	return true;
}

static int rename_somehow(struct actor *a, const struct place *old, const struct place *new, const char **how)
{
	struct io_uring_sqe e = { .opcode = IORING_OP_RENAMEAT, .fd = old->directory,
				  .addr = (uintptr_t)old->name, .len = (unsigned)new->directory,
				  .addr2 = (uintptr_t)new->name };

	switch (choose(a, can_call32() ? 4 : 3)) {
	case 0:
		*how = "rename";
		return rename(old->path, new->path);
	case 1:
		*how = "renameat";
		return renameat(old->directory, old->name, new->directory, new->name);
	case 2:
		*how = "io_uring renameat";
		return uring_do(&a->ring, &e);
	default:
		*how = "rename by int 0x80";
		return call32(I386_RENAME, low(a, 0, old->path), low(a, 1, new->path), 0);
	}
}

static bool act_rename(struct actor *a, const char *name)
{
	struct slot *from = old_slot(a), *to;
	uint64_t since = now();
	struct place old, new;

	if (!from || !(to = new_slot(a, area_of(a, from))))
		return false;
	old = place_of(a, from);
	new = place_of(a, to);
	if (choose(a, 4) == 0)
		MUST(renameat2(old.directory, old.name, new.directory, new.name, RENAME_NOREPLACE));
	else
		MUST(rename_somehow(a, &old, &new, &name));
	created(a, name, &new, since);
	from->exists = false;
	to->exists = true;
	return true;
}

/* Two names of different files in one area; links are told apart by their inodes. */
static bool two_files(struct actor *a, struct slot **first, struct slot **second, struct place *p,
		      struct place *q)
{
	struct stat one, two;

	*first = old_slot(a);
	*second = *first ? slot_in_state(a, true, area_of(a, *first)) : NULL;
	if (!*second || *first == *second)
		return false;
	*p = place_of(a, *first);
	*q = place_of(a, *second);
	MUST(fstatat(p->directory, p->name, &one, 0));
	MUST(fstatat(q->directory, q->name, &two, 0));
	return one.st_ino != two.st_ino;
}

static bool act_rename_over(struct actor *a, const char *name)
{
	struct slot *from, *to;
	struct place old, new;
	uint64_t since;

	if (!two_files(a, &from, &to, &old, &new))
		return false;
	since = now();
	MUST(rename_somehow(a, &old, &new, &name));
	deleted(a, name, &new, since);
	created(a, name, &new, since);
	from->exists = false;
	return true;
}

static bool act_exchange(struct actor *a, const char *name)
{
	struct slot *from, *to;
	struct place old, new;
	uint64_t since;

	if (!two_files(a, &from, &to, &old, &new))
		return false;
	since = now();
	MUST(renameat2(old.directory, old.name, new.directory, new.name, RENAME_EXCHANGE));
	created(a, name, &old, since);
	created(a, name, &new, since);
	return true;
}

/* rename(2) of one link of a file over another succeeds and does nothing: both names stay. */
static bool act_rename_to_itself(struct actor *a, const char *name)
{
	struct slot *from = old_slot(a), *to;
	uint64_t since = now();
	struct place old, new;

	if (!from || !(to = new_slot(a, area_of(a, from))))
		return false;
	old = place_of(a, from);
	new = place_of(a, to);
	MUST(link(old.path, new.path));
	created(a, name, &new, since);
	to->exists = true;
	MUST(rename(old.path, new.path));
	return true;
}

/* --- Names taken. --- */

int unlink_somehow(struct actor *a, const struct place *p, const char **how)
{
	struct io_uring_sqe e = { .opcode = IORING_OP_UNLINKAT, .fd = p->directory,
				  .addr = (uintptr_t)p->name };

	switch (choose(a, can_call32() ? 6 : 4)) {
	case 0:
		*how = "unlink";
		return unlink(p->path);
	case 1:
		*how = "unlinkat";
		return unlinkat(p->directory, p->name, 0);
	case 2:
		*how = "io_uring unlinkat";
		return uring_do(&a->ring, &e);
	case 3:
		*how = "io_uring unlinkat by a worker";
		e.flags = IOSQE_ASYNC;
		return uring_do(&a->ring, &e);
	case 4:
		*how = "unlink by int 0x80";
		return call32(I386_UNLINK, low(a, 0, p->path), 0, 0);
	default:
		*how = "unlinkat by int 0x80";
		return call32(I386_UNLINKAT, (uintptr_t)p->directory, low(a, 0, p->name), 0);
	}
}

static bool act_delete(struct actor *a, const char *name)
{
	struct slot *s = old_slot(a);
	uint64_t since = now();
	struct place p;

	if (!s)
		return false;
	p = place_of(a, s);
	MUST(unlink_somehow(a, &p, &name));
	deleted(a, name, &p, since);
	s->exists = false;
	return true;
}

static bool act_delete_open(struct actor *a, const char *name)
{
	struct slot *s = old_slot(a);
	uint64_t since = now();
	struct place p;
	int fd;

	if (!s)
		return false;
	p = place_of(a, s);
	fd = (int)MUST(open(p.path, O_RDWR | O_CLOEXEC));
	MUST(unlink(p.path));
	deleted(a, name, &p, since);
	MUST(close(fd));
	s->exists = false;
	return true;
}

/* --- Several at once. --- */

/* One name made and deleted again and again. */
static bool act_churn(struct actor *a, const char *name)
{
	struct slot *s = new_slot(a, NULL);
	struct place p;

	if (!s)
		return false;
	p = place_of(a, s);
	for (int i = 0; i < 20; i++) {
		uint64_t since = now();

		MUST(close((int)MUST(by_openat(a, &p))));
		created(a, name, &p, since);
		since = now();
		MUST(unlinkat(p.directory, p.name, 0));
		deleted(a, name, &p, since);
	}
	return true;
}

/* A tree, made and deleted from the leaves up, its directories right after their files. */
static bool act_tree(struct actor *a, const char *name)
{
	struct place top = place_beside(a, &a->slots[choose(a, SLOTS)], "tree"), p;
	static const char *const directories[] = { "", "x", "x/y", "x/y/z" };
	static const char *const files[] = { "x/y/z/1", "x/y/z/2", "x/y/1", "x/1", "x/2", "1" };

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		path_join(p.path, top.path, directories[i]);
		MUST(mkdir(p.path, 0700));
	}
	for (size_t round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
			uint64_t since = now();

			path_join(p.path, top.path, files[i]);
			path_join(p.report, top.report, files[i]);
			if (round == 0) {
				MUST(close((int)MUST(by_creat(a, &p))));
				created(a, name, &p, since);
			} else {
				MUST(unlink(p.path));
				deleted(a, name, &p, since);
			}
		}
	}
	for (size_t i = ARRAY_SIZE(directories); i-- > 0;) {
		path_join(p.path, top.path, directories[i]);
		MUST(rmdir(p.path));
	}
	return true;
}

/* --- What is no event. --- */

static bool act_other_kinds(struct actor *a, const char *name)
{
	const struct slot *s = &a->slots[choose(a, SLOTS)];
	struct place p = place_beside(a, s, "other"), q = place_beside(a, s, "another");
	uint64_t since = now();

	MUST(mkfifo(p.path, 0600));
	ledger_file(a, EVENT_PIPE_CREATE, name, p.report, since);
	since = now();
	MUST(close((int)MUST(open(p.path, O_RDWR | O_CLOEXEC))));
	ledger_file(a, EVENT_PIPE_CONNECT, name, p.report, since);
	MUST(rename(p.path, q.path));
	MUST(unlink(q.path));
	MUST(symlink("/nowhere", p.path));
	MUST(unlink(p.path));
	MUST(mkdir(p.path, 0700));
	MUST(rename(p.path, q.path));
	MUST(rmdir(q.path));
	return true;
}

static void must_fail(long value, int error, const char *what, int line)
{
	if (value >= 0 || errno != error)
		never(what, __FILE__, line);
}
#define MUST_FAIL(expression, error) must_fail((long)(expression), error, #expression, __LINE__)

static bool act_failures(struct actor *a, const char *name)
{
	struct slot *s = old_slot(a);
	struct place p, gone;

	(void)name;
	if (!s)
		return false;
	p = place_of(a, s);
	gone = place_beside(a, s, "never there");
	MUST_FAIL(open(p.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), EEXIST);
	MUST_FAIL(mknod(p.path, S_IFREG | 0600, 0), EEXIST);
	MUST_FAIL(link(p.path, p.path), EEXIST);
	MUST_FAIL(unlink(gone.path), ENOENT);
	MUST_FAIL(rename(gone.path, p.path), ENOENT);
	MUST_FAIL(rmdir(p.path), ENOTDIR);
	MUST_FAIL(openat(p.directory, ".", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), EISDIR);
	return true;
}

/* An unnamed file that never gets a name. */
static bool act_tmpfile_only(struct actor *a, const char *name)
{
	struct place p = place_beside(a, &a->slots[choose(a, SLOTS)], "unused");
	int fd = openat(p.directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	(void)name;
	if (fd < 0 && errno == EOPNOTSUPP)
		return false;
	MUST(fd);
	MUST(write(fd, "content", 7));
	MUST(close(fd));
	return true;
}

const struct operation file_operations[] = {
	{ "create", 300, act_create },
	{ "overwrite by open", 60, act_overwrite },
	{ "overwrite by creat", 30, act_creat_again },
	{ "overwrite by io_uring", 30, act_uring_overwrite },
	{ "only open", 30, act_only_open },
	{ "link", 60, act_link },
	{ "rename", 80, act_rename },
	{ "rename over", 60, act_rename_over },
	{ "exchange", 20, act_exchange },
	{ "link, and rename to itself", 10, act_rename_to_itself },
	{ "delete", 250, act_delete },
	{ "unlink while open", 30, act_delete_open },
	{ "churn", 4, act_churn },
	{ "tree", 6, act_tree },
	{ "times set by hand", 15, act_times },
	{ "mapped executable", 15, act_mapped },
	{ "an attribute set", 15, act_attribute },
	{ "other kinds of files", 15, act_other_kinds },
	{ "failures", 15, act_failures },
	{ "O_TMPFILE without a name", 10, act_tmpfile_only },
};
const size_t file_operation_count = ARRAY_SIZE(file_operations);

void make_file_with(const struct actor *a, const struct area *where, const char *name,
		    const void *content, size_t n, mode_t mode)
{
	uint64_t since = now();
	struct place p;
	int fd;

	path_join(p.path, where->access, name);
	path_join(p.report, where->report, name);
	fd = (int)MUST(open(p.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
	created(a, "setup", &p, since);
	if (MUST(write(fd, content, n)) != (long)n)
		NEVER("a file was written in part");
	MUST(close(fd));
}

static const char *const directory_names[DIRECTORIES] = { "one", "two" };

static void make_directory(const char *path)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		MUST(-1);
}

static struct area area_within(const struct area *outer, const char *name)
{
	struct area inner = { 0 };

	path_join(inner.access, outer->access, name);
	path_join(inner.report, outer->report, name);
	make_directory(inner.access);
	return inner;
}

/* The first files of an overlay come from its lower layer. */
void files_init_lower(const struct actor *a, const struct area *lower, unsigned area, const char *prefix)
{
	struct area outer = area_within(lower, prefix);
	struct area one = area_within(&outer, directory_names[0]);
	char name[16];

	for (unsigned i = area; i < SLOTS; i += a->worker->area_count) {
		snprintf(name, sizeof(name), "lower%u", i);
		make_file_with(a, &one, name, "lower", 5, 0600);
	}
}

static void find_lower(struct actor *a, unsigned area)
{
	for (unsigned i = area; i < SLOTS; i += a->worker->area_count) {
		a->slots[i].exists = true;
		snprintf(a->slots[i].name, sizeof(a->slots[i].name), "lower%u", i);
	}
}

void files_init(struct actor *a, const char *prefix)
{
	a->slots = mmap(NULL, SLOTS * sizeof(*a->slots), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	a->low_page = mmap(NULL, 2 * PATH_MAX, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (a->slots == MAP_FAILED || a->low_page == MAP_FAILED)
		MUST(-1);
	for (unsigned i = 0; i < a->worker->area_count; i++) {
		struct area outer = area_within(&a->worker->areas[i], prefix);

		for (unsigned k = 0; k < DIRECTORIES; k++) {
			struct area *directory = &a->directories[i][k];

			*directory = area_within(&outer, directory_names[k]);
			a->descriptors[i][k] = (int)MUST(
				open(directory->access, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		}
		if (a->worker->areas[i].has_lower)
			find_lower(a, i);
	}
}

/* SPDX-License-Identifier: MIT */
/* Files whose content matters, under the rules of rules.xml: executables that are written, some of them where none may be;
 * ones that are kept when they are deleted; ones that nobody may overwrite. They lie in a folder of their own (CONTENTS), the
 * only one whose executables the ledger has.
 *
 * Each operation is a process of its own: who closes a file last is told, and among threads that may be a child of another
 * one, which has the file open too until it executes something. */
#include "truth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOKS_WITHIN_US 20000000

struct content {
	struct place place;
	char name[64], text[128];
	uint64_t since; /* when it began to be written */
};

/* A name that no other has, and a content that none has either. kind: what the rules know it by. */
static void choose_content(struct actor *a, struct content *c, const char *kind, const char *first_line)
{
	const struct area *folder = &a->worker->contents;

	snprintf(c->name, sizeof(c->name), "%s %016llx", kind, (unsigned long long)choose(a, UINT64_MAX));
	snprintf(c->text, sizeof(c->text), "%s\n%s\n", first_line, c->name);
	path_join(c->place.path, folder->access, c->name);
	path_join(c->place.report, folder->report, c->name);
	c->place.directory = AT_FDCWD;
	c->place.name = c->place.path;
}

static void write_content(const struct actor *a, struct content *c)
{
	c->since = now();
	make_file_with(a, &a->worker->contents, c->name, c->text, strlen(c->text), 0700);
}

static void tell(const struct actor *a, int event, const char *how, const struct content *c, uint64_t since)
{
	ledger_content(a, event, how, c->place.report, c->text, since);
}

static void write_executable(struct actor *a, const char *how)
{
	struct content c;

	choose_content(a, &c, "script", "#!/bin/sh");
	write_content(a, &c);
	tell(a, EVENT_EXECUTABLE, how, &c, c.since);
}

static void write_forbidden(struct actor *a, const char *how)
{
	struct content c;

	choose_content(a, &c, "forbidden", "#!/bin/sh");
	write_content(a, &c);
	for (unsigned waited = 0; access(c.place.path, F_OK) == 0; waited += 1000) {
		if (waited > LOOKS_WITHIN_US)
			NEVER("an executable stays where none may be");
		usleep(1000);
	}
	tell(a, EVENT_EXECUTABLE, how, &c, c.since);
	tell(a, EVENT_BLOCKED, how, &c, c.since);
}

static void delete_kept(struct actor *a, const char *how)
{
	struct content c;
	uint64_t since;

	choose_content(a, &c, "kept", "text");
	write_content(a, &c);
	since = now();
	MUST(unlink_somehow(a, &c.place, &how));
	tell(a, EVENT_KEPT, how, &c, since);
}

static void replace_kept(struct actor *a, const char *how)
{
	struct content old, new;
	uint64_t since;

	choose_content(a, &old, "kept", "old");
	choose_content(a, &new, "new", "new");
	write_content(a, &old);
	write_content(a, &new);
	since = now();
	MUST(rename(new.place.path, old.place.path));
	tell(a, EVENT_KEPT, how, &old, since);
	ledger_file(a, EVENT_FILE_CREATE, how, old.place.report, since);
}

/* Where nothing can be refused (docs/sensor.md) this is no event. Elsewhere it is let pass if there is no word of konseki in
 * two seconds, which it must have counted. */
static void overwrite_precious(struct actor *a, const char *how)
{
	struct content c;
	bool refused;
	uint64_t since;
	int fd;

	choose_content(a, &c, "precious", "text");
	write_content(a, &c);
	since = now();
	fd = (int)MUST(open(c.place.path, O_RDWR | O_CLOEXEC));
	refused = write(fd, "worthless", 9) < 0 && errno == EPERM;
	if (refused && !overwriting_is_refused())
		NEVER("overwriting was refused where it cannot be");
	if (refused)
		tell(a, EVENT_SHREDDING, how, &c, since);
	else if (overwriting_is_refused())
		ledger_let_pass(c.place.report);
	MUST(close(fd));
}

static bool in_process(struct actor *a, const char *name, void (*what)(struct actor *a, const char *how))
{
	uint64_t since = now();
	pid_t pid = fork_actor(a), initial;

	if (pid == 0) {
		what(a, name);
		_exit(0);
	}
	initial = initial_pid(a->worker, pid);
	if (wait_status(pid) != 0)
		NEVER("a process for one file failed");
	ledger_exit(a->worker, initial, own_image(), name, since);
	return true;
}

static bool act_executable(struct actor *a, const char *name)
{
	return in_process(a, name, write_executable);
}

static bool act_forbidden(struct actor *a, const char *name)
{
	return in_process(a, name, write_forbidden);
}

static bool act_kept(struct actor *a, const char *name)
{
	return in_process(a, name, choose(a, 3) ? delete_kept : replace_kept);
}

static bool act_precious(struct actor *a, const char *name)
{
	return in_process(a, name, overwrite_precious);
}

const struct operation content_operations[] = {
	{ "an executable written", 40, act_executable },
	{ "an executable where none may be", 20, act_forbidden },
	{ "a file that is kept", 40, act_kept },
	{ "a file that may not be overwritten", 20, act_precious },
};
const size_t content_operation_count = ARRAY_SIZE(content_operations);

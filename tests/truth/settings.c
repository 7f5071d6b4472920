/* SPDX-License-Identifier: MIT */
/* Settings that are files: beside the mixture, one process makes some in a folder that is watched, changes, renames and
 * deletes them. It never forks, so nobody else is the one who closes what it wrote. What the ledger says of them
 * (docs/sensor.md): a file with a lens is a tree of keys and values, of which each difference is told; one without is a single
 * value. Beside its folder two units are made, which have the machine do something later by itself: a timer, and the service that
 * it starts.
 *
 * Between two rounds is more time than a look at the files takes, so each state that stands there is told. (Not in emulated
 * machines, where there are none of these.) Of states that follow one another at once the last one is, those before it may be
 * missing. */
#include "truth.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES           4
#define BETWEEN_US      2000000
#define DIFFERENCES_MAX 5

struct setting_file {
	bool is_tree;
	const char *content; /* NULL: it is not there */
	char path[PATH_MAX];
	uint64_t since; /* when it began to be changed, this round or the quick one before */
};

/* What is in the file, and what is then different in its tree: objects and names stand below its path. What follows a quick one
 * is as long, so that it can be written without the file being empty in between. */
static const struct round {
	const char *content;
	bool is_quick; /* the next one follows at once */
	struct difference of_tree[DIFFERENCES_MAX];
} rounds[] = {
	{ "[Unit]\nDescription=one\n", false, {
		{ EVENT_SETTING_KEY, "CreateKey", "", NULL },
		{ EVENT_SETTING_KEY, "CreateKey", "/Unit", NULL },
		{ EVENT_SETTING_KEY, "CreateKey", "/Unit/Description", NULL },
		{ EVENT_SETTING_KEY, "CreateValue", "/Unit/Description/value", NULL },
		{ EVENT_SETTING_VALUE, "SetValue", "/Unit/Description/value", "one" },
	} },
	{ "[Unit]\nDescription=two\n", true, {
		{ EVENT_SETTING_VALUE, "SetValue", "/Unit/Description/value", "two" },
	} },
	{ "[Unit]\nDescription=six\n", false, {
		{ EVENT_SETTING_VALUE, "SetValue", "/Unit/Description/value", "six" },
	} },
	{ "[Unit]\nDocumentation=six\n", false, {
		{ EVENT_SETTING_NAME, "RenameKey", "/Unit/Description", "/Unit/Documentation" },
		{ EVENT_SETTING_VALUE, "SetValue", "/Unit/Documentation/value", "six" },
	} },
	{ "[Unit]\n", false, {
		{ EVENT_SETTING_KEY, "DeleteKey", "/Unit/Documentation", NULL },
		{ EVENT_SETTING_KEY, "DeleteValue", "/Unit/Documentation/value", NULL },
	} },
};

static void tell(const struct actor *a, const struct setting_file *f, const struct difference *d, bool may_be_missing)
{
	char object[PATH_MAX + 64], name[PATH_MAX + 64];
	struct difference whole = *d;

	snprintf(object, sizeof(object), "%s%s", f->path, d->object);
	whole.object = object;
	if (d->event == EVENT_SETTING_NAME) {
		snprintf(name, sizeof(name), "%s%s", f->path, d->value);
		whole.value = name;
	}
	ledger_setting(a, &whole, may_be_missing, "a setting", f->since);
}

static void write_content(const struct actor *a, struct setting_file *f, const char *content, bool over)
{
	uint64_t since = now();
	int fd = (int)MUST(open(f->path, O_WRONLY | O_CLOEXEC | (over ? 0 : O_CREAT | O_TRUNC), 0644));

	if (!over)
		ledger_file(a, EVENT_FILE_CREATE, "a setting", f->path, since);
	if (MUST(write(fd, content, strlen(content))) != (long)strlen(content))
		NEVER("a setting was written in part");
	MUST(close(fd));
	f->content = content;
}

static void play_round(const struct actor *a, struct setting_file *f, const struct round *r)
{
	static const struct difference made = { EVENT_SETTING_KEY, "CreateKey", "", NULL };
	bool is_new = !f->content;

	write_content(a, f, r->content, r > rounds && r[-1].is_quick);
	for (size_t i = 0; f->is_tree && i < DIFFERENCES_MAX && r->of_tree[i].event; i++)
		tell(a, f, &r->of_tree[i], r->is_quick);
	if (f->is_tree)
		return;
	if (is_new)
		tell(a, f, &made, false);
	ledger_setting_content(a, f->path, r->content, r->is_quick, "a setting", f->since);
}

/* What it holds is told under its new name. */
static void rename_file(const struct actor *a, struct setting_file *f)
{
	static const struct difference made[] = {
		{ EVENT_SETTING_KEY, "CreateKey", "", NULL },
		{ EVENT_SETTING_KEY, "CreateKey", "/Unit", NULL },
	};
	struct setting_file old = *f;

	snprintf(strrchr(f->path, '/'), 32, "/other %s", strrchr(old.path, '/') + 1);
	MUST(rename(old.path, f->path));
	ledger_file(a, EVENT_FILE_CREATE, "a setting renamed", f->path, f->since);
	ledger_setting(a, &(struct difference){ EVENT_SETTING_NAME, "RenameKey", old.path, f->path }, false,
		       "a setting renamed", f->since);
	tell(a, f, &made[0], false);
	if (f->is_tree)
		tell(a, f, &made[1], false);
	else
		ledger_setting_content(a, f->path, f->content, false, "a setting renamed", f->since);
}

static void delete_file(const struct actor *a, struct setting_file *f)
{
	static const struct difference gone = { EVENT_SETTING_KEY, "DeleteKey", "", NULL };

	MUST(unlink(f->path));
	ledger_file(a, EVENT_FILE_DELETE, "a setting deleted", f->path, f->since);
	tell(a, f, &gone, false);
}

/* --- units */

static const struct unit {
	int event; /* besides those of its tree */
	const char *ending, *section, *key, *node;
	const char *values[2]; /* one after the other */
} units[] = {
	{ EVENT_TRIGGER, "timer", "Timer", "OnCalendar", "value", { "daily", "weekly" } },
	{ EVENT_ACTION, "service", "Service", "ExecStart", "command", { "/bin/one", "/bin/two" } },
};

/* What is between a folder UNIT.service.d and its dot. */
static void unit_at(char path[PATH_MAX], const char *folder, const char *ending)
{
	snprintf(path, PATH_MAX, "%.*s%s", (int)(strlen(folder) - strlen("service.d")), folder, ending);
}

static const char *name_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

static void tell_trigger(const struct actor *a, const struct unit *u, const char *path, const char *operation,
			 const char *value, uint64_t since)
{
	char query[64];

	snprintf(query, sizeof(query), "%s=%s", u->key, value);
	ledger_trigger(a, u->event, operation, name_of(path), u->event == EVENT_TRIGGER ? query : value, since);
}

static void tell_binding(const struct actor *a, const char *folder, const char *operation, uint64_t since)
{
	char timer[PATH_MAX], service[PATH_MAX];

	unit_at(timer, folder, "timer");
	unit_at(service, folder, "service");
	ledger_trigger(a, EVENT_BINDING, operation, name_of(service), name_of(timer), since);
}

static void write_unit(const struct actor *a, const struct unit *u, const char *folder, bool again)
{
	char content[128], section[32], key[64], node[96];
	struct setting_file f = { .is_tree = true, .since = now() };
	const struct difference differences[] = {
		{ EVENT_SETTING_KEY, "CreateKey", "", NULL },
		{ EVENT_SETTING_KEY, "CreateKey", section, NULL },
		{ EVENT_SETTING_KEY, "CreateKey", key, NULL },
		{ EVENT_SETTING_KEY, "CreateValue", node, NULL },
		{ EVENT_SETTING_VALUE, "SetValue", node, u->values[again] },
	};

	unit_at(f.path, folder, u->ending);
	snprintf(content, sizeof(content), "[%s]\n%s=%s\n", u->section, u->key, u->values[again]);
	snprintf(section, sizeof(section), "/%s", u->section);
	snprintf(key, sizeof(key), "%s/%s", section, u->key);
	snprintf(node, sizeof(node), "%s/%s", key, u->node);
	write_content(a, &f, content, false);
	for (size_t i = again ? ARRAY_SIZE(differences) - 1 : 0; i < ARRAY_SIZE(differences); i++)
		tell(a, &f, &differences[i], false);
	tell_trigger(a, u, f.path, again ? "Modified" : "Created", u->values[again], f.since);
}

static void delete_unit(const struct actor *a, const struct unit *u, const char *folder)
{
	struct setting_file f = { .since = now() };

	unit_at(f.path, folder, u->ending);
	delete_file(a, &f);
	tell_trigger(a, u, f.path, "Deleted", u->values[1], f.since);
}

static void write_units(const struct actor *a, const char *folder, bool again)
{
	uint64_t since = now();

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		write_unit(a, &units[i], folder, again);
	if (!again)
		tell_binding(a, folder, "Created", since);
}

static void delete_units(const struct actor *a, const char *folder)
{
	uint64_t since = now();

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		delete_unit(a, &units[i], folder);
	tell_binding(a, folder, "Deleted", since);
}

/* --- */

static void begin_step(struct setting_file files[FILES])
{
	if (files[0].content)
		usleep(BETWEEN_US);
	for (unsigned i = 0; i < FILES; i++)
		files[i].since = now();
}

void settings_run(const struct actor *a, const char *folder)
{
	static struct setting_file files[FILES];
	char name[32];

	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%u.%s", i, i % 2 ? "txt" : "conf"); /* for which there is a lens */
		path_join(files[i].path, folder, name);
		files[i].is_tree = i % 2 == 0;
	}
	for (size_t r = 0; r < ARRAY_SIZE(rounds); r++) {
		if (r == 0 || !rounds[r - 1].is_quick)
			begin_step(files);
		for (unsigned i = 0; i < FILES; i++)
			play_round(a, &files[i], &rounds[r]);
	}
	write_units(a, folder, false);
	begin_step(files);
	write_units(a, folder, true);
	for (unsigned i = 0; i < FILES; i++)
		rename_file(a, &files[i]);
	begin_step(files);
	for (unsigned i = 0; i < FILES; i++)
		delete_file(a, &files[i]);
	delete_units(a, folder);
}

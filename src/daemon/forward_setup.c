/* SPDX-License-Identifier: MIT */
#include "forward_setup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "../base/clock.h"
#include "files.h"
#include "forwards.h"
#include "paths.h"
#include "service_parts.h"
#include "settings.h"

#define SETTINGS_MAX 65536

static int say(const struct err *e)
{
	fprintf(stderr, "konseki: %s\n", e->text);
	return e->code == EBADMSG ? STATUS_USAGE : 1;
}

static int refuse_unless_installed(void)
{
	int r = refuse_unless_root();

	if (r)
		return r;
	if (access(PATH_SETTINGS, F_OK) == 0)
		return 0;
	fprintf(stderr, "konseki is not installed: copies are made by the installed service (konseki -i)\n");
	return STATUS_USAGE;
}

static struct settings *load(struct err *e)
{
	static struct settings s; /* large */

	return settings_load(PATH_SETTINGS, &s, e) < 0 ? NULL : &s;
}

static const struct forward_target *find(const char *name, struct err *e)
{
	const struct settings *s = load(e);

	if (!s)
		return NULL;
	for (unsigned i = 0; i < s->forward_count; i++)
		if (strcmp(s->forward[i].name, name) == 0)
			return &s->forward[i];
	err_set(e, EBADMSG, "there is no '%s' (konseki forward list)", name);
	return NULL;
}

/* --- secrets */

/* One line; typed, it is not shown. */
static int read_secret(const char *path, char *secret, size_t size, struct err *e)
{
	bool typed = strcmp(path, "-") == 0 && isatty(STDIN_FILENO);
	FILE *from = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	struct termios before, quiet;
	bool got;

	if (!from)
		return err_set(e, errno, "opening '%s'", path);
	if (typed && tcgetattr(STDIN_FILENO, &before) == 0) {
		fputs("SAS, key, connection string or password: ", stderr);
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	got = fgets(secret, (int)size, from);
	if (typed) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		fputc('\n', stderr);
	}
	if (from != stdin)
		fclose(from);
	if (!got || strlen(secret) == size - 1)
		return err_set(e, EBADMSG, "no secret in '%s', or a longer one than %zu bytes", path, size - 2);
	secret[strcspn(secret, "\r\n")] = 0;
	return 0;
}

/* Part of an address, where others see it: it is moved to where only root does. */
static void cut_secret(struct forward_target *t)
{
	char *query = strchr(t->to, '?');

	if (!query || !strstr(query, "sig="))
		return;
	snprintf(t->secret, sizeof(t->secret), "%s", query + 1);
	*query = 0;
	fprintf(stderr, "The SAS stood on the command line, where other users and the shell's history saw it.\n"
			"Better: leave it out of the address and give it with --secret - (typed) or --secret FILE.\n");
}

/* --- add */

static int take_options(const struct forward_wish *w, struct forward_target *t, struct err *e)
{
	for (unsigned i = 0; i < w->option_count; i++) {
		const char *equals = strchr(w->options[i], '=');
		char name[32];

		if (!equals || equals - w->options[i] >= (int)sizeof(name))
			return err_set(e, EBADMSG, "'%s' is not NAME=VALUE", w->options[i]);
		snprintf(name, sizeof(name), "%.*s", (int)(equals - w->options[i]), w->options[i]);
		if (target_set(t, name, equals + 1, e) < 0)
			return -e->code;
	}
	return w->managed_identity ? target_set(t, "auth", "identity", e) : 0;
}

/* What the file of settings can hold. */
static int check_text(const char *name, const char *value, struct err *e)
{
	for (const char *c = value; *c; c++)
		if ((uint8_t)*c < 0x20 || (*c == ';' && c > value && c[-1] == ' '))
			return err_set(e, EBADMSG, "%s: a character that settings cannot hold", name);
	return 0;
}

static int make_target(const struct forward_wish *w, struct forward_target *t, struct err *e)
{
	snprintf(t->name, sizeof(t->name), "%s", w->name ? w->name : w->sink);
	if (w->name && strcmp(t->name, w->name) != 0)
		return err_set(e, EBADMSG, "the name '%s' is too long", w->name);
	if (target_set(t, "sink", w->sink, e) < 0 || target_set(t, "to", w->to, e) < 0 || take_options(w, t, e) < 0)
		return -e->code;
	cut_secret(t);
	if (w->secret_path && read_secret(w->secret_path, t->secret, sizeof(t->secret), e) < 0)
		return -e->code;
	return target_check(t, e);
}

static int change(char **text, const char *section, const char *name, const char *value, struct err *e)
{
	char *changed;

	if (check_text(name, value, e) < 0)
		return -e->code;
	changed = settings_changed(*text, section, name, value);
	if (!changed)
		return err_set(e, ENOMEM, "changing the settings");
	free(*text);
	*text = changed;
	return 0;
}

static int write_target(const struct forward_target *t, char **text, struct err *e)
{
	char section[FORWARD_NAME_MAX + 16];
	int r;

	snprintf(section, sizeof(section), "forward %s", t->name);
	r = change(text, section, "to", t->to, e);
	/* A new line is put below the section's head: the last one comes first. */
	for (unsigned i = target_option_count; r == 0 && i-- > 0;) {
		const char *value = (const char *)t + target_options[i].offset;

		if (*value)
			r = change(text, section, target_options[i].name, value, e);
	}
	return r == 0 ? change(text, section, "sink", t->row->name, e) : r;
}

/* As the service will read it. */
static int check_settings(char *text, struct err *e)
{
	static struct settings s; /* large */
	FILE *from = fmemopen(text, strlen(text), "r");
	int r = from ? settings_read(from, PATH_SETTINGS, &s, e) : err_set(e, errno, "checking the settings");

	if (from)
		fclose(from);
	return r;
}

static char *read_settings(struct err *e)
{
	char *text = malloc(SETTINGS_MAX);
	ssize_t n = text ? files_read_text(PATH_SETTINGS, text, SETTINGS_MAX) : -ENOMEM;

	if (n >= 0 && n < SETTINGS_MAX - 1)
		return text;
	free(text);
	err_set(e, n < 0 ? (int)-n : EFBIG, "reading '%s'", PATH_SETTINGS);
	return NULL;
}

static int write_secret(const struct forward_target *t, struct err *e)
{
	char path[FORWARD_PATH_MAX];
	int r;

	if (!*t->secret)
		return 0;
	if (forward_make_folder(e) < 0)
		return -e->code;
	forward_path(t->name, FORWARD_SECRET, path);
	r = files_write_text(path, t->secret, 0400);
	return r < 0 ? err_set(e, -r, "writing '%s'", path) : 0;
}

static int store(const struct forward_target *t, struct err *e)
{
	OWNED_HEAP char *text = read_settings(e);
	int r = text ? write_target(t, &text, e) : -e->code;

	if (r == 0)
		r = check_settings(text, e);
	if (r == 0)
		r = write_secret(t, e);
	if (r < 0)
		return r;
	r = files_write_text(PATH_SETTINGS, text, 0640);
	return r < 0 ? err_set(e, -r, "writing '%s'", PATH_SETTINGS) : 0;
}

int forward_add(const struct forward_wish *w)
{
	static struct forward_target t; /* large */
	struct err e = { 0 };
	int r = refuse_unless_installed();

	if (r)
		return r;
	if (make_target(w, &t, &e) < 0)
		return say(&e);
	if (find(t.name, &e)) {
		fprintf(stderr, "konseki: there is a '%s' already (--name NAME calls this one otherwise)\n", t.name);
		return STATUS_USAGE;
	}
	if (e.code != EBADMSG || store(&t, &e) < 0)
		return say(&e);
	printf("Events are copied to '%s' (%s, %s)%s.\n'konseki forward test %s' tries it, 'konseki status' shows how far it is.\n",
	       t.name, t.row->name, t.to, running_pid() ? "" : " when konseki runs", t.name);
	return 0;
}

/* --- list, remove */

int forward_list(void)
{
	struct err e = { 0 };
	int r = refuse_unless_installed();
	const struct settings *s = r ? NULL : load(&e);

	if (!s)
		return r ? r : say(&e);
	if (s->forward_count == 0)
		puts("Events are copied nowhere (konseki forward add).");
	for (unsigned i = 0; i < s->forward_count; i++) {
		const struct forward_target *t = &s->forward[i];

		printf("%-20s %-14s %s", t->name, t->row->name, t->to);
		for (unsigned k = 0; k < target_option_count; k++) {
			const char *value = (const char *)t + target_options[k].offset;

			if (*value)
				printf(" %s=%s", target_options[k].name, value);
		}
		putchar('\n');
	}
	return 0;
}

int forward_remove(const char *name)
{
	static const char *const endings[] = { FORWARD_SECRET, FORWARD_BOOKMARK };
	char section[FORWARD_NAME_MAX + 16], path[FORWARD_PATH_MAX];
	OWNED_HEAP char *text = NULL, *rest = NULL;
	struct err e = { 0 };
	int r = refuse_unless_installed();

	if (r)
		return r;
	if (!find(name, &e))
		return say(&e);
	text = read_settings(&e);
	snprintf(section, sizeof(section), "forward %s", name);
	rest = text ? settings_without(text, section) : NULL;
	r = rest ? files_write_text(PATH_SETTINGS, rest, 0640) : -ENOMEM;
	if (r < 0) {
		err_set(&e, -r, "writing '%s'", PATH_SETTINGS);
		return say(&e);
	}
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		forward_path(name, endings[i], path);
		unlink(path);
	}
	printf("No more events are copied to '%s'. What is there stays there.\n", name);
	return 0;
}

/* --- test */

static void say_answer(const struct forward_target *t, const struct answer *a, uint64_t ms)
{
	if (a->outcome == SINK_SENT)
		printf("'%s' (%s) took a marked event after %lu ms%s%s\n", t->name, t->to, ms, *a->text ? ": " : "", a->text);
	else
		printf("'%s' (%s) did not take the marked event, after %lu ms: %s\n%s", t->name, t->to, ms, a->text,
		       a->misconfigured ? "This does not mend itself: see its address, its rights and its secret.\n" : "");
}

static int try_sealed(struct forward_target *t)
{
	struct identity id;
	struct answer a;
	struct err e = { 0 };
	struct sink *sink = NULL;
	uint64_t begin;

	forward_identity(&id);
	if (forward_read_secret(t, &e) < 0 || forward_open_sealed(t, &id, &sink, &e) < 0)
		return say(&e);
	begin = now_ms();
	if (forwarder_test(t, sink, &id, &a, &e) < 0)
		return say(&e);
	say_answer(t, &a, now_ms() - begin);
	return a.outcome != SINK_SENT;
}

int forward_test(const char *name)
{
	static struct forward_target t; /* large */
	const struct forward_target *found;
	struct err e = { 0 };
	int r = refuse_unless_installed();

	if (r)
		return r;
	found = find(name, &e);
	if (!found)
		return say(&e);
	t = *found;
	return try_sealed(&t);
}

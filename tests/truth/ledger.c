/* SPDX-License-Identifier: MIT */
/* The ledger: one JSON object a line. Bytes are written as the characters U+0000 to U+00FF, so that names
 * that are no text survive; whoever reads it encodes them back as Latin-1. */
#include "truth.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ledger = -1;
static char ledger_path[PATH_MAX];
static char image[PATH_MAX];
static uint64_t opened;

/* Every byte may become six characters; a path and a command line fit. */
struct line {
	char text[6 * (PATH_MAX + 4096)];
	size_t length;
};

static void put(struct line *l, const char *text)
{
	size_t n = strlen(text);

	if (l->length + n > sizeof(l->text))
		NEVER("a ledger line is too long");
	memcpy(l->text + l->length, text, n);
	l->length += n;
}

static void put_number(struct line *l, const char *key, uint64_t value)
{
	char text[64];

	snprintf(text, sizeof(text), "%s\"%s\":%llu", l->length > 1 ? "," : "", key,
		 (unsigned long long)value);
	put(l, text);
}

static void put_bytes(struct line *l, const char *bytes)
{
	for (; *bytes; bytes++) {
		unsigned char c = (unsigned char)*bytes;
		char text[8] = { (char)c };

		if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
			snprintf(text, sizeof(text), "\\u%04x", c);
		put(l, text);
	}
}

static void put_text(struct line *l, const char *key, const char *bytes)
{
	put(l, l->length > 1 ? ",\"" : "\"");
	put(l, key);
	put(l, "\":\"");
	put_bytes(l, bytes);
	put(l, "\"");
}

static void start_line(struct line *l)
{
	l->length = 0;
	put(l, "{");
}

static void write_line(struct line *l)
{
	put(l, "}\n");
	if (MUST(write(ledger, l->text, l->length)) != (long)l->length)
		NEVER("a ledger line was cut");
}

static void put_event(struct line *l, int event, const char *how, const struct worker *w, pid_t pid,
		      uint64_t since, uint64_t until)
{
	start_line(l);
	put_number(l, "event", (uint64_t)event);
	put_text(l, "how", how);
	put_number(l, "pid", (uint64_t)pid);
	put_text(l, "user", w->unprivileged ? "nobody" : "root");
	put_number(l, "since", since);
	put_number(l, "until", until);
}

struct text {
	const char *key, *bytes;
};

static void write_event(const struct actor *a, int event, const char *how, uint64_t since, const struct text *texts,
			size_t count)
{
	struct line l;

	put_event(&l, event, how, a->worker, a->pid, since, now());
	for (size_t i = 0; i < count; i++)
		put_text(&l, texts[i].key, texts[i].bytes);
	write_line(&l);
}

void ledger_open(const char *path)
{
	opened = now();
	ledger = (int)MUST(open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644));
	if (!realpath(path, ledger_path))
		MUST(-1);
	image[MUST(readlink("/proc/self/exe", image, sizeof(image) - 1))] = 0;
}

const char *own_image(void)
{
	return image;
}

/* The lines about the main process itself and the ledger's own file. */
void ledger_begin(const struct actor *a, const char *own, const char *directory)
{
	struct line l;

	start_line(&l);
	put_text(&l, "begin", "konseki truth ledger");
	put_text(&l, "image", own);
	put_text(&l, "directory", directory);
	put_number(&l, "pid", (uint64_t)a->pid);
	put_number(&l, "since", opened);
	write_line(&l);
	ledger_file(a, EVENT_FILE_CREATE, "the ledger", ledger_path, opened);
}

/* A bind mount: what is done below `path` may also be seen below `also`, where nobody does anything. */
void ledger_bind_mount(const char *path, const char *also)
{
	struct line l;

	start_line(&l);
	put_text(&l, "bind", path);
	put_text(&l, "also", also);
	write_line(&l);
}

/* Something that was not refused though it was to be. */
void ledger_let_pass(const char *path)
{
	struct line l;

	start_line(&l);
	put_text(&l, "let_pass", path);
	write_line(&l);
}

/* A mount namespace of its own: when it has ended, the kernel shows what is there by the part below the mount only. */
void ledger_own_mounts(const char *home)
{
	struct line l;

	start_line(&l);
	put_text(&l, "own_mounts", home);
	write_line(&l);
}

/* The main process ends after its last line: until is open. */
void ledger_end(const struct actor *a)
{
	struct line l;

	put_event(&l, EVENT_PROCESS_TERMINATE, "the generator", a->worker, a->pid, opened, 0);
	put_text(&l, "image", image);
	write_line(&l);
	start_line(&l);
	put_text(&l, "end", "every operation is written down");
	put_number(&l, "until", now());
	write_line(&l);
}

void ledger_file(const struct actor *a, int event, const char *how, const char *path, uint64_t since)
{
	write_event(a, event, how, since, (struct text[]){ { "path", path } }, 1);
}

void ledger_content(const struct actor *a, int event, const char *how, const char *path, const char *content,
		    uint64_t since)
{
	write_event(a, event, how, since, (struct text[]){ { "path", path }, { "content", content } }, 2);
}

void ledger_exec(const struct worker *w, pid_t pid, pid_t parent, const char *executed, const char *cwd,
		 size_t argc, const char *const *argv, const char *how, uint64_t since)
{
	struct line l;

	put_event(&l, EVENT_PROCESS_CREATE, how, w, pid, since, now());
	put_number(&l, "parent", (uint64_t)parent);
	put_text(&l, "image", executed);
	put_text(&l, "cwd", cwd);
	put(&l, ",\"argv\":[");
	for (size_t i = 0; i < argc; i++) {
		put(&l, i ? ",\"" : "\"");
		put_bytes(&l, argv[i]);
		put(&l, "\"");
	}
	put(&l, "]");
	write_line(&l);
}

void ledger_exit(const struct worker *w, pid_t pid, const char *last_image, const char *how, uint64_t since)
{
	struct line l;

	put_event(&l, EVENT_PROCESS_TERMINATE, how, w, pid, since, now());
	put_text(&l, "image", last_image);
	write_line(&l);
}

void ledger_connection(const struct actor *a, const struct ends *e, bool initiated, const char *how,
		       uint64_t since)
{
	struct line l;

	put_event(&l, EVENT_NETWORK_CONNECT, how, a->worker, a->pid, since, now());
	put_text(&l, "protocol", e->protocol);
	put_number(&l, "initiated", initiated);
	put_text(&l, "source", e->source);
	put_number(&l, "source_port", e->source_port);
	put_text(&l, "destination", e->destination);
	put_number(&l, "destination_port", e->destination_port);
	write_line(&l);
}

void ledger_lookup(const struct actor *a, const char *name, const char *status, const char *results, const char *how,
		   uint64_t since)
{
	write_event(a, EVENT_LOOKUP, how, since,
		    (struct text[]){ { "name", name }, { "status", status }, { "results", results } }, 3);
}

void ledger_clipboard(const struct actor *a, unsigned display, const char *unit, unsigned times, bool may_be_missing,
		      const char *how, uint64_t since)
{
	struct line l;

	put_event(&l, EVENT_CLIPBOARD, how, a->worker, a->pid, since, now());
	put_number(&l, "display", display);
	put_text(&l, "content", unit);
	put_number(&l, "times", times);
	put_number(&l, "may_be_missing", may_be_missing);
	write_line(&l);
}

void ledger_access(const struct actor *a, pid_t target, const char *access, const char *how, uint64_t since)
{
	struct line l;

	put_event(&l, EVENT_PROCESS_ACCESS, how, a->worker, a->pid, since, now());
	put_number(&l, "target", (uint64_t)target);
	put_text(&l, "access", access);
	write_line(&l);
}

void ledger_remote_code(const struct actor *a, pid_t target, const char *how, uint64_t since)
{
	struct line l;

	put_event(&l, EVENT_REMOTE_CODE, how, a->worker, a->pid, since, now());
	put_number(&l, "target", (uint64_t)target);
	write_line(&l);
}

void ledger_tampering(const struct worker *w, pid_t pid, const char *whose, const char *type, const char *how,
		      uint64_t since)
{
	struct line l;

	put_event(&l, EVENT_TAMPERING, how, w, pid, since, now());
	put_text(&l, "image", whose);
	put_text(&l, "type", type);
	write_line(&l);
}

void ledger_setting(const struct actor *a, const struct difference *d, bool may_be_missing, const char *how,
		    uint64_t since)
{
	struct line l;

	put_event(&l, d->event, how, a->worker, a->pid, since, now());
	put_text(&l, "type", d->type);
	put_text(&l, "object", d->object);
	if (d->value)
		put_text(&l, "value", d->value);
	put_number(&l, "may_be_missing", may_be_missing);
	write_line(&l);
}

void ledger_setting_content(const struct actor *a, const char *path, const char *content, bool may_be_missing,
			    const char *how, uint64_t since)
{
	struct line l;

	put_event(&l, EVENT_SETTING_VALUE, how, a->worker, a->pid, since, now());
	put_text(&l, "type", "SetValue");
	put_text(&l, "object", path);
	put_text(&l, "content", content);
	put_number(&l, "may_be_missing", may_be_missing);
	write_line(&l);
}

void ledger_trigger(const struct actor *a, int event, const char *operation, const char *name, const char *about,
		    uint64_t since)
{
	write_event(a, event, operation, since, (struct text[]){ { "name", name }, { "about", about } }, 2);
}

void ledger_bpf(const struct actor *a, const char *command, const char *type, const char *name, int id,
		const char *how, uint64_t since)
{
	struct line l;

	put_event(&l, EVENT_BPF, how, a->worker, a->pid, since, now());
	put_text(&l, "command", command);
	put_text(&l, "type", type);
	put_text(&l, "name", name);
	put_number(&l, "id", (uint64_t)id);
	write_line(&l);
}

void ledger_module(const struct actor *a, const char *path, const char *how, uint64_t since)
{
	write_event(a, EVENT_MODULE, how, since, (struct text[]){ { "path", path } }, 1);
}

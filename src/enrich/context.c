/* SPDX-License-Identifier: MIT */
#include "context.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "../base/text.h"

#define CONTEXT_MAX      32768u /* bytes; what does not fit is left out, item by item */
#define CONTAINER_DIGITS 64u    /* of the id by which runtimes name the group of a container; */
#define CONTAINER_SHOWN  12u    /* as many as they show themselves */

struct items {
	char *out;
	size_t length, room;
};

/* KEY=value; a comma in a value is written \x2C, so that one always ends an item. */
static void put(struct items *to, const char *key, const char *text, size_t n)
{
	size_t key_length = strlen(key), at = to->length, commas = 0;

	for (size_t i = 0; i < n; i++)
		commas += text[i] == ',';
	if (n == 0 || at + 1 + key_length + 1 + n + 3 * commas > to->room)
		return;
	if (at > 0)
		to->out[at++] = ',';
	memcpy(to->out + at, key, key_length);
	at += key_length;
	to->out[at++] = '=';
	for (size_t i = 0; i < n; i++) {
		if (text[i] == ',') {
			memcpy(to->out + at, "\\x2C", 4);
			at += 4;
		} else {
			to->out[at++] = text[i];
		}
	}
	to->length = at;
}

/* The same of what is not in the written form yet. */
static void put_bytes(struct items *to, const char *key, const char *bytes, size_t n)
{
	static char text[4 * 2 * KS_PATH_MAX];

	put(to, key, text, text_from_bytes(bytes, n, text, sizeof(text), NULL));
}

static void put_number(struct items *to, const char *key, uint32_t number)
{
	char text[11];

	put(to, key, text, (size_t)snprintf(text, sizeof(text), "%u", number));
}

/* --- where an image is */

/* The names come from the group upwards; the path is written downwards. */
static size_t cgroup_path(const char *names, size_t n, char *path)
{
	size_t length = 0;

	while (n > 0) {
		size_t end = n - 1, begin; /* of the topmost name that is left; its NUL stands at end */

		for (begin = end; begin > 0 && names[begin - 1] != 0; begin--)
			;
		path[length++] = '/';
		memcpy(path + length, names + begin, end - begin);
		length += end - begin;
		n = begin;
	}
	if (length == 0)
		path[length++] = '/';
	return length;
}

/* 64 hexadecimal digits in a name are the id of a container, for all runtimes that give it one: the innermost counts. */
static const char *container_of(const char *path, size_t n)
{
	const char *found = NULL;
	size_t digits = 0;

	for (size_t i = 0; i <= n; i++) {
		if (i < n && isxdigit((unsigned char)path[i]) && !isupper((unsigned char)path[i])) {
			digits++;
			continue;
		}
		if (digits == CONTAINER_DIGITS)
			found = path + i - CONTAINER_DIGITS;
		digits = 0;
	}
	return found;
}

size_t context_place(const char *cgroup, size_t n, uint32_t pid_ns, uint32_t mnt_ns, char *out)
{
	struct items to = { .out = out, .room = CONTEXT_PLACE_MAX };
	static char path[KS_PATH_MAX + 1];
	const char *container;

	n = cgroup_path(cgroup, n < KS_PATH_MAX ? n : KS_PATH_MAX, path);
	container = container_of(path, n);
	if (container)
		put_bytes(&to, "container", container, CONTAINER_SHOWN);
	put_bytes(&to, "cgroup", path, n);
	if (pid_ns)
		put_number(&to, "pidns", pid_ns);
	if (mnt_ns)
		put_number(&to, "mntns", mnt_ns);
	return to.length;
}

/* --- the rest, for each event */

static void put_login(const struct filling *f, struct items *to)
{
	struct value name;

	if (!f->identity || !f->identity->login_known || f->identity->login_uid == UINT32_MAX)
		return;
	fill_user_name(f, f->identity->login_uid, &name);
	put(to, "login", name.text, name.length);
	if (f->identity->session_id != UINT32_MAX)
		put_number(to, "session", f->identity->session_id);
}

static void put_place(const struct filling *f, struct items *to)
{
	const struct image *image = f->identity ? f->identity->image : NULL;

	if (!image || !image->place_length || to->length + 1 + image->place_length > to->room)
		return;
	if (to->length > 0)
		to->out[to->length++] = ',';
	memcpy(to->out + to->length, image_place(image), image->place_length);
	to->length += image->place_length;
}

static void put_doubts(const struct filling *f, struct items *to)
{
	static const struct { uint32_t flag; const char *key, *value; } doubts[] = {
		{ KS_F_RACY, "path", "racy" },      { KS_F_PATH_CUT, "path", "cut" },
		{ KS_F_NO_PATH, "path", "unknown" }, { KS_F_ARGV_CUT, "arguments", "cut" },
		{ KS_F_ARGV_GONE, "arguments", "unread" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(doubts); i++)
		if (f->rec->flags & doubts[i].flag)
			put(to, doubts[i].key, doubts[i].value, strlen(doubts[i].value));
}

/* The name that was executed, below the folder in which it was looked for. */
static void put_script(const struct filling *f, struct items *to)
{
	const struct ks_rec_PROCESS_CREATE *rec = (const void *)f->rec;
	const char *name = (const char *)rec + rec->script.off, *folder = (const char *)rec + rec->CurrentDirectory.off;
	size_t length = rec->script.len, n = rec->CurrentDirectory.len;
	static char path[2 * KS_PATH_MAX];

	if (length == 0)
		return;
	if (length > 2 && memcmp(name, "./", 2) == 0) {
		name += 2;
		length -= 2;
	}
	if (name[0] == '/' || n + 1 + length > sizeof(path))
		return put_bytes(to, "script", name, length);
	memcpy(path, folder, n);
	if (n == 0 || path[n - 1] != '/')
		path[n++] = '/';
	memcpy(path + n, name, length);
	put_bytes(to, "script", path, n + length);
}

/* The package that shipped the program that acts. Of event 1, Product names it. */
static void put_package(const struct filling *f, struct items *to)
{
	const struct image *image = f->identity ? f->identity->image : NULL;

	if (image && image->package)
		put_bytes(to, "package", image->package, strlen(image->package));
}

/* The file that an event is about, if a path of it is in the record. */
static struct ks_text target_of(const struct ks_hdr *rec)
{
	switch (rec->type) {
	case KS_FILE_TIME:
		return ((const struct ks_rec_FILE_TIME *)rec)->path;
	case KS_FILE_CREATE:
		return ((const struct ks_rec_FILE_CREATE *)rec)->TargetFilename;
	case KS_FILE_STREAM:
		return ((const struct ks_rec_FILE_STREAM *)rec)->path;
	case KS_FILE_DELETE:
		return ((const struct ks_rec_FILE_DELETE *)rec)->TargetFilename;
	case KS_FILE_DELETE_DETECTED:
		return ((const struct ks_rec_FILE_DELETE_DETECTED *)rec)->TargetFilename;
	case KS_FILE_BLOCK_EXE:
		return ((const struct ks_rec_FILE_BLOCK_EXE *)rec)->TargetFilename;
	case KS_FILE_BLOCK_SHREDDING:
		return ((const struct ks_rec_FILE_BLOCK_SHREDDING *)rec)->TargetFilename;
	case KS_FILE_EXE_DETECTED:
		return ((const struct ks_rec_FILE_EXE_DETECTED *)rec)->TargetFilename;
	}
	return (struct ks_text){ 0 };
}

/* A package has a file of this path: said only where the path means what it means to the package manager. */
static void put_owner(const struct filling *f, struct items *to)
{
	const struct image *image = f->identity ? f->identity->image : NULL;
	struct ks_text path = target_of(f->rec);
	struct package package;

	if (!image || !image->place_length || image->elsewhere || path.len == 0 ||
	    f->rec->flags & (KS_F_PATH_CUT | KS_F_NO_PATH))
		return;
	if (packages_owner(f->en->packages, (const char *)f->rec + path.off, path.len, NULL, &package))
		put_bytes(to, "owner", package.name, strlen(package.name));
}

static void put_before(const struct filling *f, struct items *to)
{
	const struct ks_rec_CONFIG_VALUE *rec = (const void *)f->rec;
	struct value before;

	if (!rec->before_known)
		return;
	fill_setting(f, rec->before, &before);
	put(to, "old", before.text, before.length);
}

void fill_context(const struct filling *f, struct value *v)
{
	static char text[CONTEXT_MAX];
	struct items to = { .out = text, .room = sizeof(text) };
	char *kept;

	v->text = "-";
	v->length = 1;
	if (!f->en->o.context)
		return;
	put_login(f, &to);
	put_place(f, &to);
	put_doubts(f, &to);
	if (f->rec->type == KS_PROCESS_CREATE)
		put_script(f, &to);
	else
		put_package(f, &to);
	put_owner(f, &to);
	if (f->rec->type == KS_CONFIG_VALUE)
		put_before(f, &to);
	kept = to.length ? arena_take(f->arena, to.length) : NULL;
	if (!kept)
		return;
	memcpy(kept, text, to.length);
	v->text = kept;
	v->length = (uint32_t)to.length;
}

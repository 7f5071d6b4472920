/* SPDX-License-Identifier: MIT */
/* The engine's side of its two channels. */
#include "request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "message.h"

/* --- asking */

static int ask_descriptor(int channel, uint32_t kind, const void *body)
{
	struct message m;
	int r = message_ask(channel, kind, body, -1, ASK_TIMEOUT_MS, &m);

	return r < 0 ? r : m.fds[0];
}

static int ask_nothing_back(int channel, uint32_t kind, const void *body)
{
	struct message m;

	return message_ask(channel, kind, body, -1, ASK_TIMEOUT_MS, &m);
}

int ask_exe(int channel, uint32_t tgid, uint64_t start_ns)
{
	return ask_descriptor(channel, ASK_EXE, &(struct body_process){ start_ns, tgid, 0 });
}

int ask_mapped(int channel, uint32_t tgid, uint64_t start_ns, uint64_t from, uint64_t to)
{
	struct body_mapping body = { { start_ns, tgid, 0 }, from, to };

	return ask_descriptor(channel, ASK_MAPPED, &body);
}

int ask_library(int channel, const char *path, size_t length)
{
	struct body_library body = { 0 };

	if (length >= sizeof(body.path))
		return -ENAMETOOLONG;
	memcpy(body.path, path, length);
	return ask_descriptor(channel, ASK_LIBRARY, &body);
}

int ask_cmdline(int channel, uint32_t tgid, uint64_t start_ns)
{
	return ask_descriptor(channel, ASK_CMDLINE, &(struct body_process){ start_ns, tgid, 0 });
}

int ask_snapshot(int channel)
{
	return ask_descriptor(channel, ASK_SNAPSHOT, NULL);
}

int ask_passwd(int channel)
{
	return ask_descriptor(channel, ASK_PASSWD, NULL);
}

int ask_services(int channel)
{
	return ask_descriptor(channel, ASK_SERVICES, NULL);
}

int ask_folders(int channel, bool on)
{
	return ask_nothing_back(channel, ASK_FOLDERS, &(struct body_toggle){ on, 0 });
}

int ask_setting_file(int channel, const char *path, size_t n)
{
	struct body_setting body = { 0 };

	if (n >= sizeof(body.text))
		return -ENAMETOOLONG;
	memcpy(body.text, path, n);
	return ask_descriptor(channel, ASK_SETTING_FILE, &body);
}

int ask_package_state(int channel)
{
	return ask_descriptor(channel, ASK_PACKAGE_STATE, NULL);
}

int ask_watch_filesystem(int channel, uint32_t tgid, uint64_t start_ns)
{
	return ask_nothing_back(channel, ASK_WATCH, &(struct body_process){ start_ns, tgid, 0 });
}

int ask_path(int channel, int file, char path[KS_PATH_MAX], uint32_t *length, bool *deleted)
{
	struct message m;
	int r = message_ask(channel, ASK_PATH, NULL, file, ASK_TIMEOUT_MS, &m);

	if (r < 0)
		return r;
	if (m.body.path.length > KS_PATH_MAX)
		return -EBADMSG;
	memcpy(path, m.body.path.bytes, m.body.path.length);
	*length = m.body.path.length;
	*deleted = m.body.path.deleted;
	return 0;
}

int ask_file(int channel, const struct ks_who *who, const struct ks_file_id *id, const char *path, size_t n)
{
	struct body_file body = { .process = { who->start_ns, who->tgid, 0 },
				  .ino = id->ino, .dev = id->dev, .fs_magic = id->fs_magic };

	if (n > KS_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(body.path, path, n);
	return ask_descriptor(channel, ASK_FILE, &body);
}

static int ask_archive(int channel, uint32_t kind, int file, const struct body_archive *body, struct message *m)
{
	return message_ask(channel, kind, body, file, ASK_TIMEOUT_MS, m);
}

int ask_store(int channel, int file, const char *folder, uint64_t size)
{
	struct body_archive body = { .size = size };
	struct message m;
	int r;

	snprintf(body.folder, sizeof(body.folder), "%s", folder);
	r = ask_archive(channel, ASK_STORE, file, &body, &m);
	return r < 0 ? r : m.fds[0];
}

int ask_keep(int channel, int stored, const char *folder, const char *digest, const char *extension)
{
	struct body_archive body = { 0 };
	struct message m;

	snprintf(body.folder, sizeof(body.folder), "%s", folder);
	snprintf(body.digest, sizeof(body.digest), "%s", digest);
	snprintf(body.extension, sizeof(body.extension), "%s", extension);
	return ask_archive(channel, ASK_KEEP, stored, &body, &m);
}

int ask_block(int channel, int file, uint32_t tgid, uint64_t start_ns)
{
	struct message m;

	return message_ask(channel, ASK_BLOCK, &(struct body_process){ start_ns, tgid, 0 }, file,
			   ASK_TIMEOUT_MS, &m);
}

int ask_want(int channel, const bool wanted[KS_RECORD_COUNT])
{
	struct body_want body;

	for (unsigned i = 0; i < KS_RECORD_COUNT; i++)
		body.wanted[i] = wanted[i];
	return ask_nothing_back(channel, ASK_WANT, &body);
}

int ask_new_log(int channel, bool put_aside)
{
	return ask_descriptor(channel, ASK_NEWLOG, &(struct body_toggle){ put_aside, 0 });
}

int ask_seals(int channel)
{
	return ask_descriptor(channel, ASK_SEALS, NULL);
}

/* --- obeying */

static const enum message_kind command_of[] = {
#define MONITOR_ORDERS(name, ...) [ORDER_##name] = COMMAND_##name,
#include "requests.def"
};

static enum order_kind order_of(uint32_t command)
{
	for (unsigned i = 1; i < ARRAY_SIZE(command_of); i++)
		if (command_of[i] == command)
			return (enum order_kind)i;
	return ORDER_NONE;
}

int order_receive(int channel, struct order *o)
{
	struct receiver monitor = { .from = PARTY_MONITOR_ORDERING, .state = ANY };
	struct message m;
	int r = message_receive(channel, &monitor, &m);

	if (r <= 0)
		return r == -EPERM ? -EBADMSG : r;
	if (m.fd_count > 1) {
		message_close_fds(&m);
		return -EBADMSG;
	}
	memset(o, 0, sizeof(*o));
	o->kind = order_of(m.head.kind);
	o->fd = m.fd_count ? m.fds[0] : -1;
	if (o->kind == ORDER_CONFIGURE) {
		o->what = m.body.configure.what;
		memcpy(o->name, m.body.configure.name, sizeof(o->name));
	} else if (o->kind == ORDER_RESIZE) {
		o->size = m.body.size.bytes;
	} else if (o->kind == ORDER_CLEAR) {
		o->tgid = m.body.clear.tgid;
		o->login_uid = m.body.clear.login_uid;
		o->begun = m.body.clear.begun;
	} else if (o->kind == ORDER_NOTE) {
		snprintf(o->name, sizeof(o->name), "%.255s", m.body.reply.text);
	}
	return 1;
}

/* An order waits for one answer at most, so the kind says which one is answered. */
static int answer_text(int channel, uint32_t kind, int code, const char *text)
{
	struct message order = { .head = { .kind = kind } };
	struct body_reply reply = { 0 };

	snprintf(reply.text, sizeof(reply.text), "%s", text);
	return message_answer(channel, &order, code, &reply, -1);
}

int order_answer(int channel, int code, const char *text)
{
	return answer_text(channel, COMMAND_CONFIGURE, code, text);
}

int order_answer_clear(int channel, int code, const char *text)
{
	return answer_text(channel, COMMAND_CLEAR, code, text);
}

int order_answer_status(int channel, const struct engine_report *r)
{
	struct message order = { .head = { .kind = COMMAND_STATUS } };
	struct body_report body = { *r };

	return message_answer(channel, &order, 0, &body, -1);
}

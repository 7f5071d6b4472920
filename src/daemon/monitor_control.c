/* SPDX-License-Identifier: MIT */
/* The control socket: what the command line of root may ask. The kernel says who is at the other end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../base/clock.h"
#include "files.h"
#include "monitor_parts.h"
#include "paths.h"
#include "rules_store.h"

#define ENGINE_WAIT_MS 2000 /* then a status is told without the engine's word */

int control_open(struct monitor *m, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = PATH_CONTROL };

	m->control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* We hold the lock of PATH_PID, so what is there is left over. */
	unlink(PATH_CONTROL);
	if (m->control < 0 || bind(m->control, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    chmod(PATH_CONTROL, 0600) < 0 || listen(m->control, CLIENTS_MAX) < 0)
		return err_set(e, errno, "opening the control socket '%s'", PATH_CONTROL);
	return 0;
}

void control_close(struct monitor *m)
{
	if (m->control < 0)
		return;
	unlink(PATH_CONTROL);
	close(MOVE_FD(m->control));
}

/* --- clients */

static struct client *free_place(struct monitor *m)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (m->clients[i].fd < 0)
			return &m->clients[i];
	return NULL;
}

bool control_has_room(const struct monitor *m)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (m->clients[i].fd < 0)
			return true;
	return false;
}

static bool is_root(int fd)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.uid == 0;
}

void control_accept(struct monitor *m)
{
	struct client *place = free_place(m);
	OWNED_FD fd = -1;

	if (!place)
		return;
	fd = accept4(m->control, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 || !is_root(fd))
		return;
	*place = (struct client){ .fd = MOVE_FD(fd), .receiver = { .from = PARTY_ROOT } };
}

static void drop(struct monitor *m, struct client *c)
{
	if (m->configurer == c)
		m->configurer = NULL;
	if (m->clearer == c)
		m->clearer = NULL;
	close(MOVE_FD(c->fd));
	c->awaits_status = false;
}

static void answer(struct client *c, int code, const void *body, int fd)
{
	struct message request = { .head = c->asked };

	message_answer(c->fd, &request, code, body, fd);
}

/* --- what they ask */

static void fill_status(const struct monitor *m, struct body_status *s)
{
	const struct monitor_start *start = m->start;

	memset(s, 0, sizeof(*s));
	s->supervisor = start->supervisor;
	s->monitor = getpid();
	s->engine = m->engine;
	s->engine_silent_ms = (uint32_t)engine_silent_ms(m);
	s->installed = start->options->service;
	s->since_utc_ns = start->since_utc_ns;
	s->restarts = m->restarts;
	snprintf(s->log_path, sizeof(s->log_path), "%s", start->options->log_path);
	memcpy(s->wanted, m->wanted, sizeof(s->wanted));
	s->report = m->report;
	if (start->options->told)
		memcpy(s->told, start->options->told, sizeof(s->told));
	if (start->options->forwarded)
		memcpy(s->forwarded, start->options->forwarded, sizeof(s->forwarded));
	if (!m->sensor)
		return;
	s->full = sensor_kind(m->sensor) == KERNEL_FULL;
	for (unsigned i = 0; i < KS_RECORD_COUNT; i++) {
		const char *how = sensor_how(m->sensor, i);

		snprintf(s->how[i], sizeof(s->how[i]), "%s", how ? how : "");
	}
}

static void tell_status(struct monitor *m, struct client *c)
{
	struct body_status status;

	fill_status(m, &status);
	c->awaits_status = false;
	answer(c, 0, &status, -1);
}

void control_status_came(struct monitor *m)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (m->clients[i].fd >= 0 && m->clients[i].awaits_status)
			tell_status(m, &m->clients[i]);
}

void control_tick(struct monitor *m)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &m->clients[i];

		if (c->fd >= 0 && c->awaits_status && now_ms() - c->asked_ms >= ENGINE_WAIT_MS)
			tell_status(m, c);
	}
}

static void control_STATUS(struct monitor *m, struct client *c, struct message *request)
{
	(void)request;
	c->awaits_status = true;
	c->asked_ms = now_ms();
	if (m->orders < 0 || m->stopping)
		tell_status(m, c);
	else
		engine_ask_status(m);
}

static void reply_text(struct client *c, int code, const char *text)
{
	struct body_reply reply = { 0 };

	snprintf(reply.text, sizeof(reply.text), "%s", text);
	answer(c, code, &reply, -1);
}

static void control_CONFIGURE(struct monitor *m, struct client *c, struct message *request)
{
	const struct body_configure *rules = &request->body.configure;
	int file = request->fd_count == 1 ? request->fds[0] : -1;
	int r;

	if (request->fd_count > 1 || (file < 0) == (rules->what == 0) ||
	    (file >= 0 && files_is_frozen(file, RULES_MAX) < 0)) {
		message_close_fds(request);
		reply_text(c, -EINVAL, "not a file of rules");
		return;
	}
	request->fd_count = 0;
	r = engine_configure_take(m, rules, file, c);
	if (r < 0)
		reply_text(c, r, r == -EBUSY ? "other rules are being read at this moment" :
						 "the engine does not answer");
}

static void control_CONFIG(struct monitor *m, struct client *c, struct message *request)
{
	(void)request;
	answer(c, 0, &m->held.rules, m->rules_file);
}

/* Also for the engines to come. */
static void control_RESIZE(struct monitor *m, struct client *c, struct message *request)
{
	const struct body_size *size = &request->body.size;

	if (size->bytes < LOG_SIZE_MIN || size->bytes > UINT32_MAX) {
		reply_text(c, -EINVAL, "no size for a log");
		return;
	}
	m->held.start.log_size_max = size->bytes;
	held_send(m);
	if (m->orders >= 0)
		message_send(m->orders, COMMAND_RESIZE, 0, size, NULL, 0);
	reply_text(c, 0, "");
}

static uint32_t login_uid_of(uint32_t tgid)
{
	char path[40], text[16];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%u/loginuid", tgid);
	n = files_read_text(path, text, sizeof(text));
	return n > 0 ? (uint32_t)strtoul(text, NULL, 10) : UINT32_MAX;
}

static void control_CLEAR(struct monitor *m, struct client *c, struct message *request)
{
	struct ucred who = { 0 };
	socklen_t size = sizeof(who);
	int r;

	if (m->clearing || m->clear_begun) {
		reply_text(c, -EBUSY, "the log is being cleared at this moment");
		return;
	}
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0) {
		reply_text(c, -errno, "who asks is not known");
		return;
	}
	m->clear = (struct body_clear){ (uint32_t)who.pid, login_uid_of((uint32_t)who.pid), 0, 0 };
	m->clear_keeps = request->body.toggle.on;
	m->clearer = c;
	r = engine_clear(m);
	if (r < 0)
		control_cleared(m, r, "the engine does not answer");
}

static void control_STOP(struct monitor *m, struct client *c, struct message *request)
{
	(void)request;
	answer(c, 0, NULL, -1);
	tell_stop(m);
}

static void (*const handlers[MESSAGE_KINDS])(struct monitor *, struct client *, struct message *) = {
#define ROOT_ASKS(name, ...) [CONTROL_##name] = control_##name,
#include "requests.def"
};

void control_serve(struct monitor *m, struct client *c)
{
	struct message request;
	int r;

	c->receiver.state = m->stopping ? STOPPING : m->configured ? WATCHING : STARTING;
	r = message_receive(c->fd, &c->receiver, &request);
	if (r == 0)
		return;
	if (r < 0 && r != -EPERM) {
		drop(m, c);
		return;
	}
	c->asked = request.head;
	if (r == 1)
		handlers[request.head.kind](m, c, &request);
	else
		answer(c, r, NULL, -1);
}

void control_cleared(struct monitor *m, int code, const char *text)
{
	if (m->clearer)
		reply_text(m->clearer, code, text);
	m->clearer = NULL;
}

/* --- rules that were changed */

void control_configured(struct monitor *m, int code, const char *text)
{
	struct body_reply reply = { 0 };
	int r = code == 0 && m->start->options->service ? rules_store(&m->held.rules, m->rules_file) : 0;

	snprintf(reply.text, sizeof(reply.text), "%s", text);
	if (r < 0)
		snprintf(reply.text, sizeof(reply.text),
			 "in force, but not stored for the next start ('%s'): %s", PATH_RULES,
			 strerror(-r));
	answer(m->configurer, code, &reply, -1);
}

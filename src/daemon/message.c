/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/clock.h"

/* --- texts end in a NUL, whatever the sender wrote */

#define END_TEXT(array) ((array)[sizeof(array) - 1] = 0)

static void end_report(struct engine_report *r)
{
	END_TEXT(r->schema_version);
	END_TEXT(r->config_name);
	END_TEXT(r->config_hash);
}

static void end_texts_configure(void *body)
{
	END_TEXT(((struct body_configure *)body)->name);
}

static void end_texts_setting(void *body)
{
	END_TEXT(((struct body_setting *)body)->text);
}

static void end_texts_name(void *body)
{
	END_TEXT(((struct body_name *)body)->text);
}

static void end_texts_file(void *body)
{
	END_TEXT(((struct body_file *)body)->path);
}

static void end_texts_archive(void *body)
{
	struct body_archive *b = body;

	END_TEXT(b->folder);
	END_TEXT(b->digest);
	END_TEXT(b->extension);
}

static void end_texts_reply(void *body)
{
	END_TEXT(((struct body_reply *)body)->text);
}

static void end_texts_report(void *body)
{
	end_report(&((struct body_report *)body)->report);
}

static void end_texts_engine(void *body)
{
	END_TEXT(((struct body_engine *)body)->note);
}

static void end_texts_held(void *body)
{
	struct body_held *b = body;

	END_TEXT(b->start.computer);
	END_TEXT(b->start.gap);
	END_TEXT(b->rules.name);
}

static void end_texts_library(void *body)
{
	END_TEXT(((struct body_library *)body)->path);
}

static void end_texts_failed(void *body)
{
	END_TEXT(((struct body_failed *)body)->text);
}

static void end_texts_status(void *body)
{
	struct body_status *b = body;

	END_TEXT(b->log_path);
	for (unsigned i = 0; i < KS_RECORD_COUNT; i++)
		END_TEXT(b->how[i]);
	for (unsigned i = 0; i < FORWARD_TARGETS_MAX; i++) {
		END_TEXT(b->forwarded[i].name);
		END_TEXT(b->forwarded[i].sink);
		END_TEXT(b->forwarded[i].text);
	}
	end_report(&b->report);
}

#define end_texts_none    NULL
#define end_texts_process NULL
#define end_texts_path    NULL
#define end_texts_mapping NULL
#define end_texts_want    NULL
#define end_texts_size    NULL
#define end_texts_clear   NULL
#define end_texts_pulse   NULL
#define end_texts_address NULL
#define end_texts_login   NULL
#define end_texts_clipboard NULL
#define end_texts_toggle  NULL
#define end_texts_time    NULL

/* --- the table */

#define OFTEN 0
#define ONCE  1
#define ROW(kind, party, name, body, fds, answer, answer_fds, states, times, what)                 \
	[kind] = { name,                                                                           \
		   party,                                                                          \
		   sizeof(struct body_##body),                                                     \
		   sizeof(struct body_##answer),                                                   \
		   end_texts_##body,                                                               \
		   end_texts_##answer,                                                             \
		   SEND_##fds,                                                                     \
		   SEND_##answer_fds,                                                              \
		   states,                                                                         \
		   times,                                                                          \
		   what },
#define ENGINE_ASKS(name, ...)      ROW(ASK_##name, PARTY_ENGINE, #name, __VA_ARGS__)
#define HELPER_DOES(name, ...)      ROW(HELP_##name, PARTY_ENGINE_HELPED, #name, __VA_ARGS__)
#define ROOT_ASKS(name, ...)        ROW(CONTROL_##name, PARTY_ROOT, #name, __VA_ARGS__)
#define MONITOR_ORDERS(name, ...)   ROW(COMMAND_##name, PARTY_MONITOR_ORDERING, #name, __VA_ARGS__)
#define SUPERVISOR_TELLS(name, ...) ROW(TELL_##name, PARTY_SUPERVISOR, #name, __VA_ARGS__)
#define MONITOR_TELLS(name, ...)    ROW(REPORT_##name, PARTY_MONITOR, #name, __VA_ARGS__)
const struct message_row message_rows[MESSAGE_KINDS] = {
#include "requests.def"
};
_Static_assert(MESSAGE_KINDS <= 64, "struct receiver keeps a bit for each");

/* --- judging */

static int fds_fit(enum message_fds allowed, unsigned count)
{
	return allowed == SEND_some || count == (allowed == SEND_one);
}

static int copy_body(const void *bytes, size_t n, size_t expected, void (*end_texts)(void *),
		     struct message *m)
{
	if (n != sizeof(m->head) + expected)
		return -EBADMSG;
	memcpy(&m->body, (const uint8_t *)bytes + sizeof(m->head), expected);
	if (end_texts)
		end_texts(&m->body);
	return 0;
}

static int copy_head(const void *bytes, size_t n, struct message *m)
{
	memset(&m->head, 0, sizeof(m->head));
	if (n < sizeof(m->head))
		return -EBADMSG;
	memcpy(&m->head, bytes, sizeof(m->head));
	return m->head.spare ? -EBADMSG : 0;
}

int message_accept(struct receiver *r, const void *bytes, size_t n, struct message *m)
{
	const struct message_row *row;
	uint64_t bit;

	if (copy_head(bytes, n, m) < 0)
		return -EBADMSG;
	if (m->head.kind == MESSAGE_NONE || m->head.kind >= MESSAGE_KINDS)
		return -EBADMSG;

	row = &message_rows[m->head.kind];
	if (row->from != r->from || m->head.code != 0 || !fds_fit(row->fds, m->fd_count) ||
	    copy_body(bytes, n, row->body, row->end_texts, m) < 0)
		return -EBADMSG;

	bit = (uint64_t)1 << m->head.kind;
	if (!(row->states & r->state) || (row->once && (r->seen & bit)))
		return -EPERM;
	r->seen |= bit;
	return 0;
}

int message_accept_answer(enum party asker, const void *bytes, size_t n, struct message *m)
{
	const struct message_row *row;
	uint32_t kind;

	if (copy_head(bytes, n, m) < 0)
		return -EBADMSG;
	kind = m->head.kind & ~MESSAGE_ANSWER;
	if (kind == m->head.kind || kind == MESSAGE_NONE || kind >= MESSAGE_KINDS)
		return -EBADMSG;

	row = &message_rows[kind];
	if (row->from != asker || m->head.code > 0 ||
	    !fds_fit(m->head.code < 0 ? SEND_none : row->answer_fds, m->fd_count))
		return -EBADMSG;
	return copy_body(bytes, n, row->answer, row->end_answer_texts, m);
}

/* --- bringing and sending */

void message_close_fds(struct message *m)
{
	for (unsigned i = 0; i < m->fd_count; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	m->fd_count = 0;
}

static void take_fds(struct msghdr *h, struct message *m)
{
	m->fd_count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (m->fd_count < MESSAGE_FDS_MAX)
				m->fds[m->fd_count++] = fd;
			else
				close(fd);
		}
	}
}

/* One datagram: its length (at most size), 0: none there, -errno. Its descriptors are in m. */
static ssize_t receive(int channel, void *bytes, size_t size, struct message *m)
{
	union {
		char room[CMSG_SPACE(sizeof(m->fds))];
		struct cmsghdr align;
	} control;
	struct iovec part = { bytes, size };
	struct msghdr h = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n;

	m->fd_count = 0;
	/* ECONNRESET is told once, when the other end was closed with something unread, and comes before
	 * what it had said last: that is still there. */
	do {
		n = recvmsg(channel, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	take_fds(&h, m);
	if (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		message_close_fds(m);
		return -EBADMSG;
	}
	return n ? n : -EPIPE;
}

int message_receive(int channel, struct receiver *r, struct message *m)
{
	uint8_t bytes[MESSAGE_BYTES_MAX];
	ssize_t n = receive(channel, bytes, sizeof(bytes), m);
	int code;

	if (n <= 0)
		return (int)n;
	code = message_accept(r, bytes, (size_t)n, m);
	if (code < 0) {
		message_close_fds(m);
		return code;
	}
	return 1;
}

int message_receive_answer(int channel, enum party asker, struct message *m)
{
	uint8_t bytes[MESSAGE_BYTES_MAX];
	ssize_t n = receive(channel, bytes, sizeof(bytes), m);
	int code;

	if (n <= 0)
		return (int)n;
	code = message_accept_answer(asker, bytes, (size_t)n, m);
	if (code < 0) {
		message_close_fds(m);
		return code;
	}
	return 1;
}

static int send_datagram(int channel, const struct message_head *head, const void *body, size_t size,
			 const int *fds, unsigned count)
{
	union {
		char room[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec parts[] = { { (void *)(uintptr_t)head, sizeof(*head) },
				 { (void *)(uintptr_t)body, size } };
	struct msghdr h = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t n;

	if (count > 0) {
		struct cmsghdr *c = &control.align;

		memset(&control, 0, sizeof(control));
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	}
	do {
		n = sendmsg(channel, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int message_send(int channel, uint32_t kind, uint32_t number, const void *body, const int *fds,
		 unsigned count)
{
	struct message_head head = { .kind = kind, .number = number };

	return send_datagram(channel, &head, body, message_rows[kind].body, fds, count);
}

int message_answer(int channel, const struct message *request, int code, const void *body, int fd)
{
	static const uint8_t zeroes[MESSAGE_BYTES_MAX];
	struct message_head head = { .kind = request->head.kind | MESSAGE_ANSWER,
				     .number = request->head.number,
				     .code = code };
	size_t size = message_rows[request->head.kind].answer;

	return send_datagram(channel, &head, body ? body : zeroes, size, &fd,
			     code == 0 && fd >= 0 ? 1 : 0);
}

int message_ask(int channel, uint32_t kind, const void *body, int fd, int timeout_ms,
		struct message *m)
{
	static uint32_t last_number;
	uint32_t number = ++last_number;
	int64_t until = (int64_t)now_ms() + timeout_ms;
	int r = message_send(channel, kind, number, body, &fd, fd >= 0 ? 1 : 0);

	if (r < 0)
		return r == -EAGAIN ? -ETIMEDOUT : r;
	for (;;) {
		struct pollfd p = { .fd = channel, .events = POLLIN };
		int64_t left = until - (int64_t)now_ms();

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			return -errno;
		r = message_receive_answer(channel, message_rows[kind].from, m);
		if (r < 0)
			return r;
		if (r == 1 && m->head.kind == (kind | MESSAGE_ANSWER) && m->head.number == number)
			return m->head.code;
		/* What came too late for the one who asked before us is passed over. */
		if (r == 1)
			message_close_fds(m);
	}
}

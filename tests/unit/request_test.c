/* SPDX-License-Identifier: MIT */
/* The boundary between the processes: rows of requests.def pass, nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/daemon/message.h"
#include "../../src/daemon/request.h"

static const enum party parties[] = { PARTY_ENGINE, PARTY_ENGINE_HELPED, PARTY_ROOT, PARTY_MONITOR_ORDERING,
				      PARTY_SUPERVISOR, PARTY_MONITOR };

static unsigned fewest(enum message_fds allowed)
{
	return allowed == SEND_one;
}

/* A datagram of this kind as it should be, bytes beyond the head all 'x'. */
static size_t datagram(uint32_t kind, uint8_t bytes[MESSAGE_BYTES_MAX])
{
	struct message_head head = { .kind = kind, .number = 7 };
	size_t body = message_rows[kind].body;

	memset(bytes, 'x', MESSAGE_BYTES_MAX);
	memcpy(bytes, &head, sizeof(head));
	return sizeof(head) + body;
}

static int accept_as(enum party from, unsigned state, const uint8_t *bytes, size_t n, unsigned fds)
{
	static struct message m;
	struct receiver r = { .from = from, .state = state };

	m.fd_count = fds;
	return message_accept(&r, bytes, n, &m);
}

static void only_its_sender_may_send_a_row(void **state)
{
	uint8_t bytes[MESSAGE_BYTES_MAX];

	(void)state;
	for (uint32_t kind = 1; kind < MESSAGE_KINDS; kind++) {
		const struct message_row *row = &message_rows[kind];
		size_t n = datagram(kind, bytes);

		for (size_t p = 0; p < ARRAY_SIZE(parties); p++) {
			int r = accept_as(parties[p], row->states, bytes, n, fewest(row->fds));

			if (r != (parties[p] == row->from ? 0 : -EBADMSG))
				fail_msg("%s from party %u: %d", row->name, parties[p], r);
		}
	}
}

static void a_row_has_one_size(void **state)
{
	uint8_t bytes[MESSAGE_BYTES_MAX];

	(void)state;
	for (uint32_t kind = 1; kind < MESSAGE_KINDS; kind++) {
		const struct message_row *row = &message_rows[kind];
		size_t right = datagram(kind, bytes);

		for (size_t n = 0; n <= MESSAGE_BYTES_MAX; n++) {
			int r = accept_as(row->from, row->states, bytes, n, fewest(row->fds));

			if (r != (n == right ? 0 : -EBADMSG))
				fail_msg("%s with %zu bytes: %d", row->name, n, r);
		}
	}
}

static void descriptors_come_only_where_a_row_has_them(void **state)
{
	uint8_t bytes[MESSAGE_BYTES_MAX];

	(void)state;
	for (uint32_t kind = 1; kind < MESSAGE_KINDS; kind++) {
		const struct message_row *row = &message_rows[kind];
		size_t n = datagram(kind, bytes);

		for (unsigned fds = 0; fds < 4; fds++) {
			bool fits = row->fds == SEND_some || fds == fewest(row->fds);
			int r = accept_as(row->from, row->states, bytes, n, fds);

			if (r != (fits ? 0 : -EBADMSG))
				fail_msg("%s with %u descriptors: %d", row->name, fds, r);
		}
	}
}

static void a_row_is_taken_in_its_states_only(void **state)
{
	uint8_t bytes[MESSAGE_BYTES_MAX];

	(void)state;
	for (uint32_t kind = 1; kind < MESSAGE_KINDS; kind++) {
		const struct message_row *row = &message_rows[kind];
		size_t n = datagram(kind, bytes);

		for (unsigned s = STARTING; s <= STOPPING; s <<= 1) {
			int r = accept_as(row->from, s, bytes, n, fewest(row->fds));

			if (r != (row->states & s ? 0 : -EPERM))
				fail_msg("%s in state %u: %d", row->name, s, r);
		}
	}
}

static void once_is_once(void **state)
{
	static struct message m;
	uint8_t bytes[MESSAGE_BYTES_MAX];

	(void)state;
	for (uint32_t kind = 1; kind < MESSAGE_KINDS; kind++) {
		const struct message_row *row = &message_rows[kind];
		struct receiver r = { .from = row->from, .state = row->states };
		size_t n = datagram(kind, bytes);

		m.fd_count = fewest(row->fds);
		assert_int_equal(message_accept(&r, bytes, n, &m), 0);
		assert_int_equal(message_accept(&r, bytes, n, &m), row->once ? -EPERM : 0);
	}
}

static void what_is_no_row_is_refused(void **state)
{
	static const uint32_t kinds[] = { MESSAGE_NONE, MESSAGE_KINDS, 1000, INT32_MAX, UINT32_MAX,
					  ASK_EXE | MESSAGE_ANSWER };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct message_head head = { .kind = kinds[i] };

		for (size_t p = 0; p < ARRAY_SIZE(parties); p++)
			assert_int_equal(accept_as(parties[p], ANY, (uint8_t *)&head, sizeof(head), 0),
					 -EBADMSG);
	}
}

static void texts_end_whatever_was_sent(void **state)
{
	static struct message m;
	struct receiver r = { .from = PARTY_ROOT, .state = ANY };
	uint8_t bytes[MESSAGE_BYTES_MAX];
	size_t n = datagram(CONTROL_CONFIGURE, bytes);

	(void)state;
	m.fd_count = 0;
	assert_int_equal(message_accept(&r, bytes, n, &m), 0);
	assert_int_equal(strlen(m.body.configure.name), sizeof(m.body.configure.name) - 1);
}

/* --- over a real channel */

struct channel {
	int here, there;
};

static int open_channel(void **state)
{
	static struct channel c;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	c = (struct channel){ pair[0], pair[1] };
	*state = &c;
	return 0;
}

static int close_channel(void **state)
{
	struct channel *c = *state;

	if (c->here >= 0)
		close(c->here);
	if (c->there >= 0)
		close(c->there);
	return 0;
}

static void wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The other end, in a process of its own: takes one request of the engine. */
static void receive_ask(int channel, struct message *m)
{
	struct receiver engine = { .from = PARTY_ENGINE, .state = WATCHING };
	int r;

	while ((r = message_receive(channel, &engine, m)) == 0)
		usleep(1000);
	if (r != 1)
		_exit(1);
}

static void an_answer_brings_its_descriptor(void **state)
{
	struct channel *c = *state;
	char text[8] = "";
	pid_t pid = fork();
	int fd;

	if (pid == 0) {
		static struct message m;
		int ends[2];

		receive_ask(c->there, &m);
		if (pipe(ends) < 0 || write(ends[1], "found", 5) != 5)
			_exit(1);
		_exit(m.head.kind != ASK_EXE || m.body.process.tgid != 42 ||
		      m.body.process.start_ns != 77 ||
		      message_answer(c->there, &m, 0, NULL, ends[0]) < 0);
	}
	fd = ask_exe(c->here, 42, 77);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, text, sizeof(text)), 5);
	assert_string_equal(text, "found");
	close(fd);
	wait_for(pid);
}

static void a_refusal_is_an_answer(void **state)
{
	struct channel *c = *state;
	pid_t pid = fork();

	if (pid == 0) {
		static struct message m;

		receive_ask(c->there, &m);
		_exit(message_answer(c->there, &m, -ESRCH, NULL, -1) < 0);
	}
	assert_int_equal(ask_cmdline(c->here, 42, 77), -ESRCH);
	wait_for(pid);
}

static void an_answer_to_an_earlier_request_is_passed_over(void **state)
{
	struct channel *c = *state;
	pid_t pid = fork();

	if (pid == 0) {
		static struct message m;

		receive_ask(c->there, &m);
		m.head.number--;
		if (message_answer(c->there, &m, 0, NULL, open("/dev/null", O_RDONLY)) < 0)
			_exit(1);
		m.head.number++;
		_exit(message_answer(c->there, &m, -ENOENT, NULL, -1) < 0);
	}
	assert_int_equal(ask_passwd(c->here), -ENOENT);
	wait_for(pid);
}

static void a_monitor_that_is_gone_is_told_at_once(void **state)
{
	struct channel *c = *state;

	close(MOVE_FD(c->there));
	assert_int_equal(ask_snapshot(c->here), -EPIPE);
}

static void what_was_said_last_is_heard_though_something_stayed_unread(void **state)
{
	struct channel *c = *state;
	struct body_reply refusal = { "line 3: no" };
	struct message order = { .head = { .kind = COMMAND_CONFIGURE } };
	static struct message m;

	/* The engine refuses its first rules and ends, with an order for its status still before it. */
	assert_int_equal(message_send(c->here, COMMAND_STATUS, 0, NULL, NULL, 0), 0);
	assert_int_equal(message_answer(c->there, &order, -EBADMSG, &refusal, -1), 0);
	close(MOVE_FD(c->there));
	assert_int_equal(message_receive_answer(c->here, PARTY_MONITOR_ORDERING, &m), 1);
	assert_int_equal(m.head.code, -EBADMSG);
	assert_string_equal(m.body.reply.text, "line 3: no");
	assert_int_equal(message_receive_answer(c->here, PARTY_MONITOR_ORDERING, &m), -EPIPE);
}

static void silence_ends_in_a_timeout(void **state)
{
	struct channel *c = *state;

	assert_int_equal(ask_services(c->here), -ETIMEDOUT);
}

static void orders_arrive_as_they_were_given(void **state)
{
	struct channel *c = *state;
	struct body_configure rules = { .what = 0, .name = "/etc/rules.xml" };
	struct order o;
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_equal(order_receive(c->there, &o), 0);
	assert_int_equal(message_send(c->here, COMMAND_CONFIGURE, 0, &rules, &file, 1), 0);
	assert_int_equal(message_send(c->here, COMMAND_STOP, 0, NULL, NULL, 0), 0);
	close(file);

	assert_int_equal(order_receive(c->there, &o), 1);
	assert_int_equal(o.kind, ORDER_CONFIGURE);
	assert_true(o.fd >= 0);
	assert_string_equal(o.name, "/etc/rules.xml");
	close(o.fd);
	assert_int_equal(order_receive(c->there, &o), 1);
	assert_int_equal(o.kind, ORDER_STOP);
	assert_int_equal(o.fd, -1);
	close(MOVE_FD(c->here));
	assert_int_equal(order_receive(c->there, &o), -EPIPE);
}

static unsigned count_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void a_refused_message_leaves_no_descriptor(void **state)
{
	struct channel *c = *state;
	static struct message m;
	struct receiver engine = { .from = PARTY_ENGINE, .state = WATCHING };
	int fds[3] = { 0, 1, 2 };
	unsigned before = count_descriptors();

	/* The engine may not tell the monitor what to hold, nor bring descriptors with a question. */
	assert_int_equal(message_send(c->there, TELL_ENGINE, 0, &(struct body_engine){ .pid = 1 }, fds, 3),
			 0);
	assert_int_equal(message_send(c->there, ASK_PASSWD, 0, NULL, fds, 1), 0);
	assert_int_equal(message_receive(c->here, &engine, &m), -EBADMSG);
	assert_int_equal(message_receive(c->here, &engine, &m), -EBADMSG);
	assert_int_equal(count_descriptors(), before);
}

static void an_oversized_datagram_is_refused(void **state)
{
	struct channel *c = *state;
	static struct message m;
	static uint8_t bytes[MESSAGE_BYTES_MAX + 1];
	struct receiver engine = { .from = PARTY_ENGINE, .state = WATCHING };

	memcpy(bytes, &(struct message_head){ .kind = ASK_PASSWD }, sizeof(struct message_head));
	assert_int_equal(send(c->there, bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_int_equal(message_receive(c->here, &engine, &m), -EBADMSG);
}

#define OVER_A_CHANNEL(test) cmocka_unit_test_setup_teardown(test, open_channel, close_channel)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_its_sender_may_send_a_row),
		cmocka_unit_test(a_row_has_one_size),
		cmocka_unit_test(descriptors_come_only_where_a_row_has_them),
		cmocka_unit_test(a_row_is_taken_in_its_states_only),
		cmocka_unit_test(once_is_once),
		cmocka_unit_test(what_is_no_row_is_refused),
		cmocka_unit_test(texts_end_whatever_was_sent),
		OVER_A_CHANNEL(an_answer_brings_its_descriptor),
		OVER_A_CHANNEL(a_refusal_is_an_answer),
		OVER_A_CHANNEL(an_answer_to_an_earlier_request_is_passed_over),
		OVER_A_CHANNEL(a_monitor_that_is_gone_is_told_at_once),
		OVER_A_CHANNEL(what_was_said_last_is_heard_though_something_stayed_unread),
		OVER_A_CHANNEL(silence_ends_in_a_timeout),
		OVER_A_CHANNEL(orders_arrive_as_they_were_given),
		OVER_A_CHANNEL(a_refused_message_leaves_no_descriptor),
		OVER_A_CHANNEL(an_oversized_datagram_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

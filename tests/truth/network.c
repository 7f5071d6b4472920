/* SPDX-License-Identifier: MIT */
/* Connections over loopback, and the server process of each worker that answers them. What the ledger says:
 * each end of an established TCP connection is an event of its process; a process's first UDP datagram sent
 * or received between two addresses is one, and again after 30 minutes. The source is always the end that
 * began. The server is a name server, too: each question and its answer are an event of who asked. */
#include "names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPORT_AGAIN_NS (30ull * 60 * 1000000000)
#define PATIENCE_MS     20000
#define LOOK_UPS_MAX    3 /* at a time */

#define NAMES_PORT      53

enum { TCP4, TCP_DUAL, UDP4, UDP_ANY, UDP_DUAL, UDP_BLIND, NAMES_UDP4, NAMES_UDP6, NAMES_TCP4, NAMES_TCP6, SOCKETS };

static void serve_connection(struct actor *a, int which);
static void serve_datagram(struct actor *a, int which);
static void serve_name(struct actor *a, int which);
static void serve_names_connection(struct actor *a, int which);

/* What the server listens on. The blind one is read without asking who sent. */
static const struct listening {
	int family, type;
	const char *address; /* NULL: one that no other worker has */
	in_port_t port;      /* 0: any */
	void (*serve)(struct actor *a, int which);
} listenings[SOCKETS] = {
	[TCP4] = { AF_INET, SOCK_STREAM, "127.0.0.1", 0, serve_connection },
	[TCP_DUAL] = { AF_INET6, SOCK_STREAM, "::", 0, serve_connection },
	[UDP4] = { AF_INET, SOCK_DGRAM, "127.0.0.1", 0, serve_datagram },
	[UDP_ANY] = { AF_INET, SOCK_DGRAM, "0.0.0.0", 0, serve_datagram },
	[UDP_DUAL] = { AF_INET6, SOCK_DGRAM, "::", 0, serve_datagram },
	[UDP_BLIND] = { AF_INET, SOCK_DGRAM, "127.0.0.1", 0, serve_datagram },
	[NAMES_UDP4] = { AF_INET, SOCK_DGRAM, NULL, NAMES_PORT, serve_name },
	[NAMES_UDP6] = { AF_INET6, SOCK_DGRAM, "::1", NAMES_PORT, serve_name },
	[NAMES_TCP4] = { AF_INET, SOCK_STREAM, NULL, NAMES_PORT, serve_names_connection },
	[NAMES_TCP6] = { AF_INET6, SOCK_STREAM, "::1", NAMES_PORT, serve_names_connection },
};

struct server {
	int fd[SOCKETS];         /* -1: somebody else has the port */
	in_port_t port[SOCKETS]; /* host order */
	pid_t pid;               /* as its worker knows it */
	uint64_t started;
	int end; /* closing it ends the server */
};

/* How a client reaches a server. */
static const struct route {
	int socket, family;
	const char *address; /* what it calls */
	const char *text;    /* what it is */
} routes[] = {
	{ TCP4, AF_INET, "127.0.0.1", "127.0.0.1" },
	{ TCP4, AF_INET6, "::ffff:127.0.0.1", "127.0.0.1" },
	{ TCP_DUAL, AF_INET, "127.0.0.1", "127.0.0.1" },
	{ TCP_DUAL, AF_INET6, "::ffff:127.0.0.1", "127.0.0.1" },
	{ TCP_DUAL, AF_INET6, "::1", "::1" },
	{ UDP4, AF_INET, "127.0.0.1", "127.0.0.1" },
	{ UDP4, AF_INET6, "::ffff:127.0.0.1", "127.0.0.1" },
	{ UDP_ANY, AF_INET, "127.0.0.1", "127.0.0.1" },
	{ UDP_DUAL, AF_INET, "127.0.0.1", "127.0.0.1" },
	{ UDP_DUAL, AF_INET6, "::1", "::1" },
	{ UDP_BLIND, AF_INET, "127.0.0.1", "127.0.0.1" },
};

/* What a client sends to a UDP server; it comes back as the answer. */
struct datagram {
	char address[INET6_ADDRSTRLEN]; /* of both ends */
	in_port_t port;                 /* of the client; 0: the server is to see for itself */
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t address_size(const union address *a)
{
	return a->any.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
}

static union address address_of(int family, const char *text, in_port_t port)
{
	union address a = { 0 };

	a.any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		a.v4.sin_port = htons(port);
		inet_pton(AF_INET, text, &a.v4.sin_addr);
	} else {
		a.v6.sin6_port = htons(port);
		inet_pton(AF_INET6, text, &a.v6.sin6_addr);
	}
	return a;
}

static in_port_t port_of(const union address *a)
{
	return ntohs(a->any.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port);
}

/* A mapped address is an IPv4 address. */
static void text_of(const union address *a, char text[INET6_ADDRSTRLEN])
{
	if (a->any.sa_family == AF_INET)
		inet_ntop(AF_INET, &a->v4.sin_addr, text, INET6_ADDRSTRLEN);
	else if (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
		inet_ntop(AF_INET, &a->v6.sin6_addr.s6_addr[12], text, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &a->v6.sin6_addr, text, INET6_ADDRSTRLEN);
}

static union address local(int fd)
{
	union address a = { 0 };
	socklen_t n = sizeof(a);

	MUST(getsockname(fd, &a.any, &n));
	return a;
}

static union address remote(int fd)
{
	union address a = { 0 };
	socklen_t n = sizeof(a);

	MUST(getpeername(fd, &a.any, &n));
	return a;
}

static int new_socket(int family, int type)
{
	return (int)MUST(socket(family, type | SOCK_CLOEXEC, 0));
}

static void wait_for_input(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (MUST(poll(&p, 1, PATIENCE_MS)) == 0)
		NEVER("the other end of a connection is silent");
}

/* UDP of this process between one of the server's sockets and one port: when it was last reported. The
 * server, forked before its worker does anything, has a table of its own. */
static bool report_is_due(int server_socket, const char *address, in_port_t port)
{
	static uint64_t reported[SOCKETS][2][65536];
	uint64_t *last = &reported[server_socket][strchr(address, ':') != NULL][port];
	uint64_t t = now();

	if (*last && t - *last < REPORT_AGAIN_NS)
		return false;
	*last = t;
	return true;
}

/* --- The server. --- */

static int accept_somehow(struct actor *a, int fd)
{
	struct io_uring_sqe e = { .opcode = IORING_OP_ACCEPT, .fd = fd, .accept_flags = SOCK_CLOEXEC };
	union address peer;
	socklen_t n = sizeof(peer);

	switch (choose(a, 3)) {
	case 0:
		return accept(fd, NULL, NULL);
	case 1:
		return accept4(fd, &peer.any, &n, SOCK_CLOEXEC);
	default:
		return uring_do(&a->ring, &e);
	}
}

static void note_accepted(const struct actor *a, const union address *peer, const union address *own, const char *how,
			  uint64_t since)
{
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	struct ends e = { "tcp", source, destination, port_of(peer), port_of(own) };

	text_of(peer, source);
	text_of(own, destination);
	ledger_connection(a, &e, false, how, since);
}

/* What io_uring accepts may be told when something is sent (docs/sensor.md), after which the peer may be gone. */
static void serve_connection(struct actor *a, int which)
{
	int fd = (int)MUST(accept_somehow(a, a->worker->server->fd[which]));
	union address peer = remote(fd), own = local(fd);

	MUST(write(fd, "!", 1));
	note_accepted(a, &peer, &own, "accept", a->worker->server->started);
	MUST(close(fd));
}

/* Receives a datagram and returns its length; *from is where it came from, as far as the call told. */
static size_t receive_somehow(struct actor *a, int fd, bool blind, void *to, size_t size, union address *from)
{
	struct iovec v = { .iov_base = to, .iov_len = size };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_name = from, .msg_namelen = sizeof(*from) };
	socklen_t n = sizeof(*from);
	ssize_t got;

	if (blind)
		got = choose(a, 2) ? recv(fd, to, size, 0) : read(fd, to, size);
	else if (choose(a, 2))
		got = recvfrom(fd, to, size, 0, &from->any, &n);
	else
		got = recvmsg(fd, &m, 0);
	return (size_t)MUST(got);
}

static void serve_datagram(struct actor *a, int which)
{
	struct server *s = a->worker->server;
	uint64_t since = now();
	union address from = { 0 };
	struct datagram d;
	struct ends e = { "udp", d.address, d.address, 0, s->port[which] };

	if (receive_somehow(a, s->fd[which], which == UDP_BLIND, &d, sizeof(d), &from) != sizeof(d))
		NEVER("a datagram was cut");
	if (d.port)
		from = address_of(AF_INET, d.address, d.port);
	e.source_port = port_of(&from);
	if (report_is_due(which, d.address, (in_port_t)e.source_port))
		ledger_connection(a, &e, false, which == UDP_BLIND ? "recv" : "recvfrom", since);
	MUST(sendto(s->fd[which], &d, sizeof(d), 0, &from.any, address_size(&from)));
}

static void serve_name(struct actor *a, int which)
{
	static bool silent[SOCKETS][65536]; /* the last time that this port asked for something twice */
	int fd = a->worker->server->fd[which];
	uint64_t since = now();
	union address from = { 0 }, own = local(fd);
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	struct ends e = { "udp", source, destination, 0, NAMES_PORT };
	struct message question;
	struct answer answer;
	in_port_t port;

	question.n = receive_somehow(a, fd, false, question.bytes, sizeof(question.bytes), &from);
	e.source_port = port = port_of(&from);
	text_of(&from, source);
	text_of(&own, destination);
	if (report_is_due(which, source, port))
		ledger_connection(a, &e, false, "a question", since);
	if (names_asked(&question) == ASKED_TWICE && (silent[which][port] = !silent[which][port]))
		return;
	names_answer(&question, &answer);
	if (names_asked(&question) == ASKED_AGAIN)
		names_cut(&answer);
	MUST(sendto(fd, answer.message.bytes, answer.message.n, 0, &from.any, address_size(&from)));
}

/* What is sent over a connection: messages, each behind its length in two bytes. */
struct stream {
	size_t n;
	uint8_t bytes[LOOK_UPS_MAX * (sizeof(struct message) + 2)];
};

static void put_message(struct stream *s, const struct message *m)
{
	s->bytes[s->n++] = (uint8_t)(m->n >> 8);
	s->bytes[s->n++] = (uint8_t)m->n;
	memcpy(s->bytes + s->n, m->bytes, m->n);
	s->n += m->n;
}

static void write_stream(int fd, const struct stream *s, size_t each)
{
	for (size_t at = 0; at < s->n; at += each) {
		size_t n = each < s->n - at ? each : s->n - at;

		if (MUST(write(fd, s->bytes + at, n)) != (long)n)
			NEVER("a stream was written in part");
	}
}

/* False: the stream has ended. */
static bool read_message(int fd, struct message *m)
{
	uint8_t length[2];
	long n = MUST(recv(fd, length, sizeof(length), MSG_WAITALL));

	if (n == 0)
		return false;
	m->n = (size_t)(length[0] << 8 | length[1]);
	if (n != sizeof(length) || m->n > sizeof(m->bytes) || MUST(recv(fd, m->bytes, m->n, MSG_WAITALL)) != (long)m->n)
		NEVER("a message in a stream is cut");
	return true;
}

static void serve_names_connection(struct actor *a, int which)
{
	int fd = (int)MUST(accept_somehow(a, a->worker->server->fd[which]));
	union address peer = remote(fd), own = local(fd);
	struct message question;
	struct answer answer;
	struct stream s;

	while (read_message(fd, &question)) {
		names_answer(&question, &answer);
		s.n = 0;
		put_message(&s, &answer.message);
		write_stream(fd, &s, s.n);
	}
	note_accepted(a, &peer, &own, "accept", a->worker->server->started);
	MUST(close(fd));
}

/* Until the worker closes its end of the pipe. */
static void serve(struct actor *a, int end)
{
	struct server *s = a->worker->server;
	struct pollfd p[SOCKETS + 1];

	for (int i = 0; i < SOCKETS; i++)
		p[i] = (struct pollfd){ .fd = s->fd[i], .events = POLLIN };
	p[SOCKETS] = (struct pollfd){ .fd = end, .events = POLLIN };
	while (p[SOCKETS].revents == 0) {
		MUST(poll(p, ARRAY_SIZE(p), -1));
		for (int i = 0; i < SOCKETS; i++) {
			if (p[i].revents & POLLIN)
				listenings[i].serve(a, i);
		}
	}
}

/* -1: somebody else has the port. Connections that are over may have it, too, and do not count. */
static int listen_at(const struct listening *l, const union address *at)
{
	int fd = new_socket(l->family, l->type), on = 1;

	if (l->type == SOCK_STREAM && l->port)
		MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	if (bind(fd, &at->any, address_size(at)) == 0 && (l->type != SOCK_STREAM || listen(fd, 128) == 0))
		return fd;
	if (!l->port || errno != EADDRINUSE)
		MUST(-1);
	MUST(close(fd));
	return -1;
}

void server_new(struct worker *w)
{
	static struct server server; /* one in each worker process */
	char own[INET_ADDRSTRLEN];

	snprintf(own, sizeof(own), "127.53.%u.1", w->number);
	for (int i = 0; i < SOCKETS; i++) {
		const struct listening *l = &listenings[i];
		union address at = address_of(l->family, l->address ? l->address : own, l->port);

		server.fd[i] = listen_at(l, &at);
		if (server.fd[i] < 0)
			continue;
		at = local(server.fd[i]);
		server.port[i] = port_of(&at);
	}
	server.started = now();
	w->server = &server;
}

void server_start(struct actor *a)
{
	struct server *s = a->worker->server;
	int end[2];

	MUST(pipe2(end, O_CLOEXEC));
	s->pid = fork_actor(a);
	if (s->pid == 0) {
		MUST(close(end[1]));
		serve(a, end[0]);
		_exit(0);
	}
	MUST(close(end[0]));
	s->end = end[1];
}

void server_stop(struct actor *a)
{
	struct server *s = a->worker->server;
	pid_t initial = initial_pid(a->worker, s->pid);

	MUST(close(s->end));
	if (wait_status(s->pid) != 0)
		NEVER("a server failed");
	ledger_exit(a->worker, initial, own_image(), "the server", s->started);
}

/* --- TCP clients. --- */

static int connect_now(struct actor *a, int fd, const union address *to)
{
	(void)a;
	return connect(fd, &to->any, address_size(to));
}

static int connect_and_poll(struct actor *a, int fd, const union address *to)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t n = sizeof(error);

	(void)a;
	MUST(fcntl(fd, F_SETFL, O_NONBLOCK));
	if (connect(fd, &to->any, address_size(to)) < 0 && errno != EINPROGRESS)
		return -1;
	MUST(poll(&p, 1, PATIENCE_MS));
	MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n));
	MUST(fcntl(fd, F_SETFL, 0));
	return -error;
}

static int connect_by_uring(struct actor *a, int fd, const union address *to)
{
	struct io_uring_sqe e = { .opcode = IORING_OP_CONNECT, .fd = fd, .addr = (uintptr_t)to,
				  .off = address_size(to), .flags = choose(a, 2) ? IOSQE_ASYNC : 0 };

	return uring_do(&a->ring, &e);
}

static int connect_by_compat(struct actor *a, int fd, const union address *to)
{
	enum { I386_CONNECT = 362 };

	memcpy(a->low_page, to, sizeof(*to));
	return call32(I386_CONNECT, (uintptr_t)fd, (uintptr_t)a->low_page, address_size(to));
}

static const struct connecting {
	const char *name;
	int (*connect)(struct actor *a, int fd, const union address *to);
} connectings[] = {
	{ "connect", connect_now },
	{ "connect without blocking", connect_and_poll },
	{ "io_uring connect", connect_by_uring },
	{ "connect by int 0x80", connect_by_compat }, /* the last, for kernels without */
};

static const struct route *choose_route(struct actor *a, int type)
{
	for (;;) { /* each type has about half of the routes */
		const struct route *r = &routes[choose(a, ARRAY_SIZE(routes))];

		if (listenings[r->socket].type == type)
			return r;
	}
}

static void connect_somehow(struct actor *a, int fd, const union address *to)
{
	const struct connecting *c = &connectings[choose(a, ARRAY_SIZE(connectings) - !can_call32())];
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	struct ends e = { "tcp", source, destination, 0, port_of(to) };
	uint64_t since = now();
	union address own;

	must(c->connect(a, fd, to), c->name, __FILE__, __LINE__);
	own = local(fd);
	e.source_port = port_of(&own);
	text_of(&own, source);
	text_of(to, destination);
	ledger_connection(a, &e, true, c->name, since);
}

static void bind_to(int fd, int family, const char *address)
{
	union address at = address_of(family, address, 0);

	MUST(bind(fd, &at.any, address_size(&at)));
}

static bool act_tcp(struct actor *a, const char *unused)
{
	const struct route *r = choose_route(a, SOCK_STREAM);
	union address to = address_of(r->family, r->address, a->worker->server->port[r->socket]);
	int fd = new_socket(r->family, SOCK_STREAM);
	char byte;

	(void)unused;
	if (choose(a, 3) == 0)
		bind_to(fd, r->family, r->address);
	connect_somehow(a, fd, &to);
	wait_for_input(fd);
	if (MUST(read(fd, &byte, 1)) != 1)
		NEVER("the server closed without a byte");
	MUST(close(fd));
	return true;
}

/* Both ends in one process. */
static bool act_tcp_to_itself(struct actor *a, const char *name)
{
	union address at = address_of(AF_INET, "127.0.0.1", 0), peer;
	int listener = new_socket(AF_INET, SOCK_STREAM), fd = new_socket(AF_INET, SOCK_STREAM), accepted;
	uint64_t since = now();

	MUST(bind(listener, &at.any, address_size(&at)));
	MUST(listen(listener, 1));
	at = local(listener);
	connect_somehow(a, fd, &at);
	accepted = (int)MUST(accept(listener, NULL, NULL));
	peer = remote(accepted);
	note_accepted(a, &peer, &at, name, since);
	MUST(close(fd));
	MUST(close(accepted));
	MUST(close(listener));
	return true;
}

/* Nobody listens: no connection, no event. */
static bool act_refused(struct actor *a, const char *name)
{
	int holder = new_socket(AF_INET, SOCK_STREAM), fd = new_socket(AF_INET, SOCK_STREAM);
	union address at = address_of(AF_INET, "127.0.0.1", 0);

	(void)a;
	(void)name;
	MUST(bind(holder, &at.any, address_size(&at)));
	at = local(holder);
	if (connect(fd, &at.any, address_size(&at)) == 0 || errno != ECONNREFUSED)
		NEVER("a connection that must be refused");
	MUST(close(fd));
	MUST(close(holder));
	return true;
}

/* --- UDP clients. --- */

static ssize_t send_connected(struct actor *a, int fd, const void *bytes, size_t n, const union address *to)
{
	MUST(connect(fd, &to->any, address_size(to)));
	return choose(a, 2) ? send(fd, bytes, n, 0) : write(fd, bytes, n);
}

static ssize_t send_to(struct actor *a, int fd, const void *bytes, size_t n, const union address *to)
{
	(void)a;
	return sendto(fd, bytes, n, 0, &to->any, address_size(to));
}

static ssize_t send_message(struct actor *a, int fd, const void *bytes, size_t n, const union address *to)
{
	struct iovec v = { .iov_base = (void *)bytes, .iov_len = n };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1, .msg_name = (void *)to,
					  .msg_namelen = address_size(to) } };
	struct io_uring_sqe e = { .opcode = IORING_OP_SENDMSG, .fd = fd, .addr = (uintptr_t)&m.msg_hdr,
				  .len = 1, .flags = choose(a, 2) ? IOSQE_ASYNC : 0 };

	switch (choose(a, 3)) {
	case 0:
		return sendmsg(fd, &m.msg_hdr, 0);
	case 1:
		return sendmmsg(fd, &m, 1, 0) == 1 ? (ssize_t)m.msg_len : -1;
	default:
		return uring_do(&a->ring, &e);
	}
}

static const struct sending {
	const char *name;
	ssize_t (*send)(struct actor *a, int fd, const void *bytes, size_t n, const union address *to);
} sendings[] = {
	{ "send on a connected socket", send_connected },
	{ "sendto", send_to },
	{ "sendmsg", send_message },
};

static void send_by(struct actor *a, const struct sending *s, int fd, const void *bytes, size_t n,
		    const union address *to)
{
	if (must(s->send(a, fd, bytes, n, to), s->name, __FILE__, __LINE__) != (long)n)
		NEVER("a datagram was sent in part");
}

static void send_and_wait(struct actor *a, const struct sending *s, int fd, const struct datagram *d,
			  const union address *to)
{
	struct datagram answer;

	send_by(a, s, fd, d, sizeof(*d), to);
	wait_for_input(fd);
	if (MUST(recv(fd, &answer, sizeof(answer), 0)) != sizeof(answer))
		NEVER("an answer was cut");
}

/* One to three datagrams from one socket, each answered: one event at each end. */
static bool act_udp(struct actor *a, const char *unused)
{
	const struct route *r = choose_route(a, SOCK_DGRAM);
	const struct sending *s = &sendings[choose(a, ARRAY_SIZE(sendings))];
	in_port_t port = a->worker->server->port[r->socket];
	union address to = address_of(r->family, r->address, port), own;
	struct datagram d = { 0 };
	struct ends e = { "udp", r->text, r->text, 0, port };
	int fd = new_socket(r->family, SOCK_DGRAM);
	uint64_t since = now(), times = 1 + choose(a, 3);

	(void)unused;
	strcpy(d.address, r->text);
	if (r->socket == UDP_BLIND || choose(a, 2))
		bind_to(fd, r->family, r->address);
	own = local(fd);
	if (r->socket == UDP_BLIND)
		d.port = port_of(&own);
	for (uint64_t i = 0; i < times; i++)
		send_and_wait(a, s, fd, &d, &to);
	own = local(fd);
	e.source_port = port_of(&own);
	if (report_is_due(r->socket, r->text, port_of(&own)))
		ledger_connection(a, &e, true, s->name, since);
	MUST(close(fd));
	return true;
}

/* --- Look-ups of names. --- */

struct look_ups {
	size_t n;
	enum asking how;
	struct question questions[LOOK_UPS_MAX];
};

/* A name server, and where a socket that asks it may be bound to. */
struct name_server {
	int socket;
	union address at;
	const char *own;
};

static bool choose_name_server(struct actor *a, int type, struct name_server *ret)
{
	int four = type == SOCK_STREAM ? NAMES_TCP4 : NAMES_UDP4, six = type == SOCK_STREAM ? NAMES_TCP6 : NAMES_UDP6;
	const struct server *s = a->worker->server;
	char text[INET6_ADDRSTRLEN], mapped[INET6_ADDRSTRLEN + 8];

	ret->socket = s->fd[six] >= 0 && choose(a, 3) == 0 ? six : four;
	if (s->fd[ret->socket] < 0)
		return false;
	ret->at = local(s->fd[ret->socket]);
	ret->own = ret->socket == six ? "::1" : "127.0.0.1";
	if (ret->socket == four && choose(a, 3) == 0) {
		text_of(&ret->at, text);
		snprintf(mapped, sizeof(mapped), "::ffff:%s", text);
		ret->at = address_of(AF_INET6, mapped, NAMES_PORT);
		ret->own = "::ffff:127.0.0.1";
	}
	return true;
}

static void check_answer(const struct message *m, const struct question *q, bool cut)
{
	struct answer expected;

	names_answer(&q->message, &expected);
	if (cut)
		names_cut(&expected);
	if (m->n != expected.message.n || memcmp(m->bytes, expected.message.bytes, m->n) != 0)
		NEVER("an answer to another question");
}

static void receive_answer(int fd, const struct question *q, enum asking how)
{
	struct message m;

	wait_for_input(fd);
	m.n = (size_t)MUST(recv(fd, m.bytes, sizeof(m.bytes), 0));
	check_answer(&m, q, how == ASKED_AGAIN);
}

static void note_asked(struct actor *a, const struct name_server *s, int fd, const char *how, uint64_t since)
{
	union address client = address_of(s->at.any.sa_family, s->own, 0), own = local(fd);
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	struct ends e = { "udp", source, destination, port_of(&own), NAMES_PORT };

	text_of(&client, source);
	text_of(&s->at, destination);
	if (report_is_due(s->socket, source, port_of(&own)))
		ledger_connection(a, &e, true, how, since);
}

/* One after the other, or all before the first is answered. */
static void ask_by_udp(struct actor *a, const struct name_server *s, const struct look_ups *l)
{
	const struct sending *way = &sendings[choose(a, ARRAY_SIZE(sendings))];
	int fd = new_socket(s->at.any.sa_family, SOCK_DGRAM);
	bool at_once = choose(a, 2);
	uint64_t since = now();

	if (choose(a, 2))
		bind_to(fd, s->at.any.sa_family, s->own);
	for (size_t i = 0; i < l->n; i++) {
		const struct message *m = &l->questions[i].message;

		for (int times = l->how == ASKED_TWICE ? 2 : 1; times > 0; times--)
			send_by(a, way, fd, m->bytes, m->n, &s->at);
		if (!at_once)
			receive_answer(fd, &l->questions[i], l->how);
	}
	for (size_t i = 0; at_once && i < l->n; i++)
		receive_answer(fd, &l->questions[i], l->how);
	note_asked(a, s, fd, way->name, since);
	MUST(close(fd));
}

/* In one piece, or in pieces that begin and end anywhere. */
static void ask_by_tcp(struct actor *a, const struct name_server *s, const struct look_ups *l)
{
	int fd = new_socket(s->at.any.sa_family, SOCK_STREAM), on = 1;
	struct stream stream = { 0 };
	struct message m;

	MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	if (choose(a, 3) == 0)
		bind_to(fd, s->at.any.sa_family, s->own);
	connect_somehow(a, fd, &s->at);
	for (size_t i = 0; i < l->n; i++)
		put_message(&stream, &l->questions[i].message);
	write_stream(fd, &stream, choose(a, 2) ? stream.n : 1 + choose(a, 100));
	for (size_t i = 0; i < l->n; i++) {
		wait_for_input(fd);
		if (!read_message(fd, &m))
			NEVER("an answer is missing");
		check_answer(&m, &l->questions[i], false);
	}
	MUST(close(fd));
}

/* One to three names. What is asked again over TCP may have another number then. */
static bool act_look_up(struct actor *a, const char *unused)
{
	static const char *const hows[] = { "a look-up", "a look-up asked twice", "a look-up over UDP and TCP" };
	static const enum asking askings[] = { ASKED_ONCE, ASKED_ONCE, ASKED_ONCE, ASKED_TWICE, ASKED_AGAIN };
	struct look_ups l = { .n = 1 + choose(a, LOOK_UPS_MAX), .how = askings[choose(a, ARRAY_SIZE(askings))] };
	bool only_tcp = l.how == ASKED_ONCE && choose(a, 3) == 0;
	struct name_server udp, tcp;
	uint64_t since = now();
	struct answer answer;

	(void)unused;
	if (!choose_name_server(a, SOCK_DGRAM, &udp) || !choose_name_server(a, SOCK_STREAM, &tcp))
		return false;
	for (size_t i = 0; i < l.n; i++)
		names_ask(a, l.how, &l.questions[i]);
	if (!only_tcp)
		ask_by_udp(a, &udp, &l);
	for (size_t i = 0; i < l.n; i++)
		l.questions[i].message.bytes[0] ^= (uint8_t)choose(a, 2);
	if (only_tcp || l.how == ASKED_AGAIN)
		ask_by_tcp(a, &tcp, &l);
	for (size_t i = 0; i < l.n; i++) {
		names_answer(&l.questions[i].message, &answer);
		ledger_lookup(a, l.questions[i].name, answer.status, answer.results,
			      only_tcp ? "a look-up over TCP" : hows[l.how], since);
	}
	return true;
}

const struct operation network_operations[] = {
	{ "tcp", 50, act_tcp },
	{ "tcp to itself", 10, act_tcp_to_itself },
	{ "refused", 5, act_refused },
	{ "udp", 40, act_udp },
	{ "look-up", 20, act_look_up },
};
const size_t network_operation_count = ARRAY_SIZE(network_operations);

/* SPDX-License-Identifier: MIT */
/* Connections over loopback, and the server process of each worker that answers them. What the ledger says:
 * each end of an established TCP connection is an event of its process; a process's first UDP datagram sent
 * or received between two addresses is one, and again after 30 minutes. The source is always the end that
 * began. */
#include "truth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPORT_AGAIN_NS (30ull * 60 * 1000000000)
#define PATIENCE_MS     20000

enum { TCP4, TCP_DUAL, UDP4, UDP_ANY, UDP_DUAL, UDP_BLIND, SOCKETS };

/* What the server listens on. The blind one is read without asking who sent. */
static const struct listening {
	int family, type;
	bool any; /* not bound to loopback only */
} listenings[SOCKETS] = {
	[TCP4] = { AF_INET, SOCK_STREAM, false },     [TCP_DUAL] = { AF_INET6, SOCK_STREAM, true },
	[UDP4] = { AF_INET, SOCK_DGRAM, false },      [UDP_ANY] = { AF_INET, SOCK_DGRAM, true },
	[UDP_DUAL] = { AF_INET6, SOCK_DGRAM, true },  [UDP_BLIND] = { AF_INET, SOCK_DGRAM, false },
};

struct server {
	int fd[SOCKETS];
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
static void serve_connection(struct actor *a, int listener)
{
	int fd = (int)MUST(accept_somehow(a, listener));
	union address peer = remote(fd), own = local(fd);

	MUST(write(fd, "!", 1));
	note_accepted(a, &peer, &own, "accept", a->worker->server->started);
	MUST(close(fd));
}

/* Receives a datagram; *from is where it came from, as far as the call told. */
static void receive_somehow(struct actor *a, int fd, bool blind, struct datagram *d, union address *from)
{
	struct iovec v = { .iov_base = d, .iov_len = sizeof(*d) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_name = from, .msg_namelen = sizeof(*from) };
	socklen_t n = sizeof(*from);
	ssize_t got;

	if (blind)
		got = choose(a, 2) ? recv(fd, d, sizeof(*d), 0) : read(fd, d, sizeof(*d));
	else if (choose(a, 2))
		got = recvfrom(fd, d, sizeof(*d), 0, &from->any, &n);
	else
		got = recvmsg(fd, &m, 0);
	if (MUST(got) != sizeof(*d))
		NEVER("a datagram was cut");
}

static void serve_datagram(struct actor *a, int which)
{
	struct server *s = a->worker->server;
	uint64_t since = now();
	union address from = { 0 };
	struct datagram d;
	struct ends e = { "udp", d.address, d.address, 0, s->port[which] };

	receive_somehow(a, s->fd[which], which == UDP_BLIND, &d, &from);
	if (d.port)
		from = address_of(AF_INET, d.address, d.port);
	e.source_port = port_of(&from);
	if (report_is_due(which, d.address, (in_port_t)e.source_port))
		ledger_connection(a, &e, false, which == UDP_BLIND ? "recv" : "recvfrom", since);
	MUST(sendto(s->fd[which], &d, sizeof(d), 0, &from.any, address_size(&from)));
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
			if (!(p[i].revents & POLLIN))
				continue;
			if (listenings[i].type == SOCK_STREAM)
				serve_connection(a, s->fd[i]);
			else
				serve_datagram(a, i);
		}
	}
}

void server_new(struct worker *w)
{
	static struct server server; /* one in each worker process */
	union address at;

	for (int i = 0; i < SOCKETS; i++) {
		const struct listening *l = &listenings[i];
		const char *address = l->family == AF_INET6 ? "::" : l->any ? "0.0.0.0" : "127.0.0.1";

		server.fd[i] = new_socket(l->family, l->type);
		at = address_of(l->family, address, 0);
		MUST(bind(server.fd[i], &at.any, address_size(&at)));
		if (l->type == SOCK_STREAM)
			MUST(listen(server.fd[i], 128));
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

static void note_connected(const struct actor *a, const char *how, int fd, const char *text, in_port_t port,
			   uint64_t since)
{
	union address own = local(fd);
	struct ends e = { "tcp", text, text, port_of(&own), port };

	ledger_connection(a, &e, true, how, since);
}

static bool act_tcp(struct actor *a, const char *unused)
{
	const struct route *r = choose_route(a, SOCK_STREAM);
	const struct connecting *c = &connectings[choose(a, ARRAY_SIZE(connectings) - !can_call32())];
	in_port_t port = a->worker->server->port[r->socket];
	union address to = address_of(r->family, r->address, port);
	int fd = new_socket(r->family, SOCK_STREAM);
	uint64_t since = now();
	char byte;

	(void)unused;
	if (choose(a, 3) == 0) {
		union address from = address_of(r->family, r->address, 0);

		MUST(bind(fd, &from.any, address_size(&from)));
	}
	must(c->connect(a, fd, &to), c->name, __FILE__, __LINE__);
	note_connected(a, c->name, fd, r->text, port, since);
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
	MUST(connect(fd, &at.any, address_size(&at)));
	note_connected(a, name, fd, "127.0.0.1", port_of(&at), since);
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

static ssize_t send_connected(struct actor *a, int fd, const struct datagram *d, const union address *to)
{
	MUST(connect(fd, &to->any, address_size(to)));
	return choose(a, 2) ? send(fd, d, sizeof(*d), 0) : write(fd, d, sizeof(*d));
}

static ssize_t send_to(struct actor *a, int fd, const struct datagram *d, const union address *to)
{
	(void)a;
	return sendto(fd, d, sizeof(*d), 0, &to->any, address_size(to));
}

static ssize_t send_message(struct actor *a, int fd, const struct datagram *d, const union address *to)
{
	struct iovec v = { .iov_base = (void *)d, .iov_len = sizeof(*d) };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1, .msg_name = (void *)to,
					  .msg_namelen = address_size(to) } };
	struct io_uring_sqe e = { .opcode = IORING_OP_SENDMSG, .fd = fd, .addr = (uintptr_t)&m.msg_hdr,
				  .len = 1 };

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
	ssize_t (*send)(struct actor *a, int fd, const struct datagram *d, const union address *to);
} sendings[] = {
	{ "send on a connected socket", send_connected },
	{ "sendto", send_to },
	{ "sendmsg", send_message },
};

static void send_and_wait(struct actor *a, const struct sending *s, int fd, const struct datagram *d,
			  const union address *to)
{
	struct datagram answer;

	if (must(s->send(a, fd, d, to), s->name, __FILE__, __LINE__) != sizeof(*d))
		NEVER("a datagram was sent in part");
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
	if (r->socket == UDP_BLIND || choose(a, 2)) {
		own = address_of(r->family, r->address, 0);
		MUST(bind(fd, &own.any, address_size(&own)));
		own = local(fd);
	}
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

const struct operation network_operations[] = {
	{ "tcp", 50, act_tcp },
	{ "tcp to itself", 10, act_tcp_to_itself },
	{ "refused", 5, act_refused },
	{ "udp", 40, act_udp },
};
const size_t network_operation_count = ARRAY_SIZE(network_operations);

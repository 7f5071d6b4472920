/* SPDX-License-Identifier: MIT */
/* Over TCP: a question in one piece, one whose length comes by itself, two in one write, and one that comes byte by
 * byte; each is answered. Then one that was asked over UDP first, whose answer did not fit there: it is one look-up.
 *
 * judges 22
 * expect 22 QueryName=whole.example.org QueryStatus=0 QueryResults=::ffff:192.0.2.1;
 * expect 22 QueryName=split.example.org QueryStatus=0 QueryResults=::ffff:192.0.2.1;
 * expect 22 QueryName=first.example.org QueryStatus=0 QueryResults=::ffff:192.0.2.1;
 * expect 22 QueryName=second.example.org QueryStatus=0 QueryResults=::ffff:192.0.2.1;
 * expect 22 QueryName=bytes.example.org QueryStatus=0 QueryResults=::ffff:192.0.2.1;
 * expect 22 QueryName=long.example.org QueryStatus=0 QueryResults=::ffff:192.0.2.1; */
#include <netinet/tcp.h>

#include "dns.h"

static int udp, tcp;

static void with_address(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, 0, 1);
	dns_put_address(to, "192.0.2.1");
}

static void truncated(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, FLAG_TRUNCATED, 0);
}

static void answer_stream(int fd)
{
	struct dns_bytes question, reply;

	dns_receive_stream(fd, &question);
	with_address(&reply, &question);
	dns_send_stream(fd, &reply);
}

static void serve(void)
{
	int fd = (int)MUST(accept(tcp, NULL, NULL));

	for (int i = 0; i < 5; i++)
		answer_stream(fd);
	dns_serve(udp, truncated);
	answer_stream((int)MUST(accept(tcp, NULL, NULL)));
}

static int connection(void)
{
	union address server = address_of("127.0.0.1", 53);
	int fd = new_socket(&server, SOCK_STREAM), on = 1;

	MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	connect_to(fd, &server);
	return fd;
}

/* The message behind its length, as it stands in the stream. */
static void framed(struct dns_bytes *to, unsigned id, const char *name)
{
	struct dns_bytes m;

	dns_question(&m, id, name, DNS_A);
	dns_put16(to, (unsigned)m.n);
	dns_put(to, m.byte, m.n);
}

static void ask_in_parts(int fd, unsigned id, const char *name, size_t first, size_t each)
{
	struct dns_bytes m = { 0 };

	framed(&m, id, name);
	MUST(send(fd, m.byte, first, 0));
	for (size_t at = first; at < m.n; at += each)
		MUST(send(fd, m.byte + at, each < m.n - at ? each : m.n - at, 0));
	dns_receive_stream(fd, &m);
}

static void ask_two_at_once(int fd)
{
	struct dns_bytes m = { 0 };

	framed(&m, 3, "first.example.org");
	framed(&m, 4, "second.example.org");
	MUST(send(fd, m.byte, m.n, 0));
	dns_receive_stream(fd, &m);
	dns_receive_stream(fd, &m);
}

void behave(int argc, char **argv)
{
	pid_t pid;
	int fd;

	(void)argc, (void)argv;
	own_network();
	udp = new_server("127.0.0.1", 53, SOCK_DGRAM);
	tcp = new_server("127.0.0.1", 53, SOCK_STREAM);
	pid = start(serve);
	fd = connection();
	ask_in_parts(fd, 1, "whole.example.org", 2 + 12 + 19 + 4, 1);
	ask_in_parts(fd, 2, "split.example.org", 2, 4096);
	ask_two_at_once(fd);
	ask_in_parts(fd, 5, "bytes.example.org", 1, 1);
	dns_ask(dns_socket("127.0.0.1"), 6, "long.example.org", DNS_A);
	ask_in_parts(connection(), 6, "long.example.org", 2, 4096);
	wait_for(pid);
}

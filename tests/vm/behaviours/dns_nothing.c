/* SPDX-License-Identifier: MIT */
/* What looks like a look-up and is none: other things on port 53, an answer to nobody's question, one to another
 * question, a question on another port, one that a server is asked by nobody here. Only the last is one.
 *
 * judges 22
 * expect 22 QueryName=real.example.org QueryStatus=9003 */
#include "dns.h"

static int serving;

static void no_such_name(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, RCODE_NO_SUCH_NAME, 0);
}

static void serve(void)
{
	struct dns_bytes m, other, reply;
	union address from;
	socklen_t length = sizeof(from);

	for (int i = 0; i < 4; i++)
		dns_receive(serving, &m);
	m.n = (size_t)MUST(recvfrom(serving, m.byte, sizeof(m.byte), 0, &from.any, &length));
	dns_question(&other, 9, "forged.example.org", DNS_A);
	dns_answer(&reply, &other, 0, 1);
	dns_put_address(&reply, "192.0.2.66");
	MUST(sendto(serving, reply.byte, reply.n, 0, &from.any, length));
	no_such_name(&reply, &m);
	MUST(sendto(serving, reply.byte, reply.n, 0, &from.any, length));
}

void behave(int argc, char **argv)
{
	union address elsewhere = address_of("127.0.0.1", 5300);
	struct dns_bytes m;
	pid_t pid;
	int fd;

	(void)argc, (void)argv;
	own_network();
	serving = new_server("127.0.0.1", 53, SOCK_DGRAM);
	pid = start(serve);
	fd = dns_socket("127.0.0.1");
	MUST(send(fd, "x", 1, 0));
	MUST(send(fd, "\0\1\1\0\0\1\0\0\0\0\0\0\77label that ends too early", 37, 0));
	MUST(send(fd, "\0\1\1\0\0\1\0\0\0\0\0\0\300\14\0\1\0\1", 18, 0)); /* a name that points to itself */
	dns_question(&m, 1, "answer.example.org", DNS_A);
	m.byte[2] |= 0x80; /* says that it is an answer */
	dns_send(fd, &m);
	dns_question(&m, 2, "port.example.org", DNS_A);
	MUST(sendto(new_socket(&elsewhere, SOCK_DGRAM), m.byte, m.n, 0, &elsewhere.any, sizeof(elsewhere.v4)));
	dns_question(&m, 9, "real.example.org", DNS_A);
	dns_send(fd, &m);
	dns_receive(fd, &m);
	dns_receive(fd, &m);
	wait_for(pid);
}

/* SPDX-License-Identifier: MIT */
/* A name is looked up over UDP, its answer holds an alias and addresses. The server's side of it, though it is here
 * too, is no look-up; nor is a question that is sent again. IPv6 and a socket that is not connected as well.
 *
 * judges 22
 * expect 22 QueryName=www.example.org QueryStatus=0 QueryResults="type:  5 host.example.net;::ffff:192.0.2.7;2001:db8::7;"
 * expect 22 QueryName=six.example.org QueryStatus=0 QueryResults=::ffff:192.0.2.7;
 * expect 22 QueryName=loose.example.org QueryStatus=0 QueryResults=::ffff:192.0.2.7; */
#include "dns.h"

static int serving[2];

static void with_alias(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, 0, 3);
	dns_put_name_record(to, DNS_CNAME, "", 0, "host.example.net");
	dns_put_address(to, "192.0.2.7");
	dns_put_address(to, "2001:db8::7");
}

static void with_address(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, 0, 1);
	dns_put_address(to, "192.0.2.7");
}

static void serve(void)
{
	struct dns_bytes repeated;

	dns_receive(serving[0], &repeated);
	dns_serve(serving[0], with_alias);
	dns_serve(serving[1], with_address);
	dns_serve(serving[0], with_address);
}

static void ask_twice(void)
{
	int fd = dns_socket("127.0.0.1");
	struct dns_bytes m;

	dns_question(&m, 1, "www.example.org", DNS_A);
	dns_send(fd, &m);
	dns_send(fd, &m);
	dns_receive(fd, &m);
}

static void ask_unconnected(void)
{
	union address server = address_of("127.0.0.1", 53);
	int fd = new_socket(&server, SOCK_DGRAM);
	struct dns_bytes m;

	dns_question(&m, 3, "loose.example.org", DNS_A);
	MUST(sendto(fd, m.byte, m.n, 0, &server.any, sizeof(server.v4)));
	dns_receive(fd, &m);
}

void behave(int argc, char **argv)
{
	pid_t pid;

	(void)argc, (void)argv;
	own_network();
	serving[0] = new_server("127.0.0.1", 53, SOCK_DGRAM);
	serving[1] = new_server("::1", 53, SOCK_DGRAM);
	pid = start(serve);
	ask_twice();
	dns_ask(dns_socket("::1"), 2, "six.example.org", DNS_A);
	ask_unconnected();
	wait_for(pid);
}

/* SPDX-License-Identifier: MIT */
/* Records of other types, and names and texts that try to look like something else.
 *
 * judges 22
 * expect 22 QueryName=1.2.0.192.in-addr.arpa QueryStatus=0 QueryResults="type:  12 host.example.org;"
 * expect 22 QueryName=mail.example.org QueryStatus=0 QueryResults="type:  15 10 mx1.example.org;type:  15 20 mx2.example.org;"
 * expect 22 QueryName=six.example.org QueryStatus=0 QueryResults=2001:db8::1;
 * expect 22 QueryName=text.example.org QueryStatus=0 QueryResults="type:  16 v=spf1 -all;type:  16 a\\;::ffff:6.6.6.6\\;;"
 * expect 22 QueryName="evil\\.example\\\\x5cx0A\\x1B\\xFF \".org" QueryStatus=9003 QueryResults=-
 * expect 22 QueryName=. QueryStatus=0 QueryResults="type:  4711 \\# 3 00ff41;" */
#include "dns.h"

static int serving;

static void pointer(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, 0, 1);
	dns_put_name_record(to, DNS_PTR, "", 0, "host.example.org");
}

static void exchanges(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, 0, 2);
	dns_put_name_record(to, DNS_MX, "\0\12", 2, "mx1.example.org");
	dns_put_name_record(to, DNS_MX, "\0\24", 2, "mx2.example.org");
}

static void address(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, 0, 1);
	dns_put_address(to, "2001:db8::1");
}

static void texts(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, 0, 2);
	dns_put_record(to, DNS_TXT, "\7v=spf1 \4-all", 13);
	dns_put_record(to, DNS_TXT, "\21a;::ffff:6.6.6.6;", 18);
}

static void no_such_name(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, RCODE_NO_SUCH_NAME, 0);
}

static void unknown(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, 0, 1);
	dns_put_record(to, 4711, "\0\xff" "A", 3);
}

static void serve(void)
{
	dns_serve(serving, pointer);
	dns_serve(serving, exchanges);
	dns_serve(serving, address);
	dns_serve(serving, texts);
	dns_serve(serving, no_such_name);
	dns_serve(serving, unknown);
}

static void ask_for_evil(int fd)
{
	static const char label[] = "evil.example\\x0A\x1b\xff \"";
	uint8_t length = sizeof(label) - 1;
	struct dns_bytes m;

	dns_put_head(&m, 5, 0x0100, 0);
	dns_put(&m, &length, 1);
	dns_put(&m, label, length);
	dns_put_name(&m, "org");
	dns_put16(&m, DNS_A);
	dns_put16(&m, 1);
	dns_send(fd, &m);
	dns_receive(fd, &m);
}

void behave(int argc, char **argv)
{
	pid_t pid;
	int fd;

	(void)argc, (void)argv;
	own_network();
	serving = new_server("127.0.0.1", 53, SOCK_DGRAM);
	pid = start(serve);
	fd = dns_socket("127.0.0.1");
	dns_ask(fd, 1, "1.2.0.192.in-addr.arpa", DNS_PTR);
	dns_ask(fd, 2, "mail.example.org", DNS_MX);
	dns_ask(fd, 3, "six.example.org", DNS_AAAA);
	dns_ask(fd, 4, "text.example.org", DNS_TXT);
	ask_for_evil(fd);
	dns_ask(fd, 6, "", 4711);
	wait_for(pid);
}

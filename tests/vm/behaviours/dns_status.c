/* SPDX-License-Identifier: MIT */
/* What becomes of look-ups that find nothing: no such name, a server that fails or refuses, a name without records of
 * the type, only an alias, and no answer at all (which is told some seconds later).
 *
 * judges 22
 * expect 22 QueryName=none.example.org QueryStatus=9003 QueryResults=-
 * expect 22 QueryName=fails.example.org QueryStatus=9002 QueryResults=-
 * expect 22 QueryName=refused.example.org QueryStatus=9005 QueryResults=-
 * expect 22 QueryName=empty.example.org QueryStatus=9501 QueryResults=-
 * expect 22 QueryName=alias.example.org QueryStatus=9501 QueryResults="type:  5 elsewhere.example.net;"
 * expect 22 QueryName=silent.example.org QueryStatus=1460 QueryResults=- */
#include "dns.h"

static int serving;

static void no_such_name(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, RCODE_NO_SUCH_NAME, 0);
}

static void failure(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, RCODE_SERVER_FAILURE, 0);
}

static void refusal(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, RCODE_REFUSED, 0);
}

static void nothing(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, 0, 0);
}

static void alias(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, 0, 1);
	dns_put_name_record(to, DNS_CNAME, "", 0, "elsewhere.example.net");
}

static void serve(void)
{
	dns_serve(serving, no_such_name);
	dns_serve(serving, failure);
	dns_serve(serving, refusal);
	dns_serve(serving, nothing);
	dns_serve(serving, alias);
}

void behave(int argc, char **argv)
{
	struct dns_bytes m;
	pid_t pid;
	int fd;

	(void)argc, (void)argv;
	own_network();
	serving = new_server("127.0.0.1", 53, SOCK_DGRAM);
	pid = start(serve);
	fd = dns_socket("127.0.0.1");
	dns_ask(fd, 1, "none.example.org", DNS_A);
	dns_ask(fd, 1, "fails.example.org", DNS_A);
	dns_ask(fd, 1, "refused.example.org", DNS_A);
	dns_ask(fd, 1, "empty.example.org", DNS_A);
	dns_ask(fd, 1, "alias.example.org", DNS_A);
	wait_for(pid);
	dns_question(&m, 2, "silent.example.org", DNS_A);
	dns_send(fd, &m);
}

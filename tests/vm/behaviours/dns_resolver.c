/* SPDX-License-Identifier: MIT */
/* The C library asks, over UDP and then, when the answer did not fit, over TCP: one look-up with many addresses.
 *
 * judges 22
 * expect 22 QueryName=library.example.org QueryStatus=0 QueryResults~(::ffff:192\.0\.2\.1;){200} */
#include <netinet/in.h>
#include <arpa/nameser.h>
#include <resolv.h>

#include "dns.h"

static int udp, tcp;

static void truncated(struct dns_bytes *to, const struct dns_bytes *question)
{
	dns_answer(to, question, FLAG_TRUNCATED, 0);
}

#define MANY 200

static void serve(void)
{
	struct dns_bytes question, reply;
	int fd;

	dns_serve(udp, truncated);
	fd = (int)MUST(accept(tcp, NULL, NULL));
	dns_receive_stream(fd, &question);
	dns_answer(&reply, &question, 0, MANY);
	for (int i = 0; i < MANY; i++)
		dns_put_address(&reply, "192.0.2.1");
	dns_send_stream(fd, &reply);
	dns_receive(fd, &reply); /* until it is closed */
}

void behave(int argc, char **argv)
{
	static uint8_t answer[65536];
	struct __res_state state = { 0 };
	union address server = address_of("127.0.0.1", 53);
	pid_t pid;

	(void)argc, (void)argv;
	own_network();
	udp = new_server("127.0.0.1", 53, SOCK_DGRAM);
	tcp = new_server("127.0.0.1", 53, SOCK_STREAM);
	pid = start(serve);
	MUST(res_ninit(&state));
	state.nscount = 1;
	state.nsaddr_list[0] = server.v4;
	state.options &= ~(unsigned long)RES_USE_EDNS0;
	MUST(res_nquery(&state, "library.example.org", C_IN, T_A, answer, sizeof(answer)));
	res_nclose(&state);
	wait_for(pid);
}

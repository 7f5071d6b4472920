/* SPDX-License-Identifier: MIT */
/* An IPv4 address in IPv6 clothes is IPv4, to the one who called and to the one who was called.
 *
 * judges 3
 * expect 3 Protocol=tcp Initiated=true SourceIp=127.0.0.1 SourcePort=$port DestinationIp=127.0.0.1 DestinationPort=7777 SourceIsIpv6=false DestinationIsIpv6=false SourceHostname!=- DestinationHostname!=-
 * expect 3 ProcessId=$server Protocol=tcp Initiated=false SourceIp=127.0.0.1 SourcePort=$port DestinationIp=127.0.0.1 DestinationPort=7777 SourceIsIpv6=false DestinationIsIpv6=false */
#include "network.h"

static int listening;

static void serve(void)
{
	char byte;
	int fd = (int)MUST(accept(listening, NULL, NULL));

	MUST(read(fd, &byte, 1));
}

void behave(int argc, char **argv)
{
	union address server;
	pid_t pid;
	int fd;

	(void)argc, (void)argv;
	own_network();
	listening = new_server("::", 7777, SOCK_STREAM);
	pid = start(serve);
	say("server", "%d", pid);
	server = address_of("::ffff:127.0.0.1", 7777);
	fd = new_socket(&server, SOCK_STREAM);
	connect_to(fd, &server);
	say("port", "%u", own_port(fd));
	MUST(write(fd, "x", 1));
	wait_for(pid);
}

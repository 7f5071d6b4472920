/* SPDX-License-Identifier: MIT */
/* A call that returns before the connection is there, and one of many to one server: each connection once.
 *
 * judges 3
 * expect 3 Protocol=tcp Initiated=true SourcePort=$port1 DestinationPort=7777
 * expect 3 Protocol=tcp Initiated=false SourcePort=$port1 DestinationPort=7777
 * expect 3 Protocol=tcp Initiated=true SourcePort=$port2 DestinationPort=7777
 * expect 3 Protocol=tcp Initiated=false SourcePort=$port2 DestinationPort=7777 */
#include "network.h"

#include <errno.h>
#include <poll.h>

static void connect_without_waiting(const char *name, const union address *server, int listening)
{
	int fd = new_socket(server, SOCK_STREAM | SOCK_NONBLOCK);
	struct pollfd connected = { .fd = fd, .events = POLLOUT };

	MUST(connect(fd, &server->any, sizeof(*server)) < 0 && errno != EINPROGRESS ? -1 : 0);
	MUST(poll(&connected, 1, -1));
	say(name, "%u", own_port(fd));
	MUST(accept4(listening, NULL, NULL, SOCK_CLOEXEC));
}

void behave(int argc, char **argv)
{
	union address server;
	int listening;

	(void)argc, (void)argv;
	own_network();
	listening = new_server("127.0.0.1", 7777, SOCK_STREAM);
	server = address_of("127.0.0.1", 7777);
	connect_without_waiting("port1", &server, listening);
	connect_without_waiting("port2", &server, listening);
}

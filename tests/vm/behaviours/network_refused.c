/* SPDX-License-Identifier: MIT */
/* Nobody listens: a connection that never came to be is none. The one that comes to be afterwards is.
 *
 * judges 3
 * expect 3 Protocol=tcp Initiated=true DestinationPort=7778
 * expect 3 Protocol=tcp Initiated=false DestinationPort=7778 */
#include "network.h"

void behave(int argc, char **argv)
{
	union address nobody, somebody;
	int listening;

	(void)argc, (void)argv;
	own_network();
	nobody = address_of("127.0.0.1", 7777);
	MUST(connect(new_socket(&nobody, SOCK_STREAM), &nobody.any, sizeof(nobody)) < 0 ? 0 : -1);

	listening = new_server("127.0.0.1", 7778, SOCK_STREAM);
	somebody = address_of("127.0.0.1", 7778);
	connect_to(new_socket(&somebody, SOCK_STREAM), &somebody);
	MUST(accept(listening, NULL, NULL));
}

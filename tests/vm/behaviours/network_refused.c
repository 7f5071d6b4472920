/* SPDX-License-Identifier: MIT */
/* Nobody listens: a connection that never came to be is none.
 *
 * judges 3 */
#include "network.h"

void behave(int argc, char **argv)
{
	union address nobody;

	(void)argc, (void)argv;
	own_network();
	nobody = address_of("127.0.0.1", 7777);
	MUST(connect(new_socket(&nobody, SOCK_STREAM), &nobody.any, sizeof(nobody)) < 0 ? 0 : -1);
	new_server("127.0.0.1", 7778, SOCK_STREAM);
}

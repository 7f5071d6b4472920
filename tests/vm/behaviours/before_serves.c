/* SPDX-License-Identifier: MIT */
/* Sockets that were there before the monitor: who is called through them is who owns them.
 *
 * judges 3
 * expect 3 Protocol=tcp Initiated=false SourceIp=127.0.0.1 SourcePort=$tcp DestinationIp=127.0.0.1 DestinationPort=7777
 * expect 3 ProcessId=$caller Protocol=tcp Initiated=true SourceIp=127.0.0.1 SourcePort=$tcp DestinationIp=127.0.0.1 DestinationPort=7777
 * expect 3 Protocol=udp Initiated=false SourceIp=127.0.0.1 SourcePort=$udp DestinationIp=127.0.0.1 DestinationPort=7778
 * expect 3 ProcessId=$caller Protocol=udp Initiated=true SourceIp=127.0.0.1 SourcePort=$udp DestinationIp=127.0.0.1 DestinationPort=7778 */
#include "network.h"

static void call(void)
{
	union address stream = address_of("127.0.0.1", 7777), datagrams = address_of("127.0.0.1", 7778);
	int tcp = new_socket(&stream, SOCK_STREAM), udp = new_socket(&datagrams, SOCK_DGRAM);

	connect_to(tcp, &stream);
	say("tcp", "%u", own_port(tcp));
	MUST(sendto(udp, "x", 1, 0, &datagrams.any, sizeof(datagrams)));
	say("udp", "%u", own_port(udp));
}

void behave(int argc, char **argv)
{
	int stream, datagrams;
	char byte;

	(void)argc, (void)argv;
	own_network();
	stream = new_server("127.0.0.1", 7777, SOCK_STREAM);
	datagrams = new_server("127.0.0.1", 7778, SOCK_DGRAM);
	say("ready", "yes");
	MUST(read(STDIN_FILENO, &byte, 1) == 1 ? 0 : -1);
	say("caller", "%d", child(call));
	MUST(accept(stream, NULL, NULL));
	MUST(recv(datagrams, &byte, 1, 0));
}

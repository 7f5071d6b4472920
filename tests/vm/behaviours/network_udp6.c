/* SPDX-License-Identifier: MIT */
/* UDP over IPv6.
 *
 * judges 3
 * expect 3 Protocol=udp Initiated=true SourceIp=::1 SourcePort=$port DestinationIp=::1 DestinationPort=7777 SourceIsIpv6=true DestinationIsIpv6=true
 * expect 3 ProcessId=$receiver Protocol=udp Initiated=false SourceIp=::1 SourcePort=$port DestinationIp=::1 DestinationPort=7777 SourceIsIpv6=true DestinationIsIpv6=true */
#include "network.h"

static int receiving;

static void receive(void)
{
	char byte;

	for (int i = 0; i < 3; i++)
		MUST(recvfrom(receiving, &byte, 1, 0, NULL, NULL));
}

void behave(int argc, char **argv)
{
	union address receiver;
	pid_t pid;
	int fd;

	(void)argc, (void)argv;
	own_network();
	receiving = new_server("::1", 7777, SOCK_DGRAM);
	pid = start(receive);
	say("receiver", "%d", pid);
	receiver = address_of("::1", 7777);
	fd = new_socket(&receiver, SOCK_DGRAM);
	for (int i = 0; i < 3; i++)
		MUST(sendto(fd, "x", 1, 0, &receiver.any, sizeof(receiver)));
	say("port", "%u", own_port(fd));
	wait_for(pid);
}

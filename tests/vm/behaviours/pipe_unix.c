/* SPDX-License-Identifier: MIT */
/* Unix sockets with a name, by path and abstract, of each kind; connected by whoever connects. A pair without names,
 * and one that nobody listens to, give none.
 *
 * judges 17 18
 * expect 17 PipeName=$work/stream EventType=CreatePipe
 * expect 18 PipeName=$work/stream EventType=ConnectPipe ProcessId=$client
 * expect 17 PipeName=$work/datagram
 * expect 18 PipeName=$work/datagram ProcessId=$sender
 * expect 17 PipeName=$work/packets
 * expect 18 PipeName=$work/packets
 * expect 17 PipeName=@konseki-$self
 * expect 18 PipeName=@konseki-$self
 * expect 17 PipeName="@konseki\\x00inside"
 * expect 17 PipeName=$work/deaf */
#include "behaviour.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un address;
static socklen_t length;

static void name(const char *bytes, size_t n)
{
	memset(&address, 0, sizeof(address));
	address.sun_family = AF_UNIX;
	memcpy(address.sun_path, bytes, n);
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

static int made(int type)
{
	return (int)MUST(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
}

static int bound(int type)
{
	int fd = made(type);

	MUST(bind(fd, (struct sockaddr *)&address, length));
	return fd;
}

static void meet(int type)
{
	MUST(connect(made(type), (struct sockaddr *)&address, length));
}

static void client(void)
{
	meet(SOCK_STREAM);
}

static void sender(void)
{
	meet(SOCK_DGRAM);
}

static void without_names(void)
{
	int pair[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	name("missing", 7);
	MUST(connect(made(SOCK_STREAM), (struct sockaddr *)&address, length) < 0 ? 0 : -1);
	name("deaf", 4);
	bound(SOCK_STREAM);
	MUST(connect(made(SOCK_STREAM), (struct sockaddr *)&address, length) < 0 && errno == ECONNREFUSED ? 0 : -1);
}

void behave(int argc, char **argv)
{
	char abstract[40] = "";

	(void)argc, (void)argv;
	name("stream", 6);
	MUST(listen(bound(SOCK_STREAM), 4));
	say("client", "%d", child(client));
	name("datagram", 8);
	bound(SOCK_DGRAM);
	say("sender", "%d", child(sender));
	name("packets", 7);
	MUST(listen(bound(SOCK_SEQPACKET), 4));
	meet(SOCK_SEQPACKET);
	name(abstract, 1 + (size_t)snprintf(abstract + 1, sizeof(abstract) - 1, "konseki-%d", getpid()));
	MUST(listen(bound(SOCK_STREAM), 4));
	meet(SOCK_STREAM);
	name("\0konseki\0inside", 15);
	bound(SOCK_STREAM);
	without_names();
}

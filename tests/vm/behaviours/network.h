/* SPDX-License-Identifier: MIT */
/* Addresses for the network behaviours: everything on loopback, in a namespace of its own, so ports are free. */
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "behaviour.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* An address with a colon is IPv6. */
static inline union address address_of(const char *text, uint16_t port)
{
	union address a;

	memset(&a, 0, sizeof(a));
	if (strchr(text, ':')) {
		a.v6.sin6_family = AF_INET6;
		a.v6.sin6_port = htons(port);
		MUST(inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1 ? 0 : -1);
	} else {
		a.v4.sin_family = AF_INET;
		a.v4.sin_port = htons(port);
		MUST(inet_pton(AF_INET, text, &a.v4.sin_addr) == 1 ? 0 : -1);
	}
	return a;
}

static inline int new_socket(const union address *a, int type)
{
	return (int)MUST(socket(a->any.sa_family, type | SOCK_CLOEXEC, 0));
}

static inline void connect_to(int fd, const union address *a)
{
	MUST(connect(fd, &a->any, sizeof(*a)));
}

/* Bound, and listening if it is a stream: it must exist before the other side is started. */
static inline int new_server(const char *text, uint16_t port, int type)
{
	union address a = address_of(text, port);
	int fd = new_socket(&a, type);

	MUST(bind(fd, &a.any, a.any.sa_family == AF_INET ? sizeof(a.v4) : sizeof(a.v6)));
	if (type == SOCK_STREAM)
		MUST(listen(fd, 8));
	return fd;
}

static inline unsigned own_port(int fd)
{
	union address a;
	socklen_t size = sizeof(a);

	MUST(getsockname(fd, &a.any, &size));
	return ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
}

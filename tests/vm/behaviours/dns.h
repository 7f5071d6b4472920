/* SPDX-License-Identifier: MIT */
/* A small name server and its clients, for the behaviours about look-ups: loopback in a namespace of its own. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "network.h"

#define DNS_A     1
#define DNS_CNAME 5
#define DNS_PTR   12
#define DNS_MX    15
#define DNS_TXT   16
#define DNS_AAAA  28

#define RCODE_SERVER_FAILURE 2
#define RCODE_NO_SUCH_NAME   3
#define RCODE_REFUSED        5
#define FLAG_TRUNCATED       0x0200

struct dns_bytes {
	size_t n;
	uint8_t byte[4096];
};

static inline void dns_put(struct dns_bytes *m, const void *bytes, size_t n)
{
	MUST(n <= sizeof(m->byte) - m->n ? 0 : -1);
	memcpy(m->byte + m->n, bytes, n);
	m->n += n;
}

static inline void dns_put16(struct dns_bytes *m, unsigned value)
{
	dns_put(m, (uint8_t[]){ (uint8_t)(value >> 8), (uint8_t)value }, 2);
}

static inline void dns_put_name(struct dns_bytes *m, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");
		uint8_t length = (uint8_t)n;

		dns_put(m, &length, 1);
		dns_put(m, name, n);
		name += n + (name[n] == '.');
	}
	dns_put(m, "", 1);
}

static inline void dns_put_head(struct dns_bytes *m, unsigned id, unsigned flags, unsigned answers)
{
	m->n = 0;
	dns_put16(m, id);
	dns_put16(m, flags);
	dns_put16(m, 1);
	dns_put16(m, answers);
	dns_put16(m, 0);
	dns_put16(m, 0);
}

static inline void dns_question(struct dns_bytes *m, unsigned id, const char *name, unsigned type)
{
	dns_put_head(m, id, 0x0100, 0);
	dns_put_name(m, name);
	dns_put16(m, type);
	dns_put16(m, 1);
}

/* The head and the question of the answer to m; records follow. flags holds the code too. */
static inline void dns_answer(struct dns_bytes *answer, const struct dns_bytes *m, unsigned flags, unsigned answers)
{
	dns_put_head(answer, (unsigned)(m->byte[0] << 8 | m->byte[1]), 0x8180 | flags, answers);
	dns_put(answer, m->byte + 12, m->n - 12);
}

/* A record of the name that was asked for. */
static inline void dns_put_record(struct dns_bytes *m, unsigned type, const void *data, size_t n)
{
	dns_put16(m, 0xc00c);
	dns_put16(m, type);
	dns_put16(m, 1);
	dns_put16(m, 0);
	dns_put16(m, 60);
	dns_put16(m, (unsigned)n);
	dns_put(m, data, n);
}

static inline void dns_put_address(struct dns_bytes *m, const char *text)
{
	uint8_t address[16];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	MUST(inet_pton(family, text, address) == 1 ? 0 : -1);
	dns_put_record(m, family == AF_INET ? DNS_A : DNS_AAAA, address, family == AF_INET ? 4 : 16);
}

static inline void dns_put_name_record(struct dns_bytes *m, unsigned type, const char *prefix, size_t n, const char *name)
{
	struct dns_bytes data = { 0 };

	dns_put(&data, prefix, n);
	dns_put_name(&data, name);
	dns_put_record(m, type, data.byte, data.n);
}

/* Client over UDP: a connected socket, one question, one answer. */
static inline int dns_socket(const char *server)
{
	union address a = address_of(server, 53);
	int fd = new_socket(&a, SOCK_DGRAM);

	connect_to(fd, &a);
	return fd;
}

static inline void dns_send(int fd, const struct dns_bytes *m)
{
	MUST(send(fd, m->byte, m->n, 0));
}

static inline void dns_receive(int fd, struct dns_bytes *m)
{
	m->n = (size_t)MUST(recv(fd, m->byte, sizeof(m->byte), 0));
}

static inline void dns_ask(int fd, unsigned id, const char *name, unsigned type)
{
	struct dns_bytes m;

	dns_question(&m, id, name, type);
	dns_send(fd, &m);
	dns_receive(fd, &m);
}

/* Server over UDP: takes the next question of anybody, and sends what `answer` makes of it. */
static inline void dns_serve(int fd, void (*answer)(struct dns_bytes *to, const struct dns_bytes *question))
{
	struct dns_bytes question, reply;
	union address from;
	socklen_t length = sizeof(from);

	question.n = (size_t)MUST(recvfrom(fd, question.byte, sizeof(question.byte), 0, &from.any, &length));
	answer(&reply, &question);
	MUST(sendto(fd, reply.byte, reply.n, 0, &from.any, length));
}

/* A message over TCP, behind its length. */
static inline void dns_send_stream(int fd, const struct dns_bytes *m)
{
	uint8_t length[2] = { (uint8_t)(m->n >> 8), (uint8_t)m->n };
	struct iovec parts[2] = { { length, 2 }, { (void *)(uintptr_t)m->byte, m->n } };

	MUST(writev(fd, parts, 2));
}

static inline void dns_receive_exactly(int fd, void *to, size_t n)
{
	MUST(recv(fd, to, n, MSG_WAITALL) == (ssize_t)n ? 0 : -1);
}

static inline void dns_receive_stream(int fd, struct dns_bytes *m)
{
	uint8_t length[2];

	dns_receive_exactly(fd, length, 2);
	m->n = (size_t)(length[0] << 8 | length[1]);
	MUST(m->n <= sizeof(m->byte) ? 0 : -1);
	dns_receive_exactly(fd, m->byte, m->n);
}

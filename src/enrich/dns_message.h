/* SPDX-License-Identifier: MIT */
/* Reads one message of the domain name system (RFC 1035), as it came over the network: bytes in, text out. No I/O,
 * no memory of its own, every loop bounded. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A name has 255 bytes at most; a dot or a backslash within a label takes two here. */
#define DNS_NAME_MAX    512
#define DNS_RESULTS_MAX 8192

#define DNS_TYPE_A     1
#define DNS_TYPE_CNAME 5
#define DNS_TYPE_ANY   255

struct dns_message {
	uint16_t id;
	uint16_t type, class; /* asked for */
	bool answer;     /* else a question */
	bool truncated;  /* its sender left something out: the client will ask again over TCP */
	bool fits;       /* a record of the type that was asked for is among the answers */
	unsigned rcode;  /* with the upper bits of EDNS */
	uint32_t name_length, results_length;
	char name[DNS_NAME_MAX];       /* asked for: bytes, without the last dot; the root is "." */
	char results[DNS_RESULTS_MAX]; /* as QueryResults shows them, in bytes; "..." at the end if cut */
};

/* 0, or -EBADMSG if this is no question or answer of an ordinary query with a whole name. What is cut or broken
 * further behind ends the results. */
int dns_message_read(const uint8_t *bytes, size_t n, struct dns_message *m);

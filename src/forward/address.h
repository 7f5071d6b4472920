/* SPDX-License-Identifier: MIT */
/* SCHEME://HOST:PORT, as sinks are addressed that are no web servers. */
#pragma once
#include <stddef.h>

#include "../base/err.h"

#define HOST_SIZE 256
#define PORT_SIZE 6

struct address {
	char scheme[8];
	char host[HOST_SIZE]; /* without the brackets of IPv6 */
	char port[PORT_SIZE];
	const char *rest;     /* in the text: behind the port, "" or from '/' or ',' on */
};

/* 0 or -EBADMSG. */
int address_from_text(const char *text, struct address *a, struct err *e);
/* HOST:PORT alone. 0 or -EBADMSG. */
int address_host_port(const char *text, struct address *a, struct err *e);

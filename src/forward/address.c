/* SPDX-License-Identifier: MIT */
#include "address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

static int take(const char *from, size_t n, char *to, size_t size)
{
	if (n == 0 || n >= size)
		return -EBADMSG;
	memcpy(to, from, n);
	to[n] = 0;
	return 0;
}

/* What stands behind it, NULL: it is none. */
static const char *take_host(const char *at, struct address *a)
{
	size_t n;

	if (*at == '[') {
		n = strspn(++at, "0123456789abcdefABCDEF:.");
		return take(at, n, a->host, sizeof(a->host)) == 0 && at[n] == ']' ? at + n + 1 : NULL;
	}
	n = strspn(at, HOST_CHARACTERS);
	return take(at, n, a->host, sizeof(a->host)) == 0 ? at + n : NULL;
}

int address_host_port(const char *text, struct address *a, struct err *e)
{
	const char *at = take_host(text, a);
	size_t n;

	if (!at)
		return err_set(e, EBADMSG, "'%.100s' does not begin with the name or number of a host", text);
	n = *at == ':' ? strspn(at + 1, "0123456789") : 0;
	if (n == 0 || take(at + 1, n, a->port, sizeof(a->port)) < 0 || strtoul(a->port, NULL, 10) - 1 >= 65535)
		return err_set(e, EBADMSG, "'%.100s' names no port", text);
	a->rest = at + 1 + n;
	if (*a->rest && *a->rest != '/' && *a->rest != ',')
		return err_set(e, EBADMSG, "'%.100s' does not end after the port", text);
	return 0;
}

int address_from_text(const char *text, struct address *a, struct err *e)
{
	const char *colon = strstr(text, "://");

	if (!colon || take(text, (size_t)(colon - text), a->scheme, sizeof(a->scheme)) < 0)
		return err_set(e, EBADMSG, "'%.100s' is not SCHEME://HOST:PORT", text);
	return address_host_port(colon + 3, a, e);
}

/* SPDX-License-Identifier: MIT */
/* Names of addresses, as the machine's own configuration finds them (nsswitch.conf: files, DNS ...). */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "help.h"

static socklen_t address_of(const struct ks_address *a, struct sockaddr_storage *to)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	struct sockaddr_in *v4 = (void *)to;
	struct sockaddr_in6 *v6 = (void *)to;

	memset(to, 0, sizeof(*to));
	if (memcmp(a->byte, mapped, sizeof(mapped)) == 0) {
		v4->sin_family = AF_INET;
		memcpy(&v4->sin_addr, a->byte + 12, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	memcpy(&v6->sin6_addr, a->byte, 16);
	return sizeof(*v6);
}

/* The kernel lets a socket be bound to an address of the machine only. */
static int is_local(const struct sockaddr_storage *address, socklen_t n)
{
	OWNED_FD s = socket(address->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return s >= 0 && bind(s, (const struct sockaddr *)address, n) == 0;
}

int help_host_name(const struct ks_address *a, char *name, size_t size)
{
	struct sockaddr_storage address;
	socklen_t n = address_of(a, &address);
	char host[NI_MAXHOST];

	if (is_local(&address, n)) {
		if (gethostname(name, size) < 0)
			return -errno;
		name[size - 1] = 0;
		return 0;
	}
	if (getnameinfo((const struct sockaddr *)&address, n, host, sizeof(host), NULL, 0, NI_NAMEREQD) != 0)
		return -ENOENT;
	if (strlen(host) >= size)
		return -ENAMETOOLONG;
	memcpy(name, host, strlen(host) + 1);
	return 0;
}

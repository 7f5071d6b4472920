/* SPDX-License-Identifier: MIT */
/* Numbers that have names: users and network services, read from descriptors of the host's databases.
 * Memory: a list owns its names; a name is borrowed until the next load. */
#pragma once
#include <stdint.h>

#include "../base/own.h"

struct names;

/* Both read the file from its start; the descriptor stays the caller's. A line that is no entry is passed
 * over. 0 or -errno. The key of a service is names_service_key(). */
int names_load_users(int fd, struct names **ret);
int names_load_services(int fd, struct names **ret);
void names_free(struct names *n);
DEFINE_DROP(names)

/* NULL when the number has no name. The first entry of the file wins, as in the C library. */
const char *names_find(const struct names *n, uint32_t key);

static inline uint32_t names_service_key(uint16_t port, uint16_t ip_protocol)
{
	return (uint32_t)ip_protocol << 16 | port;
}

/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

struct entry {
	uint32_t key;
	uint32_t order; /* in the file */
	char *name;
};

struct names {
	struct entry *entries;
	size_t count, room;
};

#define NAMES_MAX 1000000u /* entries: a database that large is an attack on our memory */

void names_free(struct names *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->count; i++)
		free(n->entries[i].name);
	free(n->entries);
	free(n);
}

static int add(struct names *n, uint32_t key, const char *name)
{
	if (n->count == NAMES_MAX)
		return -E2BIG;
	if (n->count == n->room) {
		size_t room = n->room ? 2 * n->room : 64;
		struct entry *bigger = reallocarray(n->entries, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		n->entries = bigger;
		n->room = room;
	}
	n->entries[n->count] = (struct entry){ key, (uint32_t)n->count, strdup(name) };
	return n->entries[n->count++].name ? 0 : -ENOMEM;
}

static int by_key_then_order(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* A stream of its own over the descriptor, from the start. NULL on failure. */
static FILE *stream_of(int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *f = own >= 0 ? fdopen(own, "r") : NULL;

	if (!f) {
		if (own >= 0)
			close(own);
		return NULL;
	}
	rewind(f);
	return f;
}

static int load(int fd, int (*read_all)(FILE *, struct names *), struct names **ret)
{
	OWNED(names) n = calloc(1, sizeof(*n));
	FILE *f = n ? stream_of(fd) : NULL;
	int r;

	if (!f)
		return n ? -errno : -ENOMEM;
	r = read_all(f, n);
	fclose(f);
	if (r < 0)
		return r;
	if (n->count)
		qsort(n->entries, n->count, sizeof(*n->entries), by_key_then_order);
	*ret = MOVE(n);
	return 0;
}

static int read_users(FILE *f, struct names *n)
{
	struct passwd *user;
	int r = 0;

	while (r == 0 && (user = fgetpwent(f)))
		r = add(n, user->pw_uid, user->pw_name);
	return r;
}

static int read_services(FILE *f, struct names *n)
{
	OWNED_HEAP char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (r == 0 && getline(&line, &size, f) >= 0) {
		char name[64], protocol[8];
		unsigned port;

		line[strcspn(line, "#\n")] = 0;
		if (sscanf(line, "%63s %u/%7s", name, &port, protocol) != 3 || port > UINT16_MAX)
			continue;
		if (strcmp(protocol, "tcp") == 0)
			r = add(n, names_service_key((uint16_t)port, IPPROTO_TCP), name);
		else if (strcmp(protocol, "udp") == 0)
			r = add(n, names_service_key((uint16_t)port, IPPROTO_UDP), name);
	}
	return r;
}

int names_load_users(int fd, struct names **ret)
{
	return load(fd, read_users, ret);
}

int names_load_services(int fd, struct names **ret)
{
	return load(fd, read_services, ret);
}

const char *names_find(const struct names *n, uint32_t key)
{
	size_t low = 0, high = n ? n->count : 0;

	/* The lowest entry with the key: of several it is the first of the file. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (n->entries[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return n && low < n->count && n->entries[low].key == key ? n->entries[low].name : NULL;
}

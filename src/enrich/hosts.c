/* SPDX-License-Identifier: MIT */
#include "hosts.h"

#include <string.h>

#define SETS        512u /* of WAYS: 2,048 addresses, some 100 KiB besides the names */
#define WAYS        4u
#define SECOND_NS   1000000000ull
#define NAME_NS     (3600 * SECOND_NS)
#define NO_NAME_NS  (300 * SECOND_NS)
#define GIVEN_UP_NS (60 * SECOND_NS) /* an answer that came too late for us may come in time the next time */
#define ASKED_NS    (10 * SECOND_NS)

struct host {
	struct ks_address address;
	enum known known; /* KNOWN_NOT: the place is free */
	uint64_t until_ns;
	char *name; /* NULL: none */
};

struct hosts {
	struct host set[SETS][WAYS];
};

struct hosts *hosts_new(void)
{
	return calloc(1, sizeof(struct hosts));
}

void hosts_free(struct hosts *h)
{
	if (!h)
		return;
	for (unsigned i = 0; i < SETS; i++)
		for (unsigned way = 0; way < WAYS; way++)
			free(h->set[i][way].name);
	free(h);
}

static struct host *set_of(struct hosts *h, const struct ks_address *a)
{
	uint32_t mix = 2166136261u;

	for (unsigned i = 0; i < sizeof(a->byte); i++)
		mix = (mix ^ a->byte[i]) * 16777619u;
	return h->set[mix % SETS];
}

static struct host *find(struct hosts *h, const struct ks_address *a, uint64_t now_ns)
{
	struct host *set = set_of(h, a);

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].known != KNOWN_NOT && set[i].until_ns > now_ns &&
		    memcmp(&set[i].address, a, sizeof(*a)) == 0)
			return &set[i];
	return NULL;
}

static struct host *place(struct hosts *h, const struct ks_address *a)
{
	struct host *set = set_of(h, a), *oldest = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].known != KNOWN_NOT && memcmp(&set[i].address, a, sizeof(*a)) == 0)
			return &set[i];
		if (set[i].until_ns < oldest->until_ns)
			oldest = &set[i];
	}
	return oldest;
}

static void put(struct hosts *h, const struct ks_address *a, enum known known, const char *name,
		uint64_t until_ns)
{
	struct host *host = place(h, a);

	free(host->name);
	*host = (struct host){ *a, known, until_ns, *name ? strndup(name, HOST_NAME_MAX_BYTES) : NULL };
}

enum known hosts_find(struct hosts *h, const struct ks_address *a, uint64_t now_ns, const char **name)
{
	const struct host *host = find(h, a, now_ns);

	*name = host && host->name ? host->name : "";
	return host ? host->known : KNOWN_NOT;
}

void hosts_asked(struct hosts *h, const struct ks_address *a, uint64_t now_ns)
{
	put(h, a, KNOWN_ASKED, "", now_ns + ASKED_NS);
}

void hosts_tell(struct hosts *h, const struct ks_address *a, const char *name, uint64_t now_ns)
{
	put(h, a, KNOWN, name, now_ns + (*name ? NAME_NS : NO_NAME_NS));
}

void hosts_give_up(struct hosts *h, const struct ks_address *a, uint64_t now_ns)
{
	put(h, a, KNOWN, "", now_ns + GIVEN_UP_NS);
}

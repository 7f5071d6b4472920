/* SPDX-License-Identifier: MIT */
/* Names of addresses, as far as they have been told. Bounded: the oldest make room. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "../../schema/wire.h"
#include "../base/own.h"

struct hosts;

#define HOST_NAME_MAX_BYTES 255u /* what the DNS allows, and the NUL fits in 256 */

struct hosts *hosts_new(void); /* NULL: no memory */
void hosts_free(struct hosts *h);
DEFINE_DROP(hosts)

enum known {
	KNOWN_NOT,   /* nobody was asked lately */
	KNOWN_ASKED, /* the answer is on its way */
	KNOWN,
};

/* *name: "" when the address has none; borrowed until the next call that changes the table. */
enum known hosts_find(struct hosts *h, const struct ks_address *a, uint64_t now_ns, const char **name);
/* Somebody is being asked. */
void hosts_asked(struct hosts *h, const struct ks_address *a, uint64_t now_ns);
/* The answer; "" for none. One that nobody waits for any more is kept all the same. */
void hosts_tell(struct hosts *h, const struct ks_address *a, const char *name, uint64_t now_ns);
/* The question was not answered: known to have none for a short while. */
void hosts_give_up(struct hosts *h, const struct ks_address *a, uint64_t now_ns);

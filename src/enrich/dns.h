/* SPDX-License-Identifier: MIT */
/* Look-ups of names, out of the packets between clients and name servers: a query waits for its answer, both
 * together are one event 22. No I/O; all tables are bounded, what they had no room for is counted. */
#pragma once
#include <stdint.h>

#include "../../schema/wire.h"
#include "../base/err.h"
#include "../base/own.h"

struct dns;

/* A look-up that is not answered after this time was in vain (1460). Resolvers try again after 5 s. */
#define DNS_WAIT_NS 6000000000u

#define DNS_LOOKUPS 1024u /* waiting at the same time: if there are more, the oldest are told without their end */
#define DNS_STREAMS 64u   /* directions of TCP connections; the one that was silent longest gives way */

/* Where a look-up goes that is at its end: a record KS_DNS_QUERY, with the head of the packet that asked, valid
 * until the call returns. */
struct dns_sink {
	void *context;
	void (*take)(void *context, const struct ks_hdr *lookup);
};

int dns_new(const struct dns_sink *sink, struct dns **ret, struct err *e);
void dns_free(struct dns *d);
DEFINE_DROP(dns)

/* Takes in a checked record. */
void dns_take(struct dns *d, const struct ks_rec_DNS_PACKET *packet);
/* Tells the look-ups that were in vain. */
void dns_tick(struct dns *d, uint64_t now_ns);
/* Tells those that still wait, with the status "-": what would have become of them is not known. */
void dns_finish(struct dns *d);

struct dns_tally {
	uint64_t opened;    /* look-ups that began */
	uint64_t told;      /* of them, those handed on */
	uint64_t crowded;   /* of these, the ones told early for want of room */
	uint64_t unreadable; /* messages that were none */
	uint64_t unasked;   /* answers to no question that waits: late, repeated, or forged */
	uint64_t broken;    /* TCP streams with a gap, or given up for others */
};
void dns_tally(const struct dns *d, struct dns_tally *t);

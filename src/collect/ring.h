/* SPDX-License-Identifier: MIT */
/* The sensor, unprivileged half: reads the rings and the counters through descriptors it is handed,
 * without bpf(2). Both rings come out as one stream, ordered by time as far as they allow. */
#pragma once
#include <stdint.h>

#include "../../schema/wire.h"
#include "../base/err.h"
#include "../base/own.h"

struct rings;

/* Maps rings and counters; the descriptors stay the caller's. */
int rings_map(const int ring[2], const uint32_t ring_bytes[2], int counters, unsigned cpus,
	      struct rings **ret, struct err *e);
void rings_free(struct rings *r);
DEFINE_DROP(rings)

/* The next record, borrowed until the next call, checked: size and type are possible, size covers the
 * record's fixed part, every text lies within it. NULL: none now. A record that fails the check is
 * counted as corrupt and skipped. */
const struct ks_hdr *rings_next(struct rings *r);

/* The record that rings_next() has just returned is to come again. */
void rings_put_back(struct rings *r);

/* The next record of the process ring only: for an event whose process is not known yet, since whatever
 * introduced it was submitted before. */
const struct ks_hdr *rings_next_process(struct rings *r);

/* Gives back to the producers what rings_next() has passed. rings_next() does so by itself now and then. */
void rings_release(struct rings *r);

/* Bytes waiting in the ring. */
uint64_t rings_backlog(const struct rings *r, int which);

struct rings_tally {
	uint64_t produced[KS_RECORD_COUNT]; /* counted in the kernel */
	uint64_t lost[KS_RECORD_COUNT];     /* counted in the kernel: the ring was full */
	uint64_t read[KS_RECORD_COUNT];     /* came out of rings_next() */
	uint64_t corrupt;
	uint64_t gaps;         /* sequence numbers missing: must equal the sum of lost when at rest */
	uint64_t path_unknown;
	uint64_t missed;
	uint64_t spared; /* operations of which nothing was produced, as the rules never keep it */
};
void rings_tally(const struct rings *r, struct rings_tally *t);

/* Checks a record as rings_next() does: for the fuzzer and for snapshot rows. 0 or -EBADMSG. */
int record_check(const struct ks_hdr *hdr, uint64_t available);

/* A checked record's text. */
static inline const char *record_text(const struct ks_hdr *hdr, struct ks_text t)
{
	return (const char *)hdr + t.off;
}

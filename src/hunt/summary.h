/* SPDX-License-Identifier: MIT */
/* What a log holds, counted. */
#pragma once
#include <stdint.h>

#include "logfile.h"
#include "progress.h"

#define SUMMARY_IDS 65536u

struct summary {
	uint64_t records;
	uint64_t first_id, last_id;         /* of the records; 0 without any */
	uint64_t oldest_utc_ns, newest_utc_ns;
	uint64_t chunks;
	uint64_t recent_chunks;             /* of those the ones begun within `recent` of the newest record, */
	uint64_t recent_ns;                 /* and the time they cover; 0: too short to tell a rate */
	uint64_t count[SUMMARY_IDS];        /* of each event id */
	const char *name[SUMMARY_IDS];      /* of the event if it is Sysmon's, else NULL; static */
};

/* Reads the whole log. What cannot be read is told to the listener. The rate is that of the newest `recent_ns`, or of
 * all there is. 0 or -ENOMEM; *ret is the caller's to free(). */
int summary_make(struct logfile *l, uint64_t recent_ns, struct progress *p, struct summary **ret, struct err *e);

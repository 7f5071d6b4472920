/* SPDX-License-Identifier: MIT */
/* How far each sink is: in memory that all our processes share, written by its forwarder. Whoever reads it believes none of
 * it: numbers, and texts whose end he puts himself. */
#pragma once
#include <stdint.h>

#include "target.h"

struct forwarded {
	uint64_t on;            /* 1: the settings want it */
	uint64_t confirmed;     /* record id: all up to it are there, or declared as missing */
	uint64_t waits_utc_ns;  /* time of the oldest event that is on its way; 0: none is */
	uint64_t sent_utc_ns;   /* when something was taken last; 0: never */
	uint64_t events, batches; /* taken, since the sink was set up */
	uint64_t gaps, missing; /* gap records sent, records named in them */
	uint64_t retries;       /* in vain since the latest success */
	uint64_t erasable;      /* 1: the store lets us change or delete what we sent; 2: the log says so */
	uint64_t taken, taken_told; /* names that were somebody else's before we used them; of those the log says so */
	char name[FORWARD_NAME_MAX + 1], sink[32];
	char text[200];         /* the latest error, in words; "" when all is well */
};

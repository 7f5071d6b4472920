/* SPDX-License-Identifier: MIT */
/* How far a sink is, on the disk: two sectors in one file, written in turn, so that one is whole whatever happens. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "../base/err.h"
#include "sink.h"

struct pending { /* a batch that was put on its way, and of which nothing more is known */
	uint64_t first_id, last_id; /* 0: none */
	char nonce[NONCE_SIZE];
	uint8_t sha256[32];
};

struct bookmark {
	uint64_t generation; /* of the log; 0: nothing was read yet */
	uint32_t rewritten;  /* how often that log was found with other records than were sent */
	uint64_t confirmed;  /* all records up to this one are there, or declared as missing */
	uint8_t record[32];  /* SHA-256 of that record as it stood in the log; zeroes: not known */
	uint8_t chain[32];   /* SHA-256 of itself and the digest of the next batch's body, from zeroes on */
	uint64_t sealed;     /* FORM_EVTX: the last record whose seal is there; 0: not known */
	uint64_t events, batches, gaps, missing, heartbeats; /* sent; `missing`: records named in gaps */
	struct pending pending;
};

#define BOOKMARK_SIZE 1024 /* of the file: two places */

/* The newest whole one of the file; an empty file is a beginning. 0; -EBADMSG when it holds something else; -errno.
 * *place: to be handed to bookmark_store(). */
int bookmark_load(int fd, struct bookmark *b, uint64_t *place, struct err *e);
/* On the disk when this returns 0. -errno: the one before stands. */
int bookmark_store(int fd, const struct bookmark *b, uint64_t *place);

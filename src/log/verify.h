/* SPDX-License-Identifier: MIT */
/* Is a log what was written? By its seals and the verification key (docs/formats/seal.md). Reads a log that is being
 * written as well. Memory: 120 bytes a seal, 24 a chunk. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "../base/err.h"
#include "seal_key.h"

struct verify_input {
	int log, seals;               /* read-only, borrowed */
	uint8_t secret[SEAL_SECRET];
	bool has_kept;                /* the machine's key file says which seal is the next */
	uint64_t kept_number;
};

struct verify_listener {
	/* alarm: the log is not what was written; else worth knowing. */
	void (*hear)(void *self, bool alarm, const char *text);
	void (*step)(void *self, uint64_t done, uint64_t total); /* how far it is; NULL: nobody asks */
	void *self;
};

struct verify_result {
	uint64_t alarms;
	uint64_t first_id, last_id;    /* sealed records that are there; 0: none */
	uint64_t from_utc_ns, to_utc_ns; /* of the first and last seal that counts */
	uint64_t first_number, last_number;
	bool begins;                   /* the first seal is the file's first */
	bool part;                     /* a copy of a part of the log: what came before and behind stands in others */
	bool closed;                   /* the last one closed the log */
	uint64_t bytes;                /* of the log, looked at */
};

/* 0 whatever the answer is, which is in *result and was told; -EBADMSG: the seals are of another key or no seals at all;
 * -errno when a file cannot be read. */
int log_verify(const struct verify_input *in, const struct verify_listener *to, struct verify_result *result,
	       struct err *e);

/* SPDX-License-Identifier: MIT */
/* Following a log that is being written to, record by record. */
#pragma once
#include "logfile.h"

struct follower;

/* From the first record behind id `after` on. The log is borrowed. 0 or -ENOMEM. */
int follower_new(struct logfile *l, uint64_t after, struct follower **ret, struct err *e);
void follower_free(struct follower *f);
DEFINE_DROP(follower)

/* The next record, scanned: logfile_fill() completes it. False: there is none at this moment. Ids that are left out were
 * overwritten or damaged, which the log's listener is told. */
bool follower_next(struct follower *f, struct evtx_record *rec);
/* What the record was read with; the log's bytes are its chunk. */
struct evtx_reader *follower_reader(const struct follower *f);
/* Are there more records in the chunk that the latest record came from? */
bool follower_in_chunk(const struct follower *f);

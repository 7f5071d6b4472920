/* SPDX-License-Identifier: MIT */
/* Putting records of the log together into what is sent (docs/formats/forward.md). The same records give the same bytes,
 * so that a batch can be made again after a crash and be known by its digest. */
#pragma once
#include "../base/own.h"
#include "../hunt/logfile.h"
#include "sink.h"

struct builder;

/* Limits are the row's. identity is borrowed. 0 or -ENOMEM. */
int builder_new(const struct sink_row *row, enum form form, const struct identity *identity, struct builder **ret,
		struct err *e);
void builder_free(struct builder *b);
DEFINE_DROP(builder)

/* Starts an empty batch. */
void builder_begin(struct builder *b);

/* Adds a record, complete; l holds the chunk it stands in. 0; -ENOSPC: the batch is full without it; -ENOMEM. */
int builder_add(struct builder *b, const struct logfile *l, const struct evtx_record *rec);
/* FORM_EVTX, before the first record: the chunk that l holds, for its own sake. -ENOSPC: no record would fit in behind. */
int builder_add_before(struct builder *b, const struct logfile *l);
/* No more fits in, or so much is in that it should go. */
bool builder_is_full(const struct builder *b);
bool builder_is_empty(const struct builder *b);

/* Ends the batch: all but its ids, which the caller knows, nonce and doubtful. What it points to is the builder's until the
 * next begin. 0 or -ENOMEM. */
int builder_end(struct builder *b, struct batch *batch, struct err *e);

/* The first `count` items need not be sent any more. */
void builder_shift(struct builder *b, struct batch *batch, unsigned count);
/* FORM_EVTX: first record of the first chunk, last one of the last. False: there is none. */
bool builder_chunks(const struct builder *b, uint64_t *first, uint64_t *last);

/* A batch of one item that is no record: JSON, without line feed, or the text form. utc_ns: its time. Whatever the form,
 * it is JSON unless that is FORM_XML. */
struct gap {
	uint64_t first_id, last_id; /* last 0: up to where is not known */
	const char *reason;
	uint64_t utc_ns;            /* when it was found */
};
struct heartbeat {
	uint64_t sequence, newest_id, confirmed_id, events, batches, missing, utc_ns;
	const uint8_t *chain;       /* 32 bytes */
	uint64_t seal;              /* number of the newest seal, */
	const uint8_t *seal_mac;    /* 32 bytes; NULL: not sealed */
};
int builder_gap(struct builder *b, const struct gap *g, struct batch *batch, struct err *e);
/* A gap's text without a gap: what the receiver should know of this log. */
int builder_notice(struct builder *b, const char *text, uint64_t utc_ns, struct batch *batch, struct err *e);
int builder_heartbeat(struct builder *b, const struct heartbeat *h, struct batch *batch, struct err *e);
int builder_test(struct builder *b, uint64_t utc_ns, struct batch *batch, struct err *e);

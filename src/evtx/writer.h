/* SPDX-License-Identifier: MIT */
/* EVTX, writing: one chunk image at a time, in memory. Pure: bytes in, bytes out; no files, no policy
 * (src/log/ puts the images into a file). Format: docs/formats/evtx.md, which must change with this.
 *
 * Memory: a writer owns its image and its templates; strings handed in are borrowed for the call. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/err.h"
#include "../base/own.h"
#include "../event/event.h"
#include "format.h"

struct evtx_writer;

/* Literal and constant parts of every record. */
struct evtx_identity {
	const char *computer; /* host name, well-formed UTF-8, copied */
	uint32_t process_id;  /* of the service */
	uint32_t thread_id;
	uint32_t uid; /* 0 gives the SID S-1-5-18, else S-1-22-1-uid */
	bool context; /* events have their Context at the end */
};

/* 0; -ENOMEM; -EINVAL (a host name that is no text). */
int evtx_writer_new(const struct evtx_identity *who, struct evtx_writer **ret, struct err *e);
void evtx_writer_free(struct evtx_writer *w);
DEFINE_DROP(evtx_writer)

/* Starts an empty chunk: whatever the image held is dropped. */
void evtx_writer_begin(struct evtx_writer *w);

/* Appends one event as record `id`, TimeCreated and record time are ev->time_utc_ns and written_utc_ns.
 * 0; -ENOSPC when the chunk has no room left (nothing is changed: begin a new chunk, append again).
 * An event that fits no empty chunk is cut: its longest strings, marked with "...". */
int evtx_writer_append(struct evtx_writer *w, const struct event *ev, uint64_t id,
		       uint64_t written_utc_ns);

/* The image: EVTX_CHUNK_SIZE bytes, borrowed until the next call. Header and both CRCs agree with the
 * records at every moment after evtx_writer_seal(); append alone leaves the header behind. */
const uint8_t *evtx_writer_seal(struct evtx_writer *w);
size_t evtx_writer_used(const struct evtx_writer *w);    /* free offset: bytes that matter */
uint64_t evtx_writer_count(const struct evtx_writer *w); /* records in the chunk */
uint64_t evtx_writer_first_id(const struct evtx_writer *w);

/* SPDX-License-Identifier: MIT */
/* EVTX, copying: records of any chunks put together into new ones, whatever their templates are. Pure, as the reader and
 * the writer are.
 *
 * A record refers to names and templates by their place in its chunk, and holds those that it is the first to use. So
 * it is taken apart and put together anew; its values stay what they are, byte for byte. */
#pragma once
#include <stdint.h>

#include "../base/err.h"
#include "../base/own.h"
#include "format.h"

struct evtx_copier;

int evtx_copier_new(struct evtx_copier **ret, struct err *e); /* 0 or -ENOMEM */
void evtx_copier_free(struct evtx_copier *c);
DEFINE_DROP(evtx_copier)

/* The chunk that the next records come from: EVTX_CHUNK_SIZE bytes, borrowed until the next. To be said again when its
 * bytes change. */
void evtx_copier_source(struct evtx_copier *c, const uint8_t *chunk);

/* Starts an empty chunk. */
void evtx_copier_begin(struct evtx_copier *c);

/* Appends the record at this offset of the source as record `id` (of the header: the EventRecordID inside is a value).
 * 0; -ENOSPC when the chunk has no room left (nothing is changed: seal, begin, append again; in an empty chunk: it fits
 * none); -EBADMSG for a record that cannot be read; -ENOMEM. */
int evtx_copier_append(struct evtx_copier *c, uint32_t at, uint64_t id, struct err *e);

uint64_t evtx_copier_count(const struct evtx_copier *c); /* records in the chunk */
/* The image: EVTX_CHUNK_SIZE bytes, whole, borrowed until the next call. Not for an empty chunk. */
const uint8_t *evtx_copier_seal(struct evtx_copier *c);

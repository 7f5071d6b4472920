/* SPDX-License-Identifier: MIT */
/* The templates that the writer uses, ready to be copied into chunks. Internal to src/evtx/ and its
 * tests.
 *
 * Every chunk begins with a record that defines the outer template (Event and System) and one inner one
 * (EventData). Both land at the same offsets in every chunk, and these two definitions hold every name
 * there is. So the bytes of all definitions are known beforehand: nothing has to be looked up or
 * spliced while events are written. */
#pragma once
#include "../event/event.h"
#include "writer.h"

#define OUTER_DEFINITION (EVTX_CHUNK_HEADER + 38u) /* record header, fragment header, instance header */
#define COMPUTER_MAX 255u /* bytes; with it the longest record still fits a chunk */

struct evtx_guids {
	struct guid outer;
	struct guid inner[EVENT_TYPE_COUNT];
};

struct evtx_definition {
	uint8_t *bytes; /* owned: header of the definition and its body; "next" is 0 */
	uint32_t length;
	uint32_t bucket;
};

struct evtx_templates {
	struct evtx_definition outer;
	struct evtx_definition first[EVENT_TYPE_COUNT]; /* in the first record of a chunk */
	struct evtx_definition later[EVENT_TYPE_COUNT];
	uint8_t name_table[256]; /* of every chunk that has a record */
};

/* How many fields of this type are written. */
static inline unsigned evtx_field_count(const struct event_type *type, bool context)
{
	return context ? type->known_count : type->field_count;
}

/* Stable ids made from what the templates say. */
void evtx_guids_derive(const struct evtx_identity *who, struct evtx_guids *ret);

/* inner_at: where the first inner definition stands, counted from the end of the outer one. 0, -ENOMEM. */
int evtx_templates_init(struct evtx_templates *t, const struct evtx_identity *who,
			const struct evtx_guids *guids, uint32_t inner_at);
void evtx_templates_done(struct evtx_templates *t);

/* How a field is kept: value type, and its size (0 for strings). */
struct evtx_kept {
	uint8_t type;
	uint8_t size;
};
struct evtx_kept evtx_kept_as(enum field_type type);

/* evtx_writer_new() with given template ids: the published example file has others than ours. */
int evtx_writer_new_with_guids(const struct evtx_identity *who, const struct evtx_guids *guids,
			       struct evtx_writer **ret, struct err *e);

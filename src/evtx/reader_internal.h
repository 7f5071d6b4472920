/* SPDX-License-Identifier: MIT */
/* What reader.c and render.c share. Internal to src/evtx/. */
#pragma once
#include "../base/arena.h"
#include "program.h"
#include "reader.h"
#include "value.h"

/* What one record may cost, so that a hostile one cannot make more of itself than an honest one: the
 * largest honest record has 60,000 bytes of strings. */
#define STEPS_MAX      65536u
#define RECORD_MEMORY  (2u << 20)
#define XML_MAX        (4u << 20)
#define DATA_MAX       32768u
#define PROGRAMS_MAX   1024u
#define PROGRAM_MEMORY (16u << 20)
#define CACHE_BUCKETS  512u
#define NESTING_MAX    8u /* instances within instances: two in every record, three in few */

/* A program kept for this chunk and, when the next ones hold the same definition, for them. */
struct evtx_kept_program {
	struct evtx_program program;
	struct evtx_kept_program *next; /* in the cache bucket */
	const uint8_t *definition;      /* copy: GUID, length of the body, body */
	uint32_t definition_length;
	uint32_t offset;                /* where the definition stood */
	bool own_names;                 /* it holds names itself, so means something else elsewhere */
	enum evtx_place place;
	const struct evtx_foreign_name *foreign;
	uint32_t foreign_count;
	const uint8_t *copies;
	size_t memory;
};

/* A template instance: a program and the values for it. */
struct evtx_instance {
	const struct evtx_program *program;
	const struct evtx_value *values; /* in the arena */
	uint32_t count;
	bool passing; /* the program goes with the next compilation: copy what is kept of its text */
};

/* A text of the head that is not made yet. */
struct evtx_head_text {
	uint8_t system_field;
	struct evtx_value value;
};
#define HEAD_TEXTS_MAX 16u

struct evtx_reader {
	const uint8_t *chunk; /* borrowed */
	uint32_t at, end;
	uint64_t first_id, last_id; /* as the chunk header says */
	uint64_t previous_id;
	bool header_lost; /* offsets and ids of the header cannot be used */
	unsigned faults;

	struct evtx_compiler compiler;
	struct evtx_kept_program *cache[CACHE_BUCKETS]; /* owned */
	uint32_t programs;
	size_t program_memory;
	struct evtx_kept_program *in_chunk[PROGRAMS_MAX]; /* those this chunk uses, and where: */
	uint32_t in_chunk_at[PROGRAMS_MAX];
	uint32_t in_chunk_count;
	uint16_t by_offset[EVTX_CHUNK_SIZE]; /* number in in_chunk + 1; 0 for none */

	struct arena arena; /* of the current record */
	struct evtx_data *data; /* owned; and where the values lie whose text is not made yet: */
	const uint8_t **raw;    /* owned */
	uint32_t data_room;
	struct evtx_head_text head_texts[HEAD_TEXTS_MAX];
	uint32_t head_text_count;
	struct evtx_vector xml;
	uint32_t steps;

	uint32_t fragment, fragment_end; /* binary XML of the current record; 0 when there is none */
	struct err *error;
};

int evtx_hostile(struct evtx_reader *r); /* -EBADMSG: a record that makes more of itself than it is */

/* Drops the chunk and all that is kept of earlier ones. */
void evtx_reader_forget(struct evtx_reader *r);

/* Reads the template instance at *at, which is moved behind it. */
int evtx_instance_read(struct evtx_reader *r, uint32_t *at, uint32_t end, enum evtx_place place,
		       struct evtx_instance *ret);

const struct evtx_value *evtx_instance_value(const struct evtx_instance *in, uint16_t index);

/* A value of any type, markup and arrays included, as XML, appended to r->xml. */
int evtx_render_value(struct evtx_reader *r, const struct evtx_value *v, unsigned depth);

/* The fragment [at, end) of the chunk as XML, appended to r->xml. */
int evtx_render_fragment(struct evtx_reader *r, uint32_t at, uint32_t end, unsigned depth);

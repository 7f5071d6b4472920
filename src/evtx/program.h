/* SPDX-License-Identifier: MIT */
/* A piece of binary XML, compiled once: what of it goes into which field of a record, and how it reads as
 * XML. Internal to src/evtx/. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/err.h"
#include "binxml.h"

#define DEPTH_MAX 64u     /* of elements */
#define NO_INDEX  0xffffu /* no value: instances have fewer */

/* Where in an event an element stands: decides what its children mean. */
enum evtx_place {
	PLACE_NOWHERE, /* content that has no field of its own */
	PLACE_DOCUMENT,
	PLACE_EVENT,
	PLACE_SYSTEM,
	PLACE_EVENT_DATA,
	PLACE_USER_DATA,
};

/* Literal text, or the value of an instance. */
struct evtx_piece {
	uint32_t at;     /* of the text in chars; NUL-terminated there */
	uint32_t length;
	uint16_t index;  /* of the value; NO_INDEX for text */
};

struct evtx_content {
	uint32_t first; /* of the pieces */
	uint32_t count;
};

/* What kind of field a content goes to. */
enum evtx_target {
	TARGET_SYSTEM,    /* system_field tells which */
	TARGET_DATA,      /* one more <Data> */
	TARGET_NESTED,    /* none by itself, but a nested fragment has some */
	TARGET_USER_DATA, /* none: notes that there is UserData */
};

struct evtx_binding {
	uint8_t target;
	uint8_t system_field; /* enum of reader.c, from evtx_system_field() */
	uint8_t place;        /* of what a nested fragment in this content would hold */
	uint16_t dependency;  /* left out when this value is NULL */
	struct evtx_content name;
	struct evtx_content value;
};

enum evtx_op_kind {
	OP_TEXT,      /* markup and escaped text: `length` bytes of xml from `at` on */
	OP_VALUE,     /* value `index`, escaped */
	OP_ELEMENT,   /* up to `end`; not if `dependency` is NULL; once per item if `index` is an array */
	OP_ATTRIBUTE, /* up to `end`; not if `index` is NULL */
};

struct evtx_op {
	uint8_t kind;
	uint8_t type;  /* of the value that is to be there, */
	bool optional; /* or none at all */
	uint16_t index;
	uint16_t dependency;
	uint32_t at;
	uint32_t length;
	uint32_t end;
};

struct evtx_program {
	const struct evtx_piece *pieces;
	const struct evtx_binding *bindings;
	const struct evtx_op *ops;
	const char *chars;
	const char *xml;
	uint32_t binding_count;
	uint32_t op_count;
};

/* A name outside the compiled bytes: the same bytes in another chunk mean the same only if it is there. */
struct evtx_foreign_name {
	uint32_t at;     /* chunk offset */
	uint32_t length; /* of its bytes in UTF-16 */
	uint32_t copy;   /* where in the compiler's copies */
};

/* Heads of the name and template tables of a chunk, found while compiling. */
struct evtx_tables {
	uint32_t names[NAME_BUCKETS];
	uint32_t templates[TEMPLATE_BUCKETS];
};

struct evtx_vector {
	void *items;
	uint32_t count;
	uint32_t room;
};

/* Compiles into buffers of its own, which the next compilation reuses. */
struct evtx_compiler {
	const uint8_t *chunk;
	uint32_t begin, end; /* what is being compiled */
	uint32_t at;         /* how far it is */
	bool in_definition; /* elements carry a dependency id */
	bool strict;        /* accept only what the writer makes: see evtx_chunk_repair() */
	bool inline_names;  /* at least one name stands in what was compiled */
	struct evtx_vector pieces, bindings, ops, chars, xml, foreign, copies;
	struct evtx_tables *tables; /* borrowed; NULL when nobody wants them */
	struct err *error;
};

void evtx_compiler_init(struct evtx_compiler *c);
void evtx_compiler_done(struct evtx_compiler *c);

/* Compiles one element (and what may stand around it) at [at, end) of the chunk, that stands in `place`.
 * *ret points into the compiler. c->at is behind what was compiled. 0, -EBADMSG, -ENOMEM. */
int evtx_compile(struct evtx_compiler *c, const uint8_t *chunk, uint32_t at, uint32_t end,
		 bool in_definition, enum evtx_place place, struct evtx_program *ret, struct err *e);

/* Number of the System field that this element (attribute NULL: its content) fills; 0 for none. reader.c. */
uint8_t evtx_system_field(const char *element, const char *attribute);

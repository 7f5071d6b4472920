/* SPDX-License-Identifier: MIT */
/* The inner form of the index. */
#pragma once
#include <hs/hs.h>
#include <stdlib.h>
#include <string.h>

#include "index.h"

/* A text that may be found, and whom it points to: uses[first] up to those of the next literal. */
struct literal {
	struct folded text;
	uint32_t first;
};

struct table {
	const struct literal *literals; /* in the order of compare_literals; one more than count, as an end */
	unsigned count;
};

struct field_index {
	struct table equal, base, part;
	hs_database_t **searches; /* for part: each knows some of the texts */
	unsigned search_count;
	bool borrowed; /* the searches belong to an earlier event of the same tag */
};

/* Members of a section of which one must hold: all of an OR section; of an AND section, those on one field. */
struct group {
	uint32_t first, end; /* members */
	uint32_t fields;     /* a bit for each field to look at first */
};

struct section_index {
	const struct group *groups; /* one in an OR section */
	unsigned group_count;
	bool all;        /* an AND section */
};

struct type_index {
	unsigned offset; /* of the type in the series of its tag */
	const struct section_index *sections; /* in the order in which they are asked */
	const struct clause **members;        /* that can hold for this type, in order within each group */
	uint32_t member_count;
	const uint32_t *uses;                 /* members, as literals point to them */
	struct field_index *field[EVENT_FIELDS_MAX]; /* NULL: no text is looked for */
	uint64_t *possible; /* a bit for each member; between events, only those that are always asked */
};

struct index {
	struct pool pool;
	struct type_index types[EVENT_TYPE_COUNT];
	hs_scratch_t *scratch;

	/* The event under judgement. */
	struct judged *judged;
	struct type_index *now;
	uint32_t looked_at; /* fields */
	uint32_t *marked;   /* members whose bit was set for this event */
	uint32_t marked_count;
	const struct table *searching;
};

/* The shorter text first; of the same length, by bytes. */
static inline int compare_texts(const struct folded *a, const struct folded *b)
{
	if (a->length != b->length)
		return a->length < b->length ? -1 : 1;
	return memcmp(a->bytes, b->bytes, a->length);
}

static inline int compare_literals(const void *a, const void *b)
{
	return compare_texts(&((const struct literal *)a)->text, &((const struct literal *)b)->text);
}

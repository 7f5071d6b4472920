/* SPDX-License-Identifier: MIT */
/* The inner form of a rule set. Built by grammar.c and options.c, read by the others, changed by none
 * afterwards. Everything lies in the pool of the rule set. */
#pragma once
#include "operators.h"
#include "pool.h"
#include "ruleset.h"

#define SERIES_MAX 3 /* events that share one tag: RegistryEvent is 12, 13 and 14 */

enum relation { RELATION_OR, RELATION_AND };

/* A comparison of one field. */
struct filter {
	const struct filter *next; /* in the same clause, file order */
	const char *field;
	const struct operator *operator;
	const char *value; /* as in the file */
	struct items wanted;
	unsigned line;
	const char *name;             /* NULL: none; so for all names here */
	int8_t field_index[SERIES_MAX]; /* in each event of the tag; -1: that event has no such field */
};

/* A member of a section: a filter by itself (then filters is just that one), or a Rule. */
struct clause {
	const struct clause *next; /* in the section, file order */
	bool compound;             /* a Rule */
	unsigned number;           /* of a Rule, in the file, from 1 */
	enum relation relation;    /* of a Rule */
	const char *name;          /* of a Rule */
	const struct filter *filters;
	unsigned line;
	unsigned position; /* among the members of its section */

	/* In an AND section filters on one field are alternatives. The first of them leads the others. */
	bool follows;
	struct clause *alternative; /* the next one on the same field */
};

struct section {
	const struct section *next; /* in the file */
	const struct event_type *first_type;
	unsigned type_count; /* events that share the tag */
	bool include;
	enum relation relation;
	const char *group_name; /* of its RuleGroup */
	unsigned line;
	const struct clause *clauses;
};

/* The sections that an event is asked about, in that order: exclude before include. */
struct verdict_order {
	const struct section *const *sections;
	unsigned count;
	bool include_exists;
};

struct notice {
	struct notice *next;
	struct rule_problem problem;
};

struct ruleset {
	struct pool pool;
	unsigned version; /* schema, in hundredths */
	char version_text[16];
	const struct section *sections; /* file order */
	struct verdict_order order[EVENT_TYPE_COUNT];

	unsigned hashes;
	bool dns_lookup, check_revocation, capture_clipboard;
	const char *archive_directory;
	const char *field_sizes;
	unsigned field_size[EVENT_TYPE_COUNT][EVENT_FIELDS_MAX]; /* 0: not bounded */
	uint32_t options_set; /* bit: row in options.def */

	struct rule_problem *notices;
	unsigned notice_count;
	uint8_t *working_memory; /* FOLDED_EVENT_MAX bytes: the folded fields of the event being judged */
	struct index *index;     /* index.h */
};

/* Every byte that crosses from the kernel side becomes at most four (an escape), an event also shows
 * texts of its parent, and folding lengthens by half at most. What would still not fit is judged by
 * its beginning. */
#define FOLDED_EVENT_MAX (2u * 4u * KS_RECORD_MAX * 3u / 2u)

/* Must every filter of it hold, and not just one? */
static inline bool clause_needs_all(const struct clause *c)
{
	return c->compound && c->relation == RELATION_AND;
}

/* Event 24 needs an option besides its rules. */
static inline bool event_is_captured(const struct ruleset *rs, const struct event_type *type)
{
	return type->id != 24 || rs->capture_clipboard;
}

/* What becomes of an event that no section matched. */
static inline bool kept_by_none(const struct verdict_order *order, const struct event_type *type)
{
	return order->count > 0 ? !order->include_exists : type->kept != DEFAULT_OFF;
}

static inline const char *name_of_kept(const struct section *s, const char *name)
{
	return name ? name : s->group_name ? s->group_name : "-";
}

static inline unsigned event_type_index(const struct event_type *type)
{
	return (unsigned)(type - event_types);
}

/* SPDX-License-Identifier: MIT */
/* Rules: which events are kept. Loaded once, immutable afterwards. The language: docs/rules.md.
 * Memory: a ruleset owns all it points to, the working memory of judging too, so one thread at a time
 * judges with it; strings it returns are borrowed and live as long as it does. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../base/err.h"
#include "../base/own.h"
#include "../event/event.h"

struct ruleset;

#define RULESET_SCHEMA_VERSION "4.91" /* our own */

/* Bounds of a configuration; what exceeds them is refused. */
#define RULESET_BYTES_MAX   (16u << 20)
#define RULESET_DEPTH_MAX   32u     /* nested elements; the language needs 6 */
#define RULESET_FILTERS_MAX 250000u /* filters and the items of their lists, in all */
#define RULESET_NAME_MAX    255u    /* characters of a name attribute */

#define HASH_SHA1    1u
#define HASH_MD5     2u
#define HASH_SHA256  4u
#define HASH_IMPHASH 8u
#define HASH_ALL     15u

/* One complaint or notice: where and what, on one line. Line and column count from 1. */
struct rule_problem {
	unsigned line, column;
	char text[500];
};

/* All complaints of a file. After RULE_PROBLEMS_MAX its meaning is looked at no further. count may be larger
 * by what else came up. */
#define RULE_PROBLEMS_MAX 100
struct rule_problems {
	unsigned count;
	struct rule_problem problem[RULE_PROBLEMS_MAX];
};

/* Reads a Sysmon configuration from memory (UTF-8, UTF-16, ISO-8859-1). On failure *ret is untouched,
 * e holds the first problem as "NAME:LINE:COLUMN: text", problems (may be NULL) all of them. 0 or -errno;
 * -EBADMSG for a configuration that is not valid. name is only for messages. */
int ruleset_parse(const char *name, const void *bytes, size_t n, struct ruleset **ret,
		  struct rule_problems *problems, struct err *e);

/* The bare default of the schema: 1 and 5 kept, others dropped (`-c --`). */
int ruleset_default(struct ruleset **ret, struct err *e);
/* Keeps every event that this build produces (`run` without -c), but for those that keep, remove or refuse
 * something (23, 27, 28). */
int ruleset_everything(struct ruleset **ret, struct err *e);

void ruleset_free(struct ruleset *rs);
DEFINE_DROP(ruleset)

/* Judges one event whose fields are all set but RuleName. True: keep; *name (never NULL) is the RuleName,
 * "-" if none. No allocation. */
bool ruleset_keeps(const struct ruleset *rs, const struct event *ev, const char **name);

/* Can an event of this type be kept at all? False: its hook need not run. */
bool ruleset_wants(const struct ruleset *rs, const struct event_type *type);

/* Could an event of this type with this value of one field be kept, whatever the others are? For work that must be
 * done before the rest is known. */
bool ruleset_could_keep(const struct ruleset *rs, const struct event_type *type, const char *field,
			const char *text, size_t n);

unsigned ruleset_hashes(const struct ruleset *rs); /* HASH_* */
bool ruleset_dns_lookup(const struct ruleset *rs);
bool ruleset_check_revocation(const struct ruleset *rs);
bool ruleset_capture_clipboard(const struct ruleset *rs);
const char *ruleset_archive_directory(const struct ruleset *rs);
const char *ruleset_field_sizes(const struct ruleset *rs); /* text as given, "" when none */
/* Longest output of this field, in characters; 0 when not bounded. */
unsigned ruleset_field_size(const struct ruleset *rs, const char *field);
const char *ruleset_schema_version(const struct ruleset *rs); /* of the file, "4.90" */
/* Does the file itself set this option element? (It then wins over a switch.) */
bool ruleset_sets_option(const struct ruleset *rs, const char *option);

/* Applies FieldSizes to an event that is kept: longer strings are cut, the new ones are taken from the
 * arena; in a full arena a value that is too long becomes "-". Values that are no strings stay. */
void ruleset_shorten(const struct ruleset *rs, struct event *ev, struct arena *arena);

/* What a reader of the file should know though it was accepted. */
const struct rule_problem *ruleset_notices(const struct ruleset *rs, unsigned *count);

/* What the file holds for one rule tag. Filters inside a Rule count as filters too. */
struct rule_count {
	const char *tag;
	bool later; /* this build produces no event of the tag */
	struct {
		unsigned sections, rules, filters;
	} exclude, include;
};
/* Fills one entry for each tag that has a section, by event id; returns how many. */
unsigned ruleset_count(const struct ruleset *rs, struct rule_count counts[EVENT_TYPE_COUNT]);

/* "SHA1,MD5,SHA256,IMPHASH": the names of the set bits in fixed order; HASH_NAMES_MAX with the NUL. */
#define HASH_NAMES_MAX 24
void ruleset_hash_names(unsigned hashes, char out[HASH_NAMES_MAX]);

/* Prints as `sysmon -c` does: the lines from "HashingAlgorithms:" to "DNS lookup:", */
void ruleset_dump_options(const struct ruleset *rs, FILE *to);
/* and the rules in force, from "Rule configuration (version ...)" on. */
void ruleset_dump(const struct ruleset *rs, FILE *to);

/* SPDX-License-Identifier: MIT */
/* Rules: which events are kept. Loaded once, immutable afterwards, so any thread may evaluate.
 * The language: docs/rules.md. Memory: a ruleset owns all it points to; strings it returns are borrowed
 * and live as long as it does. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../base/err.h"
#include "../base/own.h"
#include "../event/event.h"

struct ruleset;

#define HASH_SHA1    1u
#define HASH_MD5     2u
#define HASH_SHA256  4u
#define HASH_IMPHASH 8u

/* One complaint: where and what. Line and column count from 1. */
struct rule_problem {
	unsigned line, column;
	char text[300];
};

/* All complaints of a file, at most PROBLEMS_MAX; count may be larger. */
#define RULE_PROBLEMS_MAX 100
struct rule_problems {
	unsigned count;
	struct rule_problem problem[RULE_PROBLEMS_MAX];
};

/* Reads a Sysmon configuration from memory (UTF-8, UTF-16LE, ISO-8859-1). On failure *ret is untouched,
 * e holds the first problem as "NAME:LINE:COLUMN: text", problems (may be NULL) all of them. 0 or -errno;
 * -EBADMSG for a configuration that is not valid. name is only for messages. */
int ruleset_parse(const char *name, const void *bytes, size_t n, struct ruleset **ret,
		  struct rule_problems *problems, struct err *e);

/* The bare default of the schema: 1 and 5 kept, others dropped (`-c --`). */
int ruleset_default(struct ruleset **ret, struct err *e);
/* Keeps every event that this build produces (`run` without -c). */
int ruleset_everything(struct ruleset **ret, struct err *e);

void ruleset_free(struct ruleset *rs);
DEFINE_DROP(ruleset)

/* Judges one event whose fields are all set but RuleName. True: keep; *name (never NULL) is the RuleName,
 * "-" if none. No allocation. */
bool ruleset_keeps(const struct ruleset *rs, const struct event *ev, const char **name);

/* Can an event of this type be kept at all? False: its hook need not run. */
bool ruleset_wants(const struct ruleset *rs, const struct event_type *type);

unsigned ruleset_hashes(const struct ruleset *rs);      /* HASH_* */
bool ruleset_dns_lookup(const struct ruleset *rs);
const char *ruleset_archive_directory(const struct ruleset *rs);
const char *ruleset_field_sizes(const struct ruleset *rs); /* text as given, "" when none */
/* Longest output of this field, in characters; 0 when not bounded. */
unsigned ruleset_field_size(const struct ruleset *rs, const char *field);
const char *ruleset_schema_version(const struct ruleset *rs); /* of the file, "4.90" */

/* Prints the rules in force as `sysmon -c` does (from "Rule configuration (version ...)" on). */
void ruleset_dump(const struct ruleset *rs, FILE *to);

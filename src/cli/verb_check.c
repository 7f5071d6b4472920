/* SPDX-License-Identifier: MIT */
/* Checks configurations without using them; works without root. */
#include <stdlib.h>

#include "../base/own.h"
#include "../rules/ruleset.h"
#include "file.h"
#include "verb.h"

static void put_problem(const char *file, const char *kind, const struct rule_problem *p)
{
	printf("%s:%u:%u: %s%s\n", file, p->line, p->column, kind, p->text);
}

static void put_problems(const char *file, const struct rule_problems *problems)
{
	unsigned shown = problems->count < RULE_PROBLEMS_MAX ? problems->count : RULE_PROBLEMS_MAX;

	for (unsigned i = 0; i < shown; i++)
		put_problem(file, "", &problems->problem[i]);
	if (shown < problems->count)
		printf("%s: %u further problems\n", file, problems->count - shown);
	printf("%s: refused, %u problem%s\n", file, problems->count, problems->count == 1 ? "" : "s");
}

static void put_summary(const char *file, const struct ruleset *rs)
{
	struct rule_count counts[EVENT_TYPE_COUNT];
	unsigned tags = ruleset_count(rs, counts), notices, sections = 0, filters = 0;
	const struct rule_problem *notice = ruleset_notices(rs, &notices);

	for (unsigned i = 0; i < notices; i++)
		put_problem(file, "note: ", &notice[i]);
	for (unsigned i = 0; i < tags; i++) {
		sections += counts[i].include.sections + counts[i].exclude.sections;
		filters += counts[i].include.filters + counts[i].exclude.filters;
		if (counts[i].later)
			printf("%s: note: this version produces no %s events yet\n", file, counts[i].tag);
	}
	printf("%s: valid, schema version %s, %u section%s, %u filter%s\n", file, ruleset_schema_version(rs), sections,
	       sections == 1 ? "" : "s", filters, filters == 1 ? "" : "s");
}

/* True: the file is a valid configuration. */
static bool check(const char *file, struct rule_problems *problems)
{
	OWNED(ruleset) rs = NULL;
	OWNED_HEAP char *bytes = NULL;
	struct err e = { 0 };
	size_t n;
	int r = read_whole_file(file, RULESET_BYTES_MAX, &bytes, &n, &e);

	*problems = (struct rule_problems){ 0 };
	if (r == 0)
		r = ruleset_parse(file, bytes, n, &rs, problems, &e);
	if (r == 0)
		put_summary(file, rs);
	else if (problems->count > 0)
		put_problems(file, problems);
	else
		printf("%s\n", e.text);
	return r == 0;
}

int verb_check(const struct arguments *a)
{
	OWNED_HEAP struct rule_problems *problems = malloc(sizeof(*problems));
	bool valid = true;

	if (a->word_count == 0)
		return bad_usage(a->verb, "which file is to be checked?");
	if (!problems) {
		fputs("konseki: out of memory\n", stderr);
		return STATUS_FAILED;
	}
	for (unsigned i = 0; i < a->word_count; i++)
		valid = check(a->words[i], problems) && valid;
	return valid ? STATUS_OK : STATUS_USAGE;
}

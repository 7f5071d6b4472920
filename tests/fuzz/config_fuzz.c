/* SPDX-License-Identifier: MIT */
/* Configurations by strangers: whatever is accepted must judge, by the index as plainly, count and print. Words:
 * config.dict. */
#include <stdio.h>
#include <string.h>

#include "../../src/base/text.h"
#include "../../src/rules/plain.h"
#include "fuzz.h"

/* Every field bears the same text. What is kept must be wanted; any may be cut. */
static void judge_all_types(const struct ruleset *rs, const char *text, uint32_t length,
			    struct arena *arena)
{
	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++) {
		struct event ev = { .type = &event_types[t] };
		struct plain_verdict wanted;
		const char *name;
		bool keep;

		for (unsigned i = 0; i < ev.type->field_count; i++)
			ev.values[i] = (struct value){ .text = text, .length = length, .number = length };
		wanted = plain_judge(rs, &ev);
		keep = ruleset_keeps(rs, &ev, &name);
		if (keep != wanted.keep || strcmp(name, wanted.name) != 0 || (keep && !ruleset_wants(rs, ev.type)))
			abort();
		arena_reset(arena);
		ruleset_shorten(rs, &ev, arena);
	}
}

static void print(const struct ruleset *rs)
{
	struct rule_count counts[EVENT_TYPE_COUNT];
	char *text = NULL;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	if (!to)
		return;
	ruleset_dump_options(rs, to);
	ruleset_dump(rs, to);
	fclose(to);
	free(text);
	if (ruleset_count(rs, counts) > EVENT_TYPE_COUNT)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	OWNED(ruleset) rs = NULL;
	struct arena arena;
	struct err e;
	char text[256];
	size_t n;

	if (ruleset_parse("fuzz", bytes, size, &rs, NULL, &e) < 0)
		return 0;
	n = text_from_bytes(bytes + size / 2, size - size / 2, text, sizeof(text), NULL);
	if (arena_init(&arena, 1024) < 0) /* too small for all fields, sometimes */
		return 0;
	judge_all_types(rs, text, (uint32_t)n, &arena);
	judge_all_types(rs, "", 0, &arena);
	arena_done(&arena);
	print(rs);
	return 0;
}

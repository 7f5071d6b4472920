/* SPDX-License-Identifier: MIT */
/* Configurations by strangers: whatever is accepted must judge, count and print. Words: config.dict. */
#include <stdio.h>

#include "../../src/base/text.h"
#include "../../src/rules/ruleset.h"
#include "fuzz.h"

/* Every field bears the same text. What is kept must be wanted. */
static void judge_all_types(const struct ruleset *rs, const char *text, uint32_t length)
{
	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++) {
		struct event ev = { .type = &event_types[t] };
		const char *name;

		for (unsigned i = 0; i < ev.type->field_count; i++)
			ev.values[i] = (struct value){ .text = text, .length = length, .number = length };
		if (ruleset_keeps(rs, &ev, &name) && (!name || !ruleset_wants(rs, ev.type)))
			abort();
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
	struct err e;
	char text[256];
	size_t n;

	if (ruleset_parse("fuzz", bytes, size, &rs, NULL, &e) < 0)
		return 0;
	n = text_from_bytes(bytes + size / 2, size - size / 2, text, sizeof(text), NULL);
	judge_all_types(rs, text, (uint32_t)n);
	judge_all_types(rs, "", 0);
	print(rs);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Small configurations and events made of the input, judged fast and plainly: the verdicts must be the same. Few
 * letters, so that values meet. */
#include <stdio.h>
#include <string.h>

#include "../../src/rules/plain.h"
#include "fuzz.h"

struct input {
	const uint8_t *bytes;
	size_t left;
};

static unsigned take_below(struct input *in, unsigned n)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->bytes++ % n;
}

static const char *take_text(struct input *in, char text[40])
{
	static const char *const letters[] = { "a", "b", "A", "/", "\\", ";", "\xc3\x84", "\xc3\xa4", ".", "ab" };
	unsigned n = take_below(in, 9);

	text[0] = 0;
	while (n-- > 0)
		strcat(text, letters[take_below(in, sizeof(letters) / sizeof(letters[0]))]);
	return text;
}

static const struct {
	const char *tag;
	unsigned first_id, last_id;
	const char *fields[3];
} kinds[] = {
	{ "ProcessCreate", 1, 1, { "Image", "CommandLine", "User" } },
	{ "RegistryEvent", 12, 14, { "TargetObject", "Details", "NewName" } },
};

static void put_filter(struct input *in, unsigned kind, FILE *to)
{
	const char *field = kinds[kind].fields[take_below(in, 3)];
	char text[40], name[16] = "";

	if (take_below(in, 3) == 0)
		snprintf(name, sizeof(name), "f%u", take_below(in, 4));
	fprintf(to, "<%s condition=\"%s\" name=\"%s\">", field, operators[take_below(in, OPERATOR_COUNT)].name, name);
	fprintf(to, "%s</%s>", take_text(in, text), field);
}

static const char *take_relation(struct input *in)
{
	return take_below(in, 2) ? "and" : "or";
}

static void put_section(struct input *in, unsigned kind, FILE *to)
{
	bool group = take_below(in, 2);

	if (group)
		fprintf(to, "<RuleGroup name=\"g%u\" groupRelation=\"%s\">", take_below(in, 3), take_relation(in));
	fprintf(to, "<%s onmatch=\"%s\">", kinds[kind].tag, take_below(in, 2) ? "include" : "exclude");
	for (unsigned n = take_below(in, 6); n > 0; n--) {
		bool rule = take_below(in, 3) == 0;

		if (rule)
			fprintf(to, "<Rule name=\"r%u\" groupRelation=\"%s\">", n, take_relation(in));
		for (unsigned m = rule ? take_below(in, 4) : 1; m > 0; m--)
			put_filter(in, kind, to);
		if (rule)
			fputs("</Rule>", to);
	}
	fprintf(to, "</%s>", kinds[kind].tag);
	if (group)
		fputs("</RuleGroup>", to);
}

static void judge(struct input *in, unsigned kind, const struct ruleset *rs)
{
	char texts[3][40];

	for (unsigned id = kinds[kind].first_id; id <= kinds[kind].last_id; id++) {
		struct event ev = { .type = event_type_by_id(id) };
		struct plain_verdict wanted;
		const char *name;

		for (unsigned i = 0; i < 3; i++) {
			int at = event_field_index(ev.type, kinds[kind].fields[i], strlen(kinds[kind].fields[i]));

			take_text(in, texts[i]);
			if (at >= 0)
				ev.values[at] = (struct value){ .text = texts[i], .length = (uint32_t)strlen(texts[i]) };
		}
		wanted = plain_judge(rs, &ev);
		if (ruleset_keeps(rs, &ev, &name) != wanted.keep || strcmp(name, wanted.name) != 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input in = { bytes, size };
	unsigned kind = take_below(&in, 2);
	OWNED(ruleset) rs = NULL;
	char document[16384];
	struct err e;
	FILE *to = fmemopen(document, sizeof(document), "w");

	if (!to)
		return 0;
	fputs("<Sysmon schemaversion=\"4.90\"><EventFiltering>", to);
	for (unsigned n = 1 + take_below(&in, 3); n > 0; n--)
		put_section(&in, kind, to);
	fputs("</EventFiltering></Sysmon>", to);
	if (fclose(to) != 0 || ruleset_parse("fuzz", document, strlen(document), &rs, NULL, &e) < 0)
		abort();
	for (unsigned n = 0; n < 20; n++)
		judge(&in, kind, rs);
	return 0;
}

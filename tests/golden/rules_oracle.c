/* SPDX-License-Identifier: MIT */
/* Judges random events by configurations, fast and plainly: verdict and RuleName must be the same.
 * The events are made of the values of the very filters, so that they come close to them.
 * rules_oracle EVENTS FILE... prints TAP. */
#include <errno.h>
#include <hs/hs.h>
#include <string.h>

#include "../../src/base/own.h"
#include "../../src/rules/plain.h"

#define TEXT_MAX 600

#ifdef OLD_PROCESSOR /* linked so that Hyperscan says it cannot run here */
int __wrap_hs_valid_platform(void);

int __wrap_hs_valid_platform(void)
{
	return HS_ARCH_ERROR;
}
#endif

static uint64_t state = 88172645463325252u;

static uint32_t random_below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % n;
}

/* The values of all filters, by field of the type. */
struct values {
	const char **value[EVENT_FIELDS_MAX];
	uint32_t count[EVENT_FIELDS_MAX];
};

static void values_done(struct values *v)
{
	for (unsigned i = 0; i < EVENT_FIELDS_MAX; i++)
		free(v->value[i]);
}

static void add_value(struct values *v, int field, const char *value)
{
	if (field < 0)
		return;
	if ((v->count[field] & (v->count[field] - 1)) == 0) {
		size_t room = v->count[field] ? 2 * v->count[field] : 1;

		v->value[field] = realloc(v->value[field], room * sizeof(char *));
		if (!v->value[field])
			abort();
	}
	v->value[field][v->count[field]++] = value;
}

static void gather(const struct ruleset *rs, const struct event_type *type, struct values *v)
{
	const struct verdict_order *order = &rs->order[type - event_types];

	for (unsigned i = 0; i < order->count; i++)
		for (const struct clause *c = order->sections[i]->clauses; c; c = c->next)
			for (const struct filter *f = c->filters; f; f = f->next)
				add_value(v, f->field_index[offset_in_series(order->sections[i], type)],
					  f->value);
}

static size_t add_text(char *text, size_t at, const char *more, size_t n)
{
	if (n > TEXT_MAX - at)
		n = TEXT_MAX - at;
	memcpy(text + at, more, n);
	return at + n;
}

/* A value as it is, or one of the items of a list. */
static size_t add_piece(char *text, size_t at, const char *value)
{
	const char *end = random_below(2) ? strchr(value, ';') : NULL;
	const char *begin = end && random_below(2) ? end + 1 : value;

	return add_text(text, at, begin, begin == value && end ? (size_t)(end - value) : strlen(begin));
}

static void swap_case(char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((text[i] | 0x20) >= 'a' && (text[i] | 0x20) <= 'z' && random_below(4) == 0)
			text[i] ^= 0x20;
}

static size_t make_text(char *text, const struct values *v, unsigned field)
{
	static const char *const common[] = { "/usr/bin/bash", "/tmp/x.sh", "-", "root", "443", "C:\\Windows\\a.exe" };
	static const char *const around[] = { "", "", "", " ", "/", "\\", "x", "; ", "\xc3\x84", "/usr/bin/" };
	unsigned pieces = 1 + random_below(3);
	size_t at = 0;

	for (unsigned i = 0; i < pieces; i++) {
		const char *edge = around[random_below(ARRAY_SIZE(around))];
		bool known = v->count[field] > 0 && random_below(4) > 0;

		at = add_text(text, at, edge, strlen(edge));
		at = add_piece(text, at, known ? v->value[field][random_below(v->count[field])] :
						 common[random_below(ARRAY_SIZE(common))]);
		if (random_below(2))
			break;
	}
	if (random_below(8) == 0 && at > 0)
		at--;
	swap_case(text, at);
	return at;
}

static void make_event(struct event *ev, char (*texts)[TEXT_MAX], const struct values *v)
{
	for (unsigned i = 0; i < ev->type->field_count; i++) {
		ev->values[i].text = texts[i];
		ev->values[i].length = (uint32_t)make_text(texts[i], v, i);
		ev->values[i].number = v->count[i] ? strtoull(v->value[i][random_below(v->count[i])], NULL, 0) :
						     random_below(2);
	}
}

static bool same_verdict(const struct ruleset *rs, const struct event *ev)
{
	struct plain_verdict wanted = plain_judge(rs, ev);
	const char *name;
	bool keep = ruleset_keeps(rs, ev, &name);

	if (keep == wanted.keep && strcmp(name, wanted.name) == 0)
		return true;
	printf("# event %u: %s %s, plainly %s %s\n", ev->type->id, keep ? "keep" : "drop", name,
	       wanted.keep ? "keep" : "drop", wanted.name);
	for (unsigned i = 0; i < ev->type->field_count; i++)
		printf("#   %s=%.*s (%llu)\n", ev->type->fields[i].name, (int)ev->values[i].length,
		       ev->values[i].text, (unsigned long long)ev->values[i].number);
	return false;
}

/* Every type that sections speak of gets its share of the events. */
static bool compare(const struct ruleset *rs, unsigned long events)
{
	static char texts[EVENT_FIELDS_MAX][TEXT_MAX];
	unsigned types = 0;
	bool same = true;

	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++)
		types += rs->order[t].count > 0;
	for (unsigned t = 0; t < EVENT_TYPE_COUNT && same; t++) {
		struct event ev = { .type = &event_types[t] };
		struct values v = { 0 };

		if (rs->order[t].count == 0)
			continue;
		gather(rs, ev.type, &v);
		for (unsigned long i = 0; i < events / types + 1 && same; i++) {
			make_event(&ev, texts, &v);
			same = same_verdict(rs, &ev);
		}
		values_done(&v);
	}
	return same;
}

static bool compare_file(const char *path, unsigned long events)
{
	OWNED(ruleset) rs = NULL;
	OWNED_HEAP char *bytes = malloc(RULESET_BYTES_MAX);
	FILE *f = fopen(path, "r");
	struct err e = { 0 };
	size_t n;

	if (!bytes || !f)
		return false;
	n = fread(bytes, 1, RULESET_BYTES_MAX, f);
	fclose(f);
	if (ruleset_parse(path, bytes, n, &rs, NULL, &e) == 0)
		return compare(rs, events);
	printf("# %s\n", e.text);
	return false;
}

int main(int argc, char **argv)
{
	unsigned long events = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
	int failed = 0;

	printf("1..%d\n", argc - 2);
	for (int i = 2; i < argc; i++) {
		bool same = events > 0 && compare_file(argv[i], events);

		printf("%s %d - %lu events by %s\n", same ? "ok" : "not ok", i - 1, events, argv[i]);
		failed += !same;
	}
	return failed > 0 || argc <= 2;
}

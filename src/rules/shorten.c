/* SPDX-License-Identifier: MIT */
/* FieldSizes: the longest output of a field. Filters have seen the whole value before. */
#include <string.h>

#include "model.h"

/* Bytes of the one character, or of the one escape, at p: neither is torn apart. */
static size_t unit_at(const char *p, size_t left, unsigned *characters)
{
	size_t n = 1;

	*characters = 1;
	if (left >= 4 && p[0] == '\\' && p[1] == 'x' && strspn(p + 2, "0123456789abcdefABCDEF") >= 2) {
		*characters = 4;
		return 4;
	}
	while (n < left && ((unsigned char)p[n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* The bytes of as much of the text as has at most that many characters. */
static size_t bytes_within(const char *text, size_t n, unsigned characters)
{
	size_t at = 0;
	unsigned seen = 0, step_characters;

	while (at < n) {
		size_t step = unit_at(text + at, n - at, &step_characters);

		if (step_characters > characters - seen)
			break;
		seen += step_characters;
		at += step;
	}
	return at;
}

static void shorten(struct value *v, unsigned characters, struct arena *arena)
{
	size_t kept;
	char *cut;

	if (bytes_within(v->text, v->length, characters) == v->length)
		return;
	kept = characters < 3 ? 0 : bytes_within(v->text, v->length, characters - 3);
	cut = characters < 3 ? NULL : arena_take(arena, kept + 3);
	if (cut) {
		memcpy(cut, v->text, kept);
		memcpy(cut + kept, "...", 3);
		v->text = cut;
		v->length = (uint32_t)kept + 3;
	} else {
		v->text = "-";
		v->length = 1;
	}
}

void ruleset_shorten(const struct ruleset *rs, struct event *ev, struct arena *arena)
{
	const unsigned *size = rs->field_size[event_type_index(ev->type)];

	for (unsigned i = 0; i < ev->type->known_count; i++)
		if (size[i] > 0 && ev->type->fields[i].type == FIELD_STRING)
			shorten(&ev->values[i], size[i], arena);
}

unsigned ruleset_field_size(const struct ruleset *rs, const char *field)
{
	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++) {
		int index = event_field_index(&event_types[t], field, strlen(field));

		if (index >= 0)
			return rs->field_size[t][index];
	}
	return 0;
}

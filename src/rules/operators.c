/* SPDX-License-Identifier: MIT */
#include "operators.h"

#include <string.h>
#include <strings.h>

static bool equal(const struct folded *a, const struct folded *b)
{
	return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

static bool occurs(const struct folded *part, const struct folded *whole)
{
	return memmem(whole->bytes, whole->length, part->bytes, part->length) != NULL;
}

static bool some_item_occurs(const struct folded *field, const struct items *wanted)
{
	for (unsigned i = 0; i < wanted->count; i++)
		if (occurs(&wanted->item[i], field))
			return true;
	return false;
}

static bool every_item_occurs(const struct folded *field, const struct items *wanted)
{
	for (unsigned i = 0; i < wanted->count; i++)
		if (!occurs(&wanted->item[i], field))
			return false;
	return true;
}

/* Bytes of UTF-8 order like the characters they stand for. */
static int order(const struct folded *a, const struct folded *b)
{
	int first = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);

	return first ? first : (a->length > b->length) - (a->length < b->length);
}

/* Both kinds of path count: configurations of Windows come here too. */
static bool is_separator(uint8_t c)
{
	return c == '/' || c == '\\';
}

struct folded after_last_separator(const struct folded *path)
{
	size_t at = path->length;

	while (at > 0 && !is_separator(path->bytes[at - 1]))
		at--;
	return (struct folded){ path->bytes + at, path->length - at };
}

static bool is(const struct folded *field, const struct items *wanted)
{
	return equal(field, wanted->item);
}

static bool is_not(const struct folded *field, const struct items *wanted)
{
	return !is(field, wanted);
}

static bool is_any(const struct folded *field, const struct items *wanted)
{
	for (unsigned i = 0; i < wanted->count; i++)
		if (equal(field, &wanted->item[i]))
			return true;
	return false;
}

static bool contains(const struct folded *field, const struct items *wanted)
{
	return occurs(wanted->item, field);
}

static bool contains_any(const struct folded *field, const struct items *wanted)
{
	return some_item_occurs(field, wanted);
}

/* A list without items asks for nothing, and so must not let everything through. */
static bool contains_all(const struct folded *field, const struct items *wanted)
{
	return wanted->count > 0 && every_item_occurs(field, wanted);
}

static bool excludes(const struct folded *field, const struct items *wanted)
{
	return !contains(field, wanted);
}

/* "any" and "all" speak of what may not occur, as in Sysmon: none of the items occurs; */
static bool excludes_any(const struct folded *field, const struct items *wanted)
{
	return !some_item_occurs(field, wanted);
}

/* not all of them occur. */
static bool excludes_all(const struct folded *field, const struct items *wanted)
{
	return !contains_all(field, wanted);
}

static bool begin_with(const struct folded *field, const struct items *wanted)
{
	return field->length >= wanted->item->length &&
	       memcmp(field->bytes, wanted->item->bytes, wanted->item->length) == 0;
}

static bool not_begin_with(const struct folded *field, const struct items *wanted)
{
	return !begin_with(field, wanted);
}

static bool end_with(const struct folded *field, const struct items *wanted)
{
	size_t n = wanted->item->length;

	return field->length >= n && memcmp(field->bytes + field->length - n, wanted->item->bytes, n) == 0;
}

static bool not_end_with(const struct folded *field, const struct items *wanted)
{
	return !end_with(field, wanted);
}

static bool less_than(const struct folded *field, const struct items *wanted)
{
	return order(field, wanted->item) < 0;
}

static bool more_than(const struct folded *field, const struct items *wanted)
{
	return order(field, wanted->item) > 0;
}

static bool image(const struct folded *field, const struct items *wanted)
{
	struct folded base = after_last_separator(field);
	bool is_path = after_last_separator(wanted->item).length < wanted->item->length;

	return equal(is_path ? field : &base, wanted->item);
}

const struct operator operators[OPERATOR_COUNT] = {
#define WHOLE(name, function, trace) { name, false, trace, function },
#define LIST(name, function, trace)  { name, true, trace, function },
#include "operators.def"
};

const struct operator *operator_by_name(const char *name)
{
	if (name[0] == 0)
		return &operators[0];
	for (size_t i = 0; i < OPERATOR_COUNT; i++)
		if (strcasecmp(operators[i].name, name) == 0)
			return &operators[i];
	return NULL;
}

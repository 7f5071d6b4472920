/* SPDX-License-Identifier: MIT */
/* Events of any type with values of any kind, the same for the same seed: for tests that write a log and
 * read it back. */
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../src/event/event.h"

#define RANDOM_STRING_MAX 3000u

struct random_events {
	uint64_t state;
	bool plain; /* small strings of ASCII only */
	struct event event;
	char text[EVENT_FIELDS_MAX][RANDOM_STRING_MAX + 8];
};

static inline uint64_t random_number(struct random_events *r)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return r->state;
}

static inline uint32_t random_below(struct random_events *r, uint32_t n)
{
	return (uint32_t)(random_number(r) >> 11) % n;
}

/* Length in the way of real values: most are short, some 2 KB and more. */
static inline uint32_t random_length(struct random_events *r)
{
	switch (random_below(r, 40)) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return r->plain ? 64 : random_below(r, RANDOM_STRING_MAX);
	default:
		return random_below(r, 60);
	}
}

/* Pieces in the written form of values: what XML, UTF-16 and the escapes make difficult. */
static inline const char *random_piece(struct random_events *r)
{
	static const char *const hard[] = {
		"<", ">", "&", "\"", "'", "&amp;", "]]>", "<![CDATA[", "{0}", "%1", "\t", "\n", "\r\n", " ",
		"caf\xc3\xa9", "\xe2\x82\xac", "\xe6\x97\xa5\xe6\x9c\xac", "\xef\xbf\xbd", "\xf0\x9f\x98\x80",
		"\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbd", "\\xFF", "\\x00", "\\x5cx41", "\\", "\xcc\x81",
		"\xee\x80\x80", "\xc2\xa0", "\xe2\x80\xae",
	};
	static const char *const easy[] = { "/usr", "/bin/true", "--option=", "a", "0", "-", "home", ".so" };

	if (r->plain || random_below(r, 4))
		return easy[random_below(r, sizeof(easy) / sizeof(easy[0]))];
	return hard[random_below(r, sizeof(hard) / sizeof(hard[0]))];
}

static inline void random_string(struct random_events *r, struct value *v, char *text)
{
	uint32_t wanted = random_length(r), length = 0;

	while (length < wanted) {
		const char *piece = random_piece(r);
		uint32_t n = (uint32_t)strlen(piece);

		if (length + n > RANDOM_STRING_MAX)
			break;
		memcpy(text + length, piece, n);
		length += n;
	}
	v->text = text;
	v->length = length;
}

static inline void random_value(struct random_events *r, enum field_type type, struct value *v, char *text)
{
	const uint64_t number = random_number(r) >> random_below(r, 64);

	*v = (struct value){ 0 };
	switch (type) {
	case FIELD_STRING:
		random_string(r, v, text);
		break;
	case FIELD_GUID:
		for (unsigned i = 0; i < 16; i++)
			v->guid.byte[i] = (uint8_t)random_number(r);
		break;
	case FIELD_U16:
		v->number = number & 0xffff;
		break;
	case FIELD_BOOL:
		v->number = number & 1;
		break;
	case FIELD_U32:
	case FIELD_PID:
	case FIELD_HEX32:
		v->number = number & 0xffffffff;
		break;
	case FIELD_HEX64:
		v->number = number;
		break;
	}
}

/* The next event; good until the next call. */
static inline const struct event *random_event(struct random_events *r)
{
	struct event *ev = &r->event;

	ev->type = &event_types[random_below(r, EVENT_TYPE_COUNT)];
	ev->time_utc_ns = 1700000000000000000u + random_number(r) % 200000000000000000u;
	for (unsigned i = 0; i < ev->type->known_count; i++)
		random_value(r, ev->type->fields[i].type, &ev->values[i], r->text[i]);
	return ev;
}

/* SPDX-License-Identifier: MIT */
/* One value of a record, of any of the types of binxml.h, as text or number. Internal to src/evtx/. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evtx_value {
	const uint8_t *bytes; /* in the chunk */
	uint32_t length;
	uint8_t type;
};

/* Room that evtx_value_text() needs, the NUL included. */
size_t evtx_value_room(const struct evtx_value *v);

/* The value as the event viewer shows it, NUL-terminated; returns the length. Not for TYPE_BINXML and
 * arrays. A value shorter than its type gives the empty text. */
size_t evtx_value_text(const struct evtx_value *v, char *out);

/* As a number: 0 for what is none. Strings may hold decimal or 0x digits. */
uint64_t evtx_value_number(const struct evtx_value *v);

/* As nanoseconds since 1970: FILETIME, or text in ISO form. */
uint64_t evtx_value_time(const struct evtx_value *v);

/* The same from text that stands in the record's template. */
uint64_t evtx_text_number(const char *text);
uint64_t evtx_text_time(const char *text);

/* The next item of an array value, *at counting up from 0; false at its end. */
bool evtx_value_item(const struct evtx_value *array, uint32_t *at, struct evtx_value *item);

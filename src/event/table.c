/* SPDX-License-Identifier: MIT */
/* The tables that rules, log, printers and hunts read, made from schema/events.def. */
#include "event.h"

#include <string.h>

#include "../base/own.h"

#define EVENT(ev, ...)       static const struct field fields_##ev[] = {
#define FILL(ev, name, t, f) { #name, FIELD_##t, false },
#define WIRE(ev, name, t)    { #name, FIELD_##t, false },
#define LATER(ev, name, t)   { #name, FIELD_##t, true },
#define END(ev)              EVERY(ev) };
/* Records that are not events have RAW rows only. */
#define RECORD(rec)          static const struct field fields_##rec[] __attribute__((unused)) = {
#include "../../schema/events.def"

/* An event type is for later when one of its fields is. */
enum {
#define EVENT(ev, ...)       later_##ev = 0
#define FILL(ev, name, t, f)
#define LATER(ev, name, t)   | 1
#define RECORD(rec)          later_##rec = 0
#define END(ev)              ,
#include "../../schema/events.def"
};

#define DEFAULT_KEPT_ON     DEFAULT_ON
#define DEFAULT_KEPT_OFF    DEFAULT_OFF
#define DEFAULT_KEPT_ALWAYS DEFAULT_ALWAYS

const struct event_type event_types[EVENT_TYPE_COUNT] = {
#define EVENT(ev, id, version, tag, schema_name, title, level, kept)                               \
	{ id, version, tag, schema_name, title, LEVEL_##level, DEFAULT_KEPT_##kept, later_##ev,    \
	  KS_##ev, ARRAY_SIZE(fields_##ev) - 1,                                                            \
	  ARRAY_SIZE(fields_##ev) - (DEFAULT_KEPT_##kept == DEFAULT_ALWAYS), fields_##ev },
#include "../../schema/events.def"
};

const struct event_type *event_type_by_id(unsigned id)
{
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++)
		if (event_types[i].id == id)
			return &event_types[i];
	return NULL;
}

const struct event_type *event_type_by_record(unsigned record)
{
	static const struct event_type *const by_record[KS_RECORD_COUNT] = {
#define EVENT(ev, ...) [KS_##ev] = &event_types[KS_##ev - 1],
#include "../../schema/events.def"
	};

	return record < KS_RECORD_COUNT ? by_record[record] : NULL;
}

const struct event_type *event_type_by_tag(const char *tag, size_t n)
{
	for (size_t i = 0; n > 0 && i < EVENT_TYPE_COUNT; i++)
		if (strlen(event_types[i].tag) == n && memcmp(event_types[i].tag, tag, n) == 0)
			return &event_types[i];
	return NULL;
}

int event_field_index(const struct event_type *type, const char *name, size_t n)
{
	for (unsigned i = 0; i < type->known_count; i++)
		if (strlen(type->fields[i].name) == n && memcmp(type->fields[i].name, name, n) == 0)
			return (int)i;
	return -1;
}

const char *field_type_name(enum field_type type)
{
	static const char *const names[] = {
		[FIELD_STRING] = "win:UnicodeString", [FIELD_GUID] = "win:GUID",
		[FIELD_U16] = "win:UInt16",           [FIELD_U32] = "win:UInt32",
		[FIELD_PID] = "win:UInt32",           [FIELD_BOOL] = "win:Boolean",
		[FIELD_HEX32] = "win:HexInt32",       [FIELD_HEX64] = "win:HexInt64",
	};

	return names[type];
}

const char *field_type_outtype(enum field_type type)
{
	return type == FIELD_STRING ? "xs:string" : type == FIELD_PID ? "win:PID" : NULL;
}

/* SPDX-License-Identifier: MIT */
/* An event as data: its type, its fields, their values. All of it comes from schema/events.def. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../schema/wire.h"
#include "../base/arena.h"

enum field_type { /* how a value is kept; the name in the schema is field_type_name() */
	FIELD_STRING, /* win:UnicodeString: text */
	FIELD_GUID,   /* win:GUID */
	FIELD_U16,    /* win:UInt16: number, decimal */
	FIELD_U32,    /* win:UInt32: number, decimal */
	FIELD_PID,    /* win:UInt32 shown as win:PID: number, decimal */
	FIELD_BOOL,   /* win:Boolean: number, true or false */
	FIELD_HEX32,  /* win:HexInt32: number, 0x lower case */
	FIELD_HEX64,  /* win:HexInt64: number, 0x lower case */
};

enum event_level { LEVEL_ERROR = 2, LEVEL_INFO = 4 };
enum event_default { DEFAULT_OFF, DEFAULT_ON, DEFAULT_ALWAYS }; /* kept when no rule speaks of it? */

struct guid {
	uint8_t byte[16]; /* memory order of the Windows GUID: first three groups little-endian */
};

struct field {
	const char *name;
	enum field_type type;
	bool later; /* no hook fills it yet */
};

struct event_type {
	unsigned id;      /* 1-29, 100, 255 */
	unsigned version;
	const char *tag;  /* name in rules; "" for 4, 16, 255 */
	const char *schema_name;
	const char *title;
	enum event_level level;
	enum event_default kept;
	bool later; /* no hook produces it yet */
	unsigned record; /* enum ks_record */
	unsigned field_count;  /* Sysmon's */
	unsigned known_count;  /* with Context behind them, which not every log has (docs/formats/context.md) */
	const struct field *fields;
};

#define EVENT_FIELDS_MAX 24
#define EVENT_TYPE_COUNT 31

/* All types, by ascending id. */
extern const struct event_type event_types[EVENT_TYPE_COUNT];
const struct event_type *event_type_by_id(unsigned id);           /* NULL if there is none */
const struct event_type *event_type_by_record(unsigned record);   /* NULL for internal records */
/* The first type with this rule tag; shared tags (RegistryEvent) go on at the next entries. */
const struct event_type *event_type_by_tag(const char *tag, size_t n);
/* Index of the field, or -1. Exact spelling. */
int event_field_index(const struct event_type *type, const char *name, size_t n);
const char *field_type_name(enum field_type type);     /* "win:UnicodeString" */
const char *field_type_outtype(enum field_type type);  /* "xs:string", "win:PID", or NULL */

struct value {
	const char *text; /* STRING: borrowed from the arena or longer-lived; no NUL at the end */
	uint32_t length;  /* of text, in bytes */
	uint64_t number;  /* U16, U32, PID, BOOL, HEX32, HEX64 */
	struct guid guid; /* GUID */
};

/* One event on its way. Its strings live in the arena, or longer. */
struct event {
	const struct event_type *type;
	uint64_t time_utc_ns; /* since 1970: the operation */
	struct value values[EVENT_FIELDS_MAX]; /* type->known_count of them */
};

/* Longest text of a value that is not a STRING: a GUID in braces and its NUL. */
#define VALUE_TEXT_MAX 40

/* The value as text, as rules and all text forms show it. STRING: *text is the value itself (an empty
 * one gives "-"); other types are written to buf (VALUE_TEXT_MAX bytes). Returns the length. */
size_t value_text(enum field_type type, const struct value *v, char *buf, const char **text);

/* The value that has this text, as it stands in a log or is typed: the way back. A STRING borrows the text.
 * False: the type has no such value; *v is untouched then. */
bool value_from_text(enum field_type type, const char *text, size_t n, struct value *v);

/* "{4f7a0cfa-deee-5eb3-ee00-000000000a00}": writes 38 characters and a NUL. */
void guid_text(const struct guid *g, char *out);
bool guid_is_zero(const struct guid *g);

/* UTC as "2026-11-24 03:14:17.123" (milliseconds cut): writes 23 characters and a NUL. */
void utc_text(uint64_t utc_ns, char *out);
/* The same for any time that a file can have: before 1970 too; before year 0 and after 9999 the nearest second
 * that can be written so. */
void utc_text_parts(int64_t since_1970_s, uint32_t ns, char *out);

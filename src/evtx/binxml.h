/* SPDX-License-Identifier: MIT */
/* Binary XML inside EVTX: tokens, value types, names. Internal to src/evtx/. docs/formats/evtx.md. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "../base/le.h"
#include "format.h"

/* Tokens; TOKEN_MORE may be set on those that have a variant with something following. */
enum evtx_token {
	TOKEN_EOF = 0x00,
	TOKEN_OPEN = 0x01, /* with TOKEN_MORE: has attributes */
	TOKEN_CLOSE_START = 0x02,
	TOKEN_CLOSE_EMPTY = 0x03,
	TOKEN_END = 0x04,
	TOKEN_TEXT = 0x05,
	TOKEN_ATTRIBUTE = 0x06, /* with TOKEN_MORE: another attribute follows */
	TOKEN_CDATA = 0x07,
	TOKEN_CHARACTER = 0x08,
	TOKEN_ENTITY = 0x09,
	TOKEN_PI_TARGET = 0x0a,
	TOKEN_PI_DATA = 0x0b,
	TOKEN_INSTANCE = 0x0c,
	TOKEN_NORMAL = 0x0d,
	TOKEN_OPTIONAL = 0x0e,
	TOKEN_FRAGMENT = 0x0f,
	TOKEN_MORE = 0x40,
};

enum evtx_type {
	TYPE_NULL = 0x00,
	TYPE_STRING = 0x01,
	TYPE_ANSI = 0x02,
	TYPE_INT8 = 0x03,
	TYPE_UINT8 = 0x04,
	TYPE_INT16 = 0x05,
	TYPE_UINT16 = 0x06,
	TYPE_INT32 = 0x07,
	TYPE_UINT32 = 0x08,
	TYPE_INT64 = 0x09,
	TYPE_UINT64 = 0x0a,
	TYPE_FLOAT = 0x0b,
	TYPE_DOUBLE = 0x0c,
	TYPE_BOOL = 0x0d,
	TYPE_BINARY = 0x0e,
	TYPE_GUID = 0x0f,
	TYPE_SIZE = 0x10,
	TYPE_FILETIME = 0x11,
	TYPE_SYSTEMTIME = 0x12,
	TYPE_SID = 0x13,
	TYPE_HEX32 = 0x14,
	TYPE_HEX64 = 0x15,
	TYPE_BINXML = 0x21,
	TYPE_ARRAY = 0x80, /* set on another type */
};

#define NO_DEPENDENCY 0xffffu

/* Where things stand in a record, a template instance, a definition. */
#define RECORD_MAGIC       0x00002a2au
#define RECORD_HEADER      24u
#define RECORD_SIZE_MIN    28u
#define INSTANCE_HEADER    10u /* token, 01, id, offset of the definition */
#define DEFINITION_HEADER  24u /* next, GUID, length of the body */
#define NAME_HEADER        8u  /* next, hash, units; then the units and a zero */
#define NAME_TABLE         128u
#define NAME_BUCKETS       64u
#define TEMPLATE_TABLE     384u
#define TEMPLATE_BUCKETS   32u

/* The hash of `count` 16-bit units at `units`: of a name (low 16 bits are stored), of a GUID. */
static inline uint32_t evtx_hash(const uint8_t *units, size_t count)
{
	uint32_t h = 0;

	for (size_t i = 0; i < count; i++)
		h = h * 65599u + le16_get(units + 2 * i);
	return h;
}

static inline uint32_t evtx_name_bucket(uint32_t hash)
{
	return (hash & 0xffff) % NAME_BUCKETS;
}

static inline uint32_t evtx_template_bucket(const uint8_t guid[16])
{
	return evtx_hash(guid, 8) % TEMPLATE_BUCKETS;
}

/* SPDX-License-Identifier: MIT */
#include "value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../base/own.h"
#include "../event/event.h"
#include "binxml.h"
#include "utf16.h"

#define TEXT_ROOM_SMALL 200u /* every type of fixed size, the longest SID too */
#define SID_PARTS_MAX   15u

/* Bytes of one value of the type; 0 for those of any length. */
static uint32_t type_size(uint8_t type, uint32_t length)
{
	static const uint8_t sizes[] = {
		[TYPE_INT8] = 1,      [TYPE_UINT8] = 1,       [TYPE_INT16] = 2, [TYPE_UINT16] = 2,
		[TYPE_INT32] = 4,     [TYPE_UINT32] = 4,      [TYPE_INT64] = 8, [TYPE_UINT64] = 8,
		[TYPE_FLOAT] = 4,     [TYPE_DOUBLE] = 8,      [TYPE_GUID] = 16, [TYPE_FILETIME] = 8,
		[TYPE_SYSTEMTIME] = 16, [TYPE_HEX32] = 4,     [TYPE_HEX64] = 8,
	};

	if (type == TYPE_SIZE)
		return length >= 8 ? 8 : 4;
	if (type == TYPE_BOOL) /* four bytes in every real file, one in the published description */
		return length >= 4 ? 4 : 1;
	return type < ARRAY_SIZE(sizes) ? sizes[type] : 0;
}

size_t evtx_value_room(const struct evtx_value *v)
{
	switch (v->type) {
	case TYPE_STRING:
		return (size_t)v->length / 2 * UTF8_PER_UNIT + 1;
	case TYPE_ANSI:
		return (size_t)v->length * UTF8_PER_UNIT + 1;
	default:
		return TEXT_ROOM_SMALL + (type_size(v->type, v->length) ? 0 : (size_t)v->length * 2);
	}
}

/* ---- pieces of text ------------------------------------------------------------------------------- */

static char *put_decimal(char *p, uint64_t n)
{
	char digits[20];
	unsigned count = 0;

	do
		digits[count++] = (char)('0' + n % 10);
	while (n /= 10);
	while (count)
		*p++ = digits[--count];
	return p;
}

static char *put_signed(char *p, int64_t n)
{
	if (n < 0)
		*p++ = '-';
	return put_decimal(p, n < 0 ? -(uint64_t)n : (uint64_t)n);
}

static char *put_hex(char *p, uint64_t n)
{
	unsigned shift = 60;

	*p++ = '0';
	*p++ = 'x';
	while (shift && !(n >> shift))
		shift -= 4;
	for (;; shift -= 4) {
		*p++ = "0123456789abcdef"[n >> shift & 15];
		if (shift == 0)
			return p;
	}
}

static char *put_bytes(char *p, const uint8_t *bytes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		*p++ = "0123456789ABCDEF"[bytes[i] >> 4];
		*p++ = "0123456789ABCDEF"[bytes[i] & 15];
	}
	return p;
}

/* Some writers count the terminator as part of the value. */
static char *put_string(char *p, const struct evtx_value *v)
{
	uint32_t units = v->length / 2;

	while (units && le16_get(v->bytes + 2 * (size_t)(units - 1)) == 0)
		units--;
	return utf16_to_utf8(v->bytes, units, p);
}

/* The code page is not told; what is not ASCII is taken for Latin-1. */
static char *put_ansi(char *p, const struct evtx_value *v)
{
	uint32_t n = v->length;

	while (n && v->bytes[n - 1] == 0)
		n--;
	for (uint32_t i = 0; i < n; i++)
		p = utf8_put(v->bytes[i], p);
	return p;
}

static char *put_filetime(char *p, uint64_t filetime)
{
	int64_t seconds = (int64_t)(filetime / 10000000u) - (int64_t)(EVTX_FILETIME_1970 / 10000000u);
	time_t t = (time_t)seconds;
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	return p + snprintf(p, TEXT_ROOM_SMALL, "%04d-%02d-%02dT%02d:%02d:%02d.%07u00Z", tm.tm_year + 1900, tm.tm_mon + 1,
			   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
			   (unsigned)(filetime % 10000000u));
}

static char *put_systemtime(char *p, const uint8_t *b)
{
	return p + snprintf(p, TEXT_ROOM_SMALL, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", le16_get(b), le16_get(b + 2),
			   le16_get(b + 6), le16_get(b + 8), le16_get(b + 10), le16_get(b + 12),
			   le16_get(b + 14));
}

static char *put_sid(char *p, const uint8_t *b, uint32_t length)
{
	uint64_t authority = 0;

	if (length < 8 || b[1] > SID_PARTS_MAX || length < 8 + 4u * b[1])
		return p;
	for (unsigned i = 2; i < 8; i++)
		authority = authority << 8 | b[i];
	*p++ = 'S';
	*p++ = '-';
	p = put_decimal(p, b[0]);
	*p++ = '-';
	p = authority >> 32 ? put_hex(p, authority) : put_decimal(p, authority);
	for (unsigned i = 0; i < b[1]; i++) {
		*p++ = '-';
		p = put_decimal(p, le32_get(b + 8 + 4 * (size_t)i));
	}
	return p;
}

static char *put_float(char *p, const uint8_t *b)
{
	uint32_t bits = le32_get(b);
	float f;

	memcpy(&f, &bits, sizeof(f));
	return p + snprintf(p, TEXT_ROOM_SMALL, "%.9g", (double)f);
}

static char *put_double(char *p, const uint8_t *b)
{
	uint64_t bits = le64_get(b);
	double d;

	memcpy(&d, &bits, sizeof(d));
	return p + snprintf(p, TEXT_ROOM_SMALL, "%.17g", d);
}

static char *put_guid(char *p, const uint8_t *b)
{
	struct guid g;

	memcpy(g.byte, b, sizeof(g.byte));
	guid_text(&g, p);
	return p + 38;
}

/* ---- values --------------------------------------------------------------------------------------- */

static char *put_value(char *p, const struct evtx_value *v)
{
	const uint8_t *b = v->bytes;

	if (v->length < type_size(v->type, v->length))
		return p;
	switch (v->type) {
	case TYPE_NULL:
		return p;
	case TYPE_STRING:
		return put_string(p, v);
	case TYPE_ANSI:
		return put_ansi(p, v);
	case TYPE_INT8:
		return put_signed(p, (int8_t)b[0]);
	case TYPE_INT16:
		return put_signed(p, (int16_t)le16_get(b));
	case TYPE_INT32:
		return put_signed(p, (int32_t)le32_get(b));
	case TYPE_INT64:
		return put_signed(p, (int64_t)le64_get(b));
	case TYPE_UINT8:
	case TYPE_UINT16:
	case TYPE_UINT32:
	case TYPE_UINT64:
		return put_decimal(p, evtx_value_number(v));
	case TYPE_HEX32:
	case TYPE_HEX64:
	case TYPE_SIZE:
		return put_hex(p, evtx_value_number(v));
	case TYPE_FLOAT:
		return put_float(p, b);
	case TYPE_DOUBLE:
		return put_double(p, b);
	case TYPE_BOOL:
		return evtx_value_number(v) ? stpcpy(p, "true") : stpcpy(p, "false");
	case TYPE_GUID:
		return put_guid(p, b);
	case TYPE_FILETIME:
		return put_filetime(p, le64_get(b));
	case TYPE_SYSTEMTIME:
		return put_systemtime(p, b);
	case TYPE_SID:
		return put_sid(p, b, v->length);
	default: /* TYPE_BINARY, and what nobody has described */
		return put_bytes(p, b, v->length);
	}
}

size_t evtx_value_text(const struct evtx_value *v, char *out)
{
	char *end = put_value(out, v);

	*end = 0;
	return (size_t)(end - out);
}

uint64_t evtx_text_number(const char *text)
{
	return strtoull(text, NULL, 0);
}

/* A string that is to be a number or a time is short; a longer one is neither. */
static void short_string(const struct evtx_value *v, char out[64 * UTF8_PER_UNIT + 1])
{
	struct evtx_value cut = *v;

	if (cut.length > 128)
		cut.length = 128;
	evtx_value_text(&cut, out);
}

uint64_t evtx_value_number(const struct evtx_value *v)
{
	char text[64 * UTF8_PER_UNIT + 1];

	if (v->type == TYPE_STRING) {
		short_string(v, text);
		return evtx_text_number(text);
	}
	if (v->length < type_size(v->type, v->length))
		return 0;
	switch (type_size(v->type, v->length)) {
	case 1:
		return v->bytes[0];
	case 2:
		return le16_get(v->bytes);
	case 4:
		return le32_get(v->bytes);
	case 8:
		return le64_get(v->bytes);
	default:
		return 0;
	}
}

uint64_t evtx_text_time(const char *text)
{
	struct tm tm = { 0 };
	uint64_t nanoseconds = 0, unit = 100000000;
	int end = 0;
	time_t t;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
		   &tm.tm_min, &tm.tm_sec, &end) < 6)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	t = timegm(&tm);
	if (text[end] == '.')
		for (end++; text[end] >= '0' && text[end] <= '9' && unit; end++, unit /= 10)
			nanoseconds += unit * (uint64_t)(text[end] - '0');
	return t < 0 ? 0 : (uint64_t)t * 1000000000u + nanoseconds / 100 * 100;
}

uint64_t evtx_value_time(const struct evtx_value *v)
{
	char text[64 * UTF8_PER_UNIT + 1];

	if (v->type == TYPE_STRING) {
		short_string(v, text);
		return evtx_text_time(text);
	}
	return v->type == TYPE_FILETIME && v->length >= 8 ? evtx_utc_ns(le64_get(v->bytes)) : 0;
}

bool evtx_value_item(const struct evtx_value *array, uint32_t *at, struct evtx_value *item)
{
	const uint8_t type = array->type & (uint8_t)~TYPE_ARRAY;
	uint32_t left = array->length - *at, size = type_size(type, 4);

	*item = (struct evtx_value){ array->bytes + *at, left, type };
	if (type == TYPE_STRING) {
		for (item->length = 0; item->length + 2 <= left; item->length += 2)
			if (le16_get(item->bytes + item->length) == 0)
				break;
		*at += item->length + 2 <= left ? item->length + 2 : left;
	} else if (type == TYPE_ANSI) {
		item->length = (uint32_t)strnlen((const char *)item->bytes, left);
		*at += item->length < left ? item->length + 1 : left;
	} else if (type == TYPE_SID && left >= 8) {
		item->length = 8 + 4u * item->bytes[1] <= left ? 8 + 4u * item->bytes[1] : left;
		*at += item->length;
	} else {
		item->length = size && size <= left ? size : left;
		*at += item->length;
	}
	return left > 0;
}

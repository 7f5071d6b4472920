/* SPDX-License-Identifier: MIT */
/* Values as text: the forms of Sysmon (GUIDs in braces, lower case as on Linux; hex with 0x). */
#include "event.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void guid_text(const struct guid *g, char *out)
{
	/* Where in memory each printed pair stands: the first three groups are little-endian. */
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	static const char hex[] = "0123456789abcdef";
	char *p = out;

	*p++ = '{';
	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = hex[g->byte[order[i]] >> 4];
		*p++ = hex[g->byte[order[i]] & 15];
	}
	*p++ = '}';
	*p = 0;
}

bool guid_is_zero(const struct guid *g)
{
	static const struct guid zero;

	return memcmp(g, &zero, sizeof(zero)) == 0;
}

static char *put_digits(char *p, unsigned value, unsigned count)
{
	for (unsigned i = count; i-- > 0; value /= 10)
		p[i] = (char)('0' + value % 10);
	return p + count;
}

void utc_text(uint64_t utc_ns, char *out)
{
	time_t seconds = (time_t)(utc_ns / 1000000000u);
	struct tm tm = { 0 };
	char *p = out;

	gmtime_r(&seconds, &tm);
	p = put_digits(p, (unsigned)(tm.tm_year + 1900), 4);
	*p++ = '-';
	p = put_digits(p, (unsigned)(tm.tm_mon + 1), 2);
	*p++ = '-';
	p = put_digits(p, (unsigned)tm.tm_mday, 2);
	*p++ = ' ';
	p = put_digits(p, (unsigned)tm.tm_hour, 2);
	*p++ = ':';
	p = put_digits(p, (unsigned)tm.tm_min, 2);
	*p++ = ':';
	p = put_digits(p, (unsigned)tm.tm_sec, 2);
	*p++ = '.';
	p = put_digits(p, (unsigned)(utc_ns / 1000000u % 1000u), 3);
	*p = 0;
}

size_t value_text(enum field_type type, const struct value *v, char *buf, const char **text)
{
	*text = buf;
	switch (type) {
	case FIELD_STRING:
		*text = v->length ? v->text : "-";
		return v->length ? v->length : 1;
	case FIELD_GUID:
		guid_text(&v->guid, buf);
		return 38;
	case FIELD_BOOL:
		*text = v->number ? "true" : "false";
		return v->number ? 4 : 5;
	case FIELD_HEX32:
	case FIELD_HEX64:
		return (size_t)snprintf(buf, VALUE_TEXT_MAX, "0x%" PRIx64, v->number);
	case FIELD_U16:
	case FIELD_U32:
	case FIELD_PID:
		return (size_t)snprintf(buf, VALUE_TEXT_MAX, "%" PRIu64, v->number);
	}
	return 0;
}

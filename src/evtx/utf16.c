/* SPDX-License-Identifier: MIT */
#include "utf16.h"

#include <string.h>

#include "../base/le.h"
#include "../base/text.h"

#define REPLACEMENT 0xfffdu

/* Nearly all text is printable ASCII: sixteen characters at a time. The compiler makes of these what
 * the machine has (SSE2, NEON). */
typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint16_t units16 __attribute__((vector_size(32)));
typedef uint8_t bytes8 __attribute__((vector_size(8)));
typedef uint16_t units8 __attribute__((vector_size(16)));
typedef uint64_t halves __attribute__((vector_size(16)));

static bool is_little_endian(void)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
}

static bool any_set(halves h)
{
	return (h[0] | h[1]) != 0;
}

/* Widens printable ASCII until something else comes or fewer than 16 bytes are left; returns how much. */
static size_t widen_plain(const char *text, size_t n, uint8_t *out)
{
	size_t i = 0;

	for (; is_little_endian() && n - i >= sizeof(bytes16); i += sizeof(bytes16)) {
		bytes16 bytes;
		units16 units;

		memcpy(&bytes, text + i, sizeof(bytes));
		if (any_set((halves)((bytes < 0x20) | (bytes > 0x7e))))
			break;
		units = __builtin_convertvector(bytes, units16);
		memcpy(out + 2 * i, &units, sizeof(units));
	}
	for (; i < n && text[i] >= 0x20 && text[i] < 0x7f; i++)
		le16_put(out + 2 * i, (uint16_t)text[i]);
	return i;
}

static bool carried_by_xml(uint32_t c)
{
	if (c < 0x20)
		return c == '\t' || c == '\n' || c == '\r';
	return c != 0x7f && c != 0xfffe && c != 0xffff;
}

/* The character at text, replaced if need be; *length is how many bytes it took. */
static uint32_t take_character(const char *text, size_t n, size_t *length)
{
	uint32_t c = 0;

	*length = text_utf8((const uint8_t *)text, n, &c);
	if (*length && carried_by_xml(c))
		return c;
	if (*length == 0)
		*length = 1;
	return REPLACEMENT;
}

uint8_t *utf16_from_utf8(const char *text, size_t n, uint8_t *out)
{
	while (n) {
		size_t length = widen_plain(text, n, out);
		uint32_t c;

		text += length;
		n -= length;
		out += 2 * length;
		if (n == 0)
			break;

		c = take_character(text, n, &length);
		text += length;
		n -= length;
		if (c >= 0x10000) {
			le16_put(out, (uint16_t)(0xd800 + ((c - 0x10000) >> 10)));
			out += 2;
			c = 0xdc00 + (c & 0x3ff);
		}
		le16_put(out, (uint16_t)c);
		out += 2;
	}
	return out;
}

size_t utf16_length(const char *text, size_t n)
{
	size_t units = 0;

	while (n) {
		size_t length;

		units += take_character(text, n, &length) >= 0x10000 ? 2 : 1;
		text += length;
		n -= length;
	}
	return units;
}

static size_t narrow_plain(const uint8_t *from, size_t n, char *out)
{
	size_t i = 0;

	for (; is_little_endian() && n - i >= 8; i += 8) {
		units8 units;
		bytes8 bytes;

		memcpy(&units, from + 2 * i, sizeof(units));
		if (any_set((halves)((units < 0x20) | (units > 0x7e))))
			break;
		bytes = __builtin_convertvector(units, bytes8);
		memcpy(out + i, &bytes, sizeof(bytes));
	}
	for (; i < n; i++) {
		uint16_t unit = le16_get(from + 2 * i);

		if (unit < 0x20 || unit > 0x7e)
			break;
		out[i] = (char)unit;
	}
	return i;
}

static bool is_surrogate(uint32_t c)
{
	return c >= 0xd800 && c <= 0xdfff;
}

static char *put_utf8(uint32_t c, char *out)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	}
	return out;
}

char *utf8_put(uint32_t c, char *out)
{
	char bytes[4];

	if (c > 0x10ffff || is_surrogate(c))
		c = REPLACEMENT;
	if (carried_by_xml(c))
		return put_utf8(c, out);
	return out + text_from_bytes(bytes, (size_t)(put_utf8(c, bytes) - bytes), out, UTF8_PER_UNIT,
				     NULL);
}

/* The character at from[*i], *i moved behind it; a lone surrogate stays one. */
static uint32_t take_units(const uint8_t *from, size_t units, size_t *i)
{
	uint32_t c = le16_get(from + 2 * (*i)++), low;

	if (c < 0xd800 || c > 0xdbff || *i == units)
		return c;
	low = le16_get(from + 2 * *i);
	if (low < 0xdc00 || low > 0xdfff)
		return c;
	++*i;
	return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

bool utf16_is_clean(const uint8_t *from, size_t units)
{
	for (size_t i = 0; i < units;) {
		uint32_t c = take_units(from, units, &i);

		if (is_surrogate(c) || !carried_by_xml(c))
			return false;
	}
	return true;
}

char *utf16_to_utf8(const uint8_t *from, size_t units, char *out)
{
	for (size_t i = 0; i < units;) {
		size_t plain = narrow_plain(from + 2 * i, units - i, out);

		i += plain;
		out += plain;
		if (i < units)
			out = utf8_put(take_units(from, units, &i), out);
	}
	return out;
}

const char *xml_entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\r':
		return "&#13;";
	default:
		return NULL;
	}
}

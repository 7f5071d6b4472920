/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <string.h>

unsigned text_utf8(const uint8_t *p, size_t n, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned len;

	if (n == 0)
		return 0;
	if (p[0] < 0x80) {
		*c = p[0];
		return 1;
	}
	len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || len > n)
		return 0;

	*c = p[0] & (0x7fu >> len);
	for (unsigned i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (p[i] & 0x3f);
	}
	if (*c < least[len] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
		return 0;
	return len;
}

static bool carried_by_xml(uint32_t c)
{
	if (c < 0x20)
		return c == '\t' || c == '\n' || c == '\r';
	return c != 0x7f && c != 0xfffe && c != 0xffff;
}

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool reads_like_escape(const uint8_t *p, size_t n)
{
	return n >= 4 && p[0] == '\\' && p[1] == 'x' && is_hex(p[2]) && is_hex(p[3]);
}

/* How many bytes from p on are plain ASCII that stands for itself: nearly all of every value. */
static size_t plain_run(const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] >= 0x20 && p[i] < 0x7f && p[i] != '\\')
		i++;
	return i;
}

size_t text_from_bytes(const void *bytes, size_t n, char *out, size_t size, bool *cut)
{
	static const char hex[] = "0123456789ABCDEF";
	const uint8_t *p = bytes;
	size_t done = 0, at = 0;

	if (cut)
		*cut = false;
	while (done < n) {
		size_t run = plain_run(p + done, n - done);
		uint32_t c = 0;
		unsigned len;

		if (run > size - at)
			run = size - at;
		memcpy(out + at, p + done, run);
		at += run;
		done += run;
		if (done == n)
			break;

		len = text_utf8(p + done, n - done, &c);
		if (len && carried_by_xml(c) && !reads_like_escape(p + done, n - done)) {
			if (len > size - at)
				goto full;
			memcpy(out + at, p + done, len);
			at += len;
			done += len;
			continue;
		}
		/* Byte by byte: the bytes of one forbidden character are no valid character alone. */
		for (unsigned i = 0, count = len ? len : 1; i < count; i++, done++) {
			if (size - at < 4 * (size_t)(count - i))
				goto full;
			out[at++] = '\\';
			out[at++] = 'x';
			out[at++] = p[done] == '\\' ? '5' : hex[p[done] >> 4];
			out[at++] = p[done] == '\\' ? 'c' : hex[p[done] & 15];
		}
	}
	return at;
full:
	if (cut)
		*cut = true;
	return at;
}

static unsigned hex_value(uint8_t c)
{
	return c <= '9' ? c - (unsigned)'0' : (c | 0x20u) - 'a' + 10u;
}

size_t text_to_bytes(const char *text, size_t n, void *out)
{
	const uint8_t *p = (const uint8_t *)text;
	uint8_t *to = out;
	size_t at = 0;

	for (size_t i = 0; i < n;) {
		if (reads_like_escape(p + i, n - i)) {
			to[at++] = (uint8_t)(hex_value(p[i + 2]) << 4 | hex_value(p[i + 3]));
			i += 4;
		} else {
			to[at++] = p[i++];
		}
	}
	return at;
}

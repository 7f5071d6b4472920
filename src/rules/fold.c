/* SPDX-License-Identifier: MIT */
#include "fold.h"

#include <string.h>

#include "../base/own.h"
#include "../base/text.h"

/* Every step-th character of [first, last] folds into itself plus delta. */
static const struct fold_range {
	uint32_t first, last, step;
	int32_t delta;
} ranges[] = {
#define FOLD(first, last, step, delta) { first, last, step, delta },
#include "fold_table.def"
};

static uint32_t fold_by_table(uint32_t c)
{
	size_t low = 0, high = ARRAY_SIZE(ranges);

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct fold_range *range = &ranges[middle];

		if (c < range->first)
			high = middle;
		else if (c > range->last)
			low = middle + 1;
		else
			return (c - range->first) % range->step ? c : (uint32_t)((int32_t)c + range->delta);
	}
	return c;
}

uint32_t fold_character(uint32_t c)
{
	if (c < 0x80)
		return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
	return fold_by_table(c);
}

static size_t put_utf8(uint32_t c, uint8_t *out)
{
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (uint8_t)(0xc0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xe0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

#define EACH(byte) (0x0101010101010101u * (byte))

/* Folds eight bytes at a time as long as all of them are ASCII, which is nearly always; returns how many. */
static size_t fold_ascii(const uint8_t *p, size_t n, uint8_t *out)
{
	size_t at = 0;

	for (uint64_t word; at + sizeof(word) <= n; at += sizeof(word)) {
		uint64_t from_a, beyond_z;

		memcpy(&word, p + at, sizeof(word));
		if (word & EACH(0x80))
			break;
		/* The highest bit of each byte says: at least 'A'; more than 'Z'. */
		from_a = word + EACH(0x80 - 'A');
		beyond_z = word + EACH(0x80 - 'Z' - 1);
		word |= (from_a & ~beyond_z & EACH(0x80)) >> 2;
		memcpy(out + at, &word, sizeof(word));
	}
	return at;
}

size_t fold_text(const char *text, size_t n, uint8_t *out)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t at = fold_ascii(p, n, out), length = at;

	while (at < n) {
		uint32_t c;
		unsigned step;

		if (p[at] < 0x80) {
			out[length++] = (uint8_t)fold_character(p[at++]);
			continue;
		}
		step = text_utf8(p + at, n - at, &c);
		if (step == 0) { /* values are well-formed; whatever is not stays as it is */
			out[length++] = p[at++];
			continue;
		}
		length += put_utf8(fold_character(c), out + length);
		at += step;
	}
	return length;
}

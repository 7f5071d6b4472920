/* SPDX-License-Identifier: MIT */
#include "escape.h"

#include <stdbool.h>
#include <stdint.h>

#include "../base/text.h"

/* One character as it stands in the text; len 0: a byte that is no UTF-8 (it is in c). */
struct character {
	uint32_t c;
	const uint8_t *bytes;
	unsigned len;
};

static bool harmful(const struct character *ch)
{
	uint32_t c = ch->c;

	return ch->len == 0 || c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c || c == 0x200e ||
	       c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* Bytes that no form escapes: nearly all of every value. */
static size_t plain_run(const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' && p[i] != '\'' && p[i] != '&' &&
	       p[i] != '<' && p[i] != '>' && p[i] != '\\')
		i++;
	return i;
}

static void put(FILE *to, const char *text, size_t n, void (*special)(FILE *, const struct character *))
{
	const uint8_t *p = (const uint8_t *)text, *end = p + n;

	while (p < end) {
		size_t run = plain_run(p, (size_t)(end - p));
		struct character ch;

		fwrite_unlocked(p, 1, run, to);
		p += run;
		if (p == end)
			break;
		ch = (struct character){ .c = *p, .bytes = p };
		ch.len = text_utf8(p, (size_t)(end - p), &ch.c);
		special(to, &ch);
		p += ch.len ? ch.len : 1;
	}
}

static void put_itself(FILE *to, const struct character *ch)
{
	fwrite(ch->bytes, 1, ch->len, to);
}

static void visible(FILE *to, const struct character *ch)
{
	if (!harmful(ch)) {
		put_itself(to, ch);
		return;
	}
	for (unsigned i = 0; i < (ch->len ? ch->len : 1); i++)
		fprintf(to, "\\x%02X", ch->bytes[i]);
}

static void xml(FILE *to, const struct character *ch)
{
	switch (ch->c) {
	case '"':
		fputs("&quot;", to);
		break;
	case '\'':
		fputs("&apos;", to);
		break;
	case '&':
		fputs("&amp;", to);
		break;
	case '<':
		fputs("&lt;", to);
		break;
	case '>':
		fputs("&gt;", to);
		break;
	default:
		visible(to, ch);
	}
}

static size_t xml_width(const struct character *ch)
{
	switch (ch->c) {
	case '"':
	case '\'':
		return 6;
	case '&':
		return 5;
	case '<':
	case '>':
		return 4;
	default:
		return (harmful(ch) ? 4u : 1u) * (ch->len ? ch->len : 1);
	}
}

size_t xml_fit(const char *text, size_t n, size_t max, size_t *written)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t used = 0, i = 0;

	while (i < n) {
		struct character ch = { .c = p[i], .bytes = p + i };

		ch.len = text_utf8(p + i, n - i, &ch.c);
		if (xml_width(&ch) > max - used)
			break;
		used += xml_width(&ch);
		i += ch.len ? ch.len : 1;
	}
	if (written)
		*written = used;
	return i;
}

static void finished_xml(FILE *to, const struct character *ch)
{
	if (ch->len == 0)
		fputs("&#xFFFD;", to);
	else if (harmful(ch))
		fprintf(to, "&#x%X;", ch->c);
	else
		put_itself(to, ch);
}

static void json(FILE *to, const struct character *ch)
{
	if (ch->c == '"' || ch->c == '\\')
		fputc('\\', to);
	if (ch->len == 0)
		fputs("\\ufffd", to);
	else if (ch->c == '\n')
		fputs("\\n", to);
	else if (ch->c == '\t')
		fputs("\\t", to);
	else if (ch->c == '\r')
		fputs("\\r", to);
	else if (harmful(ch))
		fprintf(to, "\\u%04x", ch->c); /* none of them needs a surrogate pair */
	else
		put_itself(to, ch);
}

size_t json_plain(const char *text, size_t n)
{
	size_t i = 0;

	while (i < n && text[i] >= 0x20 && text[i] < 0x7f && text[i] != '"' && text[i] != '\\')
		i++;
	return i;
}

void put_visible(FILE *to, const char *text, size_t n)
{
	put(to, text, n, visible);
}

void put_xml(FILE *to, const char *text, size_t n)
{
	put(to, text, n, xml);
}

void put_finished_xml(FILE *to, const char *text, size_t n)
{
	put(to, text, n, finished_xml);
}

void put_json(FILE *to, const char *text, size_t n)
{
	put(to, text, n, json);
}

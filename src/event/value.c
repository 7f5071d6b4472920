/* SPDX-License-Identifier: MIT */
/* Values as text: the forms of Sysmon (GUIDs in braces, lower case as on Linux; hex with 0x). */
#include "event.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Where in memory each printed pair of a GUID stands: the first three groups are little-endian. */
static const uint8_t guid_order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

void guid_text(const struct guid *g, char *out)
{
	static const char hex[] = "0123456789abcdef";
	char *p = out;

	*p++ = '{';
	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = hex[g->byte[guid_order[i]] >> 4];
		*p++ = hex[g->byte[guid_order[i]] & 15];
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

#define YEAR_0_BEGINS   (-62167219200)
#define YEAR_9999_ENDS  253402300799

void utc_text(uint64_t utc_ns, char *out)
{
	utc_text_parts((int64_t)(utc_ns / 1000000000u), (uint32_t)(utc_ns % 1000000000u), out);
}

#define SECOND_LENGTH 20 /* with the point that follows */

static void put_second(time_t seconds, char *p)
{
	struct tm tm = { 0 };

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
	*p = '.';
}

void utc_text_parts(int64_t since_1970_s, uint32_t ns, char *out)
{
	/* Many events happen within one second, and the calendar is the slow part. */
	static _Thread_local struct {
		time_t second;
		char text[SECOND_LENGTH];
	} latest = { .second = INT64_MIN };
	time_t second = since_1970_s;

	if (second < YEAR_0_BEGINS)
		second = YEAR_0_BEGINS;
	if (second > YEAR_9999_ENDS)
		second = YEAR_9999_ENDS;
	if (second != latest.second)
		put_second(second, latest.text);
	latest.second = second;
	memcpy(out, latest.text, SECOND_LENGTH);
	*put_digits(out + SECOND_LENGTH, ns / 1000000u % 1000u, 3) = 0;
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

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* With or without braces. */
static bool guid_from_text(const char *text, size_t n, struct guid *g)
{
	struct guid read;
	size_t at = 0;

	if (n == 38 && text[0] == '{' && text[37] == '}') {
		text++;
		n -= 2;
	}
	if (n != 36)
		return false;
	for (unsigned i = 0; i < 16; i++, at += 2) {
		if ((i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-')
			return false;
		if (hex_digit(text[at]) < 0 || hex_digit(text[at + 1]) < 0)
			return false;
		read.byte[guid_order[i]] = (uint8_t)(hex_digit(text[at]) << 4 | hex_digit(text[at + 1]));
	}
	*g = read;
	return true;
}

static bool number_from_text(const char *text, size_t n, unsigned base, uint64_t max, uint64_t *number)
{
	uint64_t value = 0;

	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		int digit = hex_digit(text[i]);

		if (digit < 0 || (unsigned)digit >= base || value > (max - (unsigned)digit) / base)
			return false;
		value = value * base + (unsigned)digit;
	}
	*number = value;
	return true;
}

static bool hex_from_text(const char *text, size_t n, uint64_t max, uint64_t *number)
{
	bool prefixed = n > 2 && text[0] == '0' && (text[1] | 0x20) == 'x';

	return prefixed ? number_from_text(text + 2, n - 2, 16, max, number) :
			  number_from_text(text, n, 10, max, number);
}

static bool is_word(const char *text, size_t n, const char *word)
{
	return n == strlen(word) && strncasecmp(text, word, n) == 0;
}

bool value_from_text(enum field_type type, const char *text, size_t n, struct value *v)
{
	switch (type) {
	case FIELD_STRING:
		*v = (struct value){ .text = text, .length = (uint32_t)n };
		return n <= UINT32_MAX;
	case FIELD_GUID:
		return guid_from_text(text, n, &v->guid);
	case FIELD_BOOL:
		if (!is_word(text, n, "true") && !is_word(text, n, "false"))
			return false;
		v->number = (text[0] | 0x20) == 't';
		return true;
	case FIELD_HEX32:
		return hex_from_text(text, n, UINT32_MAX, &v->number);
	case FIELD_HEX64:
		return hex_from_text(text, n, UINT64_MAX, &v->number);
	case FIELD_U16:
		return number_from_text(text, n, 10, UINT16_MAX, &v->number);
	case FIELD_U32:
	case FIELD_PID:
		return number_from_text(text, n, 10, UINT32_MAX, &v->number);
	}
	return false;
}

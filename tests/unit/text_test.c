/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/base/text.h"

static const struct { const char *bytes, *text; } cases[] = {
	{ "/usr/bin/true", "/usr/bin/true" },
	{ "a\nb\tc\rd", "a\nb\tc\rd" },
	{ "a\x01" "b", "a\\x01b" },
	{ "\x7f", "\\x7F" },
	{ "\xff\xfe", "\\xFF\\xFE" },
	{ "caf\xc3\xa9", "caf\xc3\xa9" },
	{ "\xc3", "\\xC3" },                            /* a character cut short */
	{ "\xc0\xaf", "\\xC0\\xAF" },                   /* overlong */
	{ "\xed\xa0\x80", "\\xED\\xA0\\x80" },          /* a surrogate */
	{ "\xef\xbf\xbe", "\\xEF\\xBF\\xBE" },          /* U+FFFE: valid UTF-8, no XML character */
	{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
	{ "\\x41", "\\x5cx41" },                        /* reads like an escape */
	{ "\\xZZ \\n \\\\", "\\xZZ \\n \\\\" },         /* does not */
	{ "\\\\x41", "\\\\x5cx41" },
};

static void bytes_have_one_written_form_and_come_back(void **state)
{
	char text[100], back[100];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = text_from_bytes(cases[i].bytes, strlen(cases[i].bytes), text, 99, NULL);

		text[n] = 0;
		assert_string_equal(text, cases[i].text);
		n = text_to_bytes(text, n, back);
		back[n] = 0;
		assert_string_equal(back, cases[i].bytes);
	}
}

static void any_bytes_come_back_and_differ_when_they_differ(void **state)
{
	uint8_t bytes[64], back[256];
	char text[256];

	(void)state;
	srand(1);
	for (int round = 0; round < 200000; round++) {
		size_t n = (size_t)rand() % sizeof(bytes);
		size_t length;
		bool cut;

		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)(rand() % 3 ? "\\x41c5\xc3\xa9\xef\xbf\xbe"[rand() % 11] : rand());
		length = text_from_bytes(bytes, n, text, sizeof(text), &cut);
		assert_false(cut);
		assert_int_equal(text_to_bytes(text, length, back), n);
		assert_memory_equal(back, bytes, n);
		for (size_t at = 0; at < length;) {
			uint32_t c;
			unsigned step = text_utf8((uint8_t *)text + at, length - at, &c);

			assert_true(step > 0);
			assert_true(c >= 0x20 || c == '\t' || c == '\n' || c == '\r');
			at += step;
		}
	}
}

static void a_cut_never_splits_an_escape_or_a_character(void **state)
{
	static const char bytes[] = "ab\xff\xc3\xa9\xef\xbf\xbe";
	char text[64];

	(void)state;
	for (size_t size = 0; size < 40; size++) {
		bool cut;
		size_t n = text_from_bytes(bytes, sizeof(bytes) - 1, text, size, &cut);

		assert_true(n <= size);
		assert_true(n == 0 || n == 1 || n == 2 || n == 6 || n == 8 || n == 20);
		assert_int_equal(cut, n != 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_have_one_written_form_and_come_back),
		cmocka_unit_test(any_bytes_come_back_and_differ_when_they_differ),
		cmocka_unit_test(a_cut_never_splits_an_escape_or_a_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/event/event.h"

static void all_event_types_stand_in_the_table_by_ascending_id(void **state)
{
	unsigned last = 0;

	(void)state;
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++) {
		assert_true(event_types[i].id > last);
		assert_true(event_types[i].field_count <= EVENT_FIELDS_MAX);
		assert_ptr_equal(event_type_by_id(event_types[i].id), &event_types[i]);
		assert_ptr_equal(event_type_by_record(event_types[i].record), &event_types[i]);
		last = event_types[i].id;
	}
	assert_int_equal(last, 255);
	assert_null(event_type_by_id(30));
	assert_null(event_type_by_record(KS_PROCESS_FORK));
}

static void shared_tags_lead_to_their_first_event(void **state)
{
	(void)state;
	assert_int_equal(event_type_by_tag("RegistryEvent", 13)->id, 12);
	assert_int_equal(event_type_by_tag("ProcessCreate", 13)->id, 1);
	assert_null(event_type_by_tag("processcreate", 13));
	assert_null(event_type_by_tag("", 0));
}

static void fields_are_found_by_their_exact_name(void **state)
{
	const struct event_type *type = event_type_by_id(10);

	(void)state;
	assert_int_equal(event_field_index(type, "SourceProcessGUID", 17), 2);
	assert_int_equal(event_field_index(type, "SourceProcessGuid", 17), -1);
}

static void values_have_the_forms_of_sysmon(void **state)
{
	/* The example of the ProcessGuid layout: seconds 0x5eb3deee, key 0x000a0000000000ee. */
	const struct value guid = { .guid = { { 0xfa, 0x0c, 0x7a, 0x4f, 0xee, 0xde, 0xb3, 0x5e, 0xee, 0, 0,
						0, 0, 0, 0x0a, 0 } } };
	const struct { enum field_type type; struct value value; const char *text; } cases[] = {
		{ FIELD_STRING, { .text = "", .length = 0 }, "-" },
		{ FIELD_STRING, { .text = "abc", .length = 2 }, "ab" },
		{ FIELD_BOOL, { .number = 1 }, "true" },
		{ FIELD_BOOL, { .number = 0 }, "false" },
		{ FIELD_HEX64, { .number = 0xffffffff }, "0xffffffff" },
		{ FIELD_U16, { .number = 443 }, "443" },
		{ FIELD_GUID, guid, "{4f7a0cfa-deee-5eb3-ee00-000000000a00}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char buf[VALUE_TEXT_MAX];
		const char *text;
		size_t n = value_text(cases[i].type, &cases[i].value, buf, &text);

		assert_int_equal(n, strlen(cases[i].text));
		assert_memory_equal(text, cases[i].text, n);
	}
}

static void values_are_read_back_from_their_text(void **state)
{
	static const struct { enum field_type type; const char *text, *back; } cases[] = {
		{ FIELD_U16, "443", "443" },
		{ FIELD_U16, "65536", NULL },
		{ FIELD_U32, "4294967295", "4294967295" },
		{ FIELD_PID, "4294967296", NULL },
		{ FIELD_PID, "", NULL },
		{ FIELD_PID, "1a", NULL },
		{ FIELD_BOOL, "True", "true" },
		{ FIELD_BOOL, "yes", NULL },
		{ FIELD_HEX32, "0x1FFFFF", "0x1fffff" },
		{ FIELD_HEX32, "0x100000000", NULL },
		{ FIELD_HEX64, "0xffffffffffffffff", "0xffffffffffffffff" },
		{ FIELD_HEX64, "16", "0x10" },
		{ FIELD_HEX64, "0x", NULL },
		{ FIELD_GUID, "{4F7A0CFA-DEEE-5EB3-EE00-000000000A00}", "{4f7a0cfa-deee-5eb3-ee00-000000000a00}" },
		{ FIELD_GUID, "4f7a0cfa-deee-5eb3-ee00-000000000a00", "{4f7a0cfa-deee-5eb3-ee00-000000000a00}" },
		{ FIELD_GUID, "{4f7a0cfa-deee-5eb3-ee00-000000000a0}", NULL },
		{ FIELD_GUID, "-", NULL },
		{ FIELD_STRING, "a b", "a b" },
		{ FIELD_STRING, "", "-" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct value v = { 0 };
		char buffer[VALUE_TEXT_MAX];
		const char *text;
		size_t n;

		if (value_from_text(cases[i].type, cases[i].text, strlen(cases[i].text), &v) !=
		    (cases[i].back != NULL))
			fail_msg("'%s'", cases[i].text);
		n = value_text(cases[i].type, &v, buffer, &text);
		if (cases[i].back && (n != strlen(cases[i].back) || memcmp(text, cases[i].back, n) != 0))
			fail_msg("'%s' gives '%.*s'", cases[i].text, (int)n, text);
	}
}

static void times_are_utc_with_milliseconds_cut(void **state)
{
	char out[24];

	(void)state;
	utc_text(1588846318999999999u, out);
	assert_string_equal(out, "2020-05-07 10:11:58.999");
	utc_text(951868799000000000u, out); /* the end of a leap day */
	assert_string_equal(out, "2000-02-29 23:59:59.000");
	utc_text_parts(-1, 999000000, out);
	assert_string_equal(out, "1969-12-31 23:59:59.999");
	utc_text_parts(INT64_MIN, 0, out);
	assert_string_equal(out, "0000-01-01 00:00:00.000");
	utc_text_parts(INT64_MAX, 0, out);
	assert_string_equal(out, "9999-12-31 23:59:59.000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_event_types_stand_in_the_table_by_ascending_id),
		cmocka_unit_test(shared_tags_lead_to_their_first_event),
		cmocka_unit_test(fields_are_found_by_their_exact_name),
		cmocka_unit_test(values_have_the_forms_of_sysmon),
		cmocka_unit_test(values_are_read_back_from_their_text),
		cmocka_unit_test(times_are_utc_with_milliseconds_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

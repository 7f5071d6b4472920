/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/base/own.h"
#include "../../src/hunt/escape.h"
#include "../../src/hunt/render.h"

#define STRING 0x01
#define UINT16 0x06
#define UINT32 0x08
#define UINT64 0x0a
#define BOOL   0x0d
#define GUID   0x0f

#define DATA(type, name, text) { name, text, sizeof(text) - 1, type }

static const struct evtx_data delete_data[] = {
	DATA(STRING, "RuleName", "-"),
	DATA(STRING, "UtcTime", "2026-11-24 03:14:17.123"),
	DATA(GUID, "ProcessGuid", "{4f7a0cfa-deee-5eb3-ee00-000000000a00}"),
	DATA(UINT32, "ProcessId", "123"),
	DATA(STRING, "User", "root"),
	DATA(STRING, "Image", "/usr/bin/rm"),
	DATA(STRING, "TargetFilename", "/tmp/a<b>&\"c'\n\x1b[31m\xe2\x80\xae"),
	DATA(STRING, "Hashes", ""),
	DATA(BOOL, "IsExecutable", "false"),
};

static const struct evtx_data connect_data[] = {
	DATA(STRING, "RuleName", "web"),       DATA(STRING, "Image", "/usr/bin/curl"),
	DATA(UINT32, "ProcessId", "9"),        DATA(STRING, "User", "alice"),
	DATA(STRING, "Protocol", "tcp"),       DATA(BOOL, "Initiated", "true"),
	DATA(STRING, "SourceIp", "fe80::1"),   DATA(UINT16, "SourcePort", "51234"),
	DATA(STRING, "DestinationIp", "1.2.3.4"), DATA(UINT16, "DestinationPort", "443"),
};

static const struct evtx_data odd_data[] = {
	DATA(STRING, "", "first"), DATA(STRING, "Twice", "a"), DATA(UINT64, "Wide", "18446744073709551615"),
	DATA(UINT32, "Liar", "12 or so"), DATA(STRING, "Twice", "b"), DATA(STRING, "", "second"),
	DATA(BOOL, "Yes", "true"), DATA(UINT16, "Octal", "007"),
};

static struct evtx_record record(const char *provider, unsigned id, const struct evtx_data *data, unsigned n)
{
	return (struct evtx_record){
		.id = 7, .provider_name = provider,
		.provider_guid = "{ff032593-a8d3-4f13-b0d6-01fc615a0f97}", .event_id = id,
		.qualifiers = "", .version = 5, .level = 4, .task = id,
		.keywords = 0x8000000000000000, .time_utc_ns = 1795490057123456700,
		.activity_id = "", .related_activity_id = "", .process_id = 700, .thread_id = 701,
		.channel = "Linux-Sysmon/Operational", .computer = "host", .user_id = "S-1-5-18",
		.data_count = n, .data = data,
	};
}

#define RECORD(id, data) record("Linux-Sysmon", id, data, ARRAY_SIZE(data))

static char rendered[8192];

#define RENDERED(expression)                                                                       \
	({                                                                                         \
		FILE *to = fmemopen(rendered, sizeof(rendered), "w");                              \
		expression;                                                                        \
		fclose(to);                                                                        \
		rendered;                                                                          \
	})

static void every_form_defuses_what_harms_and_keeps_what_does_not(void **state)
{
	static const struct { const char *raw, *visible, *xml, *finished, *json; } rows[] = {
		{ "plain caf\xc3\xa9", "plain caf\xc3\xa9", "plain caf\xc3\xa9", "plain caf\xc3\xa9", "plain caf\xc3\xa9" },
		{ "\x1b[2J", "\\x1B[2J", "\\x1B[2J", "&#x1B;[2J", "\\u001b[2J" },
		{ "a\nb\tc\rd", "a\\x0Ab\\x09c\\x0Dd", "a\\x0Ab\\x09c\\x0Dd", "a&#xA;b&#x9;c&#xD;d", "a\\nb\\tc\\rd" },
		{ "\x7f", "\\x7F", "\\x7F", "&#x7F;", "\\u007f" },
		{ "\xc2\x9b" "1m", "\\xC2\\x9B1m", "\\xC2\\x9B1m", "&#x9B;1m", "\\u009b1m" },
		{ "\xe2\x80\xae", "\\xE2\\x80\\xAE", "\\xE2\\x80\\xAE", "&#x202E;", "\\u202e" },
		{ "\xe2\x81\xa6", "\\xE2\\x81\\xA6", "\\xE2\\x81\\xA6", "&#x2066;", "\\u2066" },
		{ "\xe2\x80\xa8", "\\xE2\\x80\\xA8", "\\xE2\\x80\\xA8", "&#x2028;", "\\u2028" },
		{ "<&>\"'", "<&>\"'", "&lt;&amp;&gt;&quot;&apos;", "<&>\"'", "<&>\\\"'" },
		{ "\\x41", "\\x41", "\\x41", "\\x41", "\\\\x41" },
		{ "\xff", "\\xFF", "\\xFF", "&#xFFFD;", "\\ufffd" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t n = strlen(rows[i].raw);

		assert_string_equal(RENDERED(put_visible(to, rows[i].raw, n)), rows[i].visible);
		assert_string_equal(RENDERED(put_xml(to, rows[i].raw, n)), rows[i].xml);
		assert_string_equal(RENDERED(put_finished_xml(to, rows[i].raw, n)), rows[i].finished);
		assert_string_equal(RENDERED(put_json(to, rows[i].raw, n)), rows[i].json);
	}
}

static void a_line_says_when_who_and_what(void **state)
{
	struct evtx_record deleted = RECORD(26, delete_data), connected = RECORD(3, connect_data);

	(void)state;
	assert_string_equal(RENDERED(render_line(&deleted, false, to)),
			    "2026-11-24 03:14:17.123      7  FileDeleteDetected  root  /usr/bin/rm[123]  "
			    "/tmp/a<b>&\"c'\\x0A\\x1B[31m\\xE2\\x80\\xAE\n");
	assert_string_equal(RENDERED(render_line(&connected, false, to)),
			    "2026-11-24 03:14:17.123      7  NetworkConnect      alice  /usr/bin/curl[9]  "
			    "tcp out [fe80::1]:51234 -> 1.2.3.4:443  (rule web)\n");
	assert_string_equal(RENDERED(render_line(&connected, true, to)),
			    "\033[2m2026-11-24 03:14:17.123      7\033[0m  \033[34mNetworkConnect    \033[0m  "
			    "alice  /usr/bin/curl[9]  tcp out [fe80::1]:51234 -> 1.2.3.4:443  (rule web)\n");
}

static void a_foreign_record_is_shown_by_names_and_values(void **state)
{
	struct evtx_record odd = record("Other\x1bProgram", 4985, odd_data, ARRAY_SIZE(odd_data));

	(void)state;
	assert_string_equal(RENDERED(render_line(&odd, true, to)),
			    "\033[2m2026-11-24 03:14:17.123      7\033[0m  Event 4985          Other\\x1BProgram"
			    "  first  Twice=a  Wide=18446744073709551615  Liar=12 or so  Twice=b  second"
			    "  Yes=true  Octal=007\n");
	assert_non_null(strstr(RENDERED(render_text(&odd, to)), "Other\\x1BProgram, event 4985:\nfirst\nTwice: a\n"));
}

static const struct line_template { unsigned id; const char *template; } templates[] = {
#define LINE(id, name, colour, template) { id, template },
#include "../../src/hunt/lines.def"
};

/* The field that a placeholder names. */
static void placeholder_field(const char *inside, size_t n, char field[64])
{
	const char *question = memchr(inside, '?', n);

	if (strncmp(inside, "ip ", 3) == 0) {
		inside += 3;
		n -= 3;
	}
	if (question) {
		assert_non_null(memchr(question, ':', n - (size_t)(question - inside)));
		n = (size_t)(question - inside);
	}
	snprintf(field, 64, "%.*s", (int)n, inside);
}

static void every_event_type_has_a_line_made_of_its_own_fields(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_SIZE(templates), EVENT_TYPE_COUNT);
	for (size_t i = 0; i < ARRAY_SIZE(templates); i++) {
		const struct event_type *type = event_type_by_id(templates[i].id);

		assert_ptr_equal(type, &event_types[i]);
		for (const char *p = templates[i].template; (p = strchr(p, '{'));) {
			size_t n = strcspn(++p, "}");
			char field[64];

			assert_int_equal(p[n], '}');
			placeholder_field(p, n, field);
			if (event_field_index(type, field, strlen(field)) < 0)
				fail_msg("event %u has no field %s", type->id, field);
			p += n;
		}
	}
}

static void the_text_is_the_general_page_of_the_event_viewer(void **state)
{
	struct evtx_record rec = RECORD(26, delete_data);
	const char *text = RENDERED(render_full(&rec, to));

	(void)state;
	assert_non_null(strstr(text, "\nRecord ID:     7\nTask Category: File Delete logged (rule: FileDeleteDetected)\n"
				     "Level:         Information\n"));
	assert_non_null(strstr(text, "\nDescription:\nFile Delete logged:\nRuleName: -\nUtcTime: 2026-11-24 03:14:17.123\n"));
	assert_non_null(strstr(text, "\nHashes: \nIsExecutable: false\n\n"));
}

static void the_text_form_of_xml_is_what_parsers_of_sysmon_for_linux_match(void **state)
{
	struct evtx_record rec = RECORD(26, delete_data);

	(void)state;
	assert_string_equal(
		RENDERED(render_syslog(&rec, 0, to)),
		"<Event><System><Provider Name=\"Linux-Sysmon\" Guid=\"{ff032593-a8d3-4f13-b0d6-01fc615a0f97}\"/>"
		"<EventID>26</EventID><Version>5</Version><Level>4</Level><Task>26</Task><Opcode>0</Opcode>"
		"<Keywords>0x8000000000000000</Keywords><TimeCreated SystemTime=\"2026-11-24T03:14:17.123456700Z\"/>"
		"<EventRecordID>7</EventRecordID><Correlation/><Execution ProcessID=\"700\" ThreadID=\"701\"/>"
		"<Channel>Linux-Sysmon/Operational</Channel><Computer>host</Computer><Security UserId=\"0\"/></System>"
		"<EventData><Data Name=\"RuleName\">-</Data><Data Name=\"UtcTime\">2026-11-24 03:14:17.123</Data>"
		"<Data Name=\"ProcessGuid\">{4f7a0cfa-deee-5eb3-ee00-000000000a00}</Data><Data Name=\"ProcessId\">123</Data>"
		"<Data Name=\"User\">root</Data><Data Name=\"Image\">/usr/bin/rm</Data>"
		"<Data Name=\"TargetFilename\">/tmp/a&lt;b&gt;&amp;&quot;c&apos;\\x0A\\x1B[31m\\xE2\\x80\\xAE</Data>"
		"<Data Name=\"Hashes\">-</Data><Data Name=\"IsExecutable\">false</Data></EventData></Event>\n");
	rec.user_id = "S-1-22-1-1000";
	assert_non_null(strstr(RENDERED(render_syslog(&rec, 0, to)), "<Security UserId=\"1000\"/>"));
}

static void json_has_numbers_booleans_strings_and_each_name_once(void **state)
{
	struct evtx_record rec = RECORD(26, delete_data);
	struct evtx_record odd = record("Other", 4985, odd_data, ARRAY_SIZE(odd_data));

	(void)state;
	assert_string_equal(
		RENDERED(render_json(&rec, to)),
		"{\"System\":{\"Provider\":\"Linux-Sysmon\",\"EventID\":26,\"Version\":5,\"Level\":4,\"Task\":26,\"Opcode\":0,"
		"\"Keywords\":\"0x8000000000000000\",\"TimeCreated\":\"2026-11-24T03:14:17.123456700Z\",\"EventRecordID\":7,"
		"\"ProcessID\":700,\"ThreadID\":701,\"Channel\":\"Linux-Sysmon/Operational\",\"Computer\":\"host\","
		"\"UserID\":\"S-1-5-18\"},\"EventData\":{\"RuleName\":\"-\",\"UtcTime\":\"2026-11-24 03:14:17.123\","
		"\"ProcessGuid\":\"{4f7a0cfa-deee-5eb3-ee00-000000000a00}\",\"ProcessId\":123,\"User\":\"root\","
		"\"Image\":\"/usr/bin/rm\",\"TargetFilename\":\"/tmp/a<b>&\\\"c'\\n\\u001b[31m\\u202e\",\"Hashes\":\"\","
		"\"IsExecutable\":false}}\n");
	odd.user_data = true;
	odd.qualifiers = "16384";
	assert_non_null(strstr(RENDERED(render_json(&odd, to)),
			       ",\"UserID\":\"S-1-5-18\",\"Qualifiers\":\"16384\"},\"UserData\":{\"Data\":[\"first\",\"second\"],"
			       "\"Twice\":[\"a\",\"b\"],\"Wide\":\"18446744073709551615\",\"Liar\":\"12 or so\","
			       "\"Yes\":true,\"Octal\":\"007\"}}\n"));
}

static void debug_names_the_schema_event_and_verbose_the_rule(void **state)
{
	struct evtx_record deleted = RECORD(26, delete_data), connected = RECORD(3, connect_data);
	struct evtx_record error = RECORD(255, odd_data);

	(void)state;
	assert_non_null(strstr(RENDERED(render_debug(&deleted, false, to)),
			       "Event SYSMONEVENT_FILE_DELETE_DETECTED\n\tRuleName: -\n\tUtcTime: 2026"));
	assert_null(strstr(rendered, "Kept"));
	assert_non_null(strstr(RENDERED(render_debug(&connected, true, to)), "Kept by rule web\n"));
	assert_non_null(strstr(RENDERED(render_debug(&deleted, true, to)), "Kept by a rule without name or by default\n"));
	assert_non_null(strstr(RENDERED(render_debug(&error, true, to)), "Kept always\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_defuses_what_harms_and_keeps_what_does_not),
		cmocka_unit_test(a_line_says_when_who_and_what),
		cmocka_unit_test(a_foreign_record_is_shown_by_names_and_values),
		cmocka_unit_test(every_event_type_has_a_line_made_of_its_own_fields),
		cmocka_unit_test(the_text_is_the_general_page_of_the_event_viewer),
		cmocka_unit_test(the_text_form_of_xml_is_what_parsers_of_sysmon_for_linux_match),
		cmocka_unit_test(json_has_numbers_booleans_strings_and_each_name_once),
		cmocka_unit_test(debug_names_the_schema_event_and_verbose_the_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

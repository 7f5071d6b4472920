/* SPDX-License-Identifier: MIT */
/* Records that our writer never makes, put together byte by byte: other writers do, and strangers might. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/base/le.h"
#include "../../src/evtx/binxml.h"
#include "../../src/evtx/reader.h"
#include "../golden/evtx/random_event.h"
#include "../../src/evtx/writer.h"

/* ---- a chunk under construction ------------------------------------------------------------------- */

struct builder {
	uint8_t chunk[EVTX_CHUNK_SIZE + 4096];
	uint32_t at;
	uint32_t record; /* start of the one being made */
	uint32_t count;
};

static struct builder b;
static struct evtx_reader *reader;

static void put(const void *bytes, size_t n)
{
	memcpy(b.chunk + b.at, bytes, n);
	b.at += (uint32_t)n;
}

static void put8(uint8_t v)
{
	put(&v, 1);
}

static void put16(uint16_t v)
{
	le16_put(b.chunk + b.at, v);
	b.at += 2;
}

static void put32(uint32_t v)
{
	le32_put(b.chunk + b.at, v);
	b.at += 4;
}

static void put_ascii_units(const char *text)
{
	for (; *text; text++)
		put16((uint8_t)*text);
}

/* Names are always inline here: readers take them wherever they stand. */
static void put_name(const char *name)
{
	put32(b.at + 4);
	put32(0);
	put16(0);
	put16((uint16_t)strlen(name));
	put_ascii_units(name);
	put16(0);
}

static void put_fragment(void)
{
	put("\x0f\x01\x01\x00", 4);
}

/* The size of an element is of no use to a reader, so it is never right here. */
static void put_open(const char *name, bool definition, uint16_t dependency, bool attributes)
{
	put8(attributes ? 0x41 : 0x01);
	if (definition)
		put16(dependency);
	put32(7);
	put_name(name);
	if (attributes)
		put32(7);
}

static void put_attribute(const char *name)
{
	put8(0x06);
	put_name(name);
}

static void put_text(const char *text)
{
	put8(0x05);
	put8(0x01);
	put16((uint16_t)strlen(text));
	put_ascii_units(text);
}

static void put_value(uint8_t token, uint16_t index, uint8_t type)
{
	put8(token);
	put16(index);
	put8(type);
}

static void begin_chunk(void)
{
	memset(&b, 0, sizeof(b));
	b.at = EVTX_CHUNK_HEADER;
}

static void begin_record(void)
{
	b.record = b.at;
	put32(RECORD_MAGIC);
	put32(0);
	put32(++b.count);
	put32(0);
	put32(0);
	put32(0);
	put_fragment();
}

static void end_record(void)
{
	put8(TOKEN_EOF);
	while ((b.at + 4) % 8)
		put8(0xee); /* Windows leaves garbage here */
	le32_put(b.chunk + b.record + 4, b.at + 4 - b.record);
	put32(b.at + 4 - b.record);
}

static void end_chunk(void)
{
	const struct evtx_chunk_header h = {
		.first_id = 1,
		.last_id = b.count,
		.last_record_offset = b.record,
		.free_offset = b.at,
		.data_crc = evtx_crc(0, b.chunk + EVTX_CHUNK_HEADER, b.at - EVTX_CHUNK_HEADER),
		.flags = 1,
	};

	evtx_chunk_header_write(&h, b.chunk);
}

/* Instance and definition up to the body; returns where the definition stands. */
static uint32_t begin_definition(uint32_t id)
{
	uint32_t at;

	put8(TOKEN_INSTANCE);
	put8(1);
	put32(id);
	put32(b.at + 4);
	at = b.at;
	put32(0);
	put32(id);
	put32(1);
	put32(2);
	put32(3);
	put32(0);
	put_fragment();
	return at;
}

static void end_definition(uint32_t at)
{
	put8(TOKEN_EOF);
	le32_put(b.chunk + at + 20, b.at - at - 24);
}

static void put_again(uint32_t id, uint32_t definition)
{
	put8(TOKEN_INSTANCE);
	put8(1);
	put32(id);
	put32(definition);
}

/* <Event><EventData><Data Name="x">#0</Data></EventData></Event> */
static uint32_t put_one_value_definition(uint32_t id)
{
	uint32_t at = begin_definition(id);

	put_open("Event", true, 0xffff, false);
	put8(TOKEN_CLOSE_START);
	put_open("EventData", true, 0xffff, false);
	put8(TOKEN_CLOSE_START);
	put_open("Data", true, 0xffff, true);
	put_attribute("Name");
	put_text("x");
	put8(TOKEN_CLOSE_START);
	put_value(TOKEN_NORMAL, 0, TYPE_STRING);
	put8(TOKEN_END);
	put8(TOKEN_END);
	put8(TOKEN_END);
	end_definition(at);
	return at;
}

static void put_one_value(uint8_t type, const void *bytes, uint16_t length)
{
	put32(1);
	put16(length);
	put8(type);
	put8(0);
	put(bytes, length);
}

static void make_one_value_chunk(uint8_t type, const void *bytes, uint16_t length)
{
	begin_chunk();
	begin_record();
	put_one_value_definition(77);
	put_one_value(type, bytes, length);
	end_record();
	end_chunk();
}

/* The first record of the chunk, which must be readable. */
static struct evtx_record first_record(void)
{
	struct evtx_record rec;
	struct err e = { 0 };

	if (evtx_reader_begin(reader, b.chunk, &e) < 0 || evtx_reader_next(reader, &rec, &e) != 1)
		fail_msg("%s", e.text);
	return rec;
}

static const char *xml(void)
{
	size_t length;
	const char *text = evtx_reader_xml(reader, &length);

	assert_int_equal(strlen(text), length);
	return text;
}

/* ---- values --------------------------------------------------------------------------------------- */

#define BYTES(text) text, sizeof(text) - 1
static const struct { uint8_t type; const char *bytes; uint16_t length; const char *text; } values[] = {
	{ TYPE_NULL, BYTES(""), "" },
	{ TYPE_STRING, BYTES(""), "" },
	{ TYPE_STRING, BYTES("a\0\xe9\0"), "a\xc3\xa9" },
	{ TYPE_STRING, BYTES("a\0b\0\0\0"), "ab" },                     /* terminator counted */
	{ TYPE_STRING, BYTES("a\0\0\0b\0"), "a\\x00b" },
	{ TYPE_STRING, BYTES("\x3d\xd8\x00\xde"), "\xf0\x9f\x98\x80" },
	{ TYPE_STRING, BYTES("\x3d\xd8"), "\xef\xbf\xbd" },             /* half a character */
	{ TYPE_STRING, BYTES("\x00\xde\x3d\xd8"), "\xef\xbf\xbd\xef\xbf\xbd" },
	{ TYPE_STRING, BYTES("\xfe\xff"), "\\xEF\\xBF\\xBE" },
	{ TYPE_STRING, BYTES("a\0b"), "a" },                            /* odd length */
	{ TYPE_ANSI, BYTES("caf\xe9\0"), "caf\xc3\xa9" },
	{ TYPE_INT8, BYTES("\xff"), "-1" },
	{ TYPE_UINT8, BYTES("\xff"), "255" },
	{ TYPE_INT16, BYTES("\x00\x80"), "-32768" },
	{ TYPE_UINT16, BYTES("\xff\xff"), "65535" },
	{ TYPE_INT32, BYTES("\x00\x00\x00\x80"), "-2147483648" },
	{ TYPE_UINT32, BYTES("\xff\xff\xff\xff"), "4294967295" },
	{ TYPE_INT64, BYTES("\0\0\0\0\0\0\0\x80"), "-9223372036854775808" },
	{ TYPE_UINT64, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff"), "18446744073709551615" },
	{ TYPE_UINT32, BYTES("\x01\0\0"), "" },                         /* shorter than its type */
	{ TYPE_UINT32, BYTES("\x01\0\0\0\xff"), "1" },                  /* longer */
	{ TYPE_FLOAT, BYTES("\0\0\xc0\x3f"), "1.5" },
	{ TYPE_DOUBLE, BYTES("\0\0\0\0\0\0\xf8\xbf"), "-1.5" },
	{ TYPE_BOOL, BYTES("\x01\0\0\0"), "true" },
	{ TYPE_BOOL, BYTES("\0\0\0\0"), "false" },
	{ TYPE_BOOL, BYTES("\x01"), "true" },                           /* one byte, as once described */
	{ TYPE_BINARY, BYTES("\x00\xab\x10"), "00AB10" },
	{ TYPE_GUID, BYTES("\x67\x45\x23\x01\xab\x89\xef\xcd\x01\x23\x45\x67\x89\xab\xcd\xef"),
	  "{01234567-89ab-cdef-0123-456789abcdef}" },
	{ TYPE_SIZE, BYTES("\x10\0\0\0"), "0x10" },
	{ TYPE_SIZE, BYTES("\x10\0\0\0\x01\0\0\0"), "0x100000010" },
	{ TYPE_FILETIME, BYTES("\x87\x96\x61\xa3\x20\x7b\xdd\x01"), "2026-11-23T08:00:00.123456700Z" },
	{ TYPE_SYSTEMTIME, BYTES("\xea\x07\x0b\0\x01\0\x17\0\x08\0\x01\0\x02\0\x03\0"),
	  "2026-11-23T08:01:02.003Z" },
	{ TYPE_SID, BYTES("\x01\x01\0\0\0\0\0\x05\x12\0\0\0"), "S-1-5-18" },
	{ TYPE_SID, BYTES("\x01\x02\0\0\0\0\0\x05\x12\0\0\0"), "" },    /* a part is missing */
	{ TYPE_SID, BYTES("\x01\x00\x01\0\0\0\0\x05"), "S-1-0x10000000005" },
	{ TYPE_HEX32, BYTES("\xff\x0f\0\0"), "0xfff" },
	{ TYPE_HEX32, BYTES("\0\0\0\0"), "0x0" },
	{ TYPE_HEX64, BYTES("\0\0\0\0\0\0\0\x80"), "0x8000000000000000" },
	{ 0x16, BYTES("\x01\x02"), "0102" },                            /* a type nobody has described */
};

static void every_value_type_has_its_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct evtx_record rec;

		make_one_value_chunk(values[i].type, values[i].bytes, values[i].length);
		rec = first_record();
		assert_int_equal(rec.data_count, 1);
		assert_string_equal(rec.data[0].name, "x");
		if (strcmp(rec.data[0].text, values[i].text) != 0)
			fail_msg("value %zu, type %#x: '%s', not '%s'", i, values[i].type,
				 rec.data[0].text, values[i].text);
		assert_int_equal(rec.data[0].length, strlen(values[i].text));
		assert_int_equal(rec.data[0].type, values[i].type);
	}
}

static const struct { uint8_t type; const char *bytes; uint16_t length; const char *texts[4]; } arrays[] = {
	{ TYPE_STRING, BYTES("a\0\0\0b\0c\0\0\0"), { "a", "bc" } },
	{ TYPE_STRING, BYTES("a\0\0\0b\0"), { "a", "b" } },             /* the last without its end */
	{ TYPE_STRING, BYTES("\0\0\0\0"), { "", "" } },
	{ TYPE_STRING, BYTES(""), { NULL } },
	{ TYPE_ANSI, BYTES("a\0b\0"), { "a", "b" } },
	{ TYPE_UINT16, BYTES("\x01\0\x02\0"), { "1", "2" } },
	{ TYPE_UINT32, BYTES("\x01\0\0\0\x02"), { "1", "" } },          /* the second is cut */
	{ TYPE_SID, BYTES("\x01\x01\0\0\0\0\0\x05\x12\0\0\0\x01\x01\0\0\0\0\0\x05\x13\0\0\0"),
	  { "S-1-5-18", "S-1-5-19" } },
};

static void an_array_repeats_its_element(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
		char expected[400] = "<Event><EventData>";
		struct evtx_record rec;
		unsigned count = 0;

		make_one_value_chunk(TYPE_ARRAY | arrays[i].type, arrays[i].bytes, arrays[i].length);
		rec = first_record();
		for (; arrays[i].texts[count]; count++) {
			assert_true(count < rec.data_count);
			assert_string_equal(rec.data[count].text, arrays[i].texts[count]);
			snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
				 "<Data Name=\"x\">%s</Data>", arrays[i].texts[count]);
		}
		assert_int_equal(rec.data_count, count);
		strcat(expected, "</EventData></Event>");
		assert_string_equal(xml(), expected);
	}
}

/* ---- shapes of records ---------------------------------------------------------------------------- */

static void put_system_without_template(void)
{
	put_open("System", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put_open("Provider", false, 0, true);
	put_attribute("Name");
	put_text("P");
	put8(TOKEN_CLOSE_EMPTY);
	put_open("EventID", false, 0, true);
	put_attribute("Qualifiers");
	put_text("16384");
	put8(TOKEN_CLOSE_START);
	put_text("1102");
	put8(TOKEN_END);
	put_open("Keywords", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put_text("0x80000000");
	put8(TOKEN_END);
	put_open("TimeCreated", false, 0, true);
	put_attribute("SystemTime");
	put_text("2026-11-23T08:00:00.1234567Z");
	put8(TOKEN_CLOSE_EMPTY);
	put_open("EventRecordID", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put_text("4711");
	put8(TOKEN_END);
	put8(TOKEN_END);
}

static void a_record_without_templates_is_read(void **state)
{
	struct evtx_record rec;

	(void)state;
	begin_chunk();
	begin_record();
	put_open("Event", false, 0, true);
	put_attribute("xmlns");
	put_text("n");
	put8(TOKEN_CLOSE_START);
	put_system_without_template();
	put_open("UserData", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put_open("LogFileCleared", false, 0, true);
	put_attribute("xmlns");
	put_text("m");
	put8(TOKEN_CLOSE_START);
	put_open("SubjectUserName", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put_text("me");
	put8(TOKEN_END);
	put_open("Empty", false, 0, false);
	put8(TOKEN_CLOSE_EMPTY);
	put8(TOKEN_END);
	put8(TOKEN_END);
	put8(TOKEN_END);
	end_record();
	end_chunk();

	rec = first_record();
	assert_string_equal(rec.provider_name, "P");
	assert_int_equal(rec.event_id, 1102);
	assert_string_equal(rec.qualifiers, "16384");
	assert_int_equal(rec.keywords, 0x80000000u);
	assert_int_equal(rec.time_utc_ns, 1795420800123456700u);
	assert_int_equal(rec.id, 4711);
	assert_int_equal(rec.header_id, 1);
	assert_true(rec.user_data);
	assert_int_equal(rec.data_count, 2);
	assert_string_equal(rec.data[0].name, "SubjectUserName");
	assert_string_equal(rec.data[0].text, "me");
	assert_string_equal(rec.data[1].name, "Empty");
	assert_string_equal(rec.data[1].text, "");
	assert_string_equal(xml(),
			    "<Event xmlns=\"n\"><System><Provider Name=\"P\"/>"
			    "<EventID Qualifiers=\"16384\">1102</EventID><Keywords>0x80000000</Keywords>"
			    "<TimeCreated SystemTime=\"2026-11-23T08:00:00.1234567Z\"/>"
			    "<EventRecordID>4711</EventRecordID></System><UserData>"
			    "<LogFileCleared xmlns=\"m\"><SubjectUserName>me</SubjectUserName><Empty/>"
			    "</LogFileCleared></UserData></Event>");
}

/* Where Windows could not make an event of what it was given, that stands in elements of other names. */
static void other_elements_of_an_event_are_data_too(void **state)
{
	struct evtx_record rec;

	(void)state;
	begin_chunk();
	begin_record();
	put_open("Event", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put_system_without_template();
	put_open("ProcessingErrorData", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put_open("ErrorCode", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put_text("15005");
	put8(TOKEN_END);
	put8(TOKEN_END);
	put_open("BinaryEventData", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put_text("00FF");
	put8(TOKEN_END);
	put8(TOKEN_END);
	end_record();
	end_chunk();

	rec = first_record();
	assert_int_equal(rec.event_id, 1102);
	assert_true(rec.user_data);
	assert_int_equal(rec.data_count, 2);
	assert_string_equal(rec.data[0].name, "ErrorCode");
	assert_string_equal(rec.data[0].text, "15005");
	assert_string_equal(rec.data[1].name, "BinaryEventData");
	assert_string_equal(rec.data[1].text, "00FF");
}

/* <Event><UserData>#0</UserData></Event>, #0 a fragment of its own. */
static void user_data_may_be_nested(void **state)
{
	struct evtx_record rec;
	uint32_t at, value;

	(void)state;
	begin_chunk();
	begin_record();
	at = begin_definition(5);
	put_open("Event", true, 0xffff, false);
	put8(TOKEN_CLOSE_START);
	put_open("UserData", true, 0xffff, false);
	put8(TOKEN_CLOSE_START);
	put_value(TOKEN_OPTIONAL, 0, TYPE_BINXML);
	put8(TOKEN_END);
	put8(TOKEN_END);
	end_definition(at);
	put32(1);
	put32(0);
	value = b.at;
	put_fragment();
	put_open("Change", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put_open("What", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put_text("a&b");
	put8(TOKEN_END);
	put8(TOKEN_END);
	put8(TOKEN_EOF);
	le16_put(b.chunk + value - 4, (uint16_t)(b.at - value));
	b.chunk[value - 2] = TYPE_BINXML;
	end_record();
	end_chunk();

	rec = first_record();
	assert_true(rec.user_data);
	assert_int_equal(rec.data_count, 1);
	assert_string_equal(rec.data[0].name, "What");
	assert_string_equal(rec.data[0].text, "a&b");
	assert_string_equal(xml(), "<Event><UserData><Change><What>a&amp;b</What></Change></UserData></Event>");
}

static void an_element_goes_with_the_value_it_depends_on(void **state)
{
	struct evtx_record rec;
	uint32_t at;

	(void)state;
	begin_chunk();
	begin_record();
	at = begin_definition(6);
	put_open("Event", true, 0xffff, false);
	put8(TOKEN_CLOSE_START);
	put_open("EventData", true, 0xffff, false);
	put8(TOKEN_CLOSE_START);
	put_open("Data", true, 0, false); /* depends on #0, which is NULL */
	put8(TOKEN_CLOSE_START);
	put_text("gone");
	put8(TOKEN_END);
	put_open("Data", true, 0xffff, true); /* an attribute of NULL goes alone */
	put_attribute("Name");
	put_value(TOKEN_OPTIONAL, 0, TYPE_STRING);
	put8(TOKEN_CLOSE_START);
	put_text("n=");
	put_value(TOKEN_OPTIONAL, 1, TYPE_UINT8);
	put8(TOKEN_END);
	put_open("Binary", true, 0xffff, false); /* no such value at all */
	put8(TOKEN_CLOSE_START);
	put_value(TOKEN_OPTIONAL, 9, TYPE_BINARY);
	put8(TOKEN_END);
	put8(TOKEN_END);
	put8(TOKEN_END);
	end_definition(at);
	put32(2);
	put32(0);
	put16(1);
	put16(TYPE_UINT8);
	put8(5);
	end_record();
	end_chunk();

	rec = first_record();
	assert_int_equal(rec.data_count, 2);
	assert_string_equal(rec.data[0].name, "");
	assert_string_equal(rec.data[0].text, "n=5");
	assert_string_equal(rec.data[1].name, "Binary");
	assert_string_equal(rec.data[1].text, "");
	assert_string_equal(xml(), "<Event><EventData><Data>n=5</Data><Binary></Binary></EventData></Event>");
}

static void tokens_that_windows_never_writes_are_read(void **state)
{
	struct evtx_record rec;

	(void)state;
	begin_chunk();
	begin_record();
	put_open("Event", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put8(TOKEN_PI_TARGET);
	put_name("pi");
	put8(TOKEN_PI_DATA);
	put16(2);
	put_ascii_units("do");
	put_open("EventData", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put_open("Data", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put8(TOKEN_CDATA);
	put16(3);
	put_ascii_units("<c>");
	put8(TOKEN_CHARACTER | TOKEN_MORE);
	put16(0xe9);
	put8(TOKEN_ENTITY);
	put_name("amp");
	put8(TOKEN_ENTITY);
	put_name("nosuch");
	put_text("t");
	put8(TOKEN_END);
	put8(TOKEN_END);
	put8(TOKEN_END);
	end_record();
	end_chunk();

	rec = first_record();
	assert_int_equal(rec.data_count, 1);
	assert_string_equal(rec.data[0].text, "<c>\xc3\xa9&?t");
	assert_string_equal(xml(), "<Event><?pi do?><EventData><Data>&lt;c&gt;\xc3\xa9&amp;?t</Data>"
				   "</EventData></Event>");
}

static void markup_in_a_value_is_text_of_the_field(void **state)
{
	struct evtx_record rec;
	uint32_t length;

	(void)state;
	begin_chunk();
	begin_record();
	put_one_value_definition(9);
	put32(1);
	put32(0);
	length = b.at;
	put_fragment();
	put_open("a", false, 0, false);
	put8(TOKEN_CLOSE_START);
	put_text("<");
	put8(TOKEN_END);
	put8(TOKEN_EOF);
	le16_put(b.chunk + length - 4, (uint16_t)(b.at - length));
	b.chunk[length - 2] = TYPE_BINXML;
	end_record();
	end_chunk();

	rec = first_record();
	assert_string_equal(rec.data[0].text, "<a>&lt;</a>");
	assert_string_equal(xml(), "<Event><EventData><Data Name=\"x\"><a>&lt;</a></Data></EventData></Event>");
}

static void names_cannot_become_markup(void **state)
{
	(void)state;
	begin_chunk();
	begin_record();
	put_open("E><x y=\"1\"", false, 0, true);
	put_attribute("\" a");
	put_text("\"<&>\r");
	put8(TOKEN_CLOSE_EMPTY);
	put_open("", false, 0, false);
	put8(TOKEN_CLOSE_EMPTY);
	end_record();
	end_chunk();

	first_record();
	assert_string_equal(xml(), "<E__x_y__1_ __a=\"&quot;&lt;&amp;&gt;&#13;\"/><_/>");
}

static void a_definition_may_stand_in_any_earlier_record(void **state)
{
	struct evtx_record rec;
	uint32_t definition;

	(void)state;
	begin_chunk();
	begin_record();
	definition = put_one_value_definition(7);
	put_one_value(TYPE_UINT8, "\x01", 1);
	end_record();
	begin_record();
	put_again(7, definition);
	put_one_value(TYPE_UINT8, "\x02", 1);
	end_record();
	end_chunk();

	first_record();
	assert_int_equal(evtx_reader_next(reader, &rec, NULL), 1);
	assert_string_equal(rec.data[0].text, "2");
	assert_int_equal(evtx_reader_next(reader, &rec, NULL), 0);
	assert_int_equal(evtx_reader_faults(reader), 0);
}

/* The same bytes of a definition can mean something else in another chunk: names stand outside of it. */
static void what_was_compiled_for_one_chunk_is_not_believed_in_another(void **state)
{
	struct evtx_record rec;
	uint32_t name, at;

	(void)state;
	for (int round = 0; round < 4; round++) {
		begin_chunk();
		begin_record();
		put_open("Event", false, 0, false);
		put8(TOKEN_CLOSE_START);
		name = b.at + 5;
		put_open(round & 1 ? "EventData" : "OtherData", false, 0, false);
		put8(TOKEN_CLOSE_EMPTY);
		put8(TOKEN_END);
		end_record();
		begin_record();
		at = begin_definition(11);
		put_open("Event", true, 0xffff, false);
		put8(TOKEN_CLOSE_START);
		put8(0x01);
		put16(0xffff);
		put32(7);
		put32(name + 4);
		put8(TOKEN_CLOSE_START);
		put_open("Data", true, 0xffff, false);
		put8(TOKEN_CLOSE_START);
		put_value(TOKEN_NORMAL, 0, TYPE_STRING);
		put8(TOKEN_END);
		put8(TOKEN_END);
		put8(TOKEN_END);
		end_definition(at);
		put_one_value(TYPE_UINT8, "\x05", 1);
		end_record();
		end_chunk();

		first_record();
		assert_int_equal(evtx_reader_next(reader, &rec, NULL), 1);
		assert_int_equal(rec.data_count, round & 1);
		assert_string_equal(xml(), round & 1 ?
						   "<Event><EventData><Data>5</Data></EventData></Event>" :
						   "<Event><OtherData><Data>5</Data></OtherData></Event>");
	}
}

/* ---- damage --------------------------------------------------------------------------------------- */

/* Five records of a byte each, their values 1 to 5; returns the offsets. */
static void make_five(uint32_t offsets[5])
{
	uint32_t definition = 0;

	begin_chunk();
	for (uint8_t i = 0; i < 5; i++) {
		const uint8_t value = (uint8_t)(i + 1);

		offsets[i] = b.at;
		begin_record();
		if (i == 0)
			definition = put_one_value_definition(7);
		else
			put_again(7, definition);
		put_one_value(TYPE_UINT8, &value, 1);
		end_record();
	}
	end_chunk();
}

/* The values that can be read, as digits, and 'x' for each report of a loss. */
static const char *readable(void)
{
	static char text[2400];
	struct evtx_record rec;
	size_t n = 0;
	int ret;

	if (evtx_reader_begin(reader, b.chunk, NULL) < 0)
		return "-";
	while ((ret = evtx_reader_next(reader, &rec, NULL)) != 0 && n < sizeof(text) - 1)
		text[n++] = ret > 0 ? rec.data[0].text[0] : 'x';
	text[n] = 0;
	return text;
}

static void reading_goes_on_behind_a_damaged_record(void **state)
{
	uint32_t at[5];

	(void)state;
	make_five(at);
	assert_string_equal(readable(), "12345");

	b.chunk[at[2]] ^= 1; /* magic */
	assert_string_equal(readable(), "12x45");
	assert_int_equal(evtx_reader_faults(reader), EVTX_FAULT_RECORD | EVTX_FAULT_DATA_CRC);
	b.chunk[at[2]] ^= 1;

	b.chunk[at[3] - 4] ^= 8; /* copy of the size */
	assert_string_equal(readable(), "12x45");
	b.chunk[at[3] - 4] ^= 8;

	le32_put(b.chunk + at[4] + 4, 0xfffffff8);
	assert_string_equal(readable(), "1234x");
	make_five(at);

	memset(b.chunk + at[1], 0, at[3] - at[1]);
	assert_string_equal(readable(), "1x45");
	make_five(at);

	b.chunk[at[1] + RECORD_HEADER + 4] = 0x3f; /* no token */
	assert_string_equal(readable(), "1x345");
}

static void headers_are_judged(void **state)
{
	uint32_t at[5];

	(void)state;
	make_five(at);
	b.chunk[100] ^= 1; /* reserved, under the sum */
	assert_string_equal(readable(), "12345");
	assert_int_equal(evtx_reader_faults(reader), EVTX_FAULT_HEADER_CRC);
	b.chunk[120] |= EVTX_CHUNK_NO_CRC;
	assert_string_equal(readable(), "12345");
	assert_int_equal(evtx_reader_faults(reader), 0);

	make_five(at);
	le32_put(b.chunk + 48, 0xffffffff); /* free offset: the sequence of ids tells the end */
	assert_string_equal(readable(), "12345");
	assert_int_equal(evtx_reader_faults(reader), EVTX_FAULT_HEADER_CRC);

	make_five(at);
	memset(b.chunk, 0, 8);
	assert_string_equal(readable(), "-");
	assert_int_equal(evtx_reader_begin(reader, b.chunk, NULL), -ENODATA);

	make_five(at);
	memset(b.chunk + 8, 0xff, 32); /* the form of a chunk prepared but empty */
	le32_put(b.chunk + 48, 512);
	assert_int_equal(evtx_reader_begin(reader, b.chunk, NULL), -ENODATA);
}

static void records_behind_the_free_offset_are_none(void **state)
{
	struct evtx_chunk_header h;
	uint32_t at[5];

	(void)state;
	make_five(at);
	assert_int_equal(evtx_chunk_header_read(b.chunk, &h), 0);
	h.free_offset = at[3];
	h.last_record_offset = at[2];
	h.last_id = 3;
	h.data_crc = evtx_crc(0, b.chunk + EVTX_CHUNK_HEADER, at[3] - EVTX_CHUNK_HEADER);
	evtx_chunk_header_write(&h, b.chunk);
	assert_string_equal(readable(), "123");
	assert_int_equal(evtx_reader_faults(reader), 0);
}

/* ---- hostile ones --------------------------------------------------------------------------------- */

static void elements_nested_without_end_are_refused(void **state)
{
	struct evtx_record rec;

	(void)state;
	for (unsigned depth = 60; depth < 70; depth++) {
		begin_chunk();
		begin_record();
		for (unsigned i = 0; i < depth; i++) {
			put_open("e", false, 0, false);
			put8(TOKEN_CLOSE_START);
		}
		for (unsigned i = 0; i < depth; i++)
			put8(TOKEN_END);
		end_record();
		end_chunk();
		assert_int_equal(evtx_reader_begin(reader, b.chunk, NULL), 0);
		assert_int_equal(evtx_reader_next(reader, &rec, NULL), depth <= 64 ? 1 : -EBADMSG);
	}
}

static void a_value_used_ten_thousand_times_is_refused(void **state)
{
	struct evtx_record rec;
	size_t length;
	uint32_t at;

	(void)state;
	begin_chunk();
	begin_record();
	at = begin_definition(3);
	put_open("Event", true, 0xffff, false);
	put8(TOKEN_CLOSE_START);
	put_open("EventData", true, 0xffff, false);
	put8(TOKEN_CLOSE_START);
	put_open("Data", true, 0xffff, false);
	put8(TOKEN_CLOSE_START);
	for (unsigned i = 0; i < 10000; i++)
		put_value(TOKEN_NORMAL, 0, TYPE_STRING);
	put8(TOKEN_END);
	put8(TOKEN_END);
	put8(TOKEN_END);
	end_definition(at);
	put32(1);
	put16(20000);
	put16(TYPE_STRING);
	for (unsigned i = 0; i < 10000; i++)
		put16('m');
	end_record();
	end_chunk();
	assert_int_equal(evtx_reader_begin(reader, b.chunk, NULL), 0);
	assert_int_equal(evtx_reader_next(reader, &rec, NULL), -EBADMSG);
	assert_string_equal(evtx_reader_xml(reader, &length), "");
	assert_int_equal(length, 0);
}

/* An instance whose value is the instance itself. */
static void instances_nested_without_end_are_not_rendered(void **state)
{
	struct evtx_record rec;
	uint32_t definition, value;
	size_t length;

	(void)state;
	begin_chunk();
	begin_record();
	definition = begin_definition(3);
	put_open("Event", true, 0xffff, false);
	put8(TOKEN_CLOSE_START);
	put_value(TOKEN_OPTIONAL, 0, TYPE_BINXML);
	put_value(TOKEN_OPTIONAL, 0, TYPE_BINXML);
	put8(TOKEN_END);
	end_definition(definition);
	put32(1);
	put32(0);
	value = b.at;
	for (unsigned i = 0; i < 200; i++) { /* each the rest of the ones before */
		put_again(3, definition);
		put32(1);
		put16((uint16_t)(200 * 18 - (i + 1) * 18));
		put16(TYPE_BINXML);
	}
	le16_put(b.chunk + value - 4, (uint16_t)(b.at - value));
	b.chunk[value - 2] = TYPE_BINXML;
	end_record();
	end_chunk();
	assert_int_equal(evtx_reader_begin(reader, b.chunk, NULL), 0);
	assert_int_equal(evtx_reader_next(reader, &rec, NULL), 1); /* no field of it lies so deep */
	assert_string_equal(evtx_reader_xml(reader, &length), "");
}

/* Every byte of an honest chunk, one after the other, made something else: nothing but errors may come. */
static void no_single_byte_does_harm(void **state)
{
	static struct random_events random = { .state = 5, .plain = true };
	const struct evtx_identity host = { "h", 1, 2, 0, false };
	struct evtx_writer *w = NULL;
	uint64_t records = 0;

	(void)state;
	assert_int_equal(evtx_writer_new(&host, &w, NULL), 0);
	for (uint64_t id = 1; id <= 3; id++)
		assert_int_equal(evtx_writer_append(w, random_event(&random), id, 0), 0);
	memcpy(b.chunk, evtx_writer_seal(w), EVTX_CHUNK_SIZE);
	for (uint32_t at = 0; at < evtx_writer_used(w); at++) {
		static const uint8_t others[] = { 0x00, 0x01, 0x80, 0xff };
		const uint8_t was = b.chunk[at];
		struct evtx_record rec;
		size_t length;
		int ret;

		for (size_t i = 0; i < sizeof(others); i++) {
			b.chunk[at] = (uint8_t)(i ? was ^ others[i] : 0);
			if (evtx_reader_begin(reader, b.chunk, NULL) < 0)
				continue;
			while ((ret = evtx_reader_next(reader, &rec, NULL)) != 0) {
				records += ret > 0;
				if (ret > 0)
					evtx_reader_xml(reader, &length);
			}
		}
		b.chunk[at] = was;
	}
	assert_true(records > 0);
	evtx_writer_free(w);
}

static int set_up(void **state)
{
	(void)state;
	return evtx_reader_new(&reader, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	evtx_reader_free(reader);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_type_has_its_text),
		cmocka_unit_test(an_array_repeats_its_element),
		cmocka_unit_test(a_record_without_templates_is_read),
		cmocka_unit_test(other_elements_of_an_event_are_data_too),
		cmocka_unit_test(user_data_may_be_nested),
		cmocka_unit_test(an_element_goes_with_the_value_it_depends_on),
		cmocka_unit_test(tokens_that_windows_never_writes_are_read),
		cmocka_unit_test(markup_in_a_value_is_text_of_the_field),
		cmocka_unit_test(names_cannot_become_markup),
		cmocka_unit_test(a_definition_may_stand_in_any_earlier_record),
		cmocka_unit_test(what_was_compiled_for_one_chunk_is_not_believed_in_another),
		cmocka_unit_test(reading_goes_on_behind_a_damaged_record),
		cmocka_unit_test(headers_are_judged),
		cmocka_unit_test(records_behind_the_free_offset_are_none),
		cmocka_unit_test(elements_nested_without_end_are_refused),
		cmocka_unit_test(a_value_used_ten_thousand_times_is_refused),
		cmocka_unit_test(instances_nested_without_end_are_not_rendered),
		cmocka_unit_test(no_single_byte_does_harm),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

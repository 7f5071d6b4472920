/* SPDX-License-Identifier: MIT */
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
#include "../../src/evtx/reader.h"
#include "../../src/evtx/template.h"
#include "../golden/evtx/random_event.h"

#define CHUNK_EVENTS_MAX 400

static const struct evtx_identity host = { "host01", 700, 701, 0, false };

static struct evtx_writer *new_writer(const struct evtx_identity *who)
{
	struct evtx_writer *w = NULL;
	struct err e = { 0 };

	if (evtx_writer_new(who, &w, &e) < 0)
		fail_msg("%s", e.text);
	return w;
}

static struct evtx_reader *new_reader(void)
{
	struct evtx_reader *r = NULL;

	assert_int_equal(evtx_reader_new(&r, NULL), 0);
	return r;
}

/* ---- what was written, remembered as text --------------------------------------------------------- */

struct memory {
	struct { const struct event_type *type; uint64_t time; char *texts[EVENT_FIELDS_MAX]; } *events;
	size_t count;
};

static void remember(struct memory *m, const struct event *ev)
{
	m->events[m->count].type = ev->type;
	m->events[m->count].time = ev->time_utc_ns;
	for (unsigned i = 0; i < ev->type->field_count; i++) {
		char buf[VALUE_TEXT_MAX];
		const char *text;
		size_t n = value_text(ev->type->fields[i].type, &ev->values[i], buf, &text);

		m->events[m->count].texts[i] = strndup(text, n);
	}
	m->count++;
}

static void forget(struct memory *m)
{
	for (size_t i = 0; i < m->count; i++)
		for (unsigned f = 0; f < m->events[i].type->field_count; f++)
			free(m->events[i].texts[f]);
	m->count = 0;
}

static void assert_same(const struct evtx_record *rec, const struct memory *m, size_t i, uint64_t id)
{
	const struct event_type *type = m->events[i].type;

	assert_int_equal(rec->id, id);
	assert_int_equal(rec->header_id, id);
	assert_int_equal(rec->event_id, type->id);
	assert_int_equal(rec->version, type->version);
	assert_int_equal(rec->level, type->level);
	assert_int_equal(rec->task, type->id);
	assert_int_equal(rec->opcode, 0);
	assert_true(rec->keywords == 0x8000000000000000u);
	assert_int_equal(rec->time_utc_ns, m->events[i].time / 100 * 100);
	assert_int_equal(rec->written_utc_ns, 1800000000000000000u);
	assert_int_equal(rec->process_id, 700);
	assert_int_equal(rec->thread_id, 701);
	assert_string_equal(rec->provider_name, "Linux-Sysmon");
	assert_string_equal(rec->provider_guid, "{ff032593-a8d3-4f13-b0d6-01fc615a0f97}");
	assert_string_equal(rec->channel, "Linux-Sysmon/Operational");
	assert_string_equal(rec->computer, "host01");
	assert_string_equal(rec->user_id, "S-1-5-18");
	assert_string_equal(rec->qualifiers, "");
	assert_string_equal(rec->activity_id, "");
	assert_false(rec->user_data);
	assert_int_equal(rec->data_count, type->field_count);
	for (unsigned f = 0; f < type->field_count; f++) {
		assert_string_equal(rec->data[f].name, type->fields[f].name);
		assert_string_equal(rec->data[f].text, m->events[i].texts[f]);
		assert_int_equal(rec->data[f].length, strlen(m->events[i].texts[f]));
	}
}

static void read_back(struct evtx_reader *r, struct evtx_writer *w, const struct memory *m)
{
	struct err e = { 0 };
	struct evtx_record rec;

	assert_int_equal(evtx_reader_begin(r, evtx_writer_seal(w), &e), 0);
	for (size_t i = 0; i < m->count; i++) {
		if (evtx_reader_next(r, &rec, &e) != 1)
			fail_msg("record %zu: %s", i, e.text);
		assert_same(&rec, m, i, evtx_writer_first_id(w) + i);
	}
	assert_int_equal(evtx_reader_next(r, &rec, &e), 0);
	assert_int_equal(evtx_reader_faults(r), 0);
}

static void every_event_comes_back_as_it_was_written(void **state)
{
	static struct random_events random = { .state = 42 };
	struct evtx_writer *w = new_writer(&host);
	struct evtx_reader *r = new_reader();
	struct memory m = { calloc(CHUNK_EVENTS_MAX, sizeof(*m.events)), 0 };
	unsigned seen[256] = { 0 };

	(void)state;
	for (uint64_t id = 1; id <= 20000; id++) {
		const struct event *ev = random_event(&random);
		int ret = evtx_writer_append(w, ev, id, 1800000000000000000u);

		if (ret == -ENOSPC) {
			assert_true(evtx_writer_used(w) <= EVTX_RECORD_END_MAX);
			read_back(r, w, &m);
			forget(&m);
			evtx_writer_begin(w);
			ret = evtx_writer_append(w, ev, id, 1800000000000000000u);
		}
		assert_int_equal(ret, 0);
		remember(&m, ev);
		seen[ev->type->id]++;
	}
	read_back(r, w, &m);
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++)
		assert_true(seen[event_types[i].id] > 0);
	forget(&m);
	free(m.events);
	evtx_reader_free(r);
	evtx_writer_free(w);
}

/* ---- the last bytes of a chunk -------------------------------------------------------------------- */

static char many[70000];

static struct event sized_event(uint32_t length)
{
	struct event ev = { .type = event_type_by_id(5), .time_utc_ns = 1700000000000000000u };

	ev.values[0] = (struct value){ .text = "-", .length = 1 };
	ev.values[1] = (struct value){ .text = "2026-11-24 03:14:17.123", .length = 23 };
	ev.values[4] = (struct value){ .text = many, .length = length };
	ev.values[5] = (struct value){ .text = "root", .length = 4 };
	return ev;
}

static void a_chunk_is_filled_to_the_last_byte_and_not_beyond(void **state)
{
	static struct random_events random = { .state = 7, .plain = true };
	struct evtx_writer *w = new_writer(&host);
	struct evtx_reader *r = new_reader();
	struct memory m = { calloc(CHUNK_EVENTS_MAX, sizeof(*m.events)), 0 };
	uint64_t id = 1;

	(void)state;
	memset(many, 'm', sizeof(many));
	for (int round = 0; round < 50; round++) {
		struct event ev;
		uint32_t length;

		evtx_writer_begin(w);
		while (evtx_writer_used(w) < 50000 + (uint32_t)round * 200) {
			const struct event *any = random_event(&random);

			assert_int_equal(evtx_writer_append(w, any, id++, 1800000000000000000u), 0);
			remember(&m, any);
		}
		for (length = (EVTX_RECORD_END_MAX - (uint32_t)evtx_writer_used(w)) / 2;; length--) {
			ev = sized_event(length);
			if (evtx_writer_append(w, &ev, id, 1800000000000000000u) == 0)
				break;
		}
		id++;
		remember(&m, &ev);
		assert_int_equal(evtx_writer_used(w), EVTX_RECORD_END_MAX);
		ev = sized_event(0);
		assert_int_equal(evtx_writer_append(w, &ev, id, 0), -ENOSPC);
		read_back(r, w, &m);
		forget(&m);
	}
	free(m.events);
	evtx_reader_free(r);
	evtx_writer_free(w);
}

static void a_refused_event_changes_nothing(void **state)
{
	struct evtx_writer *w = new_writer(&host);
	uint8_t *before = malloc(EVTX_CHUNK_SIZE);
	struct event ev = sized_event(20000);
	uint64_t id = 1;

	(void)state;
	memset(many, 'm', sizeof(many));
	while (evtx_writer_append(w, &ev, id, 0) == 0)
		id++;
	memcpy(before, evtx_writer_seal(w), EVTX_CHUNK_SIZE);
	ev.type = event_type_by_id(1); /* its definition would be new in this chunk */
	for (unsigned i = 0; i < ev.type->field_count; i++)
		ev.values[i] = (struct value){ .text = many, .length = 1200 };
	assert_int_equal(evtx_writer_append(w, &ev, id, 0), -ENOSPC);
	assert_memory_equal(before, evtx_writer_seal(w), EVTX_CHUNK_SIZE);
	free(before);
	evtx_writer_free(w);
}

/* ---- strings -------------------------------------------------------------------------------------- */

/* Writes ev alone and gives the text of its field back; the caller frees it. */
static char *written_text(const struct event *ev, unsigned field, uint32_t *length)
{
	struct evtx_writer *w = new_writer(&host);
	struct evtx_reader *r = new_reader();
	struct evtx_record rec;
	char *text;

	assert_int_equal(evtx_writer_append(w, ev, 1, 0), 0);
	assert_int_equal(evtx_reader_begin(r, evtx_writer_seal(w), NULL), 0);
	assert_int_equal(evtx_reader_next(r, &rec, NULL), 1);
	text = strdup(rec.data[field].text);
	*length = rec.data[field].length;
	evtx_reader_free(r);
	evtx_writer_free(w);
	return text;
}

static void only_the_longest_strings_are_cut_and_they_are_marked(void **state)
{
	struct event ev = sized_event(70000);
	uint32_t length;
	char *text;

	(void)state;
	memset(many, 'm', sizeof(many));
	text = written_text(&ev, 4, &length);
	assert_int_equal(length, 30000 - 1 - 23 - 4);
	assert_string_equal(text + length - 4, "m...");
	free(text);
	text = written_text(&ev, 1, &length);
	assert_string_equal(text, "2026-11-24 03:14:17.123");
	free(text);
}

static void two_long_strings_share_what_there_is(void **state)
{
	struct event ev = sized_event(70000);
	uint32_t image, user;

	(void)state;
	memset(many, 'm', sizeof(many));
	ev.values[5] = ev.values[4];
	free(written_text(&ev, 4, &image));
	free(written_text(&ev, 5, &user));
	assert_int_equal(image, user);
	assert_int_equal(image, (30000 - 1 - 23) / 2);
}

static void append_the_largest(struct evtx_writer *w)
{
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++) {
		struct event ev = { .type = &event_types[i] };

		for (unsigned f = 0; f < ev.type->known_count; f++)
			ev.values[f] = (struct value){ .text = many, .length = sizeof(many) };
		evtx_writer_begin(w);
		assert_int_equal(evtx_writer_append(w, &ev, 1, 0), 0);
		assert_true(evtx_writer_used(w) <= EVTX_RECORD_END_MAX);
	}
}

static void the_largest_event_of_every_type_fits_an_empty_chunk(void **state)
{
	char name[COMPUTER_MAX + 1];

	(void)state;
	memset(many, 'm', sizeof(many));
	memset(name, 'h', COMPUTER_MAX);
	name[COMPUTER_MAX] = 0;
	for (int context = 0; context < 2; context++) {
		struct evtx_identity who = { name, 1, 2, 1000, context };
		struct evtx_writer *w = new_writer(&who);

		append_the_largest(w);
		evtx_writer_free(w);
	}
}

/* Every 4 or 2 bytes one piece that must stay whole. */
static void a_cut_splits_neither_character_nor_escape(void **state)
{
	static const char *const pieces[] = { "\xf0\x9f\x98\x80", "\xc3\xa9", "\\xFF" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (uint32_t shift = 0; shift < 4; shift++) {
			const size_t n = strlen(pieces[i]);
			struct event ev = sized_event(sizeof(many) - 4);
			uint32_t length;
			char *text;

			memset(many, 'm', shift);
			for (size_t at = shift; at + n <= sizeof(many); at += n)
				memcpy(many + at, pieces[i], n);
			text = written_text(&ev, 4, &length);
			assert_string_equal(text + length - 3, "...");
			assert_int_equal((length - 3 - shift) % n, 0);
			assert_memory_equal(text + length - 3 - n, pieces[i], n);
			free(text);
		}
	}
}

static void what_is_no_text_becomes_the_replacement_character(void **state)
{
	static const struct { const char *bytes; uint32_t length; const char *text; } cases[] = {
		{ "a\0b", 3, "a\xef\xbf\xbd" "b" },
		{ "a\x01" "b", 3, "a\xef\xbf\xbd" "b" },
		{ "a\xff", 2, "a\xef\xbf\xbd" },
		{ "\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xef\xbf\xbe", 3, "\xef\xbf\xbd" },
		{ "0123456789abcdef\x1f" "0123456789abcdef", 33, "0123456789abcdef\xef\xbf\xbd" "0123456789abcdef" },
		{ "", 0, "-" },
		{ "\t\r\n", 3, "\t\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct event ev = sized_event(0);
		uint32_t length;
		char *text;

		ev.values[4] = (struct value){ .text = cases[i].bytes, .length = cases[i].length };
		text = written_text(&ev, 4, &length);
		assert_string_equal(text, cases[i].text);
		free(text);
	}
}

/* ---- headers and templates ------------------------------------------------------------------------ */

static void header_and_sums_hold_after_every_event(void **state)
{
	static struct random_events random = { .state = 3 };
	static const uint8_t zeroes[EVTX_CHUNK_SIZE];
	struct evtx_writer *w = new_writer(&host);
	uint64_t first = 12345;

	(void)state;
	for (uint64_t id = first; evtx_writer_append(w, random_event(&random), id, 0) == 0; id++) {
		const uint8_t *chunk = evtx_writer_seal(w);
		struct evtx_chunk_header h;

		assert_int_equal(evtx_chunk_header_read(chunk, &h), 0);
		assert_int_equal(evtx_chunk_data_ok(chunk, &h), 1);
		assert_int_equal(h.first_id, first);
		assert_int_equal(h.last_id, id);
		assert_int_equal(h.free_offset, evtx_writer_used(w));
		assert_int_equal(h.flags, 1);
		assert_int_equal(le64_get(chunk + h.last_record_offset + 8), id);
		assert_int_equal(le32_get(chunk + h.free_offset - 4), h.free_offset - h.last_record_offset);
		assert_memory_equal(chunk + h.free_offset, zeroes, EVTX_CHUNK_SIZE - h.free_offset);
	}
	evtx_writer_free(w);
}

static void ids_in_a_chunk_are_consecutive(void **state)
{
	struct evtx_writer *w = new_writer(&host);
	struct event ev = sized_event(10);

	(void)state;
	assert_int_equal(evtx_writer_append(w, &ev, 5, 0), 0);
	assert_int_equal(evtx_writer_append(w, &ev, 7, 0), -EINVAL);
	assert_int_equal(evtx_writer_append(w, &ev, 5, 0), -EINVAL);
	assert_int_equal(evtx_writer_append(w, &ev, 6, 0), 0);
	assert_int_equal(evtx_writer_count(w), 2);
	evtx_writer_free(w);
}

static void template_ids_are_stable_distinct_and_follow_the_host(void **state)
{
	const struct evtx_identity other = { "host02", 1, 1, 0, false };
	struct evtx_guids a, b;
	char text[40];

	(void)state;
	evtx_guids_derive(&host, &a);
	evtx_guids_derive(&other, &b);
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++) {
		assert_memory_equal(&a.inner[i], &b.inner[i], sizeof(a.inner[i]));
		assert_int_not_equal(le32_get(a.inner[i].byte), 0);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(le32_get(a.inner[i].byte), le32_get(a.inner[k].byte));
	}
	assert_memory_not_equal(&a.outer, &b.outer, sizeof(a.outer));
	guid_text(&a.outer, text);
	assert_string_equal(text, "{9a79f606-e24c-8116-b8df-c4c6bc7c8456}");
}

static uint32_t sum_of_templates(bool context)
{
	const struct evtx_identity who = { "host01", 700, 701, 0, context };
	struct evtx_templates t;
	struct evtx_guids guids;
	uint32_t sum = 0;

	evtx_guids_derive(&who, &guids);
	assert_int_equal(evtx_templates_init(&t, &who, &guids, 100), 0);
	sum = evtx_crc(sum, t.outer.bytes, t.outer.length);
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++) {
		sum = evtx_crc(sum, t.first[i].bytes, t.first[i].length);
		sum = evtx_crc(sum, t.later[i].bytes, t.later[i].length);
	}
	evtx_templates_done(&t);
	return sum;
}

/* Readers match runs of fields. A change of Sysmon's schema changes this number; Context must not. */
static void templates_are_those_of_the_schema_unless_context_is_switched_on(void **state)
{
	(void)state;
	assert_int_equal(sum_of_templates(false), 0xf5386e10);
	assert_int_not_equal(sum_of_templates(true), 0xf5386e10);
}

static void the_user_is_a_sid(void **state)
{
	const struct evtx_identity who = { "h", 1, 2, 1000, false };
	struct evtx_writer *w = new_writer(&who);
	struct evtx_reader *r = new_reader();
	struct event ev = sized_event(10);
	struct evtx_record rec;

	(void)state;
	assert_int_equal(evtx_writer_append(w, &ev, 1, 0), 0);
	assert_int_equal(evtx_writer_append(w, &ev, 2, 0), 0);
	assert_int_equal(evtx_reader_begin(r, evtx_writer_seal(w), NULL), 0);
	assert_int_equal(evtx_reader_next(r, &rec, NULL), 1);
	assert_int_equal(evtx_reader_next(r, &rec, NULL), 1);
	assert_string_equal(rec.user_id, "S-1-22-1-1000");
	assert_string_equal(rec.computer, "h");
	evtx_reader_free(r);
	evtx_writer_free(w);
}

static void a_host_name_must_be_text(void **state)
{
	static const char *const bad[] = { "", "a\xff", "a\nb", "\xed\xa0\x80" };
	char name[COMPUTER_MAX + 2];
	struct evtx_identity who = { name, 1, 2, 0, false };
	struct evtx_writer *w = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		who.computer = bad[i];
		assert_int_equal(evtx_writer_new(&who, &w, NULL), -EINVAL);
	}
	memset(name, 'h', sizeof(name));
	name[COMPUTER_MAX + 1] = 0;
	who.computer = name;
	assert_int_equal(evtx_writer_new(&who, &w, NULL), -EINVAL);
	assert_null(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_comes_back_as_it_was_written),
		cmocka_unit_test(a_chunk_is_filled_to_the_last_byte_and_not_beyond),
		cmocka_unit_test(a_refused_event_changes_nothing),
		cmocka_unit_test(only_the_longest_strings_are_cut_and_they_are_marked),
		cmocka_unit_test(two_long_strings_share_what_there_is),
		cmocka_unit_test(the_largest_event_of_every_type_fits_an_empty_chunk),
		cmocka_unit_test(a_cut_splits_neither_character_nor_escape),
		cmocka_unit_test(what_is_no_text_becomes_the_replacement_character),
		cmocka_unit_test(header_and_sums_hold_after_every_event),
		cmocka_unit_test(ids_in_a_chunk_are_consecutive),
		cmocka_unit_test(template_ids_are_stable_distinct_and_follow_the_host),
		cmocka_unit_test(templates_are_those_of_the_schema_unless_context_is_switched_on),
		cmocka_unit_test(the_user_is_a_sid),
		cmocka_unit_test(a_host_name_must_be_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

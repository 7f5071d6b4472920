/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/base/own.h"
#include "../../src/evtx/writer.h"
#include "../../src/hunt/hunt.h"
#include "../../src/hunt/view.h"

/* --- a log to look at: what the daemon's log would write, but with every step in the test's hand */

#define SECOND UINT64_C(1000000000)
#define EPOCH  (UINT64_C(1795490000) * SECOND) /* 2026-11-24 03:13:20: record n happens n seconds later */

struct made {
	char path[40];
	int fd;
	struct evtx_writer *writer;
	uint64_t next_id;
	uint64_t last_slot;
};

static void make(struct made *m)
{
	const struct evtx_identity who = { .computer = "host", .process_id = 1, .thread_id = 1 };

	strcpy(m->path, "/tmp/konseki-hunt-test-XXXXXX");
	m->fd = mkstemp(m->path);
	assert_true(m->fd >= 0);
	assert_int_equal(evtx_writer_new(&who, &m->writer, NULL), 0);
	evtx_writer_begin(m->writer);
	m->next_id = 1;
	m->last_slot = 0;
}

static void unmake(struct made *m)
{
	evtx_writer_free(m->writer);
	close(m->fd);
	unlink(m->path);
}

static void put_text(struct event *ev, const char *field, const char *text)
{
	int i = event_field_index(ev->type, field, strlen(field));

	assert_true(i >= 0);
	ev->values[i] = (struct value){ .text = text, .length = (uint32_t)strlen(text) };
}

static void append(struct made *m, const char *file)
{
	struct event ev = { .type = event_type_by_id(11), .time_utc_ns = EPOCH + m->next_id * SECOND };

	put_text(&ev, "Image", m->next_id % 2 ? "/usr/bin/odd" : "/usr/bin/even");
	put_text(&ev, "TargetFilename", file);
	ev.values[event_field_index(ev.type, "ProcessId", 9)].number = m->next_id % 3;
	assert_int_equal(evtx_writer_append(m->writer, &ev, m->next_id, ev.time_utc_ns), 0);
	m->next_id++;
}

static void write_header(struct made *m, uint64_t first, uint16_t count, uint32_t flags)
{
	const struct evtx_file_header h = { .first_chunk = first, .last_chunk = m->last_slot, .next_record_id = m->next_id,
					    .minor = 1, .major = 3, .chunk_count = count, .flags = flags };
	uint8_t head[4096] = { 0 };

	evtx_file_header_write(&h, head);
	assert_int_equal(pwrite(m->fd, head, sizeof(head), 0), sizeof(head));
}

/* Puts the chunk as it is now into a slot. */
static void publish(struct made *m, uint64_t slot)
{
	m->last_slot = slot;
	assert_int_equal(pwrite(m->fd, evtx_writer_seal(m->writer), EVTX_CHUNK_SIZE,
				(off_t)(EVTX_FILE_HEADER_SIZE + slot * EVTX_CHUNK_SIZE)), EVTX_CHUNK_SIZE);
}

/* A chunk of n records in a slot of its own. */
static void put_chunk(struct made *m, uint64_t slot, unsigned n)
{
	char file[40];

	evtx_writer_begin(m->writer);
	while (n-- > 0) {
		snprintf(file, sizeof(file), "/tmp/File%llu", (unsigned long long)m->next_id);
		append(m, file);
	}
	publish(m, slot);
}

/* A ring of three slots that went round: ids 3-4 in slot 1, 5-6 in slot 2, 7-8 in slot 0. */
static void make_ring(struct made *m)
{
	make(m);
	put_chunk(m, 0, 2);
	put_chunk(m, 1, 2);
	put_chunk(m, 2, 2);
	put_chunk(m, 0, 2);
	write_header(m, 1, 3, 0);
}

/* --- what is shown of it */

struct hearing {
	unsigned count;
	char text[4000];
};

static void hear(void *self, const char *text)
{
	struct hearing *h = self;

	h->count++;
	strncat(h->text, text, sizeof(h->text) - strlen(h->text) - 1);
	strncat(h->text, "\n", sizeof(h->text) - strlen(h->text) - 1);
}

/* The ids that `show` prints, in its order: "7 8 ". */
static void ids_shown(const char *text, char *out, size_t size)
{
	size_t n = 0;

	out[0] = 0;
	for (const char *p = text; (p = strstr(p, "\"EventRecordID\":"));) {
		p += strlen("\"EventRecordID\":");
		n += (size_t)snprintf(out + n, size - n, "%lu ", strtoul(p, NULL, 10));
	}
}

static void view_ids(const struct made *m, struct view v, struct hearing *h, char *out, size_t size)
{
	const struct fault_listener listener = { hear, h };
	OWNED(filter) everything = filter_new();
	OWNED_HEAP char *text = NULL;
	OWNED(logfile) l = NULL;
	struct err e = { 0 };
	size_t n;

	v.form = RENDER_JSON;
	v.to = open_memstream(&text, &n);
	v.filter = v.filter ? v.filter : everything;
	if (logfile_open(m->path, &listener, &l, &e) < 0 || view_log(l, &v, &e) < 0)
		fail_msg("%s", e.text);
	fclose(v.to);
	ids_shown(text, out, size);
}

static void a_ring_is_shown_in_the_order_it_was_written(void **state)
{
	static const struct { bool oldest_first; uint64_t count; const char *ids; } cases[] = {
		{ true, 0, "3 4 5 6 7 8 " },  { false, 0, "8 7 6 5 4 3 " }, { false, 3, "8 7 6 " },
		{ true, 3, "6 7 8 " },        { true, 100, "3 4 5 6 7 8 " }, { false, 1, "8 " },
	};
	struct made m;

	(void)state;
	make_ring(&m);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hearing h = { 0 };
		char ids[200];

		view_ids(&m, (struct view){ .oldest_first = cases[i].oldest_first, .count = cases[i].count }, &h, ids, sizeof(ids));
		assert_string_equal(ids, cases[i].ids);
		assert_int_equal(h.count, 0);
	}
	unmake(&m);
}

typedef int narrow(struct filter *, const char *, struct err *);

static const struct { narrow *how; const char *what, *ids; } filter_cases[] = {
	{ filter_ids, "11", "8 7 6 5 4 3 " },
	{ filter_ids, "1,10-12", "8 7 6 5 4 3 " },
	{ filter_ids, "1,12", "" },
	{ filter_process, "/usr/bin/odd", "7 5 3 " },
	{ filter_process, "ODD", "7 5 3 " },
	{ filter_process, "dd", "" },
	{ filter_process, "0", "6 3 " },
	{ filter_process, "{00000000-0000-0000-0000-000000000000}", "8 7 6 5 4 3 " },
	{ filter_where, "Image end with /EVEN", "8 6 4 " },
	{ filter_where, "image is /usr/bin/even", "8 6 4 " },
	{ filter_where, "TargetFilename contains any file3;FILE8", "8 3 " },
	{ filter_where, "ProcessId is 1", "7 4 " },
	{ filter_where, "Hashes is -", "" },
	{ filter_where, "Computer is HOST", "8 7 6 5 4 3 " },
	{ filter_where, "Computer is other", "" },
	{ filter_find, "le5", "5 " },
	{ filter_find, "", "8 7 6 5 4 3 " },
	{ filter_since, "2026-11-24 03:13:26", "8 7 6 " },
	{ filter_since, "2026-11-24T03:13:25.000000001Z", "8 7 6 " },
	{ filter_until, "2026-11-24 03:13:25", "4 3 " },
	{ filter_since, "2026-11-24 05:00", "" },
};

static void a_filter_lets_through_what_was_asked_for(void **state)
{
	struct made m;

	(void)state;
	make_ring(&m);
	for (size_t i = 0; i < ARRAY_SIZE(filter_cases); i++) {
		OWNED(filter) f = filter_new();
		struct hearing h = { 0 };
		struct err e = { 0 };
		char ids[200];

		if (filter_cases[i].how(f, filter_cases[i].what, &e) < 0)
			fail_msg("'%s': %s", filter_cases[i].what, e.text);
		view_ids(&m, (struct view){ .filter = f }, &h, ids, sizeof(ids));
		if (strcmp(ids, filter_cases[i].ids) != 0)
			fail_msg("'%s' shows %s", filter_cases[i].what, ids);
	}
	unmake(&m);
}

static void all_conditions_must_hold(void **state)
{
	OWNED(filter) f = filter_new();
	struct hearing h = { 0 };
	struct made m;
	char ids[200];

	(void)state;
	make_ring(&m);
	assert_int_equal(filter_process(f, "odd", NULL), 0);
	assert_int_equal(filter_where(f, "ProcessId is not 0", NULL), 0);
	assert_int_equal(filter_until(f, "2026-11-24 03:13:27", NULL), 0);
	view_ids(&m, (struct view){ .filter = f }, &h, ids, sizeof(ids));
	assert_string_equal(ids, "5 ");
	unmake(&m);
}

static void values_of_other_programs_may_be_empty_or_without_a_name(void **state)
{
	static const struct { const char *where; bool passes; } cases[] = {
		{ "Empty is ", true }, { "Empty is not ", false }, { "Empty contains x", false },
		{ "Empty end with ", true }, { "Other is x", false },
	};
	static const struct evtx_data data[] = { { "Empty", "", 0, 1 }, { "", "nameless", 8, 1 } };
	struct evtx_record rec = { .computer = "", .channel = "", .provider_name = "", .user_id = "",
					 .data_count = 2, .data = data };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWNED(filter) f = filter_new();

		assert_int_equal(filter_where(f, cases[i].where, NULL), 0);
		if (filter_passes(f, NULL, &rec) != cases[i].passes)
			fail_msg("'%s'", cases[i].where);
	}
}

static const struct { narrow *how; const char *what; } refused[] = {
	{ filter_ids, "" },         { filter_ids, "1," },       { filter_ids, ",1" },
	{ filter_ids, "a" },        { filter_ids, "5-3" },      { filter_ids, "1-" },
	{ filter_ids, "70000" },    { filter_ids, "-1" },       { filter_process, "" },
	{ filter_where, "Image" },  { filter_where, "Image like /ls" }, { filter_where, "" },
	{ filter_where, " is x" },  { filter_since, "yesterday" }, { filter_since, "2026-13-01" },
	{ filter_until, "03:14" },  { filter_since, "" },       { filter_since, "5 m" },
	{ filter_since, "99999999999999999999d" }, { filter_since, "2026-11-24 03:14:17 CET" },
};

static void what_is_no_filter_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		OWNED(filter) f = filter_new();
		struct err e = { 0 };

		if (refused[i].how(f, refused[i].what, &e) == 0 || !e.text[0])
			fail_msg("'%s' is accepted", refused[i].what);
	}
}

static void times_are_utc_or_so_long_ago(void **state)
{
	static const struct { const char *text; uint64_t utc_ns; } cases[] = {
		{ "2026-11-24", UINT64_C(1795478400) * SECOND },
		{ "2026-11-24Z", UINT64_C(1795478400) * SECOND },
		{ "2026-11-24 03:14", UINT64_C(1795490040) * SECOND },
		{ "2026-11-24 03:14:17", UINT64_C(1795490057) * SECOND },
		{ "2026-11-24T03:14:17.123456789Z", UINT64_C(1795490057123456789) },
		{ "2026-11-24T03:14:17.5", UINT64_C(1795490057500000000) },
		{ "2026-11-24T03:14:17.1234567899", UINT64_C(1795490057123456789) },
		{ "90s", EPOCH - 90 * SECOND },
		{ "10m", EPOCH - 600 * SECOND },
		{ "2h", EPOCH - 7200 * SECOND },
		{ "3d", EPOCH - 3 * 86400 * SECOND },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t utc_ns = 0;

		assert_int_equal(time_from_text(cases[i].text, EPOCH, &utc_ns, NULL), 0);
		assert_int_equal(utc_ns, cases[i].utc_ns);
	}
}

/* --- damage */

static void spoil(const struct made *m, uint64_t slot, unsigned offset, const char *bytes, size_t n)
{
	assert_int_equal(pwrite(m->fd, bytes, n, (off_t)(EVTX_FILE_HEADER_SIZE + slot * EVTX_CHUNK_SIZE + offset)), n);
}

static const struct { unsigned slot, offset; const char *bytes; const char *ids, *said; } damages[] = {
	{ 1, 700, "\xff\xff", NULL, "chunk 1" },            /* inside a record: its chunk's sum is wrong */
	{ 1, 0, "ElfChnx", "5 6 7 8 ", "slot 1 holds something that is no chunk" },
	{ 2, 60, "\x01", "3 4 5 6 7 8 ", "chunk 2: the checksum of its header is wrong" },
	{ 1, 512, "\x2b\x2b", "4 5 6 7 8 ", "chunk 1" },    /* the first record is none */
};

static void damage_is_named_and_the_rest_shown(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		struct hearing h = { 0 };
		struct made m;
		char ids[200];

		make_ring(&m);
		spoil(&m, damages[i].slot, damages[i].offset, damages[i].bytes, strlen(damages[i].bytes));
		view_ids(&m, (struct view){ .oldest_first = true }, &h, ids, sizeof(ids));
		if (damages[i].ids ? strcmp(ids, damages[i].ids) != 0 : !strstr(ids, "5 6 7 8 "))
			fail_msg("damage %zu shows %s", i, ids);
		if (!strstr(h.text, damages[i].said))
			fail_msg("damage %zu says %s", i, h.text);
		unmake(&m);
	}
}

static void a_file_header_that_is_wrong_hides_nothing(void **state)
{
	struct hearing h = { 0 };
	struct made m;
	char ids[200];

	(void)state;
	make_ring(&m);
	assert_int_equal(pwrite(m.fd, "garbage!", 8, 0), 8);
	view_ids(&m, (struct view){ .oldest_first = true }, &h, ids, sizeof(ids));
	assert_string_equal(ids, "3 4 5 6 7 8 ");
	assert_string_equal(h.text, "the file header is damaged\n");
	unmake(&m);
}

/* Windows writes files with more chunks than the 16 bits of the header can count. */
static void chunks_are_found_wherever_the_file_has_room(void **state)
{
	struct hearing h = { 0 };
	struct made m;
	char ids[200];

	(void)state;
	make(&m);
	put_chunk(&m, 0, 2);
	put_chunk(&m, EVTX_CHUNKS_MAX + 5, 2);
	write_header(&m, 0, 2, 0);
	view_ids(&m, (struct view){ .oldest_first = true }, &h, ids, sizeof(ids));
	assert_string_equal(ids, "1 2 3 4 ");
	unmake(&m);
}

static void a_chunk_cut_short_is_read_as_far_as_it_goes(void **state)
{
	struct hearing h = { 0 };
	struct made m;
	char ids[200];

	(void)state;
	make(&m);
	put_chunk(&m, 0, 2);
	put_chunk(&m, 1, 2);
	write_header(&m, 0, 2, 0);
	assert_int_equal(ftruncate(m.fd, EVTX_FILE_HEADER_SIZE + EVTX_CHUNK_SIZE + 30000), 0);
	view_ids(&m, (struct view){ .oldest_first = true }, &h, ids, sizeof(ids));
	assert_string_equal(ids, "1 2 3 4 ");
	unmake(&m);
}

static void what_is_no_event_log_is_refused_and_an_empty_file_is_an_empty_log(void **state)
{
	struct hearing h = { 0 };
	const struct fault_listener listener = { hear, &h };
	OWNED(logfile) l = NULL;
	struct err e = { 0 };
	struct made m;
	char ids[200];

	(void)state;
	make(&m);
	view_ids(&m, (struct view){ 0 }, &h, ids, sizeof(ids));
	assert_string_equal(ids, "");
	assert_int_equal(write(m.fd, "<Sysmon/>", 9), 9);
	assert_true(logfile_open(m.path, &listener, &l, &e) < 0);
	assert_string_equal(e.text, "this is no event log (.evtx)");
	assert_true(logfile_open("/tmp", &listener, &l, &e) < 0);
	assert_true(logfile_open("/nonexistent.evtx", &listener, &l, &e) < 0);
	unmake(&m);
}

static void one_record_is_found_by_its_id(void **state)
{
	struct hearing h = { 0 };
	const struct fault_listener listener = { hear, &h };
	OWNED_HEAP char *text = NULL;
	OWNED(filter) none = filter_new();
	struct view v = { .form = RENDER_FULL, .filter = none };
	OWNED(logfile) l = NULL;
	struct err e;
	struct made m;
	size_t n;

	(void)state;
	make_ring(&m);
	assert_int_equal(filter_ids(none, "1", NULL), 0);
	v.to = open_memstream(&text, &n);
	assert_int_equal(logfile_open(m.path, &listener, &l, &e), 0);
	assert_int_equal(view_newest(l), 8);
	assert_int_equal(view_record(l, 6, &v, &e), 1);
	assert_int_equal(view_record(l, 2, &v, &e), 0);
	assert_int_equal(view_record(l, 9, &v, &e), 0);
	fclose(v.to);
	assert_non_null(strstr(text, "\nRecord ID:     6\nTask Category: File created (rule: FileCreate)\n"));
	assert_non_null(strstr(text, "\nTargetFilename: /tmp/File6\n"));
	unmake(&m);
}

/* --- following */

/* A follower in a process of its own, as the daemon has it; ids come through a pipe. */
struct following {
	pid_t pid;
	FILE *shown;
	int stop;
	char said[40];
};

static void follow(const struct made *m, uint64_t after, struct following *f)
{
	int shown[2], stop[2], said;

	strcpy(f->said, "/tmp/konseki-hunt-said-XXXXXX");
	said = mkstemp(f->said);
	assert_true(said >= 0);
	assert_int_equal(pipe(shown), 0);
	assert_int_equal(pipe(stop), 0);
	fflush(NULL);
	f->pid = fork();
	if (f->pid == 0) {
		dup2(shown[1], STDOUT_FILENO);
		dup2(said, STDERR_FILENO);
		close(shown[0]);
		close(stop[1]);
		_exit(hunt_follow(m->fd, after, SHOW_JSON, false, stop[0]) == 0 ? 0 : 1);
	}
	close(shown[1]);
	close(stop[0]);
	close(said);
	f->shown = fdopen(shown[0], "r");
	f->stop = stop[1];
}

/* Waits for the next record that is shown. */
static uint64_t next_shown(struct following *f)
{
	char line[4000], ids[40];

	if (!fgets(line, sizeof(line), f->shown))
		return 0;
	ids_shown(line, ids, sizeof(ids));
	return strtoul(ids, NULL, 10);
}

/* Stops the follower, which first shows what is left: expects these ids, and what it said. */
static void expect_rest(struct following *f, uint64_t first, uint64_t last, const char *said)
{
	char text[400] = "";
	FILE *from;
	int status;

	close(f->stop);
	for (uint64_t id = first; id <= last; id++)
		assert_int_equal(next_shown(f), id);
	assert_int_equal(next_shown(f), 0);
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	assert_int_equal(status, 0);
	fclose(f->shown);
	from = fopen(f->said, "r");
	text[fread(text, 1, sizeof(text) - 1, from)] = 0;
	fclose(from);
	unlink(f->said);
	assert_string_equal(text, said);
}

static void a_follower_shows_each_record_once_also_over_the_ends_of_chunks_and_ring(void **state)
{
	struct following f;
	struct made m;

	(void)state;
	make(&m);
	follow(&m, hunt_newest(m.fd), &f); /* the file is still empty */
	write_header(&m, 0, 1, EVTX_FILE_DIRTY);
	append(&m, "/one");
	publish(&m, 0);
	assert_int_equal(next_shown(&f), 1);
	append(&m, "/two");
	append(&m, "/three");
	publish(&m, 0);
	assert_int_equal(next_shown(&f), 2);
	assert_int_equal(next_shown(&f), 3);
	put_chunk(&m, 1, 2);
	write_header(&m, 0, 2, EVTX_FILE_DIRTY);
	assert_int_equal(next_shown(&f), 4);
	put_chunk(&m, 2, 2);
	write_header(&m, 0, 3, EVTX_FILE_DIRTY);
	for (uint64_t id = 5; id <= 7; id++)
		assert_int_equal(next_shown(&f), id);
	put_chunk(&m, 0, 3); /* the ring goes round */
	write_header(&m, 1, 3, EVTX_FILE_DIRTY);
	expect_rest(&f, 8, 10, "");
	unmake(&m);
}

static void a_follower_begins_behind_what_was_there(void **state)
{
	struct following f;
	struct made m;

	(void)state;
	make_ring(&m);
	assert_int_equal(hunt_newest(m.fd), 8);
	follow(&m, 8, &f);
	put_chunk(&m, 1, 2);
	write_header(&m, 2, 3, EVTX_FILE_DIRTY);
	expect_rest(&f, 9, 10, "");
	unmake(&m);
}

static void records_overwritten_unseen_are_said(void **state)
{
	struct following f;
	struct made m;

	(void)state;
	make_ring(&m);
	follow(&m, 1, &f); /* the ring holds 3 to 8 */
	expect_rest(&f, 3, 8, "konseki: 1 records were overwritten or damaged before they could be shown\n");
	unmake(&m);
}

/* On a terminal, from the second second on, and gone afterwards. */
static void a_bar_shows_how_far_something_long_is(void **state)
{
	struct progress p;
	char drawn[200] = "";
	int saved = dup(STDERR_FILENO), ends[2];

	(void)state;
	progress_begin(&p);
	p.wanted = true; /* as if there were a terminal */
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	progress_step(&p, 1, 4); /* no second has passed */
	p.begun_ns -= UINT64_C(3000000000);
	p.next_ns -= UINT64_C(3000000000);
	progress_step(&p, 3, 4);
	progress_step(&p, 3, 4); /* not drawn again at once */
	progress_end(&p);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	assert_true(read(ends[0], drawn, sizeof(drawn) - 1) > 0);
	assert_string_equal(drawn, "[##############################          ]  75 %, 1 s left \r\r\033[K");
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_is_shown_in_the_order_it_was_written),
		cmocka_unit_test(a_filter_lets_through_what_was_asked_for),
		cmocka_unit_test(all_conditions_must_hold),
		cmocka_unit_test(values_of_other_programs_may_be_empty_or_without_a_name),
		cmocka_unit_test(what_is_no_filter_is_refused),
		cmocka_unit_test(times_are_utc_or_so_long_ago),
		cmocka_unit_test(damage_is_named_and_the_rest_shown),
		cmocka_unit_test(a_file_header_that_is_wrong_hides_nothing),
		cmocka_unit_test(chunks_are_found_wherever_the_file_has_room),
		cmocka_unit_test(a_chunk_cut_short_is_read_as_far_as_it_goes),
		cmocka_unit_test(what_is_no_event_log_is_refused_and_an_empty_file_is_an_empty_log),
		cmocka_unit_test(one_record_is_found_by_its_id),
		cmocka_unit_test(a_follower_shows_each_record_once_also_over_the_ends_of_chunks_and_ring),
		cmocka_unit_test(a_follower_begins_behind_what_was_there),
		cmocka_unit_test(records_overwritten_unseen_are_said),
		cmocka_unit_test(a_bar_shows_how_far_something_long_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

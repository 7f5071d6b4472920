/* SPDX-License-Identifier: MIT */
/* Copies, up to the sink: one of our own that takes, refuses and forgets as each test wants it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include "../../src/evtx/reader.h"
#include "../../src/forward/forwarder.h"
#include "../../src/log/log.h"
#include "../../src/log/seal_copy.h"
#include "../../src/log/verify.h"
#include "../known_text.h"

#define SLOTS(n) (EVTX_FILE_HEADER_SIZE + (uint64_t)(n) * EVTX_CHUNK_SIZE)
#define MANY     4000u

/* --- the sink */

struct taken {
	enum batch_kind kind;
	uint64_t first_id, last_id;
	unsigned count;
	char nonce[NONCE_SIZE], log[20];
	uint8_t sha256[32];
	bool doubtful;
	uint8_t *body, *seals;
	size_t size, seals_size;
};

static struct {
	struct taken taken[MANY];
	unsigned count;
	unsigned tries;
	enum form form;
	unsigned fails;        /* so many tries, before one is taken */
	bool doubtful;         /* they are */
	unsigned confirms;     /* items, with each of those */
	uint64_t refuses;      /* a batch with this record */
	unsigned stops_after;  /* tries: then the service ends */
	int stop;              /* the other end of `until` */
} fake;

static enum form form_of(const struct forward_target *t)
{
	(void)t;
	return fake.form;
}

static int check(const struct forward_target *t, struct err *e)
{
	(void)t;
	(void)e;
	return 0;
}

static const struct identity *whose;

static uint8_t *copy(const void *bytes, size_t n)
{
	uint8_t *c = malloc(n + 1);

	memcpy(c, bytes, n);
	c[n] = 0;
	return c;
}

static void keep(const struct batch *b)
{
	struct taken *t = &fake.taken[fake.count++];

	assert_true(fake.count < MANY);
	*t = (struct taken){ .kind = b->kind, .first_id = b->first_id, .last_id = b->last_id, .count = b->count,
			     .doubtful = b->doubtful, .size = b->size, .body = copy(b->body, b->size),
			     .seals_size = b->seals_size, .seals = b->seals ? copy(b->seals, b->seals_size) : NULL };
	memcpy(t->nonce, b->nonce, NONCE_SIZE);
	memcpy(t->sha256, b->sha256, sizeof(t->sha256));
	snprintf(t->log, sizeof(t->log), "%s", whose->log);
}

static void send_fake(struct sink *s, const struct batch *b, struct answer *a)
{
	(void)s;
	if (b->kind == BATCH_HEARTBEAT) {
		keep(b);
		return;
	}
	if (++fake.tries == fake.stops_after && fake.stop >= 0)
		close(MOVE_FD(fake.stop));
	if (fake.fails) {
		fake.fails--;
		*a = (struct answer){ .outcome = SINK_RETRY, .doubtful = fake.doubtful, .confirmed = fake.confirms,
				      .text = "not now" };
	} else if (b->kind == BATCH_EVENTS && fake.refuses >= b->first_id && fake.refuses <= b->last_id) {
		*a = (struct answer){ .outcome = SINK_REFUSED, .text = "poison" };
	} else {
		keep(b);
	}
}

static struct sink_row row = { .name = "fake", .form = form_of, .check = check, .send = send_fake };
static const struct forward_target target = { .name = "fake", .row = &row, .to = "here" };

static void forget(void)
{
	for (unsigned i = 0; i < fake.count; i++) {
		free(fake.taken[i].body);
		free(fake.taken[i].seals);
	}
	fake.count = fake.tries = fake.fails = 0;
	fake.doubtful = false;
	fake.confirms = 0;
	fake.refuses = 0;
	fake.stops_after = 0;
}

/* --- the log */

static char folder[64];
static char path[96], seals_path[128], key_path[96], mark_path[96];
static uint8_t secret[SEAL_SECRET] = { 1, 2, 3 };

static struct log *open_log_at(const char *where, uint64_t slots, uint64_t next_id, uint64_t generation)
{
	struct log_options o = { .size_max = SLOTS(slots), .who = { "host01", 700, 701, 0 }, .next_id = next_id,
				 .generation = generation };
	char seals[140];
	struct log *l = NULL;
	struct err e = { 0 };

	snprintf(seals, sizeof(seals), "%s.seal", where);
	o.seal.on = access(key_path, F_OK) == 0;
	if (o.seal.on) {
		o.seal.fd = open(seals, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		o.seal.key_fd = open(key_path, O_RDWR | O_CLOEXEC);
	}
	if (log_open_take(open(where, O_RDWR | O_CREAT | O_CLOEXEC, 0600), &o, &l, &e) < 0)
		fail_msg("%s", e.text);
	return l;
}

static void append_unsynced(struct log *l, unsigned count)
{
	char text[2100];

	for (unsigned i = 0; i < count; i++) {
		struct event ev = { .type = event_type_by_id(5), .time_utc_ns = 1700000000000000000u };
		uint64_t id = log_next_id(l);

		for (unsigned k = 0; k < ev.type->field_count; k++)
			ev.values[k] = (struct value){ .text = "-", .length = 1, .number = id };
		ev.values[4] = (struct value){ .text = text, .length = known_text(id, text) };
		assert_int_equal(log_append(l, &ev, &id), 0);
	}
	assert_int_equal(log_flush(l, 0), 0);
}

static void append_to(struct log *l, unsigned count)
{
	append_unsynced(l, count);
	assert_int_equal(log_flush(l, 1), 0);
}

static void close_log(struct log *l)
{
	assert_int_equal(log_close(l, NULL), 0);
	log_free(l);
}

static void write_log(unsigned count)
{
	struct log *l = open_log_at(path, 16, 0, 0);

	append_to(l, count);
	close_log(l);
}

static void make_key(void)
{
	uint8_t sector[SEAL_KEY_SECTOR];
	struct seal_key k;
	int fd = open(key_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(seal_crypto_begin(), 0);
	seal_key_from_secret(secret, &k);
	seal_key_write(&k, sector);
	assert_int_equal(pwrite(fd, sector, sizeof(sector), 0), sizeof(sector));
	close(fd);
}

/* --- a run: until all is sent and the service ends */

static struct forwarded shown;

static int run_files(const char *const *files, unsigned count)
{
	static struct identity identity;
	struct forwarder_start s = { .target = &target, .identity = &identity, .shown = &shown };
	char seals[160];
	struct err e = { 0 };
	int ends[2], r;

	identity = (struct identity){ .host = "4f7a0cfa", .computer = "host01", .boot = "b" };
	whose = &identity;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	s.until = ends[0];
	fake.stop = ends[1];
	if (!fake.stops_after)
		close(MOVE_FD(fake.stop));
	for (unsigned i = 0; i < count; i++) {
		snprintf(seals, sizeof(seals), "%s.seal", files[i]);
		s.files[i].log = open(files[i], O_RDONLY | O_CLOEXEC);
		s.files[i].seals = open(seals, O_RDONLY | O_CLOEXEC);
	}
	s.file_count = count;
	s.bookmark = open(mark_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	r = forwarder_run(&s, &e);
	if (r < 0)
		fail_msg("%s", e.text);
	for (unsigned i = 0; i < count; i++) {
		close(s.files[i].log);
		if (s.files[i].seals >= 0)
			close(s.files[i].seals);
	}
	close(s.bookmark);
	close(s.until);
	if (fake.stop >= 0)
		close(MOVE_FD(fake.stop));
	return r;
}

static int run(void)
{
	return run_files((const char *const[]){ path }, 1);
}

static int begin(void **state)
{
	(void)state;
	forget();
	fake.form = FORM_JSON;
	fake.stop = -1;
	row.raw_max = row.count_max = 0;
	row.named = true;
	snprintf(folder, sizeof(folder), "/tmp/konseki-forward-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/log.evtx", folder);
	snprintf(seals_path, sizeof(seals_path), "%s.seal", path);
	snprintf(key_path, sizeof(key_path), "%s/key", folder);
	snprintf(mark_path, sizeof(mark_path), "%s/mark", folder);
	return 0;
}

static int end(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	forget();
	return system(command);
}

/* --- what was taken */

/* All items, each record from `next` on exactly once, with its text. The id behind them. */
static uint64_t assert_items(uint64_t next)
{
	for (unsigned i = 0; i < fake.count; i++) {
		struct taken *t = &fake.taken[i];
		const char *at = (const char *)t->body;

		if (t->kind != BATCH_EVENTS)
			continue;
		assert_int_equal(t->first_id, next);
		for (unsigned k = 0; k < t->count; k++, next++) {
			char want[2300], text[2100];

			known_text(next, text);
			snprintf(want, sizeof(want), "\"EventRecordID\":%llu,", (unsigned long long)next);
			at = strstr(at, "{\"Origin\":{\"Host\":\"4f7a0cfa\",\"Log\":\"");
			assert_non_null(at);
			at = strstr(at, want);
			assert_non_null(at);
			snprintf(want, sizeof(want), "\"%s\"", text);
			at = strstr(at, want);
			assert_non_null(at);
		}
		assert_int_equal(t->last_id, next - 1);
	}
	return next;
}

static const struct taken *only(enum batch_kind kind)
{
	const struct taken *found = NULL;

	for (unsigned i = 0; i < fake.count; i++)
		if (fake.taken[i].kind == kind) {
			assert_null(found);
			found = &fake.taken[i];
		}
	assert_non_null(found);
	return found;
}

static void assert_says(const struct taken *t, const char *what)
{
	if (!strstr((const char *)t->body, what))
		fail_msg("'%s' does not say '%s'", (const char *)t->body, what);
}

/* --- tests */

static void each_record_is_sent_once_and_only_new_ones_later(void **state)
{
	(void)state;
	write_log(300);
	assert_int_equal(run(), 1);
	assert_int_equal(assert_items(1), 301);
	assert_int_equal(shown.confirmed, 300);
	assert_int_equal(shown.events, 300);
	forget();
	write_log(20);
	run();
	assert_int_equal(assert_items(301), 321);
}

static void what_was_overwritten_is_declared_before_what_follows(void **state)
{
	struct log *l;

	(void)state;
	write_log(100);
	run();
	forget();
	l = open_log_at(path, 4, 0, 0);
	append_to(l, 5000);
	close_log(l);
	run();
	assert_int_equal(fake.taken[0].kind, BATCH_GAP);
	assert_int_equal(fake.taken[0].first_id, 101);
	assert_true(fake.taken[0].last_id > 1000);
	assert_says(&fake.taken[0], "\"Gap\":{\"First\":101,");
	assert_says(&fake.taken[0], "\"EventID\":255,");
	assert_int_equal(assert_items(fake.taken[0].last_id + 1), 5101);
	assert_int_equal(shown.missing, fake.taken[0].last_id - 100);
}

static void a_batch_of_unknown_fate_is_sent_again_as_it_was(void **state)
{
	struct taken before;

	(void)state;
	fake.form = FORM_NDJSON;
	write_log(50);
	fake.fails = 1;
	fake.doubtful = true;
	fake.stops_after = 1;
	run();
	assert_int_equal(fake.count, 0);
	write_log(50); /* more has come meanwhile */
	fake.stops_after = 0;
	run();
	before = fake.taken[0];
	assert_int_equal(before.kind, BATCH_EVENTS);
	assert_true(before.doubtful);
	assert_int_equal(before.first_id, 1);
	assert_int_equal(before.last_id, 50);
	assert_int_equal(fake.taken[1].first_id, 51);
	assert_false(fake.taken[1].doubtful);
	assert_string_not_equal(fake.taken[1].nonce, before.nonce);
}

static void a_batch_of_unknown_fate_that_is_gone_may_have_arrived(void **state)
{
	struct log *l;

	(void)state;
	write_log(50);
	fake.fails = 1;
	fake.doubtful = true;
	fake.stops_after = 1;
	run();
	l = open_log_at(path, 4, 0, 0);
	append_to(l, 3000);
	close_log(l);
	fake.stops_after = 0;
	run();
	assert_int_equal(fake.taken[0].kind, BATCH_GAP);
	assert_int_equal(fake.taken[0].first_id, 1);
	assert_int_equal(fake.taken[0].last_id, 50);
	assert_says(&fake.taken[0], "may have arrived");
	assert_int_equal(fake.taken[1].kind, BATCH_GAP);
	assert_int_equal(fake.taken[1].first_id, 51);
	assert_int_equal(assert_items(fake.taken[1].last_id + 1), 3051);
}

static void what_is_confirmed_in_part_is_not_repeated(void **state)
{
	(void)state;
	write_log(50);
	fake.fails = 2;
	fake.confirms = 10;
	fake.stops_after = 3;
	run();
	assert_int_equal(fake.taken[0].first_id, 21);
	assert_int_equal(assert_items(21), 51);
	assert_int_equal(shown.events, 50);
}

static void one_record_that_is_refused_costs_only_itself(void **state)
{
	(void)state;
	write_log(200);
	fake.refuses = 77;
	run();
	for (unsigned i = 0; i < fake.count; i++)
		if (fake.taken[i].kind == BATCH_EVENTS)
			assert_true(fake.taken[i].last_id < 77 || fake.taken[i].first_id > 77);
	assert_int_equal(only(BATCH_GAP)->first_id, 77);
	assert_int_equal(only(BATCH_GAP)->last_id, 77);
	assert_says(only(BATCH_GAP), "poison");
	assert_int_equal(shown.events, 199);
	assert_int_equal(shown.missing, 1);
}

static void a_log_that_begins_anew_has_other_keys(void **state)
{
	char log_before[20];

	(void)state;
	write_log(30);
	run();
	snprintf(log_before, sizeof(log_before), "%s", fake.taken[0].log);
	forget();
	unlink(path);
	write_log(10);
	run();
	assert_int_equal(only(BATCH_GAP)->first_id, 31);
	assert_int_equal(only(BATCH_GAP)->last_id, 0);
	assert_string_equal(only(BATCH_GAP)->log, log_before);
	assert_string_not_equal(only(BATCH_EVENTS)->log, log_before);
	assert_int_equal(assert_items(1), 11);
}

static void a_log_that_was_put_back_is_told_of(void **state)
{
	char command[260];

	(void)state;
	write_log(30);
	snprintf(command, sizeof(command), "cp %s %s.old", path, path);
	assert_int_equal(system(command), 0);
	write_log(30);
	run();
	forget();
	snprintf(command, sizeof(command), "cp %s.old %s", path, path);
	assert_int_equal(system(command), 0);
	write_log(5); /* ids that were used */
	run();
	assert_says(only(BATCH_GAP), "The log does not hold any more what was sent of it");
	assert_int_equal(assert_items(36), 36);
	assert_int_equal(shown.confirmed, 35);
	forget();
	write_log(5);
	run();
	assert_int_equal(assert_items(36), 41);
	assert_int_equal(strlen(only(BATCH_EVENTS)->log), 18); /* other keys than those of the first records 36 to 40 */
}

static void archives_come_before_the_log(void **state)
{
	char archive[120];
	uint64_t generation;
	struct log *l;

	(void)state;
	snprintf(archive, sizeof(archive), "%s/log-20261124T031417Z.evtx", folder);
	l = open_log_at(archive, 16, 0, 0);
	append_to(l, 40);
	generation = log_generation(l);
	close_log(l);
	l = open_log_at(path, 16, 41, generation);
	append_to(l, 40);
	close_log(l);
	run_files((const char *const[]){ archive, path }, 2);
	assert_int_equal(assert_items(1), 81);
}

/* A file of chunks, as it was packed. */
static uint8_t *unpack(const struct taken *t, size_t *n)
{
	uint8_t *out;

	*n = 8u << 20;
	out = malloc(*n);
	*n = ZSTD_decompress(out, *n, t->body, t->size);
	assert_false(ZSTD_isError(*n));
	return out;
}

static int write_file(const char *where, const uint8_t *bytes, size_t n)
{
	int fd = open(where, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, bytes, n), n);
	return fd;
}

static void hear(void *self, bool alarm, const char *text)
{
	(void)self;
	if (alarm)
		fail_msg("%s", text);
}

static void ignore(void *self, bool alarm, const char *text)
{
	(void)self;
	(void)alarm;
	(void)text;
}

/* What the parts that were taken vouch for, all together. */
struct vouched {
	uint64_t id;     /* all records up to this one */
	uint64_t number; /* of the newest seal */
};

static void assert_part(const struct taken *t, struct vouched *v)
{
	const struct verify_listener listener = { .hear = hear };
	struct verify_input in = { 0 };
	struct verify_result result;
	char copy_path[120], copy_seals[140];
	struct err e = { 0 };
	size_t n;
	uint8_t *bytes = unpack(t, &n);

	assert_int_equal((n - EVTX_FILE_HEADER_SIZE) % EVTX_CHUNK_SIZE, 0);
	assert_true(n <= SLOTS(3));
	assert_non_null(t->seals);
	memcpy(in.secret, secret, sizeof(secret));
	snprintf(copy_path, sizeof(copy_path), "%s/copy.evtx", folder);
	snprintf(copy_seals, sizeof(copy_seals), "%s.seal", copy_path);
	in.log = write_file(copy_path, bytes, n);
	in.seals = write_file(copy_seals, t->seals, t->seals_size);
	assert_int_equal(log_verify(&in, &listener, &result, &e), 0);
	assert_true(result.part);
	/* None between two parts is left out: neither a record nor a seal. */
	assert_true(result.first_id <= v->id + 1);
	assert_true(result.first_number <= v->number + 1);
	assert_true(result.last_id <= t->last_id);
	*v = (struct vouched){ result.last_id, result.last_number };
	/* One that was altered shows. */
	bytes[SLOTS(0) + 700] ^= 1;
	close(in.log);
	in.log = write_file(copy_path, bytes, n);
	assert_int_equal(log_verify(&in, &(struct verify_listener){ .hear = ignore }, &result, &e), 0);
	assert_true(result.alarms);
	close(in.log);
	close(in.seals);
	free(bytes);
}

static void assert_parts(struct vouched *v)
{
	for (unsigned i = 0; i < fake.count; i++)
		if (fake.taken[i].kind == BATCH_EVENTS)
			assert_part(&fake.taken[i], v);
}

static void chunks_go_as_they_stand_and_verify_by_themselves(void **state)
{
	struct vouched vouched = { 0 };
	struct log *l;

	(void)state;
	fake.form = FORM_EVTX;
	row.raw_max = SLOTS(3);
	make_key();
	l = open_log_at(path, 64, 0, 0);
	append_to(l, 10);
	append_unsynced(l, 20);
	run(); /* while it is open, and what came last is not sealed */
	assert_parts(&vouched);
	assert_int_equal(vouched.id, 10);
	forget();
	append_to(l, 1200);
	run();
	close_log(l);
	assert_parts(&vouched);
	assert_int_equal(vouched.id, 1230);
	assert_int_equal(shown.events, 1230);
}

static void seals_speak_of_nothing_that_came_later(void **state)
{
	uint64_t sealed;
	uint8_t *seals;
	struct log *l;
	size_t n;
	int fd;

	(void)state;
	make_key();
	l = open_log_at(path, 64, 0, 0);
	append_to(l, 10);
	append_to(l, 10);
	fd = open(seals_path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(seals_of(fd, 1, 10, &seals, &n, &sealed), 0);
	assert_int_equal(sealed, 10);
	assert_true(n > SEAL_FILE_HEADER);
	for (size_t at = SEAL_FILE_HEADER; at < n; at += SEAL_SIZE) {
		struct seal_entry s;

		assert_int_equal(seal_entry_read(seals + at, &s), 1);
		assert_true(s.last_id <= 10);
	}
	free(seals);
	close(fd);
	close_log(l);
}

static void a_heartbeat_tells_how_far_it_is(void **state)
{
	(void)state;
	make_key();
	write_log(12);
	run();
	assert_says(only(BATCH_HEARTBEAT), "\"Heartbeat\":{\"Sequence\":1,");
	assert_says(only(BATCH_HEARTBEAT), "\"Newest\":12,\"Confirmed\":12,\"Events\":12,");
	assert_says(only(BATCH_HEARTBEAT), "\"Seal\":{\"Number\":");
}

static void a_bookmark_survives_a_torn_write(void **state)
{
	struct bookmark b = { .generation = 7 }, read;
	uint64_t place = 0, found;
	struct err e;
	int fd = open(mark_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	for (b.confirmed = 1; b.confirmed <= 5; b.confirmed++)
		assert_int_equal(bookmark_store(fd, &b, &place), 0);
	assert_int_equal(bookmark_load(fd, &read, &found, &e), 0);
	assert_int_equal(read.confirmed, 5);
	/* The newest one is half written: the one before counts. */
	assert_int_equal(pwrite(fd, "xxxxxxxx", 8, 100), 8);
	assert_int_equal(bookmark_load(fd, &read, &found, &e), 0);
	assert_int_equal(read.confirmed, 4);
	assert_int_equal(read.generation, 7);
	assert_int_equal(pwrite(fd, "xxxxxxxx", 8, 612), 8);
	assert_int_equal(bookmark_load(fd, &read, &found, &e), -EBADMSG);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_record_is_sent_once_and_only_new_ones_later),
		TEST(what_was_overwritten_is_declared_before_what_follows),
		TEST(a_batch_of_unknown_fate_is_sent_again_as_it_was),
		TEST(a_batch_of_unknown_fate_that_is_gone_may_have_arrived),
		TEST(what_is_confirmed_in_part_is_not_repeated),
		TEST(one_record_that_is_refused_costs_only_itself),
		TEST(a_log_that_begins_anew_has_other_keys),
		TEST(a_log_that_was_put_back_is_told_of),
		TEST(archives_come_before_the_log),
		TEST(chunks_go_as_they_stand_and_verify_by_themselves),
		TEST(seals_speak_of_nothing_that_came_later),
		TEST(a_heartbeat_tells_how_far_it_is),
		TEST(a_bookmark_survives_a_torn_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

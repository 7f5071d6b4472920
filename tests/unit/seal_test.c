/* SPDX-License-Identifier: MIT */
/* Sealed logs: what was changed is found, and no crash looks like a change.
 *
 *   seal_test                            the tests
 *   seal_test mutations COUNT            that many random changes of one byte
 *   seal_test crashes COUNT              that many power cuts at random points
 *   seal_test make FOLDER                a log with its seals, key file and KEY, for verifiers */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/base/le.h"
#include "../../src/evtx/reader.h"
#include "../../src/log/log.h"
#include "../../src/log/verify.h"
#include "../known_text.h"

#define SLOTS(n) (EVTX_FILE_HEADER_SIZE + (uint64_t)(n) * EVTX_CHUNK_SIZE)

static const uint8_t secret[SEAL_SECRET] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static unsigned mutation_count = 2000, cut_count = 400;

static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % n;
}

/* ---- three files, and every write to them ---------------------------------------------------------- */

enum { LOG, SEALS, KEY, FILES };

struct operation {
	enum { WRITE, SIZE, SYNC } kind;
	int file;
	uint64_t at; /* offset; SIZE: the size; SYNC: of what is acknowledged, the last record */
	size_t n;
	uint8_t *bytes;
};

static int recorded[FILES] = { -1, -1, -1 };
static bool recording;
static struct operation *operations;
static size_t operation_count, operation_room;

static void record(int fd, struct operation o)
{
	for (o.file = 0; o.file < FILES && recorded[o.file] != fd; o.file++)
		;
	if (!recording || o.file == FILES)
		return;
	if (operation_count == operation_room) {
		operation_room = operation_room ? 2 * operation_room : 1024;
		operations = realloc(operations, operation_room * sizeof(*operations));
	}
	if (o.kind == WRITE) {
		uint8_t *copy = malloc(o.n);

		memcpy(copy, o.bytes, o.n);
		o.bytes = copy;
	}
	operations[operation_count++] = o;
}

static void forget_operations(void)
{
	for (size_t i = 0; i < operation_count; i++)
		if (operations[i].kind == WRITE)
			free(operations[i].bytes);
	operation_count = 0;
}

ssize_t __real_pwrite64(int fd, const void *bytes, size_t n, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off_t at);
int __real_ftruncate64(int fd, off_t size);
int __wrap_ftruncate64(int fd, off_t size);
int __real_fallocate64(int fd, int mode, off_t at, off_t n);
int __wrap_fallocate64(int fd, int mode, off_t at, off_t n);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static unsigned long write_calls;

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off_t at)
{
	write_calls++;
	record(fd, (struct operation){ WRITE, 0, (uint64_t)at, n, (uint8_t *)(uintptr_t)bytes });
	return __real_pwrite64(fd, bytes, n, at);
}

int __wrap_ftruncate64(int fd, off_t size)
{
	record(fd, (struct operation){ .kind = SIZE, .at = (uint64_t)size });
	return __real_ftruncate64(fd, size);
}

static int growing_fails, syncing_fails; /* errno */

int __wrap_fallocate64(int fd, int mode, off_t at, off_t n)
{
	if (growing_fails) {
		errno = growing_fails;
		return -1;
	}
	record(fd, (struct operation){ .kind = SIZE, .at = (uint64_t)(at + n) });
	return __real_fallocate64(fd, mode, at, n);
}

int __wrap_fdatasync(int fd)
{
	if (syncing_fails) {
		errno = syncing_fails;
		return -1;
	}
	record(fd, (struct operation){ .kind = SYNC });
	return __real_fdatasync(fd);
}

/* ---- logs ------------------------------------------------------------------------------------------ */

static int memory_file(const void *bytes, size_t n)
{
	int fd = memfd_create("seal-test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(__real_pwrite64(fd, bytes, n, 0), (ssize_t)n);
	return fd;
}

static int new_key(void)
{
	uint8_t sector[SEAL_KEY_SECTOR];
	struct seal_key k;

	assert_int_equal(seal_crypto_begin(), 0);
	seal_key_from_secret(secret, &k);
	seal_key_write(&k, sector);
	return memory_file(sector, sizeof(sector));
}

static void new_files(int files[FILES])
{
	files[LOG] = memory_file("", 0);
	files[SEALS] = memory_file("", 0);
	files[KEY] = new_key();
}

static void close_files(int files[FILES])
{
	for (int i = 0; i < FILES; i++)
		close(files[i]);
}

static struct log *open_log_as(const int files[FILES], uint64_t size_max, uint32_t boot)
{
	struct log_options o = { .size_max = size_max, .who = { "host01", 700, 701, 0 } };
	struct log *l = NULL;
	struct err e = { 0 };
	int fd = dup(files[LOG]);

	o.seal = (struct log_seal){ true, dup(files[SEALS]), dup(files[KEY]), boot };
	recorded[LOG] = fd;
	recorded[SEALS] = o.seal.fd;
	recorded[KEY] = o.seal.key_fd;
	if (log_open_take(fd, &o, &l, &e) < 0)
		fail_msg("open: %s", e.text);
	return l;
}

static struct log *open_log(const int files[FILES], uint64_t size_max)
{
	return open_log_as(files, size_max, 1700000000);
}

static void close_log(struct log *l)
{
	struct err e = { 0 };

	if (log_close(l, &e) < 0)
		fail_msg("close: %s", e.text);
	log_free(l);
}

static void append(struct log *l, unsigned count)
{
	struct log_state s;
	char text[2100];

	log_state_get(l, &s);
	for (unsigned i = 0; i < count; i++) {
		uint64_t id = 0, next = s.next_id + i;
		struct event ev = { .type = event_type_by_id(next % 3 ? 5 : 1), .time_utc_ns = next };

		for (unsigned f = 0; f < ev.type->field_count; f++)
			ev.values[f] = (struct value){ .text = "-", .length = 1, .number = next };
		ev.values[4] = (struct value){ .text = text, .length = known_text(next, text) };
		assert_int_equal(log_append(l, &ev, &id), 0);
		assert_int_equal(id, next);
	}
}

static void commit(struct log *l)
{
	assert_int_equal(log_flush(l, 1), 0);
}

/* Commits of a few records each, then the close. */
static void write_some(const int files[FILES], uint64_t size_max, unsigned commits)
{
	struct log *l = open_log(files, size_max);

	for (unsigned i = 0; i < commits; i++) {
		append(l, 1 + (unsigned)random_below(40));
		commit(l);
	}
	close_log(l);
}

/* ---- what verifying says --------------------------------------------------------------------------- */

static char said[20000];

static void hear(void *self, bool alarm, const char *text)
{
	size_t n = strlen(said);

	(void)self;
	snprintf(said + n, sizeof(said) - n, "%s%s\n", alarm ? "! " : "", text);
}

static struct verify_result result;

/* Alarms, or -errno. */
static int verify(const int files[FILES])
{
	struct verify_input in = { .log = files[LOG], .seals = files[SEALS] };
	struct verify_listener to = { .hear = hear };
	struct err e = { 0 };
	int r;

	memcpy(in.secret, secret, sizeof(secret));
	*said = 0;
	r = log_verify(&in, &to, &result, &e);
	if (r < 0)
		hear(NULL, true, e.text);
	return r < 0 ? r : (int)result.alarms;
}

static void assert_well(const int files[FILES])
{
	if (verify(files) != 0)
		fail_msg("a false alarm: %s", said);
}

static void assert_says(const int files[FILES], const char *text)
{
	if (verify(files) == 0 || !strstr(said, text))
		fail_msg("not said: '%s' but of seals %llu to %llu: %s", text, (unsigned long long)result.first_number,
			 (unsigned long long)result.last_number, said);
}

/* ---- files that are copied, cut, altered ----------------------------------------------------------- */

struct image {
	uint8_t *bytes;
	size_t size;
};

static struct image image_of(int fd)
{
	struct stat st;
	struct image i;

	fstat(fd, &st);
	i.size = (size_t)st.st_size;
	i.bytes = malloc(i.size + 1);
	assert_int_equal(pread(fd, i.bytes, i.size, 0), (ssize_t)i.size);
	return i;
}

static void put_image(int fd, struct image i)
{
	assert_int_equal(__real_ftruncate64(fd, 0), 0);
	assert_int_equal(__real_pwrite64(fd, i.bytes, i.size, 0), (ssize_t)i.size);
}

static void cut(int fd, uint64_t size)
{
	assert_int_equal(__real_ftruncate64(fd, (off_t)size), 0);
}

/* ---- tests ----------------------------------------------------------------------------------------- */

static void hex(const uint8_t *bytes, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		sprintf(out + 2 * i, "%02x", bytes[i]);
}

static void keys_are_those_of_the_document(void **state)
{
	struct seal_key k;
	char text[100];

	(void)state;
	assert_int_equal(seal_crypto_begin(), 0);
	seal_key_from_secret(secret, &k);
	hex(k.chain, 16, text);
	assert_string_equal(text, "f6a6837f149ca133eb3558e7a9d3935b");
	hex(k.key, 32, text);
	assert_string_equal(text, "321243bd54b64f4064a57f27b2ad3698b47d362e6539f83391e5f31b9205e0e2");
	seal_key_step(&k);
	hex(k.key, 32, text);
	assert_string_equal(text, "0ebc81721dcfc1633f52538b8ca37607b4f3ffe25ad4560640311cbfacda3109");
	seal_key_forward(&k, 4096);
	hex(k.key, 32, text);
	assert_string_equal(text, "b60b4d09624a5c057514bb7912034fcc91e7aa35893b739307d138650ebd34c9");
	seal_key_forward(&k, 1u << 24);
	hex(k.key, 32, text);
	assert_string_equal(text, "e8952288c218f9874f594e93b9892a98369a799dbc45430ad653d79fa26317be");
}

static void leaping_comes_where_steps_come(void **state)
{
	struct seal_key stepped, leapt;

	(void)state;
	seal_key_from_secret(secret, &stepped);
	leapt = stepped;
	for (unsigned i = 0; i < 10000; i++)
		seal_key_step(&stepped);
	seal_key_forward(&leapt, 10000);
	assert_memory_equal(&stepped, &leapt, sizeof(leapt));
}

static void a_verification_key_is_read_as_it_is_written(void **state)
{
	uint8_t back[SEAL_SECRET];
	char text[SEAL_SECRET_TEXT];

	(void)state;
	seal_secret_text(secret, text);
	assert_string_equal(text, "AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B67E-LSZG");
	assert_int_equal(seal_secret_parse("aaaq eaye audaocaj-bifq-ydio-b67e-lszg\n", back), 0);
	assert_memory_equal(back, secret, sizeof(secret));
	assert_int_equal(seal_secret_parse("AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B67E-LSZH", back), -EINVAL);
	assert_int_equal(seal_secret_parse("AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B67E-LSZ", back), -EINVAL);
	assert_int_equal(seal_secret_parse("AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B67E-LSZGA", back), -EINVAL);
	assert_int_equal(seal_secret_parse("AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B67E-LSZ1", back), -EINVAL);
	assert_int_equal(seal_secret_parse("", back), -EINVAL);
}

static void a_log_is_well_at_every_moment(void **state)
{
	int files[FILES];
	struct log *l;

	(void)state;
	new_files(files);
	for (int run = 0; run < 3; run++) {
		l = open_log(files, SLOTS(8));
		assert_well(files);
		for (int i = 0; i < 60; i++) {
			append(l, 1 + (unsigned)random_below(i % 20 ? 20 : 400));
			if (random_below(2))
				assert_int_equal(log_flush(l, 0), 0);
			assert_well(files);
			commit(l);
			assert_well(files);
		}
		close_log(l);
		assert_well(files);
		assert_true(result.closed);
	}
	close_files(files);
}

static void a_log_that_changes_its_size_is_well(void **state)
{
	static const unsigned sizes[] = { 20, 40, 4, 1, 2, 30, 8 };
	int files[FILES];

	(void)state;
	new_files(files);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct log *l = open_log(files, SLOTS(sizes[i]));

		for (int n = 0; n < 20; n++) {
			append(l, 60);
			assert_int_equal(log_flush(l, n % 3 == 0), 0);
			assert_well(files);
		}
		close_log(l);
		assert_well(files);
	}
	close_files(files);
}

static void an_engine_that_is_killed_leaves_a_log_that_is_well(void **state)
{
	int files[FILES];

	(void)state;
	new_files(files);
	for (int run = 0; run < 40; run++) {
		struct log *l = open_log(files, SLOTS(6));

		for (uint64_t n = random_below(20); n > 0; n--) {
			append(l, (unsigned)random_below(60));
			assert_int_equal(log_flush(l, random_below(3) == 0), 0);
		}
		append(l, (unsigned)random_below(5));
		log_free(l);
		assert_well(files);
	}
	close_files(files);
}

static void seals_take_little_room(void **state)
{
	int files[FILES];
	struct stat st;
	struct log *l;

	(void)state;
	new_files(files);
	l = open_log(files, SLOTS(8));
	for (int i = 0; i < 6000; i++) {
		append(l, 1);
		commit(l);
	}
	close_log(l);
	assert_well(files);
	fstat(files[SEALS], &st);
	assert_true((uint64_t)st.st_size < SLOTS(8) / 4);
	close_files(files);
}

static void an_altered_record_is_named(void **state)
{
	uint64_t last;
	int files[FILES];
	struct image log;
	uint8_t *at;

	(void)state;
	new_files(files);
	write_some(files, SLOTS(20), 30);
	log = image_of(files[LOG]);
	last = le64_get(log.bytes + SLOTS(0) + 32);
	at = memmem(log.bytes + SLOTS(0) + 30000, 30000, "a\0b\0c\0d", 7);
	assert_non_null(at);
	*at = 'A';
	put_image(files[LOG], log);
	assert_int_equal(verify(files), 1);
	assert_non_null(strstr(said, "is not as it was written"));
	assert_true(strtoull(said + strlen("! record "), NULL, 10) < last);
	free(log.bytes);
	close_files(files);
}

static void swapped_chunks_and_copies_are_found(void **state)
{
	int files[FILES];
	struct image log, copy;

	(void)state;
	new_files(files);
	write_some(files, SLOTS(20), 60);
	log = image_of(files[LOG]);
	copy = image_of(files[LOG]);
	memcpy(log.bytes + SLOTS(0), copy.bytes + SLOTS(1), EVTX_CHUNK_SIZE);
	put_image(files[LOG], log);
	assert_says(files, "is there twice");
	assert_says(files, "are missing");
	memcpy(log.bytes + SLOTS(1), copy.bytes + SLOTS(0), EVTX_CHUNK_SIZE);
	put_image(files[LOG], log);
	assert_well(files); /* the place of a chunk in the file says nothing */
	free(log.bytes);
	free(copy.bytes);
	close_files(files);
}

static void what_is_taken_out_is_missing(void **state)
{
	struct image log;
	int files[FILES];

	(void)state;
	new_files(files);
	write_some(files, SLOTS(20), 30);
	log = image_of(files[LOG]);
	memset(log.bytes + SLOTS(1), 0, 2 * EVTX_CHUNK_SIZE);
	put_image(files[LOG], log);
	assert_int_equal(verify(files), 1);
	assert_non_null(strstr(said, "are missing"));
	put_image(files[LOG], log);
	cut(files[LOG], SLOTS(3));
	assert_says(files, "are missing");
	free(log.bytes);
	close_files(files);
}

static void a_cut_end_that_is_continued_is_a_gap(void **state)
{
	struct image log, seals;
	int files[FILES];
	char gap[80];

	(void)state;
	new_files(files);
	write_some(files, SLOTS(20), 10);
	log = image_of(files[LOG]);
	seals = image_of(files[SEALS]);
	write_some(files, SLOTS(20), 10);
	/* An old copy of both, as it was: nothing in it is wrong, but the key knows. */
	put_image(files[LOG], log);
	put_image(files[SEALS], seals);
	assert_well(files);
	snprintf(gap, sizeof(gap), "seals %llu to", (unsigned long long)result.last_number + 1);
	write_some(files, SLOTS(20), 10);
	assert_says(files, gap);
	free(log.bytes);
	free(seals.bytes);
	close_files(files);
}

static void the_kept_key_knows_of_an_end_that_is_gone(void **state)
{
	struct verify_input in = { .has_kept = true };
	struct verify_listener to = { .hear = hear };
	int files[FILES];

	(void)state;
	new_files(files);
	write_some(files, SLOTS(20), 10);
	memcpy(in.secret, secret, sizeof(secret));
	in.log = files[LOG];
	in.seals = files[SEALS];
	assert_int_equal(verify(files), 0);
	in.kept_number = result.last_number + 1;
	*said = 0;
	assert_int_equal(log_verify(&in, &to, &result, NULL), 0);
	assert_int_equal(result.alarms, 0);
	in.kept_number += 5;
	assert_int_equal(log_verify(&in, &to, &result, NULL), 0);
	assert_int_equal(result.alarms, 1);
	assert_non_null(strstr(said, "the end is missing"));
	close_files(files);
}

/* The key of today makes a seal that is right in itself, for records of yesterday. */
static void sealing_again_with_the_key_of_today_is_found(void **state)
{
	struct seal_entry s = { .kind = SEAL_WHOLE, .end = EVTX_CHUNK_SIZE, .boot = 1700000000 };
	uint8_t sector[2 * SEAL_KEY_SECTOR], again[SEAL_SIZE];
	struct seal_hash *h = seal_hash_new();
	struct evtx_chunk_header header;
	struct image log, seals;
	struct seal_key k;
	int files[FILES];

	(void)state;
	new_files(files);
	write_some(files, SLOTS(20), 40);
	assert_int_equal(pread(files[KEY], sector, sizeof(sector), 0), sizeof(sector));
	assert_true(seal_key_read(sector, &k) || seal_key_read(sector + SEAL_KEY_SECTOR, &k));
	log = image_of(files[LOG]);
	seals = image_of(files[SEALS]);
	log.bytes[SLOTS(0) + 5000] ^= 1;
	assert_int_equal(evtx_chunk_header_read(log.bytes + SLOTS(0), &header), 0);
	header.data_crc = evtx_crc(0, log.bytes + SLOTS(0) + 512, header.free_offset - 512);
	evtx_chunk_header_write(&header, log.bytes + SLOTS(0));
	put_image(files[LOG], log);
	seal_hash_begin(h);
	seal_hash_add(h, log.bytes + SLOTS(0) + 512, EVTX_CHUNK_SIZE - 512);
	seal_hash_add(h, log.bytes + SLOTS(0), 512);
	seal_hash_read(h, s.digest);
	s.number = k.number;
	s.first_id = header.first_id;
	s.last_id = header.last_id;
	s.oldest = 1;
	seal_entry_write(&s, &k, again);
	for (size_t at = SEAL_FILE_HEADER; at < seals.size; at += SEAL_SIZE)
		if (le32_get(seals.bytes + at) == 0) {
			memcpy(seals.bytes + at, again, SEAL_SIZE);
			break;
		}
	put_image(files[SEALS], seals);
	assert_says(files, "were sealed again later");
	seal_hash_free(h);
	free(log.bytes);
	free(seals.bytes);
	close_files(files);
}

static void seals_that_are_taken_away_are_missed(void **state)
{
	struct image seals;
	int files[FILES];

	(void)state;
	new_files(files);
	write_some(files, SLOTS(20), 12);
	seals = image_of(files[SEALS]);
	memset(seals.bytes + SEAL_FILE_HEADER + 5 * SEAL_SIZE, 0, 3 * SEAL_SIZE);
	put_image(files[SEALS], seals);
	assert_says(files, "seals 5 to 7 are missing");
	memset(seals.bytes + SEAL_FILE_HEADER, 0, seals.size - SEAL_FILE_HEADER);
	put_image(files[SEALS], seals);
	assert_says(files, "there is no seal");
	/* The log goes on with seals of its own: those of before are missed all the same. */
	cut(files[SEALS], 0);
	write_some(files, SLOTS(20), 10);
	assert_says(files, "have no seal");
	free(seals.bytes);
	close_files(files);
}

static void records_from_before_sealing_are_told_apart(void **state)
{
	struct log_options o = { .size_max = SLOTS(20), .who = { "host01", 700, 701, 0 } };
	struct err e = { 0 };
	struct log *l;
	int files[FILES];

	(void)state;
	new_files(files);
	assert_int_equal(log_open_take(dup(files[LOG]), &o, &l, &e), 0);
	append(l, 100);
	close_log(l);
	write_some(files, SLOTS(20), 10);
	assert_well(files);
	assert_non_null(strstr(said, "records 1 to"));
	assert_non_null(strstr(said, "were written before sealing began"));
	close_files(files);
}

static void another_key_is_said(void **state)
{
	struct verify_input in = { 0 };
	struct verify_listener to = { .hear = hear };
	struct err e = { 0 };
	int files[FILES];

	(void)state;
	new_files(files);
	write_some(files, SLOTS(20), 3);
	in.log = files[LOG];
	in.seals = files[SEALS];
	in.secret[0] = 7;
	assert_int_equal(log_verify(&in, &to, &result, &e), -EBADMSG);
	assert_string_equal(e.text, "sealed under another key");
	close_files(files);
}

static void boots_and_steps_of_the_clock_are_told(void **state)
{
	int files[FILES];
	struct log *l;

	(void)state;
	new_files(files);
	write_some(files, SLOTS(20), 3);
	l = open_log_as(files, SLOTS(20), 1800000000);
	append(l, 3);
	close_log(l);
	assert_well(files);
	assert_non_null(strstr(said, "the machine was booted between"));
	close_files(files);
}

/* A seal that the key file does not know of yet, one behind a gap, and a key file that broke off. */
static void seals_ahead_of_the_key_are_settled(void **state)
{
	struct image key;
	int files[FILES];
	struct log *l;

	(void)state;
	new_files(files);
	write_some(files, SLOTS(20), 3);
	key = image_of(files[KEY]);
	l = open_log(files, SLOTS(20));
	for (int i = 0; i < 5; i++) {
		append(l, 3);
		commit(l);
	}
	log_free(l);
	put_image(files[KEY], key);
	write_some(files, SLOTS(20), 3);
	assert_well(files);
	free(key.bytes);
	close_files(files);
}

/* Also while the ring overwrites, and with all that sealing writes. */
static void sixty_four_events_take_one_call_at_most(void **state)
{
	static const unsigned count = 40000, batch = 4096;
	struct event ev = { .type = event_type_by_id(11) };
	unsigned long before;
	uint64_t id;
	int files[FILES];
	struct log *l;

	(void)state;
	for (unsigned f = 0; f < ev.type->field_count; f++)
		ev.values[f] = (struct value){ .text = "what values hold, or more", .length = 25 };
	new_files(files);
	l = open_log(files, SLOTS(200));
	before = write_calls;
	for (unsigned i = 1; i <= count; i++) {
		assert_int_equal(log_append(l, &ev, &id), 0);
		if (i % batch == 0)
			assert_int_equal(log_flush(l, 0), 0);
	}
	assert_true(write_calls - before <= count / 64);
	close_log(l);
	assert_well(files);
	assert_true(result.first_id > 1);
	close_files(files);
}

static void a_quota_is_as_a_full_disk(void **state)
{
	int files[FILES];
	struct log_state s;
	struct log *l;

	(void)state;
	new_files(files);
	l = open_log(files, SLOTS(40));
	growing_fails = EDQUOT;
	append(l, 1000);
	commit(l);
	log_state_get(l, &s);
	assert_true(s.disk_full && s.overwrites);
	assert_int_equal(s.size, SLOTS(16));
	growing_fails = 0;
	append(l, 1000);
	commit(l);
	log_state_get(l, &s);
	assert_false(s.disk_full);
	assert_int_equal(s.size, SLOTS(40));
	close_log(l);
	assert_well(files);
	close_files(files);
}

static bool is_written_again(size_t from, int file, uint64_t at)
{
	for (; from < operation_count && operations[from].kind != SYNC; from++)
		if (operations[from].kind == WRITE && operations[from].file == file && operations[from].at <= at &&
		    operations[from].at + operations[from].n > at)
			return true;
	return false;
}

/* The kernel has dropped what it could not write, and says so once. */
static void what_could_not_be_synced_is_written_again(void **state)
{
	struct evtx_file_header h;
	int files[FILES];
	uint8_t head[128];
	size_t from;
	struct log *l;

	(void)state;
	new_files(files);
	l = open_log(files, SLOTS(40));
	append(l, 10);
	commit(l);
	syncing_fails = EIO;
	append(l, 300);
	assert_int_equal(log_flush(l, 1), -EIO);
	append(l, 10);
	assert_int_equal(log_flush(l, 1), -EIO);
	assert_int_equal(log_synced_id(l), 10);
	syncing_fails = 0;
	recording = true;
	from = operation_count;
	commit(l);
	recording = false;
	assert_int_equal(log_synced_id(l), 320);
	assert_int_equal(pread(files[LOG], head, sizeof(head), 0), sizeof(head));
	assert_int_equal(evtx_file_header_read(head, &h), 0);
	assert_true(h.chunk_count > 4);
	for (unsigned slot = 0; slot < h.chunk_count; slot++)
		assert_true(is_written_again(from, LOG, SLOTS(slot) + EVTX_CHUNK_HEADER));
	assert_true(is_written_again(from, LOG, 0));
	forget_operations();
	close_log(l);
	assert_well(files);
	close_files(files);
}

/* ---- mutations -------------------------------------------------------------------------------------- */

/* Bytes that are sealed: chunks, seals, the head of the seals. */
static void mutate(unsigned count)
{
	struct image log, seals;
	int files[FILES];
	uint64_t chunks;

	new_files(files);
	write_some(files, SLOTS(8), 25);
	assert_well(files);
	log = image_of(files[LOG]);
	seals = image_of(files[SEALS]);
	chunks = le16_get(log.bytes + 42);
	for (unsigned i = 0; i < count; i++) {
		bool of_log = random_below(4) > 0;
		uint64_t at = of_log ? SLOTS(0) + random_below(chunks * EVTX_CHUNK_SIZE) : 0;
		uint8_t was, is;

		while (!of_log && (at < 24 || (at >= 24 && at < SEAL_FILE_HEADER) ||
				   le32_get(seals.bytes + at / SEAL_SIZE * SEAL_SIZE) == 0)) {
			at = random_below(seals.size);
			if (at < 24)
				break;
		}
		was = (of_log ? log : seals).bytes[at];
		is = (uint8_t)(was ^ (1 + random_below(255)));
		__real_pwrite64(files[of_log ? LOG : SEALS], &is, 1, (off_t)at);
		if (verify(files) == 0)
			fail_msg("byte %llu of the %s was %u, is %u, and nobody minds", (unsigned long long)at,
				 of_log ? "log" : "seals", was, is);
		__real_pwrite64(files[of_log ? LOG : SEALS], &was, 1, (off_t)at);
	}
	assert_well(files);
	free(log.bytes);
	free(seals.bytes);
	close_files(files);
}

static void no_altered_byte_is_accepted(void **state)
{
	(void)state;
	mutate(mutation_count);
}

/* ---- power cuts -------------------------------------------------------------------------------------- */

#define FILE_ROOM (SLOTS(24))

/* A file as a disk may hold it. */
struct disk {
	uint8_t *bytes; /* FILE_ROOM */
	uint64_t size;
};

static void do_size(struct disk *d, uint64_t size)
{
	if (size < d->size)
		memset(d->bytes + size, 0, d->size - size);
	d->size = size;
}

static void do_write(struct disk *d, uint64_t at, const uint8_t *bytes, size_t n)
{
	assert_true(at + n <= FILE_ROOM);
	memcpy(d->bytes + at, bytes, n);
	if (at + n > d->size)
		d->size = at + n;
}

/* What was not synced: any of its sectors may be there or not. Sizes: in their order, up to some point. */
static void do_some(struct disk *d, const struct operation *o, bool sizes)
{
	if (o->kind == SIZE && (sizes || o->at > d->size))
		do_size(d, o->at);
	if (o->kind != WRITE)
		return;
	for (size_t done = 0; done < o->n;) {
		size_t step = 512 - (o->at + done) % 512;

		step = step < o->n - done ? step : o->n - done;
		if (random_below(2))
			do_write(d, o->at + done, o->bytes + done, step);
		done += step;
	}
}

static void do_whole(struct disk *d, const struct operation *o)
{
	if (o->kind == SIZE)
		do_size(d, o->at);
	else if (o->kind == WRITE)
		do_write(d, o->at, o->bytes, o->n);
}

static void record_work(void)
{
	int files[FILES];

	new_files(files);
	recording = true;
	for (int run = 0; run < 6; run++) {
		struct log *l = open_log(files, SLOTS(run % 3 == 2 ? 3 : 6));

		for (int i = 0; i < 25; i++) {
			append(l, 1 + (unsigned)random_below(random_below(8) ? 12 : 200));
			if (log_flush(l, random_below(2) == 0) < 0)
				fail();
		}
		if (run % 2)
			close_log(l);
		else
			log_free(l);
	}
	recording = false;
	close_files(files);
}

static uint64_t check_records(int log)
{
	struct image i = image_of(log);
	struct evtx_reader *reader;
	struct evtx_record rec;
	uint64_t highest = 0;
	char text[2100];

	assert_int_equal(evtx_reader_new(&reader, NULL), 0);
	for (uint64_t at = SLOTS(0); at + EVTX_CHUNK_SIZE <= i.size; at += EVTX_CHUNK_SIZE) {
		if (evtx_reader_begin(reader, i.bytes + at, NULL) < 0)
			continue;
		while (evtx_reader_next(reader, &rec, NULL) > 0) {
			known_text(rec.id, text);
			assert_string_equal(rec.data[4].text, text);
			highest = rec.id > highest ? rec.id : highest;
		}
		assert_int_equal(evtx_reader_faults(reader), 0);
	}
	evtx_reader_free(reader);
	free(i.bytes);
	return highest;
}

/* Seals on the disk are what was acknowledged. */
static uint64_t acknowledged(const struct disk *seals)
{
	struct seal_entry s;
	uint64_t last = 0;

	for (uint64_t at = SEAL_FILE_HEADER; at + SEAL_SIZE <= seals->size; at += SEAL_SIZE)
		if (seal_entry_read(seals->bytes + at, &s) > 0 && s.last_id > last)
			last = s.last_id;
	return last;
}

static void come_back(const struct disk disks[FILES], uint64_t kept)
{
	int files[FILES];

	for (int i = 0; i < FILES; i++)
		files[i] = memory_file(disks[i].bytes, disks[i].size);
	if (disks[SEALS].size >= SEAL_FILE_HEADER && acknowledged(&disks[SEALS]))
		assert_well(files);
	close_log(open_log(files, SLOTS(6)));
	assert_well(files);
	assert_true(check_records(files[LOG]) >= kept);
	close_files(files);
}

static void copy_disk(struct disk *to, const struct disk *from)
{
	memset(to->bytes, 0, to->size > from->size ? to->size : from->size);
	memcpy(to->bytes, from->bytes, from->size);
	to->size = from->size;
}

/* Of the operations before the point, those after the last sync of their file came to the disk in part. */
static void cut_power(unsigned count)
{
	struct disk synced[FILES], now[FILES];
	size_t synced_to[FILES] = { 0 };
	uint64_t kept = 0;
	size_t point = 0;

	record_work();
	assert_true(operation_count > 1000);
	for (int i = 0; i < FILES; i++) {
		synced[i] = (struct disk){ calloc(1, FILE_ROOM), 0 };
		now[i] = (struct disk){ calloc(1, FILE_ROOM), 0 };
	}
	{ /* The key was there first. */
		int fd = new_key();

		synced[KEY].size = (uint64_t)pread(fd, synced[KEY].bytes, FILE_ROOM, 0);
		close(fd);
	}
	for (unsigned cuts = 0; cuts < count; cuts++) {
		size_t until = (size_t)((uint64_t)operation_count * (cuts + 1) / count);
		bool whole = cuts % 3 == 0, sizes = random_below(2);

		for (; point < until; point++) {
			struct operation *o = &operations[point];

			if (o->kind != SYNC)
				continue;
			for (; synced_to[o->file] < point; synced_to[o->file]++)
				if (operations[synced_to[o->file]].file == o->file)
					do_whole(&synced[o->file], &operations[synced_to[o->file]]);
			if (o->file == SEALS)
				kept = acknowledged(&synced[SEALS]);
		}
		for (int i = 0; i < FILES; i++)
			copy_disk(&now[i], &synced[i]);
		for (int i = 0; i < FILES; i++)
			for (size_t n = synced_to[i]; n < point; n++)
				if (operations[n].file == i && whole)
					do_whole(&now[i], &operations[n]);
				else if (operations[n].file == i)
					do_some(&now[i], &operations[n], sizes);
		come_back(now, kept);
	}
	for (int i = 0; i < FILES; i++) {
		free(synced[i].bytes);
		free(now[i].bytes);
	}
	forget_operations();
}

static void no_power_cut_looks_like_a_change(void **state)
{
	(void)state;
	cut_power(cut_count);
}

/* ---- files for other verifiers ----------------------------------------------------------------------- */

static int make(const char *folder)
{
	static const char *const names[] = { "log.evtx", "log.evtx.seal", "seal.key" };
	char path[300], text[SEAL_SECRET_TEXT];
	int files[FILES];
	struct log *l;
	FILE *key;

	new_files(files);
	write_some(files, SLOTS(60), 12);
	l = open_log_as(files, SLOTS(60), 1800000000);
	append(l, 300);
	commit(l);
	close_log(l);
	for (int i = 0; i < FILES; i++) {
		struct image image = image_of(files[i]);
		FILE *to;

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		to = fopen(path, "we");
		if (!to || fwrite(image.bytes, image.size, 1, to) != 1 || fclose(to) != 0)
			return 1;
		free(image.bytes);
	}
	close_files(files);
	seal_secret_text(secret, text);
	snprintf(path, sizeof(path), "%s/KEY", folder);
	key = fopen(path, "we");
	return !key || fprintf(key, "%s\n", text) < 0 || fclose(key) != 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_those_of_the_document),
		cmocka_unit_test(leaping_comes_where_steps_come),
		cmocka_unit_test(a_verification_key_is_read_as_it_is_written),
		cmocka_unit_test(a_log_is_well_at_every_moment),
		cmocka_unit_test(a_log_that_changes_its_size_is_well),
		cmocka_unit_test(an_engine_that_is_killed_leaves_a_log_that_is_well),
		cmocka_unit_test(seals_take_little_room),
		cmocka_unit_test(an_altered_record_is_named),
		cmocka_unit_test(swapped_chunks_and_copies_are_found),
		cmocka_unit_test(what_is_taken_out_is_missing),
		cmocka_unit_test(a_cut_end_that_is_continued_is_a_gap),
		cmocka_unit_test(the_kept_key_knows_of_an_end_that_is_gone),
		cmocka_unit_test(sealing_again_with_the_key_of_today_is_found),
		cmocka_unit_test(seals_that_are_taken_away_are_missed),
		cmocka_unit_test(records_from_before_sealing_are_told_apart),
		cmocka_unit_test(another_key_is_said),
		cmocka_unit_test(boots_and_steps_of_the_clock_are_told),
		cmocka_unit_test(seals_ahead_of_the_key_are_settled),
		cmocka_unit_test(sixty_four_events_take_one_call_at_most),
		cmocka_unit_test(a_quota_is_as_a_full_disk),
		cmocka_unit_test(what_could_not_be_synced_is_written_again),
		cmocka_unit_test(no_altered_byte_is_accepted),
		cmocka_unit_test(no_power_cut_looks_like_a_change),
	};

	const struct CMUnitTest mutations[] = { cmocka_unit_test(no_altered_byte_is_accepted) };
	const struct CMUnitTest crashes[] = { cmocka_unit_test(no_power_cut_looks_like_a_change) };

	seal_crypto_begin();
	if (argc == 3 && atoi(argv[2]) > 0)
		mutation_count = cut_count = (unsigned)atoi(argv[2]);
	if (argc == 3 && strcmp(argv[1], "mutations") == 0)
		return cmocka_run_group_tests(mutations, NULL, NULL);
	if (argc == 3 && strcmp(argv[1], "crashes") == 0)
		return cmocka_run_group_tests(crashes, NULL, NULL);
	if (argc == 3 && strcmp(argv[1], "make") == 0)
		return make(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/base/le.h"
#include "../../src/evtx/reader.h"
#include "../../src/log/log.h"
#include "../known_text.h"

#define SLOTS(n)      (EVTX_FILE_HEADER_SIZE + (uint64_t)(n) * EVTX_CHUNK_SIZE)
#define FILE_ROOM     (SLOTS(64))

static char path[64];
static struct evtx_reader *reader;

/* ---- events that can be known again --------------------------------------------------------------- */

/* The event of record `id`: its text follows from the id, so that an altered record shows. */
struct known_event {
	struct event event;
	char text[2100];
};

static const struct event *known_event(struct known_event *k, uint64_t id)
{
	k->event = (struct event){ .type = event_type_by_id(id % 3 ? 5 : 1), .time_utc_ns = 1700000000000000000u + id };
	for (unsigned i = 0; i < k->event.type->field_count; i++)
		k->event.values[i] = (struct value){ .text = "-", .length = 1, .number = id };
	k->event.values[4] = (struct value){ .text = k->text, .length = known_text(id, k->text) };
	return &k->event;
}

static void assert_known(const struct evtx_record *rec)
{
	char text[2100];

	known_text(rec->id, text);
	assert_int_equal(rec->id, rec->header_id);
	assert_int_equal(rec->event_id, rec->id % 3 ? 5 : 1);
	assert_true(rec->data_count > 4);
	assert_string_equal(rec->data[4].text, text);
}

static void append(struct log *l, uint64_t count)
{
	struct known_event k;
	struct log_state s;

	log_state_get(l, &s);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t id = 0;
		int r = log_append(l, known_event(&k, s.next_id + i), &id);

		if (r < 0)
			fail_msg("append: %s", strerror(-r));
		assert_int_equal(id, s.next_id + i);
	}
}

static struct log *open_log(uint64_t size_max, bool all)
{
	const struct log_options o = { .size_max = size_max, .who = { "host01", 700, 701, 0 }, .check_all = all };
	struct log *l = NULL;
	struct err e = { 0 };

	if (log_open_take(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644), &o, &l, &e) < 0)
		fail_msg("open: %s", e.text);
	return l;
}

static void close_log(struct log *l)
{
	struct err e = { 0 };

	if (log_close(l, &e) < 0)
		fail_msg("close: %s", e.text);
	log_free(l);
}

/* ---- what is in the file -------------------------------------------------------------------------- */

struct content {
	uint8_t *bytes; /* FILE_ROOM */
	uint64_t size;
	struct evtx_file_header header;
	uint64_t lowest, highest, records; /* ids */
	unsigned chunks;
};

static struct content content;

/* Every chunk that is there must be without a fault, every record what it was. */
static void read_chunk(uint32_t slot)
{
	const uint8_t *chunk = content.bytes + SLOTS(slot);
	struct evtx_chunk_header h;
	struct evtx_record rec;
	struct err e = { 0 };
	uint64_t id;
	int r;

	if (evtx_reader_begin(reader, chunk, &e) == -ENODATA) {
		for (uint32_t i = 0; i < EVTX_CHUNK_SIZE; i++)
			if (chunk[i])
				fail_msg("slot %u holds no chunk but is not zero at %u", slot, i);
		return;
	}
	assert_int_equal(evtx_chunk_header_read(chunk, &h), 0);
	id = h.first_id;
	while ((r = evtx_reader_next(reader, &rec, &e)) > 0) {
		assert_int_equal(rec.id, id++);
		assert_known(&rec);
	}
	if (r < 0)
		fail_msg("slot %u: %s", slot, e.text);
	assert_int_equal(evtx_reader_faults(reader), 0);
	assert_int_equal(id, h.last_id + 1);
	for (uint32_t i = h.free_offset; i < EVTX_CHUNK_SIZE; i++)
		if (chunk[i])
			fail_msg("slot %u is not zero behind its records", slot);

	content.lowest = content.chunks && content.lowest < h.first_id ? content.lowest : h.first_id;
	content.highest = content.highest > h.last_id ? content.highest : h.last_id;
	content.records += h.last_id - h.first_id + 1;
	content.chunks++;
}

static void load_file(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = pread(fd, content.bytes, FILE_ROOM, 0);
	close(fd);
	assert_true(n >= (ssize_t)EVTX_FILE_HEADER_SIZE && n < (ssize_t)FILE_ROOM);
	content.size = (uint64_t)n;
}

static void read_file(void)
{
	load_file();
	assert_int_equal((content.size - EVTX_FILE_HEADER_SIZE) % EVTX_CHUNK_SIZE, 0);
	assert_int_equal(evtx_file_header_read(content.bytes, &content.header), 0);
	content.lowest = content.highest = content.records = content.chunks = 0;
	for (uint32_t slot = 0; SLOTS(slot) < content.size; slot++)
		read_chunk(slot);
}

/* No id twice, none missing in between. */
static void assert_contiguous(void)
{
	if (content.records)
		assert_int_equal(content.records, content.highest - content.lowest + 1);
}

static void assert_kept(uint64_t lowest, uint64_t highest)
{
	read_file();
	assert_contiguous();
	assert_int_equal(content.lowest, lowest);
	assert_int_equal(content.highest, highest);
}

/* ---- the ordinary life ---------------------------------------------------------------------------- */

static void a_closed_log_is_clean_and_says_exactly_what_it_holds(void **state)
{
	struct log *l = open_log(SLOTS(40), false);
	struct log_state s;

	(void)state;
	append(l, 300);
	log_state_get(l, &s);
	assert_int_equal(s.next_id, 301);
	assert_int_equal(s.first_id, 1);
	assert_true(s.oldest_utc_ns > 1700000000000000000u && s.oldest_utc_ns <= s.newest_utc_ns);
	close_log(l);

	assert_kept(1, 300);
	assert_int_equal(content.size, SLOTS(16));
	assert_int_equal(content.header.flags, 0);
	assert_int_equal(content.header.first_chunk, 0);
	assert_int_equal(content.header.last_chunk, content.chunks - 1);
	assert_int_equal(content.header.chunk_count, content.chunks);
	assert_int_equal(content.header.next_record_id, 301);
	assert_int_equal(content.header.major, 3);
	assert_int_equal(content.header.minor, 1);
}

static void ids_go_on_after_reopening(void **state)
{
	struct log_state s;
	struct log *l;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		l = open_log(SLOTS(40), false);
		append(l, 10);
		close_log(l);
		assert_kept(1, 10 * (i + 1));
		assert_int_equal(content.header.chunk_count, i + 1);
	}
	l = open_log(SLOTS(40), false);
	log_state_get(l, &s);
	assert_int_equal(s.first_id, 1);
	assert_int_equal(s.next_id, 51);
	assert_true(s.newest_utc_ns >= s.oldest_utc_ns && s.oldest_utc_ns > 0);
	assert_int_equal(s.dropped_chunks + s.recovered_records, 0);
	close_log(l);
	assert_kept(1, 50);
}

static void a_generation_lasts_as_long_as_its_ids_go_on(void **state)
{
	const struct log_options other = { .size_max = SLOTS(4), .who = { "host01", 700, 701, 0 }, .next_id = 41 };
	struct log_options on = other;
	struct log *l = open_log(SLOTS(4), false);
	const uint64_t generation = log_generation(l);

	(void)state;
	assert_true(generation);
	append(l, 40);
	close_log(l);
	l = open_log(SLOTS(4), false);
	assert_int_equal(log_generation(l), generation);
	close_log(l);

	/* A file that goes on where another one ended, and one that does not. */
	on.generation = generation;
	unlink(path);
	assert_int_equal(log_open_take(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644), &on, &l, NULL), 0);
	assert_int_equal(log_generation(l), generation);
	close_log(l);
	unlink(path);
	assert_int_equal(log_open_take(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644), &other, &l, NULL), 0);
	assert_int_not_equal(log_generation(l), generation);
	close_log(l);
}

static void opening_and_closing_alone_changes_nothing(void **state)
{
	uint8_t *before = malloc(FILE_ROOM);

	(void)state;
	close_log(open_log(SLOTS(3), false));
	read_file();
	assert_int_equal(content.header.chunk_count, 0);
	assert_int_equal(content.header.next_record_id, 1);
	for (int i = 0; i < 3; i++) {
		struct log *l = open_log(SLOTS(3), false);

		append(l, 200);
		close_log(l);
		/* Opening a full ring makes room once. */
		close_log(open_log(SLOTS(3), false));
		read_file();
		memcpy(before, content.bytes, content.size);
		close_log(open_log(SLOTS(3), false));
		read_file();
		assert_memory_equal(before, content.bytes, content.size);
	}
	free(before);
}

static void what_is_flushed_is_in_the_file_while_the_log_is_open(void **state)
{
	struct log *l = open_log(SLOTS(40), false);

	(void)state;
	for (uint64_t id = 1; id <= 200; id++) {
		append(l, 1);
		assert_int_equal(log_flush(l, id % 50 == 0), 0);
		assert_int_equal(log_flush(l, 0), 0);
		assert_kept(1, id);
		assert_int_equal(content.header.flags, EVTX_FILE_DIRTY);
		assert_int_equal(content.header.chunk_count, content.chunks);
	}
	close_log(l);
}

static void a_ring_holds_the_newest_chunks_at_every_moment(void **state)
{
	struct log *l = open_log(SLOTS(3), false);
	struct log_state s;

	(void)state;
	for (uint64_t done = 0; done < 1000000;) {
		uint64_t step = done < 900000 ? 9973 : 101;

		append(l, step);
		done += step;
		assert_int_equal(log_flush(l, 0), 0);
		read_file();
		assert_contiguous();
		assert_int_equal(content.highest, done);
		assert_int_equal(content.size, SLOTS(3));
		assert_int_equal(content.chunks, 3);
		log_state_get(l, &s);
		assert_int_equal(s.first_id, content.lowest);
	}
	close_log(l);
	read_file();
	assert_int_equal(content.header.first_chunk, (content.header.last_chunk + 1) % 3);
}

/* ---- other sizes ---------------------------------------------------------------------------------- */

/* So many events that the ring has been around. */
static uint64_t fill_ring(uint64_t size_max)
{
	struct log *l = open_log(size_max, false);
	struct log_state s;

	append(l, 3000);
	log_state_get(l, &s);
	close_log(l);
	return s.next_id - 1;
}

static void a_larger_limit_grows_when_the_ring_comes_to_its_end(void **state)
{
	uint64_t first, last = fill_ring(SLOTS(5));
	struct log *l;

	(void)state;
	read_file();
	assert_int_equal(content.size, SLOTS(5));
	l = open_log(SLOTS(30), false);
	while (content.size == SLOTS(5)) {
		append(l, 1);
		last++;
		assert_int_equal(log_flush(l, 0), 0);
		read_file();
		assert_contiguous();
	}
	first = content.lowest;
	assert_int_equal(content.header.first_chunk, 0);
	append(l, 300);
	close_log(l);
	assert_kept(first, last + 300);
	assert_int_equal(content.size, SLOTS(21));
}

/* Until the owner has another file, a full one grows. */
static void what_must_be_kept_is_not_overwritten(void **state)
{
	const struct log_options o = { .size_max = SLOTS(5), .keeps_all = true, .who = { "host01", 700, 701, 0 } };
	struct log *l = NULL;
	struct log_state s;
	bool nearly = false;

	(void)state;
	assert_int_equal(log_open_take(open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), &o, &l, NULL), 0);
	while (!nearly) {
		append(l, 1);
		nearly = log_is_nearly_full(l);
	}
	log_flush(l, 0);
	read_file();
	assert_int_equal(content.size, SLOTS(5));
	append(l, 1000);
	log_state_get(l, &s);
	assert_false(s.overwrites);
	assert_true(log_is_nearly_full(l));
	close_log(l);
	assert_kept(1, s.next_id - 1);
	assert_true(content.size > SLOTS(5));
}

static void a_smaller_limit_keeps_all_until_writing_comes_past_it(void **state)
{
	uint64_t last = fill_ring(SLOTS(12)), before;
	struct log *l = open_log(SLOTS(12), false);

	(void)state;
	do {
		append(l, 1);
		last++;
		assert_int_equal(log_flush(l, 0), 0);
		read_file();
	} while (content.header.last_chunk != 8);
	close_log(l);
	l = open_log(SLOTS(5), false);
	read_file();
	before = content.records;
	assert_int_equal(content.size, SLOTS(9)); /* slots 9 to 11 held the oldest */
	assert_int_equal(content.chunks, 9);
	assert_int_equal(content.highest, last);
	assert_contiguous();
	do {
		append(l, 1);
		last++;
		assert_int_equal(log_flush(l, 0), 0);
		read_file();
		assert_contiguous();
		assert_int_equal(content.highest, last);
	} while (content.size > SLOTS(5));
	assert_true(before > content.records);
	append(l, 1000);
	close_log(l);
	read_file();
	assert_contiguous();
	assert_int_equal(content.size, SLOTS(5));
	assert_int_equal(content.chunks, 5);
}

static void sizes_out_of_range_are_refused(void **state)
{
	static const uint64_t sizes[] = { 0, LOG_SIZE_MIN - 1, 1ull << 32 };
	struct log *l = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct log_options o = { .size_max = sizes[i], .who = { "h", 1, 1, 0 } };

		assert_int_equal(log_open_take(open(path, O_RDWR | O_CREAT, 0600), &o, &l, NULL), -EINVAL);
	}
	assert_null(l);
}

static void a_log_of_65535_chunks_goes_around_and_not_beyond(void **state)
{
	const uint32_t slots = EVTX_CHUNKS_MAX;
	const struct evtx_identity who = { "host01", 700, 701, 0, false };
	struct evtx_file_header header = { .last_chunk = slots - 1, .next_record_id = 1001, .major = 3,
					   .minor = 1, .chunk_count = (uint16_t)slots };
	struct evtx_writer *w = NULL;
	struct known_event k;
	uint8_t bytes[128];
	struct log_state s;
	struct log *l;
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	(void)state;
	evtx_file_header_write(&header, bytes);
	assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_int_equal(ftruncate(fd, (off_t)SLOTS(slots)), 0);
	assert_int_equal(evtx_writer_new(&who, &w, NULL), 0);
	for (uint64_t id = 1; id <= 1000; id += 999) { /* one record in the first slot, one in the last */
		evtx_writer_begin(w);
		assert_int_equal(evtx_writer_append(w, known_event(&k, id), id, 0), 0);
		assert_int_equal(pwrite(fd, evtx_writer_seal(w), EVTX_CHUNK_SIZE,
					(off_t)SLOTS(id == 1 ? 0 : slots - 1)), EVTX_CHUNK_SIZE);
	}
	evtx_writer_free(w);
	close(fd);

	l = open_log(UINT32_MAX, false);
	append(l, 100);
	assert_int_equal(log_flush(l, 0), 0);
	log_state_get(l, &s);
	assert_int_equal(s.next_id, 1101);
	assert_int_equal(s.size, SLOTS(slots));
	close_log(l);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, SLOTS(slots));
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, bytes, sizeof(bytes), (off_t)SLOTS(0)), sizeof(bytes));
	assert_int_equal(le64_get(bytes + 24), 1001);
	assert_int_equal(ftruncate(fd, (off_t)SLOTS(slots + 1)), 0); /* one too many */
	l = NULL;
	assert_int_equal(log_open_take(fd, &(struct log_options){ .size_max = UINT32_MAX, .who = who }, &l, NULL), -EBADMSG);
}

/* ---- what must not be touched, what cannot be written --------------------------------------------- */

static void a_file_that_is_no_log_is_left_alone(void **state)
{
	static const char text[] = "Dear diary, today I was named on the command line of a monitor.\n";
	const struct log_options o = { .size_max = SLOTS(3), .who = { "h", 1, 1, 0 } };
	char *before = calloc(1, 100000), *after = calloc(1, 100000);

	(void)state;
	for (size_t size = 64; size <= 100000; size = size == 64 ? 5000 : size == 5000 ? 100000 : size + 1) {
		struct log *l = NULL;
		int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

		for (size_t i = 0; i < size; i++)
			before[i] = text[i % (sizeof(text) - 1)];
		assert_int_equal(write(fd, before, size), size);
		assert_int_equal(log_open_take(fd, &o, &l, NULL), -EBADMSG);
		fd = open(path, O_RDONLY);
		assert_int_equal(read(fd, after, 100000), size);
		close(fd);
		assert_memory_equal(before, after, size);
	}
	free(before);
	free(after);
}

static void limit_file_size(uint64_t size)
{
	const struct rlimit limit = { size, RLIM_INFINITY };

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_failed_flush_loses_nothing(void **state)
{
	struct log *l = open_log(SLOTS(20), false);
	struct known_event k;
	struct log_state s;
	uint64_t id = 0, last;
	int r;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	append(l, 100);
	assert_int_equal(log_flush(l, 0), 0);
	read_file();
	log_state_get(l, &s);
	limit_file_size(SLOTS(content.header.last_chunk) + 600); /* the disk takes no more */
	append(l, 1);
	assert_int_equal(log_flush(l, 0), -EFBIG);
	for (last = s.next_id; (r = log_append(l, known_event(&k, last + 1), &id)) == 0;)
		last++;
	assert_int_equal(r, -EFBIG); /* the chunk is full: said to the caller, who counts it */
	assert_int_equal(log_append(l, known_event(&k, last + 1), &id), -EFBIG);
	assert_int_equal(log_flush(l, 0), -EFBIG);
	limit_file_size(RLIM_INFINITY);
	append(l, 10);
	assert_int_equal(log_flush(l, 1), 0);
	assert_kept(1, last + 10);
	close_log(l);
	assert_kept(1, last + 10);
}

/* In a process of its own, whose file systems end with it. Returns its exit status. */
static int in_tiny_filesystem(const char *size, int (*act)(const char *folder))
{
	char folder[] = "/tmp/log-test-XXXXXX", option[32];
	int status;
	pid_t pid;

	assert_non_null(mkdtemp(folder));
	pid = fork();
	if (pid == 0) {
		snprintf(option, sizeof(option), "size=%s", size);
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("tmpfs", folder, "tmpfs", 0, option) < 0)
			_exit(99);
		_exit(act(folder));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	rmdir(folder);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

/* Whole: all between are the newest, none lost at the end. 0, or a line number to look at. */
static int check_whole(uint64_t last, uint64_t size)
{
	read_file();
	if (content.highest != last || content.records != content.highest - content.lowest + 1)
		return __LINE__ % 90 + 1;
	if (content.size != size)
		return __LINE__ % 90 + 1;
	return 0;
}

static int write_beyond_the_disk(const char *folder)
{
	struct known_event k;
	struct log *l;
	int r = 0;

	snprintf(path, sizeof(path), "%s/l.evtx", folder);
	l = open_log(SLOTS(100), false);
	for (uint64_t i = 1; i <= 20000; i++) {
		uint64_t id;

		if (log_append(l, known_event(&k, i), &id) < 0 || log_flush(l, i % 1000 == 0) < 0)
			return 1;
		if (i % 1000 == 0 && i > 2000)
			r = check_whole(i, SLOTS(32));
		if (r)
			return r;
	}
	if (log_close(l, NULL) < 0)
		return 2;
	log_free(l);
	return check_whole(20000, SLOTS(32));
}

static void a_full_disk_makes_the_present_size_the_limit(void **state)
{
	(void)state;
	assert_int_equal(in_tiny_filesystem("2600k", write_beyond_the_disk), 0);
}

static int write_on_a_tiny_disk(const char *folder)
{
	struct log *l;

	snprintf(path, sizeof(path), "%s/l.evtx", folder);
	l = open_log(SLOTS(100), false);
	append(l, 1000);
	if (log_close(l, NULL) < 0)
		return 1;
	log_free(l);
	return check_whole(1000, SLOTS(4));
}

static void a_tiny_disk_gets_a_tiny_log(void **state)
{
	(void)state;
	assert_int_equal(in_tiny_filesystem("300k", write_on_a_tiny_disk), 0);
}

static int open_without_room(const char *folder)
{
	const struct log_options o = { .size_max = SLOTS(100), .who = { "h", 1, 1, 0 } };
	struct log *l = NULL;

	snprintf(path, sizeof(path), "%s/l.evtx", folder);
	return log_open_take(open(path, O_RDWR | O_CREAT, 0600), &o, &l, NULL) == -ENOSPC ? 0 : 1;
}

static void a_disk_without_room_for_one_chunk_is_said_at_once(void **state)
{
	(void)state;
	assert_int_equal(in_tiny_filesystem("40k", open_without_room), 0);
}

/* ---- crashes -------------------------------------------------------------------------------------- */

static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % n;
}

static void write_until_killed(volatile uint64_t *flushed)
{
	struct log *l = open_log(SLOTS(5), false);
	struct known_event k;
	struct log_state s;
	uint64_t id;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when the test fails */
	log_state_get(l, &s);
	for (id = s.next_id - 1;;) {
		if (log_append(l, known_event(&k, id + 1), &id) < 0)
			_exit(1);
		if (random_below(20) == 0) {
			if (log_flush(l, random_below(50) == 0) < 0)
				_exit(2);
			*flushed = id;
		}
	}
}

static void nothing_flushed_is_lost_when_the_writer_is_killed(void **state)
{
	volatile uint64_t *flushed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t before = 0;

	(void)state;
	for (int round = 0; round < 30; round++) {
		int status;
		pid_t pid;

		random_below(3);
		pid = fork();
		if (pid == 0)
			write_until_killed(flushed);
		while (*flushed == before) /* it works */
			usleep(100);
		usleep((useconds_t)random_below(5000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));

		close_log(open_log(SLOTS(5), false));
		read_file();
		assert_contiguous();
		assert_true(content.highest >= *flushed);
		assert_int_equal(content.header.flags, 0);
		assert_int_equal(content.header.next_record_id, content.highest + 1);
		before = *flushed;
	}
	munmap((void *)flushed, 4096);
}

/* An open log as a crash leaves it: all flushed, nothing closed. The bytes are in content. */
static void leave_open(uint64_t size_max, uint64_t events)
{
	struct log *l = open_log(size_max, false);

	append(l, events);
	assert_int_equal(log_flush(l, 0), 0);
	log_free(l);
	read_file();
}

static void put_back(const uint8_t *bytes, uint64_t size)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static uint64_t damage_range(uint8_t *bytes, uint64_t size, uint64_t *begin, uint64_t *end)
{
	static const uint32_t lengths[] = { 512, 4096, EVTX_CHUNK_SIZE };
	const uint32_t length = lengths[random_below(3)];

	*begin = random_below(size / length) * length;
	*end = *begin + length < size ? *begin + length : size;
	switch (random_below(3)) {
	case 0:
		memset(bytes + *begin, 0, *end - *begin);
		return size;
	case 1:
		for (uint64_t i = *begin; i < *end; i++)
			bytes[i] = (uint8_t)random_below(256);
		return size;
	default:
		*end = size; /* cut */
		return *begin;
	}
}

/* Records of the chunks that lie outside [begin, end). */
static uint64_t untouched_records(const uint8_t *bytes, uint64_t size, uint64_t begin, uint64_t end)
{
	struct evtx_chunk_header h;
	uint64_t count = 0;

	for (uint32_t slot = 0; SLOTS(slot) < size; slot++)
		if ((SLOTS(slot + 1) <= begin || SLOTS(slot) >= end) &&
		    evtx_chunk_header_read(bytes + SLOTS(slot), &h) == 0)
			count += h.last_id - h.first_id + 1;
	return count;
}

/* Opens, checks that all chunks are whole, opens again and checks that nothing happens. */
static void recover_twice(uint8_t *copy, uint64_t size_max)
{
	struct log_state s;
	struct log *l = open_log(size_max, true);

	close_log(l);
	read_file();
	memcpy(copy, content.bytes, content.size);
	copy[120] = EVTX_FILE_DIRTY; /* outside of the sum */
	put_back(copy, content.size);
	l = open_log(size_max, true);
	log_state_get(l, &s);
	assert_int_equal(s.dropped_chunks + s.recovered_records, 0);
	close_log(l);
	load_file();
	copy[120] = 0;
	assert_memory_equal(copy, content.bytes, content.size);
	read_file();
}

static void random_damage_costs_what_it_hits_and_nothing_else(void **state)
{
	uint8_t *whole = malloc(FILE_ROOM), *damaged = malloc(FILE_ROOM);
	uint64_t size, last;

	(void)state;
	leave_open(SLOTS(40), 600);
	last = content.highest;
	size = content.size;
	memcpy(whole, content.bytes, size);
	for (int round = 0; round < 100; round++) {
		uint64_t begin = 0, end = 0, kept;

		memcpy(damaged, whole, size);
		kept = damage_range(damaged, size, &begin, &end);
		/* A file of which not even a header is left is none of ours. */
		if (kept < EVTX_FILE_HEADER_SIZE)
			continue;
		put_back(damaged, kept);
		recover_twice(damaged, SLOTS(40));
		assert_true(content.records >= untouched_records(whole, size, begin, end));
		assert_true(content.highest <= last);
		assert_true(content.header.next_record_id > content.highest);
	}
	free(whole);
	free(damaged);
}

/* Power fails while a slot is used again: some of its pages are new, some old. */
static void no_record_of_an_overwritten_chunk_comes_back(void **state)
{
	uint8_t *old = malloc(FILE_ROOM), *mixed = malloc(FILE_ROOM);
	uint64_t lowest, highest;

	(void)state;
	leave_open(SLOTS(4), 700);
	memcpy(old, content.bytes, content.size);
	for (int round = 0; round < 100; round++) {
		uint64_t slot, others;

		put_back(old, SLOTS(4));
		leave_open(SLOTS(4), 100 + random_below(60));
		memcpy(mixed, content.bytes, content.size);
		lowest = content.lowest;
		highest = content.highest;
		slot = SLOTS(content.header.last_chunk);
		others = untouched_records(mixed, content.size, slot, slot + EVTX_CHUNK_SIZE);
		for (uint64_t page = 0; page < EVTX_CHUNK_SIZE; page += 4096)
			if (random_below(2))
				memcpy(mixed + slot + page, old + slot + page, 4096);
		put_back(mixed, content.size);
		close_log(open_log(SLOTS(4), true));
		read_file();
		assert_contiguous();
		assert_true(content.highest <= highest);
		assert_true(content.lowest >= lowest);
		/* Opening took the oldest chunk for what comes next. */
		assert_true(content.records > 0 && content.records < others + 200);
	}
	free(old);
	free(mixed);
}

/* The records reached the disk, the header that speaks of them did not. */
static void records_ahead_of_their_header_are_kept(void **state)
{
	uint8_t *early = malloc(FILE_ROOM);
	struct log *l = open_log(SLOTS(20), false);
	struct log_state s;

	(void)state;
	append(l, 50);
	append(l, 5);
	assert_int_equal(log_flush(l, 0), 0);
	load_file();
	memcpy(early, content.bytes, content.size);
	append(l, 3);
	assert_int_equal(log_flush(l, 0), 0);
	log_free(l);
	read_file();
	memcpy(content.bytes + SLOTS(content.header.last_chunk), early + SLOTS(content.header.last_chunk),
	       EVTX_CHUNK_HEADER);
	put_back(content.bytes, content.size);

	l = open_log(SLOTS(20), false);
	log_state_get(l, &s);
	assert_int_equal(s.next_id, 59);
	assert_true(s.recovered_records > 0);
	assert_int_equal(s.dropped_chunks, 0);
	close_log(l);
	assert_kept(1, 58);
	free(early);
}

/* The first records of a chunk, without any header yet. */
static void the_first_records_of_a_chunk_are_kept_without_a_header(void **state)
{
	struct log_state s;
	struct log *l;

	(void)state;
	leave_open(SLOTS(20), 300);
	memset(content.bytes + SLOTS(content.header.last_chunk), 0, EVTX_CHUNK_HEADER);
	put_back(content.bytes, content.size);
	l = open_log(SLOTS(20), false);
	log_state_get(l, &s);
	assert_int_equal(s.next_id, 301);
	close_log(l);
	assert_kept(1, 300);
}

static void a_lost_file_header_is_made_anew(void **state)
{
	(void)state;
	leave_open(SLOTS(4), 1000);
	memset(content.bytes, 0x5a, 128);
	put_back(content.bytes, content.size);
	close_log(open_log(SLOTS(4), false));
	read_file();
	assert_contiguous();
	assert_int_equal(content.highest, 1000);
	assert_int_equal(content.header.next_record_id, 1001);
}

/* Ids are never given twice, even if every chunk is gone. */
static void ids_go_on_when_all_records_are_gone(void **state)
{
	struct log *l;

	(void)state;
	leave_open(SLOTS(4), 300);
	memset(content.bytes + EVTX_FILE_HEADER_SIZE, 0, content.size - EVTX_FILE_HEADER_SIZE);
	put_back(content.bytes, content.size);
	l = open_log(SLOTS(4), false);
	append(l, 1);
	close_log(l);
	read_file();
	assert_int_equal(content.records, 1);
	assert_true(content.highest > 250); /* as far as the file header had come */
}

static int set_up(void **state)
{
	static unsigned number;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/log-test-%d-%u.evtx", (int)getpid(), number++);
	unlink(path);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	content.bytes = malloc(FILE_ROOM);
	return content.bytes ? evtx_reader_new(&reader, NULL) : -1;
}

static int end(void **state)
{
	(void)state;
	evtx_reader_free(reader);
	free(content.bytes);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_closed_log_is_clean_and_says_exactly_what_it_holds),
		TEST(ids_go_on_after_reopening),
		TEST(a_generation_lasts_as_long_as_its_ids_go_on),
		TEST(opening_and_closing_alone_changes_nothing),
		TEST(what_is_flushed_is_in_the_file_while_the_log_is_open),
		TEST(a_ring_holds_the_newest_chunks_at_every_moment),
		TEST(a_larger_limit_grows_when_the_ring_comes_to_its_end),
		TEST(what_must_be_kept_is_not_overwritten),
		TEST(a_smaller_limit_keeps_all_until_writing_comes_past_it),
		TEST(sizes_out_of_range_are_refused),
		TEST(a_log_of_65535_chunks_goes_around_and_not_beyond),
		TEST(a_file_that_is_no_log_is_left_alone),
		TEST(a_failed_flush_loses_nothing),
		TEST(a_full_disk_makes_the_present_size_the_limit),
		TEST(a_tiny_disk_gets_a_tiny_log),
		TEST(a_disk_without_room_for_one_chunk_is_said_at_once),
		TEST(nothing_flushed_is_lost_when_the_writer_is_killed),
		TEST(random_damage_costs_what_it_hits_and_nothing_else),
		TEST(no_record_of_an_overwritten_chunk_comes_back),
		TEST(records_ahead_of_their_header_are_kept),
		TEST(the_first_records_of_a_chunk_are_kept_without_a_header),
		TEST(a_lost_file_header_is_made_anew),
		TEST(ids_go_on_when_all_records_are_gone),
	};

	return cmocka_run_group_tests(tests, begin, end);
}

/* SPDX-License-Identifier: MIT */
/* Records from the kernel, and the rings they come by: which ones are believed, in which order they come out,
 * and that what does not come is counted. The rings here are memory files with the kernel's layout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those first */
#include <cmocka.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/collect/ring.h"

/* --- what is believed */

struct any {
	struct ks_rec_FILE_CREATE rec;
	char texts[64];
};

static struct any good_record(void)
{
	struct any a = { .rec = { .hdr = { .type = KS_FILE_CREATE, .size = sizeof(a) } } };

	a.rec.TargetFilename = (struct ks_text){ sizeof(a.rec), sizeof(a.texts) };
	return a;
}

static const struct {
	const char *what;
	uint32_t size;
	uint16_t type, off, len;
	uint64_t available;
	int expect;
} cases[] = {
#define FIXED sizeof(struct ks_rec_FILE_CREATE)
#define ALL   sizeof(struct any)
	{ "as it should be", ALL, KS_FILE_CREATE, FIXED, 64, ALL, 0 },
	{ "more behind it", ALL, KS_FILE_CREATE, FIXED, 64, ALL + 1000, 0 },
	{ "no text", FIXED, KS_FILE_CREATE, 0, 0, FIXED, 0 },
	{ "a text at the very end", ALL, KS_FILE_CREATE, ALL - 1, 1, ALL, 0 },
	{ "no type", ALL, KS_RECORD_NONE, FIXED, 64, ALL, -EBADMSG },
	{ "a type that does not exist", ALL, KS_RECORD_COUNT, FIXED, 64, ALL, -EBADMSG },
	{ "less there than a header", ALL, KS_FILE_CREATE, FIXED, 64, sizeof(struct ks_hdr) - 1, -EBADMSG },
	{ "less there than it says", ALL, KS_FILE_CREATE, FIXED, 64, ALL - 1, -EBADMSG },
	{ "shorter than its fixed part", FIXED - 1, KS_FILE_CREATE, 0, 0, ALL, -EBADMSG },
	{ "size 0", 0, KS_FILE_CREATE, 0, 0, ALL, -EBADMSG },
	{ "longer than any record", KS_RECORD_MAX + 1, KS_FILE_CREATE, FIXED, 64, UINT32_MAX, -EBADMSG },
	{ "text one byte too long", ALL, KS_FILE_CREATE, FIXED, 65, ALL, -EBADMSG },
	{ "text begins behind the end", ALL, KS_FILE_CREATE, ALL + 1, 1, ALL, -EBADMSG },
	{ "text within the fixed part", ALL, KS_FILE_CREATE, FIXED - 1, 1, ALL, -EBADMSG },
	{ "text that wraps round", ALL, KS_FILE_CREATE, 0xffff, 0xffff, ALL, -EBADMSG },
};

static void a_record_is_believed_only_if_it_holds_what_it_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct any a = good_record();

		a.rec.hdr.size = cases[i].size;
		a.rec.hdr.type = cases[i].type;
		a.rec.TargetFilename = (struct ks_text){ cases[i].off, cases[i].len };
		if (record_check(&a.rec.hdr, cases[i].available) != cases[i].expect)
			fail_msg("%s", cases[i].what);
	}
}

/* --- rings */

#define CPUS       2
#define RING_BYTES 65536u

struct fixture {
	int fds[3]; /* both rings, counters */
	struct {
		uint64_t *consumer, *producer;
		uint8_t *data;
	} ring[2];
	struct ks_counters *counters;
	struct rings *rings;
};

static void *map_new(int *fd, size_t size)
{
	void *p;

	*fd = memfd_create("wire_test", MFD_CLOEXEC);
	assert_true(*fd >= 0);
	assert_int_equal(ftruncate(*fd, (off_t)size), 0);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	assert_true(p != MAP_FAILED);
	return p;
}

static size_t ring_file_size(void)
{
	return 2 * (size_t)sysconf(_SC_PAGESIZE) + 2 * (size_t)RING_BYTES;
}

static int setup(void **state)
{
	static struct fixture f;
	const uint32_t bytes[2] = { RING_BYTES, RING_BYTES };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (unsigned which = 0; which < 2; which++) {
		uint8_t *p = map_new(&f.fds[which], ring_file_size());

		f.ring[which].consumer = (void *)p;
		f.ring[which].producer = (void *)(p + page);
		f.ring[which].data = p + 2 * page;
	}
	f.counters = map_new(&f.fds[2], CPUS * sizeof(struct ks_counters));
	f.rings = NULL;
	if (rings_map(f.fds, bytes, f.fds[2], CPUS, &f.rings, NULL) < 0)
		return -1;
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rings_free(f->rings);
	for (unsigned which = 0; which < 2; which++)
		munmap(f->ring[which].consumer, ring_file_size());
	munmap(f->counters, CPUS * sizeof(struct ks_counters));
	for (unsigned i = 0; i < 3; i++)
		close(f->fds[i]);
	return 0;
}

/* Puts a record of a type without texts into its ring, as the kernel does; returns its head. */
static uint32_t *produce(struct fixture *f, uint16_t type, uint16_t cpu, uint64_t time_ns)
{
	unsigned which = type == KS_NETWORK_CONNECT ? KS_RING_EVENTS : KS_RING_PROCESS;
	uint32_t size = which == KS_RING_EVENTS ? sizeof(struct ks_rec_NETWORK_CONNECT)
						: sizeof(struct ks_rec_PROCESS_TERMINATE);
	uint32_t *head = (void *)(f->ring[which].data + *f->ring[which].producer);
	struct ks_hdr hdr = { .size = size, .type = type, .cpu = cpu, .time_ns = time_ns };

	hdr.seq = f->counters[cpu].seq[which]++;
	f->counters[cpu].produced[type]++;
	memcpy(head + 2, &hdr, sizeof(hdr));
	*head = size;
	*f->ring[which].producer += (size + BPF_RINGBUF_HDR_SZ + 7) & ~7u;
	return head;
}

/* One that found the ring full: it leaves a number behind and nothing else. */
static void lose(struct fixture *f, uint16_t type, uint16_t cpu)
{
	f->counters[cpu].produced[type]++;
	f->counters[cpu].lost[type]++;
	f->counters[cpu].seq[type == KS_NETWORK_CONNECT ? KS_RING_EVENTS : KS_RING_PROCESS]++;
}

static void expect_time(struct fixture *f, uint64_t time_ns)
{
	const struct ks_hdr *hdr = rings_next(f->rings);

	assert_non_null(hdr);
	assert_int_equal(hdr->time_ns, time_ns);
}

static void both_rings_come_out_in_the_order_of_time(void **state)
{
	struct fixture *f = *state;

	produce(f, KS_NETWORK_CONNECT, 0, 20);
	produce(f, KS_NETWORK_CONNECT, 1, 40);
	produce(f, KS_PROCESS_TERMINATE, 0, 10);
	produce(f, KS_PROCESS_TERMINATE, 1, 30);
	produce(f, KS_PROCESS_TERMINATE, 0, 50);
	for (uint64_t time_ns = 10; time_ns <= 50; time_ns += 10)
		expect_time(f, time_ns);
	assert_null(rings_next(f->rings));
}

static void an_event_waits_for_a_process_record_that_is_being_written(void **state)
{
	struct fixture *f = *state;
	uint32_t *head = produce(f, KS_PROCESS_TERMINATE, 0, 10);

	*head |= BPF_RINGBUF_BUSY_BIT;
	produce(f, KS_NETWORK_CONNECT, 0, 20);
	assert_null(rings_next(f->rings));
	*head &= ~BPF_RINGBUF_BUSY_BIT;
	expect_time(f, 10);
	expect_time(f, 20);
}

static void what_was_discarded_is_passed_over(void **state)
{
	struct fixture *f = *state;

	*produce(f, KS_NETWORK_CONNECT, 0, 10) |= BPF_RINGBUF_DISCARD_BIT;
	produce(f, KS_NETWORK_CONNECT, 0, 20);
	expect_time(f, 20);
}

static void processes_can_be_read_ahead_of_events(void **state)
{
	struct fixture *f = *state;

	produce(f, KS_NETWORK_CONNECT, 0, 10);
	produce(f, KS_PROCESS_TERMINATE, 0, 20);
	assert_int_equal(rings_next_process(f->rings)->time_ns, 20);
	assert_null(rings_next_process(f->rings));
	expect_time(f, 10);
}

static void a_corrupt_record_is_counted_and_passed_over(void **state)
{
	struct fixture *f = *state;
	struct rings_tally t;
	uint32_t *head = produce(f, KS_NETWORK_CONNECT, 0, 10);

	((struct ks_hdr *)(head + 2))->type = KS_RECORD_COUNT;
	produce(f, KS_NETWORK_CONNECT, 0, 20);
	expect_time(f, 20);
	rings_tally(f->rings, &t);
	assert_int_equal(t.corrupt, 1);
	assert_int_equal(t.read[KS_NETWORK_CONNECT], 1);
}

static void what_was_lost_is_missed_between_records_and_after_the_last(void **state)
{
	struct fixture *f = *state;
	struct rings_tally t;

	produce(f, KS_NETWORK_CONNECT, 0, 10);
	lose(f, KS_NETWORK_CONNECT, 0);
	lose(f, KS_NETWORK_CONNECT, 0);
	produce(f, KS_NETWORK_CONNECT, 0, 20);
	lose(f, KS_NETWORK_CONNECT, 0);
	lose(f, KS_NETWORK_CONNECT, 1); /* nothing ever came from there */
	lose(f, KS_PROCESS_TERMINATE, 1);
	while (rings_next(f->rings))
		;
	rings_tally(f->rings, &t);
	assert_int_equal(t.produced[KS_NETWORK_CONNECT], 6);
	assert_int_equal(t.read[KS_NETWORK_CONNECT], 2);
	assert_int_equal(t.lost[KS_NETWORK_CONNECT], 4);
	assert_int_equal(t.lost[KS_PROCESS_TERMINATE], 1);
	assert_int_equal(t.gaps, 5);
}

/* An interrupt numbers its record after, and places it before, the one it interrupted. */
static void numbers_out_of_order_are_no_loss(void **state)
{
	struct fixture *f = *state;
	uint32_t *first = produce(f, KS_NETWORK_CONNECT, 0, 10);
	uint32_t *second = produce(f, KS_NETWORK_CONNECT, 0, 20);
	struct rings_tally t;

	((struct ks_hdr *)(first + 2))->seq = 1;
	((struct ks_hdr *)(second + 2))->seq = 0;
	while (rings_next(f->rings))
		;
	rings_tally(f->rings, &t);
	assert_int_equal(t.gaps, 0);
}

static void what_was_read_is_given_back(void **state)
{
	struct fixture *f = *state;

	produce(f, KS_NETWORK_CONNECT, 0, 10);
	assert_true(rings_backlog(f->rings, KS_RING_EVENTS) > 0);
	expect_time(f, 10);
	assert_int_equal(rings_backlog(f->rings, KS_RING_EVENTS), 0);
	assert_int_equal(*f->ring[KS_RING_EVENTS].consumer, 0);
	rings_release(f->rings);
	assert_int_equal(*f->ring[KS_RING_EVENTS].consumer, *f->ring[KS_RING_EVENTS].producer);
}

int main(void)
{
#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_believed_only_if_it_holds_what_it_says),
		RING_TEST(both_rings_come_out_in_the_order_of_time),
		RING_TEST(an_event_waits_for_a_process_record_that_is_being_written),
		RING_TEST(what_was_discarded_is_passed_over),
		RING_TEST(processes_can_be_read_ahead_of_events),
		RING_TEST(a_corrupt_record_is_counted_and_passed_over),
		RING_TEST(what_was_lost_is_missed_between_records_and_after_the_last),
		RING_TEST(numbers_out_of_order_are_no_loss),
		RING_TEST(what_was_read_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

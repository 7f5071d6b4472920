/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#define RINGS 2
#define NONE  UINT64_MAX

/* One kernel ring, as the kernel lays it out: a page that we write (consumer position), one that it writes
 * (producer position), and the data, mapped twice in a row so that no record is broken at the end. */
struct ring {
	uint64_t *consumer; /* mapped read-write */
	const uint64_t *producer;
	const uint8_t *data;
	uint64_t mask;
	uint64_t at;       /* where we have read to */
	uint64_t released; /* what the kernel was told */
	void *map;         /* producer page and data */
	size_t map_size;
};

/* What has come from one CPU by one ring. */
struct sequence {
	uint64_t start; /* the next number when we mapped the counters */
	uint64_t first; /* smallest and */
	uint64_t last;  /* largest seen, NONE: nothing seen */
	uint64_t count;
};

/* What rings_next() returned last, and where it stood. */
struct latest {
	const struct ks_hdr *record;
	unsigned which;
	uint64_t at;
};

struct rings {
	struct ring ring[RINGS];
	const struct ks_counters *counters;
	size_t counters_size;
	unsigned cpus;
	struct sequence *sequences[RINGS]; /* of `cpus` each */
	struct latest latest;
	uint64_t read[KS_RECORD_COUNT];
	uint64_t corrupt;
};

/* --- what a record must be like */

static const uint32_t fixed_size[KS_RECORD_COUNT] = {
#define EVENT(ev, ...) [KS_##ev] = sizeof(struct ks_rec_##ev),
#define RECORD(rec)    EVENT(rec)
#include "../../schema/events.def"
};

/* Where the texts of a record stand in its fixed part. */
struct text_place {
	uint16_t type;
	uint16_t at;
};
#define PLACE_TEXT(ev, name)    { KS_##ev, offsetof(struct ks_rec_##ev, name) },
#define PLACE_STRING(ev, name)  PLACE_TEXT(ev, name)
#define PLACE_U16(ev, name)
#define PLACE_U32(ev, name)
#define PLACE_U64(ev, name)
#define PLACE_BOOL(ev, name)
#define PLACE_ADDRESS(ev, name)
#define PLACE_FILE_ID(ev, name)
#define PLACE_WHO(ev, name)
static const struct text_place text_places[] = {
#define WIRE(ev, name, type) PLACE_##type(ev, name)
#define RAW(ev, name, type)  PLACE_##type(ev, name)
#include "../../schema/events.def"
};

static bool text_fits(const struct ks_hdr *hdr, unsigned at)
{
	struct ks_text t;

	memcpy(&t, (const uint8_t *)hdr + at, sizeof(t));
	if (t.len == 0)
		return true;
	return t.off >= fixed_size[hdr->type] && t.len <= hdr->size && t.off <= hdr->size - t.len;
}

int record_check(const struct ks_hdr *hdr, uint64_t available)
{
	if (available < sizeof(*hdr) || hdr->size > available || hdr->size > KS_RECORD_MAX)
		return -EBADMSG;
	if (hdr->type == KS_RECORD_NONE || hdr->type >= KS_RECORD_COUNT ||
	    hdr->size < fixed_size[hdr->type])
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_SIZE(text_places); i++)
		if (text_places[i].type == hdr->type && !text_fits(hdr, text_places[i].at))
			return -EBADMSG;
	return 0;
}

/* --- mapping */

static int ring_map(struct ring *r, int fd, uint32_t bytes, struct err *e)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (bytes < page || (bytes & (bytes - 1)))
		return err_set(e, EINVAL, "ring of %u bytes", bytes);
	r->consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r->consumer == MAP_FAILED) {
		r->consumer = NULL;
		return err_set(e, errno, "mapping the ring's consumer page");
	}
	r->map_size = page + 2 * (size_t)bytes;
	r->map = mmap(NULL, r->map_size, PROT_READ, MAP_SHARED, fd, (off_t)page);
	if (r->map == MAP_FAILED) {
		r->map = NULL;
		return err_set(e, errno, "mapping the ring's %u bytes", bytes);
	}
	r->producer = r->map;
	r->data = (const uint8_t *)r->map + page;
	r->mask = bytes - 1;
	r->at = r->released = __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
	return 0;
}

static void ring_unmap(struct ring *r)
{
	if (r->consumer)
		munmap(r->consumer, (size_t)sysconf(_SC_PAGESIZE));
	if (r->map)
		munmap(r->map, r->map_size);
}

static int counters_map(struct rings *r, int fd, struct err *e)
{
	void *map;

	r->counters_size = sizeof(struct ks_counters) * r->cpus;
	map = mmap(NULL, r->counters_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return err_set(e, errno, "mapping the sensor's counters");
	r->counters = map;
	return 0;
}

static int sequences_start(struct rings *r, struct err *e)
{
	for (unsigned which = 0; which < RINGS; which++) {
		r->sequences[which] = calloc(r->cpus, sizeof(*r->sequences[which]));
		if (!r->sequences[which])
			return err_set(e, ENOMEM, "sequence numbers");
		for (unsigned cpu = 0; cpu < r->cpus; cpu++)
			r->sequences[which][cpu] = (struct sequence){
				.start = __atomic_load_n(&r->counters[cpu].seq[which], __ATOMIC_RELAXED),
				.last = NONE,
			};
	}
	return 0;
}

int rings_map(const int ring[2], const uint32_t ring_bytes[2], int counters, unsigned cpus,
	      struct rings **ret, struct err *e)
{
	OWNED(rings) r = calloc(1, sizeof(*r));
	int result;

	if (!r)
		return err_set(e, ENOMEM, "rings");
	r->cpus = cpus;
	result = counters_map(r, counters, e);
	for (unsigned which = 0; which < RINGS && result == 0; which++)
		result = ring_map(&r->ring[which], ring[which], ring_bytes[which], e);
	if (result == 0)
		result = sequences_start(r, e);
	if (result < 0)
		return result;
	*ret = MOVE(r);
	return 0;
}

void rings_free(struct rings *r)
{
	if (!r)
		return;
	rings_release(r);
	for (unsigned which = 0; which < RINGS; which++) {
		ring_unmap(&r->ring[which]);
		free(r->sequences[which]);
	}
	if (r->counters)
		munmap((void *)r->counters, r->counters_size);
	free(r);
}

/* --- reading */

static void ring_release(struct ring *r)
{
	if (r->released == r->at)
		return;
	__atomic_store_n(r->consumer, r->at, __ATOMIC_RELEASE);
	r->released = r->at;
}

void rings_release(struct rings *r)
{
	for (unsigned which = 0; which < RINGS; which++)
		if (r->ring[which].consumer)
			ring_release(&r->ring[which]);
}

uint64_t rings_backlog(const struct rings *r, int which)
{
	const struct ring *ring = &r->ring[which];

	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) - ring->at;
}

static uint64_t entry_size(uint32_t length)
{
	return ((uint64_t)length + BPF_RINGBUF_HDR_SZ + 7) & ~(uint64_t)7;
}

/* The oldest record of the ring; NULL when there is none, or (*busy) when its writer has not finished. What
 * was discarded is passed over. */
static const struct ks_hdr *ring_peek(struct ring *r, uint32_t *length, bool *busy)
{
	uint64_t produced = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);

	*busy = false;
	while (r->at < produced) {
		const uint32_t *entry = (const void *)(r->data + (r->at & r->mask));
		uint32_t head = __atomic_load_n(entry, __ATOMIC_ACQUIRE);

		*busy = head & BPF_RINGBUF_BUSY_BIT;
		if (*busy)
			return NULL;
		*length = head & ~BPF_RINGBUF_DISCARD_BIT;
		if (!(head & BPF_RINGBUF_DISCARD_BIT))
			return (const void *)((const uint8_t *)entry + BPF_RINGBUF_HDR_SZ);
		r->at += entry_size(*length);
	}
	return NULL;
}

static void note_sequence(struct rings *r, unsigned which, const struct ks_hdr *hdr)
{
	struct sequence *s;

	if (hdr->cpu >= r->cpus)
		return;
	s = &r->sequences[which][hdr->cpu];
	if (s->last == NONE)
		s->first = s->last = hdr->seq;
	/* An interrupt may have numbered a record between the number and the place of another. */
	if (hdr->seq < s->first)
		s->first = hdr->seq;
	if (hdr->seq > s->last)
		s->last = hdr->seq;
	s->count++;
}

/* Takes the record that ring_peek() showed. The caller may look at it until the kernel is told that it was
 * read, which is why that happens before the next one is taken, and only after a good many. */
static const struct ks_hdr *ring_take(struct rings *r, unsigned which, const struct ks_hdr *hdr,
				      uint32_t length)
{
	struct ring *ring = &r->ring[which];

	if (ring->at - ring->released > ring->mask / 16)
		ring_release(ring);
	r->latest = (struct latest){ hdr, which, ring->at };
	ring->at += entry_size(length);
	if (record_check(hdr, length) < 0) {
		r->corrupt++;
		return NULL;
	}
	note_sequence(r, which, hdr);
	r->read[hdr->type]++;
	return hdr;
}

/* The next good record of one ring that is not younger than `limit`. */
static const struct ks_hdr *ring_next(struct rings *r, unsigned which, uint64_t limit, bool *busy)
{
	const struct ks_hdr *hdr;
	uint32_t length;

	while ((hdr = ring_peek(&r->ring[which], &length, busy))) {
		if (length >= sizeof(*hdr) && hdr->time_ns > limit)
			return NULL;
		hdr = ring_take(r, which, hdr, length);
		if (hdr)
			return hdr;
	}
	return NULL;
}

/* An event is looked for first: whatever introduced its process was there before it, so that the look into
 * the other ring, which comes after, finds it, unless it lies behind one that is not finished: then the
 * event waits too. */
const struct ks_hdr *rings_next(struct rings *r)
{
	struct ring *events = &r->ring[KS_RING_EVENTS];
	const struct ks_hdr *event, *process;
	uint32_t length;
	bool busy;

	for (;;) {
		event = ring_peek(events, &length, &busy);
		process = ring_next(r, KS_RING_PROCESS,
				    event && length >= sizeof(*event) ? event->time_ns : UINT64_MAX,
				    &busy);
		if (process || !event || busy)
			return process;
		event = ring_take(r, KS_RING_EVENTS, event, length);
		if (event)
			return event;
	}
}

void rings_put_back(struct rings *r)
{
	const struct ks_hdr *hdr = r->latest.record;

	r->ring[r->latest.which].at = r->latest.at;
	r->read[hdr->type]--;
	if (hdr->cpu < r->cpus)
		r->sequences[r->latest.which][hdr->cpu].count--;
}

const struct ks_hdr *rings_next_process(struct rings *r)
{
	bool busy;

	return ring_next(r, KS_RING_PROCESS, UINT64_MAX, &busy);
}

/* --- accounting */

/* Numbers that did not come: those between what came, and, once the ring is empty, those after. */
static uint64_t gaps_of(const struct sequence *s, uint64_t next, bool empty)
{
	uint64_t gaps = 0, seen_to = s->start;

	if (s->last != NONE) {
		gaps = s->last - s->first + 1 - s->count;
		seen_to = s->last + 1;
	}
	if (empty && next > seen_to)
		gaps += next - seen_to;
	return gaps;
}

void rings_tally(const struct rings *r, struct rings_tally *t)
{
	memset(t, 0, sizeof(*t));
	memcpy(t->read, r->read, sizeof(t->read));
	t->corrupt = r->corrupt;
	for (unsigned cpu = 0; cpu < r->cpus; cpu++) {
		const struct ks_counters *c = &r->counters[cpu];

		for (unsigned i = 0; i < KS_RECORD_COUNT; i++) {
			t->produced[i] += __atomic_load_n(&c->produced[i], __ATOMIC_RELAXED);
			t->lost[i] += __atomic_load_n(&c->lost[i], __ATOMIC_RELAXED);
		}
		t->path_unknown += __atomic_load_n(&c->path_unknown, __ATOMIC_RELAXED);
		t->missed += __atomic_load_n(&c->missed, __ATOMIC_RELAXED);
		t->spared += __atomic_load_n(&c->spared, __ATOMIC_RELAXED);
		for (unsigned which = 0; which < RINGS; which++)
			t->gaps += gaps_of(&r->sequences[which][cpu],
					   __atomic_load_n(&c->seq[which], __ATOMIC_RELAXED),
					   rings_backlog(r, (int)which) == 0);
	}
}

/* SPDX-License-Identifier: MIT */
#include "verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../base/own.h"
#include "../event/event.h"
#include "../evtx/format.h"
#include "file.h"

#define READ_SEALS   1024u /* at once */
#define SEALS_MAX    (64u << 20)
#define ALARMS_TOLD  100u
#define NOTES_TOLD   50u
#define CLOCK_STEP_S 2
#define TRIES        4u

struct chunk {
	uint64_t first_id, last_id;
	uint32_t slot;
	bool sealed;
};

struct told {
	bool alarm;
	char text[200];
};

struct verification {
	const struct verify_input *in;
	const struct verify_listener *to;
	struct seal_key key;
	struct seal_entry *seals; /* owned; authentic, by number */
	size_t count, room;
	size_t run;               /* first of the run */
	struct chunk *chunks;     /* owned; by first id */
	uint32_t chunk_count, slots;
	bool live;                /* it is being written, or was not closed */
	uint64_t given_up;        /* G */
	uint64_t sealed_id;
	uint64_t missing_from, missing_to; /* range on its way to being told */
	struct seal_hash *hash;   /* owned */
	uint8_t *bytes;           /* owned; EVTX_CHUNK_SIZE */
	struct told told[ALARMS_TOLD + NOTES_TOLD];
	unsigned told_count, notes;
	struct verify_result result;
};

__attribute__((format(printf, 3, 4))) static void tell(struct verification *v, bool alarm, const char *format, ...)
{
	struct told *t = &v->told[v->told_count];
	va_list a;

	v->result.alarms += alarm;
	if (alarm ? v->result.alarms > ALARMS_TOLD : v->notes >= NOTES_TOLD)
		return;
	v->notes += !alarm;
	v->told_count++;
	t->alarm = alarm;
	va_start(a, format);
	vsnprintf(t->text, sizeof(t->text), format, a);
	va_end(a);
}

/* ---- reading -------------------------------------------------------------------------------------- */

static int take_seal(struct verification *v, const uint8_t *bytes, uint64_t offset)
{
	struct seal_entry s;
	int r = seal_entry_read(bytes, &s);

	if (r < 0)
		tell(v, true, "the seal at offset %" PRIu64 " was altered", offset);
	if (r <= 0)
		return 0;
	if (v->count == v->room) {
		size_t room = v->room ? 2 * v->room : 4096;
		struct seal_entry *more = room > SEALS_MAX ? NULL : realloc(v->seals, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		v->seals = more;
		v->room = room;
	}
	v->seals[v->count++] = s;
	return 0;
}

static int read_seals(struct verification *v, uint64_t size)
{
	OWNED_HEAP uint8_t *bytes = malloc(READ_SEALS * SEAL_SIZE);
	uint64_t at = SEAL_FILE_HEADER;
	int r = bytes ? 0 : -ENOMEM;

	while (at + SEAL_SIZE <= size && r == 0) {
		uint64_t n = (size - at) / SEAL_SIZE;

		n = n < READ_SEALS ? n : READ_SEALS;
		r = file_read(v->in->seals, bytes, n * SEAL_SIZE, at);
		for (uint64_t i = 0; i < n && r == 0; i++)
			r = take_seal(v, bytes + i * SEAL_SIZE, at + i * SEAL_SIZE);
		at += n * SEAL_SIZE;
	}
	return r;
}

static int open_seals(struct verification *v, struct err *e)
{
	static const char magic[8] = { 'K', 'S', 'S', 'E', 'A', 'L', '1', 0 };
	uint8_t header[SEAL_PART_AT + 1];
	uint64_t size;
	int r = file_size(v->in->seals, &size);

	if (r == 0)
		r = size < SEAL_FILE_HEADER ? -ENODATA : file_read(v->in->seals, header, sizeof(header), 0);
	if (r == -ENODATA || (r == 0 && memcmp(header, magic, sizeof(magic)) != 0))
		return err_set(e, EBADMSG, "the file of the seals is none");
	if (r < 0)
		return err_set(e, -r, "reading the seals");
	if (memcmp(header + 8, v->key.chain, SEAL_CHAIN_ID) != 0)
		return err_set(e, EBADMSG, "sealed under another key");
	v->result.part = header[SEAL_PART_AT] == 1;
	if (v->result.part && v->in->has_kept)
		tell(v, true, "the seals of this machine's log say that they are a copy of a part");
	r = read_seals(v, size);
	return r < 0 ? err_set(e, -r, "reading the seals") : 0;
}

static int by_number(const void *a, const void *b)
{
	const struct seal_entry *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* Keeps the seals whose MAC is right, each number once. */
static void keep_authentic(struct verification *v)
{
	struct seal_key key = v->key;
	size_t kept = 0;

	if (v->count)
		qsort(v->seals, v->count, sizeof(*v->seals), by_number);
	for (size_t i = 0; i < v->count; i++) {
		const struct seal_entry s = v->seals[i];

		/* Such a number was never given; getting there could take for ever. */
		if (s.number >= SEAL_NUMBERS) {
			tell(v, true, "the seal numbered %" PRIu64 " was altered", s.number);
			continue;
		}
		seal_key_forward(&key, s.number);
		if (!seal_entry_is_authentic(&s, &key))
			tell(v, true, "the seal numbered %" PRIu64 " was altered", s.number);
		else if (kept && v->seals[kept - 1].number == s.number)
			tell(v, true, "there are two seals numbered %" PRIu64, s.number);
		else
			v->seals[kept++] = s;
	}
	v->count = kept;
}

/* Behind a gap in what a commit was writing when the power went, seals count as never made. */
static void find_run(struct verification *v)
{
	uint64_t settled = 0, next;
	size_t kept = 0;

	for (size_t i = 0; i < v->count; i++) {
		const struct seal_entry *s = &v->seals[i];

		if (s->unsettled <= s->number && s->number - s->unsettled > settled)
			settled = s->number - s->unsettled;
	}
	/* A part may begin within what one commit wrote. */
	if (v->result.part && v->count && v->seals[0].number > settled)
		settled = v->seals[0].number;
	for (next = settled; kept < v->count && v->seals[kept].number <= next; kept++)
		next += v->seals[kept].number == next;
	if (kept < v->count && !v->live)
		tell(v, true, "seals %" PRIu64 " to %" PRIu64 " are missing, of records after %" PRIu64, next,
		     v->seals[kept].number - 1, kept ? v->seals[kept - 1].last_id : 0);
	if (settled && (kept == 0 || v->seals[kept - 1].number + 1 < settled))
		tell(v, true, "seals up to %" PRIu64 " are missing", settled - 1);
	v->count = kept;
	for (v->run = kept ? kept - 1 : 0; v->run > 0; v->run--)
		if (v->seals[v->run - 1].number + 1 != v->seals[v->run].number)
			break;
}

static int by_first_id(const void *a, const void *b)
{
	const struct chunk *x = a, *y = b;

	if (x->first_id != y->first_id)
		return x->first_id < y->first_id ? -1 : 1;
	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static int read_headers(struct verification *v)
{
	uint8_t bytes[EVTX_CHUNK_HEADER];
	struct evtx_chunk_header h;
	int r = 0, state;

	for (uint32_t slot = 0; slot < v->slots && r == 0; slot++) {
		r = file_read(v->in->log, bytes, sizeof(bytes), slot_offset(slot));
		state = r < 0 ? r : evtx_chunk_header_read(bytes, &h);
		if (state == 0 || state == -EILSEQ)
			v->chunks[v->chunk_count++] = (struct chunk){ h.first_id, h.last_id, slot, false };
	}
	if (v->chunk_count)
		qsort(v->chunks, v->chunk_count, sizeof(*v->chunks), by_first_id);
	return r;
}

static int open_log(struct verification *v)
{
	struct evtx_file_header h = { 0 };
	uint8_t bytes[128];
	uint64_t size;
	int r = file_size(v->in->log, &size);

	if (r < 0)
		return r;
	v->slots = size < EVTX_FILE_HEADER_SIZE ? 0 : (uint32_t)((size - EVTX_FILE_HEADER_SIZE) / EVTX_CHUNK_SIZE);
	v->result.bytes = size;
	if (file_read(v->in->log, bytes, sizeof(bytes), 0) < 0 || evtx_file_header_read(bytes, &h) < 0)
		tell(v, true, "the log's file header was altered");
	v->live = h.flags & EVTX_FILE_DIRTY || v->result.part;
	v->chunks = calloc(v->slots + 1, sizeof(*v->chunks));
	return v->chunks ? read_headers(v) : -ENOMEM;
}

/* ---- the order of the seals ------------------------------------------------------------------------ */

/* Where walking through the run has come to. */
struct walk {
	uint64_t first_id, last_id;
	uint32_t end;
	bool whole;
};

static bool follows(const struct walk *w, const struct seal_entry *s)
{
	if (s->kind == SEAL_MARK)
		return s->last_id == w->last_id;
	if (s->first_id == 0 || s->first_id > s->last_id || s->end < EVTX_CHUNK_HEADER || s->end > EVTX_CHUNK_SIZE)
		return false;
	if (s->first_id != w->first_id)
		return s->first_id > w->last_id && (s->flags & SEAL_FRESH || w->first_id == 0);
	if (s->flags & SEAL_FRESH || w->whole || s->last_id < w->last_id || s->end < w->end)
		return false;
	return s->kind == SEAL_WHOLE || s->last_id > w->last_id;
}

static void check_order(struct verification *v)
{
	struct walk w = { .last_id = v->seals[v->run].last_id };

	if (v->seals[v->run].kind != SEAL_MARK)
		w.last_id = v->seals[v->run].first_id - 1;
	for (size_t i = v->run; i < v->count; i++) {
		const struct seal_entry *s = &v->seals[i];

		if (!follows(&w, s))
			tell(v, true, "records %" PRIu64 " to %" PRIu64 " were sealed again later (seal %" PRIu64 ")",
			     s->first_id, s->last_id, s->number);
		else if (s->kind != SEAL_MARK)
			w = (struct walk){ s->first_id, s->last_id, s->end, s->kind == SEAL_WHOLE };
	}
}

/* Can a run begin with this seal, since what came before was given up? */
static bool begins_by(const struct verification *v, const struct seal_entry *s)
{
	return s->first_id <= v->given_up && (s->flags & SEAL_FRESH || s->last_id < v->given_up);
}

/* Must the seals before the run be there? */
static void check_beginning(struct verification *v)
{
	const struct seal_entry *first = &v->seals[v->run];
	size_t i = v->run;

	if (first->flags & SEAL_BEGIN && v->run == 0)
		return;
	while (i < v->count && v->seals[i].kind == SEAL_MARK)
		i++;
	/* What came before stands in other parts. */
	if (v->result.part && v->run == 0 && i < v->count && v->seals[i].flags & SEAL_FRESH)
		return;
	/* What is missing spoke of older records than what is there on either side. */
	if ((v->run == 0 || v->seals[v->run - 1].last_id < v->given_up) &&
	    (i < v->count ? begins_by(v, &v->seals[i]) : v->given_up > v->sealed_id))
		return;
	tell(v, true, "seals %" PRIu64 " to %" PRIu64 " are missing, of records after %" PRIu64,
	     v->run ? v->seals[v->run - 1].number + 1 : 0, first->number - 1,
	     v->run ? v->seals[v->run - 1].last_id : v->given_up - 1);
}

static void check_end(struct verification *v)
{
	const struct seal_entry *last = &v->seals[v->count - 1];

	v->result.closed = last->flags & SEAL_CLOSED;
	if (v->in->has_kept && v->in->kept_number > last->number + 1)
		tell(v, true, "the end is missing: seals %" PRIu64 " to %" PRIu64 " were made and are not there",
		     last->number + 1, v->in->kept_number - 1);
}

/* Reboots and steps of the clock are no alarms: records keep the times they were given. */
static void note_time(struct verification *v)
{
	for (size_t i = v->run + 1; i < v->count; i++) {
		const struct seal_entry *a = &v->seals[i - 1], *b = &v->seals[i];
		int64_t step = (int64_t)(b->utc_ns - a->utc_ns) - (int64_t)(b->boot_ns - a->boot_ns);
		char from[24], to[24];

		utc_text(a->utc_ns, from);
		utc_text(b->utc_ns, to);
		step /= 1000000000;
		if (a->boot != b->boot)
			tell(v, false, "the machine was booted between %s and %s (record %" PRIu64 ")", from, to, a->last_id);
		else if (step > CLOCK_STEP_S || step < -CLOCK_STEP_S)
			tell(v, false, "the clock was set by %+" PRId64 " s between %s and %s (record %" PRIu64 ")", step,
			     from, to, a->last_id);
	}
}

/* ---- the chunks ------------------------------------------------------------------------------------ */

static void tell_missing(struct verification *v)
{
	if (v->missing_from)
		tell(v, true, "records %" PRIu64 " to %" PRIu64 " are missing", v->missing_from, v->missing_to);
	v->missing_from = 0;
}

static void miss(struct verification *v, uint64_t first, uint64_t last)
{
	if (v->missing_from == 0)
		v->missing_from = first;
	v->missing_to = last;
}

static struct chunk *find_chunk(struct verification *v, uint64_t first_id)
{
	uint32_t low = 0, high = v->chunk_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (v->chunks[middle].first_id < first_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < v->chunk_count && v->chunks[low].first_id == first_id ? &v->chunks[low] : NULL;
}

/* Of the seals [from, to), all of one chunk that is in v->bytes: the first that does not hold, or to. */
static size_t check_digests(struct verification *v, size_t from, size_t to)
{
	uint8_t digest[SEAL_DIGEST];
	uint32_t at = EVTX_CHUNK_HEADER;

	seal_hash_begin(v->hash);
	for (; from < to; from++) {
		const struct seal_entry *s = &v->seals[from];

		if (s->end < at || s->end > EVTX_CHUNK_SIZE)
			break;
		seal_hash_add(v->hash, v->bytes + at, s->end - at);
		at = s->end;
		if (s->kind == SEAL_WHOLE)
			seal_hash_add(v->hash, v->bytes, EVTX_CHUNK_HEADER);
		seal_hash_read(v->hash, digest);
		if (memcmp(digest, s->digest, sizeof(digest)) != 0)
			break;
	}
	return from;
}

/* The header of a chunk that grows is not sealed yet, but must lead every reader to what is. */
static bool header_holds(const struct verification *v, const struct seal_entry *s)
{
	struct evtx_chunk_header h;

	if (evtx_chunk_header_read(v->bytes, &h) < 0 || h.flags & EVTX_CHUNK_NO_CRC)
		return false;
	return h.first_id == s->first_id && h.last_id >= s->last_id && h.free_offset >= s->end;
}

static void tell_altered(struct verification *v, size_t from, size_t at, size_t to)
{
	uint64_t first = at > from ? v->seals[at - 1].last_id + 1 : v->seals[from].first_id;
	const struct seal_entry *s = &v->seals[at < to ? at : to - 1];

	if (v->seals[to - 1].last_id < v->given_up)
		tell(v, false, "records %" PRIu64 " to %" PRIu64 " had been given up and are being overwritten", first,
		     v->seals[to - 1].last_id);
	else if (first > s->last_id)
		tell(v, true, "the frame of the chunk with records %" PRIu64 " to %" PRIu64 " is not as it was written",
		     s->first_id, s->last_id);
	else
		tell(v, true, "record %" PRIu64 " (or one after it, up to %" PRIu64 ") is not as it was written", first,
		     s->last_id);
}

static int check_chunk(struct verification *v, size_t from, size_t to)
{
	const struct seal_entry *last = &v->seals[to - 1];
	struct chunk *c = find_chunk(v, last->first_id);
	size_t at;
	int r;

	if (!c) {
		if (last->last_id >= v->given_up)
			miss(v, last->first_id, last->last_id);
		return 0;
	}
	tell_missing(v);
	c->sealed = true;
	r = file_read(v->in->log, v->bytes, EVTX_CHUNK_SIZE, slot_offset(c->slot));
	if (r < 0)
		return r;
	at = check_digests(v, from, to);
	if (at < to || (last->kind != SEAL_WHOLE && !header_holds(v, last))) {
		tell_altered(v, from, at, to);
		return 0;
	}
	if (c->last_id > last->last_id)
		tell(v, !v->live, "records %" PRIu64 " to %" PRIu64 " are not sealed yet", last->last_id + 1, c->last_id);
	if (v->result.first_id == 0)
		v->result.first_id = last->first_id;
	v->result.last_id = last->last_id;
	return 0;
}

/* Seals of one chunk stand behind one another, marks between them aside. */
static int check_chunks(struct verification *v)
{
	int r = 0;

	for (size_t from = 0, to; from < v->count && r == 0; from = to) {
		uint64_t first = v->seals[from].first_id;
		size_t last = from + 1;

		to = from + 1;
		if (v->to->step)
			v->to->step(v->to->self, from, v->count);
		if (v->seals[from].kind == SEAL_MARK)
			continue;
		while (last < v->count && v->seals[last].kind != SEAL_MARK && v->seals[last].first_id == first)
			last++;
		to = last;
		/* Before the run some seals of a chunk may be gone, and with them what the others rest on: only digests
		 * of all its records count there, and those are the same. */
		r = check_chunk(v, from, to);
	}
	tell_missing(v);
	return r;
}

static void check_unsealed(struct verification *v)
{
	const struct seal_entry *first = v->count ? &v->seals[v->run] : NULL;

	for (uint32_t i = 0; i < v->chunk_count; i++) {
		const struct chunk *c = &v->chunks[i];

		if (i && c[-1].first_id == c->first_id)
			tell(v, true, "the chunk with record %" PRIu64 " is there twice", c->first_id);
		if (c->sealed || (i && c[-1].first_id == c->first_id))
			continue;
		if (c->first_id > v->sealed_id && (v->live || !first))
			tell(v, false, "records %" PRIu64 " to %" PRIu64 " are not sealed yet", c->first_id, c->last_id);
		else if (first && first->flags & SEAL_BEGIN && first->number == 0 && c->last_id < first->oldest)
			tell(v, false, "records %" PRIu64 " to %" PRIu64 " were written before sealing began", c->first_id,
			     c->last_id);
		else
			tell(v, true, "records %" PRIu64 " to %" PRIu64 " have no seal", c->first_id, c->last_id);
	}
}

/* ---- all of it ------------------------------------------------------------------------------------- */

static void conclude(struct verification *v)
{
	const struct seal_entry *first = &v->seals[v->run], *last = &v->seals[v->count - 1];

	v->result.first_number = first->number;
	v->result.last_number = last->number;
	v->result.begins = first->flags & SEAL_BEGIN;
	v->result.from_utc_ns = first->utc_ns;
	v->result.to_utc_ns = last->utc_ns;
}

static int verify(struct verification *v, struct err *e)
{
	int r;

	v->hash = seal_hash_new();
	v->bytes = malloc(EVTX_CHUNK_SIZE);
	if (!v->hash || !v->bytes)
		return err_set(e, ENOMEM, "verifying");
	seal_key_from_secret(v->in->secret, &v->key);
	/* The seals first: what is written meanwhile is then only not sealed yet. */
	r = open_seals(v, e);
	if (r < 0)
		return r;
	r = open_log(v);
	if (r == 0) {
		keep_authentic(v);
		find_run(v);
	}
	if (r == 0 && v->count) {
		v->given_up = v->seals[v->count - 1].oldest;
		v->sealed_id = v->seals[v->count - 1].last_id;
		check_beginning(v);
		check_order(v);
		r = check_chunks(v);
		check_end(v);
		note_time(v);
		conclude(v);
	}
	if (r < 0)
		return err_set(e, -r, "reading the log");
	if (v->count == 0)
		tell(v, true, "there is no seal");
	check_unsealed(v);
	return 0;
}

static void done(struct verification *v)
{
	seal_hash_free(v->hash);
	free(v->bytes);
	free(v->seals);
	free(v->chunks);
	free(v);
}

static void retell(const struct verification *v)
{
	const struct verify_listener *to = v->to;
	char more[80];

	for (unsigned i = 0; i < v->told_count; i++)
		to->hear(to->self, v->told[i].alarm, v->told[i].text);
	snprintf(more, sizeof(more), "and %" PRIu64 " more", v->result.alarms - ALARMS_TOLD);
	if (v->result.alarms > ALARMS_TOLD)
		to->hear(to->self, true, more);
}

/* While a log is written, what was true of one moment may be false of the next: an alarm counts when it stays. */
int log_verify(const struct verify_input *in, const struct verify_listener *to, struct verify_result *result,
	       struct err *e)
{
	const struct timespec pause = { .tv_nsec = 100000000 };

	for (unsigned attempt = 1;; attempt++) {
		struct verification *v = calloc(1, sizeof(*v));
		bool again;
		int r;

		if (!v || seal_crypto_begin() < 0)
			return err_set(e, ENOMEM, "verifying");
		v->in = in;
		v->to = to;
		r = verify(v, e);
		again = (r < 0 || v->result.alarms) && v->live && attempt < TRIES;
		if (!again && r == 0) {
			retell(v);
			*result = v->result;
		}
		done(v);
		if (!again)
			return r;
		nanosleep(&pause, NULL);
	}
}

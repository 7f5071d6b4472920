/* SPDX-License-Identifier: MIT */
/* Opening a log: what is there, and what of it can be trusted after a crash. No operator is needed, and
 * doing it twice changes nothing more. Memory: one chunk, however large the file is. */
#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "../base/le.h"
#include "../evtx/reader.h"
#include "log_internal.h"

#define RECORD_ID   (EVTX_CHUNK_HEADER + 8u) /* of the first record of a chunk */
#define RECORD_TIME 16u                       /* within a record */

/* What the chunk headers say, all together. */
struct survey {
	uint64_t lowest_id, highest_id; /* 0 when there is no chunk */
	uint32_t oldest, newest; /* slots */
	uint32_t used;
	uint32_t last_record_offset; /* of the newest chunk */
};

/* What mending one slot after the other needs. */
struct workshop {
	uint8_t *chunk; /* EVTX_CHUNK_SIZE */
	struct evtx_reader *reader;
};

int log_read_slot_header(const struct log *l, uint32_t slot, struct evtx_chunk_header *h, int *state)
{
	uint8_t bytes[EVTX_CHUNK_HEADER] = { 0 };
	int r = file_read(l->fd, bytes, sizeof(bytes), slot_offset(slot));

	*state = evtx_chunk_header_read(bytes, h);
	return r;
}

static void survey_add(struct survey *s, uint32_t slot, const struct evtx_chunk_header *h)
{
	if (s->highest_id == 0 || h->first_id < s->lowest_id) {
		s->lowest_id = h->first_id;
		s->oldest = slot;
	}
	if (h->last_id > s->highest_id) {
		s->newest = slot;
		s->highest_id = h->last_id;
		s->last_record_offset = h->last_record_offset;
	}
	s->used = slot + 1;
}

static int survey_slots(const struct log *l, struct survey *s)
{
	struct evtx_chunk_header h;
	int state, r;

	*s = (struct survey){ 0 };
	for (uint32_t slot = 0; slot < l->slots; slot++) {
		r = log_read_slot_header(l, slot, &h, &state);
		if (r < 0)
			return r;
		if (state == 0 && h.last_id > 0)
			survey_add(s, slot, &h);
	}
	return 0;
}

/* Is there an intact header that says it has this id? */
static int id_is_known(const struct log *l, uint64_t id, uint32_t except, bool *known)
{
	struct evtx_chunk_header h;
	int state, r;

	*known = false;
	for (uint32_t slot = 0; slot < l->slots && !*known; slot++) {
		r = log_read_slot_header(l, slot, &h, &state);
		if (r < 0)
			return r;
		*known = slot != except && state == 0 && id >= h.first_id && id <= h.last_id;
	}
	return 0;
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

/* The data sum, and nothing behind the records. */
static bool is_whole(const uint8_t *chunk, const struct evtx_chunk_header *h)
{
	return evtx_chunk_data_ok(chunk, h) && (h->free_offset == EVTX_CHUNK_SIZE ||
						is_zero(chunk + h->free_offset, EVTX_CHUNK_SIZE - h->free_offset));
}

/* Is this slot more than what remains of a chunk that was being given up: a chunk, or news? */
static bool holds_something(const uint8_t *chunk, int state, uint64_t highest_id)
{
	return state != -ENODATA || le64_get(chunk + RECORD_ID) > highest_id;
}

/* A chunk without a header one can believe. Its own first id is believed when the first record has it too
 * and no other chunk does; else its records must be newer than all others, as those of a chunk are whose
 * header did not reach the disk. What is left of an overwritten chunk is neither. */
static int repair_headless(const struct log *l, uint32_t slot, struct workshop *w, uint64_t highest_id)
{
	struct evtx_chunk_header h = { 0 };
	uint8_t *chunk = w->chunk;
	uint64_t first = le64_get(chunk + RECORD_ID);
	bool known = true;
	int r, kept;

	/* What is sealed had its header on the disk before. */
	if (l->seal && first > seal_last_id(l->seal)) {
		memset(chunk, 0, EVTX_CHUNK_SIZE);
		return 0;
	}
	if (evtx_chunk_header_read(chunk, &h) != -ENODATA && first && first == h.first_id) {
		r = id_is_known(l, first, slot, &known);
		if (r < 0)
			return r;
	}
	kept = evtx_chunk_repair(w->reader, chunk, known ? 0 : first, highest_id);
	if (kept <= 0)
		return kept;
	r = id_is_known(l, first + (uint64_t)kept - 1, slot, &known);
	if (r == 0 && known)
		memset(chunk, 0, EVTX_CHUNK_SIZE);
	return r < 0 ? r : known ? 0 : kept;
}

static int empty_behind(const struct log *l, uint32_t slot, const struct evtx_chunk_header *h)
{
	return file_write_zeroes(l->fd, EVTX_CHUNK_SIZE - h->free_offset, slot_offset(slot) + h->free_offset);
}

/* A chunk whose header and data disagree was torn while it was written. Frames that look whole may hold sectors of
 * another time; only a seal tells. Without seals what looks whole is kept. */
static int repair_torn(const struct log *l, struct workshop *w, uint64_t first_id)
{
	bool settled = true;
	size_t end = l->seal ? seal_vouches(l->seal, w->chunk, first_id, &settled) : 0;

	if (!settled)
		memset(w->chunk + (end ? end : EVTX_CHUNK_HEADER), 0,
		       EVTX_CHUNK_SIZE - (end ? end : EVTX_CHUNK_HEADER));
	return evtx_chunk_repair(w->reader, w->chunk, first_id, 0);
}

/* Is this one of the slots that come next? */
static bool is_next(const struct log *l, const struct survey *s, uint32_t slot)
{
	const uint32_t ahead = (slot + l->slots - s->newest - 1) % l->slots;

	return s->highest_id && ahead <= LOG_UNSYNCED_MAX && ahead < l->slots / 2;
}

/* What stands there is the oldest; if it is not whole, it was being written over, and holds parts of both. */
static bool is_overwritten(const struct log *l, const struct survey *s, uint32_t slot, const struct evtx_chunk_header *h)
{
	return is_next(l, s, slot) && (!l->seal || h->last_id < seal_given_up(l->seal));
}

/* Verifies and mends one slot. */
static int check_slot(struct log *l, struct survey *s, uint32_t slot, bool verify, struct workshop *w)
{
	uint8_t *chunk = w->chunk;
	struct evtx_chunk_header h;
	uint32_t before;
	bool matters;
	int state, kept, r = log_read_slot_header(l, slot, &h, &state);

	if (r < 0 || (state == 0 && !verify))
		return r;
	r = file_read(l->fd, chunk, EVTX_CHUNK_SIZE, slot_offset(slot));
	if (r < 0)
		return r;
	if (state == -ENODATA && is_zero(chunk, EVTX_CHUNK_SIZE))
		return 0;
	/* A chunk that may be sealed already must stay as it is to the last byte. */
	if (state == 0 && is_whole(chunk, &h))
		return 0;

	matters = holds_something(chunk, state, s->highest_id);
	before = evtx_crc(0, chunk, EVTX_CHUNK_SIZE);
	/* Behind records that are as their header says there may be more, whose header came too late: nobody was
	 * told that they are there, and who wrote them still has them. */
	if (state == 0 && evtx_chunk_data_ok(chunk, &h))
		return empty_behind(l, slot, &h);
	if (state == 0 && is_overwritten(l, s, slot, &h))
		return file_write_zeroes(l->fd, EVTX_CHUNK_SIZE, slot_offset(slot));
	kept = state == 0 ? repair_torn(l, w, h.first_id) : repair_headless(l, slot, w, s->highest_id);
	if (kept < 0)
		return kept;
	if (evtx_crc(0, chunk, EVTX_CHUNK_SIZE) == before)
		return 0;
	if (kept == 0 && matters)
		l->dropped_chunks++;
	l->recovered_records += (uint64_t)kept;
	if (kept && le64_get(chunk + RECORD_ID) > s->highest_id)
		s->highest_id = le64_get(chunk + RECORD_ID) + (uint64_t)kept - 1;
	return file_write(l->fd, chunk, EVTX_CHUNK_SIZE, slot_offset(slot));
}

static int mend(struct log *l, bool all, struct survey *s)
{
	OWNED_HEAP uint8_t *chunk = malloc(EVTX_CHUNK_SIZE);
	OWNED(evtx_reader) reader = NULL;
	struct workshop w = { chunk, NULL };
	int r = survey_slots(l, s);

	if (!chunk || evtx_reader_new(&reader, NULL) < 0)
		return -ENOMEM;
	w.reader = reader;
	for (uint32_t slot = 0; slot < l->slots && r == 0; slot++) {
		/* Slots are filled in turn: how long ago was this one? */
		const uint32_t age = (s->newest + l->slots - slot) % l->slots;

		r = check_slot(l, s, slot, all || age < LOG_UNSYNCED_MAX + 2 || is_next(l, s, slot), &w);
	}
	return r < 0 ? r : survey_slots(l, s);
}

/* ---- the ordinary case ---------------------------------------------------------------------------- */

/* After a clean end the header and the two ends of the ring agree, and nothing else needs a look. */
static bool ends_agree(const struct log *l, const struct evtx_file_header *fh, struct survey *s)
{
	struct evtx_chunk_header first, last;
	int state;

	*s = (struct survey){ 0 };
	if (fh->flags & EVTX_FILE_DIRTY || fh->chunk_count > l->slots)
		return false;
	if (fh->chunk_count == 0)
		return true;
	if (fh->last_chunk >= fh->chunk_count || fh->first_chunk >= fh->chunk_count)
		return false;
	if (log_read_slot_header(l, (uint32_t)fh->first_chunk, &first, &state) < 0 || state < 0)
		return false;
	if (log_read_slot_header(l, (uint32_t)fh->last_chunk, &last, &state) < 0 || state < 0)
		return false;
	s->lowest_id = first.first_id;
	s->highest_id = last.last_id;
	s->oldest = (uint32_t)fh->first_chunk;
	s->newest = (uint32_t)fh->last_chunk;
	s->used = fh->chunk_count;
	s->last_record_offset = last.last_record_offset;
	return last.last_id + 1 == fh->next_record_id && first.first_id <= last.first_id;
}

/* ---- the file ------------------------------------------------------------------------------------- */

/* Someone may name a file that is no log: it must not be overwritten. Zeroes, or the beginning of a header,
 * are what a file system leaves of a new log after a power cut. */
static int refuse_foreign(const struct log *l, uint64_t size, const struct survey *s, struct err *e)
{
	uint8_t bytes[EVTX_CHUNK_HEADER] = { 0 };
	uint64_t n = size < sizeof(bytes) ? size : sizeof(bytes);
	int r = file_read(l->fd, bytes, (size_t)n, 0);

	if (r < 0)
		return err_set(e, -r, "reading the log");
	if (s->highest_id == 0 && !is_zero(bytes, sizeof(bytes)) && memcmp(bytes, "ElfFile", 8) != 0)
		return err_set(e, EBADMSG, "the file is no event log");
	return 0;
}

static int start_file(struct log *l, struct err *e)
{
	int r = file_write_zeroes(l->fd, EVTX_FILE_HEADER_SIZE, 0);

	return r < 0 ? err_set(e, -r, "starting the log") : 0;
}

/* A file that was cut within a slot gets the rest of it back, as zeroes. */
static int complete_last_slot(struct log *l, uint64_t size, struct err *e)
{
	uint64_t whole;
	int r;

	l->slots = (uint32_t)((size - EVTX_FILE_HEADER_SIZE + EVTX_CHUNK_SIZE - 1) / EVTX_CHUNK_SIZE);
	whole = slot_offset(l->slots);
	if (whole == size)
		return 0;
	r = file_grow(l->fd, size, whole);
	if (is_full(r)) /* without the space, but with all that is still there */
		r = ftruncate(l->fd, (off_t)whole) < 0 ? -errno : 0;
	return r < 0 ? err_set(e, -r, "completing the log's last chunk") : 0;
}

static uint64_t newest_time(const struct log *l, const struct survey *s)
{
	uint8_t filetime[8];

	if (!s->highest_id || file_read(l->fd, filetime, sizeof(filetime),
					slot_offset(s->newest) + s->last_record_offset + RECORD_TIME) < 0)
		return 0;
	return evtx_utc_ns(le64_get(filetime));
}

static void take_over(struct log *l, const struct survey *s, uint64_t next_id)
{
	l->used = s->used;
	l->next_id = s->highest_id + 1 > next_id ? s->highest_id + 1 : next_id;
	l->newest_utc_ns = newest_time(l, s);
	l->header = (struct evtx_file_header){
		.first_chunk = s->oldest,
		.last_chunk = s->newest,
		.next_record_id = l->next_id,
		.major = 3,
		.minor = 1,
		.chunk_count = (uint16_t)l->used,
		.flags = EVTX_FILE_DIRTY,
	};
}

int log_recover(struct log *l, bool all, struct err *e)
{
	struct evtx_file_header fh = { 0 };
	uint8_t bytes[128];
	struct survey s = { 0 };
	uint64_t size;
	int state = -EBADMSG, r = file_size(l->fd, &size);

	if (r < 0)
		return err_set(e, -r, "looking at the log");
	if (size > slot_offset(EVTX_CHUNKS_MAX))
		return err_set(e, EBADMSG, "the log has more than %u chunks", EVTX_CHUNKS_MAX);
	if (size >= EVTX_FILE_HEADER_SIZE) {
		r = file_read(l->fd, bytes, sizeof(bytes), 0);
		if (r < 0)
			return err_set(e, -r, "reading the log");
		state = evtx_file_header_read(bytes, &fh);
		l->slots = (uint32_t)((size - EVTX_FILE_HEADER_SIZE) / EVTX_CHUNK_SIZE);
	}
	if (state == -EBADMSG) {
		r = survey_slots(l, &s);
		if (r < 0)
			return err_set(e, -r, "reading the log");
		r = refuse_foreign(l, size, &s, e);
		if (r == 0)
			r = start_file(l, e);
		if (r < 0)
			return r;
		if (size < EVTX_FILE_HEADER_SIZE)
			size = EVTX_FILE_HEADER_SIZE;
	}

	r = complete_last_slot(l, size, e);
	if (r < 0)
		return r;
	if (state < 0 || size != slot_offset(l->slots) || !ends_agree(l, &fh, &s)) {
		l->crashed = true;
		r = mend(l, all, &s);
		if (r < 0)
			return err_set(e, -r, "recovering the log");
	}
	take_over(l, &s, state == 0 && fh.next_record_id ? fh.next_record_id : 1);
	return 0;
}

/* ---- sealing what was found ----------------------------------------------------------------------- */

struct found_chunk {
	uint64_t first_id, last_id;
	uint32_t slot;
};

static int by_first_id(const void *a, const void *b)
{
	const struct found_chunk *x = a, *y = b;

	return x->first_id < y->first_id ? -1 : x->first_id > y->first_id;
}

/* Chunks with records that no seal speaks of, and the one whose whole seal is owed, in order. */
static int find_unsealed(const struct log *l, struct found_chunk *found, uint32_t *count)
{
	uint64_t sealed = seal_last_id(l->seal);
	struct evtx_chunk_header h;
	int state, r = 0;

	*count = 0;
	for (uint32_t slot = 0; slot < l->slots && r == 0; slot++) {
		r = log_read_slot_header(l, slot, &h, &state);
		if (r < 0 || state < 0 || h.last_id == 0)
			continue;
		if (h.last_id > sealed || (h.last_id == sealed && !seal_last_is_whole(l->seal)))
			found[(*count)++] = (struct found_chunk){ h.first_id, h.last_id, slot };
	}
	qsort(found, *count, sizeof(*found), by_first_id);
	return r;
}

int log_seal_found(struct log *l)
{
	OWNED_HEAP struct found_chunk *found = calloc(l->slots + 1, sizeof(*found));
	OWNED_HEAP uint8_t *chunk = malloc(EVTX_CHUNK_SIZE);
	uint32_t count = 0;
	int r = found && chunk ? find_unsealed(l, found, &count) : -ENOMEM;

	for (uint32_t i = 0; i < count && r == 0; i++) {
		r = file_read(l->fd, chunk, EVTX_CHUNK_SIZE, slot_offset(found[i].slot));
		if (r < 0)
			break;
		seal_chunk_begin(l->seal);
		r = seal_whole(l->seal, chunk, found[i].first_id, found[i].last_id);
		if (r == 0 && i % LOG_UNSYNCED_MAX == 0)
			r = seal_commit(l->seal, 1);
	}
	return r;
}

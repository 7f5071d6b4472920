/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/le.h"
#include "log_internal.h"
#include "seal_key.h"

#define GROWTH_SLOTS   16u /* 1 MiB, as Windows does */
#define SLOTS_MAX      ((uint32_t)((UINT32_MAX - EVTX_FILE_HEADER_SIZE) / EVTX_CHUNK_SIZE))
#define SYNC_EVERY_NS  1000000000u

int log_write_header(struct log *l)
{
	uint8_t bytes[128];
	int r;

	evtx_file_header_write(&l->header, bytes);
	r = file_write(l->fd, bytes, sizeof(bytes), 0);
	l->header_stale = r < 0;
	l->unsynced = true;
	return r;
}

static void note_written(struct log *l);

/* The chunks that were written since the last sync, from the newest back. What is not as it was written any more cannot be
 * had back: the owner is told, as if others had been at work. */
static int write_again(struct log *l)
{
	uint32_t slot = (uint32_t)l->header.last_chunk, n = l->unsynced_chunks + 1;
	uint64_t next_first = 0;
	int r = l->used ? 0 : -EIO;

	for (n = n < l->used ? n : l->used; n > 0 && r == 0; n--) {
		struct evtx_chunk_header h;
		int state;

		r = log_read_slot_header(l, slot, &h, &state);
		if (r == 0 && (state < 0 || (next_first && h.last_id + 1 != next_first)))
			l->touched = true;
		next_first = h.first_id;
		if (r == 0)
			r = file_write_again(l->fd, slot_offset(slot), EVTX_CHUNK_SIZE);
		slot = slot ? slot - 1 : l->used - 1;
	}
	if (r == 0)
		r = log_write_header(l);
	note_written(l);
	return r;
}

static int sync_file(struct log *l)
{
	int r;

	if (!l->unsynced)
		return 0;
	r = l->sync_failed ? write_again(l) : 0;
	if (r == 0)
		do
			r = fdatasync(l->fd) < 0 ? -errno : 0;
		while (r == -EINTR);
	l->sync_failed = r < 0;
	l->synced_at_ns = clock_ns(CLOCK_MONOTONIC);
	if (r == 0) {
		l->unsynced = false;
		l->unsynced_chunks = 0;
		l->synced_id = l->next_id - 1;
	}
	return r;
}

static uint64_t oldest_id(const struct log *l);

/* What is on the disk is sealed. */
static int commit(struct log *l)
{
	int r = sync_file(l);

	if (r < 0 || !l->seal)
		return r;
	if (l->slot_ready && l->flushed)
		seal_part(l->seal, evtx_writer_seal(l->writer), l->flushed, evtx_writer_first_id(l->writer),
			  l->next_id - 1);
	return seal_is_pending(l->seal) ? seal_commit(l->seal, oldest_id(l)) : 0;
}

/* ---- giving up the oldest ------------------------------------------------------------------------- */

/* Before anything sealed goes, a seal must say that it may: for some chunks at once, since that takes a
 * commit. */
#define GIVE_UP_PART 16u /* of the ring */

static int chunk_ids(const struct log *l, uint32_t slot, uint64_t *first, uint64_t *last)
{
	struct evtx_chunk_header h;
	int state, r = log_read_slot_header(l, slot, &h, &state);

	*first = r == 0 && state == 0 ? h.first_id : 0;
	*last = r == 0 && state == 0 ? h.last_id : 0;
	return r;
}

/* All records up to `last` may go; if it can be found out, those of the next chunks too. */
static int give_up(struct log *l, uint32_t slot, uint64_t last)
{
	uint64_t first, unused;
	uint32_t ahead = l->used / GIVE_UP_PART;
	int r = chunk_ids(l, (slot + 1 + ahead) % l->used, &first, &unused);

	if (r < 0)
		return r;
	seal_give_up(l->seal, first > last + 1 ? first : last + 1);
	r = log_flush(l, 0);
	return r < 0 ? r : commit(l);
}

static int give_up_slot(struct log *l, uint32_t slot)
{
	uint64_t first, last;
	int r = l->seal ? chunk_ids(l, slot, &first, &last) : 0;

	if (r < 0 || !l->seal || last < seal_given_up(l->seal))
		return r;
	return give_up(l, slot, last);
}

/* ---- somebody else's hands ------------------------------------------------------------------------- */

static void note_written(struct log *l)
{
	struct stat st;

	if (fstat(l->fd, &st) < 0)
		return;
	l->written = st.st_mtim;
	l->written_size = st.st_size;
}

/* Before we write, since afterwards the time is ours. */
static void look_for_others(struct log *l)
{
	struct stat st;

	if (l->written_size && fstat(l->fd, &st) == 0 &&
	    (st.st_size != l->written_size || st.st_mtim.tv_sec != l->written.tv_sec ||
	     st.st_mtim.tv_nsec != l->written.tv_nsec))
		l->touched = true;
}

int log_file_check(struct log *l)
{
	struct stat st;

	if (fstat(l->fd, &st) < 0)
		return -errno;
	if (st.st_nlink == 0)
		return -ENOENT;
	look_for_others(l);
	return l->touched ? -ESTALE : 0;
}

/* ---- the next slot -------------------------------------------------------------------------------- */

static int grow(struct log *l)
{
	uint32_t room = (l->slots < l->full ? l->full : l->limit) - l->slots;
	uint32_t step = room < GROWTH_SLOTS ? room : GROWTH_SLOTS;
	int r;

	look_for_others(l);
	do {
		r = file_grow(l->fd, slot_offset(l->slots), slot_offset(l->slots + step));
		if (r == 0)
			l->slots += step;
		step /= 2;
	} while (is_full(r) && l->slots == 0 && step); /* better a tiny log than none */
	note_written(l);
	return r;
}

static int shorten(struct log *l, uint32_t slots)
{
	int r;

	look_for_others(l);
	l->header.first_chunk = 0;
	l->header.chunk_count = (uint16_t)(l->used < slots ? l->used : slots);
	r = log_write_header(l) < 0 ? -EIO : 0;
	if (r == 0 && ftruncate(l->fd, (off_t)slot_offset(slots)) < 0)
		r = -errno;
	note_written(l);
	return r;
}

/* The file is larger than it may be and writing has come to the limit: what is behind is the oldest. */
static int cut_off(struct log *l, uint32_t slots)
{
	uint64_t first, last, highest = 0;
	int r = 0;

	for (uint32_t slot = slots; l->seal && slot < l->used && r == 0; slot++) {
		r = chunk_ids(l, slot, &first, &last);
		highest = last > highest ? last : highest;
	}
	if (r == 0 && highest >= (l->seal ? seal_given_up(l->seal) : UINT64_MAX))
		r = give_up(l, l->used - 1, highest);
	if (r == 0)
		r = shorten(l, slots);
	if (r < 0)
		return r;
	l->slots = slots;
	l->used = l->header.chunk_count;
	return 0;
}

static int choose_slot(struct log *l, uint32_t *slot)
{
	uint32_t next = l->used ? (uint32_t)l->header.last_chunk + 1 : 0;
	int r;

	*slot = next;
	if (next < l->limit && next < l->slots)
		return 0;
	if (next < l->limit) {
		r = grow(l);
		l->disk_full = is_full(r);
		if (!l->disk_full || l->slots == 0)
			return r;
	}
	*slot = 0;
	return next < l->slots ? cut_off(l, next) : 0;
}

/* Gives up the chunk in the slot. It stands there until the new one is first written, which then covers all of it, so that
 * at no moment old records stand behind new ones. */
static int clear_slot(struct log *l, uint32_t slot)
{
	int r;

	if (slot >= l->used)
		return 0;
	r = give_up_slot(l, slot);
	if (r < 0)
		return r;
	l->header.first_chunk = (slot + 1) % l->used;
	l->header_stale = true;
	return 0;
}

static int begin_chunk(struct log *l)
{
	int r;

	r = choose_slot(l, &l->slot);
	if (r == 0 && !(l->header.flags & EVTX_FILE_DIRTY)) { /* closed, but its successor did not come */
		look_for_others(l);
		l->header.flags = EVTX_FILE_DIRTY;
		r = log_write_header(l);
		note_written(l);
	}
	if (r == 0)
		r = clear_slot(l, l->slot);
	if (r < 0)
		return r;
	evtx_writer_begin(l->writer);
	if (l->seal)
		seal_chunk_begin(l->seal);
	l->flushed = 0;
	l->slot_ready = true;
	return 0;
}

/* ---- writing -------------------------------------------------------------------------------------- */

/* The records first, then the chunk's header: who sees the header sees the records. Only a chunk that is written for the
 * first time goes out in one piece, with zeroes over what is left of an older one, which saves calls for each: who reads
 * while it is written sees a sum that does not hold yet. */
static int flush_chunk(struct log *l)
{
	const size_t used = evtx_writer_used(l->writer);
	const size_t from = l->flushed ? l->flushed : EVTX_CHUNK_HEADER;
	const uint8_t *image;
	int r;

	if (!l->slot_ready || evtx_writer_count(l->writer) == 0 || l->flushed == used)
		return 0;
	image = evtx_writer_seal(l->writer);
	l->unsynced = true;
	if (l->flushed == 0)
		r = file_write(l->fd, image, l->slot < l->used ? EVTX_CHUNK_SIZE : used, slot_offset(l->slot));
	else
		r = file_write(l->fd, image + from, used - from, slot_offset(l->slot) + from);
	if (r == 0 && l->flushed)
		r = file_write(l->fd, image, EVTX_CHUNK_HEADER, slot_offset(l->slot));
	if (r < 0)
		return r;
	if (l->flushed == 0) {
		if (l->slot == l->used)
			l->used++;
		l->header.last_chunk = l->slot;
		l->header.chunk_count = (uint16_t)l->used;
		l->header.next_record_id = l->next_id;
		l->header_stale = true;
	}
	l->flushed = used;
	return 0;
}

/* So many chunks may be written before the owner looks again. */
#define NEARLY_FULL 64u

bool log_is_nearly_full(const struct log *l)
{
	uint32_t room = l->full / 4 < NEARLY_FULL ? l->full / 4 : NEARLY_FULL;

	return l->used > 0 && l->used + room >= l->full;
}

int log_flush(struct log *l, int sync)
{
	int r;

	look_for_others(l);
	r = flush_chunk(l);
	if (r == 0 && l->header_stale)
		r = log_write_header(l);
	note_written(l);
	if (r == 0 && sync)
		r = commit(l);
	return r;
}

static int seal_chunk(struct log *l)
{
	return l->seal ? seal_whole(l->seal, evtx_writer_seal(l->writer), evtx_writer_first_id(l->writer),
				    l->next_id - 1) : 0;
}

/* The chunk is full. A commit that fails here is not lost: the owner's next one tries again. */
static int finish_chunk(struct log *l)
{
	int r;

	/* The file header waits for the owner's flush: while the log is open, the chunks themselves count. */
	look_for_others(l);
	r = flush_chunk(l);
	note_written(l);
	if (r == 0)
		r = seal_chunk(l);
	if (r < 0)
		return r;
	l->slot_ready = false;
	if ((++l->unsynced_chunks >= LOG_UNSYNCED_MAX && !l->sync_failed) ||
	    clock_ns(CLOCK_MONOTONIC) - l->synced_at_ns >= SYNC_EVERY_NS)
		commit(l);
	return 0;
}

int log_append(struct log *l, const struct event *ev, uint64_t *id)
{
	const uint64_t now = clock_ns(CLOCK_REALTIME);

	for (;;) {
		int r = l->slot_ready ? 0 : begin_chunk(l);

		if (r == 0)
			r = evtx_writer_append(l->writer, ev, l->next_id, now);
		if (r == 0)
			break;
		if (r != -ENOSPC || !l->slot_ready || evtx_writer_count(l->writer) == 0)
			return r;
		r = finish_chunk(l);
		if (r < 0)
			return r;
	}
	*id = l->next_id++;
	l->newest_utc_ns = now;
	return 0;
}

/* ---- opening, closing, asking --------------------------------------------------------------------- */

static int set_sizes(struct log *l, uint64_t size_max, struct err *e)
{
	if (size_max < LOG_SIZE_MIN || size_max > UINT32_MAX)
		return err_set(e, EINVAL, "a log of %llu bytes", (unsigned long long)size_max);
	l->size_max = size_max;
	l->full = (uint32_t)((size_max - EVTX_FILE_HEADER_SIZE) / EVTX_CHUNK_SIZE);
	l->limit = l->keeps_all ? SLOTS_MAX : l->full;
	return 0;
}

/* Sealed records that are not there any more were taken away while nobody wrote; their ids are not given again. */
static int seal_what_is_there(struct log *l, struct err *e)
{
	uint64_t sealed;
	int r;

	seal_begin(l->seal, l->next_id);
	sealed = seal_last_id(l->seal);
	if (sealed >= l->next_id) {
		l->missing_first = l->next_id;
		l->missing_last = sealed;
		l->next_id = l->header.next_record_id = sealed + 1;
	}
	r = l->crashed ? log_seal_found(l) : 0;
	if (r == 0)
		r = seal_mark(l->seal, SEAL_OPENED, seal_last_id(l->seal));
	if (r == 0)
		r = commit(l);
	return r < 0 ? err_set(e, -r, "sealing what the log holds") : 0;
}

int log_resize(struct log *l, uint64_t size_max, struct err *e)
{
	return set_sizes(l, size_max, e);
}

/* That of the file, or else the one that goes on, or a new one. */
static int settle_generation(struct log *l, uint64_t going_on)
{
	uint8_t mark[EVTX_GENERATION_SIZE];
	int r = file_read(l->fd, mark, sizeof(mark), EVTX_GENERATION_AT);

	l->generation = r == 0 ? evtx_generation_read(mark) : 0;
	if (l->generation)
		return 0;
	l->generation = going_on;
	while (!l->generation)
		if (getrandom(&l->generation, sizeof(l->generation), 0) != sizeof(l->generation))
			return -EIO;
	evtx_generation_write(l->generation, mark);
	return file_write(l->fd, mark, sizeof(mark), EVTX_GENERATION_AT);
}

int log_open_take(int fd, const struct log_options *o, struct log **ret, struct err *e)
{
	OWNED_FD owned_fd = fd, owned_seal = o->seal.on ? o->seal.fd : -1;
	OWNED_FD owned_key = o->seal.on ? o->seal.key_fd : -1;
	OWNED(log) l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return err_set(e, ENOMEM, "opening the log");
	l->fd = MOVE_FD(owned_fd);
	l->keeps_all = o->keeps_all;
	r = set_sizes(l, o->size_max, e);
	if (r == 0)
		r = evtx_writer_new(&o->who, &l->writer, e);
	if (r == 0 && o->seal.on)
		r = seal_open_take(MOVE_FD(owned_seal), MOVE_FD(owned_key), o->seal.boot, &l->seal, e);
	if (r == 0)
		r = log_recover(l, o->check_all, e);
	if (r < 0)
		return r;

	if (o->next_id > l->next_id)
		l->next_id = l->header.next_record_id = o->next_id;
	r = settle_generation(l, o->generation);
	if (r == 0)
		r = log_write_header(l);
	if (r == 0)
		r = sync_file(l);
	if (r == 0 && l->seal) {
		r = seal_what_is_there(l, e);
		if (r < 0)
			return r;
	}
	if (r == 0)
		r = begin_chunk(l);
	note_written(l);
	if (r < 0)
		return err_set(e, -r, "preparing the log");
	*ret = MOVE(l);
	return 0;
}

/* From the file: nobody asks often enough to keep this in mind for every chunk. */
static void oldest_record(const struct log *l, uint64_t *id, uint64_t *utc_ns)
{
	uint8_t record[24];
	uint64_t at = slot_offset((uint32_t)l->header.first_chunk) + EVTX_CHUNK_HEADER;

	*id = *utc_ns = 0;
	if (l->used == 0 || file_read(l->fd, record, sizeof(record), at) < 0)
		return;
	*id = le64_get(record + 8);
	*utc_ns = *id ? evtx_utc_ns(le64_get(record + 16)) : 0;
}

static uint64_t oldest_id(const struct log *l)
{
	uint64_t id, utc_ns;

	oldest_record(l, &id, &utc_ns);
	return id ? id : 1;
}

void log_state_get(const struct log *l, struct log_state *s)
{
	*s = (struct log_state){
		.next_id = l->next_id,
		.size = slot_offset(l->slots),
		.size_max = l->size_max,
		.disk_full = l->disk_full,
		.overwrites = l->used > 0 && l->used >= (l->disk_full ? l->slots : l->limit),
		.newest_utc_ns = l->newest_utc_ns,
		.dropped_chunks = l->dropped_chunks,
		.recovered_records = l->recovered_records,
		.sealed = l->seal,
		.missing_seals = l->seal ? seal_missing(l->seal) : 0,
		.missing_first = l->missing_first,
		.missing_last = l->missing_last,
	};
	oldest_record(l, &s->first_id, &s->oldest_utc_ns);
	if (s->first_id == 0 && evtx_writer_count(l->writer)) {
		s->first_id = evtx_writer_first_id(l->writer);
		s->oldest_utc_ns = l->newest_utc_ns;
	}
}

uint64_t log_synced_id(const struct log *l)
{
	return l->synced_id;
}

uint64_t log_generation(const struct log *l)
{
	return l->generation;
}

uint64_t log_next_id(const struct log *l)
{
	return l->next_id;
}

bool log_disk_full(const struct log *l)
{
	return l->disk_full;
}

int log_close(struct log *l, struct err *e)
{
	int r = log_flush(l, 1);

	if (r == 0 && l->seal && l->slot_ready && l->flushed)
		r = seal_chunk(l);
	l->slot_ready = false;
	if (r == 0 && l->seal)
		r = seal_mark(l->seal, SEAL_CLOSED, seal_last_id(l->seal));
	l->header.next_record_id = l->next_id;
	if (r == 0)
		r = log_write_header(l);
	if (r == 0)
		r = commit(l);
	if (r < 0)
		return err_set(e, -r, "closing the log");

	/* Clean only when everything that it says is on the disk. */
	l->header.flags = 0;
	r = log_write_header(l);
	if (r == 0)
		r = sync_file(l);
	return r < 0 ? err_set(e, -r, "closing the log") : 0;
}

void log_free(struct log *l)
{
	if (!l)
		return;
	evtx_writer_free(l->writer);
	seal_free(l->seal);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

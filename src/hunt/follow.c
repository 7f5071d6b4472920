/* SPDX-License-Identifier: MIT */
/* Following a log that is being written to. What is remembered is the id of the next record and the slot
 * where it is expected; the writer goes from slot to slot and from the last one back to the first, and
 * says nothing to us, so we look (docs/formats/evtx.md, "Following"). */
#include "follow.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>

#include "view.h"

/* The writer flushes every 50 to 100 ms; looking more often shows nothing earlier. */
#define LOOK_EVERY_MS 50

/* A chunk header with a wrong checksum is half of a change: the next look sees the whole. After so many
 * looks it is damage, and what follows is sought. */
#define PATIENCE 20

struct follower {
	struct logfile *log;        /* borrowed */
	struct evtx_reader *reader; /* owned */
	uint64_t next; /* id of the record to be read next */
	uint64_t slot;
	bool placed; /* slot holds a chunk that next belongs to, or the one behind which it will come */
	unsigned unreadable; /* looks in a row at a header that cannot be read */
	uint64_t sought_at;  /* last_chunk of the file header when the list was looked through last */
	bool in_chunk;       /* the reader has records left of this chunk, */
	uint64_t chunk_last; /* whose last id this is */
};

/* Sets the reader on the chunk with the next record. False: not now. */
static bool open_chunk(struct follower *f)
{
	struct evtx_chunk_header h;
	struct err e = { 0 };

	/* Between the look and this the writer may have put another chunk here: the next look will tell. */
	if (logfile_read(f->log, f->slot, f->reader, &e) < 0 || logfile_read_header(f->log, &h) < 0 ||
	    h.first_id > f->next)
		return false;
	f->chunk_last = h.last_id;
	return f->in_chunk = true;
}

/* The next record of this chunk; false: it has no more. */
static bool next_in_chunk(struct follower *f, struct evtx_record *rec)
{
	while (logfile_scan(f->log, f->reader, rec)) {
		if (rec->header_id < f->next)
			continue;
		f->next = rec->header_id + 1;
		return true;
	}
	logfile_end_chunk(f->log, f->reader);
	/* What cannot be read was told: not to be tried again and again. */
	if (f->next <= f->chunk_last)
		f->next = f->chunk_last + 1;
	return f->in_chunk = false;
}

/* Does this slot hold the chunk that begins with the next record? */
static bool begins_with_next(const struct follower *f, uint64_t slot)
{
	struct evtx_chunk_header h;

	return logfile_peek(f->log, slot, &h) == 0 && h.first_id == f->next;
}

/* The next chunk is in the next slot, or in the first one when the ring is full. */
static bool step_on(struct follower *f)
{
	if (begins_with_next(f, f->slot + 1))
		f->slot++;
	else if (begins_with_next(f, 0))
		f->slot = 0;
	else
		return false;
	return true;
}

/* The oldest chunk that has next or later records; else the one behind which next will come. */
static const struct chunk_place *find_next(const struct follower *f)
{
	const struct chunk_place *before = NULL;

	for (size_t i = 0; i < logfile_count(f->log); i++) {
		const struct chunk_place *place = logfile_chunk(f->log, i);

		if (place->sound && place->last_id >= f->next)
			return place;
		if (place->sound && place->last_id + 1 == f->next)
			before = place;
	}
	return before;
}

/* Looks for next among all chunks: at the start, and when the writer has overtaken us. */
static bool seek(struct follower *f)
{
	const struct chunk_place *found;
	struct err e;

	f->unreadable = 0;
	if (logfile_refresh(f->log, &e) < 0)
		return false;
	found = find_next(f);
	if (!found)
		return false;
	if (found->first_id > f->next) {
		logfile_tell(f->log, "%" PRIu64 " records were overwritten or damaged before they could be shown",
			     found->first_id - f->next);
		f->next = found->first_id;
	}
	f->slot = found->slot;
	return true;
}

/* The writer says that it is elsewhere, and has not said so before. */
static bool overtaken(struct follower *f)
{
	struct evtx_file_header h = { 0 };
	int r = logfile_header(f->log, &h);

	if ((r < 0 && r != -EILSEQ) || h.last_chunk == f->slot || h.last_chunk == f->sought_at)
		return false;
	f->sought_at = h.last_chunk;
	return true;
}

/* One look. True: a chunk was opened or found, go on at once. */
static bool look(struct follower *f)
{
	struct evtx_chunk_header h;
	int r;

	if (!f->placed)
		return f->placed = seek(f);
	r = logfile_peek(f->log, f->slot, &h);
	if (r < 0 && r != -ENODATA && f->unreadable++ < PATIENCE)
		return false;
	if (r < 0 || h.first_id > f->next || h.last_id + 1 < f->next)
		return seek(f);
	f->unreadable = 0;
	if (f->next <= h.last_id)
		return open_chunk(f);
	return step_on(f) || (overtaken(f) && seek(f));
}

int follower_new(struct logfile *l, uint64_t after, struct follower **ret, struct err *e)
{
	struct follower *f = calloc(1, sizeof(*f));
	int r = f ? evtx_reader_new(&f->reader, e) : err_set(e, ENOMEM, "following the log");

	if (r < 0) {
		follower_free(f);
		return r;
	}
	f->log = l;
	f->next = after + 1;
	f->sought_at = UINT64_MAX;
	*ret = f;
	return 0;
}

void follower_free(struct follower *f)
{
	if (f)
		evtx_reader_free(f->reader);
	free(f);
}

bool follower_next(struct follower *f, struct evtx_record *rec)
{
	do {
		if (f->in_chunk && next_in_chunk(f, rec))
			return true;
	} while (look(f));
	return false;
}

struct evtx_reader *follower_reader(const struct follower *f)
{
	return f->reader;
}

bool follower_in_chunk(const struct follower *f)
{
	return f->in_chunk && f->next <= f->chunk_last;
}

/* --- showing what comes */

static void give(const struct view *v, struct evtx_reader *r, const struct evtx_record *rec)
{
	if (v->take)
		v->take(v->self, r, rec);
	else
		render(v->form, v->colour, r, rec, v->to);
}

static bool wait_or_told_to_stop(int until)
{
	struct pollfd p = { .fd = until, .events = POLLIN };
	int n = poll(&p, 1, LOOK_EVERY_MS); /* a negative descriptor is only waited out */

	return n > 0 && p.revents;
}

/* All that has come. 1: that is enough; 0; -errno. */
static int give_all(struct follower *f, const struct view *v, struct err *e)
{
	struct evtx_record rec;

	while (follower_next(f, &rec)) {
		if (!filter_passes(v->filter, f->reader, &rec) || !logfile_fill(f->log, f->reader, &rec))
			continue;
		give(v, f->reader, &rec);
		if (v->enough && v->enough(v->self))
			return 1;
		if (ferror(v->to))
			break;
	}
	return fflush(v->to) == 0 && !ferror(v->to) ? 0 : err_set(e, errno ? errno : EIO, "writing");
}

int view_follow(struct logfile *l, uint64_t after, const struct view *v, int until, struct err *e)
{
	OWNED(follower) f = NULL;
	bool stop = false;
	int r = follower_new(l, after, &f, e);

	while (r == 0 && !stop) {
		stop = wait_or_told_to_stop(until);
		r = give_all(f, v, e);
	}
	return r < 0 ? r : 0;
}

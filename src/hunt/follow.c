/* SPDX-License-Identifier: MIT */
/* Following a log that is being written to. What is remembered is the id of the next record and the slot
 * where it is expected; the writer goes from slot to slot and from the last one back to the first, and
 * says nothing to us, so we look (docs/formats/evtx.md, "Following"). */
#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>

/* The writer flushes every 50 to 100 ms; looking more often shows nothing earlier. */
#define LOOK_EVERY_MS 50

/* A chunk header with a wrong checksum is half of a change: the next look sees the whole. After so many
 * looks it is damage, and what follows is sought. */
#define PATIENCE 20

struct follower {
	struct logfile *log;
	struct evtx_reader *reader;
	const struct view *view;
	uint64_t next; /* id of the record to be shown next */
	uint64_t slot;
	bool placed; /* slot holds a chunk that next belongs to, or the one behind which it will come */
	unsigned unreadable; /* looks in a row at a header that cannot be read */
	uint64_t sought_at;  /* last_chunk of the file header when the list was looked through last */
};

static void give(const struct view *v, struct evtx_reader *r, const struct evtx_record *rec)
{
	if (v->take)
		v->take(v->self, r, rec);
	else
		render(v->form, v->colour, r, rec, v->to);
}

/* Shows the records of the chunk from next on. False: not now. */
static bool show_chunk(struct follower *f)
{
	struct evtx_chunk_header h;
	struct evtx_record rec;
	struct err e = { 0 };

	/* Between the look and this the writer may have put another chunk here: the next look will tell. */
	if (logfile_read(f->log, f->slot, f->reader, &e) < 0 || logfile_read_header(f->log, &h) < 0 ||
	    h.first_id > f->next)
		return false;
	while (logfile_scan(f->log, f->reader, &rec)) {
		if (rec.header_id < f->next)
			continue;
		f->next = rec.header_id + 1;
		if (filter_passes(f->view->filter, f->reader, &rec) && logfile_fill(f->log, f->reader, &rec))
			give(f->view, f->reader, &rec);
	}
	logfile_end_chunk(f->log, f->reader);
	/* What cannot be read was told: not to be tried again and again. */
	if (f->next <= h.last_id)
		f->next = h.last_id + 1;
	return true;
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

/* One look. True: something was shown or found, look again at once. */
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
		return show_chunk(f);
	return step_on(f) || (overtaken(f) && seek(f));
}

static bool wait_or_told_to_stop(int until)
{
	struct pollfd p = { .fd = until, .events = POLLIN };
	int n = poll(&p, 1, LOOK_EVERY_MS); /* a negative descriptor is only waited out */

	return n > 0 && p.revents;
}

static int flushed(const struct follower *f, struct err *e)
{
	if (fflush(f->view->to) == 0 && !ferror(f->view->to))
		return 0;
	return err_set(e, errno ? errno : EIO, "writing");
}

int view_follow(struct logfile *l, uint64_t after, const struct view *v, int until, struct err *e)
{
	OWNED(evtx_reader) reader = NULL;
	struct follower f = { .log = l, .view = v, .next = after + 1, .sought_at = UINT64_MAX };
	bool stop = false;
	int r = evtx_reader_new(&reader, e);

	if (r < 0)
		return r;
	f.reader = reader;
	while (!stop) {
		stop = wait_or_told_to_stop(until);
		while (look(&f)) {
			r = flushed(&f, e);
			if (r < 0)
				return r;
			if (v->enough && v->enough(v->self))
				return 0;
		}
	}
	return 0;
}

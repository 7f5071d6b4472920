/* SPDX-License-Identifier: MIT */
#include "view.h"

#include <errno.h>
#include <stdlib.h>

/* A record is written after it happened, so a chunk whose successor was begun before `since` has nothing
 * that is wanted. An hour of doubt, because clocks are set. */
#define CLOCK_DOUBT_NS UINT64_C(3600000000000)

static bool too_old(const struct logfile *l, size_t i, uint64_t since)
{
	uint64_t begun = logfile_chunk(l, i)->written_utc_ns, ended;

	if (!since || i + 1 == logfile_count(l))
		return false;
	ended = logfile_chunk(l, i + 1)->written_utc_ns;
	return begun && begun <= ended && ended + CLOCK_DOUBT_NS < since;
}

/* One that was begun after `until`, and not by a clock that went wrong: the one before was begun no later. */
static bool too_new(const struct logfile *l, size_t i, uint64_t until)
{
	uint64_t begun = logfile_chunk(l, i)->written_utc_ns;

	return until && i > 0 && begun > until + CLOCK_DOUBT_NS &&
	       logfile_chunk(l, i - 1)->written_utc_ns <= begun;
}

static bool out_of_time(const struct logfile *l, size_t i, const struct filter *f)
{
	return too_old(l, i, filter_oldest(f)) || too_new(l, i, filter_newest(f));
}

bool view_begin(struct logfile *l, size_t i, struct evtx_reader *r, const struct filter *f)
{
	return !out_of_time(l, i, f) && logfile_begin(l, i, r);
}

bool view_next(struct logfile *l, struct evtx_reader *r, struct filter *f, struct evtx_record *rec)
{
	while (logfile_scan(l, r, rec))
		if (filter_passes(f, r, rec) && logfile_fill(l, r, rec))
			return true;
	return false;
}

/* Texts of one chunk's records, to be given out in the other direction: a chunk can only be read
 * forwards, and is small enough to be kept as text. */
struct texts {
	FILE *stream;
	char *bytes;
	size_t size;
	size_t *starts;
	size_t count, room;
};

static int texts_mark(struct texts *t)
{
	if (t->count == t->room) {
		size_t room = t->room ? t->room * 2 : 256;
		size_t *starts = reallocarray(t->starts, room, sizeof(*starts));

		if (!starts)
			return -ENOMEM;
		t->starts = starts;
		t->room = room;
	}
	t->starts[t->count++] = (size_t)ftello(t->stream);
	return 0;
}

static void texts_give_out(struct texts *t, const struct view *v, uint64_t *shown)
{
	size_t end = t->size;

	for (size_t i = t->count; i-- > 0 && (!v->count || *shown < v->count); ++*shown) {
		fwrite(t->bytes + t->starts[i], 1, end - t->starts[i], v->to);
		end = t->starts[i];
	}
}

static int show_backwards(struct logfile *l, struct evtx_reader *r, const struct view *v, uint64_t *shown)
{
	struct texts t = { 0 };
	struct evtx_record rec;
	int result = 0;

	t.stream = open_memstream(&t.bytes, &t.size);
	if (!t.stream)
		return -ENOMEM;
	while (result == 0 && view_next(l, r, v->filter, &rec)) {
		result = texts_mark(&t);
		if (result == 0)
			render(v->form, v->colour, r, &rec, t.stream);
	}
	if (fclose(t.stream) != 0)
		result = -ENOMEM;
	if (result == 0)
		texts_give_out(&t, v, shown);
	free(t.bytes);
	free(t.starts);
	return result;
}

static int output_state(FILE *to, struct err *e)
{
	if (fflush(to) == 0 && !ferror(to))
		return 0;
	return err_set(e, errno ? errno : EIO, "writing");
}

static int show_newest_first(struct logfile *l, struct evtx_reader *r, const struct view *v, struct err *e)
{
	uint64_t shown = 0;

	for (size_t i = logfile_count(l); i-- > 0 && (!v->count || shown < v->count) && !ferror(v->to);) {
		int result;

		progress_step(v->progress, logfile_count(l) - 1 - i, logfile_count(l));
		if (!view_begin(l, i, r, v->filter))
			continue;
		result = show_backwards(l, r, v, &shown);
		if (result < 0)
			return err_set(e, -result, "showing a chunk");
		logfile_end_chunk(l, r);
	}
	return 0;
}

/* How many records of the chunk pass. What cannot be read is not told: it will be when it is shown. */
static uint64_t count_passing(struct logfile *l, size_t i, struct evtx_reader *r, const struct view *v)
{
	struct evtx_record rec;
	struct err e;
	uint64_t n = 0;
	int result;

	if (logfile_read(l, logfile_chunk(l, i)->slot, r, &e) < 0)
		return 0;
	while ((result = evtx_reader_scan(r, &rec, &e)) != 0)
		n += result > 0 && filter_passes(v->filter, r, &rec);
	return n;
}

/* From chunk i on, without the first `skip` that pass. */
static void show_oldest_first(struct logfile *l, struct evtx_reader *r, const struct view *v, size_t i,
			      uint64_t skip)
{
	struct evtx_record rec;

	for (; i < logfile_count(l) && !ferror(v->to); i++) {
		progress_step(v->progress, i, logfile_count(l));
		if (!view_begin(l, i, r, v->filter))
			continue;
		while (view_next(l, r, v->filter, &rec)) {
			if (skip > 0)
				skip--;
			else
				render(v->form, v->colour, r, &rec, v->to);
		}
		logfile_end_chunk(l, r);
	}
}

/* Where the newest v->count records begin: the chunk, and how many of it stand before them. */
static size_t find_newest(struct logfile *l, struct evtx_reader *r, const struct view *v, uint64_t *skip)
{
	size_t i = logfile_count(l);
	uint64_t n = 0;

	*skip = 0;
	if (!v->count)
		return 0;
	for (; i > 0 && n < v->count; i--)
		if (!out_of_time(l, i - 1, v->filter))
			n += count_passing(l, i - 1, r, v);
	*skip = n > v->count ? n - v->count : 0;
	return i;
}

int view_log(struct logfile *l, const struct view *v, struct err *e)
{
	OWNED(evtx_reader) r = NULL;
	uint64_t skip;
	int result = evtx_reader_new(&r, e);

	if (result < 0)
		return result;
	if (v->oldest_first) {
		size_t begin = find_newest(l, r, v, &skip);

		show_oldest_first(l, r, v, begin, skip);
	} else {
		result = show_newest_first(l, r, v, e);
	}
	progress_end(v->progress);
	return result < 0 ? result : output_state(v->to, e);
}

/* Shows the record if chunk i has it. */
static bool show_one(struct logfile *l, size_t i, struct evtx_reader *r, uint64_t id, const struct view *v)
{
	struct evtx_record rec;

	if (!logfile_begin(l, i, r))
		return false;
	while (logfile_scan(l, r, &rec)) {
		if (rec.id == id && logfile_fill(l, r, &rec)) {
			render(v->form, v->colour, r, &rec, v->to);
			return true;
		}
	}
	return false;
}

int view_record(struct logfile *l, uint64_t id, const struct view *v, struct err *e)
{
	OWNED(evtx_reader) r = NULL;
	int result = evtx_reader_new(&r, e);

	if (result < 0)
		return result;
	/* The chunk that says it has it, then all others: an exported log has ids of its own in the headers. */
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < logfile_count(l); i++) {
			const struct chunk_place *place = logfile_chunk(l, i);
			bool claims = place->first_id <= id && id <= place->last_id;

			if (claims != (pass == 0) || !show_one(l, i, r, id, v))
				continue;
			result = output_state(v->to, e);
			return result < 0 ? result : 1;
		}
	}
	return 0;
}

uint64_t view_newest(const struct logfile *l)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < logfile_count(l); i++)
		if (logfile_chunk(l, i)->last_id > newest)
			newest = logfile_chunk(l, i)->last_id;
	return newest;
}

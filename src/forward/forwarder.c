/* SPDX-License-Identifier: MIT */
#include "forwarder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <openssl/sha.h>

#include "../base/clock.h"
#include "../base/le.h"
#include "../hunt/filter.h"
#include "../hunt/follow.h"
#include "../hunt/view.h"
#include "../log/seal_copy.h"
#include "delivery.h"
#include "form.h"

#define LOOK_EVERY_MS      100u
#define BATCH_AGE_MS       1000u
#define HEARTBEAT_EVERY_MS 60000u

#define RECORD_SIZE_AT 4u /* within a record */

struct forwarder {
	struct delivery d;
	enum form form;
	struct filter *filter;     /* owned */
	struct builder *builder;   /* owned */
	unsigned file;             /* being read, */
	struct logfile *log;       /* owned */
	struct follower *follower; /* owned */
	uint64_t seen;             /* last id in the batch, or passed by */
	uint64_t doubtful_until;   /* up to this id records were on their way when the one before us ended */
	uint64_t begun_ms;         /* when the batch got its first record */
	bool urgent;               /* it should go at once */
	uint8_t record[EVTX_CHUNK_SIZE]; /* record `seen`, as it stands in the log */
	size_t record_size;
	uint64_t beat_ms;          /* when the next heartbeat is due */
};

static void hear_nothing(void *self, const char *text)
{
	(void)self;
	(void)text;
}

/* What cannot be read is declared as missing. */
static const struct fault_listener nobody = { .hear = hear_nothing };

/* --- what is no record */

/* 0, also when the sink will not have it; -ECANCELED: the service ends; -errno. */
static int send_own(struct forwarder *f, struct batch *b, uint64_t last, struct err *e)
{
	struct answer a;

	if (delivery_try(&f->d, b, f->builder, &a) == SINK_RETRY)
		return err_set(e, ECANCELED, "%s", a.text);
	return delivery_settle(&f->d, b, last, NULL, e);
}

static int send_notice(struct forwarder *f, const char *text, struct err *e)
{
	struct batch b;
	int r = builder_notice(f->builder, text, clock_ns(CLOCK_REALTIME), &b, e);

	if (r == 0)
		r = send_own(f, &b, 0, e);
	builder_begin(f->builder);
	return r;
}

/* last 0: all that follow. */
static int send_gap(struct forwarder *f, uint64_t first, uint64_t last, const char *reason, struct err *e)
{
	const struct gap g = { first, last, reason, clock_ns(CLOCK_REALTIME) };
	struct batch b;
	int r = builder_gap(f->builder, &g, &b, e);

	if (r == 0) {
		f->d.mark.gaps++;
		f->d.mark.missing += last ? last - first + 1 : 0;
		r = send_own(f, &b, last, e);
	}
	builder_begin(f->builder);
	return r;
}

/* Nobody waits for it: the next one says more. */
static void send_heartbeat(struct forwarder *f)
{
	const struct forward_file *file = &f->d.s->files[f->file];
	struct seal_entry seal;
	struct heartbeat h = { .sequence = ++f->d.mark.heartbeats,
			       .newest_id = f->seen,
			       .confirmed_id = f->d.mark.confirmed,
			       .events = f->d.mark.events,
			       .batches = f->d.mark.batches,
			       .missing = f->d.mark.missing,
			       .utc_ns = clock_ns(CLOCK_REALTIME),
			       .chain = f->d.mark.chain };
	struct answer a = { 0 };
	struct batch b;
	struct err e;

	if (file->seals >= 0 && seals_newest(file->seals, &seal) == 0) {
		h.seal = seal.number;
		h.seal_mac = seal.mac;
	}
	f->beat_ms = now_ms() + HEARTBEAT_EVERY_MS;
	if (builder_heartbeat(f->builder, &h, &b, &e) == 0) {
		memcpy(b.nonce, f->d.nonce, NONCE_SIZE);
		f->d.row->send(f->d.s->sink, &b, &a);
		if (a.outcome == SINK_SENT)
			delivery_note_sent(&f->d);
		else
			delivery_show_text(&f->d, a.text);
	}
	/* Records that no rule of this sink wants are passed by without a batch. */
	if (f->seen > f->d.mark.confirmed)
		f->d.mark.confirmed = f->seen;
	delivery_keep(&f->d, &e);
	builder_begin(f->builder);
}

/* --- records */

static int split(struct forwarder *f, uint64_t first, uint64_t last, struct err *e);

/* What was sent may have been sealed after it was sent. It goes with what comes next, so that whoever has all batches has a
 * seal for each record. */
static void add_unsealed(struct forwarder *f, const struct logfile *current)
{
	OWNED(logfile) l = NULL;
	OWNED(follower) follower = NULL;
	const uint64_t sent = f->d.mark.confirmed, from = f->d.mark.sealed ? f->d.mark.sealed : sent;
	struct evtx_chunk_header h;
	struct evtx_record rec;
	struct err e;

	if (!sent || logfile_read_header(current, &h) < 0 || h.first_id <= from) /* it is in the same chunk */
		return;
	if (logfile_from_fd(f->d.s->files[f->file].log, &nobody, &l, &e) < 0 ||
	    follower_new(l, from - 1, &follower, &e) < 0)
		return;
	while (follower_next(follower, &rec) && rec.header_id <= sent && builder_add_before(f->builder, l) == 0)
		;
}

static int add(struct forwarder *f, struct logfile *l, struct follower *follower, struct evtx_record *rec)
{
	if (!filter_passes(f->filter, follower_reader(follower), rec))
		return 0;
	if (!logfile_fill(l, follower_reader(follower), rec))
		return -EBADMSG;
	if (f->d.s->files[f->file].seals >= 0 && f->form == FORM_EVTX && builder_is_empty(f->builder))
		add_unsealed(f, l);
	return builder_add(f->builder, l, rec);
}

/* Once more what a batch of these records was. -ENODATA: they are not there any more. */
static int rebuild(struct forwarder *f, uint64_t first, uint64_t last, struct batch *b, struct err *e)
{
	OWNED(logfile) l = NULL;
	OWNED(follower) follower = NULL;
	struct evtx_record rec;
	uint64_t expected = first;
	int r = logfile_from_fd(f->d.s->files[f->file].log, &nobody, &l, e);

	if (r == 0)
		r = follower_new(l, first - 1, &follower, e);
	builder_begin(f->builder);
	while (r == 0 && expected <= last && follower_next(follower, &rec)) {
		if (rec.header_id != expected++)
			return -ENODATA;
		r = add(f, l, follower, &rec);
	}
	if (r == 0 && expected <= last)
		return -ENODATA;
	if (r == 0)
		r = builder_end(f->builder, b, e);
	b->first_id = first;
	b->last_id = last;
	return r;
}

/* The seals that go with chunks. They may be missing: the next batch brings them. */
static uint8_t *seals_with(struct forwarder *f, struct batch *b, uint64_t *sealed_id)
{
	uint64_t first, last;
	uint8_t *seals = NULL;

	if (f->form == FORM_EVTX && f->d.s->files[f->file].seals >= 0 && builder_chunks(f->builder, &first, &last) &&
	    seals_of(f->d.s->files[f->file].seals, first, last, &seals, &b->seals_size, sealed_id) == 0)
		b->seals = seals;
	return seals;
}

/* Its bytes, which are the log's until the next read. */
static const uint8_t *record_bytes(const struct logfile *l, const struct evtx_record *rec, size_t *size)
{
	const uint8_t *at = logfile_bytes(l) + rec->offset;
	const size_t most = EVTX_CHUNK_SIZE - rec->offset;

	*size = le32_get(at + RECORD_SIZE_AT);
	*size = *size < most ? *size : most;
	return at;
}

/* record: digest of the last one, NULL: not known. */
static int send_events(struct forwarder *f, struct batch *b, const uint8_t *record, struct err *e)
{
	uint64_t sealed_id = f->d.mark.sealed;
	OWNED_HEAP uint8_t *seals = seals_with(f, b, &sealed_id);
	const uint64_t last = b->last_id;
	const bool whole_chunk = f->form == FORM_EVTX && b->raw_size <= EVTX_FILE_HEADER_SIZE + 2 * EVTX_CHUNK_SIZE;
	struct answer a;
	char why[260];

	if (f->d.row->named) {
		f->d.mark.pending = (struct pending){ .first_id = b->first_id, .last_id = last };
		memcpy(f->d.mark.pending.nonce, b->doubtful ? b->nonce : f->d.nonce, NONCE_SIZE);
		memcpy(f->d.mark.pending.sha256, b->sha256, sizeof(b->sha256));
		if (delivery_keep(&f->d, e) < 0)
			return -e->code;
	}
	switch (delivery_try(&f->d, b, f->builder, &a)) {
	case SINK_SENT:
		f->d.mark.events += b->count;
		f->d.mark.sealed = sealed_id;
		return delivery_settle(&f->d, b, last, record, e);
	case SINK_RETRY:
		return err_set(e, ECANCELED, "%s", a.text);
	default:
		if (b->first_id < last && !whole_chunk)
			return split(f, b->first_id, last, e);
		snprintf(why, sizeof(why), "refused (%s)", a.text);
		return send_gap(f, b->first_id, last, why, e);
	}
}

static int send_range(struct forwarder *f, uint64_t first, uint64_t last, struct err *e)
{
	struct batch b;
	int r = rebuild(f, first, last, &b, e);

	if (r == -ENODATA || r == -EBADMSG)
		return send_gap(f, first, last, "overwritten or unreadable", e);
	return r < 0 ? r : send_events(f, &b, NULL, e);
}

/* Too large, or something in it that the sink does not take: which one it is shows by halving. */
static int split(struct forwarder *f, uint64_t first, uint64_t last, struct err *e)
{
	uint64_t middle = first + (last - first) / 2;
	int r = send_range(f, first, middle, e);

	return r < 0 ? r : send_range(f, middle + 1, last, e);
}

static int send_batch(struct forwarder *f, struct err *e)
{
	uint8_t digest[32];
	struct batch b;
	int r = builder_end(f->builder, &b, e);

	b.first_id = f->d.mark.confirmed + 1;
	b.last_id = f->seen;
	SHA256(f->record, f->record_size, digest);
	if (r == 0)
		r = send_events(f, &b, digest, e);
	builder_begin(f->builder);
	f->urgent = false;
	if (r == 0 && now_ms() >= f->beat_ms)
		send_heartbeat(f);
	return r;
}

/* Ends of processes are common, and whose it was is not asked here. */
static bool is_critical(unsigned event_id)
{
	switch (event_id) {
#define CRITICAL(id, victim) case id: return !*(victim) || (id) != 5;
#include "../../schema/critical.def"
	default:
		return false;
	}
}

/* The batch so far, and what is between it and this record. */
static int close_gap(struct forwarder *f, uint64_t id, struct err *e)
{
	int r = builder_is_empty(f->builder) ? 0 : send_batch(f, e);
	uint64_t first = f->seen + 1, doubtful = id - 1 < f->doubtful_until ? id - 1 : f->doubtful_until;

	if (r == 0 && first <= doubtful) {
		r = send_gap(f, first, doubtful, "overwritten; they were on their way, and may have arrived", e);
		first = doubtful + 1;
	}
	return r < 0 || first == id ? r : send_gap(f, first, id - 1, "overwritten or unreadable", e);
}

static int take(struct forwarder *f, struct evtx_record *rec, struct err *e)
{
	const uint8_t *bytes;
	bool empty;
	int r = 0;

	if (rec->header_id > f->seen + 1)
		r = close_gap(f, rec->header_id, e);
	if (r < 0)
		return r;
	f->seen = rec->header_id - 1;
	empty = builder_is_empty(f->builder);
	r = add(f, f->log, f->follower, rec);
	if (r == -ENOSPC) {
		r = send_batch(f, e);
		if (r < 0)
			return r;
		empty = true;
		r = add(f, f->log, f->follower, rec);
	}
	if (r == -EBADMSG) /* it is declared with the next one */
		return 0;
	if (r < 0)
		return err_set(e, -r, "making a batch");
	f->seen = rec->header_id;
	bytes = record_bytes(f->log, rec, &f->record_size);
	memcpy(f->record, bytes, f->record_size);
	f->urgent = f->urgent || is_critical(rec->event_id);
	if (empty && !builder_is_empty(f->builder))
		f->begun_ms = now_ms();
	return 0;
}

/* Chunks go as a whole: what is in one must have been read. */
static bool may_send(const struct forwarder *f)
{
	return f->form != FORM_EVTX || !follower_in_chunk(f->follower);
}

/* All that is there at this moment. */
static int take_all(struct forwarder *f, struct err *e)
{
	struct evtx_record rec;
	int r = 0;

	while (r == 0 && follower_next(f->follower, &rec)) {
		r = take(f, &rec, e);
		if (r == 0 && builder_is_full(f->builder) && may_send(f))
			r = send_batch(f, e);
	}
	return r;
}

/* --- files */

static bool is_newest(const struct forwarder *f)
{
	return f->file + 1 == f->d.s->file_count;
}

/* Sends the file until it is done with: 0; 1: the service ends; -errno. */
static int send_file(struct forwarder *f, struct err *e)
{
	for (;;) {
		/* What was written before the word came must be read after it. */
		bool last_look = f->d.stop || f->d.finish || !is_newest(f);
		int r = take_all(f, e);

		if (r == 0 && !builder_is_empty(f->builder) &&
		    (last_look || f->urgent || now_ms() - f->begun_ms >= BATCH_AGE_MS))
			r = send_batch(f, e);
		if (r < 0)
			return r == -ECANCELED ? 1 : r;
		if (last_look)
			return f->d.stop;
		if (now_ms() >= f->beat_ms && builder_is_empty(f->builder))
			send_heartbeat(f);
		delivery_pause(&f->d, LOOK_EVERY_MS);
	}
}

static void name_log(struct forwarder *f)
{
	struct identity *id = f->d.s->identity;

	if (f->d.mark.rewritten)
		snprintf(id->log, sizeof(id->log), "%016" PRIx64 "%02x", f->d.mark.generation, f->d.mark.rewritten & 0xff);
	else
		snprintf(id->log, sizeof(id->log), "%016" PRIx64, f->d.mark.generation);
}

static int make_builder(struct forwarder *f, struct err *e)
{
	name_log(f);
	builder_free(f->builder);
	f->builder = NULL;
	return builder_new(f->d.row, f->form, f->d.s->identity, &f->builder, e);
}

/* The newest one may not have been begun yet. */
static int open_file(struct forwarder *f, unsigned i, struct logfile **l, struct err *e)
{
	int r = logfile_from_fd(f->d.s->files[i].log, &nobody, l, e);

	while (r == 0 && !logfile_generation(*l) && i + 1 == f->d.s->file_count && !f->d.stop && !f->d.finish)
		delivery_pause(&f->d, LOOK_EVERY_MS);
	return r == 0 ? logfile_refresh(*l, e) : r;
}

/* Of the records that were ever written there. */
static uint64_t last_id(const struct logfile *l)
{
	struct evtx_file_header h = { 0 };
	uint64_t newest = view_newest(l);

	if (logfile_header(l, &h) == 0 && h.next_record_id > newest + 1)
		newest = h.next_record_id - 1;
	return newest;
}

/* Does the log hold the record that was sent as the last one, as it was? Also if it holds it no more. */
static bool is_as_it_was(const struct forwarder *f, struct logfile *l)
{
	static const uint8_t unknown[32];
	OWNED(follower) follower = NULL;
	struct evtx_record rec;
	const uint8_t *bytes;
	uint8_t digest[32];
	struct err e;
	size_t size;

	if (memcmp(f->d.mark.record, unknown, sizeof(unknown)) == 0 || !f->d.mark.confirmed ||
	    follower_new(l, f->d.mark.confirmed - 1, &follower, &e) < 0 || !follower_next(follower, &rec) ||
	    rec.header_id != f->d.mark.confirmed)
		return true;
	bytes = record_bytes(l, &rec, &size);
	SHA256(bytes, size, digest);
	return memcmp(digest, f->d.mark.record, sizeof(digest)) == 0;
}

static int begin_numbering(struct forwarder *f, struct err *e)
{
	int r = make_builder(f, e);

	memset(f->d.mark.record, 0, sizeof(f->d.mark.record));
	f->d.mark.sealed = 0;
	f->d.mark.pending = (struct pending){ 0 };
	return r == 0 ? delivery_keep(&f->d, e) : r;
}

/* Ids begin anew: what follows has another key. */
static int begin_generation(struct forwarder *f, uint64_t generation, struct err *e)
{
	int r = 0;

	if (f->d.place)
		r = send_gap(f, f->d.mark.confirmed + 1, 0, "that log ended there, another one begins", e);
	f->d.mark.generation = generation;
	f->d.mark.rewritten = 0;
	f->d.mark.confirmed = 0;
	return r == 0 ? begin_numbering(f, e) : r;
}

/* The log was put back, or altered: ids that were sent may come again with other records. */
static int begin_rewritten(struct forwarder *f, uint64_t last, struct err *e)
{
	char text[160];
	int r;

	snprintf(text, sizeof(text), "The log does not hold any more what was sent of it: it ends with record %" PRIu64
		 ", record %" PRIu64 " was sent", last, f->d.mark.confirmed);
	r = send_notice(f, text, e);
	if (last < f->d.mark.confirmed)
		f->d.mark.confirmed = last;
	f->d.mark.rewritten++;
	return r == 0 ? begin_numbering(f, e) : r;
}

/* What was on its way when we ended, under the same name if it is the same. */
static int send_pending(struct forwarder *f, struct err *e)
{
	struct pending p = f->d.mark.pending;
	struct batch b;
	int r;

	if (!p.last_id || p.first_id != f->d.mark.confirmed + 1)
		return 0;
	r = rebuild(f, p.first_id, p.last_id, &b, e);
	if (r < 0 || memcmp(b.sha256, p.sha256, sizeof(p.sha256)) != 0) {
		f->doubtful_until = p.last_id;
		builder_begin(f->builder);
		return 0;
	}
	b.doubtful = true;
	memcpy(b.nonce, p.nonce, NONCE_SIZE);
	return send_events(f, &b, NULL, e);
}

/* Behind what was sent. 0; 1: nothing of this file is needed; -errno. */
static int begin_file(struct forwarder *f, unsigned i, struct err *e)
{
	uint64_t last;
	int r;

	follower_free(MOVE(f->follower));
	logfile_free(MOVE(f->log));
	f->file = i;
	r = open_file(f, i, &f->log, e);
	if (r < 0)
		return r;
	last = last_id(f->log);
	if (logfile_generation(f->log) != f->d.mark.generation || (!is_newest(f) && last <= f->d.mark.confirmed))
		return 1;
	if (last < f->d.mark.confirmed || !is_as_it_was(f, f->log))
		r = begin_rewritten(f, last, e);
	if (r == 0)
		r = send_pending(f, e);
	f->seen = f->d.mark.confirmed;
	return r < 0 ? r : follower_new(f->log, f->seen, &f->follower, e);
}

/* All files of the generation that the bookmark is in. */
static int send_files(struct forwarder *f, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < f->d.s->file_count; i++) {
		r = begin_file(f, i, e);
		r = r == 0 ? send_file(f, e) : r == 1 ? 0 : r;
	}
	return r;
}

/* A sink that begins gets what there is of the present log, archives included. */
static int run(struct forwarder *f, struct err *e)
{
	OWNED(logfile) newest = NULL;
	int r = open_file(f, f->d.s->file_count - 1, &newest, e);

	if (r == 0 && f->d.place)
		r = make_builder(f, e);
	if (r == 0 && f->d.place)
		r = send_files(f, e);
	if (r == 0 && (!f->d.place || logfile_generation(newest) != f->d.mark.generation)) {
		r = begin_generation(f, logfile_generation(newest), e);
		if (r == 0)
			r = send_files(f, e);
	}
	return r == -ECANCELED ? 1 : r;
}

int forwarder_run(const struct forwarder_start *s, struct err *e)
{
	struct forwarder f = { .d = { .s = s, .row = s->target->row }, .form = s->target->row->form(s->target) };
	int r;

	f.filter = filter_new();
	r = f.filter ? bookmark_load(s->bookmark, &f.d.mark, &f.d.place, e) : err_set(e, ENOMEM, "forwarding");
	if (r == 0 && *s->target->events)
		r = filter_ids(f.filter, s->target->events, e);
	if (r == 0) {
		delivery_new_nonce(&f.d);
		delivery_show(&f.d);
		r = run(&f, e);
	}
	if (r < 0)
		delivery_show_text(&f.d, e->text);
	follower_free(f.follower);
	logfile_free(f.log);
	builder_free(f.builder);
	filter_free(f.filter);
	return r;
}

int forwarder_test(const struct forward_target *t, struct sink *sink, const struct identity *id, struct answer *a,
		   struct err *e)
{
	OWNED(builder) b = NULL;
	struct delivery nonce_only = { 0 };
	struct batch batch;
	int r = builder_new(t->row, t->row->form(t), id, &b, e);

	if (r == 0)
		r = builder_test(b, clock_ns(CLOCK_REALTIME), &batch, e);
	if (r < 0)
		return r;
	delivery_new_nonce(&nonce_only);
	memcpy(batch.nonce, nonce_only.nonce, NONCE_SIZE);
	*a = (struct answer){ 0 };
	t->row->send(sink, &batch, a);
	return 0;
}

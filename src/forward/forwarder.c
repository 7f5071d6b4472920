/* SPDX-License-Identifier: MIT */
#include "forwarder.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "../base/clock.h"
#include "../base/le.h"
#include "../hunt/filter.h"
#include "../hunt/follow.h"
#include "../hunt/view.h"
#include "../log/seal_copy.h"
#include "form.h"

#define LOOK_EVERY_MS      100u
#define BATCH_AGE_MS       1000u
#define HEARTBEAT_EVERY_MS 60000u

/* Between tries: doubled from the first on, and then any time up to that, so that a fleet does not come back as one. */
#define RETRY_FIRST_MS 1000u
#define RETRY_MOST_MS  60000u
#define RETRY_ASKED_MS 3600000u /* most that a server may ask for */
#define RETRY_LEAST_MS 100u

#define RECORD_SIZE_AT 4u /* within a record */

struct forwarder {
	const struct forwarder_start *s;
	const struct sink_row *row;
	enum form form;
	struct filter *filter;     /* owned */
	struct builder *builder;   /* owned */
	struct bookmark mark;
	uint64_t place;            /* of the bookmark; 0: this sink begins */
	char nonce[NONCE_SIZE];

	unsigned file;             /* being read, */
	struct logfile *log;       /* owned */
	struct follower *follower; /* owned */
	uint64_t seen;             /* last id in the batch, or passed by */
	uint64_t begun_ms;         /* when the batch got its first record */
	bool urgent;               /* it should go at once */
	uint8_t record[32];        /* digest of record `seen` */

	bool finish;               /* the newest file is not written any more */
	bool stop;                 /* the service ends */
	unsigned failures;         /* in a row */
	uint64_t beat_ms;          /* when the next heartbeat is due */
};

static uint64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000u;
}

static void hear_nothing(void *self, const char *text)
{
	(void)self;
	(void)text;
}

/* What cannot be read is declared as missing. */
static const struct fault_listener nobody = { .hear = hear_nothing };

/* --- being told */

/* Waits so long for a word. */
static void listen_for(struct forwarder *f, int ms)
{
	struct pollfd p = { .fd = f->s->until, .events = POLLIN };
	ssize_t n;
	char told;

	if (poll(&p, 1, ms) <= 0)
		return;
	n = read(f->s->until, &told, 1);
	f->finish = f->finish || n == 1;
	f->stop = f->stop || n == 0;
}

/* Waits, but not on when the service ends. */
static void pause_for(struct forwarder *f, uint64_t ms)
{
	uint64_t until = now_ms() + ms, now;

	while (!f->stop && (now = now_ms()) < until)
		listen_for(f, (int)(until - now));
}

/* --- what is shown */

static void show(struct forwarder *f)
{
	struct forwarded *shown = f->s->shown;

	shown->confirmed = f->mark.confirmed;
	shown->events = f->mark.events;
	shown->batches = f->mark.batches;
	shown->gaps = f->mark.gaps;
	shown->missing = f->mark.missing;
	shown->retries = f->failures;
}

static void show_text(struct forwarder *f, const char *text)
{
	snprintf(f->s->shown->text, sizeof(f->s->shown->text), "%.190s", text);
}

static int keep_mark(struct forwarder *f, struct err *e)
{
	int r = bookmark_store(f->s->bookmark, &f->mark, &f->place);

	show(f);
	return r < 0 ? err_set(e, -r, "writing the bookmark") : 0;
}

/* --- one batch */

static void new_nonce(struct forwarder *f)
{
	uint8_t bytes[(NONCE_SIZE - 1) / 2];

	RAND_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(f->nonce + 2 * i, 3, "%02x", bytes[i]);
}

static uint64_t retry_after_ms(const struct forwarder *f, const struct answer *a)
{
	unsigned doublings = f->failures > 6 ? 6 : f->failures - 1;
	uint64_t most = (uint64_t)RETRY_FIRST_MS << doublings, asked = a->retry_after_s * UINT64_C(1000), wait;
	uint32_t random = 0;

	if (a->misconfigured || most > RETRY_MOST_MS)
		most = RETRY_MOST_MS;
	RAND_bytes((uint8_t *)&random, sizeof(random));
	wait = a->misconfigured ? most : RETRY_LEAST_MS + random % most;
	if (asked > RETRY_ASKED_MS)
		asked = RETRY_ASKED_MS;
	return wait > asked ? wait : asked;
}

/* What is kept of it already need not be sent again. */
static void drop_confirmed(struct forwarder *f, struct batch *b, unsigned count)
{
	if (!b->items || !count || count >= b->count)
		return;
	f->mark.events += count;
	f->mark.confirmed = b->items[count - 1].record_id;
	memset(f->mark.record, 0, sizeof(f->mark.record));
	b->first_id = f->mark.confirmed + 1;
	builder_shift(f->builder, b, count);
}

static void note_sent(struct forwarder *f)
{
	struct forwarded *shown = f->s->shown;

	f->failures = 0;
	shown->sent_utc_ns = clock_ns(CLOCK_REALTIME);
	shown->retries = 0;
	show_text(f, "");
	if (f->row->erasable)
		shown->erasable = f->row->erasable(f->s->sink);
}

/* Tries until it is there, or never will be (TOO_LARGE, REFUSED; a says why), or the service ends (RETRY). */
static enum outcome deliver(struct forwarder *f, struct batch *b, struct answer *a)
{
	struct err e;

	memcpy(b->nonce, b->doubtful ? f->mark.pending.nonce : f->nonce, NONCE_SIZE);
	f->s->shown->waits_utc_ns = b->utc_ns;
	for (;;) {
		*a = (struct answer){ 0 };
		f->row->send(f->s->sink, b, a);
		if (a->outcome == SINK_SENT) {
			note_sent(f);
			return SINK_SENT;
		}
		show_text(f, a->text);
		if (a->outcome == SINK_TOO_LARGE || a->outcome == SINK_REFUSED)
			return a->outcome;
		if (a->outcome == SINK_TAKEN) {
			new_nonce(f);
			memcpy(b->nonce, f->nonce, NONCE_SIZE);
			memcpy(f->mark.pending.nonce, f->nonce, NONCE_SIZE);
			b->doubtful = false;
			keep_mark(f, &e);
		} else {
			b->doubtful = b->doubtful || a->doubtful;
			drop_confirmed(f, b, a->confirmed);
		}
		f->failures++;
		f->s->shown->retries = f->failures;
		listen_for(f, 0);
		if (f->stop)
			return SINK_RETRY;
		pause_for(f, retry_after_ms(f, a));
	}
}

/* All records up to `last` are there or declared. record: digest of that one, NULL: not known. */
static int settle(struct forwarder *f, const struct batch *b, uint64_t last, const uint8_t *record, struct err *e)
{
	uint8_t links[2][32];

	memcpy(links[0], f->mark.chain, 32);
	memcpy(links[1], b->sha256, 32);
	SHA256(links[0], sizeof(links), f->mark.chain);
	f->mark.batches++;
	if (last)
		f->mark.confirmed = last;
	if (last && record)
		memcpy(f->mark.record, record, sizeof(f->mark.record));
	else if (last)
		memset(f->mark.record, 0, sizeof(f->mark.record));
	f->mark.pending = (struct pending){ 0 };
	f->s->shown->waits_utc_ns = 0;
	return keep_mark(f, e);
}

/* --- what is no record */

/* 0, also when the sink will not have it; -ECANCELED: the service ends; -errno. */
static int send_own(struct forwarder *f, struct batch *b, uint64_t last, struct err *e)
{
	struct answer a;

	if (deliver(f, b, &a) == SINK_RETRY)
		return err_set(e, ECANCELED, "%s", a.text);
	return settle(f, b, last, NULL, e);
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
		f->mark.gaps++;
		f->mark.missing += last ? last - first + 1 : 0;
		r = send_own(f, &b, last, e);
	}
	builder_begin(f->builder);
	return r;
}

/* Nobody waits for it: the next one says more. */
static void send_heartbeat(struct forwarder *f)
{
	const struct forward_file *file = &f->s->files[f->file];
	struct seal_entry seal;
	struct heartbeat h = { .sequence = ++f->mark.heartbeats,
			       .newest_id = f->seen,
			       .confirmed_id = f->mark.confirmed,
			       .events = f->mark.events,
			       .batches = f->mark.batches,
			       .missing = f->mark.missing,
			       .utc_ns = clock_ns(CLOCK_REALTIME),
			       .chain = f->mark.chain };
	struct answer a = { 0 };
	struct batch b;
	struct err e;

	if (file->seals >= 0 && seals_newest(file->seals, &seal) == 0) {
		h.seal = seal.number;
		h.seal_mac = seal.mac;
	}
	f->beat_ms = now_ms() + HEARTBEAT_EVERY_MS;
	if (builder_heartbeat(f->builder, &h, &b, &e) == 0) {
		memcpy(b.nonce, f->nonce, NONCE_SIZE);
		f->row->send(f->s->sink, &b, &a);
		if (a.outcome == SINK_SENT)
			note_sent(f);
		else
			show_text(f, a.text);
	}
	/* Records that no rule of this sink wants are passed by without a batch. */
	if (f->seen > f->mark.confirmed)
		f->mark.confirmed = f->seen;
	keep_mark(f, &e);
	builder_begin(f->builder);
}

/* --- records */

static int split(struct forwarder *f, uint64_t first, uint64_t last, struct err *e);

static int add(struct forwarder *f, struct logfile *l, struct follower *follower, struct evtx_record *rec)
{
	if (!filter_passes(f->filter, follower_reader(follower), rec))
		return 0;
	if (!logfile_fill(l, follower_reader(follower), rec))
		return -EBADMSG;
	return builder_add(f->builder, l, rec);
}

/* Once more what a batch of these records was. -ENODATA: they are not there any more. */
static int rebuild(struct forwarder *f, uint64_t first, uint64_t last, struct batch *b, struct err *e)
{
	OWNED(logfile) l = NULL;
	OWNED(follower) follower = NULL;
	struct evtx_record rec;
	uint64_t expected = first;
	int r = logfile_from_fd(f->s->files[f->file].log, &nobody, &l, e);

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
static uint8_t *seals_with(struct forwarder *f, struct batch *b)
{
	uint64_t first, last;
	uint8_t *seals = NULL;

	if (f->form == FORM_EVTX && f->s->files[f->file].seals >= 0 && builder_chunks(f->builder, &first, &last) &&
	    seals_of(f->s->files[f->file].seals, first, last, &seals, &b->seals_size) == 0)
		b->seals = seals;
	return seals;
}

/* record: digest of the last one, NULL: not known. */
static int send_events(struct forwarder *f, struct batch *b, const uint8_t *record, struct err *e)
{
	OWNED_HEAP uint8_t *seals = seals_with(f, b);
	const uint64_t first = b->first_id, last = b->last_id;
	const bool whole_chunk = f->form == FORM_EVTX && b->raw_size <= EVTX_FILE_HEADER_SIZE + EVTX_CHUNK_SIZE;
	struct answer a;
	char why[260];

	if (f->row->named) {
		f->mark.pending = (struct pending){ .first_id = first, .last_id = last };
		memcpy(f->mark.pending.nonce, b->doubtful ? b->nonce : f->nonce, NONCE_SIZE);
		memcpy(f->mark.pending.sha256, b->sha256, sizeof(b->sha256));
		if (keep_mark(f, e) < 0)
			return -e->code;
	}
	switch (deliver(f, b, &a)) {
	case SINK_SENT:
		f->mark.events += b->count;
		return settle(f, b, last, record, e);
	case SINK_RETRY:
		return err_set(e, ECANCELED, "%s", a.text);
	default:
		if (first < last && !whole_chunk)
			return split(f, first, last, e);
		snprintf(why, sizeof(why), "refused (%s)", a.text);
		return send_gap(f, first, last, why, e);
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
	struct batch b;
	int r = builder_end(f->builder, &b, e);

	b.first_id = f->mark.confirmed + 1;
	b.last_id = f->seen;
	if (r == 0)
		r = send_events(f, &b, f->record, e);
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

static void digest_record(const struct logfile *l, const struct evtx_record *rec, uint8_t digest[32])
{
	const uint8_t *at = logfile_bytes(l) + rec->offset;
	uint32_t size = le32_get(at + RECORD_SIZE_AT);

	SHA256(at, size < EVTX_CHUNK_SIZE - rec->offset ? size : EVTX_CHUNK_SIZE - rec->offset, digest);
}

/* The batch so far, and what is between it and this record. */
static int close_gap(struct forwarder *f, uint64_t id, struct err *e)
{
	int r = builder_is_empty(f->builder) ? 0 : send_batch(f, e);

	return r < 0 ? r : send_gap(f, f->seen + 1, id - 1, "overwritten or unreadable", e);
}

static int take(struct forwarder *f, struct evtx_record *rec, struct err *e)
{
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
	digest_record(f->log, rec, f->record);
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
	return f->file + 1 == f->s->file_count;
}

/* Sends the file until it is done with: 0; 1: the service ends; -errno. */
static int send_file(struct forwarder *f, struct err *e)
{
	for (;;) {
		/* What was written before the word came must be read after it. */
		bool last_look = f->stop || f->finish || !is_newest(f);
		int r = take_all(f, e);

		if (r == 0 && !builder_is_empty(f->builder) &&
		    (last_look || f->urgent || now_ms() - f->begun_ms >= BATCH_AGE_MS))
			r = send_batch(f, e);
		if (r < 0)
			return r == -ECANCELED ? 1 : r;
		if (last_look)
			return f->stop;
		if (now_ms() >= f->beat_ms && builder_is_empty(f->builder))
			send_heartbeat(f);
		pause_for(f, LOOK_EVERY_MS);
	}
}

static void name_log(struct forwarder *f)
{
	struct identity *id = f->s->identity;

	if (f->mark.rewritten)
		snprintf(id->log, sizeof(id->log), "%016" PRIx64 "%02x", f->mark.generation, f->mark.rewritten & 0xff);
	else
		snprintf(id->log, sizeof(id->log), "%016" PRIx64, f->mark.generation);
}

static int make_builder(struct forwarder *f, struct err *e)
{
	name_log(f);
	builder_free(f->builder);
	f->builder = NULL;
	return builder_new(f->row, f->form, f->s->identity, &f->builder, e);
}

/* The newest one may not have been begun yet. */
static int open_file(struct forwarder *f, unsigned i, struct logfile **l, struct err *e)
{
	int r = logfile_from_fd(f->s->files[i].log, &nobody, l, e);

	while (r == 0 && !logfile_generation(*l) && i + 1 == f->s->file_count && !f->stop && !f->finish)
		pause_for(f, LOOK_EVERY_MS);
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
	uint8_t digest[32];
	struct err e;

	if (memcmp(f->mark.record, unknown, sizeof(unknown)) == 0 || !f->mark.confirmed ||
	    follower_new(l, f->mark.confirmed - 1, &follower, &e) < 0 || !follower_next(follower, &rec) ||
	    rec.header_id != f->mark.confirmed)
		return true;
	digest_record(l, &rec, digest);
	return memcmp(digest, f->mark.record, sizeof(digest)) == 0;
}

static int begin_numbering(struct forwarder *f, struct err *e)
{
	int r = make_builder(f, e);

	memset(f->mark.record, 0, sizeof(f->mark.record));
	f->mark.pending = (struct pending){ 0 };
	return r == 0 ? keep_mark(f, e) : r;
}

/* Ids begin anew: what follows has another key. */
static int begin_generation(struct forwarder *f, uint64_t generation, struct err *e)
{
	int r = 0;

	if (f->place)
		r = send_gap(f, f->mark.confirmed + 1, 0, "that log ended there, another one begins", e);
	f->mark.generation = generation;
	f->mark.rewritten = 0;
	f->mark.confirmed = 0;
	return r == 0 ? begin_numbering(f, e) : r;
}

/* The log was put back, or altered: ids that were sent may come again with other records. */
static int begin_rewritten(struct forwarder *f, uint64_t last, struct err *e)
{
	char text[160];
	int r;

	snprintf(text, sizeof(text), "The log does not hold any more what was sent of it: it ends with record %" PRIu64
		 ", record %" PRIu64 " was sent", last, f->mark.confirmed);
	r = send_notice(f, text, e);
	if (last < f->mark.confirmed)
		f->mark.confirmed = last;
	f->mark.rewritten++;
	return r == 0 ? begin_numbering(f, e) : r;
}

/* What was on its way when we ended, under the same name if it is the same. */
static int send_pending(struct forwarder *f, struct err *e)
{
	struct pending p = f->mark.pending;
	struct batch b;

	if (!p.last_id || p.first_id != f->mark.confirmed + 1 || rebuild(f, p.first_id, p.last_id, &b, e) < 0 ||
	    memcmp(b.sha256, p.sha256, sizeof(p.sha256)) != 0) {
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
	if (logfile_generation(f->log) != f->mark.generation || (!is_newest(f) && last <= f->mark.confirmed))
		return 1;
	if (last < f->mark.confirmed || !is_as_it_was(f, f->log))
		r = begin_rewritten(f, last, e);
	if (r == 0)
		r = send_pending(f, e);
	f->seen = f->mark.confirmed;
	return r < 0 ? r : follower_new(f->log, f->seen, &f->follower, e);
}

/* All files of the generation that the bookmark is in. */
static int send_files(struct forwarder *f, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < f->s->file_count; i++) {
		r = begin_file(f, i, e);
		r = r == 0 ? send_file(f, e) : r == 1 ? 0 : r;
	}
	return r;
}

/* A sink that begins gets what there is of the present log, archives included. */
static int run(struct forwarder *f, struct err *e)
{
	OWNED(logfile) newest = NULL;
	int r = open_file(f, f->s->file_count - 1, &newest, e);

	if (r == 0 && f->place)
		r = make_builder(f, e);
	if (r == 0 && f->place)
		r = send_files(f, e);
	if (r == 0 && (!f->place || logfile_generation(newest) != f->mark.generation)) {
		r = begin_generation(f, logfile_generation(newest), e);
		if (r == 0)
			r = send_files(f, e);
	}
	return r == -ECANCELED ? 1 : r;
}

int forwarder_run(const struct forwarder_start *s, struct err *e)
{
	struct forwarder f = { .s = s, .row = s->target->row, .form = s->target->row->form(s->target) };
	int r;

	f.filter = filter_new();
	r = f.filter ? bookmark_load(s->bookmark, &f.mark, &f.place, e) : err_set(e, ENOMEM, "forwarding");
	if (r == 0 && *s->target->events)
		r = filter_ids(f.filter, s->target->events, e);
	if (r == 0) {
		new_nonce(&f);
		show(&f);
		r = run(&f, e);
	}
	if (r < 0)
		show_text(&f, e->text);
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
	struct forwarder nonce_only = { 0 };
	struct batch batch;
	int r = builder_new(t->row, t->row->form(t), id, &b, e);

	if (r == 0)
		r = builder_test(b, clock_ns(CLOCK_REALTIME), &batch, e);
	if (r < 0)
		return r;
	new_nonce(&nonce_only);
	memcpy(batch.nonce, nonce_only.nonce, NONCE_SIZE);
	*a = (struct answer){ 0 };
	t->row->send(sink, &batch, a);
	return 0;
}

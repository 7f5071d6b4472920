/* SPDX-License-Identifier: MIT */
#include "form.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/sha.h>
#include <zstd.h>

#include "../evtx/writer.h"
#include "../hunt/escape.h"
#include "../hunt/render.h"

/* The same bytes for the same records, everywhere and with each version: so these never change. */
#define ZSTD_LEVEL      3
#define ZSTD_WINDOW_LOG 19 /* half a MiB: memory */

#define EVTX_RAW_MAX  (6u << 20) /* more than the log leaves unsealed, LOG_UNSYNCED_MAX chunks */
#define ITEMS_RAW_MAX (3u << 20)
#define GROWTH        65536u

#define JSON_TEXT_MAX  260u                    /* bytes of a text that is put into a member, */
#define JSON_TEXT_SIZE (6u * JSON_TEXT_MAX + 1) /* and with all of them escaped */
#define MEMBER_SIZE    (JSON_TEXT_SIZE + 600u)

struct buffer {
	uint8_t *bytes; /* owned */
	size_t n, room;
};

struct builder {
	const struct identity *identity;
	enum form form;
	size_t raw_max, size_max;
	unsigned count_max;
	char origin[160];     /* what stands before a record's own members in JSON */
	FILE *line;           /* into: */
	char *text;           /* one item, as rendered */
	size_t text_size;
	ZSTD_CCtx *zstd;
	struct buffer body;   /* what is sent, or of FORM_EVTX: the chunks */
	struct buffer packed; /* FORM_EVTX: what is sent */
	struct item *items;
	unsigned items_room;
	unsigned count;
	size_t raw;
	uint64_t utc_ns;
	uint64_t first_of_all, chunk_first, chunk_last; /* FORM_EVTX: of the first chunk, of the newest one; 0: none */
	struct evtx_writer *writer; /* of records that do not stand in the log */
	struct evtx_reader *reader;
};

/* --- making one */

static size_t limit(size_t own, size_t otherwise)
{
	return own ? own : otherwise;
}

static bool has_items(enum form form)
{
	return form == FORM_JSON || form == FORM_XML;
}

static int set_up(struct builder *b, struct err *e)
{
	const struct evtx_identity who = { b->identity->computer, (uint32_t)getpid(), (uint32_t)getpid(), 0, false };

	b->line = open_memstream(&b->text, &b->text_size);
	b->zstd = ZSTD_createCCtx();
	if (!b->line || !b->zstd)
		return err_set(e, ENOMEM, "making batches");
	if (ZSTD_isError(ZSTD_CCtx_setParameter(b->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(b->zstd, ZSTD_c_windowLog, ZSTD_WINDOW_LOG)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(b->zstd, ZSTD_c_checksumFlag, 1)))
		return err_set(e, EINVAL, "setting up zstd");
	if (evtx_writer_new(&who, &b->writer, e) < 0)
		return -e->code;
	return evtx_reader_new(&b->reader, e);
}

int builder_new(const struct sink_row *row, enum form form, const struct identity *identity, struct builder **ret,
		struct err *e)
{
	struct builder *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return err_set(e, ENOMEM, "making batches");
	b->identity = identity;
	b->form = form;
	b->raw_max = limit(row->raw_max, form == FORM_EVTX ? EVTX_RAW_MAX : has_items(form) ? ITEMS_RAW_MAX : BATCH_RAW_MAX);
	b->size_max = limit(row->size_max, BATCH_SIZE_MAX);
	b->count_max = row->count_max ? row->count_max : BATCH_COUNT_MAX;
	snprintf(b->origin, sizeof(b->origin), "\"Origin\":{\"Host\":\"%s\",\"Log\":\"%s\"},", identity->host,
		 identity->log);
	r = set_up(b, e);
	if (r < 0) {
		builder_free(b);
		return r;
	}
	builder_begin(b);
	*ret = b;
	return 0;
}

void builder_free(struct builder *b)
{
	if (!b)
		return;
	if (b->line)
		fclose(b->line);
	free(b->text);
	ZSTD_freeCCtx(b->zstd);
	free(b->body.bytes);
	free(b->packed.bytes);
	free(b->items);
	evtx_writer_free(b->writer);
	evtx_reader_free(b->reader);
	free(b);
}

void builder_begin(struct builder *b)
{
	ZSTD_CCtx_reset(b->zstd, ZSTD_reset_session_only);
	b->body.n = b->packed.n = 0;
	b->count = 0;
	b->raw = 0;
	b->utc_ns = 0;
	b->first_of_all = b->chunk_first = b->chunk_last = 0;
}

/* --- putting bytes in */

static int make_room(struct buffer *buffer, size_t n)
{
	size_t room = buffer->room;
	uint8_t *larger;

	while (room < buffer->n + n)
		room += room < GROWTH ? GROWTH : room;
	if (room == buffer->room)
		return 0;
	larger = realloc(buffer->bytes, room);
	if (!larger)
		return -ENOMEM;
	buffer->bytes = larger;
	buffer->room = room;
	return 0;
}

static int put(struct buffer *buffer, const void *bytes, size_t n)
{
	int r = make_room(buffer, n);

	if (r < 0)
		return r;
	memcpy(buffer->bytes + buffer->n, bytes, n);
	buffer->n += n;
	return 0;
}

static int pack(struct builder *b, struct buffer *to, const void *bytes, size_t n, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = { bytes, n, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { NULL, 0, 0 };

		if (make_room(to, GROWTH / 2) < 0)
			return -ENOMEM;
		out.dst = to->bytes + to->n;
		out.size = to->room - to->n;
		left = ZSTD_compressStream2(b->zstd, &out, &in, how);
		if (ZSTD_isError(left))
			return -ENOMEM;
		to->n += out.pos;
	} while (in.pos < in.size || (how == ZSTD_e_end && left));
	return 0;
}

static int put_item(struct builder *b, const struct item *what, const char *text, size_t n)
{
	int r;

	if (b->count == b->items_room) {
		unsigned room = b->items_room ? b->items_room * 2 : 64;
		struct item *larger = realloc(b->items, room * sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		b->items = larger;
		b->items_room = room;
	}
	r = put(&b->body, text, n);
	if (r < 0)
		return r;
	b->items[b->count] = *what;
	b->items[b->count].end = b->body.n;
	return 0;
}

/* --- records */

/* Its length, without the line feed that ends the text. */
static size_t render_item(struct builder *b, const struct evtx_record *rec)
{
	rewind(b->line);
	if (b->form == FORM_XML)
		render_syslog(rec, 0, b->line);
	else
		render_json_after(b->origin, rec, b->line);
	fflush(b->line);
	return (size_t)ftello(b->line) - 1;
}

static int add_text(struct builder *b, const struct evtx_record *rec)
{
	const struct item what = { .record_id = rec->header_id,
				   .utc_ns = rec->time_utc_ns,
				   .event_id = (uint16_t)rec->event_id,
				   .level = (uint8_t)rec->level };
	size_t n = render_item(b, rec);
	int r;

	if (b->count && b->raw + n + 1 > b->raw_max)
		return -ENOSPC;
	r = has_items(b->form) ? put_item(b, &what, b->text, n) :
				 pack(b, &b->body, b->text, n + 1, ZSTD_e_continue);
	if (r == 0)
		b->raw += n + 1;
	return r;
}

/* The chunk as it stands, once for all its records; it may have grown since it was taken. */
static int add_chunk(struct builder *b, const struct logfile *l)
{
	struct evtx_chunk_header h;

	if (logfile_read_header(l, &h) < 0)
		return -EBADMSG;
	if (b->chunk_first == h.first_id && b->chunk_last == h.last_id)
		return 0;
	if (b->chunk_first == h.first_id)
		b->body.n -= EVTX_CHUNK_SIZE;
	else if (b->raw && b->raw + EVTX_CHUNK_SIZE > b->raw_max)
		return -ENOSPC;
	else if (!b->raw)
		b->body.n = EVTX_FILE_HEADER_SIZE;
	if (make_room(&b->body, EVTX_FILE_HEADER_SIZE + EVTX_CHUNK_SIZE) < 0)
		return -ENOMEM;
	b->first_of_all = b->first_of_all ? b->first_of_all : h.first_id;
	b->chunk_first = h.first_id;
	b->chunk_last = h.last_id;
	put(&b->body, logfile_bytes(l), EVTX_CHUNK_SIZE);
	b->raw = b->body.n;
	return 0;
}

int builder_add_before(struct builder *b, const struct logfile *l)
{
	return b->raw + 2 * EVTX_CHUNK_SIZE > b->raw_max ? -ENOSPC : add_chunk(b, l);
}

int builder_add(struct builder *b, const struct logfile *l, const struct evtx_record *rec)
{
	int r = b->form == FORM_EVTX ? add_chunk(b, l) : add_text(b, rec);

	if (r < 0)
		return r;
	if (b->count++ == 0)
		b->utc_ns = rec->time_utc_ns;
	return 0;
}

bool builder_is_full(const struct builder *b)
{
	/* What zstd still holds comes to less than that. */
	return b->count >= b->count_max || b->raw + GROWTH / 2 > b->raw_max || b->body.n + (512u << 10) > b->size_max;
}

bool builder_is_empty(const struct builder *b)
{
	return b->count == 0;
}

/* --- the end of a batch */

static int end_evtx(struct builder *b)
{
	size_t chunks = (b->body.n - EVTX_FILE_HEADER_SIZE) / EVTX_CHUNK_SIZE;
	const struct evtx_file_header h = { .last_chunk = chunks - 1,
					    .next_record_id = b->chunk_last + 1,
					    .minor = 1,
					    .major = 3,
					    .chunk_count = (uint16_t)chunks };

	memset(b->body.bytes, 0, EVTX_FILE_HEADER_SIZE);
	evtx_file_header_write(&h, b->body.bytes);
	evtx_generation_write(strtoull(b->identity->log, NULL, 16), b->body.bytes + EVTX_GENERATION_AT);
	return pack(b, &b->packed, b->body.bytes, b->body.n, ZSTD_e_end);
}

static void describe(const struct builder *b, const struct buffer *body, struct batch *batch)
{
	*batch = (struct batch){ .kind = BATCH_EVENTS,
				 .utc_ns = b->utc_ns,
				 .count = b->count,
				 .body = body->bytes,
				 .size = body->n,
				 .raw_size = b->raw,
				 .items = has_items(b->form) ? b->items : NULL };
	SHA256(body->bytes, body->n, batch->sha256);
}

int builder_end(struct builder *b, struct batch *batch, struct err *e)
{
	int r = b->form == FORM_NDJSON ? pack(b, &b->body, NULL, 0, ZSTD_e_end) : b->form == FORM_EVTX ? end_evtx(b) : 0;

	if (r < 0)
		return err_set(e, -r, "making a batch");
	describe(b, b->form == FORM_EVTX ? &b->packed : &b->body, batch);
	return 0;
}

void builder_shift(struct builder *b, struct batch *batch, unsigned count)
{
	size_t gone = b->items[count - 1].end;

	b->count -= count;
	b->body.n -= gone;
	memmove(b->body.bytes, b->body.bytes + gone, b->body.n);
	memmove(b->items, b->items + count, b->count * sizeof(*b->items));
	for (unsigned i = 0; i < b->count; i++)
		b->items[i].end -= gone;
	batch->count = b->count;
	batch->size = b->body.n;
	batch->raw_size -= gone;
	batch->utc_ns = b->items[0].utc_ns;
}

bool builder_chunks(const struct builder *b, uint64_t *first, uint64_t *last)
{
	*first = b->first_of_all;
	*last = b->chunk_last;
	return b->first_of_all;
}

/* --- what is no record */

/* One item that stands in b->text already, n bytes with a line feed behind. */
static int end_single(struct builder *b, enum batch_kind kind, const struct item *what, size_t n, struct batch *batch,
		      struct err *e)
{
	int r = has_items(b->form) ? put_item(b, what, b->text, n) : pack(b, &b->body, b->text, n + 1, ZSTD_e_end);

	if (r < 0)
		return err_set(e, -r, "making a batch");
	b->count = 1;
	b->raw = n + 1;
	b->utc_ns = what->utc_ns;
	describe(b, &b->body, batch);
	batch->kind = kind;
	return 0;
}

/* An event 255 that stands in no log, as one that does. */
static int make_record(struct builder *b, const char *component, const char *text, uint64_t utc_ns,
		       struct evtx_record *rec, struct err *e)
{
	struct event ev = { .type = event_type_by_id(255), .time_utc_ns = utc_ns };
	char time[TIME_CREATED_SIZE];
	const char *const values[] = { time, component, text };

	time_created_text(utc_ns, time);
	time[10] = ' '; /* UtcTime: milliseconds, no T, no Z */
	time[23] = 0;
	for (unsigned i = 0; i < ev.type->field_count && i < ARRAY_SIZE(values); i++)
		ev.values[i] = (struct value){ .text = values[i], .length = (uint32_t)strlen(values[i]) };
	evtx_writer_begin(b->writer);
	if (evtx_writer_append(b->writer, &ev, 0, utc_ns) < 0 ||
	    evtx_reader_begin(b->reader, evtx_writer_seal(b->writer), e) < 0 || evtx_reader_next(b->reader, rec, e) != 1)
		return err_set(e, EIO, "making an event of our own");
	return 0;
}

/* A text as it stands in a JSON string: what a sink answered, or a host is called, may hold anything. */
static void json_text(const char *text, char out[JSON_TEXT_SIZE])
{
	FILE *to = fmemopen(out, JSON_TEXT_SIZE, "w");

	out[0] = 0;
	if (!to)
		return;
	put_json(to, text, strnlen(text, JSON_TEXT_MAX));
	fclose(to);
}

/* Inserted into the "Origin" of JSON. */
static size_t render_own(struct builder *b, const char *member, const struct evtx_record *rec)
{
	char origin[sizeof(b->origin) + MEMBER_SIZE];
	size_t n = strlen(b->origin) - 2; /* "}," */

	rewind(b->line);
	snprintf(origin, sizeof(origin), "%.*s,%s},", (int)n, b->origin, member);
	if (!rec) { /* nothing follows */
		origin[strlen(origin) - 1] = 0;
		fprintf(b->line, "{%s}\n", origin);
	} else if (b->form == FORM_XML) {
		render_syslog(rec, 0, b->line);
	} else {
		render_json_after(origin, rec, b->line);
	}
	fflush(b->line);
	return (size_t)ftello(b->line) - 1;
}

int builder_gap(struct builder *b, const struct gap *g, struct batch *batch, struct err *e)
{
	const struct item what = { .utc_ns = g->utc_ns, .event_id = 255, .level = 2 };
	char text[400], member[MEMBER_SIZE], reason[JSON_TEXT_SIZE], last[24] = "null";
	struct evtx_record rec;

	builder_begin(b);
	if (g->last_id)
		snprintf(last, sizeof(last), "%" PRIu64, g->last_id);
	snprintf(text, sizeof(text), "Records %" PRIu64 " to %s are not among the copies: %s", g->first_id,
		 g->last_id ? last : "the last one of that log", g->reason);
	json_text(g->reason, reason);
	snprintf(member, sizeof(member), "\"Gap\":{\"First\":%" PRIu64 ",\"Last\":%s,\"Reason\":\"%s\"}", g->first_id, last,
		 reason);
	if (make_record(b, "GAP", text, g->utc_ns, &rec, e) < 0)
		return -e->code;
	if (end_single(b, BATCH_GAP, &what, render_own(b, member, &rec), batch, e) < 0)
		return -e->code;
	batch->first_id = g->first_id;
	batch->last_id = g->last_id;
	return 0;
}

int builder_notice(struct builder *b, const char *text, uint64_t utc_ns, struct batch *batch, struct err *e)
{
	const struct item what = { .utc_ns = utc_ns, .event_id = 255, .level = 2 };
	struct evtx_record rec;

	builder_begin(b);
	if (make_record(b, "FORWARD", text, utc_ns, &rec, e) < 0)
		return -e->code;
	return end_single(b, BATCH_GAP, &what, render_own(b, "\"Notice\":true", &rec), batch, e);
}

static void hex(const uint8_t *bytes, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

int builder_heartbeat(struct builder *b, const struct heartbeat *h, struct batch *batch, struct err *e)
{
	const struct item what = { .utc_ns = h->utc_ns, .level = 4 };
	char member[MEMBER_SIZE], computer[JSON_TEXT_SIZE], time[TIME_CREATED_SIZE], chain[65], mac[65] = "", seal[160] = "null";

	builder_begin(b);
	time_created_text(h->utc_ns, time);
	json_text(b->identity->computer, computer);
	hex(h->chain, 32, chain);
	if (h->seal_mac) {
		hex(h->seal_mac, 32, mac);
		snprintf(seal, sizeof(seal), "{\"Number\":%" PRIu64 ",\"Mac\":\"%s\"}", h->seal, mac);
	}
	snprintf(member, sizeof(member),
		 "\"Heartbeat\":{\"Sequence\":%" PRIu64 ",\"UtcTime\":\"%s\",\"Computer\":\"%s\",\"Newest\":%" PRIu64
		 ",\"Confirmed\":%" PRIu64 ",\"Events\":%" PRIu64 ",\"Batches\":%" PRIu64 ",\"Missing\":%" PRIu64
		 ",\"Chain\":\"%s\",\"Seal\":%s}",
		 h->sequence, time, computer, h->newest_id, h->confirmed_id, h->events, h->batches,
		 h->missing, chain, seal);
	return end_single(b, BATCH_HEARTBEAT, &what, render_own(b, member, NULL), batch, e);
}

int builder_test(struct builder *b, uint64_t utc_ns, struct batch *batch, struct err *e)
{
	const struct item what = { .utc_ns = utc_ns, .event_id = 255, .level = 4 };
	struct evtx_record rec;

	builder_begin(b);
	if (make_record(b, "TEST", "This is no event: konseki forward test", utc_ns, &rec, e) < 0)
		return -e->code;
	return end_single(b, BATCH_TEST, &what, render_own(b, "\"Test\":true", &rec), batch, e);
}

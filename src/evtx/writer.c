/* SPDX-License-Identifier: MIT */
#include "writer.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "../base/text.h"
#include "binxml.h"
#include "template.h"
#include "utf16.h"

#define OUTER_VALUES 15u
#define SID_MAX      16u
#define MARK         "..."
#define MARK_LENGTH  3u

/* Longest strings of a record, in UTF-16 units, all together. Leaves 5,016 bytes of an empty chunk for both
 * definitions and everything that is not string. */
#define STRINGS_MAX 30000u

struct evtx_writer {
	struct evtx_templates templates;
	uint8_t *image;      /* owned, EVTX_CHUNK_SIZE; zero from free_offset on */
	uint32_t free_offset;
	uint32_t last_record;
	uint64_t first_id;
	uint64_t count;
	uint32_t crc;        /* of the records up to crc_offset */
	uint32_t crc_offset;
	uint32_t inner_at[EVENT_TYPE_COUNT]; /* offset of the definition in this chunk, 0 if none */
	uint32_t fixed_size[EVENT_TYPE_COUNT]; /* of a record without definitions and strings */
	uint32_t process_id;
	uint32_t thread_id;
	uint8_t sid[SID_MAX];
	uint32_t sid_length;
	bool context;
};

/* A string on its way into a record. */
struct string {
	const char *text;
	uint32_t length; /* bytes to take */
	uint32_t units;  /* what they make; only while cutting */
	bool cut;
};

static void set_sid(struct evtx_writer *w, uint32_t uid)
{
	static const uint8_t local_system[] = { 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0 };
	static const uint8_t unix_user[] = { 1, 2, 0, 0, 0, 0, 0, 22, 1, 0, 0, 0 };

	memcpy(w->sid, uid ? unix_user : local_system, sizeof(unix_user));
	w->sid_length = sizeof(unix_user);
	if (uid) {
		le32_put(w->sid + w->sid_length, uid);
		w->sid_length += 4;
	}
}

/* Values of the outer instance before the nested one. */
static uint32_t outer_values_size(const struct evtx_writer *w)
{
	return 39 + w->sid_length;
}

static void set_fixed_sizes(struct evtx_writer *w)
{
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++) {
		const struct event_type *type = &event_types[i];
		const unsigned count = evtx_field_count(type, w->context);
		uint32_t size = RECORD_HEADER + 4 + INSTANCE_HEADER + 4 + 4 * OUTER_VALUES +
				outer_values_size(w) + 4 + INSTANCE_HEADER + 4 +
				4 * count + 1 + 1 + 4;

		for (unsigned f = 0; f < count; f++)
			size += evtx_kept_as(type->fields[f].type).size;
		w->fixed_size[i] = size;
	}
}

static bool is_host_name(const char *text)
{
	size_t n = strlen(text);
	const uint8_t *p = (const uint8_t *)text;

	if (n == 0 || n > COMPUTER_MAX)
		return false;
	while (n) {
		uint32_t c;
		unsigned length = text_utf8(p, n, &c);

		if (length == 0 || c < 0x20)
			return false;
		p += length;
		n -= length;
	}
	return true;
}

int evtx_writer_new_with_guids(const struct evtx_identity *who, const struct evtx_guids *guids,
			       struct evtx_writer **ret, struct err *e)
{
	OWNED(evtx_writer) w = NULL;

	if (!is_host_name(who->computer))
		return err_set(e, EINVAL, "the host name is no text of 1 to %u bytes", COMPUTER_MAX);

	w = calloc(1, sizeof(*w));
	if (!w)
		return err_set(e, ENOMEM, "preparing the log writer");
	w->process_id = who->process_id;
	w->thread_id = who->thread_id;
	w->context = who->context;
	set_sid(w, who->uid);
	set_fixed_sizes(w);
	w->image = calloc(1, EVTX_CHUNK_SIZE);
	if (!w->image ||
	    evtx_templates_init(&w->templates, who, guids,
				4 + 4 * OUTER_VALUES + outer_values_size(w) + 4 + INSTANCE_HEADER) < 0)
		return err_set(e, ENOMEM, "preparing the log writer");
	evtx_writer_begin(w);

	*ret = MOVE(w);
	return 0;
}

int evtx_writer_new(const struct evtx_identity *who, struct evtx_writer **ret, struct err *e)
{
	struct evtx_guids guids;

	evtx_guids_derive(who, &guids);
	return evtx_writer_new_with_guids(who, &guids, ret, e);
}

void evtx_writer_free(struct evtx_writer *w)
{
	if (!w)
		return;
	evtx_templates_done(&w->templates);
	free(w->image);
	free(w);
}

void evtx_writer_begin(struct evtx_writer *w)
{
	memset(w->image, 0, w->free_offset);
	memset(w->inner_at, 0, sizeof(w->inner_at));
	w->free_offset = EVTX_CHUNK_HEADER;
	w->crc_offset = EVTX_CHUNK_HEADER;
	w->crc = 0;
	w->last_record = 0;
	w->first_id = 0;
	w->count = 0;
}

/* ---- strings -------------------------------------------------------------------------------------- */

/* Collects the strings of the first `count` fields; returns their length in bytes, which is the most units they make. */
static size_t collect_strings(const struct event *ev, unsigned count, struct string *strings)
{
	size_t total = 0;

	for (unsigned i = 0; i < count; i++) {
		if (ev->type->fields[i].type != FIELD_STRING)
			continue;
		strings[i].length = (uint32_t)value_text(FIELD_STRING, &ev->values[i], NULL,
							 &strings[i].text);
		strings[i].cut = false;
		total += strings[i].length;
	}
	return total;
}

/* The highest limit for a single string at which all together stay within STRINGS_MAX. */
static uint32_t fair_limit(const struct event *ev, unsigned count, const struct string *strings)
{
	uint32_t low = 0, high = STRINGS_MAX;

	while (low < high) {
		uint32_t limit = low + (high - low + 1) / 2;
		uint64_t total = 0;

		for (unsigned i = 0; i < count; i++)
			if (ev->type->fields[i].type == FIELD_STRING)
				total += strings[i].units < limit ? strings[i].units : limit;
		if (total <= STRINGS_MAX)
			low = limit;
		else
			high = limit - 1;
	}
	return low;
}

static bool escape_at(const char *p, const char *end)
{
	return end - p >= 4 && p[0] == '\\' && p[1] == 'x' && isxdigit((unsigned char)p[2]) &&
	       isxdigit((unsigned char)p[3]);
}

/* Shortens to at most `units`, mark included, never within a character or a \xHH. */
static void cut_string(struct string *s, uint32_t units)
{
	const char *p = s->text, *end = s->text + s->length, *kept = p;
	uint32_t room = units > MARK_LENGTH ? units - MARK_LENGTH : 0;

	while (p < end) {
		uint32_t c = 0, need;
		unsigned length = text_utf8((const uint8_t *)p, (size_t)(end - p), &c);

		if (escape_at(p, end)) {
			length = 4;
			need = 4;
		} else {
			need = c >= 0x10000 ? 2 : 1;
		}
		if (need > room)
			break;
		room -= need;
		p += length ? length : 1;
		kept = p;
	}
	s->length = (uint32_t)(kept - s->text);
	s->cut = true;
}

static size_t cut_strings(const struct event *ev, unsigned count, struct string *strings)
{
	uint64_t total = 0;
	uint32_t limit;

	for (unsigned i = 0; i < count; i++) {
		if (ev->type->fields[i].type != FIELD_STRING)
			continue;
		strings[i].units = (uint32_t)utf16_length(strings[i].text, strings[i].length);
		total += strings[i].units;
	}
	if (total <= STRINGS_MAX)
		return (size_t)total;

	limit = fair_limit(ev, count, strings);
	for (unsigned i = 0; i < count; i++)
		if (ev->type->fields[i].type == FIELD_STRING && strings[i].units > limit)
			cut_string(&strings[i], limit);
	return STRINGS_MAX;
}

/* Exact, where the length in bytes was only the upper bound. */
static size_t count_units(const struct event *ev, unsigned count, const struct string *strings)
{
	size_t units = 0;

	for (unsigned i = 0; i < count; i++)
		if (ev->type->fields[i].type == FIELD_STRING)
			units += utf16_length(strings[i].text, strings[i].length) +
				 (strings[i].cut ? MARK_LENGTH : 0);
	return units;
}

/* ---- records -------------------------------------------------------------------------------------- */

/* Size of the record with `units` of text, padding included. */
static uint32_t record_size(const struct evtx_writer *w, size_t type, size_t units)
{
	uint32_t size = w->fixed_size[type] + 2 * (uint32_t)units;

	if (w->count == 0)
		size += w->templates.outer.length + w->templates.first[type].length;
	else if (!w->inner_at[type])
		size += w->templates.later[type].length;
	return (size + 7) & ~7u;
}

static uint8_t *put_descriptor(uint8_t *p, size_t length, uint8_t type)
{
	le16_put(p, (uint16_t)length);
	p[2] = type;
	p[3] = 0;
	return p + 4;
}

/* Fragment header and instance header; the definition follows when it stands right behind them. */
static uint8_t *put_instance(uint8_t *p, const uint8_t *definition, uint32_t definition_at)
{
	static const uint8_t begin[] = { TOKEN_FRAGMENT, 1, 1, 0, TOKEN_INSTANCE, 1 };

	memcpy(p, begin, sizeof(begin));
	memcpy(p + 6, definition + 4, 4); /* the short id: first bytes of the GUID */
	le32_put(p + 10, definition_at);
	return p + 14;
}

/* Copies the definition to p and hooks it into its bucket. */
static uint8_t *put_definition(struct evtx_writer *w, uint8_t *p, const struct evtx_definition *d)
{
	uint8_t *head = w->image + TEMPLATE_TABLE + 4 * d->bucket;

	memcpy(p, d->bytes, d->length);
	le32_put(p, le32_get(head));
	le32_put(head, (uint32_t)(p - w->image));
	return p + d->length;
}

static uint8_t *put_outer(struct evtx_writer *w, uint8_t *p)
{
	const struct evtx_definition *outer = &w->templates.outer;

	p = put_instance(p, outer->bytes, OUTER_DEFINITION);
	if (w->count == 0) {
		memcpy(w->image + NAME_TABLE, w->templates.name_table, sizeof(w->templates.name_table));
		p = put_definition(w, p, outer);
	}
	return p;
}

static uint8_t *put_inner(struct evtx_writer *w, uint8_t *p, size_t type)
{
	const struct evtx_definition *d =
		w->count ? &w->templates.later[type] : &w->templates.first[type];
	bool defines = !w->inner_at[type];

	if (defines)
		w->inner_at[type] = (uint32_t)(p - w->image) + 14;
	p = put_instance(p, d->bytes, w->inner_at[type]);
	return defines ? put_definition(w, p, d) : p;
}

/* Descriptors and values of System, all but the nested one; *nested is where its descriptor goes. */
static uint8_t *put_system(const struct evtx_writer *w, uint8_t *p, const struct event *ev, uint64_t id,
			   uint8_t **nested)
{
	le32_put(p, OUTER_VALUES);
	p = put_descriptor(p + 4, 1, TYPE_UINT8);    /* 0 level */
	p = put_descriptor(p, 1, TYPE_UINT8);        /* 1 opcode */
	p = put_descriptor(p, 2, TYPE_UINT16);       /* 2 task */
	p = put_descriptor(p, 2, TYPE_UINT16);       /* 3 event id */
	p = put_descriptor(p, 0, TYPE_NULL);         /* 4 qualifiers */
	p = put_descriptor(p, 8, TYPE_HEX64);        /* 5 keywords */
	p = put_descriptor(p, 8, TYPE_FILETIME);     /* 6 time created */
	p = put_descriptor(p, 0, TYPE_NULL);         /* 7 activity */
	p = put_descriptor(p, 4, TYPE_UINT32);       /* 8 process */
	p = put_descriptor(p, 4, TYPE_UINT32);       /* 9 thread */
	p = put_descriptor(p, 8, TYPE_UINT64);       /* 10 record id */
	p = put_descriptor(p, 1, TYPE_UINT8);        /* 11 version */
	p = put_descriptor(p, w->sid_length, TYPE_SID); /* 12 user */
	p = put_descriptor(p, 0, TYPE_NULL);         /* 13 related activity */
	*nested = p;                                 /* 14 EventData */
	p += 4;

	p[0] = (uint8_t)ev->type->level;
	p[1] = 0;
	le16_put(p + 2, (uint16_t)ev->type->id);
	le16_put(p + 4, (uint16_t)ev->type->id);
	le64_put(p + 6, 0x8000000000000000u);
	le64_put(p + 14, evtx_filetime(ev->time_utc_ns));
	le32_put(p + 22, w->process_id);
	le32_put(p + 26, w->thread_id);
	le64_put(p + 30, id);
	p[38] = (uint8_t)ev->type->version;
	memcpy(p + 39, w->sid, w->sid_length);
	return p + outer_values_size(w);
}

static uint8_t *put_string(uint8_t *p, const struct string *s)
{
	p = utf16_from_utf8(s->text, s->length, p);
	return s->cut ? utf16_from_utf8(MARK, MARK_LENGTH, p) : p;
}

static uint8_t *put_value(uint8_t *p, enum field_type type, const struct value *v,
			  const struct string *s)
{
	switch (type) {
	case FIELD_STRING:
		return put_string(p, s);
	case FIELD_GUID:
		memcpy(p, v->guid.byte, sizeof(v->guid.byte));
		return p + sizeof(v->guid.byte);
	case FIELD_U16:
		le16_put(p, (uint16_t)v->number);
		return p + 2;
	case FIELD_BOOL:
		le32_put(p, v->number != 0);
		return p + 4;
	case FIELD_U32:
	case FIELD_PID:
	case FIELD_HEX32:
		le32_put(p, (uint32_t)v->number);
		return p + 4;
	case FIELD_HEX64:
		le64_put(p, v->number);
		return p + 8;
	}
	return p;
}

static uint8_t *put_data(uint8_t *p, const struct event *ev, unsigned count, const struct string *strings)
{
	uint8_t *descriptor = p + 4;

	le32_put(p, count);
	p = descriptor + 4 * count;
	for (unsigned i = 0; i < count; i++) {
		const enum field_type type = ev->type->fields[i].type;
		uint8_t *end = put_value(p, type, &ev->values[i], &strings[i]);

		descriptor = put_descriptor(descriptor, (size_t)(end - p), evtx_kept_as(type).type);
		p = end;
	}
	return p;
}

static void put_record(struct evtx_writer *w, const struct event *ev, const struct string *strings,
		       uint64_t id, uint64_t written_utc_ns)
{
	uint8_t *start = w->image + w->free_offset, *p = start + RECORD_HEADER;
	uint8_t *nested, *value;
	uint32_t size;

	p = put_outer(w, p);
	p = put_system(w, p, ev, id, &nested);
	value = p;
	p = put_inner(w, p, (size_t)(ev->type - event_types));
	p = put_data(p, ev, evtx_field_count(ev->type, w->context), strings);
	*p++ = TOKEN_EOF;
	put_descriptor(nested, (size_t)(p - value), TYPE_BINXML);
	*p++ = TOKEN_EOF;

	size = ((uint32_t)(p - start) + 4 + 7) & ~7u;
	le32_put(start, RECORD_MAGIC);
	le32_put(start + 4, size);
	le64_put(start + 8, id);
	le64_put(start + 16, evtx_filetime(written_utc_ns));
	le32_put(start + size - 4, size);

	w->last_record = w->free_offset;
	w->free_offset += size;
	if (w->count++ == 0)
		w->first_id = id;
}

int evtx_writer_append(struct evtx_writer *w, const struct event *ev, uint64_t id,
		       uint64_t written_utc_ns)
{
	const size_t type = (size_t)(ev->type - event_types);
	const unsigned count = evtx_field_count(ev->type, w->context);
	const uint32_t room = EVTX_RECORD_END_MAX - w->free_offset;
	struct string strings[EVENT_FIELDS_MAX];
	size_t units;

	if (w->count && id != w->first_id + w->count)
		return -EINVAL;

	units = collect_strings(ev, count, strings);
	if (units > STRINGS_MAX)
		units = cut_strings(ev, count, strings);
	if (record_size(w, type, units) > room &&
	    record_size(w, type, count_units(ev, count, strings)) > room)
		return -ENOSPC;
	put_record(w, ev, strings, id, written_utc_ns);
	return 0;
}

/* ---- the chunk ------------------------------------------------------------------------------------ */

const uint8_t *evtx_writer_seal(struct evtx_writer *w)
{
	struct evtx_chunk_header h = {
		.first_id = w->first_id,
		.last_id = w->first_id + w->count - 1,
		.last_record_offset = w->last_record,
		.free_offset = w->free_offset,
		.flags = 1,
	};

	if (w->count == 0)
		return w->image;
	w->crc = evtx_crc(w->crc, w->image + w->crc_offset, w->free_offset - w->crc_offset);
	w->crc_offset = w->free_offset;
	h.data_crc = w->crc;
	evtx_chunk_header_write(&h, w->image);
	return w->image;
}

size_t evtx_writer_used(const struct evtx_writer *w)
{
	return w->free_offset;
}

uint64_t evtx_writer_count(const struct evtx_writer *w)
{
	return w->count;
}

uint64_t evtx_writer_first_id(const struct evtx_writer *w)
{
	return w->first_id;
}

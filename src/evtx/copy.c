/* SPDX-License-Identifier: MIT */
/* On its way a piece of binary XML is "plain": names stand where they are used, with their hash, and there are no sizes
 * and no offsets. Two definitions that are the same as plain bytes are the same template. */
#include "copy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "binxml.h"
#include "program.h"

#define TEMPLATES_MAX  1024u
#define PLAIN_MAX      (1u << 20) /* of one piece; 64 KiB of honest input give far less */
#define PLAIN_ALL_MAX  (16u << 20)
#define INSTANCES_MAX  8u

struct template {
	uint8_t guid[16];
	uint8_t *plain; /* owned */
	uint32_t length;
	uint32_t at; /* of the definition in the image; 0: not there yet */
};

struct open_element {
	uint32_t size_at;
	uint32_t list_at; /* 0: no attributes */
};

struct evtx_copier {
	uint8_t image[EVTX_CHUNK_SIZE];
	uint32_t at;
	uint32_t last; /* where the last record begins */
	uint64_t count, first_id;
	bool full; /* something did not fit into the image */

	struct template templates[TEMPLATES_MAX];
	uint32_t template_count;
	size_t plain_memory;
	uint32_t new_templates[TEMPLATES_MAX]; /* that the record under way has put into the image */
	uint32_t new_count;

	const uint8_t *chunk; /* source, borrowed */
	uint16_t by_offset[EVTX_CHUNK_SIZE]; /* of a definition in the source: its number + 1 */
	uint32_t known[TEMPLATES_MAX];       /* where by_offset is not 0 */
	uint32_t known_count;

	uint8_t *plain; /* owned: the piece under way */
	uint32_t plain_count, plain_room;
	struct err *error;
};

/* ---- source to plain ------------------------------------------------------------------------------ */

struct source {
	uint32_t at, end;
	bool definition;
	unsigned depth;
};

static int bad(struct evtx_copier *c, uint32_t at)
{
	return err_set(c->error, EBADMSG, "binary XML that cannot be copied, at offset %u", at);
}

static int plain_add(struct evtx_copier *c, const void *bytes, uint32_t n)
{
	if (n > PLAIN_MAX - c->plain_count)
		return err_set(c->error, EBADMSG, "binary XML that grows beyond all measure");
	if (c->plain_count + n > c->plain_room) {
		uint32_t room = c->plain_room ? 2 * c->plain_room : 65536;
		uint8_t *plain;

		while (room < c->plain_count + n)
			room *= 2;
		plain = realloc(c->plain, room);
		if (!plain)
			return err_set(c->error, ENOMEM, "copying a record");
		c->plain = plain;
		c->plain_room = room;
	}
	memcpy(c->plain + c->plain_count, bytes, n);
	c->plain_count += n;
	return 0;
}

/* The next n bytes as they are. */
static int take(struct evtx_copier *c, struct source *s, uint32_t n)
{
	if (n > s->end - s->at)
		return bad(c, s->at);
	s->at += n;
	return plain_add(c, c->chunk + s->at - n, n);
}

/* Hash, number of units, units; the name itself may stand anywhere in the chunk. */
static int take_name(struct evtx_copier *c, struct source *s)
{
	uint32_t at, length;
	uint8_t head[4];
	int r;

	if (s->end - s->at < 4)
		return bad(c, s->at);
	at = le32_get(c->chunk + s->at);
	s->at += 4;
	if (at < EVTX_CHUNK_HEADER || at > EVTX_CHUNK_SIZE - NAME_HEADER)
		return bad(c, s->at);
	length = 2u * le16_get(c->chunk + at + 6);
	if (length > EVTX_CHUNK_SIZE - NAME_HEADER - at)
		return bad(c, s->at);
	if (at == s->at) {
		if (NAME_HEADER + length + 2 > s->end - s->at)
			return bad(c, s->at);
		s->at += NAME_HEADER + length + 2;
	}
	le16_put(head, (uint16_t)evtx_hash(c->chunk + at + NAME_HEADER, length / 2));
	le16_put(head + 2, (uint16_t)(length / 2));
	r = plain_add(c, head, sizeof(head));
	return r < 0 ? r : plain_add(c, c->chunk + at + NAME_HEADER, length);
}

/* `before` bytes, a number of units, and these. */
static int take_units(struct evtx_copier *c, struct source *s, uint32_t before)
{
	if (s->end - s->at < before + 2)
		return bad(c, s->at);
	return take(c, s, before + 2 + 2u * le16_get(c->chunk + s->at + before));
}

static int take_open(struct evtx_copier *c, struct source *s, uint8_t token)
{
	uint32_t skipped = token & TOKEN_MORE ? 4 : 0;
	int r = ++s->depth > DEPTH_MAX ? bad(c, s->at) : 0;

	if (r == 0 && s->definition)
		r = take(c, s, 2); /* the dependency */
	if (r == 0 && s->end - s->at < 4)
		r = bad(c, s->at);
	if (r < 0)
		return r;
	s->at += 4; /* size of the element */
	r = take_name(c, s);
	if (r == 0 && s->end - s->at < skipped)
		r = bad(c, s->at);
	s->at += r == 0 ? skipped : 0; /* size of the attributes */
	return r;
}

static int take_token(struct evtx_copier *c, struct source *s)
{
	const uint8_t token = c->chunk[s->at];
	int r = take(c, s, 1);

	if (r < 0)
		return r;
	switch (token & ~TOKEN_MORE) {
	case TOKEN_OPEN:
		return take_open(c, s, token);
	case TOKEN_CLOSE_EMPTY:
	case TOKEN_END:
		return s->depth-- ? 0 : bad(c, s->at);
	case TOKEN_CLOSE_START:
		return s->depth ? 0 : bad(c, s->at);
	case TOKEN_ATTRIBUTE:
	case TOKEN_ENTITY:
	case TOKEN_PI_TARGET:
		return take_name(c, s);
	case TOKEN_TEXT:
		return take_units(c, s, 1);
	case TOKEN_CDATA:
	case TOKEN_PI_DATA:
		return take_units(c, s, 0);
	case TOKEN_CHARACTER:
		return take(c, s, 2);
	case TOKEN_NORMAL:
	case TOKEN_OPTIONAL:
		return take(c, s, 3);
	case TOKEN_FRAGMENT:
		return take(c, s, 3);
	default:
		return bad(c, s->at - 1);
	}
}

/* Elements [at, end) of the source, up to the end mark, as plain bytes in c->plain. */
static int make_plain(struct evtx_copier *c, uint32_t at, uint32_t end, bool definition)
{
	struct source s = { .at = at, .end = end, .definition = definition };
	int r = 0;

	c->plain_count = 0;
	while (r == 0 && s.at < s.end && c->chunk[s.at] != TOKEN_EOF)
		r = take_token(c, &s);
	return r == 0 && s.depth ? bad(c, s.at) : r;
}

/* ---- templates ------------------------------------------------------------------------------------ */

static void drop_templates(struct evtx_copier *c)
{
	for (uint32_t i = 0; i < c->template_count; i++)
		free(c->templates[i].plain);
	c->template_count = 0;
	c->plain_memory = 0;
}

static int keep_template(struct evtx_copier *c, const uint8_t guid[16], uint32_t *number)
{
	struct template *t = &c->templates[c->template_count];

	if (c->template_count == TEMPLATES_MAX || c->plain_memory + c->plain_count > PLAIN_ALL_MAX)
		return err_set(c->error, ENOSPC, "more templates than a chunk has");
	t->plain = malloc(c->plain_count + 1);
	if (!t->plain)
		return err_set(c->error, ENOMEM, "keeping a template");
	memcpy(t->plain, c->plain, c->plain_count);
	memcpy(t->guid, guid, sizeof(t->guid));
	t->length = c->plain_count;
	t->at = 0;
	c->plain_memory += c->plain_count;
	*number = c->template_count++;
	return 0;
}

/* The number of the template that stands at this offset of the source. */
static int template_at(struct evtx_copier *c, uint32_t at, uint32_t *number)
{
	const uint8_t *guid = c->chunk + at + 4;
	uint32_t length;
	int r;

	if (at < EVTX_CHUNK_HEADER || at > EVTX_CHUNK_SIZE - DEFINITION_HEADER)
		return bad(c, at);
	if (c->by_offset[at]) {
		*number = c->by_offset[at] - 1u;
		return 0;
	}
	length = le32_get(c->chunk + at + 20);
	if (length > EVTX_CHUNK_SIZE - DEFINITION_HEADER - at)
		return bad(c, at);
	r = make_plain(c, at + DEFINITION_HEADER, at + DEFINITION_HEADER + length, true);
	if (r < 0)
		return r;
	for (*number = 0; *number < c->template_count; ++*number) {
		const struct template *t = &c->templates[*number];

		if (t->length == c->plain_count && memcmp(t->guid, guid, sizeof(t->guid)) == 0 &&
		    memcmp(t->plain, c->plain, t->length) == 0)
			break;
	}
	if (*number == c->template_count)
		r = keep_template(c, guid, number);
	if (r == 0 && c->known_count < TEMPLATES_MAX) {
		c->known[c->known_count++] = at;
		c->by_offset[at] = (uint16_t)(*number + 1);
	}
	return r;
}

/* Is there another template in the image whose first four bytes of the GUID, by which some readers know it, are the
 * same? */
static bool id_taken(const struct evtx_copier *c, const struct template *t)
{
	for (uint32_t i = 0; i < c->template_count; i++)
		if (c->templates[i].at && &c->templates[i] != t && memcmp(c->templates[i].guid, t->guid, 4) == 0)
			return true;
	return false;
}

/* ---- plain to image ------------------------------------------------------------------------------- */

/* n bytes of the image, for the caller to fill; when there is no room, a place that nobody looks at. */
static uint8_t *room(struct evtx_copier *c, uint32_t n)
{
	static uint8_t nowhere[65536 + 64];

	if (c->full || n > EVTX_RECORD_END_MAX - c->at) {
		c->full = true;
		return nowhere;
	}
	c->at += n;
	return c->image + c->at - n;
}

static void put(struct evtx_copier *c, const void *bytes, uint32_t n)
{
	memcpy(room(c, n), bytes, n);
}

static void put8(struct evtx_copier *c, uint8_t v)
{
	put(c, &v, 1);
}

static void put32(struct evtx_copier *c, uint32_t v)
{
	le32_put(room(c, 4), v);
}

/* A size that is known later; 0 when the image is full. */
static uint32_t size_begin(struct evtx_copier *c)
{
	put32(c, 0);
	return c->full ? 0 : c->at - 4;
}

static void size_end(struct evtx_copier *c, uint32_t size_at)
{
	if (!c->full && size_at)
		le32_put(c->image + size_at, c->at - size_at - 4);
}

/* Where the name stands in the image; 0 if it does not. */
static uint32_t find_name(const struct evtx_copier *c, const uint8_t *name, uint32_t length)
{
	uint32_t at = le32_get(c->image + NAME_TABLE + 4 * evtx_name_bucket(le16_get(name)));

	while (at && memcmp(c->image + at + 4, name, length) != 0)
		at = le32_get(c->image + at);
	return at;
}

/* A plain name: its offset, and where it is new the name itself. Returns the length of the plain one. */
static uint32_t put_name(struct evtx_copier *c, const uint8_t *name)
{
	const uint32_t length = 4 + 2u * le16_get(name + 2);
	uint8_t *bucket = c->image + NAME_TABLE + 4 * evtx_name_bucket(le16_get(name));
	uint32_t at = find_name(c, name, length);

	put32(c, at ? at : c->at + 4);
	if (at)
		return length;
	at = c->at;
	put32(c, le32_get(bucket));
	put(c, name, length);
	put(c, "\0", 2);
	if (!c->full)
		le32_put(bucket, at);
	return length;
}

/* The parts of a token that are the same in both; more than the token for those with units. */
static uint32_t token_length(const uint8_t *p)
{
	switch (*p & ~TOKEN_MORE) {
	case TOKEN_TEXT:
		return 4 + 2u * le16_get(p + 2);
	case TOKEN_CDATA:
	case TOKEN_PI_DATA:
		return 3 + 2u * le16_get(p + 1);
	case TOKEN_CHARACTER:
		return 3;
	case TOKEN_NORMAL:
	case TOKEN_OPTIONAL:
	case TOKEN_FRAGMENT:
		return 4;
	default:
		return 1;
	}
}

static uint32_t put_open(struct evtx_copier *c, const uint8_t *p, bool definition, struct open_element *el)
{
	uint32_t n = definition ? 3 : 1;

	put(c, p, n);
	el->size_at = size_begin(c);
	n += put_name(c, p + n);
	el->list_at = *p & TOKEN_MORE ? size_begin(c) : 0;
	return n;
}

/* Plain bytes, which make_plain() made: they are well-formed. */
static void put_plain(struct evtx_copier *c, const uint8_t *plain, uint32_t length, bool definition)
{
	struct open_element open[DEPTH_MAX + 1];
	const uint8_t *p = plain, *end = plain + length;
	unsigned depth = 0;

	while (p < end && !c->full) {
		const uint8_t token = *p & (uint8_t)~TOKEN_MORE;

		if (token == TOKEN_OPEN) {
			p += put_open(c, p, definition, &open[depth++]);
			continue;
		}
		if (token == TOKEN_CLOSE_START || token == TOKEN_CLOSE_EMPTY)
			size_end(c, open[depth - 1].list_at);
		put(c, p, token_length(p));
		p += token_length(p);
		if (token == TOKEN_ATTRIBUTE || token == TOKEN_ENTITY || token == TOKEN_PI_TARGET)
			p += put_name(c, p);
		if (token == TOKEN_CLOSE_EMPTY || token == TOKEN_END)
			size_end(c, open[--depth].size_at);
	}
}

static void put_definition(struct evtx_copier *c, struct template *t)
{
	uint8_t *bucket = c->image + TEMPLATE_TABLE + 4 * evtx_template_bucket(t->guid);
	const uint32_t at = c->at;
	uint32_t size;

	put32(c, le32_get(bucket));
	put(c, t->guid, sizeof(t->guid));
	size = size_begin(c);
	put_plain(c, t->plain, t->length, true);
	put8(c, TOKEN_EOF);
	size_end(c, size);
	if (c->full)
		return;
	le32_put(bucket, at);
	t->at = at;
	c->new_templates[c->new_count++] = (uint32_t)(t - c->templates);
}

static int copy_fragment(struct evtx_copier *c, uint32_t at, uint32_t end, unsigned depth);

/* Number of values, what they are, and they: markup is copied anew, and may change its length by that. */
static int copy_values(struct evtx_copier *c, uint32_t at, uint32_t end, unsigned depth)
{
	uint32_t count, value_at, descriptors;
	int r = 0;

	if (end - at < 4 || le32_get(c->chunk + at) > (end - at - 4) / 4)
		return bad(c, at);
	count = le32_get(c->chunk + at);
	put(c, c->chunk + at, 4 + 4 * count);
	descriptors = c->at - 4 * count;
	value_at = at + 4 + 4 * count;

	for (uint32_t i = 0; i < count && r == 0 && !c->full; i++) {
		const uint8_t *descriptor = c->chunk + at + 4 + 4 * (size_t)i;
		const uint32_t length = le16_get(descriptor), begin = c->at;

		if (length > end - value_at)
			return bad(c, value_at);
		if (descriptor[2] == TYPE_BINXML && length)
			r = copy_fragment(c, value_at, value_at + length, depth + 1);
		else
			put(c, c->chunk + value_at, length);
		value_at += length;
		if (!c->full)
			le16_put(c->image + descriptors + 4 * (size_t)i, (uint16_t)(c->at - begin));
	}
	return r;
}

static int copy_instance(struct evtx_copier *c, uint32_t at, uint32_t end, unsigned depth)
{
	uint32_t definition, number = 0;
	struct template *t;
	int r;

	if (end - at < INSTANCE_HEADER)
		return bad(c, at);
	definition = le32_get(c->chunk + at + 6);
	at += INSTANCE_HEADER;
	r = template_at(c, definition, &number);
	if (r < 0)
		return r;
	if (definition == at) {
		uint32_t length = DEFINITION_HEADER + le32_get(c->chunk + definition + 20);

		if (length > end - at)
			return bad(c, at);
		at += length;
	}

	t = &c->templates[number];
	if (!t->at && c->count && id_taken(c, t))
		c->full = true;
	put(c, "\x0c\x01", 2);
	put(c, t->guid, 4);
	put32(c, t->at ? t->at : c->at + 4);
	if (!t->at)
		put_definition(c, t);
	return copy_values(c, at, end, depth);
}

static int copy_fragment(struct evtx_copier *c, uint32_t at, uint32_t end, unsigned depth)
{
	int r;

	if (depth > INSTANCES_MAX)
		return bad(c, at);
	if (end - at >= 4 && c->chunk[at] == TOKEN_FRAGMENT) {
		put(c, c->chunk + at, 4);
		at += 4;
	}
	if (at < end && c->chunk[at] == TOKEN_INSTANCE) {
		r = copy_instance(c, at, end, depth);
	} else {
		r = make_plain(c, at, end, false);
		if (r == 0)
			put_plain(c, c->plain, c->plain_count, false);
	}
	put8(c, TOKEN_EOF);
	return r;
}

/* ---- records -------------------------------------------------------------------------------------- */

/* The record's head is at c->at. */
static int copy_record(struct evtx_copier *c, uint32_t at, uint64_t id)
{
	const uint32_t size = le32_get(c->chunk + at + 4), begin = c->at;
	int r;

	put32(c, RECORD_MAGIC);
	put32(c, 0);
	le64_put(room(c, 8), id);
	put(c, c->chunk + at + 16, 8);
	r = copy_fragment(c, at + RECORD_HEADER, at + size - 4, 0);
	if (r < 0)
		return r;
	while ((c->at - begin + 4) % 8 && !c->full)
		put8(c, 0);
	put32(c, c->at - begin + 4);
	if (c->full)
		return err_set(c->error, ENOSPC, "copying a record");
	le32_put(c->image + begin + 4, c->at - begin);
	return 0;
}

int evtx_copier_append(struct evtx_copier *c, uint32_t at, uint64_t id, struct err *e)
{
	uint8_t tables[EVTX_CHUNK_HEADER - NAME_TABLE];
	const uint32_t begin = c->at;
	int r;

	if (at < EVTX_CHUNK_HEADER || at > EVTX_CHUNK_SIZE - RECORD_SIZE_MIN ||
	    le32_get(c->chunk + at + 4) < RECORD_SIZE_MIN || le32_get(c->chunk + at + 4) > EVTX_CHUNK_SIZE - at)
		return err_set(e, EBADMSG, "no record at offset %u", at);
	memcpy(tables, c->image + NAME_TABLE, sizeof(tables));
	c->new_count = 0;
	c->full = false;
	c->error = e;
	r = copy_record(c, at, id);
	c->error = NULL;
	if (r == 0) {
		c->last = begin;
		if (c->count++ == 0)
			c->first_id = id;
		return 0;
	}
	memcpy(c->image + NAME_TABLE, tables, sizeof(tables));
	memset(c->image + begin, 0, EVTX_CHUNK_SIZE - begin);
	for (uint32_t i = 0; i < c->new_count; i++)
		c->templates[c->new_templates[i]].at = 0;
	c->at = begin;
	return r;
}

/* ---- chunks --------------------------------------------------------------------------------------- */

static void forget_source(struct evtx_copier *c)
{
	for (uint32_t i = 0; i < c->known_count; i++)
		c->by_offset[c->known[i]] = 0;
	c->known_count = 0;
}

void evtx_copier_source(struct evtx_copier *c, const uint8_t *chunk)
{
	forget_source(c);
	c->chunk = chunk;
}

void evtx_copier_begin(struct evtx_copier *c)
{
	memset(c->image, 0, sizeof(c->image));
	c->at = EVTX_CHUNK_HEADER;
	c->count = 0;
	for (uint32_t i = 0; i < c->template_count; i++)
		c->templates[i].at = 0;
	/* A file of a thousand programs: those that come now are read anew. */
	if (c->template_count > TEMPLATES_MAX / 2 || c->plain_memory > PLAIN_ALL_MAX / 2) {
		forget_source(c);
		drop_templates(c);
	}
}

uint64_t evtx_copier_count(const struct evtx_copier *c)
{
	return c->count;
}

const uint8_t *evtx_copier_seal(struct evtx_copier *c)
{
	const struct evtx_chunk_header h = {
		.first_id = c->first_id,
		.last_id = c->first_id + c->count - 1,
		.last_record_offset = c->last,
		.free_offset = c->at,
		.data_crc = evtx_crc(0, c->image + EVTX_CHUNK_HEADER, c->at - EVTX_CHUNK_HEADER),
		.flags = 1,
	};

	evtx_chunk_header_write(&h, c->image);
	return c->image;
}

int evtx_copier_new(struct evtx_copier **ret, struct err *e)
{
	struct evtx_copier *c = calloc(1, sizeof(*c));

	if (!c)
		return err_set(e, ENOMEM, "preparing to copy records");
	evtx_copier_begin(c);
	*ret = c;
	return 0;
}

void evtx_copier_free(struct evtx_copier *c)
{
	if (!c)
		return;
	drop_templates(c);
	free(c->plain);
	free(c);
}

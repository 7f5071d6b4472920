/* SPDX-License-Identifier: MIT */
#include "template.h"

#include <errno.h>
#include <string.h>

#include "binxml.h"
#include "utf16.h"

#define NAMESPACE     "http://schemas.microsoft.com/win/2004/08/events/event"
#define PROVIDER      "Linux-Sysmon"
#define PROVIDER_GUID "{ff032593-a8d3-4f13-b0d6-01fc615a0f97}"
#define CHANNEL       "Linux-Sysmon/Operational"

struct evtx_kept evtx_kept_as(enum field_type type)
{
	static const struct evtx_kept kept[] = {
		[FIELD_STRING] = { TYPE_STRING, 0 }, [FIELD_GUID] = { TYPE_GUID, 16 },
		[FIELD_U16] = { TYPE_UINT16, 2 },    [FIELD_U32] = { TYPE_UINT32, 4 },
		[FIELD_PID] = { TYPE_UINT32, 4 },    [FIELD_BOOL] = { TYPE_BOOL, 4 },
		[FIELD_HEX32] = { TYPE_HEX32, 4 },   [FIELD_HEX64] = { TYPE_HEX64, 8 },
	};

	return kept[type];
}

/* ---- ids ------------------------------------------------------------------------------------------ */

/* FNV-1a of 128 bits: the ids need to be stable and distinct, not secret. */
static unsigned __int128 mix(unsigned __int128 h, const void *bytes, size_t n)
{
	const unsigned __int128 prime = (unsigned __int128)1 << 88 | 0x13b;
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * prime;
	return h;
}

static unsigned __int128 mix_text(unsigned __int128 h, const char *text)
{
	return mix(h, text, strlen(text) + 1);
}

static struct guid guid_of(unsigned __int128 h)
{
	struct guid g;

	for (unsigned i = 0; i < 16; i++)
		g.byte[i] = (uint8_t)(h >> 8 * i);
	g.byte[7] = (uint8_t)(0x80 | (g.byte[7] & 0x0f)); /* version 8 of RFC 9562: made by our own rule */
	g.byte[8] = (uint8_t)(0x80 | (g.byte[8] & 0x3f));
	return g;
}

static unsigned __int128 provider_hash(uint8_t salt)
{
	const unsigned __int128 offset_basis =
		(unsigned __int128)0x6c62272e07bb0142 << 64 | 0x62b821756295c58d;

	return mix(mix_text(mix_text(offset_basis, PROVIDER), PROVIDER_GUID), &salt, 1);
}

static struct guid outer_guid(const char *computer, uint8_t salt)
{
	return guid_of(mix_text(mix_text(mix_text(provider_hash(salt), "Event"), CHANNEL), computer));
}

static struct guid inner_guid(const struct event_type *type, bool context, uint8_t salt)
{
	const uint8_t identity[] = { (uint8_t)type->id, (uint8_t)type->version };
	unsigned __int128 h = mix(mix_text(provider_hash(salt), "EventData"), identity, sizeof(identity));

	for (unsigned i = 0; i < evtx_field_count(type, context); i++) {
		const uint8_t kept = evtx_kept_as(type->fields[i].type).type;

		h = mix(mix_text(h, type->fields[i].name), &kept, 1);
	}
	return guid_of(h);
}

/* Readers know a template by the first four bytes of its id alone, and take zero for none. */
static bool ids_distinct(const struct evtx_guids *guids)
{
	uint32_t seen[EVENT_TYPE_COUNT + 1] = { le32_get(guids->outer.byte) };

	for (size_t i = 1; i < ARRAY_SIZE(seen); i++) {
		seen[i] = le32_get(guids->inner[i - 1].byte);
		for (size_t k = 0; k < i; k++)
			if (seen[k] == seen[i] || seen[k] == 0)
				return false;
	}
	return true;
}

void evtx_guids_derive(const struct evtx_identity *who, struct evtx_guids *ret)
{
	uint8_t salt = 0;

	do {
		ret->outer = outer_guid(who->computer, salt);
		for (size_t i = 0; i < EVENT_TYPE_COUNT; i++)
			ret->inner[i] = inner_guid(&event_types[i], who->context, salt);
	} while (!ids_distinct(ret) && ++salt);
}

/* ---- definitions ---------------------------------------------------------------------------------- */

/* A chunk being filled, only to learn the bytes. */
struct builder {
	uint8_t *chunk;
	uint32_t at;
};

static void put8(struct builder *b, uint8_t v)
{
	b->chunk[b->at++] = v;
}

static void put16(struct builder *b, uint16_t v)
{
	le16_put(b->chunk + b->at, v);
	b->at += 2;
}

static void put32(struct builder *b, uint32_t v)
{
	le32_put(b->chunk + b->at, v);
	b->at += 4;
}

/* Units, then the text; returns the number of units. */
static uint32_t put_units(struct builder *b, const char *text)
{
	uint8_t *units = b->chunk + b->at + 2;
	uint8_t *end = utf16_from_utf8(text, strlen(text), units);

	put16(b, (uint16_t)((end - units) / 2));
	b->at += (uint32_t)(end - units);
	return (uint32_t)(end - units) / 2;
}

static bool is_name(const uint8_t *name, const char *text)
{
	size_t units = strlen(text); /* all names are ASCII */

	if (le16_get(name + 6) != units)
		return false;
	for (size_t i = 0; i < units; i++)
		if (le16_get(name + NAME_HEADER + 2 * i) != (uint8_t)text[i])
			return false;
	return true;
}

/* The offset of the name; at its first use in the chunk the name itself follows. */
static void put_name(struct builder *b, const char *text)
{
	uint32_t start = b->at + 4, hash = 0;
	uint8_t *head;

	for (const char *p = text; *p; p++)
		hash = hash * 65599u + (uint8_t)*p;
	head = b->chunk + NAME_TABLE + 4 * evtx_name_bucket(hash);
	for (uint32_t at = le32_get(head); at; at = le32_get(b->chunk + at)) {
		if (is_name(b->chunk + at, text)) {
			put32(b, at);
			return;
		}
	}

	put32(b, start);
	put32(b, le32_get(head));
	put16(b, (uint16_t)hash);
	put_units(b, text);
	put16(b, 0);
	le32_put(head, start);
}

/* Sizes count from behind themselves and are filled when the end is known. */
static uint32_t size_begin(struct builder *b)
{
	put32(b, 0);
	return b->at;
}

static void size_end(struct builder *b, uint32_t begin)
{
	le32_put(b->chunk + begin - 4, b->at - begin);
}

static uint32_t open_element(struct builder *b, const char *name, uint16_t dependency, bool attributes)
{
	uint32_t size;

	put8(b, attributes ? TOKEN_OPEN | TOKEN_MORE : TOKEN_OPEN);
	put16(b, dependency);
	size = size_begin(b);
	put_name(b, name);
	return size;
}

static void end_element(struct builder *b, uint32_t size)
{
	put8(b, TOKEN_END);
	size_end(b, size);
}

static void close_empty(struct builder *b, uint32_t size)
{
	put8(b, TOKEN_CLOSE_EMPTY);
	size_end(b, size);
}

static void text(struct builder *b, const char *content)
{
	put8(b, TOKEN_TEXT);
	put8(b, TYPE_STRING);
	put_units(b, content);
}

static void substitution(struct builder *b, enum evtx_token token, uint16_t index, uint8_t type)
{
	put8(b, (uint8_t)token);
	put16(b, index);
	put8(b, type);
}

static void attribute(struct builder *b, const char *name, bool more)
{
	put8(b, more ? TOKEN_ATTRIBUTE | TOKEN_MORE : TOKEN_ATTRIBUTE);
	put_name(b, name);
}

static void text_attribute(struct builder *b, const char *name, const char *content, bool more)
{
	attribute(b, name, more);
	text(b, content);
}

static void value_attribute(struct builder *b, const char *name, uint16_t index, uint8_t type, bool more)
{
	attribute(b, name, more);
	substitution(b, TOKEN_OPTIONAL, index, type);
}

static void text_element(struct builder *b, const char *name, const char *content)
{
	uint32_t size = open_element(b, name, NO_DEPENDENCY, false);

	put8(b, TOKEN_CLOSE_START);
	text(b, content);
	end_element(b, size);
}

/* An element that is there only if its value is. */
static void value_element(struct builder *b, const char *name, uint16_t index, uint8_t type)
{
	uint32_t size = open_element(b, name, index, false);

	put8(b, TOKEN_CLOSE_START);
	substitution(b, TOKEN_OPTIONAL, index, type);
	end_element(b, size);
}

static void provider_element(struct builder *b)
{
	uint32_t size = open_element(b, "Provider", NO_DEPENDENCY, true);
	uint32_t list = size_begin(b);

	text_attribute(b, "Name", PROVIDER, true);
	text_attribute(b, "Guid", PROVIDER_GUID, false);
	size_end(b, list);
	close_empty(b, size);
}

/* Qualifiers is never given, but readers take the form of this element from its having an attribute. */
static void event_id_element(struct builder *b)
{
	uint32_t size = open_element(b, "EventID", 3, true);
	uint32_t list = size_begin(b);

	value_attribute(b, "Qualifiers", 4, TYPE_UINT16, false);
	size_end(b, list);
	put8(b, TOKEN_CLOSE_START);
	substitution(b, TOKEN_OPTIONAL, 3, TYPE_UINT16);
	end_element(b, size);
}

struct attribute_value {
	const char *name; /* NULL: there is none */
	uint16_t index;
	uint8_t type;
};

static void attributes_element(struct builder *b, const char *name, struct attribute_value first,
			       struct attribute_value second)
{
	uint32_t size = open_element(b, name, NO_DEPENDENCY, true);
	uint32_t list = size_begin(b);

	value_attribute(b, first.name, first.index, first.type, second.name);
	if (second.name)
		value_attribute(b, second.name, second.index, second.type, false);
	size_end(b, list);
	close_empty(b, size);
}

#define ATTRIBUTE(name, index, type) ((struct attribute_value){ name, index, type })
#define NO_ATTRIBUTE                 ((struct attribute_value){ NULL, 0, 0 })

/* Value numbers, types and dependencies are those of Windows' own Sysmon template. */
static void system_element(struct builder *b, const char *computer)
{
	uint32_t size = open_element(b, "System", NO_DEPENDENCY, false);

	put8(b, TOKEN_CLOSE_START);
	provider_element(b);
	event_id_element(b);
	value_element(b, "Version", 11, TYPE_UINT8);
	value_element(b, "Level", 0, TYPE_UINT8);
	value_element(b, "Task", 2, TYPE_UINT16);
	value_element(b, "Opcode", 1, TYPE_UINT8);
	value_element(b, "Keywords", 5, TYPE_HEX64);
	attributes_element(b, "TimeCreated", ATTRIBUTE("SystemTime", 6, TYPE_FILETIME), NO_ATTRIBUTE);
	value_element(b, "EventRecordID", 10, TYPE_UINT64);
	attributes_element(b, "Correlation", ATTRIBUTE("ActivityID", 7, TYPE_GUID),
			   ATTRIBUTE("RelatedActivityID", 13, TYPE_GUID));
	attributes_element(b, "Execution", ATTRIBUTE("ProcessID", 8, TYPE_UINT32),
			   ATTRIBUTE("ThreadID", 9, TYPE_UINT32));
	text_element(b, "Channel", CHANNEL);
	text_element(b, "Computer", computer);
	attributes_element(b, "Security", ATTRIBUTE("UserID", 12, TYPE_SID), NO_ATTRIBUTE);
	end_element(b, size);
}

static void outer_element(struct builder *b, const char *computer)
{
	uint32_t size = open_element(b, "Event", NO_DEPENDENCY, true);
	uint32_t list = size_begin(b);

	text_attribute(b, "xmlns", NAMESPACE, false);
	size_end(b, list);
	put8(b, TOKEN_CLOSE_START);
	system_element(b, computer);
	substitution(b, TOKEN_OPTIONAL, 14, TYPE_BINXML);
	end_element(b, size);
}

static void inner_element(struct builder *b, const struct event_type *type, bool context)
{
	uint32_t size = open_element(b, "EventData", NO_DEPENDENCY, false);

	put8(b, TOKEN_CLOSE_START);
	for (unsigned i = 0; i < evtx_field_count(type, context); i++) {
		uint32_t data = open_element(b, "Data", NO_DEPENDENCY, true);
		uint32_t list = size_begin(b);

		text_attribute(b, "Name", type->fields[i].name, false);
		size_end(b, list);
		put8(b, TOKEN_CLOSE_START);
		substitution(b, TOKEN_NORMAL, (uint16_t)i, evtx_kept_as(type->fields[i].type).type);
		end_element(b, data);
	}
	end_element(b, size);
}

/* Builds the definition of `type`, or the outer one if that is NULL, at b->at. */
static int build(struct builder *b, const struct guid *guid, const struct evtx_identity *who,
		 const struct event_type *type, struct evtx_definition *ret)
{
	uint32_t start = b->at, size;

	put32(b, 0);
	memcpy(b->chunk + b->at, guid->byte, sizeof(guid->byte));
	b->at += sizeof(guid->byte);
	size = size_begin(b);
	put8(b, TOKEN_FRAGMENT);
	put8(b, 1);
	put16(b, 1);
	if (type)
		inner_element(b, type, who->context);
	else
		outer_element(b, who->computer);
	put8(b, TOKEN_EOF);
	size_end(b, size);

	ret->length = b->at - start;
	ret->bucket = evtx_template_bucket(guid->byte);
	ret->bytes = malloc(ret->length);
	if (!ret->bytes)
		return -ENOMEM;
	memcpy(ret->bytes, b->chunk + start, ret->length);
	return 0;
}

static int build_inner(struct evtx_templates *t, struct builder *b, const struct evtx_identity *who,
		       const struct evtx_guids *guids)
{
	const uint8_t *names = b->chunk + NAME_TABLE;
	const uint32_t inner_at = b->at;
	uint8_t outer_names[sizeof(t->name_table)];

	memcpy(outer_names, names, sizeof(outer_names));
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++) {
		const struct event_type *type = &event_types[i];

		memcpy(b->chunk + NAME_TABLE, outer_names, sizeof(outer_names));
		b->at = inner_at;
		if (build(b, &guids->inner[i], who, type, &t->first[i]) < 0 ||
		    build(b, &guids->inner[i], who, type, &t->later[i]) < 0)
			return -ENOMEM;
		memcpy(t->name_table, names, sizeof(t->name_table));
	}
	return 0;
}

int evtx_templates_init(struct evtx_templates *t, const struct evtx_identity *who,
			const struct evtx_guids *guids, uint32_t inner_at)
{
	OWNED_HEAP uint8_t *chunk = calloc(1, EVTX_CHUNK_SIZE);
	struct builder b = { chunk, OUTER_DEFINITION };
	int r;

	*t = (struct evtx_templates){ 0 };
	if (!chunk)
		return -ENOMEM;

	r = build(&b, &guids->outer, who, NULL, &t->outer);
	b.at += inner_at;
	if (r == 0)
		r = build_inner(t, &b, who, guids);
	if (r < 0)
		evtx_templates_done(t);
	return r;
}

void evtx_templates_done(struct evtx_templates *t)
{
	free(t->outer.bytes);
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++) {
		free(t->first[i].bytes);
		free(t->later[i].bytes);
	}
	*t = (struct evtx_templates){ 0 };
}

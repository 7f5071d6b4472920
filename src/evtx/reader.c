/* SPDX-License-Identifier: MIT */
/* Chunks to records. What a definition means is found out once (compile.c) and kept; a record is then a
 * walk over the bindings of its two programs. */
#include "reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader_internal.h"
#include "utf16.h"

/* ---- fields of System ----------------------------------------------------------------------------- */

enum field_kind { KIND_TEXT, KIND_UNSIGNED, KIND_U32, KIND_U64, KIND_TIME };

static const struct {
	const char *element;
	const char *attribute; /* NULL: the content */
	enum field_kind kind;
	size_t offset; /* in struct evtx_record */
} system_fields[] = {
#define FIELD(element, attribute, kind, member)                                                    \
	{ element, attribute, kind, offsetof(struct evtx_record, member) }
	{ "", NULL, KIND_TEXT, 0 }, /* number 0 stands for none */
	FIELD("Provider", "Name", KIND_TEXT, provider_name),
	FIELD("Provider", "Guid", KIND_TEXT, provider_guid),
	FIELD("EventID", NULL, KIND_UNSIGNED, event_id),
	FIELD("EventID", "Qualifiers", KIND_TEXT, qualifiers),
	FIELD("Version", NULL, KIND_UNSIGNED, version),
	FIELD("Level", NULL, KIND_UNSIGNED, level),
	FIELD("Task", NULL, KIND_UNSIGNED, task),
	FIELD("Opcode", NULL, KIND_UNSIGNED, opcode),
	FIELD("Keywords", NULL, KIND_U64, keywords),
	FIELD("TimeCreated", "SystemTime", KIND_TIME, time_utc_ns),
	FIELD("EventRecordID", NULL, KIND_U64, id),
	FIELD("Correlation", "ActivityID", KIND_TEXT, activity_id),
	FIELD("Correlation", "RelatedActivityID", KIND_TEXT, related_activity_id),
	FIELD("Execution", "ProcessID", KIND_U32, process_id),
	FIELD("Execution", "ThreadID", KIND_U32, thread_id),
	FIELD("Channel", NULL, KIND_TEXT, channel),
	FIELD("Computer", NULL, KIND_TEXT, computer),
	FIELD("Security", "UserID", KIND_TEXT, user_id),
#undef FIELD
};

static bool same_attribute(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

uint8_t evtx_system_field(const char *element, const char *attribute)
{
	for (uint8_t i = 1; i < ARRAY_SIZE(system_fields); i++)
		if (strcmp(system_fields[i].element, element) == 0 &&
		    same_attribute(system_fields[i].attribute, attribute))
			return i;
	return 0;
}

static const struct evtx_record empty_record = {
	.provider_name = "", .provider_guid = "", .qualifiers = "", .activity_id = "",
	.related_activity_id = "", .channel = "", .computer = "", .user_id = "",
};

/* ---- kept programs -------------------------------------------------------------------------------- */

int evtx_hostile(struct evtx_reader *r)
{
	return err_set(r->error, EBADMSG, "a record that makes more of itself than it is");
}

static void drop_programs(struct evtx_reader *r)
{
	for (size_t i = 0; i < CACHE_BUCKETS; i++) {
		while (r->cache[i]) {
			struct evtx_kept_program *next = r->cache[i]->next;

			free(r->cache[i]);
			r->cache[i] = next;
		}
	}
	r->programs = 0;
	r->program_memory = 0;
}

static size_t padded(size_t n)
{
	return (n + 15) & ~(size_t)15;
}

static const void *pack(uint8_t **at, const void *bytes, size_t n)
{
	void *copy = *at;

	if (n)
		memcpy(copy, bytes, n);
	*at += padded(n);
	return copy;
}

/* The compiler's result in one block of its own. */
static struct evtx_kept_program *keep_program(const struct evtx_compiler *c, const uint8_t *definition,
					      uint32_t length)
{
	const size_t pieces = c->pieces.count * sizeof(struct evtx_piece);
	const size_t bindings = c->bindings.count * sizeof(struct evtx_binding);
	const size_t ops = c->ops.count * sizeof(struct evtx_op);
	const size_t foreign = c->foreign.count * sizeof(struct evtx_foreign_name);
	const size_t memory = padded(sizeof(struct evtx_kept_program)) + padded(pieces) + padded(bindings) +
			      padded(ops) + padded(foreign) + padded(c->chars.count) +
			      padded(c->xml.count) + padded(c->copies.count) + padded(length);
	struct evtx_kept_program *kept = malloc(memory);
	uint8_t *at = (uint8_t *)kept + padded(sizeof(*kept));

	if (!kept)
		return NULL;
	*kept = (struct evtx_kept_program){
		.program = { .binding_count = c->bindings.count, .op_count = c->ops.count },
		.definition_length = length,
		.foreign_count = c->foreign.count,
		.memory = memory,
	};
	kept->program.pieces = pack(&at, c->pieces.items, pieces);
	kept->program.bindings = pack(&at, c->bindings.items, bindings);
	kept->program.ops = pack(&at, c->ops.items, ops);
	kept->foreign = pack(&at, c->foreign.items, foreign);
	kept->program.chars = pack(&at, c->chars.items, c->chars.count);
	kept->program.xml = pack(&at, c->xml.items, c->xml.count);
	kept->copies = pack(&at, c->copies.items, c->copies.count);
	kept->definition = pack(&at, definition, length);
	return kept;
}

static size_t cache_bucket(const uint8_t *definition, uint32_t length)
{
	return (le32_get(definition) ^ length * 2654435761u) % CACHE_BUCKETS;
}

/* Are the names that the program takes from elsewhere in the chunk there in this one? */
static bool names_hold(const struct evtx_reader *r, const struct evtx_kept_program *kept, uint32_t at)
{
	for (uint32_t i = 0; i < kept->foreign_count; i++) {
		const struct evtx_foreign_name *name = &kept->foreign[i];

		if (name->at >= at && name->at < at + DEFINITION_HEADER + kept->definition_length)
			return false;
		if (2u * le16_get(r->chunk + name->at + 6) != name->length ||
		    memcmp(r->chunk + name->at + NAME_HEADER, kept->copies + name->copy,
			   name->length) != 0)
			return false;
	}
	return true;
}

static struct evtx_kept_program *find_program(struct evtx_reader *r, uint32_t at, uint32_t length,
					      enum evtx_place place)
{
	const uint8_t *definition = r->chunk + at + 4;
	struct evtx_kept_program *kept = r->cache[cache_bucket(definition, length)];

	for (; kept; kept = kept->next)
		if (kept->definition_length == length && (kept->offset == at || !kept->own_names) &&
		    (kept->place == place || place == PLACE_NOWHERE) &&
		    memcmp(kept->definition, definition, length) == 0 && names_hold(r, kept, at))
			return kept;
	return NULL;
}

static int compile_program(struct evtx_reader *r, uint32_t at, uint32_t length, enum evtx_place place,
			   struct evtx_kept_program **ret)
{
	const uint8_t *definition = r->chunk + at + 4;
	struct evtx_kept_program *kept, **bucket;
	struct evtx_program program;
	int ret_code;

	if (r->programs == PROGRAMS_MAX || r->program_memory > PROGRAM_MEMORY)
		return evtx_hostile(r);
	ret_code = evtx_compile(&r->compiler, r->chunk, at + DEFINITION_HEADER, at + 4 + length, true, place,
				&program, r->error);
	if (ret_code < 0)
		return ret_code;
	kept = keep_program(&r->compiler, definition, length);
	if (!kept)
		return err_set(r->error, ENOMEM, "keeping a template");

	kept->offset = at;
	kept->place = place;
	kept->own_names = r->compiler.inline_names;
	bucket = &r->cache[cache_bucket(definition, length)];
	kept->next = *bucket;
	*bucket = kept;
	r->programs++;
	r->program_memory += kept->memory;
	*ret = kept;
	return 0;
}

/* The program of the definition at chunk offset `at`. */
static int program_at(struct evtx_reader *r, uint32_t at, enum evtx_place place,
		      const struct evtx_program **ret)
{
	struct evtx_kept_program *kept = NULL;
	uint32_t length;
	int ret_code;

	if (at < EVTX_CHUNK_HEADER || at > EVTX_CHUNK_SIZE - DEFINITION_HEADER)
		return err_set(r->error, EBADMSG, "a template outside the chunk");
	if (r->by_offset[at])
		kept = r->in_chunk[r->by_offset[at] - 1];
	if (kept && (kept->place == place || place == PLACE_NOWHERE)) {
		*ret = &kept->program;
		return 0;
	}

	length = le32_get(r->chunk + at + 20);
	if (length > EVTX_CHUNK_SIZE - DEFINITION_HEADER - at)
		return err_set(r->error, EBADMSG, "a template that leaves the chunk");
	length += DEFINITION_HEADER - 4; /* with GUID and length, without the link to the next */
	kept = find_program(r, at, length, place);
	if (!kept) {
		ret_code = compile_program(r, at, length, place, &kept);
		if (ret_code < 0)
			return ret_code;
	}
	if (r->in_chunk_count < PROGRAMS_MAX) {
		r->in_chunk[r->in_chunk_count] = kept;
		r->in_chunk_at[r->in_chunk_count] = at;
		r->by_offset[at] = (uint16_t)++r->in_chunk_count;
	}
	*ret = &kept->program;
	return 0;
}

/* ---- instances ------------------------------------------------------------------------------------ */

const struct evtx_value *evtx_instance_value(const struct evtx_instance *in, uint16_t index)
{
	static const struct evtx_value null = { (const uint8_t *)"", 0, TYPE_NULL };

	return index < in->count ? &in->values[index] : &null;
}

static int values_read(struct evtx_reader *r, uint32_t *at, uint32_t end, struct evtx_instance *in)
{
	const uint8_t *descriptor;
	struct evtx_value *values;
	uint32_t count, value_at;

	if (end - *at < 4 || le32_get(r->chunk + *at) > (end - *at - 4) / 4)
		return err_set(r->error, EBADMSG, "values that leave the record");
	count = le32_get(r->chunk + *at);
	descriptor = r->chunk + *at + 4;
	value_at = *at + 4 + 4 * count;
	values = arena_take(&r->arena, count * sizeof(*values));
	if (!values)
		return evtx_hostile(r);

	for (uint32_t i = 0; i < count; i++, descriptor += 4) {
		uint32_t length = le16_get(descriptor);

		if (length > end - value_at)
			return err_set(r->error, EBADMSG, "a value that leaves the record");
		values[i] = (struct evtx_value){ r->chunk + value_at, length, descriptor[2] };
		value_at += length;
	}
	in->values = values;
	in->count = count;
	*at = value_at;
	return 0;
}

/* Is there a value of the right type for every use of one, and nothing behind the last but the end and
 * what rounds the record up to 8? */
static int check_strictly(const struct evtx_reader *r, uint32_t at, uint32_t end,
			  const struct evtx_instance *in)
{
	bool exact = end - at >= 1 && end - at <= 8;

	for (uint32_t i = at; i < end && exact; i++)
		exact = r->chunk[i] == 0;
	for (uint32_t i = 0; i < in->program->op_count && exact; i++) {
		const struct evtx_op *op = &in->program->ops[i];

		if (op->kind != OP_VALUE)
			continue;
		exact = op->index < in->count &&
			(in->values[op->index].type == op->type ||
			 (op->optional && in->values[op->index].type == TYPE_NULL));
	}
	return exact ? 0 : err_set(r->error, EBADMSG, "values that nobody wrote");
}

int evtx_instance_read(struct evtx_reader *r, uint32_t *at, uint32_t end, enum evtx_place place,
		       struct evtx_instance *ret)
{
	uint32_t definition;
	int ret_code;

	if (end - *at < INSTANCE_HEADER)
		return err_set(r->error, EBADMSG, "a template instance that leaves the record");
	definition = le32_get(r->chunk + *at + 6);
	*at += INSTANCE_HEADER;

	*ret = (struct evtx_instance){ 0 };
	ret_code = program_at(r, definition, place, &ret->program);
	if (ret_code < 0)
		return ret_code;
	if (definition == *at) {
		uint32_t length = DEFINITION_HEADER + le32_get(r->chunk + definition + 20);

		if (length > end - *at)
			return err_set(r->error, EBADMSG, "a template that leaves the record");
		if (r->compiler.tables)
			r->compiler.tables->templates[evtx_template_bucket(r->chunk + definition + 4)] =
				definition;
		*at += length;
	}
	ret_code = values_read(r, at, end, ret);
	if (ret_code == 0 && r->compiler.strict)
		ret_code = check_strictly(r, *at, end, ret);
	return ret_code;
}

/* ---- contents ------------------------------------------------------------------------------------- */

/* Text of a record: in the arena, or literal in a program. */
struct text {
	const char *text;
	uint32_t length;
	uint8_t type;
};

static int plain_value_text(struct evtx_reader *r, const struct evtx_value *v, struct text *ret)
{
	char *text = arena_take(&r->arena, evtx_value_room(v));

	if (!text)
		return evtx_hostile(r);
	if (r->compiler.strict && v->type == TYPE_STRING && !utf16_is_clean(v->bytes, v->length / 2))
		return err_set(r->error, EBADMSG, "text that nobody wrote");
	*ret = (struct text){ text, (uint32_t)evtx_value_text(v, text), v->type };
	arena_shrink(&r->arena, text, (size_t)ret->length + 1);
	return 0;
}

/* Markup and arrays go the way of the XML, which knows how. */
static int rendered_text(struct evtx_reader *r, const struct evtx_value *v, struct text *ret)
{
	char *text;
	int ret_code;

	r->xml.count = 0;
	ret_code = evtx_render_value(r, v, 1);
	if (ret_code < 0)
		return ret_code;
	text = arena_take(&r->arena, (size_t)r->xml.count + 1);
	if (!text)
		return evtx_hostile(r);
	if (r->xml.count)
		memcpy(text, r->xml.items, r->xml.count);
	text[r->xml.count] = 0;
	*ret = (struct text){ text, r->xml.count, v->type };
	return 0;
}

static int value_text_of(struct evtx_reader *r, const struct evtx_value *v, struct text *ret)
{
	if (v->type == TYPE_BINXML || v->type & TYPE_ARRAY)
		return rendered_text(r, v, ret);
	return plain_value_text(r, v, ret);
}

static int piece_text(struct evtx_reader *r, const struct evtx_instance *in,
		      const struct evtx_piece *piece, struct text *ret)
{
	char *copy;

	if (piece->index != NO_INDEX)
		return value_text_of(r, evtx_instance_value(in, piece->index), ret);
	*ret = (struct text){ in->program->chars + piece->at, piece->length, TYPE_STRING };
	if (!in->passing)
		return 0;
	copy = arena_take(&r->arena, (size_t)piece->length + 1);
	if (!copy)
		return evtx_hostile(r);
	memcpy(copy, ret->text, (size_t)piece->length + 1);
	ret->text = copy;
	return 0;
}

/* Several pieces: each is made, then all are put together. */
static int joined_text(struct evtx_reader *r, const struct evtx_instance *in,
		       struct evtx_content content, struct text *ret)
{
	*ret = (struct text){ "", 0, TYPE_STRING };
	for (uint32_t i = 0; i < content.count; i++) {
		struct text part;
		char *both;
		int ret_code;

		if (++r->steps > STEPS_MAX)
			return evtx_hostile(r);
		ret_code = piece_text(r, in, &in->program->pieces[content.first + i], &part);
		if (ret_code < 0)
			return ret_code;
		both = arena_take(&r->arena, (size_t)ret->length + part.length + 1);
		if (!both)
			return evtx_hostile(r);
		memcpy(both, ret->text, ret->length);
		memcpy(both + ret->length, part.text, (size_t)part.length + 1);
		*ret = (struct text){ both, ret->length + part.length, TYPE_STRING };
	}
	return 0;
}

static int content_text(struct evtx_reader *r, const struct evtx_instance *in,
			struct evtx_content content, struct text *ret)
{
	if (content.count == 1)
		return piece_text(r, in, &in->program->pieces[content.first], ret);
	return joined_text(r, in, content, ret);
}

/* The value that is the whole content, or NULL. */
static const struct evtx_value *only_value(const struct evtx_instance *in, struct evtx_content content)
{
	const struct evtx_piece *piece = &in->program->pieces[content.first];

	if (content.count != 1 || piece->index == NO_INDEX)
		return NULL;
	return evtx_instance_value(in, piece->index);
}

/* ---- records -------------------------------------------------------------------------------------- */

/* Can the text be made later, when the record turns out to be wanted? */
static bool can_wait(const struct evtx_value *value)
{
	return value && value->type != TYPE_BINXML && !(value->type & TYPE_ARRAY);
}

static int bind_system(struct evtx_reader *r, struct evtx_record *rec, const struct evtx_instance *in,
		       const struct evtx_binding *b)
{
	char *member = (char *)rec + system_fields[b->system_field].offset;
	const enum field_kind kind = system_fields[b->system_field].kind;
	const struct evtx_value *value = only_value(in, b->value);
	struct text text = { "", 0, 0 };
	uint64_t number;

	if (value && value->type == TYPE_NULL)
		return 0; /* what the record has before it is read */
	if (kind == KIND_TEXT && can_wait(value) && r->head_text_count < HEAD_TEXTS_MAX) {
		r->head_texts[r->head_text_count++] = (struct evtx_head_text){ b->system_field, *value };
		return 0;
	}
	if (kind == KIND_TEXT || !value) {
		int ret = content_text(r, in, b->value, &text);

		if (ret < 0)
			return ret;
	}
	if (kind == KIND_TIME)
		number = value ? evtx_value_time(value) : evtx_text_time(text.text);
	else
		number = value ? evtx_value_number(value) : evtx_text_number(text.text);

	switch (kind) {
	case KIND_TEXT:
		*(const char **)(void *)member = text.text;
		break;
	case KIND_UNSIGNED:
		*(unsigned *)(void *)member = (unsigned)number;
		break;
	case KIND_U32:
		*(uint32_t *)(void *)member = (uint32_t)number;
		break;
	case KIND_U64:
	case KIND_TIME:
		*(uint64_t *)(void *)member = number;
		break;
	}
	return 0;
}

static int add_data(struct evtx_reader *r, struct evtx_record *rec, struct evtx_data item)
{
	if (rec->data_count == r->data_room) {
		uint32_t room = r->data_room ? 2 * r->data_room : 64;
		struct evtx_data *data;
		const uint8_t **raw;

		if (room > DATA_MAX)
			return evtx_hostile(r);
		data = realloc(r->data, room * sizeof(*data));
		if (data)
			r->data = data;
		raw = realloc(r->raw, room * sizeof(*raw));
		if (raw)
			r->raw = raw;
		if (!data || !raw)
			return err_set(r->error, ENOMEM, "reading a record");
		r->data_room = room;
	}
	r->data[rec->data_count++] = item;
	return 0;
}

/* A value whose text is made when somebody asks. */
static int add_value(struct evtx_reader *r, struct evtx_record *rec, const char *name,
		     const struct evtx_value *v)
{
	int ret = add_data(r, rec, (struct evtx_data){ name, NULL, v->length, v->type });

	if (ret == 0)
		r->raw[rec->data_count - 1] = v->bytes;
	return ret;
}

static int bind_items(struct evtx_reader *r, struct evtx_record *rec, const char *name,
		      const struct evtx_value *array)
{
	struct evtx_value item;
	uint32_t at = 0;
	int ret = 0;

	while (ret == 0 && evtx_value_item(array, &at, &item))
		ret = add_value(r, rec, name, &item);
	return ret;
}

static int bind_data(struct evtx_reader *r, struct evtx_record *rec, const struct evtx_instance *in,
		     const struct evtx_binding *b)
{
	const struct evtx_value *value = only_value(in, b->value);
	struct text name, text;
	int ret = content_text(r, in, b->name, &name);

	if (ret < 0)
		return ret;
	if (value && value->type & TYPE_ARRAY)
		return bind_items(r, rec, name.text, value);
	if (can_wait(value))
		return add_value(r, rec, name.text, value);
	ret = content_text(r, in, b->value, &text);
	return ret < 0 ? ret : add_data(r, rec, (struct evtx_data){ name.text, text.text, text.length, text.type });
}

static int bind_fragment(struct evtx_reader *r, struct evtx_record *rec, uint32_t at, uint32_t end,
			 enum evtx_place place, unsigned depth);

static int bind_program(struct evtx_reader *r, struct evtx_record *rec, const struct evtx_instance *in,
			unsigned depth)
{
	for (uint32_t i = 0; i < in->program->binding_count; i++) {
		const struct evtx_binding *b = &in->program->bindings[i];
		const struct evtx_value *value;
		int ret = 0;

		if (++r->steps > STEPS_MAX)
			return evtx_hostile(r);
		if (b->dependency != NO_DEPENDENCY &&
		    evtx_instance_value(in, b->dependency)->type == TYPE_NULL)
			continue;
		value = b->place ? only_value(in, b->value) : NULL;
		if (value && value->type == TYPE_BINXML) {
			uint32_t at = (uint32_t)(value->bytes - r->chunk);

			ret = bind_fragment(r, rec, at, at + value->length, b->place, depth + 1);
		} else if (b->target == TARGET_SYSTEM) {
			ret = bind_system(r, rec, in, b);
		} else if (b->target == TARGET_DATA) {
			ret = bind_data(r, rec, in, b);
		} else if (b->target == TARGET_USER_DATA) {
			rec->user_data = true;
		}
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int bind_fragment(struct evtx_reader *r, struct evtx_record *rec, uint32_t at, uint32_t end,
			 enum evtx_place place, unsigned depth)
{
	struct evtx_instance instance;
	struct evtx_program program;
	int ret;

	if (depth > NESTING_MAX)
		return evtx_hostile(r);
	if (end - at >= 4 && r->chunk[at] == TOKEN_FRAGMENT)
		at += 4;
	if (at < end && r->chunk[at] == TOKEN_INSTANCE) {
		ret = evtx_instance_read(r, &at, end, place, &instance);
	} else {
		ret = evtx_compile(&r->compiler, r->chunk, at, end, false, place, &program, r->error);
		instance = (struct evtx_instance){ .program = &program, .passing = true };
	}
	return ret < 0 ? ret : bind_program(r, rec, &instance, depth);
}

static int read_record(struct evtx_reader *r, uint32_t size, struct evtx_record *rec)
{
	const uint8_t *at = r->chunk + r->at;
	int ret;

	*rec = empty_record;
	rec->header_id = le64_get(at + 8);
	rec->id = rec->header_id;
	rec->written_utc_ns = evtx_value_time(&(struct evtx_value){ at + 16, 8, TYPE_FILETIME });
	rec->offset = r->at;

	arena_reset(&r->arena);
	r->head_text_count = 0;
	r->steps = 0;
	r->fragment = r->at + RECORD_HEADER;
	r->fragment_end = r->at + size - 4;
	ret = bind_fragment(r, rec, r->fragment, r->fragment_end, PLACE_DOCUMENT, 0);
	if (ret < 0)
		r->fragment = 0;
	rec->data = r->data;
	return ret;
}

/* The size of the record at `at`, or 0 when there is none. */
static uint32_t record_size(const struct evtx_reader *r, uint32_t at)
{
	uint32_t size;

	if (r->end - at < RECORD_SIZE_MIN + 4 || le32_get(r->chunk + at) != RECORD_MAGIC)
		return 0;
	size = le32_get(r->chunk + at + 4);
	if (size < RECORD_SIZE_MIN || size > r->end - at ||
	    le32_get(r->chunk + at + size - 4) != size)
		return 0;
	return size;
}

/* Where reading can go on behind what is no record; the end of the chunk if nowhere. */
static uint32_t find_record(const struct evtx_reader *r, uint32_t from)
{
	for (uint32_t at = (from + 7) & ~7u; at < r->end; at += 8) {
		uint64_t id;

		if (!record_size(r, at))
			continue;
		id = le64_get(r->chunk + at + 8);
		if (id > r->previous_id && id >= r->first_id && id <= r->last_id)
			return at;
	}
	return r->end;
}

static int lost_record(struct evtx_reader *r, struct err *e)
{
	uint32_t at = r->at;

	r->faults |= EVTX_FAULT_RECORD;
	r->fragment = 0;
	r->at = find_record(r, at + 1);
	return err_set(e, EBADMSG, "no record at offset %u of the chunk, %u bytes left out", at,
		       r->at - at);
}

int evtx_reader_text(struct evtx_reader *r, const struct evtx_record *rec, unsigned i)
{
	struct evtx_data *d = &r->data[i];
	struct text text;
	int ret = 0;

	if (rec->data == r->data && !d->text) {
		ret = plain_value_text(r, &(struct evtx_value){ r->raw[i], d->length, d->type }, &text);
		if (ret == 0) {
			d->text = text.text;
			d->length = text.length;
		}
	}
	return ret;
}

int evtx_reader_head_texts(struct evtx_reader *r, struct evtx_record *rec)
{
	for (uint32_t i = 0; i < r->head_text_count; i++) {
		const struct evtx_head_text *t = &r->head_texts[i];
		char *member = (char *)rec + system_fields[t->system_field].offset;
		struct text text;
		int ret = plain_value_text(r, &t->value, &text);

		if (ret < 0)
			return ret;
		*(const char **)(void *)member = text.text;
	}
	r->head_text_count = 0;
	return 0;
}

int evtx_reader_fill(struct evtx_reader *r, struct evtx_record *rec, struct err *e)
{
	int ret;

	r->error = e;
	ret = evtx_reader_head_texts(r, rec);
	for (unsigned i = 0; ret == 0 && i < rec->data_count; i++)
		ret = evtx_reader_text(r, rec, i);
	r->error = NULL;
	if (ret == 0)
		return 0;
	r->faults |= EVTX_FAULT_RECORD;
	r->fragment = 0;
	return err_within(e, "record %llu", (unsigned long long)rec->header_id);
}

int evtx_reader_next(struct evtx_reader *r, struct evtx_record *rec, struct err *e)
{
	int ret = evtx_reader_scan(r, rec, e);

	if (ret == 1) {
		ret = evtx_reader_fill(r, rec, e);
		return ret < 0 ? -EBADMSG : 1;
	}
	return ret;
}

int evtx_reader_scan(struct evtx_reader *r, struct evtx_record *rec, struct err *e)
{
	uint32_t size;
	uint64_t id;
	int ret;

	r->fragment = 0;
	if (r->at >= r->end)
		return 0;
	size = record_size(r, r->at);
	id = size ? le64_get(r->chunk + r->at + 8) : 0;
	if (r->header_lost && (!size || (r->previous_id && id != r->previous_id + 1))) {
		r->at = r->end; /* nothing tells where the records of this chunk end but their sequence */
		return 0;
	}
	if (!size)
		return lost_record(r, e);

	r->error = e;
	ret = read_record(r, size, rec);
	r->error = NULL;
	r->previous_id = id;
	r->at += size;
	if (ret == 0)
		return 1;
	r->faults |= EVTX_FAULT_RECORD;
	err_within(e, "record %llu", (unsigned long long)id);
	return ret;
}

/* ---- chunks --------------------------------------------------------------------------------------- */

int evtx_reader_new(struct evtx_reader **ret, struct err *e)
{
	OWNED(evtx_reader) r = calloc(1, sizeof(*r));

	if (!r || arena_init(&r->arena, RECORD_MEMORY) < 0)
		return err_set(e, ENOMEM, "preparing to read a log");
	evtx_compiler_init(&r->compiler);
	*ret = MOVE(r);
	return 0;
}

void evtx_reader_free(struct evtx_reader *r)
{
	if (!r)
		return;
	drop_programs(r);
	evtx_compiler_done(&r->compiler);
	arena_done(&r->arena);
	free(r->data);
	free(r->raw);
	free(r->xml.items);
	free(r);
}

static void forget_chunk(struct evtx_reader *r)
{
	for (uint32_t i = 0; i < r->in_chunk_count; i++)
		r->by_offset[r->in_chunk_at[i]] = 0;
	r->in_chunk_count = 0;
	if (r->programs > PROGRAMS_MAX / 2 || r->program_memory > PROGRAM_MEMORY / 2)
		drop_programs(r);
	r->chunk = NULL;
	r->at = r->end = 0;
	r->previous_id = 0;
	r->header_lost = false;
	r->faults = 0;
	r->fragment = 0;
}

void evtx_reader_forget(struct evtx_reader *r)
{
	forget_chunk(r);
	drop_programs(r);
}

int evtx_reader_begin(struct evtx_reader *r, const uint8_t *chunk, struct err *e)
{
	struct evtx_chunk_header h;
	int ret = evtx_chunk_header_read(chunk, &h);

	forget_chunk(r);
	if (ret == -ENODATA)
		return err_set(e, ENODATA, "no chunk in this place");
	r->chunk = chunk;
	r->at = EVTX_CHUNK_HEADER;
	r->end = h.free_offset;
	r->first_id = h.first_id;
	r->last_id = h.last_id;
	if (ret < 0)
		r->faults |= EVTX_FAULT_HEADER_CRC;
	if (ret == -EBADMSG) {
		r->header_lost = true;
		r->end = EVTX_CHUNK_SIZE;
	} else if (!evtx_chunk_data_ok(chunk, &h)) {
		r->faults |= EVTX_FAULT_DATA_CRC;
	}
	return 0;
}

unsigned evtx_reader_faults(const struct evtx_reader *r)
{
	return r->faults;
}

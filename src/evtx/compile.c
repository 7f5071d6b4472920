/* SPDX-License-Identifier: MIT */
/* Binary XML to programs: one pass over the tokens, every length and offset checked here. */
#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "utf16.h"

/* Far beyond what 64 KiB of honest input give; keeps a hostile chunk from growing without end. */
#define ITEMS_MAX   (1u << 20)
#define FOREIGN_MAX 1024u

void evtx_compiler_init(struct evtx_compiler *c)
{
	*c = (struct evtx_compiler){ 0 };
}

void evtx_compiler_done(struct evtx_compiler *c)
{
	struct evtx_vector *all[] = { &c->pieces, &c->bindings, &c->ops, &c->chars,
				      &c->xml,    &c->foreign,  &c->copies };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		free(all[i]->items);
	*c = (struct evtx_compiler){ 0 };
}

/* ---- growing buffers ------------------------------------------------------------------------------ */

/* Room for n more items; NULL when there is none. The caller counts them. */
static void *vector_room(struct evtx_vector *v, size_t item, size_t n)
{
	if (n > v->room - v->count) {
		size_t room = v->room ? v->room : 64;
		void *items;

		while (room < v->count + n)
			room *= 2;
		if (room > ITEMS_MAX) {
			errno = EMSGSIZE;
			return NULL;
		}
		items = realloc(v->items, room * item);
		if (!items)
			return NULL;
		v->items = items;
		v->room = (uint32_t)room;
	}
	return (char *)v->items + v->count * item;
}

static int out_of_room(struct evtx_compiler *c)
{
	if (errno == EMSGSIZE)
		return err_set(c->error, EBADMSG, "binary XML that grows beyond all measure");
	return err_set(c->error, ENOMEM, "compiling a template");
}

#define PUSH(c, vector, ...)                                                                       \
	({                                                                                         \
		__typeof__(__VA_ARGS__) *slot_ = vector_room(&(c)->vector, sizeof(*slot_), 1);     \
		if (slot_) {                                                                       \
			*slot_ = __VA_ARGS__;                                                      \
			(c)->vector.count++;                                                       \
		}                                                                                  \
		slot_ ? 0 : out_of_room(c);                                                        \
	})

static int bad(struct evtx_compiler *c, const char *what)
{
	return err_set(c->error, EBADMSG, "%s at offset %u", what, c->at);
}

/* ---- bytes of the chunk --------------------------------------------------------------------------- */

static bool left(const struct evtx_compiler *c, uint32_t n)
{
	return n <= c->end - c->at;
}

static uint8_t peek(const struct evtx_compiler *c)
{
	return left(c, 1) ? c->chunk[c->at] : TOKEN_EOF;
}

static int take8(struct evtx_compiler *c, uint8_t *v)
{
	if (!left(c, 1))
		return bad(c, "binary XML ends early");
	*v = c->chunk[c->at++];
	return 0;
}

static int take16(struct evtx_compiler *c, uint16_t *v)
{
	if (!left(c, 2))
		return bad(c, "binary XML ends early");
	*v = le16_get(c->chunk + c->at);
	c->at += 2;
	return 0;
}

static int take32(struct evtx_compiler *c, uint32_t *v)
{
	if (!left(c, 4))
		return bad(c, "binary XML ends early");
	*v = le32_get(c->chunk + c->at);
	c->at += 4;
	return 0;
}

/* ---- names ---------------------------------------------------------------------------------------- */

struct name {
	uint32_t at;     /* chunk offset of its header */
	uint32_t length; /* bytes of UTF-16 */
};

static int check_name(struct evtx_compiler *c, uint32_t at, struct name *name)
{
	if (at < EVTX_CHUNK_HEADER || at > EVTX_CHUNK_SIZE - NAME_HEADER)
		return bad(c, "a name outside the chunk");
	name->at = at;
	name->length = 2u * le16_get(c->chunk + at + 6);
	if (name->length > EVTX_CHUNK_SIZE - NAME_HEADER - at)
		return bad(c, "a name that leaves the chunk");
	if (c->strict && le16_get(c->chunk + at + 4) !=
				 (evtx_hash(c->chunk + at + NAME_HEADER, name->length / 2) & 0xffff))
		return bad(c, "a name that is not what its hash says");
	return 0;
}

static const uint8_t *name_units(const struct evtx_compiler *c, const struct name *name)
{
	return c->chunk + name->at + NAME_HEADER;
}

static void note_inline_name(struct evtx_compiler *c, const struct name *name)
{
	c->inline_names = true;
	if (c->tables)
		c->tables->names[evtx_name_bucket(evtx_hash(name_units(c, name), name->length / 2))] =
			name->at;
}

static int note_foreign_name(struct evtx_compiler *c, const struct name *name)
{
	struct evtx_foreign_name *seen = c->foreign.items;
	void *copy;

	/* Inside of what is compiled: its bytes and their place tell the name. */
	if (name->at >= c->begin && name->at + NAME_HEADER + name->length <= c->end) {
		c->inline_names = true;
		return 0;
	}
	for (uint32_t i = 0; i < c->foreign.count; i++)
		if (seen[i].at == name->at)
			return 0;
	if (c->foreign.count == FOREIGN_MAX)
		return bad(c, "more names than any template has");
	copy = vector_room(&c->copies, 1, name->length + 1);
	if (!copy)
		return out_of_room(c);
	memcpy(copy, name_units(c, name), name->length);
	c->copies.count += name->length;
	return PUSH(c, foreign,
		    (struct evtx_foreign_name){ name->at, name->length, c->copies.count - name->length });
}

/* The offset of a name, and the name itself where it follows. */
static int take_name(struct evtx_compiler *c, struct name *name)
{
	uint32_t at = 0;
	int r = take32(c, &at);

	if (r == 0)
		r = check_name(c, at, name);
	if (r < 0)
		return r;
	if (at != c->at)
		return note_foreign_name(c, name);
	if (!left(c, NAME_HEADER + name->length + 2))
		return bad(c, "a name that leaves its template");
	c->at += NAME_HEADER + name->length + 2;
	note_inline_name(c, name);
	return 0;
}

/* ---- what is made --------------------------------------------------------------------------------- */

/* Literal text as a piece; *text (may be NULL) is good until the next one. */
static int add_text(struct evtx_compiler *c, const uint8_t *units, uint32_t count, const char **text)
{
	char *start = vector_room(&c->chars, 1, (size_t)count * UTF8_PER_UNIT + 1), *end;
	uint32_t length;

	if (!start)
		return out_of_room(c);
	end = utf16_to_utf8(units, count, start);
	*end = 0;
	length = (uint32_t)(end - start);
	if (text)
		*text = start;
	c->chars.count += length + 1;
	return PUSH(c, pieces,
		    (struct evtx_piece){ c->chars.count - length - 1, length, NO_INDEX });
}

static struct evtx_op *op_at(struct evtx_compiler *c, uint32_t at)
{
	return (struct evtx_op *)c->ops.items + at;
}

static int add_xml(struct evtx_compiler *c, const char *bytes, uint32_t n)
{
	struct evtx_op *last = c->ops.count ? op_at(c, c->ops.count - 1) : NULL;
	char *room;

	if (n == 0)
		return 0;
	room = vector_room(&c->xml, 1, n);
	if (!room)
		return out_of_room(c);
	memcpy(room, bytes, n);
	c->xml.count += n;
	if (last && last->kind == OP_TEXT && last->length) {
		last->length += n;
		return 0;
	}
	return PUSH(c, ops,
		    (struct evtx_op){ .kind = OP_TEXT, .at = c->xml.count - n, .length = n });
}

static int add_xml_text(struct evtx_compiler *c, const char *text)
{
	return add_xml(c, text, (uint32_t)strlen(text));
}

static int add_xml_escaped(struct evtx_compiler *c, const char *text)
{
	const char *plain = text;
	int r = 0;

	for (; *text && r == 0; text++) {
		const char *entity = xml_entity(*text);

		if (!entity)
			continue;
		r = add_xml(c, plain, (uint32_t)(text - plain));
		if (r == 0)
			r = add_xml_text(c, entity);
		plain = text + 1;
	}
	return r < 0 ? r : add_xml(c, plain, (uint32_t)(text - plain));
}

static bool fits_name(char ch, bool first)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' || ch == ':' ||
	       (ch & 0x80) || (!first && ((ch >= '0' && ch <= '9') || ch == '-' || ch == '.'));
}

/* A hostile name must not become markup. */
static int add_xml_name(struct evtx_compiler *c, const char *name)
{
	const uint32_t at = c->xml.count;
	int r = add_xml_text(c, *name ? name : "_");

	for (char *p = (char *)c->xml.items + at; r == 0 && p < (char *)c->xml.items + c->xml.count; p++)
		if (!fits_name(*p, p == (char *)c->xml.items + at))
			*p = '_';
	return r;
}

/* An op whose end is not known yet. */
static int open_op(struct evtx_compiler *c, struct evtx_op op, uint32_t *at)
{
	*at = c->ops.count;
	return PUSH(c, ops, op);
}

/* The text behind the end of an optional part must not be merged into it. */
static int close_op(struct evtx_compiler *c, uint32_t at)
{
	op_at(c, at)->end = c->ops.count;
	return PUSH(c, ops, (struct evtx_op){ .kind = OP_TEXT });
}

/* ---- content -------------------------------------------------------------------------------------- */

/* What stands between tags or in an attribute. */
static int content_text(struct evtx_compiler *c, bool has_type)
{
	const char *text;
	uint16_t units = 0;
	uint8_t type;
	int r;

	if (has_type) {
		r = take8(c, &type);
		if (r < 0)
			return r;
	}
	r = take16(c, &units);
	if (r < 0)
		return r;
	if (!left(c, 2u * units))
		return bad(c, "text that leaves its template");
	if (c->strict && !utf16_is_clean(c->chunk + c->at, units))
		return bad(c, "text that nobody wrote");
	c->at += 2u * units;
	r = add_text(c, c->chunk + c->at - 2u * units, units, &text);
	return r < 0 ? r : add_xml_escaped(c, text);
}

static int content_character(struct evtx_compiler *c)
{
	const char *text;
	uint8_t unit[2];
	uint16_t code = 0;
	int r = take16(c, &code);

	if (r < 0)
		return r;
	le16_put(unit, code);
	r = add_text(c, unit, 1, &text);
	return r < 0 ? r : add_xml_escaped(c, text);
}

static int content_entity(struct evtx_compiler *c)
{
	static const struct { const char *name; char character; } known[] = {
		{ "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' },
	};
	const char *text;
	char character[2] = "?";
	struct name name;
	uint32_t chars = c->chars.count;
	int r = take_name(c, &name);

	if (r < 0)
		return r;
	r = add_text(c, name_units(c, &name), name.length / 2, &text);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(text, known[i].name) == 0)
			character[0] = known[i].character;

	/* The piece just made held the name; it is to hold the character (the shortest name is longer). */
	if (name.length < 2)
		return bad(c, "an entity without a name");
	memcpy((char *)c->chars.items + chars, character, sizeof(character));
	((struct evtx_piece *)c->pieces.items)[c->pieces.count - 1].length = 1;
	return add_xml_escaped(c, character);
}

static int content_value(struct evtx_compiler *c, bool optional)
{
	uint16_t index = 0;
	uint8_t type = 0;
	int r = take16(c, &index);

	if (r == 0)
		r = take8(c, &type);
	if (r == 0)
		r = PUSH(c, pieces, (struct evtx_piece){ 0, 0, index });
	if (r == 0)
		r = PUSH(c, ops,
			 (struct evtx_op){
				 .kind = OP_VALUE, .index = index, .type = type, .optional = optional });
	return r;
}

/* Processing instructions are XML but no content. */
static int instruction_target(struct evtx_compiler *c)
{
	struct name name;
	uint32_t pieces = c->pieces.count;
	const char *text;
	int r = take_name(c, &name);

	if (r == 0)
		r = add_text(c, name_units(c, &name), name.length / 2, &text);
	if (r == 0)
		r = add_xml_text(c, "<?");
	if (r == 0)
		r = add_xml_name(c, text);
	c->pieces.count = pieces;
	return r < 0 ? r : add_xml_text(c, " ");
}

static int instruction_data(struct evtx_compiler *c)
{
	uint32_t pieces = c->pieces.count;
	int r = content_text(c, false);

	c->pieces.count = pieces;
	return r < 0 ? r : add_xml_text(c, "?>");
}

/* One content token, whose first byte is taken. */
static int content_token(struct evtx_compiler *c, uint8_t token)
{
	switch (token & ~TOKEN_MORE) {
	case TOKEN_TEXT:
		return content_text(c, true);
	case TOKEN_CDATA:
		return content_text(c, false);
	case TOKEN_CHARACTER:
		return content_character(c);
	case TOKEN_ENTITY:
		return content_entity(c);
	case TOKEN_NORMAL:
		return content_value(c, false);
	case TOKEN_OPTIONAL:
		return content_value(c, true);
	case TOKEN_PI_TARGET:
		return instruction_target(c);
	case TOKEN_PI_DATA:
		return instruction_data(c);
	default:
		c->at--;
		return bad(c, "an unknown token");
	}
}

static bool is_content(uint8_t token)
{
	token &= (uint8_t)~TOKEN_MORE;
	return (token >= TOKEN_TEXT && token != TOKEN_ATTRIBUTE && token <= TOKEN_PI_DATA) ||
	       token == TOKEN_NORMAL || token == TOKEN_OPTIONAL;
}

/* ---- elements ------------------------------------------------------------------------------------- */

#define KNOWN_NAME 32u /* enough to know the names with a meaning; longer ones are cut */

static void copy_cut(char out[KNOWN_NAME], const char *text)
{
	size_t n = strnlen(text, KNOWN_NAME - 1);

	memcpy(out, text, n);
	out[n] = 0;
}

struct element {
	const struct element *parent;
	enum evtx_place place; /* that it stands in */
	enum evtx_place inside;
	uint16_t dependency;
	char name[KNOWN_NAME];
	struct evtx_content full_name, name_attribute, content;
	bool has_name_attribute, has_children;
	unsigned depth;
};

static enum evtx_place place_inside(enum evtx_place place, const char *name)
{
	static const struct { enum evtx_place place, inside; const char *name; } known[] = {
		{ PLACE_DOCUMENT, PLACE_EVENT, "Event" },
		{ PLACE_EVENT, PLACE_SYSTEM, "System" },
		{ PLACE_EVENT, PLACE_EVENT_DATA, "EventData" },
		{ PLACE_EVENT, PLACE_USER_DATA, "UserData" },
		/* What Windows puts in the place of data that it could not make an event of, and its rarer forms. */
		{ PLACE_EVENT, PLACE_USER_DATA, "ProcessingErrorData" },
		{ PLACE_EVENT, PLACE_USER_DATA, "DebugData" },
		{ PLACE_EVENT, PLACE_USER_DATA, "BinaryEventData" },
	};

	if (place == PLACE_USER_DATA)
		return PLACE_USER_DATA;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].place == place && strcmp(known[i].name, name) == 0)
			return known[i].inside;
	return PLACE_NOWHERE;
}

static int bind(struct evtx_compiler *c, const struct element *el, struct evtx_binding binding)
{
	binding.dependency = el->dependency;
	return PUSH(c, bindings, binding);
}

static int bind_system(struct evtx_compiler *c, const struct element *el, const char *attribute,
		       struct evtx_content value)
{
	uint8_t field = el->place == PLACE_SYSTEM ? evtx_system_field(el->name, attribute) : 0;

	if (!field)
		return 0;
	return bind(c, el,
		    (struct evtx_binding){
			    .target = TARGET_SYSTEM, .system_field = field, .value = value });
}

static struct evtx_content content_since(const struct evtx_compiler *c, uint32_t first)
{
	return (struct evtx_content){ first, c->pieces.count - first };
}

static bool is_one_value(const struct evtx_compiler *c, struct evtx_content content)
{
	const struct evtx_piece *pieces = c->pieces.items;

	return content.count == 1 && pieces[content.first].index != NO_INDEX;
}

static int compile_attribute(struct evtx_compiler *c, struct element *el)
{
	struct evtx_content value;
	const char *text;
	char name[KNOWN_NAME];
	struct name n;
	uint32_t op = 0;
	int r;

	c->at++;
	r = take_name(c, &n);
	if (r == 0)
		r = open_op(c, (struct evtx_op){ .kind = OP_ATTRIBUTE, .index = NO_INDEX }, &op);
	if (r == 0)
		r = add_text(c, name_units(c, &n), n.length / 2, &text);
	if (r < 0)
		return r;
	copy_cut(name, text);
	r = add_xml_text(c, " ");
	if (r == 0)
		r = add_xml_name(c, text);
	if (r == 0)
		r = add_xml_text(c, "=\"");

	value.first = c->pieces.count;
	while (r == 0 && is_content(peek(c))) {
		uint8_t token = 0;

		r = take8(c, &token);
		if (r == 0)
			r = content_token(c, token);
	}
	if (r == 0)
		r = add_xml_text(c, "\"");
	if (r < 0)
		return r;

	value = content_since(c, value.first);
	if (is_one_value(c, value))
		op_at(c, op)->index = ((struct evtx_piece *)c->pieces.items)[value.first].index;
	if (strcmp(name, "Name") == 0) {
		el->name_attribute = value;
		el->has_name_attribute = true;
	}
	r = bind_system(c, el, name, value);
	return r < 0 ? r : close_op(c, op);
}

/* What a finished element means. */
static int bind_element(struct evtx_compiler *c, const struct element *el)
{
	const struct evtx_content none = { 0, 0 };

	if (el->inside == PLACE_USER_DATA && el->place == PLACE_EVENT) {
		int r = bind(c, el, (struct evtx_binding){ .target = TARGET_USER_DATA });

		if (r < 0 || el->has_children || !el->content.count)
			return r;
		return bind(c, el,
			    (struct evtx_binding){ .target = strcmp(el->name, "UserData") == 0 ? TARGET_NESTED :
													TARGET_DATA,
						   .place = PLACE_USER_DATA,
						   .name = el->full_name,
						   .value = el->content });
	}
	if (el->place == PLACE_SYSTEM)
		return bind_system(c, el, NULL, el->content);
	if (el->place == PLACE_EVENT_DATA)
		return bind(c, el,
			    (struct evtx_binding){ .target = TARGET_DATA,
						   .name = el->has_name_attribute ? el->name_attribute :
							   strcmp(el->name, "Data") == 0 ?
								   none :
								   el->full_name,
						   .value = el->content });
	if (el->place == PLACE_USER_DATA && !el->has_children)
		return bind(c, el,
			    (struct evtx_binding){ .target = TARGET_DATA,
						   .place = PLACE_USER_DATA,
						   .name = el->full_name,
						   .value = el->content });
	return 0;
}

/* A substitution right in Event or EventData: whole elements come from there. */
static int bind_loose_value(struct evtx_compiler *c, const struct element *el)
{
	if (el->inside != PLACE_EVENT && el->inside != PLACE_EVENT_DATA)
		return 0;
	return bind(c, el,
		    (struct evtx_binding){ .target = el->inside == PLACE_EVENT ? TARGET_NESTED : TARGET_DATA,
					   .place = (uint8_t)el->inside,
					   .value = content_since(c, c->pieces.count - 1) });
}

static int compile_element(struct evtx_compiler *c, const struct element *parent,
			   enum evtx_place place);

static int compile_children(struct evtx_compiler *c, struct element *el)
{
	uint32_t first = c->pieces.count;

	for (;;) {
		uint8_t token = 0;
		int r;

		if ((peek(c) & ~TOKEN_MORE) == TOKEN_OPEN) {
			el->has_children = true;
			r = compile_element(c, el, el->inside);
			if (r < 0)
				return r;
			continue;
		}
		r = take8(c, &token);
		if (r < 0)
			return r;
		if (token == TOKEN_END)
			break;
		r = content_token(c, token);
		if (r == 0 && ((token & ~TOKEN_MORE) == TOKEN_NORMAL ||
			       (token & ~TOKEN_MORE) == TOKEN_OPTIONAL))
			r = bind_loose_value(c, el);
		if (r < 0)
			return r;
	}
	if (!el->has_children)
		el->content = content_since(c, first);
	return 0;
}

static int compile_start(struct evtx_compiler *c, struct element *el, const char **name)
{
	uint32_t size, first = c->pieces.count;
	struct name n;
	int r = 0;

	el->dependency = NO_DEPENDENCY;
	if (c->in_definition)
		r = take16(c, &el->dependency);
	if (el->dependency == NO_DEPENDENCY && el->parent)
		el->dependency = el->parent->dependency;
	if (r == 0)
		r = take32(c, &size); /* of no use: the tokens tell where it ends */
	if (r == 0)
		r = take_name(c, &n);
	if (r == 0)
		r = add_text(c, name_units(c, &n), n.length / 2, name);
	if (r < 0)
		return r;
	el->full_name = content_since(c, first);
	copy_cut(el->name, *name);
	el->inside = place_inside(el->place, el->name);
	return 0;
}

static int compile_attributes(struct evtx_compiler *c, struct element *el)
{
	uint32_t size;
	int r = take32(c, &size);

	while (r == 0 && (peek(c) & ~TOKEN_MORE) == TOKEN_ATTRIBUTE)
		r = compile_attribute(c, el);
	return r;
}

/* "</name>", from the piece that holds the name. */
static int add_end_tag(struct evtx_compiler *c, const struct element *el)
{
	const struct evtx_piece *name = (struct evtx_piece *)c->pieces.items + el->full_name.first;
	int r = add_xml_text(c, "</");

	if (r == 0)
		r = add_xml_name(c, (const char *)c->chars.items + name->at);
	return r < 0 ? r : add_xml_text(c, ">");
}

static int compile_body(struct evtx_compiler *c, struct element *el)
{
	uint8_t token = 0;
	int r = take8(c, &token);

	if (r < 0)
		return r;
	if (token == TOKEN_CLOSE_EMPTY)
		return add_xml_text(c, "/>");
	if (token != TOKEN_CLOSE_START)
		return bad(c, "a start tag that does not end");
	r = add_xml_text(c, ">");
	if (r == 0)
		r = compile_children(c, el);
	return r < 0 ? r : add_end_tag(c, el);
}

static int compile_element(struct evtx_compiler *c, const struct element *parent, enum evtx_place place)
{
	struct element el = { .parent = parent, .place = place, .depth = parent ? parent->depth + 1 : 0 };
	const char *name;
	uint8_t token = 0;
	uint32_t op = 0;
	int r;

	if (el.depth >= DEPTH_MAX)
		return bad(c, "elements nested too deeply");
	r = take8(c, &token);
	if (r == 0)
		r = compile_start(c, &el, &name);
	if (r == 0)
		r = open_op(c,
			    (struct evtx_op){ .kind = OP_ELEMENT,
					      .index = NO_INDEX,
					      .dependency = el.dependency },
			    &op);
	if (r == 0)
		r = add_xml_text(c, "<");
	if (r == 0)
		r = add_xml_name(c, name);
	if (r == 0 && (token & TOKEN_MORE))
		r = compile_attributes(c, &el);
	if (r == 0)
		r = compile_body(c, &el);
	if (r < 0)
		return r;
	if (is_one_value(c, el.content))
		op_at(c, op)->index = ((struct evtx_piece *)c->pieces.items)[el.content.first].index;
	r = close_op(c, op);
	return r < 0 ? r : bind_element(c, &el);
}

int evtx_compile(struct evtx_compiler *c, const uint8_t *chunk, uint32_t at, uint32_t end,
		 bool in_definition, enum evtx_place place, struct evtx_program *ret, struct err *e)
{
	int r = 0;

	c->chunk = chunk;
	c->at = c->begin = at;
	c->end = end;
	c->in_definition = in_definition;
	c->inline_names = false;
	c->error = e;
	c->pieces.count = c->bindings.count = c->ops.count = c->chars.count = 0;
	c->xml.count = c->foreign.count = c->copies.count = 0;

	if (peek(c) == TOKEN_FRAGMENT)
		c->at += left(c, 4) ? 4 : c->end - c->at;
	while (r == 0 && peek(c) != TOKEN_EOF) {
		uint8_t token = peek(c);

		if ((token & ~TOKEN_MORE) == TOKEN_OPEN) {
			r = compile_element(c, NULL, place);
		} else {
			c->at++;
			r = content_token(c, token);
		}
	}
	if (r == 0 && c->strict && (!in_definition || c->at + 1 != c->end))
		r = bad(c, "elements that nobody wrote");
	if (r < 0)
		return r;
	*ret = (struct evtx_program){
		.pieces = c->pieces.items,
		.bindings = c->bindings.items,
		.ops = c->ops.items,
		.chars = c->chars.items,
		.xml = c->xml.items,
		.binding_count = c->bindings.count,
		.op_count = c->ops.count,
	};
	return 0;
}

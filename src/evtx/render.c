/* SPDX-License-Identifier: MIT */
/* A record as XML: the way a stranger wants to see it, and the one for records of any shape. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader_internal.h"
#include "utf16.h"

static char *xml_room(struct evtx_reader *r, size_t n)
{
	struct evtx_vector *xml = &r->xml;
	size_t room = xml->room ? xml->room : 16384;
	void *items;

	if (n <= xml->room - xml->count)
		return (char *)xml->items + xml->count;
	while (room < xml->count + n)
		room *= 2;
	if (room > XML_MAX)
		return NULL;
	items = realloc(xml->items, room);
	if (!items)
		return NULL;
	xml->items = items;
	xml->room = (uint32_t)room;
	return (char *)items + xml->count;
}

static int xml_add(struct evtx_reader *r, const char *text, size_t n)
{
	char *to = xml_room(r, n);

	if (!to)
		return evtx_hostile(r);
	memcpy(to, text, n);
	r->xml.count += (uint32_t)n;
	return 0;
}

static int xml_add_escaped(struct evtx_reader *r, const char *text, size_t n)
{
	size_t done = 0;
	int ret = 0;

	for (size_t i = 0; i < n && ret == 0; i++) {
		const char *entity = xml_entity(text[i]);

		if (!entity)
			continue;
		ret = xml_add(r, text + done, i - done);
		if (ret == 0)
			ret = xml_add(r, entity, strlen(entity));
		done = i + 1;
	}
	return ret < 0 ? ret : xml_add(r, text + done, n - done);
}

static int render_text(struct evtx_reader *r, const struct evtx_value *v)
{
	size_t used = r->arena.used;
	char *text = arena_take(&r->arena, evtx_value_room(v));
	int ret;

	if (!text)
		return evtx_hostile(r);
	ret = xml_add_escaped(r, text, evtx_value_text(v, text));
	r->arena.used = used;
	return ret;
}

/* An array where its element cannot be repeated. */
static int render_items(struct evtx_reader *r, const struct evtx_value *array)
{
	struct evtx_value item;
	uint32_t at = 0;
	int ret = 0;

	while (ret == 0 && evtx_value_item(array, &at, &item)) {
		if (++r->steps > STEPS_MAX)
			return evtx_hostile(r);
		ret = render_text(r, &item);
		if (ret == 0 && at < array->length)
			ret = xml_add(r, ", ", 2);
	}
	return ret;
}

int evtx_render_value(struct evtx_reader *r, const struct evtx_value *v, unsigned depth)
{
	uint32_t at = (uint32_t)(v->bytes - r->chunk);

	if (v->type == TYPE_BINXML)
		return evtx_render_fragment(r, at, at + v->length, depth + 1);
	return v->type & TYPE_ARRAY ? render_items(r, v) : render_text(r, v);
}

/* The ops [from, to). While an element is repeated, `item` stands for value `item_index`. */
struct rendering {
	const struct evtx_instance *instance;
	uint16_t item_index;
	const struct evtx_value *item;
	unsigned depth;
};

static int render_ops(struct evtx_reader *r, const struct rendering *in, uint32_t from, uint32_t to);

static bool is_null(const struct rendering *in, uint16_t index)
{
	return index != NO_INDEX && evtx_instance_value(in->instance, index)->type == TYPE_NULL;
}

static int render_repeated(struct evtx_reader *r, const struct rendering *in, uint32_t from, uint32_t to,
			   uint16_t index)
{
	struct rendering inner = *in;
	struct evtx_value item;
	uint32_t at = 0;
	int ret = 0;

	inner.item_index = index;
	inner.item = &item;
	while (ret == 0 && evtx_value_item(evtx_instance_value(in->instance, index), &at, &item))
		ret = render_ops(r, &inner, from, to);
	return ret;
}

static int render_element(struct evtx_reader *r, const struct rendering *in, uint32_t at)
{
	const struct evtx_op *op = &in->instance->program->ops[at];

	if (op->dependency != NO_DEPENDENCY && is_null(in, op->dependency))
		return 0;
	if (op->index != NO_INDEX && !in->item &&
	    evtx_instance_value(in->instance, op->index)->type & TYPE_ARRAY)
		return render_repeated(r, in, at + 1, op->end, op->index);
	return render_ops(r, in, at + 1, op->end);
}

static int render_ops(struct evtx_reader *r, const struct rendering *in, uint32_t from, uint32_t to)
{
	const struct evtx_program *p = in->instance->program;
	int ret = 0;

	for (uint32_t at = from; at < to && ret == 0; at++) {
		const struct evtx_op *op = &p->ops[at];

		if (++r->steps > STEPS_MAX)
			return evtx_hostile(r);
		switch (op->kind) {
		case OP_TEXT:
			ret = xml_add(r, p->xml + op->at, op->length);
			break;
		case OP_VALUE:
			ret = evtx_render_value(r,
					   in->item && op->index == in->item_index ?
						   in->item :
						   evtx_instance_value(in->instance, op->index),
					   in->depth);
			break;
		case OP_ELEMENT:
			ret = render_element(r, in, at);
			at = op->end - 1;
			break;
		case OP_ATTRIBUTE:
			if (!is_null(in, op->index))
				ret = render_ops(r, in, at + 1, op->end);
			at = op->end - 1;
			break;
		}
	}
	return ret;
}

int evtx_render_fragment(struct evtx_reader *r, uint32_t at, uint32_t end, unsigned depth)
{
	struct evtx_program program;
	struct evtx_instance instance = { .program = &program };
	struct rendering in = { .instance = &instance, .depth = depth };
	int ret;

	if (depth > NESTING_MAX)
		return evtx_hostile(r);
	if (end - at >= 4 && r->chunk[at] == TOKEN_FRAGMENT)
		at += 4;
	if (at < end && r->chunk[at] == TOKEN_INSTANCE)
		ret = evtx_instance_read(r, &at, end, PLACE_NOWHERE, &instance);
	else
		ret = evtx_compile(&r->compiler, r->chunk, at, end, false, PLACE_NOWHERE, &program,
				   r->error);
	return ret < 0 ? ret : render_ops(r, &in, 0, instance.program->op_count);
}

const char *evtx_reader_xml(struct evtx_reader *r, size_t *length)
{
	size_t used = r->arena.used;
	struct err *error = r->error;
	int ret = -ENODATA;

	r->xml.count = 0;
	r->steps = 0;
	r->error = NULL;
	if (r->fragment)
		ret = evtx_render_fragment(r, r->fragment, r->fragment_end, 0);
	if (ret == 0)
		ret = xml_add(r, "", 1);
	r->arena.used = used;
	r->error = error;
	*length = ret == 0 ? r->xml.count - 1 : 0;
	return ret == 0 ? r->xml.items : "";
}

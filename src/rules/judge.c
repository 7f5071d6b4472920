/* SPDX-License-Identifier: MIT */
/* Judges events: which section matches first, and whose name the event bears. */
#include "fold.h"
#include "model.h"

/* One event under judgement. A field is folded when the first filter asks for it, and only once. */
struct judge {
	const struct event *event;
	unsigned type_offset; /* of the event's type in the series of its tag */
	struct folded field[EVENT_FIELDS_MAX]; /* bytes NULL: not folded yet */
	uint8_t *memory;
	size_t used;
};

static void fold_field(struct judge *j, unsigned index)
{
	const struct event *ev = j->event;
	size_t left = FOLDED_EVENT_MAX - j->used;
	char buffer[VALUE_TEXT_MAX];
	const char *text;
	size_t n = value_text(ev->type->fields[index].type, &ev->values[index], buffer, &text);

	if (FOLD_SIZE_MAX(n) > left)
		n = left / 3 * 2;
	j->field[index].bytes = j->memory + j->used;
	j->field[index].length = fold_text(text, n, j->memory + j->used);
	j->used += j->field[index].length;
}

static bool filter_holds(struct judge *j, const struct filter *f)
{
	int index = f->field_index[j->type_offset];

	if (index < 0)
		return false;
	if (!j->field[index].bytes)
		fold_field(j, (unsigned)index);
	return f->operator->holds(&j->field[index], &f->wanted);
}

/* The first filter that holds gives the name. */
static bool some_filter_holds(struct judge *j, const struct clause *c, const char **name)
{
	for (const struct filter *f = c->filters; f; f = f->next) {
		if (filter_holds(j, f)) {
			*name = f->name ? f->name : c->name;
			return true;
		}
	}
	return false;
}

/* The last filter that has a name gives it. */
static bool all_filters_hold(struct judge *j, const struct clause *c, const char **name)
{
	const char *found = c->name;

	for (const struct filter *f = c->filters; f; f = f->next) {
		if (!filter_holds(j, f))
			return false;
		if (f->name)
			found = f->name;
	}
	*name = found;
	return c->filters != NULL; /* of nothing, nothing holds */
}

static bool clause_holds(struct judge *j, const struct clause *c, const char **name)
{
	return c->compound && c->relation == RELATION_AND ? all_filters_hold(j, c, name)
							  : some_filter_holds(j, c, name);
}

static bool some_clause_holds(struct judge *j, const struct section *s, const char **name)
{
	for (const struct clause *c = s->clauses; c; c = c->next)
		if (clause_holds(j, c, name))
			return true;
	return false;
}

/* The name that stands last in the file, of all that held. */
struct last_name {
	const char *name;
	unsigned position;
};

static bool some_alternative_holds(struct judge *j, const struct clause *leader, struct last_name *last)
{
	bool held = false;

	for (const struct clause *c = leader; c; c = c->alternative) {
		const char *name = NULL;

		if (!clause_holds(j, c, &name))
			continue;
		held = true;
		if (name && c->position >= last->position)
			*last = (struct last_name){ name, c->position };
	}
	return held;
}

static bool all_clauses_hold(struct judge *j, const struct section *s, const char **name)
{
	struct last_name last = { NULL, 0 };

	for (const struct clause *c = s->clauses; c; c = c->next)
		if (!c->follows && !some_alternative_holds(j, c, &last))
			return false;
	*name = last.name;
	return s->clauses != NULL;
}

static bool section_matches(struct judge *j, const struct section *s, const char **name)
{
	j->type_offset = (unsigned)(j->event->type - s->first_type);
	return s->relation == RELATION_AND ? all_clauses_hold(j, s, name) : some_clause_holds(j, s, name);
}

static const char *name_of_kept(const struct section *s, const char *name)
{
	return name ? name : s->group_name ? s->group_name : "-";
}

bool ruleset_keeps(const struct ruleset *rs, const struct event *ev, const char **name)
{
	const struct verdict_order *order = &rs->order[event_type_index(ev->type)];
	struct judge j = { .event = ev, .memory = rs->working_memory };

	*name = "-";
	if (ev->type->id == 24 && !rs->capture_clipboard)
		return false;
	for (unsigned i = 0; i < order->count; i++) {
		const char *found = NULL;

		if (!section_matches(&j, order->sections[i], &found))
			continue;
		if (order->sections[i]->include)
			*name = name_of_kept(order->sections[i], found);
		return order->sections[i]->include;
	}
	return order->count > 0 ? !order->include_exists : ev->type->kept != DEFAULT_OFF;
}

/* ---- can it be kept at all? ---- */

static bool filter_possible(const struct filter *f, unsigned type_offset)
{
	return f->field_index[type_offset] >= 0;
}

static bool clause_possible(const struct clause *c, unsigned type_offset)
{
	bool all = c->compound && c->relation == RELATION_AND;

	for (const struct filter *f = c->filters; f; f = f->next)
		if (filter_possible(f, type_offset) != all)
			return !all;
	return all && c->filters;
}

static bool section_possible(const struct section *s, unsigned type_offset)
{
	bool all = s->relation == RELATION_AND;

	/* Filters on one field are possible or impossible together, so alternatives need no care. */
	for (const struct clause *c = s->clauses; c; c = c->next)
		if (clause_possible(c, type_offset) != all)
			return !all;
	return all && s->clauses;
}

bool ruleset_wants(const struct ruleset *rs, const struct event_type *type)
{
	const struct verdict_order *order = &rs->order[event_type_index(type)];

	if (type->id == 24 && !rs->capture_clipboard)
		return false;
	if (order->count == 0)
		return type->kept != DEFAULT_OFF;
	if (!order->include_exists)
		return true;
	for (unsigned i = 0; i < order->count; i++) {
		const struct section *s = order->sections[i];

		if (s->include && section_possible(s, (unsigned)(type - s->first_type)))
			return true;
	}
	return false;
}

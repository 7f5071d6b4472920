/* SPDX-License-Identifier: MIT */
#include "holding.h"

#include "fold.h"

void judged_init(struct judged *j, const struct event *ev, uint8_t *memory)
{
	j->event = ev;
	j->memory = memory;
	j->used = 0;
	j->folded = 0;
}

static void fold_field(struct judged *j, unsigned index)
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
	j->folded |= 1u << index;
}

const struct folded *judged_field(struct judged *j, unsigned index)
{
	if (!(j->folded >> index & 1))
		fold_field(j, index);
	return &j->field[index];
}

bool filter_holds(struct judged *j, const struct filter *f, unsigned offset)
{
	int index = f->field_index[offset];

	return index >= 0 && f->operator->holds(judged_field(j, (unsigned)index), &f->wanted);
}

/* The first filter that holds gives the name. */
static bool some_filter_holds(struct judged *j, const struct clause *c, unsigned offset, const char **name)
{
	for (const struct filter *f = c->filters; f; f = f->next) {
		if (filter_holds(j, f, offset)) {
			*name = f->name ? f->name : c->name;
			return true;
		}
	}
	return false;
}

/* The last filter that has a name gives it. */
static bool all_filters_hold(struct judged *j, const struct clause *c, unsigned offset, const char **name)
{
	const char *found = c->name;

	for (const struct filter *f = c->filters; f; f = f->next) {
		if (!filter_holds(j, f, offset))
			return false;
		if (f->name)
			found = f->name;
	}
	if (!c->filters) /* of nothing, nothing holds */
		return false;
	*name = found;
	return true;
}

bool clause_holds(struct judged *j, const struct clause *c, unsigned offset, const char **name)
{
	return clause_needs_all(c) ? all_filters_hold(j, c, offset, name) :
				     some_filter_holds(j, c, offset, name);
}

bool clause_possible(const struct clause *c, unsigned offset)
{
	bool all = clause_needs_all(c);

	for (const struct filter *f = c->filters; f; f = f->next)
		if ((f->field_index[offset] >= 0) != all)
			return !all;
	return all && c->filters;
}

void last_name_add(struct last_name *last, const struct clause *c, const char *name)
{
	if (name && c->position >= last->position)
		*last = (struct last_name){ name, c->position };
}

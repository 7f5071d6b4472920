/* SPDX-License-Identifier: MIT */
/* Asking with the index. How it is made: index_build.c. */
#include "index_parts.h"

static void free_searches(struct field_index *f)
{
	for (unsigned i = 0; f && !f->borrowed && i < f->search_count; i++)
		hs_free_database(f->searches[i]);
}

void index_free(struct index *x)
{
	if (!x)
		return;
	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++)
		for (unsigned i = 0; i < EVENT_FIELDS_MAX; i++)
			free_searches(x->types[t].field[i]);
	hs_free_scratch(x->scratch);
	pool_done(&x->pool);
	free(x);
}

/* ---- what the fields show ---- */

static void mark(struct index *x, uint32_t member)
{
	uint64_t *word = &x->now->possible[member / 64];
	uint64_t bit = (uint64_t)1 << member % 64;

	if (*word & bit)
		return;
	*word |= bit;
	x->marked[x->marked_count++] = member;
}

static void mark_members(struct index *x, const struct literal *l)
{
	for (uint32_t i = l[0].first; i < l[1].first; i++)
		mark(x, x->now->uses[i]);
}

static void look_up(struct index *x, const struct table *t, const struct folded *text)
{
	const struct literal *low = t->literals, *found;
	struct literal wanted = { *text, 0 };

	if (t->count == 0)
		return;
	found = bsearch(&wanted, low, t->count, sizeof(*low), compare_literals);
	if (found)
		mark_members(x, found);
}

static int on_part(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *context)
{
	struct index *x = context;

	(void)from;
	(void)to;
	(void)flags;
	mark_members(x, &x->searching->literals[id]);
	return 0;
}

static void search(struct index *x, const struct field_index *f, const struct folded *text)
{
	x->searching = &f->part;
	for (unsigned i = 0; i < f->search_count; i++) {
		if (hs_scan(f->searches[i], (const char *)text->bytes, (unsigned)text->length, 0, x->scratch,
			    on_part, x) == HS_SUCCESS)
			continue;
		/* Nothing may be missed: then all are asked. */
		for (unsigned l = 0; l < f->part.count; l++)
			mark_members(x, &f->part.literals[l]);
		return;
	}
}

static void look_at_field(struct index *x, unsigned number)
{
	const struct field_index *f = x->now->field[number];
	const struct folded *text = judged_field(x->judged, number);

	look_up(x, &f->equal, text);
	if (f->base.count > 0) {
		struct folded base = after_last_separator(text);

		look_up(x, &f->base, &base);
	}
	search(x, f, text);
}

static void look_at_fields(struct index *x, uint32_t fields)
{
	uint32_t left = fields & ~x->looked_at;

	x->looked_at |= fields;
	for (; left; left &= left - 1)
		look_at_field(x, (unsigned)__builtin_ctz(left));
}

/* ---- asking ---- */

void index_begin(struct index *x, struct judged *j)
{
	x->judged = j;
	x->now = &x->types[event_type_index(j->event->type)];
	x->looked_at = 0;
	x->marked_count = 0;
}

void index_end(struct index *x)
{
	while (x->marked_count > 0) {
		uint32_t member = x->marked[--x->marked_count];

		x->now->possible[member / 64] &= ~((uint64_t)1 << member % 64);
	}
}

/* The first member from *at on, before end, that can hold. */
static bool next_possible(const struct type_index *t, uint32_t *at, uint32_t end)
{
	while (*at < end) {
		uint64_t bits = t->possible[*at / 64] >> *at % 64;

		if (bits) {
			*at += (uint32_t)__builtin_ctzll(bits);
			return *at < end;
		}
		*at = (*at / 64 + 1) * 64;
	}
	return false;
}

static bool some_member_holds(struct index *x, const struct group *g, const char **name)
{
	look_at_fields(x, g->fields);
	for (uint32_t m = g->first; next_possible(x->now, &m, g->end); m++)
		if (clause_holds(x->judged, x->now->members[m], x->now->offset, name))
			return true;
	return false;
}

static bool some_alternative_holds(struct index *x, const struct group *g, struct last_name *last)
{
	bool held = false;

	look_at_fields(x, g->fields);
	for (uint32_t m = g->first; next_possible(x->now, &m, g->end); m++) {
		const char *name = NULL;

		if (!clause_holds(x->judged, x->now->members[m], x->now->offset, &name))
			continue;
		held = true;
		last_name_add(last, x->now->members[m], name);
	}
	return held;
}

bool index_section_matches(struct index *x, unsigned section, const char **name)
{
	const struct section_index *s = &x->now->sections[section];
	struct last_name last = { NULL, 0 };

	if (!s->all)
		return some_member_holds(x, s->groups, name);
	for (unsigned i = 0; i < s->group_count; i++)
		if (!some_alternative_holds(x, &s->groups[i], &last))
			return false;
	*name = last.name;
	return s->group_count > 0;
}

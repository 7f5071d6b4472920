/* SPDX-License-Identifier: MIT */
/* Makes the index: which texts are looked for in which field, and whom they point to. */
#include <errno.h>
#include <string.h>

#include "../base/own.h"
#include "index_parts.h"

/* Of a longer text its end is searched for: that it is whole is seen when the member is asked. Hyperscan
 * takes no patterns of any length, and gains nothing by more. */
#define PART_MAX 64u

/* So many texts are searched for in one pass. Making a search takes 3 KiB a text for a moment: this bounds it. */
#define SEARCH_MAX 5000u

/* A text that some filter wants to find. */
struct seed {
	struct folded text;
	uint32_t filter; /* numbered through all members of the type */
	uint32_t member;
	uint8_t field;
	uint8_t trace; /* EQUAL, BASE, PART */
};

struct wish { /* of a filter */
	bool findable; /* it cannot hold without one of its texts */
	bool chosen;   /* these are looked for */
	uint64_t weight; /* how often they are met with, guessed */
};

/* Making the index of one type of event. The arrays are temporary. */
struct builder {
	struct index *x;
	struct type_index *t;
	bool searchable;
	struct group **group_of; /* a member's */
	uint32_t *filters_of;    /* a member's first filter; one more at the end */
	struct wish *wishes;     /* a filter's */
	struct seed *seeds;
	uint32_t member_count, filter_count, seed_count;
};

static void builder_done(struct builder *b)
{
	free(b->group_of);
	free(b->filters_of);
	free(b->wishes);
	free(b->seeds);
}

/* ---- members and groups ---- */

static void add_member(struct builder *b, struct group *g, const struct clause *c)
{
	if (!clause_possible(c, b->t->offset))
		return;
	b->group_of[b->member_count] = g;
	b->t->members[b->member_count++] = c;
	g->end = b->member_count;
}

static void begin_group(struct builder *b, struct group *g)
{
	g->first = g->end = b->member_count;
}

/* groups: as many as the section has clauses, or one. */
static void fill_section(struct builder *b, const struct section *s, struct section_index *to, struct group *groups)
{
	to->groups = groups;
	to->all = s->relation == RELATION_AND;
	if (!to->all) {
		begin_group(b, &groups[to->group_count++]);
		for (const struct clause *c = s->clauses; c; c = c->next)
			add_member(b, groups, c);
		return;
	}
	for (const struct clause *leader = s->clauses; leader; leader = leader->next) {
		struct group *g = &groups[to->group_count];

		if (leader->follows)
			continue;
		to->group_count++;
		begin_group(b, g);
		for (const struct clause *c = leader; c; c = c->alternative)
			add_member(b, g, c);
	}
}

static size_t count_clauses(const struct section *s)
{
	size_t n = 0;

	for (const struct clause *c = s->clauses; c; c = c->next)
		n++;
	return n;
}

static int add_sections(struct builder *b, const struct verdict_order *order)
{
	struct pool *pool = &b->x->pool;
	struct section_index *sections = pool_take(pool, order->count * sizeof(*sections));
	size_t clauses = 0;

	for (unsigned i = 0; i < order->count; i++)
		clauses += count_clauses(order->sections[i]);
	b->t->sections = sections;
	b->t->members = pool_take(pool, clauses * sizeof(const struct clause *));
	b->t->possible = pool_take(pool, (clauses / 64 + 1) * sizeof(uint64_t));
	b->group_of = calloc(clauses + 1, sizeof(struct group *));
	b->filters_of = calloc(clauses + 1, sizeof(*b->filters_of));
	if (!sections || !b->t->members || !b->t->possible || !b->group_of || !b->filters_of)
		return -ENOMEM;
	for (unsigned i = 0; i < order->count; i++) {
		const struct section *s = order->sections[i];
		size_t n = s->relation == RELATION_AND ? count_clauses(s) : 1;
		struct group *groups = pool_take(pool, n * sizeof(*groups));

		if (!groups)
			return -ENOMEM;
		fill_section(b, s, &sections[i], groups);
	}
	b->t->member_count = b->member_count;
	return 0;
}

/* ---- what filters want to find ---- */

static size_t count_items(const struct clause *c)
{
	size_t n = 0;

	for (const struct filter *f = c->filters; f; f = f->next)
		n += f->wanted.count;
	return n;
}

static size_t count_filters(const struct clause *c)
{
	size_t n = 0;

	for (const struct filter *f = c->filters; f; f = f->next)
		n++;
	return n;
}

static void add_seed(struct builder *b, const struct filter *f, enum trace trace, const struct folded *item)
{
	size_t skipped = trace == PART && item->length > PART_MAX ? item->length - PART_MAX : 0;

	b->seeds[b->seed_count++] = (struct seed){
		.text = { item->bytes + skipped, item->length - skipped },
		.filter = b->filter_count,
		.member = b->member_count,
		.field = (uint8_t)f->field_index[b->t->offset],
		.trace = (uint8_t)trace,
	};
}

static const struct folded *longest(const struct items *wanted)
{
	const struct folded *found = wanted->item;

	for (unsigned i = 1; i < wanted->count; i++)
		if (wanted->item[i].length > found->length)
			found = &wanted->item[i];
	return found;
}

static enum trace trace_of(const struct filter *f)
{
	enum trace trace = f->operator->trace;

	if (trace == BASE && after_last_separator(f->wanted.item).length < f->wanted.item->length)
		return EQUAL; /* a whole path */
	return trace;
}

static bool is_findable(const struct builder *b, const struct filter *f, enum trace trace)
{
	if (trace == NO_TRACE || (!b->searchable && (trace == PART || trace == EVERY_PART)))
		return false;
	/* An empty value is found anywhere. Lists hold no empty items; an empty list never holds. */
	return f->operator->list || f->wanted.item->length > 0;
}

static void add_wish(struct builder *b, const struct filter *f)
{
	enum trace trace = trace_of(f);

	if (f->field_index[b->t->offset] < 0) {
		b->wishes[b->filter_count++].findable = true; /* of nothing: it never holds */
		return;
	}
	b->wishes[b->filter_count].findable = is_findable(b, f, trace);
	if (b->wishes[b->filter_count].findable && trace == EVERY_PART) {
		if (f->wanted.count > 0)
			add_seed(b, f, PART, longest(&f->wanted));
	} else if (b->wishes[b->filter_count].findable) {
		for (unsigned i = 0; i < f->wanted.count; i++)
			add_seed(b, f, trace, &f->wanted.item[i]);
	}
	b->filter_count++;
}

static int add_wishes(struct builder *b)
{
	size_t items = 0, filters = 0;

	for (uint32_t m = 0; m < b->t->member_count; m++) {
		items += count_items(b->t->members[m]);
		filters += count_filters(b->t->members[m]);
	}
	b->wishes = calloc(filters + 1, sizeof(*b->wishes));
	b->seeds = calloc(items + 1, sizeof(*b->seeds));
	if (!b->wishes || !b->seeds)
		return -ENOMEM;
	for (b->member_count = 0; b->member_count < b->t->member_count; b->member_count++) {
		b->filters_of[b->member_count] = b->filter_count;
		for (const struct filter *f = b->t->members[b->member_count]->filters; f; f = f->next)
			add_wish(b, f);
	}
	b->filters_of[b->member_count] = b->filter_count;
	return 0;
}

static int compare_places(const struct seed *a, const struct seed *b)
{
	if (a->field != b->field)
		return a->field < b->field ? -1 : 1;
	if (a->trace != b->trace)
		return a->trace < b->trace ? -1 : 1;
	return compare_texts(&a->text, &b->text);
}

static int compare_seeds(const void *left, const void *right)
{
	const struct seed *a = left, *b = right;
	int order = compare_places(a, b);

	return order ? order : (a->member > b->member) - (a->member < b->member);
}

/* The more filters want a text, the more must be asked when it is found; and short ones are found often. */
static void weigh(struct builder *b)
{
	for (uint32_t i = 0, end; i < b->seed_count; i = end) {
		size_t n = b->seeds[i].text.length;

		for (end = i; end < b->seed_count && compare_places(&b->seeds[i], &b->seeds[end]) == 0;)
			end++;
		for (uint32_t k = i; k < end; k++)
			b->wishes[b->seeds[k].filter].weight += ((uint64_t)(end - i) << 20) / (n * n);
	}
}

static void ask_always(struct builder *b, uint32_t member)
{
	b->t->possible[member / 64] |= (uint64_t)1 << member % 64;
}

/* A Rule whose filters must all hold is led to by the one that is least often found. */
static void choose_one(struct builder *b, uint32_t member)
{
	struct wish *best = NULL;

	for (uint32_t f = b->filters_of[member]; f < b->filters_of[member + 1]; f++)
		if (b->wishes[f].findable && (!best || b->wishes[f].weight < best->weight))
			best = &b->wishes[f];
	if (best)
		best->chosen = true;
	else
		ask_always(b, member);
}

static void choose_all(struct builder *b, uint32_t member)
{
	for (uint32_t f = b->filters_of[member]; f < b->filters_of[member + 1]; f++) {
		if (!b->wishes[f].findable) {
			ask_always(b, member);
			return;
		}
	}
	for (uint32_t f = b->filters_of[member]; f < b->filters_of[member + 1]; f++)
		b->wishes[f].chosen = true;
}

static void choose(struct builder *b)
{
	uint32_t kept = 0;

	for (uint32_t m = 0; m < b->t->member_count; m++) {
		if (clause_needs_all(b->t->members[m]))
			choose_one(b, m);
		else
			choose_all(b, m);
	}
	for (uint32_t i = 0; i < b->seed_count; i++)
		if (b->wishes[b->seeds[i].filter].chosen)
			b->seeds[kept++] = b->seeds[i];
	b->seed_count = kept;
}

/* ---- tables ---- */

static struct table *table_for(struct field_index *f, uint8_t trace)
{
	return trace == EQUAL ? &f->equal : trace == BASE ? &f->base : &f->part;
}

/* The seeds [from, end) are of one field and trace. */
static int make_table(struct builder *b, struct table *table, uint32_t from, uint32_t end)
{
	struct literal *literals = pool_take(&b->x->pool, (end - from + 1) * sizeof(*literals));

	if (!literals)
		return -ENOMEM;
	for (uint32_t i = from; i < end; i++)
		if (i == from || compare_places(&b->seeds[i - 1], &b->seeds[i]) != 0)
			literals[table->count++] = (struct literal){ b->seeds[i].text, i };
	literals[table->count].first = end;
	table->literals = literals;
	return 0;
}

static int make_tables(struct builder *b)
{
	uint32_t *uses = pool_take(&b->x->pool, b->seed_count * sizeof(*uses));

	if (!uses)
		return -ENOMEM;
	for (uint32_t i = 0, end; i < b->seed_count; i = end) {
		uint8_t number = b->seeds[i].field;
		struct field_index **field = &b->t->field[number];

		for (end = i; end < b->seed_count && b->seeds[end].field == number &&
			      b->seeds[end].trace == b->seeds[i].trace; end++) {
			uses[end] = b->seeds[end].member;
			b->group_of[uses[end]]->fields |= 1u << number;
		}
		if (!*field)
			*field = pool_take(&b->x->pool, sizeof(**field));
		if (!*field || make_table(b, table_for(*field, b->seeds[i].trace), i, end) < 0)
			return -ENOMEM;
	}
	b->t->uses = uses;
	return 0;
}

/* ---- Hyperscan ---- */

struct patterns {
	const char **texts;
	size_t *lengths;
	unsigned *flags, *ids;
};

static void patterns_free(struct patterns *p)
{
	free(p->texts);
	free(p->lengths);
	free(p->flags);
	free(p->ids);
}

static bool patterns_take(struct patterns *p, const struct literal *literals, unsigned first, unsigned count)
{
	p->texts = calloc(count, sizeof(*p->texts));
	p->lengths = calloc(count, sizeof(*p->lengths));
	p->flags = calloc(count, sizeof(*p->flags));
	p->ids = calloc(count, sizeof(*p->ids));
	if (!p->texts || !p->lengths || !p->flags || !p->ids)
		return false;
	for (unsigned i = 0; i < count; i++) {
		p->texts[i] = (const char *)literals[first + i].text.bytes;
		p->lengths[i] = literals[first + i].text.length;
		p->flags[i] = HS_FLAG_SINGLEMATCH; /* how often does not matter */
		p->ids[i] = first + i;
	}
	return true;
}

static int make_search(struct field_index *f, unsigned first, unsigned count, struct err *e)
{
	struct patterns p = { 0 };
	hs_compile_error_t *why = NULL;
	int r = -ENOMEM;

	if (patterns_take(&p, f->part.literals, first, count)) {
		if (hs_compile_lit_multi(p.texts, p.flags, p.ids, p.lengths, count, HS_MODE_BLOCK, NULL,
					 &f->searches[f->search_count], &why) == HS_SUCCESS) {
			f->search_count++;
			r = 0;
		} else {
			err_set(e, EBADMSG, "%s", why ? why->message : "unknown");
		}
		hs_free_compile_error(why);
	}
	patterns_free(&p);
	return r;
}

static int make_searches(struct index *x, struct field_index *f, struct err *e)
{
	unsigned count = f->part.count;

	f->searches = pool_take(&x->pool, (count / SEARCH_MAX + 1) * sizeof(hs_database_t *));
	if (!f->searches)
		return -ENOMEM;
	for (unsigned first = 0; first < count; first += SEARCH_MAX) {
		unsigned n = count - first < SEARCH_MAX ? count - first : SEARCH_MAX;

		if (make_search(f, first, n, e) < 0 ||
		    hs_alloc_scratch(f->searches[f->search_count - 1], &x->scratch) != HS_SUCCESS)
			return -ENOMEM;
	}
	return 0;
}

static bool same_texts(const struct table *a, const struct table *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (compare_literals(&a->literals[i], &b->literals[i]) != 0)
			return false;
	return true;
}

/* Events that share a tag look for mostly the same texts: then the search that the first has serves all. */
static bool borrow_searches(const struct builder *b, struct field_index *f)
{
	for (const struct type_index *t = b->t - b->t->offset; t < b->t; t++) {
		for (unsigned i = 0; i < EVENT_FIELDS_MAX; i++) {
			const struct field_index *earlier = t->field[i];

			if (!earlier || !same_texts(&earlier->part, &f->part))
				continue;
			f->searches = earlier->searches;
			f->search_count = earlier->search_count;
			f->borrowed = true;
			return true;
		}
	}
	return false;
}

static int make_all_searches(struct builder *b, struct err *e)
{
	for (unsigned i = 0; i < EVENT_FIELDS_MAX; i++) {
		struct field_index *f = b->t->field[i];

		if (f && f->part.count > 0 && !borrow_searches(b, f) && make_searches(b->x, f, e) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- all of it ---- */

static int build_type(struct builder *b, const struct event_type *type, const struct verdict_order *order,
		      struct err *e)
{
	if (order->count == 0)
		return 0;
	b->t->offset = offset_in_series(order->sections[0], type); /* all are of the same tag */
	if (add_sections(b, order) < 0 || add_wishes(b) < 0)
		return -ENOMEM;
	qsort(b->seeds, b->seed_count, sizeof(*b->seeds), compare_seeds);
	weigh(b);
	choose(b);
	if (make_tables(b) < 0)
		return -ENOMEM;
	return make_all_searches(b, e);
}

int index_new(const struct ruleset *rs, struct index **ret, struct err *e)
{
	OWNED(index) x = calloc(1, sizeof(*x));
	/* Processors older than SSSE3 (2006) cannot search: what would be searched for is asked one by one. */
	bool searchable = hs_valid_platform() == HS_SUCCESS;
	struct err why = { 0 };
	uint32_t most = 0;
	int r = x ? 0 : -ENOMEM;

	for (unsigned t = 0; t < EVENT_TYPE_COUNT && r == 0; t++) {
		struct builder b = { .x = x, .t = &x->types[t], .searchable = searchable };

		r = build_type(&b, &event_types[t], &rs->order[t], &why);
		builder_done(&b);
		most = b.t->member_count > most ? b.t->member_count : most;
	}
	if (r == 0)
		x->marked = pool_take(&x->pool, most * sizeof(*x->marked));
	if (r < 0 || !x->marked)
		return err_set(e, ENOMEM, "making rules ready%s%s", why.code ? ": " : "", why.text);
	*ret = MOVE(x);
	return 0;
}

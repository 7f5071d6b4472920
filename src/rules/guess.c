/* SPDX-License-Identifier: MIT */
/* Could an event be kept, when one of its fields is known? */
#include <string.h>

#include "holding.h"

enum guess { NO, MAYBE, YES };

/* What is known: the event has nothing but this field. */
struct known {
	struct judged judged;
	int index;
	unsigned offset; /* of the event's type in the series of the section's tag */
};

static enum guess guess_filter(struct known *k, const struct filter *f)
{
	int index = f->field_index[k->offset];

	if (index >= 0 && index != k->index)
		return MAYBE;
	return filter_holds(&k->judged, f, k->offset) ? YES : NO;
}

static enum guess both(enum guess a, enum guess b)
{
	return a < b ? a : b;
}

static enum guess either(enum guess a, enum guess b)
{
	return a > b ? a : b;
}

static enum guess guess_clause(struct known *k, const struct clause *c)
{
	bool all = clause_needs_all(c);
	enum guess sum = all && c->filters ? YES : NO; /* of nothing, nothing holds */

	for (const struct filter *f = c->filters; f; f = f->next)
		sum = all ? both(sum, guess_filter(k, f)) : either(sum, guess_filter(k, f));
	return sum;
}

static enum guess guess_alternatives(struct known *k, const struct clause *leader)
{
	enum guess sum = NO;

	for (const struct clause *c = leader; c; c = c->alternative)
		sum = either(sum, guess_clause(k, c));
	return sum;
}

static enum guess guess_section(struct known *k, const struct section *s)
{
	bool all = s->relation == RELATION_AND;
	enum guess sum = all && s->clauses ? YES : NO;

	k->offset = offset_in_series(s, k->judged.event->type);
	for (const struct clause *c = s->clauses; c; c = c->next) {
		if (!all)
			sum = either(sum, guess_clause(k, c));
		else if (!c->follows)
			sum = both(sum, guess_alternatives(k, c));
	}
	return sum;
}

bool ruleset_could_keep(const struct ruleset *rs, const struct event_type *type, const char *field,
			const char *text, size_t n)
{
	const struct verdict_order *order = &rs->order[event_type_index(type)];
	struct event ev = { .type = type };
	struct known k = { .index = event_field_index(type, field, strlen(field)) };

	if (k.index < 0 || !ruleset_wants(rs, type))
		return k.index < 0 && ruleset_wants(rs, type);
	ev.values[k.index].text = text;
	ev.values[k.index].length = (uint32_t)n;
	judged_init(&k.judged, &ev, rs->working_memory);
	for (unsigned i = 0; i < order->count; i++) {
		const struct section *s = order->sections[i];
		enum guess guess = guess_section(&k, s);

		if (s->include && guess != NO)
			return true;
		if (!s->include && guess == YES)
			return false;
	}
	return kept_by_none(order, type);
}

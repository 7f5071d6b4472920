/* SPDX-License-Identifier: MIT */
/* Judges events of which only some fields are known. In the logic of three values (Kleene): what comes out as true or
 * false would come out so for every value of the unknown fields. */
#include "pushdown.h"

#include "holding.h"

enum truth { FALSE, UNKNOWN, TRUE }; /* in this order: "and" is the least, "or" the greatest */

struct partly {
	struct judged judged;
	uint32_t known;
	unsigned offset; /* of the event's type in the series of the section's tag */
};

static enum truth filter_truth(struct partly *p, const struct filter *f)
{
	int index = f->field_index[p->offset];

	if (index < 0)
		return FALSE;
	if (!(p->known & FIELD_BIT((unsigned)index)))
		return UNKNOWN;
	return filter_holds(&p->judged, f, p->offset) ? TRUE : FALSE;
}

/* Of a list, as soon as it is settled. */
static enum truth clause_truth(struct partly *p, const struct clause *c)
{
	bool all = clause_needs_all(c);
	enum truth settles = all ? FALSE : TRUE, sum = all ? TRUE : FALSE;

	if (!c->filters)
		return FALSE; /* of nothing, nothing holds */
	for (const struct filter *f = c->filters; f && sum != settles; f = f->next) {
		enum truth t = filter_truth(p, f);

		sum = t == settles ? settles : t == UNKNOWN ? UNKNOWN : sum;
	}
	return sum;
}

static enum truth some_alternative_truth(struct partly *p, const struct clause *leader)
{
	enum truth sum = FALSE;

	for (const struct clause *c = leader; c && sum != TRUE; c = c->alternative) {
		enum truth t = clause_truth(p, c);

		sum = t > sum ? t : sum;
	}
	return sum;
}

static enum truth section_truth(struct partly *p, const struct section *s)
{
	bool all = s->relation == RELATION_AND;
	enum truth sum = all ? TRUE : FALSE;

	p->offset = offset_in_series(s, p->judged.event->type);
	if (!s->clauses)
		return FALSE;
	for (const struct clause *c = s->clauses; c; c = c->next) {
		enum truth t;

		if (all && c->follows)
			continue;
		t = all ? some_alternative_truth(p, c) : clause_truth(p, c);
		if (all ? t < sum : t > sum)
			sum = t;
		if (sum == (all ? FALSE : TRUE))
			break;
	}
	return sum;
}

/* Exclude sections are asked first, so one that surely matches decides. */
bool ruleset_drops_all(const struct ruleset *rs, const struct event *ev, uint32_t known)
{
	const struct verdict_order *order = &rs->order[event_type_index(ev->type)];
	struct partly p = { .known = known };
	bool possible = kept_by_none(order, ev->type);

	if (!event_is_captured(rs, ev->type))
		return true;
	judged_init(&p.judged, ev, rs->working_memory);
	for (unsigned i = 0; i < order->count; i++) {
		enum truth t = section_truth(&p, order->sections[i]);

		if (!order->sections[i]->include && t == TRUE)
			return true;
		possible = possible || (order->sections[i]->include && t != FALSE);
	}
	return !possible;
}

static bool number_of(const struct folded *item, uint16_t *number)
{
	uint32_t n = 0;

	if (item->length == 0 || item->length > 5 || (item->bytes[0] == '0' && item->length > 1))
		return false;
	for (size_t i = 0; i < item->length; i++) {
		if (item->bytes[i] < '0' || item->bytes[i] > '9')
			return false;
		n = n * 10 + (item->bytes[i] - (uint32_t)'0');
	}
	*number = (uint16_t)n;
	return n <= UINT16_MAX;
}

void ruleset_numbers_of_field(const struct ruleset *rs, const struct event_type *type, unsigned field,
			      void (*take)(void *context, uint16_t number), void *context)
{
	const struct verdict_order *order = &rs->order[event_type_index(type)];
	uint16_t number;

	for (unsigned i = 0; i < order->count; i++) {
		unsigned offset = offset_in_series(order->sections[i], type);

		for (const struct clause *c = order->sections[i]->clauses; c; c = c->next)
			for (const struct filter *f = c->filters; f; f = f->next)
				for (unsigned k = 0; f->field_index[offset] == (int)field && k < f->wanted.count; k++)
					if (f->operator->trace == EQUAL && number_of(&f->wanted.item[k], &number))
						take(context, number);
	}
}

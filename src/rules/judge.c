/* SPDX-License-Identifier: MIT */
/* Judges events: which section matches first, and whose name the event bears. */
#include "index.h"

static bool judge(const struct ruleset *rs, struct judged *j, const char **name)
{
	const struct verdict_order *order = &rs->order[event_type_index(j->event->type)];

	for (unsigned i = 0; i < order->count; i++) {
		const struct section *s = order->sections[i];
		const char *found = NULL;

		if (!index_section_matches(rs->index, i, &found))
			continue;
		if (s->include)
			*name = name_of_kept(s, found);
		return s->include;
	}
	return kept_by_none(order, j->event->type);
}

bool ruleset_keeps(const struct ruleset *rs, const struct event *ev, const char **name)
{
	struct judged j;
	bool keep;

	*name = "-";
	if (!event_is_captured(rs, ev->type))
		return false;
	judged_init(&j, ev, rs->working_memory);
	index_begin(rs->index, &j);
	keep = judge(rs, &j, name);
	index_end(rs->index);
	return keep;
}

/* ---- can it be kept at all? ---- */

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

	if (!event_is_captured(rs, type))
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

/* SPDX-License-Identifier: MIT */
#include "plain.h"

static bool some_clause_holds(struct judged *j, const struct section *s, unsigned offset, const char **name)
{
	for (const struct clause *c = s->clauses; c; c = c->next)
		if (clause_holds(j, c, offset, name))
			return true;
	return false;
}

static bool some_alternative_holds(struct judged *j, const struct clause *leader, unsigned offset,
				   struct last_name *last)
{
	bool held = false;

	for (const struct clause *c = leader; c; c = c->alternative) {
		const char *name = NULL;

		if (!clause_holds(j, c, offset, &name))
			continue;
		held = true;
		last_name_add(last, c, name);
	}
	return held;
}

static bool all_clauses_hold(struct judged *j, const struct section *s, unsigned offset, const char **name)
{
	struct last_name last = { NULL, 0 };

	for (const struct clause *c = s->clauses; c; c = c->next)
		if (!c->follows && !some_alternative_holds(j, c, offset, &last))
			return false;
	*name = last.name;
	return s->clauses != NULL;
}

bool plain_section_matches(struct judged *j, const struct section *s, const char **name)
{
	unsigned offset = offset_in_series(s, j->event->type);

	return s->relation == RELATION_AND ? all_clauses_hold(j, s, offset, name) :
					     some_clause_holds(j, s, offset, name);
}

struct plain_verdict plain_judge(const struct ruleset *rs, const struct event *ev)
{
	const struct verdict_order *order = &rs->order[event_type_index(ev->type)];
	struct plain_verdict v = { .name = "-" };
	struct judged j;

	if (!event_is_captured(rs, ev->type))
		return v;
	judged_init(&j, ev, rs->working_memory);
	for (unsigned i = 0; i < order->count && !v.by; i++) {
		const struct section *s = order->sections[i];
		const char *name = NULL;

		if (!plain_section_matches(&j, s, &name))
			continue;
		v.by = s;
		v.keep = s->include;
		if (s->include)
			v.name = name_of_kept(s, name);
	}
	if (!v.by)
		v.keep = kept_by_none(order, ev->type);
	return v;
}

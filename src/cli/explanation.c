/* SPDX-License-Identifier: MIT */
#include "explanation.h"

#include <string.h>

#include "../hunt/escape.h"
#include "../rules/plain.h"

#define SHOWN_MAX 160 /* bytes of a value; the rest is "..." */

struct explanation {
	struct judged judged;
	const char *file;
	FILE *to;
};

static void put_value(FILE *to, const char *text, size_t n)
{
	size_t shown = n;

	if (n > SHOWN_MAX)
		for (shown = SHOWN_MAX; shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80;)
			shown--;
	fputc('\'', to);
	put_visible(to, text, shown);
	fputs(shown < n ? "...'" : "'", to);
}

static void put_name(FILE *to, const char *label, const char *name)
{
	if (!name)
		return;
	fputs(label, to);
	put_value(to, name, strlen(name));
}

static void put_place(const struct explanation *x, unsigned depth, unsigned line)
{
	fprintf(x->to, "%*s%s:%u: ", (int)(2 * depth), "", x->file, line);
}

static const char *all_or_one(enum relation relation)
{
	return relation == RELATION_AND ? "all" : "one";
}

/* "Image end with '/sh'" */
static void put_filter(const struct explanation *x, const struct filter *f)
{
	fprintf(x->to, "%s %s ", f->field, f->operator->name);
	put_value(x->to, f->value, strlen(f->value));
	put_name(x->to, ", name ", f->name);
}

static void explain_filter(struct explanation *x, const struct filter *f, unsigned offset, unsigned depth)
{
	const struct event *ev = x->judged.event;
	int index = f->field_index[offset];
	char buffer[VALUE_TEXT_MAX];
	const char *text;
	size_t n;

	put_place(x, depth, f->line);
	put_filter(x, f);
	if (index < 0) {
		fprintf(x->to, ": no, event %u has no such field\n", ev->type->id);
		return;
	}
	fputs(filter_holds(&x->judged, f, offset) ? ": yes, it is " : ": no, it is ", x->to);
	n = value_text(ev->type->fields[index].type, &ev->values[index], buffer, &text);
	put_value(x->to, text, n);
	fputc('\n', x->to);
}

static void explain_rule(struct explanation *x, const struct clause *c, unsigned offset)
{
	const char *name;

	put_place(x, 2, c->line);
	fputs("Rule", x->to);
	put_name(x->to, " ", c->name);
	if (!c->filters)
		fputs(" without filters: never holds\n", x->to);
	else
		fprintf(x->to, ", %s must hold: %s\n", all_or_one(c->relation),
			clause_holds(&x->judged, c, offset, &name) ? "holds" : "does not hold");
	for (const struct filter *f = c->filters; f; f = f->next)
		explain_filter(x, f, offset, 3);
}

static const struct clause *first_that_holds(struct explanation *x, const struct section *s, unsigned offset)
{
	const struct clause *c = s->clauses;
	const char *name;

	while (c && !clause_holds(&x->judged, c, offset, &name))
		c = c->next;
	return c;
}

static void explain_members(struct explanation *x, const struct section *s, const struct clause *decisive)
{
	unsigned offset = offset_in_series(s, x->judged.event->type);

	for (const struct clause *c = s->clauses; c; c = c->next) {
		if (c->compound)
			explain_rule(x, c, offset);
		else
			explain_filter(x, c->filters, offset, 2);
		if (c == decisive && c->next) {
			put_place(x, 2, c->next->line);
			fputs("this and what follows in the section is not asked any more\n", x->to);
			return;
		}
	}
}

static const char *kind(const struct section *s)
{
	return s->include ? "include" : "exclude";
}

/* by: the section that decided. */
static void explain_section(struct explanation *x, const struct section *s, const struct section *by, bool decided)
{
	unsigned offset = offset_in_series(s, x->judged.event->type);
	const char *name;
	bool matches = plain_section_matches(&x->judged, s, &name);

	put_place(x, 1, s->line);
	fprintf(x->to, "%s %s", s->first_type->tag, kind(s));
	put_name(x->to, " of RuleGroup ", s->group_name);
	if (!s->clauses)
		fputs(" without filters: never matches\n", x->to);
	else if (decided && s != by)
		fprintf(x->to, ": not asked, %s:%u decided\n", x->file, by->line);
	else if (s->relation == RELATION_AND)
		fprintf(x->to, ", of each field one must hold: %s\n", matches ? "matches" : "does not match");
	else
		fprintf(x->to, ", one must hold: %s\n", matches ? "matches" : "does not match");
	if (!decided || s == by)
		explain_members(x, s, s == by && s->relation == RELATION_OR ? first_that_holds(x, s, offset) : NULL);
}

static void put_event(const struct explanation *x)
{
	static const struct value unset;
	const struct event *ev = x->judged.event;

	/* What was not given or is zero tells nothing. */
	fprintf(x->to, "Event %u, %s\n", ev->type->id, ev->type->tag[0] ? ev->type->tag : ev->type->schema_name);
	for (unsigned i = 1; i < ev->type->field_count; i++) {
		char buffer[VALUE_TEXT_MAX];
		const char *text;
		size_t n = value_text(ev->type->fields[i].type, &ev->values[i], buffer, &text);

		if (memcmp(&ev->values[i], &unset, sizeof(unset)) == 0 || (n == 1 && text[0] == '-'))
			continue;
		fprintf(x->to, "  %s: ", ev->type->fields[i].name);
		put_value(x->to, text, n);
		fputc('\n', x->to);
	}
}

/* The line that decided: of an OR section its member, else the section. */
static void put_decision(struct explanation *x, const struct plain_verdict *v)
{
	const struct section *s = v->by;
	const struct clause *c = s->relation == RELATION_OR ?
			first_that_holds(x, s, offset_in_series(s, x->judged.event->type)) : NULL;

	fprintf(x->to, "%s by %s:%u, ", v->keep ? "Kept" : "Dropped", x->file, c ? c->line : s->line);
	if (c && !c->compound)
		put_filter(x, c->filters);
	else if (c)
		fputs("a Rule", x->to);
	else
		fprintf(x->to, "%s %s, of which all hold", s->first_type->tag, kind(s));
	if (v->keep)
		put_name(x->to, "; RuleName ", v->name);
	fputc('\n', x->to);
}

static void put_verdict(struct explanation *x, const struct ruleset *rs, const struct plain_verdict *v)
{
	const struct event_type *type = x->judged.event->type;
	const struct verdict_order *order = &rs->order[event_type_index(type)];

	if (type->kept == DEFAULT_ALWAYS)
		fputs("Kept: events 4, 16 and 255 are never filtered\n", x->to);
	else if (!event_is_captured(rs, type))
		fputs("Dropped: event 24 needs the option CaptureClipboard\n", x->to);
	else if (v->by)
		put_decision(x, v);
	else if (order->count == 0)
		fprintf(x->to, "%s: no section speaks of it, and that is the default of the schema\n",
			v->keep ? "Kept" : "Dropped");
	else
		fprintf(x->to, "%s: no section matches, and there %s\n", v->keep ? "Kept" : "Dropped",
			v->keep ? "are only exclude sections" : "is an include section");
}

void explain_verdict(const struct ruleset *rs, const struct event *ev, const char *file, FILE *to)
{
	const struct verdict_order *order = &rs->order[event_type_index(ev->type)];
	struct plain_verdict v = plain_judge(rs, ev);
	struct explanation x = { .file = file, .to = to };
	bool decided = false;

	judged_init(&x.judged, ev, rs->working_memory);
	put_event(&x);
	put_verdict(&x, rs, &v);
	if (!event_is_captured(rs, ev->type))
		return;
	for (unsigned i = 0; i < order->count; i++) {
		decided = decided || order->sections[i] == v.by;
		explain_section(&x, order->sections[i], v.by, decided);
	}
	if (ev->type->later)
		fprintf(to, "Note: this version produces no such events yet\n");
}

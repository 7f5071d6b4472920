/* SPDX-License-Identifier: MIT */
#include "grammar.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "../base/text.h"
#include "fold.h"
#include "options.h"
#include "problems.h"
#include "xml.h"

/* Where in the document we are: inside which kind of element. */
enum place {
	IN_DOCUMENT,
	IN_SYSMON,
	IN_OPTION,
	IN_FILTERING,
	IN_GROUP,
	IN_SECTION,
	IN_RULE,
	IN_FILTER,
	IN_UNKNOWN, /* complained about already: nothing inside is looked at */
	PLACE_COUNT,
};

struct attribute {
	const char *name;
	const char *value; /* NULL: absent */
};

struct grammar {
	struct ruleset *rs;
	struct rule_problems *problems;
	struct notice *notices, **next_notice;
	bool no_memory;

	enum place place[RULESET_DEPTH_MAX + 1];
	unsigned depth;

	/* What the open elements are. */
	bool in_group;
	enum relation group_relation;
	const char *group_name;
	struct section *section;
	struct clause *rule; /* NULL outside of a Rule */
	struct filter *filter;
	const struct option *option;
	struct position leaf_at, rule_at;

	/* Where the next of each list goes. */
	const struct section **next_section;
	const struct clause **next_clause;
	const struct filter **next_filter;
	unsigned position;
	unsigned comparisons, rules;

	/* The last filter on each field among the members of the open section. */
	struct {
		const char *field;
		struct clause *clause;
	} last_on[EVENT_FIELDS_MAX * SERIES_MAX];
	unsigned last_count;

	char *text; /* of the open leaf */
	size_t text_length, text_size;
	uint8_t *folded; /* room for folding a value */
	size_t folded_size;
};

/* ---- memory, messages ---- */

static void *take(struct grammar *g, size_t n)
{
	void *p = pool_take(&g->rs->pool, n);

	if (!p)
		g->no_memory = true;
	return p;
}

static const char *keep_text(struct grammar *g, const char *text, size_t n)
{
	const char *p = pool_copy(&g->rs->pool, text, n);

	if (!p)
		g->no_memory = true;
	return p;
}

static bool grow(struct grammar *g, void *buffer, size_t *size, size_t wanted)
{
	void **old = buffer;
	void *bigger;

	if (wanted <= *size)
		return true;
	if (wanted < 2 * *size)
		wanted = 2 * *size;
	bigger = realloc(*old, wanted);
	if (!bigger) {
		g->no_memory = true;
		return false;
	}
	*old = bigger;
	*size = wanted;
	return true;
}

/* Nobody reads more problems than that, and a stranger's file could have a million. */
static bool is_given_up(const struct grammar *g)
{
	return g->no_memory || g->problems->count >= RULE_PROBLEMS_MAX;
}

static void add_notice(struct grammar *g, struct position at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void add_notice(struct grammar *g, struct position at, const char *format, ...)
{
	struct notice *n;
	va_list args;

	if (g->rs->notice_count == RULE_PROBLEMS_MAX)
		return;
	n = take(g, sizeof(*n));
	if (!n)
		return;
	n->problem.line = at.line;
	n->problem.column = at.column;
	va_start(args, format);
	vsnprintf(n->problem.text, sizeof(n->problem.text), format, args);
	va_end(args);
	*g->next_notice = n;
	g->next_notice = &n->next;
	g->rs->notice_count++;
}

/* ---- words ---- */

static bool same_tag(const struct event_type *a, const struct event_type *b)
{
	return strcmp(a->tag, b->tag) == 0;
}

static unsigned series_length(const struct event_type *first)
{
	unsigned n = 1;

	while (first + n < event_types + EVENT_TYPE_COUNT && same_tag(first, first + n))
		n++;
	return n;
}

static void add_tags(struct words *w)
{
	for (unsigned i = 0; i < EVENT_TYPE_COUNT; i++)
		if (event_types[i].tag[0])
			words_add(w, event_types[i].tag);
}

static void add_options(struct words *w)
{
	words_add(w, "EventFiltering");
	for (unsigned i = 0; i < OPTION_COUNT; i++)
		words_add(w, options[i].name);
}

static void add_fields(struct words *w, const struct event_type *first, unsigned count)
{
	for (unsigned t = 0; t < count; t++)
		for (unsigned i = 0; i < first[t].field_count; i++)
			words_add(w, first[t].fields[i].name);
}

static const struct event_type *tag_with_field(const char *field)
{
	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++)
		if (event_types[t].tag[0] && event_field_index(&event_types[t], field, strlen(field)) >= 0)
			return &event_types[t];
	return NULL;
}

static const struct event_type *type_by_tag(const char *tag)
{
	return event_type_by_tag(tag, strlen(tag));
}

/* ---- attributes ---- */

/* Sorts the attributes of an element into the known ones; complains about all others. */
static void read_attributes(struct grammar *g, struct position at, const char *element,
			    const char *const *given, struct attribute *known, unsigned count)
{
	struct words names = { .count = 0 };

	for (unsigned k = 0; k < count; k++)
		words_add(&names, known[k].name);
	for (; *given && !is_given_up(g); given += 2) {
		unsigned k = 0;

		while (k < count && strcmp(known[k].name, given[0]) != 0)
			k++;
		if (k < count)
			known[k].value = given[1];
		else
			problem_add(g->problems, at, "unknown attribute '%s' of %s%s",
				    quote(given[0]).text, element, hint_for(given[0], &names).text);
	}
}

static size_t characters(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* An empty name counts as none. */
static const char *read_name(struct grammar *g, struct position at, const char *name)
{
	if (!name || !name[0])
		return NULL;
	if (characters(name) > RULESET_NAME_MAX)
		problem_add(g->problems, at, "the name '%s' is longer than %u characters", quote(name).text,
			    RULESET_NAME_MAX);
	return keep_text(g, name, strlen(name));
}

static enum relation read_relation(struct grammar *g, struct position at, const char *value,
				   enum relation when_absent)
{
	if (!value)
		return when_absent;
	if (strcasecmp(value, "and") == 0)
		return RELATION_AND;
	if (strcasecmp(value, "or") != 0)
		problem_add(g->problems, at, "groupRelation is '%s', expected 'and' or 'or'",
			    quote(value).text);
	return RELATION_OR;
}

/* ---- Sysmon ---- */

/* "4.9" is 4.90: hundredths, or -1 for what is no such number. */
static int read_version(const char *text)
{
	size_t whole = strspn(text, "0123456789");
	size_t fraction = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
	int value = 0;

	if (whole == 0 || whole > 4 || fraction > 2 || text[whole + (fraction ? fraction + 1 : 0)])
		return -1;
	for (size_t i = 0; i < whole; i++)
		value = value * 10 + (text[i] - '0');
	for (size_t i = 0; i < 2; i++)
		value = value * 10 + (i < fraction ? text[whole + 1 + i] - '0' : 0);
	return value;
}

static void set_version(struct grammar *g, struct position at, const char *text)
{
	int version = text ? read_version(text) : -1;
	int own = read_version(RULESET_SCHEMA_VERSION);

	if (!text)
		problem_add(g->problems, at, "Sysmon without schemaversion, expected one such as "
			    "schemaversion=\"" RULESET_SCHEMA_VERSION "\"");
	else if (version <= 0)
		problem_add(g->problems, at, "invalid schema version number '%s', expected one such as "
			    RULESET_SCHEMA_VERSION, quote(text).text);
	else if (version < 200 || version >= 500)
		problem_add(g->problems, at, "schema version %s is not supported, expected 2.00 to 4.99 "
			    "(current is " RULESET_SCHEMA_VERSION ")", quote(text).text);
	else if (version < 400)
		add_notice(g, at, "schema version %s is from before RuleGroup: filters of a section are "
			   "combined with 'or'", text);
	else if (version > own)
		add_notice(g, at, "schema version %s is newer than " RULESET_SCHEMA_VERSION
			   ", the newest known here", text);
	if (version > 0) {
		g->rs->version = (unsigned)version;
		snprintf(g->rs->version_text, sizeof(g->rs->version_text), "%d.%02d", version / 100,
			 version % 100);
	}
}

static enum place open_in_document(struct grammar *g, struct position at, const char *element,
				   const char *const *given)
{
	struct attribute known[] = { { "schemaversion", NULL } };

	if (strcmp(element, "Sysmon") != 0) {
		problem_add(g->problems, at, "the root element is '%s', expected 'Sysmon'",
			    quote(element).text);
		return IN_UNKNOWN;
	}
	read_attributes(g, at, element, given, known, ARRAY_SIZE(known));
	set_version(g, at, known[0].value);
	return IN_SYSMON;
}

static enum place open_option(struct grammar *g, struct position at, const struct option *option,
			      const char *const *given)
{
	read_attributes(g, at, option->name, given, NULL, 0);
	g->option = option;
	g->leaf_at = at;
	g->text_length = 0;
	return IN_OPTION;
}

static bool is_group(const char *element)
{
	return strcasecmp(element, "RuleGroup") == 0;
}

static enum place open_in_sysmon(struct grammar *g, struct position at, const char *element,
				 const char *const *given)
{
	const struct option *option = option_by_name(element);
	struct words valid = { .count = 0 };

	if (option)
		return open_option(g, at, option, given);
	if (strcmp(element, "EventFiltering") == 0) {
		read_attributes(g, at, element, given, NULL, 0);
		return IN_FILTERING;
	}
	if (is_group(element) || type_by_tag(element)) {
		problem_add(g->problems, at, "%s stands outside of EventFiltering", element);
		return IN_UNKNOWN;
	}
	add_options(&valid);
	problem_add(g->problems, at, "unknown element '%s' in Sysmon%s", quote(element).text,
		    hint_for(element, &valid).text);
	return IN_UNKNOWN;
}

static void close_option(struct grammar *g)
{
	const char *value = keep_text(g, g->text, g->text_length);
	struct option_why why;

	if (!value)
		return;
	if (!g->option->set(g->rs, value, &why))
		problem_add(g->problems, g->leaf_at, "%s: %s", g->option->name, why.text);
	else if (!g->option->has_effect)
		add_notice(g, g->leaf_at, "%s is accepted and has no effect", g->option->name);
	g->rs->options_set |= 1u << (g->option - options);
}

/* ---- RuleGroup, sections ---- */

static enum place open_group(struct grammar *g, struct position at, const char *const *given)
{
	struct attribute known[] = { { "groupRelation", NULL }, { "name", NULL } };

	read_attributes(g, at, "RuleGroup", given, known, ARRAY_SIZE(known));
	g->in_group = true;
	g->group_relation = read_relation(g, at, known[0].value, RELATION_AND);
	g->group_name = read_name(g, at, known[1].value);
	return IN_GROUP;
}

static bool is_include(const char *value)
{
	return strcasecmp(value, "include") == 0;
}

/* The legacy attribute says what happens to an event that matches nothing. */
static bool read_onmatch(struct grammar *g, struct position at, const char *tag, const char *onmatch,
			 const char *legacy_default)
{
	const char *value = onmatch ? onmatch : legacy_default;

	if (onmatch && legacy_default)
		problem_add(g->problems, at, "%s has both onmatch and default, expected only one of them",
			    tag);
	if (!value)
		problem_add(g->problems, at,
			    "%s without onmatch, expected onmatch=\"include\" or onmatch=\"exclude\"", tag);
	else if (!is_include(value) && strcasecmp(value, "exclude") != 0)
		problem_add(g->problems, at, "%s of %s is '%s', expected 'include' or 'exclude'",
			    onmatch ? "onmatch" : "default", tag, quote(value).text);
	return value && is_include(value) == (onmatch != NULL);
}

static enum place open_section(struct grammar *g, struct position at, const struct event_type *type,
			       const char *const *given)
{
	struct attribute known[] = { { "onmatch", NULL }, { "default", NULL } };
	struct section *s = take(g, sizeof(*s));

	if (!s)
		return IN_UNKNOWN;
	read_attributes(g, at, type->tag, given, known, ARRAY_SIZE(known));
	s->line = at.line;
	s->first_type = type;
	s->type_count = series_length(type);
	s->include = read_onmatch(g, at, type->tag, known[0].value, known[1].value);
	s->relation = g->in_group ? g->group_relation
				  : g->rs->version > 410 ? RELATION_AND : RELATION_OR;
	s->group_name = g->group_name;
	*g->next_section = s;
	g->next_section = &s->next;
	g->section = s;
	g->next_clause = &s->clauses;
	g->position = 0;
	g->last_count = 0;
	return IN_SECTION;
}

static enum place complain_about_event(struct grammar *g, struct position at, const char *element,
				       const char *parent)
{
	struct words valid = { .count = 0 };

	if (option_by_name(element)) {
		problem_add(g->problems, at, "the option %s stands in %s, expected beside EventFiltering",
			    element, parent);
		return IN_UNKNOWN;
	}
	add_tags(&valid);
	if (!g->in_group)
		words_add(&valid, "RuleGroup");
	problem_add(g->problems, at, "unknown event '%s' in %s%s", quote(element).text, parent,
		    hint_for(element, &valid).text);
	return IN_UNKNOWN;
}

static enum place open_in_filtering(struct grammar *g, struct position at, const char *element,
				    const char *const *given)
{
	const struct event_type *type = type_by_tag(element);

	if (type)
		return open_section(g, at, type, given);
	if (is_group(element))
		return open_group(g, at, given);
	return complain_about_event(g, at, element, "EventFiltering");
}

static enum place open_in_group(struct grammar *g, struct position at, const char *element,
				const char *const *given)
{
	const struct event_type *type = type_by_tag(element);

	if (type)
		return open_section(g, at, type, given);
	if (is_group(element)) {
		problem_add(g->problems, at, "RuleGroup inside a RuleGroup");
		return IN_UNKNOWN;
	}
	return complain_about_event(g, at, element, "RuleGroup");
}

static void close_group(struct grammar *g)
{
	g->in_group = false;
	g->group_name = NULL;
}

/* ---- Rule, filters ---- */

static struct clause *add_clause(struct grammar *g)
{
	struct clause *c = take(g, sizeof(*c));

	if (!c)
		return NULL;
	c->position = g->position++;
	*g->next_clause = c;
	g->next_clause = &c->next;
	g->next_filter = &c->filters;
	return c;
}

/* Chains the clause to the one before on the same field: in an AND section they are alternatives. */
static void link_alternative(struct grammar *g, struct clause *c, const char *field)
{
	unsigned i = 0;

	while (i < g->last_count && strcmp(g->last_on[i].field, field) != 0)
		i++;
	if (i < g->last_count) {
		c->follows = true;
		g->last_on[i].clause->alternative = c;
	} else {
		g->last_on[g->last_count++].field = field;
	}
	g->last_on[i].clause = c;
}

static enum place open_rule(struct grammar *g, struct position at, const char *const *given)
{
	struct attribute known[] = { { "groupRelation", NULL }, { "name", NULL } };
	struct clause *c = add_clause(g);

	if (!c)
		return IN_UNKNOWN;
	read_attributes(g, at, "Rule", given, known, ARRAY_SIZE(known));
	c->line = at.line;
	c->compound = true;
	c->number = ++g->rules;
	c->relation = read_relation(g, at, known[0].value, RELATION_OR);
	c->name = read_name(g, at, known[1].value);
	g->rule = c;
	g->rule_at = at;
	return IN_RULE;
}

static const struct operator *read_condition(struct grammar *g, struct position at, const char *condition)
{
	const struct operator *operator = operator_by_name(condition ? condition : "");
	struct words valid = { .count = 0 };
	struct hint hint;

	if (operator)
		return operator;
	for (unsigned i = 0; i < OPERATOR_COUNT; i++)
		words_add(&valid, operators[i].name);
	hint = hint_for(condition, &valid);
	problem_add(g->problems, at, "unknown condition '%s'%s", quote(condition).text, hint.text);
	return &operators[0];
}

/* The name of the field as the schema holds it, and where each event of the tag has it. */
static const char *find_field(struct filter *f, const struct section *s, const char *name)
{
	const char *found = NULL;

	for (unsigned t = 0; t < SERIES_MAX; t++)
		f->field_index[t] = -1;
	for (unsigned t = 0; t < s->type_count; t++) {
		int index = event_field_index(&s->first_type[t], name, strlen(name));

		f->field_index[t] = (int8_t)index;
		if (index >= 0)
			found = s->first_type[t].fields[index].name;
	}
	return found;
}

static enum place complain_about_field(struct grammar *g, struct position at, const char *field)
{
	const struct event_type *type = g->section->first_type;
	const struct event_type *other = tag_with_field(field);
	struct words valid = { .count = 0 };

	add_fields(&valid, type, g->section->type_count);
	problem_add(g->problems, at, "unknown field '%s' in %s%s%s%s", quote(field).text, type->tag,
		    other ? " (it is a field of " : "", other ? other->tag : "",
		    other ? ")" : hint_for(field, &valid).text);
	return IN_UNKNOWN;
}

static enum place open_filter(struct grammar *g, struct position at, const char *element,
			      const char *const *given)
{
	struct attribute known[] = { { "condition", NULL }, { "name", NULL } };
	struct filter *f = take(g, sizeof(*f));
	struct clause *c = g->rule;

	if (!f)
		return IN_UNKNOWN;
	f->field = find_field(f, g->section, element);
	if (!f->field)
		return complain_about_field(g, at, element);
	if (!c) {
		c = add_clause(g);
		if (!c)
			return IN_UNKNOWN;
		c->line = at.line;
		link_alternative(g, c, f->field);
	}

	read_attributes(g, at, f->field, given, known, ARRAY_SIZE(known));
	f->line = at.line;
	f->operator = read_condition(g, at, known[0].value);
	f->name = read_name(g, at, known[1].value);
	*g->next_filter = f;
	g->next_filter = &f->next;
	g->filter = f;
	g->leaf_at = at;
	g->text_length = 0;
	return IN_FILTER;
}

static enum place open_in_section(struct grammar *g, struct position at, const char *element,
				  const char *const *given)
{
	if (strcasecmp(element, "Rule") == 0)
		return open_rule(g, at, given);
	if (is_group(element)) {
		problem_add(g->problems, at, "RuleGroup inside %s, expected around it",
			    g->section->first_type->tag);
		return IN_UNKNOWN;
	}
	return open_filter(g, at, element, given);
}

static enum place open_in_rule(struct grammar *g, struct position at, const char *element,
			       const char *const *given)
{
	if (strcasecmp(element, "Rule") == 0) {
		problem_add(g->problems, at, "Rule inside a Rule");
		return IN_UNKNOWN;
	}
	return open_filter(g, at, element, given);
}

static void close_rule(struct grammar *g)
{
	if (!g->rule->filters)
		add_notice(g, g->rule_at, "a Rule without filters never holds");
	g->rule = NULL;
}

static struct folded fold_value(struct grammar *g, const char *value)
{
	size_t n = strlen(value);
	struct folded folded = { NULL, 0 };

	if (grow(g, &g->folded, &g->folded_size, FOLD_SIZE_MAX(n) + 1)) {
		folded.length = fold_text(value, n, g->folded);
		folded.bytes = (const uint8_t *)keep_text(g, (const char *)g->folded, folded.length);
	}
	return folded;
}

static size_t item_length(const struct folded *list, size_t from)
{
	const uint8_t *end = memchr(list->bytes + from, ';', list->length - from);

	return end ? (size_t)(end - list->bytes) - from : list->length - from;
}

static unsigned count_items(const struct folded *list)
{
	unsigned count = 0;

	for (size_t n, at = 0; at < list->length; at += n + 1) {
		n = item_length(list, at);
		count += n > 0;
	}
	return count;
}

/* The items lie where the list lies. No character but ';' itself folds into one. */
static struct items split_list(struct grammar *g, const struct folded *list, unsigned count)
{
	struct folded *items = take(g, count * sizeof(*items));
	struct items wanted = { items, 0 };

	for (size_t n, at = 0; items && at < list->length; at += n + 1) {
		n = item_length(list, at);
		if (n > 0)
			items[wanted.count++] = (struct folded){ list->bytes + at, n };
	}
	return wanted;
}

static struct items keep_whole(struct grammar *g, const struct folded *value)
{
	struct folded *item = take(g, sizeof(*item));

	if (item)
		*item = *value;
	return (struct items){ item, 1 };
}

/* False, with one complaint, when there are too many in all. */
static bool count_comparisons(struct grammar *g, unsigned n)
{
	bool had_room = g->comparisons <= RULESET_FILTERS_MAX;

	g->comparisons += n;
	if (g->comparisons <= RULESET_FILTERS_MAX)
		return true;
	if (had_room)
		problem_add(g->problems, g->leaf_at, "more than %u filters and items of lists",
			    RULESET_FILTERS_MAX);
	return false;
}

static void close_filter(struct grammar *g)
{
	struct filter *f = g->filter;
	struct folded folded;
	unsigned items = 1;

	f->value = keep_text(g, g->text, g->text_length);
	if (!f->value)
		return;
	folded = fold_value(g, f->value);
	if (!folded.bytes)
		return;
	if (f->operator->list)
		items = count_items(&folded);
	if (count_comparisons(g, items ? items : 1))
		f->wanted = f->operator->list ? split_list(g, &folded, items) : keep_whole(g, &folded);
}

static enum place open_in_leaf(struct grammar *g, struct position at, const char *element,
			       const char *const *given)
{
	const char *leaf = g->place[g->depth] == IN_OPTION ? g->option->name : g->filter->field;

	(void)given;
	problem_add(g->problems, at, "element '%s' inside %s, expected text only", quote(element).text, leaf);
	return IN_UNKNOWN;
}

static enum place open_in_unknown(struct grammar *g, struct position at, const char *element,
				  const char *const *given)
{
	(void)g;
	(void)at;
	(void)element;
	(void)given;
	return IN_UNKNOWN;
}

/* ---- what the document reader calls ---- */

static const struct {
	enum place (*open)(struct grammar *g, struct position at, const char *element,
			   const char *const *given); /* a child */
	void (*close)(struct grammar *g); /* the element itself; may be NULL */
	const char *name;
} places[PLACE_COUNT] = {
	[IN_DOCUMENT] = { open_in_document, NULL, "document" },
	[IN_SYSMON] = { open_in_sysmon, NULL, "Sysmon" },
	[IN_OPTION] = { open_in_leaf, close_option, "" },
	[IN_FILTERING] = { open_in_filtering, NULL, "EventFiltering" },
	[IN_GROUP] = { open_in_group, close_group, "RuleGroup" },
	[IN_SECTION] = { open_in_section, NULL, "an event" },
	[IN_RULE] = { open_in_rule, close_rule, "Rule" },
	[IN_FILTER] = { open_in_leaf, close_filter, "" },
	[IN_UNKNOWN] = { open_in_unknown, NULL, "" },
};

static void on_open(void *to, struct position at, const char *element, const char *const *given)
{
	struct grammar *g = to;
	enum place inner = IN_UNKNOWN;

	if (!is_given_up(g))
		inner = places[g->place[g->depth]].open(g, at, element, given);
	g->place[++g->depth] = g->no_memory ? IN_UNKNOWN : inner;
}

static void on_close(void *to)
{
	struct grammar *g = to;
	enum place left = g->place[g->depth--];

	if (places[left].close && !is_given_up(g))
		places[left].close(g);
}

static size_t leading_blanks(const char *piece, size_t n)
{
	size_t i = 0;

	while (i < n && strchr(" \t\r\n", piece[i]))
		i++;
	return i;
}

static void complain_about_text(struct grammar *g, struct position at, const char *piece, size_t n)
{
	size_t blanks = leading_blanks(piece, n);
	struct quoted start = { "" };

	if (blanks == n)
		return;
	n -= blanks;
	memcpy(start.text, piece + blanks, n < sizeof(start.text) ? n : sizeof(start.text) - 1);
	at.column += (unsigned)blanks; /* line ends come as pieces of their own */
	problem_add(g->problems, at, "text '%s' in %s, expected elements only", quote(start.text).text,
		    places[g->place[g->depth]].name);
}

static void on_text(void *to, struct position at, const char *piece, size_t n)
{
	struct grammar *g = to;
	enum place place = g->place[g->depth];

	if (place == IN_UNKNOWN || is_given_up(g))
		return;
	if (place != IN_OPTION && place != IN_FILTER) {
		complain_about_text(g, at, piece, n);
		return;
	}
	if (!grow(g, &g->text, &g->text_size, g->text_length + n))
		return;
	memcpy(g->text + g->text_length, piece, n);
	g->text_length += n;
}

static void gather_notices(struct grammar *g)
{
	unsigned i = 0;

	if (g->rs->notice_count == 0)
		return;
	g->rs->notices = take(g, g->rs->notice_count * sizeof(*g->rs->notices));
	for (struct notice *n = g->notices; n && g->rs->notices; n = n->next)
		g->rs->notices[i++] = n->problem;
}

int grammar_read(const void *bytes, size_t n, struct ruleset *rs, struct rule_problems *problems)
{
	struct grammar g = {
		.rs = rs,
		.problems = problems,
		.next_notice = &g.notices,
		.next_section = &rs->sections,
		.place = { IN_DOCUMENT },
	};
	const struct xml_reader reader = { on_open, on_close, on_text, &g };
	int r = xml_read(bytes, n, &reader, problems);

	if (r == 0)
		gather_notices(&g);
	free(g.text);
	free(g.folded);
	if (g.no_memory)
		return -ENOMEM;
	return r == 0 && problems->count > 0 ? -EBADMSG : r;
}

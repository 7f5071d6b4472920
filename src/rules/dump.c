/* SPDX-License-Identifier: MIT */
/* Rule sets as text, in Sysmon's form: what administrators and their scripts compare. */
#include <string.h>

#include "model.h"

#define COMPOUND_NAME_MAX 32 /* characters */

static int bytes_of_characters(const char *text, unsigned characters)
{
	int n = 0;

	for (unsigned seen = 0; text[n]; n++)
		if (((unsigned char)text[n] & 0xc0) != 0x80 && ++seen > characters)
			break;
	return n;
}

static void dump_filter(const struct filter *f, const char *indent, FILE *to)
{
	fprintf(to, "\t%s%-30s filter: %-12s value: '%s'\n", indent, f->field, f->operator->name, f->value);
}

static const char *relation_name(enum relation relation)
{
	return relation == RELATION_AND ? "And" : "Or";
}

static void dump_rule(const struct clause *c, FILE *to)
{
	if (c->name)
		fprintf(to, "\tCompound Rule %.*s   combine using %s\n",
			bytes_of_characters(c->name, COMPOUND_NAME_MAX), c->name,
			relation_name(c->relation));
	else
		fprintf(to, "\tCompound Rule %04u   combine using %s\n", c->number,
			relation_name(c->relation));
	for (const struct filter *f = c->filters; f; f = f->next)
		dump_filter(f, "    ", to);
}

static void dump_section(const struct section *s, FILE *to)
{
	fprintf(to, " - %-34s onmatch: %s   combine rules using '%s'\n", s->first_type->tag,
		s->include ? "include" : "exclude", relation_name(s->relation));
	for (const struct clause *c = s->clauses; c; c = c->next) {
		if (c->compound)
			dump_rule(c, to);
		else
			dump_filter(c->filters, "", to);
	}
}

void ruleset_dump(const struct ruleset *rs, FILE *to)
{
	if (!rs->sections) {
		fputs("No rules installed\n", to);
		return;
	}
	fprintf(to, "Rule configuration (version %s):\n", rs->version_text);
	/* By event, then as in the file. */
	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++)
		for (const struct section *s = rs->sections; s; s = s->next)
			if (s->first_type == &event_types[t])
				dump_section(s, to);
}

static void dump_option(const char *label, const char *value, FILE *to)
{
	fprintf(to, " - %-31s%s\n", label, value);
}

static const char *enabled(bool on)
{
	return on ? "enabled" : "disabled";
}

static bool wants_id(const struct ruleset *rs, unsigned id)
{
	return ruleset_wants(rs, event_type_by_id(id));
}

void ruleset_dump_options(const struct ruleset *rs, FILE *to)
{
	char hashes[HASH_NAMES_MAX], directory[300];

	ruleset_hash_names(rs->hashes, hashes);
	snprintf(directory, sizeof(directory), "/%s/", rs->archive_directory);
	dump_option("HashingAlgorithms:", hashes, to);
	dump_option("Network connection:", enabled(wants_id(rs, 3)), to);
	dump_option("Archive Directory:", directory, to);
	dump_option("Image loading:", enabled(wants_id(rs, 7)), to);
	dump_option("CRL checking:", enabled(rs->check_revocation), to);
	dump_option("DNS lookup:", enabled(rs->dns_lookup), to);
}

static struct rule_count count_tag(const struct ruleset *rs, const struct event_type *first)
{
	struct rule_count n = { .tag = first->tag, .later = true };

	for (const struct event_type *t = first;
	     t < event_types + EVENT_TYPE_COUNT && event_type_by_tag(t->tag, strlen(t->tag)) == first; t++)
		n.later = n.later && t->later;
	for (const struct section *s = rs->sections; s; s = s->next) {
		if (s->first_type != first)
			continue;
		(s->include ? &n.include.sections : &n.exclude.sections)[0]++;
		for (const struct clause *c = s->clauses; c; c = c->next) {
			(s->include ? &n.include.rules : &n.exclude.rules)[0] += c->compound;
			for (const struct filter *f = c->filters; f; f = f->next)
				(s->include ? &n.include.filters : &n.exclude.filters)[0]++;
		}
	}
	return n;
}

unsigned ruleset_count(const struct ruleset *rs, struct rule_count counts[EVENT_TYPE_COUNT])
{
	unsigned used = 0;

	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++) {
		const struct event_type *type = &event_types[t];

		if (event_type_by_tag(type->tag, strlen(type->tag)) != type)
			continue;
		counts[used] = count_tag(rs, type);
		if (counts[used].include.sections + counts[used].exclude.sections > 0)
			used++;
	}
	return used;
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "grammar.h"
#include "index.h"
#include "options.h"

void ruleset_free(struct ruleset *rs)
{
	if (!rs)
		return;
	index_free(rs->index);
	pool_done(&rs->pool);
	free(rs->working_memory);
	free(rs);
}

static struct ruleset *ruleset_new(void)
{
	OWNED(ruleset) rs = calloc(1, sizeof(*rs));

	if (!rs)
		return NULL;
	rs->working_memory = malloc(FOLDED_EVENT_MAX);
	if (!rs->working_memory)
		return NULL;
	options_default(rs);
	return MOVE(rs);
}

static bool speaks_of(const struct section *s, const struct event_type *type)
{
	return type >= s->first_type && type < s->first_type + s->type_count;
}

static unsigned add_sections(const struct ruleset *rs, const struct event_type *type, bool include,
			     const struct section **to)
{
	unsigned n = 0;

	for (const struct section *s = rs->sections; s; s = s->next) {
		if (s->include != include || !speaks_of(s, type))
			continue;
		if (to)
			to[n] = s;
		n++;
	}
	return n;
}

static int order_sections(struct ruleset *rs)
{
	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++) {
		const struct event_type *type = &event_types[t];
		unsigned exclude = add_sections(rs, type, false, NULL);
		unsigned include = add_sections(rs, type, true, NULL);
		const struct section **order = pool_take(&rs->pool, (exclude + include) * sizeof(*order));

		if (!order)
			return -ENOMEM;
		add_sections(rs, type, false, order);
		add_sections(rs, type, true, order + exclude);
		rs->order[t] = (struct verdict_order){ order, exclude + include, include > 0 };
	}
	return 0;
}

static int report_first(const char *name, const struct rule_problems *problems, struct err *e)
{
	const struct rule_problem *first = &problems->problem[0];

	return err_set(e, EBADMSG, "%s:%u:%u: %s", name, first->line, first->column, first->text);
}

static int read_into(const char *name, const void *bytes, size_t n, struct ruleset **ret,
		     struct rule_problems *problems, struct err *e)
{
	OWNED(ruleset) rs = ruleset_new();
	int r;

	if (!rs)
		return err_set(e, ENOMEM, "reading rules");
	problems->count = 0;
	r = grammar_read(bytes, n, rs, problems);
	if (r == -EBADMSG)
		return report_first(name, problems, e);
	if (r == 0)
		r = order_sections(rs);
	if (r < 0)
		return err_set(e, -r, "reading rules '%s'", name);
	r = index_new(rs, &rs->index, e);
	if (r < 0)
		return err_within(e, "%s", name);
	*ret = MOVE(rs);
	return 0;
}

int ruleset_parse(const char *name, const void *bytes, size_t n, struct ruleset **ret,
		  struct rule_problems *problems, struct err *e)
{
	OWNED_HEAP struct rule_problems *own = NULL;

	if (!problems) {
		own = malloc(sizeof(*own));
		if (!own)
			return err_set(e, ENOMEM, "reading rules '%s'", name);
		problems = own;
	}
	return read_into(name, bytes, n, ret, problems, e);
}

#define OPENING "<Sysmon schemaversion=\"" RULESET_SCHEMA_VERSION "\"><EventFiltering>"
#define CLOSING "</EventFiltering></Sysmon>"

int ruleset_default(struct ruleset **ret, struct err *e)
{
	static const char text[] = OPENING CLOSING;

	return ruleset_parse("default", text, sizeof(text) - 1, ret, NULL, e);
}

/* Events that come of doing something to others' files: only a rule can ask for that. */
static bool acts(unsigned id)
{
	return id == 23 || id == 27 || id == 28;
}

/* An exclude section that matches nothing keeps all, so the rules in force can be printed like any. */
int ruleset_everything(struct ruleset **ret, struct err *e)
{
	char text[sizeof(OPENING CLOSING) + EVENT_TYPE_COUNT * 64] = OPENING;
	size_t n = sizeof(OPENING) - 1;

	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++)
		if (event_types[t].tag[0] && !event_types[t].later && !acts(event_types[t].id))
			n += (size_t)snprintf(text + n, 64, "<%s onmatch=\"exclude\"/>", event_types[t].tag);
	memcpy(text + n, CLOSING, sizeof(CLOSING));
	n += sizeof(CLOSING) - 1;
	return ruleset_parse("everything", text, n, ret, NULL, e);
}

unsigned ruleset_hashes(const struct ruleset *rs)
{
	return rs->hashes;
}

bool ruleset_dns_lookup(const struct ruleset *rs)
{
	return rs->dns_lookup;
}

bool ruleset_check_revocation(const struct ruleset *rs)
{
	return rs->check_revocation;
}

bool ruleset_capture_clipboard(const struct ruleset *rs)
{
	return rs->capture_clipboard;
}

const char *ruleset_archive_directory(const struct ruleset *rs)
{
	return rs->archive_directory;
}

const char *ruleset_field_sizes(const struct ruleset *rs)
{
	return rs->field_sizes;
}

const char *ruleset_schema_version(const struct ruleset *rs)
{
	return rs->version_text;
}

bool ruleset_sets_option(const struct ruleset *rs, const char *name)
{
	const struct option *option = option_by_name(name);

	return option && (rs->options_set >> (option - options) & 1);
}

const struct rule_problem *ruleset_notices(const struct ruleset *rs, unsigned *count)
{
	*count = rs->notice_count;
	return rs->notices;
}

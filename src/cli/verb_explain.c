/* SPDX-License-Identifier: MIT */
/* Says which rule keeps or drops an event, and why each other does not. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/own.h"
#include "../daemon/paths.h"
#include "../hunt/render.h"
#include "explanation.h"
#include "file.h"
#include "logs.h"
#include "verb.h"

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == 0;
}

static int load_rules(const char *file, struct ruleset **rs, struct err *e)
{
	OWNED_HEAP char *bytes = NULL;
	size_t n;
	int r;

	if (strcmp(file, "--") == 0)
		return ruleset_default(rs, e);
	r = read_whole_file(file, RULESET_BYTES_MAX, &bytes, &n, e);
	return r < 0 ? r : ruleset_parse(file, bytes, n, rs, NULL, e);
}

/* ---- an event of the log ---- */

static bool find_record(struct logfile *l, struct evtx_reader *r, uint64_t id, struct evtx_record *rec)
{
	for (size_t i = logfile_count(l); i-- > 0;) {
		if (!logfile_begin(l, i, r))
			continue;
		while (logfile_scan(l, r, rec))
			if (rec->id == id && logfile_fill(l, r, rec))
				return true;
	}
	return false;
}

static int explain_record(const struct arguments *a, const struct ruleset *rs, const char *rules)
{
	OWNED(evtx_reader) r = NULL;
	struct opened_log opened;
	struct evtx_record rec;
	struct event ev;
	struct err e = { 0 };

	if (opened_log_begin(&opened, a->word_count > 1 ? a->words[1] : NULL) < 0)
		return STATUS_FAILED;
	if (evtx_reader_new(&r, &e) < 0) {
		opened_log_say(&opened, e.text);
	} else if (!find_record(opened.log, r, strtoull(a->words[0], NULL, 10), &rec)) {
		opened_log_say(&opened, "there is no record with this id");
	} else if (!record_event(&rec, &ev)) {
		opened_log_say(&opened, "the record is no event of Sysmon");
	} else {
		ev.values[0] = (struct value){ 0 }; /* RuleName is given by the rules */
		explain_verdict(rs, &ev, rules, stdout);
	}
	opened_log_end(&opened);
	return opened.faults ? STATUS_FAILED : STATUS_OK;
}

/* ---- an event of the command line ---- */

/* By its number or, where that is of one event only, by its name in rules. */
static const struct event_type *named_type(const char *word, struct err *e)
{
	const struct event_type *type = is_number(word) ? event_type_by_id((unsigned)strtoul(word, NULL, 10)) :
							   event_type_by_tag(word, strlen(word));

	if (!type)
		err_set(e, EBADMSG, "'%s' is no event: give its number or its name in rules", word);
	else if (!is_number(word) && type + 1 < event_types + EVENT_TYPE_COUNT && strcmp(type[1].tag, type->tag) == 0)
		err_set(e, EBADMSG, "'%s' stands for several events from %u on: give the number", word, type->id);
	else
		return type;
	return NULL;
}

static int set_field(struct event *ev, const char *word, struct err *e)
{
	const char *equals = strchr(word, '=');
	int field;

	if (!equals)
		return err_set(e, EBADMSG, "'%s' is no Field=Value", word);
	field = event_field_index(ev->type, word, (size_t)(equals - word));
	if (field < 0)
		return err_set(e, EBADMSG, "event %u has no field '%.*s'", ev->type->id, (int)(equals - word), word);
	if (!value_from_text(ev->type->fields[field].type, equals + 1, strlen(equals + 1), &ev->values[field]))
		return err_set(e, EBADMSG, "'%s' cannot be the value of %s", equals + 1, ev->type->fields[field].name);
	return 0;
}

static int read_event(const struct arguments *a, struct event *ev, struct err *e)
{
	*ev = (struct event){ .type = named_type(a->words[0], e) };
	if (!ev->type)
		return -EBADMSG;
	for (unsigned i = 1; i < a->word_count; i++)
		if (set_field(ev, a->words[i], e) < 0)
			return -EBADMSG;
	return 0;
}

/* ---- which of the two ---- */

/* "17", "17 FILE": a record. "ProcessCreate ...", "1 Image=/bin/sh": an event. */
static bool means_record(const struct arguments *a)
{
	return is_number(a->words[0]) && (a->word_count == 1 || (a->word_count == 2 && !strchr(a->words[1], '=')));
}

int verb_explain(const struct arguments *a)
{
	const char *rules = argument(a, OPTION_explain_config);
	OWNED(ruleset) rs = NULL;
	struct event ev;
	struct err e = { 0 };

	if (a->word_count == 0)
		return bad_usage(a->verb, "which event? give its record id in the log, or the event and its fields");
	if (!means_record(a) && read_event(a, &ev, &e) < 0)
		return bad_usage(a->verb, e.text);
	rules = rules ? rules : PATH_RULES;
	if (load_rules(rules, &rs, &e) < 0) {
		fprintf(stderr, "konseki: %s\n", e.text);
		return STATUS_USAGE;
	}
	if (means_record(a))
		return explain_record(a, rs, rules);
	explain_verdict(rs, &ev, rules, stdout);
	return STATUS_OK;
}

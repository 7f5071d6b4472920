/* SPDX-License-Identifier: MIT */
/* One readable line: when, the record's id, what kind of event, who, what was done to what. */
#include "render.h"

#include <inttypes.h>
#include <string.h>

#include "../base/own.h"
#include "escape.h"

#define RED     "\033[31m"
#define GREEN   "\033[32m"
#define YELLOW  "\033[33m"
#define BLUE    "\033[34m"
#define MAGENTA "\033[35m"
#define CYAN    "\033[36m"
#define FAINT   "\033[2m"
#define NORMAL  "\033[0m"

/* The usual names fit; a longer one moves its line to the right rather than every line. */
#define NAME_WIDTH 18

static const struct line {
	unsigned id;
	const char *name;
	const char *colour;
	const char *template;
} lines[] = {
#define LINE(id, name, colour, template) { id, name, colour, template },
#include "lines.def"
};

static const struct line *line_by_id(unsigned id)
{
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (lines[i].id == id)
			return &lines[i];
	return NULL;
}

/* The value of the field named by the first n bytes of name; "-" if it has none. */
static const char *value_of(const struct evtx_record *rec, const char *name, size_t n, size_t *length)
{
	for (unsigned i = 0; i < rec->data_count; i++) {
		const struct evtx_data *d = &rec->data[i];

		if (d->length > 0 && strncmp(d->name, name, n) == 0 && d->name[n] == 0) {
			*length = d->length;
			return d->text;
		}
	}
	*length = 1;
	return "-";
}

static void put_address(const char *text, size_t n, FILE *to)
{
	bool ipv6 = memchr(text, ':', n) != NULL;

	if (ipv6)
		fputc('[', to);
	put_visible(to, text, n);
	if (ipv6)
		fputc(']', to);
}

/* What stands between the braces: "Field", "ip Field" or "Field?a:b". */
static void put_placeholder(const struct evtx_record *rec, const char *inside, size_t n, FILE *to)
{
	const char *question = memchr(inside, '?', n);
	const char *text;
	size_t length;

	if (question) {
		const char *colon = memchr(question, ':', n - (size_t)(question - inside));

		text = value_of(rec, inside, (size_t)(question - inside), &length);
		if (length == 4 && memcmp(text, "true", 4) == 0)
			fwrite(question + 1, 1, (size_t)(colon - question - 1), to);
		else
			fwrite(colon + 1, 1, (size_t)(inside + n - colon - 1), to);
	} else if (strncmp(inside, "ip ", 3) == 0) {
		text = value_of(rec, inside + 3, n - 3, &length);
		put_address(text, length, to);
	} else {
		text = value_of(rec, inside, n, &length);
		put_visible(to, text, length);
	}
}

static void put_template(const struct evtx_record *rec, const char *template, FILE *to)
{
	const char *p = template;

	while (*p) {
		size_t plain = strcspn(p, "{");

		fwrite(p, 1, plain, to);
		p += plain;
		if (*p == '{') {
			size_t inside = strcspn(p + 1, "}");

			put_placeholder(rec, p + 1, inside, to);
			p += inside + 2;
		}
	}
}

static void put_rule_name(const struct evtx_record *rec, FILE *to)
{
	const struct evtx_data *rule = record_value(rec, "RuleName");

	if (!rule || rule->length == 0 || strcmp(rule->text, "-") == 0)
		return;
	fputs("  (rule ", to);
	put_visible(to, rule->text, rule->length);
	fputc(')', to);
}

/* A record of a program we know nothing of: its provider, number and all values by name. */
static void put_foreign(const struct evtx_record *rec, FILE *to)
{
	put_visible(to, rec->provider_name, strlen(rec->provider_name));
	for (unsigned i = 0; i < rec->data_count; i++) {
		const struct evtx_data *d = &rec->data[i];

		fputs("  ", to);
		put_visible(to, d->name, strlen(d->name));
		if (d->name[0])
			fputc('=', to);
		put_visible(to, d->text, d->length);
	}
}

static void put_name(const struct line *line, unsigned event_id, bool colour, FILE *to)
{
	char number[24];
	const char *name = line ? line->name : number;

	snprintf(number, sizeof(number), "Event %u", event_id);
	fprintf(to, "%s%-*s%s  ", colour && line ? line->colour : "", NAME_WIDTH, name,
		colour && line ? NORMAL : "");
}

void render_line(const struct evtx_record *rec, bool colour, FILE *to)
{
	const struct line *line = record_type(rec) ? line_by_id(rec->event_id) : NULL;
	char time[24];

	utc_text(rec->time_utc_ns, time);
	fprintf(to, "%s%s %6" PRIu64 "%s  ", colour ? FAINT : "", time, rec->id, colour ? NORMAL : "");
	put_name(line, rec->event_id, colour, to);
	if (line) {
		put_template(rec, line->template, to);
		put_rule_name(rec, to);
	} else {
		put_foreign(rec, to);
	}
	fputc('\n', to);
}

/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../base/own.h"
#include "../hunt/escape.h"
#include "../rules/ruleset.h"
#include "file.h"

/* Cuts the next item off a list: a comma ends it, two commas are one that belongs to it. NULL: no more. */
static char *next_item(char **list)
{
	char *item = *list, *from = item, *to = item;

	if (!item)
		return NULL;
	for (; *from && !(from[0] == ',' && from[1] != ','); from++) {
		if (*from == ',')
			from++;
		*to++ = *from;
	}
	*list = *from ? from + 1 : NULL;
	*to = 0;
	return item;
}

/* Cuts "name:mask" apart: two colons are one that belongs to the name. NULL: no mask. */
static char *cut_mask(char *item)
{
	char *from = item, *to = item;

	for (; *from && !(from[0] == ':' && from[1] != ':'); from++) {
		if (*from == ':')
			from++;
		*to++ = *from;
	}
	from = *from ? from + 1 : NULL;
	*to = 0;
	return from;
}

static void put_filter(const char *field, const char *condition, const char *value, FILE *to)
{
	fprintf(to, "<%s condition=\"%s\">", field, condition);
	put_xml(to, value, strlen(value));
	fprintf(to, "</%s>", field);
}

static void put_everything(const char *tag, FILE *to)
{
	fprintf(to, "<%s onmatch=\"exclude\"/>", tag);
}

static void put_images(const char *tag, char *list, FILE *to)
{
	const char *image;

	fprintf(to, "<%s onmatch=\"include\">", tag);
	while ((image = next_item(&list)))
		put_filter("Image", "image", image, to);
	fprintf(to, "</%s>", tag);
}

/* Masks may be decimal; the event shows them in hexadecimal. */
static int put_access(char *list, FILE *to, struct err *e)
{
	char *item;

	fputs("<ProcessAccess onmatch=\"include\">", to);
	while ((item = next_item(&list))) {
		const char *mask = cut_mask(item);
		char hex[24], *end;

		fputs("<Rule groupRelation=\"and\">", to);
		put_filter("TargetImage", "image", item, to);
		if (mask) {
			errno = 0;
			snprintf(hex, sizeof(hex), "0x%llx", strtoull(mask, &end, 0));
			if (errno || end == mask || *end)
				return err_set(e, EBADMSG, "-k: '%s' is no access mask", mask);
			put_filter("GrantedAccess", "is", hex, to);
		}
		fputs("</Rule>", to);
	}
	fputs("</ProcessAccess>", to);
	return 0;
}

/* The rule tag of the section that the switch makes. */
static const char *section_tag(int id)
{
	return id == SWITCH_PIPES ? "PipeEvent" : switch_rows[id].name;
}

static int put_section(int id, const char *value, FILE *to, struct err *e)
{
	OWNED_HEAP char *list = value ? strdup(value) : NULL;
	int r = 0;

	if (value && !list)
		return err_set(e, ENOMEM, "reading -%s", switch_rows[id].text);
	if (!list || id == SWITCH_PIPES)
		put_everything(section_tag(id), to);
	else if (id == SWITCH_ACCESS)
		r = put_access(list, to, e);
	else
		put_images(section_tag(id), list, to);
	return r;
}

static void put_option(int id, const char *value, FILE *to)
{
	fprintf(to, "<%s>", switch_rows[id].name);
	if (value)
		put_xml(to, value, strlen(value));
	fprintf(to, "</%s>", switch_rows[id].name);
}

static bool sets_section(const struct ruleset *file, const char *tag)
{
	struct rule_count counts[EVENT_TYPE_COUNT];
	unsigned n = ruleset_count(file, counts);

	for (unsigned i = 0; i < n; i++)
		if (strcmp(counts[i].tag, tag) == 0)
			return true;
	return false;
}

/* Does the file say the same already? Then it wins. */
static bool overridden(int id, const struct ruleset *file, FILE *warnings)
{
	bool section = switch_rows[id].role != ROLE_OPTION;
	const char *name = section ? section_tag(id) : switch_rows[id].name;

	if (!file || !(section ? sets_section(file, name) : ruleset_sets_option(file, name)))
		return false;
	fprintf(warnings, "Warning: the switch -%s is overridden by %s in the configuration file.\n",
		switch_rows[id].text, name);
	return true;
}

/* All elements that the switches ask for and the file (NULL: none) does not have. */
static int put_elements(const struct switches *s, const struct ruleset *file, FILE *warnings, FILE *to,
			struct err *e)
{
	bool use[SWITCH_COUNT] = { false };

	for (int id = 0; id < SWITCH_COUNT; id++) {
		enum switch_role role = switch_rows[id].role;
		bool sets = role == ROLE_OPTION || role == ROLE_RULE || role == ROLE_FORCED;

		use[id] = sets && s->given[id] && !overridden(id, file, warnings);
		if (use[id] && role == ROLE_OPTION)
			put_option(id, s->value[id], to);
	}
	/* Or: two of the sections list alternatives, the others hold nothing. */
	fputs("<EventFiltering><RuleGroup groupRelation=\"or\">", to);
	for (int id = 0; id < SWITCH_COUNT; id++) {
		int r = 0;

		if (use[id] && switch_rows[id].role != ROLE_OPTION)
			r = put_section(id, s->value[id], to, e);
		if (r < 0)
			return r;
	}
	fputs("</RuleGroup></EventFiltering>", to);
	return 0;
}

/* A file as a row of characters of markup: UTF-16 has two bytes for each. */
struct markup {
	const char *bytes;
	size_t count; /* characters */
	unsigned unit; /* bytes of one */
	unsigned low;  /* which of them holds ASCII */
};

static struct markup markup_of(const char *bytes, size_t n)
{
	/* The first '<' has a NUL beside it then, and stands at an even place when the low byte is first. */
	const char *less = memchr(bytes, '<', n);
	size_t at = less ? (size_t)(less - bytes) : 0;
	unsigned unit = memchr(bytes, 0, n) ? 2 : 1;

	return (struct markup){ bytes, n / unit, unit, unit == 2 ? at % 2 : 0 };
}

static bool stands_at(const struct markup *m, size_t i, const char *text)
{
	for (; *text; text++, i++)
		if (i >= m->count || m->bytes[i * m->unit + m->low] != *text)
			return false;
	return true;
}

static size_t skip_past(const struct markup *m, size_t i, const char *text)
{
	while (i < m->count && !stands_at(m, i, text))
		i++;
	return i + strlen(text);
}

/* Past the start tag at i; '>' may stand in its attributes. */
static size_t skip_tag(const struct markup *m, size_t i)
{
	while (i < m->count && !stands_at(m, i, ">")) {
		if (stands_at(m, i, "\""))
			i = skip_past(m, i + 1, "\"");
		else if (stands_at(m, i, "'"))
			i = skip_past(m, i + 1, "'");
		else
			i++;
	}
	return i + 1;
}

/* Past the start tag of the document element; the file is known to be well-formed. */
static size_t skip_to_content(const struct markup *m)
{
	for (size_t i = 0; i < m->count;) {
		if (stands_at(m, i, "<!--"))
			i = skip_past(m, i, "-->");
		else if (stands_at(m, i, "<Sysmon"))
			return skip_tag(m, i);
		else
			i++;
	}
	return m->count;
}

static void put_as(const struct markup *m, const char *text, size_t n, FILE *to)
{
	for (size_t i = 0; i < n; i++) {
		for (unsigned k = 0; k < m->unit; k++)
			fputc(k == m->low ? text[i] : 0, to);
	}
}

/* The file with the elements right behind its first start tag: at a place where nothing of the file is
 * inside or around them. Order does not matter, as the file has none of them. */
static void put_into(const char *bytes, size_t n, const char *elements, size_t length, FILE *to)
{
	struct markup m = markup_of(bytes, n);
	size_t content = skip_to_content(&m), head = content * m.unit;

	if (content >= 2 && stands_at(&m, content - 2, "/>")) {
		fwrite(bytes, 1, head - 2 * m.unit, to);
		put_as(&m, ">", 1, to);
		put_as(&m, elements, length, to);
		put_as(&m, "</Sysmon>", 9, to);
	} else {
		fwrite(bytes, 1, head, to);
		put_as(&m, elements, length, to);
	}
	fwrite(bytes + head, 1, n - head, to);
}

struct text {
	FILE *stream;
	char *bytes;
	size_t n;
};

static int text_begin(struct text *t, struct err *e)
{
	t->stream = open_memstream(&t->bytes, &t->n);
	return t->stream ? 0 : err_set(e, ENOMEM, "making a configuration");
}

static int text_end(struct text *t, struct err *e)
{
	return fclose(t->stream) == 0 ? 0 : err_set(e, ENOMEM, "making a configuration");
}

static int make_elements(const struct switches *s, const struct ruleset *file, FILE *warnings,
			 struct text *elements, struct err *e)
{
	int r = text_begin(elements, e), end;

	if (r < 0)
		return r;
	r = put_elements(s, file, warnings, elements->stream, e);
	end = text_end(elements, e);
	return r < 0 ? r : end;
}

static int make_document(const struct text *elements, const char *file, size_t n, struct text *document,
			 struct err *e)
{
	int r = text_begin(document, e);

	if (r < 0)
		return r;
	if (file)
		put_into(file, n, elements->bytes, elements->n, document->stream);
	else
		fprintf(document->stream, "<Sysmon schemaversion=\"" RULESET_SCHEMA_VERSION "\">%s</Sysmon>\n",
			elements->bytes);
	return text_end(document, e);
}

/* Proves that the result is a configuration and says what the switches asked for. */
static int check_document(const struct switches *s, const struct text *document, struct err *e)
{
	OWNED(ruleset) rs = NULL;
	int r = ruleset_parse("command line", document->bytes, document->n, &rs, NULL, e);

	if (r < 0)
		return r;
	for (int id = 0; id < SWITCH_COUNT; id++) {
		enum switch_role role = switch_rows[id].role;

		if (!s->given[id] || (role != ROLE_OPTION && role != ROLE_RULE && role != ROLE_FORCED))
			continue;
		if (role == ROLE_OPTION ? !ruleset_sets_option(rs, switch_rows[id].name) :
					  !sets_section(rs, section_tag(id)))
			return err_set(e, EBADMSG, "-%s cannot be added to this configuration file",
				       switch_rows[id].text);
	}
	return 0;
}

int settings_to_xml(const struct switches *s, const char *file, FILE *warnings, char **xml, size_t *length,
		    struct err *e)
{
	OWNED(ruleset) rules = NULL;
	OWNED_HEAP char *bytes = NULL;
	struct text elements = { 0 }, document = { 0 };
	size_t n = 0;
	int r = 0;

	if (file)
		r = read_whole_file(file, RULESET_BYTES_MAX, &bytes, &n, e);
	if (file && r == 0)
		r = ruleset_parse(file, bytes, n, &rules, NULL, e);
	if (r == 0)
		r = make_elements(s, rules, warnings, &elements, e);
	if (r == 0)
		r = make_document(&elements, bytes, n, &document, e);
	if (r == 0)
		r = check_document(s, &document, e);
	free(elements.bytes);
	if (r < 0) {
		free(document.bytes);
		return r;
	}
	*xml = document.bytes;
	*length = document.n;
	return 0;
}

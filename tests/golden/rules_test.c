/* SPDX-License-Identifier: MIT */
/* Runs the cases of FOLDER/NAME.test: a configuration, and what must come of it. rules/README.md tells
 * the form. rules_test FOLDER NAME.test... prints TAP. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "../../src/base/own.h"
#include "../../src/rules/ruleset.h"

#define FRAGMENT_BEGIN "<Sysmon schemaversion=\"4.90\"><EventFiltering>\n"
#define FRAGMENT_END   "\n</EventFiltering></Sysmon>"

/* One case, as far as it is read. */
struct scene {
	const char *folder;
	char name[200];
	char *document; /* owned */
	size_t document_size;
	bool whole;    /* came from a file, as it is */
	bool fragment; /* stands inside EventFiltering; lines count from its first */
	bool parsed;
	struct ruleset *rs; /* NULL: not parsed, or refused */
	struct rule_problems problems;
	unsigned problems_expected, notices_expected;
	unsigned expectations;
	char why[2000]; /* the first thing that was not as expected */
};

static unsigned scenes_done, scenes_failed;

static void fail(struct scene *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct scene *s, const char *format, ...)
{
	va_list args;

	if (s->why[0])
		return;
	va_start(args, format);
	vsnprintf(s->why, sizeof(s->why), format, args);
	va_end(args);
}

/* The whole file with a NUL after it; the caller frees. */
static char *read_file(const char *folder, const char *name, size_t *size)
{
	OWNED_HEAP char *path = NULL;
	OWNED_HEAP char *text = NULL;
	FILE *f;
	long end;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return NULL;
	f = fopen(path, "r");
	if (!f)
		return NULL;
	if (fseek(f, 0, SEEK_END) == 0 && (end = ftell(f)) >= 0 && (text = calloc(1, (size_t)end + 1))) {
		rewind(f);
		*size = fread(text, 1, (size_t)end, f);
	}
	fclose(f);
	return MOVE(text);
}

/* ---- the configuration ---- */

static void add_document(struct scene *s, const char *text)
{
	size_t n = strlen(text);
	char *bigger = realloc(s->document, s->document_size + n + 2);

	if (!bigger)
		abort();
	if (s->document_size > 0)
		bigger[s->document_size++] = '\n';
	memcpy(bigger + s->document_size, text, n + 1);
	s->document = bigger;
	s->document_size += n;
}

static bool is_whole(const char *document)
{
	return strstr(document, "<Sysmon") || strstr(document, "<NotSysmon") ||
	       strncmp(document, "<?", 2) == 0 || document[0] != '<';
}

static void parse(struct scene *s)
{
	const char *document = s->document ? s->document : "";
	OWNED_HEAP char *wrapped = NULL;
	struct err e = { 0 };
	int n = (int)s->document_size, r;

	s->parsed = true;
	if (s->document && !s->whole && !is_whole(document)) {
		s->fragment = true;
		n = asprintf(&wrapped, FRAGMENT_BEGIN "%s" FRAGMENT_END, document);
		if (n < 0)
			abort();
		document = wrapped;
	}
	r = ruleset_parse(s->name, document, (size_t)n, &s->rs, &s->problems, &e);
	if (r < 0 && r != -EBADMSG)
		fail(s, "%s", e.text);
}

/* ---- what is expected ---- */

static unsigned line_shown(const struct scene *s, unsigned line)
{
	return line - s->fragment;
}

static void compare_problem(struct scene *s, const char *kind, const struct rule_problem *found, bool exists,
			    const char *expected)
{
	char text[600];

	if (!exists) {
		fail(s, "no %s, expected %s", kind, expected);
		return;
	}
	snprintf(text, sizeof(text), "%u:%u %s", line_shown(s, found->line), found->column, found->text);
	if (strcmp(text, expected) != 0)
		fail(s, "%s %s\n#   expected %s", kind, text, expected);
}

static void expect_refused(struct scene *s, const char *rest)
{
	unsigned i = s->problems_expected++;

	compare_problem(s, "refused", &s->problems.problem[i], i < s->problems.count, rest);
}

static void expect_notice(struct scene *s, const char *rest)
{
	unsigned count = 0, i = s->notices_expected++;
	const struct rule_problem *notices = s->rs ? ruleset_notices(s->rs, &count) : NULL;

	compare_problem(s, "notice", &notices[i < count ? i : 0], i < count, rest);
}

static char *dump(const struct ruleset *rs, bool options)
{
	char *text = NULL;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	if (!to)
		abort();
	if (options)
		ruleset_dump_options(rs, to);
	ruleset_dump(rs, to);
	fclose(to);
	return text;
}

static void expect_prints(struct scene *s, const char *rest)
{
	OWNED_HEAP char *text = dump(s->rs, true);
	char *end;

	for (char *line = text; *line; line = end + 1) {
		end = strchr(line, '\n');
		*end = 0;
		if (strcmp(line, rest) == 0)
			return;
	}
	fail(s, "does not print '%s'", rest);
}

/* The reference leaves numbers out where it tried a section of a shared tag twice. */
static void blank_rule_numbers(char *text)
{
	static const char mark[] = "Compound Rule 0";

	for (char *at = text; (at = strstr(at, mark)); at += sizeof(mark) - 1)
		memset(at + sizeof(mark) - 2, '#', 4);
}

static void compare_dump(struct scene *s, const char *file, bool numbers)
{
	OWNED_HEAP char *text = dump(s->rs, false);
	size_t size = 0;
	OWNED_HEAP char *wanted = read_file(s->folder, file, &size);
	size_t at = 0;

	if (!wanted) {
		fail(s, "cannot read %s", file);
		return;
	}
	if (!numbers) {
		blank_rule_numbers(text);
		blank_rule_numbers(wanted);
	}
	while (text[at] && text[at] == wanted[at])
		at++;
	if (text[at] == '\n' && !text[at + 1] && !wanted[at]) /* the reference ends without a line end */
		return;
	if (text[at] || wanted[at])
		fail(s, "dump differs from %s at '%.60s', expected '%.60s'", file, text + at, wanted + at);
}

static void expect_dump(struct scene *s, const char *rest)
{
	compare_dump(s, rest, true);
}

static void expect_dump_but_numbers(struct scene *s, const char *rest)
{
	compare_dump(s, rest, false);
}

static void expect_counts(struct scene *s, const char *rest)
{
	struct rule_count counts[EVENT_TYPE_COUNT];
	unsigned n = ruleset_count(s->rs, counts);
	size_t tag_length = strcspn(rest, " ");

	for (unsigned i = 0; i < n; i++) {
		const struct rule_count *c = &counts[i];
		char text[200];

		if (strlen(c->tag) != tag_length || memcmp(c->tag, rest, tag_length) != 0)
			continue;
		snprintf(text, sizeof(text), "%s include %u/%u %uR exclude %u/%u %uR", c->tag,
			 c->include.sections, c->include.filters, c->include.rules, c->exclude.sections,
			 c->exclude.filters, c->exclude.rules);
		if (strcmp(text, rest) != 0)
			fail(s, "counts %s\n#   expected %s", text, rest);
		return;
	}
	fail(s, "no section for %.*s", (int)tag_length, rest);
}

static void expect_tags(struct scene *s, const char *rest)
{
	struct rule_count counts[EVENT_TYPE_COUNT];
	unsigned n = ruleset_count(s->rs, counts);

	if (n != (unsigned)strtoul(rest, NULL, 10))
		fail(s, "sections for %u tags, expected %s", n, rest);
}

static void expect_wanted(struct scene *s, const char *ids, bool wanted)
{
	char *end;

	for (unsigned long id = strtoul(ids, &end, 10); end != ids; id = strtoul(ids, &end, 10)) {
		const struct event_type *type = event_type_by_id((unsigned)id);

		if (!type || ruleset_wants(s->rs, type) != wanted)
			fail(s, "event %lu is %s", id, wanted ? "not wanted" : "wanted");
		ids = end;
	}
}

static void expect_wants(struct scene *s, const char *rest)
{
	expect_wanted(s, rest, true);
}

static void expect_ignores(struct scene *s, const char *rest)
{
	expect_wanted(s, rest, false);
}

/* ---- events ---- */

static void set_value(struct scene *s, struct event *ev, const char *field, char *text)
{
	int i = event_field_index(ev->type, field, strlen(field));

	if (i < 0) {
		fail(s, "event %u has no field %s", ev->type->id, field);
		return;
	}
	ev->values[i].text = text;
	ev->values[i].length = (uint32_t)strlen(text);
	ev->values[i].number = strcmp(text, "true") == 0 ? 1 : strtoull(text, NULL, 0);
}

static void set_values(struct scene *s, struct event *ev, char *values)
{
	while (values && *values) {
		char *next = strstr(values, " | ");
		char *equals = strchr(values, '=');

		if (next)
			*next = 0;
		if (!equals) {
			fail(s, "'%s' is no Field=value", values);
			return;
		}
		*equals = 0;
		set_value(s, ev, values, equals + 1);
		values = next ? next + 3 : NULL;
	}
}

/* "1 Image=/bin/a | User=root => keep NAME" */
static void expect_verdict(struct scene *s, char *line)
{
	char *arrow = NULL, *values;
	struct event ev = { .type = event_type_by_id((unsigned)strtoul(line, &values, 10)) };
	char found[300];
	const char *name;

	for (char *at = line; (at = strstr(at, " => ")); at++)
		arrow = at;
	if (!arrow || !ev.type) {
		fail(s, "'%s' is no expectation", line);
		return;
	}
	*arrow = 0;
	set_values(s, &ev, values + strspn(values, " "));
	if (ruleset_keeps(s->rs, &ev, &name))
		snprintf(found, sizeof(found), "keep %s", name);
	else
		snprintf(found, sizeof(found), "drop");
	if (strcmp(found, arrow + 4) != 0)
		fail(s, "event %s: %s, expected %s", line, found, arrow + 4);
}

/* ---- the files ---- */

static const struct {
	const char *word;
	void (*check)(struct scene *s, const char *rest);
	bool needs_rules;
} expectations[] = {
	{ "refused ", expect_refused, false },
	{ "notice ", expect_notice, true },
	{ "prints ", expect_prints, true },
	{ "dump ", expect_dump, true },
	{ "dump-but-numbers ", expect_dump_but_numbers, true },
	{ "counts ", expect_counts, true },
	{ "tags ", expect_tags, true },
	{ "wants ", expect_wants, true },
	{ "ignores ", expect_ignores, true },
};

static void expect(struct scene *s, char *line)
{
	if (!s->parsed)
		parse(s);
	s->expectations++;
	for (size_t i = 0; i < ARRAY_SIZE(expectations); i++) {
		size_t n = strlen(expectations[i].word);

		if (strncmp(line, expectations[i].word, n) != 0)
			continue;
		if (expectations[i].needs_rules && !s->rs)
			fail(s, "refused %u:%u %s", line_shown(s, s->problems.problem[0].line),
			     s->problems.problem[0].column, s->problems.problem[0].text);
		else
			expectations[i].check(s, line + n);
		return;
	}
	if (s->rs)
		expect_verdict(s, line);
	else
		fail(s, "refused %u:%u %s", line_shown(s, s->problems.problem[0].line),
		     s->problems.problem[0].column, s->problems.problem[0].text);
}

static void end_scene(struct scene *s)
{
	unsigned notices = 0;

	if (!s->name[0])
		return;
	if (s->expectations == 0)
		fail(s, "nothing is expected");
	if (s->rs)
		ruleset_notices(s->rs, &notices);
	if (s->problems.count > s->problems_expected)
		fail(s, "%u problems more, the first: %u:%u %s", s->problems.count - s->problems_expected,
		     line_shown(s, s->problems.problem[s->problems_expected].line),
		     s->problems.problem[s->problems_expected].column,
		     s->problems.problem[s->problems_expected].text);
	if (notices > s->notices_expected)
		fail(s, "unexpected notice: %s", ruleset_notices(s->rs, &notices)[s->notices_expected].text);
	printf("%s %u - %s\n", s->why[0] ? "not ok" : "ok", ++scenes_done, s->name);
	if (s->why[0])
		printf("# %s\n", s->why);
	scenes_failed += s->why[0] != 0;
}

static void begin_scene(struct scene *s, const char *name)
{
	const char *folder = s->folder;

	end_scene(s);
	free(s->document);
	ruleset_free(s->rs);
	*s = (struct scene){ .folder = folder };
	snprintf(s->name, sizeof(s->name), "%s", name);
}

static void load_file(struct scene *s, const char *file)
{
	s->whole = true;
	s->document = read_file(s->folder, file, &s->document_size);
	if (!s->document)
		fail(s, "cannot read %s", file);
}

static void run_line(struct scene *s, char *line)
{
	if (line[0] == '#' || line[0] == 0)
		return;
	if (strncmp(line, "case ", 5) == 0)
		begin_scene(s, line + 5);
	else if (strncmp(line, "file ", 5) == 0)
		load_file(s, line + 5);
	else if (strncmp(line, "raw ", 4) == 0)
		add_document(s, line + 4);
	else if (!s->parsed && (line[0] == '<' || line[0] == ' ' || line[0] == '\t'))
		add_document(s, line);
	else
		expect(s, line);
}

static bool run_file(const char *folder, const char *file)
{
	size_t size = 0;
	OWNED_HEAP char *text = read_file(folder, file, &size);
	struct scene *s = calloc(1, sizeof(*s));
	char *rest = text;

	if (!text || !s)
		return false;
	s->folder = folder;
	while (rest)
		run_line(s, strsep(&rest, "\n"));
	begin_scene(s, "");
	free(s);
	return true;
}

int main(int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (!run_file(argv[1], argv[i])) {
			printf("Bail out! cannot read %s/%s\n", argv[1], argv[i]);
			return 1;
		}
	printf("1..%u\n", scenes_done);
	return scenes_done == 0 || scenes_failed > 0;
}

/* SPDX-License-Identifier: MIT */
/* Rule sets: what is too large or too long to be a row of tests/golden/rules. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/base/text.h"
#include "../../src/rules/fold.h"
#include "../../src/rules/ruleset.h"

#define BEGIN "<Sysmon schemaversion=\"4.90\"><EventFiltering>"
#define END   "</EventFiltering></Sysmon>"

static struct rule_problems problems;

/* A text that grows; freed by the test. */
struct growing {
	char *text;
	size_t n, size;
};

static void put(struct growing *g, const char *text, size_t times)
{
	size_t n = strlen(text);

	if (g->n + n * times + 1 > g->size) {
		g->size = (g->n + n * times + 1) * 2;
		g->text = realloc(g->text, g->size);
		assert_non_null(g->text);
	}
	for (; times > 0; times--, g->n += n)
		memcpy(g->text + g->n, text, n);
	g->text[g->n] = 0;
}

static int parse(const char *text, size_t n, struct ruleset **rs)
{
	struct err e;

	return ruleset_parse("test", text, n, rs, &problems, &e);
}

/* NULL when it is refused. */
static struct ruleset *rules_of(const struct growing *g)
{
	struct ruleset *rs = NULL;

	parse(g->text, g->n, &rs);
	return rs;
}

static size_t utf8_size(uint32_t c)
{
	return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

static void folding_twice_is_folding_once_and_never_outgrows_its_room(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < 0x110000; c++) {
		uint32_t folded = fold_character(c);

		assert_int_equal(fold_character(folded), folded);
		assert_true(utf8_size(folded) <= FOLD_SIZE_MAX(utf8_size(c)));
	}
}

static void folding_knows_what_is_one_letter(void **state)
{
	static const struct { const char *text, *folded; } cases[] = {
		{ "ABZ[`az{@", "abz[`az{@" },
		{ "ÀÞ×ß÷ÿŸ", "àþ×ß÷ÿÿ" },
		{ "@AZ[`az{", "@az[`az{" },       /* eight at a time, */
		{ "ABCDEFGHIJKLMNOÄPQRSTUVWXYZ0", "abcdefghijklmnoäpqrstuvwxyz0" }, /* and not */
		{ "ẞ", "ß" },             /* the simple folding, not "ss" */
		{ "ſK\xc2\xb5", "skμ" },  /* long s, Kelvin, micro */
		{ "Σς", "σσ" },
		{ "İıI", "İıi" },         /* Turkish letters stay apart */
		{ "Ⓐ𐐀", "ⓐ𐐨" },
		{ "a\xff\xc3", "a\xff\xc3" }, /* no text: stays as it is */
		{ "", "" },
	};
	uint8_t out[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = fold_text(cases[i].text, strlen(cases[i].text), out);

		out[n] = 0;
		assert_string_equal((char *)out, cases[i].folded);
	}
}

static void a_name_has_at_most_255_characters(void **state)
{
	static const struct { const char *character; size_t count; bool accepted; } cases[] = {
		{ "a", 255, true }, { "a", 256, false }, { "ä", 255, true }, { "ä", 256, false },
	};
	static const char *const places[][2] = {
		{ BEGIN "<ProcessCreate onmatch=\"include\"><Image name=\"",
		  "\">a</Image></ProcessCreate>" END },
		{ BEGIN "<ProcessCreate onmatch=\"include\"><Rule name=\"",
		  "\"><Image>a</Image></Rule></ProcessCreate>" END },
		{ BEGIN "<RuleGroup name=\"",
		  "\"><ProcessCreate onmatch=\"include\"><Image>a</Image></ProcessCreate></RuleGroup>" END },
	};

	(void)state;
	for (size_t p = 0; p < ARRAY_SIZE(places); p++) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct growing g = { 0 }, name = { 0 };
			struct event ev = { .type = event_type_by_id(1) };
			int image = event_field_index(ev.type, "Image", 5);
			struct ruleset *rs;
			const char *found;

			put(&name, cases[i].character, cases[i].count);
			put(&g, places[p][0], 1);
			put(&g, name.text, 1);
			put(&g, places[p][1], 1);
			rs = rules_of(&g);
			assert_int_equal(rs != NULL, cases[i].accepted);
			ev.values[image] = (struct value){ .text = "a", .length = 1 };
			if (rs) {
				assert_true(ruleset_keeps(rs, &ev, &found));
				assert_string_equal(found, name.text);
			} else {
				assert_non_null(strstr(problems.problem[0].text, "longer than 255 characters"));
			}
			ruleset_free(rs);
			free(g.text);
			free(name.text);
		}
	}
}

static void a_value_may_be_long(void **state)
{
	struct growing g = { 0 }, value = { 0 };
	struct event ev = { .type = event_type_by_id(1) };
	int line = event_field_index(ev.type, "CommandLine", 11);
	struct ruleset *rs;
	const char *name;

	(void)state;
	put(&value, "ⱥB", 50000);
	put(&g, BEGIN "<ProcessCreate onmatch=\"include\"><CommandLine>", 1);
	put(&g, "Ⱥb", 50000);
	put(&g, "</CommandLine></ProcessCreate>" END, 1);
	rs = rules_of(&g);
	assert_non_null(rs);
	ev.values[line] = (struct value){ .text = value.text, .length = (uint32_t)value.n };
	assert_true(ruleset_keeps(rs, &ev, &name));
	ev.values[line].length--;
	assert_false(ruleset_keeps(rs, &ev, &name));
	ruleset_free(rs);
	free(g.text);
	free(value.text);
}

static void the_most_filters_are_accepted_and_one_more_is_not(void **state)
{
	struct growing g = { 0 };
	struct rule_count counts[EVENT_TYPE_COUNT];
	struct ruleset *rs;

	(void)state;
	put(&g, BEGIN "<ProcessCreate onmatch=\"include\">", 1);
	put(&g, "<User>a</User>", RULESET_FILTERS_MAX);
	put(&g, "</ProcessCreate>" END, 1);
	rs = rules_of(&g);
	assert_non_null(rs);
	assert_int_equal(ruleset_count(rs, counts), 1);
	assert_int_equal(counts[0].include.filters, RULESET_FILTERS_MAX);
	ruleset_free(rs);

	g.n -= strlen("</ProcessCreate>" END);
	put(&g, "<User>a</User></ProcessCreate>" END, 1);
	assert_null(rules_of(&g));
	assert_int_equal(problems.count, 1);
	assert_non_null(strstr(problems.problem[0].text, "more than 250000 filters and items"));
	free(g.text);
}

static void items_of_lists_count_as_filters(void **state)
{
	struct growing g = { 0 };
	struct ruleset *rs;

	(void)state;
	put(&g, BEGIN "<ProcessCreate onmatch=\"include\"><User condition=\"is any\">", 1);
	put(&g, "a;", RULESET_FILTERS_MAX - 1);
	put(&g, "b</User></ProcessCreate>" END, 1);
	rs = rules_of(&g);
	assert_non_null(rs);
	ruleset_free(rs);

	g.n -= strlen("b</User></ProcessCreate>" END);
	put(&g, "b;c</User><User>a</User></ProcessCreate>" END, 1);
	assert_null(rules_of(&g));
	assert_int_equal(problems.count, 1);
	assert_int_equal(problems.problem[0].line, 1);
	free(g.text);
}

static void the_largest_file_is_accepted_and_one_byte_more_is_not(void **state)
{
	struct growing g = { 0 };
	struct ruleset *rs;

	(void)state;
	put(&g, BEGIN, 1);
	put(&g, " ", RULESET_BYTES_MAX - strlen(BEGIN END));
	put(&g, END, 1);
	rs = rules_of(&g);
	assert_non_null(rs);
	ruleset_free(rs);
	put(&g, " ", 1);
	assert_null(rules_of(&g));
	assert_non_null(strstr(problems.problem[0].text, "at most 16777216 are read"));
	free(g.text);
}

static void elements_without_end_are_refused_quickly(void **state)
{
	struct growing g = { 0 };

	(void)state;
	put(&g, "<Sysmon schemaversion=\"4.90\">", 1);
	put(&g, "<EventFiltering>", 1000);
	assert_null(rules_of(&g));
	assert_non_null(strstr(problems.problem[problems.count - 1].text, "nested more than 32 deep"));
	free(g.text);
}

static void no_beginning_of_a_file_is_taken_for_the_whole(void **state)
{
	static const char text[] = BEGIN "<RuleGroup name=\"\xc3\xa4\" groupRelation=\"or\"><!-- c --><ProcessCreate "
			"onmatch=\"include\"><Rule groupRelation=\"and\"><Image condition=\"is any\">a&amp;;b</Image>"
			"<User><![CDATA[x]]></User></Rule></ProcessCreate></RuleGroup>" END;

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		char *beginning = malloc(n ? n : 1); /* so that reading beyond it shows */
		struct ruleset *rs = NULL;

		assert_non_null(beginning);
		memcpy(beginning, text, n);
		assert_int_equal(parse(beginning, n, &rs), n == sizeof(text) - 1 ? 0 : -EBADMSG);
		ruleset_free(rs);
		free(beginning);
	}
}

static void the_first_hundred_problems_are_kept(void **state)
{
	struct growing g = { 0 };

	(void)state;
	put(&g, BEGIN "<ProcessCreate onmatch=\"include\">", 1);
	put(&g, "\n<Imagine>a</Imagine>", 1000);
	put(&g, "</ProcessCreate>" END, 1);
	assert_null(rules_of(&g));
	assert_int_equal(problems.count, RULE_PROBLEMS_MAX);
	assert_int_equal(problems.problem[RULE_PROBLEMS_MAX - 1].line, RULE_PROBLEMS_MAX + 1);
	free(g.text);
}

static void what_is_quoted_cannot_steer_a_terminal(void **state)
{
	static const char text[] = BEGIN "<ProcessCreate onmatch=\"\xc2\x9b" "31m\x7f&#10;x\"/>" END;
	struct ruleset *rs = NULL;

	(void)state;
	assert_int_equal(parse(text, sizeof(text) - 1, &rs), -EBADMSG);
	assert_string_equal(problems.problem[0].text,
			    "onmatch of ProcessCreate is '?31m??x', expected 'include' or 'exclude'");
}

static void a_refused_file_leaves_everything_as_it_was(void **state)
{
	static const char text[] = "<Sysmon schemaversion=\"4.90\">\n <Foo/>\n</Sysmon>";
	struct ruleset *const untouched = (struct ruleset *)&problems;
	struct ruleset *rs = untouched;
	struct err e;

	(void)state;
	assert_int_equal(ruleset_parse("a.xml", text, sizeof(text) - 1, &rs, NULL, &e), -EBADMSG);
	assert_ptr_equal(rs, untouched);
	assert_int_equal(e.code, EBADMSG);
	assert_memory_equal(e.text, "a.xml:2:2: unknown element 'Foo' in Sysmon, expected one of Eve", 60);
	assert_int_equal(ruleset_parse("a.xml", text, sizeof(text) - 1, &rs, NULL, NULL), -EBADMSG);
}

static void the_default_is_the_schemas(void **state)
{
	struct ruleset *rs = NULL;

	(void)state;
	assert_int_equal(ruleset_default(&rs, NULL), 0);
	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++) {
		struct event ev = { .type = &event_types[t] };
		const char *name;

		assert_int_equal(ruleset_keeps(rs, &ev, &name), event_types[t].kept != DEFAULT_OFF);
		assert_int_equal(ruleset_wants(rs, &event_types[t]), event_types[t].kept != DEFAULT_OFF);
		assert_string_equal(name, "-");
	}
	assert_int_equal(ruleset_hashes(rs), HASH_SHA256);
	assert_string_equal(ruleset_archive_directory(rs), "Sysmon");
	assert_string_equal(ruleset_schema_version(rs), RULESET_SCHEMA_VERSION);
	ruleset_free(rs);
}

static const struct {
	const char *rules, *target;
	bool could;
} guesses[] = {
	{ "<FileDelete onmatch='include'><TargetFilename condition='end with'>.doc</TargetFilename></FileDelete>", "/a.DOC",
	  true },
	{ "<FileDelete onmatch='include'><TargetFilename condition='end with'>.doc</TargetFilename></FileDelete>", "/a.txt",
	  false },
	{ "<FileDelete onmatch='include'><Image condition='end with'>.doc</Image></FileDelete>", "/a.txt", true },
	{ "<FileDelete onmatch='include'><Rule groupRelation='and'><TargetFilename condition='is'>/a</TargetFilename>"
	  "<User>root</User></Rule></FileDelete>", "/a", true },
	{ "<FileDelete onmatch='include'><Rule groupRelation='and'><TargetFilename condition='is'>/a</TargetFilename>"
	  "<User>root</User></Rule></FileDelete>", "/b", false },
	{ "<FileDelete onmatch='exclude'><TargetFilename condition='is'>/a</TargetFilename></FileDelete>", "/a", false },
	{ "<FileDelete onmatch='exclude'><User>root</User></FileDelete>", "/a", true },
	{ "<FileDelete onmatch='include'/>", "/a", false },
	{ "", "/a", false },
};

static void one_known_field_decides_where_it_can(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(guesses) / sizeof(guesses[0]); i++) {
		struct ruleset *rs = NULL;
		char text[600];
		int n = snprintf(text, sizeof(text), "<Sysmon schemaversion='4.90'><EventFiltering>%s</EventFiltering></Sysmon>",
				 guesses[i].rules);

		assert_int_equal(ruleset_parse("guess", text, (size_t)n, &rs, NULL, NULL), 0);
		if (ruleset_could_keep(rs, event_type_by_id(23), "TargetFilename", guesses[i].target,
				       strlen(guesses[i].target)) != guesses[i].could)
			fail_msg("guess %zu", i);
		ruleset_free(rs);
	}
}

/* Those that keep, remove or refuse something need a rule that asks for it. */
static bool acts(unsigned id)
{
	return id == 23 || id == 24 || id == 27 || id == 28;
}

/* A section is for all events that share its tag: of RegistryEvent there are three. */
static bool tag_is_produced(const char *tag)
{
	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++)
		if (strcmp(event_types[t].tag, tag) == 0 && !event_types[t].later)
			return true;
	return false;
}

static void everything_is_what_this_build_produces(void **state)
{
	struct ruleset *rs = NULL;

	(void)state;
	assert_int_equal(ruleset_everything(&rs, NULL), 0);
	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++) {
		struct event ev = { .type = &event_types[t] };
		bool kept = *event_types[t].tag ? tag_is_produced(event_types[t].tag) && !acts(event_types[t].id) :
						  !event_types[t].later;
		const char *name;

		assert_int_equal(ruleset_keeps(rs, &ev, &name), kept);
		assert_int_equal(ruleset_wants(rs, &event_types[t]), kept);
		assert_string_equal(name, "-");
	}
	ruleset_free(rs);
}

static void options_tell_whether_the_file_sets_them(void **state)
{
	static const char text[] = "<Sysmon schemaversion=\"4.9\"><HashAlgorithms>md5,*</HashAlgorithms>"
				   "<FieldSizes>Image:5,User:6</FieldSizes><CaptureClipboard/></Sysmon>";
	struct ruleset *rs = NULL;

	(void)state;
	assert_int_equal(parse(text, sizeof(text) - 1, &rs), 0);
	assert_true(ruleset_sets_option(rs, "HashAlgorithms"));
	assert_true(ruleset_sets_option(rs, "FieldSizes"));
	assert_false(ruleset_sets_option(rs, "DnsLookup"));
	assert_false(ruleset_sets_option(rs, "Nothing"));
	assert_int_equal(ruleset_hashes(rs), HASH_ALL);
	assert_true(ruleset_capture_clipboard(rs));
	assert_true(ruleset_dns_lookup(rs));
	assert_true(ruleset_check_revocation(rs));
	assert_string_equal(ruleset_field_sizes(rs), "Image:5,User:6");
	assert_int_equal(ruleset_field_size(rs, "User"), 6);
	assert_int_equal(ruleset_field_size(rs, "CommandLine"), 0);
	assert_int_equal(ruleset_field_size(rs, "Nothing"), 0);
	assert_string_equal(ruleset_schema_version(rs), "4.90");
	ruleset_free(rs);
}

static const struct { const char *size, *before, *after; } cuts[] = {
	{ "10", "abcdefghijklmn", "abcdefg..." },
	{ "10", "abcdefghij", "abcdefghij" },
	{ "10", "abcdefghijk", "abcdefg..." },
	{ "3", "abcd", "..." },
	{ "2", "abc", "-" },
	{ "2", "ab", "ab" },
	{ "1", "-", "-" },
	{ "5", "äöüÄÖÜ", "äö..." },
	{ "6", "äöüÄÖÜ", "äöüÄÖÜ" },
	{ "8", "ab\\xFFcdef", "ab..." },      /* an escape is four characters and stays whole */
	{ "9", "ab\\xFFcdef", "ab\\xFF..." },
	{ "10", "ab\\xFFcdef", "ab\\xFFcdef" },
	{ "4", "a\\xgh", "a..." },            /* no escape */
};

static void values_are_cut_to_their_field_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		struct event ev = { .type = event_type_by_id(1) };
		int image = event_field_index(ev.type, "Image", 5);
		int user = event_field_index(ev.type, "User", 4);
		struct ruleset *rs = NULL;
		struct arena arena;
		char text[200];

		assert_int_equal(arena_init(&arena, 64), 0);
		snprintf(text, sizeof(text), "<Sysmon schemaversion=\"4.90\"><FieldSizes>Image:%s,ProcessId:1"
			 "</FieldSizes></Sysmon>", cuts[i].size);
		assert_int_equal(parse(text, strlen(text), &rs), 0);
		ev.values[image] = (struct value){ .text = cuts[i].before,
						   .length = (uint32_t)strlen(cuts[i].before) };
		ev.values[user] = (struct value){ .text = "somebody", .length = 8 };
		ruleset_shorten(rs, &ev, &arena);
		assert_int_equal(ev.values[image].length, strlen(cuts[i].after));
		assert_memory_equal(ev.values[image].text, cuts[i].after, strlen(cuts[i].after));
		assert_int_equal(ev.values[user].length, 8);
		arena_done(&arena);
		ruleset_free(rs);
	}
}

static void a_value_that_cannot_be_cut_is_left_out(void **state)
{
	static const char text[] = "<Sysmon schemaversion=\"4.90\"><FieldSizes>Image:10</FieldSizes></Sysmon>";
	struct event ev = { .type = event_type_by_id(1) };
	int image = event_field_index(ev.type, "Image", 5);
	struct ruleset *rs = NULL;
	struct arena arena;

	(void)state;
	assert_int_equal(arena_init(&arena, 8), 0);
	assert_int_equal(parse(text, sizeof(text) - 1, &rs), 0);
	ev.values[image] = (struct value){ .text = "abcdefghijklmn", .length = 14 };
	ruleset_shorten(rs, &ev, &arena);
	assert_int_equal(ev.values[image].length, 1);
	assert_memory_equal(ev.values[image].text, "-", 1);
	arena_done(&arena);
	ruleset_free(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(folding_twice_is_folding_once_and_never_outgrows_its_room),
		cmocka_unit_test(folding_knows_what_is_one_letter),
		cmocka_unit_test(a_name_has_at_most_255_characters),
		cmocka_unit_test(a_value_may_be_long),
		cmocka_unit_test(the_most_filters_are_accepted_and_one_more_is_not),
		cmocka_unit_test(items_of_lists_count_as_filters),
		cmocka_unit_test(the_largest_file_is_accepted_and_one_byte_more_is_not),
		cmocka_unit_test(elements_without_end_are_refused_quickly),
		cmocka_unit_test(no_beginning_of_a_file_is_taken_for_the_whole),
		cmocka_unit_test(the_first_hundred_problems_are_kept),
		cmocka_unit_test(what_is_quoted_cannot_steer_a_terminal),
		cmocka_unit_test(a_refused_file_leaves_everything_as_it_was),
		cmocka_unit_test(the_default_is_the_schemas),
		cmocka_unit_test(one_known_field_decides_where_it_can),
		cmocka_unit_test(everything_is_what_this_build_produces),
		cmocka_unit_test(options_tell_whether_the_file_sets_them),
		cmocka_unit_test(values_are_cut_to_their_field_size),
		cmocka_unit_test(a_value_that_cannot_be_cut_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

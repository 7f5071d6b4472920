/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/base/own.h"
#include "../../src/cli/schema.h"
#include "../../src/cli/settings.h"
#include "../../src/cli/switches.h"
#include "../../src/cli/verb.h"
#include "../../src/rules/ruleset.h"

#define WORDS_MAX 32

/* Cuts a line at blanks; the words point into line. */
static int words_of(char *line, char *words[WORDS_MAX])
{
	int n = 0;

	for (char *save, *w = strtok_r(line, " ", &save); w && n < WORDS_MAX; w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	return n;
}

/* What was understood: "-i=FILE -n". */
static void understood(const struct switches *s, char *out, size_t size)
{
	size_t n = 0;

	out[0] = 0;
	for (int i = 0; i < SWITCH_COUNT; i++)
		if (s->given[i])
			n += (size_t)snprintf(out + n, size - n, "%s-%s%s%s", n ? " " : "", switch_rows[i].text,
					      s->value[i] ? "=" : "", s->value[i] ? s->value[i] : "");
}

static const struct { const char *line, *understood, *refused; } switch_cases[] = {
	/* letters of switches have no case, values keep theirs */
	{ "-I Rules.xml", "-i=Rules.xml", NULL },
	{ "-AcceptEULA -i", "-i -accepteula", NULL },
	/* switches without value may be joined; long ones stand alone */
	{ "-in", "-i -n", NULL },
	{ "-inl -nologo", "-i -nologo -l -n", NULL },
	{ "-ih sha256", NULL, "-h needs a value and cannot be joined" },
	{ "-inologo", NULL, "there is no switch -inologo" },
	{ "-i -accepteulan", NULL, "there is no switch -accepteulan" },
	/* longest name wins: -dns is not -d -n -s */
	{ "-i -dns", "-i -dns", NULL },
	{ "-i -dns a,b", "-i -dns=a,b", NULL },
	/* a value is the next word; an optional one only when that is no switch */
	{ "-c -n", "-c -n", NULL },
	{ "-c rules.xml -nologo", "-c=rules.xml -nologo", NULL },
	{ "-i -h md5", "-i -h=md5", NULL },
	{ "-i -h", NULL, "-h needs a value" },
	{ "-i -h -n", NULL, "-h needs a value" },
	{ "-i -k", NULL, "-k needs a value" },
	{ "-i -g", NULL, "-g needs a value" },
	{ "-i -a", NULL, "-a needs a value" },
	{ "-btf", NULL, "-btf needs a value" },
	{ "-z", NULL, "-z needs a value" },
	/* neither switch nor value, unknown, twice */
	{ "-i rules.xml other", NULL, "'other' is neither a switch nor a value" },
	{ "-nologo rules.xml", NULL, "'rules.xml' is neither a switch nor a value" },
	{ "-in rules.xml", NULL, "'rules.xml' is neither a switch nor a value" },
	{ "-w", NULL, "there is no switch -w" },
	{ "-e", NULL, "there is no switch -e" },
	{ "-x", NULL, "there is no switch -x" },
	{ "-i -frobnicate", NULL, "there is no switch -frobnicate" },
	{ "-", NULL, "'-' is no switch" },
	{ "-i -n a -n b", NULL, "-n is given twice" },
	{ "-c a -c b", NULL, "-c is given twice" },
	{ "-nologo -s -nologo", "-s -nologo", NULL },
	/* -i, -c, -u, -m, -s and -z exclude one another */
	{ "-i -c rules.xml", NULL, "-i and -c exclude one another" },
	{ "-i -u", NULL, "-i and -u exclude one another" },
	{ "-c -s", NULL, "-c and -s exclude one another" },
	{ "-u -m", NULL, "-u and -m exclude one another" },
	{ "-m -s", NULL, "-m and -s exclude one another" },
	{ "-z clip -c", NULL, "-c and -z exclude one another" },
	/* values that are words */
	{ "-u force", "-u=force", NULL },
	{ "-u FORCE", "-u=FORCE", NULL },
	{ "-u gently", NULL, "-u takes no other value than 'force'" },
	{ "-t", "-t", NULL },
	{ "-t verbose", "-t=verbose", NULL },
	{ "-t loud", NULL, "-t takes no other value than 'verbose'" },
	{ "-? config", "-?=config", NULL },
	{ "-? rules", NULL, "-? takes no other value than 'config'" },
	{ "-s 4.91", "-s=4.91", NULL },
	{ "-s all", "-s=all", NULL },
	/* help */
	{ "-?", "-?", NULL },
	{ "-h", "-?", NULL },
	{ "-help", "-?", NULL },
	{ "-h config", "-?=config", NULL },
	{ "-nologo -?", "-nologo -?", NULL },
	{ "-nologo -help", NULL, "there is no switch -help" },
	{ "-? -i", NULL, "-? stands alone" },
	/* the defaults */
	{ "-c --", "-c --", NULL },
	{ "-c -- -nologo", "-c -nologo --", NULL },
	{ "-c -- -n", NULL, "specific settings cannot be combined" },
	{ "-c -- -h md5", NULL, "specific settings cannot be combined" },
	{ "-c rules.xml --", NULL, "specific settings cannot be combined" },
	{ "--", NULL, "-- must be used with -c" },
	{ "-i --", NULL, "-- must be used with -c" },
	/* settings need something to set */
	{ "-n", NULL, "nothing to do was given" },
	{ "-accepteula", NULL, "nothing to do was given" },
	{ "-u -n", NULL, "settings need -i or -c" },
	{ "-t -n", NULL, "settings need -i or -c" },
	{ "-i -d driver", "-i -d=driver", NULL },
	{ "-i -d ninechars", NULL, "more than 8 characters" },
	{ "-i -r", "-i -r", NULL },
	/* the foreground */
	{ "-t -i rules.xml", "-i=rules.xml -t", NULL },
	{ "-service", "-service", NULL },
	{ "-t -u", NULL, "-t and -u exclude one another" },
	{ "-service -s", NULL, "-service and -s exclude one another" },
	/* of ours */
	{ "-u -removelog", "-u -removelog", NULL },
	{ "-i -removelog", NULL, "-removelog must be used with -u" },
};

static void switches_are_understood_as_sysmon_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(switch_cases); i++) {
		const char *line = switch_cases[i].line;
		char copy[200], out[200], *words[WORDS_MAX];
		struct switches s;
		struct err e = { 0 };
		int count, r;

		snprintf(copy, sizeof(copy), "%s", line);
		count = words_of(copy, words);
		r = switches_parse(count, words, &s, &e);
		understood(&s, out, sizeof(out));
		if (!switch_cases[i].understood ? r == 0 : r != 0 || strcmp(out, switch_cases[i].understood) != 0)
			fail_msg("'%s' gave %d, %s (%s)", line, r, out, e.text);
		if (switch_cases[i].refused && !strstr(e.text, switch_cases[i].refused))
			fail_msg("'%s' is refused with '%s'", line, e.text);
	}
}

static const struct option_row rows[] = {
	{ "follow", 'f', NULL, ONCE, "" }, { "count", 'n', "N", ONCE, "" },
	{ "where", 'w', "C", OFTEN, "" },  { "no_pager", 0, NULL, ONCE, "" },
};
static const struct verb with_words = { "show", "[FILE]", "", NULL, rows, ARRAY_SIZE(rows) };
static const struct verb without = { "show", "", "", NULL, rows, ARRAY_SIZE(rows) };

static const struct { const char *line, *understood, *refused; } verb_cases[] = {
	{ "-f -n 5 file", "follow= count=5 | file", NULL },
	{ "-fn5 file", "follow= count=5 | file", NULL },
	{ "-n5 -f", "count=5 follow= |", NULL },
	{ "--count=5 --count-x", NULL, "has no option --count-x" },
	{ "--count 5 --no-pager", "count=5 no_pager= |", NULL },
	{ "--no_pager", NULL, "has no option --no_pager" },
	{ "--count=", "count= |", NULL },
	{ "--where a --where b", "where=a where=b |", NULL },
	{ "--count 1 --count 2", NULL, "--count is given twice" },
	{ "--count", NULL, "--count needs a value: N" },
	{ "-n", NULL, "-n needs a value: N" },
	{ "-n -f", "count=-f |", NULL },
	{ "-n --", "count=-- |", NULL },
	{ "--follow=yes", NULL, "--follow=yes takes no value" },
	{ "-q", NULL, "has no option -q" },
	{ "-- -f", "| -f", NULL },
	{ "- x", "| - x", NULL },
	{ "--help -f", "follow= help |", NULL },
};

static void describe(const struct arguments *a, char *out, size_t size)
{
	size_t n = 0;

	for (unsigned i = 0; i < a->given_count; i++)
		n += (size_t)snprintf(out + n, size - n, "%s=%s ", rows[a->given[i].option].name, a->given[i].value);
	n += (size_t)snprintf(out + n, size - n, "%s|", a->help ? "help " : "");
	for (unsigned i = 0; i < a->word_count; i++)
		n += (size_t)snprintf(out + n, size - n, " %s", a->words[i]);
}

static void arguments_of_verbs_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(verb_cases); i++) {
		char copy[200], out[200], *words[WORDS_MAX];
		struct arguments a;
		struct err e = { 0 };
		int count, r;

		snprintf(copy, sizeof(copy), "%s", verb_cases[i].line);
		count = words_of(copy, words);
		r = arguments_parse(&with_words, count, words, &a, &e);
		describe(&a, out, sizeof(out));
		if (verb_cases[i].understood ? r != 0 || strcmp(out, verb_cases[i].understood) != 0 :
					       !strstr(e.text, verb_cases[i].refused))
			fail_msg("'%s' gave '%s' (%s)", verb_cases[i].line, out, e.text);
		arguments_done(&a);
	}
}

static void a_verb_without_words_refuses_one(void **state)
{
	char *words[] = { (char[]){ "file" } };
	struct arguments a;
	struct err e = { 0 };

	(void)state;
	assert_true(arguments_parse(&without, 1, words, &a, &e) < 0);
	assert_non_null(strstr(e.text, "'konseki show' takes no 'file'"));
	arguments_done(&a);
}

#define SYSMON(inside) "<Sysmon schemaversion=\"4.91\">" inside "</Sysmon>\n"
#define GROUP(inside)  "<EventFiltering><RuleGroup groupRelation=\"or\">" inside "</RuleGroup></EventFiltering>"

static const struct { const char *line, *xml, *refused; } setting_cases[] = {
	{ "-i -h sha256,md5", SYSMON("<HashAlgorithms>sha256,md5</HashAlgorithms>" GROUP("")), NULL },
	{ "-i -h *", SYSMON("<HashAlgorithms>*</HashAlgorithms>" GROUP("")), NULL },
	{ "-i -h sha512", NULL, "sha512" },
	{ "-i -n", SYSMON(GROUP("<NetworkConnect onmatch=\"exclude\"/>")), NULL },
	{ "-i -n curl,/usr/bin/wget",
	  SYSMON(GROUP("<NetworkConnect onmatch=\"include\"><Image condition=\"image\">curl</Image>"
		       "<Image condition=\"image\">/usr/bin/wget</Image></NetworkConnect>")), NULL },
	{ "-i -l a,,b&c",
	  SYSMON(GROUP("<ImageLoad onmatch=\"include\"><Image condition=\"image\">a,b&amp;c</Image></ImageLoad>")), NULL },
	{ "-i -k sshd,a::b:0x1F,c:16",
	  SYSMON(GROUP("<ProcessAccess onmatch=\"include\">"
		       "<Rule groupRelation=\"and\"><TargetImage condition=\"image\">sshd</TargetImage></Rule>"
		       "<Rule groupRelation=\"and\"><TargetImage condition=\"image\">a:b</TargetImage>"
		       "<GrantedAccess condition=\"is\">0x1f</GrantedAccess></Rule>"
		       "<Rule groupRelation=\"and\"><TargetImage condition=\"image\">c</TargetImage>"
		       "<GrantedAccess condition=\"is\">0x10</GrantedAccess></Rule></ProcessAccess>")), NULL },
	{ "-i -k sshd:all", NULL, "'all' is no access mask" },
	{ "-i -g anything -dns",
	  SYSMON(GROUP("<DnsQuery onmatch=\"exclude\"/><PipeEvent onmatch=\"exclude\"/>")), NULL },
	{ "-i -r -a Kept -d drv",
	  SYSMON("<ArchiveDirectory>Kept</ArchiveDirectory><DriverName>drv</DriverName><CheckRevocation></CheckRevocation>"
		 GROUP("")), NULL },
	{ "-i -a a/b", NULL, "ArchiveDirectory" },
};

static int settings_of(const char *line, const char *file, FILE *warnings, char **xml, size_t *n, struct err *e)
{
	char copy[200], *words[WORDS_MAX];
	struct switches s;

	snprintf(copy, sizeof(copy), "%s", line);
	assert_int_equal(switches_parse(words_of(copy, words), words, &s, e), 0);
	return settings_to_xml(&s, file, warnings, xml, n, e);
}

static void settings_become_configuration_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(setting_cases); i++) {
		OWNED_HEAP char *xml = NULL;
		struct err e = { 0 };
		size_t n;
		int r = settings_of(setting_cases[i].line, NULL, stderr, &xml, &n, &e);

		if (setting_cases[i].xml) {
			assert_int_equal(r, 0);
			assert_string_equal(xml, setting_cases[i].xml);
			assert_int_equal(n, strlen(xml));
		} else if (r == 0 || !strstr(e.text, setting_cases[i].refused)) {
			fail_msg("'%s' gave %d (%s)", setting_cases[i].line, r, e.text);
		}
	}
}

/* What a configuration text means: its rules as -c prints them. */
static void meaning(const char *xml, size_t n, char *out, size_t size)
{
	OWNED(ruleset) rs = NULL;
	struct err e = { 0 };
	FILE *to = fmemopen(out, size, "w");

	if (ruleset_parse("merged", xml, n, &rs, NULL, &e) < 0)
		fail_msg("%s: %.*s", e.text, (int)n, xml);
	ruleset_dump(rs, to);
	fclose(to);
}

static size_t as_utf16(const char *text, bool big_endian, bool mark, char *out)
{
	size_t n = 0;

	if (mark) {
		out[n++] = (char)(big_endian ? 0xfe : 0xff);
		out[n++] = (char)(big_endian ? 0xff : 0xfe);
	}
	for (; *text; text++) {
		out[n++] = big_endian ? 0 : *text;
		out[n++] = big_endian ? *text : 0;
	}
	return n;
}

static const char *const files[] = {
	"<Sysmon schemaversion=\"4.90\"><EventFiltering><ProcessCreate onmatch=\"include\"><Image>a</Image>"
	"</ProcessCreate></EventFiltering></Sysmon>",
	"<?xml version=\"1.0\"?>\n<!-- <Sysmon schemaversion='1'> -->\n<Sysmon  schemaversion='4.90' >\n<EventFiltering>"
	"<ProcessCreate onmatch=\"include\"><Image>a</Image></ProcessCreate></EventFiltering>\n</Sysmon>\n<!-- </Sysmon> -->",
};
static const char empty[] = "<Sysmon schemaversion=\"4.90\"/>";

static void add_to_file(const char *bytes, size_t n, const char *wanted)
{
	char path[] = "/tmp/konseki-cli-test-XXXXXX", out[4000];
	OWNED_HEAP char *xml = NULL;
	struct err e = { 0 };
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
	r = settings_of("-c -n curl -h md5", path, stderr, &xml, &n, &e);
	unlink(path);
	if (r < 0)
		fail_msg("%s", e.text);
	meaning(xml, n, out, sizeof(out));
	if (!strstr(out, "NetworkConnect") || !strstr(out, "value: 'curl'") || (wanted && !strstr(out, wanted)))
		fail_msg("%s", out);
}

static void settings_are_added_to_a_file_of_any_encoding(void **state)
{
	char bytes[2000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		add_to_file(files[i], strlen(files[i]), "value: 'a'");
		for (int form = 0; form < 4; form++)
			add_to_file(bytes, as_utf16(files[i], form & 1, form & 2, bytes), "value: 'a'");
	}
	add_to_file(empty, strlen(empty), NULL);
	add_to_file(bytes, as_utf16(empty, false, true, bytes), NULL);
}

static void what_the_file_sets_itself_wins_and_that_is_said(void **state)
{
	static const char file[] = "<Sysmon schemaversion=\"4.90\"><HashAlgorithms>SHA1</HashAlgorithms><EventFiltering>"
				   "<NetworkConnect onmatch=\"include\"/></EventFiltering></Sysmon>";
	char path[] = "/tmp/konseki-cli-test-XXXXXX", said[400] = "";
	FILE *warnings = fmemopen(said, sizeof(said), "w");
	OWNED(ruleset) rs = NULL;
	OWNED_HEAP char *xml = NULL;
	struct err e = { 0 };
	int fd = mkstemp(path);
	size_t n;

	(void)state;
	assert_int_equal(write(fd, file, sizeof(file) - 1), sizeof(file) - 1);
	close(fd);
	assert_int_equal(settings_of("-c -h md5 -n -l x", path, warnings, &xml, &n, &e), 0);
	unlink(path);
	fclose(warnings);
	assert_non_null(strstr(said, "-h is overridden by HashAlgorithms in the configuration file"));
	assert_non_null(strstr(said, "-n is overridden by NetworkConnect in the configuration file"));
	assert_null(strstr(said, "-l"));
	assert_int_equal(ruleset_parse("merged", xml, n, &rs, NULL, &e), 0);
	assert_int_equal(ruleset_hashes(rs), HASH_SHA1);
	assert_false(ruleset_wants(rs, event_type_by_id(3)));
	assert_true(ruleset_wants(rs, event_type_by_id(7)));
}

static void a_file_that_is_refused_refuses_the_settings(void **state)
{
	OWNED_HEAP char *xml = NULL;
	struct err e = { 0 };
	size_t n;

	(void)state;
	assert_true(settings_of("-c -n", "/nonexistent/rules.xml", stderr, &xml, &n, &e) < 0);
	assert_non_null(strstr(e.text, "/nonexistent/rules.xml"));
}

static char *schema(const char *wanted)
{
	char *text = NULL;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	if (!schema_print(wanted, to)) {
		fclose(to);
		assert_int_equal(n, 0);
		free(text);
		return NULL;
	}
	fclose(to);
	return text;
}

static void the_schema_is_chosen_by_the_beginning_of_its_version(void **state)
{
	static const struct { const char *wanted; bool there; } versions[] = {
		{ NULL, true }, { "all", true }, { "4", true }, { "4.91", true }, { "4.90", false }, { "5", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		OWNED_HEAP char *text = schema(versions[i].wanted);

		assert_int_equal(text != NULL, versions[i].there);
	}
}

static void the_schema_has_every_event_field_option_and_condition(void **state)
{
	OWNED_HEAP char *text = schema(NULL);
	const char *p = text;

	(void)state;
	assert_non_null(strstr(text, "<manifest schemaversion=\"4.91\" binaryversion="));
	assert_non_null(strstr(text, "<option switch=\"i\" name=\"Install\" argument=\"optional\" noconfig=\"true\" exclusive=\"true\" />"));
	assert_non_null(strstr(text, "<option switch=\"k\" name=\"ProcessAccess\" argument=\"required\" rule=\"true\" forceconfig=\"true\" />"));
	assert_non_null(strstr(text, "<option name=\"FieldSizes\" argument=\"required\" />"));
	assert_non_null(strstr(text, "<filters default=\"is\">is,is not,"));
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++) {
		char wanted[200];

		snprintf(wanted, sizeof(wanted), "<event name=\"%s\" value=\"%u\" ", event_types[i].schema_name, event_types[i].id);
		p = strstr(p, wanted);
		assert_non_null(p);
		for (unsigned k = 0; k < event_types[i].field_count; k++) {
			snprintf(wanted, sizeof(wanted), "<data name=\"%s\" inType=\"win:", event_types[i].fields[k].name);
			p = strstr(p, wanted);
			assert_non_null(p);
		}
	}
	assert_non_null(strstr(text, "value=\"1\" level=\"Informational\" template=\"Process Create\" rulename=\"ProcessCreate\" ruledefault=\"include\" version=\"5\">"));
	assert_non_null(strstr(text, "value=\"255\" level=\"Error\" template=\"Error report\" version=\"3\">"));
	assert_non_null(strstr(text, "<data name=\"ProcessId\" inType=\"win:UInt32\" outType=\"win:PID\" />"));
	assert_non_null(strstr(text, "<data name=\"ProcessGuid\" inType=\"win:GUID\" />"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(switches_are_understood_as_sysmon_does),
		cmocka_unit_test(arguments_of_verbs_are_understood),
		cmocka_unit_test(a_verb_without_words_refuses_one),
		cmocka_unit_test(settings_become_configuration_text),
		cmocka_unit_test(settings_are_added_to_a_file_of_any_encoding),
		cmocka_unit_test(what_the_file_sets_itself_wins_and_that_is_said),
		cmocka_unit_test(a_file_that_is_refused_refuses_the_settings),
		cmocka_unit_test(the_schema_is_chosen_by_the_beginning_of_its_version),
		cmocka_unit_test(the_schema_has_every_event_field_option_and_condition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

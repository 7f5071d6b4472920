/* SPDX-License-Identifier: MIT */
/* Rule sets when memory runs out: each allocation fails once. Linked with --wrap for malloc and its kin. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <hs/hs.h>

#include "../../src/rules/ruleset.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);

static long until_failure = -1; /* allocations that still succeed; negative: all */
static unsigned long allocations;

static int fails_now(void)
{
	allocations++;
	return until_failure >= 0 && until_failure-- == 0;
}

void *__wrap_malloc(size_t n)
{
	return fails_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
	return fails_now() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails_now() ? NULL : __real_realloc(p, n);
}

/* With every kind of element, a DOCTYPE for the second reading, and more than one block of text. */
static char *configuration(size_t *n)
{
	static const char begin[] =
		"<!DOCTYPE Sysmon><Sysmon schemaversion=\"3.40\"><DriverName>x</DriverName>"
		"<EventFiltering><RuleGroup name=\"g\"><ProcessCreate onmatch=\"include\"><Rule name=\"r\"/>"
		"<Image condition=\"is any\" name=\"f\">a;b</Image>";
	static const char filter[] = "<CommandLine condition=\"contains\">0123456789</CommandLine>";
	static const char end[] = "</ProcessCreate></RuleGroup></EventFiltering></Sysmon>";
	char *text = malloc(sizeof(begin) + sizeof(filter) * 1000 + sizeof(end));
	char *at;

	assert_non_null(text);
	at = stpcpy(text, begin);
	for (int i = 0; i < 1000; i++)
		at = stpcpy(at, filter);
	at = stpcpy(at, end);
	*n = (size_t)(at - text);
	return text;
}

static void every_failed_allocation_is_reported_and_nothing_leaks(void **state)
{
	unsigned failures = 0;
	size_t n;
	char *text = configuration(&n);
	int r;

	(void)state;
	do {
		struct ruleset *rs = NULL;
		struct err e = { 0 };

		until_failure = failures;
		r = ruleset_parse("test", text, n, &rs, NULL, &e);
		until_failure = -1;
		assert_true(r == 0 || (r == -ENOMEM && e.code == ENOMEM && !rs));
		ruleset_free(rs);
		failures++;
	} while (r < 0);
	assert_true(failures > 10);
	free(text);
}

static void judging_allocates_nothing(void **state)
{
	static const char text[] =
		"<Sysmon schemaversion=\"4.90\"><EventFiltering><ProcessCreate onmatch=\"include\">"
		"<CommandLine condition=\"contains\">ß</CommandLine>"
		"<ProcessGuid condition=\"excludes\">x</ProcessGuid>"
		"</ProcessCreate></EventFiltering></Sysmon>";
	struct event ev = { .type = event_type_by_id(1) };
	int line = event_field_index(ev.type, "CommandLine", 11);
	struct ruleset *rs = NULL;
	const char *name;

	(void)state;
	assert_int_equal(ruleset_parse("test", text, sizeof(text) - 1, &rs, NULL, NULL), 0);
	ev.values[line] = (struct value){ .text = "aẞ", .length = 4 };
	allocations = 0;
	assert_true(ruleset_keeps(rs, &ev, &name));
	assert_int_equal(allocations, 0);
	ruleset_free(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failed_allocation_is_reported_and_nothing_leaks),
		cmocka_unit_test(judging_allocates_nothing),
	};

	hs_set_allocator(__wrap_malloc, free); /* what it keeps; what it needs for a moment it takes by itself */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

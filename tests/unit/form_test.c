/* SPDX-License-Identifier: MIT */
/* Batches that are no records: gaps and heartbeats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/forward/form.h"

static const struct identity identity = { .host = "h", .log = "1", .computer = "a\"b\\c" };

static void assert_contains(const struct batch *b, const char *text)
{
	if (!memmem(b->body, b->size, text, strlen(text)))
		fail_msg("'%.*s' lacks '%s'", (int)b->size, (const char *)b->body, text);
}

/* A gap's reason may be what a server answered, and a heartbeat names the machine. */
static void words_of_others_stay_inside_their_string(void **state)
{
	const struct sink_row row = { 0 };
	struct heartbeat beat = { .sequence = 1, .chain = (const uint8_t[32]){ 0 } };
	struct gap gap = { 5, 9, "refused (a\"},\"System\":{\\\033)", 1 };
	OWNED(builder) b = NULL;
	struct batch batch;
	char quotes[260];
	struct err e;

	(void)state;
	assert_int_equal(builder_new(&row, FORM_JSON, &identity, &b, &e), 0);
	assert_int_equal(builder_gap(b, &gap, &batch, &e), 0);
	assert_contains(&batch, "\"Reason\":\"refused (a\\\"},\\\"System\\\":{\\\\\\u001b)\"}}");
	assert_int_equal(builder_heartbeat(b, &beat, &batch, &e), 0);
	assert_contains(&batch, "\"Computer\":\"a\\\"b\\\\c\",");
	memset(quotes, '\033', sizeof(quotes) - 1);
	quotes[sizeof(quotes) - 1] = 0;
	gap.reason = quotes;
	assert_int_equal(builder_gap(b, &gap, &batch, &e), 0);
	assert_contains(&batch, "\\u001b\"}},\"System\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(words_of_others_stay_inside_their_string) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

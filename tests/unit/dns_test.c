/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <cmocka.h>

#include "../../src/enrich/dns.h"
#include "../../src/enrich/dns_message.h"

/* --- one message */

#define HEAD(flags, answers)   "\x12\x34" flags "\0\1\0" answers "\0\0\0\0"
#define EXAMPLE                "\7example\3org\0"
#define ASKS(name, type)       name "\0" type "\0\1"
#define ANSWER(type, data)     "\xc0\x0c\0" type "\0\1\0\0\0\x3c\0" data
#define BYTES(literal)         literal, sizeof(literal) - 1

static const struct {
	const char *bytes;
	size_t n;
	int r;
	const char *name, *results;
} messages[] = {
	{ BYTES(HEAD("\1\0", "\0") ASKS(EXAMPLE, "\1")), 0, "example.org", "" },
	{ BYTES(HEAD("\1\0", "\0") ASKS("\0", "\2")), 0, ".", "" },
	{ BYTES(HEAD("\x81\x80", "\1") ASKS(EXAMPLE, "\1") ANSWER("\1", "\4\1\2\3\4")), 0, "example.org",
	  "::ffff:1.2.3.4;" },
	/* an address of a wrong size is none */
	{ BYTES(HEAD("\x81\x80", "\1") ASKS(EXAMPLE, "\1") ANSWER("\1", "\3\1\2\3")), 0, "example.org",
	  "type:  1 \\# 3 010203;" },
	/* a dot or a backslash within a label, a semicolon in a text */
	{ BYTES(HEAD("\1\0", "\0") ASKS("\3a.b\2c\\\0", "\1")), 0, "a\\.b.c\\\\", "" },
	{ BYTES(HEAD("\x81\x80", "\1") ASKS(EXAMPLE, "\x10") ANSWER("\x10", "\6\2a;\2b\\")), 0, "example.org",
	  "type:  16 a\\;b\\\\;" },
	/* what ends too early shows what was whole */
	{ BYTES(HEAD("\x81\x80", "\2") ASKS(EXAMPLE, "\1") ANSWER("\1", "\4\1\2\3\4") ANSWER("\1", "\4\1\2")), 0,
	  "example.org", "::ffff:1.2.3.4;" },
	/* a name that reads on behind its record, one that points forward, one that points to itself */
	{ BYTES(HEAD("\x81\x80", "\1") ASKS(EXAMPLE, "\5") ANSWER("\5", "\2\3com\0")), 0, "example.org", "" },
	{ BYTES(HEAD("\x81\x80", "\1") ASKS(EXAMPLE, "\5") ANSWER("\5", "\2\xc0\xff")), 0, "example.org", "" },
	{ BYTES(HEAD("\1\0", "\0") "\xc0\x0c\0\1\0\1"), -EBADMSG, NULL, NULL },
	/* cut, no question, two questions, an update of the zone */
	{ BYTES("\x12\x34\1\0\0\1"), -EBADMSG, NULL, NULL },
	{ BYTES(HEAD("\1\0", "\0") "\7exam"), -EBADMSG, NULL, NULL },
	{ BYTES("\x12\x34\1\0\0\0\0\0\0\0\0\0"), -EBADMSG, NULL, NULL },
	{ BYTES("\x12\x34\1\0\0\2\0\0\0\0\0\0" ASKS(EXAMPLE, "\1") ASKS(EXAMPLE, "\1")), -EBADMSG, NULL, NULL },
	{ BYTES("\x12\x34\x28\0\0\1\0\0\0\0\0\0" ASKS(EXAMPLE, "\6")), -EBADMSG, NULL, NULL },
};

static void messages_are_read_as_far_as_they_are_whole(void **state)
{
	static struct dns_message m;

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		int r = dns_message_read((const uint8_t *)messages[i].bytes, messages[i].n, &m);

		if (r != messages[i].r)
			fail_msg("case %zu: %d", i, r);
		if (r < 0)
			continue;
		if (m.name_length != strlen(messages[i].name) || memcmp(m.name, messages[i].name, m.name_length) != 0)
			fail_msg("case %zu: name '%.*s'", i, (int)m.name_length, m.name);
		if (m.results_length != strlen(messages[i].results) ||
		    memcmp(m.results, messages[i].results, m.results_length) != 0)
			fail_msg("case %zu: results '%.*s'", i, (int)m.results_length, m.results);
	}
}

/* --- look-ups */

static char told[4096]; /* NAME STATUS RESULTS, one line each */
static struct dns *dns;

static void note(void *context, const struct ks_hdr *hdr)
{
	const struct ks_rec_DNS_QUERY *rec = (const void *)hdr;
	const char *bytes = (const void *)hdr;
	size_t n = strlen(told);

	(void)context;
	assert_int_equal(hdr->type, KS_DNS_QUERY);
	snprintf(told + n, sizeof(told) - n, "%.*s %.*s %.*s\n", rec->QueryName.len, bytes + rec->QueryName.off,
		 rec->QueryStatus.len, bytes + rec->QueryStatus.off, rec->QueryResults.len,
		 bytes + rec->QueryResults.off);
}

static int begin(void **state)
{
	struct dns_sink sink = { NULL, note };
	struct err e;

	(void)state;
	told[0] = '\0';
	return dns_new(&sink, &dns, &e);
}

static int end(void **state)
{
	(void)state;
	dns_free(dns);
	return 0;
}

static void packet(const struct ks_rec_DNS_PACKET *like, const void *bytes, size_t n)
{
	struct ks_rec_DNS_PACKET *p = calloc(1, sizeof(*p) + n);

	*p = *like;
	p->hdr.size = (uint32_t)(sizeof(*p) + n);
	p->hdr.who = (struct ks_who){ .tgid = 7, .start_ns = 1 };
	p->length = p->length ? p->length : (uint32_t)n;
	p->cookie = p->cookie ? p->cookie : 1;
	p->payload = (struct ks_text){ sizeof(*p), (uint16_t)n };
	memcpy(p + 1, bytes, n);
	dns_take(dns, p);
	free(p);
}

#define PACKET(literal, ...)                                                                              \
	packet(&(struct ks_rec_DNS_PACKET){ .transport = IPPROTO_UDP, __VA_ARGS__ }, BYTES(literal))
#define SEGMENT(literal, ...) PACKET(literal, .transport = IPPROTO_TCP, __VA_ARGS__)

#define QUESTION  HEAD("\1\0", "\0") ASKS(EXAMPLE, "\1")
#define ADDRESS   HEAD("\x81\x80", "\1") ASKS(EXAMPLE, "\1") ANSWER("\1", "\4\1\2\3\4")
#define TOO_LONG  HEAD("\x83\x80", "\0") ASKS(EXAMPLE, "\1")
#define WAS_ASKED "example.org 0 ::ffff:1.2.3.4;\n"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"

static void an_answer_belongs_to_its_socket_and_its_question(void **state)
{
	(void)state;
	PACKET(QUESTION, .sent = 1);
	PACKET(ADDRESS, .cookie = 2);
	PACKET(HEAD("\x81\x80", "\1") ASKS("\7elsewhr\3org\0", "\1") ANSWER("\1", "\4\6\6\6\6"));
	PACKET(HEAD("\x81\x80", "\1") ASKS(EXAMPLE, "\x1c") ANSWER("\1", "\4\6\6\6\6"));
	assert_string_equal(told, "");
	PACKET(ADDRESS);
	assert_string_equal(told, WAS_ASKED);
	PACKET(ADDRESS); /* repeated */
	dns_finish(dns);
	assert_string_equal(told, WAS_ASKED);
}

static void a_question_without_an_answer_is_told_after_its_time(void **state)
{
	(void)state;
	PACKET(QUESTION, .sent = 1, .hdr.time_ns = 1000);
	dns_tick(dns, 1000 + DNS_WAIT_NS - 1);
	assert_string_equal(told, "");
	PACKET(QUESTION, .sent = 1, .hdr.time_ns = 2000); /* sent again */
	dns_tick(dns, 1000 + DNS_WAIT_NS);
	assert_string_equal(told, "");
	dns_tick(dns, 2000 + DNS_WAIT_NS);
	assert_string_equal(told, "example.org 1460 \n");
}

static void what_did_not_fit_goes_on_over_tcp(void **state)
{
	(void)state;
	PACKET(QUESTION, .sent = 1);
	PACKET(TOO_LONG);
	assert_string_equal(told, "");
	SEGMENT("\0\x1d" QUESTION, .sent = 1, .cookie = 2);
	SEGMENT("\0\x2d" ADDRESS, .cookie = 2);
	assert_string_equal(told, WAS_ASKED);
	/* or ends with what there was */
	PACKET(QUESTION, .sent = 1);
	PACKET(TOO_LONG);
	dns_finish(dns);
	assert_string_equal(told, WAS_ASKED "example.org 9501 \n");
}

static void streams_are_put_together(void **state)
{
	struct dns_tally t;

	(void)state;
	SEGMENT("\0", .sent = 1, .sequence = 100);
	SEGMENT("\x1d" HEAD("\1\0", "\0"), .sent = 1, .sequence = 101);
	SEGMENT("\x1d" HEAD("\1\0", "\0"), .sent = 1, .sequence = 101); /* sent again */
	SEGMENT(ASKS(EXAMPLE, "\1"), .sent = 1, .sequence = 114);
	SEGMENT("\0\x2d" ADDRESS, .sequence = 5000);
	assert_string_equal(told, WAS_ASKED);
	/* a gap ends the stream, */
	SEGMENT("\0\x1d" QUESTION, .sent = 1, .sequence = 200);
	SEGMENT("\0\x1d" QUESTION, .sent = 1, .sequence = 131);
	dns_finish(dns);
	assert_string_equal(told, WAS_ASKED);
	/* a cut message does not */
	SEGMENT("\0\xff" QUESTION, .sent = 1, .cookie = 9, .length = 257, .sequence = 0);
	SEGMENT("\0\x1d" QUESTION, .sent = 1, .cookie = 9, .sequence = 257);
	SEGMENT("\0\x2d" ADDRESS, .cookie = 9);
	assert_string_equal(told, WAS_ASKED WAS_ASKED);
	dns_tally(dns, &t);
	assert_int_equal(t.opened, t.told);
	assert_int_equal(t.broken, 1);
}

static void datagrams_sent_together_are_several(void **state)
{
	(void)state;
	PACKET(QUESTION HEAD("\1\0", "\0") ASKS("\7another\3org\0", "\1"), .sent = 1, .segment = sizeof(QUESTION) - 1);
	dns_finish(dns);
	assert_string_equal(told, "example.org - \nanother.org - \n");
}

static void more_than_there_is_room_for_are_told_early(void **state)
{
	struct dns_tally t;

	(void)state;
	for (unsigned i = 0; i < DNS_LOOKUPS + 3; i++)
		PACKET(QUESTION, .sent = 1, .cookie = 1 + i);
	assert_string_equal(told, "example.org - \nexample.org - \nexample.org - \n");
	dns_tally(dns, &t);
	assert_int_equal(t.crowded, 3);
	assert_int_equal(t.opened, DNS_LOOKUPS + 3);
	for (unsigned i = 0; i < 3 * DNS_STREAMS; i++)
		SEGMENT("\0", .sent = 1, .cookie = 1 + i);
	dns_tally(dns, &t);
	assert_int_equal(t.broken, 2 * DNS_STREAMS);
}

#pragma GCC diagnostic pop

#define IN_TURN(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_read_as_far_as_they_are_whole),
		IN_TURN(an_answer_belongs_to_its_socket_and_its_question),
		IN_TURN(a_question_without_an_answer_is_told_after_its_time),
		IN_TURN(what_did_not_fit_goes_on_over_tcp),
		IN_TURN(streams_are_put_together),
		IN_TURN(datagrams_sent_together_are_several),
		IN_TURN(more_than_there_is_room_for_are_told_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

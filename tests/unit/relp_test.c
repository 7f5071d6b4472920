/* SPDX-License-Identifier: MIT */
/* Frames of RELP, and addresses of collectors. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/base/own.h"
#include "../../src/forward/address.h"
#include "../../src/forward/relp.h"

static const struct {
	const char *bytes;
	int length; /* of the frame; 0: not complete; -EBADMSG */
	uint32_t number;
	enum relp_command command;
	unsigned code;
	const char *text;
} answers[] = {
	{ "2 rsp 6 200 OK\n", 15, 2, RELP_RSP, 200, "OK" },
	{ "2 rsp 6 200 OK\n3 rsp", 15, 2, RELP_RSP, 200, "OK" },
	{ "2 rsp 3 200\n", 12, 2, RELP_RSP, 200, "" },
	{ "999999999 rsp 9 500 A\nB C\n", 26, 999999999, RELP_RSP, 500, "A\nB C" },
	{ "2 rsp 4 2000\n", 13, 2, RELP_RSP, 0, "2000" }, /* no code */
	{ "2 rsp 2 OK\n", 11, 2, RELP_RSP, 0, "OK" },
	{ "2 rsp 0\n", 8, 2, RELP_RSP, 0, "" },
	{ "2 rsp 0 \n", 9, 2, RELP_RSP, 0, "" },
	{ "0 serverclose 0\n", 16, 0, RELP_SERVERCLOSE, 0, "" },
	{ "7 syslog 3 200\n", 15, 7, RELP_OTHER, 0, "200" },
	{ "", 0, 0, 0, 0, NULL },
	{ "2", 0, 0, 0, 0, NULL },
	{ "2 rs", 0, 0, 0, 0, NULL },
	{ "2 rsp 6", 0, 0, 0, 0, NULL },
	{ "2 rsp 6 200 OK", 0, 0, 0, 0, NULL },
	{ "1000000000 rsp", -EBADMSG, 0, 0, 0, NULL }, /* ten digits */
	{ " rsp 0\n", -EBADMSG, 0, 0, 0, NULL },
	{ "-1 rsp 0\n", -EBADMSG, 0, 0, 0, NULL },
	{ "2\nrsp", -EBADMSG, 0, 0, 0, NULL },
	{ "2  0\n", -EBADMSG, 0, 0, 0, NULL },
	{ "2 r3p 0\n", -EBADMSG, 0, 0, 0, NULL },
	{ "2 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -EBADMSG, 0, 0, 0, NULL }, /* 33 letters */
	{ "2 rsp 6\n", -EBADMSG, 0, 0, 0, NULL }, /* and no data */
	{ "2 rsp 4097 ", -EBADMSG, 0, 0, 0, NULL },
	{ "2 rsp 6 200 OKx", -EBADMSG, 0, 0, 0, NULL },
	{ "HTTP/1.1 400 Bad Request\r\n", -EBADMSG, 0, 0, 0, NULL },
};

static void answers_are_read_as_the_protocol_says(void **state)
{
	struct relp_answer a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		int n = relp_parse(answers[i].bytes, strlen(answers[i].bytes), &a);

		if (n != answers[i].length)
			fail_msg("case %zu '%s': %d", i, answers[i].bytes, n);
		if (n > 0 && (a.number != answers[i].number || a.command != answers[i].command || a.code != answers[i].code ||
			      a.text_size != strlen(answers[i].text) || memcmp(a.text, answers[i].text, a.text_size) != 0))
			fail_msg("case %zu '%s': %u %u %u '%.*s'", i, answers[i].bytes, a.number, a.command, a.code,
				 (int)a.text_size, a.text);
	}
}

static void an_answer_of_the_greatest_length_is_read_and_a_longer_one_is_none(void **state)
{
	static char frame[RELP_ANSWER_MAX + 100];
	struct relp_answer a;
	int head = snprintf(frame, sizeof(frame), "1 rsp %u ", RELP_ANSWER_MAX - 12);

	(void)state;
	memset(frame + head, 'x', sizeof(frame) - (size_t)head);
	assert_int_equal(relp_parse(frame, RELP_ANSWER_MAX - 1, &a), 0);
	frame[RELP_ANSWER_MAX - 1] = '\n';
	assert_int_equal(relp_parse(frame, RELP_ANSWER_MAX, &a), RELP_ANSWER_MAX);
	head = snprintf(frame, sizeof(frame), "1 rsp %u ", RELP_ANSWER_MAX - 11);
	memset(frame + head, 'x', sizeof(frame) - (size_t)head);
	frame[RELP_ANSWER_MAX] = '\n';
	assert_int_equal(relp_parse(frame, RELP_ANSWER_MAX + 1, &a), -EBADMSG);
}

static const struct {
	const char *offers;
	bool takes;
} offers[] = {
	{ "200 OK\nrelp_version=0\nrelp_software=librelp,1.11.0,http://librelp.adiscon.com\ncommands=syslog", true },
	{ "200 OK\ncommands=a,syslog,b\nx=", true },
	{ "200 OK\ncommands=syslogs,asyslog", false },
	{ "200 OK\ncommands=", false },
	{ "200 OK\nxcommands=syslog", false },
	{ "200 OK\n", false },
	{ "200", false },
};

static void a_server_that_takes_syslog_is_known_by_its_offers(void **state)
{
	struct relp_answer a;
	char frame[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
		int n = snprintf(frame, sizeof(frame), "1 rsp %zu %s\n", strlen(offers[i].offers), offers[i].offers);

		assert_int_equal(relp_parse(frame, (size_t)n, &a), n);
		if (a.code != 200 || relp_takes_syslog(&a) != offers[i].takes)
			fail_msg("case %zu: '%s'", i, offers[i].offers);
	}
}

static const struct {
	const char *text, *scheme, *host, *port, *rest; /* scheme NULL: no address */
} addresses[] = {
	{ "tcp://log.example:514", "tcp", "log.example", "514", "" },
	{ "relps://10.0.0.1:65535", "relps", "10.0.0.1", "65535", "" },
	{ "tls://[2001:db8::1]:6514", "tls", "2001:db8::1", "6514", "" },
	{ "kafka://a:1,b:2/topic", "kafka", "a", "1", ",b:2/topic" },
	{ "tcp://log.example", NULL, NULL, NULL, NULL },
	{ "tcp://log.example:", NULL, NULL, NULL, NULL },
	{ "tcp://log.example:0", NULL, NULL, NULL, NULL },
	{ "tcp://log.example:65536", NULL, NULL, NULL, NULL },
	{ "tcp://log.example:5141414", NULL, NULL, NULL, NULL },
	{ "tcp://log.example:514x", NULL, NULL, NULL, NULL },
	{ "tcp://:514", NULL, NULL, NULL, NULL },
	{ "tcp://[2001:db8::1:6514", NULL, NULL, NULL, NULL },
	{ "tcp://user@log.example:514", NULL, NULL, NULL, NULL },
	{ "log.example:514", NULL, NULL, NULL, NULL },
	{ "://log.example:514", NULL, NULL, NULL, NULL },
	{ "", NULL, NULL, NULL, NULL },
};

static void addresses_are_a_scheme_a_host_and_a_port(void **state)
{
	struct address a;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		int r = address_from_text(addresses[i].text, &a, &e);

		if (r != (addresses[i].scheme ? 0 : -EBADMSG))
			fail_msg("'%s': %d", addresses[i].text, r);
		if (r == 0 && (strcmp(a.scheme, addresses[i].scheme) != 0 || strcmp(a.host, addresses[i].host) != 0 ||
			       strcmp(a.port, addresses[i].port) != 0 || strcmp(a.rest, addresses[i].rest) != 0))
			fail_msg("'%s': %s %s %s %s", addresses[i].text, a.scheme, a.host, a.port, a.rest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_read_as_the_protocol_says),
		cmocka_unit_test(an_answer_of_the_greatest_length_is_read_and_a_longer_one_is_none),
		cmocka_unit_test(a_server_that_takes_syslog_is_known_by_its_offers),
		cmocka_unit_test(addresses_are_a_scheme_a_host_and_a_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

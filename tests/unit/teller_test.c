/* SPDX-License-Identifier: MIT */
/* Events as text, sent to listeners of our own in the place of syslog and the journal. Needs root, as the service does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../src/daemon/teller.h"
#include "../../src/log/log.h"

#define ANSWER_MS 15000

static char folder[] = "/tmp/konseki-teller-XXXXXX";
static char log_path[64], sockets[TOLD_OUTPUTS][64];
static struct settings settings;
static struct tellers tellers;
static struct log *events;
static uint64_t newest;
static int fd; /* of the log, for tellers_begin() */

static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	unlink(path);
	if (s < 0 || bind(s, (const struct sockaddr *)&a, sizeof(a)) < 0)
		fail_msg("no listener");
	return s;
}

static void append(unsigned count)
{
	struct event ev = { .type = event_type_by_id(11), .time_utc_ns = 1795490057123456700 };
	const int name = event_field_index(ev.type, "TargetFilename", strlen("TargetFilename"));
	char text[2001];

	memset(text, 'x', sizeof(text));
	for (unsigned i = 0; i < ev.type->field_count; i++)
		ev.values[i] = (struct value){ .text = "-", .length = 1 };
	for (unsigned i = 0; i < count; i++) {
		ev.values[name].text = text;
		ev.values[name].length = (uint32_t)(i % 5 ? 30 : sizeof(text));
		snprintf(text, 20, "/tmp/%09u", (unsigned)newest + 1);
		text[14] = 'x';
		assert_int_equal(log_append(events, &ev, &newest), 0);
	}
	assert_int_equal(log_flush(events, 0), 0);
}

static int begin(void **state)
{
	const struct log_options o = { .size_max = EVTX_FILE_HEADER_SIZE + 4 * EVTX_CHUNK_SIZE,
				       .who = { "host", 1, 1, 0 } };

	(void)state;
	newest = 0;
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	if (!mkdtemp(folder))
		return -1;
	snprintf(log_path, sizeof(log_path), "%s/log.evtx", folder);
	for (unsigned i = 0; i < TOLD_OUTPUTS; i++)
		snprintf(sockets[i], sizeof(sockets[i]), "%s/%s", folder, told_names[i]);
	fd = open(log_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (log_open_take(dup(fd), &o, &events, NULL) < 0)
		return -1;
	append(3); /* before the service: not told */
	if (settings_load("/nonexistent", &settings, NULL) < 0 || tellers_init(&tellers, &settings, log_path) < 0)
		return -1;
	for (unsigned i = 0; i < TOLD_OUTPUTS; i++)
		tellers.sockets[i] = sockets[i];
	return 0;
}

static int end(void **state)
{
	(void)state;
	tellers_end(&tellers);
	log_free(events);
	close(fd);
	unlink(log_path);
	for (unsigned i = 0; i < TOLD_OUTPUTS; i++)
		unlink(sockets[i]);
	return rmdir(folder);
}

static void start(unsigned output)
{
	tellers.told[output].on = 1;
	tellers_begin(&tellers, fd);
}

/* The next datagram, NUL-terminated; NULL: none came. */
static const char *receive(int listener)
{
	static char text[70000];
	struct pollfd p = { .fd = listener, .events = POLLIN };
	ssize_t n;

	for (unsigned waited = 0; waited < ANSWER_MS; waited += 100) {
		tellers_look_after(&tellers);
		if (poll(&p, 1, 100) <= 0)
			continue;
		n = recv(listener, text, sizeof(text) - 1, 0);
		text[n < 0 ? 0 : n] = 0;
		return text;
	}
	return NULL;
}

static uint64_t id_in(const char *text)
{
	const char *at = text ? strstr(text, "<EventRecordID>") : NULL;

	return at ? strtoull(at + strlen("<EventRecordID>"), NULL, 10) : 0;
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t r;

	assert_non_null(text);
	assert_int_equal(regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&r, text, 0, NULL, 0) != 0)
		fail_msg("'%s' is not '%s'", text, pattern);
	regfree(&r);
}

#define EVENT                                                                                                          \
	"<Event><System><Provider Name=\"Linux-Sysmon\" Guid=\"[{]ff032593-a8d3-4f13-b0d6-01fc615a0f97[}]\"/>"          \
	"<EventID>11</EventID>.*<Channel>Linux-Sysmon/Operational</Channel><Computer>host</Computer>"                  \
	"<Security UserId=\"0\"/></System><EventData><Data Name=\"RuleName\">-</Data>.*</EventData></Event>"

static void syslog_gets_each_event_once_as_one_line(void **state)
{
	int listener = listen_at(sockets[TOLD_SYSLOG]);

	(void)state;
	start(TOLD_SYSLOG);
	append(20);
	for (uint64_t id = 4; id <= 23; id++) {
		const char *text = receive(listener);

		assert_int_equal(id_in(text), id);
		assert_matches(text, "^<14>[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} konseki: " EVENT "$");
	}
	close(listener);
}

static void the_journal_gets_fields(void **state)
{
	int listener = listen_at(sockets[TOLD_JOURNAL]);

	(void)state;
	snprintf(settings.text_ident, sizeof(settings.text_ident), "sysmon");
	start(TOLD_JOURNAL);
	append(1);
	assert_matches(receive(listener),
		       "^PRIORITY=6\nSYSLOG_FACILITY=1\nSYSLOG_IDENTIFIER=sysmon\nMESSAGE=" EVENT "\n$");
	close(listener);
}

static void a_line_is_as_long_as_it_may_be(void **state)
{
	int listener = listen_at(sockets[TOLD_SYSLOG]);
	const char *text;

	(void)state;
	settings.text_length = 1500;
	start(TOLD_SYSLOG);
	append(1);
	text = receive(listener);
	assert_matches(text, "TargetFilename\">/tmp/000000004x+[.][.][.]</Data><Data Name=\"CreationUtcTime\">.*</Event>$");
	text = strstr(text, "<Event>");
	assert_true(strlen(text) + 1 <= 1500 && strlen(text) + 1 > 1490);
	close(listener);
}

static void who_does_not_listen_holds_up_nothing_and_what_it_missed_is_counted(void **state)
{
	int listener = listen_at(sockets[TOLD_SYSLOG]);
	struct told *told = &tellers.told[TOLD_SYSLOG];
	uint64_t last = 3, gaps = 0;

	(void)state;
	start(TOLD_SYSLOG);
	/* More than the socket and the log hold; appending does not wait for anybody. */
	for (unsigned i = 0; i < 50; i++)
		append(40);
	for (unsigned waited = 0; !told->waits && waited < ANSWER_MS; waited += 10)
		usleep(10000);
	assert_true(told->waits);
	for (unsigned i = 0; i < 50; i++)
		append(40);
	while (last < newest) {
		uint64_t id = id_in(receive(listener));

		assert_true(id > last);
		gaps += id - last - 1;
		last = id;
	}
	assert_true(gaps > 1000);
	assert_int_equal(told->missed, gaps);
	for (unsigned waited = 0; told->sent + gaps < newest - 3 && waited < ANSWER_MS; waited += 10)
		usleep(10000); /* what was sent is counted a moment later */
	assert_int_equal(told->sent + told->missed, newest - 3);
	close(listener);
}

static void who_comes_back_gets_what_came_meanwhile(void **state)
{
	int listener = listen_at(sockets[TOLD_SYSLOG]);

	(void)state;
	start(TOLD_SYSLOG);
	append(1);
	assert_int_equal(id_in(receive(listener)), 4);
	close(listener);
	append(5);
	usleep(200000);
	tellers_look_after(&tellers);
	listener = listen_at(sockets[TOLD_SYSLOG]);
	append(5);
	for (uint64_t id = 5; id <= 14; id++)
		assert_int_equal(id_in(receive(listener)), id);
	assert_int_equal(tellers.told[TOLD_SYSLOG].missed, 0);
	close(listener);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(syslog_gets_each_event_once_as_one_line),
		IN_A_FOLDER(the_journal_gets_fields),
		IN_A_FOLDER(a_line_is_as_long_as_it_may_be),
		IN_A_FOLDER(who_does_not_listen_holds_up_nothing_and_what_it_missed_is_counted),
		IN_A_FOLDER(who_comes_back_gets_what_came_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Syslog (RFC 5424) over TCP (RFC 6587, octet counting), TLS (RFC 5425) or RELP, to a collector.
 *
 * Only RELP says of a message that it was taken. Of the others we know no more than that the other system's kernel has
 * acknowledged the bytes: that is waited for, so that a cut network loses nothing, and the first batch of each connection
 * is believed only when the other side has not closed it for a while: with TLS 1.3 a server that does not want our
 * certificate says so after it let us send. What its kernel had when a collector died is lost nevertheless. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../base/clock.h"
#include "../base/own.h"
#include "address.h"
#include "relp.h"
#include "sink.h"
#include "stream.h"

#define OPEN_MS    10000
#define SEND_MS    20000
#define DOUBT_MS   1000        /* how long a new connection may still be refused */
#define ITEMS_MAX  10000u
#define WINDOW     1024u       /* messages of RELP that wait for an answer; those fit into any socket's buffer */
#define OUT_SIZE   65536u
#define MARKS_MAX  256u
#define STRAY_MAX  65536u      /* bytes that somebody may send who has nothing to say */
/* Facility "user", as the text form to the local syslog has it. */
#define FACILITY   1u
/* 32473 is the enterprise number that RFC 5612 sets aside for examples: we have none of our own. */
#define SD_ID      "konseki@32473"
#define HEADER_MAX 900u

/* So many items ended where the connection had been given so many bytes. */
struct mark {
	uint64_t given;
	unsigned items;
};

struct sink {
	const struct forward_target *target;
	const struct identity *id;
	struct address address;
	struct stream *stream;
	bool relp;
	bool proven; /* something was sent on this connection and not refused */
	char computer[256];
	char out[OUT_SIZE];
	size_t used;
	/* of the batch that is sent */
	uint64_t until;
	unsigned put; /* items that are in `out` or behind it as a whole */
	struct mark marks[MARKS_MAX];
	unsigned mark_count;
	/* RELP */
	uint32_t number;       /* of the frame sent last */
	unsigned sent;         /* items of this batch whose number was used, from number_first on */
	uint32_t number_first;
	uint8_t answered[ITEMS_MAX];
	unsigned open_answers;
	unsigned refused; /* the first item that was not taken */
	bool later_taken; /* one behind it was */
	uint64_t refused_id;
	char in[RELP_ANSWER_MAX + 1];
	size_t in_used;
	char refusal[100];
};

/* --- the message */

static unsigned severity_of(unsigned level)
{
	static const uint8_t severities[] = { 6, 2, 3, 4, 6, 7 };

	return level < ARRAY_SIZE(severities) ? severities[level] : 6;
}

static void time_text(uint64_t utc_ns, char *out, size_t size)
{
	time_t seconds = (time_t)(utc_ns / 1000000000u);
	struct tm tm = { 0 };
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, size - n, ".%06uZ", (unsigned)(utc_ns % 1000000000u / 1000u));
}

static size_t put_number(char *out, size_t size, const char *name, uint64_t value)
{
	out[0] = 0;
	return value ? (size_t)snprintf(out, size, " %s=\"%" PRIu64 "\"", name, value) : 0;
}

/* What names the item in the structured data. */
static void key_text(const struct batch *b, const struct item *item, char *out, size_t size)
{
	size_t n;

	if (b->kind == BATCH_GAP) {
		n = put_number(out, size, "first", b->first_id);
		put_number(out + n, size - n, "last", b->last_id);
	} else
		put_number(out, size, "id", item->record_id);
}

static size_t header(const struct sink *s, const struct batch *b, const struct item *item, char out[HEADER_MAX])
{
	static const char *const kinds[] = { "event", "gap", "heartbeat", "test" };
	char when[40], key[80], what[16];

	time_text(item->utc_ns ? item->utc_ns : b->utc_ns, when, sizeof(when));
	key_text(b, item, key, sizeof(key));
	if (b->kind == BATCH_EVENTS)
		snprintf(what, sizeof(what), "%u", item->event_id);
	return (size_t)snprintf(out, HEADER_MAX, "<%u>1 %s %s konseki - %s [" SD_ID " host=\"%s\" log=\"%s\"%s] ",
				FACILITY * 8 + severity_of(item->level), when, s->computer,
				b->kind == BATCH_EVENTS ? what : kinds[b->kind], s->id->host, s->id->log, key);
}

/* --- bytes on their way */

static void mark(struct sink *s)
{
	struct mark *last = s->mark_count ? &s->marks[s->mark_count - 1] : NULL;

	if (!last || s->mark_count < MARKS_MAX)
		last = &s->marks[s->mark_count++];
	*last = (struct mark){ stream_given(s->stream), s->put };
}

static int flush(struct sink *s, struct err *e)
{
	int r = stream_write(s->stream, s->out, s->used, s->until, e);

	s->used = 0;
	if (r == 0)
		mark(s);
	return r;
}

static int put(struct sink *s, const void *bytes, size_t n, struct err *e)
{
	const char *at = bytes;
	int r;

	while (n > 0) {
		size_t part = OUT_SIZE - s->used < n ? OUT_SIZE - s->used : n;

		memcpy(s->out + s->used, at, part);
		s->used += part;
		at += part;
		n -= part;
		if (s->used == OUT_SIZE && (r = flush(s, e)) < 0)
			return r;
	}
	return 0;
}

static int put_message(struct sink *s, const struct batch *b, unsigned i, struct err *e)
{
	size_t from = i ? b->items[i - 1].end : 0, n = b->items[i].end - from, before, head_size;
	char head[HEADER_MAX], frame[RELP_HEAD_MAX];
	int r;

	before = header(s, b, &b->items[i], head);
	if (s->relp)
		head_size = relp_head(frame, ++s->number, "syslog", before + n);
	else
		head_size = (size_t)snprintf(frame, sizeof(frame), "%zu ", before + n);
	r = put(s, frame, head_size, e);
	if (r == 0)
		r = put(s, head, before, e);
	if (r == 0)
		r = put(s, b->body + from, n, e);
	if (r == 0 && s->relp)
		r = put(s, "\n", 1, e);
	if (r == 0)
		s->put++;
	return r;
}

/* --- without acknowledgement */

/* Is the other side still there? Waits for its farewell until then. */
static int listen_for_end(struct sink *s, uint64_t until, struct err *e)
{
	size_t stray = 0;
	char bytes[1024];
	ssize_t n;

	while ((n = stream_read(s->stream, bytes, sizeof(bytes), until, e)) > 0) {
		stray += (size_t)n;
		if (stray > STRAY_MAX)
			return err_set(e, EBADMSG, "%s:%s sends what nobody asked for", s->address.host, s->address.port);
	}
	return (int)n;
}

/* Until the other system has acknowledged everything. */
static int wait_until_taken(struct sink *s, struct err *e)
{
	unsigned pause_ms = 0;
	int r;

	while (stream_taken(s->stream) < stream_given(s->stream)) {
		uint64_t now = now_ms();

		if (now >= s->until)
			return err_set(e, ETIMEDOUT, "sending to %s:%s", s->address.host, s->address.port);
		r = listen_for_end(s, now + pause_ms, e);
		if (r < 0)
			return r;
		if (pause_ms < 20)
			pause_ms++;
	}
	return 0;
}

static unsigned taken_items(const struct sink *s)
{
	uint64_t taken = stream_taken(s->stream);
	unsigned items = 0;

	for (unsigned i = 0; i < s->mark_count; i++)
		if (s->marks[i].given <= taken)
			items = s->marks[i].items;
	return items;
}

static int send_plain(struct sink *s, const struct batch *b, struct err *e)
{
	int r = 0;

	s->put = s->mark_count = 0;
	for (unsigned i = 0; r == 0 && i < b->count; i++)
		r = put_message(s, b, i, e);
	if (r == 0)
		r = flush(s, e);
	if (r == 0)
		r = wait_until_taken(s, e);
	if (r == 0)
		r = listen_for_end(s, s->proven ? 0 : now_ms() + DOUBT_MS, e);
	return r;
}

static unsigned confirmed_plain(const struct sink *s, const struct batch *b, int r)
{
	if (r == 0)
		return b->count;
	/* Slow is not dead. Of a connection that broke, or that nothing is known about, nothing is believed. */
	return r == -ETIMEDOUT && s->proven ? taken_items(s) : 0;
}

/* --- RELP */

static int relp_fault(const struct sink *s, struct err *e, const char *what)
{
	return err_set(e, EBADMSG, "%s:%s does not keep to RELP: %s", s->address.host, s->address.port, what);
}

static void note_refusal(struct sink *s, const struct relp_answer *a, unsigned i)
{
	if (i > s->refused)
		return;
	s->refused = i;
	snprintf(s->refusal, sizeof(s->refusal), "%u %.*s", a->code, (int)(a->text_size < 80 ? a->text_size : 80), a->text);
	for (char *at = s->refusal; *at; at++) /* a stranger's words, to be shown on a terminal */
		if (*at < ' ' || *at > '~')
			*at = '?';
}

static int take_answer(struct sink *s, const struct relp_answer *a, struct err *e)
{
	uint32_t i = a->number - s->number_first;

	if (a->command == RELP_SERVERCLOSE)
		return err_set(e, EBADMSG, "%s:%s ends the session", s->address.host, s->address.port), -EPIPE;
	if (a->command != RELP_RSP)
		return relp_fault(s, e, "a command where an answer is expected");
	if (a->number < s->number_first || i >= s->sent || s->answered[i])
		return relp_fault(s, e, "an answer to what was not sent");
	if (a->code == 0)
		return relp_fault(s, e, "an answer without a code");
	s->answered[i] = a->code == 200 ? 1 : 2;
	s->open_answers--;
	if (a->code != 200)
		note_refusal(s, a, i);
	else if (i > s->refused)
		s->later_taken = true;
	return 0;
}

/* Reads what is there, waiting until then if nothing is. Frames that have arrived: their number, 0, -errno. */
static int read_answers(struct sink *s, uint64_t until, int (*take)(struct sink *, const struct relp_answer *, struct err *),
			struct err *e)
{
	struct relp_answer a;
	size_t at = 0;
	int size, frames = 0, r = 0;
	ssize_t n = stream_read(s->stream, s->in + s->in_used, sizeof(s->in) - s->in_used, until, e);

	if (n <= 0)
		return (int)n;
	s->in_used += (size_t)n;
	while (r == 0 && (size = relp_parse(s->in + at, s->in_used - at, &a)) != 0) {
		if (size < 0)
			return relp_fault(s, e, "no frame");
		r = take(s, &a, e);
		at += (size_t)size;
		frames++;
	}
	s->in_used -= at;
	memmove(s->in, s->in + at, s->in_used);
	if (s->in_used == sizeof(s->in))
		return relp_fault(s, e, "an endless frame");
	return r < 0 ? r : frames;
}

static int take_offers(struct sink *s, const struct relp_answer *a, struct err *e)
{
	if (a->command != RELP_RSP || a->number != s->number || a->code == 0)
		return relp_fault(s, e, "no answer to our greeting");
	if (a->code != 200)
		return err_set(e, EBADMSG, "%s:%s wants no session with us (%u)", s->address.host, s->address.port, a->code);
	if (!relp_takes_syslog(a))
		return err_set(e, EBADMSG, "%s:%s does not offer to take syslog", s->address.host, s->address.port);
	return 0;
}

static int relp_greet(struct sink *s, uint64_t until, struct err *e)
{
	static const char offers[] = "relp_version=0\nrelp_software=konseki," KONSEKI_VERSION "\ncommands=syslog";
	char frame[RELP_HEAD_MAX + sizeof(offers) + 1];
	size_t n;
	int r;

	s->number = 1;
	s->in_used = 0;
	n = relp_head(frame, s->number, "open", sizeof(offers) - 1);
	n += (size_t)snprintf(frame + n, sizeof(frame) - n, "%s\n", offers);
	r = stream_write(s->stream, frame, n, until, e);
	while (r == 0) {
		if (now_ms() >= until)
			return err_set(e, ETIMEDOUT, "waiting for %s:%s to answer our greeting", s->address.host, s->address.port);
		r = read_answers(s, until, take_offers, e);
	}
	return r < 0 ? r : 0;
}

/* Until at most so many messages are without an answer. */
static int wait_for_answers(struct sink *s, unsigned left, struct err *e)
{
	int r = s->open_answers > left ? flush(s, e) : 0;

	while (r >= 0 && s->open_answers > left) {
		if (now_ms() >= s->until)
			return err_set(e, ETIMEDOUT, "waiting for answers of %s:%s", s->address.host, s->address.port);
		r = read_answers(s, s->until, take_answer, e);
	}
	return r < 0 ? r : 0;
}

static int send_relp(struct sink *s, const struct batch *b, struct err *e)
{
	int r = 0;

	s->put = s->mark_count = s->sent = s->open_answers = 0;
	s->number_first = s->number + 1;
	s->refused = UINT32_MAX;
	s->later_taken = false;
	memset(s->answered, 0, b->count);
	for (unsigned i = 0; r == 0 && i < b->count; i++) {
		s->sent++;
		s->open_answers++;
		r = put_message(s, b, i, e);
		if (r == 0 && s->open_answers >= WINDOW)
			r = wait_for_answers(s, WINDOW / 2, e);
	}
	return r < 0 ? r : wait_for_answers(s, 0, e);
}

/* A message is bad in itself if others behind it were taken, or if that was found earlier. */
static void judge_refusal(struct sink *s, const struct batch *b, struct answer *a)
{
	uint64_t id = b->items[s->refused].record_id;

	if (s->later_taken || (id && id == s->refused_id)) {
		s->refused_id = id;
		a->outcome = SINK_REFUSED;
	}
	snprintf(a->text, sizeof(a->text), "%.60s:%s did not take a message: %s", s->address.host, s->address.port, s->refusal);
}

static unsigned confirmed_relp(const struct sink *s)
{
	unsigned i = 0;

	while (i < s->sent && s->answered[i] == 1)
		i++;
	return i;
}

/* --- the connection */

static int connect_stream(struct sink *s, struct err *e)
{
	uint64_t until = now_ms() + OPEN_MS;
	int r;

	s->proven = false;
	s->used = 0;
	r = stream_open(s->stream, until, e);
	if (r == 0 && s->relp)
		r = relp_greet(s, until, e);
	return r;
}

/* What came while nobody listened may be the end of it. */
static bool still_usable(struct sink *s, unsigned count)
{
	if (!stream_is_open(s->stream) || (s->relp && s->number > RELP_NUMBER_MAX - count))
		return false;
	s->sent = 0; /* of RELP: nothing is to be answered */
	return (s->relp ? read_answers(s, 0, take_answer, NULL) : listen_for_end(s, 0, NULL)) == 0;
}

static int prepare(struct sink *s, const struct batch *b, struct err *e)
{
	if (still_usable(s, b->count))
		return 0;
	stream_close(s->stream);
	return connect_stream(s, e);
}

static bool only_a_person_can_mend(int r, const struct err *e)
{
	return r == -EKEYREJECTED || r == -EKEYEXPIRED || strstr(e->text, "alert certificate required") ||
	       strstr(e->text, "alert bad certificate") || strstr(e->text, "alert unknown ca");
}

static void fail(struct sink *s, int r, const struct err *e, struct answer *a)
{
	stream_close(s->stream);
	a->outcome = SINK_RETRY;
	a->misconfigured = only_a_person_can_mend(r, e);
	snprintf(a->text, sizeof(a->text), "%.199s", e->text);
}

static void syslog_send(struct sink *s, const struct batch *b, struct answer *a)
{
	struct err e = { 0 };
	int r = prepare(s, b, &e);

	if (r < 0) {
		fail(s, r, &e, a);
		return;
	}
	s->until = now_ms() + SEND_MS;
	r = s->relp ? send_relp(s, b, &e) : send_plain(s, b, &e);
	a->confirmed = s->relp ? confirmed_relp(s) : confirmed_plain(s, b, r);
	a->outcome = a->confirmed == b->count ? SINK_SENT : SINK_RETRY;
	if (r == 0) {
		s->proven = true;
		if (s->relp && s->refused < b->count)
			judge_refusal(s, b, a);
		return;
	}
	a->doubtful = a->confirmed < b->count;
	fail(s, r, &e, a);
	if (a->confirmed == b->count)
		a->outcome = SINK_SENT;
}

/* --- the row */

static enum form syslog_form(const struct forward_target *t)
{
	return strcmp(t->form, "xml") == 0 ? FORM_XML : FORM_JSON;
}

static bool is_tls(const struct address *a)
{
	return strcmp(a->scheme, "tls") == 0 || strcmp(a->scheme, "relps") == 0;
}

static bool is_relp(const struct address *a)
{
	return strncmp(a->scheme, "relp", 4) == 0;
}

static int syslog_check(const struct forward_target *t, struct err *e)
{
	struct address a;
	int r = address_from_text(t->to, &a, e);

	if (r < 0)
		return r;
	if (!is_tls(&a) && strcmp(a.scheme, "tcp") != 0 && strcmp(a.scheme, "relp") != 0)
		return err_set(e, EBADMSG, "to: '%s' is none of tcp, tls, relp, relps", a.scheme);
	if (a.rest[0])
		return err_set(e, EBADMSG, "to: nothing may stand behind the port");
	if (t->form[0] && strcmp(t->form, "json") != 0 && strcmp(t->form, "xml") != 0)
		return err_set(e, EBADMSG, "form: '%s' is neither json nor xml", t->form);
	if (!is_tls(&a) && (t->ca[0] || t->certificate[0] || t->key[0]))
		return err_set(e, EBADMSG, "ca, certificate and key are for tls:// and relps://");
	if (!t->certificate[0] != !t->key[0])
		return err_set(e, EBADMSG, "certificate and key are of no use without each other");
	return 0;
}

static void relp_part(struct sink *s)
{
	char frame[RELP_HEAD_MAX];
	int n = snprintf(frame, sizeof(frame), "%u close 0\n", s->number + 1);

	stream_write(s->stream, frame, (size_t)n, now_ms() + DOUBT_MS, NULL);
}

static void syslog_close(struct sink *s)
{
	if (!s)
		return;
	if (s->relp && stream_is_open(s->stream))
		relp_part(s);
	stream_free(s->stream);
	free(s);
}

static void sink_free(struct sink *s)
{
	syslog_close(s);
}
DEFINE_DROP(sink)

/* RFC 5424 wants printable ASCII without blanks. */
static void set_computer(struct sink *s)
{
	snprintf(s->computer, sizeof(s->computer), "%s", s->id->computer[0] ? s->id->computer : "-");
	for (char *at = s->computer; *at; at++)
		if (*at <= ' ' || *at > '~')
			*at = '?';
}

static int syslog_open(const struct forward_target *t, const struct identity *id, struct sink **ret, struct err *e)
{
	OWNED(sink) s = calloc(1, sizeof(*s));
	struct stream_settings settings = { .ca = t->ca, .certificate = t->certificate, .key = t->key, .passphrase = t->secret };
	int r;

	if (!s)
		return err_set(e, ENOMEM, "preparing syslog");
	s->target = t;
	s->id = id;
	r = address_from_text(t->to, &s->address, e);
	if (r < 0)
		return r;
	s->relp = is_relp(&s->address);
	set_computer(s);
	settings.host = s->address.host;
	settings.port = s->address.port;
	settings.tls = is_tls(&s->address);
	r = stream_new(&settings, &s->stream, e);
	if (r < 0)
		return r;
	*ret = MOVE(s);
	return 0;
}

const struct sink_row sink_syslog = {
	.name = "syslog",
	.to = "tcp://HOST:PORT, tls://..., relp://..., relps://...",
	.form = syslog_form,
	.raw_max = 4u << 20,
	.size_max = 4u << 20,
	.count_max = ITEMS_MAX,
	.check = syslog_check,
	.open = syslog_open,
	.send = syslog_send,
	.close = syslog_close,
};

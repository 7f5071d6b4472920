/* SPDX-License-Identifier: MIT */
/* Kafka, by librdkafka, which is loaded only where somebody sends there. A record is a message (form json), or a batch is one
 * (form evtx); the key is the host, so that a host's records stay in order. The producer is idempotent: what it repeats
 * by itself the brokers keep once. What is known to be kept is what a delivery report says, with acks=all.
 *
 * The producer's threads must not be there before the process gives up its rights, so it is made with the first batch. */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/loaded.h"
#include "../base/own.h"
#include "address.h"
#include "sink.h"

#define IN_KAFKA(F)                                                                                                   \
	F(rd_kafka_conf_new) F(rd_kafka_conf_set) F(rd_kafka_conf_dup) F(rd_kafka_conf_destroy)                         \
	F(rd_kafka_conf_set_dr_msg_cb) F(rd_kafka_conf_set_error_cb) F(rd_kafka_conf_set_log_cb)                        \
	F(rd_kafka_conf_set_opaque) F(rd_kafka_new) F(rd_kafka_destroy) F(rd_kafka_producev) F(rd_kafka_poll)           \
	F(rd_kafka_flush) F(rd_kafka_purge) F(rd_kafka_err2str) F(rd_kafka_fatal_error) F(rd_kafka_headers_new)         \
	F(rd_kafka_header_add) F(rd_kafka_headers_destroy)
static struct {
	IN_KAFKA(LOADED_MEMBER)
} kafka;
static const char *const kafka_names[] = { IN_KAFKA(LOADED_NAME) };

#define ITEMS_MAX   4096u
#define SEND_MS     35000u
#define HOPE_MS     5000
#define PURGE_MS    2000
#define SLICE_MS    200
#define PEM_MAX     65536u
#define SERVERS_MAX 1024u

struct sink {
	const struct forward_target *target;
	const struct identity *id;
	char topic[250];
	rd_kafka_conf_t *conf; /* what every producer is made of */
	rd_kafka_t *producer;  /* NULL: none yet, or it was of no use any more */
	/* of the batch that is sent */
	uint32_t round;
	unsigned waiting;      /* for a report */
	uint8_t kept[ITEMS_MAX];
	rd_kafka_resp_err_t fault; /* the first message's that was not kept */
	unsigned fault_at;
	bool hopeless;         /* only a person can mend it */
	char trouble[160];     /* what the library said last */
};

/* --- what the library tells, in our thread, while it is polled */

static bool only_a_person_can_mend(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
	case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
	case RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE:
		return true;
	default:
		return false;
	}
}

/* Parts of it may be a server's words. */
static void keep_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
	for (char *at = to; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}

static void hear_error(rd_kafka_t *producer, int code, const char *reason, void *self)
{
	struct sink *s = self;

	(void)producer;
	/* "All brokers are down" says less than what was said before. */
	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !s->trouble[0])
		keep_text(s->trouble, sizeof(s->trouble), reason);
	/* With TLS 1.3 a broker that wants a certificate says so as if the connection were lost. */
	s->hopeless = s->hopeless || only_a_person_can_mend(code) || strstr(reason, "alert certificate required");
}

/* A message's number is the round and its place in the batch. */
static void hear_report(rd_kafka_t *producer, const rd_kafka_message_t *m, void *self)
{
	uint64_t number = (uint64_t)(uintptr_t)m->_private;
	struct sink *s = self;
	unsigned i = (uint32_t)number;

	(void)producer;
	if (number >> 32 != s->round || i >= ITEMS_MAX)
		return;
	s->waiting--;
	if (!m->err)
		s->kept[i] = 1;
	else if (!s->fault || i < s->fault_at) {
		s->fault = m->err;
		s->fault_at = i;
	}
	s->hopeless = s->hopeless || only_a_person_can_mend(m->err);
}

/* --- settings */

static int set(struct sink *s, const char *name, const char *value, struct err *e)
{
	char why[200];

	if (kafka.rd_kafka_conf_set(s->conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
		return 0;
	return err_set(e, EBADMSG, "%s", why);
}

/* Files are read as root, which the producer is not when it is made. */
static int set_from_file(struct sink *s, const char *name, const char *path, struct err *e)
{
	OWNED_HEAP char *pem = NULL;
	FILE *f;
	size_t n;
	int r;

	if (!*path)
		return 0;
	f = fopen(path, "re");
	pem = malloc(PEM_MAX);
	if (!f || !pem) {
		r = err_set(e, f ? ENOMEM : errno, "reading '%s'", path);
		if (f)
			fclose(f);
		return r;
	}
	n = fread(pem, 1, PEM_MAX, f);
	fclose(f);
	if (n == PEM_MAX)
		return err_set(e, EBADMSG, "'%s' is too long", path);
	pem[n] = 0;
	r = set(s, name, pem, e);
	explicit_bzero(pem, n);
	return r < 0 ? err_within(e, "'%s'", path) : 0;
}

static int set_tls(struct sink *s, struct err *e)
{
	const struct forward_target *t = s->target;
	int r = set_from_file(s, "ssl.ca.pem", t->ca, e);

	if (r == 0)
		r = set_from_file(s, "ssl.certificate.pem", t->certificate, e);
	if (r == 0)
		r = set_from_file(s, "ssl.key.pem", t->key, e);
	if (r == 0 && t->key[0] && t->secret[0] && !t->user[0])
		r = set(s, "ssl.key.password", t->secret, e);
	return r;
}

static const char *mechanism_of(const struct forward_target *t)
{
	return !strcmp(t->auth, "scram-sha-256") ? "SCRAM-SHA-256" : !strcmp(t->auth, "scram-sha-512") ? "SCRAM-SHA-512" : "PLAIN";
}

static int set_login(struct sink *s, struct err *e)
{
	int r;

	if (!s->target->user[0])
		return 0;
	if (!s->target->secret[0])
		return err_set(e, EBADMSG, "user needs a password, which is the secret");
	r = set(s, "sasl.mechanism", mechanism_of(s->target), e);
	if (r == 0)
		r = set(s, "sasl.username", s->target->user, e);
	return r == 0 ? set(s, "sasl.password", s->target->secret, e) : r;
}

static bool is_tls(const struct forward_target *t)
{
	return strncmp(t->to, "kafkas:", 7) == 0;
}

/* "kafka://A:1,B:2/TOPIC": the servers as the library wants them, and the topic. */
static int read_address(const char *to, char servers[SERVERS_MAX], char *topic, size_t topic_size, struct err *e)
{
	struct address a;
	int r = address_from_text(to, &a, e);
	const char *from = strstr(to, "://") + 3;
	size_t n;

	while (r == 0 && *a.rest == ',')
		r = address_host_port(a.rest + 1, &a, e);
	if (r < 0)
		return r;
	n = (size_t)(a.rest - from);
	if (*a.rest != '/' || !a.rest[1])
		return err_set(e, EBADMSG, "to: the topic is missing behind the '/'");
	if (strlen(a.rest + 1) >= topic_size ||
	    strspn(a.rest + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != strlen(a.rest + 1))
		return err_set(e, EBADMSG, "to: '%.100s' is no name of a topic", a.rest + 1);
	snprintf(topic, topic_size, "%s", a.rest + 1);
	if (n >= SERVERS_MAX)
		return err_set(e, EBADMSG, "to: too long");
	memcpy(servers, from, n);
	servers[n] = 0;
	return 0;
}

static int configure(struct sink *s, struct err *e)
{
	static const char *const settings[][2] = {
		{ "client.id", "konseki" },
		{ "acks", "all" },
		{ "enable.idempotence", "true" },
		{ "linger.ms", "5" }, /* a batch is flushed as a whole */
		{ "message.timeout.ms", "30000" },
		{ "request.timeout.ms", "15000" },
		{ "socket.timeout.ms", "20000" },
		{ "socket.connection.setup.timeout.ms", "10000" },
		{ "socket.keepalive.enable", "true" },
		{ "reconnect.backoff.max.ms", "2000" },
		{ "queue.buffering.max.kbytes", "16384" },
		{ "receive.message.max.bytes", "1048576" }, /* a broker may claim 100 MB otherwise */
	};
	const struct forward_target *t = s->target;
	char servers[SERVERS_MAX];
	int r = read_address(t->to, servers, s->topic, sizeof(s->topic), e);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(settings); i++)
		r = set(s, settings[i][0], settings[i][1], e);
	if (r == 0)
		r = set(s, "bootstrap.servers", servers, e);
	if (r == 0)
		r = set(s, "compression.codec", t->compression[0] ? t->compression : "zstd", e);
	if (r == 0)
		r = set(s, "security.protocol", is_tls(t) ? (t->user[0] ? "sasl_ssl" : "ssl")
							  : (t->user[0] ? "sasl_plaintext" : "plaintext"), e);
	if (r == 0 && is_tls(t))
		r = set_tls(s, e);
	return r == 0 ? set_login(s, e) : r;
}

/* --- the producer */

static int make_producer(struct sink *s, struct err *e)
{
	rd_kafka_conf_t *conf;
	char why[200];

	if (s->producer)
		return 0;
	conf = kafka.rd_kafka_conf_dup(s->conf);
	kafka.rd_kafka_conf_set_dr_msg_cb(conf, hear_report);
	kafka.rd_kafka_conf_set_error_cb(conf, hear_error);
	kafka.rd_kafka_conf_set_log_cb(conf, NULL);
	kafka.rd_kafka_conf_set_opaque(conf, s);
	s->producer = kafka.rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why)); /* takes conf */
	if (s->producer)
		return 0;
	kafka.rd_kafka_conf_destroy(conf);
	return err_set(e, EIO, "making a producer: %s", why);
}

static void drop_producer(struct sink *s)
{
	if (!s->producer)
		return;
	s->round++; /* late reports are nobody's */
	kafka.rd_kafka_purge(s->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	kafka.rd_kafka_destroy(MOVE(s->producer));
}

/* --- messages */

static void add_header(rd_kafka_headers_t *headers, const char *name, const char *value)
{
	kafka.rd_kafka_header_add(headers, name, -1, value, -1);
}

static void add_number(rd_kafka_headers_t *headers, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	if (value)
		add_header(headers, name, text);
}

/* The key of the record, or of the batch; what it is. item NULL: the batch is one message. */
static rd_kafka_headers_t *make_headers(const struct sink *s, const struct batch *b, const struct item *item)
{
	static const char *const kinds[] = { "event", "gap", "heartbeat", "test" };
	rd_kafka_headers_t *headers = kafka.rd_kafka_headers_new(8);

	add_header(headers, "kind", kinds[b->kind]);
	add_header(headers, "host", s->id->host);
	add_header(headers, "log", s->id->log);
	if (item && b->kind == BATCH_EVENTS) {
		add_number(headers, "id", item->record_id);
	} else {
		add_number(headers, "first", b->first_id);
		add_number(headers, "last", b->last_id);
	}
	if (!item)
		add_header(headers, "form", b->kind == BATCH_EVENTS ? "evtx.zst" : "json.zst");
	if (b->seals)
		kafka.rd_kafka_header_add(headers, "seals", -1, b->seals, (ssize_t)b->seals_size);
	return headers;
}

static rd_kafka_resp_err_t produce_once(struct sink *s, const struct batch *b, unsigned i)
{
	const struct item *item = b->items ? &b->items[i] : NULL;
	size_t from = item && i ? b->items[i - 1].end : 0, to = item ? item->end : b->size;
	rd_kafka_headers_t *headers = make_headers(s, b, item);
	rd_kafka_resp_err_t r = kafka.rd_kafka_producev(
		s->producer, RD_KAFKA_V_TOPIC(s->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		RD_KAFKA_V_VALUE((void *)(uintptr_t)(b->body + from), to - from), RD_KAFKA_V_KEY(s->id->host, strlen(s->id->host)),
		RD_KAFKA_V_TIMESTAMP((int64_t)((item && item->utc_ns ? item->utc_ns : b->utc_ns) / 1000000u)),
		RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE((void *)(uintptr_t)((uint64_t)s->round << 32 | i)), RD_KAFKA_V_END);

	if (r)
		kafka.rd_kafka_headers_destroy(headers); /* else they are the message's */
	else
		s->waiting++;
	return r;
}

static rd_kafka_resp_err_t produce(struct sink *s, const struct batch *b, unsigned i, uint64_t until)
{
	rd_kafka_resp_err_t r;

	while ((r = produce_once(s, b, i)) == RD_KAFKA_RESP_ERR__QUEUE_FULL && now_ms() < until)
		kafka.rd_kafka_poll(s->producer, SLICE_MS);
	return r;
}

/* Until every message has its report, or there is no hope for one: what is wrong with one broker may not be wrong with
 * another. */
static void wait_for_reports(struct sink *s, uint64_t until)
{
	uint64_t since = now_ms(), now;

	while (s->waiting && (now = now_ms()) < until && (!s->hopeless || now < since + HOPE_MS))
		kafka.rd_kafka_flush(s->producer, SLICE_MS);
	if (!s->waiting)
		return;
	kafka.rd_kafka_purge(s->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	kafka.rd_kafka_flush(s->producer, PURGE_MS);
}

static void send_messages(struct sink *s, const struct batch *b)
{
	uint64_t until = now_ms() + SEND_MS;
	unsigned count = b->items ? b->count : 1;

	for (unsigned i = 0; i < count; i++) {
		rd_kafka_resp_err_t r = produce(s, b, i, until);

		if (r) {
			s->fault = r;
			s->fault_at = i;
			s->hopeless = s->hopeless || only_a_person_can_mend(r);
			break;
		}
		if (i % 256 == 255)
			kafka.rd_kafka_poll(s->producer, 0);
	}
	wait_for_reports(s, until);
}

static unsigned count_kept(const struct sink *s, unsigned count)
{
	unsigned i = 0;

	while (i < count && s->kept[i])
		i++;
	return i;
}

static bool was_refused(rd_kafka_resp_err_t fault, struct answer *a)
{
	if (fault == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || fault == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE)
		a->outcome = SINK_TOO_LARGE;
	else if (fault == RD_KAFKA_RESP_ERR_INVALID_RECORD || fault == RD_KAFKA_RESP_ERR_INVALID_MSG)
		a->outcome = SINK_REFUSED;
	else
		return false;
	return true;
}

static void explain(struct sink *s, struct answer *a)
{
	bool gave_up = s->fault == RD_KAFKA_RESP_ERR__PURGE_QUEUE || s->fault == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT ||
		       s->fault == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT || !s->fault;

	if (gave_up && s->trouble[0])
		snprintf(a->text, sizeof(a->text), "%s", s->trouble);
	else
		snprintf(a->text, sizeof(a->text), "%.190s", s->fault ? kafka.rd_kafka_err2str(s->fault) : "no report of what was sent");
	a->misconfigured = s->hopeless;
}

static void kafka_send(struct sink *s, const struct batch *b, struct answer *a)
{
	unsigned count = b->items ? b->count : 1, kept;
	struct err e = { 0 };
	char fatal[100];

	s->round++;
	s->waiting = 0;
	s->fault = RD_KAFKA_RESP_ERR_NO_ERROR;
	s->hopeless = false;
	s->trouble[0] = 0;
	memset(s->kept, 0, count);
	a->outcome = SINK_RETRY;
	if (make_producer(s, &e) < 0) {
		snprintf(a->text, sizeof(a->text), "%.199s", e.text);
		return;
	}
	send_messages(s, b);
	kept = count_kept(s, count);
	a->confirmed = b->items ? kept : 0;
	if (kept == count) {
		a->outcome = SINK_SENT;
		return;
	}
	a->doubtful = true;
	explain(s, a);
	was_refused(s->fault, a);
	if (s->waiting || s->hopeless || kafka.rd_kafka_fatal_error(s->producer, fatal, sizeof(fatal)))
		drop_producer(s);
}

/* --- the row */

static enum form kafka_form(const struct forward_target *t)
{
	return strcmp(t->form, "evtx") == 0 ? FORM_EVTX : FORM_JSON;
}

static bool is_among(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

static int check_login(const struct forward_target *t, struct err *e)
{
	static const char *const ways[] = { "", "plain", "scram-sha-256", "scram-sha-512", NULL };

	if (!is_among(t->auth, ways))
		return err_set(e, EBADMSG, "auth: '%s' is none of plain, scram-sha-256, scram-sha-512", t->auth);
	if (t->auth[0] && !t->user[0])
		return err_set(e, EBADMSG, "auth is of no use without user");
	if (t->user[0] && !is_tls(t) && strcmp(mechanism_of(t), "PLAIN") == 0)
		return err_set(e, EBADMSG, "a password is not sent in the clear: kafkas://, or auth = scram-sha-256");
	return 0;
}

static int kafka_check(const struct forward_target *t, struct err *e)
{
	static const char *const codecs[] = { "", "zstd", "gzip", "lz4", "snappy", "none", NULL };
	static const char *const forms[] = { "", "json", "evtx", NULL };
	char servers[SERVERS_MAX], topic[sizeof(((struct sink *)0)->topic)];
	int r = read_address(t->to, servers, topic, sizeof(topic), e);

	if (r < 0)
		return r;
	if (!is_tls(t) && strncmp(t->to, "kafka:", 6) != 0)
		return err_set(e, EBADMSG, "to: kafka://... or kafkas://...");
	if (!is_among(t->form, forms))
		return err_set(e, EBADMSG, "form: '%s' is neither json nor evtx", t->form);
	if (!is_among(t->compression, codecs))
		return err_set(e, EBADMSG, "compression: '%s' is none of zstd, gzip, lz4, snappy, none", t->compression);
	if (!is_tls(t) && (t->ca[0] || t->certificate[0] || t->key[0]))
		return err_set(e, EBADMSG, "ca, certificate and key are for kafkas://");
	if (!t->certificate[0] != !t->key[0])
		return err_set(e, EBADMSG, "certificate and key are of no use without each other");
	return check_login(t, e);
}

static void kafka_close(struct sink *s)
{
	if (!s)
		return;
	drop_producer(s);
	if (s->conf)
		kafka.rd_kafka_conf_destroy(s->conf);
	free(s);
}

static void sink_free(struct sink *s)
{
	kafka_close(s);
}
DEFINE_DROP(sink)

static int kafka_open(const struct forward_target *t, const struct identity *id, struct sink **ret, struct err *e)
{
	OWNED(sink) s = calloc(1, sizeof(*s));
	int r = loaded_open("librdkafka.so.1", "librdkafka1", kafka_names, ARRAY_SIZE(kafka_names), &kafka, e);

	if (r < 0)
		return r;
	if (!s)
		return err_set(e, ENOMEM, "preparing Kafka");
	s->target = t;
	s->id = id;
	s->conf = kafka.rd_kafka_conf_new();
	r = configure(s, e);
	if (r < 0)
		return r;
	*ret = MOVE(s);
	return 0;
}

const struct sink_row sink_kafka = {
	.name = "kafka",
	.to = "kafka://HOST:PORT[,HOST:PORT...]/TOPIC, kafkas://...",
	.form = kafka_form,
	.raw_max = 2u << 20,
	.size_max = 2u << 20,
	.count_max = ITEMS_MAX,
	.check = kafka_check,
	.open = kafka_open,
	.send = kafka_send,
	.close = kafka_close,
};

/* SPDX-License-Identifier: MIT */
/* Events as rows of a table in Azure Log Analytics, by the Logs Ingestion API and with the machine's identity. The service
 * knows no second try by anything: each row has a RecordKey, by which queries keep one of each (docs/recipes/azure.md). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <zlib.h>

#include "../base/clock.h"
#include "../base/own.h"
#include "azure_json.h"
#include "azure_token.h"
#include "http.h"
#include "sink.h"

/* The service takes 1 MB a call, counted before compression too, and cuts columns at 64 KB without saying so. */
#define CALL_MAX    900000u
#define COLUMN_MAX  60000u
#define HEAD_MAX    1024u /* of a row: what stands before the item */
#define RAW_MAX     640000u
#define COUNT_MAX   1500u
#define SEND_S      25u    /* no further call after that */
#define GZIP_LEVEL  4
#define GZIP_WINDOW (15 + 16)

struct sink {
	struct http *http;
	struct azure_token *token;
	const struct identity *id;
	char url[sizeof(((struct forward_target *)0)->to) + 64];
	z_stream zip;
	bool zips;
	char *text;      /* CALL_MAX: the rows of one call */
	size_t n;
	uint8_t *packed; /* the same, compressed */
	size_t packed_max;
};

/* --- rows */

/* What stands before an item's own members. Its key is that of the record or, of what is none, kind and time. */
static int write_head(const struct sink *s, const struct item *item, const char *kind, char head[HEAD_MAX])
{
	time_t at = (time_t)(item->utc_ns / 1000000000u);
	char computer[256], key[64];
	struct tm tm = { 0 };

	gmtime_r(&at, &tm);
	azure_json_plain(s->id->computer, computer, sizeof(computer));
	if (item->record_id)
		snprintf(key, sizeof(key), "%llu", (unsigned long long)item->record_id);
	else
		snprintf(key, sizeof(key), "%s-%llu", kind, (unsigned long long)item->utc_ns);
	return snprintf(head, HEAD_MAX,
			"{\"TimeGenerated\":\"%04d-%02d-%02dT%02d:%02d:%02d.%07uZ\",\"RecordKey\":\"%s/%s/%s\",\"Computer\":\"%s\",\"EventID\":%u",
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
			(unsigned)(item->utc_ns % 1000000000u / 100u), s->id->host, s->id->log, key, computer, item->event_id);
}

static bool put(struct sink *s, const char *text, size_t n)
{
	if (s->n + n > CALL_MAX)
		return false;
	memcpy(s->text + s->n, text, n);
	s->n += n;
	return true;
}

/* The item is an object; its members follow those that are columns for themselves. False: no room. */
static bool put_row(struct sink *s, const struct batch *b, unsigned i)
{
	static const char *const kinds[] = { "event", "gap", "heartbeat", "test" };
	size_t begin = i ? b->items[i - 1].end : 0, n = b->items[i].end - begin, before = s->n;
	const char *item = (const char *)b->body + begin;
	OWNED_HEAP char *shorter = NULL;
	char head[HEAD_MAX];
	int head_n = write_head(s, &b->items[i], kinds[b->kind], head);

	if (n > COLUMN_MAX) {
		shorter = azure_json_shorten(item, n, COLUMN_MAX);
		item = shorter ? shorter : item;
		n = shorter ? strlen(shorter) : n;
	}
	if (put(s, s->n == 1 ? "\n" : ",\n", s->n == 1 ? 1 : 2) && put(s, head, (size_t)head_n) && put(s, ",", 1) &&
	    put(s, item + 1, n - 1) && s->n < CALL_MAX)
		return true;
	s->n = before;
	return false;
}

/* As many as one call may have, from `first` on: how many. */
static unsigned put_rows(struct sink *s, const struct batch *b, unsigned first)
{
	unsigned i = first;

	s->n = 0;
	put(s, "[", 1);
	while (i < b->count && put_row(s, b, i))
		i++;
	put(s, "]", 1);
	return i - first;
}

/* --- calls */

static bool pack(struct sink *s, size_t *n)
{
	deflateReset(&s->zip);
	s->zip.next_in = (Bytef *)s->text;
	s->zip.avail_in = (uInt)s->n;
	s->zip.next_out = s->packed;
	s->zip.avail_out = (uInt)s->packed_max;
	if (deflate(&s->zip, Z_FINISH) != Z_STREAM_END)
		return false;
	*n = s->packed_max - s->zip.avail_out;
	return true;
}

static void write_request_id(char line[80])
{
	uint8_t r[16] = { 0 };

	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		memset(r, 0, sizeof(r));
	snprintf(line, 80, "x-ms-client-request-id: %02x%02x%02x%02x-%02x%02x-4%x%02x-8%x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1],
		 r[2], r[3], r[4], r[5], r[6] & 15, r[7], r[8] & 15, r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

/* False: no token; *a says why. */
static bool call_once(struct sink *s, size_t n, struct http_answer *got, struct answer *a)
{
	static const char *const wanted[] = { "x-ms-error-code", NULL };
	char id[80];
	const char *headers[] = { "Content-Type: application/json", "Content-Encoding: gzip", id,
				  azure_token_header(s->token, a), NULL };
	const struct http_request r = { "POST", s->url, headers, s->packed, n, wanted };

	if (!headers[3])
		return false;
	write_request_id(id);
	http_do(s->http, &r, got);
	return true;
}

static void say(const struct http_answer *got, const char *words, struct answer *a)
{
	char code[AZURE_WORDS_MAX], message[AZURE_WORDS_MAX];

	azure_json_error(got->body, got->size, code, message);
	snprintf(a->text, sizeof(a->text), "answers %d %.60s: %.90s", got->status, got->wanted[0][0] ? got->wanted[0] : code,
		 message[0] ? message : words);
}

/* What answers mean; of others with the same first digit the last row. */
static const struct {
	int status;
	enum outcome outcome;
	bool doubtful, misconfigured;
	const char *words;
} answers[] = {
	{ 400, SINK_REFUSED, false, false, "malformed" },
	{ 401, SINK_RETRY, false, true, "the identity's token is not accepted" },
	{ 403, SINK_RETRY, false, true, "the identity may not send there: Monitoring Metrics Publisher is missing" },
	{ 404, SINK_RETRY, false, true, "there is no such rule or stream" },
	{ 408, SINK_RETRY, true, false, "the server gave up waiting" },
	{ 413, SINK_TOO_LARGE, false, false, "too large" },
	{ 429, SINK_RETRY, false, false, "too many requests" },
	{ 599, SINK_RETRY, true, false, "the server failed" },
	{ 499, SINK_RETRY, false, true, "not an answer of Log Analytics" },
	{ 399, SINK_RETRY, false, true, "the server wants us elsewhere, where we do not go" },
	{ 299, SINK_RETRY, true, true, "not an answer of Log Analytics" },
};

/* One call with the rows that are there. True: they are kept; else *a says what is. */
static bool call(struct sink *s, struct answer *a)
{
	struct http_answer got = { 0 };
	size_t n, row = 0;

	*a = (struct answer){ .outcome = SINK_RETRY };
	if (!pack(s, &n)) {
		snprintf(a->text, sizeof(a->text), "compressing failed");
		return false;
	}
	if (!call_once(s, n, &got, a))
		return false;
	if (got.status == 401) {
		azure_token_forget(s->token);
		if (!call_once(s, n, &got, a))
			return false;
	}
	a->retry_after_s = got.retry_after_s;
	if (got.status == 204) {
		*a = (struct answer){ .outcome = SINK_SENT };
	} else if (got.status == 0) {
		a->doubtful = got.doubtful;
		snprintf(a->text, sizeof(a->text), "%.180s", got.text);
	} else {
		while (row < ARRAY_SIZE(answers) - 1 && answers[row].status != got.status &&
		       answers[row].status != got.status / 100 * 100 + 99)
			row++;
		a->outcome = answers[row].outcome;
		a->doubtful = answers[row].doubtful;
		a->misconfigured = answers[row].misconfigured;
		say(&got, answers[row].words, a);
	}
	return a->outcome == SINK_SENT;
}

/* One event is called malformed. If a row without anything in it is, too, then it is not the event: the stream is not the one
 * of the recipe, and no event must be given up for that. */
static void find_whose_fault(struct sink *s, struct answer *a)
{
	const struct item nothing = { .utc_ns = clock_ns(CLOCK_REALTIME) };
	struct answer then;
	char head[HEAD_MAX];

	write_head(s, &nothing, "probe", head);
	s->n = (size_t)snprintf(s->text, CALL_MAX, "[%s}]", head);
	if (call(s, &then))
		return;
	a->outcome = SINK_RETRY;
	a->misconfigured = then.outcome == SINK_REFUSED || then.misconfigured;
}

/* --- the sink */

static void send(struct sink *s, const struct batch *b, struct answer *a)
{
	uint64_t until_ns = clock_ns(CLOCK_BOOTTIME) + SEND_S * UINT64_C(1000000000);
	unsigned done = 0, n;

	do {
		n = put_rows(s, b, done);
		if (n == 0) {
			*a = (struct answer){ .outcome = SINK_TOO_LARGE, .text = "an event is larger than one call may be" };
			break;
		}
		if (!call(s, a))
			break;
		done += n;
	} while (done < b->count && clock_ns(CLOCK_BOOTTIME) < until_ns);
	if (a->outcome == SINK_REFUSED && n == 1)
		find_whose_fault(s, a);
	/* Only what is left is to be halved. */
	if (done > 0 && done < b->count && a->outcome != SINK_RETRY)
		a->outcome = SINK_RETRY;
	a->confirmed = done;
}

static enum form form(const struct forward_target *t)
{
	(void)t;
	return FORM_JSON;
}

static int check(const struct forward_target *t, struct err *e)
{
	const char *rule = strstr(t->to, "/dataCollectionRules/"), *stream = rule ? strstr(rule, "/streams/") : NULL;
	int r = http_check_url(t->to, false, e);

	if (r < 0)
		return r;
	if (t->auth[0] && strcmp(t->auth, "identity") != 0)
		return err_set(e, EBADMSG, "auth: the service knows identities only");
	if (t->secret[0])
		return err_set(e, EBADMSG, "log-analytics takes no secret: the machine's identity is what it is known by");
	if (!stream || !stream[strlen("/streams/")] || strchr(t->to, '?'))
		return err_set(e, EBADMSG, "the address ends with /dataCollectionRules/RULE/streams/STREAM");
	return azure_token_check(t, e);
}

/* Of the cloud that the endpoint is in. */
static const char *resource_of(const char *url)
{
	return strstr(url, ".azure.us/") ? "https://monitor.azure.us" : strstr(url, ".azure.cn/") ? "https://monitor.azure.cn" :
	       "https://monitor.azure.com";
}

static void close_sink(struct sink *s)
{
	if (!s)
		return;
	http_free(s->http);
	azure_token_free(s->token);
	if (s->zips)
		deflateEnd(&s->zip);
	free(s->text);
	free(s->packed);
	free(s);
}

static int make(struct sink *s, const struct forward_target *t, struct err *e)
{
	const struct http_options options = { .ca = t->ca };
	int r = http_new(&options, &s->http, e);

	if (r == 0)
		r = azure_token_new(t, resource_of(t->to), &s->token, e);
	if (r < 0)
		return r;
	snprintf(s->url, sizeof(s->url), "%s?api-version=2023-01-01", t->to);
	s->zips = deflateInit2(&s->zip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK;
	s->packed_max = s->zips ? deflateBound(&s->zip, CALL_MAX) : 0;
	s->text = malloc(CALL_MAX);
	s->packed = malloc(s->packed_max + 1);
	return s->zips && s->text && s->packed ? 0 : err_set(e, ENOMEM, "log-analytics");
}

static int open_sink(const struct forward_target *t, const struct identity *id, struct sink **ret, struct err *e)
{
	struct sink *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, ENOMEM, "log-analytics");
	s->id = id;
	r = make(s, t, e);
	if (r < 0) {
		close_sink(s);
		return r;
	}
	*ret = s;
	return 0;
}

const struct sink_row sink_log_analytics = {
	.name = "log-analytics",
	.to = "https://ENDPOINT/dataCollectionRules/RULE/streams/STREAM",
	.form = form,
	.raw_max = RAW_MAX,
	.size_max = RAW_MAX,
	.count_max = COUNT_MAX,
	.check = check,
	.open = open_sink,
	.send = send,
	.close = close_sink,
};

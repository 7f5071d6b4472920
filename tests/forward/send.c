/* SPDX-License-Identifier: MIT */
/* Drives one sink without the forwarder around it, so that a test decides what is sent and when.
 *
 *   forward_send SINK TO [NAME=VALUE ...] [secret=FILE]
 *
 * opens the sink, gives up what a forwarder gives up, and obeys lines of its input:
 *
 *   item RECORD EVENT LEVEL UTC_NS TEXT   one more item of the batch
 *   seals TEXT                            what stands beside a batch of form evtx
 *   send [gap|heartbeat|test] [doubtful] [nonce=HEX]
 *                                         one try with the batch as it is
 *   clear                                 begin another batch
 *   erasable
 *
 * Each `send` is answered by a line "OUTCOME confirmed=N retry_after=N doubtful=N misconfigured=N text=...", `erasable` by
 * "erasable=N". A batch in one piece (ndjson, evtx) is the texts, each with a line feed, as one zstd frame. */
#include <errno.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "../../src/base/own.h"
#include "../../src/daemon/privilege.h"
#include "../../src/forward/sink.h"

static const struct identity identity = {
	.host = "4c4c4544-0042-3510-8054-b4c04f4d3432",
	.log = "1",
	.boot = "0b2a5e3c-9d0f-4f3a-8a0c-5f1f7f0f6a11",
	.computer = "web1.example",
};

struct text {
	char *bytes;
	size_t n, room;
};

struct driver {
	struct sink *sink;
	const struct sink_row *row;
	enum form form;
	struct batch batch;
	struct text body, packed, seals;
	struct item *items;
	size_t room; /* of items */
};

static void __attribute__((noreturn)) give_up(const char *why)
{
	fprintf(stderr, "forward_send: %s\n", why);
	exit(2);
}

static void *grown(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		give_up("no memory");
	return p;
}

static void put(struct text *t, const void *bytes, size_t n)
{
	if (t->n + n > t->room) {
		t->room = 2 * (t->n + n);
		t->bytes = grown(t->bytes, t->room);
	}
	memcpy(t->bytes + t->n, bytes, n);
	t->n += n;
}

static bool is_packed(const struct driver *d)
{
	return d->form == FORM_NDJSON || d->form == FORM_EVTX;
}

static void add_item(struct driver *d, const char *line, size_t n)
{
	struct item item;
	unsigned event, level;
	int skip = 0;

	if (sscanf(line, "item %" SCNu64 " %u %u %" SCNu64 " %n", &item.record_id, &event, &level, &item.utc_ns, &skip) != 4)
		give_up("item: bad line");
	item.event_id = (uint16_t)event;
	item.level = (uint8_t)level;
	put(&d->body, line + skip, n - (size_t)skip);
	if (is_packed(d))
		put(&d->body, "\n", 1);
	item.end = d->body.n;
	if (d->batch.count == d->room) {
		d->room = 2 * d->room + 16;
		d->items = grown(d->items, d->room * sizeof(*d->items));
	}
	if (d->batch.count == 0) {
		d->batch.first_id = item.record_id;
		d->batch.utc_ns = item.utc_ns;
	}
	d->batch.last_id = item.record_id;
	d->items[d->batch.count++] = item;
}

static void pack(struct driver *d)
{
	struct text *to = &d->packed;

	to->room = ZSTD_compressBound(d->body.n);
	to->bytes = grown(to->bytes, to->room);
	to->n = ZSTD_compress(to->bytes, to->room, d->body.bytes, d->body.n, 3);
	if (ZSTD_isError(to->n))
		give_up("zstd");
}

static void choose(struct batch *b, char *line)
{
	b->kind = strstr(line, " gap") ? BATCH_GAP
		: strstr(line, " heartbeat") ? BATCH_HEARTBEAT
		: strstr(line, " test") ? BATCH_TEST : BATCH_EVENTS;
	b->doubtful = strstr(line, " doubtful");
	if (strstr(line, " nonce="))
		snprintf(b->nonce, sizeof(b->nonce), "%.32s", strstr(line, " nonce=") + 7);
}

static void send_batch(struct driver *d, char *line)
{
	static const char *const outcomes[] = { "SENT", "RETRY", "TOO_LARGE", "REFUSED", "TAKEN" };
	const struct text *body = &d->body;
	struct batch *b = &d->batch;
	struct answer a = { 0 };

	choose(b, line);
	b->raw_size = d->body.n;
	b->items = d->items;
	if (is_packed(d)) {
		pack(d);
		body = &d->packed;
		b->items = NULL;
	}
	b->body = (const uint8_t *)body->bytes;
	b->size = body->n;
	b->seals = d->seals.n ? (const uint8_t *)d->seals.bytes : NULL;
	b->seals_size = d->seals.n;
	SHA256(b->body, b->size, b->sha256);
	d->row->send(d->sink, b, &a);
	printf("%s confirmed=%u retry_after=%u doubtful=%d misconfigured=%d text=%s\n", outcomes[a.outcome], a.confirmed,
	       a.retry_after_s, a.doubtful, a.misconfigured, a.text);
	fflush(stdout);
}

static void begin_batch(struct driver *d)
{
	d->batch = (struct batch){ .nonce = "00112233445566778899aabbccddeeff" };
	d->body.n = d->seals.n = 0;
}

static void obey(struct driver *d, char *line, size_t n)
{
	if (strncmp(line, "item ", 5) == 0)
		add_item(d, line, n);
	else if (strncmp(line, "seals ", 6) == 0)
		put(&d->seals, line + 6, n - 6);
	else if (strncmp(line, "send", 4) == 0)
		send_batch(d, line);
	else if (strcmp(line, "clear") == 0)
		begin_batch(d);
	else if (strcmp(line, "erasable") == 0) {
		printf("erasable=%d\n", d->row->erasable && d->row->erasable(d->sink));
		fflush(stdout);
	} else
		give_up("unknown line");
}

static void read_secret(struct forward_target *t, const char *path)
{
	FILE *f = fopen(path, "re");

	if (!f)
		give_up("secret: cannot be read");
	t->secret[fread(t->secret, 1, sizeof(t->secret) - 1, f)] = 0;
	t->secret[strcspn(t->secret, "\r\n")] = 0;
	fclose(f);
}

static void take_option(struct forward_target *t, char *option)
{
	char *value = strchr(option, '=');
	struct err e;

	if (!value)
		give_up("options are NAME=VALUE");
	*value++ = 0;
	if (strcmp(option, "secret") == 0)
		read_secret(t, value);
	else if (target_set(t, option, value, &e) < 0)
		give_up(e.text);
}

int main(int argc, char **argv)
{
	static struct forward_target target = { .name = "test" };
	struct driver d = { 0 };
	OWNED_HEAP char *line = NULL;
	size_t room = 0;
	ssize_t n;
	struct err e;

	if (argc < 3)
		give_up("SINK TO [NAME=VALUE ...] [secret=FILE]");
	if (target_set(&target, "sink", argv[1], &e) < 0 || target_set(&target, "to", argv[2], &e) < 0)
		give_up(e.text);
	for (int i = 3; i < argc; i++)
		take_option(&target, argv[i]);
	d.row = target.row;
	d.form = d.row->form(&target);
	begin_batch(&d);
	signal(SIGPIPE, SIG_IGN);
	if (target_check(&target, &e) < 0 || d.row->open(&target, &identity, &d.sink, &e) < 0)
		give_up(e.text);
	if (privilege_seal_forwarder(&e) < 0)
		give_up(e.text);
	while ((n = getline(&line, &room, stdin)) > 0) {
		if (line[n - 1] == '\n')
			line[--n] = 0;
		obey(&d, line, (size_t)n);
	}
	d.row->close(d.sink);
	free(d.body.bytes);
	free(d.packed.bytes);
	free(d.seals.bytes);
	free(d.items);
	return 0;
}

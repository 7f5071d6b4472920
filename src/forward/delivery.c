/* SPDX-License-Identifier: MIT */
#include "delivery.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "../base/clock.h"

/* Between tries: doubled from the first on, and then any time up to that, so that a fleet does not come back as one. */
#define RETRY_FIRST_MS 1000u
#define RETRY_MOST_MS  60000u
#define RETRY_ASKED_MS 3600000u /* most that a server may ask for */
#define RETRY_LEAST_MS 100u

/* --- being told */

void delivery_listen(struct delivery *d, int ms)
{
	struct pollfd p = { .fd = d->s->until, .events = POLLIN };
	ssize_t n;
	char told;

	if (poll(&p, 1, ms) <= 0)
		return;
	n = read(d->s->until, &told, 1);
	d->finish = d->finish || n == 1;
	d->stop = d->stop || n == 0;
}

void delivery_pause(struct delivery *d, uint64_t ms)
{
	uint64_t until = now_ms() + ms, now;

	while (!d->stop && (now = now_ms()) < until)
		delivery_listen(d, (int)(until - now));
}

/* --- what is shown */

void delivery_show(struct delivery *d)
{
	struct forwarded *shown = d->s->shown;

	shown->confirmed = d->mark.confirmed;
	shown->events = d->mark.events;
	shown->batches = d->mark.batches;
	shown->gaps = d->mark.gaps;
	shown->missing = d->mark.missing;
	shown->retries = d->failures;
}

void delivery_show_text(struct delivery *d, const char *text)
{
	snprintf(d->s->shown->text, sizeof(d->s->shown->text), "%.190s", text);
}

int delivery_keep(struct delivery *d, struct err *e)
{
	int r = bookmark_store(d->s->bookmark, &d->mark, &d->place);

	delivery_show(d);
	return r < 0 ? err_set(e, -r, "writing the bookmark") : 0;
}

/* --- one batch */

void delivery_new_nonce(struct delivery *d)
{
	uint8_t bytes[(NONCE_SIZE - 1) / 2];

	RAND_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(d->nonce + 2 * i, 3, "%02x", bytes[i]);
}

static uint64_t retry_after_ms(const struct delivery *d, const struct answer *a)
{
	unsigned doublings = d->failures > 6 ? 6 : d->failures - 1;
	uint64_t most = (uint64_t)RETRY_FIRST_MS << doublings, asked = a->retry_after_s * UINT64_C(1000), wait;
	uint32_t random = 0;

	if (a->misconfigured || most > RETRY_MOST_MS)
		most = RETRY_MOST_MS;
	RAND_bytes((uint8_t *)&random, sizeof(random));
	wait = a->misconfigured ? most : RETRY_LEAST_MS + random % most;
	if (asked > RETRY_ASKED_MS)
		asked = RETRY_ASKED_MS;
	return wait > asked ? wait : asked;
}

/* What is kept of it already need not be sent again. */
static void drop_confirmed(struct delivery *d, struct batch *b, struct builder *builder, unsigned count)
{
	if (!b->items || !count || count >= b->count)
		return;
	d->mark.events += count;
	d->mark.confirmed = b->items[count - 1].record_id;
	memset(d->mark.record, 0, sizeof(d->mark.record));
	b->first_id = d->mark.confirmed + 1;
	builder_shift(builder, b, count);
}

void delivery_note_sent(struct delivery *d)
{
	struct forwarded *shown = d->s->shown;

	d->failures = 0;
	shown->sent_utc_ns = clock_ns(CLOCK_REALTIME);
	shown->retries = 0;
	delivery_show_text(d, "");
	/* Once it was found and told of it stays. */
	if (d->row->erasable && !shown->erasable)
		shown->erasable = d->row->erasable(d->s->sink);
}

enum outcome delivery_try(struct delivery *d, struct batch *b, struct builder *builder, struct answer *a)
{
	struct err e;

	memcpy(b->nonce, b->doubtful ? d->mark.pending.nonce : d->nonce, NONCE_SIZE);
	d->s->shown->waits_utc_ns = b->utc_ns;
	for (;;) {
		*a = (struct answer){ 0 };
		d->row->send(d->s->sink, b, a);
		if (a->outcome == SINK_SENT) {
			delivery_note_sent(d);
			return SINK_SENT;
		}
		delivery_show_text(d, a->text);
		drop_confirmed(d, b, builder, a->confirmed);
		if (a->outcome == SINK_TOO_LARGE || a->outcome == SINK_REFUSED)
			return a->outcome;
		if (a->outcome == SINK_TAKEN) {
			d->s->shown->taken += !a->doubtful;
			delivery_new_nonce(d);
			memcpy(b->nonce, d->nonce, NONCE_SIZE);
			memcpy(d->mark.pending.nonce, d->nonce, NONCE_SIZE);
			b->doubtful = false;
			delivery_keep(d, &e);
		} else {
			b->doubtful = b->doubtful || a->doubtful;
		}
		d->failures++;
		d->s->shown->retries = d->failures;
		delivery_listen(d, 0);
		if (d->stop)
			return SINK_RETRY;
		delivery_pause(d, retry_after_ms(d, a));
	}
}

int delivery_settle(struct delivery *d, const struct batch *b, uint64_t last, const uint8_t *record, struct err *e)
{
	uint8_t links[2][32];

	memcpy(links[0], d->mark.chain, 32);
	memcpy(links[1], b->sha256, 32);
	SHA256(links[0], sizeof(links), d->mark.chain);
	d->mark.batches++;
	if (last)
		d->mark.confirmed = last;
	if (last && record)
		memcpy(d->mark.record, record, sizeof(d->mark.record));
	else if (last)
		memset(d->mark.record, 0, sizeof(d->mark.record));
	d->mark.pending = (struct pending){ 0 };
	d->s->shown->waits_utc_ns = 0;
	return delivery_keep(d, e);
}

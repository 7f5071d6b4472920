/* SPDX-License-Identifier: MIT */
#include "dns.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "dns_message.h"

#define NONE    UINT32_MAX
#define BUCKETS DNS_LOOKUPS

/* A look-up that waits. In the chain of its bucket, and in the line of all by age. */
struct lookup {
	struct ks_hdr asked; /* head of the packet that asked first */
	uint64_t cookie;     /* of the socket; with the id of the message what an answer is known by */
	uint64_t until_ns;
	uint32_t chain;          /* the next of its bucket, or of the free ones */
	uint32_t older, younger; /* in the line */
	uint16_t id, type;
	bool truncated; /* an answer came that did not fit: over TCP the client asks again */
	bool fits;
	uint16_t rcode;
	uint32_t name_length, results_length;
	char name[DNS_NAME_MAX];
	char results[256]; /* of a truncated answer, whole items only */
};

/* One direction of a TCP connection: messages, each behind its length in two bytes. */
struct stream {
	uint64_t cookie; /* 0: free */
	uint64_t used;   /* when, in packets */
	struct ks_hdr head; /* of the packet in which the present message began */
	uint32_t next;   /* number of the byte that comes next */
	uint32_t wanted, got; /* of the present message, its length in front included */
	uint32_t kept;   /* bytes of it in the buffer: less if it is too long or some were cut */
	bool sent;
	bool hole;       /* of the present message something is missing */
	bool broken;     /* something is missing between messages: nothing can be read any more */
	uint8_t bytes[KS_DNS_MAX];
};

struct dns {
	struct dns_sink sink;
	struct dns_tally tally;
	struct lookup *lookups;
	uint32_t buckets[BUCKETS];
	uint32_t free, oldest, youngest;
	uint32_t truncated; /* how many of those that wait */
	struct stream *streams;
	uint64_t packets;
	struct dns_message message; /* in hand */
	/* What is handed on. */
	union {
		struct ks_rec_DNS_QUERY record;
		uint8_t bytes[sizeof(struct ks_rec_DNS_QUERY) + 16 + DNS_NAME_MAX + DNS_RESULTS_MAX];
	} out;
};

int dns_new(const struct dns_sink *sink, struct dns **ret, struct err *e)
{
	OWNED(dns) d = calloc(1, sizeof(*d));

	if (!d)
		return err_set(e, ENOMEM, "look-ups");
	d->sink = *sink;
	d->lookups = calloc(DNS_LOOKUPS, sizeof(*d->lookups));
	d->streams = calloc(DNS_STREAMS, sizeof(*d->streams));
	if (!d->lookups || !d->streams)
		return err_set(e, ENOMEM, "look-ups");
	memset(d->buckets, 0xff, sizeof(d->buckets));
	for (uint32_t i = 0; i < DNS_LOOKUPS; i++)
		d->lookups[i].chain = i + 1 < DNS_LOOKUPS ? i + 1 : NONE;
	d->oldest = d->youngest = NONE;
	*ret = MOVE(d);
	return 0;
}

void dns_free(struct dns *d)
{
	if (!d)
		return;
	free(d->lookups);
	free(d->streams);
	free(d);
}

void dns_tally(const struct dns *d, struct dns_tally *t)
{
	*t = d->tally;
}

/* --- the table of those that wait */

static uint32_t *bucket_of(struct dns *d, uint64_t cookie, uint16_t id)
{
	uint64_t mixed = (cookie ^ (uint64_t)id << 48) * 0x9e3779b97f4a7c15u;

	return &d->buckets[mixed >> 32 & (BUCKETS - 1)];
}

static void enter(struct dns *d, uint32_t at)
{
	struct lookup *l = &d->lookups[at];
	uint32_t *bucket = bucket_of(d, l->cookie, l->id);

	l->chain = *bucket;
	*bucket = at;
}

static void leave(struct dns *d, uint32_t at)
{
	struct lookup *l = &d->lookups[at];
	uint32_t *from = bucket_of(d, l->cookie, l->id);

	while (*from != at)
		from = &d->lookups[*from].chain;
	*from = l->chain;
}

static void line_up(struct dns *d, uint32_t at)
{
	struct lookup *l = &d->lookups[at];

	l->older = d->youngest;
	l->younger = NONE;
	*(d->youngest == NONE ? &d->oldest : &d->lookups[d->youngest].younger) = at;
	d->youngest = at;
}

static void step_out(struct dns *d, uint32_t at)
{
	struct lookup *l = &d->lookups[at];

	*(l->older == NONE ? &d->oldest : &d->lookups[l->older].younger) = l->younger;
	*(l->younger == NONE ? &d->youngest : &d->lookups[l->younger].older) = l->older;
}

/* Servers may change the case of what they repeat, and some clients play with it. */
static bool same_name(const struct lookup *l, const struct dns_message *m)
{
	if (l->type != m->type || l->name_length != m->name_length)
		return false;
	for (uint32_t i = 0; i < l->name_length; i++) {
		uint8_t a = (uint8_t)l->name[i], b = (uint8_t)m->name[i];

		if (a != b && ((a ^ b) != 0x20 || (a | 0x20) < 'a' || (a | 0x20) > 'z'))
			return false;
	}
	return true;
}

static uint32_t find(struct dns *d, uint64_t cookie, const struct dns_message *m)
{
	uint32_t at = *bucket_of(d, cookie, m->id);

	while (at != NONE && !(d->lookups[at].cookie == cookie && d->lookups[at].id == m->id &&
			       same_name(&d->lookups[at], m)))
		at = d->lookups[at].chain;
	return at;
}

/* --- the end of a look-up */

static struct ks_text append(struct dns *d, const void *bytes, size_t n)
{
	struct ks_text t = { .off = (uint16_t)d->out.record.hdr.size, .len = (uint16_t)n };

	memcpy(d->out.bytes + t.off, bytes, n);
	d->out.record.hdr.size += (uint32_t)n;
	return t;
}

static void tell(struct dns *d, uint32_t at, const char *status, const char *results, size_t length)
{
	struct lookup *l = &d->lookups[at];
	struct ks_rec_DNS_QUERY *rec = &d->out.record;

	*rec = (struct ks_rec_DNS_QUERY){ .hdr = l->asked };
	rec->hdr.type = KS_DNS_QUERY;
	rec->hdr.size = sizeof(*rec);
	rec->type = l->type;
	rec->QueryName = append(d, l->name, l->name_length);
	rec->QueryStatus = append(d, status, strlen(status));
	rec->QueryResults = append(d, results, length);
	d->truncated -= l->truncated;
	leave(d, at);
	step_out(d, at);
	l->chain = d->free;
	d->free = at;
	d->tally.told++;
	d->sink.take(d->sink.context, &rec->hdr);
}

/* The code of the answer in the numbers of Windows. */
static const char *status_of(unsigned rcode, bool fits, char text[16])
{
	if (!rcode)
		return fits ? "0" : "9501";
	snprintf(text, 16, "%u", 9000 + rcode);
	return text;
}

/* Without its answer, or with the part of one that came. */
static void tell_unanswered(struct dns *d, uint32_t at, const char *status)
{
	struct lookup *l = &d->lookups[at];
	char text[16];

	if (l->truncated)
		status = status_of(l->rcode, l->fits, text);
	tell(d, at, status, l->results, l->results_length);
}

/* --- messages */

static uint32_t take_free(struct dns *d)
{
	uint32_t at;

	if (d->free == NONE) {
		d->tally.crowded++;
		tell_unanswered(d, d->oldest, "-");
	}
	at = d->free;
	d->free = d->lookups[at].chain;
	return at;
}

/* A question over TCP, of a client whose answer over UDP was too long: the same look-up goes on. */
static uint32_t find_truncated(const struct dns *d, const struct ks_who *who, const struct dns_message *m)
{
	uint32_t at = d->truncated ? d->oldest : NONE;

	while (at != NONE) {
		const struct lookup *l = &d->lookups[at];

		if (l->truncated && l->asked.who.tgid == who->tgid && l->asked.who.start_ns == who->start_ns &&
		    same_name(l, m))
			break;
		at = l->younger;
	}
	return at;
}

static void take_question(struct dns *d, const struct ks_hdr *asked, uint64_t cookie, bool tcp)
{
	const struct dns_message *m = &d->message;
	uint32_t at = find(d, cookie, m);
	struct lookup *l;

	if (at == NONE && tcp) {
		at = find_truncated(d, &asked->who, m);
		if (at != NONE)
			leave(d, at);
	} else if (at != NONE) { /* sent again */
		d->lookups[at].until_ns = asked->time_ns + DNS_WAIT_NS;
		step_out(d, at);
		line_up(d, at);
		return;
	}
	if (at != NONE) {
		step_out(d, at);
		l = &d->lookups[at];
	} else {
		at = take_free(d);
		l = &d->lookups[at];
		d->tally.opened++;
		l->asked = *asked;
		l->type = m->type;
		l->truncated = false;
		l->results_length = 0;
		l->name_length = m->name_length;
		memcpy(l->name, m->name, m->name_length);
	}
	l->cookie = cookie;
	l->id = m->id;
	l->until_ns = asked->time_ns + DNS_WAIT_NS;
	enter(d, at);
	line_up(d, at);
}

/* What fits of an answer that is not the last word: whole items. */
static void keep_truncated(struct dns *d, struct lookup *l, const struct dns_message *m)
{
	uint32_t n = m->results_length;

	if (n > sizeof(l->results))
		for (n = sizeof(l->results); n > 0 && m->results[n - 1] != ';'; n--)
			;
	memcpy(l->results, m->results, n);
	l->results_length = n;
	l->rcode = (uint16_t)m->rcode;
	l->fits = m->fits;
	d->truncated += !l->truncated;
	l->truncated = true;
}

static void take_answer(struct dns *d, uint64_t cookie, bool tcp)
{
	const struct dns_message *m = &d->message;
	uint32_t at = find(d, cookie, m);
	char status[16];

	if (at == NONE)
		d->tally.unasked++;
	else if (m->truncated && !tcp)
		keep_truncated(d, &d->lookups[at], m);
	else
		tell(d, at, status_of(m->rcode, m->fits, status), m->results, m->results_length);
}

/* Servers answer and are asked by the same packets: only the client's side counts. */
static void take_message(struct dns *d, const struct ks_hdr *hdr, uint64_t cookie, bool sent, bool tcp,
			 const uint8_t *bytes, size_t n)
{
	if (dns_message_read(bytes, n, &d->message) < 0)
		d->tally.unreadable++;
	else if (sent && !d->message.answer)
		take_question(d, hdr, cookie, tcp);
	else if (!sent && d->message.answer)
		take_answer(d, cookie, tcp);
}

/* --- streams */

static struct stream *stream_of(struct dns *d, const struct ks_rec_DNS_PACKET *p)
{
	struct stream *rest = &d->streams[0];

	for (struct stream *s = d->streams; s < d->streams + DNS_STREAMS; s++) {
		if (s->cookie == p->cookie && s->sent == !!p->sent)
			return s;
		if (s->used < rest->used)
			rest = s;
	}
	if (rest->cookie && rest->got)
		d->tally.broken++;
	memset(rest, 0, offsetof(struct stream, bytes));
	rest->cookie = p->cookie;
	rest->sent = p->sent;
	rest->next = p->sequence;
	rest->wanted = 2;
	return rest;
}

/* The present message is whole. */
static void stream_message(struct dns *d, struct stream *s)
{
	if (s->kept > 2)
		take_message(d, &s->head, s->cookie, s->sent, true, s->bytes + 2, s->kept - 2);
	s->wanted = 2;
	s->got = s->kept = 0;
	s->hole = false;
}

/* The next n bytes, of which the first `there` are there. */
static void stream_bytes(struct dns *d, struct stream *s, const struct ks_hdr *hdr, const uint8_t *bytes, uint32_t there,
			 uint32_t n)
{
	while (n > 0) {
		uint32_t part = s->wanted - s->got < n ? s->wanted - s->got : n;
		uint32_t copied = part < there ? part : there;
		uint32_t room = (uint32_t)sizeof(s->bytes) - s->kept;

		if (s->got == 0)
			s->head = *hdr;
		if (copied > room)
			copied = room;
		if (s->hole)
			copied = 0;
		memcpy(s->bytes + s->kept, bytes, copied);
		s->kept += copied;
		s->hole = s->hole || copied < part;
		s->got += part;
		n -= part;
		bytes += part < there ? part : there;
		there -= part < there ? part : there;
		if (s->got < s->wanted)
			return;
		if (s->got > 2) {
			stream_message(d, s);
		} else if (s->hole) { /* the length itself is missing */
			s->broken = true;
			d->tally.broken++;
			return;
		} else {
			s->wanted = 2 + (uint32_t)(s->bytes[0] << 8 | s->bytes[1]);
			if (s->wanted == 2)
				s->got = s->kept = 0;
		}
	}
}

static void take_segment(struct dns *d, const struct ks_rec_DNS_PACKET *p, const uint8_t *bytes)
{
	struct stream *s = stream_of(d, p);
	uint32_t there = p->payload.len, n = p->length;
	int32_t ahead = (int32_t)(p->sequence - s->next);

	s->used = ++d->packets;
	if (s->broken)
		return;
	if (ahead > 0) { /* out of order: rare, and waiting for the rest would need room for it */
		s->broken = true;
		d->tally.broken++;
		return;
	}
	if ((uint32_t)-ahead >= n) /* sent again */
		return;
	bytes += (uint32_t)-ahead < there ? (uint32_t)-ahead : there;
	there -= (uint32_t)-ahead < there ? (uint32_t)-ahead : there;
	n -= (uint32_t)-ahead;
	s->next += n;
	stream_bytes(d, s, &p->hdr, bytes, there, n);
}

/* --- packets */

static void take_datagrams(struct dns *d, const struct ks_rec_DNS_PACKET *p, const uint8_t *bytes)
{
	uint32_t left = p->payload.len;
	uint32_t each = p->segment ? p->segment : left;

	while (left > 0) {
		uint32_t n = left < each ? left : each;

		take_message(d, &p->hdr, p->cookie, p->sent, false, bytes, n);
		bytes += n;
		left -= n;
	}
}

void dns_take(struct dns *d, const struct ks_rec_DNS_PACKET *p)
{
	const uint8_t *bytes = (const uint8_t *)p + p->payload.off;

	if (p->cookie == 0 || p->length < p->payload.len)
		d->tally.unreadable++;
	else if (p->transport == IPPROTO_TCP)
		take_segment(d, p, bytes);
	else
		take_datagrams(d, p, bytes);
}

void dns_tick(struct dns *d, uint64_t now_ns)
{
	while (d->oldest != NONE && d->lookups[d->oldest].until_ns <= now_ns)
		tell_unanswered(d, d->oldest, "1460");
}

void dns_finish(struct dns *d)
{
	while (d->oldest != NONE)
		tell_unanswered(d, d->oldest, "-");
}

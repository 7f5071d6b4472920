/* SPDX-License-Identifier: MIT */
#include "dns_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HEADER       12
#define LABEL_MAX    63
#define NAME_MAX_WIRE 255
#define POINTERS_MAX 32 /* each leads backwards, so there is an end; this one comes earlier */

#define TYPE_NS    2
#define TYPE_SOA   6
#define TYPE_PTR   12
#define TYPE_MX    15
#define TYPE_TXT   16
#define TYPE_AAAA  28
#define TYPE_SRV   33
#define TYPE_DNAME 39
#define TYPE_OPT   41
#define TYPE_SPF   99

/* A message under examination. */
struct scan {
	const uint8_t *bytes;
	size_t n, at;
	bool broken; /* it ended too early, or does not mean anything */
};

/* Text of limited size; what does not fit marks it as cut. */
struct text {
	char *to;
	size_t size, n;
	bool cut;
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint16_t next16(struct scan *s)
{
	uint16_t value;

	if (s->n - s->at < 2) {
		s->broken = true;
		return 0;
	}
	value = get16(s->bytes + s->at);
	s->at += 2;
	return value;
}

static uint32_t next32(struct scan *s)
{
	uint32_t high = next16(s);

	return high << 16 | next16(s);
}

static void put(struct text *t, const void *bytes, size_t n)
{
	if (n > t->size - t->n) {
		t->cut = true;
		return;
	}
	memcpy(t->to + t->n, bytes, n);
	t->n += n;
}

static void put_number(struct text *t, uint32_t value)
{
	char digits[12];

	put(t, digits, (size_t)snprintf(digits, sizeof(digits), "%u", value));
}

/* A byte that would otherwise mean something gets a backslash, as in the text form of RFC 1035. */
static void put_byte(struct text *t, uint8_t byte, const char *special)
{
	char pair[2] = { '\\', (char)byte };

	if (byte && strchr(special, byte))
		put(t, pair, 2);
	else
		put(t, &byte, 1);
}

/* A name, which may go on elsewhere, earlier in the message. s moves behind it. t NULL: only skipped. */
static void scan_name(struct scan *s, struct text *t, const char *special)
{
	size_t at = s->at, wire = 0, end = 0;
	unsigned pointers = 0;
	uint8_t length;

	for (;;) {
		if (at >= s->n)
			goto broken;
		length = s->bytes[at];
		if (length >= 0xc0) {
			size_t to;

			if (at + 1 >= s->n || ++pointers > POINTERS_MAX)
				goto broken;
			to = (size_t)(length & 0x3f) << 8 | s->bytes[at + 1];
			end = end ? end : at + 2;
			if (to >= at)
				goto broken;
			at = to;
			continue;
		}
		wire += length + 1u;
		if (length > LABEL_MAX || wire > NAME_MAX_WIRE || length >= s->n - at)
			goto broken;
		at++;
		if (length == 0)
			break;
		if (t && wire > length + 1u)
			put(t, ".", 1);
		for (unsigned i = 0; t && i < length; i++)
			put_byte(t, s->bytes[at + i], special);
		at += length;
	}
	if (t && wire == 1)
		put(t, ".", 1);
	s->at = end ? end : at;
	return;
broken:
	s->broken = true;
}

#define IN_NAME    ".\\"
#define IN_RESULTS ".\\;"

/* Strings of one length byte each, one after the other, as those who read them put them together. */
static void put_strings(struct scan *s, size_t end, struct text *t)
{
	while (s->at < end) {
		size_t n = s->bytes[s->at++];

		if (n > end - s->at) {
			s->broken = true;
			n = end - s->at;
		}
		for (size_t i = 0; i < n; i++)
			put_byte(t, s->bytes[s->at + i], "\\;");
		s->at += n;
	}
}

/* A record of a type that has no text form here: RFC 3597. */
static void put_unknown(const struct scan *s, size_t end, struct text *t)
{
	put(t, "\\# ", 3);
	put_number(t, (uint32_t)(end - s->at));
	put(t, " ", 1);
	for (size_t i = s->at; i < end && !t->cut; i++) {
		char hex[3];

		snprintf(hex, sizeof(hex), "%02x", s->bytes[i]);
		put(t, hex, 2);
	}
}

static void put_numbers_and_name(struct scan *s, unsigned numbers, struct text *t)
{
	while (numbers-- > 0) {
		put_number(t, next16(s));
		put(t, " ", 1);
	}
	scan_name(s, t, IN_RESULTS);
}

static void put_data(struct scan *s, unsigned type, size_t end, struct text *t)
{
	switch (type) {
	case TYPE_NS:
	case DNS_TYPE_CNAME:
	case TYPE_PTR:
	case TYPE_DNAME:
		put_numbers_and_name(s, 0, t);
		break;
	case TYPE_MX:
		put_numbers_and_name(s, 1, t);
		break;
	case TYPE_SRV:
		put_numbers_and_name(s, 3, t);
		break;
	case TYPE_SOA:
		scan_name(s, t, IN_RESULTS);
		put(t, " ", 1);
		scan_name(s, t, IN_RESULTS);
		for (int i = 0; i < 5; i++) {
			put(t, " ", 1);
			put_number(t, next32(s));
		}
		break;
	case TYPE_TXT:
	case TYPE_SPF:
		put_strings(s, end, t);
		break;
	default:
		put_unknown(s, end, t);
	}
}

/* One item of QueryResults. */
static void put_item(struct scan *s, unsigned type, size_t end, struct text *t)
{
	char address[INET6_ADDRSTRLEN];
	size_t n = end - s->at;

	if (type == DNS_TYPE_A && n == 4) {
		inet_ntop(AF_INET, s->bytes + s->at, address, sizeof(address));
		put(t, "::ffff:", 7);
		put(t, address, strlen(address));
	} else if (type == TYPE_AAAA && n == 16) {
		inet_ntop(AF_INET6, s->bytes + s->at, address, sizeof(address));
		put(t, address, strlen(address));
	} else {
		put(t, "type:  ", 7);
		put_number(t, type);
		put(t, " ", 1);
		put_data(s, type, end, t);
	}
	put(t, ";", 1);
}

/* One record of the message; only answers are shown, of the others only what EDNS says about the code counts. */
static void scan_record(struct scan *s, bool shown, struct dns_message *m, struct text *t)
{
	size_t before = t->n, end;
	unsigned type, class, length;
	uint32_t ttl;

	scan_name(s, NULL, "");
	type = next16(s);
	class = next16(s);
	ttl = next32(s);
	length = next16(s);
	if (s->broken || length > s->n - s->at) {
		s->broken = true;
		return;
	}
	end = s->at + length;
	if (shown && class == m->class && !t->cut) {
		put_item(s, type, end, t);
		if (t->cut || s->broken || s->at > end)
			t->n = before; /* half an item would be another one */
		else if (type == m->type || m->type == DNS_TYPE_ANY)
			m->fits = true;
	} else if (!shown && type == TYPE_OPT) {
		m->rcode |= ttl >> 24 << 4;
	}
	s->at = end;
}

static void scan_records(struct scan *s, unsigned answers, unsigned others, struct dns_message *m)
{
	/* Room for the mark of what was cut. */
	struct text t = { m->results, sizeof(m->results) - 3, 0, false };

	for (unsigned i = 0; i < answers + others && !s->broken; i++)
		scan_record(s, i < answers, m, &t);
	if (t.cut) {
		t.size += 3;
		put(&t, "...", 3);
	}
	m->results_length = (uint32_t)t.n;
}

int dns_message_read(const uint8_t *bytes, size_t n, struct dns_message *m)
{
	struct scan s = { bytes, n, HEADER, false };
	struct text name = { m->name, sizeof(m->name), 0, false };
	unsigned flags;

	if (n < HEADER)
		return -EBADMSG;
	flags = get16(bytes + 2);
	if (flags >> 11 & 15 || get16(bytes + 4) != 1) /* no ordinary query, or not one question */
		return -EBADMSG;
	m->id = get16(bytes);
	m->answer = flags >> 15;
	m->truncated = flags >> 9 & 1;
	m->rcode = flags & 15;
	m->fits = false;
	m->results_length = 0;

	scan_name(&s, &name, IN_NAME);
	m->type = next16(&s);
	m->class = next16(&s);
	if (s.broken || name.cut)
		return -EBADMSG;
	m->name_length = (uint32_t)name.n;
	if (m->answer)
		scan_records(&s, get16(bytes + 6), (unsigned)get16(bytes + 8) + get16(bytes + 10), m);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HEADER        12
#define TRUNCATED     0x02 /* in the byte of flags that is at 2 */
#define CLASS_IN      1
#define NAME_ASKED    (0xc000 | HEADER) /* where it stands in every message */
#define MORE_LABELS   3 /* of 64 bytes at most, and the first one: less than the 255 that are allowed */
#define STRING_MAX    255

enum { A = 1, NS = 2, CNAME = 5, SOA = 6, PTR = 12, MX = 15, TXT = 16, AAAA = 28, SRV = 33, OPT = 41, HTTPS = 65 };
static const unsigned asked_for[] = { A, A, AAAA, AAAA, TXT, MX, SRV, PTR, NS, SOA, HTTPS };

/* --- Bytes and texts. --- */

static void put(struct message *m, const void *bytes, size_t n)
{
	if (n > sizeof(m->bytes) - m->n)
		NEVER("a message is too long");
	memcpy(m->bytes + m->n, bytes, n);
	m->n += n;
}

static void put8(struct message *m, unsigned value)
{
	put(m, &(uint8_t){ (uint8_t)value }, 1);
}

static void put16(struct message *m, unsigned value)
{
	put8(m, value >> 8);
	put8(m, value & 0xff);
}

static void put32(struct message *m, uint32_t value)
{
	put16(m, value >> 16);
	put16(m, value & 0xffff);
}

static unsigned get16(const struct message *m, size_t at)
{
	return (unsigned)(m->bytes[at] << 8 | m->bytes[at + 1]);
}

__attribute__((format(printf, 3, 4))) static void say(char *text, size_t size, const char *format, ...)
{
	size_t n = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	if ((size_t)vsnprintf(text + n, size - n, format, arguments) >= size - n)
		NEVER("a text is too long");
	va_end(arguments);
}

/* What would mean something else has a backslash in front. */
static void say_bytes(char *text, size_t size, const uint8_t *bytes, size_t n, const char *special)
{
	for (size_t i = 0; i < n; i++)
		say(text, size, "%s%c", strchr(special, bytes[i]) ? "\\" : "", bytes[i]);
}

/* The labels of a name that stands whole in a message; returns its length there. */
static size_t say_name(char *text, size_t size, const uint8_t *name, const char *special)
{
	size_t at = 0;

	for (; name[at]; at += 1u + name[at]) {
		say(text, size, "%s", at ? "." : "");
		say_bytes(text, size, name + at + 1, name[at], special);
	}
	return at + 1;
}

/* --- Questions. --- */

/* No byte of it is NUL, which the ledger cannot hold. */
static void put_label(struct actor *a, struct message *m)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	uint64_t n = 1 + choose(a, choose(a, 2) ? 8 : 63);
	bool strange = choose(a, 4) == 0;

	put8(m, (unsigned)n);
	for (uint64_t i = 0; i < n; i++)
		put8(m, strange ? 1 + (unsigned)choose(a, 255) : (uint8_t)plain[choose(a, sizeof(plain) - 1)]);
}

void names_ask(struct actor *a, enum asking how, struct question *ret)
{
	struct message *m = &ret->message;
	bool extended = choose(a, 2);
	char first[32];
	int n = snprintf(first, sizeof(first), "%c%llx", "1ta"[how], (unsigned long long)choose(a, UINT64_MAX));

	m->n = 0;
	put16(m, (unsigned)choose(a, 65536));
	put16(m, 0x0100); /* recursion is desired */
	put16(m, 1);
	put32(m, 0);
	put16(m, extended);
	put8(m, (unsigned)n);
	put(m, first, (size_t)n);
	for (uint64_t labels = choose(a, MORE_LABELS + 1); labels > 0; labels--)
		put_label(a, m);
	put8(m, 0);
	put16(m, asked_for[choose(a, ARRAY_SIZE(asked_for))]);
	put16(m, CLASS_IN);
	if (extended)
		put(m, (uint8_t[]){ 0, 0, OPT, 16, 0, 0, 0, 0, 0, 0, 0 }, 11); /* up to 4096 bytes, please */
	ret->name[0] = 0;
	say_name(ret->name, sizeof(ret->name), m->bytes + HEADER, ".\\");
}

enum asking names_asked(const struct message *question)
{
	switch (question->bytes[HEADER + 1]) {
	case 't':
		return ASKED_TWICE;
	case 'a':
		return ASKED_AGAIN;
	default:
		return ASKED_ONCE;
	}
}

/* --- Answers. --- */

struct answering {
	struct answer *to;
	uint64_t random; /* out of the question */
	unsigned counts[3]; /* records: answers, authority, more */
};

static uint64_t seed_of(const uint8_t *bytes, size_t n)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash;
}

/* A server may write letters small or large as it likes: what was asked for is what the client wrote. */
static void put_question(struct answering *w, const struct message *question, size_t name_end)
{
	bool other_case = draw(&w->random, 2);

	for (size_t i = HEADER; i < name_end; i++)
		put8(&w->to->message, question->bytes[i] ^ (other_case && isalpha(question->bytes[i]) ? 0x20 : 0));
	put(&w->to->message, question->bytes + name_end, 4);
}

#define SAY(w, ...)                      say((w)->to->results, sizeof((w)->to->results), __VA_ARGS__)
#define SAY_BYTES(w, bytes, n, special)  say_bytes((w)->to->results, sizeof((w)->to->results), bytes, n, special)

/* A name below the one that was asked for. */
static void put_name_below(struct answering *w, const char *label)
{
	struct message *m = &w->to->message;

	put8(m, (unsigned)strlen(label));
	put(m, label, strlen(label));
	put16(m, NAME_ASKED);
	SAY(w, "%s.", label);
	say_name(w->to->results, sizeof(w->to->results), m->bytes + HEADER, ".\\;");
}

static void put_number(struct answering *w)
{
	unsigned value = (unsigned)draw(&w->random, 65536);

	put16(&w->to->message, value);
	SAY(w, "%u ", value);
}

static void put_address(struct answering *w, int family)
{
	uint8_t address[16];
	char text[INET6_ADDRSTRLEN];
	size_t n = family == AF_INET ? 4 : 16;

	for (size_t i = 0; i < n; i++)
		address[i] = (uint8_t)draw(&w->random, draw(&w->random, 2) ? 256 : 2); /* zeros in a row, too */
	put(&w->to->message, address, n);
	SAY(w, "%s%s", family == AF_INET ? "::ffff:" : "", inet_ntop(family, address, text, sizeof(text)));
}

static void put_strings(struct answering *w)
{
	uint8_t bytes[STRING_MAX];

	for (uint64_t strings = 1 + draw(&w->random, 2); strings > 0; strings--) {
		size_t n = draw(&w->random, STRING_MAX + 1);

		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)(1 + draw(&w->random, 255));
		put8(&w->to->message, (unsigned)n);
		put(&w->to->message, bytes, n);
		SAY_BYTES(w, bytes, n, "\\;");
	}
}

static void put_authority(struct answering *w)
{
	put_name_below(w, "ns");
	SAY(w, " ");
	put_name_below(w, "master");
	for (int i = 0; i < 5; i++) {
		uint32_t value = (uint32_t)draw(&w->random, UINT64_C(1) << 32);

		put32(&w->to->message, value);
		SAY(w, " %u", value);
	}
}

static void put_unknown(struct answering *w)
{
	uint64_t n = draw(&w->random, 64);

	SAY(w, "\\# %u ", (unsigned)n);
	for (uint64_t i = 0; i < n; i++) {
		unsigned byte = (unsigned)draw(&w->random, 256);

		put8(&w->to->message, byte);
		SAY(w, "%02x", byte);
	}
}

static void put_data(struct answering *w, unsigned type)
{
	if (type == A || type == AAAA) {
		put_address(w, type == A ? AF_INET : AF_INET6);
		return;
	}
	SAY(w, "type:  %u ", type);
	if (type == TXT) {
		put_strings(w);
	} else if (type == SOA) {
		put_authority(w);
	} else if (type == HTTPS) {
		put_unknown(w);
	} else {
		for (unsigned i = 0; i < (type == SRV ? 3 : type == MX ? 1 : 0); i++)
			put_number(w);
		put_name_below(w, "host");
	}
}

/* section: of the message; of the first only the results tell. */
static void put_record(struct answering *w, unsigned section, unsigned type)
{
	struct message *m = &w->to->message;
	size_t told = strlen(w->to->results), length_at, n;

	put16(m, NAME_ASKED);
	put16(m, type);
	put16(m, CLASS_IN);
	put32(m, 60);
	length_at = m->n;
	put16(m, 0);
	put_data(w, type);
	SAY(w, ";");
	n = m->n - length_at - 2;
	m->bytes[length_at] = (uint8_t)(n >> 8);
	m->bytes[length_at + 1] = (uint8_t)n;
	w->counts[section]++;
	if (section > 0)
		w->to->results[told] = 0;
}

/* The upper bits of a code that is larger than 15 stand in a record of their own. */
static void put_extended(struct answering *w, unsigned code)
{
	put(&w->to->message, (uint8_t[]){ 0, 0, OPT, 4, 0, (uint8_t)(code >> 4), 0, 0, 0, 0, 0 }, 11);
	w->counts[2]++;
}

/* Returns the code of the answer; *fits: something of the type that was asked for is in it. */
static unsigned put_records(struct answering *w, unsigned type, bool *fits)
{
	static const unsigned codes[] = { 3, 3, 2, 5, 16 }; /* no such name, failure, refused, bad version */
	uint64_t kind = draw(&w->random, 20);

	*fits = false;
	if (kind < ARRAY_SIZE(codes)) {
		if (codes[kind] == 3)
			put_record(w, 1, SOA);
		if (codes[kind] > 15 || draw(&w->random, 2))
			put_extended(w, codes[kind]);
		return codes[kind];
	}
	if (kind == ARRAY_SIZE(codes)) { /* nothing of this type */
		put_record(w, 1, SOA);
		return 0;
	}
	if (kind > 16 || kind == ARRAY_SIZE(codes) + 1)
		put_record(w, 0, CNAME);
	if (kind == ARRAY_SIZE(codes) + 1) /* nothing but the alias */
		return 0;
	for (uint64_t records = 1 + draw(&w->random, 4); records > 0; records--)
		put_record(w, 0, type);
	if (draw(&w->random, 2))
		put_record(w, 2, AAAA);
	*fits = true;
	return 0;
}

void names_answer(const struct message *question, struct answer *ret)
{
	struct message *m = &ret->message;
	size_t name_end = HEADER;
	struct answering w = { .to = ret };
	unsigned code;
	bool fits;

	while (question->bytes[name_end])
		name_end += 1u + question->bytes[name_end];
	name_end++;
	w.random = seed_of(question->bytes + HEADER, name_end + 4 - HEADER);
	ret->results[0] = 0;
	memset(m->bytes, 0, HEADER);
	m->n = HEADER;
	put_question(&w, question, name_end);
	code = put_records(&w, get16(question, name_end), &fits);
	memcpy(m->bytes, question->bytes, 2);
	m->bytes[2] = 0x81; /* an answer */
	m->bytes[3] = (uint8_t)(0x80 | (code & 15));
	m->bytes[5] = 1;
	for (size_t i = 0; i < ARRAY_SIZE(w.counts); i++)
		m->bytes[7 + 2 * i] = (uint8_t)w.counts[i];
	snprintf(ret->status, sizeof(ret->status), "%u", code ? 9000 + code : fits ? 0 : 9501);
	if (!ret->results[0])
		strcpy(ret->results, "-");
}

void names_cut(struct answer *a)
{
	struct message *m = &a->message;

	m->bytes[2] |= TRUNCATED;
	memset(m->bytes + 6, 0, 6);
	for (m->n = HEADER; m->bytes[m->n]; m->n += 1u + m->bytes[m->n])
		;
	m->n += 5;
}

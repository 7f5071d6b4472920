/* SPDX-License-Identifier: MIT */
/* JSON: one object a line, docs/formats/json.md, which must change with this. */
#include "render.h"

#include <inttypes.h>
#include <string.h>

#include "escape.h"

/* EVTX value types (docs/formats/evtx.md). */
#define TYPE_INT8   0x03
#define TYPE_UINT32 0x08
#define TYPE_BOOL   0x0d

/* What is written in small pieces is put together here first: a call of stdio for each costs more than
 * reading the record. */
struct line {
	FILE *to;
	size_t n;
	char bytes[4096];
};

static void flush(struct line *l)
{
	fwrite_unlocked(l->bytes, 1, l->n, l->to);
	l->n = 0;
}

static void put_bytes(struct line *l, const char *bytes, size_t n)
{
	if (n > sizeof(l->bytes) - l->n)
		flush(l);
	if (n > sizeof(l->bytes)) {
		fwrite_unlocked(bytes, 1, n, l->to);
		return;
	}
	memcpy(l->bytes + l->n, bytes, n);
	l->n += n;
}

static void put_char(struct line *l, char c)
{
	put_bytes(l, &c, 1);
}

static void put_text(struct line *l, const char *text)
{
	put_bytes(l, text, strlen(text));
}

static void put_number(struct line *l, uint64_t n)
{
	char digits[20], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	put_bytes(l, p, (size_t)(digits + sizeof(digits) - p));
}

static void put_string(struct line *l, const char *text, size_t n)
{
	put_char(l, '"');
	if (json_plain(text, n) == n) {
		put_bytes(l, text, n);
	} else {
		flush(l);
		put_json(l->to, text, n);
	}
	put_char(l, '"');
}

static void put_member(struct line *l, const char *name, const char *text)
{
	put_text(l, ",\"");
	put_text(l, name);
	put_text(l, "\":");
	put_string(l, text, strlen(text));
}

static void put_number_member(struct line *l, const char *name, uint64_t n)
{
	put_text(l, ",\"");
	put_text(l, name);
	put_text(l, "\":");
	put_number(l, n);
}

static bool is_number(const char *text, size_t n)
{
	size_t digits;

	if (n > 0 && *text == '-') {
		text++;
		n--;
	}
	digits = strspn(text, "0123456789");
	return n > 0 && digits == n && (n == 1 || *text != '0');
}

/* Integers of up to 32 bits are numbers: no reader rounds those. Wider ones and all else are strings. */
static bool is_bare(const struct evtx_data *d)
{
	if (d->type == TYPE_BOOL)
		return strcmp(d->text, "true") == 0 || strcmp(d->text, "false") == 0;
	return d->type >= TYPE_INT8 && d->type <= TYPE_UINT32 && is_number(d->text, d->length);
}

static void put_value(struct line *l, const struct evtx_data *d)
{
	if (is_bare(d))
		put_bytes(l, d->text, d->length);
	else
		put_string(l, d->text, d->length);
}

/* Classic events have values without a name. */
static const char *key(const struct evtx_data *d)
{
	return d->name[0] ? d->name : "Data";
}

static bool same_key(const struct evtx_data *a, const struct evtx_data *b)
{
	return key(a)[0] == key(b)[0] && strcmp(key(a), key(b)) == 0;
}

static bool named_before(const struct evtx_record *rec, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (same_key(&rec->data[k], &rec->data[i]))
			return true;
	return false;
}

/* Value i, and all further ones of the same name in one array: an object has each name once. */
static void put_values(struct line *l, const struct evtx_record *rec, unsigned i)
{
	bool array = false;

	for (unsigned k = i + 1; k < rec->data_count && !array; k++)
		array = same_key(&rec->data[k], &rec->data[i]);
	if (array)
		put_char(l, '[');
	put_value(l, &rec->data[i]);
	for (unsigned k = i + 1; array && k < rec->data_count; k++) {
		if (same_key(&rec->data[k], &rec->data[i])) {
			put_char(l, ',');
			put_value(l, &rec->data[k]);
		}
	}
	if (array)
		put_char(l, ']');
}

static void put_data(struct line *l, const struct evtx_record *rec)
{
	put_text(l, rec->user_data ? "\"UserData\":{" : "\"EventData\":{");
	for (unsigned i = 0; i < rec->data_count; i++) {
		const char *name = key(&rec->data[i]);

		if (named_before(rec, i))
			continue;
		if (i > 0)
			put_char(l, ',');
		put_string(l, name, strlen(name));
		put_char(l, ':');
		put_values(l, rec, i);
	}
	put_char(l, '}');
}

static void put_if_there(struct line *l, const char *name, const char *text)
{
	if (text[0])
		put_member(l, name, text);
}

static void put_system(struct line *l, const struct evtx_record *rec)
{
	char text[TIME_CREATED_SIZE];

	put_text(l, "\"System\":{\"Provider\":");
	put_string(l, rec->provider_name, strlen(rec->provider_name));
	put_number_member(l, "EventID", rec->event_id);
	put_number_member(l, "Version", rec->version);
	put_number_member(l, "Level", rec->level);
	put_number_member(l, "Task", rec->task);
	put_number_member(l, "Opcode", rec->opcode);
	snprintf(text, sizeof(text), "0x%" PRIx64, rec->keywords);
	put_member(l, "Keywords", text);
	time_created_text(rec->time_utc_ns, text);
	put_member(l, "TimeCreated", text);
	put_number_member(l, "EventRecordID", rec->id);
	put_number_member(l, "ProcessID", rec->process_id);
	put_number_member(l, "ThreadID", rec->thread_id);
	put_member(l, "Channel", rec->channel);
	put_member(l, "Computer", rec->computer);
	put_member(l, "UserID", rec->user_id);
	put_if_there(l, "Qualifiers", rec->qualifiers);
	put_if_there(l, "ActivityID", rec->activity_id);
	put_if_there(l, "RelatedActivityID", rec->related_activity_id);
	put_char(l, '}');
}

void render_json(const struct evtx_record *rec, FILE *to)
{
	render_json_after("", rec, to);
}

void render_json_after(const char *members, const struct evtx_record *rec, FILE *to)
{
	struct line l;

	l.to = to;
	l.n = 0;
	put_char(&l, '{');
	put_text(&l, members);
	put_system(&l, rec);
	put_char(&l, ',');
	put_data(&l, rec);
	put_text(&l, "}\n");
	flush(&l);
}

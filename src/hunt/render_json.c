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

static void put_string(const char *text, size_t n, FILE *to)
{
	fputc('"', to);
	put_json(to, text, n);
	fputc('"', to);
}

static void put_member(const char *name, const char *text, FILE *to)
{
	fprintf(to, ",\"%s\":", name);
	put_string(text, strlen(text), to);
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

static void put_value(const struct evtx_data *d, FILE *to)
{
	if (is_bare(d))
		fwrite(d->text, 1, d->length, to);
	else
		put_string(d->text, d->length, to);
}

/* Classic events have values without a name. */
static const char *key(const struct evtx_data *d)
{
	return d->name[0] ? d->name : "Data";
}

static bool same_key(const struct evtx_data *a, const struct evtx_data *b)
{
	return strcmp(key(a), key(b)) == 0;
}

static bool named_before(const struct evtx_record *rec, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (same_key(&rec->data[k], &rec->data[i]))
			return true;
	return false;
}

/* Value i, and all further ones of the same name in one array: an object has each name once. */
static void put_values(const struct evtx_record *rec, unsigned i, FILE *to)
{
	bool array = false;

	for (unsigned k = i + 1; k < rec->data_count && !array; k++)
		array = same_key(&rec->data[k], &rec->data[i]);
	if (array)
		fputc('[', to);
	put_value(&rec->data[i], to);
	for (unsigned k = i + 1; array && k < rec->data_count; k++) {
		if (same_key(&rec->data[k], &rec->data[i])) {
			fputc(',', to);
			put_value(&rec->data[k], to);
		}
	}
	if (array)
		fputc(']', to);
}

static void put_data(const struct evtx_record *rec, FILE *to)
{
	fprintf(to, "\"%s\":{", rec->user_data ? "UserData" : "EventData");
	for (unsigned i = 0; i < rec->data_count; i++) {
		const char *name = key(&rec->data[i]);

		if (named_before(rec, i))
			continue;
		if (i > 0)
			fputc(',', to);
		put_string(name, strlen(name), to);
		fputc(':', to);
		put_values(rec, i, to);
	}
	fputc('}', to);
}

static void put_if_there(const char *name, const char *text, FILE *to)
{
	if (text[0])
		put_member(name, text, to);
}

static void put_system(const struct evtx_record *rec, FILE *to)
{
	char time[TIME_CREATED_SIZE];

	time_created_text(rec->time_utc_ns, time);
	fputs("\"System\":{\"Provider\":", to);
	put_string(rec->provider_name, strlen(rec->provider_name), to);
	fprintf(to,
		",\"EventID\":%u,\"Version\":%u,\"Level\":%u,\"Task\":%u,\"Opcode\":%u,"
		"\"Keywords\":\"0x%" PRIx64 "\",\"TimeCreated\":\"%s\",\"EventRecordID\":%" PRIu64
		",\"ProcessID\":%" PRIu32 ",\"ThreadID\":%" PRIu32,
		rec->event_id, rec->version, rec->level, rec->task, rec->opcode, rec->keywords, time,
		rec->id, rec->process_id, rec->thread_id);
	put_member("Channel", rec->channel, to);
	put_member("Computer", rec->computer, to);
	put_member("UserID", rec->user_id, to);
	put_if_there("Qualifiers", rec->qualifiers, to);
	put_if_there("ActivityID", rec->activity_id, to);
	put_if_there("RelatedActivityID", rec->related_activity_id, to);
	fputc('}', to);
}

void render_json(const struct evtx_record *rec, FILE *to)
{
	fputc('{', to);
	put_system(rec, to);
	fputc(',', to);
	put_data(rec, to);
	fputs("}\n", to);
}

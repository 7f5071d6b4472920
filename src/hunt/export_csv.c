/* SPDX-License-Identifier: MIT */
/* A table: docs/formats/csv.md, which must change with this. Which columns it has is known when all records were seen, so
 * they are read twice. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "export.h"
#include "view.h"

#define COLUMNS_MAX 1024u /* fields of every event of Sysmon: about 100 */

struct columns {
	char *name[COLUMNS_MAX]; /* owned; of the fields, in the order in which they came */
	uint32_t count;
};

static int column_of(const struct columns *c, const char *name)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (c->name[i][0] == name[0] && strcmp(c->name[i], name) == 0)
			return (int)i;
	return -1;
}

static int note_names(struct columns *c, const struct evtx_record *rec)
{
	for (unsigned i = 0; i < rec->data_count; i++) {
		const char *name = rec->data[i].name;

		if (!name[0] || column_of(c, name) >= 0 || c->count == COLUMNS_MAX)
			continue;
		c->name[c->count] = strdup(name);
		if (!c->name[c->count])
			return -ENOMEM;
		c->count++;
	}
	return 0;
}

/* A cell; quoted where it has to be. Harmful characters and line ends stand as \xHH, so a record is a line. */
static void put_cell(FILE *to, const char *text, size_t n)
{
	bool quoted = memchr(text, ',', n) || memchr(text, '"', n);

	if (quoted)
		fputc('"', to);
	while (n) {
		const char *quote = memchr(text, '"', n);
		size_t run = quote ? (size_t)(quote - text) + 1 : n;

		put_visible(to, text, run);
		if (quote)
			fputc('"', to);
		text += run;
		n -= run;
	}
	if (quoted)
		fputc('"', to);
}

static void put_text(FILE *to, const char *text)
{
	put_cell(to, text, strlen(text));
}

/* What has no column of its own: values without a name, and further ones of a name. */
static bool is_further(const struct columns *c, const struct evtx_record *rec, unsigned i)
{
	if (!rec->data[i].name[0] || column_of(c, rec->data[i].name) < 0)
		return true;
	for (unsigned k = 0; k < i; k++)
		if (strcmp(rec->data[k].name, rec->data[i].name) == 0)
			return true;
	return false;
}

static void put_further(FILE *to, const struct columns *c, const struct evtx_record *rec)
{
	char *text = NULL;
	size_t n = 0;
	FILE *joined = open_memstream(&text, &n);

	if (!joined)
		return;
	for (unsigned i = 0; i < rec->data_count; i++) {
		if (!is_further(c, rec, i))
			continue;
		fprintf(joined, "%s%s%s%s", ftello(joined) > 0 ? "; " : "", rec->data[i].name,
			rec->data[i].name[0] ? "=" : "", rec->data[i].text);
	}
	if (fclose(joined) == 0)
		put_cell(to, text, n);
	free(text);
}

static void put_row(FILE *to, const struct columns *c, const struct evtx_record *rec)
{
	char time[TIME_CREATED_SIZE];

	time_created_text(rec->time_utc_ns, time);
	fprintf(to, "%s,%" PRIu64 ",%u,%u,", time, rec->id, rec->event_id, rec->level);
	put_text(to, rec->provider_name);
	fputc(',', to);
	put_text(to, rec->channel);
	fputc(',', to);
	put_text(to, rec->computer);
	fputc(',', to);
	put_text(to, rec->user_id);
	for (uint32_t i = 0; i < c->count; i++) {
		const struct evtx_data *d = record_value(rec, c->name[i]);

		fputc(',', to);
		if (d)
			put_cell(to, d->text, d->length);
	}
	fputc(',', to);
	put_further(to, c, rec);
	fputc('\n', to);
}

static void put_head(FILE *to, const struct columns *c)
{
	fputs("TimeCreated,EventRecordID,EventID,Level,Provider,Channel,Computer,UserID", to);
	for (uint32_t i = 0; i < c->count; i++) {
		fputc(',', to);
		put_text(to, c->name[i]);
	}
	fputs(",Further\n", to);
}

/* Once to note the names, once to write. */
static int pass(struct logfile *l, struct evtx_reader *r, struct export *x, struct columns *c, bool write)
{
	struct evtx_record rec;
	int result = 0;

	for (size_t i = 0; i < logfile_count(l) && !ferror(x->to); i++) {
		progress_step(x->progress, i + (write ? logfile_count(l) : 0), 2 * logfile_count(l));
		if (!view_begin(l, i, r, x->filter))
			continue;
		while (result == 0 && (write ? view_next(l, r, x->filter, &rec) : logfile_scan(l, r, &rec))) {
			if (write) {
				put_row(x->to, c, &rec);
				x->records++;
			} else if (filter_passes(x->filter, r, &rec)) {
				result = note_names(c, &rec);
			}
		}
		if (write)
			logfile_end_chunk(l, r);
	}
	return result;
}

int export_csv(struct logfile *l, struct export *x, struct err *e)
{
	OWNED(evtx_reader) r = NULL;
	OWNED_HEAP struct columns *c = calloc(1, sizeof(*c));
	int result = c ? evtx_reader_new(&r, e) : err_set(e, ENOMEM, "exporting");

	if (result < 0)
		return result;
	result = pass(l, r, x, c, false);
	if (result == 0) {
		put_head(x->to, c);
		pass(l, r, x, c, true);
	}
	for (uint32_t i = 0; i < c->count; i++)
		free(c->name[i]);
	return result < 0 ? err_set(e, ENOMEM, "exporting") : 0;
}

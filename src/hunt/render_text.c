/* SPDX-License-Identifier: MIT */
/* The text of the event viewer: its "General" page, and the head of the record above it. */
#include "render.h"

#include <inttypes.h>
#include <string.h>

#include "escape.h"

static void put_line(const char *label, const char *text, FILE *to)
{
	fprintf(to, "%-15s", label);
	put_visible(to, text, strlen(text));
	fputc('\n', to);
}

static const char *level_name(unsigned level)
{
	static const char *const names[] = { "Log Always", "Critical", "Error",
					     "Warning",    "Information", "Verbose" };

	return level < sizeof(names) / sizeof(names[0]) ? names[level] : "Unknown";
}

void render_text(const struct evtx_record *rec, FILE *to)
{
	const struct event_type *type = record_type(rec);

	if (type) {
		fprintf(to, "%s:\n", type->title);
	} else {
		put_visible(to, rec->provider_name, strlen(rec->provider_name));
		fprintf(to, ", event %u:\n", rec->event_id);
	}
	for (unsigned i = 0; i < rec->data_count; i++) {
		put_visible(to, rec->data[i].name, strlen(rec->data[i].name));
		fputs(rec->data[i].name[0] ? ": " : "", to);
		put_visible(to, rec->data[i].text, rec->data[i].length);
		fputc('\n', to);
	}
}

static void put_task(const struct evtx_record *rec, FILE *to)
{
	const struct event_type *type = record_type(rec);

	if (!type)
		fprintf(to, "%-15s%u\n", "Task:", rec->task);
	else if (type->tag[0])
		fprintf(to, "%-15s%s (rule: %s)\n", "Task Category:", type->title, type->tag);
	else
		fprintf(to, "%-15s%s\n", "Task Category:", type->title);
}

void render_full(const struct evtx_record *rec, FILE *to)
{
	char time[TIME_CREATED_SIZE];

	time_created_text(rec->time_utc_ns, time);
	put_line("Log Name:", rec->channel, to);
	put_line("Source:", rec->provider_name, to);
	put_line("Date:", time, to);
	fprintf(to, "%-15s%u\n", "Event ID:", rec->event_id);
	fprintf(to, "%-15s%" PRIu64 "\n", "Record ID:", rec->id);
	put_task(rec, to);
	put_line("Level:", level_name(rec->level), to);
	put_line("User:", rec->user_id, to);
	put_line("Computer:", rec->computer, to);
	fputs("Description:\n", to);
	render_text(rec, to);
	fputc('\n', to);
}

/* SPDX-License-Identifier: MIT */
/* XML as Sysmon for Linux writes it to syslog (docs/formats/syslog.md). Its consumers compare some of it
 * byte by byte: Sentinel's parsers match "<Event><System><Provider Name=..." and runs of adjacent Data
 * elements literally, so order, quotes and the missing blanks are a promise. */
#include "render.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../base/own.h"
#include "escape.h"

/* The text form names the user by number: SIDs of ours end in it, and S-1-5-18 stands for root. */
static unsigned long user_number(const char *sid)
{
	static const char unix_user[] = "S-1-22-1-";

	if (strncmp(sid, unix_user, sizeof(unix_user) - 1) != 0)
		return 0;
	return strtoul(sid + sizeof(unix_user) - 1, NULL, 10);
}

static void put_head(const struct evtx_record *rec, FILE *to)
{
	char time[TIME_CREATED_SIZE];

	time_created_text(rec->time_utc_ns, time);
	fputs("<Event><System><Provider Name=\"", to);
	put_xml(to, rec->provider_name, strlen(rec->provider_name));
	fputs("\" Guid=\"", to);
	put_xml(to, rec->provider_guid, strlen(rec->provider_guid));
	fprintf(to,
		"\"/><EventID>%u</EventID><Version>%u</Version><Level>%u</Level><Task>%u</Task>"
		"<Opcode>%u</Opcode><Keywords>0x%" PRIx64 "</Keywords><TimeCreated SystemTime=\"%s\"/>"
		"<EventRecordID>%" PRIu64 "</EventRecordID><Correlation/>"
		"<Execution ProcessID=\"%" PRIu32 "\" ThreadID=\"%" PRIu32 "\"/><Channel>",
		rec->event_id, rec->version, rec->level, rec->task, rec->opcode, rec->keywords, time,
		rec->id, rec->process_id, rec->thread_id);
	put_xml(to, rec->channel, strlen(rec->channel));
	fputs("</Channel><Computer>", to);
	put_xml(to, rec->computer, strlen(rec->computer));
	fprintf(to, "</Computer><Security UserId=\"%lu\"/></System>", user_number(rec->user_id));
}

#define MARK      "..."
#define CUTS_MAX  64u  /* values that may be cut: the first ones */
#define CUT_LEAST 64u  /* shorter ones never are */

/* How much of each value is written. */
struct cuts {
	size_t keep[CUTS_MAX];
	bool cut[CUTS_MAX];
};

static size_t keep_of(const struct evtx_record *rec, const struct cuts *c, unsigned i)
{
	return c && i < CUTS_MAX && c->cut[i] ? c->keep[i] : rec->data[i].length;
}

static void put_record(const struct evtx_record *rec, const struct cuts *c, FILE *to)
{
	put_head(rec, to);
	fputs("<EventData>", to);
	for (unsigned i = 0; i < rec->data_count; i++) {
		const struct evtx_data *d = &rec->data[i];
		size_t keep = keep_of(rec, c, i);

		fputs("<Data Name=\"", to);
		put_xml(to, d->name, strlen(d->name));
		fputs("\">", to);
		/* An empty element is lost by one consumer and breaks another. */
		put_xml(to, d->length ? d->text : "-", d->length ? keep : 1);
		fputs(keep < d->length ? MARK "</Data>" : "</Data>", to);
	}
	fputs("</EventData></Event>\n", to);
}

static size_t width_of(const struct evtx_data *d)
{
	size_t width;

	xml_fit(d->text, d->length, SIZE_MAX, &width);
	return width;
}

/* The value to be cut next: the command line, then the parent's, then whichever is the longest. -1: none. */
static int next_to_cut(const struct evtx_record *rec, const struct cuts *c)
{
	static const char *const first[] = { "CommandLine", "ParentCommandLine" };
	size_t longest = CUT_LEAST;
	int found = -1;

	for (size_t k = 0; k < ARRAY_SIZE(first); k++)
		for (unsigned i = 0; i < rec->data_count && i < CUTS_MAX; i++)
			if (!c->cut[i] && rec->data[i].length > CUT_LEAST && strcmp(rec->data[i].name, first[k]) == 0)
				return (int)i;
	for (unsigned i = 0; i < rec->data_count && i < CUTS_MAX; i++) {
		if (c->cut[i] || rec->data[i].length <= longest)
			continue;
		longest = rec->data[i].length;
		found = (int)i;
	}
	return found;
}

/* Makes the line `excess` bytes shorter, or as much as can be. */
static void plan_cuts(const struct evtx_record *rec, size_t excess, struct cuts *c)
{
	int i;

	while (excess > 0 && (i = next_to_cut(rec, c)) >= 0) {
		const struct evtx_data *d = &rec->data[i];
		size_t width = width_of(d), room = width > excess + strlen(MARK) ? width - excess - strlen(MARK) : 0;
		size_t kept;

		c->cut[i] = true;
		c->keep[i] = xml_fit(d->text, d->length, room, &kept);
		kept += strlen(MARK);
		excess -= width > kept && width - kept < excess ? width - kept : excess;
	}
}

static size_t line_length(const struct evtx_record *rec)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);

	if (!to)
		return 0;
	put_head(rec, to);
	fclose(to);
	free(text);
	n += strlen("<EventData></EventData></Event>\n");
	for (unsigned i = 0; i < rec->data_count; i++)
		n += strlen("<Data Name=\"\"></Data>") + strlen(rec->data[i].name) +
		     (rec->data[i].length ? width_of(&rec->data[i]) : 1);
	return n;
}

/* Far below the bound nobody has to count: a character takes six bytes at most. */
static bool may_exceed(const struct evtx_record *rec, size_t max)
{
	size_t n = 1000;

	for (unsigned i = 0; i < rec->data_count; i++)
		n += 40 + strlen(rec->data[i].name) + 6 * (size_t)rec->data[i].length;
	return n > max;
}

void render_syslog(const struct evtx_record *rec, size_t max, FILE *to)
{
	struct cuts c = { 0 };
	size_t n;

	if (max && may_exceed(rec, max)) {
		n = line_length(rec);
		if (n > max)
			plan_cuts(rec, n - max, &c);
	}
	put_record(rec, &c, to);
}

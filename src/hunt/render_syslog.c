/* SPDX-License-Identifier: MIT */
/* XML as Sysmon for Linux writes it to syslog (docs/formats/syslog.md). Its consumers compare some of it
 * byte by byte: Sentinel's parsers match "<Event><System><Provider Name=..." and runs of adjacent Data
 * elements literally, so order, quotes and the missing blanks are a promise. */
#include "render.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

void render_syslog(const struct evtx_record *rec, FILE *to)
{
	put_head(rec, to);
	fputs("<EventData>", to);
	for (unsigned i = 0; i < rec->data_count; i++) {
		const struct evtx_data *d = &rec->data[i];

		fputs("<Data Name=\"", to);
		put_xml(to, d->name, strlen(d->name));
		fputs("\">", to);
		/* An empty element is lost by one consumer and breaks another. */
		put_xml(to, d->length ? d->text : "-", d->length ? d->length : 1);
		fputs("</Data>", to);
	}
	fputs("</EventData></Event>\n", to);
}

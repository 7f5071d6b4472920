/* SPDX-License-Identifier: MIT */
/* What all forms ask of a record. */
#include "render.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const struct event_type *record_type(const struct evtx_record *rec)
{
	if (strcmp(rec->provider_name, "Linux-Sysmon") != 0 &&
	    strcmp(rec->provider_name, "Microsoft-Windows-Sysmon") != 0)
		return NULL;
	return event_type_by_id(rec->event_id);
}

bool record_event(const struct evtx_record *rec, struct event *ev)
{
	*ev = (struct event){ .type = record_type(rec), .time_utc_ns = rec->time_utc_ns };
	if (!ev->type)
		return false;
	for (unsigned i = 0; i < rec->data_count; i++) {
		const struct evtx_data *d = &rec->data[i];
		int field = event_field_index(ev->type, d->name, strlen(d->name));

		if (field >= 0)
			value_from_text(ev->type->fields[field].type, d->text, d->length, &ev->values[field]);
	}
	return true;
}

const struct evtx_data *record_value(const struct evtx_record *rec, const char *name)
{
	for (unsigned i = 0; i < rec->data_count; i++)
		if (strcmp(rec->data[i].name, name) == 0)
			return &rec->data[i];
	return NULL;
}

void time_created_text(uint64_t utc_ns, char *out)
{
	time_t seconds = (time_t)(utc_ns / 1000000000u);
	struct tm tm = { 0 };

	gmtime_r(&seconds, &tm);
	snprintf(out + strftime(out, TIME_CREATED_SIZE - 12, "%Y-%m-%dT%H:%M:%S", &tm), 12, ".%09uZ",
		 (unsigned)(utc_ns % 1000000000u));
}

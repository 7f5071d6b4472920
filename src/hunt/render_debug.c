/* SPDX-License-Identifier: MIT */
/* What Sysmon prints in the foreground with -t. */
#include "render.h"

#include <string.h>

#include "escape.h"

void render_debug(const struct evtx_record *rec, bool verbose, FILE *to)
{
	const struct event_type *type = record_type(rec);
	const struct evtx_data *rule = record_value(rec, "RuleName");

	if (type)
		fprintf(to, "Event %s\n", type->schema_name);
	else
		fprintf(to, "Event %u\n", rec->event_id);
	for (unsigned i = 0; i < rec->data_count; i++) {
		fputc('\t', to);
		put_visible(to, rec->data[i].name, strlen(rec->data[i].name));
		fputs(": ", to);
		put_visible(to, rec->data[i].text, rec->data[i].length);
		fputc('\n', to);
	}
	if (!verbose)
		return;
	fputs("Kept ", to);
	if (!rule) {
		fputs("always", to); /* only events that no rule may drop are without RuleName */
	} else if (strcmp(rule->text, "-") == 0) {
		fputs("by a rule without name or by default", to);
	} else {
		fputs("by rule ", to);
		put_visible(to, rule->text, rule->length);
	}
	fputc('\n', to);
}

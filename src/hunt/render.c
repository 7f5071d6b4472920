/* SPDX-License-Identifier: MIT */
#include "render.h"

#include "escape.h"

static void render_xml(struct evtx_reader *r, FILE *to)
{
	size_t length;
	const char *xml = evtx_reader_xml(r, &length);

	put_finished_xml(to, xml, length);
	fputc('\n', to);
}

void render(enum render_form form, bool colour, struct evtx_reader *r, const struct evtx_record *rec,
	    FILE *to)
{
	switch (form) {
	case RENDER_LINE:
		render_line(rec, colour, to);
		break;
	case RENDER_TEXT:
		render_text(rec, to);
		break;
	case RENDER_FULL:
		render_full(rec, to);
		break;
	case RENDER_XML:
		render_xml(r, to);
		break;
	case RENDER_SYSLOG:
		render_syslog(rec, 0, to);
		break;
	case RENDER_JSON:
		render_json(rec, to);
		break;
	case RENDER_DEBUG:
	case RENDER_VERBOSE:
		render_debug(rec, form == RENDER_VERBOSE, to);
		break;
	}
}

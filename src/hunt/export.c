/* SPDX-License-Identifier: MIT */
#include "export.h"

#include <errno.h>

#include "view.h"

/* One event a line in both, as `konseki view` shows it; XML is one document. */
static int export_lines(struct logfile *l, struct export *x, struct err *e)
{
	OWNED(evtx_reader) r = NULL;
	struct evtx_record rec;
	int result = evtx_reader_new(&r, e);

	if (result < 0)
		return result;
	if (x->form == EXPORT_XML)
		fputs("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Events>\n", x->to);
	for (size_t i = 0; i < logfile_count(l) && !ferror(x->to); i++) {
		progress_step(x->progress, i, logfile_count(l));
		if (!view_begin(l, i, r, x->filter))
			continue;
		for (; view_next(l, r, x->filter, &rec); x->records++)
			render(x->form == EXPORT_XML ? RENDER_XML : RENDER_JSON, false, r, &rec, x->to);
		logfile_end_chunk(l, r);
	}
	if (x->form == EXPORT_XML)
		fputs("</Events>\n", x->to);
	return 0;
}

int export_log(struct logfile *l, struct export *x, struct err *e)
{
	int r;

	x->records = 0;
	if (x->form == EXPORT_EVTX)
		r = export_evtx(l, x, e);
	else if (x->form == EXPORT_CSV)
		r = export_csv(l, x, e);
	else
		r = export_lines(l, x, e);
	progress_end(x->progress);
	if (r == 0 && (fflush(x->to) != 0 || ferror(x->to)))
		r = err_set(e, errno ? errno : EIO, "writing");
	return r;
}

/* SPDX-License-Identifier: MIT */
/* An event log again: closed, from the first slot on, with only those records. Their ids in the headers are counted
 * anew, as Windows does, so that they follow one another; EventRecordID is part of the record and stays. */
#include <errno.h>
#include <string.h>

#include "../evtx/copy.h"
#include "export.h"
#include "view.h"

struct exporting {
	struct export *x;
	struct evtx_copier *copier;
	uint64_t chunks; /* written */
};

static int write_chunk(struct exporting *g, struct err *e)
{
	if (evtx_copier_count(g->copier) == 0)
		return 0;
	if (g->chunks == EVTX_CHUNKS_MAX)
		return err_set(e, EFBIG, "an event log holds %u chunks", EVTX_CHUNKS_MAX);
	if (fwrite(evtx_copier_seal(g->copier), EVTX_CHUNK_SIZE, 1, g->x->to) != 1)
		return err_set(e, errno, "writing");
	g->chunks++;
	evtx_copier_begin(g->copier);
	return 0;
}

static int write_header(struct exporting *g, struct err *e)
{
	const struct evtx_file_header h = {
		.last_chunk = g->chunks ? g->chunks - 1 : 0,
		.next_record_id = g->x->records + 1,
		.minor = 1,
		.major = 3,
		.chunk_count = (uint16_t)g->chunks,
	};
	uint8_t block[EVTX_FILE_HEADER_SIZE] = { 0 };

	evtx_file_header_write(&h, block);
	if (fseeko(g->x->to, 0, SEEK_SET) < 0 || fwrite(block, sizeof(block), 1, g->x->to) != 1)
		return err_set(e, errno, "writing");
	return 0;
}

static int copy_record(struct exporting *g, uint32_t offset, struct err *e)
{
	const uint64_t id = g->x->records + 1;
	int r = evtx_copier_append(g->copier, offset, id, e);

	if (r == -ENOSPC && evtx_copier_count(g->copier)) {
		r = write_chunk(g, e);
		if (r == 0)
			r = evtx_copier_append(g->copier, offset, id, e);
	}
	if (r == 0)
		g->x->records++;
	return r;
}

static int copy_chunk(struct exporting *g, struct logfile *l, struct evtx_reader *r, struct err *e)
{
	struct evtx_record rec;
	int result = 0;

	evtx_copier_source(g->copier, logfile_bytes(l));
	while (result == 0 && view_next(l, r, g->x->filter, &rec)) {
		result = copy_record(g, rec.offset, e);
		if (result == -EBADMSG) {
			logfile_tell(l, "record %llu: %s", (unsigned long long)rec.id, e->text);
			result = 0;
		}
	}
	logfile_end_chunk(l, r);
	return result;
}

int export_evtx(struct logfile *l, struct export *x, struct err *e)
{
	OWNED(evtx_reader) r = NULL;
	OWNED(evtx_copier) copier = NULL;
	struct exporting g = { .x = x };
	int result = evtx_reader_new(&r, e);

	if (result == 0)
		result = evtx_copier_new(&copier, e);
	if (result < 0)
		return result;
	g.copier = copier;
	result = write_header(&g, e); /* its place; what it says is known at the end */
	for (size_t i = 0; i < logfile_count(l) && result == 0; i++) {
		progress_step(x->progress, i, logfile_count(l));
		if (view_begin(l, i, r, x->filter))
			result = copy_chunk(&g, l, r, e);
	}
	if (result == 0)
		result = write_chunk(&g, e);
	return result < 0 ? result : write_header(&g, e);
}

/* SPDX-License-Identifier: MIT */
#include "summary.h"

#include <errno.h>
#include <stdlib.h>

#include "render.h"

/* Below this a rate says nothing. */
#define RATE_SPAN_MIN_NS UINT64_C(60000000000)

static void count_record(struct summary *s, struct evtx_reader *r, struct evtx_record *rec)
{
	const unsigned id = rec->event_id % SUMMARY_IDS;
	const struct event_type *type = NULL;

	/* Who wrote it stands in the record's template or in a value of its own. */
	if (!s->count[id] && evtx_reader_head_texts(r, rec) == 0)
		type = record_type(rec);

	if (s->records++ == 0)
		s->first_id = rec->id;
	s->last_id = rec->id;
	if (!s->oldest_utc_ns || rec->time_utc_ns < s->oldest_utc_ns)
		s->oldest_utc_ns = rec->time_utc_ns;
	if (rec->time_utc_ns > s->newest_utc_ns)
		s->newest_utc_ns = rec->time_utc_ns;
	s->count[id]++;
	if (type)
		s->name[id] = type->title;
}

/* From the first chunk that was begun within the time up to the newest record. */
static void find_rate(struct summary *s, const uint64_t *begun, uint64_t recent_ns)
{
	for (size_t i = 0; i < s->chunks; i++) {
		if (!begun[i] || begun[i] > s->newest_utc_ns || s->newest_utc_ns - begun[i] > recent_ns)
			continue;
		s->recent_chunks = s->chunks - i;
		s->recent_ns = s->newest_utc_ns - begun[i];
		break;
	}
	if (s->recent_ns < RATE_SPAN_MIN_NS)
		s->recent_ns = 0;
}

int summary_make(struct logfile *l, uint64_t recent_ns, struct progress *p, struct summary **ret, struct err *e)
{
	OWNED(evtx_reader) r = NULL;
	OWNED_HEAP struct summary *s = calloc(1, sizeof(*s));
	OWNED_HEAP uint64_t *begun = calloc(logfile_count(l) + 1, sizeof(*begun));
	struct evtx_record rec;
	int result = s && begun ? evtx_reader_new(&r, e) : err_set(e, ENOMEM, "counting a log");

	if (result < 0)
		return result;
	s->chunks = logfile_count(l);
	for (size_t i = 0; i < logfile_count(l); i++) {
		progress_step(p, i, logfile_count(l));
		if (!logfile_begin(l, i, r))
			continue;
		while (logfile_scan(l, r, &rec)) {
			if (!begun[i])
				begun[i] = rec.time_utc_ns;
			count_record(s, r, &rec);
		}
		logfile_end_chunk(l, r);
	}
	progress_end(p);
	find_rate(s, begun, recent_ns);
	*ret = MOVE(s);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* `konseki log info`: what a log holds and for how long it will. */
#include <inttypes.h>
#include <string.h>

#include "../daemon/paths.h"
#include "../daemon/settings.h"
#include "../event/event.h"
#include "../hunt/summary.h"
#include "logs.h"
#include "verb_log.h"

#define NS_PER_SECOND 1000000000.0
#define DAY           86400.0
/* The rate that counts is that of the newest day. */
#define RECENT_NS     UINT64_C(86400000000000)

struct info {
	const char *path;
	const struct summary *summary;
	uint64_t size;     /* of the file */
	uint64_t size_max; /* 0: not known */
	double span;       /* seconds that the records cover */
	double rate;       /* bytes a second; 0: not known */
	double kept;       /* seconds until an event of now is overwritten; 0: not known */
	double oldest;     /* seconds until the oldest is */
};

/* The settings tell for the log of the installation; of another file only that it is a ring that is full. */
static uint64_t size_limit(const struct opened_log *o, uint64_t size)
{
	struct evtx_file_header h = { 0 };
	struct settings settings;

	if (strcmp(o->path, PATH_LOG) == 0 && settings_load(PATH_SETTINGS, &settings, NULL) == 0)
		return settings.log_size;
	return logfile_header(o->log, &h) >= 0 && h.first_chunk > 0 ? size : 0;
}

static void make_info(const struct opened_log *o, const struct summary *s, struct info *in)
{
	uint64_t used = EVTX_FILE_HEADER_SIZE + s->chunks * EVTX_CHUNK_SIZE;

	*in = (struct info){ .path = o->path, .summary = s, .size = logfile_size(o->log) };
	in->size_max = size_limit(o, in->size);
	in->span = (double)(s->newest_utc_ns - s->oldest_utc_ns) / NS_PER_SECOND;
	if (s->recent_ns)
		in->rate = (double)(s->recent_chunks * EVTX_CHUNK_SIZE) / ((double)s->recent_ns / NS_PER_SECOND);
	if (in->rate > 0 && in->size_max) {
		in->kept = (double)in->size_max / in->rate;
		in->oldest = in->size_max > used ? (double)(in->size_max - used) / in->rate : 0;
	}
}

static const char *duration(double seconds, char text[32])
{
	static const struct { double seconds; const char *name; } units[] = {
		{ DAY, "days" }, { 3600, "hours" }, { 60, "minutes" }, { 1, "seconds" },
	};
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(units) && seconds < 2 * units[i].seconds)
		i++;
	snprintf(text, 32, "%.1f %s", seconds / units[i].seconds, units[i].name);
	return text;
}

/* A log of a few minutes tells nothing of a day. */
static double a_day(const struct info *in, uint64_t count)
{
	return in->span >= 60 ? (double)count / in->span * DAY : 0;
}

static void print_counts(const struct info *in)
{
	const struct summary *s = in->summary;

	printf("\n%-5s %-40s %12s %12s\n", "event", "", "records", "a day");
	for (unsigned id = 0; id < SUMMARY_IDS; id++) {
		if (!s->count[id])
			continue;
		printf("%5u %-40s %12" PRIu64, id, s->name[id] ? s->name[id] : "", s->count[id]);
		if (in->span >= 60)
			printf(" %12.0f\n", a_day(in, s->count[id]));
		else
			printf(" %12s\n", "-");
	}
}

static void print_text(const struct info *in)
{
	const struct summary *s = in->summary;
	char from[24], to[24], text[32];

	printf("%-9s %s\n", "log", in->path);
	printf("%-9s %.1f MiB", "size", (double)in->size / 1048576);
	if (in->size_max)
		printf(" of at most %.1f", (double)in->size_max / 1048576);
	printf(", %.1f MiB of it hold records\n", (double)(s->chunks * EVTX_CHUNK_SIZE) / 1048576);
	if (s->records == 0) {
		printf("%-9s none\n", "records");
		return;
	}
	printf("%-9s %" PRIu64 ", %" PRIu64 " to %" PRIu64 "\n", "records", s->records, s->first_id, s->last_id);
	utc_text(s->oldest_utc_ns, from);
	utc_text(s->newest_utc_ns, to);
	printf("%-9s %s to %s UTC, %s\n", "time", from, to, duration(in->span, text));
	if (in->rate > 0)
		printf("%-9s %.1f MiB a day\n", "rate", in->rate * DAY / 1048576);
	if (in->kept > 0) {
		printf("%-9s an event of now is overwritten in %s", "kept", duration(in->kept, text));
		printf(", the oldest %s%s\n", in->oldest > 0 ? "in " : "next",
		       in->oldest > 0 ? duration(in->oldest, text) : "");
	}
	print_counts(in);
}

static void print_json(const struct info *in)
{
	const struct summary *s = in->summary;
	const char *between = "";

	printf("{\"size\":%" PRIu64 ",\"size_max\":%" PRIu64 ",\"records\":%" PRIu64 ",\"first\":%" PRIu64
	       ",\"last\":%" PRIu64 ",\"oldest_utc_ns\":%" PRIu64 ",\"newest_utc_ns\":%" PRIu64
	       ",\"bytes_a_day\":%.0f,\"kept_seconds\":%.0f,\"oldest_overwritten_seconds\":%.0f,\"events\":[",
	       in->size, in->size_max, s->records, s->first_id, s->last_id, s->oldest_utc_ns, s->newest_utc_ns,
	       in->rate * DAY, in->kept, in->oldest);
	for (unsigned id = 0; id < SUMMARY_IDS; id++) {
		if (!s->count[id])
			continue;
		printf("%s{\"EventID\":%u,\"records\":%" PRIu64 ",\"a_day\":%.0f}", between, id, s->count[id],
		       a_day(in, s->count[id]));
		between = ",";
	}
	puts("]}");
}

int log_info(const struct arguments *a)
{
	OWNED_HEAP struct summary *s = NULL;
	struct opened_log o;
	struct progress bar;
	struct info in;
	struct err e = { 0 };
	int r = opened_log_begin(&o, a->word_count > 1 ? a->words[1] : NULL);

	if (r < 0)
		return STATUS_FAILED;
	progress_begin(&bar);
	r = summary_make(o.log, RECENT_NS, &bar, &s, &e);
	if (r < 0) {
		opened_log_say(&o, e.text);
	} else {
		make_info(&o, s, &in);
		(argument(a, OPTION_log_json) ? print_json : print_text)(&in);
	}
	opened_log_end(&o);
	return o.faults ? STATUS_FAILED : STATUS_OK;
}

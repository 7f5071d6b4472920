/* SPDX-License-Identifier: MIT */
/* `konseki status`: what the monitor tells, as text or as one line of JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../event/event.h"
#include "files.h"
#include "host.h"
#include "paths.h"
#include "service_parts.h"

#define STATUS_MS 5000

/* PSS counts a page that n processes share as one n-th for each, so rings are not counted twice. */
static uint64_t pss_bytes(int32_t pid)
{
	char path[64], text[4096];
	const char *line;
	uint64_t kb;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	if (pid <= 0 || files_read_text(path, text, sizeof(text)) < 0)
		return 0;
	line = strstr(text, "\nPss:");
	return line && sscanf(line, "\nPss: %" SCNu64, &kb) == 1 ? kb * 1024 : 0;
}

static uint64_t memory_bytes(const struct body_status *s)
{
	return pss_bytes(s->supervisor) + pss_bytes(s->monitor) + pss_bytes(s->engine);
}

/* Is it among what is shown: events of this build, and whatever was counted? */
static bool is_shown(const struct body_status *s, const struct event_type *t)
{
	return !t->later || s->report.produced[t->record] || s->report.logged[t->record];
}

static const char *how_seen(const struct body_status *s, const struct event_type *t)
{
	if (t->kept == DEFAULT_ALWAYS)
		return "own";
	if (!*s->how[t->record])
		return "cannot be seen on this kernel";
	return s->wanted[t->record] ? s->how[t->record] : "not asked for by the rules";
}

/* --- text */

static void print_times(const struct log_state *l)
{
	char from[24], to[24];
	double span = (double)(l->newest_utc_ns - l->oldest_utc_ns) / 1e9;

	if (l->oldest_utc_ns == 0 || l->newest_utc_ns <= l->oldest_utc_ns)
		return;
	utc_text(l->oldest_utc_ns, from);
	utc_text(l->newest_utc_ns, to);
	printf("%-10s %s to %s\n", "", from, to);
	printf("%-10s at this rate it holds %.1f hours\n", "",
	       span * (double)l->size_max / (double)(l->size ? l->size : 1) / 3600);
}

static void print_told(const struct body_status *s)
{
	for (unsigned i = 0; i < TOLD_OUTPUTS; i++) {
		const struct told *t = &s->told[i];

		if (t->on)
			printf("%-10s %" PRIu64 " events sent, %" PRIu64 " missed%s\n", told_names[i], t->sent, t->missed,
			       t->waits ? "; it takes none at the moment" : "");
	}
}

static uint64_t newest_id(const struct body_status *s)
{
	return s->report.log.next_id ? s->report.log.next_id - 1 : 0;
}

static uint64_t lag_events(const struct body_status *s, const struct forwarded *f)
{
	return newest_id(s) > f->confirmed ? newest_id(s) - f->confirmed : 0;
}

static uint64_t lag_s(const struct forwarded *f)
{
	uint64_t now = now_utc_ns();

	return f->waits_utc_ns && now > f->waits_utc_ns ? (now - f->waits_utc_ns) / 1000000000u : 0;
}

/* What a server has said is not for this terminal to obey. */
static void print_plain(const char *text)
{
	for (; *text; text++)
		putchar((uint8_t)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void print_forwarded(const struct body_status *s)
{
	for (unsigned i = 0; i < FORWARD_TARGETS_MAX; i++) {
		const struct forwarded *f = &s->forwarded[i];

		if (!f->on)
			continue;
		printf("%-10s %s (%s): up to record %" PRIu64 ", %" PRIu64 " events behind, the oldest for %" PRIu64 " s\n",
		       "forward", f->name, f->sink, f->confirmed, lag_events(s, f), lag_s(f));
		printf("%-10s %" PRIu64 " events in %" PRIu64 " batches; %" PRIu64 " gaps, %" PRIu64 " records missing%s\n", "",
		       f->events, f->batches, f->gaps, f->missing,
		       f->erasable ? "; WHAT WAS SENT CAN BE ERASED FROM HERE" : "");
		if (!*f->text)
			continue;
		printf("%-10s %" PRIu64 " tries in vain: ", "", f->retries);
		print_plain(f->text);
		putchar('\n');
	}
}

static void print_text(const struct body_status *s)
{
	const struct engine_report *r = &s->report;
	char since[24];

	utc_text(s->since_utc_ns, since);
	printf("%-10s running since %s as %s (supervisor %d, monitor %d, engine %d)\n", "konseki",
	       since, s->installed ? "service" : "konseki run", s->supervisor, s->monitor, s->engine);
	if (s->restarts)
		printf("%-10s %u restarts of its processes (the log's events 255 say when and why)\n",
		       "", s->restarts);
	if (s->engine_silent_ms >= 2000)
		printf("%-10s the engine has not answered for %u s; the figures are older\n", "",
		       s->engine_silent_ms / 1000);
	printf("%-10s %s\n", "kernel",
	       s->full ? "full (fentry and LSM programs)" : "tracepoints only");
	printf("%-10s %s, schema version %s, %s\n", "rules", r->config_name, r->schema_version,
	       r->config_hash);
	printf("%-10s %s\n", "log", s->log_path);
	printf("%-10s %.1f of %.1f MiB, records %" PRIu64 " to %" PRIu64 "\n", "",
	       (double)r->log.size / 1048576, (double)r->log.size_max / 1048576, r->log.first_id,
	       r->log.next_id ? r->log.next_id - 1 : 0);
	print_times(&r->log);
	printf("%-10s %" PRIu64 " records in the latest minute%s%s\n", "", r->log_per_minute,
	       r->log.overwrites ? ", each new one costs an old one" : "", r->log.sealed ? "; sealed" : "; not sealed");
	print_told(s);
	print_forwarded(s);
	printf("%-10s %.1f MiB\n\n", "memory", (double)memory_bytes(s) / 1048576);
	print_tally(stdout, r);
	puts("\nSeen through");
	for (unsigned i = 0; i < EVENT_TYPE_COUNT; i++)
		if (is_shown(s, &event_types[i]))
			printf("%3u %-40s %s\n", event_types[i].id, event_types[i].title,
			       how_seen(s, &event_types[i]));
	if (r->spared)
		printf("\n%" PRIu64 " operations of excluded programs and ports not looked at\n", r->spared);
	if (r->path_unknown || r->missed || r->corrupt || r->hashes_missing || r->late)
		printf("\n%" PRIu64 " paths not known in full, %" PRIu64
		       " operations not followed to their end, %" PRIu64
		       " records unreadable, %" PRIu64 " hashes missing, %" PRIu64 " answers late\n",
		       r->path_unknown, r->missed, r->corrupt, r->hashes_missing, r->late);
}

/* --- JSON */

static void print_string(const char *text)
{
	putchar('"');
	for (const uint8_t *p = (const uint8_t *)text; *p; p++) {
		if (*p == '"' || *p == '\\')
			printf("\\%c", *p);
		else if (*p < 0x20)
			printf("\\u%04x", *p);
		else
			putchar(*p);
	}
	putchar('"');
}

static void print_member(const char *name, const char *text)
{
	printf("\"%s\":", name);
	print_string(text);
}

static void print_event(const struct body_status *s, const struct event_type *t)
{
	const struct engine_report *r = &s->report;
	unsigned k = t->record;

	printf("{\"EventID\":%u,\"produced\":%" PRIu64 ",\"filtered\":%" PRIu64
	       ",\"logged\":%" PRIu64 ",\"lost\":%" PRIu64 ",",
	       t->id, r->produced[k], r->filtered[k], r->logged[k], r->lost[k]);
	print_member("how", how_seen(s, t));
	putchar('}');
}

static void print_told_json(const struct body_status *s)
{
	fputs("\"text\":[", stdout);
	for (unsigned i = 0, n = 0; i < TOLD_OUTPUTS; i++) {
		const struct told *t = &s->told[i];

		if (t->on)
			printf("%s{\"output\":\"%s\",\"sent\":%" PRIu64 ",\"missed\":%" PRIu64 ",\"waits\":%s}",
			       n++ ? "," : "", told_names[i], t->sent, t->missed, t->waits ? "true" : "false");
	}
	fputs("],", stdout);
}

static void print_forwarded_json(const struct body_status *s)
{
	fputs("\"forward\":[", stdout);
	for (unsigned i = 0, n = 0; i < FORWARD_TARGETS_MAX; i++) {
		const struct forwarded *f = &s->forwarded[i];

		if (!f->on)
			continue;
		fputs(n++ ? ",{" : "{", stdout);
		print_member("name", f->name);
		putchar(',');
		print_member("sink", f->sink);
		printf(",\"confirmed\":%" PRIu64 ",\"behind\":%" PRIu64 ",\"behind_s\":%" PRIu64 ",\"events\":%" PRIu64
		       ",\"batches\":%" PRIu64 ",\"gaps\":%" PRIu64 ",\"missing\":%" PRIu64 ",\"retries\":%" PRIu64
		       ",\"sent_utc_ns\":%" PRIu64 ",\"erasable\":%s,",
		       f->confirmed, lag_events(s, f), lag_s(f), f->events, f->batches, f->gaps, f->missing, f->retries,
		       f->sent_utc_ns, f->erasable ? "true" : "false");
		print_member("error", f->text);
		putchar('}');
	}
	fputs("],", stdout);
}

static void print_json(const struct body_status *s)
{
	const struct engine_report *r = &s->report;
	const char *between = "";

	printf("{\"running\":true,\"service\":%s,\"supervisor\":%d,\"monitor\":%d,\"engine\":%d,"
	       "\"restarts\":%u,\"engine_silent_ms\":%u,\"kernel\":\"%s\",",
	       s->installed ? "true" : "false", s->supervisor, s->monitor, s->engine, s->restarts,
	       s->engine_silent_ms, s->full ? "full" : "tracepoints");
	printf("\"rules\":{");
	print_member("name", r->config_name);
	putchar(',');
	print_member("schema", r->schema_version);
	putchar(',');
	print_member("hash", r->config_hash);
	printf("},\"log\":{");
	print_member("path", s->log_path);
	printf(",\"size\":%" PRIu64 ",\"size_max\":%" PRIu64 ",\"first\":%" PRIu64 ",\"next\":%" PRIu64
	       ",\"oldest_utc_ns\":%" PRIu64 ",\"newest_utc_ns\":%" PRIu64 ",\"per_minute\":%" PRIu64
	       ",\"overwrites\":%s,\"sealed\":%s},",
	       r->log.size, r->log.size_max, r->log.first_id, r->log.next_id, r->log.oldest_utc_ns,
	       r->log.newest_utc_ns, r->log_per_minute, r->log.overwrites ? "true" : "false",
	       r->log.sealed ? "true" : "false");
	print_told_json(s);
	print_forwarded_json(s);
	printf("\"memory\":%" PRIu64 ",\"processes\":%" PRIu64 ",\"path_unknown\":%" PRIu64
	       ",\"missed\":%" PRIu64 ",\"corrupt\":%" PRIu64 ",\"hashes_missing\":%" PRIu64
	       ",\"late\":%" PRIu64 ",\"spared\":%" PRIu64 ",\"events\":[",
	       memory_bytes(s), r->processes, r->path_unknown, r->missed, r->corrupt,
	       r->hashes_missing, r->late, r->spared);
	for (unsigned i = 0; i < EVENT_TYPE_COUNT; i++) {
		if (!is_shown(s, &event_types[i]))
			continue;
		fputs(between, stdout);
		print_event(s, &event_types[i]);
		between = ",";
	}
	puts("]}");
}

int service_status(bool json)
{
	struct message m;
	OWNED_FD control = -1;
	int r = refuse_unless_root();

	if (r)
		return r;
	control = control_connect();
	if (control < 0) {
		puts(json ? "{\"running\":false}" : access(PATH_PROGRAM, F_OK) < 0 ?
			    "konseki is not running and not installed" : "konseki is not running");
		return 1;
	}
	r = message_ask(control, CONTROL_STATUS, NULL, -1, STATUS_MS, &m);
	if (r < 0) {
		fprintf(stderr, "konseki: the service does not answer: %s\n", strerror(-r));
		return 1;
	}
	if (json)
		print_json(&m.body.status);
	else
		print_text(&m.body.status);
	return 0;
}

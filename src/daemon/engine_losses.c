/* SPDX-License-Identifier: MIT */
/* Events of our own: states, errors, losses. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../base/clock.h"
#include "engine_parts.h"

void log_own(struct engine *g, unsigned id, const char *const texts[])
{
	struct event ev;

	arena_reset(&g->arenas[1]);
	enrich_own(g->enrich, id, clock_ns(CLOCK_REALTIME), texts, &g->arenas[1], &ev);
	log_event(g, &ev);
}

void log_state_change(struct engine *g, const char *state)
{
	log_own(g, 4, (const char *const[]){ state, KONSEKI_VERSION, RULESET_SCHEMA_VERSION });
}

void log_error(struct engine *g, const char *component, const char *text)
{
	log_own(g, 255, (const char *const[]){ component, text });
}

static const char *class_name(unsigned record)
{
	const struct event_type *type = event_type_by_record(record);

	if (type)
		return *type->tag ? type->tag : type->title;
	if (record == KS_DNS_PACKET)
		return "DnsPacket";
	if (record == KS_LINK_CHANGED)
		return "LinkChanged";
	return record == KS_PROCESS_FORK ? "ProcessFork" : record == KS_FILE_HELD ? "FileHeld" : "ProcessSnapshot";
}

uint64_t lost(const struct engine *g, const struct rings_tally *t, unsigned record)
{
	return t->lost[record] + g->tally.refused[record];
}

/* What a rule asked for and could not be done: how often, and why the latest time. */
static void declare_failures(struct engine *g, uint64_t *count, int error, const char *component,
			     const char *what)
{
	char text[200];

	if (*count == 0)
		return;
	snprintf(text, sizeof(text), "%lu %s: %s", *count, what, strerror(error));
	*count = 0;
	log_error(g, component, text);
}

/* Reports what was lost since the latest report, with class, number and time span. */
void declare_losses(struct engine *g)
{
	char text[2048] = "Events dropped from driver queue:", from[24], to[24];
	size_t n = strlen(text);
	struct rings_tally t;
	bool any = false;

	rings_tally(g->rings, &t);
	for (unsigned i = 1; i < KS_RECORD_COUNT; i++) {
		uint64_t fresh = lost(g, &t, i) - g->tally.declared[i];

		if (fresh == 0 || n > sizeof(text) - 200)
			continue;
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %s:%lu", class_name(i), fresh);
		any = true;
	}
	if (t.corrupt > g->corrupt_declared) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, " unreadable:%lu",
				      t.corrupt - g->corrupt_declared);
		any = true;
	}
	if (any) {
		utc_text(enrich_utc(g->enrich, g->loss_since_ns), from);
		utc_text(enrich_utc(g->enrich, g->now_ns), to);
		snprintf(text + n, sizeof(text) - n, " between %s and %s", from, to);
		g->log_failing = false;
		log_error(g, "QUEUE", text);
	}
	/* Told of only when the log took the report: else it is tried again in a second. */
	if (any && !g->log_failing) {
		for (unsigned i = 1; i < KS_RECORD_COUNT; i++)
			g->tally.declared[i] = lost(g, &t, i);
		g->corrupt_declared = t.corrupt;
	}
	if (!any || !g->log_failing)
		g->loss_since_ns = g->now_ns;
	if (g->exec_overflows > g->exec_overflows_declared) {
		log_error(g, "HASH", "Executed files were not held for hashing: number unknown");
		g->exec_overflows_declared = g->exec_overflows;
	}
	if (g->write_overflows > g->write_overflows_declared) {
		log_error(g, "CONTENT", "Written files could not be looked at: number unknown");
		g->write_overflows_declared = g->write_overflows;
	}
	declare_failures(g, &g->archive_failures, g->archive_error, "ARCHIVE", "deleted files could not be kept");
	declare_failures(g, &g->block_failures, g->block_error, "BLOCK",
			 "forbidden executables could not be removed (executing them is refused while we watch)");
}

/* A full disk does not stop the log, but it shortens what it remembers: that is told too, and again and again,
 * since what was told is overwritten like the rest. */
void declare_disk(struct engine *g)
{
	bool full = log_disk_full(g->log);

	if (full == g->disk_full && (!full || g->now_ns - g->disk_full_ns < MINUTE_NS))
		return;
	g->disk_full = full;
	g->disk_full_ns = g->now_ns;
	log_error(g, "LOG", full ? "The disk is full: the log cannot grow and overwrites its oldest records"
				 : "The disk has room again: the log grows");
}

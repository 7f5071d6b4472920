/* SPDX-License-Identifier: MIT */
/* Completes events: who acted, under which name, from which parent, with which digest. Records of the
 * kernel side go in, in the order they were read; a whole event comes out.
 *
 * Memory: strings of an event lie in the arena, or in tables here that keep them at least as long as it
 * takes to log the event. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "../base/arena.h"
#include "../base/err.h"
#include "../base/own.h"
#include "../event/event.h"
#include "process.h"

struct enrich;

/* What it cannot do by itself. Descriptors returned are taken over; negative is a failure. */
struct enrich_ask {
	void *context;
	int (*exe)(void *context, uint32_t tgid, uint64_t start_ns);
	int (*cmdline)(void *context, uint32_t tgid, uint64_t start_ns);
	int (*passwd)(void *context);
	int (*services)(void *context);
	/* An executed file was not pinned: have its file system watched. */
	void (*watch_filesystem)(void *context, uint32_t tgid, uint64_t start_ns);
	/* Hand in the files that wait to be pinned (enrich_pin_take). */
	void (*collect_pins)(void *context);
	/* A process is unknown though it acts: hand in the process records that wait. */
	void (*catch_up)(void *context);
};

struct enrich_options {
	struct guid_base guid;
	uint64_t full_capabilities; /* what root has on this machine */
	struct enrich_ask ask;
};

int enrich_new(const struct enrich_options *o, struct enrich **ret, struct err *e);
void enrich_free(struct enrich *en);
DEFINE_DROP(enrich)

void enrich_select_hashes(struct enrich *en, unsigned algorithms); /* HASH_* */

/* Once a second or so: the clock (UTC = CLOCK_BOOTTIME + offset), names that changed, the long dead. */
void enrich_tick(struct enrich *en, uint64_t boot_ns, uint64_t utc_offset_ns);
uint64_t enrich_utc(const struct enrich *en, uint64_t boot_ns);

/* A file opened for execution. */
void enrich_pin_take(struct enrich *en, int file, uint32_t tgid);

/* A row of the snapshot: a process that was there first. Ignored when fork or exec told more already. */
void enrich_snapshot_row(struct enrich *en, const struct ks_hdr *row);
/* The same row again, after all of them were taken in: its parent. */
void enrich_snapshot_parent(struct enrich *en, const struct ks_hdr *row);

/* Takes in one checked record. True: *ev is an event, complete but for RuleName. False: the record was
 * for the tables only (PROCESS_FORK). */
bool enrich_record(struct enrich *en, const struct ks_hdr *rec, struct arena *arena,
		   struct event *ev);

/* An event of our own (4, 16, 255): UtcTime and the given texts, one for each further field. */
void enrich_own(struct enrich *en, unsigned id, uint64_t utc_ns, const char *const texts[],
		struct arena *arena, struct event *ev);

struct enrich_tally {
	uint64_t processes;
	uint64_t hashes_missing; /* executed files whose content was gone before it could be read */
	uint64_t unknown;        /* events whose process nobody had introduced */
};
void enrich_tally(const struct enrich *en, struct enrich_tally *t);

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
	int (*mapped)(void *context, uint32_t tgid, uint64_t start_ns, uint64_t from, uint64_t to);
	int (*library)(void *context, const char *path, size_t length);
	int (*cmdline)(void *context, uint32_t tgid, uint64_t start_ns);
	int (*passwd)(void *context);
	int (*services)(void *context);
	/* An executed file was not pinned: have its file system watched. */
	void (*watch_filesystem)(void *context, uint32_t tgid, uint64_t start_ns);
	/* Hand in the files that wait to be pinned (enrich_pin_take). */
	void (*collect_pins)(void *context);
	/* A process is unknown though it acts: hand in the process records that wait. */
	void (*catch_up)(void *context);
	/* Questions to the helper: asked without waiting, answered by enrich_take_*(). False: not now. Each may be
	 * NULL: nobody to ask. */
	bool (*packages)(void *context);
	bool (*host_name)(void *context, const struct ks_address *a);
	bool (*login)(void *context, uint32_t session_id, uint32_t login_uid);
	/* The state of the package database, to notice that it changed: a descriptor, or negative. */
	int (*package_state)(void *context);
	/* A regular file that this process knows by this path, if it is still that one. */
	int (*content)(void *context, const struct ks_who *who, const struct ks_file_id *id, const char *path,
		       size_t length);
	/* Which image this process runs has become known. NULL: nobody wants to hear of it. */
	void (*image_runs)(void *context, const struct process *p);
};

struct enrich_options {
	struct guid_base guid;
	uint64_t full_capabilities; /* what root has on this machine */
	bool context;               /* fill Context too */
	char computer[65];          /* its name, for its own addresses */
	struct enrich_ask ask;
};

int enrich_new(const struct enrich_options *o, struct enrich **ret, struct err *e);
void enrich_free(struct enrich *en);
DEFINE_DROP(enrich)

void enrich_select_hashes(struct enrich *en, unsigned algorithms); /* HASH_* */
void enrich_select_host_names(struct enrich *en, bool wanted);

/* Once a second or so: the clock (UTC = CLOCK_BOOTTIME + offset), names that changed, the long dead. */
void enrich_tick(struct enrich *en, uint64_t boot_ns, uint64_t utc_offset_ns);
uint64_t enrich_utc(const struct enrich *en, uint64_t boot_ns);

/* A file opened for execution. */
void enrich_pin_take(struct enrich *en, int file, uint32_t tgid);

/* A row of the snapshot: a process that was there first. Ignored when fork or exec told more already. */
void enrich_snapshot_row(struct enrich *en, const struct ks_hdr *row);
/* The same row again, after all of them were taken in: its parent. */
void enrich_snapshot_parent(struct enrich *en, const struct ks_hdr *row);

/* --- What the helper says comes later than the record it is for. A record waits for it, at the head of its ring
 * and with all that came after it, until it is ENRICH_HOLD_NS old and not longer; then the field is "-". So the
 * order stays, the delay has a bound however many answers are missing, and nothing is waited for twice. */
#define ENRICH_HOLD_NS 400000000u

/* False: an answer for this record is on its way and the record is young enough to wait. Asks what is to be
 * asked. may_wait: false when the ring fills. */
bool enrich_ready(struct enrich *en, const struct ks_hdr *rec, uint64_t now_ns, bool may_wait);

/* The index of packages (src/enrich/packages.h); the descriptor stays the caller's. Negative: there is none. */
void enrich_take_packages(struct enrich *en, int fd);
void enrich_take_host_name(struct enrich *en, const struct ks_address *a, const char *name);
void enrich_take_login(struct enrich *en, uint32_t session_id, uint32_t login_uid, uint64_t seconds);

/* Takes in one checked record. True: *ev is an event, complete but for RuleName. False: the record was
 * for the tables only (PROCESS_FORK). */
bool enrich_record(struct enrich *en, const struct ks_hdr *rec, struct arena *arena,
		   struct event *ev);

/* Does this record tell that a child of this process ended as it should (status 0)? */
bool enrich_is_end_of_child(const struct enrich *en, const struct ks_hdr *rec, uint32_t parent);

/* The same for a record that was made from an open file: the file is there for its digest. */
bool enrich_content(struct enrich *en, const struct ks_hdr *rec, int file, struct arena *arena,
		    struct event *ev);

/* Who had this number when a file of it was last changed, and what it ran then. False: nobody known; *who then
 * has the number alone. */
bool enrich_who(struct enrich *en, uint32_t tgid, uint64_t changed_utc_ns, struct ks_who *who);
/* That time, or the nearest one at which who ran what he ran. */
uint64_t enrich_time_of(const struct enrich *en, const struct ks_who *who, uint64_t time_ns);

/* A file lost a name: hands in a PROCESS_TAMPERING record for each image that runs it, once in the life of the image. Of
 * the processes that have it by fork it names the one that was there first. */
void enrich_file_gone(struct enrich *en, const struct ks_rec_FILE_DELETE_DETECTED *rec,
		      void (*tell)(void *context, const struct ks_hdr *rec), void *context);

/* An event of our own (4, 16, 255): UtcTime and the given texts, one for each further field. */
void enrich_own(struct enrich *en, unsigned id, uint64_t utc_ns, const char *const texts[],
		struct arena *arena, struct event *ev);

/* Is or was this the parent, or a child of it? */
bool enrich_is_of_family(const struct enrich *en, uint32_t tgid, uint32_t parent);

/* Who did something to us, for a text of our own: "root (logged in as alice), process /usr/bin/x[12], ProcessGuid {...}".
 * login_uid UINT32_MAX: nobody had logged in. */
void enrich_describe(const struct enrich *en, uint32_t tgid, uint32_t login_uid, char *text, size_t size);

/* Calls see for each process that lives. */
void enrich_each_process(struct enrich *en, void (*see)(void *context, const struct process *p), void *context);

struct enrich_tally {
	uint64_t processes;
	uint64_t hashes_missing; /* executed files whose content was gone before it could be read */
	uint64_t unknown;        /* events whose process nobody had introduced */
	uint64_t late;           /* answers of the helper that did not come in time: fields that are "-" */
};
void enrich_tally(const struct enrich *en, struct enrich_tally *t);

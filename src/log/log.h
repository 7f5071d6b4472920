/* SPDX-License-Identifier: MIT */
/* The log: one EVTX file, a ring of chunks up to a set size, written by one process through a
 * descriptor it is handed. Nothing here opens, creates or deletes by name. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "../base/err.h"
#include "../base/own.h"
#include "../evtx/writer.h"

struct log;

struct log_options {
	uint64_t size_max; /* bytes: header and whole chunks; at least LOG_SIZE_MIN, below 4 GiB */
	bool keeps_all; /* past size_max the file grows on, until the owner gives another one, rather than overwrite */
	uint64_t next_id; /* the next record gets at least this id; 0: as the file says */
	uint64_t generation; /* of a file without one; 0: a new one */
	struct evtx_identity who;
	bool check_all; /* after a crash, verify every chunk and not only the newest */
	struct log_seal { /* docs/formats/seal.md */
		bool on;
		int fd, key_fd; /* taken over too when on; both read-write */
		uint32_t boot;  /* UTC of the boot, in seconds */
	} seal;
};

#define LOG_SIZE_MIN (EVTX_FILE_HEADER_SIZE + EVTX_CHUNK_SIZE)

struct log_state {
	uint64_t first_id; /* oldest kept; 0 when the log is empty */
	uint64_t next_id;
	uint64_t size;     /* of the file */
	uint64_t size_max;
	uint64_t oldest_utc_ns;
	uint64_t newest_utc_ns;
	bool disk_full; /* the file could not grow: the oldest records give way before their time */
	bool overwrites; /* each new chunk costs the oldest one */
	uint64_t dropped_chunks; /* by recovery */
	uint64_t recovered_records; /* kept by recovery from a torn chunk */
	bool sealed;
	uint64_t missing_seals;   /* found missing at their end when they were opened */
	uint64_t missing_first, missing_last; /* sealed records found missing at the log's end; 0: none */
};

/* Takes over fd (read-write; closed by log_free, also on failure), recovers what a crash left, sets the
 * dirty flag. The file may be empty. 0 or -errno; -ENOSPC when not even one chunk fits; -EBADMSG when the
 * file is something else than an event log (it is left alone); -EINVAL for a size out of range.
 *
 * A file larger than size_max keeps all it has until the writing place comes past size_max: there the rest,
 * which holds the oldest chunks, is cut off. A file smaller than size_max grows when it is full. A disk that
 * is full makes the present size the limit, until the next time around. */
int log_open_take(int fd, const struct log_options *o, struct log **ret, struct err *e);

/* Appends; *id is the record's id. In memory until flushed. 0 or -errno: the event is not in the log
 * (disk gone, full and nothing to overwrite); the caller counts it. */
int log_append(struct log *l, const struct event *ev, uint64_t *id);

/* Hands to the kernel what was appended (readers see it); with sync it is on the disk when this returns, and then
 * sealed. Called by the owner on a timer; cheap when there is nothing to do. 0 or -errno, nothing is lost on
 * failure: the next flush tries again. */
int log_flush(struct log *l, int sync);

/* Another size_max, from the next chunk on: nothing is lost by it but what a smaller log cannot hold. 0 or -EINVAL. */
int log_resize(struct log *l, uint64_t size_max, struct err *e);

/* What has become of the file while it was open: 0; -ESTALE: somebody else wrote into it or cut it since the latest
 * flush, -ENOENT: it has no name any more. */
int log_file_check(struct log *l);
/* The next chunks come to size_max. */
bool log_is_nearly_full(const struct log *l);

uint64_t log_next_id(const struct log *l);
uint64_t log_generation(const struct log *l); /* as in the file: record ids are used once in it */
uint64_t log_synced_id(const struct log *l); /* last record that is surely on the disk; 0: none yet */
void log_state_get(const struct log *l, struct log_state *s);
bool log_disk_full(const struct log *l); /* the same as in the state, without reading the file */

/* Seals the last chunk, writes final header values, clears the dirty flag. */
int log_close(struct log *l, struct err *e);
void log_free(struct log *l); /* after log_close, or without it after a failure */
DEFINE_DROP(log)

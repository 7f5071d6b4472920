/* SPDX-License-Identifier: MIT */
/* What log.c and recover.c share. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "../evtx/format.h"
#include "file.h"
#include "log.h"
#include "seal.h"

/* So many full chunks at most may be written and not synced: recovery looks at as many. */
#define LOG_UNSYNCED_MAX 64u

struct log {
	int fd;               /* owned */
	struct evtx_writer *writer; /* owned */
	struct evtx_file_header header; /* as it is to stand in the file */
	bool header_stale;    /* it stands there otherwise */
	uint64_t size_max;
	bool keeps_all;
	uint32_t full;        /* slots of a file of size_max */
	uint32_t limit;       /* slots the file may have: as many, or all there can be if nothing may be overwritten */
	uint32_t slots;       /* slots it has */
	bool disk_full;       /* it could not grow when it had to */
	uint32_t used;        /* slots that hold or held a chunk: 0 to used - 1 */
	uint32_t slot;        /* of the chunk being written, */
	bool slot_ready;      /* once what stands there has been given up */
	size_t flushed;       /* bytes of the image that the kernel has; 0 before the first */
	bool unsynced;        /* something was written since the last sync */
	uint32_t unsynced_chunks; /* finished since the last sync */
	uint64_t synced_at_ns; /* monotonic */
	uint64_t synced_id;   /* last record that is surely on the disk */
	bool sync_failed;     /* the latest one; what was to be synced must be written again */
	uint64_t next_id;
	uint64_t generation;
	uint64_t newest_utc_ns;
	struct timespec written; /* the file's time after our latest write, */
	off_t written_size;      /* and its size */
	bool touched;            /* somebody else wrote into it */
	uint64_t dropped_chunks;
	uint64_t recovered_records;
	struct seal *seal;    /* owned; NULL: not sealed */
	bool crashed;         /* the file was not closed in order */
	uint64_t missing_first, missing_last;
};

/* Finds out what the file holds, mends what a crash left: fills in header (dirty), slots, used, next_id,
 * newest_utc_ns and the two counts. With `all` every chunk is verified. */
int log_recover(struct log *l, bool all, struct err *e);

/* The header of the chunk in a slot; *state is what evtx_chunk_header_read() says of it. */
int log_read_slot_header(const struct log *l, uint32_t slot, struct evtx_chunk_header *h, int *state);

/* Seals what a crash left unsealed. */
int log_seal_found(struct log *l);

/* Writes the 128 bytes of the file header. */
int log_write_header(struct log *l);

/* SPDX-License-Identifier: MIT */
/* An event log on disk: where its chunks are and in which order they were written. The file may be a ring,
 * may be written to at this moment, and may be damaged. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/err.h"
#include "../base/own.h"
#include "../evtx/reader.h"

struct logfile;

struct chunk_place {
	uint64_t first_id, last_id; /* as the chunk header says */
	uint64_t written_utc_ns;    /* of its first record; 0: not known */
	uint32_t slot;              /* 64 KiB piece of the file, from 0 */
	bool sound;                 /* the header's checksum holds; if not, the ids may be a guess */
};

/* Told what cannot be read, one sentence each. */
struct fault_listener {
	void (*hear)(void *self, const char *text);
	void *self;
};

/* Opens and looks through all chunk headers. A file that is still empty is an empty log. 0 or -errno;
 * -EBADMSG: not an event log. */
int logfile_open(const char *path, const struct fault_listener *listener, struct logfile **ret, struct err *e);
/* The same for a descriptor, which stays the caller's and must outlive the log file. */
int logfile_from_fd(int fd, const struct fault_listener *listener, struct logfile **ret, struct err *e);
void logfile_free(struct logfile *l);
DEFINE_DROP(logfile)

/* Looks through the chunk headers again: a log that is written to has moved on. 0 or -errno. */
int logfile_refresh(struct logfile *l, struct err *e);

uint64_t logfile_size(const struct logfile *l); /* of the file when it was looked through, in bytes */

/* Chunks that hold records, oldest first. */
size_t logfile_count(const struct logfile *l);
const struct chunk_place *logfile_chunk(const struct logfile *l, size_t i);

/* The header of the chunk in a slot: as evtx_chunk_header_read(), or -errno of reading. */
int logfile_peek(const struct logfile *l, uint64_t slot, struct evtx_chunk_header *h);
/* As evtx_file_header_read(), or -errno of reading; -ENODATA when nothing was written yet. */
int logfile_header(const struct logfile *l, struct evtx_file_header *h);

/* Which sequence of record ids it is (log_generation()); 0: the file does not say. */
uint64_t logfile_generation(const struct logfile *l);

/* Reads the chunk in this slot and sets the reader on it. A log that is being written to may show half of a
 * change: then it is read again until it is whole. 0; -ENODATA, -EBADMSG as evtx_reader_begin(); -errno. The
 * bytes are the log file's until the next read. */
int logfile_read(struct logfile *l, uint64_t slot, struct evtx_reader *r, struct err *e);
const uint8_t *logfile_bytes(const struct logfile *l); /* what was read */
/* The header of what was read, which may be newer than what logfile_peek() saw. */
int logfile_read_header(const struct logfile *l, struct evtx_chunk_header *h);
/* The same for a chunk of the list. False: there is nothing to be read, or another chunk has taken its place since the
 * list was made; why was told to the listener. */
bool logfile_begin(struct logfile *l, size_t i, struct evtx_reader *r);

/* The next record as evtx_reader_scan(), but what cannot be read is told to the listener and left out. */
bool logfile_scan(struct logfile *l, struct evtx_reader *r, struct evtx_record *rec);
/* Completes a scanned record; false when it cannot be read after all, which the listener is told. */
bool logfile_fill(struct logfile *l, struct evtx_reader *r, struct evtx_record *rec);
/* After the last record: tells the listener what was wrong with the chunk as a whole. */
void logfile_end_chunk(struct logfile *l, struct evtx_reader *r);

/* Tells the listener. */
void logfile_tell(struct logfile *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

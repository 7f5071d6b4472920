/* SPDX-License-Identifier: MIT */
/* EVTX, reading: any chunk of any event log, Windows' own included. Pure: the caller brings the bytes.
 * Every length and offset is checked; a bad record is reported and the next one sought.
 *
 * Memory: a reader owns its tables and the arena of the current record; what a record points to is
 * borrowed until the next call on that reader. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/err.h"
#include "../base/own.h"
#include "../event/event.h"
#include "format.h"

struct evtx_reader;

/* One <Data>: its name ("" when the element has none) and its value as text. */
struct evtx_data {
	const char *name; /* UTF-8, NUL-terminated */
	const char *text; /* UTF-8, NUL-terminated; length bytes; NULL: not made yet, see evtx_reader_scan() */
	uint32_t length;
	uint8_t type; /* EVTX value type, 0x01 string ... 0x21 */
};

/* A record, taken apart. Texts are UTF-8, NUL-terminated, "" when the record does not have them. */
struct evtx_record {
	uint64_t id;         /* EventRecordID of the XML */
	uint64_t header_id;  /* of the record header; differs in exported logs */
	uint64_t written_utc_ns;
	uint32_t offset;     /* in the chunk */
	const char *provider_name;
	const char *provider_guid;
	unsigned event_id;
	const char *qualifiers; /* "" if none */
	unsigned version;
	unsigned level;
	unsigned task;
	unsigned opcode;
	uint64_t keywords;
	uint64_t time_utc_ns; /* TimeCreated, whole 100 ns */
	const char *activity_id;
	const char *related_activity_id;
	uint32_t process_id;
	uint32_t thread_id;
	const char *channel;
	const char *computer;
	const char *user_id; /* SID as text */
	bool user_data;      /* the data came from UserData, not EventData */
	unsigned data_count;
	const struct evtx_data *data;
};

int evtx_reader_new(struct evtx_reader **ret, struct err *e); /* 0 or -ENOMEM */
void evtx_reader_free(struct evtx_reader *r);
DEFINE_DROP(evtx_reader)

/* Sets the chunk to read: EVTX_CHUNK_SIZE bytes, borrowed until the next begin. 0; -ENODATA when the
 * slot holds no chunk; -EBADMSG when it is damaged beyond use. A wrong CRC is noted (see faults) and
 * the chunk is read all the same. */
int evtx_reader_begin(struct evtx_reader *r, const uint8_t *chunk, struct err *e);

/* The next record in the chunk. 1: *rec is filled; 0: no more; -EBADMSG: a record that cannot be read
 * was left out, e says where and why; call again for the one behind it. */
int evtx_reader_next(struct evtx_reader *r, struct evtx_record *rec, struct err *e);

/* The same in two steps, for who wants few of many records: what costs is the text of values. A scanned record
 * has all numbers, all names, and texts that its template holds; other texts of its data, and user_id and
 * activity ids, are made by evtx_reader_fill(), or one at a time. */
int evtx_reader_scan(struct evtx_reader *r, struct evtx_record *rec, struct err *e);
int evtx_reader_fill(struct evtx_reader *r, struct evtx_record *rec, struct err *e); /* 0 or -EBADMSG */
/* Text of rec->data[i], made if need be: 0 or -EBADMSG. */
int evtx_reader_text(struct evtx_reader *r, const struct evtx_record *rec, unsigned i);
/* user_id and the other texts of the head: 0 or -EBADMSG. */
int evtx_reader_head_texts(struct evtx_reader *r, struct evtx_record *rec);

/* The XML of the current record as Windows' own viewer gives it (one line, namespace included), into a
 * buffer the reader owns. Works for every record, also template-less and foreign ones. */
const char *evtx_reader_xml(struct evtx_reader *r, size_t *length);

#define EVTX_FAULT_HEADER_CRC 1u
#define EVTX_FAULT_DATA_CRC   2u
#define EVTX_FAULT_RECORD     4u /* at least one record was left out */
unsigned evtx_reader_faults(const struct evtx_reader *r); /* of the current chunk */

/* Makes a whole chunk out of what is left of a damaged one of our own, in place: keeps records from the
 * start as long as each is intact, could have been written by evtx_writer, and its id follows the one before;
 * zeroes the rest, computes header, tables and CRCs anew. The first record must have the id first_id, or
 * when that is 0 one above `above`. Returns the number of records kept; when that is 0 the whole chunk is
 * zero. The reader is free for other use before and after. */
int evtx_chunk_repair(struct evtx_reader *r, uint8_t *chunk, uint64_t first_id, uint64_t above);

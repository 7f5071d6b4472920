/* SPDX-License-Identifier: MIT */
/* The engine: drains the rings, completes, judges and logs. It owns no privilege: user konseki, no
 * capabilities, a system call filter without bpf(2) and without opening anything by name. Everything it
 * works on is handed to it as a descriptor. */
#pragma once
#include <stdint.h>

#include "../../schema/wire.h"
#include "../base/err.h"
#include "../log/log.h"

#define HELP_LANES 16u /* sockets at which questions to a helper wait (helper.h) */

/* What the supervisor hands over; the descriptors belong to the engine from then on. */
struct engine_start {
	int ring[2]; /* KS_RING_* */
	uint32_t ring_bytes[2];
	int counters;
	int verdicts, drops; /* sensor_handles */
	unsigned cpus;
	int exec_watch; /* fanotify group, descriptor mode, FAN_OPEN_EXEC: pins what is executed; -1: none */
	int write_watch; /* the same for FAN_CLOSE_WRITE; -1: none */
	int folder_watch; /* fanotify group, descriptor mode, FAN_CLOSE_WRITE in folders of settings; -1: none */
	int log;        /* the .evtx file, read-write */
	int seal, seal_key; /* its seals and the key of the next one, read-write; -1: it is not sealed */
	uint64_t log_size_max;
	uint32_t log_archives;  /* full files are put aside, not overwritten */
	uint32_t log_least_s;   /* a full log that covers less says so; 0: never */
	uint32_t context;       /* events have their Context at the end */
	int memory;     /* memfd of ENGINE_MEMORY_BYTES, zeroes at first: what an engine notes there, the
			 * engine after it finds (tallies of what was already read from the rings) */
	int ask;    /* to the monitor: requests.def, "engine asks" (request.h) */
	int orders; /* from the monitor: requests.def, "engine obeys". The first order is CONFIGURE: until
		     * it has come, nothing is read from the rings, and a refusal ends the engine */
	int help[HELP_LANES]; /* to the helpers: requests.def, "the engine asks a helper" (helped.h) */
	uint8_t machine[4];     /* first group of every GUID */
	uint64_t boot_epoch_ns; /* UTC of CLOCK_BOOTTIME 0, fixed for this boot: second and third group */
	char computer[65];
	char gap[200]; /* text of an event 255 to write first ("engine was killed ...", "not watching from
			* ... to ..."); "" if none */
	int announce;  /* write event 16 and event 4 Started at the first CONFIGURE (not after a restart of
			* the engine) */
};
#define ENGINE_MEMORY_BYTES 65536u

/* What has become of the records: lies in `memory`, so that a new engine goes on where a killed one left off
 * and the sum stays exact. */
struct engine_tally {
	uint64_t filtered[KS_RECORD_COUNT];
	uint64_t logged[KS_RECORD_COUNT];
	uint64_t absorbed[KS_RECORD_COUNT]; /* records that are no events, taken into the tables */
	uint64_t made[KS_RECORD_COUNT];     /* events put together here, of other records */
	uint64_t refused[KS_RECORD_COUNT];  /* read, but the log would not take them */
	uint64_t declared[KS_RECORD_COUNT]; /* losses that an event 255 has told of */
	uint64_t next_id;                   /* of the log: also when its next file is a new one */
};

/* Runs until ordered to stop or until the channels close; returns the exit status. Starts by sealing
 * itself (privilege.h) once everything is mapped. */
int engine_main(struct engine_start *start);

/* The engine's answer to ORDER_STATUS. Indexed by enum ks_record. */
struct engine_report {
	uint64_t produced[KS_RECORD_COUNT];
	uint64_t filtered[KS_RECORD_COUNT];
	uint64_t logged[KS_RECORD_COUNT];
	uint64_t lost[KS_RECORD_COUNT]; /* an event 255 says so, or will within a second */
	uint64_t corrupt, path_unknown, missed;
	uint64_t spared;         /* operations of which nothing was produced, as the rules never keep it */
	uint64_t hashes_missing; /* executed files whose content was gone before it could be read */
	uint64_t processes;      /* known now */
	uint64_t late;           /* fields that are "-" since the helper did not answer in time */
	struct log_state log;
	uint64_t log_per_minute; /* records, in the latest minute */
	char schema_version[8]; /* of the rules in force */
	char config_name[256];
	char config_hash[80]; /* "SHA256=..." or "-" */
};

/* SPDX-License-Identifier: MIT */
/* The monitor: loads and attaches the sensor, opens for the engine what the rows of requests.def name,
 * serves the control socket. Root with few capabilities; parses nothing a stranger wrote. */
#pragma once
#include "message.h"
#include "request.h"
#include "../forward/forwarded.h"
#include "told.h"

/* What a run is given; settled before any process is started. */
struct watch_options {
	char log_path[256];
	uint64_t log_size;
	uint64_t archive_size; /* of all files in one archive */
	uint64_t archive_bytes; /* 0: the log is a ring */
	uint32_t archive_days, least_minutes;
	uint32_t ring_events_bytes, ring_process_bytes; /* 0: the sensor's own choice */
	uint16_t dns_ports[KS_DNS_PORTS]; /* all 0: the sensor's own choice */
	bool context;    /* events have their Context at the end */
	const char *btf; /* NULL: the kernel's own description of its types */
	bool service; /* rules that are changed are stored for the next start */
	struct body_configure rules;
	int rules_file; /* frozen; -1: rules.what says which */
	struct told *told; /* TOLD_OUTPUTS of them, in shared memory; NULL: events are told nobody as text */
	struct forwarded *forwarded; /* FORWARD_TARGETS_MAX of them, likewise; NULL: nothing is copied anywhere */
	int seal_key;   /* sealing of a run in a terminal: its key, in memory; -1: of the installation, or none */
	int lock;       /* PATH_PID, locked; every process of ours keeps it open */
};

struct monitor_start {
	const struct watch_options *options;
	int link;               /* to the supervisor */
	int32_t supervisor;
	uint64_t since_utc_ns;
	/* What a monitor before this one made; count 0: there was none. The descriptors are taken over. */
	struct body_held held;
	int fds[MESSAGE_FDS_MAX];
	unsigned count;
};

/* Returns the exit status. */
int monitor_main(struct monitor_start *start);

/* SPDX-License-Identifier: MIT */
/* The sensor, privileged half: loads and attaches the kernel programs, finds out which kind of kernel
 * this is, and owns every descriptor. Runs in the monitor, with capabilities; parses nothing. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "../../schema/wire.h"
#include "../base/err.h"
#include "../base/own.h"

struct sensor;

enum kernel_kind { KERNEL_TRACEPOINTS, KERNEL_FULL }; /* T and F of docs/sensor.md */

struct sensor_options {
	uint32_t ring_events_bytes;  /* power of two, multiple of the page size; 0: 32 MiB */
	uint32_t ring_process_bytes; /* same; 0: 1 MiB */
	bool wanted[KS_RECORD_COUNT]; /* event types the rules can keep */
	uint16_t dns_ports[KS_DNS_PORTS]; /* of name servers, 0: none; all 0: 53 */
	bool context;                /* tell what Context needs (docs/formats/context.md) */
	const char *btf;             /* stand-alone BTF file, or NULL */
};

/* Checks what must be there (root or the capabilities, BTF, kernel 5.17 or newer, no lockdown in
 * confidentiality mode), then loads; nothing is attached yet. On failure e says what is missing and what
 * to do about it. */
int sensor_new(const struct sensor_options *o, struct sensor **ret, struct err *e);
void sensor_free(struct sensor *s); /* detaches all */

/* Detaches one program more, which can take the kernel some tens of milliseconds. False: there is none left. */
bool sensor_detach_next(struct sensor *s);
DEFINE_DROP(sensor)

/* Attaches: processes first, the rest after; from now on the rings fill. */
int sensor_attach(struct sensor *s, struct err *e);

/* Changes which event types are produced: attaches what is missing, detaches what nobody wants. */
int sensor_want(struct sensor *s, const bool wanted[KS_RECORD_COUNT], struct err *e);

/* Processes whose own doings are not events: ours. Without it the log's writing would log itself. */
int sensor_ignore(struct sensor *s, uint32_t tgid, struct err *e);

/* Did an event 7 tell of this file lately (dev: 12 bits major, 20 bits minor)? */
bool sensor_was_mapped(const struct sensor *s, uint32_t dev, uint64_t ino);

enum kernel_kind sensor_kind(const struct sensor *s);
/* How this event type is seen here: "fexit/vfs_unlink", "ctime tracepoints"; NULL: not at all. */
const char *sensor_how(const struct sensor *s, unsigned record);

/* A new descriptor from which the running processes can be read as PROCESS_ALIVE records, packed one
 * after another (hdr.size apart, a multiple of 8). The caller owns it. -errno on failure. */
int sensor_snapshot(struct sensor *s, struct err *e);

/* What the reading side needs, borrowed: the two rings (index KS_RING_*), the counters map and sizes. */
struct sensor_handles {
	int ring[2];
	uint32_t ring_bytes[2];
	int counters; /* mappable array of struct ks_counters, one per CPU */
	int verdicts; /* mappable array of KS_VERDICTS u64: what the engine says to a FILE_HELD */
	int drops;    /* mappable struct ks_drops (drops.h) */
	unsigned cpus;
};
void sensor_handles(const struct sensor *s, struct sensor_handles *h);

/* Every descriptor that keeps the sensor alive, borrowed: whoever holds a duplicate of all of them keeps
 * the kernel programs attached though this process dies. Returns how many; at most SENSOR_FDS_MAX. After
 * sensor_attach() and after each sensor_want() they are others: ask and hand them over again. -errno on
 * failure. */
#define SENSOR_FDS_MAX 192
int sensor_descriptors(struct sensor *s, int fds[SENSOR_FDS_MAX]);
/* A sensor that a former process made, from duplicates in the order of sensor_descriptors(). The caller's
 * fds are taken over. */
int sensor_adopt_take(const struct sensor_options *o, const int *fds, int count, struct sensor **ret,
		      struct err *e);

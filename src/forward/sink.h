/* SPDX-License-Identifier: MIT */
/* Where copies of events go. A sink is one file, sink_<name>.c, and one row in sinks.def. It is handed batches and makes
 * one try at a time; when to try again, what was confirmed and what is missing is the forwarder's business (forwarder.h).
 *
 * Each sink has a process of its own: plain code that blocks, with time limits. open() runs as root, before the process
 * gives up everything but sockets (privilege_seal_forwarder); all else runs after. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/err.h"
#include "target.h"

/* How a batch is put together. */
enum form {
	FORM_NDJSON, /* one zstd frame: JSON objects, a line each (docs/formats/forward.md) */
	FORM_EVTX,   /* one zstd frame: an event log, the chunks as they stand in ours; and their seals apart */
	FORM_JSON,   /* JSON objects apart, each an item, without line feed */
	FORM_XML,    /* the text form of docs/formats/syslog.md, likewise */
};

enum batch_kind {
	BATCH_EVENTS,
	BATCH_GAP,       /* one item: records that cannot be sent any more */
	BATCH_HEARTBEAT, /* one item: how far we are; nobody waits for it */
	BATCH_TEST,      /* one item: of `konseki forward test` */
};

struct item { /* one event among those of FORM_JSON and FORM_XML */
	size_t end;         /* its text is body[end of the one before .. end) */
	uint64_t record_id; /* 0: no record (BATCH_HEARTBEAT, BATCH_TEST) */
	uint64_t utc_ns;    /* TimeCreated */
	uint16_t event_id;  /* 0: no event */
	uint8_t level;      /* of Windows: 1 critical, 2 error, 3 warning, 4 information */
};

#define NONCE_SIZE 33 /* 32 hexadecimal digits and NUL */

struct batch {
	enum batch_kind kind;
	uint64_t first_id, last_id; /* record ids; of a gap: those missing; 0 for the other kinds */
	uint64_t utc_ns;            /* of its first event */
	unsigned count;             /* of items, or events in it */
	const uint8_t *body;        /* what is sent */
	size_t size, raw_size;      /* of the body; before compression */
	const struct item *items;   /* NULL for FORM_NDJSON and FORM_EVTX */
	const uint8_t *seals;       /* FORM_EVTX: the file beside it (docs/formats/seal.md); NULL: none */
	size_t seals_size;
	uint8_t sha256[32];         /* of the body */
	char nonce[NONCE_SIZE];     /* part of its name, so that nobody can have taken it before */
	bool doubtful;              /* an earlier try of exactly this batch may have been kept */
};

/* Whose events they are. A record's key is host, log and record id. */
struct identity {
	char host[40];      /* number of the (virtual) machine */
	char log[20];       /* generation: another one when record ids begin anew */
	char boot[40];
	char computer[256]; /* host name */
};

enum outcome {
	SINK_SENT,      /* all of it is kept there, as far as this kind of sink tells */
	SINK_RETRY,     /* try again */
	SINK_TOO_LARGE, /* as SINK_REFUSED, for its size */
	SINK_REFUSED,   /* this body will never be taken: it is halved, a single event replaced by a stub */
	SINK_TAKEN,     /* the name is somebody else's: again under another one, and that is told */
};

struct answer {
	enum outcome outcome;
	unsigned confirmed;     /* items kept, from the first on (those with items; else 0) */
	unsigned retry_after_s; /* what the other side asked for; 0: nothing */
	bool doubtful;          /* SINK_RETRY: it may have been kept; SINK_TAKEN: perhaps by an earlier try of ours */
	bool misconfigured;     /* only a person can mend it: try rarely */
	char text[200];         /* in words, for status; "" when all is well */
};

struct sink; /* each sink's own */

struct sink_row {
	const char *name;
	const char *to;       /* what addresses look like, for the help */
	enum form (*form)(const struct forward_target *t);
	size_t raw_max;       /* bytes of a batch before compression; 0: BATCH_RAW_MAX */
	size_t size_max;      /* bytes of its body; 0: BATCH_SIZE_MAX */
	unsigned count_max;   /* events in a batch; 0: BATCH_COUNT_MAX */
	bool named;           /* batches have names, a second try of one is seen: it is written down before the first */
	/* Is the target complete and sensible? Looks at nothing but it. 0 or -EBADMSG. */
	int (*check)(const struct forward_target *t, struct err *e);
	/* As root: reads files, loads libraries, does not use the network. t and id are borrowed until close. */
	int (*open)(const struct forward_target *t, const struct identity *id, struct sink **ret, struct err *e);
	/* One try, a minute at most. *a is zeroed before. */
	void (*send)(struct sink *s, const struct batch *b, struct answer *a);
	/* Did the store let us change or delete what we had sent? Known after the first batch, or one of the next if the
	 * store was slow; false as long as it is not. NULL: cannot be asked. */
	bool (*erasable)(const struct sink *s);
	void (*close)(struct sink *s);
};

#define BATCH_RAW_MAX   (16u << 20)
#define BATCH_SIZE_MAX  (4u << 20)
#define BATCH_COUNT_MAX 50000u

#define SINK(id, ...) extern const struct sink_row sink_##id;
#include "sinks.def"

extern const struct sink_row *const sink_rows[];
extern const unsigned sink_row_count;
const struct sink_row *sink_by_name(const char *name); /* NULL: there is none */

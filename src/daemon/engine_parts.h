/* SPDX-License-Identifier: MIT */
/* What the engine's files share; nobody else includes this. */
#pragma once
#include "../base/clock.h"
#include "../collect/exec_watch.h"
#include "../collect/ring.h"
#include "../enrich/dns.h"
#include "../enrich/enrich.h"
#include "../enrich/hash.h"
#include "../rules/ruleset.h"
#include "changes.h"
#include "engine.h"
#include "helped.h"
#include "request.h"

#define SECOND_NS   1000000000u
#define MINUTE_NS   (60u * (uint64_t)SECOND_NS)

/* What the rules never keep of a program, as it was judged last. */
struct never_of_path {
	uint64_t never; /* bits: 1 << KS_* */
	uint32_t judged_by, length;
	char path[112];
};

struct engine {
	struct engine_start *start;
	uint32_t supervisor; /* our parent and the helpers' */
	struct rings *rings;
	struct log *log;
	struct enrich *enrich;
	struct dns *dns;
	struct drops *drops;
	uint64_t wanted;  /* records that the rules can keep: bits 1 << KS_* */
	struct never_of_path never[256];
	uint32_t rules_number; /* of the rules in force: images remember by which they were judged */
	struct hashes *hashes; /* for the digest of a configuration */
	struct ruleset *rules; /* NULL until the first order to configure */
	struct engine_tally tally;  /* with what was read since the latest commit */
	uint64_t *verdicts;         /* KS_VERDICTS and KS_ENGINE_SLEEPS, read by the kernel side */
	int rings_wake;             /* readable when a ring has woken us, which data in it alone does not */
	unsigned quiet_naps;        /* in which nothing happened, one after the other */
	struct engine_tally *kept;  /* in the memory that outlives us */
	struct exec_watch_reader exec_watch, write_watch;
	struct helped helped;
	struct changes *changes;
	struct exec_watch_reader folder_watch;
	bool settings_wanted; /* events 12 to 14 and 19 to 21 */
	uint64_t folders_marked_ns, folders_read_ns, settings_lost;
	bool holding; /* the record at the head of the rings waits for an answer of the helper */
	bool changing_rules;
	struct arena arenas[2]; /* [1]: records read while another one waits for its process */
	unsigned depth;
	bool announce;
	bool commit_now;          /* an event that may be the last was logged */
	bool stopping;
	bool log_failing;
	int write_error;          /* of the latest flush; 0: it went well */
	uint64_t write_error_ns, write_told_ns; /* since when, when it was told */
	bool log_short;           /* it covers less than it should, and that was told */
	uint64_t log_short_ns;
	uint64_t minute_ns, minute_id, per_minute; /* how fast it grows */
	uint64_t new_log_rests_ns; /* until then no new file is asked for */
	bool disk_full;           /* as the log was last told to be */
	uint64_t disk_full_ns;    /* when it was told */
	uint64_t now_ns;          /* CLOCK_BOOTTIME */
	uint64_t told_until_ns;   /* the same: what happened before was in records that were read */
	uint64_t ticked_ns;
	uint64_t loss_since_ns;   /* when the latest loss report was made */
	uint64_t ask_rests_until_ns;
	uint64_t snapshot_ns;
	uint64_t corrupt_declared;
	uint64_t exec_overflows, exec_overflows_declared;
	uint64_t write_overflows, write_overflows_declared;
	bool wants[KS_RECORD_COUNT];
	uint64_t archive_failures, block_failures; /* not told of yet */
	int archive_error, block_error;            /* of the latest */
	uint64_t write_since_utc_ns; /* when written files began to be told of */
	char config_name[256];
	char config_hash[HASH_TEXT_MAX];
};

/* engine.c: records, and events on their way through the rules into the log. */
void drain(struct engine *g, unsigned max);
bool takes_long(const struct engine *g, uint64_t since_ns);
bool has_part_waiting(const struct engine *g, int ring, unsigned part); /* 2: is half of the ring what nobody has read yet? */
void collect_pins(void *context);
void catch_up(void *context);
bool is_kept(struct engine *g, struct event *ev);
void log_kept(struct engine *g, struct event *ev, struct arena *arena);
void judge(struct engine *g, struct event *ev, struct arena *arena);
void log_event(struct engine *g, const struct event *ev);
int read_all(int fd, size_t max, uint8_t **ret, size_t *length);
void judge_what_waits(struct engine *g);

/* engine_ask.c: may anything be asked of the monitor now? What it answered, noted if it did not. */
bool may_ask(const struct engine *g);
int answered(struct engine *g, int r);
struct enrich_ask engine_asks(struct engine *g);

/* engine_rules.c */
void configure(struct engine *g, const struct order *o);
void mark_folders(struct engine *g);
void image_runs(void *context, const struct process *p);

/* engine_content.c: what is deleted, overwritten or written. */
bool take_deleted(struct engine *g, const struct ks_rec_FILE_DELETE_DETECTED *deleted);
void take_held(struct engine *g, const struct ks_rec_FILE_HELD *rec);
void take_blocked_write(struct engine *g, const struct ks_rec_FILE_BLOCK_SHREDDING *rec);
void judge_new_files(struct engine *g, uint64_t before_ns); /* those that were written before, of which nobody asked yet */
void drain_written(struct engine *g, unsigned max);
void take_clipboard(void *context, const struct body_clipboard *said, int text);

/* engine_losses.c: what the engine says of itself. */
void log_own(struct engine *g, unsigned id, const char *const texts[]);
void log_state_change(struct engine *g, const char *state);
void log_error(struct engine *g, const char *component, const char *text);
uint64_t lost(const struct engine *g, const struct rings_tally *t, unsigned record);
void declare_losses(struct engine *g);
void declare_disk(struct engine *g);

/* engine_log.c: the log and its file. */
int open_log(struct engine *g, struct err *e);
void tell_of_log(struct engine *g, const char *text);
void tell_what_is_missing(struct engine *g);
void clear_log(struct engine *g, const struct order *o);
void look_after_file(struct engine *g);
void declare_span(struct engine *g);
void commit(struct engine *g, bool sync);

/* SPDX-License-Identifier: MIT */
/* Who is who: every process image known, from the snapshot at start, fork, exec and exit. A process is
 * named by tgid and start time, its image by the exec counter on top; none of them is ever reused.
 * Memory: the table owns all; pointers are borrowed until the next call that changes the table. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "../../schema/wire.h"
#include "../base/own.h"
#include "../event/event.h"

/* What a process runs, shared by its forks. Texts are in the written form. */
struct image {
	unsigned refs;
	uint32_t path_length;
	uint32_t command_length;
	uint32_t judged_by; /* number of the rules that `never` was made of; 0: none */
	uint64_t never;     /* record types that these rules never keep of it: bits 1 << KS_* */
	char *package;      /* owned; "none": it came with none; NULL: not known */
	struct ks_file_key file; /* that runs; dev 0: not known */
	uint32_t generation;     /* of its inode */
	bool told_gone;          /* that the file lost its name */
	const struct process *oldest; /* while those that run it are looked through */
	bool elsewhere;     /* in another mount namespace than the first process */
	uint32_t place_length;
	char text[]; /* path, command line, then the part of Context that tells where it is; there may be none */
};

static inline const char *image_path(const struct image *i)
{
	return i->text;
}
static inline const char *image_command(const struct image *i)
{
	return i->text + i->path_length;
}

static inline const char *image_place(const struct image *i)
{
	return i->text + i->path_length + i->command_length;
}

/* One process image: a process between two execs. */
struct identity {
	struct guid guid;
	uint64_t exec_id;
	struct image *image; /* NULL: unknown */
	uint64_t since_ns;   /* when it was executed, CLOCK_BOOTTIME; 0: not known */
	uint32_t login_uid;  /* UINT32_MAX: nobody had logged in */
	uint32_t session_id; /* same */
	bool login_known;
};

/* What a process was before, for records read late. A start script may execute half a dozen programs in a row, each in the
 * place of the one before. */
#define IMAGES_BEFORE 8
struct former {
	struct identity identity;
	struct former *next;
};

struct process {
	uint32_t tgid;
	uint32_t uid; /* effective, as last seen */
	uint64_t start_ns;
	struct identity now;
	struct former *before; /* the images before the latest execs, newest first, at most IMAGES_BEFORE */
	/* The process that forked this one, as it was then. */
	struct guid parent_guid;
	uint32_t parent_tgid;
	uint32_t parent_uid;
	struct image *parent_image;
	bool parent_known;
	bool ended;
	uint32_t ended_bytes; /* what remembering it costs */
	uint64_t ended_ns;
	struct process *next_in_bucket;
	struct process *next_ended; /* in order of their end */
};

struct process_table;

int process_table_new(struct process_table **ret); /* 0 or -ENOMEM */
void process_table_free(struct process_table *t);
DEFINE_DROP(process_table)

/* The image that the process ran by this exec; NULL: not known (any more). */
const struct identity *process_identity(const struct process *p, uint64_t exec_id);
struct process *process_find(struct process_table *t, uint32_t tgid, uint64_t start_ns);
/* Finds or makes it. NULL: no memory. */
struct process *process_ensure(struct process_table *t, uint32_t tgid, uint64_t start_ns);
/* The latest process of this number that had begun by then, for whom knows the number only. NULL: none. */
struct process *process_find_at(struct process_table *t, uint32_t tgid, uint64_t when_ns);
/* Calls see for each that has not ended. */
void process_each(const struct process_table *t, void (*see)(void *context, const struct process *p), void *context);
/* The same for those that lived then: some may be known to have ended since. */
void process_each_at(const struct process_table *t, uint64_t when_ns, void (*see)(void *context, const struct process *p),
		     void *context);
/* What it ran then. */
const struct identity *process_identity_at(const struct process *p, uint64_t when_ns);
uint64_t process_count(const struct process_table *t);

/* A new image with these texts, one reference; NULL: no memory. A text of no bytes may be NULL. */
struct image_text {
	const char *bytes;
	size_t length;
};
struct image *image_new(struct image_text path, struct image_text command, struct image_text place);
struct image *image_ref(struct image *i);
/* This file is what it runs. */
void image_set_file(struct image *i, const struct ks_file_id *id);
/* May some image run this file? False: surely none does. */
bool image_may_run(const struct ks_file_id *id);
bool image_runs_file(const struct image *i, const struct ks_file_id *id);
void image_unref(struct image *i);

/* The child was forked by parent: it inherits the image and remembers the parent as it is now. */
void process_forked(struct process *child, const struct process *parent);
/* The process runs another image now (takes the reference). */
void process_executed_take(struct process *p, struct identity identity);
/* What it ran before all that is known of it (takes the reference): a fork that is read after an exec. */
void process_was_take(struct process *p, struct identity identity);
/* When it executed what came after that image: it did nothing as that one from then on. UINT64_MAX: it still runs it. */
uint64_t process_ran_until(const struct process *p, uint64_t exec_id);
/* It ended. It is remembered a while, since records of it may still be on their way. */
void process_ended(struct process_table *t, struct process *p, uint64_t when_ns);
/* Forgets those that ended before this time. */
void process_table_forget(struct process_table *t, uint64_t before_ns);

/* The GUID of a process image. Layout (docs/formats/guid.md): machine, start in seconds since 1970, and a
 * key: tgid in the low half; above it the start in 1/100 s since boot with the exec counter mixed in.
 * Nothing of it is stored anywhere: a restarted monitor computes the same. */
struct guid_base {
	uint8_t machine[4];     /* printed order */
	uint64_t boot_epoch_ns; /* UTC of CLOCK_BOOTTIME 0 */
};
struct guid process_guid(const struct guid_base *b, uint32_t tgid, uint64_t start_ns,
			 uint64_t exec_id);
/* The GUID of a login, which began so many seconds after 1970 (0: unknown); zero when there was none. */
struct guid logon_guid(const struct guid_base *b, uint32_t login_uid, uint32_t session_id,
		       uint32_t seconds);

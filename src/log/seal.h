/* SPDX-License-Identifier: MIT */
/* The seals of a log, as they are made: docs/formats/seal.md. What is sealed is queued; commit puts the queue
 * into the file and the key of the next seal in place of the old one. Internal to src/log/; log.c calls commit only
 * when everything that is sealed is on the disk. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/err.h"
#include "../base/own.h"

struct seal;

/* Takes over both descriptors, also on failure. The key file must hold a key. 0; -EBADMSG for no key, or a seal
 * file of another chain or of something else; -errno. */
int seal_open_take(int fd, int key_fd, uint32_t boot, struct seal **ret, struct err *e);
/* A file without seals begins with this record. */
void seal_begin(struct seal *s, uint64_t next_id);
void seal_free(struct seal *s);
DEFINE_DROP(seal)

/* What the seals say when they are opened. */
uint64_t seal_last_id(const struct seal *s);       /* sealed or queued; 0: nothing yet */
bool seal_last_is_whole(const struct seal *s);
uint64_t seal_missing(const struct seal *s);       /* numbers between the last seal found and the key: taken away */

/* How much of a chunk that a crash tore the newest seal vouches for: chunk offset behind it, 0 for nothing. A chunk
 * of which the newest seal does not speak was sealed whole (true in *settled) or not at all. */
size_t seal_vouches(const struct seal *s, const uint8_t *chunk, uint64_t first_id, bool *settled);

/* The open chunk. */
void seal_chunk_begin(struct seal *s);
void seal_part(struct seal *s, const uint8_t *image, size_t used, uint64_t first_id, uint64_t last_id);
/* -ENOSPC: the queue is full since the file takes no more; nothing is changed. */
int seal_whole(struct seal *s, const uint8_t *image, uint64_t first_id, uint64_t last_id);
int seal_mark(struct seal *s, unsigned flags, uint64_t last_id);

/* Records below `id` may go from the next commit on; what is on the disk of it. */
void seal_give_up(struct seal *s, uint64_t id);
uint64_t seal_given_up(const struct seal *s);

bool seal_is_pending(const struct seal *s);
/* kept_from: first id the log still has. 0 or -errno; then all stays queued. */
int seal_commit(struct seal *s, uint64_t kept_from);

/* SPDX-License-Identifier: MIT */
/* Keys of seals: docs/formats/seal.md, which must change with this. Pure: no files. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/err.h"

#define SEAL_SECRET        16u /* bytes of a verification key */
#define SEAL_SECRET_TEXT   40u /* its text and a NUL */
#define SEAL_CHAIN_ID      16u
#define SEAL_DIGEST        32u
#define SEAL_STEPS         4096u /* keys below one of the next level */
#define SEAL_NUMBERS       (1ull << 40)
#define SEAL_FILE_HEADER   4096u
#define SEAL_PART_AT       24u /* in the header: 1 if it goes with a part of a log alone */
#define SEAL_SIZE          128u
#define SEAL_KEY_SECTOR    512u

enum seal_kind { SEAL_PART = 1, SEAL_WHOLE = 2, SEAL_MARK = 3 };
#define SEAL_BEGIN  1u /* first of its file */
#define SEAL_OPENED 2u
#define SEAL_CLOSED 4u
#define SEAL_FRESH  8u /* first of its chunk */

/* One seal, as it means. */
struct seal_entry {
	enum seal_kind kind;
	unsigned flags;
	unsigned unsettled; /* seals before it that were not known to be on the disk */
	uint64_t number;
	uint64_t first_id, last_id;
	uint32_t end;
	uint32_t boot;
	uint64_t oldest;
	uint64_t utc_ns, boot_ns;
	uint8_t digest[SEAL_DIGEST];
	uint8_t mac[32]; /* as read */
};

/* The key of the next seal, and what makes the later ones. Of earlier ones nothing is left. */
struct seal_key {
	uint64_t number;
	uint8_t chain[SEAL_CHAIN_ID];
	uint8_t key[32];     /* K */
	uint8_t above[2][32]; /* the next B and the next A */
};

/* 0 or -ENOMEM: finds the algorithms, before anything else here is called. */
int seal_crypto_begin(void);

void seal_key_from_secret(const uint8_t secret[SEAL_SECRET], struct seal_key *k);
/* On to the next seal; the old key is wiped. */
void seal_key_step(struct seal_key *k);
/* Forward to a number at or after the present one, in leaps. */
void seal_key_forward(struct seal_key *k, uint64_t number);

void seal_secret_text(const uint8_t secret[SEAL_SECRET], char text[SEAL_SECRET_TEXT]);
/* 0 or -EINVAL: not 32 letters, or a mistake in them. */
int seal_secret_parse(const char *text, uint8_t secret[SEAL_SECRET]);

void seal_entry_write(const struct seal_entry *s, const struct seal_key *k, uint8_t out[SEAL_SIZE]);
/* What it says, believed by nobody yet. 1; 0 for an empty place; -EBADMSG for what is no seal. */
int seal_entry_read(const uint8_t in[SEAL_SIZE], struct seal_entry *s);
/* k->number must be the seal's. */
bool seal_entry_is_authentic(const struct seal_entry *s, const struct seal_key *k);

/* The kept key in one sector; reading: false for an empty or a torn one. */
void seal_key_write(const struct seal_key *k, uint8_t out[SEAL_KEY_SECTOR]);
bool seal_key_read(const uint8_t in[SEAL_KEY_SECTOR], struct seal_key *k);

/* SHA-256 over what is added; reading it does not end it. */
struct seal_hash;
struct seal_hash *seal_hash_new(void); /* NULL: no memory */
void seal_hash_free(struct seal_hash *h);
void seal_hash_begin(struct seal_hash *h);
void seal_hash_add(struct seal_hash *h, const void *bytes, size_t n);
void seal_hash_read(struct seal_hash *h, uint8_t digest[SEAL_DIGEST]);

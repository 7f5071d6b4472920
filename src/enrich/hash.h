/* SPDX-License-Identifier: MIT */
/* Digests of what ran: taken from the file the kernel executed, through a descriptor that pins it, never
 * from a path looked up later. Cached by the file's identity and state. */
#pragma once
#include <stdint.h>

#include "../../schema/wire.h"
#include "../base/err.h"
#include "../base/own.h"

struct hashes;

#define HASH_TEXT_MAX 192 /* all four algorithms with their names and a NUL */

/* Loads the algorithms (which may open files, so before the process seals itself). */
int hashes_new(struct hashes **ret, struct err *e);
void hashes_free(struct hashes *h);
DEFINE_DROP(hashes)

/* Which algorithms (HASH_* of ruleset.h); a change empties the cache. */
void hashes_select(struct hashes *h, unsigned algorithms);

/* Up to this size a file costs so little to read that it comes before what bounds the reading of larger ones. */
#define SMALL_FILE (16 << 20)

/* Once a second: how much is read has a bound in time, beyond which there are no digests. */
void hashes_tick(struct hashes *h);

/* Keeps a file that was just opened for execution, for some seconds; closed here if it is known already. */
void hashes_pin_take(struct hashes *h, int file, uint32_t tgid, uint64_t now_ns);
/* Lets go of files pinned before this time. */
void hashes_unpin(struct hashes *h, uint64_t before_ns);

/* The digests of this file: from the cache, or of a pinned descriptor. NULL: not at hand.
 * event_utc_ns: when it was executed, since a file changed just before is not cached. */
const char *hashes_of_known(struct hashes *h, const struct ks_file_id *id, uint32_t tgid,
			    uint64_t event_utc_ns);
/* The digests of this descriptor, when it is that file in that state; NULL when it is not, or unreadable. */
const char *hashes_of_fd(struct hashes *h, int file, const struct ks_file_id *id,
			 uint64_t event_utc_ns);
/* The digests of this descriptor as it is now. */
const char *hashes_of_content(struct hashes *h, int file, uint64_t event_utc_ns);
/* Copies at most `size` bytes of a file into another, empty one and leaves holes where there are zeroes;
 * *digest: SHA-256 of what was copied, in capitals. 0 or -errno. */
#define DIGEST_TEXT 65
int hashes_copy(struct hashes *h, int from, int to, uint64_t size, char digest[DIGEST_TEXT]);
/* Is this descriptor of that file? And if it was found by name: of that file in exactly that state? */
int hashes_is_file(int file, const struct ks_file_id *id);
int hashes_is_unchanged(int file, const struct ks_file_id *id);
/* The cached digests of a file that is no more, if it ran in exactly the state it had before its deletion;
 * else NULL: the same size and mtime can hide another content, the ctime cannot be set back. */
const char *hashes_of_deleted(struct hashes *h, const struct ks_file_id *id, int *is_executable);

/* The MD5 of a file whose digests were returned by one of these just before; it is computed whatever the rules
 * ask for, since package databases record it. NULL: not at hand. Valid until the next file is hashed. */
const uint8_t *hashes_md5_of(struct hashes *h, const struct ks_file_id *id);

/* The name that such a file says it has, if it is a library; NULL: none. Valid as long. */
const char *hashes_soname_of(struct hashes *h, const struct ks_file_id *id);

/* Digests of bytes: "SHA256=..." for configuration files. Writes at most HASH_TEXT_MAX bytes. */
int hashes_of_bytes(struct hashes *h, unsigned algorithms, const void *bytes, size_t n, char *out);

/* Could reading this file hang (its file system is served by a process or over a network)? */
int file_can_hang(const struct ks_file_id *id);

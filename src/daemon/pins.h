/* SPDX-License-Identifier: MIT */
/* Files held open in case they are deleted: the engine has a descriptor of each, no name. Some thousands, of which a rule would
 * want to keep what is in them; and some thousands that were just written, most of which are gone before anybody has to ask for
 * their names. */
#pragma once
#include <stdint.h>

#include "../../schema/wire.h"

struct pinned {
	int file; /* -1: none */
	struct ks_file_id id;
	uint64_t since_ns;
	uint64_t gone_ns; /* when it was first seen to be deleted; 0: it is not */
};

void pins_init(void);

/* Holds this file; another descriptor of the same file, or the longest held of those in its way, is let go. */
void pins_put_take(int file, const struct ks_file_id *id, uint64_t now_ns);

/* The same of one that was just written. What was in its way is the caller's: .file -1: nothing. */
struct pinned pins_put_new_take(int file, const struct ks_file_id *id, uint64_t now_ns);

/* The next of these that is here since before before_ns, the caller's; .file -1: there is none. */
struct pinned pins_next_new(uint64_t before_ns);

/* The file that this record of a deletion speaks of; it stays held. -1: it is not at hand. Numbers of inodes are used again as
 * soon as nobody holds them: a file that has the number of this one now is not taken for it. */
int pins_find(const struct ks_file_id *deleted);
void pins_drop(const struct ks_file_id *deleted); /* lets go of the one that is found */

/* Lets go of some that are deleted and have been since before_ns; call it again and again. */
void pins_sweep(uint64_t before_ns, uint64_t now_ns);

void pins_drop_all(void);

/* What tells a file from those that had its inode number before: words of which one is the generation of its inode (so it is
 * of ext4, xfs, btrfs and tmpfs). How many; 0: its file system has none. */
#define HANDLE_WORDS 32u
unsigned handle_of_file(int file, uint32_t words[HANDLE_WORDS]);

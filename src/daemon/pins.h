/* SPDX-License-Identifier: MIT */
/* Files held open in case they are deleted, some thousands of them: the engine has a descriptor of each, no name. */
#pragma once
#include <stdint.h>

#include "../../schema/wire.h"

void pins_init(void);

/* Holds this file; another descriptor of the same file, or the longest held of those in its way, is let go. */
void pins_put_take(int file, const struct ks_file_id *id, uint64_t now_ns);

/* The file that this record of a deletion speaks of; it stays held. -1: it is not at hand. Numbers of inodes are used again
 * as soon as nobody holds them: a file that was made after this one was deleted is not taken for it. */
int pins_find(const struct ks_file_id *id);

void pins_drop(const struct ks_file_id *id); /* the one that is found */

/* Lets go of some that are deleted and have been since before_ns; call it again and again. */
void pins_sweep(uint64_t before_ns, uint64_t now_ns);

void pins_drop_all(void);

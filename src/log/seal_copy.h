/* SPDX-License-Identifier: MIT */
/* Seals for copies of a log. Without a key nobody can tell whether they are authentic: they are only read. */
#pragma once
#include "seal_key.h"

/* The newest seal. 0; -ENODATA: there is none; -errno. */
int seals_newest(int fd, struct seal_entry *newest);

/* A file of seals that speaks of the records from `first_id`, the first of a chunk, to last_id alone, and with which they can
 * be verified by themselves. *bytes is the caller's, from malloc(); *sealed_id: the last record that they vouch for. 0; -ENODATA:
 * there are none; -ENOMEM; -errno. */
int seals_of(int fd, uint64_t first_id, uint64_t last_id, uint8_t **bytes, size_t *size, uint64_t *sealed_id);

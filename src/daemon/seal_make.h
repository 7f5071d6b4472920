/* SPDX-License-Identifier: MIT */
/* The beginning of a sealed log: a new key, shown once. Root's side; the engine goes on from there. */
#pragma once
#include <stdbool.h>
#include <stdio.h>

#include "../base/err.h"
#include "../log/seal_key.h"

/* A file in memory with the key of the first seal; the verification key goes to `to` and is then forgotten.
 * Descriptor or -errno. */
int seal_make_in_memory(FILE *to, struct err *e);

/* The same for the installation: PATH_SEAL_KEY, unless it is there. A log that was sealed under another key is put
 * aside, with its seals. 0 or -errno. */
int seal_make_installed(FILE *to, struct err *e);

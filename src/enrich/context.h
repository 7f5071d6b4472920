/* SPDX-License-Identifier: MIT */
/* The field Context: what those who look into an incident ask besides, as KEY=value,KEY=value
 * (docs/formats/context.md, which must change with this). For src/enrich/ only. */
#pragma once
#include "fill.h"

/* The part that is the same for all that a process image does: where it is. `cgroup`: names as PROCESS_CREATE has them.
 * Writes at most CONTEXT_PLACE_MAX bytes, no NUL; returns how many. */
#define CONTEXT_PLACE_MAX (4u * KS_PATH_MAX + 128u)
size_t context_place(const char *cgroup, size_t n, uint32_t pid_ns, uint32_t mnt_ns, char *out);

void fill_context(const struct filling *f, struct value *v);

/* SPDX-License-Identifier: MIT */
/* Memory of one rule set: taken in pieces, given back all at once. */
#pragma once
#include <stddef.h>

struct pool_block;
struct pool {
	struct pool_block *blocks; /* the latest first */
	size_t left;               /* bytes left in the latest */
};

/* Zeroed memory, aligned for any type; NULL when there is none. */
void *pool_take(struct pool *p, size_t n);
/* A copy of n bytes and a NUL. */
char *pool_copy(struct pool *p, const char *text, size_t n);
void pool_done(struct pool *p);

/* SPDX-License-Identifier: MIT */
/* Memory of one event: everything that belongs to it is taken here and given back at once, after the
 * last sink. Fixed size, so that the hot path never allocates. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct arena {
	uint8_t *base; /* owned */
	size_t size;
	size_t used;
};

/* 0 or -ENOMEM. */
int arena_init(struct arena *a, size_t size);
void arena_done(struct arena *a);

static inline void arena_reset(struct arena *a)
{
	a->used = 0;
}

/* NULL when the arena is full: the caller cuts the value and marks it, it does not fail. */
static inline void *arena_take(struct arena *a, size_t n)
{
	size_t rounded = (n + 7) & ~(size_t)7;
	void *p;

	if (rounded < n || rounded > a->size - a->used)
		return NULL;
	p = a->base + a->used;
	a->used += rounded;
	return p;
}

static inline size_t arena_left(const struct arena *a)
{
	return a->size - a->used;
}

/* Gives back the unused end of the latest take: keep the first n of its bytes. */
static inline void arena_shrink(struct arena *a, void *latest, size_t n)
{
	a->used = (size_t)((uint8_t *)latest - a->base) + ((n + 7) & ~(size_t)7);
}

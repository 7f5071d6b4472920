/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include <errno.h>
#include <stdlib.h>

int arena_init(struct arena *a, size_t size)
{
	a->base = malloc(size);
	a->size = a->base ? size : 0;
	a->used = 0;
	return a->base ? 0 : -ENOMEM;
}

void arena_done(struct arena *a)
{
	free(a->base);
	*a = (struct arena){ 0 };
}

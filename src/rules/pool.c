/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE (32u << 10)

struct pool_block {
	struct pool_block *before;
	size_t size;
	_Alignas(max_align_t) uint8_t bytes[];
};

static int add_block(struct pool *p, size_t n)
{
	size_t size = n > BLOCK_SIZE ? n : BLOCK_SIZE;
	struct pool_block *block;

	if (size > SIZE_MAX - sizeof(*block))
		return -1;
	block = calloc(1, sizeof(*block) + size);
	if (!block)
		return -1;

	block->before = p->blocks;
	block->size = size;
	p->blocks = block;
	p->left = size;
	return 0;
}

void *pool_take(struct pool *p, size_t n)
{
	const size_t align = _Alignof(max_align_t);
	size_t rounded = (n + align - 1) & ~(align - 1);
	void *at;

	if (rounded < n || ((!p->blocks || rounded > p->left) && add_block(p, rounded) < 0))
		return NULL;
	at = p->blocks->bytes + (p->blocks->size - p->left);
	p->left -= rounded;
	return at;
}

char *pool_copy(struct pool *p, const char *text, size_t n)
{
	char *copy = pool_take(p, n + 1);

	if (copy && n > 0)
		memcpy(copy, text, n);
	return copy;
}

void pool_done(struct pool *p)
{
	while (p->blocks) {
		struct pool_block *block = p->blocks;

		p->blocks = block->before;
		free(block);
	}
	p->left = 0;
}

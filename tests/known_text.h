/* SPDX-License-Identifier: MIT */
/* The text of record `id`, up to 2,000 bytes: it follows from the id, so that an altered record shows. */
#pragma once
#include <stdint.h>
#include <stdio.h>

static inline uint32_t known_text(uint64_t id, char text[2100])
{
	uint32_t length = (uint32_t)(id * 2654435761u >> 7) % 2000;
	uint32_t n = (uint32_t)sprintf(text, "%llu:", (unsigned long long)id);

	for (; n < length; n++)
		text[n] = (char)('a' + (id + n) % 26);
	text[n] = 0;
	return n;
}

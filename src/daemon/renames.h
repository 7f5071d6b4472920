/* SPDX-License-Identifier: MIT */
/* Settings that went and came back under another name in one write of their file. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "../help/settings.h"

struct nodes { /* borrowed from an entry, but for the two arrays */
	struct settings_node *at; /* sorted by kind and name */
	uint32_t *partner;        /* of each: 0, PARTNER_ABOVE, or 1 + which node of the other list it is */
	size_t count;
};
#define PARTNER_ABOVE UINT32_MAX /* it went along with what it is below of */

int nodes_by_name(const void *a, const void *b);

#define DIFFERENT_MAX 100u /* of more differences in one file only the file is told */

/* Fills partner in both, whose difference is not larger than DIFFERENT_MAX. A node is the same if it stood at the same
 * place of the tree, held the same value and had the same below it, and if no other one could be meant. */
void renames_find(struct nodes *old, struct nodes *new);

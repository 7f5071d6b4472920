/* SPDX-License-Identifier: MIT */
#include "renames.h"

#include <stdbool.h>
#include <string.h>

int nodes_by_name(const void *a, const void *b)
{
	const struct settings_node *x = a, *y = b;

	return x->kind != y->kind ? x->kind - y->kind : strcmp(x->name, y->name);
}

/* Those of one list that the other does not have. */
struct different {
	struct nodes *nodes;
	uint32_t at[DIFFERENT_MAX];
	uint32_t count;
};

static const struct settings_node *node_of(const struct different *d, uint32_t i)
{
	return &d->nodes->at[d->at[i]];
}

static void find_different(struct nodes *nodes, const struct nodes *others, struct different *d)
{
	size_t j = 0;

	*d = (struct different){ .nodes = nodes };
	for (size_t i = 0; i < nodes->count && d->count < DIFFERENT_MAX; i++) {
		while (j < others->count && nodes_by_name(&others->at[j], &nodes->at[i]) < 0)
			j++;
		if (j == others->count || nodes_by_name(&others->at[j], &nodes->at[i]) != 0)
			d->at[d->count++] = (uint32_t)i;
	}
}

static size_t parent_length(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? (size_t)(slash - name) : 0;
}

/* Without the number that tells entries of one name apart. */
static size_t base_length(const char *name)
{
	const char *bracket = strrchr(name, '[');

	return bracket && bracket > name + parent_length(name) ? (size_t)(bracket - name) : strlen(name);
}

static bool is_below(const char *name, const char *above)
{
	size_t n = strlen(above);

	return strncmp(name, above, n) == 0 && name[n] == '/';
}

/* The next below this one, from i on; count: no more. */
static uint32_t next_below(const struct different *d, uint32_t i, const char *above)
{
	while (i < d->count && !is_below(node_of(d, i)->name, above))
		i++;
	return i;
}

/* What is below of a node that went has gone too, so it is among the different. Both lists are sorted, and so are the
 * parts below. */
static bool same_below(const struct different *old, const char *x, const struct different *new, const char *y,
		       bool *any)
{
	uint32_t i = next_below(old, 0, x), j = next_below(new, 0, y);

	for (*any = i < old->count; i < old->count && j < new->count;
	     i = next_below(old, i + 1, x), j = next_below(new, j + 1, y)) {
		const struct settings_node *a = node_of(old, i), *b = node_of(new, j);

		if (a->kind != b->kind || strcmp(a->value, b->value) != 0 ||
		    strcmp(a->name + strlen(x), b->name + strlen(y)) != 0)
			return false;
	}
	return i == old->count && j == new->count;
}

static bool is_same(const struct different *old, uint32_t i, const struct different *new, uint32_t j)
{
	const struct settings_node *x = node_of(old, i), *y = node_of(new, j);
	size_t parent = parent_length(x->name), base = base_length(x->name);
	bool any;

	if (x->kind != y->kind || strcmp(x->value, y->value) != 0 || parent != parent_length(y->name) ||
	    memcmp(x->name, y->name, parent) != 0)
		return false;
	if (base == base_length(y->name) && memcmp(x->name, y->name, base) == 0)
		return false; /* only its number is another one */
	return same_below(old, x->name, new, y->name, &any) && (any || *x->value);
}

/* The only one of the new that i can be; count: none, or more than one. */
static uint32_t only_match(const struct different *old, uint32_t i, const struct different *new)
{
	uint32_t found = new->count;

	for (uint32_t j = 0; j < new->count; j++) {
		if (!is_same(old, i, new, j))
			continue;
		if (found < new->count)
			return new->count;
		found = j;
	}
	return found;
}

static bool is_only_match(const struct different *old, uint32_t i, const struct different *new, uint32_t j)
{
	for (uint32_t k = 0; k < old->count; k++)
		if (k != i && is_same(old, k, new, j))
			return false;
	return true;
}

static void mark_below(const struct different *d, const char *above)
{
	for (uint32_t i = next_below(d, 0, above); i < d->count; i = next_below(d, i + 1, above))
		d->nodes->partner[d->at[i]] = PARTNER_ABOVE;
}

void renames_find(struct nodes *old, struct nodes *new)
{
	struct different went, came;

	find_different(old, new, &went);
	find_different(new, old, &came);
	for (uint32_t i = 0; i < went.count; i++) {
		uint32_t j = only_match(&went, i, &came);

		if (j == came.count || !is_only_match(&went, i, &came, j))
			continue;
		old->partner[went.at[i]] = 1 + came.at[j];
		new->partner[came.at[j]] = 1 + went.at[i];
		mark_below(&went, node_of(&went, i)->name);
		mark_below(&came, node_of(&came, j)->name);
	}
}

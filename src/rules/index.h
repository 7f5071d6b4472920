/* SPDX-License-Identifier: MIT */
/* Which filters can hold for an event at all: found by one look at each field, however many filters there are.
 *
 * Most filters hold only if the field shows a certain text: equals it, has it as its last part, contains it. For
 * each type of event and field those texts are gathered: the ones to be equal are looked up in a sorted table,
 * the ones to be contained are found by one pass of Hyperscan. Each points to the members of sections
 * (filters, Rules) that must then be asked themselves; all others need not. Of a Rule whose filters must all
 * hold, only the one that is met with most rarely is looked for. A member that can hold without any such text
 * ("is not") is always asked. */
#pragma once
#include "holding.h"

struct index;

/* 0 or -ENOMEM. The sections must be in order (order_sections). */
int index_new(const struct ruleset *rs, struct index **ret, struct err *e);
void index_free(struct index *x); /* NULL is fine */
DEFINE_DROP(index)

/* Begins with an event of this type and ends with it; in between sections of its order can be asked. No
 * allocation. */
void index_begin(struct index *x, struct judged *j);
bool index_section_matches(struct index *x, unsigned section, const char **name);
void index_end(struct index *x);

/* SPDX-License-Identifier: MIT */
/* Judging by asking one filter after the other, as the language is defined. The explanation of a verdict is
 * made of it, and tests hold the fast way (judge.c) against it. */
#pragma once
#include "holding.h"

bool plain_section_matches(struct judged *j, const struct section *s, const char **name);

struct plain_verdict {
	bool keep;
	const char *name;           /* never NULL */
	const struct section *by;   /* NULL: no section matched */
};
struct plain_verdict plain_judge(const struct ruleset *rs, const struct event *ev);

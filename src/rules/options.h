/* SPDX-License-Identifier: MIT */
/* The option elements of a configuration: what stands beside EventFiltering. */
#pragma once
#include "model.h"
#include "problems.h"

struct option_why {
	char text[360]; /* what was expected, after "HashAlgorithms: " */
};

struct option {
	const char *name;
	bool has_effect;
	/* False: the value is refused, and why says so. -ENOMEM does not happen: the value lies in the
	 * pool of the rule set already. */
	bool (*set)(struct ruleset *rs, const char *value, struct option_why *why);
};

#define OPTION_COUNT 19
extern const struct option options[OPTION_COUNT];

const struct option *option_by_name(const char *name); /* exact spelling; NULL when there is none */

/* What holds when a file says nothing. */
void options_default(struct ruleset *rs);

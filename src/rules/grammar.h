/* SPDX-License-Identifier: MIT */
/* What the elements of a configuration mean. */
#pragma once
#include "model.h"

/* Fills an empty rule set from a document. 0; -EBADMSG and problems; -ENOMEM. */
int grammar_read(const void *bytes, size_t n, struct ruleset *rs, struct rule_problems *problems);

/* SPDX-License-Identifier: MIT */
/* Why an event is kept or dropped, in words. */
#pragma once
#include <stdio.h>

#include "../rules/ruleset.h"

/* Prints the event, the verdict with the rule that decided, and of every other rule why it did not. file: what places
 * in the rules are named by. */
void explain_verdict(const struct ruleset *rs, const struct event *ev, const char *file, FILE *to);

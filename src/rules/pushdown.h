/* SPDX-License-Identifier: MIT */
/* What can be known of a verdict before there is an event: the kernel side asks for no more than is told here, so what
 * it drops would have been dropped by ruleset_keeps() too. */
#pragma once
#include "ruleset.h"

/* Would an event of this type with these values be dropped, whatever its other fields are? known has a bit for each
 * field that is set (FIELD_BIT); the others are not looked at. False also where it cannot be told. */
#define FIELD_BIT(index) (1u << (index))
bool ruleset_drops_all(const struct ruleset *rs, const struct event *ev, uint32_t known);

/* Calls take for each decimal number (0 to 65535) that a filter on this field of this type asks for as a whole: only
 * of those can a verdict hang on the number by itself in a way that is worth asking for. */
void ruleset_numbers_of_field(const struct ruleset *rs, const struct event_type *type, unsigned field,
			      void (*take)(void *context, uint16_t number), void *context);

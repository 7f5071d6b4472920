/* SPDX-License-Identifier: MIT */
/* Whether filters and Rules hold for an event, each asked by itself. */
#pragma once
#include "model.h"

/* One event under judgement. A field is folded when the first filter asks for it, and only once. */
struct judged {
	const struct event *event;
	uint8_t *memory; /* FOLDED_EVENT_MAX bytes, borrowed */
	size_t used;
	uint32_t folded; /* a bit for each field that is */
	struct folded field[EVENT_FIELDS_MAX];
};
_Static_assert(EVENT_FIELDS_MAX <= 32, "a bit for each field");

void judged_init(struct judged *j, const struct event *ev, uint8_t *memory);
/* The folded text of a field; lives as long as the memory. */
const struct folded *judged_field(struct judged *j, unsigned index);

/* offset: of the event's type in the series of its tag. */
bool filter_holds(struct judged *j, const struct filter *f, unsigned offset);
/* *name: the name that it gives, NULL for none; untouched when it does not hold. */
bool clause_holds(struct judged *j, const struct clause *c, unsigned offset, const char **name);

/* Can it hold for any event of the type? A filter on a field that the type does not have is false. */
bool clause_possible(const struct clause *c, unsigned offset);

/* The name that stands last in the file, of all members of a section that held. */
struct last_name {
	const char *name;
	unsigned position;
};
void last_name_add(struct last_name *last, const struct clause *c, const char *name);

static inline unsigned offset_in_series(const struct section *s, const struct event_type *type)
{
	return (unsigned)(type - s->first_type);
}

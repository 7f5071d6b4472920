/* SPDX-License-Identifier: MIT */
#include "sink.h"

#include <string.h>

#include "../base/own.h"

/* Ended by NULL, so that it may be empty. */
const struct sink_row *const sink_rows[] = {
#define SINK(id) &sink_##id,
#include "sinks.def"
	NULL
};
const unsigned sink_row_count = ARRAY_SIZE(sink_rows) - 1;

const struct sink_row *sink_by_name(const char *name)
{
	for (unsigned i = 0; i < sink_row_count; i++)
		if (strcmp(sink_rows[i]->name, name) == 0)
			return sink_rows[i];
	return NULL;
}

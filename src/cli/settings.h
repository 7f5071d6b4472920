/* SPDX-License-Identifier: MIT */
/* Switches that set something (-n, -l, -h ...) as configuration text, alone or added to a file. */
#pragma once
#include <stdio.h>

#include "switches.h"

/* Makes a whole configuration. File may be NULL; where it sets the same, it wins, and that is said on
 * `warnings`. *xml is the caller's, to be freed. 0; -EBADMSG for a value or file that is refused. */
int settings_to_xml(const struct switches *s, const char *file, FILE *warnings, char **xml, size_t *length,
		    struct err *e);

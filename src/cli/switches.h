/* SPDX-License-Identifier: MIT */
/* Sysmon's command line, taken apart: which switches were given and with which values. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "../base/err.h"

enum switch_id {
#define SWITCH(symbol, ...) SWITCH_##symbol,
#include "switches.def"
	SWITCH_COUNT
};

enum switch_value { VALUE_NONE, VALUE_OPTIONAL, VALUE_REQUIRED };
enum switch_role { ROLE_COMMAND, ROLE_PLAIN, ROLE_OPTION, ROLE_RULE, ROLE_FORCED, ROLE_OWN };

struct switch_row {
	const char *text; /* without the leading '-' */
	const char *name; /* in the schema; "" if it is not there */
	enum switch_value value;
	enum switch_role role;
	const char *value_name;
	const char *help;
};

extern const struct switch_row switch_rows[SWITCH_COUNT];

struct switches {
	bool given[SWITCH_COUNT];
	const char *value[SWITCH_COUNT]; /* NULL: given without, or not given */
};

/* Words are those behind the program's name. 0; -EBADMSG and what is wrong: usage, status 87. What was
 * understood until then is in *s. */
int switches_parse(int count, char *const *words, struct switches *s, struct err *e);

/* Was a switch given that makes configuration text? */
bool switches_configure(const struct switches *s);

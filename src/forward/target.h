/* SPDX-License-Identifier: MIT */
/* One place where copies go, as konseki.conf names it: a section [forward NAME]. What is secret about it lies in a file
 * of its own, never in the settings. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "../base/err.h"

struct sink_row;

#define FORWARD_TARGETS_MAX 8u
#define FORWARD_NAME_MAX    31u

struct forward_target {
	char name[FORWARD_NAME_MAX + 1];
	const struct sink_row *row; /* `sink =` */
	char to[1024];              /* the address */
	/* Options, "" where the settings say nothing; which sink knows which: target.def. */
#define OPTION(name, size, ...) char name[size];
#include "target.def"
	/* Of NAME.secret, read by target_read_secret(); "" if there is none. */
	char secret[4096];
};

/* Sets `name` to `value`. 0; -ENOENT: no such option; -EBADMSG: too long, no such sink. */
int target_set(struct forward_target *t, const char *name, const char *value, struct err *e);
/* Is it complete, with no option that is not for its sink? 0 or -EBADMSG. */
int target_check(const struct forward_target *t, struct err *e);
/* Letters, digits, '-' and '_'. */
bool target_name_ok(const char *name);

/* One row an option, for the help and the settings. */
struct target_option {
	const char *name;
	size_t offset, size;
	const char *sinks; /* "azure-blob kafka" */
	const char *value, *help;
};
extern const struct target_option target_options[];
extern const unsigned target_option_count;

/* SPDX-License-Identifier: MIT */
/* An event log that the command line reads: which file, and what is said of it on standard error. */
#pragma once
#include "../hunt/filter.h"
#include "../hunt/logfile.h"
#include "verb.h"

struct opened_log {
	const char *path;
	bool named;     /* on the command line */
	bool faults;    /* something could not be read */
	struct logfile *log; /* owned */
};

/* The file `name`; when that is NULL the log of the installation, else what `run` left in this directory. What
 * cannot be read is said on standard error. 0 or -errno, which was said. */
int opened_log_begin(struct opened_log *o, const char *name);
void opened_log_end(struct opened_log *o);
/* Says it on standard error, below the file's name; the exit status will be STATUS_FAILED. */
void opened_log_say(struct opened_log *o, const char *text);

/* Options that narrow what is wanted, the same in every verb that has them: --id, --process, --where, --find, --since,
 * --until. 0 or -EBADMSG, -ENOMEM. */
int filter_from_arguments(const struct arguments *a, struct filter *f, struct err *e);

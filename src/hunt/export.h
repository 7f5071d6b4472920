/* SPDX-License-Identifier: MIT */
/* Records of a log in a file of their own, oldest first. */
#pragma once
#include <stdint.h>
#include <stdio.h>

#include "filter.h"
#include "logfile.h"
#include "progress.h"

enum export_form { EXPORT_EVTX, EXPORT_XML, EXPORT_JSON, EXPORT_CSV };

struct export {
	enum export_form form;
	struct filter *filter;     /* borrowed, not NULL */
	struct progress *progress; /* borrowed; NULL: none is shown */
	FILE *to; /* EXPORT_EVTX: a file that is empty and can be written anywhere */
	uint64_t records; /* result: how many were exported */
};

/* Exports what passes the filter. 0 or -errno; what could not be read went to the listener. */
int export_log(struct logfile *l, struct export *x, struct err *e);

/* The parts, one for each kind of file. */
int export_evtx(struct logfile *l, struct export *x, struct err *e);
int export_csv(struct logfile *l, struct export *x, struct err *e);

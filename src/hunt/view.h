/* SPDX-License-Identifier: MIT */
/* Showing a log: all of it in one direction, one record, or what is appended to it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "filter.h"
#include "logfile.h"
#include "progress.h"
#include "render.h"

struct view {
	enum render_form form;
	bool colour;
	bool oldest_first;
	uint64_t count;        /* the newest so many, in either direction; 0: all */
	struct filter *filter; /* borrowed, not NULL */
	struct progress *progress; /* borrowed; NULL: none is shown */
	FILE *to;
	/* Following only: who takes the records instead of their being shown, and whether that is over. NULL: nobody. */
	void (*take)(void *self, struct evtx_reader *r, const struct evtx_record *rec);
	bool (*enough)(void *self);
	void *self;
};

/* Sets the reader on chunk i, if by its times it can have records that pass. False: there is nothing to be read; why
 * was told to the listener. */
bool view_begin(struct logfile *l, size_t i, struct evtx_reader *r, const struct filter *f);
/* The next record that passes, complete. What cannot be read is told to the listener and left out. */
bool view_next(struct logfile *l, struct evtx_reader *r, struct filter *f, struct evtx_record *rec);

/* Shows what passes the filter. 0 or -errno; what could not be read went to the listener. */
int view_log(struct logfile *l, const struct view *v, struct err *e);

/* Shows the record of this id whatever the filter says. 1; 0: there is none; -errno. */
int view_record(struct logfile *l, uint64_t id, const struct view *v, struct err *e);

/* Shows each record behind id `after` that passes the filter, as it is appended, until the descriptor
 * `until` becomes readable (-1: for ever), then what was left. Records that were overwritten before
 * they could be shown are told to the listener. 0 or -errno; -EPIPE when nobody reads any more. */
int view_follow(struct logfile *l, uint64_t after, const struct view *v, int until, struct err *e);

/* Id of the newest record, as chunk headers count; 0 if the log is empty. */
uint64_t view_newest(const struct logfile *l);

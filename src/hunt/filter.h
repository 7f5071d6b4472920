/* SPDX-License-Identifier: MIT */
/* Which records somebody wants to see. Conditions are those of the rules (docs/rules.md), made by the same
 * operators; all that are given must hold. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "../base/err.h"
#include "../base/own.h"
#include "../evtx/reader.h"

struct filter;

struct filter *filter_new(void); /* lets everything pass; NULL: out of memory */
void filter_free(struct filter *f);
DEFINE_DROP(filter)

/* Each narrows the filter; text is copied. 0, -EBADMSG for what cannot be understood, -ENOMEM. */
int filter_ids(struct filter *f, const char *list, struct err *e);        /* "1,3,11-14" */
int filter_process(struct filter *f, const char *process, struct err *e); /* GUID, number or image */
int filter_where(struct filter *f, const char *condition, struct err *e); /* "Image end with /ls" */
int filter_find(struct filter *f, const char *text, struct err *e);       /* in any value */
int filter_since(struct filter *f, const char *time, struct err *e);
int filter_until(struct filter *f, const char *time, struct err *e);

/* "2026-11-24", "2026-11-24 03:14", "2026-11-24T03:14:17.5Z": UTC; "90s", "10m", "2h", "3d": before now.
 * 0 or -EBADMSG. */
int time_from_text(const char *text, uint64_t now_utc_ns, uint64_t *utc_ns, struct err *e);

uint64_t filter_oldest(const struct filter *f); /* UTC in ns; 0: not bounded */
uint64_t filter_newest(const struct filter *f); /* the same for the end */
/* Of a scanned record (evtx_reader_scan) only the texts that are compared are made, by its reader; of one that
 * is complete none, and r may be NULL. */
bool filter_passes(struct filter *f, struct evtx_reader *r, struct evtx_record *rec);

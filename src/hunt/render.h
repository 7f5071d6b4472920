/* SPDX-License-Identifier: MIT */
/* A record of any event log as text. All forms take what the reader gives, so that our own log, one from
 * Windows and one of another program are shown by the same code. Nothing here can fail but the stream. */
#pragma once
#include <stdbool.h>
#include <stdio.h>

#include "../evtx/reader.h"

enum render_form {
	RENDER_LINE,    /* one readable line */
	RENDER_TEXT,    /* the message text of the event viewer: title, one line a field */
	RENDER_FULL,    /* the same below what the event viewer shows of the record's head */
	RENDER_XML,     /* the record as it stands in the log, one line */
	RENDER_SYSLOG,  /* XML as Sysmon for Linux writes it to syslog, one line */
	RENDER_JSON,    /* docs/formats/json.md, one line */
	RENDER_DEBUG,   /* as Sysmon's -t */
	RENDER_VERBOSE, /* as -t verbose: and which rule kept it */
};

/* rec is the reader's current record. Colour is for RENDER_LINE. */
void render(enum render_form form, bool colour, struct evtx_reader *r, const struct evtx_record *rec,
	    FILE *to);

void render_line(const struct evtx_record *rec, bool colour, FILE *to);
void render_text(const struct evtx_record *rec, FILE *to);
void render_full(const struct evtx_record *rec, FILE *to);
/* max: of the line in bytes; the longest values are cut for it, marked with "...". 0: as long as it is. */
void render_syslog(const struct evtx_record *rec, size_t max, FILE *to);
void render_json(const struct evtx_record *rec, FILE *to);
/* The same with members of the caller's before those of the record: "\"Name\":value,". */
void render_json_after(const char *members, const struct evtx_record *rec, FILE *to);
void render_debug(const struct evtx_record *rec, bool verbose, FILE *to);

/* Was it written by Sysmon, on Windows or here? Then its type; else NULL. */
const struct event_type *record_type(const struct evtx_record *rec);
/* The record as an event, whose texts are the record's: what this version has no field for is left out, what a
 * field cannot hold stays unset. False: record_type() has none. */
bool record_event(const struct evtx_record *rec, struct event *ev);
/* The first value of this name, NULL if there is none. */
const struct evtx_data *record_value(const struct evtx_record *rec, const char *name);
/* TimeCreated as in records: "2026-11-24T03:14:17.123456700Z"; out holds TIME_CREATED_SIZE bytes. */
#define TIME_CREATED_SIZE 40
void time_created_text(uint64_t utc_ns, char *out);

/* SPDX-License-Identifier: MIT */
/* Whom events are told as text, and how far that is: in memory that all our processes share. */
#pragma once
#include <stdint.h>

enum { TOLD_SYSLOG, TOLD_JOURNAL, TOLD_OUTPUTS };
extern const char *const told_names[TOLD_OUTPUTS]; /* "syslog", "journal" */

struct told {
	uint64_t on;       /* 1: the settings want it */
	uint64_t sent;     /* records, since the service started */
	uint64_t missed;   /* records that could not be sent: overwritten in the meantime, or too long */
	uint64_t declared; /* of those missed: an event 255 has told of them */
	uint64_t last_id;  /* of the record sent or missed last */
	uint64_t waits;    /* 1: nobody takes anything there at the moment */
};

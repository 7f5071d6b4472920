/* SPDX-License-Identifier: MIT */
/* /etc/konseki/konseki.conf: everything an administrator sets besides the rules. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../../schema/wire.h"
#include "../base/err.h"
#include "../forward/target.h"
#include "archive.h"
#include "told.h"

struct settings {
	uint64_t log_size;           /* [log] size */
	uint64_t log_archive;        /* [log] archive: bytes of full files that are kept; 0: none, the oldest is overwritten */
	uint32_t log_archive_days;   /* [log] archive-days: 0: whatever their age */
	uint32_t log_least_minutes;  /* [log] least-minutes: a log that covers less says so; 0: never */
	bool log_context;            /* [log] context */
	uint64_t archive_size;       /* [archive] size */
	uint32_t ring_events_bytes;  /* [sensor] ring */
	uint32_t ring_process_bytes; /* [sensor] process-ring */
	uint16_t dns_ports[KS_DNS_PORTS]; /* [dns] ports; all 0: not set */
	bool text[TOLD_OUTPUTS];     /* [text] syslog, journal: write events there too */
	char text_ident[16];         /* [text] ident */
	uint32_t text_length;        /* [text] length: of a line, in bytes */
	struct forward_target forward[FORWARD_TARGETS_MAX]; /* [forward NAME], in their order */
	unsigned forward_count;
};

#define TEXT_LENGTH_DEFAULT 4000u
#define LOG_LEAST_MINUTES 60u
#define LOG_SIZE_DEFAULT (256ull << 20)

/* The defaults, then what the file says; a file that is not there says nothing. -EBADMSG with file and line
 * for a setting that is unknown or out of its range. */
int settings_load(const char *path, struct settings *s, struct err *e);
/* The same from a stream. */
int settings_read(FILE *from, const char *name, struct settings *s, struct err *e);

/* The file's text with that setting changed, or added where it says nothing of it; the rest stays as it is. The
 * caller's, to be freed; NULL: no memory. */
char *settings_changed(const char *text, const char *section, const char *name, const char *value);

/* The file's text without that section. As above. */
char *settings_without(const char *text, const char *section);

/* "256M", "1G", "65536": 0 or -EINVAL. */
int size_parse(const char *text, uint64_t *bytes);

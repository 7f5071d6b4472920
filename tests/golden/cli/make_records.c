/* SPDX-License-Identifier: MIT */
/* make_records FILE < RECORDS: a log of given records. A line is one: the event id, then Field=VALUE pairs,
 * all separated by tabs; text is given as the hex digits of its bytes and takes the written form on its
 * way, as in the program; numbers are decimal; fields that are not named stay empty or zero. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../src/base/text.h"
#include "../../../src/log/log.h"

/* 2026-11-24 03:14:17.1234567 UTC; every record happens at the same time. */
#define TIME_UTC_NS UINT64_C(1795490057123456700)

static char texts[1 << 20];

static size_t bytes_from_hex(const char *hex, uint8_t *bytes)
{
	size_t n = 0;
	unsigned byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		bytes[n++] = (uint8_t)byte;
	return n;
}

static struct value value_of(enum field_type type, const char *given, size_t *used)
{
	static uint8_t bytes[1 << 16];
	struct value v = { 0 };

	if (type == FIELD_STRING) {
		v.text = texts + *used;
		v.length = (uint32_t)text_from_bytes(bytes, bytes_from_hex(given, bytes), texts + *used,
						     sizeof(texts) - *used, NULL);
		*used += v.length;
	} else if (type == FIELD_GUID) {
		bytes_from_hex(given, v.guid.byte);
	} else {
		v.number = strtoull(given, NULL, 10);
	}
	return v;
}

static int append(struct log *l, char *line)
{
	char *save, *word = strtok_r(line, "\t\n", &save);
	struct event ev = { .type = word ? event_type_by_id((unsigned)strtoul(word, NULL, 10)) : NULL,
			    .time_utc_ns = TIME_UTC_NS };
	size_t used = 0;
	uint64_t id;

	if (!ev.type)
		return -1;
	while ((word = strtok_r(NULL, "\t\n", &save))) {
		char *value = strchr(word, '=');
		int i = value ? event_field_index(ev.type, word, (size_t)(value - word)) : -1;

		if (i < 0) {
			fprintf(stderr, "make_records: event %u has no '%s'\n", ev.type->id, word);
			return -1;
		}
		ev.values[i] = value_of(ev.type->fields[i].type, value + 1, &used);
	}
	return log_append(l, &ev, &id);
}

int main(int argc, char **argv)
{
	const struct log_options options = { .size_max = 16 << 20, .who = { "host.example", 700, 701, 0 } };
	int fd = argc == 2 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	OWNED(log) l = NULL;
	OWNED_HEAP char *line = NULL;
	struct err e = { 0 };
	size_t size = 0;

	if (fd < 0 || log_open_take(fd, &options, &l, &e) < 0) {
		fprintf(stderr, "usage: make_records FILE < RECORDS; %s\n", e.text);
		return 2;
	}
	while (getline(&line, &size, stdin) > 0)
		if (append(l, line) < 0)
			return 1;
	return log_close(l, &e) < 0 ? 1 : 0;
}

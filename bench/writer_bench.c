/* SPDX-License-Identifier: MIT */
/* How many events a second the log writer puts into its file on one core: events as enrichment leaves
 * them, appended and flushed as the engine does it. Prints events a second.
 *
 *   writer_bench FILE EVENTS */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "../src/event/event.h"
#include "../src/log/log.h"

#define FLUSH_EVERY 1000 /* events: a busy engine's batch */

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void set_text(struct event *ev, const char *field, const char *text)
{
	int i = event_field_index(ev->type, field, strlen(field));

	if (i >= 0)
		ev->values[i] = (struct value){ .text = text, .length = (uint32_t)strlen(text) };
}

/* A file event with what changes from one to the next: time, process, path. */
static void fill(struct event *ev, uint64_t i, char path[64], char utc[24])
{
	int pid = event_field_index(ev->type, "ProcessId", strlen("ProcessId"));
	int id = event_field_index(ev->type, "ProcessGuid", strlen("ProcessGuid"));

	ev->time_utc_ns = 1795490057ull * 1000000000 + i * 2500;
	snprintf(path, 64, "/srv/data/incoming/batch-%03u/file%llu", (unsigned)(i / 1000 % 1000),
		 (unsigned long long)i);
	utc_text(ev->time_utc_ns, utc);
	set_text(ev, "UtcTime", utc);
	set_text(ev, "CreationUtcTime", utc);
	set_text(ev, "TargetFilename", path);
	ev->values[pid].number = 1000 + i % 50;
	memcpy(ev->values[id].guid.byte, &i, sizeof(i));
}

int main(int argc, char **argv)
{
	uint64_t n = argc == 3 ? strtoull(argv[2], NULL, 10) : 0, id = 0;
	struct log_options o = { .size_max = 256ull << 20, .who = { "bench", 1, 1, 0 } };
	struct event ev = { .type = event_type_by_id(11) };
	char path[64], utc[24];
	struct err e = { 0 };
	OWNED(log) l = NULL;
	double began;

	if (n == 0) {
		fprintf(stderr, "usage: writer_bench FILE EVENTS\n");
		return 2;
	}
	if (log_open_take(open(argv[1], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), &o, &l, &e) < 0) {
		fprintf(stderr, "writer_bench: %s\n", e.text);
		return 1;
	}
	set_text(&ev, "RuleName", "-");
	set_text(&ev, "Image", "/usr/bin/python3.11");
	set_text(&ev, "User", "root");

	began = now_seconds();
	for (uint64_t i = 0; i < n; i++) {
		fill(&ev, i, path, utc);
		if (log_append(l, &ev, &id) < 0 || (i % FLUSH_EVERY == 0 && log_flush(l, 0) < 0)) {
			fprintf(stderr, "writer_bench: event %llu was not taken\n", (unsigned long long)i);
			return 1;
		}
	}
	if (log_close(l, &e) < 0) {
		fprintf(stderr, "writer_bench: %s\n", e.text);
		return 1;
	}
	if (id != n) {
		fprintf(stderr, "writer_bench: the last record is %llu\n", (unsigned long long)id);
		return 1;
	}
	printf("%.0f\n", (double)n / (now_seconds() - began));
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* How fast a log is read on one core: its records parsed, filtered, and shown as JSON. The file should lie in
 * memory (/dev/shm, or read before).
 *
 *   reader_bench make FILE MEGABYTES   a log of the events of a busy server: 5 % processes, the rest files and
 *                                      connections, each event with other values
 *   reader_bench parse FILE            every field of every record
 *   reader_bench filter FILE CONDITION  as `konseki view --where` tells which pass
 *   reader_bench json FILE             as `konseki view --json` makes it, thrown away
 *
 * Prints megabytes, records, how many of them passed, and seconds of CPU. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "../src/hunt/view.h"
#include "../src/log/log.h"

/* Of this process, so that what else the machine does hardly counts. */
static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- making --------------------------------------------------------------------------------------- */

/* Of twenty events: what a server that compiles, serves and logs gives. */
static const unsigned mix[20] = { 1, 11, 11, 3, 11, 26, 11, 11, 5, 11, 3, 11, 26, 11, 11, 11, 26, 11, 3, 11 };

#define VALUE_MAX 400

static const char *const commands[] = {
	"/usr/lib/gcc/x86_64-linux-gnu/12/cc1 -quiet -I /usr/src/app/include -imultiarch x86_64-linux-gnu -D_GNU_SOURCE "
	"-O2 -Wall -Wextra -fstack-protector-strong -o /tmp/ccXWq8Gv.s /usr/src/app/src/module.c",
	"/usr/bin/python3 /opt/service/worker.py --queue jobs --shard 17 --log-level info --batch",
	"sh -c \"find /var/cache/app -name '*.tmp' -mmin +60 -delete; logger done\"",
	"grep -q ^backup: /etc/passwd",
};

static void text_of(const struct field *f, uint64_t i, char *out)
{
	const unsigned n = (unsigned)i;

	if (strcmp(f->name, "UtcTime") == 0 || strcmp(f->name, "CreationUtcTime") == 0)
		utc_text(1795490057ull * 1000000000 + i * 2500000, out);
	else if (strstr(f->name, "CommandLine"))
		snprintf(out, VALUE_MAX, "%s %u", commands[i % ARRAY_SIZE(commands)], n);
	else if (strstr(f->name, "Image"))
		snprintf(out, VALUE_MAX, "%s", i % 3 ? "/usr/bin/python3.11" : "/usr/lib/gcc/x86_64-linux-gnu/12/cc1");
	else if (strcmp(f->name, "TargetFilename") == 0)
		snprintf(out, VALUE_MAX, "/srv/data/incoming/batch-%03u/file%u", n / 1000 % 1000, n);
	else if (strcmp(f->name, "Hashes") == 0)
		snprintf(out, VALUE_MAX, "SHA256=%016" PRIX64 "%016" PRIX64 "%016" PRIX64 "%016" PRIX64,
			 i * 0x9e3779b97f4a7c15u, i * 0xc2b2ae3d27d4eb4fu, i * 0x165667b19e3779f9u, ~i);
	else if (strstr(f->name, "User"))
		snprintf(out, VALUE_MAX, "%s", i % 5 ? "www-data" : "root");
	else if (strstr(f->name, "Ip"))
		snprintf(out, VALUE_MAX, "10.%u.%u.%u", n >> 16 & 255, n >> 8 & 255, n & 255);
	else
		snprintf(out, VALUE_MAX, "-");
}

static void fill(struct event *ev, uint64_t i, char texts[EVENT_FIELDS_MAX][VALUE_MAX])
{
	ev->type = event_type_by_id(mix[i % ARRAY_SIZE(mix)]);
	ev->time_utc_ns = 1795490057ull * 1000000000 + i * 2500000;
	for (unsigned k = 0; k < ev->type->field_count; k++) {
		struct value *v = &ev->values[k];

		*v = (struct value){ .number = 1000 + i % 50, .text = texts[k] };
		memcpy(v->guid.byte, &i, sizeof(i));
		if (ev->type->fields[k].type != FIELD_STRING)
			continue;
		text_of(&ev->type->fields[k], i, texts[k]);
		v->length = (uint32_t)strlen(texts[k]);
	}
}

static int make(const char *path, uint64_t size)
{
	static char texts[EVENT_FIELDS_MAX][VALUE_MAX];
	const struct log_options o = { .size_max = size, .who = { "bench.example.net", 700, 701, 0 } };
	struct event ev = { 0 };
	struct log_state state = { 0 };
	struct err e = { 0 };
	OWNED(log) l = NULL;
	uint64_t id;

	if (log_open_take(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), &o, &l, &e) < 0) {
		fprintf(stderr, "reader_bench: %s\n", e.text);
		return 1;
	}
	/* Until the oldest ones give way: the file is full. */
	for (uint64_t i = 0; state.first_id <= 1; i++) {
		fill(&ev, i, texts);
		if (log_append(l, &ev, &id) < 0)
			return 1;
		if (i % 1000 == 0)
			log_state_get(l, &state);
	}
	return log_close(l, &e) < 0;
}

/* ---- reading -------------------------------------------------------------------------------------- */

static void hear(void *self, const char *text)
{
	(void)self;
	fprintf(stderr, "reader_bench: %s\n", text);
}

static int parse(struct logfile *l, uint64_t *records)
{
	OWNED(evtx_reader) r = NULL;
	struct evtx_record rec;

	if (evtx_reader_new(&r, NULL) < 0)
		return -1;
	for (size_t i = 0; i < logfile_count(l); i++)
		if (logfile_begin(l, i, r))
			while (logfile_scan(l, r, &rec))
				*records += logfile_fill(l, r, &rec);
	return 0;
}

/* Shows what passes on a stream that only counts lines. */
static ssize_t count_lines(void *cookie, const char *bytes, size_t n)
{
	uint64_t *lines = cookie;

	for (const char *p = bytes; (p = memchr(p, '\n', n - (size_t)(p - bytes))); p++)
		++*lines;
	return (ssize_t)n;
}

static int show(struct logfile *l, enum render_form form, const char *condition, uint64_t *records)
{
	OWNED(filter) f = filter_new();
	const cookie_io_functions_t io = { .write = count_lines };
	struct view v = { .form = form, .oldest_first = true, .filter = f, .to = fopencookie(records, "w", io) };
	struct err e = { 0 };
	int r = !f || !v.to ? -1 : condition ? filter_where(f, condition, &e) : 0;

	if (r == 0)
		r = view_log(l, &v, &e);
	if (r < 0)
		fprintf(stderr, "reader_bench: %s\n", e.text);
	if (v.to)
		fclose(v.to);
	return r;
}

static int measure(const char *what, const char *path, const char *condition)
{
	const struct fault_listener listener = { .hear = hear };
	OWNED(logfile) l = NULL;
	uint64_t records = 0;
	struct err e = { 0 };
	double began = now_seconds();
	struct stat st;
	int r = logfile_open(path, &listener, &l, &e);

	if (r < 0 || stat(path, &st) < 0) {
		fprintf(stderr, "reader_bench: %s: %s\n", path, e.text);
		return 1;
	}
	if (strcmp(what, "parse") == 0)
		r = parse(l, &records);
	else
		r = show(l, strcmp(what, "json") == 0 ? RENDER_JSON : RENDER_LINE, condition, &records);
	printf("%.1f %" PRIu64 " %.3f\n", (double)st.st_size / 1e6, records, now_seconds() - began);
	return r < 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	if (strcmp(what, "make") == 0 && argc == 4)
		return make(argv[2], strtoull(argv[3], NULL, 10) * 1000000);
	if ((strcmp(what, "parse") == 0 || strcmp(what, "json") == 0) && argc == 3)
		return measure(what, argv[2], NULL);
	if (strcmp(what, "filter") == 0 && argc == 4)
		return measure(what, argv[2], argv[3]);
	fprintf(stderr, "usage: reader_bench make FILE MEGABYTES | parse FILE | json FILE | filter FILE CONDITION\n");
	return 2;
}

/* SPDX-License-Identifier: MIT */
/* What rules cost: loads each configuration, judges the events of a recorded log by it on one core, fast and
 * plainly (one filter after the other), and prints a row: milliseconds and memory of loading, events a second
 * and how many are kept.
 *
 *   rules_bench LOG CONFIG... */
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "../src/hunt/logfile.h"
#include "../src/hunt/render.h"
#include "../src/rules/plain.h"

#define EVENTS_MAX 10000u

static struct event events[EVENTS_MAX];
static unsigned event_count;

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* of this core: what else runs does not count */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The texts of a record last until the next one. */
static void keep_event(const struct event *ev)
{
	events[event_count] = *ev;
	for (unsigned i = 0; i < ev->type->field_count; i++)
		if (ev->values[i].text)
			events[event_count].values[i].text = strndup(ev->values[i].text, ev->values[i].length);
	event_count++;
}

static bool read_events(const char *path)
{
	OWNED(logfile) log = NULL;
	OWNED(evtx_reader) r = NULL;
	struct fault_listener nobody = { NULL, NULL };
	struct evtx_record rec;
	struct event ev;
	struct err e = { 0 };

	if (logfile_open(path, &nobody, &log, &e) < 0 || evtx_reader_new(&r, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return false;
	}
	for (size_t i = 0; i < logfile_count(log); i++)
		if (logfile_begin(log, i, r))
			while (event_count < EVENTS_MAX && logfile_scan(log, r, &rec))
				if (logfile_fill(log, r, &rec) && record_event(&rec, &ev) && ev.type->kept != DEFAULT_ALWAYS)
					keep_event(&ev);
	return event_count > 0;
}

static size_t resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long all, resident = 0;

	if (f && fscanf(f, "%lu %lu", &all, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * 4;
}

static bool keeps(const struct ruleset *rs, const struct event *ev, bool plainly)
{
	const char *name;

	return plainly ? plain_judge(rs, ev).keep : ruleset_keeps(rs, ev, &name);
}

/* Events a second, over at least one second. */
static double rate(const struct ruleset *rs, bool plainly, unsigned *kept)
{
	double began = now_seconds(), took;
	unsigned long judged = 0;

	do {
		*kept = 0;
		for (unsigned i = 0; i < event_count; i++)
			*kept += keeps(rs, &events[i], plainly);
		judged += event_count;
		took = now_seconds() - began;
	} while (took < 1);
	return (double)judged / took;
}

static int measure(const char *path)
{
	size_t before = resident_kib(), after;
	OWNED(ruleset) rs = NULL;
	char *bytes = malloc(RULESET_BYTES_MAX);
	FILE *f = fopen(path, "r");
	struct rusage most;
	struct err e = { 0 };
	unsigned kept, kept_plainly;
	double began, loaded, fast, plain;
	size_t n;

	if (!bytes || !f)
		return 1;
	n = fread(bytes, 1, RULESET_BYTES_MAX, f);
	fclose(f);
	began = now_seconds();
	if (ruleset_parse(path, bytes, n, &rs, NULL, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	loaded = now_seconds() - began;
	free(bytes);
	malloc_trim(0); /* as the engine does */
	after = resident_kib();
	getrusage(RUSAGE_SELF, &most);
	fast = rate(rs, false, &kept);
	plain = rate(rs, true, &kept_plainly);
	printf("%-60.60s %8.1f %8.1f %8.1f %11.0f %11.0f %7u\n", path, loaded * 1e3,
	       (double)(after - before) / 1024, (double)((size_t)most.ru_maxrss - before) / 1024, fast, plain, kept);
	return kept != kept_plainly;
}

/* In a process of its own: the memory of one load must not serve the next. */
static bool measured(const char *path)
{
	int status = 1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		status = measure(path);
		fflush(stdout);
		_exit(status);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(int argc, char **argv)
{
	bool all = true;

	if (argc < 3 || !read_events(argv[1])) {
		fprintf(stderr, "usage: rules_bench LOG CONFIG...\n");
		return 1;
	}
	printf("%u recorded events\n%-60s %8s %8s %8s %11s %11s %7s\n", event_count, "configuration", "load ms",
	       "MiB", "MiB peak", "events/s", "plainly", "kept");
	for (int i = 2; i < argc; i++)
		all = measured(argv[i]) && all;
	return all ? 0 : 1;
}

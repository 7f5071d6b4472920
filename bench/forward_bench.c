/* SPDX-License-Identifier: MIT */
/* How fast a log is caught up with on one core: read, put together and packed, given to a sink that keeps nothing.
 *
 *   forward_bench FORM FILE   FORM: ndjson, evtx, json or xml
 *
 * Prints events, batches, bytes before and after packing, seconds of CPU and the most memory there was. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../src/base/own.h"
#include "../src/forward/forwarder.h"

static const char *const forms[] = { [FORM_NDJSON] = "ndjson", [FORM_EVTX] = "evtx", [FORM_JSON] = "json", [FORM_XML] = "xml" };

static struct {
	enum form form;
	uint64_t batches, raw, size;
} counted;

static enum form form_of(const struct forward_target *t)
{
	(void)t;
	return counted.form;
}

static void count(struct sink *s, const struct batch *b, struct answer *a)
{
	(void)s;
	(void)a;
	counted.batches++;
	counted.raw += b->raw_size;
	counted.size += b->size;
}

static const struct sink_row row = { .name = "none", .form = form_of, .named = true, .send = count };

/* getrusage() counts what was there before exec, too. */
static unsigned long memory_most_kb(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[200];
	unsigned long kb = 0;

	while (status && fgets(line, sizeof(line), status) && sscanf(line, "VmHWM: %lu", &kb) != 1)
		;
	if (status)
		fclose(status);
	return kb;
}

static int run(const char *path)
{
	static struct identity identity = { .host = "4f7a0cfa-0000-0000-0000-000000000000", .computer = "bench" };
	static struct forwarded shown;
	const struct forward_target target = { .name = "none", .row = &row };
	struct forwarder_start s = { .target = &target, .identity = &identity, .shown = &shown, .file_count = 1 };
	struct rusage used;
	struct err e = { 0 };
	int ends[2];

	s.files[0].log = open(path, O_RDONLY | O_CLOEXEC);
	s.files[0].seals = -1;
	s.bookmark = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s.files[0].log < 0 || s.bookmark < 0 || pipe2(ends, O_CLOEXEC) < 0) {
		perror("forward_bench");
		return 1;
	}
	s.until = ends[0];
	close(ends[1]);
	if (forwarder_run(&s, &e) < 0) {
		fprintf(stderr, "forward_bench: %s\n", e.text);
		return 1;
	}
	getrusage(RUSAGE_SELF, &used);
	printf("%lu %lu %lu %lu %.3f %lu\n", shown.events, counted.batches, counted.raw, counted.size,
	       (double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec +
		       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
	       memory_most_kb() * 1024);
	return 0;
}

int main(int argc, char **argv)
{
	for (unsigned i = 0; argc == 3 && i < ARRAY_SIZE(forms); i++)
		if (strcmp(argv[1], forms[i]) == 0) {
			counted.form = i;
			return run(argv[2]);
		}
	fprintf(stderr, "usage: forward_bench FORM FILE\n");
	return 2;
}

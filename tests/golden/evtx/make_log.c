/* SPDX-License-Identifier: MIT */
/* make_log FILE COUNT SEED: appends so many random events, all types, all kinds of values.
 * make_log FILE COUNT SEED context: the same events with their Context.
 * make_log FILE example: the example of docs/formats/evtx.md, byte for byte. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../src/evtx/template.h"
#include "../../../src/log/log.h"
#include "random_event.h"

static int fail(const char *what, const struct err *e)
{
	fprintf(stderr, "make_log: %s: %s\n", what, e->text);
	return 1;
}

static int make_random(int fd, unsigned count, uint64_t seed, bool context)
{
	static struct random_events r;
	const struct log_options options = { .size_max = UINT32_MAX,
					     .who = { "host-\xc3\xa9.example", 700, 701, 0, context } };
	OWNED(log) l = NULL;
	struct err e = { 0 };

	r.state = seed * 2654435761u + 1;
	if (log_open_take(fd, &options, &l, &e) < 0)
		return fail("open", &e);
	for (unsigned i = 0; i < count; i++) {
		uint64_t id;

		if (log_append(l, random_event(&r), &id) < 0)
			return fail("append", &e);
	}
	return log_close(l, &e) < 0 ? fail("close", &e) : 0;
}

/* The ids that the published example was made with. */
static void example_guids(struct evtx_guids *guids)
{
	static const struct guid outer = { { 0x1d, 0xa2, 0x56, 0xa7, 0xd1, 0x9b, 0xc5, 0x52, 0xbd, 0x36,
					     0xd0, 0x48, 0xf3, 0xf9, 0x47, 0xbe } };
	static const struct guid inner = { { 0x26, 0xb8, 0x63, 0xbc, 0xc6, 0xae, 0x8c, 0x5b, 0xbe, 0x6c,
					     0x28, 0xfb, 0xaa, 0x90, 0x92, 0x46 } };

	guids->outer = outer;
	guids->inner[event_type_by_id(5) - event_types] = inner;
}

static int make_example(int fd)
{
	static const struct guid process = { { 0x5f, 0x38, 0x70, 0x57, 0x2a, 0xc2, 0xe0, 0x43, 0xbf, 0x4c,
					       0x06, 0xf5, 0x69, 0x8f, 0xfb, 0xd9 } };
	const struct evtx_identity who = { "host01", 700, 701, 0, false };
	const struct evtx_file_header header = {
		.next_record_id = 2, .major = 3, .minor = 1, .chunk_count = 1
	};
	const struct event ev = {
		.type = event_type_by_id(5),
		.time_utc_ns = 1795420800123456700u,
		.values = { { .text = "-", .length = 1 },
			    { .text = "2026-11-23 08:00:00.123", .length = 23 },
			    { .guid = process },
			    { .number = 4242 },
			    { .text = "/usr/bin/true", .length = 13 },
			    { .text = "root", .length = 4 } },
	};
	uint8_t block[EVTX_FILE_HEADER_SIZE] = { 0 };
	struct evtx_guids guids;
	OWNED(evtx_writer) w = NULL;
	struct err e = { 0 };

	evtx_guids_derive(&who, &guids);
	example_guids(&guids);
	if (evtx_writer_new_with_guids(&who, &guids, &w, &e) < 0)
		return fail("writer", &e);
	if (evtx_writer_append(w, &ev, 1, ev.time_utc_ns) < 0)
		return 1;
	evtx_file_header_write(&header, block);
	if (write(fd, block, sizeof(block)) != sizeof(block) ||
	    write(fd, evtx_writer_seal(w), EVTX_CHUNK_SIZE) != (ssize_t)EVTX_CHUNK_SIZE)
		return 1;
	return 0;
}

int main(int argc, char **argv)
{
	int fd = argc > 2 ? open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;

	if (fd < 0) {
		fprintf(stderr, "usage: make_log FILE COUNT SEED [context] | FILE example\n");
		return 2;
	}
	if (strcmp(argv[2], "example") == 0)
		return make_example(fd);
	return make_random(fd, (unsigned)atoi(argv[2]), argc > 3 ? strtoull(argv[3], NULL, 0) : 1,
			   argc > 4 && strcmp(argv[4], "context") == 0);
}

/* SPDX-License-Identifier: MIT */
/* dump FILE [--xml]: every record of an event log in file order, one JSON object a line (the form of
 * docs/formats/json.md) or one XML event a line. Needs nothing but src/evtx/, so that a test of the
 * reader tests the reader alone. Exit status 1 when something in the file was not right. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../../../src/evtx/reader.h"

enum { TYPE_INT8 = 0x03, TYPE_UINT64 = 0x0a, TYPE_BOOL = 0x0d };

static void print_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		const unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void print_data(const struct evtx_data *d)
{
	print_string(d->name);
	putchar(':');
	if ((d->type >= TYPE_INT8 && d->type <= TYPE_UINT64) || d->type == TYPE_BOOL)
		fputs(*d->text ? d->text : "null", stdout);
	else
		print_string(d->text);
}

static void print_time(uint64_t utc_ns)
{
	time_t seconds = (time_t)(utc_ns / 1000000000u);
	char text[32];

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime(&seconds));
	printf("\"TimeCreated\":\"%s.%09" PRIu64 "Z\"", text, utc_ns % 1000000000u);
}

static void print_json(const struct evtx_record *r)
{
	printf("{\"System\":{\"Provider\":");
	print_string(r->provider_name);
	printf(",\"EventID\":%u,\"Version\":%u,\"Level\":%u,\"Task\":%u,\"Opcode\":%u,"
	       "\"Keywords\":\"0x%" PRIx64 "\",",
	       r->event_id, r->version, r->level, r->task, r->opcode, r->keywords);
	print_time(r->time_utc_ns);
	printf(",\"EventRecordID\":%" PRIu64 ",\"ProcessID\":%u,\"ThreadID\":%u,\"Channel\":", r->id,
	       r->process_id, r->thread_id);
	print_string(r->channel);
	printf(",\"Computer\":");
	print_string(r->computer);
	printf(",\"UserID\":");
	print_string(r->user_id);
	printf("},\"%s\":{", r->user_data ? "UserData" : "EventData");
	for (unsigned i = 0; i < r->data_count; i++) {
		if (i)
			putchar(',');
		print_data(&r->data[i]);
	}
	puts("}}");
}

static int dump_chunk(struct evtx_reader *r, const uint8_t *chunk, bool xml)
{
	struct evtx_record rec;
	struct err e;
	int ret;

	if (evtx_reader_begin(r, chunk, &e) == -ENODATA)
		return 0;
	while ((ret = evtx_reader_next(r, &rec, &e)) != 0) {
		size_t length;

		if (ret < 0)
			fprintf(stderr, "%s\n", e.text);
		else if (xml)
			puts(evtx_reader_xml(r, &length));
		else
			print_json(&rec);
	}
	if (evtx_reader_faults(r))
		fprintf(stderr, "chunk with faults %#x\n", evtx_reader_faults(r));
	return evtx_reader_faults(r) != 0;
}

int main(int argc, char **argv)
{
	static uint8_t chunk[EVTX_CHUNK_SIZE];
	struct evtx_file_header header;
	OWNED(evtx_reader) r = NULL;
	OWNED_FD fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	int bad = 0;

	if (fd < 0 || evtx_reader_new(&r, NULL) < 0) {
		fprintf(stderr, "usage: dump FILE [--xml]\n");
		return 2;
	}
	if (pread(fd, chunk, 128, 0) != 128 || evtx_file_header_read(chunk, &header) != 0) {
		fprintf(stderr, "the file header is not right\n");
		bad = 1;
	}
	for (off_t at = EVTX_FILE_HEADER_SIZE; pread(fd, chunk, sizeof(chunk), at) == sizeof(chunk);
	     at += sizeof(chunk))
		bad |= dump_chunk(r, chunk, argc > 2 && strcmp(argv[2], "--xml") == 0);
	return bad;
}

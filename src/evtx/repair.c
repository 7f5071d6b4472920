/* SPDX-License-Identifier: MIT */
/* What a crash left of a chunk, made whole again. */
#include <string.h>

#include "reader_internal.h"

/* Is there a record at `at` whose frame is intact? Stricter than reading: our own are multiples of 8. */
static uint32_t intact_frame(const uint8_t *chunk, uint32_t at)
{
	uint32_t left = EVTX_RECORD_END_MAX - at, size;

	if (left < RECORD_SIZE_MIN || le32_get(chunk + at) != RECORD_MAGIC)
		return 0;
	size = le32_get(chunk + at + 4);
	if (size < RECORD_SIZE_MIN || size > left || size % 8 || le32_get(chunk + at + size - 4) != size)
		return 0;
	return size;
}

/* A header under which the reader takes the records in [512, end) for what they say they are. */
static void pretend_header(uint8_t *chunk, uint32_t end)
{
	const struct evtx_chunk_header h = {
		.first_id = 0,
		.last_id = UINT64_MAX - 1,
		.last_record_offset = EVTX_CHUNK_HEADER,
		.free_offset = end,
		.flags = EVTX_CHUNK_NO_CRC,
	};

	evtx_chunk_header_write(&h, chunk);
}

/* The end of the frames that follow each other, ids too. */
static uint32_t frames_end(const uint8_t *chunk, uint64_t first_id, uint64_t above)
{
	uint64_t expected = 0;
	uint32_t at = EVTX_CHUNK_HEADER, size;

	for (; at < EVTX_RECORD_END_MAX; at += size) {
		uint64_t id = 0;

		size = intact_frame(chunk, at);
		if (size)
			id = le64_get(chunk + at + 8);
		if (!size || id == 0 || (expected ? id != expected : first_id ? id != first_id : id <= above))
			break;
		expected = id + 1;
	}
	return at;
}

static void write_kept(uint8_t *chunk, const struct evtx_tables *tables, uint32_t last, uint32_t end)
{
	const struct evtx_chunk_header h = {
		.first_id = le64_get(chunk + EVTX_CHUNK_HEADER + 8),
		.last_id = le64_get(chunk + last + 8),
		.last_record_offset = last,
		.free_offset = end,
		.data_crc = evtx_crc(0, chunk + EVTX_CHUNK_HEADER, end - EVTX_CHUNK_HEADER),
		.flags = 1,
	};

	memset(chunk + end, 0, EVTX_CHUNK_SIZE - end);
	for (unsigned i = 0; i < NAME_BUCKETS; i++)
		le32_put(chunk + NAME_TABLE + 4 * i, tables->names[i]);
	for (unsigned i = 0; i < TEMPLATE_BUCKETS; i++)
		le32_put(chunk + TEMPLATE_TABLE + 4 * i, tables->templates[i]);
	evtx_chunk_header_write(&h, chunk);
}

/* Strict, and compiling every definition anew: the tables are made of what the compiler comes past. */
static int read_kept(struct evtx_reader *r, uint8_t *chunk, uint32_t end, struct evtx_tables *tables,
		     uint32_t *last, uint32_t *kept_end)
{
	struct evtx_tables found = *tables;
	struct evtx_record rec;
	int kept = 0;

	pretend_header(chunk, end);
	evtx_reader_forget(r);
	r->compiler.strict = true;
	r->compiler.tables = &found;
	evtx_reader_begin(r, chunk, NULL);
	/* Names and templates of a record that breaks off half-way must not get into the tables. */
	for (; evtx_reader_next(r, &rec, NULL) == 1 && rec.id == rec.header_id; *tables = found) {
		*last = rec.offset;
		*kept_end = r->at;
		kept++;
	}
	r->compiler.strict = false;
	r->compiler.tables = NULL;
	evtx_reader_forget(r);
	return kept;
}

int evtx_chunk_repair(struct evtx_reader *r, uint8_t *chunk, uint64_t first_id, uint64_t above)
{
	uint32_t end = frames_end(chunk, first_id, above), kept_end = EVTX_CHUNK_HEADER, last = 0;
	struct evtx_tables tables = { 0 };
	int kept = 0;

	if (end > EVTX_CHUNK_HEADER)
		kept = read_kept(r, chunk, end, &tables, &last, &kept_end);
	if (kept)
		write_kept(chunk, &tables, last, kept_end);
	else
		memset(chunk, 0, EVTX_CHUNK_SIZE);
	return kept;
}

/* SPDX-License-Identifier: MIT */
#include "format.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

#include "binxml.h"

static const char file_magic[8] = "ElfFile";
static const char chunk_magic[8] = "ElfChnk";

enum { /* offsets in the file header */
	FILE_FIRST_CHUNK = 8,
	FILE_LAST_CHUNK = 16,
	FILE_NEXT_ID = 24,
	FILE_HEADER_LENGTH = 32,
	FILE_MINOR = 36,
	FILE_MAJOR = 38,
	FILE_BLOCK_SIZE = 40,
	FILE_CHUNK_COUNT = 42,
	FILE_FLAGS = 120,
	FILE_CRC = 124,
};

enum { /* offsets in the chunk header */
	CHUNK_FIRST_NUMBER = 8,
	CHUNK_LAST_NUMBER = 16,
	CHUNK_FIRST_ID = 24,
	CHUNK_LAST_ID = 32,
	CHUNK_HEADER_LENGTH = 40,
	CHUNK_LAST_RECORD = 44,
	CHUNK_FREE = 48,
	CHUNK_DATA_CRC = 52,
	CHUNK_FLAGS = 120,
	CHUNK_HEADER_CRC = 124,
};

#define HEADER_LENGTH 128u

uint32_t evtx_crc(uint32_t crc, const void *bytes, size_t n)
{
	return (uint32_t)crc32_z(crc, bytes, n);
}

static const char generation_mark[8] = "KSGEN1";

void evtx_generation_write(uint64_t generation, uint8_t out[EVTX_GENERATION_SIZE])
{
	memcpy(out, generation_mark, sizeof(generation_mark));
	le64_put(out + 8, generation);
}

uint64_t evtx_generation_read(const uint8_t in[EVTX_GENERATION_SIZE])
{
	return memcmp(in, generation_mark, sizeof(generation_mark)) == 0 ? le64_get(in + 8) : 0;
}

void evtx_file_header_write(const struct evtx_file_header *h, uint8_t out[128])
{
	memset(out, 0, HEADER_LENGTH);
	memcpy(out, file_magic, sizeof(file_magic));
	le64_put(out + FILE_FIRST_CHUNK, h->first_chunk);
	le64_put(out + FILE_LAST_CHUNK, h->last_chunk);
	le64_put(out + FILE_NEXT_ID, h->next_record_id);
	le32_put(out + FILE_HEADER_LENGTH, HEADER_LENGTH);
	le16_put(out + FILE_MINOR, h->minor);
	le16_put(out + FILE_MAJOR, h->major);
	le16_put(out + FILE_BLOCK_SIZE, EVTX_FILE_HEADER_SIZE);
	le16_put(out + FILE_CHUNK_COUNT, h->chunk_count);
	le32_put(out + FILE_FLAGS, h->flags);
	le32_put(out + FILE_CRC, evtx_crc(0, out, FILE_FLAGS));
}

int evtx_file_header_read(const uint8_t in[128], struct evtx_file_header *h)
{
	if (memcmp(in, file_magic, sizeof(file_magic)) != 0 ||
	    le32_get(in + FILE_HEADER_LENGTH) != HEADER_LENGTH ||
	    le16_get(in + FILE_BLOCK_SIZE) != EVTX_FILE_HEADER_SIZE)
		return -EBADMSG;

	*h = (struct evtx_file_header){
		.first_chunk = le64_get(in + FILE_FIRST_CHUNK),
		.last_chunk = le64_get(in + FILE_LAST_CHUNK),
		.next_record_id = le64_get(in + FILE_NEXT_ID),
		.minor = le16_get(in + FILE_MINOR),
		.major = le16_get(in + FILE_MAJOR),
		.chunk_count = le16_get(in + FILE_CHUNK_COUNT),
		.flags = le32_get(in + FILE_FLAGS),
	};
	return evtx_crc(0, in, FILE_FLAGS) == le32_get(in + FILE_CRC) ? 0 : -EILSEQ;
}

/* The flags stand between the two parts that the CRC covers. */
static uint32_t chunk_header_crc(const uint8_t *chunk)
{
	return evtx_crc(evtx_crc(0, chunk, CHUNK_FLAGS), chunk + HEADER_LENGTH,
			EVTX_CHUNK_HEADER - HEADER_LENGTH);
}

void evtx_chunk_header_write(const struct evtx_chunk_header *h, uint8_t *chunk)
{
	memset(chunk, 0, HEADER_LENGTH);
	memcpy(chunk, chunk_magic, sizeof(chunk_magic));
	le64_put(chunk + CHUNK_FIRST_NUMBER, h->first_id);
	le64_put(chunk + CHUNK_LAST_NUMBER, h->last_id);
	le64_put(chunk + CHUNK_FIRST_ID, h->first_id);
	le64_put(chunk + CHUNK_LAST_ID, h->last_id);
	le32_put(chunk + CHUNK_HEADER_LENGTH, HEADER_LENGTH);
	le32_put(chunk + CHUNK_LAST_RECORD, h->last_record_offset);
	le32_put(chunk + CHUNK_FREE, h->free_offset);
	le32_put(chunk + CHUNK_DATA_CRC, h->data_crc);
	le32_put(chunk + CHUNK_FLAGS, h->flags);
	le32_put(chunk + CHUNK_HEADER_CRC, chunk_header_crc(chunk));
}

static bool is_empty_form(const struct evtx_chunk_header *h)
{
	return h->first_id == UINT64_MAX && h->last_id == UINT64_MAX &&
	       h->free_offset <= EVTX_CHUNK_HEADER;
}

int evtx_chunk_header_read(const uint8_t in[512], struct evtx_chunk_header *h)
{
	if (memcmp(in, chunk_magic, sizeof(chunk_magic)) != 0)
		return -ENODATA;

	*h = (struct evtx_chunk_header){
		.first_id = le64_get(in + CHUNK_FIRST_ID),
		.last_id = le64_get(in + CHUNK_LAST_ID),
		.last_record_offset = le32_get(in + CHUNK_LAST_RECORD),
		.free_offset = le32_get(in + CHUNK_FREE),
		.data_crc = le32_get(in + CHUNK_DATA_CRC),
		.flags = le32_get(in + CHUNK_FLAGS),
	};
	if (is_empty_form(h))
		return -ENODATA;
	if (h->last_record_offset < EVTX_CHUNK_HEADER || h->free_offset > EVTX_CHUNK_SIZE ||
	    h->last_record_offset >= h->free_offset || h->last_id < h->first_id)
		return -EBADMSG;
	if (!(h->flags & EVTX_CHUNK_NO_CRC) && chunk_header_crc(in) != le32_get(in + CHUNK_HEADER_CRC))
		return -EILSEQ;
	return 0;
}

int evtx_chunk_data_ok(const uint8_t *chunk, const struct evtx_chunk_header *h)
{
	return (h->flags & EVTX_CHUNK_NO_CRC) ||
	       evtx_crc(0, chunk + EVTX_CHUNK_HEADER, h->free_offset - EVTX_CHUNK_HEADER) ==
		       h->data_crc;
}

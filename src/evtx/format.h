/* SPDX-License-Identifier: MIT */
/* EVTX: sizes, offsets and the file header, shared by writer, reader and log. docs/formats/evtx.md. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define EVTX_FILE_HEADER_SIZE 4096u
#define EVTX_CHUNK_SIZE       65536u
#define EVTX_CHUNK_HEADER     512u
#define EVTX_RECORD_END_MAX   65528u /* no record ends beyond: Windows never does, libevtx loses it */
#define EVTX_CHUNKS_MAX       65535u /* 16-bit count at offset 42 of the file header */

/* Times in the file: 100 ns since 1601. Outside of what nanoseconds since 1970 can say: 0. */
#define EVTX_FILETIME_1970 116444736000000000u
static inline uint64_t evtx_filetime(uint64_t utc_ns)
{
	return utc_ns / 100 + EVTX_FILETIME_1970;
}
static inline uint64_t evtx_utc_ns(uint64_t filetime)
{
	if (filetime < EVTX_FILETIME_1970 || filetime - EVTX_FILETIME_1970 > UINT64_MAX / 100)
		return 0;
	return (filetime - EVTX_FILETIME_1970) * 100;
}

/* In the unused rest of the file header's block, where no other program looks: the generation of a log of ours, a number
 * that stands for one sequence of record ids. Another one begins when ids begin anew. */
#define EVTX_GENERATION_AT   4080u
#define EVTX_GENERATION_SIZE 16u
void evtx_generation_write(uint64_t generation, uint8_t out[EVTX_GENERATION_SIZE]);
uint64_t evtx_generation_read(const uint8_t in[EVTX_GENERATION_SIZE]); /* 0: none stands there */

#define EVTX_FILE_DIRTY 1u
#define EVTX_FILE_FULL  2u

struct evtx_file_header {
	uint64_t first_chunk;
	uint64_t last_chunk;
	uint64_t next_record_id;
	uint16_t minor;
	uint16_t major;
	uint16_t chunk_count;
	uint32_t flags;
};

/* Writes the first 128 bytes of the file, CRC included. */
void evtx_file_header_write(const struct evtx_file_header *h, uint8_t out[128]);

/* 0; -EBADMSG when magic or sizes are not those of an EVTX file; -EILSEQ when only the CRC is wrong (the
 * values are filled all the same). */
int evtx_file_header_read(const uint8_t in[128], struct evtx_file_header *h);

/* What a chunk header says. */
struct evtx_chunk_header {
	uint64_t first_id;
	uint64_t last_id;
	uint32_t last_record_offset;
	uint32_t free_offset;
	uint32_t data_crc;
	uint32_t flags;
};

/* Writes the fields of the header, and the CRC of the header, into a chunk whose name and template
 * tables (offsets 128 to 511) are in place. */
void evtx_chunk_header_write(const struct evtx_chunk_header *h, uint8_t *chunk);

/* 0; -ENODATA for a slot that holds no chunk (no magic, or the empty form); -EBADMSG for offsets that
 * cannot be; -EILSEQ when only the header CRC is wrong (values are filled all the same). */
int evtx_chunk_header_read(const uint8_t in[512], struct evtx_chunk_header *h);
int evtx_chunk_data_ok(const uint8_t *chunk, const struct evtx_chunk_header *h); /* 1 if the data CRC holds */

#define EVTX_CHUNK_NO_CRC 4u /* chunk flag: its CRCs are not maintained */

/* CRC-32 (zlib's) of more bytes, beginning with crc 0. */
uint32_t evtx_crc(uint32_t crc, const void *bytes, size_t n);

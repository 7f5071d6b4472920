/* SPDX-License-Identifier: MIT */
/* A chunk of at most 64 KiB, the rest of it zero; its CRCs need not hold. What can be read of it is rendered, copied into
 * a chunk that must be whole and read the same, and repaired. */
#include <stdlib.h>
#include <string.h>

#include "../../src/evtx/copy.h"
#include "../../src/evtx/reader.h"
#include "fuzz.h"

/* One reader for all inputs, as when a file is read: what it kept of one chunk must not hurt the next. */
static struct evtx_reader *reader, *second;
static struct evtx_copier *copier;
static uint8_t chunk[EVTX_CHUNK_SIZE], repaired[EVTX_CHUNK_SIZE];

static void read_all(const uint8_t *bytes)
{
	struct evtx_record rec;
	struct err e;
	size_t length;
	int r;

	if (evtx_reader_begin(reader, bytes, &e) < 0)
		return;
	while ((r = evtx_reader_next(reader, &rec, &e)) != 0)
		if (r > 0 && strlen(evtx_reader_xml(reader, &length)) != length)
			abort();
}

/* Copied records are there in full, one after another, and read as the originals. */
static void read_copy(const char *text, uint64_t count)
{
	struct evtx_record rec;
	uint64_t id = 0;
	size_t length;

	if (!count)
		return;
	if (evtx_reader_begin(second, evtx_copier_seal(copier), NULL) < 0)
		abort();
	while (evtx_reader_scan(second, &rec, NULL) == 1)
		if (rec.header_id != ++id || strcmp(evtx_reader_xml(second, &length), text) != 0)
			abort();
		else
			text += length + 1;
	if (id != count || evtx_reader_faults(second))
		abort();
}

static void copy_all(const uint8_t *bytes)
{
	static char texts[4 << 20];
	struct evtx_record rec;
	uint64_t count = 0;
	size_t n, used = 0;
	int r;

	if (evtx_reader_begin(reader, bytes, NULL) < 0)
		return;
	evtx_copier_begin(copier);
	evtx_copier_source(copier, bytes);
	while ((r = evtx_reader_scan(reader, &rec, NULL)) != 0) {
		const char *xml = r > 0 ? evtx_reader_xml(reader, &n) : NULL;

		if (!xml || n >= sizeof(texts) - used || evtx_copier_append(copier, rec.offset, count + 1, NULL) < 0)
			continue;
		memcpy(texts + used, xml, n + 1);
		used += n + 1;
		count++;
	}
	read_copy(texts, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct evtx_chunk_header h;

	if (!reader && (evtx_reader_new(&reader, NULL) < 0 || evtx_reader_new(&second, NULL) < 0 ||
			evtx_copier_new(&copier, NULL) < 0))
		return 0;
	if (size > sizeof(chunk))
		size = sizeof(chunk);
	memcpy(chunk, bytes, size);
	memset(chunk + size, 0, sizeof(chunk) - size);
	read_all(chunk);
	copy_all(chunk);

	/* What repair makes of it is whole. */
	memcpy(repaired, chunk, sizeof(chunk));
	if (evtx_chunk_repair(reader, repaired, 0, 0) <= 0)
		return 0;
	if (evtx_chunk_header_read(repaired, &h) != 0 || !evtx_chunk_data_ok(repaired, &h))
		abort();
	read_all(repaired);
	if (evtx_reader_faults(reader))
		abort();
	return 0;
}

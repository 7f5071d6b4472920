/* SPDX-License-Identifier: MIT */
/* A chunk of at most 64 KiB, the rest of it zero; its CRCs need not hold. */
#include <string.h>

#include "../../src/evtx/reader.h"
#include "fuzz.h"

/* One reader for all inputs, as when a file is read: what it kept of one chunk must not hurt the next. */
static struct evtx_reader *reader;
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

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct evtx_chunk_header h;

	if (!reader && evtx_reader_new(&reader, NULL) < 0)
		return 0;
	if (size > sizeof(chunk))
		size = sizeof(chunk);
	memcpy(chunk, bytes, size);
	memset(chunk + size, 0, sizeof(chunk) - size);
	read_all(chunk);

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

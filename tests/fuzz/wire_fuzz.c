/* SPDX-License-Identifier: MIT */
/* Records packed one after another, as the snapshot gives them: every text of a record that is believed can be
 * read. */
#include <stdlib.h>
#include <string.h>

#include "../../src/collect/ring.h"
#include "fuzz.h"

static volatile unsigned char sink;

static void read_text(const struct ks_hdr *hdr, struct ks_text t)
{
	const char *text = record_text(hdr, t);

	for (unsigned i = 0; i < t.len; i++)
		sink ^= (unsigned char)text[i];
}

#define READ_TEXT(name)   read_text(&rec->hdr, rec->name);
#define READ_STRING(name) READ_TEXT(name)
#define READ_U16(name)
#define READ_U32(name)
#define READ_U64(name)
#define READ_BOOL(name)
#define READ_ADDRESS(name)
#define READ_FILE_ID(name)
#define READ_WHO(name)
static void read_record(const struct ks_hdr *hdr)
{
	switch (hdr->type) {
#define EVENT(ev, ...)                                                                             \
	case KS_##ev: {                                                                            \
		const struct ks_rec_##ev *rec = (const void *)hdr;                                 \
		sink ^= (unsigned char)rec->hdr.flags;
#define RECORD(rec)          EVENT(rec)
#define WIRE(ev, name, type) READ_##type(name)
#define RAW(ev, name, type)  READ_##type(name)
#define END(ev)                                                                                    \
		break;                                                                             \
	}
#include "../../schema/events.def"
	}
}

/* In memory of its own exact size, so that reading beyond the end shows. */
static size_t read_one(const uint8_t *bytes, size_t size)
{
	struct ks_hdr *hdr = malloc(size);
	size_t n = 0;

	if (!hdr)
		return 0;
	memcpy(hdr, bytes, size);
	if (record_check(hdr, size) == 0) {
		n = hdr->size;
		read_record(hdr);
	}
	free(hdr);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	size_t n;

	while (size > 0 && (n = read_one(bytes, size)) > 0) {
		bytes += n;
		size -= n;
	}
	return 0;
}

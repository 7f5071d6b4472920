/* SPDX-License-Identifier: MIT */
#include "seal_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

#define READ_AT_ONCE (512u * SEAL_SIZE)
#define FILE_MAX     (1u << 30)

typedef int seal_taker(void *self, const struct seal_entry *s, const uint8_t bytes[SEAL_SIZE]);

/* All that can be read, in any order. What is no seal is left out: the verifier of the log itself tells of it. */
static int each_seal(int fd, seal_taker *take, void *self)
{
	uint8_t *block = malloc(READ_AT_ONCE);
	uint64_t size, at = SEAL_FILE_HEADER;
	int r = block ? file_size(fd, &size) : -ENOMEM;

	if (r == 0 && size > FILE_MAX)
		r = -EFBIG;
	while (r == 0 && at + SEAL_SIZE <= size) {
		size_t n = size - at < READ_AT_ONCE ? (size_t)(size - at) / SEAL_SIZE * SEAL_SIZE : READ_AT_ONCE;

		r = file_read(fd, block, n, at);
		for (size_t i = 0; r == 0 && i < n; i += SEAL_SIZE) {
			struct seal_entry s;

			if (seal_entry_read(block + i, &s) == 1)
				r = take(self, &s, block + i);
		}
		at += n;
	}
	free(block);
	return r;
}

static int keep_newest(void *self, const struct seal_entry *s, const uint8_t bytes[SEAL_SIZE])
{
	struct seal_entry *newest = self;

	(void)bytes;
	if (!newest->kind || s->number > newest->number)
		*newest = *s;
	return 0;
}

int seals_newest(int fd, struct seal_entry *newest)
{
	int r;

	*newest = (struct seal_entry){ 0 };
	r = each_seal(fd, keep_newest, newest);
	return r < 0 ? r : newest->kind ? 0 : -ENODATA;
}

/* By number: from behind the last seal of the chunk before, with the marks between, to the last that speaks of none behind. */
struct span {
	uint64_t first_id, last_id;
	uint64_t before, first, last; /* numbers; before: of the chunk before, plus 1 */
	bool found;
	uint8_t *bytes; /* the file, when it is made */
	size_t n, room;
};

static int find_span(void *self, const struct seal_entry *s, const uint8_t bytes[SEAL_SIZE])
{
	struct span *p = self;

	(void)bytes;
	if (s->kind == SEAL_MARK || s->first_id > p->last_id)
		return 0;
	if (s->first_id < p->first_id) {
		p->before = s->number + 1 > p->before ? s->number + 1 : p->before;
		return 0;
	}
	if (!p->found || s->number < p->first)
		p->first = s->number;
	if (!p->found || s->number > p->last)
		p->last = s->number;
	p->found = true;
	return 0;
}

static int copy_span(void *self, const struct seal_entry *s, const uint8_t bytes[SEAL_SIZE])
{
	struct span *p = self;

	if (s->number < p->first || s->number > p->last)
		return 0;
	if (p->n == p->room) /* written to meanwhile: those are behind */
		return 0;
	memcpy(p->bytes + p->n, bytes, SEAL_SIZE);
	p->n += SEAL_SIZE;
	return 0;
}

int seals_of(int fd, uint64_t first_id, uint64_t last_id, uint8_t **bytes, size_t *size)
{
	struct span p = { .first_id = first_id, .last_id = last_id };
	int r = each_seal(fd, find_span, &p);

	if (r < 0 || !p.found)
		return r < 0 ? r : -ENODATA;
	p.first = p.before ? p.before : p.first;
	p.room = SEAL_FILE_HEADER + (size_t)(p.last - p.first + 1) * SEAL_SIZE;
	if (p.room > FILE_MAX)
		return -EFBIG;
	p.bytes = malloc(p.room);
	if (!p.bytes)
		return -ENOMEM;
	r = file_read(fd, p.bytes, SEAL_FILE_HEADER, 0);
	p.bytes[SEAL_PART_AT] = 1;
	p.n = SEAL_FILE_HEADER;
	if (r == 0)
		r = each_seal(fd, copy_span, &p);
	if (r < 0) {
		free(p.bytes);
		return r;
	}
	*bytes = p.bytes;
	*size = p.n;
	return 0;
}

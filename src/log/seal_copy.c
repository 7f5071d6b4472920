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
	uint64_t sealed_id;
	bool found;
	uint8_t *bytes;  /* owned: room for a header, then seals that may belong to it */
	size_t n, room;
};

static int keep(struct span *p, const uint8_t bytes[SEAL_SIZE])
{
	if (p->n == p->room) {
		uint8_t *larger = realloc(p->bytes, p->room * 2);

		if (!larger)
			return -ENOMEM;
		p->bytes = larger;
		p->room *= 2;
	}
	memcpy(p->bytes + p->n, bytes, SEAL_SIZE);
	p->n += SEAL_SIZE;
	return 0;
}

/* What was sealed after these records were read is of no use: the copy lacks what it speaks of. */
static int take(void *self, const struct seal_entry *s, const uint8_t bytes[SEAL_SIZE])
{
	struct span *p = self;

	if (s->last_id > p->last_id)
		return 0;
	if (s->kind != SEAL_MARK && s->first_id < p->first_id) {
		p->before = s->number + 1 > p->before ? s->number + 1 : p->before;
		return 0;
	}
	if (s->kind != SEAL_MARK) {
		p->first = p->found && p->first < s->number ? p->first : s->number;
		p->last = p->found && p->last > s->number ? p->last : s->number;
		p->sealed_id = p->sealed_id > s->last_id ? p->sealed_id : s->last_id;
		p->found = true;
	}
	return s->last_id + 1 < p->first_id ? 0 : keep(p, bytes);
}

/* Marks that stand elsewhere go. */
static void leave_span(struct span *p)
{
	size_t from = SEAL_FILE_HEADER;

	p->first = p->before ? p->before : p->first;
	for (size_t at = from; at < p->n; at += SEAL_SIZE) {
		struct seal_entry s;

		seal_entry_read(p->bytes + at, &s);
		if (s.number < p->first || s.number > p->last)
			continue;
		memmove(p->bytes + from, p->bytes + at, SEAL_SIZE);
		from += SEAL_SIZE;
	}
	p->n = from;
}

int seals_of(int fd, uint64_t first_id, uint64_t last_id, uint8_t **bytes, size_t *size, uint64_t *sealed_id)
{
	struct span p = { .first_id = first_id, .last_id = last_id, .n = SEAL_FILE_HEADER, .room = 2 * SEAL_FILE_HEADER };
	int r;

	p.bytes = malloc(p.room);
	r = p.bytes ? file_read(fd, p.bytes, SEAL_FILE_HEADER, 0) : -ENOMEM;
	if (r == 0)
		r = each_seal(fd, take, &p);
	if (r == 0 && !p.found)
		r = -ENODATA;
	if (r < 0) {
		free(p.bytes);
		return r;
	}
	p.bytes[SEAL_PART_AT] = 1;
	leave_span(&p);
	*bytes = p.bytes;
	*size = p.n;
	*sealed_id = p.sealed_id;
	return 0;
}

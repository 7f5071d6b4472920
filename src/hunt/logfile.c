/* SPDX-License-Identifier: MIT */
#include "logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "../base/le.h"

/* The writer publishes data first and header second within one or two calls, so half a change lasts microseconds, or
 * as long as others have the processor. What is the same when it is read again after so many pauses is no change, but
 * damage; what changes is read again until it is whole, but not for ever. */
#define TORN_READ_PAUSE_NS 5000000
#define TORN_READS_SAME    8
#define TORN_READS_MAX     400

#define FILETIME_1970 116444736000000000u

/* What our own log and its readers can count ends at EVTX_CHUNKS_MAX, but Windows writes larger files; this is 1 TiB. */
#define SLOTS_MAX (1u << 24)

struct logfile {
	int fd;
	bool fd_owned;
	uint64_t size;
	bool live; /* the file header says that somebody writes to it */
	uint32_t slot; /* read last */
	struct chunk_place *chunks;
	size_t count;
	struct fault_listener listener;
	uint8_t chunk[EVTX_CHUNK_SIZE];
};

void logfile_tell(struct logfile *l, const char *format, ...)
{
	char text[1200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	l->listener.hear(l->listener.self, text);
}

/* Reads n bytes or what is there; the rest is zero. Returns how many were there, or -errno. */
static ssize_t read_at(int fd, void *to, size_t n, uint64_t offset)
{
	size_t done = 0;

	memset(to, 0, n);
	while (done < n) {
		ssize_t r = pread(fd, (uint8_t *)to + done, n - done, (off_t)(offset + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

static uint64_t slot_offset(uint64_t slot)
{
	return EVTX_FILE_HEADER_SIZE + slot * EVTX_CHUNK_SIZE;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* When the first record was written, from its header. */
static uint64_t first_written(const uint8_t *record)
{
	uint64_t filetime = le64_get(record + 16);

	return filetime > FILETIME_1970 ? (filetime - FILETIME_1970) * 100 : 0;
}

static void pause_shortly(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = TORN_READ_PAUSE_NS }, NULL);
}

#define HEAD_SIZE (EVTX_CHUNK_HEADER + 24) /* of a chunk, and of its first record */

/* As evtx_chunk_header_read(), or -errno of reading. */
static int read_head(const struct logfile *l, uint64_t slot, uint8_t head[HEAD_SIZE], struct evtx_chunk_header *h)
{
	ssize_t n = read_at(l->fd, head, HEAD_SIZE, slot_offset(slot));

	return n < 0 ? (int)n : evtx_chunk_header_read(head, h);
}

static bool may_be_torn(int r, const uint8_t head[HEAD_SIZE])
{
	return r == -EBADMSG || r == -EILSEQ || (r == -ENODATA && !all_zero(head, HEAD_SIZE));
}

/* The same, when a writer is at work: not in the middle of a change. */
static int read_whole_head(const struct logfile *l, uint64_t slot, uint8_t head[HEAD_SIZE],
			   struct evtx_chunk_header *h)
{
	uint32_t seen = 0;
	int r = 0;

	for (unsigned i = 0; i < TORN_READS_MAX; i++) {
		uint32_t crc;

		r = read_head(l, slot, head, h);
		crc = evtx_crc(0, head, HEAD_SIZE);
		if (!l->live || !may_be_torn(r, head) || (i && crc == seen))
			break;
		seen = crc;
		pause_shortly();
	}
	return r;
}

/* Adds the chunk in this slot, if there is one. */
static int look_at_slot(struct logfile *l, uint32_t slot, uint64_t id_before)
{
	uint8_t head[HEAD_SIZE];
	struct evtx_chunk_header h = { 0 };
	struct chunk_place *place = &l->chunks[l->count];
	int r = read_whole_head(l, slot, head, &h);

	if (r < 0 && r != -ENODATA && r != -EBADMSG && r != -EILSEQ)
		return r;
	if (r == -ENODATA) {
		if (memcmp(head, "ElfChnk", 8) != 0 && !all_zero(head, EVTX_CHUNK_HEADER))
			logfile_tell(l, "slot %u holds something that is no chunk", slot);
		return 0;
	}
	*place = (struct chunk_place){ .slot = slot, .first_id = h.first_id, .last_id = h.last_id,
				       .written_utc_ns = first_written(head + EVTX_CHUNK_HEADER),
				       .sound = r == 0 };
	/* A header that says nothing credible: its records are sought where the neighbours suggest. */
	if (r == -EBADMSG)
		place->first_id = place->last_id = id_before;
	l->count++;
	return 0;
}

static int by_first_id(const void *a, const void *b)
{
	const struct chunk_place *x = a, *y = b;

	if (x->first_id != y->first_id)
		return x->first_id < y->first_id ? -1 : 1;
	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static int look_through(struct logfile *l, uint32_t slots, struct err *e)
{
	struct chunk_place *room = reallocarray(l->chunks, slots + 1, sizeof(*room));
	uint64_t id = 0;

	if (!room)
		return err_set(e, ENOMEM, "listing %u chunks", slots);
	l->chunks = room;
	l->count = 0;
	for (uint32_t slot = 0; slot < slots; slot++) {
		size_t before = l->count;
		int r = look_at_slot(l, slot, id);

		if (r < 0)
			return err_set(e, -r, "reading chunk %u", slot);
		if (l->count > before)
			id = l->chunks[before].last_id;
	}
	qsort(l->chunks, l->count, sizeof(*l->chunks), by_first_id);
	return 0;
}

/* How many chunks the file has room for; the last may be cut short. */
static int count_slots(struct logfile *l, uint32_t *slots, struct err *e)
{
	struct stat st;
	uint64_t n;

	if (fstat(l->fd, &st) < 0)
		return err_set(e, errno, "asking for the size");
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, EBADMSG, "not a file");
	l->size = (uint64_t)st.st_size;
	n = (uint64_t)st.st_size > EVTX_FILE_HEADER_SIZE ? (uint64_t)st.st_size - EVTX_FILE_HEADER_SIZE : 0;
	n = (n + EVTX_CHUNK_SIZE - 1) / EVTX_CHUNK_SIZE;
	*slots = n > SLOTS_MAX ? SLOTS_MAX : (uint32_t)n;
	return 0;
}

int logfile_header(const struct logfile *l, struct evtx_file_header *h)
{
	uint8_t head[128];
	ssize_t n = read_at(l->fd, head, sizeof(head), 0);

	if (n < 0)
		return (int)n;
	return all_zero(head, sizeof(head)) ? -ENODATA : evtx_file_header_read(head, h);
}

uint64_t logfile_generation(const struct logfile *l)
{
	uint8_t mark[EVTX_GENERATION_SIZE] = { 0 };

	return read_at(l->fd, mark, sizeof(mark), EVTX_GENERATION_AT) < 0 ? 0 : evtx_generation_read(mark);
}

int logfile_refresh(struct logfile *l, struct err *e)
{
	struct evtx_file_header h = { 0 };
	uint32_t slots = 0;
	int header = logfile_header(l, &h);
	int r = count_slots(l, &slots, e);

	if (r < 0)
		return r;
	l->live = header == 0 && h.flags & EVTX_FILE_DIRTY;
	r = look_through(l, slots, e);
	if (r < 0)
		return r;
	if (header == 0 || (header == -ENODATA && l->count == 0))
		return 0;
	/* A damaged file header hides nothing: the chunks speak for themselves. */
	if (header != -EILSEQ && l->count == 0)
		return err_set(e, EBADMSG, "this is no event log (.evtx)");
	logfile_tell(l, header == -EILSEQ ? "the checksum of the file header is wrong" :
					    "the file header is damaged");
	return 0;
}

static int logfile_new(int fd, bool owned, const struct fault_listener *listener, struct logfile **ret,
		       struct err *e)
{
	OWNED(logfile) l = calloc(1, sizeof(*l));
	int r;

	if (!l) {
		if (owned)
			close(fd);
		return err_set(e, ENOMEM, "opening a log");
	}
	l->fd = fd;
	l->fd_owned = owned;
	l->listener = *listener;
	r = logfile_refresh(l, e);
	if (r < 0)
		return r;
	*ret = MOVE(l);
	return 0;
}

int logfile_open(const char *path, const struct fault_listener *listener, struct logfile **ret, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us */

	if (fd < 0)
		return err_set(e, errno, "opening");
	return logfile_new(fd, true, listener, ret, e);
}

int logfile_from_fd(int fd, const struct fault_listener *listener, struct logfile **ret, struct err *e)
{
	return logfile_new(fd, false, listener, ret, e);
}

void logfile_free(struct logfile *l)
{
	if (!l)
		return;
	if (l->fd_owned)
		close(l->fd);
	free(l->chunks);
	free(l);
}

uint64_t logfile_size(const struct logfile *l)
{
	return l->size;
}

size_t logfile_count(const struct logfile *l)
{
	return l->count;
}

const struct chunk_place *logfile_chunk(const struct logfile *l, size_t i)
{
	return &l->chunks[i];
}

int logfile_peek(const struct logfile *l, uint64_t slot, struct evtx_chunk_header *h)
{
	uint8_t head[HEAD_SIZE];

	return read_head(l, slot, head, h);
}

int logfile_read(struct logfile *l, uint64_t slot, struct evtx_reader *r, struct err *e)
{
	const unsigned torn = EVTX_FAULT_HEADER_CRC | EVTX_FAULT_DATA_CRC;
	unsigned same = 0;
	uint32_t seen = 0;
	int result = 0;

	l->slot = (uint32_t)slot;
	for (unsigned i = 0; i < TORN_READS_MAX; i++) {
		ssize_t n = read_at(l->fd, l->chunk, sizeof(l->chunk), slot_offset(slot));
		uint32_t crc;

		if (n < 0)
			return err_set(e, (int)-n, "reading");
		result = evtx_reader_begin(r, l->chunk, e);
		if (!l->live || result == -ENODATA || (result == 0 && !(evtx_reader_faults(r) & torn)))
			return result;
		crc = evtx_crc(0, l->chunk, sizeof(l->chunk));
		same = i && crc == seen ? same + 1 : 0;
		if (same == TORN_READS_SAME)
			break;
		seen = crc;
		pause_shortly();
	}
	return result;
}

const uint8_t *logfile_bytes(const struct logfile *l)
{
	return l->chunk;
}

int logfile_read_header(const struct logfile *l, struct evtx_chunk_header *h)
{
	return evtx_chunk_header_read(l->chunk, h);
}

/* Did the ring move on since the chunks were listed? What stands there now is newer than what was to be read: it will be
 * seen when the chunks are listed again. */
static bool moved_on(const struct logfile *l, const struct chunk_place *place, int result)
{
	struct evtx_chunk_header h;

	if (!l->live || !place->sound)
		return false;
	return result == -ENODATA || (logfile_read_header(l, &h) == 0 && h.first_id != place->first_id);
}

bool logfile_begin(struct logfile *l, size_t i, struct evtx_reader *r)
{
	const struct chunk_place *place = &l->chunks[i];
	struct err e = { 0 };
	int result = logfile_read(l, place->slot, r, &e);

	if (moved_on(l, place, result)) {
		logfile_tell(l, "records %llu to %llu were overwritten before they could be read",
			     (unsigned long long)place->first_id, (unsigned long long)place->last_id);
		return false;
	}
	if (result < 0 && result != -ENODATA)
		logfile_tell(l, "chunk %u: %s", l->slot, e.text);
	return result == 0;
}

bool logfile_scan(struct logfile *l, struct evtx_reader *r, struct evtx_record *rec)
{
	struct err e = { 0 };
	int n;

	while ((n = evtx_reader_scan(r, rec, &e)) < 0)
		logfile_tell(l, "chunk %u: %s", l->slot, e.text);
	return n > 0;
}

bool logfile_fill(struct logfile *l, struct evtx_reader *r, struct evtx_record *rec)
{
	struct err e = { 0 };

	if (evtx_reader_fill(r, rec, &e) == 0)
		return true;
	logfile_tell(l, "chunk %u: %s", l->slot, e.text);
	return false;
}

void logfile_end_chunk(struct logfile *l, struct evtx_reader *r)
{
	unsigned faults = evtx_reader_faults(r);

	if (faults & EVTX_FAULT_HEADER_CRC)
		logfile_tell(l, "chunk %u: the checksum of its header is wrong", l->slot);
	if (faults & EVTX_FAULT_DATA_CRC)
		logfile_tell(l, "chunk %u: the checksum of its data is wrong", l->slot);
}

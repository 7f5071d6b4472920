/* SPDX-License-Identifier: MIT */
#include "seal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../evtx/format.h"
#include "file.h"
#include "seal_key.h"

#define PAGE        4096u
#define PER_PAGE    (PAGE / SEAL_SIZE)
#define QUEUE       512u
#define GROWTH      16u /* pages */
#define PAGES_MAX   (1u << 20)
#define HEADER_USED 24u

static const char file_magic[8] = { 'K', 'S', 'S', 'E', 'A', 'L', '1', 0 };

struct seal {
	int fd, key_fd; /* owned */
	struct seal_key key; /* of the next seal to be queued */
	unsigned key_sector; /* where the kept key is, 0 or 1 */
	bool old_sector;     /* the other one is to be wiped */
	uint32_t boot;
	uint64_t settled;    /* all numbers below are on the disk */
	bool begins;         /* the file has no seal yet */
	struct seal_entry newest; /* of a chunk, as found; kind 0: none */
	uint64_t newest_number;
	uint64_t last_id, missing;
	bool last_whole;
	uint64_t oldest, oldest_queued, oldest_kept; /* to be announced; in the latest seal; on the disk */
	struct seal_hash *hash; /* owned; of the open chunk's records */
	size_t hashed;       /* chunk offset that it has come to */
	uint64_t *pages;     /* owned; highest record that a page's seals speak of */
	uint32_t page_count, page_room;
	uint32_t page, place; /* where the next seal goes; page_count: a page is to be found */
	uint8_t queue[QUEUE][SEAL_SIZE];
	uint64_t queue_id[QUEUE];
	unsigned queued;
	bool unkept;         /* written, but not known to be on the disk with the key behind it */
	bool sync_failed;    /* the latest one; all must be written again */
};

static int sync_fd(int fd)
{
	int r;

	do
		r = fdatasync(fd) < 0 ? -errno : 0;
	while (r == -EINTR);
	return r;
}

static uint64_t page_offset(uint32_t page)
{
	return SEAL_FILE_HEADER + (uint64_t)page * PAGE;
}

/* ---- the kept key --------------------------------------------------------------------------------- */

static int read_key(struct seal *s, struct err *e)
{
	uint8_t sector[2][SEAL_KEY_SECTOR] = { { 0 } };
	bool found = false;

	for (unsigned i = 0; i < 2; i++) {
		struct seal_key k;
		int r = file_read(s->key_fd, sector[i], SEAL_KEY_SECTOR, i * SEAL_KEY_SECTOR);

		if (r < 0 && r != -ENODATA)
			return err_set(e, -r, "reading the key of the seals");
		if (!seal_key_read(sector[i], &k) || (found && k.number <= s->key.number))
			continue;
		found = true;
		s->key = k;
		s->key_sector = i;
	}
	OPENSSL_cleanse(sector, sizeof(sector));
	/* A crash may have left the one that was to be wiped. */
	s->old_sector = found;
	return found ? 0 : err_set(e, EBADMSG, "the key of the seals is not there");
}

/* The new one first; when it is on the disk, the old one goes. */
static int keep_key(struct seal *s)
{
	static const uint8_t zeroes[SEAL_KEY_SECTOR];
	uint8_t sector[SEAL_KEY_SECTOR];
	unsigned other = !s->key_sector;
	int r;

	seal_key_write(&s->key, sector);
	r = file_write(s->key_fd, sector, sizeof(sector), other * SEAL_KEY_SECTOR);
	OPENSSL_cleanse(sector, sizeof(sector));
	if (r == 0)
		r = sync_fd(s->key_fd);
	if (r < 0)
		return r;
	r = file_write(s->key_fd, zeroes, sizeof(zeroes), s->key_sector * SEAL_KEY_SECTOR);
	s->key_sector = other;
	return r < 0 ? r : sync_fd(s->key_fd);
}

/* ---- what the file holds -------------------------------------------------------------------------- */

/* Seals that the key file does not know of yet. */
struct ahead {
	struct place {
		uint64_t number, offset;
	} *places; /* owned */
	size_t count, room;
};

static int note_ahead(struct ahead *a, uint64_t number, uint64_t offset)
{
	if (a->count == a->room) {
		size_t room = a->room ? 2 * a->room : 64;
		struct place *more = realloc(a->places, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		a->places = more;
		a->room = room;
	}
	a->places[a->count++] = (struct place){ number, offset };
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static void take_newest(struct seal *s, const struct seal_entry *entry)
{
	if (!s->begins && entry->number < s->newest_number)
		return;
	/* A mark leaves open what the chunk before it was. */
	if (entry->kind != SEAL_MARK)
		s->newest = *entry;
	s->newest_number = entry->number;
	s->begins = false;
	s->last_id = entry->last_id;
	s->oldest = entry->oldest;
}

static int read_page(struct seal *s, uint32_t page, uint8_t bytes[PAGE], struct ahead *a)
{
	int r = file_read(s->fd, bytes, PAGE, page_offset(page));

	for (uint32_t i = 0; r == 0 && i < PER_PAGE; i++) {
		struct seal_entry entry;

		if (seal_entry_read(bytes + i * SEAL_SIZE, &entry) <= 0)
			continue;
		if (entry.last_id > s->pages[page])
			s->pages[page] = entry.last_id;
		r = note_ahead(a, entry.number, page_offset(page) + i * SEAL_SIZE);
	}
	return r;
}

static int room_for_pages(struct seal *s, uint32_t count)
{
	uint64_t *more;

	if (count > PAGES_MAX)
		return -EFBIG;
	if (count <= s->page_room)
		return 0;
	more = realloc(s->pages, (count + 1024) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	memset(more + s->page_room, 0, (count + 1024 - s->page_room) * sizeof(*more));
	s->pages = more;
	s->page_room = count + 1024;
	return 0;
}

/* The settled ones in their order, then those that the key confirms; the rest was never complete: it is wiped,
 * else their numbers would stand there twice. */
static int settle(struct seal *s, const struct ahead *a)
{
	static const uint8_t zeroes[SEAL_SIZE];
	uint8_t bytes[SEAL_SIZE];
	struct seal_entry entry;
	const uint64_t kept = s->key.number;
	bool whole = true, wiped = false;
	int r = 0;

	for (size_t i = 0; i < a->count && r == 0; i++) {
		r = file_read(s->fd, bytes, SEAL_SIZE, a->places[i].offset);
		if (r < 0 || seal_entry_read(bytes, &entry) <= 0)
			continue;
		if (entry.number < s->key.number) {
			take_newest(s, &entry);
		} else if (whole && entry.number == s->key.number && seal_entry_is_authentic(&entry, &s->key)) {
			take_newest(s, &entry);
			seal_key_step(&s->key);
		} else {
			whole = false;
			wiped = true;
			r = file_write(s->fd, zeroes, SEAL_SIZE, a->places[i].offset);
		}
	}
	s->settled = s->key.number;
	return r < 0 || !(wiped || s->settled > kept) ? r : sync_fd(s->fd);
}

static int read_seals(struct seal *s, uint64_t size)
{
	OWNED_HEAP uint8_t *bytes = malloc(PAGE);
	uint32_t count = (uint32_t)((size - SEAL_FILE_HEADER) / PAGE);
	uint64_t kept = s->key.number;
	struct ahead a = { 0 };
	int r = bytes ? room_for_pages(s, count) : -ENOMEM;

	for (; s->page_count < count && r == 0; s->page_count++)
		r = read_page(s, s->page_count, bytes, &a);
	if (r == 0 && a.count) {
		qsort(a.places, a.count, sizeof(*a.places), by_number);
		r = settle(s, &a);
	}
	free(a.places);
	if (!s->begins && s->newest_number + 1 < kept)
		s->missing = kept - s->newest_number - 1;
	return r;
}

static int start_file(struct seal *s)
{
	uint8_t header[SEAL_FILE_HEADER] = { 0 };
	int r = ftruncate(s->fd, 0) < 0 ? -errno : 0;

	memcpy(header, file_magic, sizeof(file_magic));
	memcpy(header + 8, s->key.chain, SEAL_CHAIN_ID);
	if (r == 0)
		r = file_write(s->fd, header, sizeof(header), 0);
	return r < 0 ? r : sync_fd(s->fd);
}

/* 1: it is ours; 0: it is new (or broke off while it was begun). */
static int look_at_file(const struct seal *s, uint64_t size, struct err *e)
{
	uint8_t header[HEADER_USED] = { 0 }, zeroes[HEADER_USED] = { 0 };
	int r = size < SEAL_FILE_HEADER ? 0 : file_read(s->fd, header, sizeof(header), 0);

	if (r < 0)
		return err_set(e, -r, "reading the seals");
	if (memcmp(header, zeroes, sizeof(header)) == 0)
		return 0;
	if (memcmp(header, file_magic, sizeof(file_magic)) != 0)
		return err_set(e, EBADMSG, "the file of the seals is something else");
	if (memcmp(header + 8, s->key.chain, SEAL_CHAIN_ID) != 0)
		return err_set(e, EBADMSG, "the seals are of another key");
	return 1;
}

static int read_file(struct seal *s, struct err *e)
{
	uint64_t size = 0;
	int r = file_size(s->fd, &size);

	if (r == 0)
		r = look_at_file(s, size, e);
	if (r < 0)
		return r;
	s->begins = true;
	s->settled = s->key.number;
	r = r ? read_seals(s, size) : start_file(s);
	if (r < 0)
		return err_set(e, -r, "reading the seals");
	s->last_whole = s->newest.kind != SEAL_PART;
	s->oldest_queued = s->oldest_kept = s->oldest;
	s->page = s->page_count;
	return 0;
}

void seal_begin(struct seal *s, uint64_t next_id)
{
	if (!s->begins)
		return;
	s->last_id = next_id - 1;
	s->oldest = s->oldest_queued = s->oldest_kept = next_id;
}

size_t seal_vouches(const struct seal *s, const uint8_t *chunk, uint64_t first_id, bool *settled)
{
	const struct seal_entry *newest = &s->newest;
	uint8_t digest[SEAL_DIGEST];

	*settled = s->begins || (newest->first_id != first_id ? first_id <= s->last_id : newest->kind == SEAL_WHOLE);
	if (*settled || newest->first_id != first_id || newest->end > EVTX_CHUNK_SIZE)
		return 0;
	seal_hash_begin(s->hash);
	seal_hash_add(s->hash, chunk + EVTX_CHUNK_HEADER, newest->end - EVTX_CHUNK_HEADER);
	seal_hash_read(s->hash, digest);
	/* Else somebody had his hands in it: what he left is kept as it is with a log that is not sealed. */
	*settled = memcmp(digest, newest->digest, sizeof(digest)) != 0;
	return *settled ? 0 : newest->end;
}

int seal_open_take(int fd, int key_fd, uint32_t boot, struct seal **ret, struct err *e)
{
	OWNED_FD owned_fd = fd, owned_key = key_fd;
	OWNED(seal) s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, ENOMEM, "opening the seals");
	s->fd = MOVE_FD(owned_fd);
	s->key_fd = MOVE_FD(owned_key);
	s->boot = boot;
	s->hash = seal_hash_new();
	if (!s->hash)
		return err_set(e, ENOMEM, "opening the seals");
	r = read_key(s, e);
	if (r == 0)
		r = read_file(s, e);
	if (r == 0 && keep_key(s) < 0)
		r = err_set(e, EIO, "keeping the key of the seals");
	if (r == 0)
		*ret = MOVE(s);
	return r;
}

void seal_free(struct seal *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	if (s->key_fd >= 0)
		close(s->key_fd);
	seal_hash_free(s->hash);
	free(s->pages);
	OPENSSL_cleanse(&s->key, sizeof(s->key));
	free(s);
}

uint64_t seal_last_id(const struct seal *s)
{
	return s->last_id;
}

bool seal_last_is_whole(const struct seal *s)
{
	return s->last_whole;
}

uint64_t seal_missing(const struct seal *s)
{
	return s->missing;
}

/* ---- sealing -------------------------------------------------------------------------------------- */

/* What is queued has not come to the disk for long. */
static bool is_stuffed(const struct seal *s)
{
	return s->queued == QUEUE || s->key.number - s->settled >= UINT16_MAX;
}

static int put(struct seal *s, struct seal_entry *entry)
{
	if (is_stuffed(s))
		return -ENOSPC;
	entry->unsettled = (unsigned)(s->key.number - s->settled);
	entry->flags |= (s->begins ? SEAL_BEGIN : 0) | (entry->first_id > s->last_id ? SEAL_FRESH : 0);
	entry->number = s->key.number;
	entry->boot = s->boot;
	entry->oldest = s->oldest;
	entry->utc_ns = clock_ns(CLOCK_REALTIME);
	entry->boot_ns = clock_ns(CLOCK_BOOTTIME);
	seal_entry_write(entry, &s->key, s->queue[s->queued]);
	s->queue_id[s->queued++] = entry->last_id;
	seal_key_step(&s->key);
	s->begins = false;
	s->oldest_queued = s->oldest;
	s->last_id = entry->last_id;
	return 0;
}

void seal_chunk_begin(struct seal *s)
{
	seal_hash_begin(s->hash);
	s->hashed = EVTX_CHUNK_HEADER;
}

static void hash_to(struct seal *s, const uint8_t *image, size_t end)
{
	seal_hash_add(s->hash, image + s->hashed, end - s->hashed);
	s->hashed = end;
}

void seal_part(struct seal *s, const uint8_t *image, size_t used, uint64_t first_id, uint64_t last_id)
{
	struct seal_entry entry = { .kind = SEAL_PART, .first_id = first_id, .last_id = last_id,
				    .end = (uint32_t)used };

	if (last_id <= s->last_id || is_stuffed(s))
		return;
	hash_to(s, image, used);
	seal_hash_read(s->hash, entry.digest);
	put(s, &entry);
	s->last_whole = false;
}

int seal_whole(struct seal *s, const uint8_t *image, uint64_t first_id, uint64_t last_id)
{
	struct seal_entry entry = { .kind = SEAL_WHOLE, .first_id = first_id, .last_id = last_id,
				    .end = EVTX_CHUNK_SIZE };

	if (is_stuffed(s))
		return -ENOSPC;
	hash_to(s, image, EVTX_CHUNK_SIZE);
	seal_hash_add(s->hash, image, EVTX_CHUNK_HEADER);
	seal_hash_read(s->hash, entry.digest);
	s->last_whole = true;
	return put(s, &entry);
}

int seal_mark(struct seal *s, unsigned flags, uint64_t last_id)
{
	struct seal_entry entry = { .kind = SEAL_MARK, .flags = flags, .last_id = last_id };

	return put(s, &entry);
}

void seal_give_up(struct seal *s, uint64_t id)
{
	if (id > s->oldest)
		s->oldest = id;
}

uint64_t seal_given_up(const struct seal *s)
{
	return s->oldest_kept;
}

bool seal_is_pending(const struct seal *s)
{
	return s->queued > 0 || s->unkept || s->oldest != s->oldest_queued;
}

/* ---- committing ----------------------------------------------------------------------------------- */

static int grow(struct seal *s)
{
	uint32_t more = s->page_count + GROWTH;
	int r = room_for_pages(s, more);

	if (r == 0)
		r = file_grow(s->fd, page_offset(s->page_count), page_offset(more));
	if (is_full(r)) { /* one page is enough to go on */
		more = s->page_count + 1;
		r = file_grow(s->fd, page_offset(s->page_count), page_offset(more));
	}
	if (r < 0)
		return r;
	s->page = s->page_count;
	s->page_count = more;
	return 0;
}

/* A page whose records are gone, else a new one. */
static int find_page(struct seal *s, uint64_t kept_from)
{
	uint32_t from = s->page < s->page_count ? s->page : s->page_count - 1;

	s->place = 0;
	for (uint32_t i = 1; i <= s->page_count; i++) {
		uint32_t page = (from + i) % s->page_count;

		if (s->pages[page] < kept_from) {
			s->page = page;
			return 0;
		}
	}
	return grow(s);
}

static int write_queue(struct seal *s, unsigned *written, uint64_t kept_from)
{
	while (*written < s->queued) {
		unsigned n = s->queued - *written;
		int r = 0;

		if (s->page >= s->page_count || s->place == PER_PAGE)
			r = find_page(s, kept_from);
		if (r < 0)
			return r;
		if (n > PER_PAGE - s->place)
			n = PER_PAGE - s->place;
		r = file_write(s->fd, s->queue[*written], (size_t)n * SEAL_SIZE,
			       page_offset(s->page) + s->place * SEAL_SIZE);
		if (r < 0)
			return r;
		for (unsigned i = 0; i < n; i++)
			if (s->queue_id[*written + i] > s->pages[s->page])
				s->pages[s->page] = s->queue_id[*written + i];
		s->place += n;
		*written += n;
	}
	return 0;
}

/* Seals that were written before something failed stay where they are: they must not be written twice. */
static void forget_written(struct seal *s, unsigned written)
{
	s->queued -= written;
	memmove(s->queue, s->queue[written], s->queued * SEAL_SIZE);
	memmove(s->queue_id, s->queue_id + written, s->queued * sizeof(*s->queue_id));
}

int seal_commit(struct seal *s, uint64_t kept_from)
{
	unsigned written = 0;
	int r;

	if (s->oldest != s->oldest_queued)
		seal_mark(s, 0, s->last_id); /* a full queue is written without it: then the next one tells */
	r = write_queue(s, &written, kept_from);
	forget_written(s, written);
	s->unkept = true;
	if (r == 0 && s->sync_failed)
		r = file_write_again(s->fd, 0, page_offset(s->page_count));
	if (r == 0) {
		r = sync_fd(s->fd);
		s->sync_failed = r < 0;
	}
	if (r < 0)
		return r;
	s->oldest_kept = s->oldest_queued;
	s->settled = s->key.number - s->queued;
	r = keep_key(s);
	s->unkept = r < 0;
	return r;
}

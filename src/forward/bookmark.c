/* SPDX-License-Identifier: MIT */
#include "bookmark.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <openssl/sha.h>

#include "../base/le.h"

#define PLACE_SIZE 512u /* a sector: it is written whole or not at all */
#define BODY_SIZE  (PLACE_SIZE - SHA256_DIGEST_LENGTH)

static const char magic[8] = "KSFWD1";

/* Both directions in one place, so that they cannot differ. */
struct tape {
	uint8_t *at;
	bool writes;
};

static void number(struct tape *t, uint64_t *n)
{
	if (t->writes)
		le64_put(t->at, *n);
	else
		*n = le64_get(t->at);
	t->at += 8;
}

static void bytes(struct tape *t, void *b, size_t size)
{
	memcpy(t->writes ? t->at : b, t->writes ? b : t->at, size);
	t->at += size;
}

static void run(struct tape *t, struct bookmark *b)
{
	uint64_t rewritten = b->rewritten;

	number(t, &b->generation);
	number(t, &rewritten);
	number(t, &b->confirmed);
	number(t, &b->sealed);
	bytes(t, b->record, sizeof(b->record));
	bytes(t, b->chain, sizeof(b->chain));
	number(t, &b->events);
	number(t, &b->batches);
	number(t, &b->gaps);
	number(t, &b->missing);
	number(t, &b->heartbeats);
	number(t, &b->pending.first_id);
	number(t, &b->pending.last_id);
	bytes(t, b->pending.nonce, sizeof(b->pending.nonce));
	bytes(t, b->pending.sha256, sizeof(b->pending.sha256));
	b->rewritten = (uint32_t)rewritten;
	b->pending.nonce[NONCE_SIZE - 1] = 0;
}

/* The number of this place's writing; 0: it holds none. */
static uint64_t written(const uint8_t place[PLACE_SIZE])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];

	SHA256(place, BODY_SIZE, digest);
	if (memcmp(place, magic, sizeof(magic)) != 0 || memcmp(place + BODY_SIZE, digest, sizeof(digest)) != 0)
		return 0;
	return le64_get(place + 8);
}

int bookmark_load(int fd, struct bookmark *b, uint64_t *place, struct err *e)
{
	uint8_t both[BOOKMARK_SIZE] = { 0 }, nothing[BOOKMARK_SIZE] = { 0 };
	ssize_t n = pread(fd, both, sizeof(both), 0);
	uint64_t first, second;

	*b = (struct bookmark){ 0 };
	*place = 0;
	if (n < 0)
		return err_set(e, errno, "reading the bookmark");
	first = written(both);
	second = written(both + PLACE_SIZE);
	if (!first && !second)
		return memcmp(both, nothing, sizeof(both)) == 0 ?
			       0 : err_set(e, EBADMSG, "the bookmark is damaged or something else");
	*place = first > second ? first : second;
	run(&(struct tape){ .at = both + (first > second ? 0 : PLACE_SIZE) + 16 }, b);
	return 0;
}

int bookmark_store(int fd, const struct bookmark *b, uint64_t *place)
{
	struct bookmark copy = *b;
	uint8_t sector[PLACE_SIZE] = { 0 };
	uint64_t next = *place + 1;

	memcpy(sector, magic, sizeof(magic));
	le64_put(sector + 8, next);
	run(&(struct tape){ .at = sector + 16, .writes = true }, &copy);
	SHA256(sector, BODY_SIZE, sector + BODY_SIZE);
	/* The first writing goes to the first place. */
	if (pwrite(fd, sector, sizeof(sector), (off_t)((next - 1) % 2 * PLACE_SIZE)) != sizeof(sector))
		return errno ? -errno : -EIO;
	if (fdatasync(fd) < 0)
		return -errno;
	*place = next;
	return 0;
}

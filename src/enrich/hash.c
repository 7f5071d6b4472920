/* SPDX-License-Identifier: MIT */
#include "hash.h"

#include <errno.h>
#include <linux/magic.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../rules/ruleset.h"
#include "executable.h"
#include "imphash.h"
#include "soname.h"

#define ALGORITHMS   3     /* those that run over all bytes; IMPHASH reads the file's structure */
#define CACHE_SETS   1024u /* of CACHE_WAYS: 4096 files, about 1 MiB */
#define CACHE_WAYS   4u
#define PINS         256u
#define READ_SIZE    (256u * 1024)
/* Of a larger file (a sparse one of 100 GB costs nothing to make) there is no digest: some seconds of reading
 * are as long as everything else can wait. */
#define DIGEST_BYTES_MAX (1u << 30)
/* Many large files, one after the other, are as long as one that is larger: so much may be read at once, and so much more
 * each second. Small files are read on for as much again, that nobody can hide one behind large ones. */
#define READ_AT_ONCE     ((int64_t)DIGEST_BYTES_MAX)
#define READ_EACH_SECOND (128ll << 20)
#define FRESH_NS     20000000u /* file times move in ticks: two states of a file may share a younger one */

static const struct algorithm {
	unsigned flag;
	const char *name;    /* as written in events, in Sysmon's order */
	const char *openssl;
} algorithms[ALGORITHMS] = {
	{ HASH_SHA1, "SHA1", "SHA1" },
	{ HASH_MD5, "MD5", "MD5" },
	{ HASH_SHA256, "SHA256", "SHA256" },
};

struct cached {
	struct ks_file_id id; /* size and ino 0: free */
	uint64_t used;        /* tick of the latest use */
	int is_executable;
	uint8_t md5[16];      /* whatever the rules ask for: packages record it */
	char soname[SONAME_MAX];
	char text[HASH_TEXT_MAX];
};

struct pin {
	int file; /* -1: free */
	uint32_t tgid;
	uint64_t since_ns;
	struct stat state;
};

struct hashes {
	unsigned selected;
	uint64_t tick;
	EVP_MD *md[ALGORITHMS];
	EVP_MD_CTX *context[ALGORITHMS];
	struct pin pins[PINS];
	unsigned next_pin;
	uint8_t *buffer; /* READ_SIZE */
	int64_t may_read; /* bytes; negative: borrowed from the seconds to come */
	struct cached last; /* of a file that may not be cached */
	struct cached cache[CACHE_SETS][CACHE_WAYS];
};

int hashes_new(struct hashes **ret, struct err *e)
{
	OWNED(hashes) h = calloc(1, sizeof(*h));

	if (!h)
		return err_set(e, ENOMEM, "digest cache");
	for (unsigned i = 0; i < PINS; i++)
		h->pins[i].file = -1;
	h->selected = HASH_SHA256;
	h->may_read = READ_AT_ONCE;
	h->buffer = malloc(READ_SIZE);
	for (unsigned i = 0; i < ALGORITHMS; i++) {
		h->md[i] = EVP_MD_fetch(NULL, algorithms[i].openssl, NULL);
		h->context[i] = EVP_MD_CTX_new();
		if (!h->md[i] || !h->context[i])
			return err_set(e, ENOTSUP, "OpenSSL has no %s", algorithms[i].openssl);
	}
	if (!h->buffer)
		return err_set(e, ENOMEM, "digest buffer");
	*ret = MOVE(h);
	return 0;
}

static void unpin(struct pin *p)
{
	if (p->file >= 0)
		close(p->file);
	p->file = -1;
}

void hashes_free(struct hashes *h)
{
	if (!h)
		return;
	for (unsigned i = 0; i < PINS; i++)
		unpin(&h->pins[i]);
	for (unsigned i = 0; i < ALGORITHMS; i++) {
		EVP_MD_free(h->md[i]);
		EVP_MD_CTX_free(h->context[i]);
	}
	free(h->buffer);
	free(h);
}

void hashes_select(struct hashes *h, unsigned selected)
{
	if (h->selected != selected)
		memset(h->cache, 0, sizeof(h->cache));
	h->selected = selected;
}

/* --- the cache */

static struct cached *cache_set(struct hashes *h, const struct ks_file_id *id)
{
	uint64_t mix = (id->ino ^ (uint64_t)id->dev << 32) * 0x9e3779b97f4a7c15u;

	return h->cache[mix >> 54];
}

/* The same file in the same state? The ctime tells of each change, also of one that set mtime back. */
static bool same_state(const struct ks_file_id *a, const struct ks_file_id *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static struct cached *cache_find(struct hashes *h, const struct ks_file_id *id)
{
	struct cached *set = cache_set(h, id);

	for (unsigned i = 0; i < CACHE_WAYS; i++)
		if (set[i].text[0] && same_state(&set[i].id, id)) {
			set[i].used = ++h->tick;
			return &set[i];
		}
	return NULL;
}

static struct cached *cache_slot(struct hashes *h, const struct ks_file_id *id)
{
	struct cached *set = cache_set(h, id), *oldest = set;

	for (unsigned i = 1; i < CACHE_WAYS; i++)
		if (set[i].used < oldest->used)
			oldest = &set[i];
	oldest->used = ++h->tick;
	return oldest;
}

/* --- pins */

/* The kernel's 12:20 device number and the one stat gives. Overlayfs and btrfs show another one in stat
 * than the super block has, and overlayfs may show another inode number. */
static bool state_is(const struct stat *state, const struct ks_file_id *id)
{
	bool overlay = id->fs_magic == OVERLAYFS_SUPER_MAGIC;
	bool own_dev = overlay || id->fs_magic == BTRFS_SUPER_MAGIC;

	if ((uint64_t)state->st_size != id->size || time_ns(state->st_mtim) != id->mtime_ns)
		return false;
	return overlay || (state->st_ino == id->ino &&
			   (own_dev || (major(state->st_dev) == id->dev >> 20 &&
					minor(state->st_dev) == (id->dev & 0xfffff))));
}

static bool pin_is(const struct pin *p, const struct ks_file_id *id, uint32_t tgid)
{
	return p->file >= 0 && state_is(&p->state, id) &&
	       (id->fs_magic != OVERLAYFS_SUPER_MAGIC || p->tgid == tgid);
}

int hashes_is_file(int file, const struct ks_file_id *id)
{
	struct stat state;

	return fstat(file, &state) == 0 && state_is(&state, id);
}

int hashes_is_unchanged(int file, const struct ks_file_id *id)
{
	struct stat state;

	return fstat(file, &state) == 0 && state_is(&state, id) && time_ns(state.st_ctim) == id->ctime_ns;
}

static void id_of(const struct stat *st, struct ks_file_id *id)
{
	*id = (struct ks_file_id){
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime_ns = time_ns(st->st_mtim),
		.ctime_ns = time_ns(st->st_ctim),
		.dev = major(st->st_dev) << 20 | minor(st->st_dev),
	};
}

/* The slot of the same file in the same state (each exec opens the dynamic loader), else the oldest slot. */
static struct pin *pin_slot(struct hashes *h, const struct stat *state)
{
	for (unsigned i = 0; i < PINS; i++) {
		const struct stat *s = &h->pins[i].state;

		if (h->pins[i].file >= 0 && s->st_ino == state->st_ino && s->st_dev == state->st_dev &&
		    s->st_size == state->st_size && time_ns(s->st_mtim) == time_ns(state->st_mtim))
			return &h->pins[i];
	}
	h->next_pin = (h->next_pin + 1) % PINS;
	return &h->pins[h->next_pin];
}

void hashes_pin_take(struct hashes *h, int file, uint32_t tgid, uint64_t now_ns)
{
	struct stat st;
	struct ks_file_id id;
	struct pin *p;

	if (fstat(file, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(file);
		return;
	}
	id_of(&st, &id);
	if (cache_find(h, &id)) {
		close(file);
		return;
	}
	p = pin_slot(h, &st);
	unpin(p);
	*p = (struct pin){ file, tgid, now_ns, st };
}

void hashes_unpin(struct hashes *h, uint64_t before_ns)
{
	for (unsigned i = 0; i < PINS; i++)
		if (h->pins[i].file >= 0 && h->pins[i].since_ns < before_ns)
			unpin(&h->pins[i]);
}

/* --- digests */

static char *put_hex(char *to, const uint8_t *bytes, unsigned n)
{
	static const char hex[] = "0123456789ABCDEF";

	for (unsigned i = 0; i < n; i++) {
		*to++ = hex[bytes[i] >> 4];
		*to++ = hex[bytes[i] & 15];
	}
	*to = 0;
	return to;
}

static char *put_name(char *out, char *to, const char *name)
{
	return to + snprintf(to, 16, "%s%s=", to == out ? "" : ",", name);
}

static int begin(struct hashes *h, unsigned selected)
{
	for (unsigned i = 0; i < ALGORITHMS; i++)
		if ((selected & algorithms[i].flag) &&
		    !EVP_DigestInit_ex2(h->context[i], h->md[i], NULL))
			return -EIO;
	return 0;
}

static void update(struct hashes *h, unsigned selected, const void *bytes, size_t n)
{
	for (unsigned i = 0; i < ALGORITHMS; i++)
		if (selected & algorithms[i].flag)
			EVP_DigestUpdate(h->context[i], bytes, n);
}

static char *finish(struct hashes *h, unsigned selected, char *out, uint8_t md5[16])
{
	char *to = out;

	*to = 0;
	for (unsigned i = 0; i < ALGORITHMS; i++) {
		uint8_t digest[EVP_MAX_MD_SIZE];
		unsigned length = 0;

		if (algorithms[i].flag == HASH_MD5 && md5)
			EVP_DigestFinal_ex(h->context[i], md5, &length);
		if (!(selected & algorithms[i].flag))
			continue;
		if (algorithms[i].flag == HASH_MD5 && md5)
			memcpy(digest, md5, length);
		else
			EVP_DigestFinal_ex(h->context[i], digest, &length);
		to = put_hex(put_name(out, to, algorithms[i].name), digest, length);
	}
	return to;
}

int hashes_of_bytes(struct hashes *h, unsigned selected, const void *bytes, size_t n, char *out)
{
	if (begin(h, selected) < 0)
		return -EIO;
	update(h, selected, bytes, n);
	finish(h, selected, out, NULL);
	return 0;
}

/* An ELF file or a script with an interpreter line. */
static int looks_executable(const uint8_t *bytes, size_t n)
{
	enum executable kind = executable_head(bytes, n);

	return kind == EXECUTABLE_ELF || kind == EXECUTABLE_SCRIPT;
}

static int digest_file(struct hashes *h, int file, struct cached *into)
{
	unsigned computed = h->selected | HASH_MD5;
	char *end;
	off_t at = 0;
	ssize_t n;

	if (begin(h, computed) < 0)
		return -EIO;
	while ((n = pread(file, h->buffer, READ_SIZE, at)) > 0) {
		if (at == 0)
			into->is_executable = looks_executable(h->buffer, (size_t)n);
		update(h, computed, h->buffer, (size_t)n);
		at += n;
	}
	end = finish(h, h->selected, into->text, into->md5);
	if (n < 0)
		return -errno;
	soname_of_file(file, into->soname);
	if (h->selected & HASH_IMPHASH) {
		uint8_t digest[16] = { 0 };

		imphash_of_file(file, h->context[1], h->md[1], digest);
		put_hex(put_name(into->text, end, "IMPHASH"), digest, sizeof(digest));
	}
	return 0;
}

void hashes_tick(struct hashes *h)
{
	h->may_read += READ_EACH_SECOND;
	if (h->may_read > READ_AT_ONCE)
		h->may_read = READ_AT_ONCE;
}

static bool may_read(const struct hashes *h, int64_t size)
{
	return size <= h->may_read || (size <= SMALL_FILE && h->may_read > -READ_AT_ONCE);
}

const char *hashes_of_fd(struct hashes *h, int file, const struct ks_file_id *id,
			 uint64_t event_utc_ns)
{
	bool cacheable = id->ctime_ns + FRESH_NS < event_utc_ns;
	struct cached *into = cacheable ? cache_slot(h, id) : &h->last;
	struct stat before, after;

	into->text[0] = 0;
	if (fstat(file, &before) < 0 || (uint64_t)before.st_size != id->size ||
	    before.st_size > DIGEST_BYTES_MAX || time_ns(before.st_mtim) != id->mtime_ns ||
	    !may_read(h, before.st_size))
		return NULL;
	h->may_read -= before.st_size;
	/* Changed while we read it? Then the digest is of nothing that ever ran. (A deletion moves only
	 * the ctime, and is no change of content.) */
	if (digest_file(h, file, into) < 0 || fstat(file, &after) < 0 ||
	    time_ns(after.st_mtim) != id->mtime_ns || after.st_size != before.st_size) {
		into->text[0] = 0;
		return NULL;
	}
	into->id = *id;
	return into->text;
}

const char *hashes_of_content(struct hashes *h, int file, uint64_t event_utc_ns)
{
	struct ks_file_id id;
	struct stat st;

	if (fstat(file, &st) < 0)
		return NULL;
	id_of(&st, &id);
	return hashes_of_fd(h, file, &id, event_utc_ns);
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
	return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

int hashes_copy(struct hashes *h, int from, int to, uint64_t size, char digest[DIGEST_TEXT])
{
	EVP_MD_CTX *sha256 = h->context[2];
	uint8_t bytes[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	uint64_t at = 0;
	ssize_t n = 0;

	if (!EVP_DigestInit_ex2(sha256, h->md[2], NULL))
		return -EIO;
	while (at < size && (n = pread(from, h->buffer, size - at < READ_SIZE ? size - at : READ_SIZE,
				       (off_t)at)) > 0) {
		EVP_DigestUpdate(sha256, h->buffer, (size_t)n);
		if (!is_zero(h->buffer, (size_t)n) && pwrite(to, h->buffer, (size_t)n, (off_t)at) != n)
			return errno == 0 ? -ENOSPC : -errno;
		at += (uint64_t)n;
	}
	if (n < 0 || ftruncate(to, (off_t)at) < 0)
		return -errno;
	EVP_DigestFinal_ex(sha256, bytes, &length);
	put_hex(digest, bytes, length);
	return 0;
}

const char *hashes_of_known(struct hashes *h, const struct ks_file_id *id, uint32_t tgid,
			    uint64_t event_utc_ns)
{
	struct cached *c = cache_find(h, id);

	if (c)
		return c->text;
	if (file_can_hang(id))
		return NULL;
	/* Newest first: an overlay's file is recognised by its state only. */
	for (unsigned i = 0; i < PINS; i++) {
		struct pin *p = &h->pins[(h->next_pin + PINS - i) % PINS];
		const char *text;

		if (!pin_is(p, id, tgid))
			continue;
		text = hashes_of_fd(h, p->file, id, event_utc_ns);
		unpin(p);
		return text;
	}
	return NULL;
}

const char *hashes_of_deleted(struct hashes *h, const struct ks_file_id *id, int *is_executable)
{
	struct cached *c = cache_find(h, id);

	if (!c)
		return NULL;
	*is_executable = c->is_executable;
	return c->text;
}

static const struct cached *just_hashed(struct hashes *h, const struct ks_file_id *id)
{
	const struct cached *c = cache_find(h, id);

	return c || !h->last.text[0] || !same_state(&h->last.id, id) ? c : &h->last;
}

const uint8_t *hashes_md5_of(struct hashes *h, const struct ks_file_id *id)
{
	const struct cached *c = just_hashed(h, id);

	return c ? c->md5 : NULL;
}

const char *hashes_soname_of(struct hashes *h, const struct ks_file_id *id)
{
	const struct cached *c = just_hashed(h, id);

	return c && *c->soname ? c->soname : NULL;
}

int file_can_hang(const struct ks_file_id *id)
{
	switch (id->fs_magic) {
	case FUSE_SUPER_MAGIC:
	case NFS_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
	case V9FS_MAGIC:
	case CEPH_SUPER_MAGIC:
		return 1;
	default:
		return 0;
	}
}

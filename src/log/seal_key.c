/* SPDX-License-Identifier: MIT */
#include "seal_key.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "../base/le.h"
#include "../base/own.h"

#define SIGNED     96u /* bytes of a seal that its MAC covers */
#define CHECK      4u  /* bytes of the text that find typing errors */
#define LETTERS    32u
#define BLOCK      64u /* of SHA-256 */
#define KEY_SIZE   128u /* of a kept key, before its check */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
static const char entry_magic[4] = { 'K', 'S', 'E', '1' };
static const char key_magic[8] = { 'K', 'S', 'K', 'E', 'Y', '1', 0, 0 };

static EVP_MD *sha256;
static EVP_MD_CTX *scratch; /* of hmac() and digest_of() */

struct seal_hash {
	EVP_MD_CTX *running, *copy; /* owned */
};

int seal_crypto_begin(void)
{
	if (!sha256)
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!scratch)
		scratch = EVP_MD_CTX_new();
	return sha256 && scratch ? 0 : -ENOMEM;
}

static void digest_of(const void *a, size_t a_size, const void *b, size_t b_size, uint8_t out[32])
{
	EVP_DigestInit_ex(scratch, sha256, NULL);
	EVP_DigestUpdate(scratch, a, a_size);
	EVP_DigestUpdate(scratch, b, b_size);
	EVP_DigestFinal_ex(scratch, out, NULL);
}

/* HMAC-SHA-256 with a key of 16 or 32 bytes over a and b. RFC 2104 in four lines: OpenSSL's own costs a
 * search for the algorithm with every key, and here every message has its key. */
static void hmac(const uint8_t *key, size_t key_size, const void *a, size_t a_size, const void *b, size_t b_size,
		 uint8_t out[32])
{
	uint8_t inner[BLOCK + 256], outer[BLOCK], digest[32];

	memset(inner, 0x36, BLOCK);
	memset(outer, 0x5c, BLOCK);
	for (size_t i = 0; i < key_size; i++) {
		inner[i] ^= key[i];
		outer[i] ^= key[i];
	}
	memcpy(inner + BLOCK, a, a_size);
	memcpy(inner + BLOCK + a_size, b, b_size);
	digest_of(inner, BLOCK + a_size + b_size, "", 0, digest);
	digest_of(outer, BLOCK, digest, sizeof(digest), out);
	OPENSSL_cleanse(inner, sizeof(inner));
	OPENSSL_cleanse(outer, sizeof(outer));
}

static void derive(const uint8_t key[32], const char *name, uint8_t out[32])
{
	hmac(key, 32, name, strlen(name), "", 0, out);
}

static void step(uint8_t key[32])
{
	uint8_t next[32];

	derive(key, "next", next);
	memcpy(key, next, sizeof(next));
	OPENSSL_cleanse(next, sizeof(next));
}

/* The key at the level's next becomes what everything below is made of. */
static void descend(struct seal_key *k, unsigned level)
{
	if (level == 0) {
		derive(k->above[0], "down", k->key);
	} else {
		derive(k->above[level], "down", k->above[level - 1]);
		descend(k, level - 1);
	}
	step(k->above[level]);
}

void seal_key_from_secret(const uint8_t secret[SEAL_SECRET], struct seal_key *k)
{
	static const char name[] = "konseki seal 1";
	uint8_t id[32];

	hmac(secret, SEAL_SECRET, name, strlen(name), "", 0, k->above[1]);
	derive(k->above[1], "id", id);
	memcpy(k->chain, id, sizeof(k->chain));
	k->number = 0;
	descend(k, 1);
}

void seal_key_step(struct seal_key *k)
{
	k->number++;
	if (k->number % (SEAL_STEPS * SEAL_STEPS) == 0)
		descend(k, 1);
	else if (k->number % SEAL_STEPS == 0)
		descend(k, 0);
	else
		step(k->key);
}

void seal_key_forward(struct seal_key *k, uint64_t number)
{
	for (unsigned level = 2; level-- > 0;) {
		const uint64_t width = level ? SEAL_STEPS * SEAL_STEPS : SEAL_STEPS;

		while (k->number / width < number / width) {
			k->number = (k->number / width + 1) * width;
			/* All but the last leap need nothing of what is below. */
			if (k->number / width < number / width && (level || k->number % (width * SEAL_STEPS)))
				step(k->above[level]);
			else
				descend(k, level || k->number % (width * SEAL_STEPS) == 0);
		}
	}
	while (k->number < number)
		seal_key_step(k);
}

/* ---- the verification key as text ----------------------------------------------------------------- */

void seal_secret_text(const uint8_t secret[SEAL_SECRET], char text[SEAL_SECRET_TEXT])
{
	uint8_t bytes[SEAL_SECRET + 32];

	memcpy(bytes, secret, SEAL_SECRET);
	digest_of(secret, SEAL_SECRET, "", 0, bytes + SEAL_SECRET);
	for (unsigned letter = 0; letter < LETTERS; letter++) {
		unsigned value = 0;

		for (unsigned bit = letter * 5; bit < letter * 5 + 5; bit++)
			value = value << 1 | (bytes[bit / 8] >> (7 - bit % 8) & 1);
		if (letter && letter % 4 == 0)
			*text++ = '-';
		*text++ = alphabet[value];
	}
	*text = 0;
}

int seal_secret_parse(const char *text, uint8_t secret[SEAL_SECRET])
{
	uint8_t bytes[SEAL_SECRET + CHECK] = { 0 }, check[32];
	unsigned letters = 0;

	for (; *text; text++) {
		const char *at = strchr(alphabet, toupper((unsigned char)*text));

		if (*text == '-' || isspace((unsigned char)*text))
			continue;
		if (!at || letters == LETTERS)
			return -EINVAL;
		for (unsigned b = 0; b < 5; b++)
			if ((at - alphabet) >> (4 - b) & 1)
				bytes[(letters * 5 + b) / 8] |= (uint8_t)(0x80u >> (letters * 5 + b) % 8);
		letters++;
	}
	digest_of(bytes, SEAL_SECRET, "", 0, check);
	if (letters != LETTERS || memcmp(check, bytes + SEAL_SECRET, CHECK) != 0)
		return -EINVAL;
	memcpy(secret, bytes, SEAL_SECRET);
	return 0;
}

/* ---- seals ---------------------------------------------------------------------------------------- */

static void mac_of(const uint8_t entry[SEAL_SIZE], const struct seal_key *k, uint8_t mac[32])
{
	hmac(k->key, sizeof(k->key), k->chain, sizeof(k->chain), entry, SIGNED, mac);
}

void seal_entry_write(const struct seal_entry *s, const struct seal_key *k, uint8_t out[SEAL_SIZE])
{
	memcpy(out, entry_magic, sizeof(entry_magic));
	out[4] = (uint8_t)s->kind;
	out[5] = (uint8_t)s->flags;
	le16_put(out + 6, (uint16_t)s->unsettled);
	le64_put(out + 8, s->number);
	le64_put(out + 16, s->first_id);
	le64_put(out + 24, s->last_id);
	le32_put(out + 32, s->end);
	le32_put(out + 36, s->boot);
	le64_put(out + 40, s->oldest);
	le64_put(out + 48, s->utc_ns);
	le64_put(out + 56, s->boot_ns);
	memcpy(out + 64, s->digest, SEAL_DIGEST);
	mac_of(out, k, out + SIGNED);
}

int seal_entry_read(const uint8_t in[SEAL_SIZE], struct seal_entry *s)
{
	static const uint8_t empty[SEAL_SIZE];

	if (memcmp(in, entry_magic, sizeof(entry_magic)) != 0)
		return memcmp(in, empty, SEAL_SIZE) == 0 ? 0 : -EBADMSG;
	*s = (struct seal_entry){
		.kind = in[4],
		.flags = in[5],
		.unsettled = le16_get(in + 6),
		.number = le64_get(in + 8),
		.first_id = le64_get(in + 16),
		.last_id = le64_get(in + 24),
		.end = le32_get(in + 32),
		.boot = le32_get(in + 36),
		.oldest = le64_get(in + 40),
		.utc_ns = le64_get(in + 48),
		.boot_ns = le64_get(in + 56),
	};
	memcpy(s->digest, in + 64, SEAL_DIGEST);
	memcpy(s->mac, in + SIGNED, sizeof(s->mac));
	return s->kind < SEAL_PART || s->kind > SEAL_MARK ? -EBADMSG : 1;
}

/* A seal is nothing but its members, so it can be written again. */
bool seal_entry_is_authentic(const struct seal_entry *s, const struct seal_key *k)
{
	uint8_t again[SEAL_SIZE];

	seal_entry_write(s, k, again);
	return CRYPTO_memcmp(again + SIGNED, s->mac, sizeof(s->mac)) == 0;
}

/* ---- the kept key --------------------------------------------------------------------------------- */

void seal_key_write(const struct seal_key *k, uint8_t out[SEAL_KEY_SECTOR])
{
	memset(out, 0, SEAL_KEY_SECTOR);
	memcpy(out, key_magic, sizeof(key_magic));
	le64_put(out + 8, k->number);
	memcpy(out + 16, k->key, sizeof(k->key));
	memcpy(out + 48, k->above, sizeof(k->above));
	memcpy(out + 112, k->chain, sizeof(k->chain));
	digest_of(out, KEY_SIZE, "", 0, out + KEY_SIZE);
}

bool seal_key_read(const uint8_t in[SEAL_KEY_SECTOR], struct seal_key *k)
{
	uint8_t check[32];

	digest_of(in, KEY_SIZE, "", 0, check);
	if (memcmp(in, key_magic, sizeof(key_magic)) != 0 || memcmp(check, in + KEY_SIZE, sizeof(check)) != 0)
		return false;
	k->number = le64_get(in + 8);
	memcpy(k->key, in + 16, sizeof(k->key));
	memcpy(k->above, in + 48, sizeof(k->above));
	memcpy(k->chain, in + 112, sizeof(k->chain));
	return true;
}

/* ---- running digests ------------------------------------------------------------------------------ */

struct seal_hash *seal_hash_new(void)
{
	struct seal_hash *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->running = EVP_MD_CTX_new();
	h->copy = EVP_MD_CTX_new();
	if (!h->running || !h->copy || seal_crypto_begin() < 0) {
		seal_hash_free(h);
		return NULL;
	}
	return h;
}

void seal_hash_free(struct seal_hash *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->running);
	EVP_MD_CTX_free(h->copy);
	free(h);
}

void seal_hash_begin(struct seal_hash *h)
{
	EVP_DigestInit_ex(h->running, sha256, NULL);
}

void seal_hash_add(struct seal_hash *h, const void *bytes, size_t n)
{
	EVP_DigestUpdate(h->running, bytes, n);
}

void seal_hash_read(struct seal_hash *h, uint8_t digest[SEAL_DIGEST])
{
	EVP_MD_CTX_copy_ex(h->copy, h->running);
	EVP_DigestFinal_ex(h->copy, digest, NULL);
}

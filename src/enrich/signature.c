/* SPDX-License-Identifier: MIT */
#include "signature.h"

#include <endian.h>
#include <errno.h>
#include <openssl/cms.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/own.h"

#define BLOCK_MAX 65536u
#define KIND_PKCS7 2

static const char mark[] = "~Module signature appended~\n";

/* Before the mark (struct module_signature of the kernel). */
struct trailer {
	uint8_t algorithm, hash, kind, signer_length, key_length, padding[3];
	uint32_t block_length; /* big-endian */
};

static void put_name(X509_NAME *issuer, char signer[SIGNER_MAX])
{
	int at = X509_NAME_get_index_by_NID(issuer, NID_commonName, -1);
	X509_NAME_ENTRY *entry = at < 0 ? NULL : X509_NAME_get_entry(issuer, at);
	unsigned char *name = NULL;
	int n = entry ? ASN1_STRING_to_UTF8(&name, X509_NAME_ENTRY_get_data(entry)) : -1;

	if (n > 0)
		snprintf(signer, SIGNER_MAX, "%.*s", n, (const char *)name);
	if (name)
		OPENSSL_free(name);
}

static void put_key(const ASN1_OCTET_STRING *key, char signer[SIGNER_MAX])
{
	const unsigned char *bytes = ASN1_STRING_get0_data(key);
	int n = ASN1_STRING_length(key);

	for (int i = 0; i < n && i < (SIGNER_MAX - 1) / 2; i++)
		snprintf(signer + 2 * i, 3, "%02X", bytes[i]);
}

int signature_signer(const uint8_t *block, size_t n, char signer[SIGNER_MAX])
{
	const unsigned char *at = block;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &at, (long)n);
	STACK_OF(CMS_SignerInfo) *signers = cms ? CMS_get0_SignerInfos(cms) : NULL;
	ASN1_OCTET_STRING *key = NULL;
	X509_NAME *issuer = NULL;

	snprintf(signer, SIGNER_MAX, "-");
	if (signers && sk_CMS_SignerInfo_num(signers) > 0)
		CMS_SignerInfo_get0_signer_id(sk_CMS_SignerInfo_value(signers, 0), &key, &issuer, NULL);
	if (issuer)
		put_name(issuer, signer);
	else if (key)
		put_key(key, signer);
	CMS_ContentInfo_free(cms);
	return signers ? 0 : -EBADMSG;
}

static bool read_at(int file, void *to, size_t n, off_t at)
{
	return pread(file, to, n, at) == (ssize_t)n;
}

int signature_of_file(int file, char signer[SIGNER_MAX])
{
	const off_t mark_length = sizeof(mark) - 1, behind = mark_length + (off_t)sizeof(struct trailer);
	OWNED_HEAP uint8_t *block = NULL;
	char found[sizeof(mark) - 1];
	struct trailer t;
	struct stat st;
	size_t n;

	snprintf(signer, SIGNER_MAX, "-");
	if (fstat(file, &st) < 0)
		return -errno;
	if (st.st_size < behind || !read_at(file, found, sizeof(found), st.st_size - mark_length) ||
	    memcmp(found, mark, sizeof(found)) != 0 || !read_at(file, &t, sizeof(t), st.st_size - behind))
		return 0;
	n = be32toh(t.block_length);
	if (t.kind != KIND_PKCS7 || n > BLOCK_MAX || (off_t)n > st.st_size - behind)
		return 1;
	block = malloc(n + 1);
	if (block && read_at(file, block, n, st.st_size - behind - (off_t)n))
		signature_signer(block, n, signer);
	return 1;
}

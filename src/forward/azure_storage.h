/* SPDX-License-Identifier: MIT */
/* A container of Azure Blob Storage, and who we are for it: a shared access signature (SAS), an account's key, a connection
 * string with either, or the machine's identity. Makes signed requests; what the answers mean is the sink's business. */
#pragma once
#include <stdbool.h>

#include "http.h"
#include "sink.h"

struct storage;

/* The headers of an answer that are kept, in this order. */
enum { STORAGE_CODE, STORAGE_HEADERS }; /* x-ms-error-code */

/* The target without its secret: 0 or -EBADMSG. */
int storage_check(const struct forward_target *t, struct err *e);

/* As root, no network. -EBADMSG for a secret that is none of the four. */
int storage_open(const struct forward_target *t, struct storage **ret, struct err *e);
void storage_close(struct storage *s);

struct storage_request {
	const char *method;
	const char *blob;  /* name; of characters that a URL may have as they are */
	const char *query; /* "comp=appendblock", or NULL */
	const char *const *headers; /* ended by NULL */
	const void *body;  /* NULL: none */
	size_t size;
};
#define STORAGE_HEADERS_MAX 12

/* One request; an identity's token that was not accepted is renewed, and the request made once more. False: there was none,
 * for want of a token; *a says why. */
bool storage_do(struct storage *s, const struct storage_request *r, struct http_answer *got, struct answer *a);

/* What a person wants to know of a signature that is refused: " (se=2026-12-01)", or "". */
const char *storage_expiry(const struct storage *s);

/* SPDX-License-Identifier: MIT */
/* HTTP as sinks need it: one request at a time to a server that is not trusted further than its answer's status, by libcurl
 * (loaded when it is needed). What a server sends cannot make us read without end, wait without end, unpack something, go
 * elsewhere or talk without TLS. Nothing is tried twice in here, so that "it may have been kept" is known to the caller. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "../base/err.h"
#include "../base/own.h"

#define HTTP_BODY_MAX    65536u /* bytes of an answer that are kept; the rest is not read */
#define HTTP_HEADERS_MAX 65536u /* bytes of its head; more is no answer */
#define HTTP_WANTED_MAX  4u
#define HTTP_VALUE_SIZE  128u

struct http; /* a client; it keeps its connections */

struct http_options {
	const char *ca; /* file of certificates to trust instead of the system's, or "" or NULL */
	bool direct;    /* no proxy, whatever the environment says */
	bool plain;     /* http: to any host; else only to this machine */
};

struct http_request {
	const char *method, *url;
	const char *const *headers; /* "Name: value", ended by NULL */
	const void *body;           /* NULL: none */
	size_t size;
	const char *const *wanted;  /* names of headers of the answer, HTTP_WANTED_MAX at most, ended by NULL; or NULL */
};

struct http_answer {
	int status;     /* 0: none came, and text says why */
	bool doubtful;  /* status 0: but the server may have got all of the request */
	char wanted[HTTP_WANTED_MAX][HTTP_VALUE_SIZE]; /* their values, printable ASCII; "" */
	unsigned retry_after_s; /* what Retry-After says, an hour at most; 0: nothing */
	const char *body; /* borrowed until the next request, NUL-terminated; all of it, or its first HTTP_BODY_MAX bytes */
	size_t size;
	char text[200];
};

/* As root: reads the file of certificates, loads the library. 0 or -errno. The library and what it loads is ready
 * afterwards; later only the system's certificates and what the name service reads are opened by name. */
int http_new(const struct http_options *o, struct http **ret, struct err *e);
void http_free(struct http *h);
DEFINE_DROP(http)

/* Is this an address that we would send to? 0 or -EBADMSG. Needs no library. */
int http_check_url(const char *url, bool plain, struct err *e);

/* Connecting takes 10 s at most, the whole 30 s and what the body needs at 128 KiB/s, an answer's body 5 s. *a is filled. */
void http_do(struct http *h, const struct http_request *r, struct http_answer *a);

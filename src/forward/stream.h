/* SPDX-License-Identifier: MIT */
/* A connection to a server: TCP, or TLS on it. Nothing waits longer than until the time it is given (`until`: now_ms()),
 * whatever the other side does; only looking up a name is as slow as the machine's resolver. The process must ignore
 * SIGPIPE, which OpenSSL knows no other way to prevent. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../base/err.h"
#include "../base/own.h"

struct stream;

struct stream_settings { /* all borrowed, until the stream is freed; "" where there is none */
	const char *host, *port;
	bool tls;
	const char *ca;               /* file; "": what the system trusts */
	const char *certificate, *key; /* files: ours */
	const char *passphrase;       /* of the key */
};

/* Reads the certificates; no network. 0 or -errno. */
int stream_new(const struct stream_settings *settings, struct stream **ret, struct err *e);
void stream_free(struct stream *s); /* NULL is fine */
DEFINE_DROP(stream)

/* Connects, and with TLS checks that the server is who it should be. 0 or -errno; -EKEYREJECTED: its certificate is not
 * accepted, -EKEYEXPIRED likewise for its time: no later try will mend that. */
int stream_open(struct stream *s, uint64_t until, struct err *e);
bool stream_is_open(const struct stream *s);
/* At once, without a farewell if there is no room for one. */
void stream_close(struct stream *s);

/* Writes all of it. 0 or -errno; -ETIMEDOUT: a part of it, perhaps. After an error the stream is of no use but to be
 * closed, and for stream_taken(). */
int stream_write(struct stream *s, const void *bytes, size_t n, uint64_t until, struct err *e);
/* What is there, at most n bytes. Their number; 0: nothing came; -EPIPE: the other side has closed; -errno. */
ssize_t stream_read(struct stream *s, void *bytes, size_t n, uint64_t until, struct err *e);

/* Bytes on the wire since it was opened, TLS' own among them: those given to our system, and how many of these the other
 * system has acknowledged, which does not mean that the program there has read them. */
uint64_t stream_given(const struct stream *s);
uint64_t stream_taken(const struct stream *s);

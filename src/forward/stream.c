/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "../base/clock.h"
#include "address.h"

/* Addresses of one name that are tried. */
#define ADDRESSES_MAX 4
/* A connection over which nothing comes back ends after so long, also one that only waits. */
#define SILENCE_S     40

struct stream {
	struct stream_settings settings;
	SSL_CTX *context; /* NULL: no TLS */
	SSL *tls;
	int fd;
	uint64_t given;
};

/* --- what is known beforehand */

static int tls_error(struct err *e, int code, const char *what)
{
	unsigned long error = ERR_peek_last_error();
	const char *reason = error ? ERR_reason_error_string(error) : NULL;

	err_set(e, EBADMSG, "%s: %s", what, reason ? reason : "TLS fails");
	ERR_clear_error();
	if (e)
		e->code = code;
	return -code;
}

static int give_passphrase(char *to, int size, int writing, void *settings)
{
	const char *passphrase = ((const struct stream_settings *)settings)->passphrase;
	size_t n = strlen(passphrase);

	(void)writing;
	if (n > (size_t)size)
		return 0;
	memcpy(to, passphrase, n);
	return (int)n;
}

static int load_certificates(struct stream *s, struct err *e)
{
	const struct stream_settings *set = &s->settings;
	char what[400];

	if (set->ca[0] ? !SSL_CTX_load_verify_file(s->context, set->ca) : !SSL_CTX_set_default_verify_paths(s->context)) {
		snprintf(what, sizeof(what), "reading the certificates to be trusted '%s'", set->ca);
		return tls_error(e, EBADMSG, what);
	}
	if (!set->certificate[0])
		return 0;
	if (SSL_CTX_use_certificate_chain_file(s->context, set->certificate) != 1) {
		snprintf(what, sizeof(what), "reading the certificate '%s'", set->certificate);
		return tls_error(e, EBADMSG, what);
	}
	SSL_CTX_set_default_passwd_cb(s->context, give_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(s->context, &s->settings);
	if (SSL_CTX_use_PrivateKey_file(s->context, set->key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(s->context) != 1) {
		snprintf(what, sizeof(what), "reading the key '%s' of '%s'", set->key, set->certificate);
		return tls_error(e, EBADMSG, what);
	}
	return 0;
}

static int prepare_tls(struct stream *s, struct err *e)
{
	s->context = SSL_CTX_new(TLS_client_method());
	if (!s->context || !SSL_CTX_set_min_proto_version(s->context, TLS1_2_VERSION))
		return tls_error(e, ENOMEM, "preparing TLS");
	SSL_CTX_set_verify(s->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_options(s->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(s->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					     SSL_MODE_RELEASE_BUFFERS);
	/* So that a server that sends nothing but TLS' own messages does not keep us inside. */
	SSL_CTX_clear_mode(s->context, SSL_MODE_AUTO_RETRY);
	return load_certificates(s, e);
}

int stream_new(const struct stream_settings *settings, struct stream **ret, struct err *e)
{
	OWNED(stream) s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, ENOMEM, "preparing a connection");
	s->fd = -1;
	s->settings = *settings;
	r = settings->tls ? prepare_tls(s, e) : 0;
	if (r < 0)
		return r;
	*ret = MOVE(s);
	return 0;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	stream_close(s);
	SSL_CTX_free(s->context);
	free(s);
}

bool stream_is_open(const struct stream *s)
{
	return s->fd >= 0;
}

void stream_close(struct stream *s)
{
	if (s->tls) {
		if (SSL_is_init_finished(s->tls))
			SSL_shutdown(s->tls);
		SSL_free(MOVE(s->tls));
		ERR_clear_error();
	}
	if (s->fd >= 0)
		close(MOVE_FD(s->fd));
	s->given = 0;
}

/* --- waiting */

/* 0; -ETIMEDOUT; -errno. Looks once when the time is over already. */
static int wait_for(int fd, short events, uint64_t until)
{
	struct pollfd p = { .fd = fd, .events = events };
	uint64_t now;
	int r;

	do {
		now = now_ms();
		r = poll(&p, 1, now < until ? (int)(until - now) : 0);
	} while ((r == 0 && now < until) || (r < 0 && errno == EINTR));
	return r < 0 ? -errno : r > 0 ? 0 : -ETIMEDOUT;
}

/* What a call of OpenSSL that could not go on waits for. */
static int wait_for_tls(struct stream *s, int result, uint64_t until)
{
	switch (SSL_get_error(s->tls, result)) {
	case SSL_ERROR_WANT_READ:
		return wait_for(s->fd, POLLIN, until);
	case SSL_ERROR_WANT_WRITE:
		return wait_for(s->fd, POLLOUT, until);
	case SSL_ERROR_ZERO_RETURN:
		return -EPIPE;
	case SSL_ERROR_SYSCALL:
		return errno ? -errno : -EPIPE;
	default:
		return -EPROTO;
	}
}

/* --- connecting */

static void set_options(int fd)
{
	const struct { int level, name, value; } options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, SILENCE_S / 2 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, SILENCE_S / 8 }, { IPPROTO_TCP, TCP_KEEPCNT, 4 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, SILENCE_S * 1000 }, { IPPROTO_TCP, TCP_NODELAY, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(options[i].value));
}

/* A descriptor or -errno. */
static int connect_one(const struct addrinfo *a, uint64_t until)
{
	OWNED_FD fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0, r;
	socklen_t size = sizeof(error);

	if (fd < 0)
		return -errno;
	set_options(fd);
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
		if (errno != EINPROGRESS)
			return -errno;
		r = wait_for(fd, POLLOUT, until);
		if (r < 0)
			return r;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error)
			return error ? -error : -errno;
	}
	return MOVE_FD(fd);
}

static int connect_any(struct stream *s, uint64_t until, struct err *e)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *all;
	unsigned count = 0, i = 0;
	int r = getaddrinfo(s->settings.host, s->settings.port, &hints, &all);

	if (r != 0)
		return err_set(e, EBADMSG, "looking up '%s': %s", s->settings.host, gai_strerror(r)), -EHOSTUNREACH;
	for (const struct addrinfo *a = all; a && count < ADDRESSES_MAX; a = a->ai_next)
		count++;
	for (const struct addrinfo *a = all; i < count && s->fd < 0; a = a->ai_next, i++) {
		uint64_t now = now_ms(), share = now < until ? (until - now) / (count - i) : 0;

		r = connect_one(a, now + share);
		if (r >= 0)
			s->fd = r;
	}
	freeaddrinfo(all);
	return s->fd >= 0 ? 0 : err_set(e, -r, "connecting to %s:%s", s->settings.host, s->settings.port);
}

/* The name that the certificate must have. */
static bool expect_name(struct stream *s)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(s->tls);
	uint8_t number[16];

	if (inet_pton(AF_INET, s->settings.host, number) == 1 || inet_pton(AF_INET6, s->settings.host, number) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(p, s->settings.host);
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(p, s->settings.host, 0) && SSL_set_tlsext_host_name(s->tls, s->settings.host);
}

static int handshake_failed(struct stream *s, int code, struct err *e)
{
	long verdict = SSL_get_verify_result(s->tls);
	char what[HOST_SIZE + 100];

	snprintf(what, sizeof(what), "TLS with %s:%s", s->settings.host, s->settings.port);
	if (verdict != X509_V_OK) {
		err_set(e, EBADMSG, "%s: its certificate is not accepted: %s", what, X509_verify_cert_error_string(verdict));
		ERR_clear_error();
		return verdict == X509_V_ERR_CERT_HAS_EXPIRED ? -EKEYEXPIRED : -EKEYREJECTED;
	}
	return code == -EPROTO ? tls_error(e, EPROTO, what) : err_set(e, -code, "%s", what);
}

static int shake_hands(struct stream *s, uint64_t until, struct err *e)
{
	int r;

	s->tls = SSL_new(s->context);
	if (!s->tls || !expect_name(s) || !SSL_set_fd(s->tls, s->fd))
		return tls_error(e, ENOMEM, "preparing TLS");
	ERR_clear_error();
	while ((r = SSL_connect(s->tls)) != 1) {
		r = now_ms() < until ? wait_for_tls(s, r, until) : -ETIMEDOUT;
		if (r < 0)
			return handshake_failed(s, r, e);
	}
	return 0;
}

int stream_open(struct stream *s, uint64_t until, struct err *e)
{
	int r;

	stream_close(s);
	r = connect_any(s, until, e);
	if (r == 0 && s->context)
		r = shake_hands(s, until, e);
	if (r < 0)
		stream_close(s);
	return r;
}

/* --- bytes */

static int failed(struct stream *s, int code, const char *what, struct err *e)
{
	char text[HOST_SIZE + 100];

	snprintf(text, sizeof(text), "%s %s:%s", what, s->settings.host, s->settings.port);
	if (code == -EPROTO && s->tls) /* often an alert: "tlsv13 alert certificate required" */
		return tls_error(e, EPROTO, text);
	if (code == -EPIPE)
		return err_set(e, EBADMSG, "%s: it closed the connection", text), -EPIPE;
	return err_set(e, -code, "%s", text);
}

/* Bytes written, or -errno; -EAGAIN is waited for. */
static ssize_t write_some(struct stream *s, const void *bytes, size_t n, uint64_t until)
{
	ssize_t done;
	int r;

	if (!s->tls) {
		done = send(s->fd, bytes, n, MSG_NOSIGNAL);
		if (done >= 0)
			return done;
		return errno == EAGAIN || errno == EINTR ? wait_for(s->fd, POLLOUT, until) : -errno;
	}
	ERR_clear_error();
	r = SSL_write(s->tls, bytes, n < (1u << 20) ? (int)n : 1 << 20);
	return r > 0 ? r : wait_for_tls(s, r, until);
}

/* As stream_read(), but -EAGAIN for nothing yet, which was waited for. */
static ssize_t read_some(struct stream *s, void *bytes, size_t n, uint64_t until)
{
	ssize_t got;
	int r;

	if (!s->tls) {
		got = recv(s->fd, bytes, n, 0);
		if (got > 0)
			return got;
		if (got == 0)
			return -EPIPE;
		r = errno == EAGAIN || errno == EINTR ? wait_for(s->fd, POLLIN, until) : -errno;
		return r < 0 ? r : -EAGAIN;
	}
	ERR_clear_error();
	r = SSL_read(s->tls, bytes, n < (1u << 20) ? (int)n : 1 << 20);
	if (r > 0)
		return r;
	r = wait_for_tls(s, r, until);
	return r < 0 ? r : -EAGAIN;
}

/* A server that refuses us says why before it closes, and then writing fails first. */
static int why_it_ended(struct stream *s, int code)
{
	char byte;

	if (s->tls && (code == -EPIPE || code == -ECONNRESET) && read_some(s, &byte, 1, 0) == -EPROTO)
		return -EPROTO;
	return code;
}

int stream_write(struct stream *s, const void *bytes, size_t n, uint64_t until, struct err *e)
{
	const uint8_t *at = bytes;
	ssize_t done;

	while (n > 0) {
		done = now_ms() < until ? write_some(s, at, n, until) : -ETIMEDOUT;
		if (done < 0)
			return failed(s, why_it_ended(s, (int)done), "sending to", e);
		at += done;
		n -= (size_t)done;
		s->given += (uint64_t)done;
	}
	return 0;
}

ssize_t stream_read(struct stream *s, void *bytes, size_t n, uint64_t until, struct err *e)
{
	unsigned late = 0;
	ssize_t got;

	/* A message of TLS' own may stand before what is looked for when the time is over. */
	while ((got = read_some(s, bytes, n, until)) == -EAGAIN)
		if (now_ms() >= until && ++late > 8)
			return 0;
	if (got == -ETIMEDOUT)
		return 0;
	return got > 0 ? got : failed(s, (int)got, "receiving from", e);
}

uint64_t stream_given(const struct stream *s)
{
	return s->tls ? BIO_number_written(SSL_get_wbio(s->tls)) : s->given;
}

uint64_t stream_taken(const struct stream *s)
{
	uint64_t given = stream_given(s);
	int waiting = 0;

	if (s->fd < 0 || ioctl(s->fd, TIOCOUTQ, &waiting) < 0 || waiting < 0)
		return 0;
	return given > (uint64_t)waiting ? given - (uint64_t)waiting : 0;
}

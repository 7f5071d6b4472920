/* SPDX-License-Identifier: MIT */
#include "http.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "../base/clock.h"
#include "../base/loaded.h"

#define CONNECT_MS       10000L
#define ANSWER_MS        30000L
#define SLOWEST          (128u * 1024u / 1000u) /* bytes of a body in a millisecond */
#define STALL_S          25L                    /* no answer that long, or less than */
#define STALL_BYTES      64L                    /* bytes a second, either way */
#define REST_MS          5000u                  /* for what follows the head of an answer */
#define RETRY_AFTER_MAX  3600
#define CERTIFICATES_MAX (4u << 20)

#define IN_CURL(F)                                                                                             \
	F(curl_global_init) F(curl_easy_init) F(curl_easy_cleanup) F(curl_easy_reset) F(curl_easy_setopt)       \
	F(curl_easy_perform) F(curl_easy_getinfo) F(curl_easy_strerror) F(curl_slist_append) F(curl_slist_free_all)

static struct {
	IN_CURL(LOADED_MEMBER)
} curl;
static const char *const curl_names[] = { IN_CURL(LOADED_NAME) };

struct http {
	CURL *curl;
	bool direct, plain;
	char *certificates; /* instead of the system's; NULL */
	size_t certificates_size;
	/* Of the request that is made: */
	const struct http_request *request;
	struct http_answer *answer;
	size_t taken;     /* of its body */
	bool again;       /* libcurl wanted to send it once more */
	size_t head_size; /* bytes of all heads so far */
	int status;       /* of the head that is read; 0: none is */
	bool has_head;    /* the answer's has come to its end, */
	uint64_t head_ms; /* at that time */
	char why[CURL_ERROR_SIZE];
	char body[HTTP_BODY_MAX + 1];
};

/* --- addresses */

/* Stricter than the library's reading of it, so that there is no second one. */
int http_check_url(const char *url, bool plain, struct err *e)
{
	bool is_plain = strncmp(url, "http://", 7) == 0;
	const char *host = is_plain ? url + 7 : url + 8, *end;
	char name[256];
	struct in_addr v4;

	if (!is_plain && strncmp(url, "https://", 8) != 0)
		return err_set(e, EBADMSG, "an address begins with https://");
	for (const char *p = url; *p; p++)
		if (*p <= ' ' || *p > '~' || strchr("\"#<>\\^`{|}", *p))
			return err_set(e, EBADMSG, "the address has a character that must be written as %%XX");
	end = *host == '[' ? host + 1 + strspn(host + 1, "0123456789abcdefABCDEF:.") :
			     host + strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");
	if (*host == '[')
		end += *end == ']';
	if (end == host || (size_t)(end - host) >= sizeof(name) || (*host == '[' && end[-1] != ']'))
		return err_set(e, EBADMSG, "the address has no host name");
	snprintf(name, sizeof(name), "%.*s", (int)(end - host), host);
	if (*end == ':')
		end += 1 + strspn(end + 1, "0123456789");
	if (*end && *end != '/' && *end != '?')
		return err_set(e, EBADMSG, "what stands behind the address's host is neither port nor path");
	if (!is_plain || plain || strcasecmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0 ||
	    (inet_pton(AF_INET, name, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127))
		return 0;
	return err_set(e, EBADMSG, "http: only to this machine; others are reached by https:");
}

static bool is_this_machine(const char *url)
{
	return strncmp(url, "http://", 7) == 0 && http_check_url(url, false, NULL) == 0;
}

/* --- what the library calls */

/* What a server says is shown to people. */
static void take_text(char *to, size_t size, const char *from, size_t n)
{
	size_t i = 0;

	while (n > 0 && isspace((unsigned char)from[n - 1]))
		n--;
	for (; i < n && i < size - 1; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[i] = 0;
}

static void take_header(struct http *h, const char *line, size_t n)
{
	const char *const *wanted = h->request->wanted, *colon = memchr(line, ':', n);

	for (unsigned i = 0; colon && wanted && i < HTTP_WANTED_MAX && wanted[i]; i++) {
		const char *value = colon + 1, *end = line + n;

		if (strlen(wanted[i]) != (size_t)(colon - line) || strncasecmp(line, wanted[i], strlen(wanted[i])) != 0)
			continue;
		while (value < end && (*value == ' ' || *value == '\t'))
			value++;
		take_text(h->answer->wanted[i], HTTP_VALUE_SIZE, value, (size_t)(end - value));
	}
}

/* A line of a head: that of the answer, of those with 1xx before it, or what stands behind a body, which is no concern. */
static size_t on_header(char *line, size_t size, size_t count, void *self)
{
	struct http *h = self;
	size_t n = size * count;

	h->head_size += n;
	if (h->head_size > HTTP_HEADERS_MAX)
		return 0;
	if (h->has_head)
		return n;
	if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
		long status = 0;

		curl.curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
		h->status = (int)status;
		memset(h->answer->wanted, 0, sizeof(h->answer->wanted));
	} else if (n <= 2 && h->status >= 200) {
		h->has_head = true;
		h->head_ms = now_ms();
	} else
		take_header(h, line, n);
	return n;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *self)
{
	struct http *h = self;
	size_t n = size * count, room = HTTP_BODY_MAX - h->answer->size;
	size_t kept = n < room ? n : room;

	memcpy(h->body + h->answer->size, bytes, kept);
	h->answer->size += kept;
	return kept; /* fewer than came: the library ends it there */
}

/* Once a second at least. */
static int on_progress(void *self, curl_off_t down, curl_off_t down_now, curl_off_t up, curl_off_t up_now)
{
	const struct http *h = self;

	(void)down;
	(void)down_now;
	(void)up;
	(void)up_now;
	return h->has_head && now_ms() - h->head_ms > REST_MS;
}

static size_t on_send(char *to, size_t size, size_t count, void *self)
{
	struct http *h = self;
	size_t left = h->request->size - h->taken, n = size * count < left ? size * count : left;

	memcpy(to, (const char *)h->request->body + h->taken, n);
	h->taken += n;
	return n;
}

/* A connection that was kept ended without an answer. The library would send the body again by itself; but whether the
 * first one was kept must be known to whoever asks then. */
static int on_seek(void *self, curl_off_t offset, int origin)
{
	struct http *h = self;

	(void)offset;
	(void)origin;
	h->again = true;
	return CURL_SEEKFUNC_FAIL;
}

/* --- one request */

static struct curl_slist *headers_of(const struct http_request *r)
{
	/* Without this the library waits for leave to send a large body. */
	struct curl_slist *list = curl.curl_slist_append(NULL, "Expect:");

	for (const char *const *header = r->headers; list && header && *header; header++) {
		struct curl_slist *longer = curl.curl_slist_append(list, *header);

		if (!longer)
			curl.curl_slist_free_all(list);
		list = longer;
	}
	return list;
}

#define SET(option, value) (r = r ? r : curl.curl_easy_setopt(h->curl, CURLOPT_##option, value))

static CURLcode set_limits(struct http *h, size_t body_size)
{
	CURLcode r = CURLE_OK;

	SET(NOSIGNAL, 1L);
	SET(PROTOCOLS_STR, "http,https");
	SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(FOLLOWLOCATION, 0L);
	SET(CONNECTTIMEOUT_MS, CONNECT_MS);
	SET(TIMEOUT_MS, ANSWER_MS + (long)(body_size / SLOWEST));
	SET(LOW_SPEED_TIME, STALL_S);
	SET(LOW_SPEED_LIMIT, STALL_BYTES);
	SET(BUFFERSIZE, 16384L);
	SET(MAXCONNECTS, 2L);
	SET(SUPPRESS_CONNECT_HEADERS, 1L);
	SET(ERRORBUFFER, h->why);
	SET(USERAGENT, "konseki/" KONSEKI_VERSION);
	if (h->certificates) {
		struct curl_blob blob = { h->certificates, h->certificates_size, CURL_BLOB_NOCOPY };

		SET(CAINFO_BLOB, &blob);
		SET(CAINFO, NULL);
		SET(CAPATH, NULL);
	}
	return r;
}

static CURLcode set_request(struct http *h, const struct http_request *q, struct curl_slist *headers)
{
	CURLcode r = CURLE_OK;

	SET(URL, q->url);
	if (h->direct || is_this_machine(q->url))
		SET(PROXY, "");
	if (q->body) {
		SET(UPLOAD, 1L);
		SET(INFILESIZE_LARGE, (curl_off_t)q->size);
		SET(READFUNCTION, on_send);
		SET(READDATA, h);
		SET(SEEKFUNCTION, on_seek);
		SET(SEEKDATA, h);
	}
	SET(CUSTOMREQUEST, q->method);
	SET(HTTPHEADER, headers);
	SET(HEADERFUNCTION, on_header);
	SET(HEADERDATA, h);
	SET(WRITEFUNCTION, on_body);
	SET(WRITEDATA, h);
	SET(NOPROGRESS, 0L);
	SET(XFERINFOFUNCTION, on_progress);
	SET(XFERINFODATA, h);
	return r;
}

static CURLcode perform(struct http *h, struct curl_slist *headers)
{
	CURLcode r;

	if (!headers)
		return CURLE_OUT_OF_MEMORY;
	if (http_check_url(h->request->url, h->plain, NULL) < 0)
		return CURLE_URL_MALFORMAT;
	curl.curl_easy_reset(h->curl);
	r = set_limits(h, h->request->size);
	if (r == CURLE_OK)
		r = set_request(h, h->request, headers);
	return r == CURLE_OK ? curl.curl_easy_perform(h->curl) : r;
}

static void say_why(struct http *h, CURLcode r)
{
	const char *why = h->why[0] ? h->why : curl.curl_easy_strerror(r);
	struct http_answer *a = h->answer;
	curl_off_t reached_us = 0;

	curl.curl_easy_getinfo(h->curl, CURLINFO_PRETRANSFER_TIME_T, &reached_us);
	a->doubtful = reached_us > 0;
	a->status = 0;
	if (h->again)
		snprintf(a->text, sizeof(a->text), "the server ended the connection");
	else if (h->head_size > HTTP_HEADERS_MAX)
		snprintf(a->text, sizeof(a->text), "the head of the server's answer does not end");
	else
		take_text(a->text, sizeof(a->text), why, strlen(why));
}

void http_do(struct http *h, const struct http_request *request, struct http_answer *a)
{
	struct curl_slist *headers = headers_of(request);
	curl_off_t retry_after = 0;
	CURLcode r;

	*a = (struct http_answer){ .body = h->body };
	h->request = request;
	h->answer = a;
	h->taken = h->head_size = 0;
	h->status = 0;
	h->again = h->has_head = false;
	h->why[0] = 0;
	r = perform(h, headers);
	h->body[a->size] = 0;
	curl.curl_slist_free_all(headers);
	/* With its head the answer is given, whatever becomes of the rest. */
	a->status = h->has_head ? h->status : 0;
	if (!h->has_head)
		say_why(h, r);
	else if (curl.curl_easy_getinfo(h->curl, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK && retry_after > 0)
		a->retry_after_s = retry_after < RETRY_AFTER_MAX ? (unsigned)retry_after : RETRY_AFTER_MAX;
}

/* --- a client */

static int read_certificates(struct http *h, const char *path, struct err *e)
{
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "certificates '%s'", path);
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > (off_t)CERTIFICATES_MAX)
		return err_set(e, EBADMSG, "certificates '%s': no file, empty, or larger than 4 MiB", path);
	h->certificates = malloc((size_t)st.st_size);
	if (!h->certificates)
		return err_set(e, ENOMEM, "certificates");
	n = read(fd, h->certificates, (size_t)st.st_size);
	if (n < 0)
		return err_set(e, errno, "certificates '%s'", path);
	h->certificates_size = (size_t)n;
	return 0;
}

int http_new(const struct http_options *o, struct http **ret, struct err *e)
{
	OWNED(http) h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return err_set(e, ENOMEM, "http");
	if (!curl.curl_easy_init) {
		r = loaded_open("libcurl.so.4", "libcurl4", curl_names, ARRAY_SIZE(curl_names), &curl, e);
		if (r < 0)
			return r;
		if (curl.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
			return err_set(e, EIO, "libcurl");
	}
	h->direct = o->direct;
	h->plain = o->plain;
	r = o->ca && o->ca[0] ? read_certificates(h, o->ca, e) : 0;
	if (r < 0)
		return r;
	h->curl = curl.curl_easy_init();
	if (!h->curl)
		return err_set(e, ENOMEM, "libcurl");
	*ret = MOVE(h);
	return 0;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	if (h->curl)
		curl.curl_easy_cleanup(h->curl);
	free(h->certificates);
	free(h);
}

/* SPDX-License-Identifier: MIT */
#include "azure_storage.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "azure_token.h"

/* Understood by the service since 2022 and by its emulator. */
#define VERSION     "x-ms-version: 2021-12-02"
#define RESOURCE    "https://storage.azure.com/"
#define KEY_MAX     128u
#define ACCOUNT_MAX 64u
#define TEXT_MAX    4096u
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-"

enum how { BY_SAS, BY_KEY, BY_IDENTITY };

struct storage {
	struct http *http;
	struct azure_token *token;
	enum how how;
	char base[1200];  /* URL of the container, no slash at its end */
	char account[ACCOUNT_MAX + 1];
	char sas[TEXT_MAX];
	char expiry[64];
	uint8_t key[KEY_MAX];
	size_t key_size;
};

/* --- the address */

/* The path of a URL that was checked: "" or what begins with a slash. */
static const char *path_of(const char *url)
{
	const char *path = strchr(strstr(url, "://") + 3, '/');

	return path ? path : "";
}

static bool is_container_name(const char *name, size_t n)
{
	return n >= 3 && n <= 63 && strspn(name, NAME_CHARACTERS) >= n && name[0] != '-';
}

/* Emulators and private endpoints have the account in the path: /ACCOUNT/CONTAINER; the service in the host's name. */
static int check_path(const char *url, struct err *e)
{
	const char *path = path_of(url), *first = *path ? path + 1 : path, *second = strchr(first, '/');
	const char *container = second && second[1] ? second + 1 : first;
	size_t n = strcspn(container, "/");

	if (!is_container_name(container, n) || (container[n] && container[n + 1]))
		return err_set(e, EBADMSG, "the address ends with the name of a container: https://ACCOUNT.blob.core.windows.net/CONTAINER");
	return 0;
}

static bool is_only_container(const char *to)
{
	return is_container_name(to, strlen(to));
}

int storage_check(const struct forward_target *t, struct err *e)
{
	int r;

	if (t->auth[0] && strcmp(t->auth, "sas") != 0 && strcmp(t->auth, "key") != 0 && strcmp(t->auth, "identity") != 0)
		return err_set(e, EBADMSG, "auth: '%s' is neither sas, key nor identity", t->auth);
	r = azure_token_check(t, e);
	if (r < 0 || is_only_container(t->to))
		return r;
	if (strchr(t->to, '?'))
		return err_set(e, EBADMSG, "what stands behind the address's ? is secret: it belongs into the secret's file");
	r = http_check_url(t->to, false, e);
	return r < 0 ? r : check_path(t->to, e);
}

/* --- the secret */

static int take_key(struct storage *s, const char *text, struct err *e)
{
	uint8_t bytes[KEY_MAX + 3];
	size_t n = strlen(text), padding = n && text[n - 1] == '=' ? n > 1 && text[n - 2] == '=' ? 2 : 1 : 0;
	int decoded = n > 0 && n % 4 == 0 && n <= KEY_MAX / 3 * 4 ?
			      EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)n) : -1;

	if (decoded <= (int)padding)
		return err_set(e, EBADMSG, "the secret is no key of an account (base64)");
	s->key_size = (size_t)decoded - padding;
	memcpy(s->key, bytes, s->key_size);
	explicit_bzero(bytes, sizeof(bytes));
	s->how = BY_KEY;
	return 0;
}

static int take_sas(struct storage *s, const char *text, struct err *e)
{
	const char *se;

	text += *text == '?';
	if (!strstr(text, "sig=") || strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~%=&:+/,") != strlen(text))
		return err_set(e, EBADMSG, "the secret is no shared access signature (sv=...&sig=...)");
	snprintf(s->sas, sizeof(s->sas), "%s", text);
	se = strncmp(text, "se=", 3) == 0 ? text : strstr(text, "&se=");
	if (se) {
		se += *se == '&';
		snprintf(s->expiry, sizeof(s->expiry), " (%.*s)", (int)(strcspn(se, "&") < 48 ? strcspn(se, "&") : 48), se);
	}
	s->how = BY_SAS;
	return 0;
}

/* The value of NAME=VALUE; in a connection string. */
static bool part_of(const char *text, const char *name, char *value, size_t size)
{
	size_t n = strlen(name), length;

	for (; *text; text += strcspn(text, ";"), text += *text == ';') {
		if (strncasecmp(text, name, n) != 0 || text[n] != '=')
			continue;
		length = strcspn(text + n + 1, ";");
		if (length >= size)
			return false;
		memcpy(value, text + n + 1, length);
		value[length] = 0;
		return true;
	}
	return false;
}

static int take_connection_string(struct storage *s, const char *to, const char *text, struct err *e)
{
	char value[TEXT_MAX], suffix[128] = "core.windows.net", scheme[8] = "https", endpoint[1024] = "";
	int r;

	part_of(text, "AccountName", s->account, sizeof(s->account));
	part_of(text, "EndpointSuffix", suffix, sizeof(suffix));
	part_of(text, "DefaultEndpointsProtocol", scheme, sizeof(scheme));
	if (!part_of(text, "BlobEndpoint", endpoint, sizeof(endpoint)) && s->account[0])
		snprintf(endpoint, sizeof(endpoint), "%s://%s.blob.%s", scheme, s->account, suffix);
	if (is_only_container(to)) {
		size_t n = strlen(endpoint);

		n -= n > 0 && endpoint[n - 1] == '/';
		snprintf(s->base, sizeof(s->base), "%.*s/%s", (int)n, endpoint, to);
	}
	r = part_of(text, "SharedAccessSignature", value, sizeof(value)) ? take_sas(s, value, e) :
	    part_of(text, "AccountKey", value, sizeof(value))            ? take_key(s, value, e) :
		err_set(e, EBADMSG, "the connection string has neither AccountKey nor SharedAccessSignature");
	explicit_bzero(value, sizeof(value));
	return r;
}

static int take_secret(struct storage *s, const struct forward_target *t, struct err *e)
{
	const char *how = t->auth;

	if (strcmp(how, "identity") == 0 || (!how[0] && !t->secret[0])) {
		s->how = BY_IDENTITY;
		return azure_token_new(t, RESOURCE, &s->token, e);
	}
	if (!t->secret[0])
		return err_set(e, EBADMSG, "the secret is missing");
	if (strstr(t->secret, "AccountName=") || strstr(t->secret, "SharedAccessSignature=") || strstr(t->secret, "BlobEndpoint="))
		return take_connection_string(s, t->to, t->secret, e);
	if (strcmp(how, "sas") == 0 || (!how[0] && strstr(t->secret, "sig=")))
		return take_sas(s, t->secret, e);
	return take_key(s, t->secret, e);
}

/* Of the host's first part or, where that is none of an account, of the path. */
static void find_account(struct storage *s)
{
	const char *host = strstr(s->base, "://") + 3, *path = path_of(s->base);
	bool in_path = *path && strchr(path + 1, '/');
	const char *from = in_path ? path + 1 : host;

	snprintf(s->account, sizeof(s->account), "%.*s", (int)strcspn(from, in_path ? "/" : "."), from);
}

int storage_open(const struct forward_target *t, struct storage **ret, struct err *e)
{
	const struct http_options options = { .ca = t->ca };
	struct storage *s = calloc(1, sizeof(*s));
	size_t n;
	int r;

	if (!s)
		return err_set(e, ENOMEM, "storage");
	if (!is_only_container(t->to))
		snprintf(s->base, sizeof(s->base), "%s", t->to);
	r = take_secret(s, t, e);
	if (r == 0 && !s->base[0])
		r = err_set(e, EBADMSG, "to: only a connection string goes with the mere name of a container");
	if (r == 0)
		r = http_check_url(s->base, false, e);
	if (r == 0)
		r = check_path(s->base, e);
	if (r == 0)
		r = http_new(&options, &s->http, e);
	if (r < 0) {
		storage_close(s);
		return r;
	}
	n = strlen(s->base);
	if (s->base[n - 1] == '/')
		s->base[n - 1] = 0;
	if (!s->account[0])
		find_account(s);
	*ret = s;
	return 0;
}

void storage_close(struct storage *s)
{
	if (!s)
		return;
	http_free(s->http);
	azure_token_free(s->token);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

const char *storage_expiry(const struct storage *s)
{
	return s->expiry;
}

/* --- signing with the account's key */

struct to_sign {
	char text[8192];
	size_t n;
};

static void __attribute__((format(printf, 2, 3))) add(struct to_sign *t, const char *format, ...)
{
	size_t room = sizeof(t->text) - t->n;
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(t->text + t->n, room, format, list);
	va_end(list);
	t->n += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

/* The value of "Name: value" among the headers, or "". */
static const char *value_of(const char *const *headers, const char *name)
{
	size_t n = strlen(name);

	for (; *headers; headers++)
		if (strncasecmp(*headers, name, n) == 0 && (*headers)[n] == ':')
			return *headers + n + 1 + strspn(*headers + n + 1, " ");
	return "";
}

static int by_name(const void *a, const void *b)
{
	return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_service_headers(struct to_sign *t, const char *const *headers)
{
	const char *own[STORAGE_HEADERS_MAX + 4];
	unsigned count = 0;

	for (; *headers && count < ARRAY_SIZE(own); headers++)
		if (strncasecmp(*headers, "x-ms-", 5) == 0)
			own[count++] = *headers;
	qsort(own, count, sizeof(*own), by_name);
	for (unsigned i = 0; i < count; i++) {
		size_t n = strcspn(own[i], ":");

		for (size_t j = 0; j < n; j++)
			add(t, "%c", tolower((unsigned char)own[i][j]));
		add(t, ":%s\n", own[i] + n + 1 + strspn(own[i] + n + 1, " "));
	}
}

/* Of the requests made here a query has one parameter at most, so it needs no sorting. */
static void add_resource(struct to_sign *t, const struct storage *s, const struct storage_request *r)
{
	add(t, "/%s%s/%s", s->account, path_of(s->base), r->blob);
	if (r->query)
		add(t, "\n%.*s:%s", (int)strcspn(r->query, "="), r->query, r->query + strcspn(r->query, "=") + 1);
}

static void sign(const struct storage *s, const struct storage_request *r, const char *const *headers, char line[256])
{
	static const char *const signed_headers[] = { "Content-MD5", "Content-Type", "Date", "If-Modified-Since", "If-Match",
						      "If-None-Match", "If-Unmodified-Since", "Range" };
	struct to_sign t = { .n = 0 };
	uint8_t mac[EVP_MAX_MD_SIZE];
	char text[2 * EVP_MAX_MD_SIZE];
	unsigned n = 0;

	/* Content-Encoding and Content-Language, of which we send none, stand before the length. */
	add(&t, "%s\n\n\n", r->method);
	if (r->body && r->size > 0)
		add(&t, "%zu", r->size);
	add(&t, "\n");
	for (unsigned i = 0; i < ARRAY_SIZE(signed_headers); i++)
		add(&t, "%s\n", value_of(headers, signed_headers[i]));
	add_service_headers(&t, headers);
	add_resource(&t, s, r);
	HMAC(EVP_sha256(), s->key, (int)s->key_size, (const unsigned char *)t.text, t.n, mac, &n);
	EVP_EncodeBlock((unsigned char *)text, mac, (int)n);
	snprintf(line, 256, "Authorization: SharedKey %s:%s", s->account, text);
}

/* Not by strftime(), which would use the language of who started us. */
static void write_date(char line[64])
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t now = time(NULL);
	struct tm tm = { 0 };

	gmtime_r(&now, &tm);
	snprintf(line, 64, "x-ms-date: %s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday % 7], tm.tm_mday,
		 months[tm.tm_mon % 12], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* --- requests */

static const char *const kept_headers[] = { "x-ms-error-code", NULL };

static bool do_once(struct storage *s, const struct storage_request *r, struct http_answer *got, struct answer *a)
{
	const char *headers[STORAGE_HEADERS_MAX + 4], *query = r->query ? r->query : "";
	char url[sizeof(s->base) + TEXT_MAX + 1100], date[64], authorization[256];
	struct http_request q = { r->method, url, headers, r->body, r->size, kept_headers };
	unsigned n = 0;

	for (; r->headers[n] && n < STORAGE_HEADERS_MAX; n++)
		headers[n] = r->headers[n];
	headers[n++] = VERSION;
	if (s->how == BY_IDENTITY) {
		headers[n] = azure_token_header(s->token, a);
		if (!headers[n++])
			return false;
	} else if (s->how == BY_KEY) {
		write_date(date);
		headers[n++] = date;
		headers[n] = NULL;
		sign(s, r, headers, authorization);
		headers[n++] = authorization;
	}
	headers[n] = NULL;
	snprintf(url, sizeof(url), "%s/%s%s%s%s%s", s->base, r->blob, *query || s->sas[0] ? "?" : "", query,
		 *query && s->sas[0] ? "&" : "", s->sas);
	http_do(s->http, &q, got);
	return true;
}

bool storage_do(struct storage *s, const struct storage_request *r, struct http_answer *got, struct answer *a)
{
	if (!do_once(s, r, got, a))
		return false;
	if (s->how != BY_IDENTITY || (got->status != 401 && strcmp(got->wanted[STORAGE_CODE], "AuthenticationFailed") != 0))
		return true;
	azure_token_forget(s->token);
	return do_once(s, r, got, a);
}

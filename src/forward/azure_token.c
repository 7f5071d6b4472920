/* SPDX-License-Identifier: MIT */
#include "azure_token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../base/clock.h"
#include "azure_json.h"
#include "http.h"

#define METADATA   "http://169.254.169.254"
#define HEADER     "Authorization: Bearer "
/* A token is renewed that long before its end, or at half its time if it has less; but never at every batch. */
#define SPARE_S    300
#define SHORTEST_S 10

struct azure_token {
	struct http *http;
	char url[512];
	int64_t renew_ms; /* 0: there is none */
	char header[sizeof(HEADER) + AZURE_TOKEN_MAX];
};

static int64_t boot_ms(void)
{
	return (int64_t)(clock_ns(CLOCK_BOOTTIME) / 1000000);
}

/* Of a URL's query: everything but the plainest is encoded. */
static void add_encoded(char *to, size_t size, const char *text)
{
	size_t n = strlen(to);

	for (; *text && n + 4 < size; text++)
		n += (size_t)snprintf(to + n, size - n,
				      strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", *text) ?
					      "%c" : "%%%02X",
				      (unsigned char)*text);
}

int azure_token_check(const struct forward_target *t, struct err *e)
{
	if (t->metadata[0] && http_check_url(t->metadata, true, e) < 0)
		return err_within(e, "metadata");
	if (strspn(t->identity, "0123456789abcdefABCDEF-") != strlen(t->identity))
		return err_set(e, EBADMSG, "identity: '%s' is no client id (the number of a managed identity)", t->identity);
	return 0;
}

int azure_token_new(const struct forward_target *t, const char *resource, struct azure_token **ret, struct err *e)
{
	/* The service refuses what came through a proxy, and no proxy has any business with a token. */
	const struct http_options options = { .direct = true, .plain = true };
	OWNED(azure_token) k = calloc(1, sizeof(*k));
	const char *base = t->metadata[0] ? t->metadata : METADATA;
	int r;

	if (!k)
		return err_set(e, ENOMEM, "identity");
	r = http_new(&options, &k->http, e);
	if (r < 0)
		return r;
	snprintf(k->url, sizeof(k->url), "%s/metadata/identity/oauth2/token?api-version=2018-02-01&resource=", base);
	add_encoded(k->url, sizeof(k->url), resource);
	if (t->identity[0])
		snprintf(k->url + strlen(k->url), sizeof(k->url) - strlen(k->url), "&client_id=%s", t->identity);
	*ret = MOVE(k);
	return 0;
}

void azure_token_free(struct azure_token *k)
{
	if (!k)
		return;
	http_free(k->http);
	explicit_bzero(k->header, sizeof(k->header));
	free(k);
}

void azure_token_forget(struct azure_token *k)
{
	k->renew_ms = 0;
}

static bool take(struct azure_token *k, const struct http_answer *got)
{
	int64_t left, use;

	if (!azure_json_token(got->body, got->size, k->header + sizeof(HEADER) - 1, &left))
		return false;
	use = left > 2 * SPARE_S ? left - SPARE_S : left / 2;
	memcpy(k->header, HEADER, sizeof(HEADER) - 1);
	k->renew_ms = boot_ms() + 1000 * (use > SHORTEST_S ? use : SHORTEST_S);
	return true;
}

/* 404 and 410 come while an identity is being given to the machine. */
static bool is_for_a_person(int status)
{
	return status >= 300 && status < 500 && status != 404 && status != 408 && status != 410 && status != 429;
}

const char *azure_token_header(struct azure_token *k, struct answer *a)
{
	static const char *const headers[] = { "Metadata: true", NULL };
	const struct http_request request = { .method = "GET", .url = k->url, .headers = headers };
	struct http_answer got;

	if (k->renew_ms && boot_ms() < k->renew_ms)
		return k->header;
	k->renew_ms = 0;
	http_do(k->http, &request, &got);
	if (got.status == 200 && take(k, &got))
		return k->header;
	a->outcome = SINK_RETRY;
	a->retry_after_s = got.retry_after_s;
	a->misconfigured = is_for_a_person(got.status);
	if (got.status == 0)
		snprintf(a->text, sizeof(a->text), "metadata service: %.160s", got.text);
	else if (got.status == 200)
		snprintf(a->text, sizeof(a->text), "metadata service: its answer holds no token");
	else if (got.status == 400)
		snprintf(a->text, sizeof(a->text), "metadata service: answers 400: has this machine a managed identity?");
	else
		snprintf(a->text, sizeof(a->text), "metadata service: answers %d", got.status);
	return NULL;
}

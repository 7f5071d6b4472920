/* SPDX-License-Identifier: MIT */
/* Batches as blobs of a container in Azure Storage, with the right to create (and append) and no other: what was sent can
 * then be neither changed nor deleted with anything that this machine has. Mode block: a blob a batch, its name makes a
 * second try recognisable. Mode append: one blob grows; each process begins another. docs/recipes/azure.md tells the rest. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "../base/clock.h"
#include "azure_storage.h"
#include "sink.h"

#define NAME_SIZE      640
#define BLOCKS_MAX     45000u       /* the service ends at 50,000 */
#define APPENDED_MAX   (1ull << 30)
#define APPEND_S       3600
#define MARKER_TRIES   5u
#define MARKER_NS      5000000000ull /* not with a server that needs longer for a request: a try must end in time */
#define TENANT_DEFAULT "default"

struct sink {
	struct storage *storage;
	const struct forward_target *target;
	const struct identity *id;
	bool appends;
	bool taken_before;         /* the last answer was SINK_TAKEN */
	char seals[NAME_SIZE];     /* the seals that are kept for sure, of a batch whose body may not be */
	/* Mode append: */
	char blob[NAME_SIZE];      /* ""; the next batch begins another */
	uint64_t appended;
	unsigned blocks;
	uint64_t begun_ns;
	/* May we change what is there? */
	unsigned marker_tries;
	bool erasable_known, erasable;
};

/* --- what answers mean */

enum meaning {
	KEPT,
	EXISTS,     /* something has this name */
	UNCLEAR,    /* either that, or we may not create: the emulator's word for both */
	ROLL,       /* this blob takes no more blocks */
	MOVED,      /* it is not as long as we believe */
	DAMAGED,    /* other bytes arrived than were sent */
	TOO_LARGE,
	BUSY,       /* later; not kept */
	BROKEN,     /* later; nobody knows whether it was kept */
	FAULT,      /* a person must look at it */
};

/* The first row that fits; status 0 and code NULL fit all. */
static const struct {
	int status;
	const char *code;
	enum meaning meaning;
	const char *words;
} answers[] = {
	{ 201, NULL, KEPT, "" },
	{ 409, "BlobAlreadyExists", EXISTS, "the name is taken" },
	{ 403, "UnauthorizedBlobOverwrite", EXISTS, "the name is taken" },
	{ 403, "AuthorizationPermissionMismatch", UNCLEAR, "no permission to create blobs there" },
	{ 401, NULL, FAULT, "the login is not accepted" },
	{ 403, "AuthorizationFailure", FAULT, "the signature is wrong or no longer valid, or this network may not reach the account" },
	{ 403, "AuthenticationFailed", FAULT, "the signature is wrong or no longer valid" },
	{ 403, NULL, FAULT, "no permission" },
	{ 404, "BlobNotFound", ROLL, "the blob that grew is gone" },
	{ 404, NULL, FAULT, "there is no such container" },
	{ 409, "BlockCountExceedsLimit", ROLL, "" },
	{ 409, "BlobIsSealed", ROLL, "" },
	{ 409, "InvalidBlobType", ROLL, "" },
	{ 409, "BlobImmutableDueToPolicy", FAULT, "the container's policy forbids it" },
	{ 409, "BlobImmutableDueToLegalHold", FAULT, "a legal hold on the container forbids it" },
	{ 409, NULL, FAULT, "conflict" },
	{ 412, "AppendPositionConditionNotMet", MOVED, "" },
	{ 412, NULL, ROLL, "the blob is leased or was changed" },
	{ 413, NULL, TOO_LARGE, "too large" },
	{ 400, "Md5Mismatch", DAMAGED, "the bytes were damaged on the way" },
	{ 408, NULL, BROKEN, "the server gave up waiting" },
	{ 429, NULL, BUSY, "too many requests" },
	{ 503, "ServerBusy", BUSY, "the server is busy" },
};

static enum meaning meaning_of(const struct http_answer *got, const char **words)
{
	*words = "";
	if (got->status == 0)
		return got->doubtful ? BROKEN : BUSY;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		if (answers[i].status == got->status &&
		    (!answers[i].code || strcmp(answers[i].code, got->wanted[STORAGE_CODE]) == 0)) {
			*words = answers[i].words;
			return answers[i].meaning;
		}
	*words = got->status >= 500 ? "the server failed" :
		 got->status >= 300 && got->status < 400 ? "the server wants us elsewhere, where we do not go" :
		 "not an answer of Azure Storage";
	return got->status >= 500 ? BROKEN : FAULT;
}

/* Writes what happened for people, and what all meanings have in common. */
static enum meaning judge(const struct sink *s, const struct http_answer *got, struct answer *a)
{
	const char *words;
	enum meaning meaning = meaning_of(got, &words);

	a->outcome = meaning == KEPT ? SINK_SENT : meaning == TOO_LARGE ? SINK_TOO_LARGE : SINK_RETRY;
	a->doubtful = meaning == BROKEN;
	a->misconfigured = meaning == FAULT || meaning == UNCLEAR;
	a->retry_after_s = got->retry_after_s;
	if (meaning == KEPT)
		a->text[0] = 0;
	else if (got->status == 0)
		snprintf(a->text, sizeof(a->text), "%.180s", got->text);
	else
		snprintf(a->text, sizeof(a->text), "answers %d %.60s: %s%s", got->status, got->wanted[STORAGE_CODE], words,
			 got->status == 403 && meaning == FAULT ? storage_expiry(s->storage) : "");
	return meaning;
}

/* --- names */

static const char *suffix_of(const struct sink *s, const struct batch *b)
{
	static const char *const suffixes[] = { [BATCH_GAP] = "gap.ndjson.zst", [BATCH_HEARTBEAT] = "heartbeat.ndjson.zst",
						[BATCH_TEST] = "test.ndjson.zst" };

	if (b->kind != BATCH_EVENTS)
		return suffixes[b->kind];
	return strcmp(s->target->form, "evtx") == 0 ? "evtx.zst" : "ndjson.zst";
}

/* By time first: who looks for an hour, of all machines, lists one folder. */
static int write_folder(const struct sink *s, uint64_t utc_ns, char name[NAME_SIZE])
{
	time_t at = (time_t)((utc_ns ? utc_ns : clock_ns(CLOCK_REALTIME)) / 1000000000u);
	struct tm tm = { 0 };

	gmtime_r(&at, &tm);
	return snprintf(name, NAME_SIZE, "v1/%s/%04d/%02d/%02d/%02d/%s/%s-%s-",
			s->target->tenant[0] ? s->target->tenant : TENANT_DEFAULT, tm.tm_year + 1900, tm.tm_mon + 1,
			tm.tm_mday, tm.tm_hour, s->id->host, s->id->boot, s->id->log);
}

static void name_batch(const struct sink *s, const struct batch *b, const char *suffix, char name[NAME_SIZE])
{
	int n = write_folder(s, b->utc_ns, name);
	const uint8_t *h = b->sha256;

	snprintf(name + n, NAME_SIZE - (size_t)n, "%020llu-%020llu-%.32s-%02x%02x%02x%02x%02x%02x%02x%02x.%s",
		 (unsigned long long)b->first_id, (unsigned long long)b->last_id, b->nonce, h[0], h[1], h[2], h[3], h[4], h[5],
		 h[6], h[7], suffix);
}

/* Nobody can have taken such a name before. */
static void name_own(const struct sink *s, uint64_t utc_ns, const char *what, const char *suffix, char name[NAME_SIZE])
{
	int n = write_folder(s, utc_ns, name);
	uint64_t r[2] = { 0, 0 };

	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		r[0] = clock_ns(CLOCK_REALTIME);
	snprintf(name + n, NAME_SIZE - (size_t)n, "%s-%016llx%016llx.%s", what, (unsigned long long)r[0],
		 (unsigned long long)r[1], suffix);
}

/* --- one request each */

static void write_md5(const void *bytes, size_t n, char line[64])
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	char text[2 * EVP_MAX_MD_SIZE];
	unsigned length = 0;

	line[0] = 0;
	if (EVP_Digest(bytes, n, digest, &length, EVP_md5(), NULL) != 1)
		return; /* a machine whose OpenSSL has none: TLS looks after the bytes, too */
	EVP_EncodeBlock((unsigned char *)text, digest, (int)length);
	snprintf(line, 64, "Content-MD5: %.48s", text);
}

static enum meaning put_block_blob(struct sink *s, const char *name, const char *type, const void *bytes, size_t n,
				   size_t raw_size, struct answer *a)
{
	char md5[64], raw[64], content[64];
	const char *headers[STORAGE_HEADERS_MAX] = { "x-ms-blob-type: BlockBlob", "If-None-Match: *", content };
	const struct storage_request r = { "PUT", name, NULL, headers, bytes, n };
	struct http_answer got;
	unsigned i = 3;

	snprintf(content, sizeof(content), "Content-Type: %s", type);
	snprintf(raw, sizeof(raw), "x-ms-meta-rawsizebytes: %zu", raw_size);
	write_md5(bytes, n, md5);
	if (raw_size)
		headers[i++] = raw;
	if (md5[0])
		headers[i++] = md5;
	return storage_do(s->storage, &r, &got, a) ? judge(s, &got, a) : BUSY;
}

/* --- mode block */

/* The name was there already. */
static enum meaning settle_name(struct sink *s, const struct batch *b, enum meaning meaning, struct answer *a)
{
	bool immutable = meaning == FAULT && strstr(a->text, "BlobImmutable"); /* new ones are not, so there is one */

	if (meaning == EXISTS && b->doubtful) {
		*a = (struct answer){ .outcome = SINK_SENT };
		return KEPT;
	}
	/* Under a new name the answer is either 201 or what it says. Twice running it is what it says. */
	if (meaning == EXISTS || immutable || meaning == ROLL || (meaning == UNCLEAR && b->doubtful)) {
		a->outcome = s->taken_before ? SINK_RETRY : SINK_TAKEN;
		a->misconfigured = s->taken_before;
		a->doubtful = b->doubtful;
	}
	return meaning;
}

static void send_block(struct sink *s, const struct batch *b, struct answer *a)
{
	bool is_log = b->kind == BATCH_EVENTS && strcmp(s->target->form, "evtx") == 0;
	char name[NAME_SIZE];

	/* First the seals: whoever finds the log can then verify it. */
	name_batch(s, b, "evtx.seal", name);
	if (b->seals && strcmp(name, s->seals) != 0) {
		if (settle_name(s, b, put_block_blob(s, name, "application/octet-stream", b->seals, b->seals_size, 0, a), a) != KEPT)
			return;
		snprintf(s->seals, sizeof(s->seals), "%s", name);
	}
	name_batch(s, b, suffix_of(s, b), name);
	settle_name(s, b, put_block_blob(s, name, is_log ? "application/octet-stream" : "application/x-ndjson", b->body, b->size,
					 b->raw_size, a), a);
}

/* --- mode append */

static bool is_full(const struct sink *s, size_t more)
{
	return s->blocks >= BLOCKS_MAX || s->appended + more > APPENDED_MAX ||
	       clock_ns(CLOCK_BOOTTIME) - s->begun_ns > APPEND_S * 1000000000ull;
}

static enum meaning begin_blob(struct sink *s, const struct batch *b, struct answer *a)
{
	static const char *const headers[] = { "x-ms-blob-type: AppendBlob", "If-None-Match: *",
					       "Content-Type: application/x-ndjson", NULL };
	struct storage_request r = { "PUT", s->blob, NULL, headers, "", 0 };
	struct http_answer got;
	enum meaning meaning;
	char first[32];

	snprintf(first, sizeof(first), "%020llu-append", (unsigned long long)b->first_id);
	name_own(s, b->utc_ns, first, "ndjson.zst", s->blob);
	s->appended = s->blocks = 0;
	s->begun_ns = clock_ns(CLOCK_BOOTTIME);
	meaning = storage_do(s->storage, &r, &got, a) ? judge(s, &got, a) : BUSY;
	if (meaning != KEPT)
		s->blob[0] = 0;
	a->doubtful = false; /* no event was sent */
	return meaning;
}

static enum meaning append(struct sink *s, const struct batch *b, struct answer *a)
{
	char position[80], md5[64];
	const char *headers[STORAGE_HEADERS_MAX] = { position, "Content-Type: application/x-ndjson" };
	const struct storage_request r = { "PUT", s->blob, "comp=appendblock", headers, b->body, b->size };
	struct http_answer got;
	enum meaning meaning;

	snprintf(position, sizeof(position), "x-ms-blob-condition-appendpos: %llu", (unsigned long long)s->appended);
	write_md5(b->body, b->size, md5);
	if (md5[0])
		headers[2] = md5;
	if (!storage_do(s->storage, &r, &got, a))
		return BUSY;
	meaning = judge(s, &got, a);
	if (meaning == KEPT) {
		s->appended += b->size;
		s->blocks++;
	}
	return meaning;
}

/* After a try without an answer the same position is tried again: 201, and it had not been kept; if the blob is longer
 * now, it had been, or somebody else wrote. Nobody guesses: the batch goes to a new blob, its key removes the second. */
static void send_append(struct sink *s, const struct batch *b, struct answer *a)
{
	enum meaning meaning = ROLL;

	if (b->size > BATCH_SIZE_MAX) { /* what every version of the service takes as a block */
		a->outcome = SINK_TOO_LARGE;
		return;
	}
	for (unsigned i = 0; i < 2 && (meaning == ROLL || meaning == MOVED); i++) {
		if (i > 0 || is_full(s, b->size))
			s->blob[0] = 0;
		if (!s->blob[0] && begin_blob(s, b, a) != KEPT)
			return;
		meaning = append(s, b, a);
	}
}

/* --- is it erasable? */

/* A status of a request that should be refused: 1 it was not, 0 it was, -1 nobody knows. */
static int was_allowed(const struct http_answer *got)
{
	return got->status >= 200 && got->status < 300 ? 1 : got->status == 401 || got->status == 403 || got->status == 409 ||
	       got->status == 412 ? 0 : -1;
}

static int try_marker(struct sink *s, const char *name, const char *method)
{
	static const char *const overwrite[] = { "x-ms-blob-type: BlockBlob", "Content-Type: text/plain", NULL }, *const none[] = { NULL };
	bool deletes = strcmp(method, "DELETE") == 0;
	const struct storage_request r = { method, name, NULL, deletes ? none : overwrite, deletes ? NULL : "overwritten\n",
					   deletes ? 0 : 12 };
	struct http_answer got;
	struct answer ignored;

	return storage_do(s->storage, &r, &got, &ignored) ? was_allowed(&got) : -1;
}

static bool is_late(uint64_t begun_ns)
{
	return clock_ns(CLOCK_MONOTONIC) - begun_ns > MARKER_NS;
}

/* Once in a process's life, with a blob that is nothing else: what may be done to it may be done to all. */
static void find_erasable(struct sink *s)
{
	static const char text[] = "konseki tries to overwrite and to delete this blob, and must not be able to\n";
	uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
	struct answer ignored = { 0 };
	char name[NAME_SIZE];
	int overwritten, deleted = -1;

	s->marker_tries++;
	name_own(s, 0, "marker", "txt", name);
	if (put_block_blob(s, name, "text/plain", text, sizeof(text) - 1, 0, &ignored) != KEPT || is_late(begun_ns))
		return;
	overwritten = try_marker(s, name, "PUT");
	if (overwritten >= 0 && !is_late(begun_ns))
		deleted = try_marker(s, name, "DELETE");
	s->erasable = s->erasable || overwritten > 0 || deleted > 0;
	s->erasable_known = overwritten >= 0 && deleted >= 0;
}

static bool erasable(const struct sink *s)
{
	return s->erasable;
}

/* --- the sink */

static enum form form(const struct forward_target *t)
{
	return strcmp(t->form, "evtx") == 0 ? FORM_EVTX : FORM_NDJSON;
}

static int check(const struct forward_target *t, struct err *e)
{
	if (t->mode[0] && strcmp(t->mode, "block") != 0 && strcmp(t->mode, "append") != 0)
		return err_set(e, EBADMSG, "mode: '%s' is neither block nor append", t->mode);
	if (t->form[0] && strcmp(t->form, "ndjson") != 0 && strcmp(t->form, "evtx") != 0)
		return err_set(e, EBADMSG, "form: '%s' is neither ndjson nor evtx", t->form);
	if (strcmp(t->mode, "append") == 0 && strcmp(t->form, "evtx") == 0)
		return err_set(e, EBADMSG, "form: an event log cannot be appended to, evtx goes with mode = block");
	if (strspn(t->tenant, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != strlen(t->tenant))
		return err_set(e, EBADMSG, "tenant: '%s' may have letters, digits, - and _", t->tenant);
	return storage_check(t, e);
}

static int open_sink(const struct forward_target *t, const struct identity *id, struct sink **ret, struct err *e)
{
	struct sink *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, ENOMEM, "azure-blob");
	s->target = t;
	s->id = id;
	s->appends = strcmp(t->mode, "append") == 0;
	r = storage_open(t, &s->storage, e);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

static void send(struct sink *s, const struct batch *b, struct answer *a)
{
	uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);

	/* Heartbeats and tests are no events, and stand apart from them. */
	if (s->appends && (b->kind == BATCH_EVENTS || b->kind == BATCH_GAP))
		send_append(s, b, a);
	else
		send_block(s, b, a);
	s->taken_before = a->outcome == SINK_TAKEN;
	if (a->outcome == SINK_SENT && !s->erasable_known && s->marker_tries < MARKER_TRIES && !is_late(begun_ns))
		find_erasable(s);
}

static void close_sink(struct sink *s)
{
	if (!s)
		return;
	storage_close(s->storage);
	free(s);
}

const struct sink_row sink_azure_blob = {
	.name = "azure-blob",
	.to = "https://ACCOUNT.blob.core.windows.net/CONTAINER",
	.form = form,
	.named = true,
	.check = check,
	.open = open_sink,
	.send = send,
	.erasable = erasable,
	.close = close_sink,
};

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/own.h"
#include "../daemon/paths.h"
#include "../event/event.h"
#include "../hunt/progress.h"
#include "../log/verify.h"
#include "verb.h"

struct verified {
	const char *path;
	struct progress bar;
	struct verify_result result;
};

static void hear(void *self, bool alarm, const char *text)
{
	struct verified *v = self;

	progress_end(&v->bar);
	printf("%s: %s%s\n", v->path, alarm ? "NOT AS WRITTEN: " : "", text);
}

static void step(void *self, uint64_t done, uint64_t total)
{
	struct verified *v = self;

	progress_step(&v->bar, done, total);
}

/* Only the machine itself knows which seal would be the next. */
static void ask_machine(struct verify_input *in)
{
	OWNED_FD fd = open(PATH_SEAL_KEY, O_RDONLY | O_CLOEXEC);
	uint8_t sectors[2 * SEAL_KEY_SECTOR] = { 0 };
	struct seal_key own, kept;

	seal_key_from_secret(in->secret, &own);
	if (fd < 0 || pread(fd, sectors, sizeof(sectors), 0) < (ssize_t)SEAL_KEY_SECTOR)
		return;
	for (unsigned i = 0; i < 2; i++) {
		if (!seal_key_read(sectors + i * SEAL_KEY_SECTOR, &kept) ||
		    memcmp(kept.chain, own.chain, sizeof(own.chain)) != 0 || kept.number <= in->kept_number)
			continue;
		in->has_kept = true;
		in->kept_number = kept.number;
	}
}

static int verify_file(struct verified *v, const uint8_t secret[SEAL_SECRET], struct err *e)
{
	OWNED_FD log = open(v->path, O_RDONLY | O_CLOEXEC);
	OWNED_FD seals = -1;
	const struct verify_listener to = { hear, step, v };
	struct verify_input in = { .log = log };
	char path[512];
	int r;

	if (log < 0)
		return err_set(e, errno, "opening '%s'", v->path);
	if (snprintf(path, sizeof(path), "%s" SEAL_SUFFIX, v->path) >= (int)sizeof(path))
		return err_set(e, ENAMETOOLONG, "'%s'", v->path);
	seals = open(path, O_RDONLY | O_CLOEXEC);
	if (seals < 0 && errno == ENOENT)
		return err_set(e, EBADMSG, "%s: not sealed: there is no '%s'", v->path, path);
	if (seals < 0)
		return err_set(e, errno, "opening '%s'", path);
	in.seals = seals;
	memcpy(in.secret, secret, SEAL_SECRET);
	if (strcmp(v->path, PATH_LOG) == 0)
		ask_machine(&in);
	progress_begin(&v->bar);
	r = log_verify(&in, &to, &v->result, e);
	progress_end(&v->bar);
	return r < 0 ? err_within(e, "%s", v->path) : 0;
}

static void tell_result(const struct verified *v)
{
	const struct verify_result *r = &v->result;
	char from[24], to[24];

	utc_text(r->from_utc_ns, from);
	utc_text(r->to_utc_ns, to);
	if (r->alarms)
		printf("%s: %" PRIu64 " times not as it was written\n", v->path, r->alarms);
	else
		printf("%s: all is well: records %" PRIu64 " to %" PRIu64 " are as they were written\n", v->path, r->first_id,
		       r->last_id);
	printf("%s: sealed from %s to %s, seals %" PRIu64 " to %" PRIu64 ", %s\n", v->path, from, to, r->first_number,
	       r->last_number, r->part ? "a part of a log, copied: what came before and behind is in other files" :
	       r->closed ? "closed in order" :
	       "not closed: it is being written, or its writer was cut off, or its end was taken away");
}

static int by_first_number(const void *a, const void *b)
{
	const struct verified *x = a, *y = b;

	return x->result.first_number < y->result.first_number ? -1 :
								  x->result.first_number > y->result.first_number;
}

/* Of the files together: is one missing? */
static bool check_row(struct verified *files, unsigned count)
{
	bool well = true;

	qsort(files, count, sizeof(*files), by_first_number);
	if (files[0].result.first_number > 0)
		printf("%s: seals 0 to %" PRIu64 " are not here: %s\n", files[0].path, files[0].result.first_number - 1,
		       files[0].result.begins ? "they belong to earlier files" : "their records were overwritten");
	for (unsigned i = 1; i < count; i++) {
		const struct verify_result *a = &files[i - 1].result, *b = &files[i].result;

		if (b->first_number == a->last_number + 1 || (b->part && b->first_number <= a->last_number))
			continue;
		well = well && !b->begins && !b->part && b->first_number > a->last_number;
		printf("%s: %sbetween this and %s seals %" PRIu64 " to %" PRIu64 " are missing\n", files[i].path,
		       b->begins || b->part ? "NOT AS WRITTEN: " : "", files[i - 1].path, a->last_number + 1, b->first_number - 1);
	}
	return well;
}

static int read_key(const struct arguments *a, uint8_t secret[SEAL_SECRET])
{
	const char *given = argument(a, OPTION_verify_key);
	char line[200] = "";

	if (given && strcmp(given, "-") == 0)
		given = fgets(line, sizeof(line), stdin) ? line : "";
	return given ? seal_secret_parse(given, secret) : -EINVAL;
}

int verb_verify(const struct arguments *a)
{
	static const char *const installed[] = { PATH_LOG };
	const char *const *paths = a->word_count ? a->words : installed;
	unsigned count = a->word_count ? a->word_count : 1;
	OWNED_HEAP struct verified *files = calloc(count, sizeof(*files));
	uint8_t secret[SEAL_SECRET];
	bool well = true;

	if (!files || seal_crypto_begin() < 0) {
		fputs("konseki: out of memory\n", stderr);
		return STATUS_FAILED;
	}
	if (read_key(a, secret) < 0)
		return bad_usage(a->verb, argument(a, OPTION_verify_key) ? "this is no verification key: a letter is wrong or missing" :
									   "--key is missing: what the installation showed");
	for (unsigned i = 0; i < count; i++) {
		struct err e = { 0 };

		files[i].path = paths[i];
		if (verify_file(&files[i], secret, &e) < 0) {
			fflush(stdout);
			fprintf(stderr, "konseki: %s\n", e.text);
			return STATUS_FAILED;
		}
		tell_result(&files[i]);
		well = well && files[i].result.alarms == 0;
	}
	return check_row(files, count) && well ? STATUS_OK : STATUS_FAILED;
}

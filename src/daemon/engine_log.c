/* SPDX-License-Identifier: MIT */
/* The log while it is written: other files, somebody else's hands, a disk that takes nothing. The monitor hands files;
 * the log gets copies of the descriptors, so that it can be opened again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine_parts.h"

#define UNWRITABLE_NS (3u * (uint64_t)SECOND_NS) /* then another file that has the log's name is taken */

static int copy_fd(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

int open_log(struct engine *g, struct err *e)
{
	const struct engine_start *s = g->start;
	struct log_options keeping = {
		.size_max = s->log_size_max,
		.keeps_all = s->log_archives,
		.next_id = g->tally.next_id,
		.generation = g->log ? log_generation(g->log) : 0,
		.who = { s->computer, (uint32_t)getpid(), (uint32_t)getpid(), 0, s->context },
		.seal = { s->seal >= 0, copy_fd(s->seal), copy_fd(s->seal_key),
			  (uint32_t)(s->boot_epoch_ns / SECOND_NS) },
	};

	return log_open_take(copy_fd(s->log), &keeping, &g->log, e);
}

/* Into the log and, in case nobody can read it there, to whoever reads our standard error. */
void tell_of_log(struct engine *g, const char *text)
{
	fprintf(stderr, "konseki: %s\n", text);
	log_error(g, "LOG", text);
}

/* What was sealed must be there: else somebody had his hands in it while nobody wrote. */
void tell_what_is_missing(struct engine *g)
{
	struct log_state s;
	char text[200];

	log_state_get(g->log, &s);
	if (s.missing_last) {
		snprintf(text, sizeof(text), "The log lacks records %lu to %lu, which were sealed", s.missing_first,
			 s.missing_last);
		tell_of_log(g, text);
	}
	if (s.missing_seals) {
		snprintf(text, sizeof(text), "The end of the log was taken away: its latest %lu seals are missing",
			 s.missing_seals);
		tell_of_log(g, text);
	}
}

/* The file as it is now. The log that was open is given up only when the other one stands. */
static int open_again(struct engine *g, struct err *e)
{
	struct log *before = g->log;
	int r;

	log_flush(before, true);
	g->tally.next_id = g->kept->next_id = log_next_id(before);
	r = open_log(g, e);
	if (r < 0) {
		g->log = before;
		return r;
	}
	log_free(before);
	tell_what_is_missing(g);
	return 0;
}

/* Somebody wrote into the file or cut it: mended as after a crash, so that what follows can be read. */
static void mend_log(struct engine *g)
{
	struct err e = { 0 };

	if (open_again(g, &e) < 0)
		fprintf(stderr, "konseki: the log was changed by somebody else and cannot be mended: %s\n", e.text);
	else
		tell_of_log(g, "The log's file was changed by somebody else while it was open");
}

/* The monitor's answers: both or none. */
static int ask_for_files(struct engine *g, bool put_aside, int *log, int *seal)
{
	*seal = -1;
	*log = answered(g, ask_new_log(g->start->ask, put_aside));
	if (*log < 0 || g->start->seal < 0)
		return *log < 0 ? *log : 0;
	*seal = answered(g, ask_seals(g->start->ask));
	if (*seal < 0)
		fd_drop(log);
	return *seal < 0 ? *seal : 0;
}

/* Writes on in the other file; when that cannot be opened, in the one before. */
static int change_files(struct engine *g, int log, int seal, struct err *e)
{
	struct engine_start *s = g->start;
	int log_before = s->log, seal_before = s->seal;
	int r;

	s->log = log;
	s->seal = seal;
	r = open_again(g, e);
	if (r < 0) {
		s->log = log_before;
		s->seal = seal_before;
	}
	fd_drop(r < 0 ? &log : &log_before);
	fd_drop(r < 0 ? &seal : &seal_before);
	return r;
}

enum why { FULL, DELETED, UNWRITABLE };
static const struct {
	const char *text; /* of an event 255; NULL: that is no trouble */
	bool put_aside, close;
	uint64_t rest_ns; /* after a failure */
} new_file[] = {
	[FULL] = { NULL, true, true, MINUTE_NS },
	[DELETED] = { "The log's file was deleted: another one begins here", true, false, 10 * (uint64_t)SECOND_NS },
	[UNWRITABLE] = { "The log goes on in the file that has its name now", false, false, 10 * (uint64_t)SECOND_NS },
};

static void tell_unwritten(struct engine *g, uint64_t first, uint64_t last)
{
	char text[120];

	snprintf(text, sizeof(text), "Records %lu to %lu could not be written and are lost", first, last);
	tell_of_log(g, text);
}

static void begin_new_file(struct engine *g, enum why why)
{
	uint64_t written = log_synced_id(g->log), last = log_next_id(g->log) - 1;
	struct err e = { 0 };
	int log, seal, r;

	if (g->now_ns < g->new_log_rests_ns || !may_ask(g))
		return;
	g->new_log_rests_ns = g->now_ns + new_file[why].rest_ns;
	if (new_file[why].close && log_close(g->log, &e) < 0)
		fprintf(stderr, "konseki: closing the log: %s\n", e.text);
	r = ask_for_files(g, new_file[why].put_aside, &log, &seal);
	if (r == -EBUSY) /* there is no other */
		return;
	r = r < 0 ? err_set(&e, -r, "asking for a new file") : change_files(g, log, seal, &e);
	if (r < 0) {
		fprintf(stderr, "konseki: no new file for the log: %s\n", e.text);
		return;
	}
	g->new_log_rests_ns = g->now_ns + SECOND_NS;
	if (new_file[why].text)
		tell_of_log(g, new_file[why].text);
	if (why == UNWRITABLE && written < last)
		tell_unwritten(g, written + 1, last);
}

/* ": records up to 12 are kept in /PATH", and the path alone. */
static void tell_what_became(struct engine *g, int log_before, char *text, size_t size, char kept[KS_PATH_MAX + 1])
{
	uint32_t length = 0;
	bool deleted = false;
	int r = answered(g, ask_path(g->start->ask, log_before, kept, &length, &deleted));

	kept[r < 0 || deleted ? 0 : length] = 0;
	if (r == 0)
		snprintf(text, size, ": records up to %lu are %s%.400s", log_next_id(g->log) - 1,
			 deleted ? "deleted" : "kept in ", kept);
}

static int clear_file(struct engine *g, char *text, size_t size, char kept[KS_PATH_MAX + 1], struct err *e)
{
	int log, seal, r;

	if (!g->rules || !may_ask(g))
		return err_set(e, EBUSY, "konseki is just starting, or restarting");
	catch_up(g); /* whoever asked for it was introduced before */
	if (log_close(g->log, e) < 0)
		fprintf(stderr, "konseki: closing the log: %s\n", e->text);
	r = ask_for_files(g, true, &log, &seal);
	if (r < 0)
		return err_set(e, -r, "no new file for the log");
	tell_what_became(g, g->start->log, text, size, kept);
	return change_files(g, log, seal, e);
}

/* The first record of the new file says who wanted it. */
void clear_log(struct engine *g, const struct order *o)
{
	char who[600], became[500] = "", text[1200], kept[KS_PATH_MAX + 1] = "";
	struct err e = { 0 };
	int r = o->begun ? 0 : clear_file(g, became, sizeof(became), kept, &e);

	if (r < 0) {
		order_answer_clear(g->start->orders, r, e.text);
		return;
	}
	enrich_describe(g->enrich, o->tgid, o->login_uid, who, sizeof(who));
	snprintf(text, sizeof(text), "The log was cleared by %s%s", who, became);
	tell_of_log(g, text);
	r = log_flush(g->log, true);
	order_answer_clear(g->start->orders, r, r < 0 ? strerror(-r) : kept);
}

void look_after_file(struct engine *g)
{
	int r = log_file_check(g->log);

	if (r == -ENOENT)
		begin_new_file(g, DELETED);
	else if (g->write_error && g->now_ns - g->write_error_ns >= UNWRITABLE_NS)
		begin_new_file(g, UNWRITABLE);
	else if (r == -ESTALE)
		mend_log(g);
	else if (g->start->log_archives && log_is_nearly_full(g->log))
		begin_new_file(g, FULL);
}

/* A log that is overwritten too fast: somebody may be pushing out what he does not want to be seen. */
void declare_span(struct engine *g)
{
	struct log_state s;
	uint64_t covers_s;
	char text[200];
	bool is_short;

	log_state_get(g->log, &s);
	if (g->now_ns - g->minute_ns >= MINUTE_NS) {
		g->per_minute = g->minute_id ? s.next_id - g->minute_id : 0;
		g->minute_id = s.next_id;
		g->minute_ns = g->now_ns;
	}
	covers_s = s.newest_utc_ns > s.oldest_utc_ns ? (s.newest_utc_ns - s.oldest_utc_ns) / SECOND_NS : 0;
	is_short = s.overwrites && s.oldest_utc_ns && covers_s < g->start->log_least_s;
	if (is_short && (!g->log_short || g->now_ns - g->log_short_ns >= 10 * MINUTE_NS)) {
		snprintf(text, sizeof(text),
			 "The log is full and covers only %lu s (should be %u s): its oldest events are overwritten",
			 covers_s, g->start->log_least_s);
		tell_of_log(g, text);
		g->log_short_ns = g->now_ns;
	}
	g->log_short = is_short;
}

/* A disk that takes nothing: told outside of the log while it lasts, in it afterwards. */
static void watch_writing(struct engine *g, int r, bool synced)
{
	char text[250], from[24], to[24];

	/* What the cache has taken is not on the disk. */
	if (r == 0 && !synced)
		return;
	if (r < 0 && (!g->write_error || g->now_ns - g->write_told_ns >= MINUTE_NS)) {
		fprintf(stderr, "konseki: the log cannot be written: %s\n", strerror(-r));
		g->write_error_ns = g->write_error ? g->write_error_ns : g->now_ns;
		g->write_told_ns = g->now_ns;
	}
	if (r == 0 && g->write_error) {
		utc_text(enrich_utc(g->enrich, g->write_error_ns), from);
		utc_text(enrich_utc(g->enrich, g->now_ns), to);
		snprintf(text, sizeof(text), "The log could not be written between %s and %s: %s", from, to,
			 strerror(g->write_error));
		g->write_error = 0;
		tell_of_log(g, text);
		return;
	}
	g->write_error = -r;
}

/* What was read is in the file now: the rings may forget it, and a new engine must not count it again. An
 * engine killed before this point leaves its records in the rings, where the next one finds them. */
void commit(struct engine *g, bool sync)
{
	int r = log_flush(g->log, false);

	rings_release(g->rings);
	g->tally.next_id = log_next_id(g->log);
	*g->kept = g->tally;
	/* The disk may take long; by now the next engine would find everything in its place. */
	if (sync && r == 0)
		r = log_flush(g->log, true);
	watch_writing(g, r, sync);
}

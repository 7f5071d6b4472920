/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../daemon/paths.h"
#include "../hunt/view.h"
#include "pager.h"
#include "verb.h"

/* What --follow shows of the past, as tail does. */
#define FOLLOW_COUNT 10

struct viewing {
	const struct arguments *arguments;
	const char *path;
	struct view view;
	uint64_t record; /* --event; 0: none */
	bool follow;
	bool faults; /* something could not be read */
};

static void hear_fault(void *self, const char *text)
{
	struct viewing *v = self;

	v->faults = true;
	fflush(stdout); /* both may go to the same place: keep the order */
	fprintf(stderr, "konseki: %s: %s\n", v->path, text);
}

static int read_number(const char *text, uint64_t *n)
{
	char *end;

	errno = 0;
	*n = strtoull(text, &end, 10);
	return errno || !isdigit((unsigned char)text[0]) || *end || *n == 0 ? -EBADMSG : 0;
}

/* Options that narrow what is shown, and the functions that do it. */
static int read_filter(const struct arguments *a, struct filter *f, struct err *e)
{
	static int (*const narrow[OPTION_view_COUNT])(struct filter *, const char *, struct err *) = {
		[OPTION_view_id] = filter_ids,       [OPTION_view_process] = filter_process,
		[OPTION_view_where] = filter_where, [OPTION_view_find] = filter_find,
		[OPTION_view_since] = filter_since, [OPTION_view_until] = filter_until,
	};

	for (unsigned i = 0; i < a->given_count; i++) {
		const struct given *g = &a->given[i];
		int r = narrow[g->option] ? narrow[g->option](f, g->value, e) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_form(const struct arguments *a, enum render_form *form, struct err *e)
{
	static const struct { unsigned option; enum render_form form; } forms[] = {
		{ OPTION_view_text, RENDER_FULL }, { OPTION_view_xml, RENDER_XML },
		{ OPTION_view_json, RENDER_JSON }, { OPTION_view_syslog, RENDER_SYSLOG },
	};
	unsigned n = 0;

	*form = argument(a, OPTION_view_event) ? RENDER_FULL : RENDER_LINE;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (!argument(a, forms[i].option))
			continue;
		*form = forms[i].form;
		n++;
	}
	return n > 1 ? err_set(e, EBADMSG, "--text, --xml, --json and --syslog exclude one another") : 0;
}

static int read_arguments(struct viewing *v, struct err *e)
{
	const struct arguments *a = v->arguments;
	const char *count = argument(a, OPTION_view_count), *record = argument(a, OPTION_view_event);
	int r = read_form(a, &v->view.form, e);

	if (r < 0)
		return r;
	v->follow = argument(a, OPTION_view_follow);
	v->view.oldest_first = v->follow || argument(a, OPTION_view_oldest_first);
	v->view.count = v->follow ? FOLLOW_COUNT : 0;
	if (count && read_number(count, &v->view.count) < 0)
		return err_set(e, EBADMSG, "--count is a number from 1 on");
	if (record && read_number(record, &v->record) < 0)
		return err_set(e, EBADMSG, "--event is the record's id, a number from 1 on");
	if (record && v->follow)
		return err_set(e, EBADMSG, "--event and --follow exclude one another");
	if (a->word_count > 1)
		return err_set(e, EBADMSG, "more than one file");
	return read_filter(a, v->view.filter, e);
}

/* The file named, else the log of the installation, else what `run` left in this directory. */
static const char *choose_file(const struct arguments *a)
{
	if (a->word_count > 0)
		return a->words[0];
	if (access(PATH_LOG, F_OK) < 0 && access(LOG_NAME, F_OK) == 0)
		return LOG_NAME;
	return PATH_LOG;
}

static bool wants_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

static int show(struct viewing *v, struct logfile *l, struct err *e)
{
	uint64_t newest = view_newest(l);
	int r;

	if (v->record) {
		r = view_record(l, v->record, &v->view, e);
		return r == 0 ? err_set(e, EBADMSG, "no record with id %llu", (unsigned long long)v->record) : r;
	}
	r = view_log(l, &v->view, e);
	if (r == 0 && v->follow)
		r = view_follow(l, newest, &v->view, -1, e);
	return r;
}

static int view_file(struct viewing *v)
{
	const struct fault_listener listener = { .hear = hear_fault, .self = v };
	bool page = !v->follow && !argument(v->arguments, OPTION_view_no_pager);
	OWNED(logfile) l = NULL;
	struct err e = { 0 };
	pid_t pager = 0;
	int r = logfile_open(v->path, &listener, &l, &e);

	if (r == 0) {
		v->view.colour = wants_colour();
		pager = page ? pager_start() : 0;
		r = show(v, l, &e);
	}
	if (pager && ferror(stdout))
		r = 0; /* left before the end */
	if (r < 0 && r != -EPIPE)
		hear_fault(v, e.text);
	if (r == -ENOENT && v->arguments->word_count == 0)
		fputs("konseki is not installed here: name a log, or run 'konseki run' or 'konseki -i'.\n", stderr);
	if (pager)
		pager_wait(pager);
	return r < 0 || v->faults ? STATUS_FAILED : STATUS_OK;
}

int verb_view(const struct arguments *a)
{
	OWNED(filter) filter = filter_new();
	struct viewing v = { .arguments = a, .path = choose_file(a), .view = { .filter = filter, .to = stdout } };
	struct err e = { 0 };
	int r;

	if (!filter) {
		fputs("konseki: out of memory\n", stderr);
		return STATUS_FAILED;
	}
	r = read_arguments(&v, &e);
	if (r < 0)
		return bad_usage(a->verb, e.text);
	return view_file(&v);
}

/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../hunt/view.h"
#include "logs.h"
#include "pager.h"
#include "verb.h"

/* What --follow shows of the past, as tail does. */
#define FOLLOW_COUNT 10

struct viewing {
	const struct arguments *arguments;
	struct opened_log opened;
	struct view view;
	uint64_t record; /* --event; 0: none */
	bool follow;
};

static int read_number(const char *text, uint64_t *n)
{
	char *end;

	errno = 0;
	*n = strtoull(text, &end, 10);
	return errno || !isdigit((unsigned char)text[0]) || *end || *n == 0 ? -EBADMSG : 0;
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
	return filter_from_arguments(a, v->view.filter, e);
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
	const struct arguments *a = v->arguments;
	bool page = !v->follow && !argument(a, OPTION_view_no_pager);
	struct progress bar;
	struct err e = { 0 };
	pid_t pager = 0;
	int r = opened_log_begin(&v->opened, a->word_count ? a->words[0] : NULL);

	if (r < 0)
		return STATUS_FAILED;
	v->view.colour = wants_colour();
	pager = page ? pager_start() : 0;
	progress_begin(&bar);
	if (!isatty(STDOUT_FILENO) && !pager)
		v->view.progress = &bar; /* the records themselves do not go there */
	r = show(v, v->opened.log, &e);
	if (pager && ferror(stdout))
		r = 0; /* left before the end */
	if (r < 0 && r != -EPIPE)
		opened_log_say(&v->opened, e.text);
	if (pager)
		pager_wait(pager);
	opened_log_end(&v->opened);
	return r < 0 || v->opened.faults ? STATUS_FAILED : STATUS_OK;
}

int verb_view(const struct arguments *a)
{
	OWNED(filter) filter = filter_new();
	struct viewing v = { .arguments = a, .view = { .filter = filter, .to = stdout } };
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

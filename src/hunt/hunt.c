/* SPDX-License-Identifier: MIT */
#include "hunt.h"

#include <errno.h>

#include "view.h"

static void say(void *self, const char *text)
{
	(void)self;
	fprintf(stderr, "konseki: %s\n", text);
}

static const struct fault_listener to_stderr = { .hear = say };

uint64_t hunt_newest(int log_fd)
{
	OWNED(logfile) l = NULL;
	struct err e;

	/* A file that is no log yet has no records; the engine says what is wrong with one that should. */
	return logfile_from_fd(log_fd, &to_stderr, &l, &e) == 0 ? view_newest(l) : 0;
}

static enum render_form form_of(enum show show)
{
	static const enum render_form forms[] = {
		[SHOW_LINES] = RENDER_LINE,   [SHOW_XML] = RENDER_XML,         [SHOW_JSON] = RENDER_JSON,
		[SHOW_DEBUG] = RENDER_DEBUG, [SHOW_VERBOSE] = RENDER_VERBOSE,
	};

	return forms[show];
}

int hunt_follow(int log_fd, uint64_t after, enum show show, bool colour, int until)
{
	OWNED(logfile) l = NULL;
	OWNED(filter) everything = filter_new();
	struct view v = { .form = form_of(show), .colour = colour, .filter = everything, .to = stdout };
	struct err e = { 0 };
	int r;

	if (!everything)
		return -ENOMEM;
	r = logfile_from_fd(log_fd, &to_stderr, &l, &e);
	if (r == 0)
		r = view_follow(l, after, &v, until, &e);
	if (r < 0 && r != -EPIPE)
		say(NULL, e.text);
	return r;
}

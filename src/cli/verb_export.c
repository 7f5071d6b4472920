/* SPDX-License-Identifier: MIT */
/* Records of a log into a file that others read. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../hunt/export.h"
#include "logs.h"

static const struct { const char *name; enum export_form form; } forms[] = {
	{ "evtx", EXPORT_EVTX }, { "xml", EXPORT_XML }, { "json", EXPORT_JSON }, { "csv", EXPORT_CSV },
};

static int read_arguments(const struct arguments *a, struct export *x, struct err *e)
{
	const char *to = argument(a, OPTION_export_to);
	size_t i = 0;

	while (to && i < ARRAY_SIZE(forms) && strcmp(forms[i].name, to) != 0)
		i++;
	if (!to || i == ARRAY_SIZE(forms))
		return err_set(e, EBADMSG, "--to is one of evtx, xml, json and csv");
	x->form = forms[i].form;
	if (x->form == EXPORT_EVTX && !argument(a, OPTION_export_output))
		return err_set(e, EBADMSG, "--to evtx needs a file: --output FILE");
	if (a->word_count > 1)
		return err_set(e, EBADMSG, "more than one file");
	return filter_from_arguments(a, x->filter, e);
}

/* A new file, for its owner only: what the log may show to whom was decided with care. */
static FILE *create(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *to = fd < 0 ? NULL : fdopen(fd, "w");

	if (fd >= 0 && !to)
		close(fd);
	return to;
}

static int run(struct opened_log *o, struct export *x, const char *output)
{
	struct progress bar;
	struct err e = { 0 };
	int r;

	progress_begin(&bar);
	if (output || !isatty(STDOUT_FILENO))
		x->progress = &bar;
	x->to = output ? create(output) : stdout;
	if (!x->to)
		r = err_set(&e, errno, "creating '%s'", output);
	else
		r = export_log(o->log, x, &e);
	if (output && x->to && fclose(x->to) != 0 && r == 0)
		r = err_set(&e, errno, "writing '%s'", output);
	if (r < 0 && output && x->to)
		unlink(output); /* half an export looks like a whole one */
	if (r < 0 && !(r == -EPIPE && !output))
		opened_log_say(o, e.text);
	return r;
}

int verb_export(const struct arguments *a)
{
	OWNED(filter) filter = filter_new();
	struct export x = { .filter = filter };
	struct opened_log o;
	struct err e = { 0 };
	int r;

	if (!filter) {
		fputs("konseki: out of memory\n", stderr);
		return STATUS_FAILED;
	}
	if (read_arguments(a, &x, &e) < 0)
		return bad_usage(a->verb, e.text);
	if (opened_log_begin(&o, a->word_count ? a->words[0] : NULL) < 0)
		return STATUS_FAILED;
	r = run(&o, &x, argument(a, OPTION_export_output));
	if (r == 0 && argument(a, OPTION_export_output))
		fprintf(stderr, "%llu records\n", (unsigned long long)x.records);
	opened_log_end(&o);
	return r < 0 || o.faults ? STATUS_FAILED : STATUS_OK;
}

/* SPDX-License-Identifier: MIT */
#include "logs.h"

#include <errno.h>
#include <string.h>

#include "../daemon/paths.h"

void opened_log_say(struct opened_log *o, const char *text)
{
	o->faults = true;
	fflush(stdout); /* both may go to the same place: keep the order */
	fprintf(stderr, "konseki: %s: %s\n", o->path, text);
}

static void hear_fault(void *self, const char *text)
{
	opened_log_say(self, text);
}

static const char *default_path(void)
{
	return access(PATH_LOG, F_OK) < 0 && access(LOG_NAME, F_OK) == 0 ? LOG_NAME : PATH_LOG;
}

int opened_log_begin(struct opened_log *o, const char *name)
{
	const struct fault_listener listener = { .hear = hear_fault, .self = o };
	struct err e = { 0 };
	int r;

	*o = (struct opened_log){ .path = name ? name : default_path(), .named = name };
	r = logfile_open(o->path, &listener, &o->log, &e);
	if (r < 0)
		opened_log_say(o, e.text);
	if (r == -ENOENT && !name)
		fputs("konseki is not installed here: name a log, or run 'konseki run' or 'konseki -i'.\n", stderr);
	return r;
}

void opened_log_end(struct opened_log *o)
{
	logfile_free(o->log);
	o->log = NULL;
}

static const struct {
	const char *option;
	int (*narrow)(struct filter *f, const char *value, struct err *e);
} narrowing[] = {
	{ "id", filter_ids },     { "process", filter_process }, { "where", filter_where },
	{ "find", filter_find }, { "since", filter_since },     { "until", filter_until },
};

int filter_from_arguments(const struct arguments *a, struct filter *f, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < a->given_count; i++) {
		const char *name = a->verb->options[a->given[i].option].name;

		for (size_t k = 0; r == 0 && k < ARRAY_SIZE(narrowing); k++)
			if (strcmp(name, narrowing[k].option) == 0)
				r = narrowing[k].narrow(f, a->given[i].value, e);
	}
	return r;
}

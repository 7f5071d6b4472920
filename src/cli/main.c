/* SPDX-License-Identifier: MIT */
/* The command line: a verb of our own (verbs.def), or Sysmon's switches (switches.def). */
#include <stdio.h>
#include <string.h>

#include "help.h"
#include "sysmon.h"
#include "verb.h"

static int run_verb(const struct verb *v, int count, char *const *words)
{
	struct arguments a;
	struct err e = { 0 };
	int status;

	if (arguments_parse(v, count, words, &a, &e) < 0) {
		status = bad_usage(v, e.text);
	} else if (a.help) {
		help_verb(v, stdout);
		status = STATUS_OK;
	} else {
		status = v->run(&a);
	}
	arguments_done(&a);
	return status;
}

int main(int argc, char **argv)
{
	const struct verb *v;

	if (argc < 2) {
		help_verbs(stderr);
		return STATUS_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0) {
		help_verbs(stdout);
		return STATUS_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("konseki " KONSEKI_VERSION);
		return STATUS_OK;
	}
	if (argv[1][0] == '-')
		return sysmon_main(argc - 1, argv + 1);
	v = verb_by_name(argv[1]);
	if (!v) {
		fprintf(stderr, "konseki: there is no verb '%s'\n\n", argv[1]);
		help_verbs(stderr);
		return STATUS_USAGE;
	}
	return run_verb(v, argc - 2, argv + 2);
}

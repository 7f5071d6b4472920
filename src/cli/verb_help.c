/* SPDX-License-Identifier: MIT */
#include "help.h"

int verb_help(const struct arguments *a)
{
	const struct verb *v;

	if (a->word_count == 0) {
		help_verbs(stdout);
		return STATUS_OK;
	}
	v = verb_by_name(a->words[0]);
	if (!v || a->word_count > 1)
		return bad_usage(a->verb, "there is no such verb");
	help_verb(v, stdout);
	return STATUS_OK;
}

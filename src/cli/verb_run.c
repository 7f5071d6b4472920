/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "../base/own.h"
#include "../daemon/service.h"
#include "verb.h"

#define MIB UINT64_C(1048576)

/* The log's own bounds: one MiB, and what 65535 chunks hold. */
#define SIZE_MIN_MB 1
#define SIZE_MAX_MB 4095

static int read_size(const char *text, uint64_t *bytes)
{
	char *end;
	unsigned long mb;

	errno = 0;
	mb = strtoul(text, &end, 10);
	if (errno || !isdigit((unsigned char)text[0]) || *end || mb < SIZE_MIN_MB || mb > SIZE_MAX_MB)
		return -EBADMSG;
	*bytes = mb * MIB;
	return 0;
}

/* How many of the three ways to show events were asked for; the last one counts. */
static unsigned read_show(const struct arguments *a, enum show *show)
{
	static const struct { unsigned option; enum show show; } ways[] = {
		{ OPTION_run_xml, SHOW_XML }, { OPTION_run_json, SHOW_JSON }, { OPTION_run_quiet, SHOW_NOTHING },
	};
	unsigned n = 0;

	*show = SHOW_LINES;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		if (!argument(a, ways[i].option))
			continue;
		*show = ways[i].show;
		n++;
	}
	return n;
}

int verb_run(const struct arguments *a)
{
	struct run_options o = {
		.config = argument(a, OPTION_run_config),
		.log = argument(a, OPTION_run_log),
		.context = argument(a, OPTION_run_context),
		.seal = argument(a, OPTION_run_seal),
		.btf = argument(a, OPTION_run_btf),
	};
	const char *size = argument(a, OPTION_run_size);

	if (size && read_size(size, &o.log_size) < 0)
		return bad_usage(a->verb, "--size is a number of megabytes from 1 to 4095");
	if (read_show(a, &o.show) > 1)
		return bad_usage(a->verb, "--xml, --json and --quiet exclude one another");
	return service_run(&o);
}

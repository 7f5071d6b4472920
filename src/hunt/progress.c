/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../base/clock.h"

#define FIRST_AFTER_NS UINT64_C(1000000000)
#define DRAW_EVERY_NS  UINT64_C(100000000)
#define BAR_WIDTH      40

void progress_begin(struct progress *p)
{
	const char *term = getenv("TERM");

	*p = (struct progress){ .wanted = isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0),
				.begun_ns = clock_ns(CLOCK_MONOTONIC) };
	p->next_ns = p->begun_ns + FIRST_AFTER_NS;
}

void progress_step(struct progress *p, uint64_t done, uint64_t total)
{
	static const char bar[BAR_WIDTH + 1] = "########################################";
	uint64_t now;
	int full;

	if (!p || !p->wanted || total == 0)
		return;
	now = clock_ns(CLOCK_MONOTONIC);
	if (now < p->next_ns)
		return;
	p->next_ns = now + DRAW_EVERY_NS;
	p->shown = true;
	full = (int)(done * BAR_WIDTH / total);
	/* Written in one piece, and the cursor left where the next drawing begins. */
	fprintf(stderr, "[%.*s%*s] %3u %%, %u s left \r", full, bar, BAR_WIDTH - full, "",
		(unsigned)(done * 100 / total),
		done ? (unsigned)((now - p->begun_ns) / done * (total - done) / 1000000000u) : 0);
}

void progress_end(struct progress *p)
{
	if (p && p->shown)
		fputs("\r\033[K", stderr);
	if (p)
		p->shown = false;
}

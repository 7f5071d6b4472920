/* SPDX-License-Identifier: MIT */
/* How far something long is: a bar on standard error, if that is a terminal, from the second second on. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool wanted; /* a terminal is there to see it */
	bool shown;
	uint64_t begun_ns; /* monotonic */
	uint64_t next_ns;  /* when it is drawn again */
};

void progress_begin(struct progress *p);
/* Cheap enough to be called for every chunk. p may be NULL. */
void progress_step(struct progress *p, uint64_t done, uint64_t total);
/* Takes the bar away. p may be NULL. */
void progress_end(struct progress *p);

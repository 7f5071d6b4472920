/* SPDX-License-Identifier: MIT */
/* Tells events as text to syslog and to the journal (docs/formats/syslog.md): for each a process of its own that reads the
 * log as anybody would, so that whoever does not listen holds up nothing. It falls behind; what the log overwrites in the
 * meantime is counted as missed. */
#pragma once
#include "companion.h"
#include "settings.h"

struct tellers {
	const struct settings *settings; /* borrowed */
	const char *log_path;            /* borrowed */
	struct told *told;               /* TOLD_OUTPUTS of them, shared with the tellers */
	const char *sockets[TOLD_OUTPUTS]; /* where who listens is found */
	struct {
		struct companion process; /* dismissed, it tells what is left */
		uint64_t start_ms;        /* then it is started again */
	} one[TOLD_OUTPUTS];
};

/* The shared memory. 0 or -errno. */
int tellers_init(struct tellers *t, const struct settings *s, const char *log_path);
/* From the newest record of the log on: what was there before the service is not told. */
void tellers_begin(struct tellers *t, int log);
/* Starts who is not running; to be called about once a second. */
void tellers_look_after(struct tellers *t);
/* Lets them tell what is left, for a few seconds. */
/* The log goes on in another file: what is left of this one is told, then the other one. */
void tellers_change_files(struct tellers *t);
void tellers_end(struct tellers *t);

/* SPDX-License-Identifier: MIT */
/* A process of ours that stands beside the others, and is told to end by the end of a pipe: who shows events, tells them as
 * text, copies them. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct companion {
	pid_t pid; /* 0: none runs, and the rest means nothing */
	int until; /* our end of its pipe; -1: it was dismissed */
};

/* Makes one. True in the new process, where *until is its end of the pipe. False in this one; pid stays 0 if none could be
 * made. */
bool companion_start(struct companion *c, int *until);
/* In a child of the supervisor: Ctrl-C and the like are for that, and no signal is blocked. */
void companion_leave_signals(void);
/* Lets it come to its end. */
void companion_dismiss(struct companion *c);
/* Has it come to its end? Then *status is that of waitpid(). */
bool companion_has_ended(struct companion *c, int *status);
/* Dismissed or not, waits for its end; at that time (now_ms()) it is killed. */
void companion_end(struct companion *c, uint64_t kill_ms);

/* SPDX-License-Identifier: MIT */
/* The helper: for each question of the engine a process of its own, which is sealed for this one kind of question,
 * reads it, answers and ends. The questions (HELPER_DOES in requests.def) wait in sockets, a few for each kind;
 * the supervisor holds the other ends, never reads from them, and starts a helper when something waits. */
#pragma once
#include "message.h"

struct help_lane {
	enum message_kind kind;
	unsigned seconds; /* then the supervisor kills it */
};
extern const struct help_lane help_lanes[HELP_LANES];

/* In a process of its own that holds nothing but this socket: the exit status. */
int helper_main(unsigned lane, int channel);

/* Bounds of memory and time that hold from here on. 0 or -errno. */
int helper_limit(unsigned seconds);

/* SPDX-License-Identifier: MIT */
/* Showing events as they happen, for service_run(): from the log file, in a process of its own, so that a
 * stopped terminal never holds up the engine. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* SHOW_VERBOSE: as SHOW_DEBUG, and which rule kept the event. */
enum show { SHOW_NOTHING, SHOW_LINES, SHOW_XML, SHOW_JSON, SHOW_DEBUG, SHOW_VERBOSE };

/* The id of the newest record in the log, 0 if it holds none. Asked before the engine starts, so that its
 * first record is shown too. */
uint64_t hunt_newest(int log_fd);

/* Prints on standard output every record behind id `after` until the descriptor `until` becomes readable,
 * then what was left. The file may still be empty. 0 or -errno; -EPIPE when nobody reads any more. */
int hunt_follow(int log_fd, uint64_t after, enum show show, bool colour, int until);

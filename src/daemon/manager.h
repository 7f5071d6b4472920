/* SPDX-License-Identifier: MIT */
/* Starting and stopping the installed service: through systemd where it runs the machine, else as a process
 * of its own that looks after itself. */
#pragma once
#include <stdbool.h>

#include "../base/err.h"

/* Runs a program of the path with these words, NULL at the end; its output goes to standard error.
 * Its exit status, or -1. */
int run_program(const char *const words[]);

bool manager_is_systemd(void);
/* Is what runs now a `konseki run`, not the service? */
bool manager_runs_in_foreground(void);

/* Starts it, or starts it again, and at every boot; waits until it watches. On failure e says why. */
int manager_start(struct err *e);
/* 0 also when it did not run. force: with SIGKILL if nothing else helps. */
int manager_stop(bool force, struct err *e);
/* Removes what starts it at boot. */
void manager_forget(void);

/* SPDX-License-Identifier: MIT */
/* What the files behind service.h share; nobody else includes this. */
#pragma once
#include <stdio.h>
#include <sys/types.h>

#include "../base/err.h"
#include "message.h"
#include "service.h"

#define STATUS_USAGE    87  /* refused: bad usage, bad configuration, not running */
#define STATUS_NOT_ROOT 228

/* How long processes without a supervisor may take to come to their end. */
#define ORPHANS_MS 40000

/* 0, or STATUS_NOT_ROOT after saying so. */
int refuse_unless_root(void);

/* The supervisor of what runs now, 0: none. */
pid_t running_pid(void);
int lock_wait(int fd, unsigned timeout_ms); /* 0, -EBUSY or -errno */

void print_tally(FILE *to, const struct engine_report *r);

/* --- client.c: asking the monitor that runs */

/* A connection, or -errno: -ENOENT or -ECONNREFUSED when nothing runs. */
int control_connect(void);

/* The rules of -i and -c, as rules_of(). */
int rules_given(const struct service_config *c, struct body_configure *rules, int *file, struct err *e);

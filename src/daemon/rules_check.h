/* SPDX-License-Identifier: MIT */
/* The command line's look into rules: it runs as root, so the reading happens in a process that is sealed
 * as the engine is. */
#pragma once

/* Reads the frozen file. Says what Sysmon says of a configuration it takes; complaints, all of them, go
 * to standard error. 0, or 87 when it is refused. */
int rules_validate(int file, const char *name);

/* Prints options and rules as `-c` does. file -1: what (ORDER_* of request.h) says which rules. */
int rules_print(int file, unsigned what, const char *name);

/* SPDX-License-Identifier: MIT */
/* Rules as they come from a command line, and as they lie on an installed machine. Nothing is read here but
 * bytes: what they mean is the engine's to find out. */
#pragma once
#include "message.h"

#define RULES_MAX (16u << 20)

/* The rules that `path` names (NULL: every event; "--": the schema's default). *file is a frozen copy, so
 * that a change made meanwhile is of no consequence; -1 when there is no file. */
int rules_of(const char *path, struct body_configure *rules, int *file, struct err *e);

/* For the next start, so that it begins with the rules that are in force now. 0 or -errno. */
int rules_store(const struct body_configure *rules, int file);
/* What was stored; without it every event. */
int rules_stored(struct body_configure *rules, int *file, struct err *e);

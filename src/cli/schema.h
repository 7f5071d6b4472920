/* SPDX-License-Identifier: MIT */
#pragma once
#include <stdio.h>

/* Prints the schema as Sysmon's -s does: options, conditions, events with their fields. Versions other than our
 * own are not kept: wanted may be NULL, "all" or the beginning of it; 1 if it was printed, else 0. */
int schema_print(const char *wanted, FILE *to);

/* SPDX-License-Identifier: MIT */
#pragma once

/* Sysmon's command line: words are those behind the program's name. Returns the exit status. */
int sysmon_main(int count, char *const *words);

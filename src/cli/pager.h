/* SPDX-License-Identifier: MIT */
#pragma once
#include <sys/types.h>

/* Puts a pager between us and the terminal: standard output and, where it is the terminal too, standard error
 * go there from now on. 0: there is none (output is no terminal, or no pager could be started). */
pid_t pager_start(void);
/* Lets the pager show the rest and waits until the user leaves it. */
void pager_wait(pid_t pager);

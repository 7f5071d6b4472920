/* SPDX-License-Identifier: MIT */
#pragma once
#include <stdio.h>

#include "verb.h"

void help_banner(FILE *to);        /* Sysmon's first lines; -nologo leaves them out */
void help_switches(FILE *to);      /* -?: Sysmon's switches */
void help_config(FILE *to);        /* -? config: the configuration language */
void help_verbs(FILE *to);         /* our own verbs, in short */
void help_verb(const struct verb *v, FILE *to);

/* SPDX-License-Identifier: MIT */
/* What `konseki log` can be told. One function a row of its table, in log_<name>.c; a->words[0] is the row's name. */
#pragma once
#include "verb.h"

int log_info(const struct arguments *a);

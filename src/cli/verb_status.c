/* SPDX-License-Identifier: MIT */
#include "../daemon/service.h"
#include "verb.h"

int verb_status(const struct arguments *a)
{
	return service_status(argument(a, OPTION_status_json) != NULL);
}

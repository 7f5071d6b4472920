/* SPDX-License-Identifier: MIT */
/* When logins began. What was told of a session once is never told otherwise: it is part of an identifier. */
#pragma once
#include <stdint.h>

#include "../base/own.h"
#include "hosts.h" /* enum known */

struct logins;

struct logins *logins_new(void); /* NULL: no memory */
void logins_free(struct logins *l);
DEFINE_DROP(logins)

enum known logins_find(struct logins *l, uint32_t session_id, uint32_t login_uid, uint64_t *seconds);
void logins_asked(struct logins *l, uint32_t session_id, uint32_t login_uid);
/* Ignored when it is settled already. 0: nobody knows. */
void logins_settle(struct logins *l, uint32_t session_id, uint32_t login_uid, uint64_t seconds);

/* SPDX-License-Identifier: MIT */
/* What the helper does: one task, then its process ends. Each of these reads what strangers wrote, so none may
 * run in another process than one that was sealed for it (privilege_seal_helper), but all are pure enough to
 * be called by a test. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "../base/own.h"
#include "../../schema/wire.h"

/* An index of dpkg's database (its folder: /var/lib/dpkg) for packages_map(): a sealed memfd or -errno. */
int help_packages(const char *database);

/* The reverse name of an address; the machine's own name for one of its own addresses. 0 or -errno (-ENOENT:
 * none). At most size bytes with the NUL. */
int help_host_name(const struct ks_address *a, char *name, size_t size);

/* When the login of this audit session began, in seconds since 1970; 0: nobody knows. The folders are those of
 * the login manager's sessions and of /proc; utmp the file of login records. */
struct help_login_places {
	const char *sessions, *utmp, *proc;
};
uint64_t help_login_time(const struct help_login_places *at, uint32_t session_id, uint32_t login_uid);

/* All of it, or -errno. */
int help_write(int fd, const void *bytes, size_t n);
/* Nobody can change the memfd any more. */
int help_seal(int fd);

/* Before the process is sealed: loads the library of libaugeas, which parses nothing yet. Without it files are digests. 0 or -errno. */
int help_load_lenses(void);
/* One file as a list of one entry (settings.h), in a sealed memfd: the one behind the descriptor (under
 * its own name if the path is ""), or (fd < 0) of this path. A descriptor or -errno. */
int help_setting(const char *path, int fd);
/* All that is watched. */
int help_survey(void);

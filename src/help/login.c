/* SPDX-License-Identifier: MIT */
/* When a login began: the login manager numbers its sessions as audit does and keeps a file for each; without it
 * the login records name the processes of logins, and /proc the session of a process. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <utmp.h>

#include "help.h"

#define FILE_MAX_BYTES 16384

static ssize_t read_text(const char *path, char *text, size_t size)
{
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = 0;
	return n;
}

/* The number behind NAME= at a line's start. */
static int number_of(const char *text, const char *name, uint64_t *value)
{
	size_t n = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, n) == 0 && line[n] == '=')
			return sscanf(line + n + 1, "%" SCNu64, value) == 1;
	}
	return 0;
}

static uint64_t from_login_manager(const char *sessions, uint32_t session_id, uint32_t login_uid)
{
	char path[256], text[FILE_MAX_BYTES];
	uint64_t uid, realtime_us, audit = session_id;

	snprintf(path, sizeof(path), "%s/%" PRIu32, sessions, session_id);
	if (read_text(path, text, sizeof(text)) <= 0 || !number_of(text, "UID", &uid) ||
	    !number_of(text, "REALTIME", &realtime_us))
		return 0;
	number_of(text, "AUDIT", &audit);
	return uid == login_uid && audit == session_id ? realtime_us / 1000000 : 0;
}

static int is_of_session(const char *proc, int32_t pid, uint32_t session_id)
{
	char path[256], text[32];
	uint32_t id;

	snprintf(path, sizeof(path), "%s/%" PRId32 "/sessionid", proc, pid);
	return read_text(path, text, sizeof(text)) > 0 && sscanf(text, "%" SCNu32, &id) == 1 &&
	       id == session_id;
}

static uint64_t from_login_records(const struct help_login_places *at, uint32_t session_id)
{
	OWNED_FD fd = open(at->utmp, O_RDONLY | O_CLOEXEC);
	struct utmp record;
	unsigned count = 0;

	while (fd >= 0 && count++ < 100000 && read(fd, &record, sizeof(record)) == sizeof(record))
		if (record.ut_type == USER_PROCESS && record.ut_pid > 0 && record.ut_tv.tv_sec > 0 &&
		    is_of_session(at->proc, record.ut_pid, session_id))
			return (uint64_t)record.ut_tv.tv_sec;
	return 0;
}

uint64_t help_login_time(const struct help_login_places *at, uint32_t session_id, uint32_t login_uid)
{
	uint64_t seconds = from_login_manager(at->sessions, session_id, login_uid);

	return seconds ? seconds : from_login_records(at, session_id);
}
